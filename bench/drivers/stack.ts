/** Two devices, one on top of the other: a read goes through the upper one and is completed by the lower one. */
import {
  DEVICE_OBJECT,
  DO_BUFFERED_IO,
  DO_DEVICE_INITIALIZING,
  type DRIVER_OBJECT,
  ExAllocatePool2,
  ExFreePool,
  FILE_DEVICE_UNKNOWN,
  globals,
  IO_NO_INCREMENT,
  IO_STATUS_BLOCK,
  IoAttachDeviceToDeviceStack,
  IoBuildSynchronousFsdRequest,
  IoCallDriver,
  IoCompleteRequest,
  IoCreateDevice,
  IoDeleteDevice,
  IoDetachDevice,
  IoSkipCurrentIrpStackLocation,
  type IRP,
  IRP_MJ_READ,
  KeClearEvent,
  KeInitializeEvent,
  KEVENT,
  NotificationEvent,
  type NTSTATUS,
  out,
  pointer,
  POOL_FLAG_NON_PAGED,
  STATUS_SUCCESS,
  struct,
  ULONG,
} from '../../ddi/wdm.ts'
import { timedAsync } from '../benchmark.ts'
import type { Figure } from './locks.ts'

const LENGTH = 64

/** Device extension: what the device stands on, null for the lower one. */
const LAYER = struct('BENCH_LAYER', { lower: pointer<DEVICE_OBJECT>(() => DEVICE_OBJECT) })
type LAYER = InstanceType<typeof LAYER>

const REQUEST = struct('BENCH_REQUEST', { done: KEVENT, status: IO_STATUS_BLOCK, buffer: ULONG })

export const Globals = globals({
  top: pointer<DEVICE_OBJECT>(() => DEVICE_OBJECT),
  bottom: pointer<DEVICE_OBJECT>(() => DEVICE_OBJECT),
})

export function DriverEntry(driver: DRIVER_OBJECT): NTSTATUS {
  driver.MajorFunction.set(IRP_MJ_READ, read)
  driver.DriverUnload = unload
  Globals.bottom = create(driver)
  Globals.top = create(driver)
  ;(Globals.top.DeviceExtension as LAYER).lower = IoAttachDeviceToDeviceStack(Globals.top, Globals.bottom)
  return STATUS_SUCCESS
}

function create(DriverObject: DRIVER_OBJECT): DEVICE_OBJECT {
  const box = out<DEVICE_OBJECT>()
  IoCreateDevice({
    DriverObject,
    DeviceExtensionSize: LAYER,
    DeviceName: null,
    DeviceType: FILE_DEVICE_UNKNOWN,
    DeviceCharacteristics: 0,
    Exclusive: false,
    DeviceObject: box,
  })
  box.value.Flags |= DO_BUFFERED_IO
  box.value.Flags &= ~DO_DEVICE_INITIALIZING
  return box.value
}

export function unload(_driver: DRIVER_OBJECT): void {
  const { top, bottom } = Globals
  if (bottom !== null) IoDetachDevice(bottom)
  for (const device of [top, bottom]) if (device !== null) IoDeleteDevice(device)
}

export function read(device: DEVICE_OBJECT, irp: IRP): NTSTATUS | Promise<NTSTATUS> {
  const { lower } = device.DeviceExtension as LAYER
  if (lower !== null) {
    IoSkipCurrentIrpStackLocation(irp)
    return IoCallDriver(lower, irp)
  }
  irp.IoStatus.Status = STATUS_SUCCESS
  irp.IoStatus.Information = LENGTH
  IoCompleteRequest(irp, IO_NO_INCREMENT)
  return STATUS_SUCCESS
}

/** Builds a read, sends it and takes its result. */
export async function send(rounds: number): Promise<Figure> {
  const request = new REQUEST(ExAllocatePool2(POOL_FLAG_NON_PAGED, REQUEST.size, 'Benc'))
  request.buffer = ExAllocatePool2(POOL_FLAG_NON_PAGED, LENGTH, 'Benc')
  const { done, status, buffer } = request
  KeInitializeEvent(done, NotificationEvent, false)
  const top = Globals.top as DEVICE_OBJECT
  let bytes = 0
  const ns = await timedAsync(rounds, async () => {
    for (let round = 0; round < rounds; round++) {
      const irp = IoBuildSynchronousFsdRequest({
        MajorFunction: IRP_MJ_READ,
        DeviceObject: top,
        Buffer: buffer,
        Length: LENGTH,
        StartingOffset: 0,
        Event: done,
        IoStatusBlock: status,
      })
      if (irp === null) throw new Error('no memory for an IRP')
      await IoCallDriver(top, irp)
      bytes += Number(status.Information)
      KeClearEvent(done)
    }
  })
  ExFreePool(request.buffer)
  ExFreePool(request)
  return { ns, count: bytes / LENGTH }
}
