/**
 * A push button: the smallest whole driver.
 *
 * Each press interrupts. The ISR takes over the board's count, the DPC wakes a reader, and a read tells one press as
 * text: `press 1 at 1200 us`. The board counts, so a press that comes while nobody reads is told later, and none is lost.
 */
import {
  array,
  atomic,
  type CM_PARTIAL_RESOURCE_DESCRIPTOR,
  type CM_RESOURCE_LIST,
  CmResourceShareShared,
  CmResourceTypeInterrupt,
  CmResourceTypeMemory,
  DEVICE_OBJECT,
  DO_BUFFERED_IO,
  DO_DEVICE_INITIALIZING,
  type DRIVER_OBJECT,
  Executive,
  ExAllocatePool2,
  ExFreePool,
  FILE_DEVICE_UNKNOWN,
  globals,
  IO_NO_INCREMENT,
  IoAttachDeviceToDeviceStack,
  IoCallDriver,
  IoCompleteRequest,
  IoConnectInterrupt,
  IoCreateDevice,
  IoCreateSymbolicLink,
  IoDeleteDevice,
  IoDeleteSymbolicLink,
  IoDetachDevice,
  IoDisconnectInterrupt,
  IoForwardIrpSynchronously,
  IoGetCurrentIrpStackLocation,
  IoSkipCurrentIrpStackLocation,
  type IRP,
  IRP_MJ_CLEANUP,
  IRP_MJ_CLOSE,
  IRP_MJ_CREATE,
  IRP_MJ_PNP,
  IRP_MJ_READ,
  IRP_MJ_WRITE,
  IRP_MN_REMOVE_DEVICE,
  IRP_MN_START_DEVICE,
  IRP_MN_SURPRISE_REMOVAL,
  KDPC,
  KeInitializeDpc,
  KeInitializeEvent,
  KeInsertQueueDpc,
  KeRemoveQueueDpc,
  KernelMode,
  KeSetEvent,
  KeSynchronizeExecution,
  KEVENT,
  KeWaitForSingleObject,
  KINTERRUPT,
  Latched,
  LONG,
  MmMapIoSpace,
  MmNonCached,
  MmUnmapIoSpace,
  NT_SUCCESS,
  type NTSTATUS,
  out,
  pointer,
  POOL_FLAG_NON_PAGED,
  READ_REGISTER_ULONG,
  ref,
  STATUS_BUFFER_TOO_SMALL,
  STATUS_DEVICE_NOT_CONNECTED,
  STATUS_INSUFFICIENT_RESOURCES,
  STATUS_SUCCESS,
  STATUS_UNSUCCESSFUL,
  struct,
  SynchronizationEvent,
  UCHAR,
  ULONG,
  WRITE_REGISTER_ULONG,
} from 'dirql/wdm'

/** The devices that this driver is for. */
export const hardwareIds = ['dirql\\button']

// Registers (docs/hardware/button.md).
const PRESSES = 4
const TICK = 8
const LIGHT = 12
const REGISTER_BYTES = 16

export const BUTTON = struct('BUTTON', {
  // Guarded by the interrupt spin lock: only the ISR and SynchCritSections touch these.
  Presses: ULONG, // the board's count at the last interrupt; wraps
  Taken: ULONG, // presses that reads were told
  Tick: ULONG, // board time of the newest press, microseconds

  // Set before the interrupt is connected, or by PnP while no request is there.
  Registers: ULONG, // address of the register window
  Interrupt: pointer(KINTERRUPT),
  Lower: pointer<DEVICE_OBJECT>(() => DEVICE_OBJECT),
  Dpc: KDPC,
  Pressed: KEVENT, // synchronization: one reader at a time looks
  IsGone: ULONG, // not 0 after the board was pulled out
  Number: ULONG,
})
export type BUTTON = InstanceType<typeof BUTTON>

/** How many buttons there were: each gets a number for its name. */
export const Globals = globals({ Buttons: atomic(LONG) })

/** @irql PASSIVE_LEVEL */
export function DriverEntry(DriverObject: DRIVER_OBJECT): NTSTATUS {
  DriverObject.MajorFunction.set(IRP_MJ_CREATE, succeed)
  DriverObject.MajorFunction.set(IRP_MJ_CLEANUP, succeed)
  DriverObject.MajorFunction.set(IRP_MJ_CLOSE, succeed)
  DriverObject.MajorFunction.set(IRP_MJ_READ, read)
  DriverObject.MajorFunction.set(IRP_MJ_WRITE, write)
  DriverObject.MajorFunction.set(IRP_MJ_PNP, pnp)
  const extension = DriverObject.DriverExtension
  if (extension !== null) extension.AddDevice = addDevice
  DriverObject.DriverUnload = unload
  return STATUS_SUCCESS
}

/** PnP has removed the devices before. @irql PASSIVE_LEVEL */
export function unload(_DriverObject: DRIVER_OBJECT): void {}

/** @irql PASSIVE_LEVEL */
export function addDevice(DriverObject: DRIVER_OBJECT, PhysicalDeviceObject: DEVICE_OBJECT): NTSTATUS {
  const number = Globals.Buttons.add(1)
  const created = out<DEVICE_OBJECT>()
  const status = IoCreateDevice({
    DriverObject,
    DeviceExtensionSize: BUTTON,
    DeviceName: `\\Device\\Button${number}`,
    DeviceType: FILE_DEVICE_UNKNOWN,
    DeviceCharacteristics: 0,
    Exclusive: false,
    DeviceObject: created,
  })
  if (!NT_SUCCESS(status)) return status
  const device = created.value
  const button = buttonOf(device)
  button.Number = number
  KeInitializeDpc(button.Dpc, buttonDpc, button)
  KeInitializeEvent(button.Pressed, SynchronizationEvent, false)
  button.Lower = IoAttachDeviceToDeviceStack(device, PhysicalDeviceObject)
  device.Flags |= DO_BUFFERED_IO
  device.Flags &= ~DO_DEVICE_INITIALIZING
  return IoCreateSymbolicLink(linkName(button), `\\Device\\Button${number}`)
}

const buttonOf = (device: DEVICE_OBJECT): BUTTON => device.DeviceExtension as BUTTON
const linkName = (button: BUTTON): string => `\\??\\Button-${button.Number}`

/** @irql PASSIVE_LEVEL */
export async function pnp(DeviceObject: DEVICE_OBJECT, Irp: IRP): Promise<NTSTATUS> {
  const button = buttonOf(DeviceObject)
  const lower = button.Lower as DEVICE_OBJECT
  const { MinorFunction, Parameters } = IoGetCurrentIrpStackLocation(Irp)
  switch (MinorFunction) {
    case IRP_MN_START_DEVICE: {
      await IoForwardIrpSynchronously(lower, Irp)
      const { Status } = Irp.IoStatus
      return complete(
        Irp,
        NT_SUCCESS(Status) ? start(button, Parameters.StartDevice.AllocatedResourcesTranslated) : Status,
      )
    }
    case IRP_MN_SURPRISE_REMOVAL:
      await stop(button)
      Irp.IoStatus.Status = STATUS_SUCCESS
      break
    case IRP_MN_REMOVE_DEVICE: {
      await stop(button)
      Irp.IoStatus.Status = STATUS_SUCCESS
      IoSkipCurrentIrpStackLocation(Irp)
      const status = await IoCallDriver(lower, Irp)
      IoDeleteSymbolicLink(linkName(button))
      IoDetachDevice(lower)
      IoDeleteDevice(DeviceObject)
      return status
    }
    default:
      break
  }
  IoSkipCurrentIrpStackLocation(Irp)
  return IoCallDriver(lower, Irp)
}

/** Maps the registers and connects the interrupt that the board got. */
function start(button: BUTTON, list: CM_RESOURCE_LIST | null): NTSTATUS {
  if (list === null) return STATUS_UNSUCCESSFUL
  const { Count, PartialDescriptors } = list.List.at(0).PartialResourceList
  let vector: CM_PARTIAL_RESOURCE_DESCRIPTOR | null = null
  for (let index = 0; index < Count; index++) {
    const descriptor = PartialDescriptors.at(index)
    if (descriptor.Type === CmResourceTypeMemory) {
      button.Registers = MmMapIoSpace(descriptor.u.Memory.Start, REGISTER_BYTES, MmNonCached)
    } else if (descriptor.Type === CmResourceTypeInterrupt) {
      vector = descriptor
    }
  }
  if (vector === null || button.Registers === 0) return STATUS_UNSUCCESSFUL
  const { Level, Vector, Affinity } = vector.u.Interrupt
  return IoConnectInterrupt({
    InterruptObject: ref(button, 'Interrupt'),
    ServiceRoutine: buttonIsr,
    ServiceContext: button,
    SpinLock: null,
    Vector,
    Irql: Level,
    SynchronizeIrql: Level,
    InterruptMode: Latched,
    ShareVector: vector.ShareDisposition === CmResourceShareShared,
    ProcessorEnableMask: Affinity,
    FloatingSave: false,
  })
}

/** Lets go of the hardware, and ends the reads that wait. Harmless when done before. */
async function stop(button: BUTTON): Promise<void> {
  const { Interrupt, Registers } = button
  if (Interrupt !== null) await IoDisconnectInterrupt(Interrupt)
  button.Interrupt = null
  KeRemoveQueueDpc(button.Dpc)
  if (Registers !== 0) MmUnmapIoSpace(Registers, REGISTER_BYTES)
  button.Registers = 0
  button.IsGone = 1
  KeSetEvent(button.Pressed, IO_NO_INCREMENT, false)
}

/** @irql DIRQL, interrupt spin lock held */
export function buttonIsr(_Interrupt: KINTERRUPT, button: BUTTON): boolean {
  const presses = READ_REGISTER_ULONG(button.Registers + PRESSES)
  if (presses === button.Presses) return false // not ours: the count has not moved
  button.Presses = presses
  button.Tick = READ_REGISTER_ULONG(button.Registers + TICK)
  KeInsertQueueDpc(button.Dpc, null, null) // FALSE if it is queued: that run wakes a reader for this press, too
  return true
}

/** @irql DISPATCH_LEVEL */
export function buttonDpc(_Dpc: KDPC, button: BUTTON): void {
  KeSetEvent(button.Pressed, IO_NO_INCREMENT, false)
}

/** What a read takes over from the ISR. */
export const PRESS = struct('PRESS', { Button: pointer(BUTTON), Number: ULONG, Tick: ULONG, AreMore: ULONG })
export type PRESS = InstanceType<typeof PRESS>

/** A SynchCritSection: takes one press. FALSE when there is none. @irql DIRQL, interrupt spin lock held */
export function takePress(press: PRESS): boolean {
  const button = press.Button as BUTTON
  if (button.Taken === button.Presses) return false
  button.Taken += 1
  press.Number = button.Taken
  press.Tick = button.Tick
  press.AreMore = button.Taken === button.Presses ? 0 : 1
  return true
}

/** Waits for a press and tells it. @irql PASSIVE_LEVEL */
export async function read(DeviceObject: DEVICE_OBJECT, Irp: IRP): Promise<NTSTATUS> {
  const button = buttonOf(DeviceObject)
  const press = PRESS.at(ExAllocatePool2(POOL_FLAG_NON_PAGED, PRESS.size, 'Btn '))
  if (press === null) return complete(Irp, STATUS_INSUFFICIENT_RESOURCES)
  press.Button = button
  let status = STATUS_SUCCESS
  for (;;) {
    const { Interrupt } = button
    if (Interrupt === null) {
      KeSetEvent(button.Pressed, IO_NO_INCREMENT, false) // the next reader must hear of it, too
      status = STATUS_DEVICE_NOT_CONNECTED
      break
    }
    if (KeSynchronizeExecution(Interrupt, takePress, press) !== 0) break
    await KeWaitForSingleObject(button.Pressed, Executive, KernelMode, false, null)
  }
  const text = `press ${press.Number} at ${press.Tick} us`
  if (press.AreMore !== 0) KeSetEvent(button.Pressed, IO_NO_INCREMENT, false)
  ExFreePool(press)
  return NT_SUCCESS(status) ? completeWithText(Irp, text) : complete(Irp, status)
}

/** Any byte but `0` puts the light on. @irql PASSIVE_LEVEL */
export function write(DeviceObject: DEVICE_OBJECT, Irp: IRP): NTSTATUS {
  const button = buttonOf(DeviceObject)
  const { Length } = IoGetCurrentIrpStackLocation(Irp).Parameters.Write
  if (button.Registers === 0) return complete(Irp, STATUS_DEVICE_NOT_CONNECTED)
  if (Length === 0) return complete(Irp, STATUS_BUFFER_TOO_SMALL)
  const isOff = new BYTES(Irp.AssociatedIrp.SystemBuffer).Data[0] === 0x30
  WRITE_REGISTER_ULONG(button.Registers + LIGHT, isOff ? 0 : 1)
  return complete(Irp, STATUS_SUCCESS, Length)
}

/** A request's buffer. */
const BYTES = struct('BYTES', { Data: array(UCHAR, 256) })

/** @irql PASSIVE_LEVEL */
export function succeed(_DeviceObject: DEVICE_OBJECT, Irp: IRP): NTSTATUS {
  return complete(Irp, STATUS_SUCCESS)
}

function completeWithText(Irp: IRP, text: string): NTSTATUS {
  const { Length } = IoGetCurrentIrpStackLocation(Irp).Parameters.Read
  if (Length < text.length) return complete(Irp, STATUS_BUFFER_TOO_SMALL)
  const { Data } = new BYTES(Irp.AssociatedIrp.SystemBuffer)
  for (let index = 0; index < text.length; index++) Data[index] = text.charCodeAt(index)
  return complete(Irp, STATUS_SUCCESS, text.length)
}

function complete(Irp: IRP, status: NTSTATUS, information = 0): NTSTATUS {
  Irp.IoStatus.Status = status
  Irp.IoStatus.Information = information
  IoCompleteRequest(Irp, IO_NO_INCREMENT)
  return status
}
