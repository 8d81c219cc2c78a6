/** Directories as programs see them: listed, watched, and what a file is. */
import {
  array,
  FILE_ATTRIBUTE_DIRECTORY,
  FILE_ATTRIBUTE_NORMAL,
  FILE_BOTH_DIR_INFORMATION,
  FILE_DIRECTORY_INFORMATION,
  FILE_FULL_DIR_INFORMATION,
  FILE_NAMES_INFORMATION,
  type FILE_OBJECT,
  FILE_STANDARD_INFORMATION,
  FileBothDirectoryInformation,
  FileDirectoryInformation,
  FileFullDirectoryInformation,
  FileNamesInformation,
  FileStandardInformation,
  FsRtlNotifyFullChangeDirectory,
  IoGetCurrentIrpStackLocation,
  type IRP,
  IRP_MN_NOTIFY_CHANGE_DIRECTORY,
  IRP_MN_QUERY_DIRECTORY,
  type NTSTATUS,
  RtlZeroMemory,
  SL_RESTART_SCAN,
  SL_RETURN_SINGLE_ENTRY,
  SL_WATCH_TREE,
  STATUS_BUFFER_OVERFLOW,
  STATUS_DELETE_PENDING,
  STATUS_INFO_LENGTH_MISMATCH,
  STATUS_INVALID_DEVICE_REQUEST,
  STATUS_INVALID_INFO_CLASS,
  STATUS_INVALID_PARAMETER,
  STATUS_NO_MORE_FILES,
  STATUS_NO_SUCH_FILE,
  STATUS_OBJECT_NAME_INVALID,
  STATUS_PENDING,
  STATUS_SUCCESS,
  StatusError,
  struct,
  ULONG,
  type View,
  WCHAR,
} from 'dirql/fltkernel'
import { complete } from '../lib/irp.ts'
import { putText, textAt, textOf } from '../lib/text.ts'
import { childrenOf, Kind, type NODE, pathOf } from './node.ts'
import { syncOf, volume, withTree } from './volume.ts'

const LONGEST_PATTERN = 64

/** One open of a node. A program's requests on it come one behind the other, or it gets what it asked for. */
export const OPEN = struct('BOARDFS_OPEN', {
  Told: ULONG, // Serial of the child that a listing has told last
  HasBegun: ULONG,
  PatternLength: ULONG, // units; 0: all names
  Pattern: array(WCHAR, LONGEST_PATTERN), // of the first request of a listing
})
export interface OPEN extends View<typeof OPEN> {}

/** @irql PASSIVE_LEVEL */
export function directoryControl(node: NODE, open: OPEN, Irp: IRP): Promise<NTSTATUS> {
  const { MinorFunction } = IoGetCurrentIrpStackLocation(Irp)
  return withTree(() => {
    if (node.Kind !== Kind.Directory) return complete(Irp, STATUS_INVALID_PARAMETER)
    if (node.IsGone !== 0) return complete(Irp, STATUS_DELETE_PENDING)
    if (MinorFunction === IRP_MN_QUERY_DIRECTORY) return list(node, open, Irp)
    if (MinorFunction === IRP_MN_NOTIFY_CHANGE_DIRECTORY) return watch(node, open, Irp)
    return complete(Irp, STATUS_INVALID_DEVICE_REQUEST)
  })
}

/** The tree lock is held: a board that goes finds this request in the list. */
async function watch(node: NODE, open: OPEN, Irp: IRP): Promise<NTSTATUS> {
  const { Flags, Parameters } = IoGetCurrentIrpStackLocation(Irp)
  try {
    await FsRtlNotifyFullChangeDirectory({
      NotifySync: syncOf(),
      NotifyList: volume.NotifyList,
      FsContext: open,
      FullDirectoryName: pathOf(node),
      WatchTree: (Flags & SL_WATCH_TREE) !== 0,
      IgnoreBuffer: false,
      CompletionFilter: Parameters.NotifyDirectory.CompletionFilter,
      NotifyIrp: Irp,
    })
  } catch (error) {
    if (error instanceof StatusError) return complete(Irp, error.status)
    throw error
  }
  return STATUS_PENDING
}

/** Where the name stands in an entry, by FILE_INFORMATION_CLASS. */
const NAME_OFFSETS: Readonly<Record<number, number>> = {
  [FileDirectoryInformation]: FILE_DIRECTORY_INFORMATION.offsets.FileName,
  [FileFullDirectoryInformation]: FILE_FULL_DIR_INFORMATION.offsets.FileName,
  [FileBothDirectoryInformation]: FILE_BOTH_DIR_INFORMATION.offsets.FileName,
  [FileNamesInformation]: FILE_NAMES_INFORMATION.offsets.FileName,
}

/** Fills the buffer with the entries that come next. */
function list(node: NODE, open: OPEN, Irp: IRP): NTSTATUS {
  const { Flags, Parameters } = IoGetCurrentIrpStackLocation(Irp)
  const { Length, FileInformationClass, FileName } = Parameters.QueryDirectory
  const nameOffset = NAME_OFFSETS[FileInformationClass]
  if (nameOffset === undefined) return complete(Irp, STATUS_INVALID_INFO_CLASS)
  if (Length < nameOffset) return complete(Irp, STATUS_INFO_LENGTH_MISMATCH)
  const isFirst = open.HasBegun === 0
  if (isFirst && !setPattern(open, FileName === null ? '' : textOf(FileName))) {
    return complete(Irp, STATUS_OBJECT_NAME_INVALID)
  }
  open.HasBegun = 1
  if ((Flags & SL_RESTART_SCAN) !== 0) open.Told = 0
  const pattern = textAt(patternAt(open), 2 * open.PatternLength)
  const next = childrenOf(node).filter(({ Serial, Name }) => Serial > open.Told && matches(pattern, textOf(Name)))
  if (next.length === 0) return complete(Irp, isFirst ? STATUS_NO_SUCH_FILE : STATUS_NO_MORE_FILES)
  const most = (Flags & SL_RETURN_SINGLE_ENTRY) !== 0 ? 1 : next.length
  return fill(next.slice(0, most), open, Irp, { Length, FileInformationClass, nameOffset })
}

interface Listing {
  Length: number
  FileInformationClass: number
  nameOffset: number
}

function fill(nodes: NODE[], open: OPEN, Irp: IRP, { Length, FileInformationClass, nameOffset }: Listing): NTSTATUS {
  const buffer = Irp.AssociatedIrp.SystemBuffer
  let last = buffer
  let end = 0
  for (const node of nodes) {
    const start = (end + 7) & ~7
    const units = node.Name.Length >> 1
    const room = Math.min(units, (Length - start - nameOffset) >> 1)
    if (room < units && end !== 0) break // it begins the next buffer
    const entry = buffer + start
    if (end !== 0) new FILE_NAMES_INFORMATION(last).NextEntryOffset = entry - last
    describe(entry, node, FileInformationClass, nameOffset)
    putText(entry + nameOffset, textOf(node.Name), room)
    last = entry
    end = start + nameOffset + 2 * room
    open.Told = node.Serial
    if (room < units) return complete(Irp, STATUS_BUFFER_OVERFLOW, end)
  }
  return complete(Irp, STATUS_SUCCESS, end)
}

/** Writes what stands before the name. */
function describe(address: number, node: NODE, informationClass: number, nameOffset: number): void {
  RtlZeroMemory(address, nameOffset)
  if (informationClass === FileNamesInformation) {
    new FILE_NAMES_INFORMATION(address).FileNameLength = node.Name.Length
    return
  }
  const entry = new FILE_DIRECTORY_INFORMATION(address) // all others begin like it
  entry.FileAttributes = node.Kind === Kind.Directory ? FILE_ATTRIBUTE_DIRECTORY : FILE_ATTRIBUTE_NORMAL
  entry.FileNameLength = node.Name.Length
}

const patternAt = (open: OPEN): number => open.address + OPEN.offsets.Pattern

function setPattern(open: OPEN, pattern: string): boolean {
  if (pattern.length > LONGEST_PATTERN) return false
  open.PatternLength = pattern.length
  putText(patternAt(open), pattern)
  return true
}

/** `*` stands for any characters, `?` for one; without case, as all names here. */
export function matches(pattern: string, name: string): boolean {
  if (pattern === '') return true
  return matchesFrom(pattern.toUpperCase(), name.toUpperCase())
}

function matchesFrom(pattern: string, name: string): boolean {
  const [first] = pattern
  if (first === undefined) return name === ''
  if (first !== '*') {
    return name !== '' && (first === '?' || first === name[0]) && matchesFrom(pattern.slice(1), name.slice(1))
  }
  return matchesFrom(pattern.slice(1), name) || (name !== '' && matchesFrom(pattern, name.slice(1)))
}

/** What a file is: IRP_MJ_QUERY_INFORMATION. @irql PASSIVE_LEVEL */
export function queryInformation(node: NODE, Irp: IRP): NTSTATUS {
  const { Length, FileInformationClass } = IoGetCurrentIrpStackLocation(Irp).Parameters.QueryFile
  if (FileInformationClass !== FileStandardInformation) return complete(Irp, STATUS_INVALID_INFO_CLASS)
  const { size } = FILE_STANDARD_INFORMATION
  if (Length < size) return complete(Irp, STATUS_INFO_LENGTH_MISMATCH)
  const information = new FILE_STANDARD_INFORMATION(Irp.AssociatedIrp.SystemBuffer)
  RtlZeroMemory(information.address, size)
  information.NumberOfLinks = 1
  information.EndOfFile = BigInt(node.Target.Length >> 1) * (node.Kind === Kind.Text ? 1n : 0n)
  information.DeletePending = node.IsGone
  information.Directory = node.Kind === Kind.Directory ? 1 : 0
  return complete(Irp, STATUS_SUCCESS, size)
}

export const nodeOf = (file: FILE_OBJECT): NODE => file.FsContext as NODE
export const openOf = (file: FILE_OBJECT): OPEN => file.FsContext2 as OPEN
