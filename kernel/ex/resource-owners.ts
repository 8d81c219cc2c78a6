/**
 * Who owns a resource, and how often. The resource's lock is held around all of this, but for `growOwners`.
 *
 * The exclusive owner is in OwnerEntry; converted to shared it stays there. Other shared owners are in the table in
 * pool, which grows and never shrinks. A slot that is promised to a waiting thread has its id and a count of 0.
 */
import { read32, write32 } from '../mm/access.ts'
import { mem } from '../mm/memory.ts'
import { allocate, free } from '../mm/pool.ts'
import { array, LONG, struct, ULONG } from '../rtl/struct.ts'
import { KEVENT, KSEMAPHORE } from '../ke/layouts.ts'
import { acquireWord, releaseWord } from '../ke/spin.ts'

export const OWNER_ENTRY = struct('OWNER_ENTRY', {
  OwnerThread: ULONG, // a KTHREAD, or an owner pointer with its two low bits set
  OwnerCount: LONG, // acquires to be released
})

const INLINE_ENTRIES = 3

/** Guarded by SpinLock. */
export const ERESOURCE = struct('ERESOURCE', {
  SpinLock: ULONG,
  Signature: ULONG, // the own address, mixed: tells an initialised resource from other memory
  ActiveCount: LONG, // owners, those that were let in and have not run yet included
  Flag: ULONG,
  OwnerEntry: OWNER_ENTRY, // OwnerThread is 0 until the exclusive waiter that was let in runs
  OwnerTable: ULONG, // in pool, 0 for none
  TableSize: ULONG, // entries of OwnerTable
  FirstOwners: array(OWNER_ENTRY, INLINE_ENTRIES), // spares most resources a table
  ContentionCount: ULONG, // acquires that had to wait
  NumberOfSharedWaiters: ULONG,
  NumberOfExclusiveWaiters: ULONG,
  SharedWaiters: KSEMAPHORE,
  ExclusiveWaiters: KEVENT,
})
export interface ERESOURCE extends InstanceType<typeof ERESOURCE> {}

const { SpinLock, OwnerEntry, OwnerTable, TableSize, FirstOwners } = ERESOURCE.offsets
const { OwnerThread, OwnerCount } = OWNER_ENTRY.offsets
const ENTRY_SIZE = OWNER_ENTRY.size
const GROWTH = 8

export const ownerOf = (entry: number): number => mem.u32[(entry + OwnerThread) >> 2] as number
export const countOf = (entry: number): number => read32(entry + OwnerCount)
export const exclusiveEntry = (resource: number): number => resource + OwnerEntry

export function setEntry(entry: number, owner: number, count: number): void {
  write32(entry + OwnerThread, owner)
  write32(entry + OwnerCount, count)
}

/** Adds to an owner's count; gives back the new one. */
export function addCount(entry: number, delta: number): number {
  const count = read32(entry + OwnerCount) + delta
  write32(entry + OwnerCount, count)
  return count
}

/** The entry at `index`, those in the resource first; 0 behind the last. */
function entryAt(resource: number, index: number): number {
  if (index < INLINE_ENTRIES) return resource + FirstOwners + index * ENTRY_SIZE
  const place = index - INLINE_ENTRIES
  return place < read32(resource + TableSize) ? read32(resource + OwnerTable) + place * ENTRY_SIZE : 0
}

/** The entry of `owner`: its active one, or with `isWaiting` the one promised to it; 0 when there is none. */
export function findOwner(resource: number, owner: number, isWaiting = false): number {
  const first = exclusiveEntry(resource)
  if (!isWaiting && ownerOf(first) === owner >>> 0) return first
  for (let index = 0; ; index++) {
    const entry = entryAt(resource, index)
    if (entry === 0) return 0
    if (ownerOf(entry) === owner >>> 0 && (countOf(entry) === 0) === isWaiting) return entry
  }
}

/** A free entry; 0 when all are in use. */
export function findFree(resource: number): number {
  for (let index = 0; ; index++) {
    const entry = entryAt(resource, index)
    if (entry === 0 || ownerOf(entry) === 0) return entry
  }
}

/** Makes room for more owners; false if there is no memory. The lock is not held: the pool has its own. */
export function growOwners(resource: number): boolean {
  const size = read32(resource + TableSize)
  const table = allocate((size + GROWTH) * ENTRY_SIZE, 'ExRt')
  if (table === 0) return false
  acquireWord(resource + SpinLock)
  const isCurrent = read32(resource + TableSize) === size
  const old = isCurrent ? read32(resource + OwnerTable) : table
  if (isCurrent) {
    mem.u8.copyWithin(table, old, old + size * ENTRY_SIZE)
    write32(resource + OwnerTable, table)
    write32(resource + TableSize, size + GROWTH)
  }
  releaseWord(resource + SpinLock)
  if (old !== 0) free(old)
  return true
}

/** Gives the table back. */
export function freeOwners(resource: number): void {
  const table = read32(resource + OwnerTable)
  write32(resource + OwnerTable, 0)
  write32(resource + TableSize, 0)
  if (table !== 0) free(table)
}

/** Empties all entries; the table stays. */
export function clearOwners(resource: number): void {
  setEntry(exclusiveEntry(resource), 0, 0)
  for (let index = 0; ; index++) {
    const entry = entryAt(resource, index)
    if (entry === 0) return
    setEntry(entry, 0, 0)
  }
}
