/** What one does with views and layouts, besides reading fields. */

import { mem } from '../mm/memory.ts'
import { structOfView } from './pvoid.ts'
import type { AnyStruct, AnyView, StructClass } from './types.ts'

/** Whether two references are to one struct; `===` would compare the views. */
export function same(a: AnyView | null, b: AnyView | null): boolean {
  if (a === null || b === null) return a === b
  return a.address === b.address
}

/** Copies all of `from` over `to`. */
export function copyStruct<T extends AnyView>(to: T, from: T): void {
  const cls = structOfView(to)
  if (cls === undefined || cls.typeId !== structOfView(from)?.typeId) {
    throw new TypeError(
      `copyStruct copies between structs of one type, not to ${cls?.structName ?? 'what is no struct'}`,
    )
  }
  mem.u8.copyWithin(to.address, from.address, from.address + cls.size)
}

/** The offset of a field, or of a field of the struct embedded there. */
export function offsetOf<F, K extends keyof F & string>(cls: StructClass<string, F>, field: K): number
export function offsetOf<F, K extends keyof F & string>(
  cls: StructClass<string, F>,
  field: K,
  inner: F[K] extends StructClass<string, infer G> ? keyof G & string : never,
): number
export function offsetOf(cls: AnyStruct, field: string, inner?: string): number {
  const outer = cls.fields[field]!
  return inner === undefined ? outer.offset : outer.offset + (outer.type as AnyStruct).offsets[inner]!
}

/** The struct whose `field` lies at `place`. */
export function containing<N extends string, F>(
  cls: StructClass<N, F>,
  field: keyof F & string,
  place: number | { readonly address: number },
): InstanceType<StructClass<N, F>> {
  return new cls((typeof place === 'number' ? place : place.address) - cls.offsets[field])
}

/**
 * The struct of type `Type` whose `Field` lies at `Address`: `containing`, in Windows' order.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows/win32/api/ntdef/nf-ntdef-containing_record
 */
export function CONTAINING_RECORD<N extends string, F>(
  Address: number | { readonly address: number },
  Type: StructClass<N, F>,
  Field: keyof F & string,
): InstanceType<StructClass<N, F>> {
  return containing(Type, Field, Address)
}

/** What a layout is expected to be; a field called `size` or `align` is meant rather than the struct's own. */
export type ExpectedLayout<F> = { readonly [K in keyof F | 'size' | 'align']?: number }

/** Throws, with every difference, unless the layout is as expected: for structs that other code lays out too. */
export function assertLayout<N extends string, F>(cls: StructClass<N, F>, expected: ExpectedLayout<F>): void {
  const actual: { readonly [name: string]: number } = { size: cls.size, align: cls.align, ...cls.offsets }
  const differences = Object.entries<number | undefined>(expected)
    .filter(([name, offset]) => actual[name] !== offset)
    .map(([name, offset]) => `${name} is ${actual[name] ?? 'missing'}, not ${offset}`)
  if (differences.length > 0) throw new Error(`the layout of ${cls.structName} differs: ${differences.join('; ')}`)
}
