/** Semaphore objects: semaphores with a name or a handle. The state itself is ke's. */
import { KSEMAPHORE } from '../ke/layouts.ts'
import { enter, type Out, PASSIVE_LEVEL } from '../ke/level.ts'
import { initializeSemaphore, releaseSemaphore } from '../ke/semaphore.ts'
import { KernelMode } from '../ke/wait.ts'
import { type NTSTATUS, STATUS_INVALID_PARAMETER } from '../rtl/status.ts'
import { type ACCESS_MASK, READ_CONTROL, STANDARD_RIGHTS_ALL, SYNCHRONIZE } from './access.ts'
import { captureAttributes, type ObjectAttributes } from './attributes.ts'
import type { HANDLE } from './handle.ts'
import { raisedStatus } from './mutant.ts'
import { createObject } from './object.ts'
import { createNamed, openNamed, withObject } from './services.ts'
import { registerObjectType } from './type.ts'

export const SEMAPHORE_QUERY_STATE = 0x0001
export const SEMAPHORE_MODIFY_STATE = 0x0002
export const SEMAPHORE_ALL_ACCESS = STANDARD_RIGHTS_ALL | SEMAPHORE_QUERY_STATE | SEMAPHORE_MODIFY_STATE

export const semaphoreObjectType = registerObjectType({
  name: 'Semaphore',
  view: KSEMAPHORE,
  tag: 'Sema',
  mapping: {
    read: READ_CONTROL | SEMAPHORE_QUERY_STATE,
    write: READ_CONTROL | SEMAPHORE_MODIFY_STATE,
    execute: READ_CONTROL | SYNCHRONIZE,
    all: SEMAPHORE_ALL_ACCESS,
  },
  userAccess: READ_CONTROL | SYNCHRONIZE | SEMAPHORE_QUERY_STATE | SEMAPHORE_MODIFY_STATE,
  waitObject: (semaphore) => semaphore,
})
export const ExSemaphoreObjectType = semaphoreObjectType

/**
 * Makes a semaphore object, or with OBJ_OPENIF opens the one that has the name.
 *
 * @irql PASSIVE_LEVEL
 * @returns STATUS_SUCCESS; STATUS_OBJECT_NAME_EXISTS when an existing one was opened; STATUS_INVALID_PARAMETER for a
 *   count above the limit, or a limit below 1; STATUS_OBJECT_NAME_COLLISION; STATUS_OBJECT_TYPE_MISMATCH
 * @see https://learn.microsoft.com/windows/win32/api/synchapi/nf-synchapi-createsemaphorew
 */
export function ZwCreateSemaphore(
  SemaphoreHandle: Out<HANDLE>,
  DesiredAccess: ACCESS_MASK,
  ObjectAttributes: ObjectAttributes,
  InitialCount: number,
  MaximumCount: number,
): NTSTATUS {
  enter(PASSIVE_LEVEL, 'ZwCreateSemaphore')
  if (MaximumCount < 1 || InitialCount < 0 || InitialCount > MaximumCount) return STATUS_INVALID_PARAMETER
  const attributes = captureAttributes(ObjectAttributes, KernelMode)
  return createNamed(SemaphoreHandle, attributes, DesiredAccess, KernelMode, () => {
    const semaphore = createObject(semaphoreObjectType, KSEMAPHORE.size, { attributes })
    if (semaphore !== 0) initializeSemaphore(semaphore, InitialCount, MaximumCount)
    return semaphore
  })
}

/**
 * Opens a named semaphore.
 *
 * @irql PASSIVE_LEVEL
 * @returns STATUS_SUCCESS; STATUS_OBJECT_NAME_NOT_FOUND; STATUS_OBJECT_TYPE_MISMATCH; what the name's syntax gives
 * @see https://learn.microsoft.com/windows/win32/api/synchapi/nf-synchapi-opensemaphorew
 */
export function ZwOpenSemaphore(
  SemaphoreHandle: Out<HANDLE>,
  DesiredAccess: ACCESS_MASK,
  ObjectAttributes: ObjectAttributes,
): NTSTATUS {
  enter(PASSIVE_LEVEL, 'ZwOpenSemaphore')
  return openNamed(SemaphoreHandle, ObjectAttributes, semaphoreObjectType, DesiredAccess, KernelMode)
}

/**
 * Adds to a semaphore's count.
 *
 * @irql PASSIVE_LEVEL
 * @returns STATUS_SUCCESS; STATUS_SEMAPHORE_LIMIT_EXCEEDED, with `PreviousCount` untouched; STATUS_INVALID_PARAMETER for
 *   a count below 1; STATUS_INVALID_HANDLE; STATUS_OBJECT_TYPE_MISMATCH
 * @see https://learn.microsoft.com/windows/win32/api/synchapi/nf-synchapi-releasesemaphore
 */
export function ZwReleaseSemaphore(
  SemaphoreHandle: HANDLE,
  ReleaseCount: number,
  PreviousCount: Out<number> | null,
): NTSTATUS {
  enter(PASSIVE_LEVEL, 'ZwReleaseSemaphore')
  if (ReleaseCount < 1) return STATUS_INVALID_PARAMETER
  return withObject(SemaphoreHandle, SEMAPHORE_MODIFY_STATE, semaphoreObjectType, KernelMode, (semaphore) =>
    raisedStatus(() => {
      const before = releaseSemaphore(semaphore, ReleaseCount)
      if (PreviousCount !== null) PreviousCount.value = before
    }),
  )
}
