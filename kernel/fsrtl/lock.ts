/**
 * The notify lock: a fast mutex that its owner may take again, as a callback or a completion routine of his does.
 *
 * It guards the list, its index, and everything that a notify structure holds, its queue of IRPs included. It is taken
 * at PASSIVE_LEVEL or APC_LEVEL, in a critical region that is entered here, and held while the callbacks of a report
 * run, which may wait, and while IRPs are completed.
 *
 * A cancel routine cannot wait: it may run at DISPATCH_LEVEL, over the very thread that owns the mutex (decision 0106).
 * So it first puts its IRP on a list without a lock, then tries the mutex. Whoever owns the mutex empties that list, and
 * looks at it once more when he has given the mutex back. No IRP is forgotten: a cancel routine that found the mutex taken
 * had put its IRP on the list before, so that owner's last look finds it, or another owner's does who came between and
 * whose look is still to come. All three steps are atomic, so there is one order of them for all processors.
 */
import { acquireFastMutexUnsafe, releaseFastMutexUnsafe, tryAcquireFastMutexUnsafe } from '../ex/fastmutex.ts'
import { enterCriticalRegion, leaveCriticalRegion } from '../ke/apc.ts'
import { currentThread } from '../ke/thread.ts'
import { atomicCompareExchange, atomicExchange, atomicLoad, read32, write32 } from '../mm/access.ts'
import { Irp } from '../io/layouts.ts'
import { Sync } from './layouts.ts'
import { completeCancelled } from './pending.ts'
import { dereferenceSync, referenceSync } from './sync.ts'

/** Link of the list of cancelled IRPs: the word of an IRP that only a device queue would use. */
const NEXT = Irp.DeviceQueueEntry

/** Runs `body` with the lock held. What it throws passes through. @irql <= APC_LEVEL */
export function withLock(sync: number, body: () => void | Promise<void>): void | Promise<void> {
  const taken = acquire(sync)
  return taken === undefined ? runLocked(sync, body) : taken.then(() => runLocked(sync, body))
}

function runLocked(sync: number, body: () => void | Promise<void>): void | Promise<void> {
  let done
  try {
    done = body()
  } catch (error) {
    release(sync)
    throw error
  }
  if (done === undefined) release(sync)
  else return done.finally(() => release(sync))
}

function acquire(sync: number): void | Promise<void> {
  enterCriticalRegion()
  // Only this thread could have written its own address there.
  if (read32(sync + Sync.OwningThread) === currentThread()) {
    write32(sync + Sync.OwnerCount, read32(sync + Sync.OwnerCount) + 1)
    return
  }
  const taken = acquireFastMutexUnsafe(sync + Sync.FastMutex)
  return taken === undefined ? own(sync) : taken.then(() => own(sync))
}

function own(sync: number): void {
  write32(sync + Sync.OwningThread, currentThread())
  write32(sync + Sync.OwnerCount, 1)
}

function release(sync: number): void {
  const count = read32(sync + Sync.OwnerCount)
  if (count > 1) write32(sync + Sync.OwnerCount, count - 1)
  else giveBack(sync)
  leaveCriticalRegion()
}

function tryOwn(sync: number): boolean {
  const isTaken = tryAcquireFastMutexUnsafe(sync + Sync.FastMutex)
  if (isTaken) own(sync)
  return isTaken
}

function giveBack(sync: number): void {
  do {
    completeAllCancelled(sync)
    write32(sync + Sync.OwnerCount, 0)
    write32(sync + Sync.OwningThread, 0)
    releaseFastMutexUnsafe(sync + Sync.FastMutex)
  } while (atomicLoad(sync + Sync.Cancelled) !== 0 && tryOwn(sync))
}

/** Those that were cancelled first are completed first. */
function completeAllCancelled(sync: number): void {
  let newest = atomicLoad(sync + Sync.Cancelled) === 0 ? 0 : atomicExchange(sync + Sync.Cancelled, 0)
  let oldest = 0
  while (newest !== 0) {
    const next = read32(newest + NEXT)
    write32(newest + NEXT, oldest)
    oldest = newest
    newest = next
  }
  while (oldest !== 0) {
    const next = read32(oldest + NEXT)
    completeCancelled(oldest)
    oldest = next
  }
}

/** Completes a cancelled IRP, now or when the owner of the lock gives it back. Never waits. @irql <= DISPATCH_LEVEL */
export function postCancelled(sync: number, irp: number): void {
  // Once its IRPs are gone, the driver may give the sync back: not under our feet.
  referenceSync(sync)
  let newest = atomicLoad(sync + Sync.Cancelled)
  for (;;) {
    write32(irp + NEXT, newest)
    const seen = atomicCompareExchange(sync + Sync.Cancelled, newest, irp)
    if (seen === newest) break
    newest = seen
  }
  if (tryOwn(sync)) giveBack(sync)
  dereferenceSync(sync)
}
