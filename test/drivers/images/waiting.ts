/** Keeps every read until it is cancelled. */
import {
  DEVICE_OBJECT,
  DO_BUFFERED_IO,
  DO_DEVICE_INITIALIZING,
  type DRIVER_OBJECT,
  FILE_DEVICE_UNKNOWN,
  IO_NO_INCREMENT,
  IoAttachDeviceToDeviceStack,
  IoCompleteRequest,
  IoCreateDevice,
  IoMarkIrpPending,
  IoReleaseCancelSpinLock,
  IoSetCancelRoutine,
  type IRP,
  IRP_MJ_CLEANUP,
  IRP_MJ_CLOSE,
  IRP_MJ_CREATE,
  IRP_MJ_PNP,
  IRP_MJ_READ,
  type NTSTATUS,
  out,
  pointer,
  STATUS_CANCELLED,
  STATUS_PENDING,
  STATUS_SUCCESS,
  struct,
} from '../../../ddi/wdm.ts'
import { dispatchPnp } from '../../../drivers/lib/pnp.ts'

export const hardwareIds = ['test\\waiting']

export const WAITING = struct('WAITING', { Lower: pointer<DEVICE_OBJECT>(() => DEVICE_OBJECT) })
type WAITING = InstanceType<typeof WAITING>

export function DriverEntry(driver: DRIVER_OBJECT): NTSTATUS {
  for (const major of [IRP_MJ_CREATE, IRP_MJ_CLEANUP, IRP_MJ_CLOSE]) driver.MajorFunction.set(major, succeed)
  driver.MajorFunction.set(IRP_MJ_READ, read)
  driver.MajorFunction.set(IRP_MJ_PNP, pnp)
  if (driver.DriverExtension !== null) driver.DriverExtension.AddDevice = addDevice
  driver.DriverUnload = unload
  return STATUS_SUCCESS
}

export function unload(): void {}

export function addDevice(DriverObject: DRIVER_OBJECT, pdo: DEVICE_OBJECT): NTSTATUS {
  const box = out<DEVICE_OBJECT>()
  const status = IoCreateDevice({
    DriverObject,
    DeviceExtensionSize: WAITING,
    DeviceName: null,
    DeviceType: FILE_DEVICE_UNKNOWN,
    DeviceCharacteristics: 0,
    Exclusive: false,
    DeviceObject: box,
  })
  if (status < 0) return status
  const device = box.value
  ;(device.DeviceExtension as WAITING).Lower = IoAttachDeviceToDeviceStack(device, pdo)
  device.Flags = (device.Flags | DO_BUFFERED_IO) & ~DO_DEVICE_INITIALIZING
  return STATUS_SUCCESS
}

export function pnp(device: DEVICE_OBJECT, irp: IRP): Promise<NTSTATUS> {
  const lower = (device.DeviceExtension as WAITING).Lower as DEVICE_OBJECT
  return dispatchPnp(device, lower, irp, { start: () => STATUS_SUCCESS, stop: () => {}, remove: () => {} })
}

export function succeed(_device: DEVICE_OBJECT, irp: IRP): NTSTATUS {
  return finish(irp, STATUS_SUCCESS)
}

export function read(_device: DEVICE_OBJECT, irp: IRP): NTSTATUS {
  IoMarkIrpPending(irp)
  IoSetCancelRoutine(irp, cancelRead)
  return STATUS_PENDING
}

export function cancelRead(_device: DEVICE_OBJECT, irp: IRP): void {
  IoReleaseCancelSpinLock(irp.CancelIrql)
  finish(irp, STATUS_CANCELLED)
}

function finish(irp: IRP, status: NTSTATUS): NTSTATUS {
  irp.IoStatus.Status = status
  irp.IoStatus.Information = 0
  IoCompleteRequest(irp, IO_NO_INCREMENT)
  return status
}
