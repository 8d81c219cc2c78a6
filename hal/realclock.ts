/** The real clock of one processor. */
import type { ClockPort } from '../kernel/ports/ports.ts'
import { monotonicTicks } from './clock.ts'

/** How long code may poll at one stretch before that is a mistake with a name. */
export interface PollLimit {
  ticks: number
  /** Stops the machine: the loop polled for so long without ever letting anything else run. */
  exceeded(ticks: number): never
}

export class RealClock implements ClockPort {
  readonly isVirtual = false
  readonly #base: bigint
  readonly #nextDue: () => number
  readonly #raise: () => void
  readonly #limit: PollLimit
  /** Moves what shares this thread: boards in this process. */
  pump: (() => void) | null = null
  /** Called with each new due time. */
  onArm: (due: number) => void = () => {}
  #stretchStart = -1

  constructor(base: bigint, nextDue: () => number, raise: () => void, limit: PollLimit) {
    this.#base = base
    this.#nextDue = nextDue
    this.#raise = raise
    this.#limit = limit
  }

  now(): number {
    return monotonicTicks(this.#base)
  }

  counter(): bigint {
    return (process.hrtime.bigint() - this.#base) / 100n
  }

  arm(due: number): void {
    this.onArm(due)
  }

  poll(): void {
    if (this.#nextDue() <= this.now()) this.#raise()
  }

  /** Something else ran: whoever polls begins a new stretch. */
  endStretch(): void {
    this.#stretchStart = -1
  }

  stall(ticks: number, attend: () => void): void {
    const start = this.now()
    if (this.#stretchStart < 0) this.#stretchStart = start
    const end = start + ticks
    for (;;) {
      this.pump?.()
      const now = this.now()
      if (this.#nextDue() <= now) this.#raise()
      attend()
      if (now - this.#stretchStart > this.#limit.ticks) this.#limit.exceeded(now - this.#stretchStart)
      if (now >= end) return
      Atomics.pause?.()
    }
  }
}
