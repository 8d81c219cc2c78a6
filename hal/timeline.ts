/**
 * Virtual time on the thread of the user's program: it moves only while the program awaits something of the machine,
 * and only when every processor is idle; then it leaps to the next thing that falls due.
 */

export interface TimelineParts {
  now(): number
  /** Sets the time and lets happen what is due. */
  leapTo(ticks: number): void
  /** The next thing that falls due in the machine. */
  nextDue(): number
  /** Lets the machine run until nothing is ready, gives back whether it did anything. */
  settle(): Promise<boolean>
}

export class Timeline {
  readonly #parts: TimelineParts
  readonly #sleepers: { at: number; resolve: () => void }[] = []
  #outstanding = 0
  #hostCalls = 0
  #isRunning = false
  #isStopped = false
  #hostCallsEnded: (() => void) | null = null

  constructor(parts: TimelineParts) {
    this.#parts = parts
  }

  /** Counts a promise that the program may be awaiting. */
  begin(): void {
    this.#outstanding += 1
    if (!this.#isRunning) {
      this.#isRunning = true
      void this.#run()
    }
  }

  end(): void {
    this.#outstanding -= 1
  }

  /** A thread awaits the host (`host(promise)`): the time stands still. */
  hostCall(delta: 1 | -1): void {
    this.#hostCalls += delta
    if (this.#hostCalls === 0) this.#hostCallsEnded?.()
  }

  sleep(ticks: number): Promise<void> {
    this.begin()
    return new Promise((resolve) => {
      const at = this.#parts.now() + ticks
      const index = this.#sleepers.findIndex((sleeper) => sleeper.at > at)
      const sleeper = {
        at,
        resolve: () => {
          this.end()
          resolve()
        },
      }
      if (index < 0) this.#sleepers.push(sleeper)
      else this.#sleepers.splice(index, 0, sleeper)
    })
  }

  stop(): void {
    this.#isStopped = true
    this.#hostCallsEnded?.()
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      const wasBusy = await this.#parts.settle()
      if (this.#isStopped) break
      if (this.#hostCalls > 0) {
        await new Promise<void>((resolve) => {
          this.#hostCallsEnded = resolve
        })
        this.#hostCallsEnded = null
        continue
      }
      if (wasBusy) continue
      if (this.#outstanding === 0) break
      const next = Math.min(this.#parts.nextDue(), this.#sleepers[0]?.at ?? Number.POSITIVE_INFINITY)
      if (next === Number.POSITIVE_INFINITY) break // only the program itself can make something happen now
      this.#parts.leapTo(Math.max(next, this.#parts.now()))
      this.#wakeSleepers()
    }
    this.#isRunning = false
  }

  #wakeSleepers(): void {
    const now = this.#parts.now()
    while (this.#sleepers.length > 0 && (this.#sleepers[0] as { at: number }).at <= now)
      this.#sleepers.shift()?.resolve()
  }
}
