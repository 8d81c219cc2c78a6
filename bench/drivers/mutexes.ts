/** Locks that may wait, as a machine runs them. Each run gives back nanoseconds a round, and what it counted. */
import { EX_PUSH_LOCK } from '../../ddi/ntifs.ts'
import {
  FltAcquirePushLockExclusive,
  FltAcquirePushLockShared,
  FltInitializePushLock,
  FltReleasePushLock,
} from '../../ddi/fltkernel.ts'
import {
  ERESOURCE,
  ExAcquireFastMutex,
  ExAcquireResourceExclusiveLite,
  ExAcquireResourceSharedLite,
  ExAllocatePool2,
  ExDeleteResourceLite,
  ExFreePool,
  ExInitializeFastMutex,
  ExInitializeResourceLite,
  ExReleaseFastMutex,
  ExReleaseResourceLite,
  FAST_MUTEX,
  POOL_FLAG_NON_PAGED,
  struct,
  ULONG,
} from '../../ddi/wdm.ts'
import { timed, timedAsync } from '../benchmark.ts'
import type { Figure } from './locks.ts'
import { MEETING, type Side, type Span, togetherAsync } from './meet.ts'

/** Of so many holds one is exclusive. */
export const ROUNDS_PER_WRITE = 100

const BENCH = struct('BENCH_MUTEXES', {
  push: EX_PUSH_LOCK,
  fast: FAST_MUTEX,
  resource: ERESOURCE,
  count: ULONG, // guarded by whichever lock is measured
  meeting: MEETING,
})
type BENCH = InstanceType<typeof BENCH>

function make(): BENCH {
  const bench = new BENCH(ExAllocatePool2(POOL_FLAG_NON_PAGED, BENCH.size, 'Benc'))
  FltInitializePushLock(bench.push)
  ExInitializeFastMutex(bench.fast)
  ExInitializeResourceLite(bench.resource)
  return bench
}

function finish(bench: BENCH, ns: number): Figure {
  const { count } = bench
  ExDeleteResourceLite(bench.resource)
  ExFreePool(bench)
  return { ns, count }
}

/** A lock that nobody else holds gives no promise. */
function atOnce(wait: unknown): void {
  if (wait instanceof Promise) throw new Error('a lock that nobody holds gave a promise')
}

/** Exclusive holds, without `await`. */
export function pushLockExclusive(rounds: number): Figure {
  const bench = make()
  const { push } = bench
  const ns = timed(rounds, () => {
    for (let round = 0; round < rounds; round++) {
      const wait = FltAcquirePushLockExclusive(push)
      if (wait !== undefined) atOnce(wait)
      bench.count += 1
      FltReleasePushLock(push)
    }
  })
  return finish(bench, ns)
}

/** Shared holds, without `await`. */
export function pushLockShared(rounds: number): Figure {
  const bench = make()
  const { push } = bench
  const ns = timed(rounds, () => {
    for (let round = 0; round < rounds; round++) {
      const wait = FltAcquirePushLockShared(push)
      if (wait !== undefined) atOnce(wait)
      bench.count += 1
      FltReleasePushLock(push)
    }
  })
  return finish(bench, ns)
}

/** Exclusive holds, awaited as a driver does. */
export async function pushLockAwaited(rounds: number): Promise<Figure> {
  const bench = make()
  const { push } = bench
  const ns = await timedAsync(rounds, async () => {
    for (let round = 0; round < rounds; round++) {
      await FltAcquirePushLockExclusive(push)
      bench.count += 1
      FltReleasePushLock(push)
    }
  })
  return finish(bench, ns)
}

export async function fastMutex(rounds: number): Promise<Figure> {
  const bench = make()
  const { fast } = bench
  const ns = await timedAsync(rounds, async () => {
    for (let round = 0; round < rounds; round++) {
      await ExAcquireFastMutex(fast)
      bench.count += 1
      ExReleaseFastMutex(fast)
    }
  })
  return finish(bench, ns)
}

export async function resourceExclusive(rounds: number): Promise<Figure> {
  const bench = make()
  const { resource } = bench
  const ns = await timedAsync(rounds, async () => {
    for (let round = 0; round < rounds; round++) {
      await ExAcquireResourceExclusiveLite(resource, true)
      bench.count += 1
      ExReleaseResourceLite(resource)
    }
  })
  return finish(bench, ns)
}

export async function resourceShared(rounds: number): Promise<Figure> {
  const bench = make()
  const { resource } = bench
  const ns = await timedAsync(rounds, async () => {
    for (let round = 0; round < rounds; round++) {
      await ExAcquireResourceSharedLite(resource, true)
      bench.count += 1
      ExReleaseResourceLite(resource)
    }
  })
  return finish(bench, ns)
}

/** For two sides: gives back where their locks and their count lie. */
export const create = (): number => make().address

/** One of two sides that mostly read: it waits only where it must. */
export function readMostly({ address, rounds }: Side): Promise<Span> {
  const bench = new BENCH(address)
  const { push } = bench
  let seen = 0
  return togetherAsync(bench.meeting, 2, async () => {
    for (let round = 0; round < rounds; round++) {
      if (round % ROUNDS_PER_WRITE === 0) {
        const wait = FltAcquirePushLockExclusive(push)
        if (wait !== undefined) await wait
        bench.count += 1
      } else {
        const wait = FltAcquirePushLockShared(push)
        if (wait !== undefined) await wait
        seen += bench.count
      }
      FltReleasePushLock(push)
    }
    if (seen < 0) throw new Error('the count went down')
  })
}

/** Gives back the count, and frees everything. */
export const close = (address: number): number => finish(new BENCH(address), 0).count
