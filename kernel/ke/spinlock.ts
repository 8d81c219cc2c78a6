/**
 * Spin locks that drivers hold (KSPIN_LOCK), and reader/writer spin locks (EX_SPIN_LOCK). `queuedlock.ts` has the
 * in-stack queued form.
 *
 * The word: 0 free. Held, it is the address of the holding thread with bit 0 set on a checked build, 1 on a free
 * one; on a free uniprocessor build it stays 0, since raising the IRQL is the whole lock there.
 */
import * as access from '../mm/access.ts'
import * as memory from '../mm/memory.ts'
import * as plugged from '../ports/ports.ts'
import { LONG, struct, ULONG } from '../rtl/struct.ts'
import { BugCode } from './bugcodes.ts'
import { bugCheck } from './bugcheck.ts'
import {
  assertIrqlAtLeast,
  attend,
  currentIrql,
  DISPATCH_LEVEL,
  enter,
  enterDispatch,
  type KIRQL,
  lowerIrql,
  type Out,
  PASSIVE_LEVEL,
  point,
  raiseIrql,
  SYNCH_LEVEL,
} from './level.ts'
import * as kpcr from './pcr.ts'
import { spinForWord } from './spin.ts'
import { currentThread } from './thread.ts'

// Looked up once: an imported name is looked up at each use (decision 0041).
const { atomicAdd, atomicCompareExchange, atomicStore, read32, write32 } = access
const { mem } = memory
const { ports } = plugged
const { cpu, Pcr } = kpcr

/** One word, wherever the driver has room for it: a field `lock: KSPIN_LOCK` of its extension. */
export const KSPIN_LOCK = struct('KSPIN_LOCK', { Lock: ULONG })
export interface KSPIN_LOCK extends InstanceType<typeof KSPIN_LOCK> {}

/** Bit 31 exclusive, below it the number of shared holders. */
export const EX_SPIN_LOCK = struct('EX_SPIN_LOCK', { Lock: LONG })
export interface EX_SPIN_LOCK extends InstanceType<typeof EX_SPIN_LOCK> {}

/** True when a lock's word is to be left alone: raising the IRQL is the lock. */
export const isFreeUniprocessor = (): boolean => !cpu.multiprocessor && !cpu.checked

/** What a held word is set to. */
const holderMark = (): number => (cpu.checked ? currentThread() | 1 : 1)

/** Takes the lock at `word`; the caller is at the lock's IRQL. */
export function acquireLock(word: number): void {
  if (cpu.multiprocessor) {
    takeWord(word, holderMark())
  } else {
    if (!cpu.checked) return
    // Nobody comes between the look and the change.
    const { i32 } = mem
    if (i32[word >> 2] !== 0) alreadyOwned(word)
    i32[word >> 2] = currentThread() | 1
  }
  if (cpu.checked) recordHeld(word)
}

function takeWord(word: number, mark: number): void {
  const holder = Atomics.compareExchange(mem.i32, word >> 2, 0, mark)
  if (holder === 0) return
  if (cpu.checked && holder === mark) alreadyOwned(word)
  spinForWord(word, mark)
}

/** Gives back the lock at `word`; the IRQL stays. */
export function releaseLock(word: number): void {
  const { i32 } = mem
  if (cpu.checked) {
    if (i32[word >> 2] !== (currentThread() | 1)) notOwned(word)
    forgetHeld(word)
  }
  if (cpu.multiprocessor) Atomics.store(i32, word >> 2, 0)
  else if (cpu.checked) i32[word >> 2] = 0
}

export function alreadyOwned(word: number): never {
  return bugCheck({
    code: BugCode.SPIN_LOCK_ALREADY_OWNED,
    parameters: [word],
    message: 'a spin lock was taken by the thread that already holds it; spin locks are not recursive',
  })
}

export function notOwned(word: number): never {
  return bugCheck({
    code: BugCode.SPIN_LOCK_NOT_OWNED,
    parameters: [word],
    message: 'a spin lock was released by a thread that does not hold it',
  })
}

/** Keeps the list of held locks in the KPCR, for the crash record and for `await` checks. */
export function recordHeld(word: number): void {
  const { i32 } = mem
  const first = cpu.word + HELD
  const count = i32[first] as number
  if (count < MOST_HELD) i32[first + 1 + count] = word
  i32[first] = count + 1
}
/** The word of HeldLockCount, counted from `cpu.word`; HeldLocks follows it. */
const HELD = Pcr.HeldLockCount >> 2
const MOST_HELD = 32

/** Whether this processor holds the lock at `word`, as far as the list of held locks reaches. */
export function isHeld(word: number): boolean {
  const { pcr } = cpu
  const count = Math.min(read32(pcr + Pcr.HeldLockCount), 32)
  for (let index = 0; index < count; index++) {
    if (read32(pcr + Pcr.HeldLocks + index * 4) === word) return true
  }
  return false
}

export function forgetHeld(word: number): void {
  const { i32 } = mem
  const first = cpu.word + HELD
  const count = i32[first] as number
  i32[first] = count - 1
  if (i32[first + count] !== word || count > MOST_HELD) forgetOlder(word, count - 1)
}

/** It was not the newest: the newest takes its place. */
function forgetOlder(word: number, last: number): void {
  const { pcr } = cpu
  for (let index = Math.min(last, 31); index >= 0; index--) {
    const slot = pcr + Pcr.HeldLocks + index * 4
    if (read32(slot) !== word) continue
    write32(slot, read32(pcr + Pcr.HeldLocks + Math.min(last, 31) * 4))
    return
  }
}

/**
 * Makes a spin lock free.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-keinitializespinlock
 */
export function KeInitializeSpinLock(SpinLock: KSPIN_LOCK): void {
  point()
  write32(SpinLock.address, 0)
}

/**
 * Raises to DISPATCH_LEVEL and takes the lock.
 *
 * @irql <= DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-keacquirespinlock
 */
export function KeAcquireSpinLock(SpinLock: KSPIN_LOCK, OldIrql: Out<KIRQL>): void {
  // On a free build the level is set even from above (measured, wdm-facts §6).
  OldIrql.value = enterDispatch('KeAcquireSpinLock')
  acquireLock(SpinLock.address)
}

/**
 * Raises to DISPATCH_LEVEL, takes the lock and returns the level before.
 *
 * @irql <= DISPATCH_LEVEL
 * @returns the level before
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-keacquirespinlockraisetodpc
 */
export function KeAcquireSpinLockRaiseToDpc(SpinLock: KSPIN_LOCK): KIRQL {
  const before = enterDispatch('KeAcquireSpinLockRaiseToDpc')
  acquireLock(SpinLock.address)
  return before
}

/**
 * Raises to SYNCH_LEVEL, takes the lock and returns the level before.
 *
 * @irql <= SYNCH_LEVEL
 * @returns the level before
 * @see https://learn.microsoft.com/windows-hardware/drivers/kernel/managing-hardware-priorities
 */
export function KeAcquireSpinLockRaiseToSynch(SpinLock: KSPIN_LOCK): KIRQL {
  enter(SYNCH_LEVEL, 'KeAcquireSpinLockRaiseToSynch')
  const before = raiseIrql(SYNCH_LEVEL)
  acquireLock(SpinLock.address)
  return before
}

/**
 * Gives the lock back and goes to `NewIrql`.
 *
 * @irql DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kereleasespinlock
 */
export function KeReleaseSpinLock(SpinLock: KSPIN_LOCK, NewIrql: KIRQL): void {
  point()
  assertIrqlAtLeast(DISPATCH_LEVEL, 'KeReleaseSpinLock')
  releaseLock(SpinLock.address)
  lowerIrql(NewIrql)
}

/**
 * Takes the lock; the caller is at DISPATCH_LEVEL or above already.
 *
 * @irql >= DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-keacquirespinlockatdpclevel
 */
export function KeAcquireSpinLockAtDpcLevel(SpinLock: KSPIN_LOCK): void {
  point()
  assertIrqlAtLeast(DISPATCH_LEVEL, 'KeAcquireSpinLockAtDpcLevel')
  acquireLock(SpinLock.address)
}

/**
 * Gives the lock back; the IRQL stays.
 *
 * @irql DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kereleasespinlockfromdpclevel
 */
export function KeReleaseSpinLockFromDpcLevel(SpinLock: KSPIN_LOCK): void {
  point()
  assertIrqlAtLeast(DISPATCH_LEVEL, 'KeReleaseSpinLockFromDpcLevel')
  releaseLock(SpinLock.address)
}

/**
 * Takes the lock if it is free, and never spins.
 *
 * @irql DISPATCH_LEVEL
 * @returns TRUE when the caller holds the lock now
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-ketrytoacquirespinlockatdpclevel
 */
export function KeTryToAcquireSpinLockAtDpcLevel(SpinLock: KSPIN_LOCK): boolean {
  point()
  assertIrqlAtLeast(DISPATCH_LEVEL, 'KeTryToAcquireSpinLockAtDpcLevel')
  if (isFreeUniprocessor()) return true
  if (atomicCompareExchange(SpinLock.address, 0, holderMark()) !== 0) return false
  if (cpu.checked) recordHeld(SpinLock.address)
  return true
}

/**
 * Tells whether the lock is free, without taking it.
 *
 * @irql any
 * @returns TRUE only when the word is 0
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-ketestspinlock
 */
export function KeTestSpinLock(SpinLock: KSPIN_LOCK): boolean {
  point()
  return read32(SpinLock.address) === 0
}

/**
 * Takes the lock from a DPC that may be a threaded one: raises only when called at PASSIVE_LEVEL.
 *
 * @irql <= DISPATCH_LEVEL
 * @returns the level before
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-keacquirespinlockfordpc
 */
export function KeAcquireSpinLockForDpc(SpinLock: KSPIN_LOCK): KIRQL {
  enter(DISPATCH_LEVEL, 'KeAcquireSpinLockForDpc')
  const before = currentIrql()
  if (before === PASSIVE_LEVEL) raiseIrql(DISPATCH_LEVEL)
  acquireLock(SpinLock.address)
  return before
}

/**
 * Gives back a lock that KeAcquireSpinLockForDpc took.
 *
 * @irql DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kereleasespinlockfordpc
 */
export function KeReleaseSpinLockForDpc(SpinLock: KSPIN_LOCK, OldIrql: KIRQL): void {
  KeReleaseSpinLock(SpinLock, OldIrql)
}

const EXCLUSIVE = 0x80000000 | 0

/**
 * Raises to DISPATCH_LEVEL and takes a reader/writer spin lock for itself.
 *
 * @irql <= DISPATCH_LEVEL
 * @returns the level before
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exacquirespinlockexclusive
 */
export function ExAcquireSpinLockExclusive(SpinLock: EX_SPIN_LOCK): KIRQL {
  enter(DISPATCH_LEVEL, 'ExAcquireSpinLockExclusive')
  const before = raiseIrql(DISPATCH_LEVEL)
  const word = SpinLock.address
  if (cpu.checked && !cpu.multiprocessor && read32(word) !== 0) alreadyOwned(word)
  spinForWord(word, EXCLUSIVE)
  if (cpu.checked) recordHeld(word)
  return before
}

/**
 * Raises to DISPATCH_LEVEL and takes a reader/writer spin lock together with other readers.
 *
 * @irql <= DISPATCH_LEVEL
 * @returns the level before
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exacquirespinlockshared
 */
export function ExAcquireSpinLockShared(SpinLock: EX_SPIN_LOCK): KIRQL {
  enter(DISPATCH_LEVEL, 'ExAcquireSpinLockShared')
  const before = raiseIrql(DISPATCH_LEVEL)
  const word = SpinLock.address
  for (let round = 0; ; round++) {
    const readers = read32(word)
    if (readers < 0) {
      if (cpu.checked && !cpu.multiprocessor) alreadyOwned(word)
      ports.processor.relax(round)
      attend()
      continue
    }
    if (atomicCompareExchange(word, readers, readers + 1) === readers) break
  }
  if (cpu.checked) recordHeld(word)
  return before
}

/**
 * Gives back an exclusive hold and goes to `OldIrql`.
 *
 * @irql DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exreleasespinlockexclusive
 */
export function ExReleaseSpinLockExclusive(SpinLock: EX_SPIN_LOCK, OldIrql: KIRQL): void {
  point()
  assertIrqlAtLeast(DISPATCH_LEVEL, 'ExReleaseSpinLockExclusive')
  if (cpu.checked) {
    if (read32(SpinLock.address) !== EXCLUSIVE) notOwned(SpinLock.address)
    forgetHeld(SpinLock.address)
  }
  atomicStore(SpinLock.address, 0)
  lowerIrql(OldIrql)
}

/**
 * Gives back a shared hold and goes to `OldIrql`.
 *
 * @irql DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exreleasespinlockshared
 */
export function ExReleaseSpinLockShared(SpinLock: EX_SPIN_LOCK, OldIrql: KIRQL): void {
  point()
  assertIrqlAtLeast(DISPATCH_LEVEL, 'ExReleaseSpinLockShared')
  if (cpu.checked) {
    if (read32(SpinLock.address) <= 0) notOwned(SpinLock.address)
    forgetHeld(SpinLock.address)
  }
  atomicAdd(SpinLock.address, -1)
  lowerIrql(OldIrql)
}

/**
 * Makes the caller's shared hold exclusive if no other reader holds the lock.
 *
 * @irql DISPATCH_LEVEL
 * @returns TRUE when the hold is exclusive now
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-extryconvertsharedspinlockexclusive
 */
export function ExTryConvertSharedSpinLockExclusive(SpinLock: EX_SPIN_LOCK): boolean {
  point()
  assertIrqlAtLeast(DISPATCH_LEVEL, 'ExTryConvertSharedSpinLockExclusive')
  return atomicCompareExchange(SpinLock.address, 1, EXCLUSIVE) === 1
}
