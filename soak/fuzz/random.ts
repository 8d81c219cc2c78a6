/** Random things for fuzzing, from a seed. */
import { Prng } from '../../base/prng.ts'

export class Random extends Prng {
  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!
  }

  letter(letters: string): string {
    return letters.charAt(this.below(letters.length))
  }

  /** Up to `most` bytes. */
  bytes(most: number): Uint8Array {
    return Uint8Array.from({ length: this.below(most + 1) }, () => this.next() & 0xff)
  }

  /** A number that code is likely to stumble over, or any. */
  number(): number {
    return this.chance(0.5) ? this.pick(EDGES) : this.next()
  }

  /** A value of any kind, a few levels deep. */
  junk(depth = 2): unknown {
    if (depth > 0 && this.chance(0.25)) {
      const inner = Array.from({ length: this.below(4) }, () => this.junk(depth - 1))
      return this.chance(0.5) ? inner : Object.fromEntries(inner.map((value) => [this.word(), value]))
    }
    return this.pick<() => unknown>([
      () => this.number(),
      () => this.word(),
      () => this.chance(0.5),
      () => null,
      () => undefined,
      () => this.next() / 65_536 - 30_000,
      () => Number.NaN,
      () => '',
    ])()
  }

  /** A short text. */
  word(): string {
    if (this.chance(0.3)) return this.pick(WORDS)
    return String.fromCharCode(...Array.from({ length: this.below(12) }, () => 0x20 + this.below(this.pick([95, 400]))))
  }

  /** A copy of `value` with some of it replaced, left out or added. */
  mutate(value: unknown, chance: number): unknown {
    if (this.chance(chance)) return this.junk()
    if (Array.isArray(value)) {
      const items = value.filter(() => !this.chance(chance)).map((item) => this.mutate(item, chance))
      if (this.chance(chance)) items.push(this.junk())
      if (this.chance(chance) && items.length > 0) items.push(items[0])
      return items
    }
    if (typeof value === 'object' && value !== null) {
      const entries = Object.entries(value).filter(() => !this.chance(chance))
      const mutated = entries.map(([key, inner]): [string, unknown] => [key, this.mutate(inner, chance)])
      if (this.chance(chance)) mutated.push([this.word(), this.junk()])
      return Object.fromEntries(mutated)
    }
    return value
  }
}

const EDGES = [
  0,
  1,
  2,
  3,
  4,
  7,
  8,
  15,
  16,
  63,
  64,
  127,
  128,
  255,
  256,
  4095,
  4096,
  65_535,
  65_536,
  0x7fffffff,
  0x80000000,
  0xffffffff,
  0x100000000,
  -1,
  -2,
  -0x80000000,
  Number.MAX_SAFE_INTEGER,
  Number.POSITIVE_INFINITY,
]
const WORDS = [
  '__proto__',
  'constructor',
  'toString',
  'length',
  '\\',
  '\\\\.\\',
  '\\Device\\',
  '\\??\\',
  '\\BaseNamedObjects\\x',
  'Button-0',
  'button',
  'a'.repeat(300),
  '\u0000',
  '\ud800',
  '../..',
  '((((',
  '(a+)+$',
  '[',
  'dirql\\button',
]
