/**
 * Registry values as blocks of pool memory: what a device's bus knows of it besides its resources.
 *
 * A block is written whole and never changed. Its values lie one behind the other, each on a multiple of four.
 */
import { read32, write32 } from '../mm/access.ts'
import { mem } from '../mm/memory.ts'
import { allocate, free, PAGED } from '../mm/pool.ts'
import { readText, writeText } from '../ob/attributes.ts'
import { struct, ULONG } from '../rtl/struct.ts'

/** Types of registry values. */
export const REG_NONE = 0
export const REG_SZ = 1
export const REG_EXPAND_SZ = 2
export const REG_BINARY = 3
export const REG_DWORD = 4
export const REG_MULTI_SZ = 7
export const REG_QWORD = 11

/** Values by name: a text is REG_SZ, a number REG_DWORD, a list of texts REG_MULTI_SZ, bytes REG_BINARY. */
export type Parameters = Readonly<Record<string, string | number | readonly string[] | Uint8Array>>

/** A value in a block; its name and then its data follow. */
const VALUE = struct('CM_VALUE', {
  Size: ULONG, // of all of it, a multiple of four
  Type: ULONG,
  NameLength: ULONG, // bytes
  DataLength: ULONG, // bytes
})
const Value = VALUE.offsets
/** Before the first value: bytes of the whole block. */
const HEADER = 4
const TAG = 'CmVa'

export interface RegistryValue {
  readonly name: string
  readonly type: number
  /** Where its data lies in the block. */
  readonly data: number
  readonly length: number
}

/** Writes `values` into the pool. @returns the block, freed by `freeValues`; 0 for no values, or no memory */
export function allocateValues(values: Parameters): number {
  const encoded = Object.entries(values).map(([name, value]) => encode(name, value))
  if (encoded.length === 0) return 0
  const size = encoded.reduce((sum, bytes) => sum + bytes.size, HEADER)
  const block = allocate(size, TAG, PAGED)
  if (block === 0) return 0
  write32(block, size)
  let at = block + HEADER
  for (const value of encoded) at = store(at, value)
  return block
}

/** Another block with the same values. @returns 0 for none, or without memory */
export function copyValues(block: number): number {
  if (block === 0) return 0
  const size = read32(block)
  const copy = allocate(size, TAG, PAGED)
  if (copy !== 0) mem.u8.copyWithin(copy, block, block + size)
  return copy
}

export function freeValues(block: number): void {
  if (block !== 0) free(block, TAG)
}

/** The values of a block, in the order in which they were written. */
export function valuesOf(block: number): RegistryValue[] {
  const values: RegistryValue[] = []
  const end = block === 0 ? 0 : block + read32(block)
  for (let at = block + HEADER; at < end; at += read32(at + Value.Size)) {
    const nameLength = read32(at + Value.NameLength)
    values.push({
      name: readText(at + VALUE.size, nameLength >> 1),
      type: read32(at + Value.Type),
      data: at + VALUE.size + aligned(nameLength),
      length: read32(at + Value.DataLength),
    })
  }
  return values
}

interface Encoded {
  name: string
  type: number
  data: Uint8Array
  size: number
}

const aligned = (length: number): number => (length + 3) & ~3

function encode(name: string, value: Parameters[string]): Encoded {
  const [type, data] = typed(value)
  return { name, type, data, size: VALUE.size + aligned(2 * name.length) + aligned(data.length) }
}

function typed(value: Parameters[string]): [type: number, data: Uint8Array] {
  if (typeof value === 'string') return [REG_SZ, unitsOf(`${value}\0`)]
  if (typeof value === 'number') return [REG_DWORD, new Uint8Array(Uint32Array.of(value).buffer)]
  if (value instanceof Uint8Array) return [REG_BINARY, value]
  return [REG_MULTI_SZ, unitsOf(`${value.map((text) => `${text}\0`).join('')}\0`)]
}

function unitsOf(text: string): Uint8Array {
  const units = Uint16Array.from({ length: text.length }, (_, index) => text.charCodeAt(index))
  return new Uint8Array(units.buffer)
}

function store(at: number, { name, type, data, size }: Encoded): number {
  write32(at + Value.Size, size)
  write32(at + Value.Type, type)
  write32(at + Value.NameLength, 2 * name.length)
  write32(at + Value.DataLength, data.length)
  writeText(at + VALUE.size, name)
  mem.u8.set(data, at + VALUE.size + aligned(2 * name.length))
  return at + size
}
