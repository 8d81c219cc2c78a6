/**
 * Device queues (KDEVICE_QUEUE): requests that wait while a device is busy (wdm-facts §14.7).
 *
 * The first entry that finds the device idle is not queued: its inserter serves it, and asks for the next one then.
 */
import { read32, read8, readU32, write16, write32, write8 } from '../mm/access.ts'
import { initializeList, insertTail, isEmpty, LIST_ENTRY, removeEntry } from '../rtl/list.ts'
import { BOOLEAN, SHORT, struct, ULONG } from '../rtl/struct.ts'
import { ObjectType } from './layouts.ts'
import { assertIrqlAtLeast, DISPATCH_LEVEL, enter } from './level.ts'
import { acquireWord, releaseWord } from './spin.ts'

/** Guarded by Lock. */
export const KDEVICE_QUEUE = struct('KDEVICE_QUEUE', {
  Type: SHORT,
  Size: SHORT,
  DeviceListHead: LIST_ENTRY, // KDEVICE_QUEUE_ENTRYs
  Lock: ULONG,
  Busy: BOOLEAN,
})
export interface KDEVICE_QUEUE extends InstanceType<typeof KDEVICE_QUEUE> {}

/** Guarded by the Lock of its queue. */
export const KDEVICE_QUEUE_ENTRY = struct('KDEVICE_QUEUE_ENTRY', {
  DeviceListEntry: LIST_ENTRY,
  SortKey: ULONG,
  Inserted: BOOLEAN,
})
export interface KDEVICE_QUEUE_ENTRY extends InstanceType<typeof KDEVICE_QUEUE_ENTRY> {}

const { Type, Size, DeviceListHead, Lock, Busy } = KDEVICE_QUEUE.offsets
const { DeviceListEntry, SortKey, Inserted } = KDEVICE_QUEUE_ENTRY.offsets

export function initializeDeviceQueue(queue: number): void {
  write16(queue + Type, ObjectType.DeviceQueueObject)
  write16(queue + Size, KDEVICE_QUEUE.size)
  initializeList(queue + DeviceListHead)
  write32(queue + Lock, 0)
  write8(queue + Busy, 0)
}

/** Queues an entry, sorted if it has a key; false when the device was idle: it is busy with this entry now. */
export function insertDeviceQueue(queue: number, entry: number, key: number | null): boolean {
  acquireWord(queue + Lock)
  const wasBusy = read8(queue + Busy) !== 0
  if (key !== null) write32(entry + SortKey, key)
  write8(queue + Busy, 1)
  write8(entry + Inserted, wasBusy ? 1 : 0)
  if (wasBusy) {
    const before = key === null ? queue + DeviceListHead : firstAbove(queue, key >>> 0)
    insertTail(before, entry + DeviceListEntry) // the tail of a list that began at `before`
  }
  releaseWord(queue + Lock)
  return wasBusy
}

/** The list entry of the first one with a key above `key`; the head when there is none. */
function firstAbove(queue: number, key: number): number {
  const head = queue + DeviceListHead
  let entry = read32(head)
  while (entry !== head && readU32(entry - DeviceListEntry + SortKey) <= key) entry = read32(entry)
  return entry
}

/** Takes the next entry: with a key, the first one that has it or a higher one, else the first. 0: the device is idle. */
export function removeDeviceQueue(queue: number, key: number | null): number {
  acquireWord(queue + Lock)
  const head = queue + DeviceListHead
  let entry = 0
  if (isEmpty(head)) {
    write8(queue + Busy, 0)
  } else {
    const link = key === null || key === 0 ? head : firstAbove(queue, (key >>> 0) - 1)
    entry = (link === head ? read32(head) : link) - DeviceListEntry
    takeOut(entry)
  }
  releaseWord(queue + Lock)
  return entry
}

function takeOut(entry: number): void {
  removeEntry(entry + DeviceListEntry)
  write8(entry + Inserted, 0)
}

/** Takes a certain entry out; false when it was not queued. */
export function removeEntryDeviceQueue(queue: number, entry: number): boolean {
  acquireWord(queue + Lock)
  const wasInserted = read8(entry + Inserted) !== 0
  if (wasInserted) takeOut(entry)
  releaseWord(queue + Lock)
  return wasInserted
}

function enterDispatch(routine: string): void {
  enter(DISPATCH_LEVEL, routine)
  assertIrqlAtLeast(DISPATCH_LEVEL, routine)
}

/**
 * Makes an empty queue of a device that is idle.
 *
 * @irql <= DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-keinitializedevicequeue
 */
export function KeInitializeDeviceQueue(DeviceQueue: KDEVICE_QUEUE): void {
  enter(DISPATCH_LEVEL, 'KeInitializeDeviceQueue')
  initializeDeviceQueue(DeviceQueue.address)
}

/**
 * Queues an entry behind the others, if the device is busy; else makes it busy.
 *
 * @irql DISPATCH_LEVEL
 * @returns TRUE when it was queued; FALSE: the device was idle, and the caller begins with this entry now
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-keinsertdevicequeue
 */
export function KeInsertDeviceQueue(DeviceQueue: KDEVICE_QUEUE, DeviceQueueEntry: KDEVICE_QUEUE_ENTRY): boolean {
  enterDispatch('KeInsertDeviceQueue')
  return insertDeviceQueue(DeviceQueue.address, DeviceQueueEntry.address, null)
}

/**
 * Queues an entry behind those with its key or a lower one, if the device is busy; else makes it busy.
 *
 * @irql DISPATCH_LEVEL
 * @returns TRUE when it was queued; FALSE: the device was idle, and the caller begins with this entry now
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-keinsertbykeydevicequeue
 */
export function KeInsertByKeyDeviceQueue(
  DeviceQueue: KDEVICE_QUEUE,
  DeviceQueueEntry: KDEVICE_QUEUE_ENTRY,
  SortKey_: number,
): boolean {
  enterDispatch('KeInsertByKeyDeviceQueue')
  return insertDeviceQueue(DeviceQueue.address, DeviceQueueEntry.address, SortKey_)
}

/**
 * Takes the first entry; without one the device is idle from then on.
 *
 * @irql DISPATCH_LEVEL
 * @returns the entry, or null when none was queued
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-keremovedevicequeue
 */
export function KeRemoveDeviceQueue(DeviceQueue: KDEVICE_QUEUE): KDEVICE_QUEUE_ENTRY | null {
  enterDispatch('KeRemoveDeviceQueue')
  return KDEVICE_QUEUE_ENTRY.at(removeDeviceQueue(DeviceQueue.address, null))
}

/**
 * Takes the first entry whose key is `SortKey` or higher, or the first one of all; without one the device is idle.
 *
 * @irql DISPATCH_LEVEL
 * @returns the entry, or null when none was queued
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-keremovebykeydevicequeue
 */
export function KeRemoveByKeyDeviceQueue(DeviceQueue: KDEVICE_QUEUE, SortKey_: number): KDEVICE_QUEUE_ENTRY | null {
  enterDispatch('KeRemoveByKeyDeviceQueue')
  return KDEVICE_QUEUE_ENTRY.at(removeDeviceQueue(DeviceQueue.address, SortKey_))
}

/**
 * Takes a certain entry out of the queue: for a request that is cancelled.
 *
 * @irql <= DISPATCH_LEVEL
 * @returns TRUE when it was queued; FALSE: it is being served, or was
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-keremoveentrydevicequeue
 */
export function KeRemoveEntryDeviceQueue(DeviceQueue: KDEVICE_QUEUE, DeviceQueueEntry: KDEVICE_QUEUE_ENTRY): boolean {
  enter(DISPATCH_LEVEL, 'KeRemoveEntryDeviceQueue')
  return removeEntryDeviceQueue(DeviceQueue.address, DeviceQueueEntry.address)
}
