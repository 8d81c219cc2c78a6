/**
 * Makes a struct's class: from source, or from closures where code from strings is forbidden.
 *
 * Source gives each class accessors of its own, so that V8's feedback at one field never mixes with that of another:
 * a field access costs what it costs on a plain object, with 300 classes in use too. Closures cost three times that.
 */

import { mem } from '../mm/memory.ts'
import { loader, storer, typedArray, type Known } from './access.ts'
import { atomicClass } from './atomic.ts'
import { addWhenUsed } from './lazy.ts'
import type { Layout } from './layout.ts'
import { pvoidOf, storePvoid } from './pvoid.ts'
import { idOf, routineOf } from './routine.ts'
import { SHIFT } from './scalar.ts'
import type { FieldLayout, FieldType } from './types.ts'

/** A class of views, with the accessors of its fields and nothing else. */
export type ViewClass = new (address: number) => { readonly address: number }

/** What the accessors call, by the names that they call it. */
const runtime = { atomicClass, idOf, loader, pvoidOf, routineOf, storePvoid, typedArray }

/** The class from source: at once what makes a view, and the accessors when one is first used. */
export function compileFromSource(layout: Layout): ViewClass {
  const fields = Object.values(layout.fields)
  const types = fields.map((field) => field.type)
  const cls = fields.some(isTypedArray) ? classWithNumbers(fields, types) : unusedClass()
  Object.defineProperty(cls, 'name', { value: layout.name })
  addWhenUsed(cls.prototype as object, () => accessorsFromSource(fields, types))
  return cls
}

const EMPTY = 'class { constructor(address) { this.address = address } }'
const stock: ViewClass[] = []

let stocks = 0

/**
 * A class that no other struct has: each stands by itself in the source, of which 32 cost as much as one. The number is
 * there because V8 compiles one text once, and keeps one feedback for all that comes of it.
 */
function unusedClass(): ViewClass {
  if (stock.length === 0) {
    stocks += 1
    stock.push(...(new Function(`return [${`${EMPTY},`.repeat(32)}] // ${stocks}`)() as ViewClass[]))
  }
  return stock.pop() as ViewClass
}

/** A class whose views keep the typed arrays that were asked of them. */
function classWithNumbers(fields: readonly FieldLayout[], types: readonly FieldType[]): ViewClass {
  const numbers = fields.map((field, i) => (isTypedArray(field) ? numbersOf(field, i) : ''))
  const source = `return class {
      constructor(address) { this.address = address }
      ${numbers.join('\n')}
    }`
  return new Function('runtime', 'types', source)(runtime, types) as ViewClass
}

function numbersOf({ name, offset }: FieldLayout, i: number): string {
  return `#numbers${i}
      get ${name}() { return this.#numbers${i} ??= runtime.typedArray(types[${i}], this.address + ${offset}) }`
}

/** `mem` is a constant of their closure. */
function accessorsFromSource(fields: readonly FieldLayout[], types: readonly FieldType[]): PropertyDescriptorMap {
  const source = `
    const { ${Object.keys(runtime).join(', ')} } = runtime
    ${fields.map(constantsOf).join('\n')}
    return { ${fields.map(accessorsOf).join('\n')} }`
  const made = new Function('mem', 'runtime', 'types', source)(mem, runtime, types) as object
  const descriptors = Object.getOwnPropertyDescriptors(made) as PropertyDescriptorMap
  for (const descriptor of Object.values(descriptors)) descriptor.enumerable = false // as those of a class
  return descriptors
}

function isTypedArray({ type }: FieldLayout): boolean {
  const known = type as Known
  return known.kind === 'array' && known.of.kind === 'scalar'
}

/** What the accessors of field `i` need beside `mem`. */
function constantsOf(field: FieldLayout, i: number): string {
  const type = field.type as Known
  switch (type.kind) {
    case 'struct':
      return `const T${i} = types[${i}]`
    case 'atomic':
      return `const T${i} = atomicClass(types[${i}].of.view, true)`
    case 'pointer':
      return type.isForward ? `let T${i}` : `const T${i} = types[${i}].target()`
    case 'array':
      return isTypedArray(field) ? '' : `const load${i} = loader(types[${i}])`
    default:
      return ''
  }
}

function accessorsOf(field: FieldLayout, i: number): string {
  const { name, offset } = field
  const type = field.type as Known
  const address = offset === 0 ? 'this.address' : `this.address + ${offset}`
  const word = `mem.u32[(${address}) >> 2]`
  switch (type.kind) {
    case 'scalar': {
      const element = `mem.${type.view}[${SHIFT[type.view] === 0 ? address : `(${address}) >> ${SHIFT[type.view]}`}]`
      return `get ${name}() { return ${element} },
              set ${name}(value) { ${element} = value },`
    }
    case 'pointer': {
      const target = type.isForward ? `(T${i} ??= types[${i}].target())` : `T${i}`
      return `get ${name}() { const to = ${word}; return to === 0 ? null : new ${target}(to) },
              set ${name}(value) { ${word} = value === null ? 0 : value.address },`
    }
    case 'pvoid':
      return `get ${name}() { return pvoidOf(${word}, mem.u32[(this.address + ${offset + 4}) >> 2]) },
              set ${name}(value) { storePvoid(${address}, value) },`
    case 'routine':
      return `get ${name}() { return routineOf(${word}) },
              set ${name}(value) { ${word} = idOf(value) },`
    case 'array':
      return isTypedArray(field) ? '' : `get ${name}() { return load${i}(${address}) },`
    case 'atomic':
    case 'struct':
      return `get ${name}() { return new T${i}(${address}) },`
  }
}

/** The same class without code from strings. */
export function compileFromClosures(layout: Layout): ViewClass {
  const { [layout.name]: cls } = {
    [layout.name]: class {
      readonly address: number
      constructor(address: number) {
        this.address = address
      }
    },
  } as { [name: string]: ViewClass }
  for (const field of Object.values(layout.fields)) {
    Object.defineProperty(cls!.prototype, field.name, { configurable: true, ...closuresOf(field) })
  }
  return cls!
}

function closuresOf(field: FieldLayout): PropertyDescriptor & ThisType<{ readonly address: number }> {
  const { offset, type } = field
  const load = loader(type)
  if (isTypedArray(field)) {
    const made = new WeakMap<object, unknown>()
    return {
      get() {
        let numbers = made.get(this)
        if (numbers === undefined) made.set(this, (numbers = load(this.address + offset)))
        return numbers
      },
    }
  }
  const get = function (this: { readonly address: number }) {
    return load(this.address + offset)
  }
  if (type.kind === 'array' || type.kind === 'atomic' || type.kind === 'struct') return { get }
  const store = storer(type)
  return {
    get,
    set(value) {
      store(this.address + offset, value)
    },
  }
}
