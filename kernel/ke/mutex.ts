/** Mutexes (KMUTEX) and mutants: owned by a thread, recursive, abandoned when their owner ends. */
import { read32, read8, write32, write8 } from '../mm/access.ts'
import { firstEntry, insertTail, isEmpty, removeEntry } from '../rtl/list.ts'
import { STATUS_ABANDONED, STATUS_MUTANT_NOT_OWNED } from '../rtl/status.ts'
import {
  changeKernelApcDisable,
  initializeHeader,
  lockDispatcher,
  serveWaiters,
  unlockDispatcher,
} from './dispatcher.ts'
import { raiseForWait } from './event.ts'
import { raiseStatus } from './exception.ts'
import { DISPATCHER_HEADER, KMUTANT, type KMUTEX, KTHREAD, ObjectType } from './layouts.ts'
import { DISPATCH_LEVEL, enter, point } from './level.ts'
import { currentThread } from './thread.ts'

const { SignalState } = DISPATCHER_HEADER.offsets
const { OwnerThread, Abandoned, ApcDisable, MutantListEntry } = KMUTANT.offsets
const { MutantListHead } = KTHREAD.offsets

/** Writes a mutant; one that is owned from the beginning belongs to the calling thread. */
export function initializeMutant(mutant: number, isOwned: boolean, apcDisable: number): void {
  initializeHeader(mutant, ObjectType.MutantObject, KMUTANT.size, isOwned ? 0 : 1)
  write8(mutant + Abandoned, 0)
  write8(mutant + ApcDisable, apcDisable)
  write32(mutant + OwnerThread, isOwned ? currentThread() : 0)
  if (!isOwned) return
  lockDispatcher()
  insertTail(currentThread() + MutantListHead, mutant + MutantListEntry)
  unlockDispatcher()
}

/** Gives up one acquisition; gives back the state before. Raises when `thread` does not own it. */
export function releaseMutant(mutant: number, thread: number): number {
  lockDispatcher()
  const before = read32(mutant + SignalState)
  if (read32(mutant + OwnerThread) !== thread) {
    const isAbandoned = read8(mutant + Abandoned) !== 0
    unlockDispatcher()
    raiseStatus(isAbandoned ? STATUS_ABANDONED : STATUS_MUTANT_NOT_OWNED)
  }
  write32(mutant + SignalState, before + 1)
  if (before === 0) {
    free(mutant)
    changeKernelApcDisable(thread, read8(mutant + ApcDisable))
    serveWaiters(mutant)
  }
  unlockDispatcher()
  return before
}

function free(mutant: number): void {
  removeEntry(mutant + MutantListEntry)
  write32(mutant + OwnerThread, 0)
}

/** Frees, as abandoned, what a thread that ends still owns. The dispatcher lock is held. */
export function abandonMutants(thread: number): void {
  const head = thread + MutantListHead
  while (!isEmpty(head)) {
    const mutant = firstEntry(head) - MutantListEntry
    free(mutant)
    write8(mutant + Abandoned, 1)
    write32(mutant + SignalState, 1)
    serveWaiters(mutant)
  }
}

/** Whether a thread owns a mutex or a mutant: a work item must not end so. */
export const ownsMutants = (thread: number): boolean => !isEmpty(thread + MutantListHead)

/** Whether a thread owns a mutex: it must not end so. What it owns of mutants is abandoned instead. */
export function ownsMutexes(thread: number): boolean {
  const head = thread + MutantListHead
  for (let entry = read32(head); entry !== head; entry = read32(entry)) {
    if (read8(entry - MutantListEntry + ApcDisable) !== 0) return true
  }
  return false
}

/**
 * Sets up a mutex that nobody owns. Owning it is a critical region.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-keinitializemutex
 */
export function KeInitializeMutex(Mutex: KMUTEX, _Level: number): void {
  point()
  initializeMutant(Mutex.address, false, 1)
}

/**
 * Gives up one acquisition of a mutex. Raises STATUS_MUTANT_NOT_OWNED, or STATUS_ABANDONED when its owner ended.
 *
 * @irql <= DISPATCH_LEVEL
 * @returns the state before: 0 when this call freed it, negative when the caller owns it still
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kereleasemutex
 */
export function KeReleaseMutex(Mutex: KMUTEX, Wait: boolean): number {
  enter(DISPATCH_LEVEL, 'KeReleaseMutex')
  const before = releaseMutant(Mutex.address, currentThread())
  raiseForWait(Wait)
  return before
}

/**
 * The state of a mutex.
 *
 * @irql <= DISPATCH_LEVEL
 * @returns 1 when it is free
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kereadstatemutex
 */
export function KeReadStateMutex(Mutex: KMUTEX): number {
  enter(DISPATCH_LEVEL, 'KeReadStateMutex')
  return read32(Mutex.address + SignalState)
}
