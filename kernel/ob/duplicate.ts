/** Handles made from handles, also from one process to another. */
import { enter, type Out, PASSIVE_LEVEL } from '../ke/level.ts'
import { KernelMode } from '../ke/wait.ts'
import { read8 } from '../mm/access.ts'
import { type NTSTATUS, STATUS_ACCESS_DENIED, STATUS_OBJECT_TYPE_MISMATCH, STATUS_SUCCESS } from '../rtl/status.ts'
import { mapAccess } from './access.ts'
import { OBJ_KERNEL_HANDLE } from './attributes.ts'
import {
  closeHandleIn,
  createHandle,
  type HANDLE,
  type HandleResult,
  type HandleTarget,
  referenceByHandle,
  referenceHandleIn,
} from './handle.ts'
import { EPROCESS, objectTypeIndex } from './layouts.ts'
import { dereferenceObject } from './reference.ts'
import { objectType } from './type.ts'

export const DUPLICATE_CLOSE_SOURCE = 1
export const DUPLICATE_SAME_ACCESS = 2
export const DUPLICATE_SAME_ATTRIBUTES = 4

interface Duplicate {
  SourceProcessHandle: HANDLE
  SourceHandle: HANDLE
  TargetProcessHandle: HANDLE
  TargetHandle: Out<HANDLE>
  DesiredAccess: number
  HandleAttributes: number
  Options: number
}

/**
 * Makes a second handle to the object of a handle, in the same process or another.
 *
 * DUPLICATE_SAME_ACCESS overrides `DesiredAccess`, DUPLICATE_SAME_ATTRIBUTES overrides `HandleAttributes`,
 * DUPLICATE_CLOSE_SOURCE closes the source. OBJ_KERNEL_HANDLE is honoured only where the target is the System process.
 *
 * @irql PASSIVE_LEVEL
 * @returns STATUS_SUCCESS; STATUS_INVALID_HANDLE; STATUS_OBJECT_TYPE_MISMATCH when a process handle is none;
 *   STATUS_INSUFFICIENT_RESOURCES. A promise when closing the source waits
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntifs/nf-ntifs-zwduplicateobject
 */
export function ZwDuplicateObject(parameters: Duplicate): NTSTATUS | Promise<NTSTATUS> {
  enter(PASSIVE_LEVEL, 'ZwDuplicateObject')
  return duplicateHandle(parameters, KernelMode)
}

/** NtDuplicateObject for a caller of either mode. */
export function duplicateHandle(parameters: Duplicate, mode: number): NTSTATUS | Promise<NTSTATUS> {
  const source = processOf(parameters.SourceProcessHandle, mode)
  if (source.status !== STATUS_SUCCESS) return source.status
  const target = processOf(parameters.TargetProcessHandle, mode)
  const made = target.status === STATUS_SUCCESS ? duplicate(parameters, source.object, target.object, mode) : target
  if (target.status === STATUS_SUCCESS) dereferenceObject(target.object)
  const { status } = made
  if (status === STATUS_SUCCESS) parameters.TargetHandle.value = (made as HandleResult).handle
  const closesSource = (parameters.Options & DUPLICATE_CLOSE_SOURCE) !== 0 && status === STATUS_SUCCESS
  const closing = closesSource ? closeHandleIn(source.object, parameters.SourceHandle, mode) : status
  dereferenceObject(source.object)
  return closing
}

/** The process of a handle, with a reference. */
function processOf(handle: HANDLE, mode: number): HandleTarget {
  const process = referenceByHandle(handle, PROCESS_DUP_HANDLE, null, mode)
  if (process.status !== STATUS_SUCCESS || objectType(objectTypeIndex(process.object)).name === 'Process')
    return process
  dereferenceObject(process.object)
  return { ...process, status: STATUS_OBJECT_TYPE_MISMATCH }
}
const PROCESS_DUP_HANDLE = 0x40

function duplicate(
  { SourceHandle, DesiredAccess, HandleAttributes, Options }: Duplicate,
  source: number,
  target: number,
  mode: number,
): HandleResult {
  const from = referenceHandleIn(source, SourceHandle, mode)
  if (from.status !== STATUS_SUCCESS) return { status: from.status, handle: 0 }
  const { mapping } = objectType(objectTypeIndex(from.object))
  const wanted = mapAccess(DesiredAccess, mapping, mode === KernelMode ? mapping.all : from.access)
  const access = (Options & DUPLICATE_SAME_ACCESS) !== 0 ? from.access : wanted
  const mayHave = mode === KernelMode || (access & ~from.access) === 0
  const attributes = (Options & DUPLICATE_SAME_ATTRIBUTES) !== 0 ? from.attributes : HandleAttributes
  const kept = isSystem(target) && mode === KernelMode ? attributes : attributes & ~OBJ_KERNEL_HANDLE
  const made = mayHave
    ? createHandle(from.object, { access, attributes: kept, reason: 'duplicate', process: target })
    : { status: STATUS_ACCESS_DENIED, handle: 0 }
  dereferenceObject(from.object)
  return made
}

const isSystem = (process: number): boolean => read8(process + EPROCESS.offsets.IsSystemProcess) !== 0
