/** What the create and open services of all types have in common. */
import type { Out } from '../ke/level.ts'
import {
  type NTSTATUS,
  STATUS_INSUFFICIENT_RESOURCES,
  STATUS_INVALID_PARAMETER,
  STATUS_OBJECT_TYPE_MISMATCH,
  STATUS_SUCCESS,
} from '../rtl/status.ts'
import { type Captured, captureAttributes, type ObjectAttributes } from './attributes.ts'
import { type HANDLE, type HandleResult, referenceByHandle } from './handle.ts'
import { insertObject, openByName } from './object.ts'
import { dereferenceObject } from './reference.ts'
import type { ObjectType } from './type.ts'

/** Makes an object by `make`, inserts it, and fills the box with its handle. */
export function createNamed(
  handle: Out<HANDLE>,
  attributes: Captured,
  access: number,
  mode: number,
  make: () => number,
): NTSTATUS {
  const created = createWithHandle(attributes, access, mode, make)
  if (created.status >= 0) handle.value = created.handle
  return created.status
}

/** Makes an object by `make` and inserts it; the handle has the only reference, besides the name's. */
export function createWithHandle(attributes: Captured, access: number, mode: number, make: () => number): HandleResult {
  if (attributes.status !== STATUS_SUCCESS) return { status: attributes.status, handle: 0 }
  const object = make()
  if (object === 0) return { status: STATUS_INSUFFICIENT_RESOURCES, handle: 0 }
  const inserted = insertObject(object, { attributes, access, mode, wantsHandle: true })
  if (inserted.object !== 0) dereferenceObject(inserted.object)
  return inserted
}

/** Opens an object of a type without parse procedure, and fills the box: with 0 on failure. */
export function openNamed(
  handle: Out<HANDLE>,
  given: ObjectAttributes,
  type: ObjectType,
  access: number,
  mode: number,
): NTSTATUS {
  const opened = openWithHandle(given, type, access, mode)
  handle.value = opened.handle
  return opened.status
}

/** Opens an object of a type without parse procedure. */
export function openWithHandle(given: ObjectAttributes, type: ObjectType, access: number, mode: number): HandleResult {
  if (given === null) return { status: STATUS_INVALID_PARAMETER, handle: 0 }
  const attributes = captureAttributes(given, mode)
  if (attributes.status !== STATUS_SUCCESS) return { status: attributes.status, handle: 0 }
  const result = openByName({ attributes, type, access, mode })
  // A parse procedure that took over makes objects of another type.
  return result instanceof Promise ? { status: STATUS_OBJECT_TYPE_MISMATCH, handle: 0 } : result
}

/** Runs `use` with the object of a handle; the reference is dropped behind it. */
export function withObject(
  handle: HANDLE,
  access: number,
  type: ObjectType | null,
  mode: number,
  use: (object: number) => NTSTATUS,
): NTSTATUS {
  const target = referenceByHandle(handle, access, type, mode)
  if (target.status !== STATUS_SUCCESS) return target.status
  try {
    return use(target.object)
  } finally {
    dereferenceObject(target.object)
  }
}
