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

/**
 * The host's timers know milliseconds. What is due sooner than this is looked for at every turn of the event loop:
 * a pipe's 20 µs, and what is to happen at once.
 */
const NEAR_TICKS = 1000

/** Calls `due` once the time that was asked for last has come. Never early by more than a timer's granularity. */
export class Alarm {
  readonly #now: () => number
  readonly #due: () => void
  /** A timer set by a thread would fire with that thread's store: the callback runs as it was when the alarm was made. */
  readonly #outside = AsyncLocalStorage.snapshot()
  #timer: NodeJS.Timeout | null = null
  #turn: NodeJS.Immediate | null = null
  #at = Number.POSITIVE_INFINITY

  constructor(now: () => number, due: () => void) {
    this.#now = now
    this.#due = due
  }

  /** Asks for a call at `at`. A later time than the one that is set only moves when the timer fires: that is cheaper. */
  arm(at: number): void {
    if (at >= this.#at) return
    this.#at = at
    if (this.#turn !== null) return
    const ticks = at - this.#now()
    if (ticks <= NEAR_TICKS) this.#look()
    else this.#wait(ticks)
  }

  #look(): void {
    this.#clear()
    this.#turn = setImmediate(this.#turned) // one that is unref'd would let the loop sleep
  }

  #wait(ticks: number): void {
    this.#clear()
    this.#timer = setTimeout(this.#fire, Math.ceil(ticks / 10_000))
    this.#timer.unref()
  }

  #clear(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }

  stop(): void {
    this.#clear()
    if (this.#turn !== null) clearImmediate(this.#turn)
    this.#turn = null
    this.#at = Number.POSITIVE_INFINITY
  }

  readonly #turned = (): void => {
    this.#turn = null
    if (this.#at <= this.#now()) this.#fire()
    else this.#look()
  }

  readonly #fire = (): void => {
    this.#timer = null
    this.#at = Number.POSITIVE_INFINITY
    this.#outside(this.#due)
  }
}
