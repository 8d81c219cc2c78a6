/** Waiting for what a handle stands for. */
import { enter, PASSIVE_LEVEL } from '../ke/level.ts'
import type { Timeout } from '../ke/time.ts'
import { KernelMode, waitForObject, type WaitResult } from '../ke/wait.ts'
import { STATUS_OBJECT_TYPE_MISMATCH, STATUS_SUCCESS } from '../rtl/status.ts'
import { SYNCHRONIZE } from './access.ts'
import { type HANDLE, referenceByHandle } from './handle.ts'
import { objectTypeIndex } from './layouts.ts'
import { dereferenceObject } from './reference.ts'
import { objectType } from './type.ts'

/** NtWaitForSingleObject for a caller of either mode. The object is referenced until the wait ends. */
export function waitForHandle(handle: HANDLE, mode: number, alertable: boolean, timeout: Timeout): WaitResult {
  const target = referenceByHandle(handle, SYNCHRONIZE, null, mode)
  if (target.status !== STATUS_SUCCESS) return target.status
  const { object } = target
  const waitObject = objectType(objectTypeIndex(object)).waitObject
  if (waitObject === undefined) {
    dereferenceObject(object)
    return STATUS_OBJECT_TYPE_MISMATCH
  }
  const result = waitForObject(waitObject(object), mode, alertable, timeout)
  if (result instanceof Promise) return endOfWait(result, object)
  dereferenceObject(object)
  return result
}

async function endOfWait(wait: Promise<number>, object: number): Promise<number> {
  const status = await wait
  dereferenceObject(object)
  return status
}

/**
 * Waits until the object of a handle is signalled: an event, mutant, semaphore, timer, thread, process or file.
 *
 * @irql PASSIVE_LEVEL
 * @returns as KeWaitForSingleObject; STATUS_INVALID_HANDLE; STATUS_OBJECT_TYPE_MISMATCH for what cannot be waited for
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntifs/nf-ntifs-zwwaitforsingleobject
 */
export function ZwWaitForSingleObject(Handle: HANDLE, Alertable: boolean, Timeout: Timeout): WaitResult {
  enter(PASSIVE_LEVEL, 'ZwWaitForSingleObject')
  return waitForHandle(Handle, KernelMode, Alertable, Timeout)
}
