/** Atomic numbers: one small class for each width, made like the struct classes, so that V8 sees one view in each. */

import { mem } from '../mm/memory.ts'
import { SHIFT } from './scalar.ts'
import { generates } from './generate.ts'
import type { Atomic, ViewName } from './types.ts'

export type AtomicClass = new (address: number) => Atomic<unknown>

const made = new Map<string, AtomicClass>()

/** The class of atomics over `view`. */
export function atomicClass(view: ViewName, fromSource: boolean = generates()): AtomicClass {
  const key = `${view} ${fromSource}`
  let cls = made.get(key)
  if (cls === undefined) {
    cls = fromSource ? atomicFromSource(view) : atomicFromClosures(view)
    made.set(key, cls)
  }
  return cls
}

function atomicFromSource(view: ViewName): AtomicClass {
  const at = `mem.${view}, this.address >> ${SHIFT[view]}`
  return new Function(
    'mem',
    `return class Atomic {
      constructor(address) { this.address = address }
      load() { return Atomics.load(${at}) }
      store(value) { Atomics.store(${at}, value) }
      add(value) { return Atomics.add(${at}, value) }
      sub(value) { return Atomics.sub(${at}, value) }
      and(value) { return Atomics.and(${at}, value) }
      or(value) { return Atomics.or(${at}, value) }
      exchange(value) { return Atomics.exchange(${at}, value) }
      compareExchange(expected, value) { return Atomics.compareExchange(${at}, expected, value) }
    }`,
  )(mem) as AtomicClass
}

function atomicFromClosures(view: ViewName): AtomicClass {
  // Number or bigint, as the view has it: the checker cannot follow, the types of AtomicField do.
  const views = mem as unknown as { readonly [W in ViewName]: Uint32Array }
  const shift = SHIFT[view]
  class AtomicOfClosures implements Atomic<number> {
    readonly address: number
    constructor(address: number) {
      this.address = address
    }
    load(): number {
      return Atomics.load(views[view], this.address >> shift)
    }
    store(value: number): void {
      Atomics.store(views[view], this.address >> shift, value)
    }
    add(value: number): number {
      return Atomics.add(views[view], this.address >> shift, value)
    }
    sub(value: number): number {
      return Atomics.sub(views[view], this.address >> shift, value)
    }
    and(value: number): number {
      return Atomics.and(views[view], this.address >> shift, value)
    }
    or(value: number): number {
      return Atomics.or(views[view], this.address >> shift, value)
    }
    exchange(value: number): number {
      return Atomics.exchange(views[view], this.address >> shift, value)
    }
    compareExchange(expected: number, value: number): number {
      return Atomics.compareExchange(views[view], this.address >> shift, expected, value)
    }
  }
  return AtomicOfClosures as unknown as AtomicClass
}
