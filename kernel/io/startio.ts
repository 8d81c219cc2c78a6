/**
 * StartIo: the I/O manager queues a device's requests and has its driver start one at a time.
 *
 * CurrentIrp belongs to who has made the device busy: IoStartPacket on an idle device, then IoStartNextPacket.
 */
import { atomicAdd, read32, read8, write32, write8 } from '../mm/access.ts'
import { BugCode } from '../ke/bugcodes.ts'
import { bugCheck, escapedException } from '../ke/bugcheck.ts'
import { insertDeviceQueue, removeDeviceQueue } from '../ke/devicequeue.ts'
import { routineId, routineOf } from '../ke/image.ts'
import {
  assertIrqlAtLeast,
  currentIrql,
  DISPATCH_LEVEL,
  enter,
  levelName,
  lowerIrql,
  point,
  raiseIrql,
} from '../ke/level.ts'
import { acquireCancelLock, exchangeCancelRoutine, releaseCancelLock } from './cancel.ts'
import type { Synchronous } from '../rtl/struct.ts'
import { DEVICE_OBJECT, type DRIVER_CANCEL, DRIVER_OBJECT, IRP, Irp } from './layouts.ts'

const { CurrentIrp, DeviceQueue, DriverObject, StartIoFlags, StartIoCount, StartIoKey } = DEVICE_OBJECT.offsets

/** DEVICE_OBJECT.StartIoFlags */
const DEFERRED = 1
const NON_CANCELABLE = 2
/** What a deferred IoStartNextPacket asked for. */
const NEXT_BY_KEY = 4
const NEXT_CANCELABLE = 8

/**
 * Starts an IRP that was marked pending, if the device is idle, else queues it: behind the others, or, with a `Key`,
 * behind those whose key is not higher.
 *
 * @irql <= DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntifs/nf-ntifs-iostartpacket
 */
export function IoStartPacket(
  DeviceObject: DEVICE_OBJECT,
  Irp_: IRP,
  Key: number | null,
  CancelFunction: Synchronous<DRIVER_CANCEL> | null,
): void {
  enter(DISPATCH_LEVEL, 'IoStartPacket')
  const device = DeviceObject.address
  const irp = Irp_.address
  const cancel = CancelFunction === null ? 0 : routineId(CancelFunction)
  const before = raiseIrql(DISPATCH_LEVEL)
  if (cancel === 0) startOrQueue(device, irp, Key)
  else startOrQueueCancelable(device, irp, Key, cancel)
  lowerIrql(before)
}

const insert = (device: number, irp: number, key: number | null): boolean =>
  insertDeviceQueue(device + DeviceQueue, irp + Irp.DeviceQueueEntry, key)

function startOrQueue(device: number, irp: number, key: number | null): void {
  if (insert(device, irp, key)) return
  write32(device + CurrentIrp, irp)
  startFirst(device, irp)
}

function startOrQueueCancelable(device: number, irp: number, key: number | null, cancel: number): void {
  const irql = acquireCancelLock()
  exchangeCancelRoutine(irp, cancel)
  if (insert(device, irp, key)) {
    // Cancelled before the routine was there: nobody else calls it.
    const isCancelled = read8(irp + Irp.Cancel) !== 0 && exchangeCancelRoutine(irp, 0) !== 0
    if (isCancelled) callCancel(device, irp, cancel, irql)
    else releaseCancelLock(irql)
    return
  }
  write32(device + CurrentIrp, irp)
  if ((read8(device + StartIoFlags) & NON_CANCELABLE) !== 0) exchangeCancelRoutine(irp, 0)
  releaseCancelLock(irql)
  startFirst(device, irp)
}

/** The routine gives back the cancel spin lock. */
function callCancel(device: number, irp: number, id: number, irql: number): void {
  write8(irp + Irp.CancelIrql, irql)
  const routine = routineOf(id)
  try {
    routine(new DEVICE_OBJECT(device), new IRP(irp))
  } catch (error) {
    escapedException(error, `cancel routine ${routine.name}`)
  }
}

/** Starts what came to an idle device; with deferred StartIo, also what is asked for meanwhile. */
function startFirst(device: number, irp: number): void {
  if ((read8(device + StartIoFlags) & DEFERRED) === 0) {
    callStartIo(device, irp)
    return
  }
  atomicAdd(device + StartIoCount, 1)
  callStartIo(device, irp)
  startDeferred(device)
}

/** Serves the IoStartNextPacket calls that came while StartIo ran, one by one. */
function startDeferred(device: number): void {
  while (atomicAdd(device + StartIoCount, -1) > 1) {
    const flags = read8(device + StartIoFlags)
    const key = (flags & NEXT_BY_KEY) === 0 ? null : read32(device + StartIoKey)
    startNext(device, key, (flags & NEXT_CANCELABLE) !== 0)
  }
}

function callStartIo(device: number, irp: number): void {
  const routine = routineOf(read32(read32(device + DriverObject) + DRIVER_OBJECT.offsets.DriverStartIo))
  try {
    routine(new DEVICE_OBJECT(device), new IRP(irp))
  } catch (error) {
    escapedException(error, `StartIo routine ${routine.name}`)
  }
  if (currentIrql() !== DISPATCH_LEVEL) changedIrql(routine.name)
}

function changedIrql(name: string): never {
  const irql = currentIrql()
  return bugCheck({
    code: BugCode.IRQL_UNEXPECTED_VALUE,
    parameters: [(irql << 16) | (DISPATCH_LEVEL << 8)],
    message: `StartIo routine ${name} returned at ${levelName(irql)}; it was called at DISPATCH_LEVEL and must return there`,
  })
}

/** Takes the next IRP out of the queue and starts it. */
function startNext(device: number, key: number | null, isCancelable: boolean): void {
  const irql = isCancelable ? acquireCancelLock() : DISPATCH_LEVEL
  write32(device + CurrentIrp, 0)
  const entry = removeDeviceQueue(device + DeviceQueue, key)
  const irp = entry === 0 ? 0 : entry - Irp.DeviceQueueEntry
  write32(device + CurrentIrp, irp)
  if (irp !== 0 && isCancelable && (read8(device + StartIoFlags) & NON_CANCELABLE) !== 0) exchangeCancelRoutine(irp, 0)
  if (isCancelable) releaseCancelLock(irql)
  if (irp !== 0) callStartIo(device, irp)
}

/** Starts the next IRP now, or has the StartIo that is running followed by it. */
function requestNext(device: number, key: number | null, isCancelable: boolean): void {
  const before = raiseIrql(DISPATCH_LEVEL)
  const flags = read8(device + StartIoFlags)
  if ((flags & DEFERRED) === 0) {
    startNext(device, key, isCancelable)
  } else {
    const how = (key === null ? 0 : NEXT_BY_KEY) | (isCancelable ? NEXT_CANCELABLE : 0)
    write8(device + StartIoFlags, (flags & (DEFERRED | NON_CANCELABLE)) | how)
    write32(device + StartIoKey, key ?? 0)
    if (atomicAdd(device + StartIoCount, 1) === 0) {
      startNext(device, key, isCancelable)
      startDeferred(device)
    }
  }
  lowerIrql(before)
}

/**
 * The device is done with CurrentIrp: starts the next one, or makes the device idle. Pass TRUE for `Cancelable` when
 * the IRPs have cancel routines.
 *
 * @irql DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntifs/nf-ntifs-iostartnextpacket
 */
export function IoStartNextPacket(DeviceObject: DEVICE_OBJECT, Cancelable: boolean): void {
  enter(DISPATCH_LEVEL, 'IoStartNextPacket')
  assertIrqlAtLeast(DISPATCH_LEVEL, 'IoStartNextPacket')
  requestNext(DeviceObject.address, null, Boolean(Cancelable))
}

/**
 * As IoStartNextPacket, beginning with the first IRP whose key is `Key` or higher.
 *
 * @irql <= DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntifs/nf-ntifs-iostartnextpacketbykey
 */
export function IoStartNextPacketByKey(DeviceObject: DEVICE_OBJECT, Cancelable: boolean, Key: number): void {
  enter(DISPATCH_LEVEL, 'IoStartNextPacketByKey')
  requestNext(DeviceObject.address, Key, Boolean(Cancelable))
}

/**
 * Says how StartIo is called: `DeferredStartIo` TRUE: not again while it runs; `NonCancelable` TRUE: with the IRP's
 * cancel routine taken out.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntifs/nf-ntifs-iosetstartioattributes
 */
export function IoSetStartIoAttributes(
  DeviceObject: DEVICE_OBJECT,
  DeferredStartIo: boolean,
  NonCancelable: boolean,
): void {
  point()
  const flags = (DeferredStartIo ? DEFERRED : 0) | (NonCancelable ? NON_CANCELABLE : 0)
  write8(DeviceObject.address + StartIoFlags, flags)
}
