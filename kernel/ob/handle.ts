/** Handles: how they are made, what they stand for, how they are closed. */
import { BugCode } from '../ke/bugcodes.ts'
import { bugCheck } from '../ke/bugcheck.ts'
import { KTHREAD } from '../ke/layouts.ts'
import { enter, type Out, PASSIVE_LEVEL } from '../ke/level.ts'
import { Root } from '../ke/pcr.ts'
import { currentThread } from '../ke/thread.ts'
import { KernelMode, UserMode } from '../ke/wait.ts'
import { read32 } from '../mm/access.ts'
import {
  type NTSTATUS,
  STATUS_ACCESS_DENIED,
  STATUS_HANDLE_NOT_CLOSABLE,
  STATUS_INSUFFICIENT_RESOURCES,
  STATUS_INVALID_HANDLE,
  STATUS_OBJECT_TYPE_MISMATCH,
  STATUS_PROCESS_IS_TERMINATING,
  STATUS_SUCCESS,
} from '../rtl/status.ts'
import type { AnyView } from '../rtl/struct.ts'
import { mapAccess } from './access.ts'
import { OBJ_AUDIT_OBJECT_CLOSE, OBJ_INHERIT, OBJ_KERNEL_HANDLE, OBJ_PROTECT_CLOSE } from './attributes.ts'
import {
  addEntry,
  endOfHandles,
  type HandleEntry,
  lockTable,
  readEntry,
  removeEntry,
  tableProcess,
  unlockTable,
} from './handletable.ts'
import { EPROCESS, objectTypeIndex } from './layouts.ts'
import { countHandle, uncountHandle } from './lookup.ts'
import { dereferenceObject, referenceObject } from './reference.ts'
import { objectType, type ObjectType, type OpenReason } from './type.ts'

export type HANDLE = number

/** Set in the value of a kernel handle. */
export const KERNEL_HANDLE_BIT = 0x80000000
const CURRENT_PROCESS = 0xffffffff
const CURRENT_THREAD = 0xfffffffe

/**
 * Stands for the current process wherever a handle is expected.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/kernel/zwcurrentprocess
 */
export function NtCurrentProcess(): HANDLE {
  return CURRENT_PROCESS
}

/**
 * Stands for the current thread wherever a handle is expected.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/kernel/zwcurrentthread
 */
export function NtCurrentThread(): HANDLE {
  return CURRENT_THREAD
}

/**
 * NtCurrentProcess under its other name.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/kernel/zwcurrentprocess
 */
export function ZwCurrentProcess(): HANDLE {
  return CURRENT_PROCESS
}

/**
 * NtCurrentThread under its other name.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/kernel/zwcurrentthread
 */
export function ZwCurrentThread(): HANDLE {
  return CURRENT_THREAD
}

const HANDLE_ATTRIBUTES = OBJ_INHERIT | OBJ_PROTECT_CLOSE | OBJ_AUDIT_OBJECT_CLOSE

export const isKernelHandle = (handle: HANDLE): boolean => (handle & KERNEL_HANDLE_BIT) !== 0

/** Address of the EPROCESS that the current thread belongs to. */
export const currentProcess = (): number =>
  read32(currentThread() + KTHREAD.offsets.Process) || read32(Root.PsSystemProcess)

export const handleTableOf = (process: number): number => read32(process + EPROCESS.offsets.ObjectTable)

export interface NewHandle {
  readonly access: number
  readonly attributes: number
  readonly reason: OpenReason
  /** The process that gets it, unless OBJ_KERNEL_HANDLE is set. */
  readonly process: number
}

export interface HandleResult {
  readonly status: NTSTATUS
  readonly handle: HANDLE
}

/** Makes a handle to an object that the caller has a reference to; the handle takes one of its own. */
export function createHandle(object: number, { access, attributes, reason, process }: NewHandle): HandleResult {
  const isKernel = (attributes & OBJ_KERNEL_HANDLE) !== 0
  const table = isKernel ? read32(Root.ObKernelHandles) : handleTableOf(process)
  if (table === 0) return { status: STATUS_PROCESS_IS_TERMINATING, handle: 0 }
  const owner = tableProcess(table)
  const type = objectType(objectTypeIndex(object))
  const status = type.open?.(object, reason, owner, access) ?? STATUS_SUCCESS
  if (status < 0) return { status, handle: 0 }
  referenceObject(object)
  countHandle(object)
  const index = addEntry(table, { object, access, attributes: attributes & HANDLE_ATTRIBUTES })
  if (index === 0) {
    uncountHandle(object)
    dereferenceObject(object)
    return { status: STATUS_INSUFFICIENT_RESOURCES, handle: 0 }
  }
  return { status: STATUS_SUCCESS, handle: (index * 4 + (isKernel ? KERNEL_HANDLE_BIT : 0)) >>> 0 }
}

interface Place {
  readonly table: number
  readonly index: number
}

/** Where a handle's entry would be; null where there is none for `mode`. */
export function placeOf(handle: HANDLE, mode: number, process = currentProcess()): Place | null {
  const isKernel = isKernelHandle(handle)
  if (isKernel && mode === UserMode) return null
  const table = isKernel ? read32(Root.ObKernelHandles) : handleTableOf(process)
  const index = (handle & ~KERNEL_HANDLE_BIT) >>> 2
  return table === 0 || index === 0 ? null : { table, index }
}

export interface HandleTarget extends HandleEntry {
  readonly status: NTSTATUS
}

const noTarget = (status: NTSTATUS): HandleTarget => ({ status, object: 0, access: 0, attributes: 0 })

/** The object of a handle, with a reference for the caller. @irql PASSIVE_LEVEL */
export function referenceByHandle(handle: HANDLE, access: number, type: ObjectType | null, mode: number): HandleTarget {
  const value = handle >>> 0
  if (value >= CURRENT_THREAD) return referenceCurrent(value, type)
  return referenceAt(placeOf(value, mode), access, type, mode)
}

/** The object of a handle of another process, with a reference for the caller. @irql PASSIVE_LEVEL */
export function referenceHandleIn(process: number, handle: HANDLE, mode: number): HandleTarget {
  const value = handle >>> 0
  return value >= CURRENT_THREAD
    ? referenceCurrent(value, null)
    : referenceAt(placeOf(value, mode, process), 0, null, mode)
}

function referenceAt(place: Place | null, access: number, type: ObjectType | null, mode: number): HandleTarget {
  if (place === null) return noTarget(STATUS_INVALID_HANDLE)
  lockTable(place.table)
  const entry = readEntry(place.table, place.index)
  const status = entry === null ? STATUS_INVALID_HANDLE : mayUse(entry, access, type, mode)
  // Under the lock: the handle's own reference keeps the object until then.
  if (status === STATUS_SUCCESS) referenceObject((entry as HandleEntry).object)
  unlockTable(place.table)
  return entry === null || status !== STATUS_SUCCESS ? noTarget(status) : { status, ...entry }
}

function mayUse(entry: HandleEntry, access: number, type: ObjectType | null, mode: number): NTSTATUS {
  const index = objectTypeIndex(entry.object)
  if (type !== null && type.Index !== index) return STATUS_OBJECT_TYPE_MISMATCH
  if (mode !== UserMode) return STATUS_SUCCESS
  const wanted = mapAccess(access, objectType(index).mapping, 0)
  return (wanted & ~entry.access) !== 0 ? STATUS_ACCESS_DENIED : STATUS_SUCCESS
}

function referenceCurrent(value: number, type: ObjectType | null): HandleTarget {
  const object = value === CURRENT_PROCESS ? currentProcess() : currentThread()
  const actual = objectType(objectTypeIndex(object))
  if (type !== null && type.Index !== actual.Index) return noTarget(STATUS_OBJECT_TYPE_MISMATCH)
  referenceObject(object)
  return { status: STATUS_SUCCESS, object, access: actual.mapping.all, attributes: 0 }
}

/** Closes a handle. The type's close procedure may wait: the result is a promise then. @irql PASSIVE_LEVEL */
export function closeHandle(handle: HANDLE, mode: number): NTSTATUS | Promise<NTSTATUS> {
  return closeHandleIn(currentProcess(), handle, mode)
}

/** Closes a handle of `process`. @irql PASSIVE_LEVEL */
export function closeHandleIn(process: number, handle: HANDLE, mode: number): NTSTATUS | Promise<NTSTATUS> {
  const value = handle >>> 0
  if (value >= CURRENT_THREAD) return STATUS_SUCCESS
  if ((value & ~KERNEL_HANDLE_BIT) === 0) return STATUS_INVALID_HANDLE
  const place = placeOf(value, mode, process)
  if (place === null) return badHandle(value, mode)
  return closeEntry(place.table, place.index, value, mode)
}

function closeEntry(table: number, index: number, value: number, mode: number): NTSTATUS | Promise<NTSTATUS> {
  lockTable(table)
  const entry = readEntry(table, index)
  const isProtected = entry !== null && (entry.attributes & OBJ_PROTECT_CLOSE) !== 0
  if (entry !== null && !isProtected) removeEntry(table, index)
  unlockTable(table)
  if (entry === null) return badHandle(value, mode)
  if (isProtected) return protectedHandle(value, mode)
  return handleIsClosed(entry, tableProcess(table))
}

/** What follows when an entry is gone: the type hears of it, then the handle's reference is dropped. */
function handleIsClosed({ object, access }: HandleEntry, process: number): NTSTATUS | Promise<NTSTATUS> {
  const left = uncountHandle(object)
  const closing = objectType(objectTypeIndex(object)).close?.(object, process, access, left)
  if (closing !== undefined) return closing.then(() => released(object))
  return released(object)
}

function released(object: number): NTSTATUS {
  dereferenceObject(object)
  return STATUS_SUCCESS
}

function badHandle(handle: number, mode: number): NTSTATUS {
  if (mode === UserMode) return STATUS_INVALID_HANDLE
  return bugCheck({
    code: BugCode.INVALID_KERNEL_HANDLE,
    parameters: [handle, 1],
    message: `handle 0x${handle.toString(16)} was closed, which is not open: was it closed twice, or in another process? A handle that outlives the caller's process needs OBJ_KERNEL_HANDLE`,
  })
}

function protectedHandle(handle: number, mode: number): NTSTATUS {
  if (mode === UserMode) return STATUS_HANDLE_NOT_CLOSABLE
  return bugCheck({
    code: BugCode.INVALID_KERNEL_HANDLE,
    parameters: [handle, 0],
    message: `handle 0x${handle.toString(16)} was closed, which is protected from that`,
  })
}

/** Closes every handle of a process that ends, protected ones too. */
export async function closeAllHandles(table: number): Promise<void> {
  for (let index = 1; index < endOfHandles(table); index++) {
    lockTable(table)
    const entry = readEntry(table, index)
    if (entry !== null) removeEntry(table, index)
    unlockTable(table)
    if (entry !== null) await handleIsClosed(entry, tableProcess(table))
  }
}

export interface HandleInformation {
  HandleAttributes: number
  GrantedAccess: number
}

interface ReferenceByHandle<T> {
  Handle: HANDLE
  DesiredAccess: number
  ObjectType: ObjectType | null
  AccessMode: number
  Object: Out<T>
  HandleInformation?: Out<HandleInformation> | null
}

/**
 * Gives the object that a handle stands for, with a reference that the caller drops by ObDereferenceObject.
 *
 * A handle that came from user mode is checked by AccessMode UserMode and the type: never trust it otherwise.
 *
 * @irql PASSIVE_LEVEL
 * @returns STATUS_SUCCESS; STATUS_INVALID_HANDLE when it is not open in this process, or is a kernel handle and
 *   AccessMode is UserMode; STATUS_OBJECT_TYPE_MISMATCH when the object is no `ObjectType`; STATUS_ACCESS_DENIED when
 *   AccessMode is UserMode and the handle was not granted `DesiredAccess`. `Object` is null then
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-obreferenceobjectbyhandle
 */
export function ObReferenceObjectByHandle<T extends AnyView>(parameters: ReferenceByHandle<T | null>): NTSTATUS {
  enter(PASSIVE_LEVEL, 'ObReferenceObjectByHandle')
  const { Handle, DesiredAccess, ObjectType, AccessMode } = parameters
  const target = referenceByHandle(Handle, DesiredAccess, ObjectType, AccessMode)
  parameters.Object.value = target.object === 0 ? null : (viewOf(target.object) as T)
  if (target.status === STATUS_SUCCESS && parameters.HandleInformation != null) {
    parameters.HandleInformation.value = { HandleAttributes: target.attributes, GrantedAccess: target.access }
  }
  return target.status
}

/** The view of an object's body, of its type's struct. */
export const viewOf = (object: number): AnyView => new (objectType(objectTypeIndex(object)).view)(object)

/**
 * Closes a handle as `PreviousMode` would.
 *
 * @irql PASSIVE_LEVEL
 * @returns STATUS_SUCCESS; STATUS_INVALID_HANDLE for NULL, and for what is not open in UserMode (KernelMode: bug check
 *   0x93); STATUS_HANDLE_NOT_CLOSABLE for a protected handle in UserMode
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntifs/nf-ntifs-obclosehandle
 */
export function ObCloseHandle(Handle: HANDLE, PreviousMode: number): NTSTATUS | Promise<NTSTATUS> {
  enter(PASSIVE_LEVEL, 'ObCloseHandle')
  return closeHandle(Handle, PreviousMode)
}

/**
 * Closes a handle; with its last one a temporary object loses its name. Closing a file may wait: `await` it.
 *
 * @irql PASSIVE_LEVEL
 * @returns STATUS_SUCCESS; STATUS_INVALID_HANDLE for NULL. Any other value that is not open is bug check 0x93
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-zwclose
 */
export function ZwClose(Handle: HANDLE): NTSTATUS | Promise<NTSTATUS> {
  enter(PASSIVE_LEVEL, 'ZwClose')
  return closeHandle(Handle, KernelMode)
}
