/** DPCs, timers and waits of one processor. Each run gives back nanoseconds a round, and what it counted. */
import {
  ExAllocatePool2,
  ExFreePool,
  IO_NO_INCREMENT,
  KDPC,
  KeCancelTimer,
  KeInitializeDpc,
  KeInitializeEvent,
  KeInitializeTimer,
  KeInsertQueueDpc,
  KernelMode,
  KeSetEvent,
  KeSetTimer,
  KEVENT,
  KeWaitForSingleObject,
  KTIMER,
  POOL_FLAG_NON_PAGED,
  struct,
  SynchronizationEvent,
  ULONG,
} from '../../ddi/wdm.ts'
import { timed, timedAsync } from '../benchmark.ts'
import type { Figure } from './locks.ts'

/** 10 s, which nobody waits for. */
const FAR_TICKS = -100_000_000

const BENCH = struct('BENCH_CALLS', { dpc: KDPC, timer: KTIMER, event: KEVENT, other: KEVENT, count: ULONG })
type BENCH = InstanceType<typeof BENCH>

function make(): BENCH {
  const bench = new BENCH(ExAllocatePool2(POOL_FLAG_NON_PAGED, BENCH.size, 'Benc'))
  KeInitializeDpc(bench.dpc, countDpc, bench)
  KeInitializeTimer(bench.timer)
  KeInitializeEvent(bench.event, SynchronizationEvent, false)
  KeInitializeEvent(bench.other, SynchronizationEvent, false)
  return bench
}

function finish(bench: BENCH, ns: number): Figure {
  const { count } = bench
  ExFreePool(bench)
  return { ns, count }
}

export function countDpc(_dpc: KDPC, bench: BENCH): void {
  bench.count += 1
}

/** A DPC queued at PASSIVE_LEVEL has run when the call returns. */
export function dpc(rounds: number): Figure {
  const bench = make()
  const queued = bench.dpc
  const ns = timed(rounds, () => {
    for (let round = 0; round < rounds; round++) KeInsertQueueDpc(queued, null, null)
  })
  return finish(bench, ns)
}

/** A timer that is set and cancelled. */
export function timer(rounds: number): Figure {
  const bench = make()
  const { timer } = bench
  const ns = timed(rounds, () => {
    for (let round = 0; round < rounds; round++) {
      KeSetTimer(timer, FAR_TICKS, null)
      if (KeCancelTimer(timer)) bench.count += 1
    }
  })
  return finish(bench, ns)
}

/** A wait for an event that is signalled. */
export async function satisfied(rounds: number): Promise<Figure> {
  const bench = make()
  const { event } = bench
  const ns = await timedAsync(rounds, async () => {
    for (let round = 0; round < rounds; round++) {
      KeSetEvent(event, IO_NO_INCREMENT, false)
      await KeWaitForSingleObject(event, 0, KernelMode, false, null)
      bench.count += 1
    }
  })
  return finish(bench, ns)
}

/** For two threads: gives back where their events lie. */
export const create = (): number => make().address

/** One of two threads that wait for each other: each wait blocks. */
export async function blocked({ address, rounds, begins }: { address: number; rounds: number; begins: boolean }) {
  const bench = new BENCH(address)
  const { event, other } = bench
  const [mine, theirs] = begins ? [event, other] : [other, event]
  if (begins) KeSetEvent(theirs, IO_NO_INCREMENT, false)
  for (let round = 0; round < rounds; round++) {
    await KeWaitForSingleObject(mine, 0, KernelMode, false, null)
    bench.count += 1
    KeSetEvent(theirs, IO_NO_INCREMENT, false)
  }
}

/** Gives back the count, and frees everything. */
export const close = (address: number): number => finish(new BENCH(address), 0).count
