/** OBJECT_ATTRIBUTES: how a routine is told an object's name, and what kind of handle it shall give. */
import { point } from '../ke/level.ts'
import { UserMode } from '../ke/wait.ts'
import { mem } from '../mm/memory.ts'
import { allocate, free } from '../mm/pool.ts'
import {
  type NTSTATUS,
  STATUS_INVALID_PARAMETER,
  STATUS_OBJECT_NAME_INVALID,
  STATUS_PRIVILEGE_NOT_HELD,
  STATUS_SUCCESS,
} from '../rtl/status.ts'
import { RtlInitUnicodeString, type Text, textOf, UNICODE_STRING } from '../rtl/string.ts'
import { HANDLE, pointer, PVOID, type Pvoid, struct, structOfView, ULONG } from '../rtl/struct.ts'
import { SECURITY_DESCRIPTOR } from './access.ts'

export const OBJ_PROTECT_CLOSE = 0x00000001
export const OBJ_INHERIT = 0x00000002
export const OBJ_AUDIT_OBJECT_CLOSE = 0x00000004
export const OBJ_PERMANENT = 0x00000010
export const OBJ_EXCLUSIVE = 0x00000020
export const OBJ_CASE_INSENSITIVE = 0x00000040
export const OBJ_OPENIF = 0x00000080
export const OBJ_OPENLINK = 0x00000100
export const OBJ_KERNEL_HANDLE = 0x00000200
export const OBJ_FORCE_ACCESS_CHECK = 0x00000400
export const OBJ_IGNORE_IMPERSONATED_DEVICEMAP = 0x00000800
export const OBJ_DONT_REPARSE = 0x00001000
export const OBJ_VALID_ATTRIBUTES = 0x00001ff2

export const OBJECT_ATTRIBUTES = struct('OBJECT_ATTRIBUTES', {
  Length: ULONG,
  RootDirectory: HANDLE,
  ObjectName: pointer(UNICODE_STRING),
  Attributes: ULONG,
  SecurityDescriptor: PVOID,
  SecurityQualityOfService: PVOID,
  NameStorage: UNICODE_STRING, // what ObjectName points to when InitializeObjectAttributes was given a JavaScript string
})
export interface OBJECT_ATTRIBUTES extends InstanceType<typeof OBJECT_ATTRIBUTES> {}

/** The same as a literal, since the routines only read it: `{ ObjectName: '\\Device\\Foo', Attributes: … }`. */
export interface ObjectAttributesLiteral {
  RootDirectory?: number | null
  ObjectName?: Text | null
  Attributes?: number
  SecurityDescriptor?: Pvoid
}

/** What a routine accepts as POBJECT_ATTRIBUTES. */
export type ObjectAttributes = OBJECT_ATTRIBUTES | ObjectAttributesLiteral | null

/**
 * Fills an OBJECT_ATTRIBUTES.
 *
 * `ObjectName` may be a JavaScript string: the struct then holds the counted string itself, and must not be copied.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows/win32/api/ntdef/nf-ntdef-initializeobjectattributes
 */
export function InitializeObjectAttributes(
  InitializedAttributes: OBJECT_ATTRIBUTES,
  ObjectName: Text | null,
  Attributes: number,
  RootDirectory: number | null,
  SecurityDescriptor: Pvoid,
): void {
  point()
  InitializedAttributes.Length = OBJECT_ATTRIBUTES.size
  InitializedAttributes.RootDirectory = RootDirectory ?? 0
  InitializedAttributes.Attributes = Attributes
  InitializedAttributes.SecurityDescriptor = SecurityDescriptor
  InitializedAttributes.SecurityQualityOfService = null
  if (typeof ObjectName === 'string') {
    RtlInitUnicodeString(InitializedAttributes.NameStorage, ObjectName)
    InitializedAttributes.ObjectName = InitializedAttributes.NameStorage
  } else {
    InitializedAttributes.ObjectName = ObjectName
  }
}

/** The most bytes that a name may have. */
const LONGEST_NAME = 65532

/** OBJECT_ATTRIBUTES as the object manager works with them. */
export interface Captured {
  readonly status: NTSTATUS
  /** null: there is none. */
  readonly name: string | null
  /** Handle of the directory that the name is relative to; 0: the root. */
  readonly root: number
  readonly attributes: number
  /** The rights that a descriptor gives user mode; null: there is no descriptor. */
  readonly userAccess: number | null
}

const NO_ATTRIBUTES: Captured = { status: STATUS_SUCCESS, name: null, root: 0, attributes: 0, userAccess: null }
const refused = (status: NTSTATUS): Captured => ({ ...NO_ATTRIBUTES, status })

/** Reads and checks OBJECT_ATTRIBUTES; `mode` is who gave them. */
export function captureAttributes(given: ObjectAttributes, mode: number): Captured {
  if (given === null) return NO_ATTRIBUTES
  const isStruct = structOfView(given) !== undefined
  if (isStruct && (given as OBJECT_ATTRIBUTES).Length !== OBJECT_ATTRIBUTES.size)
    return refused(STATUS_INVALID_PARAMETER)
  const attributes = (given.Attributes ?? 0) >>> 0
  if ((attributes & ~OBJ_VALID_ATTRIBUTES) !== 0) return refused(STATUS_INVALID_PARAMETER)
  const isUser = mode === UserMode
  if (isUser && (attributes & OBJ_PERMANENT) !== 0) return refused(STATUS_PRIVILEGE_NOT_HELD)
  const string = given.ObjectName ?? null
  if (string !== null && !isNameSound(string)) return refused(STATUS_OBJECT_NAME_INVALID)
  const name = string === null ? null : textOf(string)
  const root = (given.RootDirectory ?? 0) >>> 0
  if (name === null && root !== 0) return refused(STATUS_OBJECT_NAME_INVALID)
  return {
    status: STATUS_SUCCESS,
    name: name === '' && root === 0 ? null : name,
    root,
    attributes: isUser ? attributes & ~OBJ_KERNEL_HANDLE : attributes,
    userAccess: userAccessOf(given.SecurityDescriptor ?? null),
  }
}

function isNameSound(string: Text): boolean {
  const bytes = typeof string === 'string' ? 2 * string.length : string.Length
  return bytes % 2 === 0 && bytes <= LONGEST_NAME
}

function userAccessOf(descriptor: Pvoid): number | null {
  if (structOfView(descriptor)?.typeId !== SECURITY_DESCRIPTOR.typeId) return null
  return (descriptor as SECURITY_DESCRIPTOR).UserAccess
}

const NAME_TAG = 'ObNm'

/** Copies `text` into the pool as UTF-16 units. @returns its address, 0 if there is no memory. */
export function allocateText(text: string): number {
  const address = allocate(Math.max(2 * text.length, 2), NAME_TAG)
  if (address !== 0) writeText(address, text)
  return address
}

export function freeText(address: number): void {
  if (address !== 0) free(address, NAME_TAG)
}

export function writeText(address: number, text: string): void {
  for (let unit = 0; unit < text.length; unit++) mem.u16[(address >> 1) + unit] = text.charCodeAt(unit)
}

export function readText(address: number, length: number): string {
  let text = ''
  for (let unit = 0; unit < length; unit++) text += String.fromCharCode(mem.u16[(address >> 1) + unit] as number)
  return text
}
