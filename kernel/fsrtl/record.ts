/** FILE_NOTIFY_INFORMATION records: what a watcher is told of a change. Caller holds the notify lock. */
import { mem } from '../mm/memory.ts'
import { read32, readU32, write32 } from '../mm/access.ts'
import { overflow, reserve } from './buffer.ts'
import { sizeOf } from './change.ts'
import { FILE_NOTIFY_INFORMATION } from './codes.ts'
import { Change } from './layouts.ts'
import { type Name, NO_NAME, part } from './name.ts'
import { unitOfOem } from './oem.ts'

/** Texts in UTF-16, one behind the other. */
export type Units = Name[]

const { NextEntryOffset, Action, FileNameLength, FileName } = FILE_NOTIFY_INFORMATION.offsets

const literal = (text: string): Name => ({ bytes: new Uint8Array([text.charCodeAt(0), 0]), start: 0, length: 2 })
const SEPARATOR = literal('\\')
const COLON = literal(':')

/** What a report says of its target, as bytes. */
export interface Target {
  /** The full name; empty in a report for a view index. */
  name: Name
  /** Where its last component begins. */
  offset: number
  stream: Name | null
}

/**
 * The name in a record: from the watched directory to the target, then the stream's. A watcher without a name gets
 * the stream's alone, as it is: there is no name whose look would tell what its characters are.
 */
export function recordName(change: number, { name, offset, stream }: Target, parent: Name): Units {
  if (read32(change + Change.NameLength) === 0) return stream === null ? [] : [stream]
  const size = sizeOf(change)
  const units: Units = []
  const relative = belowWatched(change, parent, size)
  if (relative.length !== 0) units.push(wide(relative, size), SEPARATOR)
  units.push(wide(part(name, offset, name.length), size))
  if (stream !== null) units.push(COLON, wide(stream, size))
  return units
}

/** The way from the watched directory to the target's parent; empty for a direct child. */
function belowWatched(change: number, parent: Name, size: number): Name {
  const length = readU32(change + Change.NameLength)
  if (parent.length <= length) return NO_NAME
  const isRoot = length === size
  return part(parent, isRoot ? length : length + size, parent.length)
}

/** A name in UTF-16. */
function wide(name: Name, size: number): Name {
  if (size === 2) return name
  const bytes = new Uint8Array(name.length * 2)
  for (let i = 0; i < name.length; i++) {
    const unit = unitOfOem(name.bytes[name.start + i] as number)
    bytes[2 * i] = unit
    bytes[2 * i + 1] = unit >>> 8
  }
  return { bytes, start: 0, length: bytes.length }
}

/** Records a change behind those before it; if there is no room, all of them are lost. */
export function appendRecord(change: number, action: number, name: Units): void {
  const nameLength = name.reduce((sum, { length }) => sum + length, 0)
  const length = readU32(change + Change.DataLength)
  const offset = (length + 3) & ~3
  const end = offset + FileName + nameLength
  if (!reserve(change, end)) return overflow(change)
  const buffer = readU32(change + Change.Buffer)
  const record = buffer + offset
  if (length !== 0) {
    mem.u8.fill(0, buffer + length, record)
    const last = readU32(change + Change.LastEntry)
    writeUlong(buffer + last + NextEntryOffset, offset - last)
  }
  writeUlong(record + NextEntryOffset, 0)
  writeUlong(record + Action, action)
  writeUlong(record + FileNameLength, nameLength)
  writeNames(record + FileName, name)
  write32(change + Change.LastEntry, offset)
  write32(change + Change.DataLength, end)
}

/** Byte by byte: a buffer that an MDL describes may begin anywhere. */
function writeUlong(address: number, value: number): void {
  const { u8 } = mem
  for (let i = 0; i < 4; i++) u8[address + i] = value >>> (8 * i)
}

/** In a loop: names are short, and `subarray` and `set` cost more than they do. */
function writeNames(start: number, names: Units): void {
  const { u8 } = mem
  let to = start
  for (const { bytes, start: from, length } of names) {
    for (let i = 0; i < length; i++) u8[to + i] = bytes[from + i] as number
    to += length
  }
}
