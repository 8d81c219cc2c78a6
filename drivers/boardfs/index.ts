/**
 * A file system whose tree is the boards: `\uno-0\gpio\d13`, `\uno-0\i2c0\tmp102\temperature`,
 * `\uno-0\interrupts\3\count`. Programs open, read, write, list and watch it below `\\.\BoardFs`.
 *
 * Each plugged board has a device of its own here, by which its directory comes and goes; requests of programs come to
 * the one device \Device\BoardFs.
 */
import {
  DEVICE_OBJECT,
  DO_BUFFERED_IO,
  DO_DEVICE_INITIALIZING,
  type DRIVER_OBJECT,
  ExAllocatePool2,
  ExFreePool,
  FILE_CREATE,
  FILE_DEVICE_FILE_SYSTEM,
  FILE_DIRECTORY_FILE,
  FILE_NON_DIRECTORY_FILE,
  type FILE_OBJECT,
  FILE_OPEN,
  FILE_OPENED,
  FILE_OVERWRITE,
  FILE_SUPERSEDE,
  FltDeletePushLock,
  FltInitializePushLock,
  FsRtlNotifyCleanup,
  FsRtlNotifyCleanupAll,
  FsRtlNotifyInitializeSync,
  FsRtlNotifyUninitializeSync,
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
  IRP_MJ_DIRECTORY_CONTROL,
  IRP_MJ_PNP,
  IRP_MJ_QUERY_INFORMATION,
  IRP_MJ_READ,
  IRP_MJ_WRITE,
  NT_SUCCESS,
  type NTSTATUS,
  out,
  POOL_FLAG_PAGED,
  ref,
  same,
  STATUS_ACCESS_DENIED,
  STATUS_DEVICE_NOT_CONNECTED,
  STATUS_FILE_IS_A_DIRECTORY,
  STATUS_INSUFFICIENT_RESOURCES,
  STATUS_INVALID_DEVICE_REQUEST,
  STATUS_NOT_A_DIRECTORY,
  STATUS_OBJECT_NAME_COLLISION,
  STATUS_OBJECT_NAME_NOT_FOUND,
  STATUS_SUCCESS,
  StatusError,
} from 'dirql/fltkernel'
import { complete } from '../lib/irp.ts'
import { dispatchPnp, type PnpRoutines } from '../lib/pnp.ts'
import { textOf } from '../lib/text.ts'
import { addDevice, boardOf, startBoard, stopBoard } from './board.ts'
import { readNode, writeNode } from './content.ts'
import { directoryControl, nodeOf, OPEN, openOf, queryInformation } from './directory.ts'
import { createNode, dereference, find, Kind, type NODE, reference } from './node.ts'
import { rootOf, syncOf, volume, withTree } from './volume.ts'

// What the kernel calls by its name, or has memory for, must be an export of this file.
export { addDevice, boardDpc, tellChanges } from './board.ts'
export { cancelForward, forwarded } from './forward.ts'
export { lineIsr, moveChanges } from './line.ts'
export { volume } from './volume.ts'

/** The devices that this driver is for: there is one for each board. */
export const hardwareIds = ['dirql\\board']

const NAME = '\\Device\\BoardFs'
const LINK = '\\??\\BoardFs'

/** @irql PASSIVE_LEVEL */
export function DriverEntry(DriverObject: DRIVER_OBJECT): NTSTATUS {
  DriverObject.MajorFunction.set(IRP_MJ_CREATE, create)
  DriverObject.MajorFunction.set(IRP_MJ_CLEANUP, cleanup)
  DriverObject.MajorFunction.set(IRP_MJ_CLOSE, close)
  DriverObject.MajorFunction.set(IRP_MJ_READ, read)
  DriverObject.MajorFunction.set(IRP_MJ_WRITE, write)
  DriverObject.MajorFunction.set(IRP_MJ_DIRECTORY_CONTROL, control)
  DriverObject.MajorFunction.set(IRP_MJ_QUERY_INFORMATION, query)
  DriverObject.MajorFunction.set(IRP_MJ_PNP, pnp)
  if (DriverObject.DriverExtension !== null) DriverObject.DriverExtension.AddDevice = addDevice
  DriverObject.DriverUnload = unload
  FltInitializePushLock(volume.TreeLock)
  InitializeListHead(volume.NotifyList)
  const status = mount(DriverObject)
  if (!NT_SUCCESS(status)) dismount()
  return status
}

function mount(DriverObject: DRIVER_OBJECT): NTSTATUS {
  volume.Root = createNode({ parent: null, name: '' })
  if (volume.Root === null) return STATUS_INSUFFICIENT_RESOURCES
  try {
    FsRtlNotifyInitializeSync(ref(volume, 'NotifySync'))
  } catch (error) {
    if (error instanceof StatusError) return error.status
    throw error
  }
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
  const control = created.value
  volume.Control = control
  control.Flags = (control.Flags | DO_BUFFERED_IO) & ~DO_DEVICE_INITIALIZING
  return IoCreateSymbolicLink(LINK, NAME)
}

function dismount(): void {
  FsRtlNotifyUninitializeSync(ref(volume, 'NotifySync'))
  FltDeletePushLock(volume.TreeLock)
  if (volume.Root !== null) dereference(volume.Root)
  if (volume.Control !== null) IoDeleteDevice(volume.Control)
}

/** PnP has removed the boards before, and nobody has a file open. @irql PASSIVE_LEVEL */
export async function unload(_DriverObject: DRIVER_OBJECT): Promise<void> {
  await FsRtlNotifyCleanupAll(syncOf(), volume.NotifyList)
  IoDeleteSymbolicLink(LINK)
  dismount()
}

const isControl = (device: DEVICE_OBJECT): boolean => same(device, volume.Control)
const fileOf = (Irp: IRP): FILE_OBJECT => IoGetCurrentIrpStackLocation(Irp).FileObject as FILE_OBJECT

/** Opens a file or a directory; nothing can be made here. @irql PASSIVE_LEVEL */
export async function create(DeviceObject: DEVICE_OBJECT, Irp: IRP): Promise<NTSTATUS> {
  if (!isControl(DeviceObject)) return complete(Irp, STATUS_INVALID_DEVICE_REQUEST)
  const { Options } = IoGetCurrentIrpStackLocation(Irp).Parameters.Create
  const file = fileOf(Irp)
  const from = file.RelatedFileObject === null ? rootOf() : nodeOf(file.RelatedFileObject)
  const status = await withTree(() => {
    if (from.IsGone !== 0) return STATUS_DEVICE_NOT_CONNECTED
    const { status: found, node } = find(from, textOf(file.FileName))
    if (node === null) return refuseToMake(found, Options)
    const allowed = checkOptions(node, Options)
    return NT_SUCCESS(allowed) ? open(file, node) : allowed
  })
  return complete(Irp, status, NT_SUCCESS(status) ? FILE_OPENED : 0)
}

const dispositionOf = (options: number): number => options >>> 24

/** What is not there could only be made. */
function refuseToMake(found: NTSTATUS, options: number): NTSTATUS {
  const disposition = dispositionOf(options)
  const wantsToMake = disposition !== FILE_OPEN && disposition !== FILE_OVERWRITE
  return found === STATUS_OBJECT_NAME_NOT_FOUND && wantsToMake ? STATUS_ACCESS_DENIED : found
}

/** Writing anew is allowed: `echo 1 >` opens a pin so. */
function checkOptions({ Kind: kind }: NODE, options: number): NTSTATUS {
  const disposition = dispositionOf(options)
  const isDirectory = kind === Kind.Directory
  if (disposition === FILE_CREATE) return STATUS_OBJECT_NAME_COLLISION
  if (disposition === FILE_SUPERSEDE) return STATUS_ACCESS_DENIED
  if (isDirectory && (options & FILE_NON_DIRECTORY_FILE) !== 0) return STATUS_FILE_IS_A_DIRECTORY
  return !isDirectory && (options & FILE_DIRECTORY_FILE) !== 0 ? STATUS_NOT_A_DIRECTORY : STATUS_SUCCESS
}

function open(file: FILE_OBJECT, node: NODE): NTSTATUS {
  const opened = OPEN.at(ExAllocatePool2(POOL_FLAG_PAGED, OPEN.size, 'BfOp'))
  if (opened === null) return STATUS_INSUFFICIENT_RESOURCES
  reference(node)
  file.FsContext = node
  file.FsContext2 = opened
  return STATUS_SUCCESS
}

/** The last handle is closed: nobody waits for changes any more. @irql PASSIVE_LEVEL */
export async function cleanup(_DeviceObject: DEVICE_OBJECT, Irp: IRP): Promise<NTSTATUS> {
  await FsRtlNotifyCleanup(syncOf(), volume.NotifyList, openOf(fileOf(Irp)))
  return complete(Irp, STATUS_SUCCESS)
}

/** @irql PASSIVE_LEVEL */
export function close(_DeviceObject: DEVICE_OBJECT, Irp: IRP): NTSTATUS {
  const file = fileOf(Irp)
  ExFreePool(openOf(file))
  dereference(nodeOf(file))
  return complete(Irp, STATUS_SUCCESS)
}

/** @irql PASSIVE_LEVEL */
export function read(DeviceObject: DEVICE_OBJECT, Irp: IRP): NTSTATUS | Promise<NTSTATUS> {
  return isControl(DeviceObject) ? readNode(nodeOf(fileOf(Irp)), Irp) : complete(Irp, STATUS_INVALID_DEVICE_REQUEST)
}

/** @irql PASSIVE_LEVEL */
export function write(DeviceObject: DEVICE_OBJECT, Irp: IRP): NTSTATUS | Promise<NTSTATUS> {
  return isControl(DeviceObject) ? writeNode(nodeOf(fileOf(Irp)), Irp) : complete(Irp, STATUS_INVALID_DEVICE_REQUEST)
}

/** @irql PASSIVE_LEVEL */
export function control(DeviceObject: DEVICE_OBJECT, Irp: IRP): NTSTATUS | Promise<NTSTATUS> {
  if (!isControl(DeviceObject)) return complete(Irp, STATUS_INVALID_DEVICE_REQUEST)
  const file = fileOf(Irp)
  return directoryControl(nodeOf(file), openOf(file), Irp)
}

/** @irql PASSIVE_LEVEL */
export function query(DeviceObject: DEVICE_OBJECT, Irp: IRP): NTSTATUS {
  if (!isControl(DeviceObject)) return complete(Irp, STATUS_INVALID_DEVICE_REQUEST)
  return queryInformation(nodeOf(fileOf(Irp)), Irp)
}

const PNP: PnpRoutines = { start: startBoard, stop: stopBoard, remove: () => {} }

/** @irql PASSIVE_LEVEL */
export function pnp(DeviceObject: DEVICE_OBJECT, Irp: IRP): Promise<NTSTATUS> {
  return dispatchPnp(DeviceObject, boardOf(DeviceObject).Lower as DEVICE_OBJECT, Irp, PNP)
}
