/** A file system with one directory, which programs watch; `report` says that a file was added to it. */
import {
  type DEVICE_OBJECT,
  DO_BUFFERED_IO,
  DO_DEVICE_INITIALIZING,
  type DRIVER_OBJECT,
  FILE_ACTION_ADDED,
  FILE_DEVICE_FILE_SYSTEM,
  FILE_NOTIFY_CHANGE_FILE_NAME,
  FsRtlNotifyCleanup,
  FsRtlNotifyFullChangeDirectory,
  FsRtlNotifyFullReportChange,
  FsRtlNotifyInitializeSync,
  FsRtlNotifyUninitializeSync,
  globals,
  InitializeListHead,
  IO_NO_INCREMENT,
  IoCompleteRequest,
  IoCreateDevice,
  IoCreateSymbolicLink,
  IoDeleteDevice,
  IoDeleteSymbolicLink,
  IoGetCurrentIrpStackLocation,
  type IRP,
  IRP_MJ_CLEANUP,
  IRP_MJ_CLOSE,
  IRP_MJ_CREATE,
  IRP_MJ_DIRECTORY_CONTROL,
  IsListEmpty,
  LIST_ENTRY,
  NOTIFY_SYNC,
  type NTSTATUS,
  out,
  pointer,
  ref,
  STATUS_PENDING,
  STATUS_SUCCESS,
} from '../../ddi/ntifs.ts'

export const volume = globals({ sync: pointer(NOTIFY_SYNC), list: LIST_ENTRY })
const sync = (): NOTIFY_SYNC => volume.sync as NOTIFY_SYNC

const NAME = '\\Device\\BenchVolume'
const LINK = '\\??\\BenchVolume'
/** As it is known below the device. */
const DIRECTORY = '\\d'

export function DriverEntry(driver: DRIVER_OBJECT): NTSTATUS {
  driver.MajorFunction.set(IRP_MJ_CREATE, succeed)
  driver.MajorFunction.set(IRP_MJ_CLOSE, succeed)
  driver.MajorFunction.set(IRP_MJ_CLEANUP, cleanup)
  driver.MajorFunction.set(IRP_MJ_DIRECTORY_CONTROL, watch)
  driver.DriverUnload = unload
  const box = out<DEVICE_OBJECT>()
  const status = IoCreateDevice({
    DriverObject: driver,
    DeviceExtensionSize: 0,
    DeviceName: NAME,
    DeviceType: FILE_DEVICE_FILE_SYSTEM,
    DeviceCharacteristics: 0,
    Exclusive: false,
    DeviceObject: box,
  })
  if (status < 0) return status
  InitializeListHead(volume.list)
  FsRtlNotifyInitializeSync(ref(volume, 'sync'))
  IoCreateSymbolicLink(LINK, NAME)
  box.value.Flags = (box.value.Flags | DO_BUFFERED_IO) & ~DO_DEVICE_INITIALIZING
  return STATUS_SUCCESS
}

export function unload(driver: DRIVER_OBJECT): void {
  FsRtlNotifyUninitializeSync(ref(volume, 'sync'))
  IoDeleteSymbolicLink(LINK)
  IoDeleteDevice(driver.DeviceObject as DEVICE_OBJECT)
}

export function succeed(_device: DEVICE_OBJECT, irp: IRP): NTSTATUS {
  irp.IoStatus.Status = STATUS_SUCCESS
  irp.IoStatus.Information = 0
  IoCompleteRequest(irp, IO_NO_INCREMENT)
  return STATUS_SUCCESS
}

export async function cleanup(device: DEVICE_OBJECT, irp: IRP): Promise<NTSTATUS> {
  await FsRtlNotifyCleanup(sync(), volume.list, IoGetCurrentIrpStackLocation(irp).FileObject)
  return succeed(device, irp)
}

export async function watch(_device: DEVICE_OBJECT, irp: IRP): Promise<NTSTATUS> {
  const { FileObject, Parameters } = IoGetCurrentIrpStackLocation(irp)
  await FsRtlNotifyFullChangeDirectory({
    NotifySync: sync(),
    NotifyList: volume.list,
    FsContext: FileObject,
    FullDirectoryName: DIRECTORY,
    WatchTree: false,
    IgnoreBuffer: false,
    CompletionFilter: Parameters.NotifyDirectory.CompletionFilter,
    NotifyIrp: irp,
  })
  return STATUS_PENDING
}

/** Whether nobody watches. */
export const isQuiet = (): boolean => IsListEmpty(volume.list)

/** File `name` is added to the directory. */
export function report(name: string): void | Promise<void> {
  return FsRtlNotifyFullReportChange({
    NotifySync: sync(),
    NotifyList: volume.list,
    FullTargetName: `${DIRECTORY}\\${name}`,
    TargetNameOffset: 2 * (DIRECTORY.length + 1),
    FilterMatch: FILE_NOTIFY_CHANGE_FILE_NAME,
    Action: FILE_ACTION_ADDED,
  })
}
