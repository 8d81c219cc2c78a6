/**
 * The main thread's part in lockstep: its turns let the world and the user's program move, and when a whole round found
 * nothing to do it lets time leap to what falls due next. It does so only while the program awaits something.
 */
import type { Memory } from '../kernel/mm/memory.ts'
import { giveToken, type TurnWords } from './turns.ts'
import type { World } from './world.ts'

export interface MainTurnsParts {
  world: World
  takeMessages(): void
  raiseClock(): void
}

export class MainTurns {
  readonly #memory: Memory
  readonly #words: TurnWords
  readonly #count: number
  readonly #parts: MainTurnsParts
  readonly #sleepers: { at: number; resolve: () => void }[] = []
  #outstanding = 0
  /** Something was begun or settled since the last look: the round is not idle. */
  #moved = false
  #isStopped = false
  #begun: (() => void) | null = null

  constructor(memory: Memory, words: TurnWords, count: number, parts: MainTurnsParts) {
    this.#memory = memory
    this.#words = words
    this.#count = count
    this.#parts = parts
    parts.world.onNext = (at) => this.#setDouble(words.nextOutside, Math.min(at, this.#nextSleeper()))
  }

  begin(): void {
    this.#outstanding += 1
    this.#moved = true
    this.#begun?.()
  }

  end(): void {
    this.#outstanding -= 1
    this.#moved = true
    this.#begun?.()
  }

  sleep(ticks: number): Promise<void> {
    return new Promise((resolve) => {
      const at = this.#now() + ticks
      const index = this.#sleepers.findIndex((sleeper) => sleeper.at > at)
      this.#sleepers.splice(index < 0 ? this.#sleepers.length : index, 0, { at, resolve })
      this.#publish()
    })
  }

  stop(): void {
    this.#isStopped = true
    this.#begun?.()
  }

  /** Whether a processor stands still because it is not its turn. */
  isWaitingFor(processor: number): boolean {
    return Atomics.load(this.#memory.i32, this.#words.token >> 2) !== processor + 1
  }

  start(): void {
    void this.#run()
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      await this.#awaitToken()
      if (this.#isStopped) return
      const returnTo = this.#takeReturn()
      const wasBusy = await this.#turn()
      if (this.#isStopped) return
      if (returnTo !== 0) {
        giveToken(this.#memory.i32, this.#words, returnTo)
        continue
      }
      await this.#passOn(wasBusy)
    }
  }

  /** One turn: what is due happens, and the program runs until it awaits the machine again. */
  async #turn(): Promise<boolean> {
    let wasBusy = false
    for (;;) {
      this.#moved = false
      this.#parts.takeMessages()
      const ran = this.#parts.world.run()
      const woke = this.#wakeSleepers()
      this.#publish()
      await immediate() // the program goes on with what was settled
      if (!ran && !woke && !this.#moved) return wasBusy
      wasBusy = true
    }
  }

  async #passOn(wasBusy: boolean): Promise<void> {
    const { i32 } = this.#memory
    const idle = this.#words.idleCount >> 2
    const count = wasBusy ? 0 : Atomics.load(i32, idle) + 1
    Atomics.store(i32, idle, count)
    // A whole round found nothing to do, this thread included.
    if (count > this.#count) {
      if (this.#outstanding === 0 || !this.#leap()) await this.#awaitProgram()
      await this.#turn() // the program goes on while it is its turn
      if (this.#isStopped) return
      Atomics.store(i32, idle, 0)
    }
    giveToken(i32, this.#words, 1)
  }

  /** Lets time leap to what falls due next; false when nothing will. */
  #leap(): boolean {
    const next = Math.min(this.#double(this.#words.nextDue), this.#parts.world.next, this.#nextSleeper())
    if (next === Number.POSITIVE_INFINITY) return false
    this.#setDouble(this.#words.time, Math.max(next, this.#now()))
    if (this.#double(this.#words.nextDue) <= this.#now()) this.#parts.raiseClock()
    this.#parts.world.run()
    this.#wakeSleepers()
    this.#publish()
    return true
  }

  /** Nothing moves any more until the program asks for something, or has since the last turn. */
  async #awaitProgram(): Promise<void> {
    while (!this.#isStopped && !this.#moved) {
      await new Promise<void>((resolve) => {
        this.#begun = resolve
      })
      this.#begun = null
    }
  }

  #wakeSleepers(): boolean {
    let woke = false
    while (this.#nextSleeper() <= this.#now()) {
      this.#sleepers.shift()?.resolve()
      woke = true
    }
    return woke
  }

  #nextSleeper(): number {
    return this.#sleepers[0]?.at ?? Number.POSITIVE_INFINITY
  }

  #publish(): void {
    this.#setDouble(this.#words.nextOutside, Math.min(this.#parts.world.next, this.#nextSleeper()))
  }

  #takeReturn(): number {
    return Atomics.exchange(this.#memory.i32, this.#words.returnTo >> 2, 0)
  }

  async #awaitToken(): Promise<void> {
    const { i32 } = this.#memory
    const doorbell = this.#words.mainDoorbell >> 2
    for (;;) {
      const heard = Atomics.load(i32, doorbell)
      if (this.#isStopped || Atomics.load(i32, this.#words.token >> 2) === 0) return
      const waited = Atomics.waitAsync(i32, doorbell, heard, 1000)
      if (waited.async) await waited.value
    }
  }

  #now(): number {
    return this.#double(this.#words.time)
  }

  #double(address: number): number {
    return this.#memory.f64[address >> 3] as number
  }

  #setDouble(address: number, value: number): void {
    this.#memory.f64[address >> 3] = value
  }
}

const immediate = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
