/**
 * Delivery: what a processor takes at an interruption point, and the pass that resumes ready threads.
 *
 * Order at IRQL i: device interrupts above i (nested on the stack, highest first), clock and inter-processor
 * interrupts by their level, DPCs when i is below DISPATCH_LEVEL. ISRs and DPCs run without a thread's store.
 */
import * as access from '../mm/access.ts'
import * as memory from '../mm/memory.ts'
import * as plugged from '../ports/ports.ts'
import { BugCode } from './bugcodes.ts'
import { bugCheck, throwStopped } from './bugcheck.ts'
import { highestReady, lockDispatcher, readyList, takeReady, unlockDispatcher } from './dispatcher.ts'
import { drainDpcs, hasDpcs } from './dpc.ts'
import { dispatchVectors } from './interrupt.ts'
import { answerIpi } from './ipi.ts'
import { KTHREAD, ThreadState } from './layouts.ts'
import { CLOCK_LEVEL, deliverable, delivery, DISPATCH_LEVEL, IPI_LEVEL, point } from './level.ts'
import * as kpcr from './pcr.ts'
import { takeReplies } from './replies.ts'
import { startThread } from './start.ts'
import { interruptThread, storedRecord, type ThreadRecord, threadRecords, withoutThread } from './thread.ts'
import { expireTimers } from './timer.ts'

// Looked up once: an imported name is looked up at each use (decision 0041).
const { read32, write32, write8 } = access
const { mem } = memory
const { ports } = plugged
const { clearPending, cpu, levelBit, Pcr, Pending, setPending } = kpcr

const Thread = KTHREAD.offsets

const deliver = (): void => interruptThread(deliverAll)

function deliverAll(): void {
  for (let bits = deliverable(); bits !== 0; bits = deliverable()) {
    if ((read32(cpu.pcr + Pcr.Pending) & Pending.Freeze) !== 0) throwStopped()
    const highest = 31 - Math.clz32(bits)
    if (highest > LEVEL_BITS) takeLevel(highest - LEVEL_BITS)
    else drainDpcs()
  }
}
/** The bit of level L is this one and L. */
const LEVEL_BITS = 16

/** Takes the interrupts of one level; the IRQL goes back behind them. */
function takeLevel(level: number): void {
  const { i32 } = mem
  const { word } = cpu
  const irql = i32[word + IRQL] as number
  // The bit goes first: a request that comes from here on sets it again.
  clearPending(levelBit(level))
  i32[word + IRQL] = level
  if (level < CLOCK_LEVEL) dispatchVectors(level)
  else if (level === CLOCK_LEVEL) expireTimers()
  else if (level === IPI_LEVEL) answerIpi()
  else dispatchVectors(level)
  i32[word + IRQL] = irql
}
const IRQL = Pcr.Irql >> 2

/**
 * One pass over what this processor has to do: messages, interrupts, DPCs, one ready thread.
 *
 * @returns whether there is more to do
 */
export function pass(): boolean {
  const { pcr } = cpu
  if ((read32(pcr + Pcr.Pending) & Pending.Message) !== 0) {
    clearPending(Pending.Message)
    takeReplies()
    ports.processor.takeMessages()
  }
  if (hasDpcs() && read32(pcr + Pcr.Irql) < DISPATCH_LEVEL) runDpcs()
  point()
  if ((read32(pcr + Pcr.Pending) & Pending.Ready) !== 0) resumeReady()
  return isBusy()
}

/** Whether this processor has something to do at PASSIVE_LEVEL. */
export function isBusy(): boolean {
  const { pcr } = cpu
  return (read32(pcr + Pcr.Pending) & ~(Pending.Lockstep | Pending.Suspend | Pending.Beat)) !== 0 || hasDpcs()
}

/** Low importance DPCs wait until now. */
function runDpcs(): void {
  if (storedRecord() === undefined) drainDpcs()
  else withoutThread(drainDpcs)
}

/** Resumes the one ready thread that the oracle picks among those of the highest priority. */
function resumeReady(): void {
  const { pcr } = cpu
  lockDispatcher()
  // The bit goes before the look: whoever makes a thread ready from here on sets it again.
  clearPending(Pending.Ready)
  const priority = highestReady(pcr)
  if (priority < 0) {
    unlockDispatcher()
    return
  }
  const thread = pickReady(readyList(pcr, priority))
  takeReady(pcr, thread, priority)
  const status = read32(thread + Thread.WaitStatus)
  write8(thread + Thread.State, ThreadState.Running)
  write32(pcr + Pcr.CurrentThread, thread)
  const isMore = read32(pcr + Pcr.ReadySummary) !== 0
  unlockDispatcher()
  if (isMore) setPending(Pending.Ready)
  if (ports.trace !== null) ports.trace.event(TRACE_RESUME, thread, status)
  const record = threadRecords.get(thread)
  if (record === undefined) startThread(thread)
  else resume(record, status)
}
const TRACE_RESUME = 4

function pickReady(head: number): number {
  const first = read32(head) - Thread.QueueListEntry
  if (ports.oracle.inOrder) return first
  const ready: number[] = []
  for (let entry = read32(head); entry !== head; entry = read32(entry)) ready.push(entry - Thread.QueueListEntry)
  return ready[ports.oracle.choose(ready.length, 'ready thread')] ?? first
}

function resume(record: ThreadRecord, status: number): void {
  const settle = record.resume
  record.resume = null
  record.waitSite = null
  settle?.(status)
}

/**
 * A wait began on this processor, and code of it came to an interruption point again. If it is the thread that
 * waits, it went on without its `await`.
 */
function checkSuspended(): void {
  clearPending(Pending.Suspend)
  const record = storedRecord()
  if (record !== undefined) assertNotWaiting(record)
}

/** Bug checks when a thread calls the kernel although its own wait is outstanding. */
export function assertNotWaiting(record: ThreadRecord): void {
  if (record.resume === null) return
  bugCheck({
    code: BugCode.DRIVER_VIOLATION,
    parameters: [3, record.address],
    message:
      'a wait was begun here and its result not awaited: the thread went on while it waits; write `await` before the call',
    stack: record.waitSite?.stack,
  })
}

/** Plugs delivery into the interruption points. */
export function plugDelivery(): void {
  delivery.deliver = deliver
  delivery.checkSuspended = checkSuspended
}
