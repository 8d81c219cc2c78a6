/**
 * Rundown protection (EX_RUNDOWN_REF): users come and go without a lock, until one waits for the last of them.
 *
 * The word counts users in units of 2. Bit 0 says that the rundown has begun: nobody is let in from then on, and
 * the rest of the word is the waiter's block, which counts the users that are left; 1 alone means that it is over.
 * The users that are left each own a count of the block, so it is there until the last has signalled its event.
 */
import {
  atomicAdd,
  atomicCompareExchange,
  atomicExchange,
  atomicLoad,
  atomicStore,
  read32,
  write32,
} from '../mm/access.ts'
import { allocate, free } from '../mm/pool.ts'
import { ports } from '../ports/ports.ts'
import { LONG, struct, ULONG } from '../rtl/struct.ts'
import { initializeEvent, NotificationEvent, setEvent } from '../ke/event.ts'
import { KEVENT } from '../ke/layouts.ts'
import { APC_LEVEL, DISPATCH_LEVEL, enter } from '../ke/level.ts'
import { cpu, Machine } from '../ke/pcr.ts'
import { acquireWord, releaseWord } from '../ke/spin.ts'
import { waitForObject } from '../ke/wait.ts'
import { Violation, violation } from './verify.ts'

export const EX_RUNDOWN_REF = struct('EX_RUNDOWN_REF', { Count: ULONG })
export interface EX_RUNDOWN_REF extends InstanceType<typeof EX_RUNDOWN_REF> {}

const ACTIVE = 1
const USER = 2

const RUNDOWN_WAIT_BLOCK = struct('RUNDOWN_WAIT_BLOCK', {
  WakeEvent: KEVENT,
  Users: LONG, // that are left; atomic
  Waiters: LONG, // threads that use the block; under the configuration lock
})
const Block = RUNDOWN_WAIT_BLOCK.offsets

/** Lets a user in; false once the rundown has begun. */
export function acquireRundown(ref: number): boolean {
  for (;;) {
    const word = atomicLoad(ref)
    if ((word & ACTIVE) !== 0) return false
    if (atomicCompareExchange(ref, word, word + USER) === word) return true
  }
}

/** Lets a user out; the last one ends the wait. */
export function releaseRundown(ref: number): void {
  for (;;) {
    const word = atomicLoad(ref)
    if (cpu.checked && (word & ~ACTIVE) === 0) releasedByNobody(ref)
    if ((word & ACTIVE) !== 0) {
      const block = word & ~ACTIVE
      if (atomicAdd(block + Block.Users, -1) === 1) setEvent(block + Block.WakeEvent)
      return
    }
    if (atomicCompareExchange(ref, word, word - USER) === word) return
  }
}

/** Begins the rundown and waits for the users that are in. */
export function waitForRundown(ref: number): void | Promise<void> {
  if (atomicCompareExchange(ref, 0, ACTIVE) === 0 || atomicLoad(ref) === ACTIVE) return
  return waitForUsers(ref)
}

async function waitForUsers(ref: number): Promise<void> {
  for (;;) {
    const block = joinRundown(ref) || beginRundown(ref)
    if (block > 0) {
      await waitForObject(block + Block.WakeEvent)
      return endRundown(ref, block)
    }
    if (atomicLoad(ref) === ACTIVE) return
    await ports.processor.turn() // no memory to wait in: this thread asks again after a turn
  }
}

/** The block of a rundown that another thread waits for; 0 when there is none. */
function joinRundown(ref: number): number {
  acquireWord(Machine.ConfigurationLock)
  const word = atomicLoad(ref)
  const block = (word & ACTIVE) !== 0 ? word & ~ACTIVE : 0
  if (block !== 0) write32(block + Block.Waiters, read32(block + Block.Waiters) + 1)
  releaseWord(Machine.ConfigurationLock)
  return block
}

/** Puts a block into the word, with the count of the users that are in; 0 when that cannot be done now. */
function beginRundown(ref: number): number {
  const block = allocate(RUNDOWN_WAIT_BLOCK.size, 'ExRu')
  if (block === 0) return 0
  initializeEvent(block + Block.WakeEvent, NotificationEvent, false)
  write32(block + Block.Waiters, 1)
  for (;;) {
    const word = atomicLoad(ref)
    if ((word & ACTIVE) !== 0) break
    if (word === 0) {
      if (atomicCompareExchange(ref, 0, ACTIVE) === 0) break
      continue
    }
    write32(block + Block.Users, word >>> 1)
    if (atomicCompareExchange(ref, word, block | ACTIVE) === word) return block
  }
  free(block)
  return 0
}

/** Marks the rundown as over; the last thread that used the block frees it. */
function endRundown(ref: number, block: number): void {
  acquireWord(Machine.ConfigurationLock)
  atomicCompareExchange(ref, block | ACTIVE, ACTIVE)
  const waiters = read32(block + Block.Waiters) - 1
  write32(block + Block.Waiters, waiters)
  releaseWord(Machine.ConfigurationLock)
  if (waiters === 0) free(block)
}

function releasedByNobody(ref: number): never {
  return violation(
    Violation.RELEASED_UNACQUIRED,
    [ref],
    'rundown protection was released more often than acquired; a FALSE from ExAcquireRundownProtection needs no release',
  )
}

/**
 * Makes a rundown reference that nobody uses.
 *
 * @irql <= APC_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exinitializerundownprotection
 */
export function ExInitializeRundownProtection(RunRef: EX_RUNDOWN_REF): void {
  enter(APC_LEVEL, 'ExInitializeRundownProtection')
  atomicStore(RunRef.address, 0)
}

/**
 * Asks to use the object that `RunRef` protects.
 *
 * @irql <= DISPATCH_LEVEL
 * @returns TRUE: the object stays until ExReleaseRundownProtection; FALSE: it is being run down, or was
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exacquirerundownprotection
 */
export function ExAcquireRundownProtection(RunRef: EX_RUNDOWN_REF): boolean {
  enter(DISPATCH_LEVEL, 'ExAcquireRundownProtection')
  return acquireRundown(RunRef.address)
}

/**
 * Ends one use of the object.
 *
 * @irql <= DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exreleaserundownprotection
 */
export function ExReleaseRundownProtection(RunRef: EX_RUNDOWN_REF): void {
  enter(DISPATCH_LEVEL, 'ExReleaseRundownProtection')
  releaseRundown(RunRef.address)
}

/**
 * Lets no new user in and waits until the present ones have left; at once when there are none, or the object was run
 * down already.
 *
 * @irql <= APC_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exwaitforrundownprotectionrelease
 */
export function ExWaitForRundownProtectionRelease(RunRef: EX_RUNDOWN_REF): void | Promise<void> {
  enter(APC_LEVEL, 'ExWaitForRundownProtectionRelease')
  return waitForRundown(RunRef.address)
}

/**
 * Marks the rundown as over: waits return at once, and nobody is let in.
 *
 * @irql <= APC_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exrundowncompleted
 */
export function ExRundownCompleted(RunRef: EX_RUNDOWN_REF): void {
  enter(APC_LEVEL, 'ExRundownCompleted')
  atomicExchange(RunRef.address, ACTIVE)
}

/**
 * Lets users in again, after a rundown that is over.
 *
 * @irql <= APC_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exreinitializerundownprotection
 */
export function ExReInitializeRundownProtection(RunRef: EX_RUNDOWN_REF): void {
  enter(APC_LEVEL, 'ExReInitializeRundownProtection')
  atomicStore(RunRef.address, 0)
}
