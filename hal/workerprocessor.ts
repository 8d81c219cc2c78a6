/**
 * One of several processors: a worker thread and its idle loop.
 *
 * Why no wake-up is lost: a ringer changes the pending word, then the doorbell, then looks whether the processor
 * sleeps; the processor reads the doorbell, says that it sleeps, looks at the pending word once more and then waits for
 * the doorbell to differ from what it read. All of that is sequentially consistent, so one of the two sees the other.
 */
import { mem } from '../kernel/mm/memory.ts'
import type { CrashRecord } from '../kernel/ports/crash.ts'
import type { ProcessorPort } from '../kernel/ports/ports.ts'
import type { Passes } from './mainprocessor.ts'

/** Where the words that processors wake each other by lie: addresses. */
export interface ProcessorWords {
  doorbell(processor: number): number
  sleeping(processor: number): number
  /** A word that never changes: short sleeps of a spin wait on it. */
  quiet: number
}

export interface WorkerEvents {
  takeMessages(): void
  crashed(record: CrashRecord): void
  print(text: string): void
  /** Time until this processor must look again, in ms; Infinity if nothing is due. */
  msUntilDue(): number
  failed(error: unknown): void
  /** In lockstep a turn ends, and a thread awaits the host without having said so: its answer would never come. */
  undeclared(resources: readonly string[]): void
}

/** What takes part in lockstep, when the clock is virtual. */
export interface Turns {
  /** Sleeps until it is this processor's turn. */
  await(): void
  /** Gives the turn on; `wasBusy` tells whether something was done in it. */
  pass(wasBusy: boolean): void
  /** One round of a spin, or a step at an interruption point. */
  relax(): void
  step(ticks: number): void
}

const AWAKE = 0
const ASLEEP = 1
const ASLEEP_BESIDE_LIBUV = 2

/** Looks for work before sleeping, and pauses between two: some 30 µs, which outlasts the answer of another processor. */
const SPINS = 32
const PAUSES_PER_SPIN = 32
/** Rounds of a spin before it sleeps between looks: 50 µs. */
const ROUNDS_BEFORE_SLEEP = 120
/** Pauses between two looks at a lock, once it was found held again and again: each look takes the word from the holder. */
const MOST_PAUSES = 16
const SHORT_SLEEP_MS = 0.05
/** Beside libuv: a processor looks at least so often. */
const LONGEST_SLEEP_MS = 1000
const PASSES_PER_TURN = 1000
/** Microtasks that a thread which was resumed mostly needs to come to its next wait; a turn of the loop shows the rest. */
const HOPS = 4
/** What an `await` of lets the microtasks before it run. */
const done = Promise.resolve()

/**
 * What libuv always has. No 'Immediate': this loop's own has fired when it asks, so one that is counted is that of a
 * thread in `turn`, or of a driver, and would never fire behind a futex.
 */
const IDLE_RESOURCES = new Set(['MessagePort', 'TTYWrap', 'PipeWrap'])

export class WorkerProcessor implements ProcessorPort {
  readonly #number: number
  readonly #kernel: Passes & { isBusy(): boolean }
  readonly #words: ProcessorWords
  readonly #events: WorkerEvents
  readonly #turns: Turns | null
  #isStopped = false
  #passes = 0
  #hostCalls = 0
  /** Threads that asked for a turn of the event loop, and this loop itself. */
  #turning = 0
  /** A soak's delay, called by name wherever a wake-up could be lost; `late` when work was found without a ring. */
  disturb: ((place: 'ring' | 'rung' | 'heard' | 'asleep' | 'wait' | 'woken' | 'late') => void) | null = null

  constructor(
    number: number,
    kernel: Passes & { isBusy(): boolean },
    words: ProcessorWords,
    events: WorkerEvents,
    turns: Turns | null,
  ) {
    this.#number = number
    this.#kernel = kernel
    this.#words = words
    this.#events = events
    this.#turns = turns
  }

  ring(processor: number): void {
    const doorbell = this.#words.doorbell(processor) >> 2
    this.disturb?.('ring')
    Atomics.add(mem.i32, doorbell, 1)
    this.disturb?.('rung')
    if (Atomics.load(mem.i32, this.#words.sleeping(processor) >> 2) !== AWAKE) Atomics.notify(mem.i32, doorbell)
  }

  /** The loop looks at what is pending before it sleeps; only one that sleeps beside libuv must be woken. */
  schedulePass(): void {
    if (mem.i32[this.#words.sleeping(this.#number) >> 2] === ASLEEP_BESIDE_LIBUV) this.ring(this.#number)
  }

  relax(round: number): void {
    if (this.#turns !== null) this.#turns.relax()
    else if (round < ROUNDS_BEFORE_SLEEP) pause(round)
    else Atomics.wait(mem.i32, this.#words.quiet >> 2, 0, SHORT_SLEEP_MS)
  }

  step(ticks: number): void {
    this.#turns?.step(ticks)
  }

  async turn(): Promise<void> {
    this.#turning += 1
    await new Promise((resolve) => setImmediate(resolve))
    this.#turning -= 1
    this.#passes = 0
    this.#kernel.refill()
  }

  hostCall(delta: 1 | -1): void {
    this.#hostCalls += delta
  }

  takeMessages(): void {
    this.#events.takeMessages()
  }

  crashed(record: CrashRecord): void {
    this.#events.crashed(record)
  }

  print(text: string): void {
    this.#events.print(text)
  }

  stop(): void {
    this.#isStopped = true
  }

  /** The processor's life. */
  async run(): Promise<void> {
    while (!this.#isStopped) {
      if (this.#turns === null) {
        await this.#runUntilIdle()
        await this.#sleep()
      } else {
        this.#turns.await()
        this.#turns.pass(await this.#runWholeTurn())
      }
    }
  }

  #pass(): boolean {
    try {
      return !this.#isStopped && this.#kernel.pass()
    } catch (error) {
      this.#events.failed(error)
      return false
    }
  }

  /** Passes until nothing is to do for as long as an answer of another processor may take. */
  async #runUntilIdle(): Promise<void> {
    for (let spins = 0; spins < SPINS && !this.#isStopped; spins++) {
      if (this.#pass()) {
        spins = 0
        this.#passes += 1
        if (this.#passes >= PASSES_PER_TURN) {
          await this.turn()
          continue
        }
      }
      await done // lets the thread that was resumed run
      if (spins >= HOPS) this.#awaitWork()
    }
  }

  /** Looks for work as often as it can, for a microsecond. */
  #awaitWork(): void {
    for (let count = 0; count < PAUSES_PER_SPIN && !this.#kernel.isBusy(); count++) Atomics.pause()
  }

  /** In lockstep: everything that can be done, promises of the host included, belongs to the turn. */
  async #runWholeTurn(): Promise<boolean> {
    let wasBusy = false
    for (;;) {
      for (let hops = 0; hops < HOPS; hops++) {
        if (this.#kernel.isBusy()) {
          this.#pass()
          wasBusy = true
          hops = 0
        }
        if (this.#isStopped) return wasBusy
        await done
      }
      await this.turn()
      if (this.#isStopped) return wasBusy
      if (this.#hostCalls === 0 && !this.#kernel.isBusy()) {
        const resources = hostWork().filter((resource) => resource !== 'Immediate')
        if (resources.length > 0) this.#events.undeclared(resources)
        // A thread that asked for a turn is not one that waits, but the others have theirs first.
        return wasBusy || this.#turning > 0
      }
      wasBusy = true
    }
  }

  /** Sleeps until the doorbell rings, or a timer is due. */
  async #sleep(): Promise<void> {
    const { i32 } = mem
    const doorbell = this.#words.doorbell(this.#number) >> 2
    const sleeping = this.#words.sleeping(this.#number) >> 2
    const heard = Atomics.load(i32, doorbell)
    this.disturb?.('heard')
    await this.turn() // so that no microtask is queued behind the sleep
    if (this.#isStopped) return
    const besideLibuv = hostWork().length > 0
    Atomics.store(i32, sleeping, besideLibuv ? ASLEEP_BESIDE_LIBUV : ASLEEP)
    this.disturb?.('asleep')
    if (!this.#kernel.isBusy()) {
      const ms = this.#events.msUntilDue()
      this.disturb?.('wait')
      const sleep = besideLibuv
        ? await waitBesideLibuv(i32, doorbell, heard, ms)
        : Atomics.wait(i32, doorbell, heard, ms)
      this.disturb?.(sleep === 'timed-out' && ms > LONGEST_SLEEP_MS && this.#kernel.isBusy() ? 'late' : 'woken')
    }
    Atomics.store(i32, sleeping, AWAKE)
    this.#pass() // an interrupt does not wait for the loop to come round
  }
}

function pause(round: number): void {
  const pauses = round < 4 ? 1 << round : MOST_PAUSES
  for (let count = 0; count < pauses; count++) Atomics.pause()
}

/** What libuv has to do and would starve while this thread blocks. */
function hostWork(): string[] {
  return process.getActiveResourcesInfo().filter((resource) => !IDLE_RESOURCES.has(resource))
}

async function waitBesideLibuv(i32: Int32Array, doorbell: number, heard: number, ms: number) {
  // An immediate chain would burn the processor; waitAsync lets libuv wait for its own work and for the doorbell.
  const waited = Atomics.waitAsync(i32, doorbell, heard, Math.min(ms, LONGEST_SLEEP_MS))
  return waited.async ? await waited.value : waited.value
}
