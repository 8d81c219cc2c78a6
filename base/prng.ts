/** A small pseudo-random generator (xoshiro128**): the same seed gives the same numbers on every host. */
export class Prng {
  readonly #state: Uint32Array

  constructor(seed: number) {
    // splitmix32 fills the state, so that near seeds give far sequences
    let z = seed >>> 0
    this.#state = Uint32Array.from({ length: 4 }, () => {
      z = (z + 0x9e3779b9) >>> 0
      let mixed = z
      mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad)
      mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97)
      return (mixed ^ (mixed >>> 15)) >>> 0
    })
  }

  /** The next 32 bits. */
  next(): number {
    const s = this.#state as unknown as [number, number, number, number]
    const result = Math.imul(rotateLeft(Math.imul(s[1], 5), 7), 9) >>> 0
    const shifted = s[1] << 9
    s[2] ^= s[0]
    s[3] ^= s[1]
    s[1] ^= s[2]
    s[0] ^= s[3]
    s[2] ^= shifted
    s[3] = rotateLeft(s[3], 11)
    return result
  }

  /** An integer of 0 … limit - 1. */
  below(limit: number): number {
    return Math.floor((this.next() / 0x1_0000_0000) * limit)
  }

  /** True with this probability. */
  chance(probability: number): boolean {
    return this.next() / 0x1_0000_0000 < probability
  }
}

const rotateLeft = (value: number, bits: number): number => (value << bits) | (value >>> (32 - bits))
