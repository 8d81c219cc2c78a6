/**
 * Handle tables: one for the kernel (which is the System process's own), one for each other process.
 *
 * Entries are found by index and the table doubles as it fills, so ten thousand handles cost what ten do. A freed
 * entry is used again only after a number of others were freed, oldest first: a handle that was closed by mistake
 * is more likely to be found out than to name somebody else's object.
 */
import { acquireWord, releaseWord } from '../ke/spin.ts'
import { read32, readU32, write32 } from '../mm/access.ts'
import { mem } from '../mm/memory.ts'
import { allocate, free } from '../mm/pool.ts'
import { HANDLE_TABLE, HANDLE_TABLE_ENTRY } from './layouts.ts'

const Table = HANDLE_TABLE.offsets
const Entry = HANDLE_TABLE_ENTRY.offsets
const ENTRY_SIZE = HANDLE_TABLE_ENTRY.size
const FIRST_CAPACITY = 64
const REST_BEFORE_REUSE = 32
const TABLE_TAG = 'Obtb'

/** What a handle stands for. */
export interface HandleEntry {
  readonly object: number
  readonly access: number
  readonly attributes: number
}

/** Makes the handle table of `process`. @returns its address, 0 if there is no memory. */
export function createHandleTable(process: number): number {
  const table = allocate(HANDLE_TABLE.size, TABLE_TAG)
  const entries = table === 0 ? 0 : allocate(FIRST_CAPACITY * ENTRY_SIZE, TABLE_TAG)
  if (entries === 0) {
    if (table !== 0) free(table, TABLE_TAG)
    return 0
  }
  write32(table + Table.Entries, entries)
  write32(table + Table.Capacity, FIRST_CAPACITY)
  write32(table + Table.NextUnused, 1)
  write32(table + Table.Process, process)
  return table
}

export function freeHandleTable(table: number): void {
  free(read32(table + Table.Entries), TABLE_TAG)
  free(table, TABLE_TAG)
}

export const tableProcess = (table: number): number => read32(table + Table.Process)
export const openHandles = (table: number): number => read32(table + Table.HandleCount)
/** Indices of entries that may be in use are below this. */
export const endOfHandles = (table: number): number => read32(table + Table.NextUnused)

export const lockTable = (table: number): void => acquireWord(table + Table.Lock)
export const unlockTable = (table: number): void => releaseWord(table + Table.Lock)

const entryOf = (table: number, index: number): number => read32(table + Table.Entries) + index * ENTRY_SIZE

/** Takes an entry for a handle. @returns its index, 0 if there is no memory. */
export function addEntry(table: number, { object, access, attributes }: HandleEntry): number {
  lockTable(table)
  const index = takeFree(table) || takeUnused(table)
  if (index !== 0) {
    const entry = entryOf(table, index)
    write32(entry + Entry.Object, object)
    write32(entry + Entry.GrantedAccess, access)
    write32(entry + Entry.Attributes, attributes)
    write32(table + Table.HandleCount, read32(table + Table.HandleCount) + 1)
  }
  unlockTable(table)
  return index
}

/** The oldest freed entry, if it has rested long enough. */
function takeFree(table: number): number {
  const count = read32(table + Table.FreeCount)
  if (count <= REST_BEFORE_REUSE) return 0
  const index = read32(table + Table.FirstFree)
  write32(table + Table.FirstFree, read32(entryOf(table, index) + Entry.NextFree))
  write32(table + Table.FreeCount, count - 1)
  return index
}

function takeUnused(table: number): number {
  const index = read32(table + Table.NextUnused)
  if (index === read32(table + Table.Capacity) && !grow(table)) return 0
  write32(table + Table.NextUnused, index + 1)
  return index
}

function grow(table: number): boolean {
  const capacity = read32(table + Table.Capacity)
  const old = read32(table + Table.Entries)
  const entries = allocate(2 * capacity * ENTRY_SIZE, TABLE_TAG)
  if (entries === 0) return false
  mem.u8.copyWithin(entries, old, old + capacity * ENTRY_SIZE)
  write32(table + Table.Entries, entries)
  write32(table + Table.Capacity, 2 * capacity)
  free(old, TABLE_TAG)
  return true
}

/** The entry at `index`, null if no handle has it. Caller holds the table's lock. */
export function readEntry(table: number, index: number): HandleEntry | null {
  if (index >= read32(table + Table.NextUnused)) return null
  const entry = entryOf(table, index)
  const object = read32(entry + Entry.Object)
  if (object === 0) return null
  return { object, access: readU32(entry + Entry.GrantedAccess), attributes: readU32(entry + Entry.Attributes) }
}

/** Changes the attributes of the handle at `index`. Caller holds the table's lock. */
export function writeAttributes(table: number, index: number, attributes: number): void {
  write32(entryOf(table, index) + Entry.Attributes, attributes)
}

/** Frees the entry at `index`. Caller holds the table's lock. */
export function removeEntry(table: number, index: number): void {
  const entry = entryOf(table, index)
  write32(entry + Entry.Object, 0)
  write32(entry + Entry.NextFree, 0)
  const count = read32(table + Table.FreeCount)
  if (count === 0) write32(table + Table.FirstFree, index)
  else write32(entryOf(table, read32(table + Table.LastFree)) + Entry.NextFree, index)
  write32(table + Table.LastFree, index)
  write32(table + Table.FreeCount, count + 1)
  write32(table + Table.HandleCount, read32(table + Table.HandleCount) - 1)
}
