/** Objects begin: they are created, named, and opened by name. */
import { read32, read8, write32, write8 } from '../mm/access.ts'
import { Root } from '../ke/pcr.ts'
import { KernelMode, UserMode } from '../ke/wait.ts'
import { allocate } from '../mm/pool.ts'
import {
  type NTSTATUS,
  STATUS_OBJECT_NAME_COLLISION,
  STATUS_OBJECT_NAME_EXISTS,
  STATUS_OBJECT_PATH_SYNTAX_BAD,
  STATUS_OBJECT_TYPE_MISMATCH,
  STATUS_SUCCESS,
} from '../rtl/status.ts'
import { checkAccess, mapAccess } from './access.ts'
import { type Captured, OBJ_FORCE_ACCESS_CHECK, OBJ_OPENIF, OBJ_PERMANENT } from './attributes.ts'
import { directoryType } from './directory.ts'
import { createHandle, currentProcess, type HandleResult, referenceByHandle } from './handle.ts'
import { HEADER_SIZE, headerField, LIVE_OBJECT, ObjectFlag, objectTypeIndex } from './layouts.ts'
import { lookupName, type NameResult, removeName, uncountHandle } from './lookup.ts'
import { dereferenceObject, referenceObject } from './reference.ts'
import { objectType, type ObjectType, type ParseResult } from './type.ts'

/** What a new object is made with. */
export interface Creation {
  readonly mode?: number
  readonly attributes?: Captured
}

/**
 * Makes an object without name or handle, its body zeroed. The caller has the one reference to it.
 *
 * @returns the address of the body; 0 if there is no memory
 */
export function createObject(type: ObjectType, size: number, { mode = KernelMode, attributes }: Creation = {}): number {
  const block = allocate(HEADER_SIZE + size, type.tag)
  if (block === 0) return 0
  const object = block + HEADER_SIZE
  const isPermanent = ((attributes?.attributes ?? 0) & OBJ_PERMANENT) !== 0
  write32(headerField(object, 'Signature'), LIVE_OBJECT)
  write32(headerField(object, 'PointerCount'), 1)
  write8(headerField(object, 'Type'), type.Index)
  write8(
    headerField(object, 'Flags'),
    (isPermanent ? ObjectFlag.Permanent : 0) | (mode === UserMode ? 0 : ObjectFlag.Kernel),
  )
  write32(
    headerField(object, 'UserAccess'),
    attributes?.userAccess ?? (mode === UserMode ? type.mapping.all : type.userAccess),
  )
  return object
}

export interface Insertion {
  readonly attributes: Captured
  readonly access: number
  readonly mode: number
  /** Whether a handle is wanted; the name alone keeps a permanent object. */
  readonly wantsHandle: boolean
}

export interface InsertResult extends HandleResult {
  /** The new object, or with OBJ_OPENIF the one that has the name already. */
  readonly object: number
}

/**
 * Gives a new object its name and a handle.
 *
 * On success the caller has a reference to `object`, on failure none: the new object's own is dropped.
 *
 * @returns STATUS_SUCCESS; STATUS_OBJECT_NAME_EXISTS when OBJ_OPENIF found one of the type;
 *   STATUS_OBJECT_NAME_COLLISION, STATUS_OBJECT_TYPE_MISMATCH and what the name's syntax gives
 */
export function insertObject(object: number, insertion: Insertion): InsertResult {
  const { attributes, mode, wantsHandle } = insertion
  if (attributes.name === null) return inserted(object, insertion)
  const type = typeOf(object)
  const found = withRoot(attributes, mode, (root, name) =>
    lookupName({
      name,
      root,
      attributes: attributes.attributes,
      mode,
      type,
      insert: object,
      reserves: wantsHandle,
    }),
  )
  if (found.status !== STATUS_SUCCESS) return refuse(object, found.status)
  return reserved(found.object || object, found.isReserved, () =>
    found.object === 0 ? inserted(object, insertion) : nameIsTaken(object, found.object, insertion),
  )
}

/** Makes a handle while the one that `lookupName` counted keeps the name; then that one is uncounted. */
function reserved<T>(object: number, isReserved: boolean, makeHandle: () => T): T {
  if (!isReserved) return makeHandle()
  referenceObject(object)
  const result = makeHandle()
  uncountHandle(object)
  dereferenceObject(object)
  return result
}

/** A new object has its name, or needs none. */
function inserted(object: number, { attributes, access, wantsHandle }: Insertion): InsertResult {
  if (!wantsHandle) return { status: STATUS_SUCCESS, handle: 0, object }
  const { mapping } = typeOf(object)
  const granted = mapAccess(access, mapping, mapping.all)
  const made = createHandle(object, handleRequest(granted, attributes, 'create'))
  if (made.status >= 0) return { ...made, object }
  removeName(object)
  return refuse(object, made.status)
}

const typeOf = (object: number): ObjectType => objectType(objectTypeIndex(object))

const handleRequest = (access: number, { attributes }: Captured, reason: 'create' | 'open') =>
  ({ access, attributes, reason, process: currentProcess() }) as const

function refuse(object: number, status: NTSTATUS): InsertResult {
  dereferenceObject(object)
  return { status, handle: 0, object: 0 }
}

/** A new object met `existing` under its name; the caller has a reference to both. */
function nameIsTaken(
  object: number,
  existing: number,
  { attributes, access, mode, wantsHandle }: Insertion,
): InsertResult {
  const type = typeOf(object)
  const isSameType = objectTypeIndex(existing) === type.Index
  const isRoot = existing === rootDirectory()
  dereferenceObject(object)
  if (isRoot || !isSameType || (attributes.attributes & OBJ_OPENIF) === 0) {
    const collides = isRoot || isSameType
    return refuse(existing, collides ? STATUS_OBJECT_NAME_COLLISION : STATUS_OBJECT_TYPE_MISMATCH)
  }
  if (!wantsHandle) return { status: STATUS_OBJECT_NAME_EXISTS, handle: 0, object: existing }
  const opened = openHandle(existing, access, attributes, mode)
  if (opened.status < 0) return refuse(existing, opened.status)
  return { status: STATUS_OBJECT_NAME_EXISTS, handle: opened.handle, object: existing }
}

/** A handle to an object that exists, if `mode` may have it. The caller has a reference, and keeps it. */
export function openHandle(object: number, access: number, attributes: Captured, mode: number): HandleResult {
  const checked = (attributes.attributes & OBJ_FORCE_ACCESS_CHECK) !== 0 ? UserMode : mode
  const { status, granted } = checkAccess(object, typeOf(object).mapping, access, checked)
  if (status !== STATUS_SUCCESS) return { status, handle: 0 }
  return createHandle(object, handleRequest(granted, attributes, 'open'))
}

export const rootDirectory = (): number => read32(Root.ObRootDirectory)

/** Calls `look` with the directory that a name is relative to, and drops the reference to it again. */
function withRoot(
  { root, name }: Captured,
  mode: number,
  look: (directory: number, name: string) => NameResult,
): NameResult {
  if (root === 0) return look(0, name as string)
  const target = referenceByHandle(root, 0, directoryType, mode)
  if (target.status !== STATUS_SUCCESS) return { status: target.status, object: 0, rest: '', isReserved: false }
  const result = look(target.object, name as string)
  dereferenceObject(target.object)
  return result
}

export interface Opening {
  readonly attributes: Captured
  readonly type: ObjectType | null
  readonly access: number
  readonly mode: number
  /** For the type's parse procedure: io's open packet. */
  readonly context?: unknown
}

/** The object of a name, with a reference for the caller. A parse procedure may make it a promise. */
export function referenceByName(opening: Opening): ParseResult | Promise<ParseResult> {
  return find(opening, false)
}

/** What `find` found; `isReserved`: `uncountHandle` is due. */
interface Found extends ParseResult {
  readonly isReserved?: boolean
}

function find(opening: Opening, reserves: boolean): Found | Promise<Found> {
  const { attributes, type, mode } = opening
  if (attributes.name === null) return { status: STATUS_OBJECT_PATH_SYNTAX_BAD, object: 0 }
  const relative = attributes.root === 0 ? null : parseRelative(opening)
  if (relative !== null) return relative
  const found = withRoot(attributes, mode, (root, name) =>
    lookupName({ name, root, attributes: attributes.attributes, mode, type, insert: 0, reserves }),
  )
  if (found.status !== STATUS_SUCCESS) return { status: found.status, object: 0 }
  if (!found.isReserved) return parsed(found.object, found.rest, opening)
  if (type === null || type.Index === objectTypeIndex(found.object)) return found
  uncountHandle(found.object)
  return checkType(found.object, type)
}

/** A root handle that is no directory but parses names itself: a file or a device. */
function parseRelative(opening: Opening): ParseResult | Promise<ParseResult> | null {
  const { root, name } = opening.attributes
  const target = referenceByHandle(root, 0, null, opening.mode)
  if (target.status !== STATUS_SUCCESS) return { status: target.status, object: 0 }
  if (typeOf(target.object).parse !== undefined) return parsed(target.object, name as string, opening)
  dereferenceObject(target.object)
  return null
}

/** Lets the type take over where it wants to, else checks the type. The caller's reference goes to the result. */
function parsed(object: number, rest: string, opening: Opening): ParseResult | Promise<ParseResult> {
  const { type, access, mode, attributes, context } = opening
  const actual = typeOf(object)
  if (actual.parse === undefined) return checkType(object, type)
  const result = actual.parse(object, rest, { type, access, mode, attributes: attributes.attributes, context })
  if (!(result instanceof Promise)) {
    dereferenceObject(object)
    return result
  }
  return result.then((settled) => {
    dereferenceObject(object)
    return settled
  })
}

function checkType(object: number, type: ObjectType | null): ParseResult {
  if (type === null || type.Index === objectTypeIndex(object)) return { status: STATUS_SUCCESS, object }
  dereferenceObject(object)
  return { status: STATUS_OBJECT_TYPE_MISMATCH, object: 0 }
}

/** Opens an object by name and gives a handle. A parse procedure may make it a promise. */
export function openByName(opening: Opening): HandleResult | Promise<HandleResult> {
  const found = find(opening, true)
  return found instanceof Promise ? found.then((result) => opened(result, opening)) : opened(found, opening)
}

function opened({ status, object, isReserved = false }: Found, { access, attributes, mode }: Opening): HandleResult {
  if (status < 0) return { status, handle: 0 }
  const result = reserved(object, isReserved, () => openHandle(object, access, attributes, mode))
  dereferenceObject(object)
  return result
}

/** Whether the kernel made the object. */
export const isKernelObject = (object: number): boolean =>
  (read8(headerField(object, 'Flags')) & ObjectFlag.Kernel) !== 0
