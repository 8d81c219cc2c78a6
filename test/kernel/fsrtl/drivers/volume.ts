/** A file system whose directories are just names: programs open and watch them, `report` says what changes. */
import {
  DO_BUFFERED_IO,
  DO_DEVICE_INITIALIZING,
  type DEVICE_OBJECT,
  type DRIVER_OBJECT,
  FILE_ACTION_ADDED,
  FILE_DEVICE_FILE_SYSTEM,
  type FILE_OBJECT,
  FILE_NOTIFY_CHANGE_FILE_NAME,
  FsRtlNotifyCleanup,
  FsRtlNotifyCleanupAll,
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
  IRP_MN_NOTIFY_CHANGE_DIRECTORY,
  IsListEmpty,
  KeDelayExecutionThread,
  KernelMode,
  LIST_ENTRY,
  NOTIFY_SYNC,
  type NTSTATUS,
  out,
  pointer,
  ref,
  SL_WATCH_TREE,
  STATUS_INVALID_DEVICE_REQUEST,
  STATUS_PENDING,
  STATUS_SUCCESS,
} from '../../../../ddi/ntifs.ts'
import { textOf } from '../../../../kernel/rtl/string.ts'

/** The volume control block. */
export const volume = globals({
  NotifySync: pointer(NOTIFY_SYNC),
  DirNotifyList: LIST_ENTRY,
})
const sync = (): NOTIFY_SYNC => volume.NotifySync as NOTIFY_SYNC

const NAME = '\\Device\\Volume'
const LINK = '\\??\\Volume'

export function DriverEntry(driver: DRIVER_OBJECT): NTSTATUS {
  driver.MajorFunction.set(IRP_MJ_CREATE, create)
  driver.MajorFunction.set(IRP_MJ_CLOSE, succeed)
  driver.MajorFunction.set(IRP_MJ_CLEANUP, cleanup)
  driver.MajorFunction.set(IRP_MJ_DIRECTORY_CONTROL, directoryControl)
  driver.DriverUnload = unload
  const box = out<DEVICE_OBJECT | null>()
  const status = IoCreateDevice({
    DriverObject: driver,
    DeviceExtensionSize: 0,
    DeviceName: NAME,
    DeviceType: FILE_DEVICE_FILE_SYSTEM,
    DeviceCharacteristics: 0,
    Exclusive: false,
    DeviceObject: box,
  })
  const device = box.value
  if (device === null) return status
  InitializeListHead(volume.DirNotifyList)
  FsRtlNotifyInitializeSync(ref(volume, 'NotifySync'))
  IoCreateSymbolicLink(LINK, NAME)
  device.Flags = (device.Flags | DO_BUFFERED_IO) & ~DO_DEVICE_INITIALIZING
  return STATUS_SUCCESS
}

export async function unload(driver: DRIVER_OBJECT): Promise<void> {
  await FsRtlNotifyCleanupAll(sync(), volume.DirNotifyList)
  FsRtlNotifyUninitializeSync(ref(volume, 'NotifySync'))
  IoDeleteSymbolicLink(LINK)
  IoDeleteDevice(driver.DeviceObject as DEVICE_OBJECT)
}

function finish(irp: IRP, status: NTSTATUS): NTSTATUS {
  irp.IoStatus.Status = status
  irp.IoStatus.Information = 0
  IoCompleteRequest(irp, IO_NO_INCREMENT)
  return status
}

/** The directory's context, which is one for all who open it: here a number that its name makes. */
function directoryOf(name: string): number {
  let number = 7
  for (let index = 0; index < name.length; index++) number = (number * 31 + name.charCodeAt(index)) >>> 0
  return number
}

export function create(_device: DEVICE_OBJECT, irp: IRP): NTSTATUS {
  const file = IoGetCurrentIrpStackLocation(irp).FileObject as FILE_OBJECT
  file.FsContext = directoryOf(textOf(file.FileName))
  return finish(irp, STATUS_SUCCESS)
}

/** The directory `name` is deleted. */
export function remove(name: string): void | Promise<void> {
  return FsRtlNotifyFullChangeDirectory({
    NotifySync: sync(),
    NotifyList: volume.DirNotifyList,
    FsContext: directoryOf(name),
    FullDirectoryName: null,
    WatchTree: false,
    IgnoreBuffer: false,
    CompletionFilter: 0,
    NotifyIrp: null,
  })
}

export function succeed(_device: DEVICE_OBJECT, irp: IRP): NTSTATUS {
  return finish(irp, STATUS_SUCCESS)
}

export async function cleanup(_device: DEVICE_OBJECT, irp: IRP): Promise<NTSTATUS> {
  const { FileObject } = IoGetCurrentIrpStackLocation(irp)
  await FsRtlNotifyCleanup(sync(), volume.DirNotifyList, FileObject)
  return finish(irp, STATUS_SUCCESS)
}

export async function directoryControl(_device: DEVICE_OBJECT, irp: IRP): Promise<NTSTATUS> {
  const stack = IoGetCurrentIrpStackLocation(irp)
  if (stack.MinorFunction !== IRP_MN_NOTIFY_CHANGE_DIRECTORY) return finish(irp, STATUS_INVALID_DEVICE_REQUEST)
  const file = stack.FileObject as FILE_OBJECT
  await FsRtlNotifyFullChangeDirectory({
    NotifySync: sync(),
    NotifyList: volume.DirNotifyList,
    FsContext: file,
    FullDirectoryName: file.FileName, // lives as long as the file object, and so longer than the structure
    WatchTree: (stack.Flags & SL_WATCH_TREE) !== 0,
    IgnoreBuffer: false,
    CompletionFilter: stack.Parameters.NotifyDirectory.CompletionFilter,
    NotifyIrp: irp,
  })
  return STATUS_PENDING
}

/** Something happens to `name`. */
export function report({ name, action = FILE_ACTION_ADDED }: { name: string; action?: number }): void | Promise<void> {
  return FsRtlNotifyFullReportChange({
    NotifySync: sync(),
    NotifyList: volume.DirNotifyList,
    FullTargetName: name,
    TargetNameOffset: 2 * (name.lastIndexOf('\\') + 1),
    FilterMatch: FILE_NOTIFY_CHANGE_FILE_NAME,
    Action: action,
  })
}

/** Files 0, 1, … are added to a directory; now and then others of the processor get a turn, where `rests` says so. */
export async function reportMany({ directory, count, rests = false }: Reports): Promise<void> {
  for (let number = 0; number < count; number++) {
    await report({ name: `${directory}\\${number}` })
    if (rests && number % 16 === 0) await KeDelayExecutionThread(KernelMode, false, -1)
  }
}
interface Reports {
  directory: string
  count: number
  rests?: boolean
}

/** Whether nobody watches any more. */
export function isQuiet(): boolean {
  return IsListEmpty(volume.DirNotifyList)
}
