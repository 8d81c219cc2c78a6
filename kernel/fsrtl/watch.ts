/** Requests to be told of changes, and the end of a directory (wdm-facts §1.4, §1.5). */
import { checkPvoid, type Pvoid } from '../rtl/struct.ts'
import type { LIST_ENTRY } from '../rtl/list.ts'
import { STATUS_DELETE_PENDING, STATUS_NOTIFY_CLEANUP, STATUS_NOTIFY_ENUM_DIR, STATUS_SUCCESS } from '../rtl/status.ts'
import { routineId } from '../ke/image.ts'
import { enter, PASSIVE_LEVEL } from '../ke/level.ts'
import { read32, readU32, write32 } from '../mm/access.ts'
import { FO_CLEANUP_COMPLETE } from '../io/codes.ts'
import { currentStack } from '../io/irp.ts'
import { FILE_OBJECT, type IRP, Irp, Stack } from '../io/layouts.ts'
import { addressOf } from '../io/mdl.ts'
import { roomOf } from './buffer.ts'
import { createChange, dereferenceChange, findChange, findStream, referenceChange, type Watch } from './change.ts'
import type { CHECK_FOR_TRAVERSE_ACCESS, FILTER_REPORT_CHANGE } from './codes.ts'
import { clearFlag, hasFlag, setFlag } from './flags.ts'
import {
  AWAITS_NEW_NAME,
  Change,
  CLEANUP_IN_PROCESS,
  DELETE_IN_PROCESS,
  NOTIFY_IMMEDIATELY,
  type NOTIFY_SYNC,
} from './layouts.ts'
import { withLock } from './lock.ts'
import { type AnyName, nameOf } from './name.ts'
import { complete, completeAll, tell } from './pending.ts'
import { queueIrp } from './queue.ts'
import { followName } from './rename.ts'
import { releaseAndFree } from './subject.ts'

/** Parameters of FsRtlNotifyFullChangeDirectory. */
export interface NotifyChangeDirectory {
  NotifySync: NOTIFY_SYNC
  NotifyList: LIST_ENTRY
  /** Names the open instance; with a null NotifyIrp, the directory: FsContext of the file objects. */
  FsContext: Pvoid
  /** A counted string must live as long as the structure does; a literal is copied. Null: a view index. */
  FullDirectoryName: AnyName | null
  WatchTree: boolean | number
  IgnoreBuffer: boolean | number
  CompletionFilter: number
  NotifyIrp: IRP | null
  TraverseCallback?: CHECK_FOR_TRAVERSE_ACCESS | null
  /** With a name, a SECURITY_SUBJECT_CONTEXT in pool, which is handed over; without one, what reports must match. */
  SubjectContext?: Pvoid
}

/** Parameters of FsRtlNotifyFilterChangeDirectory. */
export interface NotifyFilterChangeDirectory extends NotifyChangeDirectory {
  FilterCallback?: FILTER_REPORT_CHANGE | null
}

function start(request: NotifyFilterChangeDirectory): void | Promise<void> {
  const list = request.NotifyList.address
  const sync = request.NotifySync.address
  if (request.NotifyIrp === null) return withLock(sync, () => endDirectory(list, addressOf(request.FsContext)))
  const irp = request.NotifyIrp.address
  const watch = watchOf(request, irp)
  return withLock(sync, () => serve(irp, watch))
}

/** Everything that is the driver's to get wrong is looked at here, before the lock is taken. */
function watchOf(request: NotifyFilterChangeDirectory, irp: number): Watch {
  const { FullDirectoryName, TraverseCallback = null, FilterCallback = null, SubjectContext = null } = request
  checkPvoid(request.FsContext)
  checkPvoid(SubjectContext)
  const file = fileOf(irp)
  return {
    sync: request.NotifySync.address,
    list: request.NotifyList.address,
    fsContext: request.FsContext,
    streamId: file === 0 ? 0 : read32(file + FILE_OBJECT.offsets.FsContext),
    name: nameOf(FullDirectoryName),
    nameAddress: FullDirectoryName === null || typeof FullDirectoryName === 'string' ? 0 : FullDirectoryName.address,
    watchesTree: Boolean(request.WatchTree),
    filter: request.CompletionFilter,
    bufferLength: request.IgnoreBuffer ? 0 : roomOf(irp),
    traverse: TraverseCallback === null ? 0 : routineId(TraverseCallback),
    subject: SubjectContext,
    filterCallback: FilterCallback === null ? 0 : routineId(FilterCallback),
  }
}

const fileOf = (irp: number): number => read32(currentStack(irp) + Stack.FileObject)

function isCleanedUp(irp: number): boolean {
  const file = fileOf(irp)
  return file !== 0 && (read32(file + FILE_OBJECT.offsets.Flags) & FO_CLEANUP_COMPLETE) !== 0
}

/** Completes or queues a request, and sees to it that its subject context goes once. */
function serve(irp: number, watch: Watch): void {
  let isKept = false
  try {
    write32(irp + Irp.Status, STATUS_SUCCESS)
    write32(irp + Irp.Information, 0)
    if (isCleanedUp(irp)) return complete(irp, STATUS_NOTIFY_CLEANUP)
    const existing = findChange(watch.list, addressOf(watch.fsContext))
    if (existing !== 0) return serveAgain(irp, existing)
    const change = createChange(watch)
    isKept = true
    queueIrp(irp, change)
  } finally {
    const subject = addressOf(watch.subject)
    if (!isKept && subject !== 0 && watch.name.length !== 0) releaseAndFree(subject)
  }
}

/** What the first request asked for stays; what this one asks for is not looked at. */
function serveAgain(irp: number, change: number): void {
  followName(change)
  if (hasFlag(change, CLEANUP_IN_PROCESS)) return complete(irp, STATUS_NOTIFY_CLEANUP)
  if (hasFlag(change, DELETE_IN_PROCESS)) return complete(irp, STATUS_DELETE_PENDING)
  if (hasFlag(change, AWAITS_NEW_NAME)) return queueIrp(irp, change)
  if (hasFlag(change, NOTIFY_IMMEDIATELY)) {
    clearFlag(change, NOTIFY_IMMEDIATELY)
    return complete(irp, STATUS_NOTIFY_ENUM_DIR)
  }
  if (readU32(change + Change.DataLength) === 0) return queueIrp(irp, change)
  tell(irp, change)
}

/**
 * The directory is to be deleted: completes the requests of all who have it open (decision 0103). While that goes on, new
 * requests of theirs are refused, or a driver that sends one from its completion routine would never come to an end.
 */
function endDirectory(list: number, streamId: number): void {
  const changes = findStream(list, streamId)
  for (const change of changes) referenceChange(change)
  for (const change of changes) {
    setFlag(change, DELETE_IN_PROCESS)
    completeAll(change, STATUS_DELETE_PENDING)
    clearFlag(change, DELETE_IN_PROCESS)
    dereferenceChange(change)
  }
}

/**
 * Has `NotifyIrp` wait for a change in a directory, or completes it at once: with changes that were kept since the last
 * request, with STATUS_NOTIFY_ENUM_DIR if some were lost, with STATUS_NOTIFY_CLEANUP if the file is cleaned up. The
 * dispatch routine returns STATUS_PENDING in every case. What the first request of an open asks for stays.
 *
 * A null `NotifyIrp` says that the directory is being deleted: all requests on file objects whose FsContext is
 * `FsContext` are completed with STATUS_DELETE_PENDING. A `SubjectContext` belongs to the notify package from this call
 * on. Raises STATUS_INSUFFICIENT_RESOURCES when there is no memory.
 *
 * @irql PASSIVE_LEVEL
 * @deviates (decision 0027) TraverseCallback is asked for a BOOLEAN, as in Microsoft's sample, not for an NTSTATUS.
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntifs/nf-ntifs-_fsrtl_advanced_fcb_header-fsrtlnotifyfullchangedirectory
 */
export function FsRtlNotifyFullChangeDirectory(request: NotifyChangeDirectory): void | Promise<void> {
  enter(PASSIVE_LEVEL, 'FsRtlNotifyFullChangeDirectory')
  return start({ ...request, FilterCallback: null })
}

/**
 * As FsRtlNotifyFullChangeDirectory, with a callback that is asked of each change that has a filter context.
 *
 * @irql PASSIVE_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntifs/nf-ntifs-_fsrtl_advanced_fcb_header-fsrtlnotifyfilterchangedirectory
 */
export function FsRtlNotifyFilterChangeDirectory(request: NotifyFilterChangeDirectory): void | Promise<void> {
  enter(PASSIVE_LEVEL, 'FsRtlNotifyFilterChangeDirectory')
  return start(request)
}

/**
 * The first form of FsRtlNotifyFullChangeDirectory: ignores the buffers, so requests end with STATUS_NOTIFY_ENUM_DIR.
 *
 * @irql PASSIVE_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntifs/nf-ntifs-_fsrtl_advanced_fcb_header-fsrtlnotifyfullchangedirectory
 */
export function FsRtlNotifyChangeDirectory(request: {
  NotifySync: NOTIFY_SYNC
  FsContext: Pvoid
  FullDirectoryName: AnyName | null
  NotifyList: LIST_ENTRY
  WatchTree: boolean | number
  CompletionFilter: number
  NotifyIrp: IRP | null
}): void | Promise<void> {
  enter(PASSIVE_LEVEL, 'FsRtlNotifyChangeDirectory')
  return start({ ...request, IgnoreBuffer: true, TraverseCallback: null, SubjectContext: null, FilterCallback: null })
}
