/**
 * Who gets a resource when (wdm-facts §11.3).
 *
 * A resource is handed over: whoever gives up the last hold makes the waiters owners before it lets go of the lock, so
 * a resource with waiters is never free. The semaphore and the event then carry one token for each owner let in;
 * which waiter takes which token does not matter, since each enters itself under the lock once it runs.
 */
import { read32, write32 } from '../mm/access.ts'
import { ports } from '../ports/ports.ts'
import { BugCode } from '../ke/bugcodes.ts'
import { bugCheck } from '../ke/bugcheck.ts'
import { setEvent } from '../ke/event.ts'
import { releaseSemaphore } from '../ke/semaphore.ts'
import { acquireWord, releaseWord } from '../ke/spin.ts'
import { currentThread } from '../ke/thread.ts'
import { waitForObject } from '../ke/wait.ts'
import {
  addCount,
  countOf,
  ERESOURCE,
  exclusiveEntry,
  findFree,
  findOwner,
  growOwners,
  ownerOf,
  setEntry,
} from './resource-owners.ts'

const Resource = ERESOURCE.offsets
const { SpinLock, ActiveCount, Flag, NumberOfSharedWaiters, NumberOfExclusiveWaiters } = Resource

/** Flag. */
export const OWNED_EXCLUSIVE = 0x80

/** How a shared request looks upon exclusive ones that wait. */
export const Shared = { Lite: 0, StarveExclusive: 1, WaitForExclusive: 2 } as const

export type Acquired = boolean | Promise<boolean>

const isExclusive = (resource: number): boolean => (read32(resource + Flag) & OWNED_EXCLUSIVE) !== 0
const add = (word: number, delta: number): void => write32(word, read32(word) + delta)

/** Counts a waiter; the lock is held. */
function queueUp(resource: number, counter: number): void {
  add(resource + counter, 1)
  add(resource + Resource.ContentionCount, 1)
}

/** Takes the resource for the calling thread alone. */
export function acquireExclusive(resource: number, wait: boolean): Acquired {
  const thread = currentThread()
  const owner = exclusiveEntry(resource)
  acquireWord(resource + SpinLock)
  let isGranted = true
  if (read32(resource + ActiveCount) === 0) {
    write32(resource + ActiveCount, 1)
    write32(resource + Flag, read32(resource + Flag) | OWNED_EXCLUSIVE)
    setEntry(owner, thread, 1)
  } else if (isExclusive(resource) && ownerOf(owner) === thread) {
    addCount(owner, 1)
  } else {
    isGranted = false
    if (wait) queueUp(resource, NumberOfExclusiveWaiters)
  }
  releaseWord(resource + SpinLock)
  return isGranted || !wait ? isGranted : waitExclusive(resource, thread)
}

async function waitExclusive(resource: number, thread: number): Promise<boolean> {
  await waitForObject(resource + Resource.ExclusiveWaiters)
  acquireWord(resource + SpinLock)
  setEntry(exclusiveEntry(resource), thread, 1)
  releaseWord(resource + SpinLock)
  return true
}

/** Takes the resource together with other shared owners. */
export function acquireShared(resource: number, wait: boolean, policy: number): Acquired {
  const thread = currentThread()
  for (;;) {
    acquireWord(resource + SpinLock)
    const outcome = tryShared(resource, thread, wait, policy)
    releaseWord(resource + SpinLock)
    if (outcome === GRANTED) return true
    if (outcome === REFUSED) return false
    if (outcome === QUEUED) return waitShared(resource, thread)
    if (growOwners(resource)) continue
    return wait ? acquireLater(resource, policy) : false
  }
}
const GRANTED = 0
const REFUSED = 1
const QUEUED = 2
const NO_ROOM = 3

/** One attempt, under the lock. */
function tryShared(resource: number, thread: number, wait: boolean, policy: number): number {
  if (read32(resource + ActiveCount) === 0) return enterShared(resource, thread)
  const own = findOwner(resource, thread)
  if (own !== 0 && (isExclusive(resource) || policy !== Shared.WaitForExclusive || !hasExclusiveWaiters(resource))) {
    addCount(own, 1)
    return GRANTED
  }
  const mayShare = policy === Shared.StarveExclusive || !hasExclusiveWaiters(resource)
  if (!isExclusive(resource) && mayShare) return enterShared(resource, thread)
  if (!wait) return REFUSED
  const promised = findFree(resource)
  if (promised === 0) return NO_ROOM
  setEntry(promised, thread, 0)
  queueUp(resource, NumberOfSharedWaiters)
  return QUEUED
}

const hasExclusiveWaiters = (resource: number): boolean => read32(resource + NumberOfExclusiveWaiters) !== 0

function enterShared(resource: number, thread: number): number {
  const entry = findFree(resource)
  if (entry === 0) return NO_ROOM
  setEntry(entry, thread, 1)
  add(resource + ActiveCount, 1)
  return GRANTED
}

async function waitShared(resource: number, thread: number): Promise<boolean> {
  await waitForObject(resource + Resource.SharedWaiters)
  acquireWord(resource + SpinLock)
  const promised = findOwner(resource, thread, true)
  const own = findOwner(resource, thread)
  if (own === 0) {
    addCount(promised, 1)
  } else {
    // It held a share all the while: two holds of one owner.
    addCount(own, 1)
    setEntry(promised, 0, 0)
    add(resource + ActiveCount, -1)
  }
  releaseWord(resource + SpinLock)
  return true
}

/** No memory for another owner: this thread asks again after a turn. */
async function acquireLater(resource: number, policy: number): Promise<boolean> {
  await ports.processor.turn()
  return acquireShared(resource, true, policy)
}

/** Gives up one hold of `owner`. */
export function release(resource: number, owner: number): void {
  acquireWord(resource + SpinLock)
  const entry = findOwner(resource, owner)
  if (entry === 0 || countOf(entry) === 0) {
    releaseWord(resource + SpinLock)
    return notOwned(resource, owner)
  }
  if (addCount(entry, -1) > 0) {
    releaseWord(resource + SpinLock)
    return
  }
  setEntry(entry, 0, 0)
  const wasExclusive = isExclusive(resource)
  write32(resource + Flag, read32(resource + Flag) & ~OWNED_EXCLUSIVE)
  add(resource + ActiveCount, -1)
  if (read32(resource + ActiveCount) > 0) releaseWord(resource + SpinLock)
  else handOver(resource, wasExclusive)
}

/** Lets the next ones in, and the lock go. After an exclusive owner sharers come first, after shared ones an exclusive. */
function handOver(resource: number, sharedFirst: boolean): void {
  if (hasExclusiveWaiters(resource) && !(sharedFirst && read32(resource + NumberOfSharedWaiters) !== 0)) {
    add(resource + NumberOfExclusiveWaiters, -1)
    write32(resource + ActiveCount, 1)
    write32(resource + Flag, read32(resource + Flag) | OWNED_EXCLUSIVE)
    setEntry(exclusiveEntry(resource), 0, 1) // the waiter enters itself
    releaseWord(resource + SpinLock)
    setEvent(resource + Resource.ExclusiveWaiters)
  } else {
    letSharersIn(resource)
  }
}

/** Makes all waiting sharers owners; the lock is held, and released here. */
function letSharersIn(resource: number): void {
  const count = read32(resource + NumberOfSharedWaiters)
  write32(resource + NumberOfSharedWaiters, 0)
  add(resource + ActiveCount, count)
  releaseWord(resource + SpinLock)
  if (count > 0) releaseSemaphore(resource + Resource.SharedWaiters, count)
}

/** Makes the calling thread's exclusive hold shared; false when it has none. */
export function convertToShared(resource: number): boolean {
  acquireWord(resource + SpinLock)
  if (!isExclusive(resource) || ownerOf(exclusiveEntry(resource)) !== currentThread()) {
    releaseWord(resource + SpinLock)
    return false
  }
  write32(resource + Flag, read32(resource + Flag) & ~OWNED_EXCLUSIVE)
  letSharersIn(resource)
  return true
}

/** How often the calling thread is to release the resource. */
export function holdsOf(resource: number, mustBeExclusive: boolean): number {
  acquireWord(resource + SpinLock)
  const entry = mustBeExclusive && !isExclusive(resource) ? 0 : findOwner(resource, currentThread())
  const count = entry === 0 ? 0 : countOf(entry)
  releaseWord(resource + SpinLock)
  return count
}

/** Makes `pointer` the owner of what the calling thread holds; false when it holds nothing. */
export function changeOwner(resource: number, pointer: number): boolean {
  acquireWord(resource + SpinLock)
  const entry = findOwner(resource, currentThread())
  if (entry !== 0) moveTo(resource, entry, pointer)
  releaseWord(resource + SpinLock)
  return entry !== 0
}

/** Two threads may hand their shares to one owner: then it has both. */
function moveTo(resource: number, entry: number, pointer: number): void {
  const known = findOwner(resource, pointer)
  if (known === 0 || known === entry) {
    setEntry(entry, pointer, countOf(entry))
    return
  }
  addCount(known, countOf(entry))
  setEntry(entry, 0, 0)
  add(resource + ActiveCount, -1)
}

/** A resource was released for somebody who does not own it. */
function notOwned(resource: number, owner: number): never {
  return bugCheck({
    code: BugCode.RESOURCE_NOT_OWNED,
    parameters: [resource, owner, read32(resource + Resource.OwnerTable), 3],
    message:
      'a resource was released for a thread that does not own it; release what was acquired, in the same thread, or ' +
      'for the owner pointer that was set',
  })
}
