/** A wire that damages what it carries: bytes lost, corrupted, doubled and delayed, by chance of a seed. */
import type { Prng } from '../base/prng.ts'

/** Parts of all bytes, 0 to 1. */
export interface Faults {
  lost?: number
  corrupted?: number
  doubled?: number
  /** These bytes, and all that follow at the moment, come `delayTicks` later: a wire keeps the order. */
  delayed?: number
  /** Ticks of 100 ns. */
  delayTicks?: number
}

/** `percent` of the bytes are damaged: one half lost, the other corrupted. */
export const damage = (percent: number): Faults => ({ lost: percent / 200, corrupted: percent / 200 })

interface Time {
  now(): number
  after(ticks: number, happen: () => void): unknown
}

export interface FaultyWireParts {
  random: Prng
  time: Time
  faults: Faults
  /** How long a byte takes, in ticks. */
  latencyTicks: number
  deliver(bytes: Uint8Array): void
}

export class FaultyWire {
  readonly #parts: FaultyWireParts
  faults: Faults
  /** Bytes that pass before the next one that is struck. */
  #spared: number
  /** Nothing arrives before this: what was sent earlier comes first. */
  #busyUntil = 0
  bytes = 0
  struck = 0

  constructor(parts: FaultyWireParts) {
    this.#parts = parts
    this.faults = parts.faults
    this.#spared = this.#drawSpared()
  }

  get #chance(): number {
    const { lost = 0, corrupted = 0, doubled = 0, delayed = 0 } = this.faults
    return lost + corrupted + doubled + delayed
  }

  /** Bytes up to the next that is struck: one draw for a fault, in place of one for a byte. */
  #drawSpared(): number {
    const chance = this.#chance
    if (chance <= 0) return Number.POSITIVE_INFINITY
    const uniform = (this.#parts.random.next() + 1) / 0x1_0000_0001
    return chance >= 1 ? 0 : Math.floor(Math.log(uniform) / Math.log(1 - chance))
  }

  /** Changes the faults from the next byte on. */
  setFaults(faults: Faults): void {
    this.faults = faults
    this.#spared = this.#drawSpared()
  }

  /** Sends bytes: what is left of them arrives later, behind what was sent before. */
  send(bytes: Uint8Array): void {
    const { time, latencyTicks } = this.#parts
    this.bytes += bytes.length
    const [carried, delay] = this.#carry(bytes)
    const at = Math.max(time.now() + latencyTicks + delay, this.#busyUntil)
    this.#busyUntil = at
    if (carried.length > 0) time.after(at - time.now(), () => this.#parts.deliver(carried))
  }

  #carry(bytes: Uint8Array): [Uint8Array, number] {
    if (this.#spared >= bytes.length) {
      this.#spared -= bytes.length
      return [bytes, 0]
    }
    const carried: number[] = []
    let delay = 0
    for (let index = 0; index < bytes.length; index++) {
      const byte = bytes[index]!
      if (this.#spared-- > 0) {
        carried.push(byte)
        continue
      }
      delay += this.#strike(byte, carried)
      this.#spared = this.#drawSpared()
    }
    return [Uint8Array.from(carried), delay]
  }

  /** Lets one fault happen to `byte`; gives back how much later it comes. */
  #strike(byte: number, carried: number[]): number {
    const { lost = 0, corrupted = 0, doubled = 0, delayTicks = 0 } = this.faults
    const { random } = this.#parts
    this.struck += 1
    let which = (random.next() / 0x1_0000_0000) * this.#chance
    if ((which -= lost) < 0) return 0
    if ((which -= corrupted) < 0) {
      carried.push(byte ^ (1 + random.below(255)))
      return 0
    }
    carried.push(byte)
    if ((which -= doubled) < 0) {
      carried.push(byte)
      return 0
    }
    return delayTicks
  }
}
