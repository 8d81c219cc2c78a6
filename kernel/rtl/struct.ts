/**
 * The struct language: C-like layouts whose instances are typed views of the machine's memory.
 *
 *     export const BUTTON = struct('BUTTON', { stored: ULONG, ticks: array(ULONG, 16), dpc: KDPC })
 *     export type BUTTON = InstanceType<typeof BUTTON>
 *
 * A view is an address with accessors: making one costs nothing that V8 does not remove, and two views of one address
 * are one struct (`same`). Views are for drivers and tests; kernel code works on addresses and `BUTTON.offsets`.
 */

import { compileFromClosures, compileFromSource } from './compile.ts'
import { generates } from './generate.ts'
import { inspectView } from './inspect.ts'
import { selectAccessors } from './instrument.ts'
import { layOut, type Layout } from './layout.ts'
import { register, typeIdOf } from './registry.ts'
import { classOf, type AnyStruct, type AnyView, type Fields, type StructClass } from './types.ts'

export { assertLayout, containing, copyStruct, offsetOf, same } from './view.ts'
export { array, atomic, pointer, PVOID, routine } from './fields.ts'
export { instrument, type AccessHook } from './instrument.ts'
export { checkPvoid, loadPvoid, PVOID_NULL, pvoidOf, storePvoid, structOfView, typeIdOfPvoid } from './pvoid.ts'
export { structOf } from './registry.ts'
export { routines, type Routines, type Synchronous } from './routine.ts'
export * from './scalar.ts'
export type {
  AnyStruct,
  AnyView,
  Atomic,
  Elements,
  FieldLayout,
  Fields,
  FieldType,
  Pvoid,
  Slots,
  StructClass,
  StructView,
  View,
} from './types.ts'

/** Where `console.log` looks for a printer. */
const INSPECT = Symbol.for('nodejs.util.inspect.custom')

/** Defines a struct: `fields` one after the other, each at its natural alignment. */
export function struct<N extends string, F extends Fields>(name: N, fields: F): StructClass<N, F> {
  return defineClass(layOut(name, fields, false)) as unknown as StructClass<N, F>
}

/** Defines a union: `fields` all at offset 0. Embedded like a struct. */
export function union<N extends string, F extends Fields>(name: N, fields: F): StructClass<N, F> {
  return defineClass(layOut(name, fields, true)) as unknown as StructClass<N, F>
}

function defineClass(layout: Layout): AnyStruct {
  const cls = (generates() ? compileFromSource : compileFromClosures)(layout) as unknown as AnyStruct
  const statics = {
    kind: 'struct',
    structName: layout.name,
    layout: layout.layout,
    size: layout.size,
    align: layout.align,
    typeId: typeIdOf(layout.layout),
    fields: layout.fields,
    offsets: Object.freeze(Object.fromEntries(Object.values(layout.fields).map(({ name, offset }) => [name, offset]))),
    at: (address: number): AnyView | null => (address === 0 ? null : new cls(address)),
  }
  Object.assign(cls, statics)
  Object.defineProperty(cls.prototype, classOf, { value: cls })
  Object.defineProperty(cls.prototype, INSPECT, {
    value(this: AnyView) {
      return inspectView(cls, this.address)
    },
  })
  register(cls)
  selectAccessors(cls)
  return cls
}
