/**
 * Layouts of the kernel core's objects, under Windows' names and with Windows' fields where drivers or
 * tests look at them.
 */
import { array, DOUBLE, LONG, NTSTATUS as STATUS, PVOID, SHORT, struct, UCHAR, ULONG, USHORT } from '../rtl/struct.ts'
import { LIST_ENTRY } from '../rtl/list.ts'

/** Object types in a DISPATCHER_HEADER (wdm-facts §10) and in other kernel objects. */
export const ObjectType = {
  EventNotificationObject: 0,
  EventSynchronizationObject: 1,
  MutantObject: 2,
  ProcessObject: 3,
  QueueObject: 4,
  SemaphoreObject: 5,
  ThreadObject: 6,
  TimerNotificationObject: 8,
  TimerSynchronizationObject: 9,
  DpcObject: 0x13,
  DeviceQueueObject: 0x14,
  InterruptObject: 0x16,
} as const

/** What every object that a thread can wait for begins with. Guarded by the dispatcher lock. */
export const DISPATCHER_HEADER = struct('DISPATCHER_HEADER', {
  Type: UCHAR,
  Absolute: UCHAR,
  Size: UCHAR, // in units of 4 bytes
  Inserted: UCHAR,
  SignalState: LONG, // > 0: signalled
  WaitListHead: LIST_ENTRY, // KWAIT_BLOCKs, oldest first
})
export interface DISPATCHER_HEADER extends InstanceType<typeof DISPATCHER_HEADER> {}

export const KEVENT = struct('KEVENT', { Header: DISPATCHER_HEADER })
export interface KEVENT extends InstanceType<typeof KEVENT> {}

export const KSEMAPHORE = struct('KSEMAPHORE', { Header: DISPATCHER_HEADER, Limit: LONG })
export interface KSEMAPHORE extends InstanceType<typeof KSEMAPHORE> {}

/** SignalState: 1 free, 0 owned once, -n owned n + 1 times. */
export const KMUTANT = struct('KMUTANT', {
  Header: DISPATCHER_HEADER,
  MutantListEntry: LIST_ENTRY, // in the owner's MutantListHead
  OwnerThread: ULONG,
  Abandoned: UCHAR,
  ApcDisable: UCHAR, // 1 for a mutex: owning it is a critical region
})
export interface KMUTANT extends InstanceType<typeof KMUTANT> {}
export const KMUTEX = KMUTANT
export type KMUTEX = KMUTANT

/** Guarded by the lock of the queue that it is in; which one that is changes by compare and exchange on DpcData. */
export const KDPC = struct('KDPC', {
  Type: UCHAR,
  Importance: UCHAR,
  Number: USHORT, // target processor + MAXIMUM_PROCESSORS, 0: the one that queues it
  DpcListEntry: LIST_ENTRY,
  DeferredRoutine: ULONG, // routine id
  DeferredContext: PVOID,
  SystemArgument1: PVOID,
  SystemArgument2: PVOID,
  DpcData: ULONG, // the KPCR in whose queue it is, 0 when in none
})
export interface KDPC extends InstanceType<typeof KDPC> {}

/** Guarded by the dispatcher lock. */
export const KTIMER = struct('KTIMER', {
  Header: DISPATCHER_HEADER,
  DueTime: DOUBLE, // interrupt time, 100 ns units
  Sequence: ULONG, // timers due at one time expire in the order in which they were set
  HeapIndex: ULONG, // place in the timer queue, 0 when not in it
  Dpc: ULONG, // address of the KDPC, 0 for none
  Period: ULONG, // milliseconds, 0 for a one-shot
})
export interface KTIMER extends InstanceType<typeof KTIMER> {}

/** One object that a thread waits for. Guarded by the dispatcher lock. */
export const KWAIT_BLOCK = struct('KWAIT_BLOCK', {
  WaitListEntry: LIST_ENTRY,
  Thread: ULONG,
  Object: ULONG,
  WaitKey: USHORT, // the status with which this block satisfies the wait
  WaitType: UCHAR,
  IsLinked: UCHAR,
})
export interface KWAIT_BLOCK extends InstanceType<typeof KWAIT_BLOCK> {}

/** Objects that a thread can wait for without a WaitBlockArray of the caller's. */
export const THREAD_WAIT_OBJECTS = 3
export const MAXIMUM_WAIT_OBJECTS = 64

export const ThreadState = { Initialized: 0, Ready: 1, Running: 2, Terminated: 4, Waiting: 5 } as const

export const KTHREAD = struct('KTHREAD', {
  // Guarded by the dispatcher lock.
  Header: DISPATCHER_HEADER, // signalled for ever once the thread has ended
  MutantListHead: LIST_ENTRY, // the mutexes that it owns
  QueueListEntry: LIST_ENTRY, // in the ready list of its processor
  ThreadListEntry: LIST_ENTRY, // in the list of all threads
  State: UCHAR,
  WaitMode: UCHAR,
  Alertable: UCHAR,
  Alerted: UCHAR,
  WaitStatus: STATUS,
  WaitBlockList: ULONG, // address of the first block, while it waits
  WaitBlockCount: ULONG,
  WaitBlocks: array(KWAIT_BLOCK, THREAD_WAIT_OBJECTS),
  Timer: KTIMER, // of a wait with a time-out

  // The thread's own: only code that runs on it changes these.
  Irql: LONG, // PASSIVE_LEVEL or APC_LEVEL
  KernelApcDisable: SHORT, // < 0 in critical regions
  SpecialApcDisable: SHORT, // < 0 in guarded regions
  WaitNext: UCHAR, // a set, pulse or release with Wait TRUE came before
  WaitIrql: UCHAR, // the level to which the following wait goes back
  PreviousMode: UCHAR,
  IsSystemThread: UCHAR,

  // Set before it runs first, never changed after.
  Processor: ULONG,
  ThreadId: ULONG,
  Process: ULONG, // address of the EPROCESS
  StartRoutine: ULONG, // routine id
  StartContext: PVOID,
  ExitStatus: STATUS,

  // Any processor at PASSIVE_LEVEL, one word each.
  Priority: LONG,
  BasePriority: LONG,

  IrpListHead: LIST_ENTRY, // threaded IRPs; changed by code that runs on the thread
})
export interface KTHREAD extends InstanceType<typeof KTHREAD> {}

/** Guarded by the lock of its vector, but for the spin lock word. */
export const KINTERRUPT = struct('KINTERRUPT', {
  Type: UCHAR,
  Mode: UCHAR, // LevelSensitive 0, Latched 1
  ShareVector: UCHAR,
  Connected: UCHAR,
  Irql: UCHAR,
  SynchronizeIrql: UCHAR,
  IsActive: UCHAR, // IoReportInterruptActive / Inactive
  IsPassive: UCHAR, // the ISR runs at PASSIVE_LEVEL under PassiveEvent instead of the spin lock
  ListEntry: LIST_ENTRY, // in the chain of its vector
  Vector: ULONG,
  Processor: ULONG, // the one that dispatches the vector
  ServiceRoutine: ULONG, // routine id
  ServiceContext: PVOID,
  ActualLock: ULONG, // address of the spin lock word
  SpinLock: ULONG, // the embedded one, used when the driver gives none
  Id: ULONG, // never used twice in a machine
  Version: ULONG, // how it was connected
  PassiveEvent: KEVENT,
  PhysicalDeviceObject: ULONG,
  DispatchCount: ULONG, // calls of the ISR
  ClaimCount: ULONG, // calls that returned TRUE
  NextOfSet: ULONG, // LINE_BASED: the next KINTERRUPT of the same connection
})
export interface KINTERRUPT extends InstanceType<typeof KINTERRUPT> {}
