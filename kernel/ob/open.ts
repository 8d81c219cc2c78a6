/** Objects by name or by pointer, for drivers. */
import { APC_LEVEL, enter, type Out, PASSIVE_LEVEL } from '../ke/level.ts'
import { UserMode } from '../ke/wait.ts'
import {
  type NTSTATUS,
  STATUS_INVALID_PARAMETER,
  STATUS_OBJECT_NAME_INVALID,
  STATUS_OBJECT_TYPE_MISMATCH,
  STATUS_SUCCESS,
} from '../rtl/status.ts'
import type { Text } from '../rtl/string.ts'
import type { AnyView } from '../rtl/struct.ts'
import { checkAccess } from './access.ts'
import { captureAttributes, type ObjectAttributes } from './attributes.ts'
import { type HANDLE, type HandleResult, viewOf } from './handle.ts'
import { objectTypeIndex } from './layouts.ts'
import { openByName, openHandle, referenceByName } from './object.ts'
import { type AnyObject, dereferenceObject } from './reference.ts'
import { objectType, type ObjectType, type ParseResult } from './type.ts'

interface ReferenceByName<T> {
  ObjectName: Text
  Attributes: number
  AccessState: null
  DesiredAccess: number
  ObjectType: ObjectType | null
  AccessMode: number
  ParseContext: unknown
  Object: Out<T>
}

/**
 * Gives the object of that name, with a reference that the caller drops by ObDereferenceObject.
 *
 * @irql PASSIVE_LEVEL
 * @returns STATUS_SUCCESS; STATUS_OBJECT_NAME_NOT_FOUND, STATUS_OBJECT_PATH_NOT_FOUND; STATUS_OBJECT_TYPE_MISMATCH;
 *   STATUS_ACCESS_DENIED when AccessMode is UserMode; STATUS_OBJECT_NAME_INVALID; a promise where the path leads
 *   through a device
 * @see https://learn.microsoft.com/windows-hardware/drivers/kernel/object-names
 */
export function ObReferenceObjectByName<T extends AnyView>(
  parameters: ReferenceByName<T | null>,
): NTSTATUS | Promise<NTSTATUS> {
  enter(PASSIVE_LEVEL, 'ObReferenceObjectByName')
  const { ObjectName, Attributes, DesiredAccess, ObjectType, AccessMode, ParseContext } = parameters
  const attributes = captureAttributes({ ObjectName, Attributes }, AccessMode)
  if (attributes.status !== STATUS_SUCCESS) return attributes.status
  if (attributes.name === null) return STATUS_OBJECT_NAME_INVALID
  const opening = { attributes, type: ObjectType, access: DesiredAccess, mode: AccessMode, context: ParseContext }
  const fill = ({ status, object }: ParseResult): NTSTATUS => {
    const checked = status === STATUS_SUCCESS ? referenced(object, DesiredAccess, AccessMode) : status
    parameters.Object.value = checked === STATUS_SUCCESS ? (viewOf(object) as T) : null
    return checked
  }
  const found = referenceByName(opening)
  return found instanceof Promise ? found.then(fill) : fill(found)
}

/** Whether `mode` may have `access` of what it refers to; the reference is dropped if not. */
function referenced(object: number, access: number, mode: number): NTSTATUS {
  const { status } = checkAccess(object, objectType(objectTypeIndex(object)).mapping, access, mode)
  if (status !== STATUS_SUCCESS) dereferenceObject(object)
  return status
}

interface OpenByPointer {
  Object: AnyObject
  HandleAttributes: number
  PassedAccessState: null
  DesiredAccess: number
  ObjectType: ObjectType | null
  AccessMode: number
  Handle: Out<HANDLE>
}

/**
 * Makes a handle to an object that the caller has a pointer to.
 *
 * @irql <= APC_LEVEL
 * @returns STATUS_SUCCESS; STATUS_OBJECT_TYPE_MISMATCH; STATUS_ACCESS_DENIED when AccessMode is UserMode;
 *   STATUS_INVALID_PARAMETER for unknown attributes; STATUS_INSUFFICIENT_RESOURCES
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntifs/nf-ntifs-obopenobjectbypointer
 */
export function ObOpenObjectByPointer(parameters: OpenByPointer): NTSTATUS {
  enter(APC_LEVEL, 'ObOpenObjectByPointer')
  const { Object, HandleAttributes, DesiredAccess, ObjectType, AccessMode, Handle } = parameters
  const index = objectTypeIndex(Object.address)
  if (ObjectType === null ? AccessMode === UserMode : ObjectType.Index !== index) return STATUS_OBJECT_TYPE_MISMATCH
  const attributes = captureAttributes({ Attributes: HandleAttributes & ~HANDLE_ONLY }, AccessMode)
  if (attributes.status !== STATUS_SUCCESS) return STATUS_INVALID_PARAMETER
  const kept = { ...attributes, attributes: attributes.attributes | (HandleAttributes & HANDLE_ONLY) }
  const opened = openHandle(Object.address, DesiredAccess, kept, AccessMode)
  if (opened.status === STATUS_SUCCESS) Handle.value = opened.handle
  return opened.status
}

/** OBJ_PROTECT_CLOSE and OBJ_AUDIT_OBJECT_CLOSE: attributes of a handle, not of an OBJECT_ATTRIBUTES. */
const HANDLE_ONLY = 0x5

interface OpenByName {
  ObjectAttributes: ObjectAttributes
  ObjectType: ObjectType | null
  AccessMode: number
  PassedAccessState: null
  DesiredAccess: number
  ParseContext: unknown
  Handle: Out<HANDLE>
}

/**
 * Opens an object by name.
 *
 * @irql PASSIVE_LEVEL
 * @returns STATUS_SUCCESS; what ObReferenceObjectByName returns; a promise where the path leads through a device
 * @see https://learn.microsoft.com/windows-hardware/drivers/kernel/object-names
 */
export function ObOpenObjectByName(parameters: OpenByName): NTSTATUS | Promise<NTSTATUS> {
  enter(PASSIVE_LEVEL, 'ObOpenObjectByName')
  const { ObjectType: type, AccessMode: mode, DesiredAccess: access, ParseContext: context, Handle } = parameters
  if (parameters.ObjectAttributes === null) return STATUS_INVALID_PARAMETER
  const attributes = captureAttributes(parameters.ObjectAttributes, mode)
  if (attributes.status !== STATUS_SUCCESS) return attributes.status
  const fill = ({ status, handle }: HandleResult): NTSTATUS => {
    Handle.value = handle
    return status
  }
  const opened = openByName({ attributes, type, access, mode, context })
  return opened instanceof Promise ? opened.then(fill) : fill(opened)
}

/**
 * The type of an object.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/kernel/object-types
 */
export function ObGetObjectType(Object: AnyObject): ObjectType {
  return objectType(objectTypeIndex(Object.address))
}
