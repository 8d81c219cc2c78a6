/**
 * Where a watcher's changes are recorded until they are told: in the buffer of its oldest request, where they are to
 * end up, or in one of the structure's own while there is no request. Caller holds the notify lock.
 */
import { mem } from '../mm/memory.ts'
import { read32, readU32, write32 } from '../mm/access.ts'
import { allocate, free, PAGED, UNINITIALIZED } from '../mm/pool.ts'
import { MmGetSystemAddressForMdlSafe, NormalPagePriority } from '../io/mdl.ts'
import { currentStack } from '../io/irp.ts'
import { Irp, MDL, Stack } from '../io/layouts.ts'
import { Parameters } from '../io/parameters.ts'
import { setFlag } from './flags.ts'
import { Change, NOTIFY_IMMEDIATELY } from './layouts.ts'

const TAG = 'FsNB'

/** Bytes that a request has room for. */
export const roomOf = (irp: number): number =>
  readU32(currentStack(irp) + Stack.Parameters + Parameters.NotifyDirectory.Length)

/** Where a request wants its data; 0: nowhere. All memory is one block, so a raw user address will do, too. */
export function bufferOf(irp: number): number {
  const system = readU32(irp + Irp.AssociatedIrp)
  if (system !== 0) return system
  const mdl = MDL.at(read32(irp + Irp.MdlAddress))
  return mdl === null ? readU32(irp + Irp.UserBuffer) : MmGetSystemAddressForMdlSafe(mdl, NormalPagePriority)
}

/** The oldest request that nobody is cancelling; 0 if there is none. */
function oldestIrp(change: number): number {
  const head = change + Change.NotifyIrps
  for (let entry = read32(head); entry !== head; entry = read32(entry)) {
    const irp = entry - Irp.ListEntry
    if (read32(irp + Irp.CancelRoutine) !== 0) return irp
  }
  return 0
}

/**
 * Sees to it that there is a buffer with room for `end` bytes; false when none can be had. The oldest request is looked
 * for once: another processor may be cancelling it meanwhile, which changes nothing, since it is not completed before
 * the lock is free.
 */
export function reserve(change: number, end: number): boolean {
  if (read32(change + Change.Buffer) !== 0) return end <= readU32(change + Change.ThisBufferLength)
  const irp = oldestIrp(change)
  const length = irp === 0 ? readU32(change + Change.BufferLength) : roomOf(irp)
  if (end > length) return false
  const buffer = irp === 0 ? allocate(length, TAG, PAGED | UNINITIALIZED) : bufferOf(irp)
  if (buffer === 0) return false
  setBuffer(change, buffer, irp, length)
  return true
}

function setBuffer(change: number, buffer: number, irp: number, length: number): void {
  write32(change + Change.Buffer, buffer)
  write32(change + Change.BufferIrp, irp)
  write32(change + Change.ThisBufferLength, length)
}

/** Forgets what is recorded, and frees the buffer if it is the structure's own. */
export function dropBuffer(change: number): void {
  const buffer = read32(change + Change.Buffer)
  if (buffer !== 0 && read32(change + Change.BufferIrp) === 0) free(buffer, TAG)
  setBuffer(change, 0, 0, 0)
  write32(change + Change.DataLength, 0)
}

/** Changes were lost: who asks next is told to look for himself. */
export function overflow(change: number): void {
  dropBuffer(change)
  setFlag(change, NOTIFY_IMMEDIATELY)
}

/** Copies what is recorded to `to`, unless it lies there. */
export function copyData(change: number, to: number): void {
  const from = read32(change + Change.Buffer)
  if (from !== to) mem.u8.copyWithin(to, from, from + readU32(change + Change.DataLength))
}

/**
 * `irp`, which is out of the queue, will be completed without data: what is recorded in its buffer goes to the next
 * request's, or into one of the structure's own.
 */
export function moveDataFrom(irp: number, change: number): void {
  if (read32(change + Change.BufferIrp) !== irp) return
  if (moveToNext(change)) return
  const length = Math.max(readU32(change + Change.BufferLength), readU32(change + Change.DataLength))
  const buffer = allocate(length, TAG, PAGED | UNINITIALIZED)
  if (buffer === 0) return overflow(change)
  copyData(change, buffer)
  setBuffer(change, buffer, 0, length)
}

function moveToNext(change: number): boolean {
  const next = oldestIrp(change)
  const buffer = next === 0 ? 0 : bufferOf(next)
  if (buffer === 0 || roomOf(next) < readU32(change + Change.DataLength)) return false
  copyData(change, buffer)
  setBuffer(change, buffer, next, roomOf(next))
  return true
}
