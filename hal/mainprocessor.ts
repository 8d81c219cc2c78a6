/** A uniprocessor machine's processor: the calling thread, with Node's event loop as its idle loop. */
import type { CrashRecord } from '../kernel/ports/crash.ts'
import type { ProcessorPort } from '../kernel/ports/ports.ts'

/** What a processor's host runs. */
export interface Passes {
  /** One pass; gives back whether there is more to do. */
  pass(): boolean
  /** The event loop has turned. */
  refill(): void
}

/** Passes in a row before the event loop gets a turn: a storm starves neither fs nor timers nor messages. */
const PASSES_PER_TURN = 1000
/** What an `await` of lets the microtasks before it run. */
const done = Promise.resolve()

export class MainProcessor implements ProcessorPort {
  readonly #kernel: Passes
  readonly #events: { crashed(record: CrashRecord): void; print(text: string): void; hostCall(delta: 1 | -1): void }
  readonly #failed: (error: unknown) => void
  #isStopped = false
  #passes = 0
  /** Wakes the loop; null while it runs. */
  #wake: (() => void) | null = null
  /** Advances virtual time by a step; null on the real clock. */
  onStep: ((ticks: number) => void) | null = null

  constructor(
    kernel: Passes,
    events: { crashed(record: CrashRecord): void; print(text: string): void; hostCall(delta: 1 | -1): void },
    failed: (error: unknown) => void,
  ) {
    this.#kernel = kernel
    this.#events = events
    this.#failed = failed
  }

  /** Begins to run passes. */
  start(): void {
    void this.#loop()
  }

  ring(): void {} // there is no other processor

  schedulePass(): void {
    const wake = this.#wake
    if (wake === null) return
    this.#wake = null
    wake()
  }

  /** Runs a pass now: HAL and timers deliver in their own callbacks. */
  runPass(): boolean {
    try {
      return !this.#isStopped && this.#kernel.pass()
    } catch (error) {
      this.#failed(error)
      return false
    }
  }

  /**
   * A loop, and not a callback queued for each pass: a callback would run with the store of the thread that happened
   * to queue it, while behind an `await` the loop has its own again, which is none.
   */
  async #loop(): Promise<void> {
    while (!this.#isStopped) {
      if (this.runPass()) {
        this.#passes += 1
        if (this.#passes < PASSES_PER_TURN) await done
        else await this.turn()
        continue
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  relax(): void {} // nobody else could end the spin

  step(ticks: number): void {
    this.onStep?.(ticks)
  }

  turn(): Promise<void> {
    this.#events.hostCall(1) // virtual time must not take the thread that asked for one that waits
    return new Promise((resolve) => {
      setImmediate(() => {
        this.#passes = 0
        this.#kernel.refill()
        this.#events.hostCall(-1)
        resolve()
      })
    })
  }

  hostCall(delta: 1 | -1): void {
    this.#events.hostCall(delta)
  }

  takeMessages(): void {} // the user's program calls directly

  crashed(record: CrashRecord): void {
    this.#events.crashed(record)
  }

  print(text: string): void {
    this.#events.print(text)
  }

  stop(): void {
    this.#isStopped = true
    this.#wake?.()
  }
}
