/** A machine with one processor: the calling thread. */
import { Alarm, monotonicBase, systemTimeNow } from '../hal/clock.ts'
import { MainProcessor } from '../hal/mainprocessor.ts'
import { inOrder, seeded } from '../hal/oracle.ts'
import { type PollLimit, RealClock } from '../hal/realclock.ts'
import { Timeline } from '../hal/timeline.ts'
import { VirtualClock } from '../hal/virtualclock.ts'
import { World } from '../hal/world.ts'
import { BugCheckError, bugCheck, haltProcessor, stopped } from '../kernel/ke/bugcheck.ts'
import { BugCode } from '../kernel/ke/bugcodes.ts'
import { attachProcessor, createKernel, type KernelOptions, startProcessor } from '../kernel/ke/create.ts'
import { isBusy, pass } from '../kernel/ke/deliver.ts'
import { CLOCK_LEVEL } from '../kernel/ke/level.ts'
import { cpu, levelBit, Machine as Block, setPending } from '../kernel/ke/pcr.ts'
import { threadRecords, threadStore } from '../kernel/ke/thread.ts'
import { refillQuantum } from '../kernel/ke/wait.ts'
import { readF64, writeF64 } from '../kernel/mm/access.ts'
import { useMemory, viewMemory } from '../kernel/mm/memory.ts'
import type { CrashRecord } from '../kernel/ports/crash.ts'
import { type ClockPort, plugPorts, unplugPorts } from '../kernel/ports/ports.ts'
import { UsageError } from './errors.ts'
import type { Machine } from './machine.ts'
import { type CheckedOptions, driverUrl } from './options.ts'
import { Outstanding } from './outstanding.ts'
import { guardStaleThreads, watchAwaits } from './promisehooks.ts'
import { forgetServices, runExport, runOnThread } from './service.ts'

/** 20 ms, in ticks: nothing else can run on this thread meanwhile, so what a loop polls for cannot come. */
const POLL_LIMIT = 200_000

const POLLED_TOO_LONG =
  'code polled for so long at one stretch without an await: on one processor nothing else runs meanwhile; ' +
  'wait for an event instead, or boot with processors: 2'

function pollLimit(ticks: number): PollLimit {
  return {
    ticks,
    exceeded: (polled) =>
      bugCheck({ code: BugCode.DPC_WATCHDOG_VIOLATION, parameters: [0, polled, ticks], message: POLLED_TOO_LONG }),
  }
}

export class Uniprocessor implements Machine {
  readonly processors = 1
  crash: CrashRecord | null = null
  readonly world: World
  readonly #options: CheckedOptions
  readonly #processor: MainProcessor
  readonly #outstanding: Outstanding
  readonly #timeline: Timeline | null
  readonly #alarm: Alarm | null
  readonly #clock: RealClock | VirtualClock
  readonly #keepAlive: NodeJS.Timeout
  readonly #unwatch: () => void
  #images = 0
  #isDown = false

  constructor(options: CheckedOptions) {
    if (cpu.isProcessor) {
      throw new UsageError(
        'this thread is the processor of a machine already; shut that one down first (await using does), or boot with processors: 2',
      )
    }
    this.#options = options
    const kernel: KernelOptions = { ...options, bootSystemTime: options.isVirtual ? VIRTUAL_EPOCH : systemTimeNow() }
    attachProcessor(viewMemory(new SharedArrayBuffer(options.memory)), 0, kernel)
    this.#processor = new MainProcessor(
      { pass: this.#pass, refill: refillQuantum },
      { crashed: this.#crashed, print: options.print, hostCall: (delta) => this.#timeline?.hostCall(delta) },
      this.#failed,
    )
    this.#clock = options.isVirtual ? this.#virtualClock() : this.#realClock()
    this.world = new World(() => this.#clock.now())
    this.#timeline = options.isVirtual ? this.#makeTimeline() : null
    this.#alarm = options.isVirtual ? null : this.#makeAlarm()
    this.#outstanding = new Outstanding(
      () => this.#timeline?.begin(),
      () => this.#timeline?.end(),
    )
    plugPorts({
      processor: this.#processor,
      clock: this.#clock as ClockPort,
      oracle: options.seed === null ? inOrder : seeded(options.seed),
      wire: { kick: () => {} },
      trace: null,
    })
    createKernel(kernel)
    startProcessor()
    threadStore.exit(() => this.#processor.start())
    this.#keepAlive = setInterval(() => {}, 0x7fffffff)
    this.#unwatch = options.checked ? watchAwaits(() => this.#processor.stop()) : () => {}
  }

  readonly #pass = (): boolean => {
    this.#clock.endStretch()
    return pass()
  }

  #realClock(): RealClock {
    const raise = (): void => setPending(levelBit(CLOCK_LEVEL))
    return new RealClock(monotonicBase(), () => readF64(Block.NextDue), raise, pollLimit(POLL_LIMIT))
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
      pollLimit(POLL_LIMIT * 50),
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
        await new Promise((resolve) => setImmediate(resolve))
        const wasBusy = isBusy()
        if (wasBusy) this.#processor.schedulePass()
        return wasBusy
      },
    })
  }

  readonly #crashed = (record: CrashRecord): void => {
    this.crash = record
    this.#processor.stop()
    this.#timeline?.stop()
    this.#alarm?.stop()
    // Behind the throw that follows: the thread's own rejection comes first where there is one.
    queueMicrotask(() => this.#outstanding.rejectAll(new BugCheckError(record)))
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

  run<T, A>(routine: string | URL | ((argument: A) => T | Promise<T>), second?: unknown, third?: unknown): Promise<T> {
    if (typeof routine === 'function') {
      if (!this.#options.localRoutines) {
        throw new UsageError('machine.run takes a local function only where boot has localRoutines: true')
      }
      return this.#outstanding.track(runOnThread(() => routine(second as A)))
    }
    const url = driverUrl(routine)
    this.#images += 1
    return this.#outstanding.track(runExport(this.#images, url, String(second), third) as Promise<T>)
  }

  sleep(milliseconds: number): Promise<void> {
    if (this.#timeline !== null) return this.#outstanding.track(this.#timeline.sleep(milliseconds * 10_000))
    return this.#outstanding.track(new Promise((resolve) => setTimeout(resolve, milliseconds)))
  }

  async shutdown(): Promise<void> {
    if (this.#isDown) return
    this.#isDown = true
    haltProcessor()
    this.#processor.stop()
    this.#timeline?.stop()
    this.#alarm?.stop()
    this.#unwatch()
    clearInterval(this.#keepAlive)
    this.#outstanding.rejectAll(stopped.error as Error)
    guardStaleThreads(threadRecords.values())
    threadRecords.clear()
    forgetServices()
    unplugPorts()
    cpu.isProcessor = false
    stopped.error = null
    useMemory(viewMemory(new SharedArrayBuffer(0)))
    await Promise.resolve()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown()
  }
}

/** Virtual machines boot at one time, so that two runs are the same: 2026-01-01. */
const VIRTUAL_EPOCH = 134_117_856_000_000_000n
