/**
 * A machine with several processors, each a worker thread. This, on the main thread, is no processor: it takes no
 * kernel lock and runs no driver code. It starts the workers, serves boards, watches for processors that die or hang,
 * and on a virtual clock takes its turns.
 */
import { existsSync } from 'node:fs'
import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads'
import { monotonicBase, monotonicTicks, systemTimeNow } from '../hal/clock.ts'
import { MainTurns } from '../hal/mainturns.ts'
import { every, sleepMs, watchTurns } from '../hal/timers.ts'
import { siblingFile } from '../hal/siblingfile.ts'
import { moveByTimers } from '../hal/realworld.ts'
import { World } from '../hal/world.ts'
import { BugCode, bugCheckName } from '../kernel/ke/bugcodes.ts'
import { driverFrame } from '../kernel/ke/bugcheck.ts'
import { levelBit, Machine as Block, Pcr, pcrOf, Pending } from '../kernel/ke/pcr.ts'
import { postVector } from '../kernel/ke/interrupt.ts'
import { CLOCK_LEVEL } from '../kernel/ke/level.ts'
import { allocateMemory, type Memory } from '../kernel/mm/memory.ts'
import { answerReply } from '../kernel/ports/device.ts'
import type { CrashRecord } from '../kernel/ports/crash.ts'
import { BaseMachine } from './base.ts'
import { LoadError, NtStatusError, UsageError } from './errors.ts'
import type { CheckedOptions } from './options.ts'
import type { Answer, Message, PortableError, ProcessorSeat, Request } from './protocol.ts'
import { VIRTUAL_EPOCH } from './uniprocessor.ts'
import { TURN_WORDS } from './words.ts'

/** A program's thread that stands still for longer is told of: devices stand still with it. */
const STALL_MS = 2000
const PROCESSOR = siblingFile('processor', import.meta.url)

const PACKAGE = new URL('..', PROCESSOR)
/** The published package has all that a worker loads in one file, and doors of it for drivers (scripts/bundle.ts). */
const BUNDLE = new URL('worker/', PACKAGE)
const BUNDLED = new URL('machine/processor.js', BUNDLE)
const isBundled = existsSync(BUNDLED)
const ENTERED = isBundled ? BUNDLED : PROCESSOR
const DOORS = isBundled
  ? ['ddi/', 'classes/'].map((room) => [new URL(room, PACKAGE).href, new URL(room, BUNDLE).href])
  : []

/**
 * What a worker runs first: it has the processor's modules compiled once, and not once a worker and a boot. Text, since
 * a file in TypeScript would have to be stripped before the cache is on. The cache is written while the worker lives:
 * one that is terminated writes nothing.
 *
 * Between files of this package a relative import is a URL, and what ends in .js a module: Node would look at four files
 * for each of them to find that out, which is half of the time that a worker takes to start.
 */
const ENTRY = `
const { enableCompileCache, flushCompileCache, registerHooks } = require('node:module')
const { readFileSync } = require('node:fs')
const { workerData } = require('node:worker_threads')
const doors = ${JSON.stringify(DOORS)}
const isOwn = (url) => url?.startsWith(${JSON.stringify(PACKAGE.href)}) && !url.includes('/node_modules/', ${PACKAGE.href.length - 1})
enableCompileCache()
globalThis[Symbol.for('dirql.memory')] = workerData.buffer
registerHooks?.({
  resolve(specifier, context, next) {
    const found = specifier.startsWith('.') && isOwn(context.parentURL)
      ? { url: new URL(specifier, context.parentURL).href, shortCircuit: true }
      : next(specifier, context)
    const door = doors.find(([from]) => found.url.startsWith(from))
    return door === undefined ? found : { ...found, url: door[1] + found.url.slice(door[0].length), shortCircuit: true }
  },
  load: (url, context, next) =>
    isOwn(url) && url.endsWith('.js')
      ? { format: 'module', source: readFileSync(new URL(url), 'utf8'), shortCircuit: true }
      : next(url, context),
})
import(${JSON.stringify(ENTERED.href)}).then(() => flushCompileCache())
`

interface Seat {
  worker: Worker
  calls: MessagePort
  number: number
  isReady: boolean
  /** Heartbeat at the last look, and since when it has been that. */
  heartbeat: number
  beatSince: number
}

export class Multiprocessor extends BaseMachine {
  readonly memory: Memory
  readonly world: World
  readonly #seats: Seat[] = []
  readonly #calls = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>()
  readonly #turns: MainTurns | null
  readonly #stopWorld: (() => void) | null
  readonly #base = monotonicBase()
  #nextCall = 1
  #isDown = false
  #stopWatchdog: () => void = () => {}
  #unwatch: () => void = () => {}
  #readySeats: (() => void) | null = null

  /** Starts the processors and resolves when all of them run. */
  static async start(options: CheckedOptions): Promise<Multiprocessor> {
    const machine = new Multiprocessor(options)
    await machine.#start()
    return machine
  }

  private constructor(options: CheckedOptions) {
    super(options)
    this.memory = allocateMemory(options.memory)
    const { f64 } = this.memory
    this.world = new World(() =>
      options.isVirtual ? (f64[Block.VirtualTime >> 3] as number) : monotonicTicks(this.#base),
    )
    this.#turns = options.isVirtual ? this.#makeTurns() : null
    this.#stopWorld = options.isVirtual ? null : moveByTimers(this.world)
  }

  #makeTurns(): MainTurns {
    return new MainTurns(this.memory, TURN_WORDS, this.processors, {
      world: this.world,
      takeMessages: () => {
        this.#takeAnswers()
        this.boards.serve(Atomics.exchange(this.memory.i32, Block.MainPending >> 2, 0))
      },
      raiseClock: () => this.#request(0, levelBit(CLOCK_LEVEL)),
    })
  }

  async #start(): Promise<void> {
    const ready = new Promise<void>((resolve) => {
      this.#readySeats = resolve
    })
    const died = new Promise<never>((_, reject) => {
      for (let number = 0; number < this.processors; number++) this.#seats.push(this.#makeSeat(number, reject))
    })
    await Promise.race([ready, died])
    if (!this.options.isVirtual) this.#unwatch = watchTurns(STALL_MS, this.#stalled)
    if (this.options.watchdogMs > 0) {
      for (const seat of this.#seats) seat.beatSince = monotonicTicks(this.#base) / 10_000
      this.#stopWatchdog = every(Math.max(this.options.watchdogMs / 4, 5), () => this.#watch())
    }
    if (this.#turns !== null) this.#turns.start()
    else void this.#serveBoards()
  }

  #makeSeat(number: number, failed: (error: Error) => void): Seat {
    const { port1, port2 } = new MessageChannel()
    const workerData: ProcessorSeat = {
      calls: port2,
      buffer: this.memory.buffer,
      number,
      processors: this.processors,
      checked: this.options.checked,
      isVirtual: this.options.isVirtual,
      isTraced: this.options.isTraced,
      localRoutines: false,
      bootSystemTime: this.options.isVirtual ? VIRTUAL_EPOCH : systemTimeNow(),
      clockBase: this.#base,
      seed: this.options.seed,
    }
    const worker = new Worker(ENTRY, { eval: true, workerData, transferList: [port2] })
    const seat: Seat = { worker, calls: port1, number, isReady: false, heartbeat: 0, beatSince: 0 }
    worker.on('message', (message: Message) => this.#hear(seat, message))
    // In lockstep answers are taken in this thread's turns only: the program goes on when it is its turn.
    if (this.#turns === null) port1.on('message', (answer: Answer) => this.#settle(answer))
    port1.unref()
    worker.on('error', (error: Error) => {
      failed(error)
      this.#died(seat, error)
    })
    worker.on('exit', (code) => {
      failed(new Error(`processor ${number} exited with code ${code} while it started`))
      this.#died(seat, code)
    })
    return seat
  }

  #hear(seat: Seat, message: Message): void {
    if (this.#isDown) return
    switch (message.kind) {
      case 'ready':
        seat.isReady = true
        if (this.#seats.every(({ isReady }) => isReady)) this.#readySeats?.()
        return
      case 'crash':
        this.#turns?.stop()
        this.stopWith(message.record)
        return
      case 'print':
        this.options.print(message.text)
    }
  }

  /** Sets bits in a processor's pending word and wakes it, without being a processor. */
  #request(processor: number, bits: number): void {
    const { i32 } = this.memory
    const pcr = pcrOf(processor)
    Atomics.or(i32, (pcr + Pcr.Pending) >> 2, bits)
    Atomics.add(i32, (pcr + Pcr.Doorbell) >> 2, 1)
    if (Atomics.load(i32, (pcr + Pcr.Sleeping) >> 2) !== 0) Atomics.notify(i32, (pcr + Pcr.Doorbell) >> 2)
  }

  protected slots() {
    return {
      memory: this.memory,
      world: this.world,
      interrupt: (vector: number): void => this.#interrupt(vector),
      answer: (token: number, status: number, value: number): void => {
        answerReply(this.memory, Block.Replies, token, status, value)
        this.#request(0, Pending.Message)
      },
    }
  }

  /** Asks the processor that dispatches `vector` to do so: the request bit first, then the level's. */
  #interrupt(vector: number): void {
    const { processor, pending } = postVector(this.memory, vector)
    this.#request(processor, pending)
  }

  /** The main thread's other work: boards that have something to be sent. Beside lockstep it has a loop of its own. */
  async #serveBoards(): Promise<void> {
    const { i32 } = this.memory
    const doorbell = Block.MainDoorbell >> 2
    const pending = Block.MainPending >> 2
    while (!this.#isDown) {
      const heard = Atomics.load(i32, doorbell)
      this.boards.serve(Atomics.exchange(i32, pending, 0))
      const waited = Atomics.waitAsync(i32, doorbell, heard)
      if (waited.async) await waited.value
    }
  }

  #settle(answer: Answer): void {
    const call = this.#calls.get(answer.id)
    this.#calls.delete(answer.id)
    this.#turns?.end()
    if (answer.kind === 'value') call?.resolve(answer.value)
    else call?.reject(errorOf(answer.error))
  }

  /** Takes every answer that is there. */
  #takeAnswers(): void {
    for (const { calls } of this.#seats) {
      for (let next = receiveMessageOnPort(calls); next !== undefined; next = receiveMessageOnPort(calls)) {
        this.#settle(next.message as Answer)
      }
    }
  }

  protected call(processor: number, request: Request): Promise<unknown> {
    const seat = this.#seats[processor]
    if (seat === undefined) {
      return Promise.reject(
        new UsageError(`this machine has processors 0 to ${this.processors - 1}; ${processor} is none of them`),
      )
    }
    const id = this.#nextCall++
    this.#turns?.begin()
    return new Promise((resolve, reject) => {
      this.#calls.set(id, { resolve, reject })
      seat.calls.postMessage({ id, request })
      this.#request(processor, Pending.Message)
    })
  }

  protected runLocal<T>(): Promise<T> {
    throw new UsageError('several processors cannot run a local function')
  }

  protected beginAwait(): void {
    this.#turns?.begin()
  }

  protected endAwait(): void {
    this.#turns?.end()
  }

  sleep(milliseconds: number): Promise<void> {
    if (this.#turns !== null) return this.outstanding.track(this.#turns.sleep(milliseconds * 10_000))
    return this.outstanding.track(sleepMs(milliseconds))
  }

  /** A processor that is gone is a stop, with the reason where there is one. */
  #died(seat: Seat, reason: Error | number): void {
    if (this.#isDown || this.crash !== null) return
    const message =
      reason instanceof Error
        ? `processor ${seat.number} died: ${reason.message}`
        : `processor ${seat.number} is gone: its thread exited with code ${reason}; a driver must not call process.exit`
    const code = reason instanceof Error ? BugCode.KMODE_EXCEPTION_NOT_HANDLED : BugCode.CLOCK_WATCHDOG_TIMEOUT
    this.#stop(seat, code, message, reason instanceof Error ? (reason.stack ?? '') : '')
  }

  readonly #stalled = (ms: number): void =>
    this.options.print(`the program's thread stood still for ${ms} ms, and with it all devices; it must not block\n`)

  /**
   * Every processor must come to an interruption point now and then: a ring makes one that sleeps do so. Named is the one
   * that has been silent longest: on a host that gives a machine too little time others may be late with it.
   */
  #watch(): void {
    if (this.crash !== null) return
    const now = monotonicTicks(this.#base) / 10_000
    for (const seat of this.#seats) {
      const heartbeat = this.memory.i32[(pcrOf(seat.number) + Pcr.Heartbeat) >> 2] as number
      if (heartbeat === seat.heartbeat && this.#turns?.isWaitingFor(seat.number) !== true) continue
      seat.heartbeat = heartbeat
      seat.beatSince = now
    }
    const seat = this.#seats.reduce((longest, one) => (one.beatSince < longest.beatSince ? one : longest))
    const ms = Math.round(now - seat.beatSince)
    if (ms <= this.options.watchdogMs) {
      for (const { number } of this.#seats) this.#request(number, Pending.Beat)
      return
    }
    this.#stop(
      seat,
      BugCode.CLOCK_WATCHDOG_TIMEOUT,
      `processor ${seat.number} hangs: it came to no interruption point for ${ms} ms; ` +
        'a loop in a driver never calls the kernel, or waits for a lock that nobody gives back',
      '',
    )
  }

  #stop(seat: Seat, code: number, message: string, stack: string): void {
    const frame = driverFrame(stack)
    const { i32 } = this.memory
    Atomics.compareExchange(i32, Block.BugCheck >> 2, 0, code)
    for (const { number } of this.#seats) this.#request(number, Pending.Freeze)
    const record: CrashRecord = {
      code,
      name: bugCheckName(code),
      parameters: [0, 0, pcrOf(seat.number), seat.number],
      message,
      processor: seat.number,
      irql: i32[(pcrOf(seat.number) + Pcr.Irql) >> 2] as number,
      driver: null,
      file: frame?.file ?? null,
      line: frame?.line ?? null,
      stack,
      processors: this.#seats.map(({ number }) => this.#crashed(number)),
      threads: [],
      trace: [],
      pool: [],
    }
    this.#turns?.stop()
    this.stopWith(record)
  }

  #crashed(number: number): CrashRecord['processors'][number] {
    const { i32 } = this.memory
    const word = (offset: number): number => i32[(pcrOf(number) + offset) >> 2] as number
    const held = Math.min(Math.max(word(Pcr.HeldLockCount), 0), 32)
    return {
      number,
      irql: word(Pcr.Irql),
      heldLocks: Array.from({ length: held }, (_, index) => ({ address: word(Pcr.HeldLocks + index * 4), site: null })),
    }
  }

  async shutdown(): Promise<void> {
    if (this.#isDown) return
    this.#isDown = true
    this.#stopWatchdog()
    this.#unwatch()
    this.#turns?.stop()
    this.#stopWorld?.()
    this.world.clear()
    this.outstanding.rejectAll(new UsageError('the machine was shut down'))
    await this.closeBoards()
    await Promise.all(this.#seats.map(({ worker }) => worker.terminate()))
    for (const { calls } of this.#seats) calls.close()
    Atomics.notify(this.memory.i32, Block.MainDoorbell >> 2)
    this.#calls.clear()
  }
}

/** An error of a processor's thread, as one of this thread. */
function errorOf({ name, message, stack, status }: PortableError): Error {
  let error: Error
  if (name === 'LoadError') error = new LoadError(message, status ?? 0)
  else if (name === 'NtStatusError') error = Object.assign(new NtStatusError(status ?? 0, ''), { message })
  else error = Object.assign(new Error(message), status === undefined ? { name } : { name, status })
  if (stack !== undefined) error.stack = stack
  return error
}
