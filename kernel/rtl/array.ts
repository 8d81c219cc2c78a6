/** Arrays of what no typed array can hold: each element is read and stored as a field of its type is. */

import type { ArrayField, Slots } from './types.ts'

export class ElementArray implements Slots<unknown> {
  readonly address: number
  readonly length: number
  readonly #stride: number
  readonly #load: (address: number) => unknown
  readonly #store: (address: number, value: unknown) => void

  constructor(
    address: number,
    type: ArrayField<unknown>,
    load: (address: number) => unknown,
    store: (address: number, value: unknown) => void,
  ) {
    this.address = address
    this.length = type.length
    this.#stride = type.of.size
    this.#load = load
    this.#store = store
  }

  at(index: number): unknown {
    return this.#load(this.#addressOf(index))
  }

  set(index: number, value: unknown): void {
    this.#store(this.#addressOf(index), value)
  }

  *[Symbol.iterator](): Iterator<unknown> {
    for (let i = 0; i < this.length; i++) yield this.at(i)
  }

  #addressOf(index: number): number {
    if (Number.isInteger(index) && index >= 0 && index < this.length) return this.address + index * this.#stride
    throw new RangeError(`index ${index} is outside an array of ${this.length}`)
  }
}
