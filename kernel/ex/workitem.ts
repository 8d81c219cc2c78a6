/**
 * Work items: routines that a system thread calls at PASSIVE_LEVEL, for those who run higher.
 *
 * Each processor has a queue for each WORK_QUEUE_TYPE. An item is served by the processor that queued it, in order.
 * Worker threads are made when they are needed: a worker that takes an item and leaves others behind sees to it that
 * one more worker is ready, which runs if this one waits. Workers never end.
 */
import { atomicCompareExchange, atomicLoad, read32, readU32, write32, write8 } from '../mm/access.ts'
import { allocate, free } from '../mm/pool.ts'
import { initializeList, insertTail, LIST_ENTRY, removeHead } from '../rtl/list.ts'
import { LONG, loadPvoid, PVOID, type Pvoid, storePvoid, struct, ULONG } from '../rtl/struct.ts'
import { BugCode } from '../ke/bugcodes.ts'
import { bugCheck, escapedException, stopped } from '../ke/bugcheck.ts'
import { areApcsDisabled } from '../ke/apc.ts'
import { kernelRoutine, routineId, routineOf } from '../ke/image.ts'
import { KSEMAPHORE, KTHREAD } from '../ke/layouts.ts'
import { currentIrql, DISPATCH_LEVEL, enter, levelName, PASSIVE_LEVEL, point } from '../ke/level.ts'
import { ownsMutants } from '../ke/mutex.ts'
import { cpu, Root } from '../ke/pcr.ts'
import { initializeSemaphore, releaseSemaphore } from '../ke/semaphore.ts'
import { acquireWord, releaseWord } from '../ke/spin.ts'
import { initializeThread, readyThread } from '../ke/start.ts'
import { currentThread } from '../ke/thread.ts'
import { waitUnnoted } from '../ke/wait.ts'
import { apcDisableCounts } from './verify.ts'

/** WORK_QUEUE_TYPE */
export const CriticalWorkQueue = 0
export const DelayedWorkQueue = 1
export const HyperCriticalWorkQueue = 2
export const NormalWorkQueue = 3
export const BackgroundWorkQueue = 4
export const RealTimeWorkQueue = 5
export const SuperCriticalWorkQueue = 6
export const MaximumWorkQueue = 7

/** Priorities of the workers, by WORK_QUEUE_TYPE. */
const PRIORITIES = [13, 12, 15, 8, 7, 18, 14]

export type WORKER_THREAD_ROUTINE<C extends Pvoid> = (Parameter: C) => void | Promise<void>

/** The queuer's until it is queued, then the queue's, and the routine's from the moment that it is called. */
export const WORK_QUEUE_ITEM = struct('WORK_QUEUE_ITEM', {
  List: LIST_ENTRY, // Flink is NULL while it is in no queue
  WorkerRoutine: ULONG, // routine id
  Parameter: PVOID,
})
export interface WORK_QUEUE_ITEM extends InstanceType<typeof WORK_QUEUE_ITEM> {}

/** Guarded by Lock. */
const WORK_QUEUE = struct('WORK_QUEUE', {
  Lock: ULONG,
  Head: LIST_ENTRY,
  Items: KSEMAPHORE, // one count for each item
  Pending: LONG, // items in the list
  Free: LONG, // workers that run no item
  Workers: LONG,
  Type: ULONG,
  Processor: ULONG,
})

const Item = WORK_QUEUE_ITEM.offsets
const Queue = WORK_QUEUE.offsets
const Thread = KTHREAD.offsets

/** As many workers as that of one queue may wait at a time. */
const MAXIMUM_WORKERS = 64
const MAXIMUM_ITEMS = 0x7fffffff

/** Makes a worker's thread, which does not run yet, or 0; `ps` plugs in one that makes thread objects. */
export const workerThreads = {
  create(routine: number, context: Pvoid, processor: number): number {
    const thread = allocate(KTHREAD.size, 'ExWk')
    if (thread === 0) return 0
    initializeThread(thread, { routine, context, processor, process: read32(Root.PsSystemProcess) })
    write8(thread + Thread.IsSystemThread, 1)
    return thread
  },
}

const add = (word: number, delta: number): void => write32(word, read32(word) + delta)

/** Address of the first queue: those of processor 0, then those of 1, and so on. 0 if there is no memory. */
function workQueues(): number {
  const known = atomicLoad(Root.ExWorkQueues)
  if (known !== 0) return known
  const queues = allocate(cpu.count * MaximumWorkQueue * WORK_QUEUE.size, 'ExWq')
  if (queues === 0) return 0
  for (let index = 0; index < cpu.count * MaximumWorkQueue; index++)
    initializeQueue(queues + index * WORK_QUEUE.size, index)
  const winner = atomicCompareExchange(Root.ExWorkQueues, 0, queues)
  if (winner === 0) return queues
  free(queues) // another processor was first
  return winner
}

function initializeQueue(queue: number, index: number): void {
  initializeList(queue + Queue.Head)
  initializeSemaphore(queue + Queue.Items, 0, MAXIMUM_ITEMS)
  write32(queue + Queue.Type, index % MaximumWorkQueue)
  write32(queue + Queue.Processor, Math.floor(index / MaximumWorkQueue))
}

/** Writes an item that calls `routine`, an id, with `parameter`. */
export function initializeWorkItem(item: number, routine: number, parameter: Pvoid): void {
  write32(item + Item.List, 0)
  write32(item + Item.WorkerRoutine, routine)
  storePvoid(item + Item.Parameter, parameter)
}

/** Whether the item waits to be served: until then its memory must stay. */
export const isQueued = (item: number): boolean => atomicLoad(item + Item.List) !== 0

/** Queues an item, on this processor unless another is named. At or below DISPATCH_LEVEL. */
export function queueWorkItem(item: number, type: number, processor: number = cpu.number): void {
  if (!(type >= 0 && type < MaximumWorkQueue)) wrongQueue(item, type)
  if (isQueued(item)) queuedTwice(item)
  const queues = workQueues()
  if (queues === 0) outOfMemory(item)
  const queue = queues + (processor * MaximumWorkQueue + type) * WORK_QUEUE.size
  acquireWord(queue + Queue.Lock)
  insertTail(queue + Queue.Head, item + Item.List)
  add(queue + Queue.Pending, 1)
  const isNeeded = claimWorker(queue)
  releaseWord(queue + Queue.Lock)
  releaseSemaphore(queue + Queue.Items, 1)
  if (isNeeded) startWorker(queue)
}

/** Counts one worker more when items wait and nobody is free; the lock is held. */
function claimWorker(queue: number): boolean {
  if (read32(queue + Queue.Free) > 0 || read32(queue + Queue.Pending) === 0) return false
  if (read32(queue + Queue.Workers) >= MAXIMUM_WORKERS) return false
  add(queue + Queue.Workers, 1)
  add(queue + Queue.Free, 1)
  return true
}

/** Makes the worker that was claimed. Without memory the workers that there are serve the queue. */
function startWorker(queue: number): void {
  const thread = workerThreads.create(routineId(workerThread), queue, read32(queue + Queue.Processor))
  if (thread === 0) {
    acquireWord(queue + Queue.Lock)
    add(queue + Queue.Workers, -1)
    add(queue + Queue.Free, -1)
    releaseWord(queue + Queue.Lock)
    return
  }
  const priority = PRIORITIES[read32(queue + Queue.Type)] as number
  write32(thread + Thread.Priority, priority)
  write32(thread + Thread.BasePriority, priority)
  readyThread(thread)
}

/** What a worker thread runs. */
const workerThread = kernelRoutine(async (queue: number): Promise<void> => {
  for (;;) {
    await waitUnnoted(queue + Queue.Items)
    await serve(takeItem(queue))
    acquireWord(queue + Queue.Lock)
    add(queue + Queue.Free, 1)
    releaseWord(queue + Queue.Lock)
  }
})

/** Takes the first item; the semaphore says that there is one. */
function takeItem(queue: number): number {
  acquireWord(queue + Queue.Lock)
  const item = removeHead(queue + Queue.Head) - Item.List
  write32(item + Item.List, 0)
  add(queue + Queue.Pending, -1)
  add(queue + Queue.Free, -1)
  const isNeeded = claimWorker(queue)
  releaseWord(queue + Queue.Lock)
  if (isNeeded) startWorker(queue)
  return item
}

/** Calls the routine of an item. The item's memory is the routine's then: it may free it, or queue it again. */
async function serve(item: number): Promise<void> {
  const id = read32(item + Item.WorkerRoutine)
  const parameter = readU32(item + Item.Parameter)
  const routine = routineOf(id)
  const name = routine.name === '' ? 'a work item routine' : `work item routine ${routine.name}`
  try {
    const result: unknown = routine(loadPvoid(item + Item.Parameter))
    // Before an await: a routine that came back raised would take the whole processor with it.
    if (currentIrql() >= DISPATCH_LEVEL) returnedRaised(name, id, parameter, item)
    if (result instanceof Promise) await result
  } catch (error) {
    if (stopped.error !== null) throw error
    escapedException(error, name)
  }
  if (currentIrql() !== PASSIVE_LEVEL) returnedRaised(name, id, parameter, item)
  if (ownsMutants(currentThread())) returnedOwning(name, id, parameter, item)
  if (cpu.checked && areApcsDisabled()) returnedInRegion(name, id)
}

function returnedRaised(name: string, routine: number, parameter: number, item: number): never {
  const irql = currentIrql()
  return bugCheck({
    code: BugCode.WORKER_THREAD_RETURNED_AT_BAD_IRQL,
    parameters: [routine, irql, parameter, item],
    message: `${name} was called at PASSIVE_LEVEL and returned at ${levelName(irql)}; lower the IRQL before the return`,
  })
}

function returnedOwning(name: string, routine: number, parameter: number, item: number): never {
  return bugCheck({
    code: BugCode.SYSTEM_EXIT_OWNED_MUTEX,
    parameters: [routine, parameter, item],
    message: `${name} returned while it owns a mutex; release it before the return`,
  })
}

const WORKER_ROUTINE_CALL = 1

function returnedInRegion(name: string, routine: number): never {
  return bugCheck({
    code: BugCode.APC_INDEX_MISMATCH,
    parameters: [routine, 0, apcDisableCounts(), WORKER_ROUTINE_CALL],
    message: `${name} returned in a critical or guarded region that it entered; leave it before the return`,
  })
}

function queuedTwice(item: number): never {
  return bugCheck({
    code: BugCode.WORKER_INVALID,
    parameters: [1, item],
    message: 'a work item was queued that is queued already; queue it again once its routine runs',
  })
}

function wrongQueue(item: number, type: number): never {
  return bugCheck({
    code: BugCode.WORKER_INVALID,
    parameters: [5, item, type],
    message: `there is no work queue ${type}; use DelayedWorkQueue or CriticalWorkQueue`,
  })
}

function outOfMemory(item: number): never {
  return bugCheck({
    code: BugCode.WORKER_INVALID,
    parameters: [6, item],
    message: 'there is no memory for the work queues, which the first work item makes',
  })
}

/**
 * Makes a work item that calls `Routine` with `Context`. The routine may be async.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exinitializeworkitem
 */
export function ExInitializeWorkItem<C extends Pvoid>(
  Item: WORK_QUEUE_ITEM,
  Routine: WORKER_THREAD_ROUTINE<C>,
  Context: C,
): void {
  point()
  initializeWorkItem(Item.address, routineId(Routine), Context)
}

/**
 * Queues a work item: a system thread of this processor calls its routine at PASSIVE_LEVEL. The routine may free the
 * item or queue it again.
 *
 * @irql <= DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exqueueworkitem
 */
export function ExQueueWorkItem(WorkItem: WORK_QUEUE_ITEM, QueueType: number): void {
  enter(DISPATCH_LEVEL, 'ExQueueWorkItem')
  queueWorkItem(WorkItem.address, QueueType)
}
