/**
 * A driver that imports the header module and nothing else: what compiles here compiles for users. One request at a
 * time, one interrupt, one DPC; `sample.test.ts` loads it.
 */
import {
  array,
  type DEVICE_OBJECT,
  DO_BUFFERED_IO,
  type DRIVER_OBJECT,
  FILE_DEVICE_UNKNOWN,
  globals,
  InterlockedIncrement,
  field,
  IoCompleteRequest,
  IoConnectInterrupt,
  IoCreateDevice,
  IoCreateSymbolicLink,
  IoDeleteDevice,
  IoDeleteSymbolicLink,
  IoGetCurrentIrpStackLocation,
  IoSetCancelRoutine,
  IO_NO_INCREMENT,
  type IRP,
  IRP_MJ_CLEANUP,
  IRP_MJ_CLOSE,
  IRP_MJ_CREATE,
  IRP_MJ_WRITE,
  KDPC,
  KeInitializeDpc,
  KeInitializeEvent,
  KeInsertQueueDpc,
  KernelMode,
  KeSetEvent,
  KeSynchronizeExecution,
  KEVENT,
  KeWaitForSingleObject,
  KINTERRUPT,
  Latched,
  NotificationEvent,
  NT_SUCCESS,
  type NTSTATUS,
  out,
  PASSIVE_LEVEL,
  pointer,
  READ_REGISTER_ULONG,
  ref,
  STATUS_SUCCESS,
  struct,
  SynchronizationEvent,
  ULONG,
  type UNICODE_STRING,
  Executive,
} from 'dirql/wdm'

const SLOTS = 16 // divides 2 ** 32, so the counts below may wrap

export const Globals = globals({ devices: ULONG, requests: ULONG })

export const BUTTON = struct('BUTTON', {
  // Guarded by the interrupt spin lock: only the ISR and SynchCritSections touch these.
  stored: ULONG, // presses the ISR has written since start
  taken: ULONG, // presses the DPC has read since start
  lost: ULONG, // presses that found the ring full
  ticks: array(ULONG, SLOTS), // board clock at each press; slot = count % SLOTS

  // Set before the interrupt is connected, never changed after.
  window: ULONG, // address of the register window
  interrupt: pointer(KINTERRUPT),
  dpc: KDPC,
  pressed: KEVENT,
  written: KEVENT,
})
export interface BUTTON extends InstanceType<typeof BUTTON> {}

/** @irql DIRQL */
export function buttonIsr(_interrupt: KINTERRUPT, button: BUTTON): boolean {
  const tick = READ_REGISTER_ULONG(button.window)
  if (tick === 0) return false // shared vector, not our button
  const held = (button.stored - button.taken) >>> 0
  if (held < SLOTS) button.ticks[button.stored++ % SLOTS] = tick
  else button.lost += 1
  KeInsertQueueDpc(button.dpc, null, null) // FALSE if already queued: that run takes this press too
  return true
}

/** A SynchCritSection: takes one press, no more. @irql DIRQL, interrupt spin lock held */
export function takePress(button: BUTTON): boolean {
  if (button.taken === button.stored) return false
  button.taken += 1
  return true
}

/** @irql DISPATCH_LEVEL */
export function buttonDpc(_dpc: KDPC, button: BUTTON): void {
  if (button.interrupt === null) return void KeSetEvent(button.written, IO_NO_INCREMENT, false)
  while (KeSynchronizeExecution(button.interrupt, takePress, button)) KeSetEvent(button.pressed, IO_NO_INCREMENT, false)
}

export function connect(button: BUTTON, vector: number, level: number): NTSTATUS {
  return IoConnectInterrupt({
    InterruptObject: ref(button, 'interrupt'),
    ServiceRoutine: buttonIsr,
    ServiceContext: button,
    SpinLock: null,
    Vector: vector,
    Irql: level,
    SynchronizeIrql: level,
    InterruptMode: Latched,
    ShareVector: false,
    ProcessorEnableMask: 1,
    FloatingSave: false,
  })
}

function complete(irp: IRP, status: NTSTATUS, information = 0): NTSTATUS {
  irp.IoStatus.Status = status
  irp.IoStatus.Information = information
  IoCompleteRequest(irp, IO_NO_INCREMENT)
  return status
}

export const buttonCreate = (_device: DEVICE_OBJECT, irp: IRP): NTSTATUS => complete(irp, STATUS_SUCCESS)

/** Waits, so it is `async`: the DPC sets the event. */
export async function buttonWrite(device: DEVICE_OBJECT, irp: IRP): Promise<NTSTATUS> {
  const button = device.DeviceExtension as BUTTON
  InterlockedIncrement(field(Globals, 'requests'))
  KeInsertQueueDpc(button.dpc, null, null)
  const status = await KeWaitForSingleObject(button.written, Executive, KernelMode, false, null)
  return complete(irp, status, IoGetCurrentIrpStackLocation(irp).Parameters.Write.Length)
}

export function buttonUnload(driver: DRIVER_OBJECT): void {
  IoDeleteSymbolicLink('\\??\\Button')
  if (driver.DeviceObject !== null) IoDeleteDevice(driver.DeviceObject)
}

export function DriverEntry(driver: DRIVER_OBJECT, _registryPath: UNICODE_STRING): NTSTATUS {
  driver.DriverUnload = buttonUnload
  for (const major of [IRP_MJ_CREATE, IRP_MJ_CLEANUP, IRP_MJ_CLOSE]) driver.MajorFunction.set(major, buttonCreate)
  driver.MajorFunction.set(IRP_MJ_WRITE, buttonWrite)
  const made = out<DEVICE_OBJECT | null>()
  const status = IoCreateDevice({
    DriverObject: driver,
    DeviceExtensionSize: BUTTON,
    DeviceName: '\\Device\\Button',
    DeviceType: FILE_DEVICE_UNKNOWN,
    DeviceCharacteristics: 0,
    Exclusive: false,
    DeviceObject: made,
  })
  const device = made.value
  if (!NT_SUCCESS(status) || device === null) return status
  device.Flags |= DO_BUFFERED_IO
  const button = device.DeviceExtension as BUTTON
  KeInitializeDpc(button.dpc, buttonDpc, button)
  KeInitializeEvent(button.pressed, NotificationEvent, false)
  KeInitializeEvent(button.written, SynchronizationEvent, false)
  Globals.devices += 1
  return IoCreateSymbolicLink('\\??\\Button', '\\Device\\Button')
}

export const counts = (): [devices: number, requests: number] => [Globals.devices, Globals.requests]

// What does not compile. These routines exist for their types and are never called.

export async function asyncDpc(_dpc: KDPC, _button: BUTTON): Promise<void> {}
export async function asyncIsr(_interrupt: KINTERRUPT, _button: BUTTON): Promise<boolean> {
  return true
}
export async function asyncPress(_button: BUTTON): Promise<boolean> {
  return true
}
export async function asyncCancel(_device: DEVICE_OBJECT, _irp: IRP): Promise<void> {}
export async function asyncStartIo(_device: DEVICE_OBJECT, _irp: IRP): Promise<void> {}

export function mistakes(button: BUTTON, interrupt: KINTERRUPT, irp: IRP, driver: DRIVER_OBJECT): void {
  // @ts-expect-error … is not assignable to type '"a routine that runs above APC_LEVEL must not be async"'
  KeInitializeDpc(button.dpc, asyncDpc, button)
  // @ts-expect-error Type 'Promise<number>' is not assignable to type 'number': nor is it a result to branch on
  const took: number = KeSynchronizeExecution(interrupt, asyncPress, button)
  // @ts-expect-error Type 'Promise<void>' is not assignable to type 'NothingToAwait'
  IoSetCancelRoutine(irp, asyncCancel)
  // @ts-expect-error the same, for a routine that is stored in a struct
  driver.DriverStartIo = asyncStartIo

  const request = {
    InterruptObject: ref(button, 'interrupt'),
    ServiceContext: button,
    SpinLock: null,
    Vector: took,
    InterruptMode: Latched,
    ShareVector: false,
    ProcessorEnableMask: 1,
    FloatingSave: false,
  }
  const level = Number(driver.Flags)
  // @ts-expect-error an ISR of a device level returns a boolean and no promise
  IoConnectInterrupt({ ...request, ServiceRoutine: asyncIsr, Irql: level, SynchronizeIrql: level })
  // where PASSIVE_LEVEL itself is written, it may wait
  IoConnectInterrupt({ ...request, ServiceRoutine: asyncIsr, Irql: PASSIVE_LEVEL, SynchronizeIrql: PASSIVE_LEVEL })

  // @ts-expect-error a context is a struct, a number or null, never a JavaScript object
  KeInitializeDpc(button.dpc, buttonDpc, { button })
  // @ts-expect-error Property 'ticsk' does not exist: the fields of a struct are known
  button.ticsk = 1
  // @ts-expect-error an embedded struct can be changed, not replaced
  button.dpc = new KDPC(button.dpc.address)
  // @ts-expect-error a KEVENT is no KDPC, although both lie in memory
  KeInsertQueueDpc(button.pressed, null, null)
}
