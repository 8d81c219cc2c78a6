/** The filter manager's push lock routines: those of `ex`, in a critical region that they enter and leave themselves. */
import * as access from '../mm/access.ts'
import { load } from '../ex/pushlock-waiters.ts'
import {
  acquireExclusiveInRegion,
  acquireSharedInRegion,
  type EX_PUSH_LOCK,
  misaligned,
  releasePushLock,
} from '../ex/pushlock.ts'
import { Violation, violation } from '../ex/verify.ts'
import { enterCriticalRegion, leaveCriticalRegion } from '../ke/apc.ts'
import { APC_LEVEL, enter, point } from '../ke/level.ts'
import * as kpcr from '../ke/pcr.ts'

// Looked up once: an imported name is looked up at each use (decision 0041).
const { write32 } = access
const { cpu } = kpcr

/** FLT_PUSH_LOCK_FLAGS. Threads have no priorities to boost here, so both are accepted and change nothing. */
export const FLT_PUSH_LOCK_ENABLE_AUTO_BOOST = 0x1
export const FLT_PUSH_LOCK_DISABLE_AUTO_BOOST = 0x2
export const FLT_PUSH_LOCK_VALID_FLAGS = FLT_PUSH_LOCK_ENABLE_AUTO_BOOST | FLT_PUSH_LOCK_DISABLE_AUTO_BOOST

/**
 * Makes a push lock free.
 *
 * @irql <= APC_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/fltkernel/nf-fltkernel-fltinitializepushlock
 */
export function FltInitializePushLock(PushLock: EX_PUSH_LOCK): void {
  enter(APC_LEVEL, 'FltInitializePushLock')
  if (cpu.checked && (PushLock.address & 3) !== 0) misaligned(PushLock.address)
  write32(PushLock.address, 0)
}

/**
 * Enters a critical region and takes a push lock for the caller alone. Not recursive: a thread that holds it already
 * waits for ever.
 *
 * @irql <= APC_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/fltkernel/nf-fltkernel-fltacquirepushlockexclusive
 */
export function FltAcquirePushLockExclusive(PushLock: EX_PUSH_LOCK): void | Promise<void> {
  point()
  enterCriticalRegion()
  return acquireExclusiveInRegion(PushLock.address)
}

/**
 * Enters a critical region and takes a push lock together with other shared holders. A second shared acquire is
 * granted only while no exclusive request waits.
 *
 * @irql <= APC_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/fltkernel/nf-fltkernel-fltacquirepushlockshared
 */
export function FltAcquirePushLockShared(PushLock: EX_PUSH_LOCK): void | Promise<void> {
  point()
  enterCriticalRegion()
  return acquireSharedInRegion(PushLock.address)
}

/**
 * Gives back one hold, of whichever mode, and leaves the critical region.
 *
 * @irql <= APC_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/fltkernel/nf-fltkernel-fltreleasepushlock
 */
export function FltReleasePushLock(PushLock: EX_PUSH_LOCK): void {
  enter(APC_LEVEL, 'FltReleasePushLock')
  releasePushLock(PushLock.address)
  leaveCriticalRegion()
}

/**
 * Ends the use of a push lock, which nobody may hold. It frees no memory.
 *
 * @irql <= APC_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/fltkernel/nf-fltkernel-fltdeletepushlock
 */
export function FltDeletePushLock(PushLock: EX_PUSH_LOCK): void {
  enter(APC_LEVEL, 'FltDeletePushLock')
  if (!cpu.checked || load(PushLock.address) === 0) return
  violation(
    Violation.DELETED_WHILE_OWNED,
    [PushLock.address],
    'a push lock was deleted while somebody holds it or waits for it',
  )
}

/**
 * FltAcquirePushLockExclusive with `Flags`: auto-boost, on or off.
 *
 * @irql <= APC_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/fltkernel/nf-fltkernel-fltacquirepushlockexclusiveex
 */
export function FltAcquirePushLockExclusiveEx(PushLock: EX_PUSH_LOCK, _Flags: number): void | Promise<void> {
  return FltAcquirePushLockExclusive(PushLock)
}

/**
 * FltAcquirePushLockShared with `Flags`: auto-boost, on or off.
 *
 * @irql <= APC_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/fltkernel/nf-fltkernel-fltacquirepushlocksharedex
 */
export function FltAcquirePushLockSharedEx(PushLock: EX_PUSH_LOCK, _Flags: number): void | Promise<void> {
  return FltAcquirePushLockShared(PushLock)
}

/**
 * FltReleasePushLock with the `Flags` of the acquire.
 *
 * @irql <= APC_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/fltkernel/nf-fltkernel-fltreleasepushlockex
 */
export function FltReleasePushLockEx(PushLock: EX_PUSH_LOCK, _Flags: number): void {
  FltReleasePushLock(PushLock)
}
