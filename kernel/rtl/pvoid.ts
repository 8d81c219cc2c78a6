/** PVOID: eight bytes, the address and the type id of what it points to. */

import * as memory from '../mm/memory.ts'
import { hex, structOf } from './registry.ts'
import { classOf, type AnyStruct, type AnyView, type Pvoid } from './types.ts'

// Looked up once: an imported name is looked up at each use (decision 0041).
const { mem } = memory

export const PVOID_NULL = null

/** The class of `value` if it is a view. */
export function structOfView(value: unknown): AnyStruct | undefined {
  return typeof value === 'object' && value !== null ? (value as { [classOf]?: AnyStruct })[classOf] : undefined
}

/** The struct, number or null that `address` and `typeId` stand for. */
export function pvoidOf(address: number, typeId: number): Pvoid {
  if (typeId === 0) return address === 0 ? null : address
  const cls = structOf(typeId)
  if (cls === undefined) {
    throw new Error(
      `the context at ${hex(address)} is a struct of type ${hex(typeId)}, which no module on this processor defines: ` +
        'define it in a module that the driver imports, not inside a function',
    )
  }
  return new cls(address)
}

export function loadPvoid(address: number): Pvoid {
  return pvoidOf(mem.u32[address >> 2]!, mem.u32[(address >> 2) + 1]!)
}

/** Stores `value` as the PVOID at `address`. */
export function storePvoid(address: number, value: Pvoid): void {
  const { u32 } = mem
  const word = address >> 2
  if (value === null || typeof value === 'number') {
    u32[word] = value ?? 0
    u32[word + 1] = 0
  } else {
    u32[word] = addressOfContext(value)
    u32[word + 1] = typeIdOfPvoid(value)
  }
}

/** Throws where `value` cannot be stored, before a lock is taken under which it will be. */
export function checkPvoid(value: Pvoid): void {
  if (typeof value !== 'number' && value !== null) addressOfContext(value)
}

/** The type id that travels with `value`; 0 for numbers and null. */
export function typeIdOfPvoid(value: Pvoid): number {
  return structOfView(value)?.typeId ?? 0
}

function addressOfContext(value: AnyView): number {
  if (structOfView(value) !== undefined) return value.address
  throw new TypeError(
    "a context must be a struct in the machine's memory, a number or null, " +
      `because objects cannot travel between processors; this is ${nameOf(value)}`,
  )
}

function nameOf(value: unknown): string {
  if (typeof value === 'function') return `the function ${value.name || '(anonymous)'}`
  if (typeof value !== 'object' || value === null) return `a value of type ${typeof value}`
  return `an instance of ${Object.getPrototypeOf(value)?.constructor?.name ?? 'Object without a prototype'}`
}
