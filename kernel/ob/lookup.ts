/** From a path to an object: directories, symbolic links, and who takes over the rest of the path. */
import { Root } from '../ke/pcr.ts'
import { acquireWord, releaseWord } from '../ke/spin.ts'
import { UserMode } from '../ke/wait.ts'
import { read16, read32, read8, readU32, write32, write8 } from '../mm/access.ts'
import {
  type NTSTATUS,
  STATUS_ACCESS_DENIED,
  STATUS_INSUFFICIENT_RESOURCES,
  STATUS_OBJECT_NAME_INVALID,
  STATUS_OBJECT_NAME_NOT_FOUND,
  STATUS_OBJECT_PATH_NOT_FOUND,
  STATUS_OBJECT_PATH_SYNTAX_BAD,
  STATUS_OBJECT_TYPE_MISMATCH,
  STATUS_SUCCESS,
} from '../rtl/status.ts'
import { UNICODE_STRING } from '../rtl/string.ts'
import { allocateText, OBJ_CASE_INSENSITIVE, OBJ_OPENLINK, readText } from './attributes.ts'
import {
  DIRECTORY_CREATE_OBJECT,
  DIRECTORY_CREATE_SUBDIRECTORY,
  directoryType,
  findEntry,
  freeName,
  hashName,
  insertEntry,
  removeEntry,
} from './directory.ts'
import { headerField, OBJECT_SYMBOLIC_LINK, ObjectFlag, objectTypeIndex } from './layouts.ts'
import { dereferenceObject, referenceObject } from './reference.ts'
import { symbolicLinkType } from './symboliclink.ts'
import { objectType, type ObjectType } from './type.ts'

export interface NameRequest {
  readonly name: string
  /** The directory to start at; 0: the root, and the name begins with a backslash. */
  readonly root: number
  readonly attributes: number
  readonly mode: number
  /** The type that the caller wants; null: any. */
  readonly type: ObjectType | null
  /** An object to put there if the name is free; 0: none. */
  readonly insert: number
  /** Counts a handle to what is found or inserted: its name stays until the caller has made one, and uncounts this. */
  readonly reserves: boolean
}

export interface NameResult {
  readonly status: NTSTATUS
  /** The object that was found, with a reference for the caller; 0 if none, or if `insert` was inserted. */
  readonly object: number
  /** What is left of the path behind it: begins with a backslash, for the object's parse procedure. */
  readonly rest: string
  /** Whether a handle was counted: then `uncountHandle` is due. */
  readonly isReserved: boolean
}

/** Symbolic links that one path may lead through. */
const MOST_LINKS = 30

const failed = (status: NTSTATUS): NameResult => ({ status, object: 0, rest: '', isReserved: false })

const found = (object: number, rest: string): NameResult => ({
  status: STATUS_SUCCESS,
  object,
  rest,
  isReserved: false,
})

/** Finds the object of a name, or puts one there. @irql PASSIVE_LEVEL */
export function lookupName(request: NameRequest): NameResult {
  acquireWord(Root.ObLock)
  const result = walk(request)
  const isReserved = request.reserves && result.object !== 0 && !isParser(result.object)
  if (result.object !== 0) referenceObject(result.object)
  if (isReserved) changeHandleCount(result.object, 1)
  releaseWord(Root.ObLock)
  return isReserved ? { ...result, isReserved } : result
}

const isParser = (object: number): boolean => objectType(objectTypeIndex(object)).parse !== undefined

/** Caller holds Root.ObLock. @returns the count now. */
function changeHandleCount(object: number, delta: number): number {
  const count = read32(headerField(object, 'HandleCount')) + delta
  write32(headerField(object, 'HandleCount'), count)
  return count
}

/** The path behind its first backslash, and where it starts; null if its syntax is wrong. */
function startOf({ name, root }: NameRequest): { directory: number; path: string } | null {
  const isAbsolute = name.startsWith('\\')
  if (isAbsolute === (root !== 0)) return null
  return isAbsolute ? { directory: read32(Root.ObRootDirectory), path: name.slice(1) } : { directory: root, path: name }
}

function walk(request: NameRequest): NameResult {
  const start = startOf(request)
  if (start === null) return failed(STATUS_OBJECT_PATH_SYNTAX_BAD)
  let { directory, path } = start
  if (path === '') return found(directory, '')
  const ignoreCase = (request.attributes & OBJ_CASE_INSENSITIVE) !== 0
  for (let links = 0; ; ) {
    const end = path.indexOf('\\')
    const component = end < 0 ? path : path.slice(0, end)
    const rest = end < 0 ? '' : path.slice(end)
    if (component === '') return failed(STATUS_OBJECT_NAME_INVALID)
    const hash = hashName(component)
    const object = findEntry(directory, component, hash, ignoreCase)
    if (object === 0)
      return rest === '' ? nameIsFree(request, directory, component, hash) : failed(STATUS_OBJECT_PATH_NOT_FOUND)
    const index = objectTypeIndex(object)
    if (index === directoryType.Index && rest !== '') {
      directory = object
      path = rest.slice(1)
      continue
    }
    if (index !== symbolicLinkType.Index || isLinkWanted(request, rest)) return reached(object, rest)
    links += 1
    if (links > MOST_LINKS) return failed(STATUS_OBJECT_NAME_NOT_FOUND)
    const target = linkTarget(object)
    if (!target.startsWith('\\')) return failed(STATUS_OBJECT_PATH_SYNTAX_BAD)
    directory = read32(Root.ObRootDirectory)
    path = (target.endsWith('\\') ? target.slice(0, -1) + rest : target + rest).slice(1)
    if (path === '') return found(directory, '')
  }
}

/** Whether the caller wants a symbolic link at the end of the path itself. */
const isLinkWanted = ({ type, attributes }: NameRequest, rest: string): boolean =>
  rest === '' && (type?.Index === symbolicLinkType.Index || (attributes & OBJ_OPENLINK) !== 0)

function reached(object: number, rest: string): NameResult {
  if (rest !== '' && !isParser(object)) return failed(STATUS_OBJECT_TYPE_MISMATCH)
  return found(object, rest)
}

/** Written before the link has a name: readable by whoever finds it. */
export function linkTarget(link: number): string {
  const string = link + OBJECT_SYMBOLIC_LINK.offsets.LinkTarget
  return readText(read32(string + UNICODE_STRING.offsets.Buffer), read16(string + UNICODE_STRING.offsets.Length) >> 1)
}

function nameIsFree(
  { insert, mode, reserves }: NameRequest,
  directory: number,
  name: string,
  hash: number,
): NameResult {
  if (insert === 0) return failed(STATUS_OBJECT_NAME_NOT_FOUND)
  const right =
    objectTypeIndex(insert) === directoryType.Index ? DIRECTORY_CREATE_SUBDIRECTORY : DIRECTORY_CREATE_OBJECT
  if (mode === UserMode && (readU32(headerField(directory, 'UserAccess')) & right) === 0)
    return failed(STATUS_ACCESS_DENIED)
  const text = allocateText(name)
  if (text === 0) return failed(STATUS_INSUFFICIENT_RESOURCES)
  insertEntry(directory, insert, text, name.length, hash)
  // The directory refers to the object, and the object's name to the directory.
  referenceObject(insert)
  referenceObject(directory)
  if (reserves) changeHandleCount(insert, 1)
  return { ...found(0, ''), isReserved: reserves }
}

/** Takes the name of `object` away, if it has one. Caller holds Root.ObLock and then calls `nameIsGone`. */
function unlink(object: number): number {
  const directory = read32(headerField(object, 'Directory'))
  if (directory === 0) return 0
  removeEntry(object)
  freeName(object)
  return directory
}

/** Drops the references that a name was worth. */
function nameIsGone(object: number, directory: number): void {
  if (directory === 0) return
  dereferenceObject(object)
  dereferenceObject(directory)
}

/** Takes the name of `object` away, if it has one. @irql PASSIVE_LEVEL */
export function removeName(object: number): void {
  acquireWord(Root.ObLock)
  const directory = unlink(object)
  releaseWord(Root.ObLock)
  nameIsGone(object, directory)
}

/** Counts a handle. */
export function countHandle(object: number): void {
  acquireWord(Root.ObLock)
  changeHandleCount(object, 1)
  releaseWord(Root.ObLock)
}

/** Counts a handle less; with the last one a temporary object loses its name. @returns how many are left. */
export function uncountHandle(object: number): number {
  acquireWord(Root.ObLock)
  const left = changeHandleCount(object, -1)
  const directory = left === 0 && !isPermanent(object) ? unlink(object) : 0
  releaseWord(Root.ObLock)
  nameIsGone(object, directory)
  return left
}

export const isPermanent = (object: number): boolean =>
  (read8(headerField(object, 'Flags')) & ObjectFlag.Permanent) !== 0

/** Makes an object keep its name without handles, or no longer. */
export function setPermanent(object: number, permanent: boolean): void {
  acquireWord(Root.ObLock)
  const flags = read8(headerField(object, 'Flags'))
  write8(headerField(object, 'Flags'), permanent ? flags | ObjectFlag.Permanent : flags & ~ObjectFlag.Permanent)
  const isUnused = read32(headerField(object, 'HandleCount')) === 0
  const directory = !permanent && isUnused ? unlink(object) : 0
  releaseWord(Root.ObLock)
  nameIsGone(object, directory)
}
