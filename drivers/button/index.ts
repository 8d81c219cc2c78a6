/**
 * A push button: the smallest whole driver.
 *
 * Each press interrupts. The ISR takes over the board's count, a DPC tells presses to reads that wait, one to each, as
 * text: `press 1 at 1200 us`. The board counts, so a press that comes while nobody reads is told later, and none is lost.
 */
import {
  atomic,
  DEVICE_OBJECT,
  type DRIVER_OBJECT,
  globals,
  IoDeleteSymbolicLink,
  IoDisconnectInterrupt,
  IoGetCurrentIrpStackLocation,
  type IRP,
  IRP_MJ_CLEANUP,
  IRP_MJ_CLOSE,
  IRP_MJ_CREATE,
  IRP_MJ_PNP,
  IRP_MJ_READ,
  IRP_MJ_WRITE,
  KDPC,
  KeFlushQueuedDpcs,
  KeInitializeDpc,
  KeInitializeSpinLock,
  KeInsertQueueDpc,
  KeRemoveQueueDpc,
  KeSynchronizeExecution,
  KINTERRUPT,
  KSPIN_LOCK,
  LONG,
  MmMapIoSpace,
  MmNonCached,
  MmUnmapIoSpace,
  type NTSTATUS,
  pointer,
  READ_REGISTER_ULONG,
  ref,
  STATUS_BUFFER_TOO_SMALL,
  STATUS_CANCELLED,
  STATUS_DEVICE_NOT_CONNECTED,
  STATUS_INSUFFICIENT_RESOURCES,
  STATUS_SUCCESS,
  STATUS_UNSUCCESSFUL,
  struct,
  ULONG,
  WRITE_REGISTER_ULONG,
} from 'dirql/wdm'
import { BYTES, complete } from '../lib/irp.ts'
import { attachDevice, connectInterrupt, dispatchPnp, type PnpRoutines, type Resources } from '../lib/pnp.ts'
import {
  drain,
  enqueue,
  finish,
  initializeQueue,
  locked,
  queueRoutines,
  type REQUEST,
  REQUEST_QUEUE,
  serve,
} from '../lib/requests.ts'
import { ALL_ONES } from '../lib/window.ts'

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
  Tick: ULONG, // board time of the newest press, microseconds

  // Guarded by Lock, which is acquired before the interrupt spin lock.
  Lock: KSPIN_LOCK,
  Reads: REQUEST_QUEUE, // those that wait for a press
  Interrupt: pointer(KINTERRUPT), // null while the hardware is not the driver's
  Light: ULONG, // what LIGHT is to be
  Told: ULONG, // the press that a read was told last, as the board counts
  Time: ULONG, // Tick, when somebody looked last

  // Set before the interrupt is connected, or by PnP.
  Registers: ULONG, // address of the register window
  Lower: pointer<DEVICE_OBJECT>(() => DEVICE_OBJECT),
  Dpc: KDPC,
  Number: ULONG,
})
export type BUTTON = InstanceType<typeof BUTTON>

const buttonOf = (device: DEVICE_OBJECT): BUTTON => device.DeviceExtension as BUTTON

/** How many buttons there were: each gets a number for its name. */
export const Globals = globals({ Buttons: atomic(LONG) })

/** @irql PASSIVE_LEVEL */
export function DriverEntry(DriverObject: DRIVER_OBJECT): NTSTATUS {
  DriverObject.MajorFunction.set(IRP_MJ_CREATE, succeed)
  DriverObject.MajorFunction.set(IRP_MJ_CLEANUP, cleanup)
  DriverObject.MajorFunction.set(IRP_MJ_CLOSE, succeed)
  DriverObject.MajorFunction.set(IRP_MJ_READ, read)
  DriverObject.MajorFunction.set(IRP_MJ_WRITE, write)
  DriverObject.MajorFunction.set(IRP_MJ_PNP, pnp)
  if (DriverObject.DriverExtension !== null) DriverObject.DriverExtension.AddDevice = addDevice
  DriverObject.DriverUnload = unload
  return STATUS_SUCCESS
}

/** PnP has removed the devices before. @irql PASSIVE_LEVEL */
export function unload(_DriverObject: DRIVER_OBJECT): void {}

// The device comes and goes.

/** @irql PASSIVE_LEVEL */
export function addDevice(DriverObject: DRIVER_OBJECT, PhysicalDeviceObject: DEVICE_OBJECT): NTSTATUS {
  const number = Globals.Buttons.add(1)
  const opened = { name: `Button${number}`, link: `Button-${number}` }
  return attachDevice(DriverObject, PhysicalDeviceObject, BUTTON, (button) => initialize(button, number), opened)
}

function initialize(button: BUTTON, number: number): void {
  button.Number = number
  KeInitializeSpinLock(button.Lock)
  KeInitializeDpc(button.Dpc, buttonDpc, button)
  initializeQueue(button.Reads, button.Lock, button, QUEUE)
}

const PNP: PnpRoutines = { start, pause, stop, remove }

/** @irql PASSIVE_LEVEL */
export function pnp(DeviceObject: DEVICE_OBJECT, Irp: IRP): Promise<NTSTATUS> {
  return dispatchPnp(DeviceObject, buttonOf(DeviceObject).Lower as DEVICE_OBJECT, Irp, PNP)
}

/** Maps the registers and connects the interrupt that the board got. */
function start(device: DEVICE_OBJECT, { windows: [window], interrupts: [press] }: Resources): NTSTATUS {
  const button = buttonOf(device)
  if (window === undefined || press === undefined) return STATUS_UNSUCCESSFUL
  button.Registers = MmMapIoSpace(window, REGISTER_BYTES, MmNonCached)
  if (button.Registers === 0) return STATUS_INSUFFICIENT_RESOURCES
  locked(button.Lock, () => takeOver(button))
  const status = connectInterrupt(press, buttonIsr, button, ref(button, 'Interrupt'))
  serveReads(button) // a press of the pause may be there
  return status
}

/** Presses of before this driver are nobody's. Behind a pause, a frame that was under way may have told of more. */
function takeOver(button: BUTTON): void {
  const { Registers, Reads, Light } = button
  button.Presses = READ_REGISTER_ULONG(Registers + PRESSES)
  button.Tick = READ_REGISTER_ULONG(Registers + TICK)
  if (Reads.IsOpen === 0) button.Told = button.Presses
  Reads.IsOpen = 1
  if (READ_REGISTER_ULONG(Registers + LIGHT) !== Light) WRITE_REGISTER_ULONG(Registers + LIGHT, Light)
}

/** Lets go of the hardware: reads go on waiting, and the light is remembered. */
async function pause(device: DEVICE_OBJECT): Promise<void> {
  const button = buttonOf(device)
  const { Interrupt, Registers } = button
  locked(button.Lock, () => {
    button.Interrupt = null // from here on only the ISR touches the hardware
  })
  if (Interrupt !== null) await IoDisconnectInterrupt(Interrupt)
  KeRemoveQueueDpc(button.Dpc)
  await KeFlushQueuedDpcs() // behind this, none runs
  if (Registers !== 0) MmUnmapIoSpace(Registers, REGISTER_BYTES)
  button.Registers = 0
}

/** Lets go of the hardware for good, and ends the reads that wait. */
async function stop(device: DEVICE_OBJECT): Promise<void> {
  const button = buttonOf(device)
  locked(button.Lock, () => {
    button.Reads.IsOpen = 0
  })
  await pause(device)
  drain(button.Reads, STATUS_DEVICE_NOT_CONNECTED)
}

function remove(device: DEVICE_OBJECT): void {
  IoDeleteSymbolicLink(`\\??\\Button-${buttonOf(device).Number}`)
}

// Presses.

/** @irql DIRQL, interrupt spin lock held */
export function buttonIsr(_Interrupt: KINTERRUPT, button: BUTTON): boolean {
  const presses = READ_REGISTER_ULONG(button.Registers + PRESSES)
  if (presses === button.Presses || presses === ALL_ONES) return false // not ours: the count has not moved
  button.Presses = presses
  button.Tick = READ_REGISTER_ULONG(button.Registers + TICK)
  KeInsertQueueDpc(button.Dpc, null, null) // FALSE if it is queued: that run tells this press, too
  return true
}

/** @irql DISPATCH_LEVEL */
export function buttonDpc(_Dpc: KDPC, button: BUTTON): void {
  serveReads(button)
}

const serveReads = (button: BUTTON): void => serve(button.Reads, (request) => tellPress(button, request))

/** FALSE when there is no press to tell. Lock held. */
function tellPress(button: BUTTON, request: REQUEST): boolean {
  const { Interrupt } = button
  if (Interrupt === null || KeSynchronizeExecution(Interrupt, look, button) === 0) return false
  const text = `press ${(button.Told + 1) >>> 0} at ${button.Time} us`
  if (request.Length < text.length) return finish(request, STATUS_BUFFER_TOO_SMALL) // the press is for a larger read
  const { Data } = new BYTES(request.Buffer)
  for (let index = 0; index < text.length; index++) Data[index] = text.charCodeAt(index)
  request.Done = text.length
  button.Told += 1
  return finish(request, STATUS_SUCCESS)
}

/** A SynchCritSection: TRUE when there is a press that no read was told. @irql DIRQL, interrupt spin lock held */
export function look(button: BUTTON): boolean {
  button.Time = button.Tick
  return button.Presses !== button.Told
}

// Requests.

const QUEUE = queueRoutines()
export const { insertIrp, removeIrp, peekNextIrp, acquireLock, releaseLock, completeCancelledIrp } = QUEUE

/** Waits for a press and tells it. @irql <= DISPATCH_LEVEL */
export function read(DeviceObject: DEVICE_OBJECT, Irp: IRP): NTSTATUS {
  const button = buttonOf(DeviceObject)
  const { Length } = IoGetCurrentIrpStackLocation(Irp).Parameters.Read
  const status = enqueue(button.Reads, Irp, { buffer: Irp.AssociatedIrp.SystemBuffer, length: Length })
  serveReads(button)
  return status
}

/** Any first byte but `0` puts the light on. @irql <= DISPATCH_LEVEL */
export function write(DeviceObject: DEVICE_OBJECT, Irp: IRP): NTSTATUS {
  const button = buttonOf(DeviceObject)
  const { Length } = IoGetCurrentIrpStackLocation(Irp).Parameters.Write
  if (Length === 0) return complete(Irp, STATUS_BUFFER_TOO_SMALL)
  const isOff = new BYTES(Irp.AssociatedIrp.SystemBuffer).Data[0] === 0x30
  const isThere = locked(button.Lock, () => putLight(button, isOff ? 0 : 1))
  return isThere ? complete(Irp, STATUS_SUCCESS, Length) : complete(Irp, STATUS_DEVICE_NOT_CONNECTED)
}

/** FALSE when the board was pulled out. Lock held. */
function putLight(button: BUTTON, light: number): boolean {
  if (button.Reads.IsOpen === 0) return false
  button.Light = light
  if (button.Interrupt !== null) WRITE_REGISTER_ULONG(button.Registers + LIGHT, light) // otherwise start does
  return true
}

/** The last handle of a file is closed: nobody waits there any more. @irql PASSIVE_LEVEL */
export function cleanup(DeviceObject: DEVICE_OBJECT, Irp: IRP): NTSTATUS {
  const { FileObject } = IoGetCurrentIrpStackLocation(Irp)
  drain(buttonOf(DeviceObject).Reads, STATUS_CANCELLED, FileObject)
  return complete(Irp, STATUS_SUCCESS)
}

/** @irql PASSIVE_LEVEL */
export function succeed(_DeviceObject: DEVICE_OBJECT, Irp: IRP): NTSTATUS {
  return complete(Irp, STATUS_SUCCESS)
}
