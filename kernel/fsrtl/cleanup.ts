/** The end of watchers (wdm-facts §1.8). */
import { addressOf } from '../io/mdl.ts'
import { APC_LEVEL, enter } from '../ke/level.ts'
import type { LIST_ENTRY } from '../rtl/list.ts'
import { STATUS_NOTIFY_CLEANUP } from '../rtl/status.ts'
import type { Pvoid } from '../rtl/struct.ts'
import { dropBuffer } from './buffer.ts'
import { dereferenceChange, findChange, membersOf, referenceChange } from './change.ts'
import { hasFlag, setFlag } from './flags.ts'
import { CLEANUP_IN_PROCESS, type NOTIFY_SYNC } from './layouts.ts'
import { withLock } from './lock.ts'
import { completeAll } from './pending.ts'

/** Completes a watcher's requests; it is gone when those that are being cancelled are. Caller holds the notify lock. */
function cleanUp(change: number): void {
  if (hasFlag(change, CLEANUP_IN_PROCESS)) return
  setFlag(change, CLEANUP_IN_PROCESS)
  dropBuffer(change)
  completeAll(change, STATUS_NOTIFY_CLEANUP)
  dereferenceChange(change)
}

/**
 * Ends the watcher of an open instance: completes its requests with STATUS_NOTIFY_CLEANUP and frees its structure and
 * subject context. Does nothing where there is none. Call it for IRP_MJ_CLEANUP, not for IRP_MJ_CLOSE.
 *
 * @irql <= APC_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntifs/nf-ntifs-_fsrtl_advanced_fcb_header-fsrtlnotifycleanup
 */
export function FsRtlNotifyCleanup(
  NotifySync: NOTIFY_SYNC,
  NotifyList: LIST_ENTRY,
  FsContext: Pvoid,
): void | Promise<void> {
  enter(APC_LEVEL, 'FsRtlNotifyCleanup')
  return withLock(NotifySync.address, () => {
    const change = findChange(NotifyList.address, addressOf(FsContext))
    if (change !== 0) cleanUp(change)
  })
}

/**
 * Ends all watchers of a list, as a dismount does.
 *
 * @irql <= APC_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntifs/nf-ntifs-_fsrtl_advanced_fcb_header-fsrtlnotifycleanupall
 */
export function FsRtlNotifyCleanupAll(NotifySync: NOTIFY_SYNC, NotifyList: LIST_ENTRY): void | Promise<void> {
  enter(APC_LEVEL, 'FsRtlNotifyCleanupAll')
  return withLock(NotifySync.address, () => {
    // Completion routines may end some of them meanwhile.
    const changes = membersOf(NotifyList.address)
    for (const change of changes) referenceChange(change)
    for (const change of changes) {
      cleanUp(change)
      dereferenceChange(change)
    }
  })
}
