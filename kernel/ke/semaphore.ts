/** Semaphores (KSEMAPHORE): a count that waits take from. */
import { read32, write32 } from '../mm/access.ts'
import { STATUS_SEMAPHORE_LIMIT_EXCEEDED } from '../rtl/status.ts'
import { initializeHeader, lockDispatcher, serveWaiters, unlockDispatcher } from './dispatcher.ts'
import { raiseForWait } from './event.ts'
import { raiseStatus } from './exception.ts'
import { DISPATCHER_HEADER, KSEMAPHORE, ObjectType } from './layouts.ts'
import { DISPATCH_LEVEL, enter, PASSIVE_LEVEL, point } from './level.ts'

const { SignalState } = DISPATCHER_HEADER.offsets
const { Limit } = KSEMAPHORE.offsets

/** Writes the header of a semaphore that nobody waits for. */
export function initializeSemaphore(semaphore: number, count: number, limit: number): void {
  initializeHeader(semaphore, ObjectType.SemaphoreObject, KSEMAPHORE.size, count)
  write32(semaphore + Limit, limit)
}

/** Adds `adjustment`; gives back the count before. Raises when the limit would be passed. */
export function releaseSemaphore(semaphore: number, adjustment: number): number {
  lockDispatcher()
  const before = read32(semaphore + SignalState)
  const after = before + adjustment
  if (after > read32(semaphore + Limit) || after < before) {
    unlockDispatcher()
    raiseStatus(STATUS_SEMAPHORE_LIMIT_EXCEEDED)
  }
  write32(semaphore + SignalState, after)
  if (before === 0) serveWaiters(semaphore)
  unlockDispatcher()
  return before
}

/**
 * Sets up a semaphore with `Count` to take, and never more than `Limit`.
 *
 * @irql PASSIVE_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-keinitializesemaphore
 */
export function KeInitializeSemaphore(Semaphore: KSEMAPHORE, Count: number, Limit_: number): void {
  enter(PASSIVE_LEVEL, 'KeInitializeSemaphore')
  initializeSemaphore(Semaphore.address, Count, Limit_)
}

/**
 * Adds `Adjustment` to the count. Raises STATUS_SEMAPHORE_LIMIT_EXCEEDED, with nothing changed, when that passes the
 * limit.
 *
 * @irql <= DISPATCH_LEVEL; PASSIVE_LEVEL when Wait is TRUE
 * @returns the count before; 0 when it was not signalled
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kereleasesemaphore
 */
export function KeReleaseSemaphore(
  Semaphore: KSEMAPHORE,
  _Increment: number,
  Adjustment: number,
  Wait: boolean,
): number {
  enter(Wait ? PASSIVE_LEVEL : DISPATCH_LEVEL, 'KeReleaseSemaphore')
  const before = releaseSemaphore(Semaphore.address, Adjustment)
  raiseForWait(Wait)
  return before
}

/**
 * The count of a semaphore.
 *
 * @irql any
 * @returns 0 when it is not signalled
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kereadstatesemaphore
 */
export function KeReadStateSemaphore(Semaphore: KSEMAPHORE): number {
  point()
  return read32(Semaphore.address + SignalState)
}
