/**
 * Work items of a driver (IO_WORKITEM): the device or driver object is referenced while one is queued, so the driver
 * is not unloaded before its routine has returned.
 */
import { atomicCompareExchange, atomicStore, read32, readU32, write32 } from '../mm/access.ts'
import { allocate, free } from '../mm/pool.ts'
import { BugCode } from '../ke/bugcodes.ts'
import { bugCheck } from '../ke/bugcheck.ts'
import { kernelRoutine, type Routine, routineId, routineOf } from '../ke/image.ts'
import { DISPATCH_LEVEL, enter, point } from '../ke/level.ts'
import { initializeWorkItem, queueWorkItem, WORK_QUEUE_ITEM } from '../ex/workitem.ts'
import { dereferenceObject, referenceObject } from '../ob/reference.ts'
import { PVOID, type Pvoid, pvoidOf, storePvoid, struct, ULONG } from '../rtl/struct.ts'
import type { DEVICE_OBJECT, DRIVER_OBJECT } from './layouts.ts'

/** @irql PASSIVE_LEVEL */
export type IO_WORKITEM_ROUTINE = (DeviceObject: DEVICE_OBJECT, Context: never) => void | Promise<void>
/** `IoObject` is what the item was made for: a device or a driver. @irql PASSIVE_LEVEL */
export type IO_WORKITEM_ROUTINE_EX = (IoObject: never, Context: never, IoWorkItem: IO_WORKITEM) => void | Promise<void>

/** The driver's while it is not queued; the size is asked with IoSizeofWorkItem, the fields are not for drivers. */
export const IO_WORKITEM = struct('IO_WORKITEM', {
  WorkItem: WORK_QUEUE_ITEM,
  Routine: ULONG, // routine id
  IoObject: PVOID, // and a reference while it is queued
  Context: PVOID,
  IsQueued: ULONG, // 0 not, 1 by IoQueueWorkItem, 2 by the Ex form; atomic
})
export interface IO_WORKITEM extends InstanceType<typeof IO_WORKITEM> {}

const Item = IO_WORKITEM.offsets
const TAG = 'IoWi'
const PLAIN = 1
const EX = 2

const pvoidAt = (address: number): Pvoid => pvoidOf(readU32(address), readU32(address + 4))

/** What the worker thread calls. The item is the routine's from then on: it may free it or queue it again. */
const work = kernelRoutine(function work(item: number): void | Promise<void> {
  const routine = routineOf(read32(item + Item.Routine))
  const object = read32(item + Item.IoObject)
  const ioObject = pvoidAt(item + Item.IoObject)
  const context = pvoidAt(item + Item.Context)
  const isEx = read32(item + Item.IsQueued) === EX
  atomicStore(item + Item.IsQueued, 0)
  const result: unknown = isEx ? routine(ioObject, context, new IO_WORKITEM(item)) : routine(ioObject, context)
  if (result instanceof Promise) return dropBehind(result, object)
  dereferenceObject(object)
})

async function dropBehind(result: Promise<unknown>, object: number): Promise<void> {
  await result
  dereferenceObject(object)
}

function initialize(item: number, ioObject: DEVICE_OBJECT | DRIVER_OBJECT): void {
  initializeWorkItem(item + Item.WorkItem, routineId(work), item)
  storePvoid(item + Item.IoObject, ioObject)
  write32(item + Item.IsQueued, 0)
}

/**
 * Allocates a work item for a device.
 *
 * @irql <= DISPATCH_LEVEL
 * @returns the item; null when there is no memory
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-ioallocateworkitem
 */
export function IoAllocateWorkItem(DeviceObject: DEVICE_OBJECT): IO_WORKITEM | null {
  enter(DISPATCH_LEVEL, 'IoAllocateWorkItem')
  const item = allocate(IO_WORKITEM.size, TAG)
  if (item === 0) return null
  initialize(item, DeviceObject)
  return new IO_WORKITEM(item)
}

/**
 * Frees a work item of IoAllocateWorkItem that is not queued; its routine may do so.
 *
 * @irql <= DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iofreeworkitem
 */
export function IoFreeWorkItem(IoWorkItem: IO_WORKITEM): void {
  enter(DISPATCH_LEVEL, 'IoFreeWorkItem')
  assertIdle(IoWorkItem.address, 'IoFreeWorkItem')
  free(IoWorkItem.address, TAG)
}

/**
 * Makes a work item of memory of the driver's own, for a device or a driver.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-ioinitializeworkitem
 */
export function IoInitializeWorkItem(IoObject: DEVICE_OBJECT | DRIVER_OBJECT, IoWorkItem: IO_WORKITEM): void {
  point()
  initialize(IoWorkItem.address, IoObject)
}

/**
 * Ends the use of a work item of IoInitializeWorkItem, before its memory is freed.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iouninitializeworkitem
 */
export function IoUninitializeWorkItem(IoWorkItem: IO_WORKITEM): void {
  point()
  assertIdle(IoWorkItem.address, 'IoUninitializeWorkItem')
  write32(IoWorkItem.address + Item.WorkItem + WORK_QUEUE_ITEM.offsets.WorkerRoutine, 0)
}

/**
 * The bytes that a work item needs.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iosizeofworkitem
 */
export function IoSizeofWorkItem(): number {
  return IO_WORKITEM.size
}

/**
 * Queues a work item that is not queued: a system thread calls `WorkerRoutine` with the device at PASSIVE_LEVEL.
 *
 * @irql <= DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-ioqueueworkitem
 */
export function IoQueueWorkItem(
  IoWorkItem: IO_WORKITEM,
  WorkerRoutine: IO_WORKITEM_ROUTINE,
  QueueType: number,
  Context: Pvoid,
): void {
  enter(DISPATCH_LEVEL, 'IoQueueWorkItem')
  queue(IoWorkItem.address, WorkerRoutine, QueueType, Context, PLAIN)
}

/**
 * As IoQueueWorkItem, with the work item itself as the routine's third parameter.
 *
 * @irql <= DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-ioqueueworkitemex
 */
export function IoQueueWorkItemEx(
  IoWorkItem: IO_WORKITEM,
  WorkerRoutine: IO_WORKITEM_ROUTINE_EX,
  QueueType: number,
  Context: Pvoid,
): void {
  enter(DISPATCH_LEVEL, 'IoQueueWorkItemEx')
  queue(IoWorkItem.address, WorkerRoutine, QueueType, Context, EX)
}

function queue(item: number, routine: Routine, type: number, context: Pvoid, form: number): void {
  const id = routineId(routine)
  // Two processors that queue it at once: one of them is wrong, and is told.
  if (atomicCompareExchange(item + Item.IsQueued, 0, form) !== 0) assertIdle(item, 'IoQueueWorkItem')
  write32(item + Item.Routine, id)
  storePvoid(item + Item.Context, context)
  referenceObject(read32(item + Item.IoObject))
  queueWorkItem(item + Item.WorkItem, type)
}

function assertIdle(item: number, routine: string): void {
  if (read32(item + Item.IsQueued) === 0) return
  bugCheck({
    code: BugCode.INVALID_WORK_QUEUE_ITEM,
    parameters: [item, 0, 0, read32(item + Item.Routine)],
    message: `${routine} was given a work item that is queued; wait until its routine has been called`,
  })
}
