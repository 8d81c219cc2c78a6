/**
 * Pins of a gpio device (docs/hardware/gpio.md): levels are set and read, and edges are told one by one with their time
 * stamps. A pin that bounces may be given a debounce time: then it is told once, when it has been still for so long.
 *
 * A read gives EDGE records, oldest first, and waits while there are none.
 */
import { Gpio, GPIO_PINS, gpioEdges } from 'dirql/gpio'
import {
  atomic,
  boardTime,
  copyStruct,
  type DEVICE_OBJECT,
  type DRIVER_OBJECT,
  globals,
  IoDeleteSymbolicLink,
  IoGetCurrentIrpStackLocation,
  type IRP,
  IRP_MJ_CLEANUP,
  IRP_MJ_CLOSE,
  IRP_MJ_CREATE,
  IRP_MJ_DEVICE_CONTROL,
  IRP_MJ_PNP,
  IRP_MJ_READ,
  type KDPC,
  KeInitializeDpc,
  KeInitializeSpinLock,
  KeInitializeTimer,
  KeInsertQueueDpc,
  KeSetTimer,
  KeSynchronizeExecution,
  type KINTERRUPT,
  LONG,
  NT_SUCCESS,
  type NTSTATUS,
  READ_REGISTER_ULONG,
  STATUS_BUFFER_TOO_SMALL,
  STATUS_CANCELLED,
  STATUS_DEVICE_NOT_CONNECTED,
  STATUS_INVALID_DEVICE_REQUEST,
  STATUS_INVALID_PARAMETER,
  STATUS_SUCCESS,
  WRITE_REGISTER_ULONG,
} from 'dirql/wdm'
import { complete } from '../lib/irp.ts'
import { textParameter } from '../lib/parameters.ts'
import { attachDevice, dispatchPnp, type PnpRoutines, type Resources } from '../lib/pnp.ts'
import { drain, enqueue, finish, initializeQueue, queueRoutines, type REQUEST, serve } from '../lib/requests.ts'
import { ALL_ONES } from '../lib/window.ts'
import {
  GPIO,
  gpioOf,
  type GPIO_PIN,
  interruptOf,
  MOST_EDGES,
  startGpio,
  stopGpio,
  withInterrupts,
  withLock,
} from './device.ts'
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

const US = -10 // relative, in 100 ns
const LONGEST_DEBOUNCE_US = 10_000_000
const ALL_PINS = 2 ** GPIO_PINS - 1

/** The number of the lowest bit that is 1. */
const lowest = (mask: number): number => 31 - Math.clz32(mask & -mask)

/** How many devices there were: each gets a number for its name. */
export const Globals = globals({ Devices: atomic(LONG) })

/** @irql PASSIVE_LEVEL */
export function DriverEntry(DriverObject: DRIVER_OBJECT): NTSTATUS {
  DriverObject.MajorFunction.set(IRP_MJ_CREATE, succeed)
  DriverObject.MajorFunction.set(IRP_MJ_CLEANUP, cleanup)
  DriverObject.MajorFunction.set(IRP_MJ_CLOSE, succeed)
  DriverObject.MajorFunction.set(IRP_MJ_READ, read)
  DriverObject.MajorFunction.set(IRP_MJ_DEVICE_CONTROL, control)
  DriverObject.MajorFunction.set(IRP_MJ_PNP, pnp)
  if (DriverObject.DriverExtension !== null) DriverObject.DriverExtension.AddDevice = addDevice
  DriverObject.DriverUnload = unload
  return STATUS_SUCCESS
}

/** PnP has removed the devices before. @irql PASSIVE_LEVEL */
export function unload(_DriverObject: DRIVER_OBJECT): void {}

/** @irql PASSIVE_LEVEL */
export function addDevice(DriverObject: DRIVER_OBJECT, PhysicalDeviceObject: DEVICE_OBJECT): NTSTATUS {
  const number = Globals.Devices.add(1)
  const initialize = (gpio: GPIO): void => {
    gpio.Number = number
    gpio.Physical = PhysicalDeviceObject
    KeInitializeSpinLock(gpio.InterruptLock)
    KeInitializeSpinLock(gpio.Lock)
    KeInitializeDpc(gpio.Dpc, gpioDpc, gpio)
    initializeQueue(gpio.Reads, gpio.Lock, gpio, QUEUE_ROUTINES)
    for (let index = 0; index < GPIO_PINS; index++) initializePin(gpio, index)
  }
  const opened = { name: `Gpio-${number}`, link: `Gpio-${number}` }
  return attachDevice(DriverObject, PhysicalDeviceObject, GPIO, initialize, opened)
}

function initializePin(gpio: GPIO, number: number): void {
  const pin = gpio.Pins.at(number)
  pin.Owner = gpio.address
  pin.Number = number
  KeInitializeTimer(pin.Timer)
  KeInitializeDpc(pin.Dpc, debounceDpc, pin)
}

const PNP: PnpRoutines = {
  start,
  stop: (device) => stopGpio(gpioOf(device)),
  remove: (device) => void IoDeleteSymbolicLink(`\\??\\Gpio-${gpioOf(device).Number}`),
}

/** @irql PASSIVE_LEVEL */
export function pnp(DeviceObject: DEVICE_OBJECT, Irp: IRP): Promise<NTSTATUS> {
  return dispatchPnp(DeviceObject, gpioOf(DeviceObject).Lower as DEVICE_OBJECT, Irp, PNP)
}

async function start(device: DEVICE_OBJECT, resources: Resources): Promise<NTSTATUS> {
  const gpio = gpioOf(device)
  const pins = await textParameter(gpio.Physical as DEVICE_OBJECT, 'LinePins')
  for (const [pin, active] of pins.split(',').map((text) => text.split(' '))) {
    const bit = pins === '' ? 0 : 1 << Number(pin)
    gpio.LinePins |= bit
    if (active === 'low') gpio.LowPins |= bit
    if (active === 'high') gpio.HighPins |= bit
  }
  return startGpio(gpio, resources, { pins: gpioIsr, line: lineIsr })
}

// Interrupts.

/** The line of all pins. @irql DIRQL, interrupt spin lock held */
export function gpioIsr(_Interrupt: KINTERRUPT, gpio: GPIO): boolean {
  const { Registers } = gpio
  return takeEdgesOf(gpio, READ_REGISTER_ULONG(Registers + Gpio.EDGE_PINS), READ_REGISTER_ULONG(Registers + Gpio.TIME))
}

/** A pin that is a line of its own: its frame has nothing but its count. @irql DIRQL, interrupt spin lock held */
export function lineIsr(Interrupt: KINTERRUPT, gpio: GPIO): boolean {
  return takeEdgesOf(gpio, gpio.LinePins, boardTime(Interrupt))
}

/** Whether one of `pins` had an edge that was not told. @irql DIRQL, interrupt spin lock held */
function takeEdgesOf(gpio: GPIO, pins: number, time: number): boolean {
  let isOurs = false
  for (let left = pins & ALL_PINS; left !== 0; left &= left - 1) {
    const index = lowest(left)
    const pin = gpio.Pins.at(index)
    const count = READ_REGISTER_ULONG(gpio.Registers + gpioEdges(index))
    if (count === pin.Told || isPulledOut(gpio)) continue // told by the frame before
    isOurs = true
    pin.Time = time
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
  edge.Level = levelOf(gpio, pin.Number)
  edge.Count = count
  edge.Time = pin.Time
  gpio.Put += 1
}

/** Frames of a pin that is a line of its own do not tell its level: behind an edge it is what the line is active at. */
function levelOf({ Registers, LowPins, HighPins }: GPIO, pin: number): number {
  const levels = (READ_REGISTER_ULONG(Registers + Gpio.INPUT) & ~LowPins) | HighPins
  return (levels >>> pin) & 1
}

/** Serves reads, and starts the debounce time of pins that bounce. @irql DISPATCH_LEVEL */
export function gpioDpc(_Dpc: KDPC, gpio: GPIO): void {
  withLock(gpio, () => {
    if (gpio.IsThere !== 0) startDebouncing(gpio)
  })
  serveReads(gpio)
}

function startDebouncing(gpio: GPIO): void {
  const bouncing = withInterrupts(gpio, () => {
    const { Bouncing } = gpio
    gpio.Bouncing = 0
    return Bouncing
  })
  for (let left = bouncing; left !== 0; left &= left - 1) {
    const pin = gpio.Pins.at(lowest(left))
    KeSetTimer(pin.Timer, pin.DebounceUs * US, pin.Dpc) // anew, if it runs
  }
}

/** A pin has been still for its debounce time. @irql DISPATCH_LEVEL */
export function debounceDpc(_Dpc: KDPC, pin: GPIO_PIN): void {
  const gpio = new GPIO(pin.Owner)
  withLock(gpio, () => {
    if (gpio.IsThere !== 0) KeSynchronizeExecution(interruptOf(gpio), tellDebounced, pin)
  })
  serveReads(gpio)
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

// Requests.

/** What was behind a read that is cancelled may be first now. */
const QUEUE_ROUTINES = queueRoutines((queue) => serveReads(new GPIO(queue.Owner)))
export const { insertIrp, removeIrp, peekNextIrp, acquireLock, releaseLock, completeCancelledIrp } = QUEUE_ROUTINES

function serveReads(gpio: GPIO): void {
  serve(gpio.Reads, (request) => gpio.IsThere !== 0 && withInterrupts(gpio, () => takeRecords(gpio, request)))
}

/** Gives as many records as there are and fit. FALSE when there is none. Both locks held. */
function takeRecords(gpio: GPIO, request: REQUEST): boolean {
  const count = Math.min((gpio.Put - gpio.Taken) >>> 0, Math.floor(request.Length / EDGE.size))
  for (let index = 0; index < count; index++) {
    copyStruct(new EDGE(request.Buffer + index * EDGE.size), gpio.Edges.at(gpio.Taken % MOST_EDGES))
    gpio.Taken += 1
  }
  request.Done = count * EDGE.size
  return count > 0 && finish(request, STATUS_SUCCESS)
}

/** Waits for edges. @irql <= DISPATCH_LEVEL */
export function read(DeviceObject: DEVICE_OBJECT, Irp: IRP): NTSTATUS {
  const gpio = gpioOf(DeviceObject)
  const { Length } = IoGetCurrentIrpStackLocation(Irp).Parameters.Read
  if (Length < EDGE.size) return complete(Irp, STATUS_BUFFER_TOO_SMALL)
  const status = enqueue(gpio.Reads, Irp, { buffer: Irp.AssociatedIrp.SystemBuffer, length: Length })
  serveReads(gpio)
  return status
}

/** @irql <= DISPATCH_LEVEL */
export function control(DeviceObject: DEVICE_OBJECT, Irp: IRP): NTSTATUS {
  const gpio = gpioOf(DeviceObject)
  const { status, information } = withLock(gpio, () =>
    gpio.IsThere === 0 ? { status: STATUS_DEVICE_NOT_CONNECTED, information: 0 } : answer(gpio, Irp),
  )
  return complete(Irp, status, information)
}

/** Lock held. */
function answer(gpio: GPIO, Irp: IRP): { status: NTSTATUS; information: number } {
  const { IoControlCode, InputBufferLength, OutputBufferLength } =
    IoGetCurrentIrpStackLocation(Irp).Parameters.DeviceIoControl
  const buffer = Irp.AssociatedIrp.SystemBuffer
  const ended = (status: NTSTATUS, information = 0) => ({ status, information })
  switch (IoControlCode) {
    case IOCTL_GPIO_SET_UP_PIN:
      if (InputBufferLength < PIN_SETUP.size) return ended(STATUS_BUFFER_TOO_SMALL)
      return ended(setUpPin(gpio, new PIN_SETUP(buffer)))
    case IOCTL_GPIO_WRITE_PIN: {
      if (InputBufferLength < PIN_LEVEL.size) return ended(STATUS_BUFFER_TOO_SMALL)
      const { Pin, Level } = new PIN_LEVEL(buffer)
      return ended(setBit(gpio, Gpio.OUTPUT, Pin, Level !== 0))
    }
    case IOCTL_GPIO_READ_PINS:
      if (OutputBufferLength < PINS.size) return ended(STATUS_BUFFER_TOO_SMALL)
      withInterrupts(gpio, () => tellPins(gpio, new PINS(buffer)))
      return isPulledOut(gpio) ? ended(STATUS_DEVICE_NOT_CONNECTED) : ended(STATUS_SUCCESS, PINS.size)
    default:
      return ended(STATUS_INVALID_DEVICE_REQUEST)
  }
}

/** Both locks held: levels and counts are of one moment. */
function tellPins(gpio: GPIO, pins: InstanceType<typeof PINS>): void {
  pins.Levels = READ_REGISTER_ULONG(gpio.Registers + Gpio.INPUT)
  pins.Direction = READ_REGISTER_ULONG(gpio.Registers + Gpio.DIRECTION)
  pins.Edges = gpio.Total
  pins.Lost = gpio.Lost
}

function setUpPin(gpio: GPIO, setup: InstanceType<typeof PIN_SETUP>): NTSTATUS {
  const { Pin, IsOutput, PullUp, Rising, Falling, DebounceUs } = setup
  if (Pin >= GPIO_PINS || DebounceUs > LONGEST_DEBOUNCE_US) return STATUS_INVALID_PARAMETER
  const status = setBit(gpio, Gpio.PULLUP, Pin, PullUp !== 0)
  if (!NT_SUCCESS(status)) return status
  gpio.Pins.at(Pin).DebounceUs = DebounceUs
  setBit(gpio, Gpio.DIRECTION, Pin, IsOutput !== 0)
  setBit(gpio, Gpio.RISING, Pin, Rising !== 0)
  return setBit(gpio, Gpio.FALLING, Pin, Falling !== 0)
}

/** Changes one bit of a mask register. Lock held: requests of two programs must not take back each other's. */
function setBit({ Registers }: GPIO, register: number, pin: number, value: boolean): NTSTATUS {
  if (pin >= GPIO_PINS) return STATUS_INVALID_PARAMETER
  if (((READ_REGISTER_ULONG(Registers + Gpio.PINS) >>> pin) & 1) === 0) return STATUS_INVALID_PARAMETER
  const mask = READ_REGISTER_ULONG(Registers + register)
  WRITE_REGISTER_ULONG(Registers + register, (value ? mask | (1 << pin) : mask & ~(1 << pin)) >>> 0)
  return STATUS_SUCCESS
}

/** The last handle of a file is closed: nobody waits there any more. @irql PASSIVE_LEVEL */
export function cleanup(DeviceObject: DEVICE_OBJECT, Irp: IRP): NTSTATUS {
  const { FileObject } = IoGetCurrentIrpStackLocation(Irp)
  drain(gpioOf(DeviceObject).Reads, STATUS_CANCELLED, FileObject)
  return complete(Irp, STATUS_SUCCESS)
}

/** @irql PASSIVE_LEVEL */
export function succeed(_DeviceObject: DEVICE_OBJECT, Irp: IRP): NTSTATUS {
  return complete(Irp, STATUS_SUCCESS)
}
