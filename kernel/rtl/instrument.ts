/** The second form of all accessors, which reports each access before it happens. The plain form pays nothing. */

import { loader, storer, typedArray, type Known } from './access.ts'
import { ElementArray } from './array.ts'
import { addNow } from './lazy.ts'
import { classes } from './registry.ts'
import type { AnyStruct, AnyView, ArrayField, FieldLayout } from './types.ts'

/** Told of each access to a field, or to an element of one; an atomic operation other than `load` is a write. */
export type AccessHook = (
  kind: 'read' | 'write',
  address: number,
  size: number,
  cls: AnyStruct,
  fieldName: string,
) => void

type Report = (kind: 'read' | 'write', address: number, size: number) => void

const plain = new Map<AnyStruct, PropertyDescriptorMap>()
let hook: AccessHook | null = null

/** Reports each access through a view to `newHook`, in classes defined later too; null restores the plain form. */
export function instrument(newHook: AccessHook | null): void {
  hook = newHook
  for (const cls of classes) selectAccessors(cls)
}

/** Gives `cls` the form of accessors that is in force. */
export function selectAccessors(cls: AnyStruct): void {
  if (hook === null) {
    const descriptors = plain.get(cls)
    if (descriptors !== undefined) Object.defineProperties(cls.prototype, descriptors)
    plain.delete(cls)
    return
  }
  if (!plain.has(cls)) plain.set(cls, fieldDescriptors(cls, plainAccessors))
  Object.defineProperties(cls.prototype, fieldDescriptors(cls, reportingAccessors(hook)))
}

type Accessors = (cls: AnyStruct, field: FieldLayout) => PropertyDescriptor

function fieldDescriptors(cls: AnyStruct, accessors: Accessors): PropertyDescriptorMap {
  return Object.fromEntries(Object.values(cls.fields).map((field) => [field.name, accessors(cls, field)]))
}

function plainAccessors(cls: AnyStruct, { name }: FieldLayout): PropertyDescriptor {
  addNow(cls.prototype as object)
  return Object.getOwnPropertyDescriptor(cls.prototype, name)!
}

function reportingAccessors(to: AccessHook): Accessors {
  return (cls, { name, offset, type }) => {
    const known = type as Known
    const report: Report = (kind, address, size) => to(kind, address, size, cls, name)
    const get = function (this: AnyView) {
      return read(known, this.address + offset, report)
    }
    if (known.kind === 'struct' || known.kind === 'array' || known.kind === 'atomic') return { get }
    return {
      get,
      set(this: AnyView, value: unknown) {
        report('write', this.address + offset, known.size)
        storer(known)(this.address + offset, value)
      },
    }
  }
}

/** Reads a value of `type`. Of embedded things only the parts report: taking their address touches no memory. */
function read(type: Known, address: number, report: Report): unknown {
  switch (type.kind) {
    case 'struct':
      return new type(address)
    case 'atomic':
      return reportingAtomic(loader(type)(address) as object, address, type.size, report)
    case 'array':
      if (type.of.kind === 'scalar') return reportingNumbers(type, address, report)
      return new ElementArray(
        address,
        type,
        (element) => read(type.of as Known, element, report),
        (element, value) => {
          report('write', element, type.of.size)
          storer(type.of)(element, value)
        },
      )
    default:
      report('read', address, type.size)
      return loader(type)(address)
  }
}

function reportingAtomic(atomic: object, address: number, size: number, report: Report): object {
  return new Proxy(atomic, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name)
      if (typeof member !== 'function') return member
      return (...operands: unknown[]) => {
        report(name === 'load' ? 'read' : 'write', address, size)
        return member.apply(target, operands)
      }
    },
  })
}

const WRITING = new Set<PropertyKey>(['copyWithin', 'fill', 'reverse', 'set', 'sort'])
const INDEX = /^\d+$/

/** A typed array that reports its elements; a method of it reports the whole array. */
function reportingNumbers(type: ArrayField<unknown>, address: number, report: Report): object {
  const width = type.of.size
  const element = (name: PropertyKey): number | undefined =>
    typeof name === 'string' && INDEX.test(name) ? address + Number(name) * width : undefined
  return new Proxy(typedArray(type, address), {
    get(target, name) {
      const at = element(name)
      if (at !== undefined) report('read', at, width)
      const member: unknown = Reflect.get(target, name, target)
      if (typeof member !== 'function' || name === 'constructor') return member
      return (...operands: unknown[]) => {
        report(WRITING.has(name) ? 'write' : 'read', address, type.size)
        return member.apply(target, operands)
      }
    },
    set(target, name, value) {
      const at = element(name)
      if (at !== undefined) report('write', at, width)
      return Reflect.set(target, name, value, target)
    },
  })
}
