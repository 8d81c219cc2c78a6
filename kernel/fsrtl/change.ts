/** Notify structures: how they are made, found, and freed. Caller holds the notify lock, but for what is said. */
import { raiseStatus } from '../ke/exception.ts'
import { read16, read32, readU32, write16, write32 } from '../mm/access.ts'
import { allocate, CACHE_ALIGNED, free } from '../mm/pool.ts'
import { firstEntry, initializeList, insertTail, removeEntry } from '../rtl/list.ts'
import { STATUS_INSUFFICIENT_RESOURCES } from '../rtl/status.ts'
import { loadPvoid, type Pvoid, storePvoid } from '../rtl/struct.ts'
import { dropBuffer } from './buffer.ts'
import { displaceChange, placeChange } from './directory.ts'
import { Change, Index, NOTIFY_CHANGE, NOTIFY_INDEX, WATCH_TREE } from './layouts.ts'
import { characterSize, type Name } from './name.ts'
import { acquit } from './rename.ts'
import { releaseAndFree } from './subject.ts'
import { dereferenceSync, referenceSync } from './sync.ts'
import { createTable, deleteTable, firstLink, hashOfWord, insertLink, nextLink, removeLink } from './table.ts'

const CHANGE_TAG = 'FsNC'
const INDEX_TAG = 'FsNI'

/** What the first request of an open instance asks for. */
export interface Watch {
  sync: number
  list: number
  fsContext: Pvoid
  streamId: number
  name: Name
  /** The counted string that `name` is; 0 for a literal. */
  nameAddress: number
  watchesTree: boolean
  filter: number
  bufferLength: number
  traverse: number
  subject: Pvoid
  filterCallback: number
}

/** The index of a list: 0 while it has no members. */
export function indexOf(list: number): number {
  const first = firstEntry(list)
  return first === 0 ? 0 : read32(first - Change.NotifyList + Change.Index)
}

/** The structure of `list` that belongs to `fsContext`; 0 if there is none. */
export function findChange(list: number, fsContext: number): number {
  const index = indexOf(list)
  if (index === 0) return 0
  const hash = hashOfWord(fsContext)
  for (let link = firstLink(index + Index.Contexts, hash); link !== 0; link = nextLink(link)) {
    const change = link - Change.ContextLink
    if (readU32(change + Change.FsContext) === fsContext >>> 0) return change
  }
  return 0
}

/** The structures whose file objects had `streamId` as their FsContext. */
export function findStream(list: number, streamId: number): number[] {
  const index = indexOf(list)
  if (index === 0) return []
  const found: number[] = []
  const hash = hashOfWord(streamId)
  for (let link = firstLink(index + Index.Streams, hash); link !== 0; link = nextLink(link)) {
    const change = link - Change.StreamLink
    if (readU32(change + Change.StreamId) === streamId >>> 0) found.push(change)
  }
  return inOrder(found)
}

/** All structures of a list. */
export function membersOf(list: number): number[] {
  const members: number[] = []
  for (let entry = read32(list); entry !== list; entry = read32(entry)) members.push(entry - Change.NotifyList)
  return members
}

/** Sorts structures as they stand in their list. The count may wrap. */
export function inOrder(changes: number[]): number[] {
  if (changes.length < 2) return changes
  return changes.sort((a, b) => (read32(a + Change.Sequence) - read32(b + Change.Sequence)) | 0)
}

/** Makes a structure at the end of its list, or raises STATUS_INSUFFICIENT_RESOURCES and leaves everything as it was. */
export function createChange(watch: Watch): number {
  const index = indexOf(watch.list) || createIndex()
  const change = index === 0 ? 0 : allocate(NOTIFY_CHANGE.size, CHANGE_TAG, CACHE_ALIGNED)
  if (change !== 0) describe(change, index, watch)
  if (change !== 0 && placeChange(change, watch.name)) {
    join(change, index, watch.list)
    return change
  }
  if (change !== 0) free(change, CHANGE_TAG)
  if (index !== 0 && read32(index + Index.Members) === 0) deleteIndex(index)
  return raiseStatus(STATUS_INSUFFICIENT_RESOURCES)
}

function describe(change: number, index: number, watch: Watch): void {
  write32(change + Change.NotifySync, watch.sync)
  write32(change + Change.Index, index)
  storePvoid(change + Change.FsContext, watch.fsContext)
  write32(change + Change.StreamId, watch.streamId)
  write32(change + Change.TraverseCallback, watch.traverse)
  write32(change + Change.FilterCallback, watch.filterCallback)
  storePvoid(change + Change.SubjectContext, watch.subject)
  write32(change + Change.FullDirectoryName, watch.nameAddress)
  write32(change + Change.CompletionFilter, watch.filter)
  write32(change + Change.BufferLength, watch.bufferLength)
  write16(change + Change.CharacterSize, characterSize(watch.name))
  write16(change + Change.Flags, watch.watchesTree ? WATCH_TREE : 0)
  write32(change + Change.References, 1)
  initializeList(change + Change.NotifyIrps)
}

function join(change: number, index: number, list: number): void {
  const sequence = (read32(index + Index.Sequence) + 1) | 0
  write32(index + Index.Sequence, sequence)
  write32(change + Change.Sequence, sequence)
  count(index, change, 1)
  insertTail(list, change + Change.NotifyList)
  insertLink(index + Index.Contexts, change + Change.ContextLink, hashOfWord(read32(change + Change.FsContext)))
  insertLink(index + Index.Streams, change + Change.StreamLink, hashOfWord(read32(change + Change.StreamId)))
  referenceSync(read32(change + Change.NotifySync))
}

function count(index: number, change: number, by: 1 | -1): void {
  write32(index + Index.Members, read32(index + Index.Members) + by)
  if (sizeOf(change) === 1) write32(index + Index.NarrowMembers, read32(index + Index.NarrowMembers) + by)
}

function createIndex(): number {
  const index = allocate(NOTIFY_INDEX.size, INDEX_TAG)
  if (index === 0) return 0
  initializeList(index + Index.Suspects)
  // All three, though one may fail: deleteIndex looks for what was made.
  const made = [Index.Directories, Index.Contexts, Index.Streams].map((table) => createTable(index + table))
  if (!made.includes(false)) return index
  deleteIndex(index)
  return 0
}

function deleteIndex(index: number): void {
  for (const table of [Index.Directories, Index.Contexts, Index.Streams]) deleteTable(index + table)
  free(index, INDEX_TAG)
}

/** Bytes a character of the names that the watcher is told from. */
export const sizeOf = (change: number): 1 | 2 => read16(change + Change.CharacterSize) as 1 | 2

export function referenceChange(change: number): void {
  write32(change + Change.References, read32(change + Change.References) + 1)
}

export function dereferenceChange(change: number): void {
  const references = read32(change + Change.References) - 1
  write32(change + Change.References, references)
  if (references === 0) deleteChange(change)
}

function deleteChange(change: number): void {
  const index = read32(change + Change.Index)
  removeEntry(change + Change.NotifyList)
  removeLink(index + Index.Contexts, change + Change.ContextLink)
  removeLink(index + Index.Streams, change + Change.StreamLink)
  const isNamed = read32(change + Change.NameLength) !== 0
  displaceChange(change)
  acquit(change)
  count(index, change, -1)
  if (read32(index + Index.Members) === 0) deleteIndex(index)
  dropBuffer(change)
  const subject = read32(change + Change.SubjectContext)
  if (isNamed && subject !== 0) releaseAndFree(subject)
  dereferenceSync(read32(change + Change.NotifySync))
  free(change, CHANGE_TAG)
}

export const contextOf = (change: number): Pvoid => loadPvoid(change + Change.FsContext)
export const subjectOf = (change: number): Pvoid => loadPvoid(change + Change.SubjectContext)
