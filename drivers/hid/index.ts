/**
 * Any HID device (docs/hardware/hid.md): `Hid-0` gives input reports, one a read, and takes output reports; feature
 * reports are set and got by control codes. `Hid-0\trigger` is the interrupt line that the board file makes of a field.
 *
 * A report is one byte of id, 0 for a device whose reports have none, and its data. Reports that nobody reads are
 * dropped, oldest first: a program that watches fields only must not hold up the device.
 */
import { Hid, HID_LONGEST, HidCommand, HidResult } from 'dirql/hid'
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
  MmGetSystemAddressForMdlSafe,
  NormalPagePriority,
  type NTSTATUS,
  READ_REGISTER_BUFFER_UCHAR,
  READ_REGISTER_UCHAR,
  READ_REGISTER_ULONG,
  STATUS_BUFFER_TOO_SMALL,
  STATUS_CANCELLED,
  STATUS_DEVICE_NOT_CONNECTED,
  STATUS_INSUFFICIENT_RESOURCES,
  STATUS_INVALID_DEVICE_REQUEST,
  STATUS_INVALID_PARAMETER,
  STATUS_IO_DEVICE_ERROR,
  STATUS_OBJECT_NAME_NOT_FOUND,
  STATUS_SUCCESS,
  WRITE_REGISTER_BUFFER_UCHAR,
  WRITE_REGISTER_ULONG,
} from 'dirql/wdm'
import { BYTES, complete } from '../lib/irp.ts'
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
import { ALL_ONES, levelAt } from '../lib/window.ts'
import { queuesOf, startHid, stopHid, HID, hidOf, withInterrupts, withLock } from './device.ts'
import {
  IOCTL_HID_GET_FEATURE,
  IOCTL_HID_SET_FEATURE,
  IOCTL_HID_SET_OUTPUT_REPORT,
  IOCTL_HID_STATISTICS,
  STATISTICS,
} from './interface.ts'

/** The devices that this driver is for. */
export const hardwareIds = ['dirql\\hid']

const ID_BYTES = 1
const LENGTH_BYTES = 2
// Words of a command.
const REPORT_ID = 0
const INFORMATION = 1

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

const linkName = (hid: HID): string => `\\??\\Hid-${hid.Number}`

/** @irql PASSIVE_LEVEL */
export function addDevice(DriverObject: DRIVER_OBJECT, PhysicalDeviceObject: DEVICE_OBJECT): NTSTATUS {
  const number = Globals.Devices.add(1)
  const initialize = (hid: HID): void => {
    hid.Number = number
    hid.Physical = PhysicalDeviceObject
    KeInitializeSpinLock(hid.InterruptLock)
    KeInitializeSpinLock(hid.Lock)
    KeInitializeDpc(hid.Dpc, hidDpc, hid)
    for (const queue of queuesOf(hid)) initializeQueue(queue, hid.Lock, hid, QUEUE_ROUTINES)
  }
  const opened = { name: `Hid-${number}`, link: `Hid-${number}` }
  return attachDevice(DriverObject, PhysicalDeviceObject, HID, initialize, opened)
}

const PNP: PnpRoutines = {
  start,
  stop: (device) => stopHid(hidOf(device)),
  remove: (device) => void IoDeleteSymbolicLink(linkName(hidOf(device))),
}

/** @irql PASSIVE_LEVEL */
export function pnp(DeviceObject: DEVICE_OBJECT, Irp: IRP): Promise<NTSTATUS> {
  return dispatchPnp(DeviceObject, hidOf(DeviceObject).Lower as DEVICE_OBJECT, Irp, PNP)
}

async function start(device: DEVICE_OBJECT, resources: Resources): Promise<NTSTATUS> {
  const hid = hidOf(device)
  const names = await mappedNames(hid.Physical as DEVICE_OBJECT)
  return startHid(hid, resources, names, { data: dataIsr, complete: completeIsr, field: fieldIsr })
}

// Interrupts.

/** Input reports came. @irql DIRQL, interrupt spin lock held */
export function dataIsr(_Interrupt: KINTERRUPT, hid: HID): boolean {
  const reports = READ_REGISTER_ULONG(hid.Registers + Hid.REPORTS)
  if (reports === hid.Told || reports === ALL_ONES) return false
  hid.Told = reports
  for (let left = levelAt(hid.Registers + Hid.DATA_LEVEL); left > 0; left--) {
    takeByte(hid, READ_REGISTER_UCHAR(hid.Registers + Hid.DATA))
  }
  KeInsertQueueDpc(hid.Dpc, null, null)
  return true
}

/** Of two bytes of length, and so many bytes. */
function takeByte(hid: HID, byte: number): void {
  const { Partial } = hid
  Partial[hid.PartialLength] = byte
  hid.PartialLength += 1
  const length = (Partial[0] ?? 0) | ((Partial[1] ?? 0) << 8)
  if (hid.PartialLength < LENGTH_BYTES || hid.PartialLength < LENGTH_BYTES + length) return
  putRecord(hid.Ring, length, (index) => Partial[LENGTH_BYTES + index] ?? 0)
  hid.PartialLength = 0
}

/** A command has ended. @irql DIRQL, interrupt spin lock held */
export function completeIsr(_Interrupt: KINTERRUPT, hid: HID): boolean {
  const completed = READ_REGISTER_ULONG(hid.Registers + Hid.COMPLETED)
  if (completed === hid.Completed || completed === ALL_ONES) return false
  hid.Completed = completed
  hid.Result = READ_REGISTER_ULONG(hid.Registers + Hid.RESULT)
  KeInsertQueueDpc(hid.Dpc, null, null)
  return true
}

/** A field of a report has changed. @irql DIRQL, interrupt spin lock held */
export function fieldIsr(_Interrupt: KINTERRUPT, line: MAPPED_LINE): boolean {
  return takeMapped(line)
}

/** @irql DISPATCH_LEVEL */
export function hidDpc(_Dpc: KDPC, hid: HID): void {
  serveAll(hid)
}

function serveAll(hid: HID): void {
  serve(hid.Reads, (request) => hid.IsThere !== 0 && withInterrupts(hid, () => stepRead(hid, request)))
  serve(hid.Commands, (request) => hid.IsThere !== 0 && stepCommand(hid, request))
  serve(hid.Watches, (request) => hid.IsThere !== 0 && withInterrupts(hid, () => stepWatch(request)), true)
}

/** Gives one input report, whole: one that does not fit stays for a larger read. */
function stepRead({ Ring }: HID, request: REQUEST): boolean {
  if (!hasRecord(Ring)) return false
  if (nextLength(Ring) > request.Length) return finish(request, STATUS_BUFFER_TOO_SMALL)
  request.Done = takeRecord(Ring, request.Buffer)
  return finish(request, STATUS_SUCCESS)
}

/** One command at a time: one that was cancelled still has to end before the next is given. */
function stepCommand(hid: HID, request: REQUEST): boolean {
  const { completed, result } = withInterrupts(hid, () => ({ completed: hid.Completed, result: hid.Result }))
  if (completed !== hid.Posted) return false
  if (request.IsStarted !== 0) return endCommand(hid, request, result)
  request.IsStarted = 1
  const { Registers } = hid
  emptyFeature(hid)
  WRITE_REGISTER_ULONG(Registers + Hid.COMMAND, HidCommand.CLEAR)
  WRITE_REGISTER_ULONG(Registers + Hid.REPORT_ID, request.Words[REPORT_ID] ?? 0)
  WRITE_REGISTER_ULONG(Registers + Hid.LENGTH, Math.min(request.Length, HID_LONGEST))
  if (request.Kind !== HidCommand.GET_FEATURE && request.Length > 0) {
    WRITE_REGISTER_BUFFER_UCHAR(Registers + Hid.OUTPUT, request.Buffer, request.Length)
  }
  WRITE_REGISTER_ULONG(Registers + Hid.COMMAND, request.Kind)
  hid.Posted += 1
  return false
}

function endCommand(hid: HID, request: REQUEST, result: number): true {
  request.Done = request.Kind === HidCommand.GET_FEATURE ? takeFeature(hid, request) : (request.Words[INFORMATION] ?? 0)
  if ((result & HidResult.INVALID) !== 0) return finish(request, STATUS_INVALID_PARAMETER)
  return finish(request, (result & HidResult.FAILED) === 0 ? STATUS_SUCCESS : STATUS_IO_DEVICE_ERROR)
}

/** Id and data of the feature report that was got. */
function takeFeature({ Registers }: HID, { Buffer, Length }: REQUEST): number {
  if (levelAt(Registers + Hid.FEATURE_LEVEL) === 0) return 0
  const low = READ_REGISTER_UCHAR(Registers + Hid.FEATURE)
  const length = low | (READ_REGISTER_UCHAR(Registers + Hid.FEATURE) << 8)
  const count = Math.min(length, Length + ID_BYTES)
  if (count > 0) READ_REGISTER_BUFFER_UCHAR(Registers + Hid.FEATURE, Buffer, count)
  return count
}

/** A command that was cancelled may have left bytes. */
function emptyFeature({ Registers }: HID): void {
  for (let left = levelAt(Registers + Hid.FEATURE_LEVEL); left > 0; left--) {
    READ_REGISTER_UCHAR(Registers + Hid.FEATURE)
  }
}

function stepWatch(request: REQUEST): boolean {
  return tellLine(request, fileOf(request.Irp as IRP)?.FsContext as LINE_FILE)
}

const fileOf = (irp: IRP): FILE_OBJECT | null => IoGetCurrentIrpStackLocation(irp).FileObject

// The queues.

/** What was behind a request that is cancelled may be first now. */
const QUEUE_ROUTINES = queueRoutines((queue) => serveAll(new HID(queue.Owner)))
export const { insertIrp, removeIrp, peekNextIrp, acquireLock, releaseLock, completeCancelledIrp } = QUEUE_ROUTINES

// Requests.

/** The device itself, or the line of a field below it. @irql PASSIVE_LEVEL */
export async function create(DeviceObject: DEVICE_OBJECT, Irp: IRP): Promise<NTSTATUS> {
  const hid = hidOf(DeviceObject)
  const file = fileOf(Irp)
  const name = file === null ? '' : nameOf(file.FileName).replace(/^\\/, '').toLowerCase()
  if (file === null || name === '') return complete(Irp, STATUS_SUCCESS)
  const names = await mappedNames(hid.Physical as DEVICE_OBJECT)
  const index = names.findIndex((line) => line.name.toLowerCase() === name)
  if (index < 0 || index >= hid.FieldCount) return complete(Irp, STATUS_OBJECT_NAME_NOT_FOUND)
  const opened = openLine(hid.Fields.at(index))
  file.FsContext = opened
  return complete(Irp, opened === null ? STATUS_INSUFFICIENT_RESOURCES : STATUS_SUCCESS)
}

/** @irql PASSIVE_LEVEL */
export function cleanup(DeviceObject: DEVICE_OBJECT, Irp: IRP): NTSTATUS {
  const file = fileOf(Irp)
  if (file !== null) for (const queue of queuesOf(hidOf(DeviceObject))) drain(queue, STATUS_CANCELLED, file)
  return complete(Irp, STATUS_SUCCESS)
}

/** @irql PASSIVE_LEVEL */
export function close(_DeviceObject: DEVICE_OBJECT, Irp: IRP): NTSTATUS {
  const file = fileOf(Irp)
  if (file !== null) closeLine(file)
  return complete(Irp, STATUS_SUCCESS)
}

/** Gives an input report, or what a field's line tells. @irql <= DISPATCH_LEVEL */
export function read(DeviceObject: DEVICE_OBJECT, Irp: IRP): NTSTATUS {
  const hid = hidOf(DeviceObject)
  const { Length } = IoGetCurrentIrpStackLocation(Irp).Parameters.Read
  const isLine = (fileOf(Irp)?.FsContext ?? null) !== null
  if (isLine && Length < LINE_EVENT.size) return complete(Irp, STATUS_BUFFER_TOO_SMALL)
  const wish = { buffer: Irp.AssociatedIrp.SystemBuffer, length: Length }
  const status = enqueue(isLine ? hid.Watches : hid.Reads, Irp, wish)
  serveAll(hid)
  return status
}

/** Sends an output report. @irql <= DISPATCH_LEVEL */
export function write(DeviceObject: DEVICE_OBJECT, Irp: IRP): NTSTATUS {
  const { Length } = IoGetCurrentIrpStackLocation(Irp).Parameters.Write
  return send(hidOf(DeviceObject), Irp, HidCommand.SEND_OUTPUT, Length, Length)
}

/** A report as HID has it: one byte of id, 0 where reports have none, and the data. */
function send(hid: HID, Irp: IRP, kind: number, length: number, information: number): NTSTATUS {
  const isLine = (fileOf(Irp)?.FsContext ?? null) !== null
  if (isLine) return complete(Irp, STATUS_INVALID_DEVICE_REQUEST)
  if (length < ID_BYTES) return complete(Irp, STATUS_BUFFER_TOO_SMALL)
  if (length > ID_BYTES + HID_LONGEST) return complete(Irp, STATUS_INVALID_PARAMETER)
  const buffer = Irp.AssociatedIrp.SystemBuffer
  const id = new BYTES(buffer).Data[0] ?? 0
  const wish = { buffer: buffer + ID_BYTES, length: length - ID_BYTES, kind, words: [id, information] }
  const status = enqueue(hid.Commands, Irp, wish)
  serveAll(hid)
  return status
}

/** Gets the feature report whose id is the first byte of the input. */
function getFeature(hid: HID, Irp: IRP, inputLength: number, outputLength: number): NTSTATUS {
  const { MdlAddress } = Irp
  const isLine = (fileOf(Irp)?.FsContext ?? null) !== null
  if (isLine) return complete(Irp, STATUS_INVALID_DEVICE_REQUEST)
  if (outputLength < ID_BYTES || MdlAddress === null) return complete(Irp, STATUS_BUFFER_TOO_SMALL)
  const buffer = MmGetSystemAddressForMdlSafe(MdlAddress, NormalPagePriority)
  if (buffer === null || buffer === 0) return complete(Irp, STATUS_INSUFFICIENT_RESOURCES)
  const id = inputLength > 0 ? (new BYTES(Irp.AssociatedIrp.SystemBuffer).Data[0] ?? 0) : 0
  const wish = { buffer, length: outputLength - ID_BYTES, kind: HidCommand.GET_FEATURE, words: [id] }
  const status = enqueue(hid.Commands, Irp, wish)
  serveAll(hid)
  return status
}

/** @irql <= DISPATCH_LEVEL */
export function control(DeviceObject: DEVICE_OBJECT, Irp: IRP): NTSTATUS {
  const hid = hidOf(DeviceObject)
  const { IoControlCode, InputBufferLength, OutputBufferLength } =
    IoGetCurrentIrpStackLocation(Irp).Parameters.DeviceIoControl
  switch (IoControlCode) {
    case IOCTL_HID_SET_FEATURE:
      return send(hid, Irp, HidCommand.SEND_FEATURE, InputBufferLength, 0)
    case IOCTL_HID_SET_OUTPUT_REPORT:
      return send(hid, Irp, HidCommand.SEND_OUTPUT, InputBufferLength, 0)
    case IOCTL_HID_GET_FEATURE:
      return getFeature(hid, Irp, InputBufferLength, OutputBufferLength)
    case IOCTL_HID_STATISTICS:
      return tellStatistics(hid, Irp, OutputBufferLength)
    default:
      return complete(Irp, STATUS_INVALID_DEVICE_REQUEST)
  }
}

function tellStatistics(hid: HID, Irp: IRP, room: number): NTSTATUS {
  if (room < STATISTICS.size) return complete(Irp, STATUS_BUFFER_TOO_SMALL)
  const told = withLock(hid, () => {
    if (hid.IsThere === 0) return null
    const DeviceLost = READ_REGISTER_ULONG(hid.Registers + Hid.LOST)
    return withInterrupts(hid, () => ({ Reports: hid.Told, DeviceLost, Lost: hid.Ring.Lost, Commands: hid.Completed }))
  })
  if (told === null) return complete(Irp, STATUS_DEVICE_NOT_CONNECTED)
  Object.assign(new STATISTICS(Irp.AssociatedIrp.SystemBuffer), told)
  return complete(Irp, STATUS_SUCCESS, STATISTICS.size)
}
