/** The two windows of one direction: what is out and not acknowledged, and what came before its turn (docs/wire.md, 6). */

/** Lines that may be out. */
export const WINDOW = 4
const SEQUENCES = 64
const mask = (sequence: number): number => sequence & (SEQUENCES - 1)

/** A line that is out. */
export interface Out {
  readonly body: Uint8Array
  /** When it was sent last. */
  sentAt: number
  sends: number
  /** The other side holds it: it need not be sent again. */
  isHeld: boolean
}

export class SendWindow {
  /** The lines that are out, the oldest first. */
  readonly out: Out[] = []
  /** Sequence number of the oldest. */
  #base = 0

  get hasRoom(): boolean {
    return this.out.length < WINDOW
  }

  /** Sequence number of the line that is put out next. */
  get nextSequence(): number {
    return mask(this.#base + this.out.length)
  }

  put(body: Uint8Array, now: number): Out {
    const line = { body, sentAt: now, sends: 1, isHeld: false }
    this.out.push(line)
    return line
  }

  /** Takes an acknowledgement; the lines that it ends, the oldest first, or null when it cannot be. */
  acknowledge(ack: number): Out[] | null {
    const ended = ((ack >> 3) - this.#base) & 7
    if (ended > this.out.length) return null
    this.#base = mask(this.#base + ended)
    const gone = ended === 0 ? NONE : this.out.splice(0, ended)
    // The other side may let go of a line again, so a bit that is 0 counts, too.
    for (let index = 0; index < this.out.length; index++) {
      this.out[index]!.isHeld = index > 0 && ((ack >> (index - 1)) & 1) === 1
    }
    return gone
  }
}

const NONE: Out[] = []

/** What is to be done with a line that came. */
export type Arrival = 'next' | 'held' | 'duplicate' | 'outside'

export class ReceiveWindow<T> {
  #next = 0
  /** By distance from `next`, less one. */
  readonly #held: (T | null)[] = Array.from({ length: WINDOW - 1 }, () => null)

  /** Where a line with this sequence number stands; one that came early is held. */
  place(sequence: number, line: T): Arrival {
    const distance = mask(sequence - this.#next)
    if (distance === 0) return 'next'
    if (distance >= SEQUENCES - WINDOW) return 'duplicate'
    if (distance >= WINDOW) return 'outside'
    if (this.#held[distance - 1] !== null) return 'duplicate'
    this.#held[distance - 1] = line
    return 'held'
  }

  /** The line that was waited for is carried out: gives back the one behind it, if it is here. */
  advance(): T | null {
    this.#next = mask(this.#next + 1)
    const first = this.#held[0]!
    for (let index = 0; index < WINDOW - 2; index++) this.#held[index] = this.#held[index + 1]!
    this.#held[WINDOW - 2] = null
    return first
  }

  get acknowledgement(): number {
    let ack = (this.#next & 7) << 3
    for (let bit = 0; bit < WINDOW - 1; bit++) if (this.#held[bit] !== null) ack |= 1 << bit
    return ack
  }
}
