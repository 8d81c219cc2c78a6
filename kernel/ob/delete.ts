/**
 * The end of an object: its type's delete procedure at PASSIVE_LEVEL, then the memory.
 *
 * What cannot be deleted where its last reference was dropped (IRQL raised, or a procedure that may wait) goes to the
 * reaper, one system thread of the machine that waits for such work for ever.
 */
import { setEvent, SynchronizationEvent, initializeEvent } from '../ke/event.ts'
import { kernelRoutine } from '../ke/image.ts'
import { currentIrql, PASSIVE_LEVEL } from '../ke/level.ts'
import { Root } from '../ke/pcr.ts'
import { acquireWord, releaseWord } from '../ke/spin.ts'
import { waitUnnoted } from '../ke/wait.ts'
import { atomicAdd, read32, write32 } from '../mm/access.ts'
import { free } from '../mm/pool.ts'
import { DELETED_OBJECT, HEADER_SIZE, headerField, OBJECT_MANAGER, objectTypeIndex } from './layouts.ts'
import { objectType } from './type.ts'

const { ReaperEvent, FirstDeleted, DeletedCount } = OBJECT_MANAGER.offsets
const manager = (): number => read32(Root.ObSpare)

/** Deletes an object that has no reference left: here, or on the reaper thread. */
export function deleteObject(object: number): void {
  if (currentIrql() !== PASSIVE_LEVEL || objectType(objectTypeIndex(object)).deletesLater === true) {
    deleteObjectLater(object)
    return
  }
  void objectType(objectTypeIndex(object)).delete?.(object) // one that waits is one that `deletesLater`
  freeObject(object)
}

/** Leaves the deletion to the reaper. @irql <= DISPATCH_LEVEL */
export function deleteObjectLater(object: number): void {
  atomicAdd(manager() + DeletedCount, 1)
  acquireWord(Root.ObLock)
  write32(headerField(object, 'NextDeleted'), read32(manager() + FirstDeleted))
  write32(manager() + FirstDeleted, object)
  releaseWord(Root.ObLock)
  setEvent(manager() + ReaperEvent)
}

/** Frees the memory of an object that nothing refers to. */
export function freeObject(object: number): void {
  write32(headerField(object, 'Signature'), DELETED_OBJECT)
  free(object - HEADER_SIZE, objectType(objectTypeIndex(object)).tag)
}

/** Objects without references that still have their memory. */
export const objectsToDelete = (): number => read32(manager() + DeletedCount)

export function initializeReaper(): void {
  initializeEvent(manager() + ReaperEvent, SynchronizationEvent, false)
}

/** Start routine of the reaper thread. */
export const reaperThread = kernelRoutine(async function reaperThread() {
  for (;;) {
    await waitUnnoted(manager() + ReaperEvent)
    for (let object = takeDeleted(); object !== 0; ) {
      const next = read32(headerField(object, 'NextDeleted'))
      await objectType(objectTypeIndex(object)).delete?.(object)
      freeObject(object)
      atomicAdd(manager() + DeletedCount, -1)
      object = next
    }
  }
})

/** Takes the whole list. @returns its first object; 0 if there is none. */
function takeDeleted(): number {
  acquireWord(Root.ObLock)
  const first = read32(manager() + FirstDeleted)
  write32(manager() + FirstDeleted, 0)
  releaseWord(Root.ObLock)
  return first
}
