/**
 * A driver that hammers locks from threads of several processors. `make` on one processor gives the address of the
 * shared struct, each `…Hammer` runs one thread's rounds, and `verdict` tells what is left.
 *
 * The count is not atomic: it comes out right only if the lock kept everybody else out.
 */
import {
  EX_PUSH_LOCK,
  ExAcquirePushLockExclusive,
  ExAcquirePushLockShared,
  ExInitializePushLock,
  ExReleasePushLockExclusive,
  ExReleasePushLockShared,
} from '../../../../kernel/ex/pushlock.ts'
import {
  ExAcquireFastMutex,
  ExInitializeFastMutex,
  ExReleaseFastMutex,
  FAST_MUTEX,
} from '../../../../kernel/ex/fastmutex.ts'
import {
  KeAcquireGuardedMutex,
  KeInitializeGuardedMutex,
  KeReleaseGuardedMutex,
  KGUARDED_MUTEX,
} from '../../../../kernel/ex/guardedmutex.ts'
import { field, InterlockedIncrement } from '../../../../kernel/ex/interlocked.ts'
import {
  ERESOURCE,
  ExAcquireResourceExclusiveLite,
  ExAcquireResourceSharedLite,
  ExAcquireSharedStarveExclusive,
  ExDeleteResourceLite,
  ExInitializeResourceLite,
  ExReleaseResourceLite,
} from '../../../../kernel/ex/resource.ts'
import {
  EX_RUNDOWN_REF,
  ExAcquireRundownProtection,
  ExInitializeRundownProtection,
  ExReleaseRundownProtection,
  ExWaitForRundownProtectionRelease,
} from '../../../../kernel/ex/rundown.ts'
import {
  DelayedWorkQueue,
  ExInitializeWorkItem,
  ExQueueWorkItem,
  WORK_QUEUE_ITEM,
} from '../../../../kernel/ex/workitem.ts'
import { KeEnterCriticalRegion, KeLeaveCriticalRegion } from '../../../../kernel/ke/apc.ts'
import { KeInitializeSemaphore, KeReleaseSemaphore } from '../../../../kernel/ke/semaphore.ts'
import { KSEMAPHORE } from '../../../../kernel/ke/layouts.ts'
import { Executive, KernelMode, KeWaitForSingleObject } from '../../../../kernel/ke/wait.ts'
import { atomicLoad } from '../../../../kernel/mm/access.ts'
import { allocateStruct, free } from '../../../../kernel/mm/pool.ts'
import { LONG, PVOID, struct } from '../../../../kernel/rtl/struct.ts'

export const HAMMER = struct('HAMMER', {
  pushLock: EX_PUSH_LOCK,
  fastMutex: FAST_MUTEX,
  guardedMutex: KGUARDED_MUTEX,
  resource: ERESOURCE,
  rundown: EX_RUNDOWN_REF,
  served: KSEMAPHORE, // one count for each work item that was served
  // Guarded by whichever lock is hammered.
  count: LONG,
  readers: LONG, // interlocked: readers are in together
  torn: LONG, // interlocked: readers that saw the two halves of a change
  mirror: LONG, // equals count outside an exclusive hold
  // Interlocked.
  users: LONG,
  strangers: LONG, // users seen after the rundown
})
export type HAMMER = InstanceType<typeof HAMMER>

const ITEM = struct('HAMMER_ITEM', { work: WORK_QUEUE_ITEM, hammer: PVOID })
type ITEM = InstanceType<typeof ITEM>

const at = (address: number): HAMMER => new HAMMER(address)

/** Makes the shared struct; gives back its address. */
export function make(): number {
  const hammer = allocateStruct(HAMMER, 'Hamr')
  if (hammer === null) return 0
  ExInitializePushLock(hammer.pushLock)
  ExInitializeFastMutex(hammer.fastMutex)
  KeInitializeGuardedMutex(hammer.guardedMutex)
  ExInitializeResourceLite(hammer.resource)
  ExInitializeRundownProtection(hammer.rundown)
  KeInitializeSemaphore(hammer.served, 0, 0x7fffffff)
  return hammer.address
}

/** What is left of a hammer that all threads are done with; frees it. */
export function verdict(address: number): Record<string, number> {
  const hammer = at(address)
  const { count, mirror, readers, torn, users, strangers } = hammer
  const result = {
    count,
    mirror,
    readers,
    torn,
    users,
    strangers,
    pushLock: hammer.pushLock.Value,
    fastMutex: hammer.fastMutex.Count,
    guardedMutex: hammer.guardedMutex.Count,
    owners: hammer.resource.ActiveCount,
    rundown: hammer.rundown.Count,
  }
  ExDeleteResourceLite(hammer.resource)
  free(address)
  return result
}

/** A change in two halves, with room for others to come between. */
function change(hammer: HAMMER): void {
  const before = hammer.count
  hammer.count = before + 1
  for (let spin = 0; spin < 20; spin++) if (hammer.mirror !== before) hammer.torn += 1
  hammer.mirror = before + 1
}

/** A look at both halves. */
function look(hammer: HAMMER): void {
  InterlockedIncrement(field(hammer, 'readers'))
  if (hammer.count !== hammer.mirror) InterlockedIncrement(field(hammer, 'torn'))
}

interface Rounds {
  address: number
  rounds: number
  /** Every how many rounds only to read; 0: never. */
  readEvery?: number
}

/** Takes the push lock `rounds` times; the count goes up by the rounds that write. */
export async function pushLockHammer({ address, rounds, readEvery = 0 }: Rounds): Promise<number> {
  const hammer = at(address)
  let writes = 0
  for (let round = 1; round <= rounds; round++) {
    KeEnterCriticalRegion()
    if (readEvery !== 0 && round % readEvery === 0) {
      await ExAcquirePushLockShared(hammer.pushLock)
      look(hammer)
      ExReleasePushLockShared(hammer.pushLock)
    } else {
      await ExAcquirePushLockExclusive(hammer.pushLock)
      change(hammer)
      writes += 1
      ExReleasePushLockExclusive(hammer.pushLock)
    }
    KeLeaveCriticalRegion()
  }
  return writes
}

/** Takes the push lock now and then, and looks at its word in between; gives back how often that could not be. */
export async function pushLockWatch({ address, rounds }: Rounds): Promise<number> {
  const { pushLock } = at(address)
  let wrong = 0
  for (let round = 0; round < rounds; round++) {
    for (let glance = 0; glance < 50; glance++) if (!isPlausible(atomicLoad(pushLock.address))) wrong += 1
    KeEnterCriticalRegion()
    await ExAcquirePushLockShared(pushLock)
    ExReleasePushLockShared(pushLock)
    KeLeaveCriticalRegion()
  }
  return wrong
}

/** LOCK 1, WAITING 2, WAKING 4, MULTIPLE_SHARED 8; above them a share count, or with WAITING a wait block. */
export function isPlausible(word: number): boolean {
  if ((word & 4) !== 0 && (word & 2) === 0) return false
  if ((word & 8) !== 0 && (word & 3) !== 3) return false
  if ((word & 3) === 0 && word !== 0) return false
  return (word & 2) === 0 || word >>> 4 !== 0
}

export async function fastMutexHammer({ address, rounds }: Rounds): Promise<number> {
  const hammer = at(address)
  for (let round = 0; round < rounds; round++) {
    await ExAcquireFastMutex(hammer.fastMutex)
    change(hammer)
    ExReleaseFastMutex(hammer.fastMutex)
  }
  return rounds
}

export async function guardedMutexHammer({ address, rounds }: Rounds): Promise<number> {
  const hammer = at(address)
  for (let round = 0; round < rounds; round++) {
    await KeAcquireGuardedMutex(hammer.guardedMutex)
    change(hammer)
    KeReleaseGuardedMutex(hammer.guardedMutex)
  }
  return rounds
}

/** Takes the resource; each second read is recursive or starves writers. */
export async function resourceHammer({ address, rounds, readEvery = 0 }: Rounds): Promise<number> {
  const hammer = at(address)
  let writes = 0
  for (let round = 1; round <= rounds; round++) {
    KeEnterCriticalRegion()
    if (readEvery !== 0 && round % readEvery === 0) {
      const acquire = round % (2 * readEvery) === 0 ? ExAcquireSharedStarveExclusive : ExAcquireResourceSharedLite
      await acquire(hammer.resource, true)
      await ExAcquireResourceSharedLite(hammer.resource, true)
      look(hammer)
      ExReleaseResourceLite(hammer.resource)
      ExReleaseResourceLite(hammer.resource)
    } else {
      await ExAcquireResourceExclusiveLite(hammer.resource, true)
      change(hammer)
      writes += 1
      ExReleaseResourceLite(hammer.resource)
    }
    KeLeaveCriticalRegion()
  }
  return writes
}

/** Uses what the rundown protects until it is run down; gives back how often. */
export async function rundownUser({ address, rounds }: Rounds): Promise<number> {
  const hammer = at(address)
  for (let round = 0; round < rounds; round++) {
    if (!ExAcquireRundownProtection(hammer.rundown)) return round
    InterlockedIncrement(field(hammer, 'users'))
    if (hammer.mirror !== 0) InterlockedIncrement(field(hammer, 'strangers'))
    ExReleaseRundownProtection(hammer.rundown)
  }
  return rounds
}

/** Waits for the users; from then on `mirror` is 1, and no user may see that. */
export async function rundownOwner(address: number): Promise<void> {
  const hammer = at(address)
  await ExWaitForRundownProtectionRelease(hammer.rundown)
  hammer.mirror = 1
}

/** What the work items call. */
export function serveItem(item: ITEM): void {
  const hammer = item.hammer as HAMMER
  InterlockedIncrement(field(hammer, 'users'))
  free(item.address)
  KeReleaseSemaphore(hammer.served, 0, 1, false)
}

/** Queues `rounds` work items and waits for as many to be served. */
export async function workItemHammer({ address, rounds }: Rounds): Promise<number> {
  const hammer = at(address)
  for (let round = 0; round < rounds; round++) {
    const item = allocateStruct(ITEM, 'Hamr')
    if (item === null) return round
    item.hammer = hammer
    ExInitializeWorkItem(item.work, serveItem, item)
    ExQueueWorkItem(item.work, DelayedWorkQueue)
  }
  for (let round = 0; round < rounds; round++) {
    await KeWaitForSingleObject(hammer.served, Executive, KernelMode, false, null)
  }
  return rounds
}
