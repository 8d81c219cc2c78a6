/**
 * In-stack queued spin locks: who asks first gets the lock first.
 *
 * An MCS queue (Mellor-Crummey and Scott). The lock word holds the address of the last handle in the queue, so of the
 * holder's own when nobody waits, and 0 when the lock is free. Each waiter spins on the Lock word of its own handle.
 *
 * Why it is fair and loses nobody: the exchange on the lock word puts every contender behind exactly one other, and
 * that one stays the tail's predecessor until it has handed over. A waiter sets its WAIT bit before it links itself
 * to its predecessor, so the hand-over, which needs the link, cannot come before the bit that it clears. A holder
 * that finds no successor gives up the lock with a compare and exchange that fails if somebody has become the tail
 * meanwhile; that one is two stores away from linking itself and passes no interruption point until it has, so the
 * holder may spin for the link.
 */
import { atomicCompareExchange, atomicExchange, atomicLoad, atomicStore, read32, write32 } from '../mm/access.ts'
import { ports } from '../ports/ports.ts'
import { struct, UCHAR, ULONG } from '../rtl/struct.ts'
import { throwStopped } from './bugcheck.ts'
import { assertIrqlAtLeast, attend, DISPATCH_LEVEL, enter, lowerIrql, point, raiseIrql, SYNCH_LEVEL } from './level.ts'
import { cpu, Pcr, Pending } from './pcr.ts'
import {
  alreadyOwned,
  forgetHeld,
  isFreeUniprocessor,
  isHeld,
  type KSPIN_LOCK,
  notOwned,
  recordHeld,
} from './spinlock.ts'

/** Next: the handle behind this one, 0 for none. Lock: address of the lock word, with the bits WAIT and OWNED. */
export const KSPIN_LOCK_QUEUE = struct('KSPIN_LOCK_QUEUE', { Next: ULONG, Lock: ULONG })
export interface KSPIN_LOCK_QUEUE extends InstanceType<typeof KSPIN_LOCK_QUEUE> {}

/** The caller's, and not to be touched by it between acquire and release. */
export const KLOCK_QUEUE_HANDLE = struct('KLOCK_QUEUE_HANDLE', { LockQueue: KSPIN_LOCK_QUEUE, OldIrql: UCHAR })
export interface KLOCK_QUEUE_HANDLE extends InstanceType<typeof KLOCK_QUEUE_HANDLE> {}

const WAIT = 1
const OWNED = 2
const NEXT = KSPIN_LOCK_QUEUE.offsets.Next
const LOCK = KSPIN_LOCK_QUEUE.offsets.Lock

function acquireQueued(word: number, handle: number): void {
  write32(handle + NEXT, 0)
  write32(handle + LOCK, word | OWNED)
  if (isFreeUniprocessor()) return
  // On one processor a lock that is held stays held while this code spins; on several, the same is true of one's own.
  if (cpu.checked && (cpu.multiprocessor ? isHeld(word) : read32(word) !== 0)) alreadyOwned(word)
  const before = atomicExchange(word, handle)
  if (before !== 0) waitBehind(before, word, handle)
  if (cpu.checked) recordHeld(word)
}

function waitBehind(before: number, word: number, handle: number): void {
  write32(handle + LOCK, word | WAIT)
  atomicStore(before + NEXT, handle)
  for (let round = 0; (atomicLoad(handle + LOCK) & WAIT) !== 0; round++) {
    ports.processor.relax(round)
    // The holder may wait for what only an ISR of this processor does; a stop ends the spin by an exception.
    if ((read32(cpu.pcr + Pcr.Pending) & ~Pending.Lockstep) !== 0) attend()
  }
}

function releaseQueued(handle: number): void {
  const lock = read32(handle + LOCK)
  const word = lock & ~(WAIT | OWNED)
  if (!isFreeUniprocessor()) {
    if (cpu.checked) {
      if ((lock & OWNED) === 0 || !isHeld(word)) notOwned(word)
      forgetHeld(word)
    }
    handOver(word, handle)
  }
  write32(handle + NEXT, 0)
  write32(handle + LOCK, word)
}

function handOver(word: number, handle: number): void {
  let next = atomicLoad(handle + NEXT)
  if (next === 0) {
    if (atomicCompareExchange(word, handle, 0) === handle) return
    next = waitForLink(handle)
  }
  atomicStore(next + LOCK, word | OWNED)
}

function waitForLink(handle: number): number {
  for (let round = 0; ; round++) {
    const next = atomicLoad(handle + NEXT)
    if (next !== 0) return next
    if ((read32(cpu.pcr + Pcr.Pending) & Pending.Freeze) !== 0) throwStopped()
    ports.processor.relax(round)
  }
}

/**
 * Raises to DISPATCH_LEVEL and takes a queued spin lock; `LockHandle` is the caller's while it holds it.
 *
 * @irql <= DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-keacquireinstackqueuedspinlock
 */
export function KeAcquireInStackQueuedSpinLock(SpinLock: KSPIN_LOCK, LockHandle: KLOCK_QUEUE_HANDLE): void {
  enter(DISPATCH_LEVEL, 'KeAcquireInStackQueuedSpinLock')
  LockHandle.OldIrql = raiseIrql(DISPATCH_LEVEL)
  acquireQueued(SpinLock.address, LockHandle.address)
}

/**
 * Raises to SYNCH_LEVEL and takes a queued spin lock.
 *
 * @irql <= SYNCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/kernel/queued-spin-locks
 */
export function KeAcquireInStackQueuedSpinLockRaiseToSynch(SpinLock: KSPIN_LOCK, LockHandle: KLOCK_QUEUE_HANDLE): void {
  enter(SYNCH_LEVEL, 'KeAcquireInStackQueuedSpinLockRaiseToSynch')
  LockHandle.OldIrql = raiseIrql(SYNCH_LEVEL)
  acquireQueued(SpinLock.address, LockHandle.address)
}

/**
 * Gives a queued spin lock to the one who has waited longest, and goes to the level saved in the handle.
 *
 * @irql DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kereleaseinstackqueuedspinlock
 */
export function KeReleaseInStackQueuedSpinLock(LockHandle: KLOCK_QUEUE_HANDLE): void {
  point()
  assertIrqlAtLeast(DISPATCH_LEVEL, 'KeReleaseInStackQueuedSpinLock')
  const { OldIrql } = LockHandle
  releaseQueued(LockHandle.address)
  lowerIrql(OldIrql)
}

/**
 * Takes a queued spin lock at DISPATCH_LEVEL or above.
 *
 * @irql >= DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-keacquireinstackqueuedspinlockatdpclevel
 */
export function KeAcquireInStackQueuedSpinLockAtDpcLevel(SpinLock: KSPIN_LOCK, LockHandle: KLOCK_QUEUE_HANDLE): void {
  point()
  assertIrqlAtLeast(DISPATCH_LEVEL, 'KeAcquireInStackQueuedSpinLockAtDpcLevel')
  acquireQueued(SpinLock.address, LockHandle.address)
}

/**
 * Gives back a queued spin lock; the IRQL stays.
 *
 * @irql >= DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kereleaseinstackqueuedspinlockfromdpclevel
 */
export function KeReleaseInStackQueuedSpinLockFromDpcLevel(LockHandle: KLOCK_QUEUE_HANDLE): void {
  point()
  assertIrqlAtLeast(DISPATCH_LEVEL, 'KeReleaseInStackQueuedSpinLockFromDpcLevel')
  releaseQueued(LockHandle.address)
}

/**
 * Takes a queued spin lock from a DPC that may be a threaded one.
 *
 * @irql <= DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-keacquireinstackqueuedspinlockfordpc
 */
export function KeAcquireInStackQueuedSpinLockForDpc(SpinLock: KSPIN_LOCK, LockHandle: KLOCK_QUEUE_HANDLE): void {
  KeAcquireInStackQueuedSpinLock(SpinLock, LockHandle)
}

/**
 * Gives back what KeAcquireInStackQueuedSpinLockForDpc took.
 *
 * @irql DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kereleaseinstackqueuedspinlockfordpc
 */
export function KeReleaseInStackQueuedSpinLockForDpc(LockHandle: KLOCK_QUEUE_HANDLE): void {
  KeReleaseInStackQueuedSpinLock(LockHandle)
}
