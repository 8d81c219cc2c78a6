/**
 * Waiting.
 *
 * A wait that can be satisfied at once returns the status itself, one that blocks a native promise. Both are right
 * behind an `await`. The promise is settled by `resumeReady` on the thread's own processor, whoever signalled the
 * object: so a thread stays on the processor that it was created for.
 */
import * as access from '../mm/access.ts'
import * as plugged from '../ports/ports.ts'
import {
  type NTSTATUS,
  STATUS_ABANDONED,
  STATUS_ABANDONED_WAIT_0,
  STATUS_ALERTED,
  STATUS_SUCCESS,
  STATUS_TIMEOUT,
} from '../rtl/status.ts'
import { BugCode } from './bugcodes.ts'
import { bugCheck } from './bugcheck.ts'
import {
  isSatisfiable,
  linkWaitBlocks,
  lockDispatcher,
  satisfy,
  satisfyAll,
  unlockDispatcher,
  unwait,
  WAIT_BLOCK_SIZE,
  WaitAll,
  WaitAny,
} from './dispatcher.ts'
import { KTHREAD, KWAIT_BLOCK, MAXIMUM_WAIT_OBJECTS, THREAD_WAIT_OBJECTS, ThreadState } from './layouts.ts'
import { APC_LEVEL, currentIrql, DISPATCH_LEVEL, levelName, lowerIrql, point } from './level.ts'
import * as kpcr from './pcr.ts'
import { currentRecord, currentThread, type ThreadRecord, threadStore } from './thread.ts'
import { checkTimeout, dueTimeOf, type Timeout } from './time.ts'
import { insertTimer } from './timerqueue.ts'

// Looked up once: an imported name is looked up at each use (decision 0041).
const { read32, read8, write16, write32, write8 } = access
const { ports } = plugged
const { cpu, Pending, setPending } = kpcr

export { WaitAll, WaitAny }
export const Executive = 0
export const UserRequest = 6
export const KernelMode = 0
export const UserMode = 1

/** Anything that begins with a DISPATCHER_HEADER: events, semaphores, mutexes, timers, threads. */
export interface DispatcherObject {
  readonly address: number
  readonly Header: { readonly SignalState: number }
}

/** A wait's result: the status now, or a promise of it. Always `await` it. */
export type WaitResult = NTSTATUS | Promise<NTSTATUS>

const Thread = KTHREAD.offsets
const Block = KWAIT_BLOCK.offsets

/** Satisfied waits since the last turn of the event loop; at the limit the next one goes through it. */
const quantum = { waits: 0 }
const WAITS_PER_TURN = 1000

/** Called when the event loop has turned. */
export function refillQuantum(): void {
  quantum.waits = 0
}

/**
 * Waits until `Object` is signalled, or the time is up.
 *
 * `Timeout`: null waits for ever; a negative number is relative in units of 100 ns; 0 asks without waiting; a bigint
 * is as in Windows: negative relative, positive the system time at which to stop.
 *
 * @irql <= DISPATCH_LEVEL; <= APC_LEVEL unless Timeout is 0
 * @returns STATUS_SUCCESS when the object was signalled; STATUS_ABANDONED for a mutex whose owner ended without
 *   releasing it, and which the caller owns now; STATUS_TIMEOUT; STATUS_ALERTED when Alertable and alerted
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kewaitforsingleobject
 */
export function KeWaitForSingleObject(
  Object: DispatcherObject,
  _WaitReason: number,
  WaitMode: number,
  Alertable: boolean,
  Timeout: Timeout,
): WaitResult {
  return waitForObject(Object.address, WaitMode, Alertable, Timeout, KeWaitForSingleObject)
}

/**
 * Waits until `Mutex` is free, or the time is up.
 *
 * @irql <= DISPATCH_LEVEL; <= APC_LEVEL unless Timeout is 0
 * @returns as KeWaitForSingleObject
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kewaitformutexobject
 */
export function KeWaitForMutexObject(
  Mutex: DispatcherObject,
  WaitReason: number,
  WaitMode: number,
  Alertable: boolean,
  Timeout: Timeout,
): WaitResult {
  return KeWaitForSingleObject(Mutex, WaitReason, WaitMode, Alertable, Timeout)
}

/** The routine that a driver called to wait: the line above it is the driver's. Null where no driver did. */
type Caller = ((...parameters: never[]) => unknown) | null

/** The wait for one object, by address: for the kernel's own use. */
export function waitForObject(
  object: number,
  mode = KernelMode,
  alertable = false,
  timeout: Timeout = null,
  caller: Caller = waitForObject,
): WaitResult {
  const record = beginWait(object, timeout)
  lockDispatcher()
  if (isSatisfiable(object, record.address)) {
    const status = satisfy(object, record.address)
    unlockDispatcher()
    return satisfiedAtOnce(status === STATUS_ABANDONED ? STATUS_ABANDONED_WAIT_0 : status)
  }
  const early = endsAtOnce(record.address, alertable, timeout)
  if (early !== null) return early
  fillBlock(record.address + Thread.WaitBlocks, record.address, object, STATUS_SUCCESS, WaitAny)
  return block(record, record.address + Thread.WaitBlocks, 1, mode, alertable, timeout, caller)
}

/** A wait of code that is the kernel's own, and does not forget its `await`: nobody looks for where it began. */
export const waitUnnoted = (object: number): WaitResult => waitForObject(object, KernelMode, false, null, null)

interface MultipleWait {
  Count: number
  Object: readonly DispatcherObject[]
  WaitType: number
  WaitReason: number
  WaitMode: number
  Alertable: boolean
  Timeout: Timeout
  WaitBlockArray: { readonly address: number } | null
}

/**
 * Waits for one (WaitAny) or all (WaitAll) of `Count` objects.
 *
 * Above THREAD_WAIT_OBJECTS (3) objects the caller gives a WaitBlockArray of KWAIT_BLOCKs in nonpaged memory.
 *
 * @irql <= DISPATCH_LEVEL; <= APC_LEVEL unless Timeout is 0
 * @returns STATUS_WAIT_0 + index of the object (WaitAny) or STATUS_SUCCESS (WaitAll); STATUS_ABANDONED_WAIT_0 + index;
 *   STATUS_TIMEOUT, after which nothing was taken; STATUS_ALERTED
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kewaitformultipleobjects
 */
export function KeWaitForMultipleObjects(wait: MultipleWait): WaitResult {
  const { Count, Object, WaitType, WaitMode, Alertable, Timeout, WaitBlockArray } = wait
  const record = beginWait(Object[0]?.address ?? 0, Timeout)
  if (Count > MAXIMUM_WAIT_OBJECTS || (WaitBlockArray === null && Count > THREAD_WAIT_OBJECTS)) tooMany(Count)
  const thread = record.address
  const blocks = WaitBlockArray === null ? thread + Thread.WaitBlocks : WaitBlockArray.address
  for (let index = 0; index < Count; index++) {
    fillBlock(blocks + index * WAIT_BLOCK_SIZE, thread, (Object[index] as DispatcherObject).address, index, WaitType)
  }
  lockDispatcher()
  const status = WaitType === WaitAll ? satisfyAll(thread, blocks, Count) : satisfyAny(thread, blocks, Count)
  if (status >= 0) {
    unlockDispatcher()
    return satisfiedAtOnce(status)
  }
  const early = endsAtOnce(thread, Alertable, Timeout)
  if (early !== null) return early
  return block(record, blocks, Count, WaitMode, Alertable, Timeout, KeWaitForMultipleObjects)
}

function satisfyAny(thread: number, blocks: number, count: number): number {
  for (let index = 0; index < count; index++) {
    const object = read32(blocks + index * WAIT_BLOCK_SIZE + Block.Object)
    if (isSatisfiable(object, thread)) return satisfy(object, thread) + index
  }
  return -1
}

/**
 * Lets `Interval` pass: negative relative in units of 100 ns, a positive bigint the system time to wait for.
 *
 * @irql <= APC_LEVEL
 * @returns STATUS_SUCCESS when the time has passed; STATUS_ALERTED
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kedelayexecutionthread
 */
export function KeDelayExecutionThread(WaitMode: number, Alertable: boolean, Interval: number | bigint): WaitResult {
  const record = beginWait(0, Interval === 0 || Interval === 0n ? -1 : Interval)
  lockDispatcher()
  const early = endsAtOnce(record.address, Alertable, null)
  if (early !== null) return early
  const waited = block(
    record,
    record.address + Thread.WaitBlocks,
    0,
    WaitMode,
    Alertable,
    Interval,
    KeDelayExecutionThread,
  )
  return waited.then(timeoutIsSuccess)
}

const timeoutIsSuccess = (status: NTSTATUS): NTSTATUS => (status === STATUS_TIMEOUT ? STATUS_SUCCESS : status)

/** Checks who may wait, and undoes the raise of a set with Wait TRUE. */
function beginWait(object: number, timeout: Timeout): ThreadRecord {
  const record = currentRecord()
  if (record !== undefined && read8(record.address + Thread.WaitNext) !== 0) {
    write8(record.address + Thread.WaitNext, 0)
    lowerIrql(read8(record.address + Thread.WaitIrql))
  } else {
    point()
  }
  checkTimeout(timeout)
  const isPoll = timeout === 0 || timeout === 0n
  const irql = currentIrql()
  if (irql > (isPoll ? DISPATCH_LEVEL : APC_LEVEL)) waitsTooHigh(irql, object, isPoll)
  if (record === undefined && !isPoll) waitsNowhere(object)
  return record ?? idleRecord()
}

/** The idle thread stands in where there is none: only a poll gets here. What it takes it owns, until it releases it. */
const idleRecord = (): ThreadRecord => ({ address: currentThread() }) as ThreadRecord

function waitsTooHigh(irql: number, object: number, isPoll: boolean): never {
  return bugCheck({
    code: irql === DISPATCH_LEVEL ? BugCode.ATTEMPTED_SWITCH_FROM_DPC : BugCode.IRQL_NOT_LESS_OR_EQUAL,
    parameters: irql === DISPATCH_LEVEL ? [currentRecord()?.address ?? 0, object] : [object, irql],
    message: `a wait ${isPoll ? 'above DISPATCH_LEVEL' : 'that may block'} was asked for at ${levelName(irql)}; wait at APC_LEVEL or below, or pass a Timeout of 0 at DISPATCH_LEVEL`,
  })
}

function waitsNowhere(object: number): never {
  return bugCheck({
    code: BugCode.ATTEMPTED_SWITCH_FROM_DPC,
    parameters: [0, object],
    message: threadStore.getStore()?.hasEnded
      ? 'a wait was asked for by code that a thread left behind when it ended; a thread awaits all that it starts'
      : 'a wait that may block was asked for outside a thread; use a system thread or a work item',
  })
}

function tooMany(count: number): never {
  return bugCheck({
    code: BugCode.MAXIMUM_WAIT_OBJECTS_EXCEEDED,
    message: `${count} objects to wait for: at most ${THREAD_WAIT_OBJECTS} without a WaitBlockArray, ${MAXIMUM_WAIT_OBJECTS} with one`,
  })
}

function fillBlock(block: number, thread: number, object: number, key: number, type: number): void {
  write32(block + Block.Thread, thread)
  write32(block + Block.Object, object)
  write16(block + Block.WaitKey, key)
  write8(block + Block.WaitType, type)
  write8(block + Block.IsLinked, 0)
}

/** Now and then a satisfied wait takes a turn of the event loop, so that nothing starves fs, timers or messages. */
function satisfiedAtOnce(status: NTSTATUS): WaitResult {
  quantum.waits += 1
  if (quantum.waits < WAITS_PER_TURN || currentIrql() >= DISPATCH_LEVEL) return status
  quantum.waits = 0
  return ports.processor.turn().then(() => status)
}

/** What ends a wait before it begins; the dispatcher lock is released then. */
function endsAtOnce(thread: number, alertable: boolean, timeout: Timeout): WaitResult | null {
  if (alertable && read8(thread + Thread.Alerted) !== 0) {
    write8(thread + Thread.Alerted, 0)
    unlockDispatcher()
    return satisfiedAtOnce(STATUS_ALERTED)
  }
  if (timeout === null) return null
  const isOver = timeout === 0 || timeout === 0n || dueTimeOf(timeout) <= ports.clock.now()
  if (!isOver) return null
  unlockDispatcher()
  return satisfiedAtOnce(STATUS_TIMEOUT)
}

/** Blocks the thread; gives back the dispatcher lock. */
function block(
  record: ThreadRecord,
  blocks: number,
  count: number,
  mode: number,
  alertable: boolean,
  timeout: Timeout,
  caller: Caller,
): Promise<NTSTATUS> {
  const thread = record.address
  if (timeout !== null) insertTimer(thread + Thread.Timer, dueTimeOf(timeout)) // first: it raises if there is no memory
  write8(thread + Thread.State, ThreadState.Waiting)
  write8(thread + Thread.WaitMode, mode)
  write8(thread + Thread.Alertable, alertable ? 1 : 0)
  linkWaitBlocks(thread, blocks, count)
  unlockDispatcher()
  quantum.waits += 1
  if (cpu.checked && caller !== null) noteWait(record, caller)
  return new Promise((resolve) => {
    record.resume = resolve
  })
}

/** A thread's first waits all say where they began; then one in so many does, since a stack costs 3 µs. */
const SITES_FIRST = 256
const SITES_THEN = 64

/** Remembers where the wait began; the next interruption point of the same run of code finds a forgotten `await`. */
function noteWait(record: ThreadRecord, caller: NonNullable<Caller>): void {
  setPending(Pending.Suspend)
  record.waits += 1
  if (record.waits > SITES_FIRST && record.waits % SITES_THEN !== 0) return
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 6
  const site: { stack?: string } = {}
  Error.captureStackTrace(site, caller)
  Error.stackTraceLimit = limit
  record.waitSite = site
}

/**
 * Ends an alertable wait of `Thread` with STATUS_ALERTED, or the next one that begins.
 *
 * @irql <= DISPATCH_LEVEL
 * @returns whether the thread was alerted already
 * @see https://learn.microsoft.com/windows-hardware/drivers/kernel/waits-and-apcs
 */
export function KeAlertThread(Thread_: { readonly address: number }, AlertMode: number): boolean {
  point()
  const thread = Thread_.address
  lockDispatcher()
  const was = read8(thread + Thread.Alerted) !== 0
  const isWaiting = read8(thread + Thread.State) === ThreadState.Waiting && read8(thread + Thread.Alertable) !== 0
  if (isWaiting && AlertMode <= read8(thread + Thread.WaitMode)) unwait(thread, STATUS_ALERTED)
  else write8(thread + Thread.Alerted, 1)
  unlockDispatcher()
  return was
}
