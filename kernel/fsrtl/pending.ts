/**
 * Requests that wait for a change: the IRPs of a notify structure, the oldest first.
 *
 * Whoever exchanges an IRP's cancel routine for null owns it. One that is being cancelled stays in the queue until its
 * cancel routine has the lock, and everybody else passes it by. Caller holds the notify lock.
 */
import { read32, readU32, write32 } from '../mm/access.ts'
import { exchangeCancelRoutine } from '../io/cancel.ts'
import { completeRequest } from '../io/complete.ts'
import { markPending } from '../io/irp.ts'
import { Irp } from '../io/layouts.ts'
import { Root } from '../ke/pcr.ts'
import { removeEntry } from '../rtl/list.ts'
import { type NTSTATUS, STATUS_CANCELLED, STATUS_NOTIFY_ENUM_DIR, STATUS_SUCCESS } from '../rtl/status.ts'
import { bufferOf, copyData, dropBuffer, moveDataFrom, roomOf } from './buffer.ts'
import { dereferenceChange, referenceChange } from './change.ts'
import { clearFlag } from './flags.ts'
import { Change, NOTIFY_IMMEDIATELY } from './layouts.ts'

/** The file system has returned STATUS_PENDING, or will: so the IRP is marked in every case. */
export function complete(irp: number, status: NTSTATUS, information = 0): void {
  write32(irp + Irp.Status, status)
  write32(irp + Irp.Information, information)
  markPending(irp)
  completeRequest(irp)
}

/** Takes the oldest IRP that nobody is cancelling out of the queue; 0 if there is none. */
function takeOldest(change: number): number {
  const head = change + Change.NotifyIrps
  for (let entry = read32(head); entry !== head; entry = read32(entry)) {
    const irp = entry - Irp.ListEntry
    if (exchangeCancelRoutine(irp, 0) === 0) continue
    removeEntry(entry)
    return irp
  }
  return 0
}

/** Completes all IRPs of a structure without data. */
export function completeAll(change: number, status: NTSTATUS): void {
  referenceChange(change)
  for (let irp = takeOldest(change); irp !== 0; irp = takeOldest(change)) {
    moveDataFrom(irp, change)
    complete(irp, status)
    dereferenceChange(change)
  }
  dereferenceChange(change)
}

/** What a request gets that is completed now: the changes, if it has room for them. Nothing is recorded then. */
export function tell(irp: number, change: number): void {
  const length = readU32(change + Change.DataLength)
  const hasRoom = length !== 0 && roomOf(irp) >= length
  const buffer = hasRoom ? bufferOf(irp) : 0
  if (buffer !== 0) copyData(change, buffer)
  dropBuffer(change)
  clearFlag(change, NOTIFY_IMMEDIATELY) // this request is told, so the next need not be (decision 0104)
  if (buffer === 0) complete(irp, STATUS_NOTIFY_ENUM_DIR)
  else complete(irp, STATUS_SUCCESS, length)
}

/** Whether a change completes all requests of a watcher: the oldest with the changes, the others without (decision 0027). */
export const COMPLETES_ALL = 1

/** A change is recorded, or lost: the watcher is told, if it has asked. */
export function tellOldest(change: number): void {
  referenceChange(change)
  let irp = takeOldest(change)
  while (irp !== 0) {
    tell(irp, change)
    dereferenceChange(change)
    irp = (read32(Root.FsRtlFlags) & COMPLETES_ALL) === 0 ? 0 : takeOldest(change)
  }
  dereferenceChange(change)
}

/** Takes a cancelled IRP, which is the caller's, out of the queue, and completes it. */
export function completeCancelled(irp: number): void {
  const change = read32(irp + Irp.Information)
  removeEntry(irp + Irp.ListEntry)
  moveDataFrom(irp, change)
  complete(irp, STATUS_CANCELLED)
  dereferenceChange(change)
}
