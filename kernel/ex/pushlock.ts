/**
 * Push locks (EX_PUSH_LOCK): a reader/writer lock in one word of the caller's. A free lock is taken by one compare
 * and exchange; who must wait is in `pushlock-waiters.ts`.
 *
 * Nobody knows the owner, so a push lock is not recursive. An exclusive request keeps later shared ones out as soon as
 * it waits. There is no order among those who wait: a woken thread competes with whoever comes.
 */
import * as access from '../mm/access.ts'
import { free } from '../mm/pool.ts'
import * as plugged from '../ports/ports.ts'
import { struct, ULONG } from '../rtl/struct.ts'
import { BugCode } from '../ke/bugcodes.ts'
import { bugCheck } from '../ke/bugcheck.ts'
import { APC_LEVEL, attend, currentIrql, DISPATCH_LEVEL, enter, levelName, point } from '../ke/level.ts'
import * as kpcr from '../ke/pcr.ts'
import { currentThread } from '../ke/thread.ts'
import { waitForObject } from '../ke/wait.ts'
import {
  dropShare,
  load,
  LOCK,
  MULTIPLE_SHARED,
  newBlock,
  pushBlock,
  SHARE,
  sharesOf,
  swap,
  unlockAndWake,
  WAITING,
  wakeEventOf,
} from './pushlock-waiters.ts'
import { apcDisableCounts, apcsAreOff, Violation, violation } from './verify.ts'

// Looked up once: an imported name is looked up at each use (decision 0041).
const { write32 } = access
const { ports } = plugged
const { cpu } = kpcr

/** 0 free; bit 0 locked, 1 waiting, 2 waking, 3 multiple shared; above them the share count or the newest wait block. */
export const EX_PUSH_LOCK = struct('EX_PUSH_LOCK', { Value: ULONG })
export interface EX_PUSH_LOCK extends InstanceType<typeof EX_PUSH_LOCK> {}

/** The word after an exclusive acquire that finds `word`; 0 when it must wait. */
const takenExclusive = (word: number): number => ((word & LOCK) === 0 ? word | LOCK : 0)

/** The word after a shared acquire that finds `word`; 0 when it must wait. A share is not counted beside waiters. */
function takenShared(word: number): number {
  if ((word & WAITING) !== 0) return (word & LOCK) === 0 ? word | LOCK : 0
  return (word & LOCK) === 0 || sharesOf(word) > 0 ? (word | LOCK) + SHARE : 0
}

function tryTake(lock: number, isExclusive: boolean): boolean {
  for (;;) {
    const word = load(lock)
    const taken = isExclusive ? takenExclusive(word) : takenShared(word)
    if (taken === 0) return false
    if (swap(lock, word, taken)) return true
  }
}

/** Looks for so long whether a holder on another processor gives the lock back: some 20 µs, less than a sleep and a wake-up cost. */
const SPINS = 64

/** Tries for a while, as long as nobody waits for the lock asleep. Takes interrupts meanwhile. */
function spinAndTake(lock: number, isExclusive: boolean): boolean {
  if (!cpu.multiprocessor || cpu.lockstep) return false
  for (let round = 0; round < SPINS; round++) {
    ports.processor.relax(round)
    attend()
    if ((load(lock) & WAITING) !== 0) return false
    if (tryTake(lock, isExclusive)) return true
  }
  return false
}

async function takeOrWait(lock: number, isExclusive: boolean): Promise<void> {
  while (!tryTake(lock, isExclusive)) {
    const block = newBlock(isExclusive)
    if (block === 0) {
      await ports.processor.turn() // no memory to queue in: this thread asks again after a turn
      continue
    }
    const word = load(lock)
    const mustWait = (isExclusive ? takenExclusive(word) : takenShared(word)) === 0
    if (mustWait && pushBlock(lock, word, block)) await waitForObject(wakeEventOf(block))
    free(block)
  }
}

/** Takes the lock at `lock` for the caller alone. At or below APC_LEVEL, normal kernel APCs off. */
export function acquireExclusive(lock: number): void | Promise<void> {
  if (cpu.checked) checkAcquire(lock)
  return acquireExclusiveInRegion(lock)
}

/** The same for a caller that has just entered a critical region. */
export function acquireExclusiveInRegion(lock: number): void | Promise<void> {
  if (cpu.checked) checkLock(lock)
  if (swap(lock, 0, LOCK) || tryTake(lock, true) || spinAndTake(lock, true)) return
  return takeOrWait(lock, true)
}

/** Takes the lock at `lock` together with others. At or below APC_LEVEL, normal kernel APCs off. */
export function acquireShared(lock: number): void | Promise<void> {
  if (cpu.checked) checkAcquire(lock)
  return acquireSharedInRegion(lock)
}

/** The same for a caller that has just entered a critical region. */
export function acquireSharedInRegion(lock: number): void | Promise<void> {
  if (cpu.checked) checkLock(lock)
  if (swap(lock, 0, LOCK | SHARE) || tryTake(lock, false) || spinAndTake(lock, false)) return
  return takeOrWait(lock, false)
}

export function releaseExclusive(lock: number): void {
  if (cpu.checked) checkRelease(lock, 'exclusive')
  if (!swap(lock, LOCK, 0)) unlockAndWake(lock)
}

export function releaseShared(lock: number): void {
  if (cpu.checked) checkRelease(lock, 'shared')
  giveUpShare(lock)
}

/** Releases whichever way the lock is held. */
export function releasePushLock(lock: number): void {
  if (cpu.checked) checkRelease(lock, 'either')
  const word = load(lock)
  // The only holder, of whichever mode, and nobody waits.
  if ((word === LOCK || word === (LOCK | SHARE)) && swap(lock, word, 0)) return
  // Who holds it exclusively finds no share: neither counted, nor parked with the waiters.
  if ((word & WAITING) === 0 ? sharesOf(word) === 0 : (word & MULTIPLE_SHARED) === 0) unlockAndWake(lock)
  else giveUpShare(lock)
}

function giveUpShare(lock: number): void {
  for (;;) {
    const word = load(lock)
    if ((word & WAITING) !== 0) {
      if ((word & MULTIPLE_SHARED) === 0 || !dropShare(word)) unlockAndWake(lock)
      return
    }
    if (swap(lock, word, sharesOf(word) > 1 ? word - SHARE : 0)) return
  }
}

function checkAcquire(lock: number): void {
  checkLock(lock)
  if (!apcsAreOff()) acquiredWithApcs(lock)
}

function checkLock(lock: number): void {
  if (currentIrql() >= DISPATCH_LEVEL) acquiredTooHigh(lock)
  if ((lock & 3) !== 0) misaligned(lock)
}

function acquiredWithApcs(lock: number): void {
  violation(
    Violation.PUSH_LOCK_ACQUIRE_APCS,
    [currentIrql(), apcDisableCounts(), lock],
    'a push lock was acquired with normal kernel APCs on; call KeEnterCriticalRegion first, or use FltAcquirePushLock…',
  )
}

function checkRelease(lock: number, mode: 'exclusive' | 'shared' | 'either'): void {
  const word = load(lock)
  if ((word & LOCK) === 0) releasedFree(lock)
  if (mode !== 'either' && (word & WAITING) === 0 && (mode === 'exclusive') !== (sharesOf(word) === 0)) {
    releasedOtherwise(lock, word, mode)
  }
  if (!apcsAreOff()) releasedWithApcs(lock)
}

function releasedOtherwise(lock: number, word: number, mode: string): void {
  violation(
    Violation.WRONG_RELEASE,
    [lock, word],
    `a push lock was released as ${mode}, and is not held so; use the release that belongs to the acquire`,
  )
}

function releasedWithApcs(lock: number): void {
  violation(
    Violation.PUSH_LOCK_RELEASE_APCS,
    [currentIrql(), apcDisableCounts(), lock],
    'a push lock was released with normal kernel APCs on; leave the critical region after the release',
  )
}

function acquiredTooHigh(lock: number): never {
  const irql = currentIrql()
  return bugCheck({
    code: BugCode.KERNEL_AUTO_BOOST_LOCK_ACQUISITION_WITH_RAISED_IRQL,
    parameters: [currentThread(), lock, irql],
    message: `a push lock was acquired at ${levelName(irql)}; acquire it at APC_LEVEL or below, or use a spin lock`,
  })
}

const STATUS_DATATYPE_MISALIGNMENT = 0x80000002 | 0

export function misaligned(lock: number): never {
  return bugCheck({
    code: BugCode.KMODE_EXCEPTION_NOT_HANDLED,
    parameters: [STATUS_DATATYPE_MISALIGNMENT, lock],
    message: 'a push lock lies at an address that is no multiple of 4; make it a field of a struct',
  })
}

function releasedFree(lock: number): never {
  return bugCheck({
    code: BugCode.KERNEL_AUTO_BOOST_INVALID_LOCK_RELEASE,
    parameters: [currentThread(), lock],
    message: 'a push lock was released that nobody holds',
  })
}

/**
 * Makes a push lock free.
 *
 * @irql <= APC_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntifs/nf-ntifs-exinitializepushlock
 */
export function ExInitializePushLock(PushLock: EX_PUSH_LOCK): void {
  enter(APC_LEVEL, 'ExInitializePushLock')
  if (cpu.checked && (PushLock.address & 3) !== 0) misaligned(PushLock.address)
  write32(PushLock.address, 0)
}

/**
 * Takes a push lock for the caller alone. Not recursive: a thread that holds it already waits for ever.
 *
 * @irql <= APC_LEVEL; in a critical region, which the caller enters first
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntifs/nf-ntifs-exacquirepushlockexclusive
 */
export function ExAcquirePushLockExclusive(PushLock: EX_PUSH_LOCK): void | Promise<void> {
  point()
  return acquireExclusive(PushLock.address)
}

/**
 * Takes a push lock together with other shared holders. A second shared acquire is granted only while no exclusive
 * request waits.
 *
 * @irql <= APC_LEVEL; in a critical region, which the caller enters first
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntifs/nf-ntifs-exacquirepushlockshared
 */
export function ExAcquirePushLockShared(PushLock: EX_PUSH_LOCK): void | Promise<void> {
  point()
  return acquireShared(PushLock.address)
}

/**
 * Gives back an exclusive hold.
 *
 * @irql <= APC_LEVEL; in the critical region, which the caller leaves afterwards
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntifs/nf-ntifs-exreleasepushlockexclusive
 */
export function ExReleasePushLockExclusive(PushLock: EX_PUSH_LOCK): void {
  enter(APC_LEVEL, 'ExReleasePushLockExclusive')
  releaseExclusive(PushLock.address)
}

/**
 * Gives back one shared hold.
 *
 * @irql <= APC_LEVEL; in the critical region, which the caller leaves afterwards
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntifs/nf-ntifs-exreleasepushlockshared
 */
export function ExReleasePushLockShared(PushLock: EX_PUSH_LOCK): void {
  enter(APC_LEVEL, 'ExReleasePushLockShared')
  releaseShared(PushLock.address)
}

/**
 * Gives back one hold, of whichever mode.
 *
 * @irql <= APC_LEVEL; in the critical region, which the caller leaves afterwards
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/fltkernel/nf-fltkernel-fltreleasepushlock
 */
export function ExfReleasePushLock(PushLock: EX_PUSH_LOCK): void {
  enter(APC_LEVEL, 'ExfReleasePushLock')
  releasePushLock(PushLock.address)
}

/**
 * Takes a push lock for the caller alone if nobody holds it, and never waits. Threads that were woken for it and have
 * not run yet do not keep it from the caller.
 *
 * @irql <= APC_LEVEL; in a critical region
 * @returns TRUE when the caller holds the lock now
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntifs/nf-ntifs-exacquirepushlockexclusive
 */
export function ExTryAcquirePushLockExclusive(PushLock: EX_PUSH_LOCK): boolean {
  point()
  if (cpu.checked) checkAcquire(PushLock.address)
  return tryTake(PushLock.address, true)
}

/**
 * Takes a push lock together with other shared holders if that needs no wait.
 *
 * @irql <= APC_LEVEL; in a critical region
 * @returns TRUE when the caller holds the lock now
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntifs/nf-ntifs-exacquirepushlockshared
 */
export function ExTryAcquirePushLockShared(PushLock: EX_PUSH_LOCK): boolean {
  point()
  if (cpu.checked) checkAcquire(PushLock.address)
  return tryTake(PushLock.address, false)
}

/**
 * Makes the caller's shared hold exclusive, if it is the only one and nobody waits.
 *
 * @irql <= APC_LEVEL; in the critical region
 * @returns TRUE when the hold is exclusive now
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntifs/nf-ntifs-exacquirepushlockshared
 */
export function ExTryConvertPushLockSharedToExclusive(PushLock: EX_PUSH_LOCK): boolean {
  enter(APC_LEVEL, 'ExTryConvertPushLockSharedToExclusive')
  return swap(PushLock.address, LOCK | SHARE, LOCK)
}
