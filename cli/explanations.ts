/** What `dirql explain` knows: for each bug check the rule that was broken, and how to keep it. */
import { BugCode } from '../kernel/ke/bugcodes.ts'

export interface Explanation {
  /** The rule that was broken. */
  rule: string
  /** How to keep it. */
  fix: string
}

type Name = keyof typeof BugCode

/** After Windows' bug check reference (learn.microsoft.com, "Bug Check Code Reference"), and what dirql checks beyond it. */
export const BUG_CHECKS: Record<Name, Explanation> = {
  APC_INDEX_MISMATCH: {
    rule: 'A thread leaves as many critical and guarded regions as it entered before it returns to user mode or ends.',
    fix: 'Pair each KeEnterCriticalRegion with a KeLeaveCriticalRegion on every path, early returns included.',
  },
  IRQL_NOT_DISPATCH_LEVEL: {
    rule: 'The routine may be called at DISPATCH_LEVEL only.',
    fix: 'Raise first (KeRaiseIrql, or a spin lock), or call it from a DPC.',
  },
  IRQL_NOT_GREATER_OR_EQUAL: {
    rule: 'KeRaiseIrql raises: its new level is not below the current one.',
    fix: 'Use KeLowerIrql to go down, with the level that KeRaiseIrql gave back.',
  },
  IRQL_NOT_LESS_OR_EQUAL: {
    rule: 'Code ran at an IRQL above what the routine allows, or touched paged or invalid memory at raised IRQL.',
    fix: 'Look at the @irql line of the routine. Do the work in a DPC, or hand it to a work item at PASSIVE_LEVEL.',
  },
  MAXIMUM_WAIT_OBJECTS_EXCEEDED: {
    rule: 'KeWaitForMultipleObjects takes at most 64 objects, and at most 3 without wait blocks of the caller.',
    fix: 'Give it WaitBlockArray, one KWAIT_BLOCK an object, or wait on fewer objects.',
  },
  SPIN_LOCK_ALREADY_OWNED: {
    rule: 'A spin lock is not recursive: its owner must not ask for it again.',
    fix: 'Split the routine in one that takes the lock and one that expects it to be held.',
  },
  SPIN_LOCK_NOT_OWNED: {
    rule: 'Who releases a spin lock is the processor that holds it.',
    fix: 'Release on the path that acquired, exactly once.',
  },
  THREAD_NOT_MUTEX_OWNER: {
    rule: 'A mutex is released by the thread that owns it.',
    fix: 'Use an event or a semaphore where another thread is to let the waiter go.',
  },
  REFERENCE_BY_POINTER: {
    rule: 'References of an object are taken before they are given back; none is left below zero.',
    fix: 'Match each ObDereferenceObject with one reference. An address that came from no reference needs ObReferenceObject first.',
  },
  BAD_POOL_HEADER: {
    rule: 'A block of pool is written within its length: what lies beside it belongs to the pool.',
    fix: 'Check the length that was allocated against the struct and the loop that fill it.',
  },
  KMODE_EXCEPTION_NOT_HANDLED: {
    rule: 'No exception leaves a driver routine.',
    fix: 'Catch what you expect (a raised status, a JavaScript error) in the routine and turn it into an NTSTATUS. The stack names the line.',
  },
  KERNEL_APC_PENDING_DURING_EXIT: {
    rule: 'A thread ends outside critical and guarded regions.',
    fix: 'Leave the region, or release the lock that entered it, before the thread returns.',
  },
  NO_MORE_IRP_STACK_LOCATIONS: {
    rule: 'An IRP is passed down at most as often as it has stack locations.',
    fix: 'Allocate it with the StackSize of the device that it goes to; IoSkipCurrentIrpStackLocation uses none.',
  },
  DEVICE_REFERENCE_COUNT_NOT_ZERO: {
    rule: 'A device object is deleted once.',
    fix: 'Call IoDeleteDevice in one place only, after IoDetachDevice.',
  },
  SYSTEM_EXIT_OWNED_MUTEX: {
    rule: 'A thread that ends owns no mutex.',
    fix: 'Call KeReleaseMutex on every path that leaves the thread routine.',
  },
  TARGET_MDL_TOO_SMALL: {
    rule: 'A partial MDL has room for the pages that it is to describe.',
    fix: 'Allocate the target with IoAllocateMdl for the length that IoBuildPartialMdl gets.',
  },
  MULTIPLE_IRP_COMPLETE_REQUESTS: {
    rule: 'An IRP is completed exactly once.',
    fix: 'Decide by IoSetCancelRoutine, or by a cancel-safe queue, who completes it. After IoCompleteRequest it must not be touched.',
  },
  CANCEL_STATE_IN_COMPLETED_IRP: {
    rule: 'An IRP is completed without a cancel routine.',
    fix: 'Call IoSetCancelRoutine(Irp, null) before IoCompleteRequest, and look at what it gives back.',
  },
  IRQL_GT_ZERO_AT_SYSTEM_SERVICE: {
    rule: 'A dispatch routine returns to user mode at PASSIVE_LEVEL.',
    fix: 'Release every lock, and lower what was raised, before it returns.',
  },
  PAGE_FAULT_IN_NONPAGED_AREA: {
    rule: 'Only memory that is allocated is read and written; 0 and the first 64 KiB never are.',
    fix: 'Look for a pointer that is NULL, or that was freed: the faulting address is the first parameter.',
  },
  INVALID_KERNEL_HANDLE: {
    rule: 'A kernel handle is closed once, and used only while it is open.',
    fix: 'Set the variable to 0 when the handle is closed.',
  },
  INVALID_WORK_QUEUE_ITEM: {
    rule: 'A work item is queued at most once until its routine has begun.',
    fix: 'Keep a flag beside it that says whether it is queued, guarded by a lock.',
  },
  ATTEMPTED_SWITCH_FROM_DPC: {
    rule: 'Nothing waits at DISPATCH_LEVEL or above, nor with a spin lock held. An `await` is a wait.',
    fix: 'Release the lock first, poll with a time-out of 0, or do the work in a thread or a work item.',
  },
  BAD_POOL_CALLER: {
    rule: 'Pool is allocated with a tag at DISPATCH_LEVEL or below (paged pool: APC_LEVEL), and freed once, by its address and tag.',
    fix: 'Allocate before the lock, or in the DPC. Set the pointer to null when the block is freed. The message says which it was.',
  },
  DRIVER_VERIFIER_DETECTED_VIOLATION: {
    rule: 'The checked build found a broken rule of the DDI; the message says which.',
    fix: 'Follow the message; it names the routine and the remedy.',
  },
  TIMER_OR_DPC_INVALID: {
    rule: 'Memory with a timer or DPC in it is freed only when neither is queued.',
    fix: 'KeCancelTimer, KeRemoveQueueDpc and KeFlushQueuedDpcs before ExFreePool.',
  },
  IRQL_UNEXPECTED_VALUE: {
    rule: 'A driver routine returns at the IRQL at which it was called.',
    fix: 'Pair KeRaiseIrql and KeLowerIrql, and acquire and release, on every path.',
  },
  DRIVER_VERIFIER_IOMANAGER_VIOLATION: {
    rule: 'IRPs are passed on and completed by the rules; the message says which was broken.',
    fix: 'Return STATUS_PENDING if and only if IoMarkIrpPending was called; give back what IoCallDriver gave.',
  },
  PNP_DETECTED_FATAL_ERROR: {
    rule: 'A device is reported, and removed, in the order that plug and play has.',
    fix: 'Report a device missing once; delete its PDO when it was reported missing and removed.',
  },
  DRIVER_UNLOADED_WITHOUT_CANCELLING_PENDING_OPERATIONS: {
    rule: 'When a driver is unloaded nothing may call its routines any more.',
    fix: 'In DriverUnload cancel timers, remove and flush DPCs, disconnect interrupts, and wait for threads and work items.',
  },
  DRIVER_IRQL_NOT_LESS_OR_EQUAL: {
    rule: 'A driver touched paged or invalid memory at raised IRQL.',
    fix: 'Use nonpaged pool for what ISRs, DPCs and code under spin locks touch.',
  },
  WORKER_THREAD_RETURNED_AT_BAD_IRQL: {
    rule: 'A work item returns at PASSIVE_LEVEL.',
    fix: 'Release every lock before the work routine returns.',
  },
  RESOURCE_NOT_OWNED: {
    rule: 'An ERESOURCE is released by a thread that owns it.',
    fix: 'Match each ExReleaseResourceLite with one acquire, in the same thread.',
  },
  SYSTEM_PTE_MISUSE: {
    rule: 'A mapping is undone once, with the address and length that made it.',
    fix: 'Pair MmMapIoSpace with MmUnmapIoSpace.',
  },
  WORKER_INVALID: {
    rule: 'Memory with a queued work item in it is not freed.',
    fix: 'Wait until the routine has run before ExFreePool or IoFreeWorkItem.',
  },
  MANUALLY_INITIATED_CRASH: {
    rule: 'The driver, or somebody at the machine, asked for a stop (KeBugCheck).',
    fix: 'Look at the parameters: they are the caller’s own.',
  },
  CLOCK_WATCHDOG_TIMEOUT: {
    rule: 'A processor comes to an interruption point every few seconds, and its thread lives.',
    fix: 'Look for a loop that never calls the kernel, for a lock that nobody gives back, and for process.exit in a driver. YieldProcessor in a polling loop takes interrupts.',
  },
  DRIVER_VIOLATION: {
    rule: 'A rule that Windows’ compiler or linker would hold was broken; the message says which.',
    fix: 'Follow the message: most often an `await` is missing, a routine is no export, or a promise of the host is not in host().',
  },
  DPC_WATCHDOG_VIOLATION: {
    rule: 'A DPC, or code at DISPATCH_LEVEL and above, does not run for long; nothing polls for what only another party can do.',
    fix: 'Wait for an event instead of polling, split the work, or boot with processors: 2.',
  },
  KERNEL_SECURITY_CHECK_FAILURE: {
    rule: 'A list entry is inserted once, and its neighbours point back to it.',
    fix: 'Guard the list with one lock, and do not free an entry that is still linked.',
  },
  KERNEL_AUTO_BOOST_INVALID_LOCK_RELEASE: {
    rule: 'A fast mutex, guarded mutex or push lock is released by the thread that acquired it, once.',
    fix: 'Release on the path that acquired, in the same thread.',
  },
  KERNEL_AUTO_BOOST_LOCK_ACQUISITION_WITH_RAISED_IRQL: {
    rule: 'Locks that wait are acquired at APC_LEVEL or below.',
    fix: 'Use a spin lock there, or take the lock before raising.',
  },
}
