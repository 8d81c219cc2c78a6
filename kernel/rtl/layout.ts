/** Where each field lies: natural alignment, as a C compiler for 32-bit Windows lays a struct out. */

import { isFieldType } from './fields.ts'
import type { FieldLayout, Fields } from './types.ts'

export interface Layout {
  readonly name: string
  readonly size: number
  readonly align: number
  readonly fields: { readonly [name: string]: FieldLayout }
  /** Name and layout as text, embedded structs included: what the type id is a hash of. */
  readonly layout: string
}

/** Names that views have for themselves, or that the language would stumble over (`then`: views are awaited). */
const RESERVED = new Set(['address', 'constructor', 'then', 'toJSON', 'toString', 'valueOf', '__proto__'])
const IDENTIFIER = /^[A-Za-z_]\w*$/

/** Lays `fields` out one after the other; in a union, all at offset 0. */
export function layOut(name: string, fields: Fields, isUnion: boolean): Layout {
  if (!IDENTIFIER.test(name)) throw new TypeError(`"${name}" cannot name a struct: it is no identifier`)
  const entries = Object.entries(fields)
  if (entries.length === 0) throw new TypeError(`struct ${name} has no fields`)

  // A dictionary from the start: with a shape of its own for each struct it would take longer than all the rest.
  const placed = Object.create(null) as { [name: string]: FieldLayout }
  let end = 0
  let size = 0
  let align = 1
  for (const [field, type] of entries) {
    checkName(name, field)
    if (!isFieldType(type)) throw new TypeError(`struct ${name}: field ${field} has no type that struct() knows`)
    const offset = isUnion ? 0 : alignUp(end, type.align)
    placed[field] = Object.freeze({ name: field, offset, size: type.size, type })
    end = offset + type.size
    size = Math.max(size, end)
    align = Math.max(align, type.align)
  }
  const inside = Object.values(placed).map((field) => `${field.name}:${field.type.layout}@${field.offset}`)
  return {
    name,
    size: alignUp(size, align),
    align,
    fields: Object.freeze(placed),
    layout: `${isUnion ? 'union ' : ''}${name}{${inside.join()}}`,
  }
}

function checkName(struct: string, field: string): void {
  if (RESERVED.has(field))
    throw new TypeError(`struct ${struct}: a field cannot be called ${field}, that name is taken`)
  if (!IDENTIFIER.test(field))
    throw new TypeError(`struct ${struct}: "${field}" cannot name a field: it is no identifier`)
}

function alignUp(offset: number, align: number): number {
  return (offset + align - 1) & -align
}
