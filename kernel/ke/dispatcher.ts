/**
 * The dispatcher: which threads wait for what, which are ready, and the one lock that guards both.
 *
 * Everything here is called with the dispatcher lock held, but for `lockDispatcher` itself. The holder passes no
 * interruption point, so on its own processor nobody can want the lock meanwhile.
 *
 * Why no wake-up is lost: a thread looks at the object's state and queues its wait block under the lock; who signals
 * the object does so under the same lock. The signaller moves the thread to its processor's ready list and then sets
 * that processor's ready bit; the processor clears the bit before it looks at the list (`resumeReady`).
 */
import * as list from '../rtl/list.ts'
import * as access from '../mm/access.ts'
import { STATUS_ABANDONED, STATUS_MUTANT_LIMIT_EXCEEDED } from '../rtl/status.ts'
import { raiseStatus } from './exception.ts'
import { KMUTANT, KSEMAPHORE, KTHREAD, KWAIT_BLOCK, ObjectType, ThreadState, DISPATCHER_HEADER } from './layouts.ts'
import * as kpcr from './pcr.ts'
import { acquireWord, releaseWord } from './spin.ts'
import { removeTimer } from './timerqueue.ts'

// Looked up once: an imported name is looked up at each use (decision 0041).
const { initializeList, insertTail, isEmpty, removeEntry } = list
const { read16, read32, read8, write32, write8 } = access
const { Machine, Pcr, pcrOf, Pending, requestProcessor } = kpcr

const { Type, SignalState, WaitListHead, Size } = DISPATCHER_HEADER.offsets
const { OwnerThread, MutantListEntry, Abandoned, ApcDisable } = KMUTANT.offsets
const Thread = KTHREAD.offsets
const Block = KWAIT_BLOCK.offsets
export const WAIT_BLOCK_SIZE = KWAIT_BLOCK.size

export const WaitAll = 0
export const WaitAny = 1

/** Takes the dispatcher lock. */
export function lockDispatcher(): void {
  acquireWord(Machine.DispatcherLock)
}

export function unlockDispatcher(): void {
  releaseWord(Machine.DispatcherLock)
}

/** Writes what KeInitialize… of a dispatcher object writes: type, size, state and list head, no other byte. */
export function initializeHeader(object: number, type: number, size: number, state: number): void {
  write8(object + Type, type)
  write8(object + Size, size >> 2)
  write32(object + SignalState, state)
  initializeList(object + WaitListHead)
}

/** True when a wait of `thread` for `object` would be satisfied now. */
export function isSatisfiable(object: number, thread: number): boolean {
  if (read32(object + SignalState) > 0) return true
  return read8(object + Type) === ObjectType.MutantObject && read32(object + OwnerThread) === thread
}

/** Takes the side effect of a satisfied wait; gives back STATUS_ABANDONED for an abandoned mutex, else 0. */
export function satisfy(object: number, thread: number): number {
  switch (read8(object + Type)) {
    case ObjectType.EventSynchronizationObject:
    case ObjectType.TimerSynchronizationObject:
      write32(object + SignalState, 0)
      return 0
    case ObjectType.SemaphoreObject:
      write32(object + SignalState, read32(object + SignalState) - 1)
      return 0
    case ObjectType.MutantObject:
      return ownMutant(object, thread)
    default:
      return 0 // notification objects stay signalled
  }
}

const MINLONG = 0x80000000 | 0

function ownMutant(mutant: number, thread: number): number {
  const state = read32(mutant + SignalState)
  if (state === MINLONG) {
    unlockDispatcher()
    raiseStatus(STATUS_MUTANT_LIMIT_EXCEEDED)
  }
  write32(mutant + SignalState, state - 1)
  if (state !== 1) return 0
  write32(mutant + OwnerThread, thread)
  insertTail(thread + Thread.MutantListHead, mutant + MutantListEntry)
  changeKernelApcDisable(thread, -read8(mutant + ApcDisable))
  const wasAbandoned = read8(mutant + Abandoned) !== 0
  write8(mutant + Abandoned, 0)
  return wasAbandoned ? STATUS_ABANDONED : 0
}

/** Moves a thread's count of critical regions by `delta`. */
export function changeKernelApcDisable(thread: number, delta: number): void {
  const counts = thread + Thread.KernelApcDisable
  const disable = ((read16(counts) << 16) >> 16) + delta
  writeShort(counts, disable)
}

function writeShort(address: number, value: number): void {
  write8(address, value & 0xff)
  write8(address + 1, (value >> 8) & 0xff)
}

/** Queues the wait blocks of `thread`, `count` of them from `blocks` on. */
export function linkWaitBlocks(thread: number, blocks: number, count: number): void {
  write32(thread + Thread.WaitBlockList, blocks)
  write32(thread + Thread.WaitBlockCount, count)
  for (let index = 0; index < count; index++) {
    const block = blocks + index * WAIT_BLOCK_SIZE
    insertTail(read32(block + Block.Object) + WaitListHead, block + Block.WaitListEntry)
    write8(block + Block.IsLinked, 1)
  }
}

/**
 * Serves the waiters of `object`, oldest first, as long as it is signalled.
 *
 * A WaitAll thread takes all of its objects at once or none of them.
 */
export function serveWaiters(object: number): void {
  const head = object + WaitListHead
  let entry = read32(head)
  while (entry !== head && read32(object + SignalState) > 0) {
    const next = read32(entry)
    const block = entry - Block.WaitListEntry
    const thread = read32(block + Block.Thread)
    const status = trySatisfyBlock(block, thread, object)
    if (status < 0) {
      entry = next
      continue
    }
    unwait(thread, status)
    entry = read32(head) // the thread's other blocks may have stood in this list as well
  }
}

/** The status with which the wait that `block` belongs to ends now, or -1. */
function trySatisfyBlock(block: number, thread: number, object: number): number {
  const key = read16(block + Block.WaitKey)
  if (read8(block + Block.WaitType) === WaitAny) return satisfy(object, thread) + key
  return satisfyAll(thread, read32(thread + Thread.WaitBlockList), read32(thread + Thread.WaitBlockCount))
}

/** Takes every object of a WaitAll, or none and gives back -1. */
export function satisfyAll(thread: number, blocks: number, count: number): number {
  for (let index = 0; index < count; index++) {
    const object = read32(blocks + index * WAIT_BLOCK_SIZE + Block.Object)
    if (!isSatisfiable(object, thread)) return -1
  }
  let status = 0
  for (let index = 0; index < count; index++) {
    status |= satisfy(read32(blocks + index * WAIT_BLOCK_SIZE + Block.Object), thread)
  }
  return status
}

/** Ends the wait of `thread` with `status` and makes it ready. */
export function unwait(thread: number, status: number): void {
  unlinkWaitBlocks(thread)
  write32(thread + Thread.WaitStatus, status)
  makeReady(thread)
}

function unlinkWaitBlocks(thread: number): void {
  const blocks = read32(thread + Thread.WaitBlockList)
  const count = read32(thread + Thread.WaitBlockCount)
  for (let index = 0; index < count; index++) unlinkBlock(blocks + index * WAIT_BLOCK_SIZE)
  write32(thread + Thread.WaitBlockCount, 0)
  removeTimer(thread + Thread.Timer)
}

function unlinkBlock(block: number): void {
  if (read8(block + Block.IsLinked) === 0) return
  removeEntry(block + Block.WaitListEntry)
  write8(block + Block.IsLinked, 0)
}

/** Puts a thread at the end of its processor's ready list for its priority. */
export function makeReady(thread: number): void {
  const processor = read32(thread + Thread.Processor)
  const priority = read32(thread + Thread.Priority) & 31
  const pcr = pcrOf(processor)
  write8(thread + Thread.State, ThreadState.Ready)
  insertTail(readyList(pcr, priority), thread + Thread.QueueListEntry)
  write32(pcr + Pcr.ReadySummary, read32(pcr + Pcr.ReadySummary) | (1 << priority))
  requestProcessor(processor, Pending.Ready)
}

export const readyList = (pcr: number, priority: number): number => pcr + Pcr.ReadyLists + priority * 8

/** The highest priority that has a ready thread; -1 when there is none. */
export const highestReady = (pcr: number): number => 31 - Math.clz32(read32(pcr + Pcr.ReadySummary))

/** Takes `thread` off its ready list. */
export function takeReady(pcr: number, thread: number, priority: number): void {
  removeEntry(thread + Thread.QueueListEntry)
  const list = readyList(pcr, priority)
  if (isEmpty(list)) write32(pcr + Pcr.ReadySummary, read32(pcr + Pcr.ReadySummary) & ~(1 << priority))
}

/** Limit of a semaphore. */
export const semaphoreLimit = (semaphore: number): number => read32(semaphore + KSEMAPHORE.offsets.Limit)
