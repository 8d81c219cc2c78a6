/**
 * Remove locks (IO_REMOVE_LOCK): I/O in flight holds the lock, and removal waits for the last holder.
 *
 * IoCount is 1 for the device itself plus 1 for each holder; IoReleaseRemoveLockAndWait takes the device's 1. On a
 * checked build each acquisition is remembered by its tag, so that a release that matches none is found.
 */
import { atomicAdd, atomicLoad, atomicStore, read32, readU32, write32, zero } from '../mm/access.ts'
import { allocate, free } from '../mm/pool.ts'
import { BugCode } from '../ke/bugcodes.ts'
import { bugCheck } from '../ke/bugcheck.ts'
import { initializeEvent, setEvent, SynchronizationEvent } from '../ke/event.ts'
import { KEVENT } from '../ke/layouts.ts'
import { DISPATCH_LEVEL, enter, PASSIVE_LEVEL } from '../ke/level.ts'
import { cpu } from '../ke/pcr.ts'
import { acquireWord, releaseWord } from '../ke/spin.ts'
import { waitForObject } from '../ke/wait.ts'
import { type NTSTATUS, STATUS_DELETE_PENDING, STATUS_SUCCESS } from '../rtl/status.ts'
import { LONG, type Pvoid, storePvoid, struct, PVOID, ULONG } from '../rtl/struct.ts'

/** In the driver's device extension. */
export const IO_REMOVE_LOCK = struct('IO_REMOVE_LOCK', {
  // No lock: atomic.
  Removed: ULONG,
  IoCount: LONG,
  RemoveEvent: KEVENT, // signalled when the count comes to 0

  // Checked build, guarded by BlocksLock.
  BlocksLock: ULONG,
  Blocks: ULONG, // the newest acquisition's block
  HighWatermark: ULONG, // most acquisitions at once, 0 for any number
  AllocateTag: ULONG,
})
export interface IO_REMOVE_LOCK extends InstanceType<typeof IO_REMOVE_LOCK> {}

const BLOCK = struct('REMOVE_LOCK_BLOCK', { Next: ULONG, Tag: PVOID })
const BLOCK_TAG = 'IoRl'
const { Removed, IoCount, RemoveEvent, BlocksLock, Blocks, HighWatermark, AllocateTag } = IO_REMOVE_LOCK.offsets

/** IoCount of a lock that was initialised and never released below that; what memory holds by chance is not it. */
const isInUse = (lock: number): boolean => read32(lock + AllocateTag) !== 0 && read32(lock + Removed) !== 0

/**
 * Makes a remove lock that nobody holds. `MaxLockedMinutes` is not checked; `HighWatermark` is, on a checked build,
 * unless it is 0.
 *
 * @irql PASSIVE_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-ioinitializeremovelock
 */
export function IoInitializeRemoveLock(
  Lock: IO_REMOVE_LOCK,
  AllocateTag_: number,
  _MaxLockedMinutes: number,
  HighWatermark_: number,
): void {
  enter(PASSIVE_LEVEL, 'IoInitializeRemoveLock')
  const lock = Lock.address
  if (cpu.checked && isInUse(lock)) {
    violation(
      0xd7,
      lock,
      0,
      'IoInitializeRemoveLock was called again for a lock after removal; a removed device stays removed',
    )
  }
  zero(lock, IO_REMOVE_LOCK.size)
  atomicStore(lock + IoCount, 1)
  initializeEvent(lock + RemoveEvent, SynchronizationEvent, false)
  write32(lock + HighWatermark, HighWatermark_)
  write32(lock + AllocateTag, AllocateTag_ | 0 || 1)
}

/**
 * Keeps the device from being removed until IoReleaseRemoveLock is called with the same tag.
 *
 * @irql <= DISPATCH_LEVEL
 * @returns STATUS_SUCCESS; STATUS_DELETE_PENDING when removal has begun: fail the request, and do not release
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-ioacquireremovelock
 */
export function IoAcquireRemoveLock(Lock: IO_REMOVE_LOCK, Tag: Pvoid): NTSTATUS {
  enter(DISPATCH_LEVEL, 'IoAcquireRemoveLock')
  const lock = Lock.address
  const count = atomicAdd(lock + IoCount, 1) + 1
  // The count goes up before the look: whoever removes sees it, or we see that it removes.
  if (atomicLoad(lock + Removed) !== 0) {
    dropOne(lock)
    return STATUS_DELETE_PENDING
  }
  if (cpu.checked) rememberTag(lock, Tag, count - 1)
  return STATUS_SUCCESS
}

/**
 * Undoes one IoAcquireRemoveLock.
 *
 * @irql <= DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-ioreleaseremovelock
 */
export function IoReleaseRemoveLock(Lock: IO_REMOVE_LOCK, Tag: Pvoid): void {
  enter(DISPATCH_LEVEL, 'IoReleaseRemoveLock')
  const lock = Lock.address
  if (cpu.checked && !forgetTag(lock, Tag)) {
    violation(0xd5, lock, addressOf(Tag), 'IoReleaseRemoveLock was called with a tag that no outstanding acquire had')
  }
  dropOne(lock)
}

/**
 * Lets no further request in, gives up the caller's own acquisition, and waits for all others. In
 * IRP_MN_REMOVE_DEVICE only, after the IRP was passed down and before the device is detached and deleted.
 *
 * @irql PASSIVE_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-ioreleaseremovelockandwait
 */
export function IoReleaseRemoveLockAndWait(Lock: IO_REMOVE_LOCK, Tag: Pvoid): void | Promise<void> {
  enter(PASSIVE_LEVEL, 'IoReleaseRemoveLockAndWait')
  const lock = Lock.address
  if (cpu.checked && !forgetTag(lock, Tag)) {
    violation(
      0xd6,
      lock,
      addressOf(Tag),
      'IoReleaseRemoveLockAndWait was called with a tag that no outstanding acquire had',
    )
  }
  atomicStore(lock + Removed, 1)
  // The caller's and the device's own: what is left are requests in flight.
  if (atomicAdd(lock + IoCount, -2) - 2 <= 0) return
  return waitForLast(lock)
}

async function waitForLast(lock: number): Promise<void> {
  await waitForObject(lock + RemoveEvent)
}

function dropOne(lock: number): void {
  if (atomicAdd(lock + IoCount, -1) === 1) setEvent(lock + RemoveEvent)
}

function rememberTag(lock: number, tag: Pvoid, holders: number): void {
  const highWatermark = read32(lock + HighWatermark)
  if (highWatermark !== 0 && holders > highWatermark) tooMany(lock, holders, highWatermark)
  const block = allocate(BLOCK.size, BLOCK_TAG)
  if (block === 0) return // as Windows: one acquisition less that is checked
  storePvoid(block + BLOCK.offsets.Tag, tag)
  acquireWord(lock + BlocksLock)
  write32(block, read32(lock + Blocks))
  write32(lock + Blocks, block)
  releaseWord(lock + BlocksLock)
}

function forgetTag(lock: number, tag: Pvoid): boolean {
  const address = addressOf(tag)
  acquireWord(lock + BlocksLock)
  let link = lock + Blocks
  while (read32(link) !== 0 && readU32(read32(link) + BLOCK.offsets.Tag) !== address) link = read32(link)
  const block = read32(link)
  if (block !== 0) write32(link, read32(block))
  releaseWord(lock + BlocksLock)
  if (block !== 0) free(block, BLOCK_TAG)
  return block !== 0
}

const addressOf = (tag: Pvoid): number => (tag === null ? 0 : typeof tag === 'number' ? tag >>> 0 : tag.address)

function tooMany(lock: number, holders: number, highWatermark: number): never {
  return bugCheck({
    code: BugCode.DRIVER_VIOLATION,
    parameters: [0x12, lock, holders, highWatermark],
    message: `a remove lock was acquired ${holders} times at once; IoInitializeRemoveLock was told at most ${highWatermark}`,
  })
}

function violation(code: number, lock: number, tag: number, message: string): never {
  return bugCheck({ code: BugCode.DRIVER_VERIFIER_DETECTED_VIOLATION, parameters: [code, lock, tag], message })
}
