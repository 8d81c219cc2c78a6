/**
 * Pins of a gpio device (docs/hardware/gpio.md): levels are set and read, and edges are told one by one with their time
 * stamps. A pin that bounces may be given a debounce time: then it is told once, when it has been still for so long.
 *
 * A read gives EDGE records, oldest first, and waits while there are none.
 */
import { Gpio, GPIO_PINS, gpioEdges } from 'dirql/gpio'
import {
  array,
  atomic,
  DEVICE_OBJECT,
  DO_BUFFERED_IO,
  DO_DEVICE_INITIALIZING,
  type DRIVER_OBJECT,
  EX_RUNDOWN_REF,
  ExAcquireRundownProtection,
  Executive,
  ExAllocatePool2,
  ExFreePool,
  ExInitializeRundownProtection,
  ExReleaseRundownProtection,
  ExWaitForRundownProtectionRelease,
  FILE_DEVICE_UNKNOWN,
  globals,
  IO_NO_INCREMENT,
  IoAttachDeviceToDeviceStack,
  IoConnectInterrupt,
  IoCreateDevice,
  IoCreateSymbolicLink,
  IoDeleteSymbolicLink,
  IoDisconnectInterrupt,
  IoGetCurrentIrpStackLocation,
  IoReleaseCancelSpinLock,
  IoSetCancelRoutine,
  type IRP,
  IRP_MJ_CLEANUP,
  IRP_MJ_CLOSE,
  IRP_MJ_CREATE,
  IRP_MJ_DEVICE_CONTROL,
  IRP_MJ_PNP,
  IRP_MJ_READ,
  KDPC,
  KeAcquireInterruptSpinLock,
  KeCancelTimer,
  KeFlushQueuedDpcs,
  KeInitializeDpc,
  KeInitializeEvent,
  KeInitializeSpinLock,
  KeInitializeTimer,
  KeInsertQueueDpc,
  KeRemoveQueueDpc,
  KernelMode,
  KeReleaseInterruptSpinLock,
  KeSetEvent,
  KeSetTimer,
  KeSynchronizeExecution,
  KEVENT,
  KeWaitForMultipleObjects,
  KeWaitForSingleObject,
  KINTERRUPT,
  KSPIN_LOCK,
  KTIMER,
  Latched,
  LevelSensitive,
  LONG,
  MmMapIoSpace,
  MmNonCached,
  MmUnmapIoSpace,
  NotificationEvent,
  NT_SUCCESS,
  type NTSTATUS,
  type Out,
  out,
  pointer,
  POOL_FLAG_NON_PAGED,
  READ_REGISTER_ULONG,
  ref,
  STATUS_BUFFER_TOO_SMALL,
  STATUS_CANCELLED,
  STATUS_DEVICE_NOT_CONNECTED,
  STATUS_INSUFFICIENT_RESOURCES,
  STATUS_INVALID_DEVICE_REQUEST,
  STATUS_INVALID_PARAMETER,
  STATUS_SUCCESS,
  STATUS_UNSUCCESSFUL,
  struct,
  SynchronizationEvent,
  ULONG,
  WaitAny,
  WRITE_REGISTER_ULONG,
} from 'dirql/wdm'
import { complete } from '../lib/irp.ts'
import { textParameter } from '../lib/parameters.ts'
import { dispatchPnp, type InterruptResource, type PnpRoutines, type Resources } from '../lib/pnp.ts'
import {
  EDGE,
  IOCTL_GPIO_READ_PINS,
  IOCTL_GPIO_SET_UP_PIN,
  IOCTL_GPIO_WRITE_PIN,
  PIN_LEVEL,
  PIN_SETUP,
  PINS,
} from './interface.ts'

export * from './interface.ts'

/** The devices that this driver is for. */
export const hardwareIds = ['dirql\\gpio']

const WINDOW_BYTES = 0x800
const US = -10 // relative, in 100 ns
const ALL_ONES = 0xffffffff
const MOST_EDGES = 256
const MOST_LINES = 8

const GPIO_PIN = struct('GPIO_PIN', {
  Timer: KTIMER,
  Dpc: KDPC,
  Owner: ULONG, // address of the GPIO
  Number: ULONG,
  DebounceUs: ULONG,
  Told: ULONG, // the count that was told last
})
type GPIO_PIN = InstanceType<typeof GPIO_PIN>

export const GPIO = struct('GPIO', {
  // Guarded by the interrupt spin lock: one for all lines of the device.
  Lock: KSPIN_LOCK,
  Edges: array(EDGE, MOST_EDGES), // a ring
  Put: ULONG, // records ever put; wraps
  Taken: ULONG,
  Lost: ULONG,
  Total: ULONG, // edges of all pins
  Bouncing: ULONG, // pins whose debounce time must be started anew

  Rundown: EX_RUNDOWN_REF, // whoever touches the registers and the interrupts holds them by it, but for the ISR

  // Set before the interrupt is connected, or by PnP.
  Registers: ULONG, // address; 0 when the board is gone
  Interrupt: pointer(KINTERRUPT), // of the line of all pins
  Lines: array(pointer(KINTERRUPT), MOST_LINES), // of pins that are lines of their own
  Lower: pointer<DEVICE_OBJECT>(() => DEVICE_OBJECT),
  Physical: pointer<DEVICE_OBJECT>(() => DEVICE_OBJECT),
  LinePins: ULONG, // mask of the pins whose lines are this device's own; those of its chips are theirs
  Number: ULONG,
  Dpc: KDPC,
  Happened: KEVENT, // synchronization: there are records
  Gone: KEVENT, // notification
  Pins: array(GPIO_PIN, GPIO_PINS),
})
export type GPIO = InstanceType<typeof GPIO>

/** How many devices there were: each gets a number for its name. */
export const Globals = globals({ Devices: atomic(LONG) })

/** @irql PASSIVE_LEVEL */
export function DriverEntry(DriverObject: DRIVER_OBJECT): NTSTATUS {
  for (const major of [IRP_MJ_CREATE, IRP_MJ_CLEANUP, IRP_MJ_CLOSE]) DriverObject.MajorFunction.set(major, succeed)
  DriverObject.MajorFunction.set(IRP_MJ_READ, read)
  DriverObject.MajorFunction.set(IRP_MJ_DEVICE_CONTROL, control)
  DriverObject.MajorFunction.set(IRP_MJ_PNP, pnp)
  if (DriverObject.DriverExtension !== null) DriverObject.DriverExtension.AddDevice = addDevice
  DriverObject.DriverUnload = unload
  return STATUS_SUCCESS
}

/** PnP has removed the devices before. @irql PASSIVE_LEVEL */
export function unload(_DriverObject: DRIVER_OBJECT): void {}

const gpioOf = (device: DEVICE_OBJECT): GPIO => device.DeviceExtension as GPIO
const linkName = (gpio: GPIO): string => `\\??\\Gpio-${gpio.Number}`

/** @irql PASSIVE_LEVEL */
export function addDevice(DriverObject: DRIVER_OBJECT, PhysicalDeviceObject: DEVICE_OBJECT): NTSTATUS {
  const number = Globals.Devices.add(1)
  const created = out<DEVICE_OBJECT>()
  const status = IoCreateDevice({
    DriverObject,
    DeviceExtensionSize: GPIO,
    DeviceName: `\\Device\\Gpio-${number}`,
    DeviceType: FILE_DEVICE_UNKNOWN,
    DeviceCharacteristics: 0,
    Exclusive: false,
    DeviceObject: created,
  })
  if (!NT_SUCCESS(status)) return status
  const device = created.value
  const gpio = gpioOf(device)
  gpio.Number = number
  KeInitializeSpinLock(gpio.Lock)
  ExInitializeRundownProtection(gpio.Rundown)
  KeInitializeDpc(gpio.Dpc, gpioDpc, gpio)
  KeInitializeEvent(gpio.Happened, SynchronizationEvent, false)
  KeInitializeEvent(gpio.Gone, NotificationEvent, false)
  for (let index = 0; index < GPIO_PINS; index++) {
    const pin = gpio.Pins.at(index)
    pin.Owner = gpio.address
    pin.Number = index
    KeInitializeTimer(pin.Timer)
    KeInitializeDpc(pin.Dpc, debounceDpc, pin)
  }
  gpio.Physical = PhysicalDeviceObject
  gpio.Lower = IoAttachDeviceToDeviceStack(device, PhysicalDeviceObject)
  device.Flags = (device.Flags | DO_BUFFERED_IO) & ~DO_DEVICE_INITIALIZING
  return IoCreateSymbolicLink(linkName(gpio), `\\Device\\Gpio-${number}`)
}

const PNP: PnpRoutines = { start, stop, remove }

/** @irql PASSIVE_LEVEL */
export function pnp(DeviceObject: DEVICE_OBJECT, Irp: IRP): Promise<NTSTATUS> {
  return dispatchPnp(DeviceObject, gpioOf(DeviceObject).Lower as DEVICE_OBJECT, Irp, PNP)
}

async function start(device: DEVICE_OBJECT, { windows, interrupts }: Resources): Promise<NTSTATUS> {
  const gpio = gpioOf(device)
  for (const pin of (await textParameter(gpio.Physical as DEVICE_OBJECT, 'LinePins')).split(',')) {
    if (pin !== '') gpio.LinePins |= 1 << Number(pin)
  }
  const [window] = windows
  const [pins] = interrupts
  if (window === undefined || pins === undefined) return STATUS_UNSUCCESSFUL
  gpio.Registers = MmMapIoSpace(window, WINDOW_BYTES, MmNonCached)
  if (gpio.Registers === 0) return STATUS_INSUFFICIENT_RESOURCES
  // One lock over all lines: it is held at the highest of their levels.
  const level = Math.max(...interrupts.map((line) => line.level))
  const own = interrupts.slice(1, 1 + MOST_LINES).filter(({ isLatched }) => isLatched)
  for (const [index, line] of own.entries()) {
    const connected = out<KINTERRUPT>()
    const status = connect(gpio, line, lineIsr, level, connected)
    if (!NT_SUCCESS(status)) return status
    gpio.Lines.set(index, connected.value)
  }
  return connect(gpio, pins, gpioIsr, level, ref(gpio, 'Interrupt'))
}

function connect(
  gpio: GPIO,
  { vector, level, affinity, isLatched, isShared }: InterruptResource,
  isr: typeof gpioIsr,
  synchronizeLevel: number,
  InterruptObject: Out<KINTERRUPT | null>,
): NTSTATUS {
  return IoConnectInterrupt({
    InterruptObject,
    ServiceRoutine: isr,
    ServiceContext: gpio,
    SpinLock: gpio.Lock,
    Vector: vector,
    Irql: level,
    SynchronizeIrql: synchronizeLevel,
    InterruptMode: isLatched ? Latched : LevelSensitive,
    ShareVector: isShared,
    ProcessorEnableMask: affinity,
    FloatingSave: false,
  })
}

/** Harmless when done before. */
async function stop(device: DEVICE_OBJECT): Promise<void> {
  const gpio = gpioOf(device)
  const { Interrupt, Registers } = gpio
  if (Registers === 0) return
  KeSetEvent(gpio.Gone, IO_NO_INCREMENT, false) // readers that wait leave
  await ExWaitForRundownProtectionRelease(gpio.Rundown)
  if (Interrupt !== null) await IoDisconnectInterrupt(Interrupt)
  gpio.Interrupt = null
  for (let index = 0; index < MOST_LINES; index++) {
    const line = gpio.Lines.at(index)
    if (line !== null) await IoDisconnectInterrupt(line)
    gpio.Lines.set(index, null)
  }
  KeRemoveQueueDpc(gpio.Dpc)
  for (let index = 0; index < GPIO_PINS; index++) KeCancelTimer(gpio.Pins.at(index).Timer)
  await KeFlushQueuedDpcs() // a debounce DPC may have been queued before its timer was cancelled
  MmUnmapIoSpace(Registers, WINDOW_BYTES)
  gpio.Registers = 0
}

function remove(device: DEVICE_OBJECT): void {
  IoDeleteSymbolicLink(linkName(gpioOf(device)))
}

/** The line of all pins. @irql DIRQL, interrupt spin lock held */
export function gpioIsr(_Interrupt: KINTERRUPT, gpio: GPIO): boolean {
  return takeEdgesOf(gpio, READ_REGISTER_ULONG(gpio.Registers + Gpio.EDGE_PINS))
}

/** A pin that is a line of its own: its frame has nothing but its count. @irql DIRQL, interrupt spin lock held */
export function lineIsr(_Interrupt: KINTERRUPT, gpio: GPIO): boolean {
  return takeEdgesOf(gpio, gpio.LinePins)
}

/** Whether one of `pins` had an edge that was not told. @irql DIRQL, interrupt spin lock held */
function takeEdgesOf(gpio: GPIO, pins: number): boolean {
  let isOurs = false
  for (let index = 0; index < GPIO_PINS; index++) {
    if (((pins >>> index) & 1) === 0) continue
    const pin = gpio.Pins.at(index)
    const count = READ_REGISTER_ULONG(gpio.Registers + gpioEdges(index))
    if (count === pin.Told || isPulledOut(gpio)) continue // told by the frame before
    isOurs = true
    if (pin.DebounceUs === 0) tell(gpio, pin, count)
    else gpio.Bouncing |= 1 << index
  }
  if (isOurs) KeInsertQueueDpc(gpio.Dpc, null, null)
  return isOurs
}

/** Puts a record. @irql DIRQL, interrupt spin lock held */
function tell(gpio: GPIO, pin: GPIO_PIN, count: number): void {
  gpio.Total += (count - pin.Told) >>> 0
  pin.Told = count
  if ((gpio.Put - gpio.Taken) >>> 0 === MOST_EDGES) {
    gpio.Taken += 1 // the oldest: the newest level is worth more
    gpio.Lost += 1
  }
  const edge = gpio.Edges.at(gpio.Put % MOST_EDGES)
  edge.Pin = pin.Number
  edge.Level = (READ_REGISTER_ULONG(gpio.Registers + Gpio.INPUT) >>> pin.Number) & 1
  edge.Count = count
  edge.Time = READ_REGISTER_ULONG(gpio.Registers + Gpio.TIME)
  gpio.Put += 1
}

/** Wakes a reader, and starts the debounce time of pins that bounce. @irql DISPATCH_LEVEL */
export function gpioDpc(_Dpc: KDPC, gpio: GPIO): void {
  KeSetEvent(gpio.Happened, IO_NO_INCREMENT, false)
  if (!ExAcquireRundownProtection(gpio.Rundown)) return
  const { Interrupt } = gpio
  if (Interrupt !== null) startDebouncing(gpio, Interrupt)
  ExReleaseRundownProtection(gpio.Rundown)
}

function startDebouncing(gpio: GPIO, Interrupt: KINTERRUPT): void {
  const irql = KeAcquireInterruptSpinLock(Interrupt)
  const bouncing = gpio.Bouncing
  gpio.Bouncing = 0
  KeReleaseInterruptSpinLock(Interrupt, irql)
  for (let index = 0; index < GPIO_PINS; index++) {
    if (((bouncing >>> index) & 1) === 0) continue
    const pin = gpio.Pins.at(index)
    KeSetTimer(pin.Timer, pin.DebounceUs * US, pin.Dpc) // anew, if it runs
  }
}

/** A pin has been still for its debounce time. @irql DISPATCH_LEVEL */
export function debounceDpc(_Dpc: KDPC, pin: GPIO_PIN): void {
  const gpio = new GPIO(pin.Owner)
  if (!ExAcquireRundownProtection(gpio.Rundown)) return
  const { Interrupt } = gpio
  if (Interrupt !== null) KeSynchronizeExecution(Interrupt, tellDebounced, pin)
  KeSetEvent(gpio.Happened, IO_NO_INCREMENT, false)
  ExReleaseRundownProtection(gpio.Rundown)
}

/** A SynchCritSection: tells all edges of the pin that came since. @irql DIRQL, interrupt spin lock held */
export function tellDebounced(pin: GPIO_PIN): boolean {
  const gpio = new GPIO(pin.Owner)
  const count = READ_REGISTER_ULONG(gpio.Registers + gpioEdges(pin.Number))
  if (count !== pin.Told && !isPulledOut(gpio)) tell(gpio, pin, count)
  return true
}

/** The window of a board that is gone reads all ones, and no board has so many pins: what was read last may be that. */
const isPulledOut = ({ Registers }: GPIO): boolean => READ_REGISTER_ULONG(Registers + Gpio.INPUT) === ALL_ONES

/** Gives as many records as there are and fit, and waits for the first. @irql PASSIVE_LEVEL */
export async function read(DeviceObject: DEVICE_OBJECT, Irp: IRP): Promise<NTSTATUS> {
  const gpio = gpioOf(DeviceObject)
  const { Length } = IoGetCurrentIrpStackLocation(Irp).Parameters.Read
  if (Length < EDGE.size) return complete(Irp, STATUS_BUFFER_TOO_SMALL)
  const request = READ_REQUEST.at(ExAllocatePool2(POOL_FLAG_NON_PAGED, READ_REQUEST.size, 'Gpio'))
  if (request === null) return complete(Irp, STATUS_INSUFFICIENT_RESOURCES)
  request.Gpio = gpio.address
  request.Buffer = Irp.AssociatedIrp.SystemBuffer
  request.Room = Math.floor(Length / EDGE.size)
  KeInitializeEvent(request.Cancelled, NotificationEvent, false)
  watchCancel(Irp, request)
  const isThere = ExAcquireRundownProtection(gpio.Rundown)
  const status = isThere ? await takeEdges(gpio, request) : STATUS_DEVICE_NOT_CONNECTED
  if (isThere) ExReleaseRundownProtection(gpio.Rundown)
  // The cancel routine that runs, or has run, sets the event as the last thing that it does.
  if (IoSetCancelRoutine(Irp, null) === null) {
    await KeWaitForSingleObject(request.Cancelled, Executive, KernelMode, false, null)
  }
  const { Count } = request
  ExFreePool(request)
  return complete(Irp, status, NT_SUCCESS(status) ? Count * EDGE.size : 0)
}

/** What a read and its SynchCritSection share. */
const READ_REQUEST = struct('READ_REQUEST', {
  Gpio: ULONG, // address
  Buffer: ULONG, // address
  Room: ULONG, // records
  Count: ULONG, // records that were taken
  AreMore: ULONG,
  Cancelled: KEVENT, // notification
})
type READ_REQUEST = InstanceType<typeof READ_REQUEST>

async function takeEdges(gpio: GPIO, request: READ_REQUEST): Promise<NTSTATUS> {
  for (;;) {
    const { Interrupt } = gpio
    if (Interrupt === null) return STATUS_DEVICE_NOT_CONNECTED
    if (KeSynchronizeExecution(Interrupt, takeRecords, request) !== 0) {
      if (request.AreMore !== 0) KeSetEvent(gpio.Happened, IO_NO_INCREMENT, false)
      return STATUS_SUCCESS
    }
    const status = await KeWaitForMultipleObjects({
      Count: 3,
      Object: [gpio.Happened, request.Cancelled, gpio.Gone],
      WaitType: WaitAny,
      WaitReason: Executive,
      WaitMode: KernelMode,
      Alertable: false,
      Timeout: null,
      WaitBlockArray: null,
    })
    if (status === 1) return STATUS_CANCELLED
    if (status === 2) return STATUS_DEVICE_NOT_CONNECTED
  }
}

/** A SynchCritSection: takes what there is. FALSE when there is nothing. @irql DIRQL, interrupt spin lock held */
export function takeRecords(request: READ_REQUEST): boolean {
  const gpio = new GPIO(request.Gpio)
  const count = Math.min((gpio.Put - gpio.Taken) >>> 0, request.Room)
  for (let index = 0; index < count; index++) {
    const edge = gpio.Edges.at(gpio.Taken % MOST_EDGES)
    const told = new EDGE(request.Buffer + index * EDGE.size)
    told.Pin = edge.Pin
    told.Level = edge.Level
    told.Count = edge.Count
    told.Time = edge.Time
    gpio.Taken += 1
  }
  request.Count = count
  request.AreMore = gpio.Put === gpio.Taken ? 0 : 1
  return count > 0
}

function watchCancel(Irp: IRP, request: READ_REQUEST): void {
  Irp.Tail.Overlay.DriverContext.set(0, request)
  IoSetCancelRoutine(Irp, cancelRead)
  if (Irp.Cancel !== 0 && IoSetCancelRoutine(Irp, null) !== null) {
    KeSetEvent(request.Cancelled, IO_NO_INCREMENT, false) // cancelled before there was a routine
  }
}

/** @irql DISPATCH_LEVEL, cancel spin lock held */
export function cancelRead(_DeviceObject: DEVICE_OBJECT, Irp: IRP): void {
  const request = Irp.Tail.Overlay.DriverContext.at(0) as READ_REQUEST
  IoReleaseCancelSpinLock(Irp.CancelIrql)
  KeSetEvent(request.Cancelled, IO_NO_INCREMENT, false)
}

/** @irql PASSIVE_LEVEL */
export function control(DeviceObject: DEVICE_OBJECT, Irp: IRP): NTSTATUS {
  const gpio = gpioOf(DeviceObject)
  if (!ExAcquireRundownProtection(gpio.Rundown)) return complete(Irp, STATUS_DEVICE_NOT_CONNECTED)
  const status = answer(gpio, Irp)
  ExReleaseRundownProtection(gpio.Rundown)
  return status
}

function answer(gpio: GPIO, Irp: IRP): NTSTATUS {
  const { IoControlCode, InputBufferLength, OutputBufferLength } =
    IoGetCurrentIrpStackLocation(Irp).Parameters.DeviceIoControl
  const buffer = Irp.AssociatedIrp.SystemBuffer
  if (gpio.Interrupt === null) return complete(Irp, STATUS_DEVICE_NOT_CONNECTED)
  switch (IoControlCode) {
    case IOCTL_GPIO_SET_UP_PIN:
      if (InputBufferLength < PIN_SETUP.size) return complete(Irp, STATUS_BUFFER_TOO_SMALL)
      return complete(Irp, setUpPin(gpio, new PIN_SETUP(buffer)))
    case IOCTL_GPIO_WRITE_PIN: {
      if (InputBufferLength < PIN_LEVEL.size) return complete(Irp, STATUS_BUFFER_TOO_SMALL)
      const { Pin, Level } = new PIN_LEVEL(buffer)
      return complete(Irp, setBit(gpio, Gpio.OUTPUT, Pin, Level !== 0))
    }
    case IOCTL_GPIO_READ_PINS:
      if (OutputBufferLength < PINS.size) return complete(Irp, STATUS_BUFFER_TOO_SMALL)
      tellPins(gpio, gpio.Interrupt, new PINS(buffer))
      if (isPulledOut(gpio)) return complete(Irp, STATUS_DEVICE_NOT_CONNECTED)
      return complete(Irp, STATUS_SUCCESS, PINS.size)
    default:
      return complete(Irp, STATUS_INVALID_DEVICE_REQUEST)
  }
}

function tellPins(gpio: GPIO, Interrupt: KINTERRUPT, pins: InstanceType<typeof PINS>): void {
  const irql = KeAcquireInterruptSpinLock(Interrupt)
  pins.Levels = READ_REGISTER_ULONG(gpio.Registers + Gpio.INPUT)
  pins.Direction = READ_REGISTER_ULONG(gpio.Registers + Gpio.DIRECTION)
  pins.Edges = gpio.Total
  pins.Lost = gpio.Lost
  KeReleaseInterruptSpinLock(Interrupt, irql)
}

function setUpPin(gpio: GPIO, setup: InstanceType<typeof PIN_SETUP>): NTSTATUS {
  const { Pin, IsOutput, PullUp, Rising, Falling, DebounceUs } = setup
  if (Pin >= GPIO_PINS || DebounceUs > 10_000_000) return STATUS_INVALID_PARAMETER
  gpio.Pins.at(Pin).DebounceUs = DebounceUs
  const status = setBit(gpio, Gpio.PULLUP, Pin, PullUp !== 0)
  if (!NT_SUCCESS(status)) return status
  setBit(gpio, Gpio.DIRECTION, Pin, IsOutput !== 0)
  setBit(gpio, Gpio.RISING, Pin, Rising !== 0)
  return setBit(gpio, Gpio.FALLING, Pin, Falling !== 0)
}

/** Changes one bit of a mask register; requests of two programs must not take back each other's. */
function setBit(gpio: GPIO, register: number, pin: number, value: boolean): NTSTATUS {
  const { Interrupt, Registers } = gpio
  if (Interrupt === null) return STATUS_DEVICE_NOT_CONNECTED
  if (pin >= GPIO_PINS) return STATUS_INVALID_PARAMETER
  if (((READ_REGISTER_ULONG(Registers + Gpio.PINS) >>> pin) & 1) === 0) return STATUS_INVALID_PARAMETER
  const irql = KeAcquireInterruptSpinLock(Interrupt)
  const mask = READ_REGISTER_ULONG(Registers + register)
  WRITE_REGISTER_ULONG(Registers + register, (value ? mask | (1 << pin) : mask & ~(1 << pin)) >>> 0)
  KeReleaseInterruptSpinLock(Interrupt, irql)
  return STATUS_SUCCESS
}

/** @irql PASSIVE_LEVEL */
export function succeed(_DeviceObject: DEVICE_OBJECT, Irp: IRP): NTSTATUS {
  return complete(Irp, STATUS_SUCCESS)
}
