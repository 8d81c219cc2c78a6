/** Resources (ERESOURCE): reader/writer locks that know their owners, are recursive, and let an owner's hold be converted. */
import { read32, read8, write32, zero } from '../mm/access.ts'
import { enterCriticalRegion, leaveCriticalRegion } from '../ke/apc.ts'
import { initializeEvent, SynchronizationEvent } from '../ke/event.ts'
import { KTHREAD } from '../ke/layouts.ts'
import { APC_LEVEL, currentIrql, DISPATCH_LEVEL, enter } from '../ke/level.ts'
import { cpu } from '../ke/pcr.ts'
import { initializeSemaphore } from '../ke/semaphore.ts'
import { currentThread } from '../ke/thread.ts'
import { STATUS_SUCCESS, type NTSTATUS } from '../rtl/status.ts'
import { acquireExclusive, type Acquired, acquireShared, convertToShared, release, Shared } from './resource-grant.ts'
import { clearOwners, ERESOURCE, freeOwners } from './resource-owners.ts'
import { apcDisableCounts, apcsAreOff, Violation, violation } from './verify.ts'

export { ERESOURCE, OWNER_ENTRY } from './resource-owners.ts'

const Field = ERESOURCE.offsets
const MAXIMUM_WAITERS = 0x7fffffff
const MIX = 0x45524553 // a free block of pool, or another resource copied here, does not hold its own address mixed so

const signatureOf = (resource: number): number => resource ^ MIX
const isInitialized = (resource: number): boolean => read32(resource + Field.Signature) === signatureOf(resource)

/** Writes a resource that nobody owns, and which has no table. */
export function initializeResource(resource: number): void {
  zero(resource, ERESOURCE.size)
  initializeSemaphore(resource + Field.SharedWaiters, 0, MAXIMUM_WAITERS)
  initializeEvent(resource + Field.ExclusiveWaiters, SynchronizationEvent, false)
  write32(resource + Field.Signature, signatureOf(resource))
}

/** System threads get no normal APCs, so they alone need no critical region. */
function checkApcs(resource: number, rule: number, verb: string): void {
  if (apcsAreOff() || read8(currentThread() + KTHREAD.offsets.IsSystemThread) !== 0) return
  violation(
    rule,
    [currentIrql(), apcDisableCounts(), resource],
    `a resource was ${verb} with normal kernel APCs on; call KeEnterCriticalRegion first and leave it after the release`,
  )
}

function enterAcquire(resource: number, routine: string): void {
  enter(APC_LEVEL, routine)
  if (!cpu.checked) return
  if (!isInitialized(resource)) notInitialized(resource, routine)
  checkApcs(resource, Violation.RESOURCE_ACQUIRE_APCS, 'acquired')
}

function notInitialized(resource: number, routine: string): never {
  return violation(
    Violation.RESOURCE_NOT_INITIALIZED,
    [resource],
    `${routine} was given a resource that was not initialised, or was deleted; call ExInitializeResourceLite first`,
  )
}

/**
 * Makes a resource that nobody owns. It must be deleted before its memory is freed.
 *
 * @irql <= DISPATCH_LEVEL
 * @returns STATUS_SUCCESS, always
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exinitializeresourcelite
 */
export function ExInitializeResourceLite(Resource: ERESOURCE): NTSTATUS {
  enter(DISPATCH_LEVEL, 'ExInitializeResourceLite')
  const resource = Resource.address
  if (cpu.checked && isInitialized(resource)) {
    violation(
      Violation.RESOURCE_INITIALIZED_TWICE,
      [resource],
      'a resource was initialised that is initialised already',
    )
  }
  initializeResource(resource)
  return STATUS_SUCCESS
}

/**
 * Ends the use of a resource and frees what it has in pool.
 *
 * @irql <= APC_LEVEL
 * @returns STATUS_SUCCESS, always
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exdeleteresourcelite
 */
export function ExDeleteResourceLite(Resource: ERESOURCE): NTSTATUS {
  enter(APC_LEVEL, 'ExDeleteResourceLite')
  const resource = Resource.address
  if (!isInitialized(resource)) notInitialized(resource, 'ExDeleteResourceLite')
  if (cpu.checked && read32(resource + Field.ActiveCount) !== 0) {
    violation(
      Violation.DELETED_WHILE_OWNED,
      [resource, currentThread()],
      'a resource was deleted while somebody owns it',
    )
  }
  write32(resource + Field.Signature, 0)
  freeOwners(resource)
  return STATUS_SUCCESS
}

/**
 * Makes a resource that is in use no longer one that nobody owns, and keeps its table.
 *
 * @irql <= DISPATCH_LEVEL
 * @returns STATUS_SUCCESS, always
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exreinitializeresourcelite
 */
export function ExReinitializeResourceLite(Resource: ERESOURCE): NTSTATUS {
  enter(DISPATCH_LEVEL, 'ExReinitializeResourceLite')
  const resource = Resource.address
  if (!isInitialized(resource)) notInitialized(resource, 'ExReinitializeResourceLite')
  const table = read32(resource + Field.OwnerTable)
  const size = read32(resource + Field.TableSize)
  initializeResource(resource)
  write32(resource + Field.OwnerTable, table)
  write32(resource + Field.TableSize, size)
  clearOwners(resource)
  return STATUS_SUCCESS
}

/**
 * Takes a resource for the calling thread alone; again if it owns it so already. Over its own shared hold it waits for
 * itself.
 *
 * @irql <= APC_LEVEL; normal kernel APCs off, but in system threads
 * @returns TRUE when the thread owns the resource now; FALSE only when Wait is FALSE
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exacquireresourceexclusivelite
 */
export function ExAcquireResourceExclusiveLite(Resource: ERESOURCE, Wait: boolean): Acquired {
  enterAcquire(Resource.address, 'ExAcquireResourceExclusiveLite')
  return acquireExclusive(Resource.address, Wait)
}

/**
 * ExAcquireResourceExclusiveLite without a wait.
 *
 * @irql <= APC_LEVEL; normal kernel APCs off, but in system threads
 * @returns TRUE when the resource was free, or the thread owned it exclusively already
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-extrytoacquireresourceexclusivelite
 */
export function ExTryToAcquireResourceExclusiveLite(Resource: ERESOURCE): boolean {
  enterAcquire(Resource.address, 'ExTryToAcquireResourceExclusiveLite')
  return acquireExclusive(Resource.address, false) as boolean
}

/**
 * Takes a resource together with other shared owners. A thread that owns it already, in either way, gets it at once;
 * another one waits behind exclusive requests.
 *
 * @irql <= APC_LEVEL; normal kernel APCs off, but in system threads
 * @returns TRUE when the thread owns the resource now; FALSE only when Wait is FALSE
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exacquireresourcesharedlite
 */
export function ExAcquireResourceSharedLite(Resource: ERESOURCE, Wait: boolean): Acquired {
  enterAcquire(Resource.address, 'ExAcquireResourceSharedLite')
  return acquireShared(Resource.address, Wait, Shared.Lite)
}

/**
 * Takes a resource together with other shared owners, ahead of exclusive requests that wait.
 *
 * @irql <= APC_LEVEL; normal kernel APCs off, but in system threads
 * @returns TRUE when the thread owns the resource now; FALSE only when Wait is FALSE
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exacquiresharedstarveexclusive
 */
export function ExAcquireSharedStarveExclusive(Resource: ERESOURCE, Wait: boolean): Acquired {
  enterAcquire(Resource.address, 'ExAcquireSharedStarveExclusive')
  return acquireShared(Resource.address, Wait, Shared.StarveExclusive)
}

/**
 * Takes a resource together with other shared owners, behind exclusive requests that wait, even where the thread has a
 * share already: then it waits for somebody to release that share for it.
 *
 * @irql <= APC_LEVEL; normal kernel APCs off, but in system threads
 * @returns TRUE when the thread owns the resource now; FALSE only when Wait is FALSE
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exacquiresharedwaitforexclusive
 */
export function ExAcquireSharedWaitForExclusive(Resource: ERESOURCE, Wait: boolean): Acquired {
  enterAcquire(Resource.address, 'ExAcquireSharedWaitForExclusive')
  return acquireShared(Resource.address, Wait, Shared.WaitForExclusive)
}

/**
 * Makes the caller's exclusive hold shared, as often as it was acquired, and lets all waiting sharers in.
 *
 * @irql <= APC_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exconvertexclusivetosharedlite
 */
export function ExConvertExclusiveToSharedLite(Resource: ERESOURCE): void {
  enter(APC_LEVEL, 'ExConvertExclusiveToSharedLite')
  if (convertToShared(Resource.address) || !cpu.checked) return
  violation(
    Violation.WRONG_RELEASE,
    [Resource.address],
    'ExConvertExclusiveToSharedLite was called by a thread that does not own the resource exclusively',
  )
}

/**
 * Gives up one hold of the calling thread.
 *
 * @irql <= DISPATCH_LEVEL; normal kernel APCs off, but in system threads
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exreleaseresourcelite
 */
export function ExReleaseResourceLite(Resource: ERESOURCE): void {
  enter(DISPATCH_LEVEL, 'ExReleaseResourceLite')
  if (cpu.checked) checkApcs(Resource.address, Violation.RESOURCE_RELEASE_APCS, 'released')
  release(Resource.address, currentThread())
}

/**
 * Gives up one hold of the thread, or owner pointer, `ResourceThreadId`.
 *
 * @irql <= DISPATCH_LEVEL; normal kernel APCs off, but in system threads
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exreleaseresourceforthreadlite
 */
export function ExReleaseResourceForThreadLite(Resource: ERESOURCE, ResourceThreadId: number): void {
  enter(DISPATCH_LEVEL, 'ExReleaseResourceForThreadLite')
  if (cpu.checked) checkApcs(Resource.address, Violation.RESOURCE_RELEASE_APCS, 'released')
  release(Resource.address, ResourceThreadId)
}

/** The thread's Win32Thread pointer, which the routines below return: no thread has one here. */
const NO_WIN32_THREAD = 0
const noWin32Thread = (): number => NO_WIN32_THREAD

const whenAcquired = (acquired: Acquired): number | Promise<number> =>
  typeof acquired === 'boolean' ? NO_WIN32_THREAD : acquired.then(noWin32Thread)

/**
 * Enters a critical region and takes the resource for the calling thread alone, waiting if it must.
 *
 * @irql <= APC_LEVEL
 * @returns the thread's Win32Thread pointer: NULL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntddk/nf-ntddk-exentercriticalregionandacquireresourceexclusive
 */
export function ExEnterCriticalRegionAndAcquireResourceExclusive(Resource: ERESOURCE): number | Promise<number> {
  enter(APC_LEVEL, 'ExEnterCriticalRegionAndAcquireResourceExclusive')
  enterCriticalRegion()
  return whenAcquired(acquireExclusive(Resource.address, true))
}

/**
 * Enters a critical region and takes the resource together with other shared owners, waiting if it must.
 *
 * @irql <= APC_LEVEL
 * @returns the thread's Win32Thread pointer: NULL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntddk/nf-ntddk-exentercriticalregionandacquireresourceshared
 */
export function ExEnterCriticalRegionAndAcquireResourceShared(Resource: ERESOURCE): number | Promise<number> {
  enter(APC_LEVEL, 'ExEnterCriticalRegionAndAcquireResourceShared')
  enterCriticalRegion()
  return whenAcquired(acquireShared(Resource.address, true, Shared.Lite))
}

/**
 * Enters a critical region and takes the resource as ExAcquireSharedWaitForExclusive does, waiting if it must.
 *
 * @irql <= APC_LEVEL
 * @returns the thread's Win32Thread pointer: NULL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntddk/nf-ntddk-exentercriticalregionandacquiresharedwaitforexclusive
 */
export function ExEnterCriticalRegionAndAcquireSharedWaitForExclusive(Resource: ERESOURCE): number | Promise<number> {
  enter(APC_LEVEL, 'ExEnterCriticalRegionAndAcquireSharedWaitForExclusive')
  enterCriticalRegion()
  return whenAcquired(acquireShared(Resource.address, true, Shared.WaitForExclusive))
}

/**
 * Gives up one hold of the calling thread and leaves the critical region.
 *
 * @irql <= APC_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntddk/nf-ntddk-exreleaseresourceandleavecriticalregion
 */
export function ExReleaseResourceAndLeaveCriticalRegion(Resource: ERESOURCE): void {
  enter(APC_LEVEL, 'ExReleaseResourceAndLeaveCriticalRegion')
  release(Resource.address, currentThread())
  leaveCriticalRegion()
}
