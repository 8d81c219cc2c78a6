/** A machine with one processor: the calling thread. */
import { Alarm, monotonicBase, systemTimeNow } from '../hal/clock.ts'
import { MainProcessor } from '../hal/mainprocessor.ts'
import { inOrder, seeded } from '../hal/oracle.ts'
import { RealClock } from '../hal/realclock.ts'
import { Timeline } from '../hal/timeline.ts'
import { keepAlive, nextTurn, sleepMs } from '../hal/timers.ts'
import { VirtualClock } from '../hal/virtualclock.ts'
import { type Hang, watchThisThread } from '../hal/watchdog.ts'
import { World } from '../hal/world.ts'
import { bugCheck, haltProcessor, lastTrace, reportBugCheck, stopped } from '../kernel/ke/bugcheck.ts'
import { BugCode } from '../kernel/ke/bugcodes.ts'
import { attachProcessor, createKernel, type KernelOptions, startProcessor } from '../kernel/ke/create.ts'
import { lastEvents, trace } from '../kernel/etw/trace.ts'
import { isBusy, pass } from '../kernel/ke/deliver.ts'
import { requestVector } from '../kernel/ke/interrupt.ts'
import { CLOCK_LEVEL } from '../kernel/ke/level.ts'
import { cpu, levelBit, Machine as Block, Pending, setPending } from '../kernel/ke/pcr.ts'
import { forgetCurrent, threadRecords, threadStore, withoutThread } from '../kernel/ke/thread.ts'
import { refillQuantum } from '../kernel/ke/wait.ts'
import { readF64, writeF64 } from '../kernel/mm/access.ts'
import { type Memory, memoryOfThread, useMemory, viewMemory } from '../kernel/mm/memory.ts'
import { answerReply, boardBit } from '../kernel/ports/device.ts'
import type { CrashRecord } from '../kernel/ports/crash.ts'
import { type ClockPort, plugPorts, unplugPorts } from '../kernel/ports/ports.ts'
import { UsageError } from './errors.ts'
import { BaseMachine } from './base.ts'
import { startKernel } from './kernel.ts'
import type { CheckedOptions } from './options.ts'
import { forgetBoards } from './plug.ts'
import type { Request } from './protocol.ts'
import { MULTIPROCESSOR_POLL_TICKS, pollLimit, UNIPROCESSOR_POLL_TICKS } from './polling.ts'
import { guardStaleThreads, keepAwaitsVisible, watchAwaits } from './promisehooks.ts'
import { forgetServices, runOnThread, serve } from './service.ts'

export class Uniprocessor extends BaseMachine {
  readonly world: World
  readonly #memory: Memory
  readonly #processor: MainProcessor
  readonly #timeline: Timeline | null
  readonly #alarm: Alarm | null
  readonly #clock: RealClock | VirtualClock
  readonly #letGo: () => void
  readonly #unwatch: () => void
  readonly #stopWatchdog: () => void
  #isDown = false

  constructor(options: CheckedOptions) {
    super(options)
    if (cpu.isProcessor) {
      throw new UsageError(
        'this thread is the processor of a machine already; shut that one down first (await using does), or boot with processors: 2',
      )
    }
    const kernel: KernelOptions = { ...options, bootSystemTime: options.isVirtual ? VIRTUAL_EPOCH : systemTimeNow() }
    this.#memory = memoryOfThread(options.memory)
    attachProcessor(this.#memory, 0, kernel)
    this.#processor = new MainProcessor(
      { pass: this.#pass, refill: refillQuantum },
      { crashed: this.#crashed, print: options.print, hostCall: (delta) => this.#timeline?.hostCall(delta) },
      this.#failed,
    )
    this.#clock = options.isVirtual ? this.#virtualClock() : this.#realClock()
    this.world = new World(() => this.#clock.now())
    this.#timeline = options.isVirtual ? this.#makeTimeline() : null
    this.#alarm = options.isVirtual ? null : this.#makeAlarm()
    lastTrace.events = lastEvents
    plugPorts({
      processor: this.#processor,
      clock: this.#clock as ClockPort,
      oracle: options.seed === null ? inOrder : seeded(options.seed),
      wire: { kick: this.#kick },
      trace: options.isTraced ? trace : null,
    })
    createKernel(kernel)
    startProcessor()
    startKernel()
    threadStore.exit(() => this.#processor.start())
    this.#letGo = keepAlive()
    this.#stopWatchdog = options.watchdogMs > 0 ? watchThisThread(options.watchdogMs, this.#hung) : () => {}
    this.#unwatch = options.checked ? watchAwaits(() => this.#processor.stop()) : keepAwaitsVisible()
  }

  readonly #pass = (): boolean => {
    this.#clock.endStretch()
    return pass()
  }

  #realClock(): RealClock {
    const raise = (): void => setPending(levelBit(CLOCK_LEVEL))
    return new RealClock(monotonicBase(), () => readF64(Block.NextDue), raise, pollLimit(UNIPROCESSOR_POLL_TICKS))
  }

  #virtualClock(): VirtualClock {
    const clock = new VirtualClock(
      {
        now: () => readF64(Block.VirtualTime),
        set: (ticks) => writeF64(Block.VirtualTime, ticks),
        nextDue: () => readF64(Block.NextDue),
        raise: () => setPending(levelBit(CLOCK_LEVEL)),
        runOutside: () => this.world.run(),
        nextOutside: () => this.world.next,
      },
      pollLimit(MULTIPROCESSOR_POLL_TICKS),
    )
    this.#processor.onStep = (ticks) => clock.step(ticks)
    return clock
  }

  #makeAlarm(): Alarm {
    const clock = this.#clock as RealClock
    const alarm = new Alarm(
      () => clock.now(),
      () => {
        if (this.#isDown || stopped.error !== null) return
        this.world.run()
        if (readF64(Block.NextDue) <= clock.now()) setPending(levelBit(CLOCK_LEVEL))
        this.#processor.runPass()
        alarm.arm(Math.min(readF64(Block.NextDue), this.world.next))
      },
    )
    clock.onArm = (due) => alarm.arm(due)
    clock.pump = () => this.world.run()
    this.world.onNext = (at) => alarm.arm(at)
    return alarm
  }

  #makeTimeline(): Timeline {
    const clock = this.#clock
    return new Timeline({
      now: () => clock.now(),
      leapTo: (ticks) => {
        writeF64(Block.VirtualTime, ticks)
        this.world.run()
        if (readF64(Block.NextDue) <= ticks) setPending(levelBit(CLOCK_LEVEL))
        this.#processor.runPass()
      },
      nextDue: () => Math.min(readF64(Block.NextDue), this.world.next),
      settle: async () => {
        await nextTurn()
        const wasBusy = isBusy()
        if (wasBusy) this.#processor.schedulePass()
        return wasBusy
      },
    })
  }

  readonly #crashed = (record: CrashRecord): void => {
    this.#processor.stop()
    this.#timeline?.stop()
    this.#alarm?.stop()
    // Behind the throw that follows: the thread's own rejection comes first where there is one.
    queueMicrotask(() => this.stopWith(record))
  }

  readonly #failed = (error: unknown): void => {
    if (stopped.error !== null) return
    // A fault of the kernel's own: nothing of the machine can be trusted any more.
    try {
      bugCheck({
        code: BugCode.KMODE_EXCEPTION_NOT_HANDLED,
        message: `the kernel itself failed: ${error instanceof Error ? error.message : String(error)}`,
        stack: error instanceof Error ? error.stack : undefined,
      })
    } catch {
      // reported
    }
  }

  /** What hung was ended from outside, in the middle of anything: nothing of the machine can be trusted any more. */
  readonly #hung = ({ ms, stack }: Hang): void => {
    if (this.#isDown) return
    reportBugCheck({
      code: BugCode.CLOCK_WATCHDOG_TIMEOUT,
      parameters: [0, 0, cpu.pcr, 0],
      message:
        `the processor hung for ${ms} ms: a loop in a driver, or in the program, never lets the event loop turn; ` +
        'wait for an event instead',
      stack,
    })
  }

  /** Boards of this thread are served behind the code that posts: never inside an ISR. */
  readonly #kick = (board: number): void => {
    const wasRung = this.#rung !== 0
    this.#rung |= boardBit(board)
    if (wasRung) return
    if (this.#timeline === null) queueMicrotask(this.#serveSoon)
    else this.world.after(0, this.#serve)
  }
  /** Boards that something was posted to, by their bits. */
  #rung = 0

  readonly #serve = (): void => {
    const rung = this.#rung
    this.#rung = 0
    if (!this.#isDown) this.boards.serve(rung)
  }

  /** Behind the code that runs now, and without the store of its thread. */
  readonly #serveSoon = (): void => withoutThread(this.#serve)

  protected slots() {
    return {
      memory: this.#memory,
      world: this.world,
      interrupt: (vector: number): void => {
        requestVector(0, vector)
        this.#processor.schedulePass()
      },
      answer: (token: number, status: number, value: number): void => {
        answerReply(this.#memory, Block.Replies, token, status, value)
        setPending(Pending.Message)
        this.#processor.schedulePass()
      },
    }
  }

  protected call(_processor: number, request: Request): Promise<unknown> {
    return serve(request)
  }

  protected runLocal<T>(body: () => T | Promise<T>): Promise<T> {
    return runOnThread(body)
  }

  protected beginAwait(): void {
    this.#timeline?.begin()
  }

  protected endAwait(): void {
    this.#timeline?.end()
  }

  sleep(milliseconds: number): Promise<void> {
    if (this.#timeline !== null) return this.outstanding.track(this.#timeline.sleep(milliseconds * 10_000))
    return this.outstanding.track(sleepMs(milliseconds))
  }

  async shutdown(): Promise<void> {
    if (this.#isDown) return
    this.#isDown = true
    haltProcessor()
    this.#processor.stop()
    this.#timeline?.stop()
    this.#alarm?.stop()
    this.#unwatch()
    this.#stopWatchdog()
    this.#letGo()
    this.outstanding.rejectAll(stopped.error as Error)
    guardStaleThreads(threadRecords.values())
    threadRecords.clear()
    forgetCurrent()
    forgetServices()
    forgetBoards()
    unplugPorts()
    cpu.isProcessor = false
    stopped.error = null
    useMemory(viewMemory(new SharedArrayBuffer(0)))
    await this.closeBoards()
  }
}

/** Virtual machines boot at one time, so that two runs are the same: 2026-01-01. */
export const VIRTUAL_EPOCH = 134_117_856_000_000_000n
