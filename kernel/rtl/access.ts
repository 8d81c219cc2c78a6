/** How a value of each field type is read from an address and stored there: one closure a type. */

import { mem } from '../mm/memory.ts'
import { ElementArray } from './array.ts'
import { atomicClass } from './atomic.ts'
import { loadPvoid, storePvoid } from './pvoid.ts'
import { idOf, routineOf } from './routine.ts'
import { SHIFT } from './scalar.ts'
import type {
  AnyStruct,
  ArrayField,
  AtomicField,
  FieldType,
  Pointer,
  Pvoid,
  PvoidField,
  RoutineField,
  Scalar,
  ViewName,
} from './types.ts'

/** Every field type, told apart by its kind. */
export type Known =
  | Scalar<ViewName, unknown>
  | AtomicField<unknown>
  | Pointer<unknown>
  | PvoidField
  | RoutineField<unknown>
  | ArrayField<unknown>
  | AnyStruct

export type Loader = (address: number) => unknown
export type Storer = (address: number, value: unknown) => void

const loaders = new WeakMap<FieldType, Loader>()
const storers = new WeakMap<FieldType, Storer>()

/** Reads a value of `type`. */
export function loader(type: FieldType): Loader {
  let load = loaders.get(type)
  if (load === undefined) loaders.set(type, (load = makeLoader(type as Known)))
  return load
}

/** Stores a value of `type`. What is embedded is changed in place: its storer throws. */
export function storer(type: FieldType): Storer {
  let store = storers.get(type)
  if (store === undefined) storers.set(type, (store = makeStorer(type as Known)))
  return store
}

/** The elements of an array of numbers, as a typed array over the machine's memory. */
export function typedArray(type: ArrayField<unknown>, address: number): ArrayBufferView {
  const numbers = mem[(type.of as Scalar<ViewName, unknown>).view]
  return new (numbers.constructor as Uint32ArrayConstructor)(mem.buffer, address, type.length)
}

function makeLoader(type: Known): Loader {
  switch (type.kind) {
    case 'scalar': {
      const { view } = type
      const shift = SHIFT[view]
      return (address) => mem[view][address >> shift]
    }
    case 'atomic': {
      const Atomic = atomicClass(type.of.view)
      return (address) => new Atomic(address)
    }
    case 'pointer':
      return (address) => {
        const to = mem.u32[address >> 2]!
        return to === 0 ? null : new (type.target())(to)
      }
    case 'pvoid':
      return loadPvoid
    case 'routine':
      return (address) => routineOf(mem.u32[address >> 2]!)
    case 'array': {
      if (type.of.kind === 'scalar') return (address) => typedArray(type, address)
      const load = loader(type.of)
      const store = storer(type.of)
      return (address) => new ElementArray(address, type, load, store)
    }
    case 'struct':
      return (address) => new type(address)
  }
}

function makeStorer(type: Known): Storer {
  switch (type.kind) {
    case 'scalar': {
      const { view } = type
      const shift = SHIFT[view]
      return (address, value) => {
        mem[view][address >> shift] = value as never
      }
    }
    case 'pointer':
      return (address, value) => {
        mem.u32[address >> 2] = value === null ? 0 : (value as { address: number }).address
      }
    case 'pvoid':
      return (address, value) => storePvoid(address, value as Pvoid)
    case 'routine':
      return (address, value) => {
        mem.u32[address >> 2] = idOf(value as Function | null)
      }
    default:
      return () => {
        throw new TypeError(`${type.layout} is embedded: it can be changed, but not replaced`)
      }
  }
}
