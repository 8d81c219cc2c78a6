/** Mutant objects: mutexes with a name or a handle. The state itself is ke's. */
import { lockDispatcher, unlockDispatcher } from '../ke/dispatcher.ts'
import { StatusError } from '../ke/exception.ts'
import { KMUTANT } from '../ke/layouts.ts'
import { enter, type Out, PASSIVE_LEVEL } from '../ke/level.ts'
import { initializeMutant, releaseMutant } from '../ke/mutex.ts'
import { currentThread } from '../ke/thread.ts'
import { KernelMode } from '../ke/wait.ts'
import { read32 } from '../mm/access.ts'
import { removeEntry } from '../rtl/list.ts'
import { type NTSTATUS, STATUS_SUCCESS } from '../rtl/status.ts'
import { type ACCESS_MASK, READ_CONTROL, STANDARD_RIGHTS_ALL, SYNCHRONIZE } from './access.ts'
import { captureAttributes, type ObjectAttributes } from './attributes.ts'
import type { HANDLE } from './handle.ts'
import { createObject } from './object.ts'
import { createNamed, openNamed, withObject } from './services.ts'
import { registerObjectType } from './type.ts'

export const MUTANT_QUERY_STATE = 0x0001
export const MUTANT_ALL_ACCESS = STANDARD_RIGHTS_ALL | MUTANT_QUERY_STATE

const { OwnerThread, MutantListEntry } = KMUTANT.offsets

export const mutantObjectType = registerObjectType({
  name: 'Mutant',
  view: KMUTANT,
  tag: 'Muta',
  mapping: {
    read: READ_CONTROL | MUTANT_QUERY_STATE,
    write: READ_CONTROL,
    execute: READ_CONTROL | SYNCHRONIZE,
    all: MUTANT_ALL_ACCESS,
  },
  userAccess: READ_CONTROL | SYNCHRONIZE | MUTANT_QUERY_STATE,
  waitObject: (mutant) => mutant,
  delete: (mutant) => {
    // Its owner lost the last handle without a release: the thread must not keep what is freed in its list.
    lockDispatcher()
    if (read32(mutant + OwnerThread) !== 0) removeEntry(mutant + MutantListEntry)
    unlockDispatcher()
  },
})
export const ExMutantObjectType = mutantObjectType

/**
 * Makes a mutant object, or with OBJ_OPENIF opens the one that has the name.
 *
 * @irql PASSIVE_LEVEL
 * @returns STATUS_SUCCESS; STATUS_OBJECT_NAME_EXISTS when an existing one was opened: `InitialOwner` is nothing then;
 *   STATUS_OBJECT_NAME_COLLISION; STATUS_OBJECT_TYPE_MISMATCH; STATUS_INSUFFICIENT_RESOURCES
 * @see https://learn.microsoft.com/windows/win32/api/synchapi/nf-synchapi-createmutexw
 */
export function ZwCreateMutant(
  MutantHandle: Out<HANDLE>,
  DesiredAccess: ACCESS_MASK,
  ObjectAttributes: ObjectAttributes,
  InitialOwner: boolean | number,
): NTSTATUS {
  enter(PASSIVE_LEVEL, 'ZwCreateMutant')
  const attributes = captureAttributes(ObjectAttributes, KernelMode)
  return createNamed(MutantHandle, attributes, DesiredAccess, KernelMode, () => {
    const mutant = createObject(mutantObjectType, KMUTANT.size, { attributes })
    if (mutant !== 0) initializeMutant(mutant, Boolean(InitialOwner), 0)
    return mutant
  })
}

/**
 * Opens a named mutant.
 *
 * @irql PASSIVE_LEVEL
 * @returns STATUS_SUCCESS; STATUS_OBJECT_NAME_NOT_FOUND; STATUS_OBJECT_TYPE_MISMATCH; what the name's syntax gives
 * @see https://learn.microsoft.com/windows/win32/api/synchapi/nf-synchapi-openmutexw
 */
export function ZwOpenMutant(
  MutantHandle: Out<HANDLE>,
  DesiredAccess: ACCESS_MASK,
  ObjectAttributes: ObjectAttributes,
): NTSTATUS {
  enter(PASSIVE_LEVEL, 'ZwOpenMutant')
  return openNamed(MutantHandle, ObjectAttributes, mutantObjectType, DesiredAccess, KernelMode)
}

/** Runs `release`; the status that it raises is the result. */
export function raisedStatus(release: () => void): NTSTATUS {
  try {
    release()
    return STATUS_SUCCESS
  } catch (error) {
    if (error instanceof StatusError) return error.status
    throw error
  }
}

/**
 * Gives up one acquisition of a mutant.
 *
 * @irql PASSIVE_LEVEL
 * @returns STATUS_SUCCESS; STATUS_MUTANT_NOT_OWNED; STATUS_INVALID_HANDLE; STATUS_OBJECT_TYPE_MISMATCH
 * @see https://learn.microsoft.com/windows/win32/api/synchapi/nf-synchapi-releasemutex
 */
export function ZwReleaseMutant(MutantHandle: HANDLE, PreviousCount: Out<number> | null): NTSTATUS {
  enter(PASSIVE_LEVEL, 'ZwReleaseMutant')
  return withObject(MutantHandle, 0, mutantObjectType, KernelMode, (mutant) =>
    raisedStatus(() => {
      const before = releaseMutant(mutant, currentThread())
      if (PreviousCount !== null) PreviousCount.value = before
    }),
  )
}
