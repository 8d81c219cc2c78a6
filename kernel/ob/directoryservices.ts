/** Directory objects: the routines, and permanence. */
import { enter, type Out, PASSIVE_LEVEL } from '../ke/level.ts'
import { Root } from '../ke/pcr.ts'
import { acquireWord, releaseWord } from '../ke/spin.ts'
import { KernelMode } from '../ke/wait.ts'
import { write16, write32, zero } from '../mm/access.ts'
import {
  type NTSTATUS,
  STATUS_BUFFER_TOO_SMALL,
  STATUS_MORE_ENTRIES,
  STATUS_NO_MORE_ENTRIES,
  STATUS_SUCCESS,
} from '../rtl/status.ts'
import { UNICODE_STRING } from '../rtl/string.ts'
import { struct } from '../rtl/struct.ts'
import { captureAttributes, type ObjectAttributes, writeText } from './attributes.ts'
import { DIRECTORY_QUERY, directoryType, initializeDirectory, listEntries, nameOf } from './directory.ts'
import { type HANDLE, referenceByHandle } from './handle.ts'
import { OBJECT_DIRECTORY, objectTypeIndex } from './layouts.ts'
import { setPermanent } from './lookup.ts'
import { createObject } from './object.ts'
import { type AnyObject, dereferenceObject } from './reference.ts'
import { createNamed, openNamed, withObject } from './services.ts'
import { objectType } from './type.ts'

/** One entry; behind the last one comes an empty one, then the units of the names. */
export const OBJECT_DIRECTORY_INFORMATION = struct('OBJECT_DIRECTORY_INFORMATION', {
  Name: UNICODE_STRING,
  TypeName: UNICODE_STRING,
})
export interface OBJECT_DIRECTORY_INFORMATION extends InstanceType<typeof OBJECT_DIRECTORY_INFORMATION> {}

/**
 * Makes a directory for names of objects.
 *
 * @irql PASSIVE_LEVEL
 * @returns STATUS_SUCCESS; STATUS_OBJECT_NAME_EXISTS when OBJ_OPENIF found one; STATUS_OBJECT_NAME_COLLISION;
 *   STATUS_OBJECT_TYPE_MISMATCH; STATUS_INSUFFICIENT_RESOURCES; what the name's syntax gives
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-zwcreatedirectoryobject
 */
export function ZwCreateDirectoryObject(
  DirectoryHandle: Out<HANDLE>,
  DesiredAccess: number,
  ObjectAttributes: ObjectAttributes,
): NTSTATUS {
  enter(PASSIVE_LEVEL, 'ZwCreateDirectoryObject')
  const attributes = captureAttributes(ObjectAttributes, KernelMode)
  return createNamed(DirectoryHandle, attributes, DesiredAccess, KernelMode, () => {
    const directory = createObject(directoryType, OBJECT_DIRECTORY.size, { attributes })
    if (directory === 0 || initializeDirectory(directory)) return directory
    dereferenceObject(directory)
    return 0
  })
}

/**
 * Opens a directory.
 *
 * @irql PASSIVE_LEVEL
 * @returns STATUS_SUCCESS; STATUS_OBJECT_NAME_NOT_FOUND; STATUS_OBJECT_TYPE_MISMATCH; what the name's syntax gives
 * @see https://learn.microsoft.com/windows/win32/devnotes/ntopendirectoryobject
 */
export function ZwOpenDirectoryObject(
  DirectoryHandle: Out<HANDLE>,
  DesiredAccess: number,
  ObjectAttributes: ObjectAttributes,
): NTSTATUS {
  enter(PASSIVE_LEVEL, 'ZwOpenDirectoryObject')
  return openNamed(DirectoryHandle, ObjectAttributes, directoryType, DesiredAccess, KernelMode)
}

interface DirectoryQuery {
  DirectoryHandle: HANDLE
  Buffer: AnyObject
  Length: number
  ReturnSingleEntry: boolean
  RestartScan: boolean
  Context: Out<number>
  ReturnLength: Out<number> | null
}

interface Entry {
  readonly name: string
  readonly type: string
}

const ENTRY_SIZE = OBJECT_DIRECTORY_INFORMATION.size
const bytesOf = ({ name, type }: Entry): number => ENTRY_SIZE + 2 * (name.length + type.length) + 4

/**
 * Lists the objects in a directory, from the `Context`th on.
 *
 * @irql PASSIVE_LEVEL
 * @returns STATUS_SUCCESS; STATUS_MORE_ENTRIES when not all found room; STATUS_NO_MORE_ENTRIES when there are none
 *   (any more); STATUS_BUFFER_TOO_SMALL when not even one did, or the one of ReturnSingleEntry
 * @see https://learn.microsoft.com/windows/win32/devnotes/ntquerydirectoryobject
 */
export function ZwQueryDirectoryObject(parameters: DirectoryQuery): NTSTATUS {
  enter(PASSIVE_LEVEL, 'ZwQueryDirectoryObject')
  const directory = referenceByHandle(parameters.DirectoryHandle, DIRECTORY_QUERY, directoryType, KernelMode)
  if (directory.status !== STATUS_SUCCESS) return directory.status
  const start = parameters.RestartScan ? 0 : parameters.Context.value
  const most = parameters.ReturnSingleEntry ? 1 : Math.floor(parameters.Length / ENTRY_SIZE) + 1
  const entries = entriesOf(directory.object, start, most)
  dereferenceObject(directory.object)
  return writeEntries(entries, start, parameters)
}

function entriesOf(directory: number, start: number, most: number): Entry[] {
  acquireWord(Root.ObLock)
  const entries = listEntries(directory, start, most).map((object) => ({
    name: nameOf(object),
    type: objectType(objectTypeIndex(object)).name,
  }))
  releaseWord(Root.ObLock)
  return entries
}

function writeEntries(
  entries: Entry[],
  start: number,
  { Buffer, Length, Context, ReturnLength }: DirectoryQuery,
): NTSTATUS {
  if (entries.length === 0) return STATUS_NO_MORE_ENTRIES
  let count = 0
  let bytes = ENTRY_SIZE
  for (const entry of entries) {
    if (bytes + bytesOf(entry) > Length) break
    bytes += bytesOf(entry)
    count += 1
  }
  if (ReturnLength !== null) ReturnLength.value = count === 0 ? ENTRY_SIZE + bytesOf(entries[0] as Entry) : bytes
  if (count === 0) return STATUS_BUFFER_TOO_SMALL
  zero(Buffer.address + count * ENTRY_SIZE, ENTRY_SIZE)
  let text = Buffer.address + (count + 1) * ENTRY_SIZE
  for (const [index, { name, type }] of entries.slice(0, count).entries()) {
    const at = Buffer.address + index * ENTRY_SIZE
    text = writeString(at, text, name)
    text = writeString(at + UNICODE_STRING.size, text, type)
  }
  Context.value = start + count
  return count < entries.length ? STATUS_MORE_ENTRIES : STATUS_SUCCESS
}

/** Writes a counted string whose units go to `text`. @returns where the next one's go. */
function writeString(at: number, text: number, value: string): number {
  const { Length, MaximumLength, Buffer } = UNICODE_STRING.offsets
  write16(at + Length, 2 * value.length)
  write16(at + MaximumLength, 2 * value.length + 2)
  write32(at + Buffer, text)
  writeText(text, `${value}\0`)
  return text + 2 * value.length + 2
}

/**
 * Makes a permanent object temporary: it loses its name with its last handle. No harm if it is temporary already.
 *
 * @irql PASSIVE_LEVEL
 * @returns STATUS_SUCCESS; STATUS_INVALID_HANDLE
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-zwmaketemporaryobject
 */
export function ZwMakeTemporaryObject(Handle: HANDLE): NTSTATUS {
  enter(PASSIVE_LEVEL, 'ZwMakeTemporaryObject')
  return withObject(Handle, 0, null, KernelMode, (object) => {
    setPermanent(object, false)
    return STATUS_SUCCESS
  })
}

/**
 * Makes an object keep its name without handles.
 *
 * @irql PASSIVE_LEVEL
 * @returns STATUS_SUCCESS; STATUS_INVALID_HANDLE
 * @see https://learn.microsoft.com/windows/win32/devnotes/ntmakepermanentobject
 */
export function ZwMakePermanentObject(Handle: HANDLE): NTSTATUS {
  enter(PASSIVE_LEVEL, 'ZwMakePermanentObject')
  return withObject(Handle, 0, null, KernelMode, (object) => {
    setPermanent(object, true)
    return STATUS_SUCCESS
  })
}

/**
 * Makes an object temporary; without handles it loses its name at once.
 *
 * @irql PASSIVE_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntifs/nf-ntifs-obmaketemporaryobject
 */
export function ObMakeTemporaryObject(Object: AnyObject): void {
  enter(PASSIVE_LEVEL, 'ObMakeTemporaryObject')
  setPermanent(Object.address, false)
}
