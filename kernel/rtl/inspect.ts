/** What `console.log` prints of a view: its fields, as far as what lies there makes sense. Never throws. */

import { mem } from '../mm/memory.ts'
import { loader, type Known } from './access.ts'
import { hex, structOf } from './registry.ts'
import { routineOf } from './routine.ts'
import type { AnyStruct, Atomic, FieldType } from './types.ts'

const SHOWN = 8 // elements of an array

/** `BUTTON @0x00012340 { stored: 3, … }` */
export function inspectView(cls: AnyStruct, address: number): string {
  const fields = Object.values(cls.fields).map(({ name, offset, type }) => `${name}: ${show(type, address + offset)}`)
  return `${at(cls.structName, address)} { ${fields.join(', ')} }`
}

function show(type: FieldType, address: number): string {
  try {
    return showKnown(type as Known, address)
  } catch {
    return '?' // outside memory, or a routine that nobody knows
  }
}

function showKnown(type: Known, address: number): string {
  if (address < 0 || address + type.size > mem.buffer.byteLength) return '?'
  switch (type.kind) {
    case 'scalar':
      return String(loader(type)(address))
    case 'atomic':
      return String((loader(type)(address) as Atomic<unknown>).load())
    case 'struct':
      return at(type.structName, address)
    case 'pointer':
      return wordAt(address) === 0 ? 'null' : at(type.target().structName, wordAt(address))
    case 'pvoid':
      return showPvoid(wordAt(address), wordAt(address + 4))
    case 'routine':
      return showRoutine(wordAt(address))
    case 'array': {
      const shown = Array.from({ length: Math.min(type.length, SHOWN) }, (_, i) =>
        show(type.of, address + i * type.of.size),
      )
      if (type.length > SHOWN) shown.push(`… ${type.length - SHOWN} more`)
      return `[${shown.join(', ')}]`
    }
  }
}

function showPvoid(address: number, typeId: number): string {
  if (typeId === 0) return address === 0 ? 'null' : hex(address)
  return at(structOf(typeId)?.structName ?? `unknown type ${hex(typeId)}`, address)
}

function showRoutine(id: number): string {
  try {
    return routineOf(id)?.name ?? 'null'
  } catch {
    return `routine ${id}`
  }
}

function at(name: string, address: number): string {
  return `${name} @${hex(address)}`
}

function wordAt(address: number): number {
  return mem.u32[address >> 2]!
}
