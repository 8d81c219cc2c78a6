/**
 * Lockstep: one of {the main thread, processors} runs at a time. A token says who; it goes round, and time moves when a
 * whole round found nothing to do.
 *
 * Token 0 is the main thread, n + 1 processor n. Only who has the token changes it, so a plain hand-over needs no lock;
 * the store is atomic and followed by a notify, and who waits for the token looks at it between.
 */
import type { OraclePort } from '../kernel/ports/ports.ts'
import { mem } from '../kernel/mm/memory.ts'
import type { Turns } from './workerprocessor.ts'

/** Addresses of the words that lockstep needs. */
export interface TurnWords {
  token: number
  idleCount: number
  mainDoorbell: number
  /** Interrupt time and the next event outside the processors: doubles. */
  time: number
  nextOutside: number
  nextDue: number
  /** Whose turn it is when the main thread has let happen what was due: 0 the next one's. */
  returnTo: number
}

/** Spins before the futex: the longest that cost nothing where it was measured. */
const SPINS = 500
/** One interruption point in so many hands over, under an oracle that is not in order. */
const POINTS_PER_TURN = 16
/** A turn ends after so many ticks of interruption points, or of stalling: what is polled for is done by others. */
const TICKS_PER_TURN = 10_000
const STALL_TICKS_PER_TURN = 500

export class ProcessorTurns implements Turns {
  readonly #mine: number
  readonly #count: number
  readonly #words: TurnWords
  readonly #oracle: OraclePort
  readonly #raiseClock: () => void
  readonly #outOfTurn: () => never
  /** Ticks of interruption points in this turn, and of stalling since the last hand-over for that. */
  #ran = 0
  #stalled = 0

  constructor(
    processor: number,
    count: number,
    words: TurnWords,
    oracle: OraclePort,
    raiseClock: () => void,
    outOfTurn: () => never,
  ) {
    this.#mine = processor + 1
    this.#count = count
    this.#words = words
    this.#oracle = oracle
    this.#raiseClock = raiseClock
    this.#outOfTurn = outOfTurn
  }

  /** Until then this processor lays out the machine, and nobody else runs. */
  #isStarted = false

  start(): void {
    this.#isStarted = true
  }

  await(): void {
    awaitToken(this.#words.token, this.#mine)
  }

  pass(wasBusy: boolean): void {
    const idle = this.#words.idleCount >> 2
    Atomics.store(mem.i32, idle, wasBusy ? 0 : Atomics.load(mem.i32, idle) + 1)
    this.#ran = 0
    this.#give(this.#mine === this.#count ? 0 : this.#mine + 1)
  }

  relax(ticks = 1): void {
    this.#ran = 0
    this.#advance(ticks)
    Atomics.store(mem.i32, this.#words.idleCount >> 2, 0)
    this.#give(this.#mine === this.#count ? 0 : this.#mine + 1)
    this.await()
  }

  step(ticks: number): void {
    if (!this.#isStarted) return
    if (Atomics.load(mem.i32, this.#words.token >> 2) !== this.#mine) this.#outOfTurn()
    this.#ran += ticks
    const isOver =
      this.#ran >= TICKS_PER_TURN || (!this.#oracle.inOrder && this.#oracle.choose(POINTS_PER_TURN, 'hand-over') === 1)
    if (isOver) this.relax(ticks)
    else this.#advance(ticks)
  }

  /** Code polls, or stalls. */
  stall(ticks: number): void {
    this.#stalled += ticks
    if (this.#stalled < STALL_TICKS_PER_TURN) return this.step(ticks)
    this.#stalled = 0
    this.relax(ticks)
  }

  /** Time passes; the main thread gets the turn when something outside is due. */
  #advance(ticks: number): void {
    const { f64, i32 } = mem
    const time = this.#words.time >> 3
    const now = (f64[time] as number) + ticks
    f64[time] = now
    if ((f64[this.#words.nextDue >> 3] as number) <= now) this.#raiseClock()
    if ((f64[this.#words.nextOutside >> 3] as number) > now) return
    Atomics.store(i32, this.#words.returnTo >> 2, this.#mine)
    this.#give(0)
    this.await()
  }

  #give(next: number): void {
    giveToken(mem.i32, this.#words, next)
  }
}

/** Hands the token to `next`; Atomics.store publishes everything written before. */
export function giveToken(i32: Int32Array, words: TurnWords, next: number): void {
  Atomics.store(i32, words.token >> 2, next)
  if (next === 0) {
    Atomics.add(i32, words.mainDoorbell >> 2, 1)
    Atomics.notify(i32, words.mainDoorbell >> 2)
  } else {
    Atomics.notify(i32, words.token >> 2)
  }
}

function awaitToken(token: number, mine: number): void {
  const { i32 } = mem
  for (let spins = 0; ; spins++) {
    const holder = Atomics.load(i32, token >> 2)
    if (holder === mine) return
    if (spins < SPINS) Atomics.pause()
    else Atomics.wait(i32, token >> 2, holder, 1000)
  }
}
