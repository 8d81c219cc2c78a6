/** What a resource tells its owners, and whom it has for an owner. */
import { read32 } from '../mm/access.ts'
import { DISPATCH_LEVEL, enter, point } from '../ke/level.ts'
import { cpu } from '../ke/pcr.ts'
import { currentThread } from '../ke/thread.ts'
import { changeOwner, holdsOf } from './resource-grant.ts'
import { ERESOURCE } from './resource-owners.ts'
import { Violation, violation } from './verify.ts'

const Field = ERESOURCE.offsets

/**
 * Whether the calling thread owns the resource exclusively.
 *
 * @irql <= DISPATCH_LEVEL
 * @returns TRUE if it does
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exisresourceacquiredexclusivelite
 */
export function ExIsResourceAcquiredExclusiveLite(Resource: ERESOURCE): boolean {
  enter(DISPATCH_LEVEL, 'ExIsResourceAcquiredExclusiveLite')
  return holdsOf(Resource.address, true) > 0
}

/**
 * How often the calling thread is to release the resource, which it owns in either way.
 *
 * @irql <= DISPATCH_LEVEL
 * @returns the count; 0 when it does not own the resource
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exisresourceacquiredsharedlite
 */
export function ExIsResourceAcquiredSharedLite(Resource: ERESOURCE): number {
  enter(DISPATCH_LEVEL, 'ExIsResourceAcquiredSharedLite')
  return holdsOf(Resource.address, false)
}

/**
 * ExIsResourceAcquiredSharedLite under the name that says what it asks.
 *
 * @irql <= DISPATCH_LEVEL
 * @returns the count; 0 when the calling thread does not own the resource
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exisresourceacquiredsharedlite
 */
export function ExIsResourceAcquiredLite(Resource: ERESOURCE): number {
  return ExIsResourceAcquiredSharedLite(Resource)
}

/**
 * How many threads wait for exclusive ownership.
 *
 * @irql <= DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exgetexclusivewaitercount
 */
export function ExGetExclusiveWaiterCount(Resource: ERESOURCE): number {
  enter(DISPATCH_LEVEL, 'ExGetExclusiveWaiterCount')
  return read32(Resource.address + Field.NumberOfExclusiveWaiters)
}

/**
 * How many threads wait for shared ownership.
 *
 * @irql <= DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exgetsharedwaitercount
 */
export function ExGetSharedWaiterCount(Resource: ERESOURCE): number {
  enter(DISPATCH_LEVEL, 'ExGetSharedWaiterCount')
  return read32(Resource.address + Field.NumberOfSharedWaiters)
}

/**
 * The id under which the calling thread owns resources.
 *
 * @irql <= DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exgetcurrentresourcethread
 */
export function ExGetCurrentResourceThread(): number {
  point()
  return currentThread()
}

/**
 * Makes `OwnerPointer`, whose two low bits are set, the owner of what the calling thread holds. From then on only
 * ExReleaseResourceForThreadLite with that pointer releases it, in any thread.
 *
 * @irql <= DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exsetresourceownerpointer
 */
export function ExSetResourceOwnerPointer(Resource: ERESOURCE, OwnerPointer: number): void {
  enter(DISPATCH_LEVEL, 'ExSetResourceOwnerPointer')
  if (cpu.checked && (OwnerPointer & 3) !== 3) {
    violation(Violation.WRONG_RELEASE, [Resource.address, OwnerPointer], 'an owner pointer has its two low bits set')
  }
  setOwner(Resource.address, OwnerPointer)
}

function setOwner(resource: number, owner: number): void {
  if (changeOwner(resource, owner) || !cpu.checked) return
  violation(
    Violation.WRONG_THREAD_RELEASES,
    [resource, 0, currentThread()],
    'an owner pointer was set by a thread that does not own the resource',
  )
}

export const FLAG_OWNER_POINTER_IS_THREAD = 0x1

/**
 * ExSetResourceOwnerPointer, with FLAG_OWNER_POINTER_IS_THREAD for an `OwnerPointer` that is a thread.
 *
 * @irql <= DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exsetresourceownerpointerex
 */
export function ExSetResourceOwnerPointerEx(Resource: ERESOURCE, OwnerPointer: number, Flags: number): void {
  if ((Flags & FLAG_OWNER_POINTER_IS_THREAD) === 0) return ExSetResourceOwnerPointer(Resource, OwnerPointer)
  enter(DISPATCH_LEVEL, 'ExSetResourceOwnerPointerEx')
  setOwner(Resource.address, OwnerPointer)
}
