/** The struct language's types: what a field may be, and what reading it gives. Types only; nothing here runs. */

import type { Memory } from '../mm/memory.ts'

/** A view of the machine's memory that holds numbers: `u32`, `i8` … */
export type ViewName = Exclude<keyof Memory, 'buffer'>

/** Carries the type of a field's value; there is no such property at run time. */
export declare const value: unique symbol

/** On the prototype of every view: the class it belongs to. Makes two structs with equal fields two types. */
export const classOf: unique symbol = Symbol('struct class')

/** What may stand behind the colon of a field. The literal `kind` tells them apart. */
export interface FieldType<V = unknown> {
  readonly kind: 'scalar' | 'atomic' | 'pointer' | 'pvoid' | 'routine' | 'array' | 'struct'
  readonly size: number
  readonly align: number
  /** The text that goes into the type id. */
  readonly layout: string
  readonly [value]: V
}

export interface Scalar<W extends ViewName, V> extends FieldType<V> {
  readonly kind: 'scalar'
  readonly view: W
}

export interface AtomicField<V> extends FieldType<Atomic<V>> {
  readonly kind: 'atomic'
  readonly of: Scalar<ViewName, V>
}

export interface Pointer<T> extends FieldType<T | null> {
  readonly kind: 'pointer'
  /** Whether the class may be defined only after this field: `target` is asked at the first use. */
  readonly isForward: boolean
  target(): AnyStruct
}

export interface PvoidField extends FieldType<Pvoid> {
  readonly kind: 'pvoid'
}

export interface RoutineField<R> extends FieldType<R | null> {
  readonly kind: 'routine'
}

export interface ArrayField<V> extends FieldType<V> {
  readonly kind: 'array'
  readonly of: FieldType
  readonly length: number
}

/** A number that several processors change without a lock; each operation returns the value before it. */
export interface Atomic<V> {
  load(): V
  store(value: V): void
  add(value: V): V
  sub(value: V): V
  and(value: V): V
  or(value: V): V
  exchange(value: V): V
  compareExchange(expected: V, value: V): V
}

/** An array of what no typed array can hold: structs, atomics, arrays. */
export interface Elements<V> extends Iterable<V> {
  readonly address: number
  readonly length: number
  at(index: number): V
}

/** An array of pointers, contexts or routines. */
export interface Slots<V> extends Elements<V> {
  set(index: number, value: V): void
}

/** What reading an array field gives: a typed array over the machine's memory where there is one. */
export type ArrayValue<T> =
  T extends Scalar<infer W, unknown>
    ? Memory[W]
    : T extends { readonly kind: 'pointer' | 'pvoid' | 'routine'; readonly [value]: infer V }
      ? Slots<V>
      : T extends { readonly [value]: infer V }
        ? Elements<V>
        : never

/** Any struct in the machine's memory. */
export interface AnyView {
  readonly address: number
  readonly [classOf]: ClassTag<string>
}

interface ClassTag<N extends string> {
  readonly structName: N
}

/** A context: what a struct, a number or null survives that no JavaScript object does, the way to another processor. */
export type Pvoid = AnyView | number | null

export interface FieldLayout {
  readonly name: string
  readonly offset: number
  readonly size: number
  readonly type: FieldType
}

/** What every struct class has, whatever its fields. */
export interface AnyStruct extends FieldType<AnyView> {
  new (address: number): AnyView
  readonly kind: 'struct'
  readonly structName: string
  readonly typeId: number
  readonly fields: { readonly [name: string]: FieldLayout }
  readonly offsets: { readonly [name: string]: number }
  at(address: number): AnyView | null
}

export interface Fields {
  readonly [name: string]: FieldType
}

/** The class that `struct('N', F)` gives. It is a field type itself: that is how structs embed. */
export interface StructClass<N extends string, F> extends FieldType<StructView<N, F>> {
  new (address: number): StructView<N, F>
  readonly kind: 'struct'
  readonly structName: N
  /** Travels with a context, so that another processor can make the view again. Never 0. */
  readonly typeId: number
  readonly fields: { readonly [K in keyof F]: FieldLayout }
  readonly offsets: { readonly [K in keyof F]: number }
  at(address: number): StructView<N, F> | null
}

type Embedded = { readonly kind: 'struct' | 'array' | 'atomic' }
type ValueOf<T> = T extends { readonly [value]: infer V } ? V : never

/** What lies at an address: assignable fields, and embedded things, which can be changed but not replaced. */
export type StructView<N extends string, F> = { readonly address: number; readonly [classOf]: ClassTag<N> } & {
  -readonly [K in keyof F as F[K] extends Embedded ? never : K]: ValueOf<F[K]>
} & {
  readonly [K in keyof F as F[K] extends Embedded ? K : never]: ValueOf<F[K]>
}

/** The view type of a class: `interface BUTTON extends View<typeof BUTTON> {}`. */
export type View<C extends { readonly [value]: unknown }> = C[typeof value]
