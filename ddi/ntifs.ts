/** dirql/ntifs: ntifs.h. All of dirql/wdm, and what file systems need besides. */
export * from './wdm.ts'

// Push locks.
export {
  EX_PUSH_LOCK,
  ExInitializePushLock,
  ExAcquirePushLockExclusive,
  ExAcquirePushLockShared,
  ExReleasePushLockExclusive,
  ExReleasePushLockShared,
  ExTryAcquirePushLockExclusive,
  ExTryAcquirePushLockShared,
  ExTryConvertPushLockSharedToExclusive,
} from '../kernel/ex/pushlock.ts'

// Events, mutants and semaphores by handle.
export {
  ZwCreateEvent,
  ZwOpenEvent,
  ZwSetEvent,
  ZwResetEvent,
  ZwClearEvent,
  ZwPulseEvent,
  EventBasicInformation,
  EVENT_BASIC_INFORMATION,
  ZwQueryEvent,
} from '../kernel/ob/event.ts'
export {
  MUTANT_QUERY_STATE,
  MUTANT_ALL_ACCESS,
  ExMutantObjectType,
  ZwCreateMutant,
  ZwOpenMutant,
  ZwReleaseMutant,
} from '../kernel/ob/mutant.ts'
export { ZwCreateSemaphore, ZwOpenSemaphore, ZwReleaseSemaphore } from '../kernel/ob/semaphore.ts'
export { ZwWaitForSingleObject } from '../kernel/ob/wait.ts'

// Handles that are made from objects, and copied.
export {
  ObReferenceObjectByName,
  ObOpenObjectByPointer,
  ObOpenObjectByName,
  ObGetObjectType,
} from '../kernel/ob/open.ts'
export {
  DUPLICATE_CLOSE_SOURCE,
  DUPLICATE_SAME_ACCESS,
  DUPLICATE_SAME_ATTRIBUTES,
  ZwDuplicateObject,
} from '../kernel/ob/duplicate.ts'

// What objects say of themselves.
export {
  ObjectBasicInformation,
  ObjectNameInformation,
  ObjectTypeInformation,
  ObjectHandleFlagInformation,
  OBJECT_BASIC_INFORMATION,
  OBJECT_NAME_INFORMATION,
  OBJECT_TYPE_INFORMATION,
  OBJECT_HANDLE_FLAG_INFORMATION,
  ObQueryNameString,
  ZwQueryObject,
  ZwSetInformationObject,
  ObIsKernelHandle,
} from '../kernel/ob/query.ts'

// Object directories.
export {
  ZwOpenDirectoryObject,
  ZwQueryDirectoryObject,
  OBJECT_DIRECTORY_INFORMATION,
  ZwMakePermanentObject,
  ObMakeTemporaryObject,
} from '../kernel/ob/directoryservices.ts'

// Devices, drivers and requestors.
export { IoDeviceObjectType, IoGetRelatedDeviceObject } from '../kernel/io/device.ts'
export { IoDriverObjectType } from '../kernel/io/driver.ts'
export { IoGetAttachedDevice } from '../kernel/io/attach.ts'
export { IoGetRequestorProcess } from '../kernel/io/irp.ts'
export { ZwDeviceIoControlFile } from '../kernel/io/zwfile.ts'

// Threads.
export { PsIsSystemThread } from '../kernel/ps/thread.ts'

// Strings.
export { RtlUpcaseUnicodeChar } from '../kernel/rtl/string.ts'

// Subject contexts.
export {
  SECURITY_SUBJECT_CONTEXT,
  SeCaptureSubjectContext,
  SeReleaseSubjectContext,
} from '../kernel/fsrtl/subject.ts'

// Notify lists: who watches a directory is told of its changes.
export { NOTIFY_SYNC, FsRtlNotifyInitializeSync, FsRtlNotifyUninitializeSync } from '../kernel/fsrtl/sync.ts'
export {
  FsRtlNotifyFullChangeDirectory,
  FsRtlNotifyFilterChangeDirectory,
  FsRtlNotifyChangeDirectory,
} from '../kernel/fsrtl/watch.ts'
export {
  FsRtlNotifyFullReportChange,
  FsRtlNotifyFilterReportChange,
  FsRtlNotifyReportChange,
} from '../kernel/fsrtl/report.ts'
export { FsRtlNotifyCleanup, FsRtlNotifyCleanupAll } from '../kernel/fsrtl/cleanup.ts'
export {
  type CHECK_FOR_TRAVERSE_ACCESS,
  type FILTER_REPORT_CHANGE,
  FILE_NOTIFY_INFORMATION,
  FILE_NOTIFY_CHANGE_FILE_NAME,
  FILE_NOTIFY_CHANGE_DIR_NAME,
  FILE_NOTIFY_CHANGE_NAME,
  FILE_NOTIFY_CHANGE_ATTRIBUTES,
  FILE_NOTIFY_CHANGE_SIZE,
  FILE_NOTIFY_CHANGE_LAST_WRITE,
  FILE_NOTIFY_CHANGE_LAST_ACCESS,
  FILE_NOTIFY_CHANGE_CREATION,
  FILE_NOTIFY_CHANGE_EA,
  FILE_NOTIFY_CHANGE_SECURITY,
  FILE_NOTIFY_CHANGE_STREAM_NAME,
  FILE_NOTIFY_CHANGE_STREAM_SIZE,
  FILE_NOTIFY_CHANGE_STREAM_WRITE,
  FILE_NOTIFY_VALID_MASK,
  FILE_ACTION_ADDED,
  FILE_ACTION_REMOVED,
  FILE_ACTION_MODIFIED,
  FILE_ACTION_RENAMED_OLD_NAME,
  FILE_ACTION_RENAMED_NEW_NAME,
  FILE_ACTION_ADDED_STREAM,
  FILE_ACTION_REMOVED_STREAM,
  FILE_ACTION_MODIFIED_STREAM,
  FILE_ACTION_REMOVED_BY_DELETE,
  FILE_ACTION_ID_NOT_TUNNELLED,
  FILE_ACTION_TUNNELLED_ID_COLLISION,
} from '../kernel/fsrtl/codes.ts'

// What a file system tells of its files.
export {
  FileStandardInformation,
  FILE_ATTRIBUTE_READONLY,
  FILE_ATTRIBUTE_DIRECTORY,
  FILE_ATTRIBUTE_NORMAL,
  FILE_STANDARD_INFORMATION,
  FILE_DIRECTORY_INFORMATION,
  FILE_FULL_DIR_INFORMATION,
  FILE_BOTH_DIR_INFORMATION,
  FILE_NAMES_INFORMATION,
} from '../kernel/io/fileinfo.ts'
