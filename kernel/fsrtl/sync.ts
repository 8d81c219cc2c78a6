/** The notify synchronization object: one for each volume, made and given back by its file system. */
import { initializeFastMutex } from '../ex/fastmutex.ts'
import { raiseStatus } from '../ke/exception.ts'
import { APC_LEVEL, enter, type Out } from '../ke/level.ts'
import { atomicAdd, write32 } from '../mm/access.ts'
import { allocate, free } from '../mm/pool.ts'
import { STATUS_INSUFFICIENT_RESOURCES } from '../rtl/status.ts'
import { NOTIFY_SYNC, Sync } from './layouts.ts'

export { NOTIFY_SYNC } from './layouts.ts'

const TAG = 'FSNS'

/**
 * Who may come to a sync when its driver has given it back: structures that are left, and cancel routines that are
 * just leaving. The block goes with the last of them (decision 0107).
 */
export function referenceSync(sync: number): void {
  atomicAdd(sync + Sync.References, 1)
}

export function dereferenceSync(sync: number): void {
  if (atomicAdd(sync + Sync.References, -1) === 1) free(sync, TAG)
}

/**
 * Allocates a synchronization object for a notify list, from nonpaged pool, and stores a pointer to it.
 *
 * Raises STATUS_INSUFFICIENT_RESOURCES when there is no memory; `NotifySync` is null then.
 *
 * @irql <= APC_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntifs/nf-ntifs-_fsrtl_advanced_fcb_header-fsrtlnotifyinitializesync
 */
export function FsRtlNotifyInitializeSync(NotifySync: Out<NOTIFY_SYNC | null>): void {
  enter(APC_LEVEL, 'FsRtlNotifyInitializeSync')
  NotifySync.value = null
  const sync = allocate(NOTIFY_SYNC.size, TAG)
  if (sync === 0) raiseStatus(STATUS_INSUFFICIENT_RESOURCES)
  initializeFastMutex(sync + Sync.FastMutex)
  write32(sync + Sync.References, 1)
  NotifySync.value = new NOTIFY_SYNC(sync)
}

/**
 * Frees a synchronization object and sets the pointer to null; does nothing where it is null already. The list's
 * requests stay as they are: call FsRtlNotifyCleanupAll first.
 *
 * @irql <= APC_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntifs/nf-ntifs-_fsrtl_advanced_fcb_header-fsrtlnotifyuninitializesync
 */
export function FsRtlNotifyUninitializeSync(NotifySync: Out<NOTIFY_SYNC | null>): void {
  enter(APC_LEVEL, 'FsRtlNotifyUninitializeSync')
  const sync = NotifySync.value
  if (sync === null) return
  NotifySync.value = null
  dereferenceSync(sync.address)
}
