/** The virtual clock: a word in the machine's memory, moved by interruption points and, while all is idle, by leaps. */
import type { ClockPort } from '../kernel/ports/ports.ts'
import type { PollLimit } from './realclock.ts'

/** Where the time is kept, and what falls due. */
export interface VirtualTime {
  now(): number
  set(ticks: number): void
  nextDue(): number
  /** Raises the clock interrupt on the processor that owns the clock. */
  raise(): void
  /** Lets happen what is due outside the processors. */
  runOutside(): void
  nextOutside(): number
}

/** Ticks that `YieldProcessor` takes at least; an interruption point takes one. */
export class VirtualClock implements ClockPort {
  readonly isVirtual = true
  readonly #time: VirtualTime
  readonly #limit: PollLimit
  #stretchStart = -1
  /** In lockstep of several processors: time passes by steps of the turn. */
  onStep: ((ticks: number) => void) | null = null

  constructor(time: VirtualTime, limit: PollLimit) {
    this.#time = time
    this.#limit = limit
  }

  now(): number {
    return this.#time.now()
  }

  counter(): bigint {
    return BigInt(Math.floor(this.now()))
  }

  arm(): void {} // who moves the time looks at what is due

  poll(): void {}

  endStretch(): void {
    this.#stretchStart = -1
  }

  /** Time passes by `ticks`; what falls due meanwhile happens. */
  step(ticks: number): void {
    const time = this.#time
    const now = time.now() + ticks
    time.set(now)
    if (time.nextOutside() <= now) time.runOutside()
    if (time.nextDue() <= now) time.raise()
  }

  stall(ticks: number, attend: () => void): void {
    const now = this.now()
    if (this.#stretchStart < 0) this.#stretchStart = now
    if (this.onStep !== null) this.onStep(ticks)
    else this.step(ticks)
    attend()
    if (now - this.#stretchStart > this.#limit.ticks) this.#limit.exceeded(now - this.#stretchStart)
  }
}
