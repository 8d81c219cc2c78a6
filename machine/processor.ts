/** A worker thread becomes a processor: the composition root of one processor of several. */
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { inOrder, seeded } from '../hal/oracle.ts'
import { RealClock } from '../hal/realclock.ts'
import { ProcessorTurns } from '../hal/turns.ts'
import { VirtualClock } from '../hal/virtualclock.ts'
import { WorkerProcessor } from '../hal/workerprocessor.ts'
import { bugCheck, lastTrace, stopped } from '../kernel/ke/bugcheck.ts'
import { BugCode } from '../kernel/ke/bugcodes.ts'
import { attachProcessor, createKernel, startProcessor } from '../kernel/ke/create.ts'
import { lastEvents, trace } from '../kernel/etw/trace.ts'
import { isBusy, pass } from '../kernel/ke/deliver.ts'
import { CLOCK_LEVEL } from '../kernel/ke/level.ts'
import { cpu, levelBit, Machine as Block, Pcr, pcrOf, requestProcessor, setPending } from '../kernel/ke/pcr.ts'
import { threadStore } from '../kernel/ke/thread.ts'
import { refillQuantum } from '../kernel/ke/wait.ts'
import { atomicAdd, atomicOr, readF64, writeF64 } from '../kernel/mm/access.ts'
import { mem, viewMemory } from '../kernel/mm/memory.ts'
import { boardBit } from '../kernel/ports/device.ts'
import { plugPorts } from '../kernel/ports/ports.ts'
import { startKernel } from './kernel.ts'
import { MULTIPROCESSOR_POLL_TICKS, pollLimit } from './polling.ts'
import { watchAwaits } from './promisehooks.ts'
import { type Answer, type Call, type Message, portable, type ProcessorSeat } from './protocol.ts'
import { serve } from './service.ts'
import { TURN_WORDS } from './words.ts'

const port = parentPort as MessagePort
const seat = workerData as ProcessorSeat
/** The processor on which the clock interrupts. */
const CLOCK_PROCESSOR = 0

function say(message: Message): void {
  port.postMessage(message)
  wakeMain()
}

function answer(message: Answer): void {
  seat.calls.postMessage(message)
  wakeMain()
}

function wakeMain(): void {
  atomicAdd(Block.MainDoorbell, 1)
  Atomics.notify(mem.i32, Block.MainDoorbell >> 2)
}

/** What a worker prints goes to the main thread: one that sleeps in a futex prints nothing. */
function redirectOutput(): void {
  const write = (text: string | Uint8Array): boolean => {
    say({ kind: 'print', text: typeof text === 'string' ? text : new TextDecoder().decode(text) })
    return true
  }
  process.stdout.write = write as typeof process.stdout.write
  process.stderr.write = write as typeof process.stderr.write
}

function takeMessages(): void {
  const { calls } = seat
  for (let next = receiveMessageOnPort(calls); next !== undefined; next = receiveMessageOnPort(calls)) {
    const { id, request } = next.message as Call
    serve(request).then(
      (value) => answer({ kind: 'value', id, value }),
      (error: unknown) => {
        if (stopped.error === null) answer({ kind: 'error', id, error: portable(error) })
      },
    )
  }
}

const oracle = seat.seed === null ? inOrder : seeded(seat.seed + seat.number)
const raiseClock = (): void => requestProcessor(CLOCK_PROCESSOR, levelBit(CLOCK_LEVEL))

/** Ends this processor by a bug check: the turn that ends has left work to libuv, which does nothing between turns. */
function undeclared(resources: readonly string[]): void {
  processor.stop()
  try {
    bugCheck({
      code: BugCode.DRIVER_VIOLATION,
      parameters: [7, cpu.number],
      message: `in virtual time something of the host is awaited that nobody declared (${resources.join(', ')}), so two runs would differ: write \`await host(promise)\``,
    })
  } catch {
    // reported
  }
}

function outOfTurn(): never {
  return bugCheck({
    code: BugCode.DRIVER_VIOLATION,
    parameters: [6, cpu.number],
    message:
      'in virtual time a thread came back from a promise of the host out of its turn, so two runs would differ: write `await host(promise)`',
  })
}

const turns = seat.isVirtual
  ? new ProcessorTurns(seat.number, seat.processors, TURN_WORDS, oracle, raiseClock, outOfTurn)
  : null

const limit = pollLimit(MULTIPROCESSOR_POLL_TICKS)
const realClock = new RealClock(
  seat.clockBase,
  () => readF64(Block.NextDue),
  () => (seat.number === CLOCK_PROCESSOR ? setPending(levelBit(CLOCK_LEVEL)) : raiseClock()),
  limit,
)
const virtualClock = new VirtualClock(
  {
    now: () => readF64(Block.VirtualTime),
    set: (ticks) => writeF64(Block.VirtualTime, ticks),
    nextDue: () => readF64(Block.NextDue),
    raise: raiseClock,
    runOutside: () => {},
    nextOutside: () => Number.POSITIVE_INFINITY, // the token takes care of that: see turns.ts
  },
  limit,
)
const clock = seat.isVirtual ? virtualClock : realClock
if (turns !== null) virtualClock.onStep = (ticks) => turns.stall(ticks)

const processor = new WorkerProcessor(
  seat.number,
  {
    pass: () => {
      clock.endStretch()
      if (!seat.isVirtual && seat.number === CLOCK_PROCESSOR) realClock.poll()
      return pass()
    },
    isBusy,
    refill: refillQuantum,
  },
  {
    doorbell: (number) => pcrOf(number) + Pcr.Doorbell,
    sleeping: (number) => pcrOf(number) + Pcr.Sleeping,
    quiet: Block.Quiet,
  },
  {
    takeMessages,
    crashed: (record) => say({ kind: 'crash', record }),
    print: (text) => say({ kind: 'print', text }),
    msUntilDue: () =>
      seat.number === CLOCK_PROCESSOR
        ? Math.max(0, (readF64(Block.NextDue) - clock.now()) / 10_000)
        : Number.POSITIVE_INFINITY,
    failed,
    undeclared,
  },
  turns,
)

/** A fault of the kernel's own, or a stop: this processor ends. */
function failed(error: unknown): void {
  processor.stop()
  if (stopped.error !== null || (mem.i32[Block.BugCheck >> 2] as number) !== 0) return
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

/** Processors start one after the other, so that what each allocates lies at one place in every run. */
function awaitStarted(count: number): void {
  const ready = Block.Ready >> 2
  for (;;) {
    const started = Atomics.load(mem.i32, ready)
    if (started >= count) return
    Atomics.wait(mem.i32, ready, started)
  }
}

function start(): void {
  // A listener keeps this thread alive: what the loop sleeps on does not. The main thread says nothing on this port.
  port.on('message', () => {})
  attachProcessor(viewMemory(seat.buffer), seat.number, seat)
  redirectOutput()
  realClock.onArm = () => {
    // Asleep beside libuv it sleeps by the due time before: code that a promise of the host's woke may set another.
    if (seat.number !== CLOCK_PROCESSOR) processor.ring(CLOCK_PROCESSOR)
    else processor.schedulePass()
  }
  lastTrace.events = lastEvents
  plugPorts({
    processor,
    clock,
    oracle,
    wire: {
      kick: (board) => {
        atomicOr(Block.MainPending, boardBit(board))
        wakeMain()
      },
    },
    trace: seat.isTraced ? trace : null,
  })
  if (seat.number === 0) {
    createKernel(seat)
    startProcessor()
    Atomics.store(mem.i32, Block.Token >> 2, 1) // lockstep begins with this processor
    startKernel()
  } else {
    awaitStarted(seat.number)
    startProcessor()
  }
  Atomics.store(mem.i32, Block.Ready >> 2, seat.number + 1)
  Atomics.notify(mem.i32, Block.Ready >> 2)
  awaitStarted(seat.processors)
  turns?.start()
  // A reported await at raised IRQL cannot be stopped from here: the thread parks until it is terminated.
  if (seat.checked) watchAwaits(() => Atomics.wait(mem.i32, Block.Quiet >> 2, 0))
  say({ kind: 'ready' })
  threadStore.exit(() => void processor.run())
}

start()
