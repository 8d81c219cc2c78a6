/** What stands behind the colon of a field, besides numbers and structs. */

import type { Synchronous } from './routine.ts'
import type {
  AnyStruct,
  ArrayField,
  ArrayValue,
  AtomicField,
  FieldType,
  Pointer,
  PvoidField,
  RoutineField,
  Scalar,
  ViewName,
} from './types.ts'

/** A context: a struct, a number or null. The struct's type id is stored beside its address. */
export const PVOID = { kind: 'pvoid', size: 8, align: 4, layout: 'PVOID' } as PvoidField

/**
 * A pointer to a struct: `pointer(KDPC)`, or `pointer(() => KDPC)` where KDPC is defined further down.
 *
 * A struct that points to itself names its view, since its class has no type yet:
 * `Flink: pointer<LIST_ENTRY>(() => LIST_ENTRY)`, with `interface LIST_ENTRY extends View<typeof LIST_ENTRY> {}`.
 */
// `_Inferred` makes a call that names one type skip the first form: its constraint would look at the unfinished class.
export function pointer<C extends AnyStruct, _Inferred>(to: C | (() => C)): Pointer<InstanceType<C>>
export function pointer<T = never>(to: () => any): Pointer<T>
export function pointer(to: AnyStruct | (() => AnyStruct)): Pointer<unknown> {
  const isClass = isStruct(to)
  if (!isClass && typeof to !== 'function') {
    throw new TypeError('pointer() takes a struct class, or a function that returns one if it is defined later')
  }
  return {
    kind: 'pointer',
    size: 4,
    align: 4,
    layout: isClass ? `${to.structName}*` : '*',
    isForward: !isClass,
    target: () => (isClass ? to : checkTarget(to())),
  } as Pointer<unknown>
}

/** `length` elements side by side. */
export function array<T extends FieldType>(of: T, length: number): ArrayField<ArrayValue<T>> {
  if (!isFieldType(of)) throw new TypeError('array() takes a field type and a length')
  if (!Number.isInteger(length) || length < 1) throw new RangeError(`an array has at least one element, not ${length}`)
  return {
    kind: 'array',
    size: of.size * length,
    align: of.align,
    layout: `${of.layout}[${length}]`,
    of,
    length,
  } as unknown as ArrayField<ArrayValue<T>>
}

/** A number that is changed without a lock. It has operations only, so `+=` on it does not compile. */
export function atomic<V extends number | bigint>(of: Scalar<Exclude<ViewName, 'f64'>, V>): AtomicField<V> {
  if (of?.kind !== 'scalar' || (of.view as ViewName) === 'f64') throw new TypeError('atomic() takes an integer type')
  return { kind: 'atomic', size: of.size, align: of.align, layout: `atomic ${of.layout}`, of } as AtomicField<V>
}

/** A pointer to a routine. Stored as a number, see `routine.ts`; the layout's offset reaches it. */
export function routine<F extends (...parameters: never[]) => unknown>(): RoutineField<Synchronous<F>> {
  return { kind: 'routine', size: 4, align: 4, layout: 'routine' } as RoutineField<Synchronous<F>>
}

function checkTarget(target: unknown): AnyStruct {
  if (isStruct(target)) return target
  throw new TypeError('the function given to pointer() must return a struct class')
}

export function isStruct(type: unknown): type is AnyStruct {
  return typeof type === 'function' && (type as { kind?: unknown }).kind === 'struct'
}

export function isFieldType(type: unknown): type is FieldType {
  if (isStruct(type)) return true
  return typeof type === 'object' && type !== null && 'kind' in type && 'layout' in type && 'size' in type
}
