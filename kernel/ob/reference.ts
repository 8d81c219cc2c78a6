/** References: the count of an object's pointers, and what happens when the last one is gone. */
import { BugCode } from '../ke/bugcodes.ts'
import { bugCheck } from '../ke/bugcheck.ts'
import { DISPATCH_LEVEL, enter } from '../ke/level.ts'
import { atomicAdd, read32, readU32 } from '../mm/access.ts'
import { type NTSTATUS, STATUS_OBJECT_TYPE_MISMATCH, STATUS_SUCCESS } from '../rtl/status.ts'
import { UserMode } from '../ke/wait.ts'
import { deleteObject, deleteObjectLater } from './delete.ts'
import { headerField, LIVE_OBJECT, objectTypeIndex } from './layouts.ts'
import { objectType, type ObjectType } from './type.ts'

/** Anything that is an object: the view of its body. */
export interface AnyObject {
  readonly address: number
}

/** Whether an object lies at `address`, for kernel code that meets both objects and plain structs. */
export const isObject = (address: number): boolean => readU32(headerField(address, 'Signature')) === LIVE_OBJECT

/** Adds a reference. @returns the count now. @irql <= DISPATCH_LEVEL */
export function referenceObject(object: number): number {
  if (object === 0 || !isObject(object)) noObject(object)
  const count = atomicAdd(headerField(object, 'PointerCount'), 1) + 1
  if (count <= 1) wrongCount(object, count, 'referenced although its last reference was gone')
  return count
}

/** Drops a reference; the last one deletes the object. @returns the count now. @irql <= DISPATCH_LEVEL */
export function dereferenceObject(object: number): number {
  if (object === 0 || !isObject(object)) noObject(object)
  const count = atomicAdd(headerField(object, 'PointerCount'), -1) - 1
  if (count > 0) return count
  if (count < 0) wrongCount(object, count, 'dereferenced more often than it was referenced')
  deleteObject(object)
  return 0
}

function noObject(object: number): never {
  return bugCheck({
    code: BugCode.REFERENCE_BY_POINTER,
    parameters: [0, object],
    message:
      object === 0
        ? 'a reference to NULL was taken or dropped'
        : 'what was referenced or dereferenced is no object, or was deleted already; an object that the driver embeds in its own memory (a KEVENT …) has no reference count',
  })
}

function wrongCount(object: number, count: number, what: string): never {
  return bugCheck({
    code: BugCode.REFERENCE_BY_POINTER,
    parameters: [objectTypeIndex(object), object, 0, count],
    message: `an object of type ${objectType(objectTypeIndex(object)).name} was ${what}`,
  })
}

/**
 * Adds a reference to an object that the caller holds already.
 *
 * @irql <= DISPATCH_LEVEL
 * @returns the count of references now
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-obreferenceobject
 */
export function ObReferenceObject(Object: AnyObject): number {
  enter(DISPATCH_LEVEL, 'ObReferenceObject')
  return referenceObject(addressOf(Object))
}

/**
 * Adds a reference to an object if it is of the type that is expected.
 *
 * @irql <= DISPATCH_LEVEL
 * @returns STATUS_SUCCESS; STATUS_OBJECT_TYPE_MISMATCH when it is of another type than `ObjectType`, or when that is
 *   null and AccessMode is UserMode. `DesiredAccess` is not checked: whoever has a pointer has all rights
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-obreferenceobjectbypointer
 */
export function ObReferenceObjectByPointer(
  Object: AnyObject,
  _DesiredAccess: number,
  ObjectType: ObjectType | null,
  AccessMode: number,
): NTSTATUS {
  enter(DISPATCH_LEVEL, 'ObReferenceObjectByPointer')
  const object = addressOf(Object)
  if (object === 0 || !isObject(object)) noObject(object)
  const isWrong = ObjectType === null ? AccessMode === UserMode : ObjectType.Index !== objectTypeIndex(object)
  if (isWrong) return STATUS_OBJECT_TYPE_MISMATCH
  referenceObject(object)
  return STATUS_SUCCESS
}

/**
 * Drops a reference. With the last one the object is deleted, at once at PASSIVE_LEVEL and behind the caller above.
 *
 * @irql <= DISPATCH_LEVEL
 * @returns the count of references now
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-obdereferenceobject
 */
export function ObDereferenceObject(Object: AnyObject): number {
  enter(DISPATCH_LEVEL, 'ObDereferenceObject')
  return dereferenceObject(addressOf(Object))
}

/**
 * Drops a reference; an object whose last one it was is deleted later, by a system thread: for callers that hold
 * what its delete procedure wants.
 *
 * @irql <= DISPATCH_LEVEL
 * @returns the count of references now
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-obdereferenceobjectdeferdelete
 */
export function ObDereferenceObjectDeferDelete(Object: AnyObject): number {
  enter(DISPATCH_LEVEL, 'ObDereferenceObjectDeferDelete')
  const object = addressOf(Object)
  if (object === 0 || !isObject(object)) noObject(object)
  const count = atomicAdd(headerField(object, 'PointerCount'), -1) - 1
  if (count < 0) wrongCount(object, count, 'dereferenced more often than it was referenced')
  if (count === 0) deleteObjectLater(object)
  return count
}

/** NULL has no view: a driver that passes null means address 0. */
const addressOf = (object: AnyObject | null): number => (object === null ? 0 : object.address)

/** The count of references, for reports and tests. */
export const pointerCount = (object: number): number => read32(headerField(object, 'PointerCount'))
export const handleCount = (object: number): number => read32(headerField(object, 'HandleCount'))
