/** What is known of an object: its name, its type, its counts. */
import { APC_LEVEL, enter, type Out, PASSIVE_LEVEL } from '../ke/level.ts'
import { Root } from '../ke/pcr.ts'
import { acquireWord, releaseWord } from '../ke/spin.ts'
import { KernelMode } from '../ke/wait.ts'
import { read32, write16, write32 } from '../mm/access.ts'
import {
  type NTSTATUS,
  STATUS_BUFFER_OVERFLOW,
  STATUS_INFO_LENGTH_MISMATCH,
  STATUS_INVALID_INFO_CLASS,
  STATUS_INVALID_PARAMETER,
  STATUS_SUCCESS,
} from '../rtl/status.ts'
import { UNICODE_STRING } from '../rtl/string.ts'
import { array, struct, UCHAR, ULONG } from '../rtl/struct.ts'
import { OBJ_INHERIT, OBJ_PERMANENT, OBJ_PROTECT_CLOSE, writeText } from './attributes.ts'
import { nameOf } from './directory.ts'
import { type HANDLE, type HandleTarget, isKernelHandle, placeOf, referenceByHandle } from './handle.ts'
import { lockTable, readEntry, unlockTable, writeAttributes } from './handletable.ts'
import { headerField, objectTypeIndex } from './layouts.ts'
import { isPermanent } from './lookup.ts'
import { rootDirectory } from './object.ts'
import { type AnyObject, dereferenceObject, handleCount, pointerCount } from './reference.ts'
import { objectType } from './type.ts'

export const ObjectBasicInformation = 0
export const ObjectNameInformation = 1
export const ObjectTypeInformation = 2
export const ObjectHandleFlagInformation = 4

export const OBJECT_BASIC_INFORMATION = struct('OBJECT_BASIC_INFORMATION', {
  Attributes: ULONG, // the handle's, and OBJ_PERMANENT if the object is
  GrantedAccess: ULONG,
  HandleCount: ULONG,
  PointerCount: ULONG, // the query's own reference included
  Reserved: array(ULONG, 10),
})
export interface OBJECT_BASIC_INFORMATION extends InstanceType<typeof OBJECT_BASIC_INFORMATION> {}

/** The name's units follow. */
export const OBJECT_NAME_INFORMATION = struct('OBJECT_NAME_INFORMATION', { Name: UNICODE_STRING })
export interface OBJECT_NAME_INFORMATION extends InstanceType<typeof OBJECT_NAME_INFORMATION> {}

/** The name's units follow. */
export const OBJECT_TYPE_INFORMATION = struct('OBJECT_TYPE_INFORMATION', {
  TypeName: UNICODE_STRING,
  Reserved: array(ULONG, 22),
})
export interface OBJECT_TYPE_INFORMATION extends InstanceType<typeof OBJECT_TYPE_INFORMATION> {}

export const OBJECT_HANDLE_FLAG_INFORMATION = struct('OBJECT_HANDLE_FLAG_INFORMATION', {
  Inherit: UCHAR,
  ProtectFromClose: UCHAR,
})
export interface OBJECT_HANDLE_FLAG_INFORMATION extends InstanceType<typeof OBJECT_HANDLE_FLAG_INFORMATION> {}

/** The full path of an object; empty if it has no name. */
export function pathOf(object: number): string {
  const { queryName } = objectType(objectTypeIndex(object))
  if (queryName !== undefined) return queryName(object)
  if (object === rootDirectory()) return '\\'
  acquireWord(Root.ObLock)
  let path = ''
  for (let at = object; at !== rootDirectory(); ) {
    const directory = read32(headerField(at, 'Directory'))
    // The directory itself may have lost its name: nothing above it is known then.
    if (directory === 0) {
      if (at === object) path = ''
      break
    }
    path = `\\${nameOf(at)}${path}`
    at = directory
  }
  releaseWord(Root.ObLock)
  return path
}

const NAME_HEADER = OBJECT_NAME_INFORMATION.size

/** Writes a header of `size` bytes that begins with the counted string of the text behind it. */
function writeNamed(to: number, length: number, size: number, text: string, needed: Out<number> | null): NTSTATUS {
  const bytes = text === '' ? 0 : 2 * text.length + 2
  if (needed !== null) needed.value = size + bytes
  if (length < size) return STATUS_INFO_LENGTH_MISMATCH
  if (length < size + bytes) return STATUS_BUFFER_OVERFLOW
  const { Length, MaximumLength, Buffer } = UNICODE_STRING.offsets
  write16(to + Length, 2 * text.length)
  write16(to + MaximumLength, bytes)
  write32(to + Buffer, bytes === 0 ? 0 : to + size)
  if (bytes !== 0) writeText(to + size, `${text}\0`)
  return STATUS_SUCCESS
}

/**
 * Tells an object's full name: a counted string, empty for an object without name, and the units behind it.
 *
 * @irql <= APC_LEVEL
 * @returns STATUS_SUCCESS; STATUS_INFO_LENGTH_MISMATCH when there is not even room for the counted string,
 *   STATUS_BUFFER_OVERFLOW when there is for that but not for the name: `ReturnLength` is the size needed
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntifs/nf-ntifs-obquerynamestring
 */
export function ObQueryNameString(
  Object: AnyObject,
  ObjectNameInfo: OBJECT_NAME_INFORMATION | null,
  Length: number,
  ReturnLength: Out<number>,
): NTSTATUS {
  enter(APC_LEVEL, 'ObQueryNameString')
  const room = ObjectNameInfo === null ? 0 : Length
  return writeNamed(ObjectNameInfo?.address ?? 0, room, NAME_HEADER, pathOf(Object.address), ReturnLength)
}

/**
 * Tells of the object of a handle: ObjectBasicInformation, ObjectNameInformation, ObjectTypeInformation (the type's
 * name only) or ObjectHandleFlagInformation.
 *
 * @irql PASSIVE_LEVEL
 * @returns STATUS_SUCCESS; STATUS_INFO_LENGTH_MISMATCH; STATUS_BUFFER_OVERFLOW for a name that finds no room;
 *   STATUS_INVALID_INFO_CLASS; STATUS_INVALID_HANDLE
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntifs/nf-ntifs-zwqueryobject
 */
export function ZwQueryObject(
  Handle: HANDLE,
  ObjectInformationClass: number,
  ObjectInformation: AnyObject | null,
  ObjectInformationLength: number,
  ReturnLength: Out<number> | null,
): NTSTATUS {
  enter(PASSIVE_LEVEL, 'ZwQueryObject')
  const target = referenceByHandle(Handle, 0, null, KernelMode)
  if (target.status !== STATUS_SUCCESS) return target.status
  const length = ObjectInformation === null ? 0 : ObjectInformationLength
  const status = inform(target, ObjectInformationClass, ObjectInformation?.address ?? 0, length, ReturnLength)
  dereferenceObject(target.object)
  return status
}

function inform(target: HandleTarget, kind: number, to: number, length: number, needed: Out<number> | null): NTSTATUS {
  switch (kind) {
    case ObjectBasicInformation:
      return writeBasic(target, to, length, needed)
    case ObjectNameInformation:
      return writeNamed(to, length, NAME_HEADER, pathOf(target.object), needed)
    case ObjectTypeInformation: {
      const { name } = objectType(objectTypeIndex(target.object))
      return writeNamed(to, length, OBJECT_TYPE_INFORMATION.size, name, needed)
    }
    case ObjectHandleFlagInformation:
      return writeFlags(target, to, length, needed)
    default:
      return STATUS_INVALID_INFO_CLASS
  }
}

function writeBasic(target: HandleTarget, to: number, length: number, needed: Out<number> | null): NTSTATUS {
  if (needed !== null) needed.value = OBJECT_BASIC_INFORMATION.size
  if (length !== OBJECT_BASIC_INFORMATION.size) return STATUS_INFO_LENGTH_MISMATCH
  const information = new OBJECT_BASIC_INFORMATION(to)
  information.Attributes = target.attributes | (isPermanent(target.object) ? OBJ_PERMANENT : 0)
  information.GrantedAccess = target.access
  information.HandleCount = handleCount(target.object)
  information.PointerCount = pointerCount(target.object)
  return STATUS_SUCCESS
}

function writeFlags({ attributes }: HandleTarget, to: number, length: number, needed: Out<number> | null): NTSTATUS {
  if (needed !== null) needed.value = OBJECT_HANDLE_FLAG_INFORMATION.size
  if (length !== OBJECT_HANDLE_FLAG_INFORMATION.size) return STATUS_INFO_LENGTH_MISMATCH
  const information = new OBJECT_HANDLE_FLAG_INFORMATION(to)
  information.Inherit = (attributes & OBJ_INHERIT) !== 0 ? 1 : 0
  information.ProtectFromClose = (attributes & OBJ_PROTECT_CLOSE) !== 0 ? 1 : 0
  return STATUS_SUCCESS
}

/**
 * Sets whether a handle is inherited and whether it can be closed (ObjectHandleFlagInformation).
 *
 * @irql PASSIVE_LEVEL
 * @returns STATUS_SUCCESS; STATUS_INVALID_INFO_CLASS; STATUS_INFO_LENGTH_MISMATCH; STATUS_INVALID_PARAMETER for a
 *   handle that has no table entry
 * @see https://learn.microsoft.com/windows/win32/api/handleapi/nf-handleapi-sethandleinformation
 */
export function ZwSetInformationObject(
  Handle: HANDLE,
  ObjectInformationClass: number,
  ObjectInformation: OBJECT_HANDLE_FLAG_INFORMATION,
  ObjectInformationLength: number,
): NTSTATUS {
  enter(PASSIVE_LEVEL, 'ZwSetInformationObject')
  if (ObjectInformationClass !== ObjectHandleFlagInformation) return STATUS_INVALID_INFO_CLASS
  if (ObjectInformationLength !== OBJECT_HANDLE_FLAG_INFORMATION.size) return STATUS_INFO_LENGTH_MISMATCH
  const place = placeOf(Handle, KernelMode)
  if (place === null) return STATUS_INVALID_PARAMETER
  const { Inherit, ProtectFromClose } = ObjectInformation
  lockTable(place.table)
  const entry = readEntry(place.table, place.index)
  if (entry !== null) {
    const kept = entry.attributes & ~(OBJ_INHERIT | OBJ_PROTECT_CLOSE)
    const set = (Inherit !== 0 ? OBJ_INHERIT : 0) | (ProtectFromClose !== 0 ? OBJ_PROTECT_CLOSE : 0)
    writeAttributes(place.table, place.index, kept | set)
  }
  unlockTable(place.table)
  return entry === null ? STATUS_INVALID_PARAMETER : STATUS_SUCCESS
}

/**
 * Whether a handle is the kernel's.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntifs/nf-ntifs-obiskernelhandle
 */
export function ObIsKernelHandle(Handle: HANDLE): boolean {
  return isKernelHandle(Handle)
}
