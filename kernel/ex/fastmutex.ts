/**
 * Fast mutexes (FAST_MUTEX): owned at APC_LEVEL, by one thread, not recursively.
 *
 * Count is 1 when free, 0 when held, -n when n threads wait. A release that leaves it at 0 or below hands the mutex
 * over: it signals the event, which one waiter takes, and nobody else can own the mutex meanwhile.
 */
import { atomicAdd, read32, write32 } from '../mm/access.ts'
import { LONG, struct, ULONG } from '../rtl/struct.ts'
import { enterCriticalRegion, leaveCriticalRegion } from '../ke/apc.ts'
import { initializeEvent, setEvent, SynchronizationEvent } from '../ke/event.ts'
import { KEVENT } from '../ke/layouts.ts'
import { APC_LEVEL, currentIrql, DISPATCH_LEVEL, enter, levelName, lowerIrql, point, raiseIrql } from '../ke/level.ts'
import { cpu } from '../ke/pcr.ts'
import { currentThread } from '../ke/thread.ts'
import { waitForObject } from '../ke/wait.ts'
import { swap } from './pushlock-waiters.ts'
import { apcDisableCounts, apcsAreOff, Violation, violation } from './verify.ts'

/** Count and Contention change atomically; Owner and OldIrql are the owner's. */
export const FAST_MUTEX = struct('FAST_MUTEX', {
  Count: LONG, // 1 free, 0 held, -n held and n threads wait
  Owner: ULONG, // address of the KTHREAD
  Contention: ULONG, // acquires that had to wait
  Event: KEVENT,
  OldIrql: ULONG, // the owner's IRQL before the acquire
})
export interface FAST_MUTEX extends InstanceType<typeof FAST_MUTEX> {}

const { Count, Owner, Contention, Event, OldIrql } = FAST_MUTEX.offsets

/** Adds and gives back the value before; plainly where nothing can come between. */
export function add(word: number, value: number): number {
  if (cpu.multiprocessor) return atomicAdd(word, value)
  const before = read32(word)
  write32(word, before + value)
  return before
}

/** Writes a fast mutex that nobody owns. OldIrql stays as it was. */
export function initializeFastMutex(mutex: number): void {
  write32(mutex + Count, 1)
  write32(mutex + Owner, 0)
  write32(mutex + Contention, 0)
  initializeEvent(mutex + Event, SynchronizationEvent, false)
}

/** Takes a fast mutex and leaves the IRQL alone. */
export function acquireFastMutexUnsafe(mutex: number): void | Promise<void> {
  if (add(mutex + Count, -1) === 1) return own(mutex)
  if (cpu.checked && read32(mutex + Owner) === currentThread()) acquiredTwice(mutex)
  add(mutex + Contention, 1)
  const waited = waitForObject(mutex + Event)
  return typeof waited === 'number' ? own(mutex) : waited.then(() => own(mutex))
}

export function releaseFastMutexUnsafe(mutex: number): void {
  if (cpu.checked) checkOwner(mutex, read32(mutex + Owner))
  write32(mutex + Owner, 0)
  if (add(mutex + Count, 1) < 0) setEvent(mutex + Event)
}

/** Takes a fast mutex if it is free, leaves the IRQL alone, and never waits. */
export function tryAcquireFastMutexUnsafe(mutex: number): boolean {
  if (!swap(mutex + Count, 1, 0)) return false
  own(mutex)
  return true
}

function own(mutex: number): void {
  write32(mutex + Owner, currentThread())
}

/** Bug checks unless the calling thread is `owner`, the owner of `mutex`. */
export function checkOwner(mutex: number, owner: number): void {
  const thread = currentThread()
  if (owner === thread) return
  if (owner === 0) violation(Violation.RELEASED_UNACQUIRED, [mutex], 'a mutex was released that nobody owns')
  violation(
    Violation.WRONG_THREAD_RELEASES,
    [mutex, owner, thread],
    'a mutex was released by a thread that does not own it; the thread that acquired it releases it',
  )
}

/** Bug checks for a thread that asks for what it owns and would wait for itself. */
export function acquiredTwice(mutex: number): never {
  return violation(
    Violation.SELF_DEADLOCK,
    [mutex],
    'a mutex was acquired by the thread that owns it already: it would wait for itself; use a KMUTEX where recursion is needed',
  )
}

/**
 * Makes a fast mutex free.
 *
 * @irql <= DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exinitializefastmutex
 */
export function ExInitializeFastMutex(FastMutex: FAST_MUTEX): void {
  enter(DISPATCH_LEVEL, 'ExInitializeFastMutex')
  initializeFastMutex(FastMutex.address)
}

/**
 * Raises the thread to APC_LEVEL, then takes the mutex, waiting while another thread owns it. Not recursive.
 *
 * @irql <= APC_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exacquirefastmutex
 */
export function ExAcquireFastMutex(FastMutex: FAST_MUTEX): void | Promise<void> {
  point()
  const mutex = FastMutex.address
  if (cpu.checked && currentIrql() > APC_LEVEL) acquiredTooHigh(mutex)
  const before = raiseIrql(APC_LEVEL)
  const taken = acquireFastMutexUnsafe(mutex)
  if (taken === undefined) write32(mutex + OldIrql, before)
  else return taken.then(() => write32(mutex + OldIrql, before))
}

function acquiredTooHigh(mutex: number): never {
  const irql = currentIrql()
  return violation(
    Violation.FAST_MUTEX_ACQUIRE_IRQL,
    [irql, mutex],
    `a fast mutex was acquired at ${levelName(irql)}; acquire it at APC_LEVEL or below, or use a spin lock`,
  )
}

/**
 * Gives the mutex back and returns to the IRQL that the acquire found.
 *
 * @irql APC_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exreleasefastmutex
 */
export function ExReleaseFastMutex(FastMutex: FAST_MUTEX): void {
  point()
  const mutex = FastMutex.address
  if (cpu.checked && currentIrql() !== APC_LEVEL) releasedAtWrongIrql(mutex)
  const before = read32(mutex + OldIrql) // the next owner writes it
  releaseFastMutexUnsafe(mutex)
  lowerIrql(before)
}

function releasedAtWrongIrql(mutex: number): never {
  const irql = currentIrql()
  return violation(
    Violation.FAST_MUTEX_RELEASE_IRQL,
    [irql, apcDisableCounts(), mutex],
    `a fast mutex was released at ${levelName(irql)}; its owner stays at APC_LEVEL until the release`,
  )
}

/**
 * Takes the mutex if it is free, and never waits. Only a mutex that was taken leaves the thread at APC_LEVEL.
 *
 * @irql <= APC_LEVEL
 * @returns TRUE when the caller owns the mutex now; FALSE also to the thread that owns it already
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-extrytoacquirefastmutex
 */
export function ExTryToAcquireFastMutex(FastMutex: FAST_MUTEX): boolean {
  point()
  const mutex = FastMutex.address
  if (cpu.checked && currentIrql() > APC_LEVEL) acquiredTooHigh(mutex)
  const before = raiseIrql(APC_LEVEL)
  if (!tryAcquireFastMutexUnsafe(mutex)) {
    lowerIrql(before)
    return false
  }
  write32(mutex + OldIrql, before)
  return true
}

/**
 * Takes the mutex and leaves the IRQL alone, for callers whom no APC can interrupt: at APC_LEVEL, or in a critical
 * region.
 *
 * @irql APC_LEVEL; or lower in a critical region
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exacquirefastmutexunsafe
 */
export function ExAcquireFastMutexUnsafe(FastMutex: FAST_MUTEX): void | Promise<void> {
  point()
  if (cpu.checked) checkUnsafe(FastMutex.address, Violation.UNSAFE_ACQUIRE_APCS, 'acquired')
  return acquireFastMutexUnsafe(FastMutex.address)
}

/**
 * Gives back a mutex that was taken by ExAcquireFastMutexUnsafe.
 *
 * @irql APC_LEVEL; or lower in a critical region
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exreleasefastmutexunsafe
 */
export function ExReleaseFastMutexUnsafe(FastMutex: FAST_MUTEX): void {
  point()
  if (cpu.checked) checkUnsafe(FastMutex.address, Violation.UNSAFE_RELEASE_APCS, 'released')
  releaseFastMutexUnsafe(FastMutex.address)
}

function checkUnsafe(mutex: number, rule: number, verb: string): void {
  const irql = currentIrql()
  if (irql <= APC_LEVEL && apcsAreOff()) return
  violation(
    rule,
    [irql, apcDisableCounts(), mutex],
    `a fast mutex was ${verb} by an Unsafe routine at ${levelName(irql)}; be at APC_LEVEL or in a critical region`,
  )
}

/**
 * Enters a critical region and takes the mutex, at the IRQL that the caller is at.
 *
 * @irql <= APC_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntddk/nf-ntddk-exentercriticalregionandacquirefastmutexunsafe
 */
export function ExEnterCriticalRegionAndAcquireFastMutexUnsafe(FastMutex: FAST_MUTEX): void | Promise<void> {
  enter(APC_LEVEL, 'ExEnterCriticalRegionAndAcquireFastMutexUnsafe')
  enterCriticalRegion()
  return acquireFastMutexUnsafe(FastMutex.address)
}

/**
 * Gives the mutex back and leaves the critical region.
 *
 * @irql <= APC_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntddk/nf-ntddk-exreleasefastmutexunsafeandleavecriticalregion
 */
export function ExReleaseFastMutexUnsafeAndLeaveCriticalRegion(FastMutex: FAST_MUTEX): void {
  enter(APC_LEVEL, 'ExReleaseFastMutexUnsafeAndLeaveCriticalRegion')
  releaseFastMutexUnsafe(FastMutex.address)
  leaveCriticalRegion()
}
