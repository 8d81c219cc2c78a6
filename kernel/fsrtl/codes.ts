/** What a file system and its watchers say of changes (wdm-facts §1.3). */
import { array, struct, ULONG, type View, WCHAR } from '../rtl/struct.ts'

/** Kinds of changes: CompletionFilter of a watcher, FilterMatch of a report. */
export const FILE_NOTIFY_CHANGE_FILE_NAME = 0x001
export const FILE_NOTIFY_CHANGE_DIR_NAME = 0x002
export const FILE_NOTIFY_CHANGE_NAME = 0x003
export const FILE_NOTIFY_CHANGE_ATTRIBUTES = 0x004
export const FILE_NOTIFY_CHANGE_SIZE = 0x008
export const FILE_NOTIFY_CHANGE_LAST_WRITE = 0x010
export const FILE_NOTIFY_CHANGE_LAST_ACCESS = 0x020
export const FILE_NOTIFY_CHANGE_CREATION = 0x040
export const FILE_NOTIFY_CHANGE_EA = 0x080
export const FILE_NOTIFY_CHANGE_SECURITY = 0x100
export const FILE_NOTIFY_CHANGE_STREAM_NAME = 0x200
export const FILE_NOTIFY_CHANGE_STREAM_SIZE = 0x400
export const FILE_NOTIFY_CHANGE_STREAM_WRITE = 0x800
export const FILE_NOTIFY_VALID_MASK = 0xfff

/** What happened: FILE_NOTIFY_INFORMATION.Action. */
export const FILE_ACTION_ADDED = 1
export const FILE_ACTION_REMOVED = 2
export const FILE_ACTION_MODIFIED = 3
export const FILE_ACTION_RENAMED_OLD_NAME = 4
export const FILE_ACTION_RENAMED_NEW_NAME = 5
export const FILE_ACTION_ADDED_STREAM = 6
export const FILE_ACTION_REMOVED_STREAM = 7
export const FILE_ACTION_MODIFIED_STREAM = 8
export const FILE_ACTION_REMOVED_BY_DELETE = 9
export const FILE_ACTION_ID_NOT_TUNNELLED = 10
export const FILE_ACTION_TUNNELLED_ID_COLLISION = 11

/** One change in a watcher's buffer. Records begin at multiples of 4; the last one is not padded. */
export const FILE_NOTIFY_INFORMATION = struct('FILE_NOTIFY_INFORMATION', {
  NextEntryOffset: ULONG, // bytes from the start of this record; 0 in the last
  Action: ULONG, // FILE_ACTION_…
  FileNameLength: ULONG, // bytes; there is no NUL
  FileName: array(WCHAR, 1), // the first unit: the others follow
})
export interface FILE_NOTIFY_INFORMATION extends View<typeof FILE_NOTIFY_INFORMATION> {}

/**
 * Says whether the watcher may learn of a change in a subdirectory of the one it watches: anything but FALSE and 0 is
 * yes. Called with the notify lock held; may wait.
 *
 * @irql PASSIVE_LEVEL
 */
export type CHECK_FOR_TRAVERSE_ACCESS = (
  NotifyContext: never, // FsContext of the watcher
  TargetContext: never, // of the report
  SubjectContext: never, // of the watcher
) => boolean | number | Promise<boolean | number>

/**
 * Says whether the watcher is to learn of a change. Called with the notify lock held; may wait.
 *
 * @irql PASSIVE_LEVEL
 */
export type FILTER_REPORT_CHANGE = (
  NotifyContext: never, // FsContext of the watcher
  FilterContext: never, // of the report
) => boolean | number | Promise<boolean | number>
