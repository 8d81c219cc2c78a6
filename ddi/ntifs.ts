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
