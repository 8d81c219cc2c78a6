/** Reports of changes: which watchers they reach, and what those are told (wdm-facts §1.6, §1.7). */
import { escapedException } from '../ke/bugcheck.ts'
import { routineOf } from '../ke/image.ts'
import { enter, PASSIVE_LEVEL } from '../ke/level.ts'
import { addressOf } from '../io/mdl.ts'
import { read32 } from '../mm/access.ts'
import type { LIST_ENTRY } from '../rtl/list.ts'
import type { Pvoid } from '../rtl/struct.ts'
import { FILE_ACTION_RENAMED_OLD_NAME } from './codes.ts'
import { contextOf, dereferenceChange, indexOf, inOrder, referenceChange, sizeOf, subjectOf } from './change.ts'
import { addNameless, addWatchers } from './directory.ts'
import { clearFlag, hasFlag, setFlag } from './flags.ts'
import { AWAITS_NEW_NAME, Change, CLEANUP_IN_PROCESS, Index, NOTIFY_IMMEDIATELY, type NOTIFY_SYNC } from './layouts.ts'
import { withLock } from './lock.ts'
import { type AnyName, type Name, nameOf, part } from './name.ts'
import { tellOldest } from './pending.ts'
import { appendRecord, recordName, type Target } from './record.ts'
import { followReport } from './rename.ts'

interface Report extends Target {
  /** The name of the target's parent, where the driver gave it; null: it is in the target's name. */
  parent: Name | null
  isViewIndex: boolean
  filterMatch: number
  action: number
  targetContext: Pvoid
  filterContext: Pvoid
}

/** Parameters of FsRtlNotifyFullReportChange. */
export interface NotifyReport {
  NotifySync: NOTIFY_SYNC
  NotifyList: LIST_ENTRY
  /** Null for a change of a view index: it reaches watchers without a name whose SubjectContext is TargetContext. */
  FullTargetName: AnyName | null
  /** Byte offset of the last component. */
  TargetNameOffset: number
  StreamName?: AnyName | null
  /** The parent's name, where that in FullTargetName is not the one that watchers gave (short names). */
  NormalizedParentName?: AnyName | null
  FilterMatch: number
  Action: number
  TargetContext?: Pvoid
}

/** Parameters of FsRtlNotifyFilterReportChange. */
export interface NotifyFilterReport extends NotifyReport {
  FilterContext?: Pvoid
}

/** The parent's name, for watchers whose characters have `size` bytes. Right below the root it is the separator. */
function parentOf({ parent, name, offset }: Report, size: number): Name {
  return parent ?? part(name, 0, offset === size ? size : Math.min(offset - size, name.length))
}

/** The watchers on the way to the target, in the order of the list. */
function watchersOf(index: number, report: Report): number[] {
  const found: number[] = []
  if (report.isViewIndex) {
    addNameless(index, addressOf(report.targetContext), found)
    return inOrder(found)
  }
  followReport(index, report.name, report.filterMatch, report.action)
  const narrow = read32(index + Index.NarrowMembers)
  if (narrow !== 0) addWatchers(index, parentOf(report, 1), 1, found)
  if (narrow !== read32(index + Index.Members)) addWatchers(index, parentOf(report, 2), 2, found)
  return inOrder(found)
}

/** Tells all it reaches. They are looked for first: a callback may add watchers and take away others. */
function reportTo(list: number, report: Report): void | Promise<void> {
  const index = indexOf(list)
  if (index === 0) return
  const watchers = watchersOf(index, report)
  for (const change of watchers) referenceChange(change)
  return tellFrom(watchers, 0, report)
}

function tellFrom(watchers: number[], first: number, report: Report): void | Promise<void> {
  for (let i = first; i < watchers.length; i++) {
    const change = watchers[i] as number
    const isReached = reaches(change, report)
    if (typeof isReached === 'object') {
      return isReached.then((reached) => {
        tellOne(change, report, reached)
        return tellFrom(watchers, i + 1, report)
      })
    }
    tellOne(change, report, isReached)
  }
}

function tellOne(change: number, report: Report, isReached: boolean): void {
  if (isReached && !hasFlag(change, CLEANUP_IN_PROCESS)) record(change, report)
  dereferenceChange(change)
}

/** Whether the watcher wants such changes and may learn of this one. */
function reaches(change: number, report: Report): boolean | Promise<boolean> {
  if ((read32(change + Change.CompletionFilter) & report.filterMatch) === 0) return false
  if (hasFlag(change, CLEANUP_IN_PROCESS)) return false
  const mayTraverse = isDirect(change, report) || traverses(change, report)
  if (typeof mayTraverse === 'object') return mayTraverse.then((may) => may && passesFilter(change, report))
  return mayTraverse && passesFilter(change, report)
}

function isDirect(change: number, report: Report): boolean {
  return report.isViewIndex || parentOf(report, sizeOf(change)).length <= read32(change + Change.NameLength)
}

function traverses(change: number, { targetContext }: Report): boolean | Promise<boolean> {
  return ask(read32(change + Change.TraverseCallback), contextOf(change), targetContext, subjectOf(change))
}

function passesFilter(change: number, { filterContext }: Report): boolean | Promise<boolean> {
  if (filterContext === null) return true
  return ask(read32(change + Change.FilterCallback), contextOf(change), filterContext)
}

/** What a driver's callback says, as a BOOLEAN: 0 is no, whatever else it may be a status of. No callback says yes. */
function ask(id: number, ...contexts: Pvoid[]): boolean | Promise<boolean> {
  if (id === 0) return true
  const routine = routineOf(id)
  try {
    const answer = routine(...contexts) as boolean | number | Promise<boolean | number>
    if (typeof answer !== 'object') return Boolean(answer)
    return answer.then(Boolean, (error: unknown) => escapedException(error, `notify callback ${routine.name}`))
  } catch (error) {
    return escapedException(error, `notify callback ${routine.name}`)
  }
}

/** Records the change, and tells whoever waits; of a rename not before its second half. */
function record(change: number, report: Report): void {
  if (!hasFlag(change, NOTIFY_IMMEDIATELY)) {
    if (read32(change + Change.BufferLength) === 0) setFlag(change, NOTIFY_IMMEDIATELY)
    else appendRecord(change, report.action, recordName(change, report, parentOf(report, sizeOf(change))))
  }
  if (report.action === FILE_ACTION_RENAMED_OLD_NAME) return setFlag(change, AWAITS_NEW_NAME)
  clearFlag(change, AWAITS_NEW_NAME)
  tellOldest(change)
}

function start(parameters: NotifyFilterReport): void | Promise<void> {
  const { NotifySync, NotifyList, FullTargetName, TargetNameOffset, StreamName, NormalizedParentName } = parameters
  if (FullTargetName !== null && TargetNameOffset === 0) return
  return withLock(NotifySync.address, () =>
    reportTo(NotifyList.address, {
      name: nameOf(FullTargetName),
      offset: TargetNameOffset,
      stream: given(StreamName),
      parent: given(NormalizedParentName),
      isViewIndex: FullTargetName === null,
      filterMatch: parameters.FilterMatch,
      action: parameters.Action,
      targetContext: parameters.TargetContext ?? null,
      filterContext: parameters.FilterContext ?? null,
    }),
  )
}

const given = (text: AnyName | null | undefined): Name | null =>
  text === null || text === undefined ? null : nameOf(text)

/**
 * Tells the watchers of a directory, and those who watch a tree that it is in, of a change to one of its files: their
 * oldest request is completed with it, or it is kept for the next one.
 *
 * Names are compared byte by byte, so the file system spells a name always alike.
 *
 * @irql PASSIVE_LEVEL
 * @deviates (decision 0027) Of several requests of one open, a change completes the oldest; Windows' page says all.
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntifs/nf-ntifs-_fsrtl_advanced_fcb_header-fsrtlnotifyfullreportchange
 */
export function FsRtlNotifyFullReportChange(report: NotifyReport): void | Promise<void> {
  enter(PASSIVE_LEVEL, 'FsRtlNotifyFullReportChange')
  return start({ ...report, FilterContext: null })
}

/**
 * As FsRtlNotifyFullReportChange; a watcher's FilterCallback, given `FilterContext`, may keep the change from it. A null
 * `FilterContext` asks none.
 *
 * @irql PASSIVE_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntifs/nf-ntifs-_fsrtl_advanced_fcb_header-fsrtlnotifyfilterreportchange
 */
export function FsRtlNotifyFilterReportChange(report: NotifyFilterReport): void | Promise<void> {
  enter(PASSIVE_LEVEL, 'FsRtlNotifyFilterReportChange')
  return start(report)
}

/**
 * The first form of FsRtlNotifyFullReportChange: without an action, so watchers who have a buffer get records that say 0.
 *
 * @irql PASSIVE_LEVEL
 * @deviates (decision 0027) FileNamePartLength, the bytes of the last component, is passed by value.
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntifs/nf-ntifs-_fsrtl_advanced_fcb_header-fsrtlnotifyfullreportchange
 */
export function FsRtlNotifyReportChange(
  NotifySync: NOTIFY_SYNC,
  NotifyList: LIST_ENTRY,
  FullTargetName: AnyName,
  FileNamePartLength: number,
  FilterMatch: number,
): void | Promise<void> {
  enter(PASSIVE_LEVEL, 'FsRtlNotifyReportChange')
  const TargetNameOffset = nameOf(FullTargetName).length - FileNamePartLength
  return start({ NotifySync, NotifyList, FullTargetName, TargetNameOffset, FilterMatch, Action: 0 })
}
