/** Threads begin and end. The thread's KTHREAD is made by whoever creates it; here it runs, on its own processor. */
import { read32, readU32, write32, write8 } from '../mm/access.ts'
import { allocate } from '../mm/pool.ts'
import { mem } from '../mm/memory.ts'
import { ports } from '../ports/ports.ts'
import { initializeList, insertTail, removeEntry } from '../rtl/list.ts'
import { STATUS_SUCCESS } from '../rtl/status.ts'
import { type Pvoid, pvoidOf, storePvoid } from '../rtl/struct.ts'
import { BugCode } from './bugcodes.ts'
import { bugCheck, escapedException, stopped } from './bugcheck.ts'
import { initializeHeader, lockDispatcher, makeReady, serveWaiters, unlockDispatcher } from './dispatcher.ts'
import { routineOf } from './image.ts'
import { DISPATCHER_HEADER, KTHREAD, KTIMER, ObjectType, ThreadState } from './layouts.ts'
import { cpu, Machine, Pcr, Root } from './pcr.ts'
import { abandonMutants, ownsMutexes } from './mutex.ts'
import { forgetCurrent, ThreadRecord, threadRecords, threadStore } from './thread.ts'
import { initializeTimer, TIMEOUT_MARK } from './timer.ts'
import { NotificationTimer } from './timer.ts'

const Thread = KTHREAD.offsets
const { SignalState } = DISPATCHER_HEADER.offsets

/** Priority of a thread that says nothing else. */
export const NORMAL_PRIORITY = 8

/** Thrown to unwind a thread that ends itself. */
export class ThreadExit extends Error {
  override name = 'ThreadExit'
  readonly status: number
  constructor(status: number) {
    super('this thread has ended itself')
    this.status = status
  }
}

/** Called when a thread has ended; plugged by `ps`, which drops the object's reference. */
export const onThreadEnd: { run: (thread: number) => void } = { run: () => {} }

export interface NewThread {
  routine: number
  context: Pvoid
  processor: number
  process: number
}

/** Writes a KTHREAD at `thread`, in zeroed memory. */
export function initializeThread(thread: number, { routine, context, processor, process }: NewThread): void {
  initializeHeader(thread, ObjectType.ThreadObject, KTHREAD.size, 0)
  initializeList(thread + Thread.MutantListHead)
  initializeList(thread + Thread.IrpListHead)
  initializeTimer(thread + Thread.Timer, NotificationTimer)
  write32(thread + Thread.Timer + KTIMER.offsets.Dpc, TIMEOUT_MARK)
  write32(thread + Thread.Processor, processor)
  write32(thread + Thread.Process, process)
  write32(thread + Thread.StartRoutine, routine)
  storePvoid(thread + Thread.StartContext, context)
  write32(thread + Thread.Priority, NORMAL_PRIORITY)
  write32(thread + Thread.BasePriority, NORMAL_PRIORITY)
  write32(thread + Thread.ThreadId, Atomics.add(mem.i32, Machine.NextThreadId >> 2, 4) + 4)
  write8(thread + Thread.State, ThreadState.Initialized)
}

/** Lets a thread that was written run. */
export function readyThread(thread: number): void {
  lockDispatcher()
  insertTail(Root.PsActiveThreads, thread + Thread.ThreadListEntry)
  makeReady(thread)
  unlockDispatcher()
}

/** Makes this processor's idle thread: what runs while no other does. */
export function createIdleThread(): void {
  const thread = allocate(KTHREAD.size, 'Idle', 0)
  initializeThread(thread, { routine: 0, context: null, processor: cpu.number, process: 0 })
  write8(thread + Thread.State, ThreadState.Running)
  write8(thread + Thread.IsSystemThread, 1)
  write32(cpu.pcr + Pcr.IdleThread, thread)
  forgetCurrent()
}

/** Begins a thread on this processor; it runs until its first wait. */
export function startThread(thread: number): void {
  const record = new ThreadRecord(thread, { ...mem })
  threadRecords.set(thread, record)
  threadStore.run(record, () => {
    void runThread(record).finally(() => record.onSettled?.())
  })
}

async function runThread(record: ThreadRecord): Promise<void> {
  const thread = record.address
  let status = STATUS_SUCCESS
  try {
    const routine = routineOf(read32(thread + Thread.StartRoutine))
    const context = pvoidOf(readU32(thread + Thread.StartContext), readU32(thread + Thread.StartContext + 4))
    await routine(context)
  } catch (error) {
    if (error instanceof ThreadExit) status = error.status
    else if (!reportEscape(error, record)) return
  }
  try {
    endThread(record, status)
  } catch (error) {
    reportEscape(error, record) // a cancel routine of an IRP that the thread left behind
  }
}

/** An exception that a thread lets escape stops the machine; false when the machine has stopped already. */
function reportEscape(error: unknown, record: ThreadRecord): false {
  if (stopped.error !== null || record.memory.buffer !== mem.buffer) return false
  try {
    escapedException(error, 'a system thread')
  } catch {
    // reported: the machine has stopped, and this thread with it
  }
  return false
}

/** Signals the thread and leaves its mutants abandoned. */
function endThread(record: ThreadRecord, status: number): void {
  if (record.hasEnded || stopped.error !== null || record.memory.buffer !== mem.buffer) return
  const thread = record.address
  if (mayNotEnd(thread)) return
  record.hasEnded = true
  forgetCurrent()
  threadRecords.delete(thread)
  const irql = read32(thread + Thread.Irql)
  if (irql !== 0) cpu.apcLevelThreads -= irql
  lockDispatcher()
  write32(thread + Thread.ExitStatus, status)
  write8(thread + Thread.State, ThreadState.Terminated)
  removeEntry(thread + Thread.ThreadListEntry)
  abandonMutants(thread)
  write32(thread + SignalState, 1)
  serveWaiters(thread)
  unlockDispatcher()
  onThreadEnd.run(thread)
  ports.processor.schedulePass()
}

/** Stops the machine, and is true, when a thread ends with a mutex, or in a critical or guarded region. */
function mayNotEnd(thread: number): boolean {
  try {
    if (ownsMutexes(thread)) ownedAtExit(thread)
    const disabled = read32(thread + Thread.KernelApcDisable) // both counts
    if (disabled !== 0) disabledAtExit(disabled)
  } catch {
    return true // reported: the machine has stopped
  }
  return false
}

function ownedAtExit(thread: number): never {
  return bugCheck({
    code: BugCode.SYSTEM_EXIT_OWNED_MUTEX,
    parameters: [read32(thread + Thread.StartRoutine)],
    message: 'a system thread ended while it owned a mutex; release it first',
  })
}

function disabledAtExit(counts: number): never {
  return bugCheck({
    code: BugCode.KERNEL_APC_PENDING_DURING_EXIT,
    parameters: [0, counts],
    message: 'a thread ended in a critical or guarded region; leave what was entered, and enter what is left',
  })
}
