/**
 * The first driver of the soak `hammer`, something like a file system: a push lock guards its words, changes are reported
 * to a notify list with the lock held, and programs watch them.
 */
import {
  DEVICE_OBJECT,
  DO_BUFFERED_IO,
  DO_DEVICE_INITIALIZING,
  type DRIVER_OBJECT,
  EX_PUSH_LOCK,
  ExAllocatePool2,
  ExFreePool,
  FILE_ACTION_MODIFIED,
  FILE_DEVICE_FILE_SYSTEM,
  FILE_NOTIFY_CHANGE_LAST_WRITE,
  type FILE_OBJECT,
  FltAcquirePushLockExclusive,
  FltAcquirePushLockShared,
  FltDeletePushLock,
  FltInitializePushLock,
  FltReleasePushLock,
  FsRtlNotifyCleanup,
  FsRtlNotifyCleanupAll,
  FsRtlNotifyFullChangeDirectory,
  FsRtlNotifyFullReportChange,
  FsRtlNotifyInitializeSync,
  FsRtlNotifyUninitializeSync,
  globals,
  InitializeListHead,
  IoCreateDevice,
  IoCreateSymbolicLink,
  IoDeleteDevice,
  IoDeleteSymbolicLink,
  IoGetCurrentIrpStackLocation,
  type IRP,
  IRP_MJ_CLEANUP,
  IRP_MJ_CLOSE,
  IRP_MJ_CREATE,
  IRP_MJ_DEVICE_CONTROL,
  IRP_MJ_DIRECTORY_CONTROL,
  IRP_MN_NOTIFY_CHANGE_DIRECTORY,
  KeDelayExecutionThread,
  KernelMode,
  KEVENT,
  LIST_ENTRY,
  NOTIFY_SYNC,
  NT_SUCCESS,
  type NTSTATUS,
  out,
  pointer,
  POOL_FLAG_NON_PAGED,
  ref,
  STATUS_INSUFFICIENT_RESOURCES,
  STATUS_INVALID_DEVICE_REQUEST,
  STATUS_PENDING,
  STATUS_SUCCESS,
  ULONG,
  ZwClose,
} from 'dirql/fltkernel'
import { BUS, complete, control, type Done, now, openEvent, useBus, type Work, Worker } from './hammer.ts'

const NAME = '\\Device\\HammerVolume'
const LINK = '\\??\\HammerVolume'
const DIRECTORY = '\\d'

const volume = globals({
  Lock: EX_PUSH_LOCK,
  // Guarded by the push lock.
  Count: ULONG,
  Twin: ULONG, // always the same, but for an exclusive holder

  // Set in DriverEntry.
  NotifySync: pointer(NOTIFY_SYNC),
  NotifyList: LIST_ENTRY,
  Device: pointer(DEVICE_OBJECT),
  Event: pointer(KEVENT),
  EventHandle: ULONG,
})
/** Theirs are the fields above: the loader puts them into the machine's memory. */
export { volume }

const syncOf = (): NOTIFY_SYNC => volume.NotifySync as NOTIFY_SYNC

/** @irql PASSIVE_LEVEL */
export function DriverEntry(DriverObject: DRIVER_OBJECT): NTSTATUS {
  FltInitializePushLock(volume.Lock)
  InitializeListHead(volume.NotifyList)
  FsRtlNotifyInitializeSync(ref(volume, 'NotifySync'))
  const handle = out<number>()
  volume.Event = openEvent(handle)
  if (volume.Event === null) return STATUS_INSUFFICIENT_RESOURCES
  volume.EventHandle = handle.value
  const created = out<DEVICE_OBJECT>()
  const status = IoCreateDevice({
    DriverObject,
    DeviceExtensionSize: 0,
    DeviceName: NAME,
    DeviceType: FILE_DEVICE_FILE_SYSTEM,
    DeviceCharacteristics: 0,
    Exclusive: false,
    DeviceObject: created,
  })
  if (!NT_SUCCESS(status)) return status
  const device = created.value
  volume.Device = device
  for (const major of [IRP_MJ_CREATE, IRP_MJ_CLOSE]) DriverObject.MajorFunction.set(major, succeed)
  DriverObject.MajorFunction.set(IRP_MJ_CLEANUP, cleanup)
  DriverObject.MajorFunction.set(IRP_MJ_DEVICE_CONTROL, deviceControl)
  DriverObject.MajorFunction.set(IRP_MJ_DIRECTORY_CONTROL, directoryControl)
  DriverObject.DriverUnload = unload
  device.Flags = (device.Flags | DO_BUFFERED_IO) & ~DO_DEVICE_INITIALIZING
  return IoCreateSymbolicLink(LINK, NAME)
}

/** @irql PASSIVE_LEVEL */
export async function unload(_DriverObject: DRIVER_OBJECT): Promise<void> {
  await FsRtlNotifyCleanupAll(syncOf(), volume.NotifyList)
  FsRtlNotifyUninitializeSync(ref(volume, 'NotifySync'))
  FltDeletePushLock(volume.Lock)
  IoDeleteSymbolicLink(LINK)
  if (volume.Device !== null) IoDeleteDevice(volume.Device)
  await ZwClose(volume.EventHandle)
}

/** @irql PASSIVE_LEVEL */
export function succeed(_DeviceObject: DEVICE_OBJECT, Irp: IRP): NTSTATUS {
  return complete(Irp, STATUS_SUCCESS)
}

const fileOf = (Irp: IRP): FILE_OBJECT => IoGetCurrentIrpStackLocation(Irp).FileObject as FILE_OBJECT

/** @irql PASSIVE_LEVEL */
export async function cleanup(_DeviceObject: DEVICE_OBJECT, Irp: IRP): Promise<NTSTATUS> {
  await FsRtlNotifyCleanup(syncOf(), volume.NotifyList, fileOf(Irp))
  return complete(Irp, STATUS_SUCCESS)
}

/** @irql PASSIVE_LEVEL */
export async function directoryControl(_DeviceObject: DEVICE_OBJECT, Irp: IRP): Promise<NTSTATUS> {
  const { MinorFunction, Parameters } = IoGetCurrentIrpStackLocation(Irp)
  if (MinorFunction !== IRP_MN_NOTIFY_CHANGE_DIRECTORY) return complete(Irp, STATUS_INVALID_DEVICE_REQUEST)
  await FsRtlNotifyFullChangeDirectory({
    NotifySync: syncOf(),
    NotifyList: volume.NotifyList,
    FsContext: fileOf(Irp),
    FullDirectoryName: DIRECTORY,
    WatchTree: false,
    IgnoreBuffer: false,
    CompletionFilter: Parameters.NotifyDirectory.CompletionFilter,
    NotifyIrp: Irp,
  })
  return STATUS_PENDING
}

/** @irql PASSIVE_LEVEL */
export function deviceControl(_DeviceObject: DEVICE_OBJECT, Irp: IRP): Promise<NTSTATUS> {
  return control(Irp, work)
}

/** What one worker does to the volume. A system thread, or a program's, runs it. @irql PASSIVE_LEVEL */
export function work(wanted: Work): Promise<Done> {
  return new Worker(wanted).run((worker) => {
    const choice = worker.random.below(16)
    if (choice < 6) return exclusive(worker, false)
    if (choice < 11) return shared(worker)
    if (choice < 13) return exclusive(worker, true)
    return useBus(worker, volume.Event as KEVENT)
  })
}

/** Changes the volume, and tells of it where `isTold`. */
async function exclusive(worker: Worker, isTold: boolean): Promise<void> {
  const since = now()
  const wait = FltAcquirePushLockExclusive(volume.Lock)
  if (wait !== undefined) await wait
  worker.waited(since)
  worker.expect(volume.Count === volume.Twin)
  volume.Count += 1
  if (isTold) await report(`w${worker.work.Worker}-${++worker.done.Reported}`)
  else if (worker.random.chance(1 / 512)) await KeDelayExecutionThread(KernelMode, false, 0)
  volume.Twin += 1
  worker.expect(volume.Count === volume.Twin)
  worker.done.Exclusive += 1
  FltReleasePushLock(volume.Lock)
}

async function shared(worker: Worker): Promise<void> {
  const since = now()
  const wait = FltAcquirePushLockShared(volume.Lock)
  if (wait !== undefined) await wait
  worker.waited(since)
  const { Count } = volume
  worker.expect(Count === volume.Twin)
  if (worker.random.chance(1 / 512)) await KeDelayExecutionThread(KernelMode, false, 0)
  worker.expect(Count === volume.Count && Count === volume.Twin)
  worker.done.Shared += 1
  FltReleasePushLock(volume.Lock)
}

/** Tells of a change to the file `name`. @irql PASSIVE_LEVEL */
export function report(name: string): void | Promise<void> {
  return FsRtlNotifyFullReportChange({
    NotifySync: syncOf(),
    NotifyList: volume.NotifyList,
    FullTargetName: `${DIRECTORY}\\${name}`,
    TargetNameOffset: 2 * (DIRECTORY.length + 1),
    FilterMatch: FILE_NOTIFY_CHANGE_LAST_WRITE,
    Action: FILE_ACTION_MODIFIED,
  })
}

/** Makes the bus that the named event guards; gives back its address, 0 without memory. @irql PASSIVE_LEVEL */
export function createBus(): number {
  return ExAllocatePool2(POOL_FLAG_NON_PAGED, BUS.size, 'Soak')
}

/** @irql PASSIVE_LEVEL */
export function freeBus(bus: number): void {
  ExFreePool(new BUS(bus))
}

/** What the volume has counted. */
export function counted(): { count: number; twin: number } {
  return { count: volume.Count, twin: volume.Twin }
}

/** What the bus has counted. */
export function busCounted(address: number): { owner: number; count: number; twin: number } {
  const { Owner: owner, Count: count, Twin: twin } = new BUS(address)
  return { owner, count, twin }
}
