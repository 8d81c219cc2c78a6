/**
 * Layouts of the I/O system's objects, under Windows' names.
 *
 * Addresses of plain bytes (SystemBuffer, UserBuffer) are numbers: `CONFIG.at(Irp.AssociatedIrp.SystemBuffer)` is a
 * view, or null where there is no buffer.
 */
import { KDEVICE_QUEUE, KDEVICE_QUEUE_ENTRY } from '../ke/devicequeue.ts'
import { KDPC, KEVENT } from '../ke/layouts.ts'
import { LIST_ENTRY } from '../rtl/list.ts'
import type { NTSTATUS } from '../rtl/status.ts'
import { UNICODE_STRING } from '../rtl/string.ts'
import {
  array,
  CHAR,
  LONG,
  LONGLONG,
  NTSTATUS as STATUS,
  pointer,
  PVOID,
  routine,
  SHORT,
  struct,
  UCHAR,
  ULONG,
  union,
  USHORT,
  type View,
} from '../rtl/struct.ts'
import type { RoutineField } from '../rtl/types.ts'
import { IRP_MJ_MAXIMUM_FUNCTION } from './codes.ts'
import { IO_PARAMETERS } from './parameters.ts'

/**
 * Handles one function code. `async` only where it may wait: such a one is never called at DISPATCH_LEVEL.
 *
 * @irql PASSIVE_LEVEL; <= DISPATCH_LEVEL for what another driver may send from a DPC: read, write, controls, power
 */
export type DRIVER_DISPATCH = (DeviceObject: DEVICE_OBJECT, Irp: IRP) => NTSTATUS | Promise<NTSTATUS>
/** Starts the next request of a device that serves one at a time. @irql DISPATCH_LEVEL */
export type DRIVER_STARTIO = (DeviceObject: DEVICE_OBJECT, Irp: IRP) => void
/** @irql PASSIVE_LEVEL */
export type DRIVER_UNLOAD = (DriverObject: DRIVER_OBJECT) => void | Promise<void>
/** @irql PASSIVE_LEVEL */
export type DRIVER_ADD_DEVICE = (
  DriverObject: DRIVER_OBJECT,
  PhysicalDeviceObject: DEVICE_OBJECT,
) => NTSTATUS | Promise<NTSTATUS>
/** @irql PASSIVE_LEVEL */
export type DRIVER_INITIALIZE = (
  DriverObject: DRIVER_OBJECT,
  RegistryPath: UNICODE_STRING,
) => NTSTATUS | Promise<NTSTATUS>
/** Cancels a request: called with the cancel spin lock held, which it must release. @irql DISPATCH_LEVEL */
export type DRIVER_CANCEL = (DeviceObject: DEVICE_OBJECT, Irp: IRP) => void
/** The device is the one of the driver that set the routine, null for the IRP's originator. @irql <= DISPATCH_LEVEL */
export type IO_COMPLETION_ROUTINE = (DeviceObject: DEVICE_OBJECT | null, Irp: IRP, Context: never) => NTSTATUS

/** What became of a request. */
export const IO_STATUS_BLOCK = struct('IO_STATUS_BLOCK', {
  Status: STATUS,
  Information: ULONG, // mostly bytes moved; for some PnP requests an address
})
export interface IO_STATUS_BLOCK extends View<typeof IO_STATUS_BLOCK> {}

export const DRIVER_EXTENSION = struct('DRIVER_EXTENSION', {
  DriverObject: pointer<DRIVER_OBJECT>(() => DRIVER_OBJECT),
  AddDevice: routine<DRIVER_ADD_DEVICE>(),
  Count: ULONG, // times the driver was reinitialised
  ServiceKeyName: UNICODE_STRING,
  ClientExtensions: ULONG, // IoAllocateDriverObjectExtension: address of the newest; guarded by the database lock
})
export interface DRIVER_EXTENSION extends View<typeof DRIVER_EXTENSION> {}

// The type is written out, because a driver object's would otherwise be needed to find it.
const DRIVER_UNLOAD_FIELD: RoutineField<DRIVER_UNLOAD> = routine<DRIVER_UNLOAD>()

/** DeviceObject is guarded by the I/O database lock; the rest the driver sets in DriverEntry. */
export const DRIVER_OBJECT = struct('DRIVER_OBJECT', {
  Type: SHORT,
  Size: SHORT,
  DeviceObject: pointer<DEVICE_OBJECT>(() => DEVICE_OBJECT), // the newest; the others by NextDevice
  Flags: ULONG, // DRVO_…
  DriverStart: ULONG, // image number
  DriverSection: ULONG, // next in the list of loaded drivers
  DriverExtension: pointer<DRIVER_EXTENSION>(() => DRIVER_EXTENSION),
  DriverName: UNICODE_STRING,
  DriverInit: routine<DRIVER_INITIALIZE>(),
  DriverStartIo: routine<DRIVER_STARTIO>(),
  DriverUnload: DRIVER_UNLOAD_FIELD,
  MajorFunction: array(routine<DRIVER_DISPATCH>(), IRP_MJ_MAXIMUM_FUNCTION + 1), // DriverObject.MajorFunction.set(IRP_MJ_READ, read)
})
export interface DRIVER_OBJECT extends View<typeof DRIVER_OBJECT> {}

/** NextDevice, AttachedDevice, ReferenceCount and StackSize are guarded by the I/O database lock. */
export const DEVICE_OBJECT = struct('DEVICE_OBJECT', {
  Type: SHORT,
  Size: USHORT, // with the extension, at most 65535
  ReferenceCount: LONG, // open files and attached opens
  DriverObject: pointer<DRIVER_OBJECT>(() => DRIVER_OBJECT),
  NextDevice: pointer<DEVICE_OBJECT>(() => DEVICE_OBJECT),
  AttachedDevice: pointer<DEVICE_OBJECT>(() => DEVICE_OBJECT), // the one above this
  CurrentIrp: pointer<IRP>(() => IRP),
  Timer: ULONG, // IO_TIMER
  Flags: ULONG, // DO_…
  Characteristics: ULONG,
  DeviceExtension: PVOID, // the driver's struct; null when its size is 0
  DeviceType: ULONG,
  StackSize: CHAR,
  StartIoFlags: UCHAR, // IoSetStartIoAttributes
  ExtensionFlags: UCHAR, // DEVICE_DELETED …: ours
  StartIoCount: LONG,
  StartIoKey: ULONG,
  AlignmentRequirement: ULONG,
  DeviceQueue: KDEVICE_QUEUE,
  Dpc: KDPC,
  AttachedTo: pointer<DEVICE_OBJECT>(() => DEVICE_OBJECT), // the one below this
  DeviceNode: ULONG, // of a PDO, the PnP manager's
  Reserved: PVOID, // the PnP manager's
})
export interface DEVICE_OBJECT extends View<typeof DEVICE_OBJECT> {}

/** One open of a device. Duplicated handles share it. */
export const FILE_OBJECT = struct('FILE_OBJECT', {
  Type: SHORT,
  Size: SHORT,
  DeviceObject: pointer<DEVICE_OBJECT>(() => DEVICE_OBJECT),
  FsContext: PVOID, // the driver's
  FsContext2: PVOID, // the driver's
  FinalStatus: STATUS,
  RelatedFileObject: pointer<FILE_OBJECT>(() => FILE_OBJECT), // while IRP_MJ_CREATE runs
  LockOperation: UCHAR,
  DeletePending: UCHAR,
  ReadAccess: UCHAR,
  WriteAccess: UCHAR,
  DeleteAccess: UCHAR,
  SharedRead: UCHAR,
  SharedWrite: UCHAR,
  SharedDelete: UCHAR,
  Flags: ULONG, // FO_…
  FileName: UNICODE_STRING, // what followed the device's name
  CurrentByteOffset: LONGLONG,
  Lock: KEVENT, // one request at a time on a synchronous file
  Event: KEVENT, // signalled when a request without an event of its own is done
})
export interface FILE_OBJECT extends View<typeof FILE_OBJECT> {}

/** Describes a buffer whose pages stay in memory. Memory is one block here, so virtual and system address are one. */
export const MDL = struct('MDL', {
  Next: pointer<MDL>(() => MDL),
  Size: USHORT, // with the page array
  MdlFlags: USHORT,
  Process: ULONG,
  MappedSystemVa: ULONG,
  StartVa: ULONG, // page that the buffer begins on
  ByteCount: ULONG,
  ByteOffset: ULONG, // of the buffer in its first page
})
export interface MDL extends View<typeof MDL> {}

const IRP_ASSOCIATED = union('IRP_ASSOCIATED', {
  MasterIrp: pointer<IRP>(() => IRP),
  IrpCount: LONG, // associated IRPs that are out
  SystemBuffer: ULONG, // address
})

const IRP_OVERLAY = struct('IRP_OVERLAY', {
  DeviceQueueEntry: KDEVICE_QUEUE_ENTRY,
  DriverContext: array(PVOID, 4), // the owning driver's; [3] is IoCsq's
  Thread: ULONG, // address of the KTHREAD
  ListEntry: LIST_ENTRY, // the owning driver's
  CurrentStackLocation: pointer<IO_STACK_LOCATION>(() => IO_STACK_LOCATION),
  OriginalFileObject: pointer<FILE_OBJECT>(() => FILE_OBJECT),
})
const IRP_TAIL = struct('IRP_TAIL', { Overlay: IRP_OVERLAY })

/** Belongs to the driver that has it; Cancel and CancelRoutine change under the cancel spin lock or atomically. */
export const IRP = struct('IRP', {
  Type: SHORT,
  Size: USHORT, // with the stack locations
  MdlAddress: pointer<MDL>(() => MDL),
  Flags: ULONG, // IRP_…
  AssociatedIrp: IRP_ASSOCIATED,
  ThreadListEntry: LIST_ENTRY, // in KTHREAD.IrpListHead, under the IRP list lock
  IoStatus: IO_STATUS_BLOCK,
  RequestorMode: CHAR, // KernelMode 0, UserMode 1
  PendingReturned: UCHAR, // to be looked at in completion routines
  StackCount: CHAR,
  CurrentLocation: CHAR, // StackCount + 1 before it is sent
  Cancel: UCHAR,
  CancelIrql: UCHAR,
  ApcEnvironment: UCHAR,
  AllocationFlags: UCHAR,
  UserIosb: pointer<IO_STATUS_BLOCK>(() => IO_STATUS_BLOCK),
  UserEvent: pointer<KEVENT>(() => KEVENT),
  CancelRoutine: routine<DRIVER_CANCEL>(),
  UserBuffer: ULONG, // address
  Tail: IRP_TAIL,
})
export interface IRP extends View<typeof IRP> {}

/** A driver's part of an IRP: what is asked of it. */
export const IO_STACK_LOCATION = struct('IO_STACK_LOCATION', {
  MajorFunction: UCHAR,
  MinorFunction: UCHAR,
  Flags: UCHAR,
  Control: UCHAR, // SL_PENDING_RETURNED, SL_INVOKE_ON_…
  Parameters: IO_PARAMETERS,
  DeviceObject: pointer<DEVICE_OBJECT>(() => DEVICE_OBJECT),
  FileObject: pointer<FILE_OBJECT>(() => FILE_OBJECT),
  CompletionRoutine: routine<IO_COMPLETION_ROUTINE>(), // of the driver above
  Context: PVOID,
})
export interface IO_STACK_LOCATION extends View<typeof IO_STACK_LOCATION> {}

const overlay = IRP.offsets.Tail + IRP_TAIL.offsets.Overlay
/** Offsets in an IRP of what lies in its inner structs. */
export const Irp = {
  ...IRP.offsets,
  Status: IRP.offsets.IoStatus + IO_STATUS_BLOCK.offsets.Status,
  Information: IRP.offsets.IoStatus + IO_STATUS_BLOCK.offsets.Information,
  DeviceQueueEntry: overlay + IRP_OVERLAY.offsets.DeviceQueueEntry,
  DriverContext: overlay + IRP_OVERLAY.offsets.DriverContext,
  Thread: overlay + IRP_OVERLAY.offsets.Thread,
  ListEntry: overlay + IRP_OVERLAY.offsets.ListEntry,
  CurrentStackLocation: overlay + IRP_OVERLAY.offsets.CurrentStackLocation,
  OriginalFileObject: overlay + IRP_OVERLAY.offsets.OriginalFileObject,
} as const

/** Offsets in a stack location. */
export const Stack = IO_STACK_LOCATION.offsets
export const STACK_SIZE = IO_STACK_LOCATION.size
