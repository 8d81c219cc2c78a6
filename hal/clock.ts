/** The real clock: interrupt time from the host's monotonic clock, the same on every thread. */

import { AsyncLocalStorage } from 'node:async_hooks'

/** 100 ns units since `base`, a reading of `process.hrtime.bigint()` that all threads of a machine share. */
export function monotonicTicks(base: bigint): number {
  return Number(process.hrtime.bigint() - base) / 100
}

export const monotonicBase = (): bigint => process.hrtime.bigint()

const TICKS_FROM_1601_TO_1970 = 116_444_736_000_000_000n

/** The system time now: 100 ns units since 1601-01-01. */
export const systemTimeNow = (): bigint => BigInt(Date.now()) * 10_000n + TICKS_FROM_1601_TO_1970

/** Calls `due` once the time that was asked for last has come. Never early by more than a timer's granularity. */
export class Alarm {
  readonly #now: () => number
  readonly #due: () => void
  /** A timer set by a thread would fire with that thread's store: the callback runs as it was when the alarm was made. */
  readonly #outside = AsyncLocalStorage.snapshot()
  #timer: NodeJS.Timeout | null = null
  #at = Number.POSITIVE_INFINITY

  constructor(now: () => number, due: () => void) {
    this.#now = now
    this.#due = due
  }

  /** Asks for a call at `at`. A later time than the one that is set only moves when the timer fires: that is cheaper. */
  arm(at: number): void {
    if (at >= this.#at) return
    this.#at = at
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = setTimeout(this.#fire, Math.max(0, Math.ceil((at - this.#now()) / 10_000)))
    this.#timer.unref()
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    this.#at = Number.POSITIVE_INFINITY
  }

  readonly #fire = (): void => {
    this.#timer = null
    this.#at = Number.POSITIVE_INFINITY
    this.#outside(this.#due)
  }
}
