/** A driver that shares events with programs: those of its own under names, and those of theirs by handles. */
import {
  CTL_CODE,
  type DEVICE_OBJECT,
  DO_BUFFERED_IO,
  DO_DEVICE_INITIALIZING,
  type DRIVER_OBJECT,
  EVENT_MODIFY_STATE,
  Executive,
  ExEventObjectType,
  FILE_ANY_ACCESS,
  FILE_DEVICE_UNKNOWN,
  globals,
  HANDLE,
  IO_NO_INCREMENT,
  IoCompleteRequest,
  IoCreateDevice,
  IoCreateSymbolicLink,
  IoCreateSynchronizationEvent,
  IoDeleteDevice,
  IoDeleteSymbolicLink,
  IoGetCurrentIrpStackLocation,
  type IRP,
  IRP_MJ_CLEANUP,
  IRP_MJ_CLOSE,
  IRP_MJ_CREATE,
  IRP_MJ_DEVICE_CONTROL,
  KernelMode,
  KeSetEvent,
  KEVENT,
  KeWaitForSingleObject,
  METHOD_BUFFERED,
  type NTSTATUS,
  ObDereferenceObject,
  ObReferenceObjectByHandle,
  out,
  pointer,
  ref,
  STATUS_BUFFER_TOO_SMALL,
  STATUS_INVALID_DEVICE_REQUEST,
  STATUS_SUCCESS,
  struct,
  ULONG,
  ZwClose,
} from 'dirql/ntifs'

const NAME = '\\Device\\Events'
const LINK = '\\??\\Events'
const EVENT = '\\BaseNamedObjects\\driver-event'

const request = (number: number): number => CTL_CODE(FILE_DEVICE_UNKNOWN, number, METHOD_BUFFERED, FILE_ANY_ACCESS)
/** Sets the event whose handle comes in. */
export const IOCTL_SET = request(0x800)
/** Makes the driver's event, or opens it; its handle goes out. */
export const IOCTL_MAKE = request(0x801)
/** Waits for the driver's event. */
export const IOCTL_WAIT = request(0x802)
/** Whether DriverEntry had the event. */
export const IOCTL_AT_ENTRY = request(0x803)

const WORD = struct('EVENTS_WORD', { Value: ULONG })

export const state = globals({
  Handle: HANDLE,
  Event: pointer(KEVENT),
  HadAtEntry: ULONG,
})

export function DriverEntry(driver: DRIVER_OBJECT): NTSTATUS {
  for (const major of [IRP_MJ_CREATE, IRP_MJ_CLEANUP, IRP_MJ_CLOSE]) driver.MajorFunction.set(major, succeed)
  driver.MajorFunction.set(IRP_MJ_DEVICE_CONTROL, deviceControl)
  driver.DriverUnload = unload
  const box = out<DEVICE_OBJECT | null>()
  const status = IoCreateDevice({
    DriverObject: driver,
    DeviceExtensionSize: 0,
    DeviceName: NAME,
    DeviceType: FILE_DEVICE_UNKNOWN,
    DeviceCharacteristics: 0,
    Exclusive: false,
    DeviceObject: box,
  })
  const device = box.value
  if (device === null) return status
  IoCreateSymbolicLink(LINK, NAME)
  device.Flags = (device.Flags | DO_BUFFERED_IO) & ~DO_DEVICE_INITIALIZING
  state.Event = IoCreateSynchronizationEvent(EVENT, ref(state, 'Handle'))
  state.HadAtEntry = state.Event === null ? 0 : 1
  return STATUS_SUCCESS
}

export async function unload(driver: DRIVER_OBJECT): Promise<void> {
  if (state.Event !== null) await ZwClose(state.Handle)
  IoDeleteSymbolicLink(LINK)
  IoDeleteDevice(driver.DeviceObject as DEVICE_OBJECT)
}

function finish(irp: IRP, status: NTSTATUS, information = 0): NTSTATUS {
  irp.IoStatus.Status = status
  irp.IoStatus.Information = information
  IoCompleteRequest(irp, IO_NO_INCREMENT)
  return status
}

export function succeed(_device: DEVICE_OBJECT, irp: IRP): NTSTATUS {
  return finish(irp, STATUS_SUCCESS)
}

export async function deviceControl(_device: DEVICE_OBJECT, irp: IRP): Promise<NTSTATUS> {
  const { IoControlCode } = IoGetCurrentIrpStackLocation(irp).Parameters.DeviceIoControl
  if (irp.AssociatedIrp.SystemBuffer === 0) return finish(irp, STATUS_BUFFER_TOO_SMALL)
  const word = new WORD(irp.AssociatedIrp.SystemBuffer)
  switch (IoControlCode) {
    case IOCTL_SET:
      return finish(irp, setByHandle(irp, word.Value))
    case IOCTL_MAKE:
      state.Event ??= IoCreateSynchronizationEvent(EVENT, ref(state, 'Handle'))
      word.Value = state.Handle
      return finish(irp, STATUS_SUCCESS, WORD.size)
    case IOCTL_WAIT:
      return finish(irp, await KeWaitForSingleObject(state.Event as KEVENT, Executive, KernelMode, false, null))
    case IOCTL_AT_ENTRY:
      word.Value = state.HadAtEntry
      return finish(irp, STATUS_SUCCESS, WORD.size)
    default:
      return finish(irp, STATUS_INVALID_DEVICE_REQUEST)
  }
}

/** In the context of the process that made the event: this driver is the only one of its stack. */
function setByHandle({ RequestorMode }: IRP, Handle: number): NTSTATUS {
  const box = out<KEVENT | null>()
  const status = ObReferenceObjectByHandle({
    Handle,
    DesiredAccess: EVENT_MODIFY_STATE,
    ObjectType: ExEventObjectType,
    AccessMode: RequestorMode,
    Object: box,
  })
  const event = box.value
  if (event === null) return status
  KeSetEvent(event, 0, false)
  ObDereferenceObject(event)
  return STATUS_SUCCESS
}
