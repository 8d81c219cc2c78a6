/**
 * Guarded mutexes (KGUARDED_MUTEX): owned by one thread, in a guarded region, not recursively.
 *
 * They are what they were before Windows 8, where they became fast mutexes: the owner's IRQL stays, its guarded
 * region keeps APCs off. Count is a bit field: the lock bit is set while the mutex is free, bit 1 while a woken waiter
 * is on its way, and each waiter that nobody has woken counts 4.
 */
import { read16, read32, write16, write32 } from '../mm/access.ts'
import { mem } from '../mm/memory.ts'
import { LONG, SHORT, struct, ULONG } from '../rtl/struct.ts'
import { enterGuardedRegion, leaveGuardedRegion } from '../ke/apc.ts'
import { initializeEvent, setEvent, SynchronizationEvent } from '../ke/event.ts'
import { KEVENT, KTHREAD } from '../ke/layouts.ts'
import { APC_LEVEL, enter } from '../ke/level.ts'
import { cpu } from '../ke/pcr.ts'
import { currentThread } from '../ke/thread.ts'
import { waitForObject } from '../ke/wait.ts'
import { acquiredTwice, add, checkOwner } from './fastmutex.ts'
import { load, swap } from './pushlock-waiters.ts'

/** Count and Contention change atomically, the rest is the owner's. */
export const KGUARDED_MUTEX = struct('KGUARDED_MUTEX', {
  Count: LONG, // 1 free, 0 held, + 4 for each waiter, + 2 while a woken one is on its way
  Owner: ULONG, // address of the KTHREAD
  Contention: ULONG, // acquires that had to wait
  Gate: KEVENT,
  KernelApcDisable: SHORT,
  SpecialApcDisable: SHORT, // the owner's count, its region for the mutex included
})
export interface KGUARDED_MUTEX extends InstanceType<typeof KGUARDED_MUTEX> {}

const { Count, Owner, Contention, Gate, SpecialApcDisable } = KGUARDED_MUTEX.offsets

const FREE = 1
const WOKEN = 2
const WAITER = 4

function acquire(mutex: number): void | Promise<void> {
  const count = load(mutex + Count)
  if ((count & FREE) !== 0 && swap(mutex + Count, count, count & ~FREE)) return own(mutex)
  if (cpu.checked && read32(mutex + Owner) === currentThread()) acquiredTwice(mutex)
  return acquireContended(mutex)
}

/** A woken waiter competes with whoever comes; while it is on its way, releases wake no second one. */
async function acquireContended(mutex: number): Promise<void> {
  add(mutex + Contention, 1)
  let isWoken = false
  for (;;) {
    const count = load(mutex + Count)
    const isFree = (count & FREE) !== 0
    const arrived = isWoken ? count & ~WOKEN : count
    if (isFree) {
      if (swap(mutex + Count, count, arrived & ~FREE)) break
    } else if (swap(mutex + Count, count, arrived + WAITER)) {
      await waitForObject(mutex + Gate)
      isWoken = true
    }
  }
  own(mutex)
}

function release(mutex: number): void {
  if (cpu.checked) checkOwner(mutex, read32(mutex + Owner))
  write32(mutex + Owner, 0)
  const before = flipFree(mutex + Count)
  if ((before & (FREE | WOKEN)) !== 0 || before < WAITER) return
  // Fails when somebody took the mutex meanwhile: then that owner's release wakes.
  const count = before | FREE
  if (swap(mutex + Count, count, (count | WOKEN) - WAITER)) setEvent(mutex + Gate)
}

/** Flips the lock bit: a release without an acquire takes the mutex, as measured on Windows. */
function flipFree(word: number): number {
  if (cpu.multiprocessor) return Atomics.xor(mem.i32, word >> 2, FREE)
  const before = read32(word)
  write32(word, before ^ FREE)
  return before
}

function own(mutex: number): void {
  const thread = currentThread()
  write32(mutex + Owner, thread)
  write16(mutex + SpecialApcDisable, read16(thread + KTHREAD.offsets.SpecialApcDisable))
}

/**
 * Makes a guarded mutex free.
 *
 * @irql <= APC_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-keinitializeguardedmutex
 */
export function KeInitializeGuardedMutex(Mutex: KGUARDED_MUTEX): void {
  enter(APC_LEVEL, 'KeInitializeGuardedMutex')
  const mutex = Mutex.address
  write32(mutex + Count, FREE)
  write32(mutex + Owner, 0)
  write32(mutex + Contention, 0)
  initializeEvent(mutex + Gate, SynchronizationEvent, false)
}

/**
 * Enters a guarded region and takes the mutex, waiting while another thread owns it. Not recursive.
 *
 * @irql <= APC_LEVEL
 * @deviates (decision 0017) the IRQL stays, as before Windows 8; all APCs are off either way
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-keacquireguardedmutex
 */
export function KeAcquireGuardedMutex(Mutex: KGUARDED_MUTEX): void | Promise<void> {
  enter(APC_LEVEL, 'KeAcquireGuardedMutex')
  enterGuardedRegion()
  return acquire(Mutex.address)
}

/**
 * Gives the mutex back and leaves the guarded region.
 *
 * @irql <= APC_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kereleaseguardedmutex
 */
export function KeReleaseGuardedMutex(Mutex: KGUARDED_MUTEX): void {
  enter(APC_LEVEL, 'KeReleaseGuardedMutex')
  release(Mutex.address)
  leaveGuardedRegion()
}

/**
 * Takes the mutex if it is free, and never waits. Only a mutex that was taken leaves the thread in a guarded region.
 *
 * @irql <= APC_LEVEL
 * @returns TRUE when the caller owns the mutex now; FALSE also to the thread that owns it already
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-ketrytoacquireguardedmutex
 */
export function KeTryToAcquireGuardedMutex(Mutex: KGUARDED_MUTEX): boolean {
  enter(APC_LEVEL, 'KeTryToAcquireGuardedMutex')
  const mutex = Mutex.address
  const count = load(mutex + Count)
  if ((count & FREE) === 0 || !swap(mutex + Count, count, count & ~FREE)) return false
  enterGuardedRegion()
  own(mutex)
  return true
}

/**
 * Takes the mutex and enters no region, for callers whom no APC can interrupt.
 *
 * @irql <= APC_LEVEL; in a guarded region, or at APC_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-keacquireguardedmutexunsafe
 */
export function KeAcquireGuardedMutexUnsafe(Mutex: KGUARDED_MUTEX): void | Promise<void> {
  enter(APC_LEVEL, 'KeAcquireGuardedMutexUnsafe')
  return acquire(Mutex.address)
}

/**
 * Gives back a mutex that was taken by KeAcquireGuardedMutexUnsafe.
 *
 * @irql <= APC_LEVEL; in a guarded region, or at APC_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kereleaseguardedmutexunsafe
 */
export function KeReleaseGuardedMutexUnsafe(Mutex: KGUARDED_MUTEX): void {
  enter(APC_LEVEL, 'KeReleaseGuardedMutexUnsafe')
  release(Mutex.address)
}
