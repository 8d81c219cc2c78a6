/** The two windows of one direction: what is out and not acknowledged, and what came before its turn (docs/wire.md, 6). */

/** Lines that may be out to a side that says nothing else. */
export const USUAL_WINDOW = 4
/** An acknowledgement tells sequence numbers modulo 16. */
export const MOST_WINDOW = 15
const SEQUENCES = 64
const mask = (sequence: number): number => sequence & (SEQUENCES - 1)
const PLACES = MOST_WINDOW + 1
const placeOf = (sequence: number): number => sequence & (PLACES - 1)
/** Lines behind the one that is waited for, of which an acknowledgement tells whether they are held. */
const SHOWN = 2

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
  /** Lines that may be out. */
  size: number
  /** The lines that are out, the oldest first. */
  readonly out: Out[] = []
  /** Sequence number of the oldest. */
  #base = 0

  constructor(size: number) {
    this.size = size
  }

  get hasRoom(): boolean {
    return this.out.length < this.size
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
    const ended = placeOf((ack >> SHOWN) - this.#base)
    if (ended > this.out.length) return null
    this.#base = mask(this.#base + ended)
    const gone = ended === 0 ? NONE : this.out.splice(0, ended)
    // The other side may let go of a line again, so a bit that is 0 counts, too.
    for (let index = 0; index <= SHOWN && index < this.out.length; index++) {
      this.out[index]!.isHeld = index > 0 && ((ack >> (index - 1)) & 1) === 1
    }
    return gone
  }
}

const NONE: Out[] = []

/** What is to be done with a line that came. */
export type Arrival = 'next' | 'held' | 'duplicate' | 'outside'

export class ReceiveWindow<T> {
  /** Lines that the other side may have out. */
  readonly #size: number
  #next = 0
  readonly #held: (T | null)[] = Array.from({ length: PLACES }, () => null)

  constructor(size: number) {
    this.#size = size
  }

  /** Where a line with this sequence number stands; one that came early is held. */
  place(sequence: number, line: T): Arrival {
    const distance = mask(sequence - this.#next)
    if (distance === 0) return 'next'
    if (distance >= SEQUENCES - this.#size) return 'duplicate'
    if (distance >= this.#size) return 'outside'
    if (this.#held[placeOf(sequence)] !== null) return 'duplicate'
    this.#held[placeOf(sequence)] = line
    return 'held'
  }

  /** The line that was waited for is carried out: gives back the one behind it, if it is here. */
  advance(): T | null {
    this.#next = mask(this.#next + 1)
    const first = this.#held[placeOf(this.#next)]!
    this.#held[placeOf(this.#next)] = null
    return first
  }

  get acknowledgement(): number {
    let ack = placeOf(this.#next) << SHOWN
    for (let bit = 0; bit < SHOWN; bit++) if (this.#held[placeOf(this.#next + 1 + bit)] !== null) ack |= 1 << bit
    return ack
  }
}
