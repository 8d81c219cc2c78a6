/**
 * A serial port: the requests of Windows' serial driver over a device of class uart (docs/hardware/uart.md).
 *
 * Reads, writes and waits for events are pending IRPs in cancel-safe queues. ISRs take bytes and counts over, one DPC
 * serves what waits, and one timer ends what has waited too long. README.md tells which requests there are.
 */
import {
  atomic,
  DEVICE_OBJECT,
  type DRIVER_OBJECT,
  FILE_DEVICE_SERIAL_PORT,
  globals,
  type IO_CSQ,
  IoDeleteSymbolicLink,
  IoGetCurrentIrpStackLocation,
  type IRP,
  IRP_MJ_CLEANUP,
  IRP_MJ_CLOSE,
  IRP_MJ_CREATE,
  IRP_MJ_DEVICE_CONTROL,
  IRP_MJ_FLUSH_BUFFERS,
  IRP_MJ_PNP,
  IRP_MJ_READ,
  IRP_MJ_WRITE,
  type KDPC,
  KeInitializeDpc,
  KeInitializeSpinLock,
  KeInitializeTimer,
  LONG,
  NT_SUCCESS,
  type NTSTATUS,
  STATUS_BUFFER_TOO_SMALL,
  STATUS_CANCELLED,
  STATUS_DEVICE_NOT_CONNECTED,
  STATUS_INVALID_PARAMETER,
  STATUS_SUCCESS,
} from 'dirql/wdm'
import { complete } from '../lib/irp.ts'
import { attachDevice, dispatchPnp, type PnpRoutines } from '../lib/pnp.ts'
import {
  AT_HEAD,
  drain,
  enqueue,
  firstRequest,
  initializeQueue,
  insertRequest,
  queueOf,
  queueRoutines,
} from '../lib/requests.ts'
import { answer, WORD } from './control.ts'
import { start, stop } from './hardware.ts'
import {
  IOCTL_SERIAL_IMMEDIATE_CHAR,
  IOCTL_SERIAL_PURGE,
  IOCTL_SERIAL_SET_QUEUE_SIZE,
  IOCTL_SERIAL_SET_WAIT_MASK,
  IOCTL_SERIAL_WAIT_ON_MASK,
  SERIAL_QUEUE_SIZE,
} from './ntddser.ts'
import { PORT, portOf, withInterrupts, withLock } from './port.ts'
import { forgetReceived } from './receive.ts'
import { purge, setQueueSize, setWaitMask } from './requests.ts'
import { serveAll, Write } from './transfer.ts'

// What the kernel calls besides: routines of this driver are its exports.
export { ctsIsr, dataIsr, dcdIsr, dsrIsr, riIsr, transmitIsr } from './interrupts.ts'

/** The devices that this driver is for. */
export const hardwareIds = ['dirql\\uart']

/** How many ports there were: each gets a number for its name. */
export const Globals = globals({ Ports: atomic(LONG) })

/** @irql PASSIVE_LEVEL */
export function DriverEntry(DriverObject: DRIVER_OBJECT): NTSTATUS {
  DriverObject.MajorFunction.set(IRP_MJ_CREATE, create)
  DriverObject.MajorFunction.set(IRP_MJ_CLEANUP, cleanup)
  DriverObject.MajorFunction.set(IRP_MJ_CLOSE, close)
  DriverObject.MajorFunction.set(IRP_MJ_READ, read)
  DriverObject.MajorFunction.set(IRP_MJ_WRITE, write)
  DriverObject.MajorFunction.set(IRP_MJ_FLUSH_BUFFERS, flushBuffers)
  DriverObject.MajorFunction.set(IRP_MJ_DEVICE_CONTROL, control)
  DriverObject.MajorFunction.set(IRP_MJ_PNP, pnp)
  if (DriverObject.DriverExtension !== null) DriverObject.DriverExtension.AddDevice = addDevice
  DriverObject.DriverUnload = unload
  return STATUS_SUCCESS
}

/** PnP has removed the devices before. @irql PASSIVE_LEVEL */
export function unload(_DriverObject: DRIVER_OBJECT): void {}

/** Windows counts COM ports from 1. */
const linkName = (number: number): string => `COM${number + 1}`

/** @irql PASSIVE_LEVEL */
export function addDevice(DriverObject: DRIVER_OBJECT, PhysicalDeviceObject: DEVICE_OBJECT): NTSTATUS {
  const number = Globals.Ports.add(1)
  const initialize = (port: PORT): void => {
    port.Number = number
    KeInitializeSpinLock(port.InterruptLock)
    KeInitializeSpinLock(port.Lock)
    KeInitializeTimer(port.Timer)
    KeInitializeDpc(port.TimerDpc, timeoutDpc, port)
    KeInitializeDpc(port.Dpc, portDpc, port)
    for (const queue of [port.Reads, port.Writes, port.Waits]) initializeQueue(queue, port.Lock, port, QUEUE_ROUTINES)
  }
  const opened = { name: `Serial${number}`, link: linkName(number), type: FILE_DEVICE_SERIAL_PORT, isExclusive: true }
  return attachDevice(DriverObject, PhysicalDeviceObject, PORT, initialize, opened)
}

const PNP: PnpRoutines = { start, stop, remove }

/** @irql PASSIVE_LEVEL */
export function pnp(DeviceObject: DEVICE_OBJECT, Irp: IRP): Promise<NTSTATUS> {
  return dispatchPnp(DeviceObject, portOf(DeviceObject).Lower as DEVICE_OBJECT, Irp, PNP)
}

function remove(device: DEVICE_OBJECT): void {
  IoDeleteSymbolicLink(`\\??\\${linkName(portOf(device).Number)}`)
}

/** Something happened, or there is room: serves what waits. @irql DISPATCH_LEVEL */
export function portDpc(_Dpc: KDPC, port: PORT): void {
  serveAll(port)
}

/** @irql DISPATCH_LEVEL */
export function timeoutDpc(_Dpc: KDPC, port: PORT): void {
  withLock(port, () => {
    port.NextTimeout = 0
  })
  serveAll(port)
}

// The queues.

/** One wait at a time, and only for what may come; one urgent byte at a time. Lock held. */
function insertAllowed(csq: IO_CSQ, irp: IRP, place: unknown): NTSTATUS {
  const queue = queueOf(csq)
  const port = new PORT(queue.Owner)
  const first = firstRequest(queue)
  if (queue.address === port.Waits.address && (first !== null || port.WaitMask === 0)) return STATUS_INVALID_PARAMETER
  if (place === AT_HEAD && first?.Kind === Write.Immediate) return STATUS_INVALID_PARAMETER
  return insertRequest(csq, irp, place)
}

/** What was behind a request that is cancelled may be first now. */
const QUEUE_ROUTINES = queueRoutines((queue) => serveAll(new PORT(queue.Owner)), insertAllowed)
export const { insertIrp, removeIrp, peekNextIrp, acquireLock, releaseLock, completeCancelledIrp } = QUEUE_ROUTINES

// Requests.

/** A port listens from now on. @irql PASSIVE_LEVEL */
export function create(DeviceObject: DEVICE_OBJECT, Irp: IRP): NTSTATUS {
  const port = portOf(DeviceObject)
  const isThere = withLock(port, () => {
    if (port.IsThere === 0) return false
    forgetReceived(port)
    withInterrupts(port, () => {
      port.IsListening = 1
      port.WaitMask = 0
      port.History = 0
      port.Errors = 0
    })
    return true
  })
  return complete(Irp, isThere ? STATUS_SUCCESS : STATUS_DEVICE_NOT_CONNECTED)
}

/** The last handle is closed: nobody wants to know any more. @irql PASSIVE_LEVEL */
export function cleanup(DeviceObject: DEVICE_OBJECT, Irp: IRP): NTSTATUS {
  const port = portOf(DeviceObject)
  for (const queue of [port.Reads, port.Writes, port.Waits]) drain(queue, STATUS_CANCELLED)
  return complete(Irp, STATUS_SUCCESS)
}

/** @irql PASSIVE_LEVEL */
export function close(DeviceObject: DEVICE_OBJECT, Irp: IRP): NTSTATUS {
  const port = portOf(DeviceObject)
  withLock(port, () => {
    if (port.IsThere === 0) return
    withInterrupts(port, () => {
      port.IsListening = 0
    })
    forgetReceived(port)
  })
  return complete(Irp, STATUS_SUCCESS)
}

/** @irql <= DISPATCH_LEVEL */
export function read(DeviceObject: DEVICE_OBJECT, Irp: IRP): NTSTATUS {
  const port = portOf(DeviceObject)
  const { Length } = IoGetCurrentIrpStackLocation(Irp).Parameters.Read
  if (Length === 0) return complete(Irp, STATUS_SUCCESS)
  const status = enqueue(port.Reads, Irp, { buffer: Irp.AssociatedIrp.SystemBuffer, length: Length })
  serveAll(port)
  return status
}

/** @irql <= DISPATCH_LEVEL */
export function write(DeviceObject: DEVICE_OBJECT, Irp: IRP): NTSTATUS {
  const port = portOf(DeviceObject)
  const { Length } = IoGetCurrentIrpStackLocation(Irp).Parameters.Write
  if (Length === 0) return complete(Irp, STATUS_SUCCESS)
  const status = enqueue(port.Writes, Irp, { buffer: Irp.AssociatedIrp.SystemBuffer, length: Length })
  serveAll(port)
  return status
}

/** Ends when all that was written before has left the port. @irql <= DISPATCH_LEVEL */
export function flushBuffers(DeviceObject: DEVICE_OBJECT, Irp: IRP): NTSTATUS {
  const port = portOf(DeviceObject)
  const status = enqueue(port.Writes, Irp, { buffer: 0, length: 0, kind: Write.Flush })
  serveAll(port)
  return status
}

/** @irql <= DISPATCH_LEVEL */
export function control(DeviceObject: DEVICE_OBJECT, Irp: IRP): NTSTATUS {
  const port = portOf(DeviceObject)
  const { IoControlCode, InputBufferLength, OutputBufferLength } =
    IoGetCurrentIrpStackLocation(Irp).Parameters.DeviceIoControl
  const buffer = Irp.AssociatedIrp.SystemBuffer
  switch (IoControlCode) {
    case IOCTL_SERIAL_WAIT_ON_MASK:
      if (OutputBufferLength < WORD.size) return complete(Irp, STATUS_BUFFER_TOO_SMALL)
      return served(port, enqueue(port.Waits, Irp, { buffer, length: WORD.size }))
    case IOCTL_SERIAL_IMMEDIATE_CHAR:
      if (InputBufferLength < 1) return complete(Irp, STATUS_BUFFER_TOO_SMALL)
      return served(port, enqueue(port.Writes, Irp, { buffer, length: 1, kind: Write.Immediate, isFirst: true }))
    case IOCTL_SERIAL_SET_WAIT_MASK:
      if (InputBufferLength < WORD.size) return complete(Irp, STATUS_BUFFER_TOO_SMALL)
      return complete(Irp, setWaitMask(port, new WORD(buffer).Value))
    case IOCTL_SERIAL_PURGE:
      if (InputBufferLength < WORD.size) return complete(Irp, STATUS_BUFFER_TOO_SMALL)
      return complete(Irp, purge(port, new WORD(buffer).Value))
    case IOCTL_SERIAL_SET_QUEUE_SIZE:
      if (InputBufferLength < SERIAL_QUEUE_SIZE.size) return complete(Irp, STATUS_BUFFER_TOO_SMALL)
      return complete(Irp, setQueueSize(port, new SERIAL_QUEUE_SIZE(buffer).InSize))
    default: {
      const { status, information } = answer(port, IoControlCode, buffer, InputBufferLength, OutputBufferLength)
      if (NT_SUCCESS(status)) serveAll(port) // flow control may let something go on
      return complete(Irp, status, information)
    }
  }
}

function served(port: PORT, status: NTSTATUS): NTSTATUS {
  serveAll(port)
  return status
}
