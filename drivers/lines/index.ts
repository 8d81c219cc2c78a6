/**
 * Any sketch that prints lines (docs/hardware/lines.md): `Lines-0` gives its text, a line a read, and takes what is sent
 * to it; `Lines-0\button` is the interrupt line that the board file makes of a pattern.
 *
 * Text that nobody reads is dropped, oldest first: a program that watches patterns only must not hold up the sketch.
 */
import { Lines } from 'dirql/lines'
import {
  atomic,
  DEVICE_OBJECT,
  type DRIVER_OBJECT,
  type FILE_OBJECT,
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
  IRP_MJ_WRITE,
  type KDPC,
  KeInitializeDpc,
  KeInitializeSpinLock,
  KeInsertQueueDpc,
  type KINTERRUPT,
  LONG,
  type NTSTATUS,
  READ_REGISTER_UCHAR,
  READ_REGISTER_ULONG,
  STATUS_BUFFER_TOO_SMALL,
  STATUS_CANCELLED,
  STATUS_DEVICE_NOT_CONNECTED,
  STATUS_INSUFFICIENT_RESOURCES,
  STATUS_INVALID_DEVICE_REQUEST,
  STATUS_OBJECT_NAME_NOT_FOUND,
  STATUS_SUCCESS,
  WRITE_REGISTER_BUFFER_UCHAR,
} from 'dirql/wdm'
import { complete } from '../lib/irp.ts'
import {
  closeLine,
  LINE_EVENT,
  LINE_FILE,
  type MAPPED_LINE,
  mappedNames,
  openLine,
  takeMapped,
  tellLine,
} from '../lib/lines.ts'
import { attachDevice, dispatchPnp, type PnpRoutines, type Resources } from '../lib/pnp.ts'
import { hasRecord, nextLength, putRecord, takeRecord } from '../lib/records.ts'
import { drain, enqueue, finish, initializeQueue, queueRoutines, type REQUEST, serve } from '../lib/requests.ts'
import { textOf as nameOf } from '../lib/text.ts'
import { ALL_ONES, levelAt, roomAt } from '../lib/window.ts'
import { LONGEST, queuesOf, startText, stopText, TEXT, textOf, withInterrupts, withLock } from './device.ts'
import { IOCTL_LINES_STATISTICS, STATISTICS } from './interface.ts'

/** The devices that this driver is for. */
export const hardwareIds = ['dirql\\lines']

const LF = 0x0a

/** How many devices there were: each gets a number for its name. */
export const Globals = globals({ Devices: atomic(LONG) })

/** @irql PASSIVE_LEVEL */
export function DriverEntry(DriverObject: DRIVER_OBJECT): NTSTATUS {
  DriverObject.MajorFunction.set(IRP_MJ_CREATE, create)
  DriverObject.MajorFunction.set(IRP_MJ_CLEANUP, cleanup)
  DriverObject.MajorFunction.set(IRP_MJ_CLOSE, close)
  DriverObject.MajorFunction.set(IRP_MJ_READ, read)
  DriverObject.MajorFunction.set(IRP_MJ_WRITE, write)
  DriverObject.MajorFunction.set(IRP_MJ_DEVICE_CONTROL, control)
  DriverObject.MajorFunction.set(IRP_MJ_PNP, pnp)
  if (DriverObject.DriverExtension !== null) DriverObject.DriverExtension.AddDevice = addDevice
  DriverObject.DriverUnload = unload
  return STATUS_SUCCESS
}

/** PnP has removed the devices before. @irql PASSIVE_LEVEL */
export function unload(_DriverObject: DRIVER_OBJECT): void {}

const linkName = (text: TEXT): string => `\\??\\Lines-${text.Number}`

/** @irql PASSIVE_LEVEL */
export function addDevice(DriverObject: DRIVER_OBJECT, PhysicalDeviceObject: DEVICE_OBJECT): NTSTATUS {
  const number = Globals.Devices.add(1)
  const initialize = (text: TEXT): void => {
    text.Number = number
    text.Physical = PhysicalDeviceObject
    KeInitializeSpinLock(text.InterruptLock)
    KeInitializeSpinLock(text.Lock)
    KeInitializeDpc(text.Dpc, textDpc, text)
    for (const queue of queuesOf(text)) initializeQueue(queue, text.Lock, text, QUEUE_ROUTINES)
  }
  const opened = { name: `Lines-${number}`, link: `Lines-${number}` }
  return attachDevice(DriverObject, PhysicalDeviceObject, TEXT, initialize, opened)
}

const PNP: PnpRoutines = {
  start,
  stop: (device) => stopText(textOf(device)),
  remove: (device) => void IoDeleteSymbolicLink(linkName(textOf(device))),
}

/** @irql PASSIVE_LEVEL */
export function pnp(DeviceObject: DEVICE_OBJECT, Irp: IRP): Promise<NTSTATUS> {
  return dispatchPnp(DeviceObject, textOf(DeviceObject).Lower as DEVICE_OBJECT, Irp, PNP)
}

async function start(device: DEVICE_OBJECT, resources: Resources): Promise<NTSTATUS> {
  const text = textOf(device)
  const names = await mappedNames(text.Physical as DEVICE_OBJECT)
  return startText(text, resources, names, { data: dataIsr, transmit: transmitIsr, pattern: patternIsr })
}

// Interrupts.

/** Text lines came. @irql DIRQL, interrupt spin lock held */
export function dataIsr(_Interrupt: KINTERRUPT, text: TEXT): boolean {
  const lines = READ_REGISTER_ULONG(text.Registers + Lines.LINES)
  if (lines === text.Told || lines === ALL_ONES) return false
  text.Told = lines
  for (let left = levelAt(text.Registers + Lines.DATA_LEVEL); left > 0; left--) {
    takeByte(text, READ_REGISTER_UCHAR(text.Registers + Lines.DATA))
  }
  KeInsertQueueDpc(text.Dpc, null, null)
  return true
}

function takeByte(text: TEXT, byte: number): void {
  const { PartialLength, Partial } = text
  if (byte === LF) {
    putRecord(text.Ring, PartialLength, (index) => Partial[index] ?? 0)
    text.PartialLength = 0
  } else if (PartialLength < LONGEST) {
    Partial[PartialLength] = byte
    text.PartialLength += 1
  }
}

/** There is room to send. @irql DIRQL, interrupt spin lock held */
export function transmitIsr(_Interrupt: KINTERRUPT, text: TEXT): boolean {
  KeInsertQueueDpc(text.Dpc, null, null) // the line is the device's own: nobody else could have caused it
  return true
}

/** A text line matched a pattern. @irql DIRQL, interrupt spin lock held */
export function patternIsr(_Interrupt: KINTERRUPT, line: MAPPED_LINE): boolean {
  return takeMapped(line)
}

/** @irql DISPATCH_LEVEL */
export function textDpc(_Dpc: KDPC, text: TEXT): void {
  serveAll(text)
}

function serveAll(text: TEXT): void {
  serve(text.Reads, (request) => text.IsThere !== 0 && withInterrupts(text, () => stepRead(text, request)))
  serve(text.Writes, (request) => text.IsThere !== 0 && stepWrite(text, request))
  serve(text.Watches, (request) => text.IsThere !== 0 && withInterrupts(text, () => stepWatch(request)), true)
}

/** Gives one text line, whole: one that does not fit stays for a larger read. */
function stepRead({ Ring }: TEXT, request: REQUEST): boolean {
  if (!hasRecord(Ring)) return false
  if (nextLength(Ring) > request.Length) return finish(request, STATUS_BUFFER_TOO_SMALL)
  request.Done = takeRecord(Ring, request.Buffer)
  return finish(request, STATUS_SUCCESS)
}

function stepWrite(text: TEXT, request: REQUEST): boolean {
  const { Registers } = text
  const room = roomAt(Registers + Lines.ROOM, text.Written)
  const count = Math.min(room, request.Length - request.Done)
  if (count > 0) WRITE_REGISTER_BUFFER_UCHAR(Registers + Lines.DATA, request.Buffer + request.Done, count)
  text.Written += count
  request.Done += count
  return request.Done === request.Length && finish(request, STATUS_SUCCESS)
}

function stepWatch(request: REQUEST): boolean {
  return tellLine(request, fileOf(request.Irp as IRP)?.FsContext as LINE_FILE)
}

const fileOf = (irp: IRP): FILE_OBJECT | null => IoGetCurrentIrpStackLocation(irp).FileObject

// The queues.

/** What was behind a request that is cancelled may be first now. */
const QUEUE_ROUTINES = queueRoutines((queue) => serveAll(new TEXT(queue.Owner)))
export const { insertIrp, removeIrp, peekNextIrp, acquireLock, releaseLock, completeCancelledIrp } = QUEUE_ROUTINES

// Requests.

/** The device itself, or the line of a pattern below it. @irql PASSIVE_LEVEL */
export async function create(DeviceObject: DEVICE_OBJECT, Irp: IRP): Promise<NTSTATUS> {
  const text = textOf(DeviceObject)
  const file = fileOf(Irp)
  const name = file === null ? '' : nameOf(file.FileName).replace(/^\\/, '').toLowerCase()
  if (file === null || name === '') return complete(Irp, STATUS_SUCCESS)
  const names = await mappedNames(text.Physical as DEVICE_OBJECT)
  const index = names.findIndex((line) => line.name.toLowerCase() === name)
  if (index < 0 || index >= text.PatternCount) return complete(Irp, STATUS_OBJECT_NAME_NOT_FOUND)
  const opened = openLine(text.Patterns.at(index))
  file.FsContext = opened
  return complete(Irp, opened === null ? STATUS_INSUFFICIENT_RESOURCES : STATUS_SUCCESS)
}

/** @irql PASSIVE_LEVEL */
export function cleanup(DeviceObject: DEVICE_OBJECT, Irp: IRP): NTSTATUS {
  const file = fileOf(Irp)
  if (file !== null) for (const queue of queuesOf(textOf(DeviceObject))) drain(queue, STATUS_CANCELLED, file)
  return complete(Irp, STATUS_SUCCESS)
}

/** @irql PASSIVE_LEVEL */
export function close(_DeviceObject: DEVICE_OBJECT, Irp: IRP): NTSTATUS {
  const file = fileOf(Irp)
  if (file !== null) closeLine(file)
  return complete(Irp, STATUS_SUCCESS)
}

/** Gives a text line, or what a pattern's line tells. @irql <= DISPATCH_LEVEL */
export function read(DeviceObject: DEVICE_OBJECT, Irp: IRP): NTSTATUS {
  const text = textOf(DeviceObject)
  const { Length } = IoGetCurrentIrpStackLocation(Irp).Parameters.Read
  const isLine = (fileOf(Irp)?.FsContext ?? null) !== null
  if (isLine && Length < LINE_EVENT.size) return complete(Irp, STATUS_BUFFER_TOO_SMALL)
  const wish = { buffer: Irp.AssociatedIrp.SystemBuffer, length: Length }
  const status = enqueue(isLine ? text.Watches : text.Reads, Irp, wish)
  serveAll(text)
  return status
}

/** Sends bytes as they are: line ends are the writer's. @irql <= DISPATCH_LEVEL */
export function write(DeviceObject: DEVICE_OBJECT, Irp: IRP): NTSTATUS {
  const text = textOf(DeviceObject)
  const { Length } = IoGetCurrentIrpStackLocation(Irp).Parameters.Write
  const isLine = (fileOf(Irp)?.FsContext ?? null) !== null
  if (isLine) return complete(Irp, STATUS_INVALID_DEVICE_REQUEST)
  if (Length === 0) return complete(Irp, STATUS_SUCCESS)
  const status = enqueue(text.Writes, Irp, { buffer: Irp.AssociatedIrp.SystemBuffer, length: Length })
  serveAll(text)
  return status
}

/** @irql <= DISPATCH_LEVEL */
export function control(DeviceObject: DEVICE_OBJECT, Irp: IRP): NTSTATUS {
  const text = textOf(DeviceObject)
  const { IoControlCode, OutputBufferLength } = IoGetCurrentIrpStackLocation(Irp).Parameters.DeviceIoControl
  if (IoControlCode !== IOCTL_LINES_STATISTICS) return complete(Irp, STATUS_INVALID_DEVICE_REQUEST)
  if (OutputBufferLength < STATISTICS.size) return complete(Irp, STATUS_BUFFER_TOO_SMALL)
  const told = withLock(text, () => {
    if (text.IsThere === 0) return null
    const Cut = READ_REGISTER_ULONG(text.Registers + Lines.CUT)
    return withInterrupts(text, () => ({ Lines: text.Told, Cut, Lost: text.Ring.Lost, Written: text.Written }))
  })
  if (told === null) return complete(Irp, STATUS_DEVICE_NOT_CONNECTED)
  Object.assign(new STATISTICS(Irp.AssociatedIrp.SystemBuffer), told)
  return complete(Irp, STATUS_SUCCESS, STATISTICS.size)
}
