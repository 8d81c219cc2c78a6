/**
 * dirql/wdm: what wdm.h and ntddk.h give a driver, under Windows' names, and the language that structs are declared in.
 *
 * A list and nothing more. Where a routine lives, there is its documentation.
 */

// The struct language.
export {
  assertLayout,
  containing,
  CONTAINING_RECORD,
  copyStruct,
  offsetOf,
  same,
} from '../kernel/rtl/view.ts'
export { array, atomic, pointer, PVOID, routine } from '../kernel/rtl/fields.ts'
export { struct, union } from '../kernel/rtl/struct.ts'
export type {
  AnyStruct,
  AnyView,
  Atomic,
  Elements,
  Fields,
  FieldType,
  Pvoid,
  Slots,
  StructClass,
  StructView,
  View,
} from '../kernel/rtl/types.ts'
export type { Synchronous } from '../kernel/rtl/routine.ts'

// Numbers.
export {
  CHAR,
  INT8,
  UCHAR,
  UINT8,
  BOOLEAN,
  SHORT,
  USHORT,
  WCHAR,
  LONG,
  NTSTATUS,
  ULONG,
  HANDLE,
  LONGLONG,
  ULONGLONG,
  DOUBLE,
} from '../kernel/rtl/scalar.ts'

// Fields as [out] parameters, boxes for them, and driver-wide state.
export { type Out, ref } from '../kernel/rtl/ref.ts'
export { out } from '../kernel/ke/out.ts'
export { globals } from '../kernel/rtl/globals.ts'

// Awaiting the host.
export { host } from '../kernel/ke/host.ts'

// Statuses, and what tells their kinds apart.
export * from '../kernel/rtl/status.ts'

// Raised statuses: what a driver catches where Windows has __except.
export { ExRaiseStatus, StatusError } from '../kernel/ke/exception.ts'

// Bug checks, and callbacks that see them.
export { KeBugCheckEx, KeBugCheck } from '../kernel/ke/bugcheck.ts'
export { BugCode } from '../kernel/ke/bugcodes.ts'
export {
  type KBUGCHECK_CALLBACK_ROUTINE,
  KBUGCHECK_CALLBACK_RECORD,
  KeInitializeCallbackRecord,
  KeRegisterBugCheckCallback,
  KeDeregisterBugCheckCallback,
} from '../kernel/ke/callback.ts'

// What a driver prints and asserts.
export { DbgPrint, KdPrint, NT_ASSERT, PAGED_CODE } from '../kernel/ke/debug.ts'

// Lists.
export {
  LIST_ENTRY,
  InitializeListHead,
  IsListEmpty,
  InsertHeadList,
  InsertTailList,
  RemoveHeadList,
  RemoveTailList,
  RemoveEntryList,
  AppendTailList,
} from '../kernel/rtl/list.ts'
export {
  SINGLE_LIST_ENTRY,
  SLIST_ENTRY,
  SLIST_HEADER,
  PushEntryList,
  PopEntryList,
  InitializeSListHead,
  InterlockedPushEntrySList,
  InterlockedPopEntrySList,
  InterlockedFlushSList,
  QueryDepthSList,
  FirstEntrySList,
} from '../kernel/rtl/slist.ts'
export {
  ExInterlockedInsertHeadList,
  ExInterlockedInsertTailList,
  ExInterlockedRemoveHeadList,
  ExInterlockedPushEntryList,
  ExInterlockedPopEntryList,
  ExInterlockedAddUlong,
  ExInterlockedAddLargeInteger,
} from '../kernel/ex/interlockedlist.ts'

// Strings and memory.
export {
  UNICODE_STRING,
  STRING,
  ANSI_STRING,
  RtlInitUnicodeString,
  RtlCopyUnicodeString,
  RtlAppendUnicodeStringToString,
  RtlAppendUnicodeToString,
  RtlCompareUnicodeString,
  RtlEqualUnicodeString,
  RtlPrefixUnicodeString,
  RtlUnicodeStringToInteger,
  RtlIntegerToUnicodeString,
} from '../kernel/rtl/string.ts'
export { RtlCopyMemory, RtlMoveMemory, RtlZeroMemory, RtlFillMemory, RtlCompareMemory } from '../kernel/rtl/bytes.ts'
export {
  RTL_BITMAP,
  RtlInitializeBitMap,
  RtlSetBits,
  RtlClearBits,
  RtlSetAllBits,
  RtlClearAllBits,
  RtlFindClearBits,
  RtlFindClearBitsAndSet,
  RtlFindSetBits,
  RtlTestBit,
  RtlNumberOfSetBits,
  RtlAreBitsSet,
  RtlAreBitsClear,
} from '../kernel/rtl/bitmap.ts'

// Interlocked operations.
export {
  InterlockedIncrement,
  InterlockedDecrement,
  InterlockedExchange,
  InterlockedExchangeAdd,
  InterlockedAdd,
  InterlockedCompareExchange,
  InterlockedAnd,
  InterlockedOr,
  InterlockedXor,
  InterlockedIncrement64,
  InterlockedDecrement64,
  InterlockedAdd64,
  InterlockedExchange64,
  InterlockedExchangeAdd64,
  InterlockedCompareExchange64,
  field,
} from '../kernel/ex/interlocked.ts'

// IRQL.
export {
  type KIRQL,
  PASSIVE_LEVEL,
  LOW_LEVEL,
  APC_LEVEL,
  DISPATCH_LEVEL,
  CMCI_LEVEL,
  SYNCH_LEVEL,
  CLOCK_LEVEL,
  IPI_LEVEL,
  DRS_LEVEL,
  POWER_LEVEL,
  PROFILE_LEVEL,
  HIGH_LEVEL,
  KeGetCurrentIrql,
  KeRaiseIrql,
  KeLowerIrql,
  KeRaiseIrqlToDpcLevel,
  KeRaiseIrqlToSynchLevel,
} from '../kernel/ke/level.ts'

// Spin locks.
export {
  KSPIN_LOCK,
  EX_SPIN_LOCK,
  KeInitializeSpinLock,
  KeAcquireSpinLock,
  KeAcquireSpinLockRaiseToDpc,
  KeAcquireSpinLockRaiseToSynch,
  KeReleaseSpinLock,
  KeAcquireSpinLockAtDpcLevel,
  KeReleaseSpinLockFromDpcLevel,
  KeTryToAcquireSpinLockAtDpcLevel,
  KeTestSpinLock,
  KeAcquireSpinLockForDpc,
  KeReleaseSpinLockForDpc,
  ExAcquireSpinLockExclusive,
  ExAcquireSpinLockShared,
  ExReleaseSpinLockExclusive,
  ExReleaseSpinLockShared,
  ExTryConvertSharedSpinLockExclusive,
} from '../kernel/ke/spinlock.ts'
export {
  KSPIN_LOCK_QUEUE,
  KLOCK_QUEUE_HANDLE,
  KeAcquireInStackQueuedSpinLock,
  KeAcquireInStackQueuedSpinLockRaiseToSynch,
  KeReleaseInStackQueuedSpinLock,
  KeAcquireInStackQueuedSpinLockAtDpcLevel,
  KeReleaseInStackQueuedSpinLockFromDpcLevel,
  KeAcquireInStackQueuedSpinLockForDpc,
  KeReleaseInStackQueuedSpinLockForDpc,
} from '../kernel/ke/queuedlock.ts'

// Layouts of the dispatcher objects.
export {
  DISPATCHER_HEADER,
  KEVENT,
  KSEMAPHORE,
  KMUTANT,
  KMUTEX,
  KDPC,
  KTIMER,
  KWAIT_BLOCK,
  MAXIMUM_WAIT_OBJECTS,
  KTHREAD,
  KINTERRUPT,
} from '../kernel/ke/layouts.ts'

// Events.
export {
  NotificationEvent,
  SynchronizationEvent,
  IO_NO_INCREMENT,
  EVENT_INCREMENT,
  KeInitializeEvent,
  KeSetEvent,
  KeResetEvent,
  KeClearEvent,
  KePulseEvent,
  KeReadStateEvent,
} from '../kernel/ke/event.ts'

// Semaphores.
export { KeInitializeSemaphore, KeReleaseSemaphore, KeReadStateSemaphore } from '../kernel/ke/semaphore.ts'

// Mutexes.
export { KeInitializeMutex, KeReleaseMutex, KeReadStateMutex } from '../kernel/ke/mutex.ts'

// Timers.
export {
  NotificationTimer,
  SynchronizationTimer,
  KeInitializeTimer,
  KeInitializeTimerEx,
  KeSetTimer,
  KeSetTimerEx,
  KeSetCoalescableTimer,
  KeCancelTimer,
  KeReadStateTimer,
} from '../kernel/ke/timer.ts'

// Waits.
export {
  Executive,
  UserRequest,
  KernelMode,
  UserMode,
  KeWaitForSingleObject,
  KeWaitForMutexObject,
  KeWaitForMultipleObjects,
  KeDelayExecutionThread,
  KeAlertThread,
} from '../kernel/ke/wait.ts'
export { WaitAll, WaitAny } from '../kernel/ke/dispatcher.ts'

// Critical and guarded regions.
export {
  KeEnterCriticalRegion,
  KeLeaveCriticalRegion,
  KeEnterGuardedRegion,
  KeLeaveGuardedRegion,
  KeAreApcsDisabled,
  KeAreAllApcsDisabled,
} from '../kernel/ke/apc.ts'

// Time.
export {
  KeQuerySystemTime,
  KeQuerySystemTimePrecise,
  KeQueryInterruptTime,
  KeQueryTickCount,
  KeQueryTimeIncrement,
  KeQueryPerformanceCounter,
  KeStallExecutionProcessor,
  YieldProcessor,
  type Timeout,
} from '../kernel/ke/time.ts'

// DPCs.
export {
  LowImportance,
  MediumImportance,
  HighImportance,
  MediumHighImportance,
  MAXIMUM_PROCESSORS,
  type KDEFERRED_ROUTINE,
  KeInitializeDpc,
  KeInsertQueueDpc,
  KeRemoveQueueDpc,
  KeSetImportanceDpc,
  KeSetTargetProcessorDpc,
} from '../kernel/ke/dpc.ts'
export {
  KeFlushQueuedDpcs,
  type PROCESSOR_NUMBER,
  KeSetTargetProcessorDpcEx,
  KeGenericCallDpc,
  KeSignalCallDpcDone,
  KeSignalCallDpcSynchronize,
} from '../kernel/ke/dpcflush.ts'

// Processors.
export {
  type KIPI_BROADCAST_WORKER,
  KeIpiGenericCall,
  KeGetCurrentProcessorNumberEx,
  KeGetCurrentProcessorNumber,
  KeQueryActiveProcessorCountEx,
  KeQueryActiveProcessors,
} from '../kernel/ke/ipi.ts'

// Interrupts and SynchCritSections.
export {
  LevelSensitive,
  Latched,
  type KSERVICE_ROUTINE,
  type KSYNCHRONIZE_ROUTINE,
  type PASSIVE_SYNCHRONIZE_ROUTINE,
  KeSynchronizeExecution,
  KeAcquireInterruptSpinLock,
  KeReleaseInterruptSpinLock,
} from '../kernel/ke/interrupt.ts'
export { type PASSIVE_SERVICE_ROUTINE, IoConnectInterrupt, IoDisconnectInterrupt } from '../kernel/io/interrupt.ts'
export {
  CONNECT_FULLY_SPECIFIED,
  CONNECT_LINE_BASED,
  CONNECT_MESSAGE_BASED,
  CONNECT_FULLY_SPECIFIED_GROUP,
  CONNECT_CURRENT_VERSION,
  type IO_CONNECT_INTERRUPT_PARAMETERS,
  IoConnectInterruptEx,
  type IO_DISCONNECT_INTERRUPT_PARAMETERS,
  type IO_REPORT_INTERRUPT_ACTIVE_STATE_PARAMETERS,
  IoDisconnectInterruptEx,
  IoReportInterruptActive,
  IoReportInterruptInactive,
} from '../kernel/io/interruptex.ts'

// Registers.
export {
  READ_REGISTER_UCHAR,
  READ_REGISTER_USHORT,
  READ_REGISTER_ULONG,
  WRITE_REGISTER_UCHAR,
  WRITE_REGISTER_USHORT,
  WRITE_REGISTER_ULONG,
  READ_REGISTER_BUFFER_UCHAR,
  READ_REGISTER_BUFFER_USHORT,
  READ_REGISTER_BUFFER_ULONG,
  WRITE_REGISTER_BUFFER_UCHAR,
  WRITE_REGISTER_BUFFER_ULONG,
} from '../kernel/ke/register.ts'
// Ours: a wire is slower than a bus.
export { flush, readFresh } from '../kernel/ke/register.ts'
export { boardTime } from '../kernel/ke/interrupt.ts'
export { MmNonCached, MmCached, MmWriteCombined, MmMapIoSpace, MmUnmapIoSpace } from '../kernel/ke/iospace.ts'

// Device queues.
export {
  KDEVICE_QUEUE,
  KDEVICE_QUEUE_ENTRY,
  KeInitializeDeviceQueue,
  KeInsertDeviceQueue,
  KeInsertByKeyDeviceQueue,
  KeRemoveDeviceQueue,
  KeRemoveByKeyDeviceQueue,
  KeRemoveEntryDeviceQueue,
} from '../kernel/ke/devicequeue.ts'

// Threads and processes.
export {
  THREAD_ALL_ACCESS,
  PsThreadType,
  type CLIENT_ID,
  PsCreateSystemThread,
  PsTerminateSystemThread,
  KeGetCurrentThread,
  PsGetCurrentThread,
  PsGetCurrentThreadId,
  PsGetThreadId,
} from '../kernel/ps/thread.ts'
export {
  PROCESS_ALL_ACCESS,
  PsProcessType,
  PsGetCurrentProcess,
  IoGetCurrentProcess,
  PsGetProcessId,
  PsGetCurrentProcessId,
  PsInitialSystemProcess,
  EPROCESS,
} from '../kernel/ps/process.ts'
export {
  LOW_PRIORITY,
  LOW_REALTIME_PRIORITY,
  HIGH_PRIORITY,
  KeSetPriorityThread,
  KeQueryPriorityThread,
  KeSetBasePriorityThread,
} from '../kernel/ps/priority.ts'

// Fast and guarded mutexes.
export {
  FAST_MUTEX,
  ExInitializeFastMutex,
  ExAcquireFastMutex,
  ExReleaseFastMutex,
  ExTryToAcquireFastMutex,
  ExAcquireFastMutexUnsafe,
  ExReleaseFastMutexUnsafe,
  ExEnterCriticalRegionAndAcquireFastMutexUnsafe,
  ExReleaseFastMutexUnsafeAndLeaveCriticalRegion,
} from '../kernel/ex/fastmutex.ts'
export {
  KGUARDED_MUTEX,
  KeInitializeGuardedMutex,
  KeAcquireGuardedMutex,
  KeReleaseGuardedMutex,
  KeTryToAcquireGuardedMutex,
  KeAcquireGuardedMutexUnsafe,
  KeReleaseGuardedMutexUnsafe,
} from '../kernel/ex/guardedmutex.ts'

// Executive resources.
export {
  ExInitializeResourceLite,
  ExDeleteResourceLite,
  ExReinitializeResourceLite,
  ExAcquireResourceExclusiveLite,
  ExTryToAcquireResourceExclusiveLite,
  ExAcquireResourceSharedLite,
  ExAcquireSharedStarveExclusive,
  ExAcquireSharedWaitForExclusive,
  ExConvertExclusiveToSharedLite,
  ExReleaseResourceLite,
  ExReleaseResourceForThreadLite,
  ExEnterCriticalRegionAndAcquireResourceExclusive,
  ExEnterCriticalRegionAndAcquireResourceShared,
  ExEnterCriticalRegionAndAcquireSharedWaitForExclusive,
  ExReleaseResourceAndLeaveCriticalRegion,
  ERESOURCE,
} from '../kernel/ex/resource.ts'
export {
  ExIsResourceAcquiredExclusiveLite,
  ExIsResourceAcquiredSharedLite,
  ExIsResourceAcquiredLite,
  ExGetExclusiveWaiterCount,
  ExGetSharedWaiterCount,
  ExGetCurrentResourceThread,
  ExSetResourceOwnerPointer,
  FLAG_OWNER_POINTER_IS_THREAD,
  ExSetResourceOwnerPointerEx,
} from '../kernel/ex/resource-queries.ts'

// Rundown protection.
export {
  EX_RUNDOWN_REF,
  ExInitializeRundownProtection,
  ExAcquireRundownProtection,
  ExReleaseRundownProtection,
  ExWaitForRundownProtectionRelease,
  ExRundownCompleted,
  ExReInitializeRundownProtection,
} from '../kernel/ex/rundown.ts'

// Work items.
export {
  CriticalWorkQueue,
  DelayedWorkQueue,
  HyperCriticalWorkQueue,
  NormalWorkQueue,
  BackgroundWorkQueue,
  RealTimeWorkQueue,
  SuperCriticalWorkQueue,
  MaximumWorkQueue,
  type WORKER_THREAD_ROUTINE,
  WORK_QUEUE_ITEM,
  ExInitializeWorkItem,
  ExQueueWorkItem,
} from '../kernel/ex/workitem.ts'
export {
  type IO_WORKITEM_ROUTINE,
  type IO_WORKITEM_ROUTINE_EX,
  IO_WORKITEM,
  IoAllocateWorkItem,
  IoFreeWorkItem,
  IoInitializeWorkItem,
  IoUninitializeWorkItem,
  IoSizeofWorkItem,
  IoQueueWorkItem,
  IoQueueWorkItemEx,
} from '../kernel/io/workitem.ts'

// Pool.
export {
  POOL_FLAG_USE_QUOTA,
  POOL_FLAG_UNINITIALIZED,
  POOL_FLAG_SESSION,
  POOL_FLAG_CACHE_ALIGNED,
  POOL_FLAG_RAISE_ON_FAILURE,
  POOL_FLAG_NON_PAGED,
  POOL_FLAG_NON_PAGED_EXECUTE,
  POOL_FLAG_PAGED,
  NonPagedPool,
  PagedPool,
  NonPagedPoolCacheAligned,
  PagedPoolCacheAligned,
  NonPagedPoolNx,
  NonPagedPoolNxCacheAligned,
  POOL_QUOTA_FAIL_INSTEAD_OF_RAISE,
  POOL_RAISE_IF_ALLOCATION_FAILURE,
  POOL_COLD_ALLOCATION,
  POOL_NX_ALLOCATION,
  ExAllocatePool2,
  ExAllocatePoolWithTag,
  ExAllocatePoolZero,
  ExFreePool,
  ExFreePoolWithTag,
} from '../kernel/mm/pool-ddi.ts'
export { MmIsAddressValid } from '../kernel/ke/address.ts'

// Lookaside lists.
export {
  type ALLOCATE_FUNCTION,
  type FREE_FUNCTION,
  NPAGED_LOOKASIDE_LIST,
  PAGED_LOOKASIDE_LIST,
  ExInitializeNPagedLookasideList,
  ExAllocateFromNPagedLookasideList,
  ExFreeToNPagedLookasideList,
  ExDeleteNPagedLookasideList,
  ExInitializePagedLookasideList,
  ExAllocateFromPagedLookasideList,
  ExFreeToPagedLookasideList,
  ExDeletePagedLookasideList,
} from '../kernel/mm/lookaside.ts'
export {
  EX_LOOKASIDE_LIST_EX_FLAGS_RAISE_ON_FAIL,
  EX_LOOKASIDE_LIST_EX_FLAGS_FAIL_NO_RAISE,
  type ALLOCATE_FUNCTION_EX,
  type FREE_FUNCTION_EX,
  LOOKASIDE_LIST_EX,
  ExInitializeLookasideListEx,
  ExAllocateFromLookasideListEx,
  ExFreeToLookasideListEx,
  ExDeleteLookasideListEx,
  ExFlushLookasideListEx,
} from '../kernel/mm/lookaside-ex.ts'
export { GENERAL_LOOKASIDE } from '../kernel/mm/lookaside-list.ts'

// Access rights.
export {
  type ACCESS_MASK,
  DELETE,
  READ_CONTROL,
  WRITE_DAC,
  WRITE_OWNER,
  SYNCHRONIZE,
  STANDARD_RIGHTS_REQUIRED,
  STANDARD_RIGHTS_READ,
  STANDARD_RIGHTS_WRITE,
  STANDARD_RIGHTS_EXECUTE,
  STANDARD_RIGHTS_ALL,
  MAXIMUM_ALLOWED,
  GENERIC_ALL,
  GENERIC_EXECUTE,
  GENERIC_WRITE,
  GENERIC_READ,
  SECURITY_DESCRIPTOR,
} from '../kernel/ob/access.ts'

// Names and attributes of objects.
export {
  OBJ_PROTECT_CLOSE,
  OBJ_INHERIT,
  OBJ_AUDIT_OBJECT_CLOSE,
  OBJ_PERMANENT,
  OBJ_EXCLUSIVE,
  OBJ_CASE_INSENSITIVE,
  OBJ_OPENIF,
  OBJ_OPENLINK,
  OBJ_KERNEL_HANDLE,
  OBJ_FORCE_ACCESS_CHECK,
  OBJ_IGNORE_IMPERSONATED_DEVICEMAP,
  OBJ_DONT_REPARSE,
  OBJ_VALID_ATTRIBUTES,
  OBJECT_ATTRIBUTES,
  type ObjectAttributesLiteral,
  type ObjectAttributes,
  InitializeObjectAttributes,
} from '../kernel/ob/attributes.ts'

// Handles and references.
export {
  NtCurrentProcess,
  NtCurrentThread,
  ZwCurrentProcess,
  ZwCurrentThread,
  ObReferenceObjectByHandle,
  ObCloseHandle,
  ZwClose,
} from '../kernel/ob/handle.ts'
export type { HandleInformation as OBJECT_HANDLE_INFORMATION } from '../kernel/ob/handle.ts'
export {
  ObReferenceObject,
  ObReferenceObjectByPointer,
  ObDereferenceObject,
  ObDereferenceObjectDeferDelete,
} from '../kernel/ob/reference.ts'
export type { ObjectType as OBJECT_TYPE } from '../kernel/ob/type.ts'

// Object directories and symbolic links.
export { ZwCreateDirectoryObject, ZwMakeTemporaryObject } from '../kernel/ob/directoryservices.ts'
export {
  DIRECTORY_QUERY,
  DIRECTORY_TRAVERSE,
  DIRECTORY_CREATE_OBJECT,
  DIRECTORY_CREATE_SUBDIRECTORY,
  DIRECTORY_ALL_ACCESS,
} from '../kernel/ob/directory.ts'
export {
  ZwCreateSymbolicLinkObject,
  ZwOpenSymbolicLinkObject,
  ZwQuerySymbolicLinkObject,
} from '../kernel/ob/linkservices.ts'
export { SYMBOLIC_LINK_QUERY, SYMBOLIC_LINK_ALL_ACCESS } from '../kernel/ob/symboliclink.ts'

// Object types of events and semaphores, and their rights.
export { EVENT_QUERY_STATE, EVENT_MODIFY_STATE, EVENT_ALL_ACCESS, ExEventObjectType } from '../kernel/ob/event.ts'
export {
  SEMAPHORE_QUERY_STATE,
  SEMAPHORE_MODIFY_STATE,
  SEMAPHORE_ALL_ACCESS,
  ExSemaphoreObjectType,
} from '../kernel/ob/semaphore.ts'

// Named events.
export { IoCreateSynchronizationEvent, IoCreateNotificationEvent } from '../kernel/io/namedevent.ts'

// Codes and flags of devices, IRPs and files.
export {
  IRP_MJ_CREATE,
  IRP_MJ_CREATE_NAMED_PIPE,
  IRP_MJ_CLOSE,
  IRP_MJ_READ,
  IRP_MJ_WRITE,
  IRP_MJ_QUERY_INFORMATION,
  IRP_MJ_SET_INFORMATION,
  IRP_MJ_QUERY_EA,
  IRP_MJ_SET_EA,
  IRP_MJ_FLUSH_BUFFERS,
  IRP_MJ_QUERY_VOLUME_INFORMATION,
  IRP_MJ_SET_VOLUME_INFORMATION,
  IRP_MJ_DIRECTORY_CONTROL,
  IRP_MJ_FILE_SYSTEM_CONTROL,
  IRP_MJ_DEVICE_CONTROL,
  IRP_MJ_INTERNAL_DEVICE_CONTROL,
  IRP_MJ_SCSI,
  IRP_MJ_SHUTDOWN,
  IRP_MJ_LOCK_CONTROL,
  IRP_MJ_CLEANUP,
  IRP_MJ_CREATE_MAILSLOT,
  IRP_MJ_QUERY_SECURITY,
  IRP_MJ_SET_SECURITY,
  IRP_MJ_POWER,
  IRP_MJ_SYSTEM_CONTROL,
  IRP_MJ_DEVICE_CHANGE,
  IRP_MJ_QUERY_QUOTA,
  IRP_MJ_SET_QUOTA,
  IRP_MJ_PNP,
  IRP_MJ_MAXIMUM_FUNCTION,
  IRP_MN_QUERY_DIRECTORY,
  IRP_MN_NOTIFY_CHANGE_DIRECTORY,
  IRP_MN_START_DEVICE,
  IRP_MN_QUERY_REMOVE_DEVICE,
  IRP_MN_REMOVE_DEVICE,
  IRP_MN_CANCEL_REMOVE_DEVICE,
  IRP_MN_STOP_DEVICE,
  IRP_MN_QUERY_STOP_DEVICE,
  IRP_MN_CANCEL_STOP_DEVICE,
  IRP_MN_QUERY_DEVICE_RELATIONS,
  IRP_MN_QUERY_INTERFACE,
  IRP_MN_QUERY_CAPABILITIES,
  IRP_MN_QUERY_RESOURCES,
  IRP_MN_QUERY_RESOURCE_REQUIREMENTS,
  IRP_MN_QUERY_DEVICE_TEXT,
  IRP_MN_FILTER_RESOURCE_REQUIREMENTS,
  IRP_MN_READ_CONFIG,
  IRP_MN_WRITE_CONFIG,
  IRP_MN_EJECT,
  IRP_MN_SET_LOCK,
  IRP_MN_QUERY_ID,
  IRP_MN_QUERY_PNP_DEVICE_STATE,
  IRP_MN_QUERY_BUS_INFORMATION,
  IRP_MN_DEVICE_USAGE_NOTIFICATION,
  IRP_MN_SURPRISE_REMOVAL,
  IRP_MN_QUERY_LEGACY_BUS_INFORMATION,
  IRP_MN_DEVICE_ENUMERATED,
  IRP_MN_WAIT_WAKE,
  IRP_MN_POWER_SEQUENCE,
  IRP_MN_SET_POWER,
  IRP_MN_QUERY_POWER,
  DRVO_UNLOAD_INVOKED,
  DRVO_LEGACY_DRIVER,
  DRVO_INITIALIZED,
  DO_VERIFY_VOLUME,
  DO_BUFFERED_IO,
  DO_EXCLUSIVE,
  DO_DIRECT_IO,
  DO_MAP_IO_BUFFER,
  DO_DEVICE_HAS_NAME,
  DO_DEVICE_INITIALIZING,
  DO_SHUTDOWN_REGISTERED,
  DO_BUS_ENUMERATED_DEVICE,
  DO_POWER_PAGABLE,
  DO_POWER_INRUSH,
  FILE_REMOVABLE_MEDIA,
  FILE_READ_ONLY_DEVICE,
  FILE_DEVICE_IS_MOUNTED,
  FILE_AUTOGENERATED_DEVICE_NAME,
  FILE_DEVICE_SECURE_OPEN,
  FILE_DEVICE_BEEP,
  FILE_DEVICE_CONTROLLER,
  FILE_DEVICE_DISK,
  FILE_DEVICE_DISK_FILE_SYSTEM,
  FILE_DEVICE_FILE_SYSTEM,
  FILE_DEVICE_KEYBOARD,
  FILE_DEVICE_MOUSE,
  FILE_DEVICE_NAMED_PIPE,
  FILE_DEVICE_NULL,
  FILE_DEVICE_PARALLEL_PORT,
  FILE_DEVICE_PHYSICAL_NETCARD,
  FILE_DEVICE_SERIAL_PORT,
  FILE_DEVICE_SERIAL_MOUSE_PORT,
  FILE_DEVICE_STREAMS,
  FILE_DEVICE_UNKNOWN,
  FILE_DEVICE_BUS_EXTENDER,
  FILE_DEVICE_MASS_STORAGE,
  FILE_DEVICE_ACPI,
  FILE_DEVICE_SENSOR,
  SL_PENDING_RETURNED,
  SL_ERROR_RETURNED,
  SL_INVOKE_ON_CANCEL,
  SL_INVOKE_ON_SUCCESS,
  SL_INVOKE_ON_ERROR,
  SL_RESTART_SCAN,
  SL_RETURN_SINGLE_ENTRY,
  SL_WATCH_TREE,
  IRP_NOCACHE,
  IRP_PAGING_IO,
  IRP_SYNCHRONOUS_API,
  IRP_ASSOCIATED_IRP,
  IRP_BUFFERED_IO,
  IRP_DEALLOCATE_BUFFER,
  IRP_INPUT_OPERATION,
  IRP_CREATE_OPERATION,
  IRP_READ_OPERATION,
  IRP_WRITE_OPERATION,
  IRP_CLOSE_OPERATION,
  IRP_DEFER_IO_COMPLETION,
  IRP_QUOTA_CHARGED,
  IRP_ALLOCATED_MUST_SUCCEED,
  IRP_ALLOCATED_FIXED_SIZE,
  IRP_LOOKASIDE_ALLOCATION,
  FO_FILE_OPEN,
  FO_SYNCHRONOUS_IO,
  FO_ALERTABLE_IO,
  FO_HANDLE_CREATED,
  FO_CLEANUP_COMPLETE,
  IO_TYPE_DEVICE,
  IO_TYPE_DRIVER,
  IO_TYPE_FILE,
  IO_TYPE_IRP,
  METHOD_BUFFERED,
  METHOD_IN_DIRECT,
  METHOD_OUT_DIRECT,
  METHOD_NEITHER,
  FILE_ANY_ACCESS,
  FILE_SPECIAL_ACCESS,
  FILE_READ_ACCESS,
  FILE_WRITE_ACCESS,
  CTL_CODE,
  METHOD_FROM_CTL_CODE,
  DEVICE_TYPE_FROM_CTL_CODE,
  FILE_SUPERSEDE,
  FILE_OPEN,
  FILE_CREATE,
  FILE_OPEN_IF,
  FILE_OVERWRITE,
  FILE_OVERWRITE_IF,
  FILE_SUPERSEDED,
  FILE_OPENED,
  FILE_CREATED,
  FILE_DIRECTORY_FILE,
  FILE_SYNCHRONOUS_IO_ALERT,
  FILE_SYNCHRONOUS_IO_NONALERT,
  FILE_NON_DIRECTORY_FILE,
  FILE_SHARE_READ,
  FILE_SHARE_WRITE,
  FILE_SHARE_DELETE,
  FILE_READ_DATA,
  FILE_LIST_DIRECTORY,
  FILE_WRITE_DATA,
  FILE_APPEND_DATA,
  FILE_EXECUTE,
  FILE_TRAVERSE,
  FILE_READ_ATTRIBUTES,
  FILE_WRITE_ATTRIBUTES,
  FILE_GENERIC_READ,
  FILE_GENERIC_WRITE,
  FILE_GENERIC_EXECUTE,
  FILE_ALL_ACCESS,
  IO_READ_ACCESS,
  IO_WRITE_ACCESS,
  IO_MODIFY_ACCESS,
  IoReadAccess,
  IoWriteAccess,
  IoModifyAccess,
  FileDirectoryInformation,
  FileFullDirectoryInformation,
  FileBothDirectoryInformation,
  FileNamesInformation,
} from '../kernel/io/codes.ts'

// Layouts of the I/O objects, and the routines of a driver.
export {
  type DRIVER_DISPATCH,
  type DRIVER_STARTIO,
  type DRIVER_UNLOAD,
  type DRIVER_ADD_DEVICE,
  type DRIVER_INITIALIZE,
  type DRIVER_CANCEL,
  type IO_COMPLETION_ROUTINE,
  IO_STATUS_BLOCK,
  DRIVER_EXTENSION,
  DRIVER_OBJECT,
  DEVICE_OBJECT,
  FILE_OBJECT,
  MDL,
  IRP,
  IO_STACK_LOCATION,
} from '../kernel/io/layouts.ts'
export { IO_PARAMETERS } from '../kernel/io/parameters.ts'

// Drivers and devices.
export { IoAllocateDriverObjectExtension, IoGetDriverObjectExtension } from '../kernel/io/driver.ts'
export {
  IoFileObjectType,
  IoCreateDevice,
  IoDeleteDevice,
  IoCreateSymbolicLink,
  IoDeleteSymbolicLink,
  IoGetDeviceObjectPointer,
} from '../kernel/io/device.ts'
export {
  IoAttachDeviceToDeviceStack,
  IoAttachDevice,
  IoDetachDevice,
  IoGetAttachedDeviceReference,
} from '../kernel/io/attach.ts'

// IRPs.
export {
  IoAllocateIrp,
  IoFreeIrp,
  IoInitializeIrp,
  IoReuseIrp,
  IoSizeOfIrp,
  IoGetCurrentIrpStackLocation,
  IoGetNextIrpStackLocation,
  IoSetNextIrpStackLocation,
  IoSkipCurrentIrpStackLocation,
  IoCopyCurrentIrpStackLocationToNext,
  IoMarkIrpPending,
  IoSetCompletionRoutine,
  IoSetCompletionRoutineEx,
} from '../kernel/io/irp.ts'
export {
  IoBuildSynchronousFsdRequest,
  IoBuildAsynchronousFsdRequest,
  IoBuildDeviceIoControlRequest,
  IoMakeAssociatedIrp,
  IoForwardIrpSynchronously,
} from '../kernel/io/build.ts'
export { IoCallDriver, IofCallDriver } from '../kernel/io/call.ts'
export { IoCompleteRequest, IofCompleteRequest } from '../kernel/io/complete.ts'
export {
  IoCancelIrp,
  IoSetCancelRoutine,
  IoAcquireCancelSpinLock,
  IoReleaseCancelSpinLock,
} from '../kernel/io/cancel.ts'

// MDLs and user buffers.
export {
  PAGE_SIZE,
  MDL_MAPPED_TO_SYSTEM_VA,
  MDL_PAGES_LOCKED,
  MDL_SOURCE_IS_NONPAGED_POOL,
  MDL_ALLOCATED_FIXED_SIZE,
  MDL_PARTIAL,
  MDL_PARTIAL_HAS_BEEN_MAPPED,
  MDL_WRITE_OPERATION,
  LowPagePriority,
  NormalPagePriority,
  HighPagePriority,
  IoAllocateMdl,
  IoFreeMdl,
  IoBuildPartialMdl,
  MmBuildMdlForNonPagedPool,
  MmProbeAndLockPages,
  MmUnlockPages,
  MmGetSystemAddressForMdlSafe,
  MmMapLockedPagesSpecifyCache,
  MmUnmapLockedPages,
  MmGetMdlByteCount,
  MmGetMdlByteOffset,
  MmGetMdlVirtualAddress,
  ProbeForRead,
  ProbeForWrite,
} from '../kernel/io/mdl.ts'

// StartIo.
export {
  IoStartPacket,
  IoStartNextPacket,
  IoStartNextPacketByKey,
  IoSetStartIoAttributes,
} from '../kernel/io/startio.ts'
export { type IO_DPC_ROUTINE, IoInitializeDpcRequest, IoRequestDpc } from '../kernel/io/dpcrequest.ts'
export { type IO_TIMER_ROUTINE, IoInitializeTimer, IoStartTimer, IoStopTimer } from '../kernel/io/timer.ts'

// Cancel-safe queues.
export {
  IO_CSQ,
  IO_CSQ_IRP_CONTEXT,
  IO_TYPE_CSQ_IRP_CONTEXT,
  IO_TYPE_CSQ,
  IO_TYPE_CSQ_EX,
  type IO_CSQ_INSERT_IRP,
  type IO_CSQ_INSERT_IRP_EX,
  type IO_CSQ_REMOVE_IRP,
  type IO_CSQ_PEEK_NEXT_IRP,
  type IO_CSQ_ACQUIRE_LOCK,
  type IO_CSQ_RELEASE_LOCK,
  type IO_CSQ_COMPLETE_CANCELED_IRP,
  IoCsqInitialize,
  IoCsqInitializeEx,
  IoCsqInsertIrp,
  IoCsqInsertIrpEx,
  IoCsqRemoveIrp,
  IoCsqRemoveNextIrp,
} from '../kernel/io/csq.ts'

// Remove locks.
export {
  IO_REMOVE_LOCK,
  IoInitializeRemoveLock,
  IoAcquireRemoveLock,
  IoReleaseRemoveLock,
  IoReleaseRemoveLockAndWait,
} from '../kernel/io/removelock.ts'

// Plug and Play.
export {
  DevicePropertyDeviceDescription,
  DevicePropertyHardwareID,
  DevicePropertyCompatibleIDs,
  DevicePropertyBootConfiguration,
  DevicePropertyBootConfigurationTranslated,
  DevicePropertyFriendlyName,
  DevicePropertyLocationInformation,
  DevicePropertyPhysicalDeviceObjectName,
  DevicePropertyBusNumber,
  DevicePropertyEnumeratorName,
  DevicePropertyAddress,
  DevicePropertyUINumber,
  DevicePropertyInstallState,
  IoInvalidateDeviceRelations,
  IoInvalidateDeviceState,
  IoRequestDeviceEject,
  IoGetDeviceProperty,
} from '../kernel/io/pnp.ts'
export {
  BusRelations,
  EjectionRelations,
  PowerRelations,
  RemovalRelations,
  TargetDeviceRelation,
  BusQueryDeviceID,
  BusQueryHardwareIDs,
  BusQueryCompatibleIDs,
  BusQueryInstanceID,
  BusQueryDeviceSerialNumber,
  BusQueryContainerID,
  DeviceTextDescription,
  DeviceTextLocationInformation,
  DEVICE_RELATIONS,
  DEVICE_CAPABILITIES,
} from '../kernel/io/pnpirp.ts'
export {
  PNP_DEVICE_DISABLED,
  PNP_DEVICE_DONT_DISPLAY_IN_UI,
  PNP_DEVICE_FAILED,
  PNP_DEVICE_REMOVED,
  PNP_DEVICE_RESOURCE_REQUIREMENTS_CHANGED,
  PNP_DEVICE_NOT_DISABLEABLE,
} from '../kernel/io/devnode.ts'
export {
  CmResourceTypeNull,
  CmResourceTypePort,
  CmResourceTypeInterrupt,
  CmResourceTypeMemory,
  CmResourceTypeDevicePrivate,
  CmResourceShareDeviceExclusive,
  CmResourceShareDriverExclusive,
  CmResourceShareShared,
  CM_RESOURCE_INTERRUPT_LEVEL_SENSITIVE,
  CM_RESOURCE_INTERRUPT_LATCHED,
  Internal,
  PNPBus,
  CM_PARTIAL_RESOURCE_DESCRIPTOR,
  CM_PARTIAL_RESOURCE_LIST,
  CM_FULL_RESOURCE_DESCRIPTOR,
  CM_RESOURCE_LIST,
} from '../kernel/io/resources.ts'

// Registry values of devices.
export {
  IoOpenDeviceRegistryKey,
  PLUGPLAY_REGKEY_CURRENT_HWPROFILE,
  PLUGPLAY_REGKEY_DEVICE,
  PLUGPLAY_REGKEY_DRIVER,
} from '../kernel/io/devicekey.ts'
export {
  KEY_ALL_ACCESS,
  KEY_CREATE_LINK,
  KEY_CREATE_SUB_KEY,
  KEY_ENUMERATE_SUB_KEYS,
  KEY_EXECUTE,
  KEY_NOTIFY,
  KEY_QUERY_VALUE,
  KEY_READ,
  KEY_SET_VALUE,
  KEY_VALUE_BASIC_INFORMATION,
  KEY_VALUE_FULL_INFORMATION,
  KEY_VALUE_PARTIAL_INFORMATION,
  KEY_WRITE,
  KeyValueBasicInformation,
  KeyValueFullInformation,
  KeyValuePartialInformation,
  ZwQueryValueKey,
} from '../kernel/cm/key.ts'
export { REG_BINARY, REG_DWORD, REG_EXPAND_SZ, REG_MULTI_SZ, REG_NONE, REG_QWORD, REG_SZ } from '../kernel/cm/values.ts'

// Files.
export { ZwCreateFile, ZwOpenFile, ZwReadFile, ZwWriteFile } from '../kernel/io/zwfile.ts'
