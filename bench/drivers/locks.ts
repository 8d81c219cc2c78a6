/** Spin locks and interrupts, as a machine runs them. Each run gives back nanoseconds a round, and what it counted. */
import {
  array,
  ExAllocatePool2,
  ExFreePool,
  IoConnectInterrupt,
  IoDisconnectInterrupt,
  KDPC,
  KeAcquireSpinLock,
  KeGetCurrentIrql,
  KeInitializeDpc,
  KeInitializeSpinLock,
  KeInsertQueueDpc,
  KeReleaseSpinLock,
  KeSynchronizeExecution,
  type KINTERRUPT,
  KSPIN_LOCK,
  LevelSensitive,
  POOL_FLAG_NON_PAGED,
  struct,
  ULONG,
} from '../../ddi/wdm.ts'
import { levelOf, requestVector, vectorOf } from '../../kernel/ke/interrupt.ts'
import { cpu } from '../../kernel/ke/pcr.ts'
import { timed } from '../benchmark.ts'
import { MEETING, type Side, type Span, together } from './meet.ts'

/** No device stands on this vector: the driver asserts it itself. */
const VECTOR = vectorOf(5, 0x52)

/** What different processors change lies in cache lines of its own. */
const LINE = array(ULONG, 16)
const BENCH = struct('BENCH', {
  lock: KSPIN_LOCK,
  apart: LINE,
  count: ULONG,
  deferred: ULONG,
  dpc: KDPC,
  alsoApart: LINE,
  meeting: MEETING,
})
type BENCH = InstanceType<typeof BENCH>

export interface Figure {
  ns: number
  count: number
}

function make(): BENCH {
  const bench = new BENCH(ExAllocatePool2(POOL_FLAG_NON_PAGED, BENCH.size, 'Benc'))
  KeInitializeSpinLock(bench.lock)
  KeInitializeDpc(bench.dpc, countDpc, bench)
  return bench
}

/** KeAcquireSpinLock and KeReleaseSpinLock, which nobody else wants. */
export function spinLock(rounds: number): Figure {
  const bench = make()
  const { lock } = bench
  const before = { value: 0 }
  const ns = timed(rounds, () => {
    for (let round = 0; round < rounds; round++) {
      KeAcquireSpinLock(lock, before)
      bench.count += 1
      KeReleaseSpinLock(lock, before.value)
    }
  })
  const { count } = bench
  ExFreePool(bench)
  return { ns, count }
}

/** For two sides: gives back where their lock and their count lie. */
export const create = (): number => make().address

/** One of two sides that want the same lock. */
export function contend({ address, rounds }: Side): Span {
  const bench = new BENCH(address)
  const { lock } = bench
  const before = { value: 0 }
  return together(bench.meeting, 2, () => {
    for (let round = 0; round < rounds; round++) {
      KeAcquireSpinLock(lock, before)
      bench.count += 1
      KeReleaseSpinLock(lock, before.value)
    }
  })
}

/** Gives back the count, and frees it. */
export function close(address: number): number {
  const bench = new BENCH(address)
  const { count } = bench
  ExFreePool(bench)
  return count
}

export function countSynchronized(bench: BENCH): boolean {
  bench.count += 1
  return true
}

export function countIsr(_interrupt: KINTERRUPT, bench: BENCH): boolean {
  bench.count += 1
  KeInsertQueueDpc(bench.dpc, null, null)
  return true
}

export function countDpc(_dpc: KDPC, bench: BENCH): void {
  bench.deferred += 1
}

/** Runs `body` with an ISR connected to this processor. */
async function withInterrupt(bench: BENCH, body: (interrupt: KINTERRUPT) => number): Promise<number> {
  const box: { value: KINTERRUPT | null } = { value: null }
  const status = IoConnectInterrupt({
    InterruptObject: box,
    ServiceRoutine: countIsr,
    ServiceContext: bench,
    SpinLock: null,
    Vector: VECTOR,
    Irql: levelOf(VECTOR),
    SynchronizeIrql: levelOf(VECTOR),
    InterruptMode: LevelSensitive,
    ShareVector: false,
    ProcessorEnableMask: 1 << cpu.number,
    FloatingSave: false,
  })
  if (box.value === null) throw new Error(`IoConnectInterrupt: 0x${(status >>> 0).toString(16)}`)
  const ns = body(box.value)
  await IoDisconnectInterrupt(box.value)
  return ns
}

/** KeSynchronizeExecution of a routine that counts. */
export async function synchronize(rounds: number): Promise<Figure> {
  const bench = make()
  const ns = await withInterrupt(bench, (interrupt) =>
    timed(rounds, () => {
      for (let round = 0; round < rounds; round++) KeSynchronizeExecution(interrupt, countSynchronized, bench)
    }),
  )
  const { count } = bench
  ExFreePool(bench)
  return { ns, count }
}

/** From the assertion of the line to the end of the DPC that the ISR has queued. */
export async function isr(rounds: number): Promise<Figure & { deferred: number }> {
  const bench = make()
  const ns = await withInterrupt(bench, () =>
    timed(rounds, () => {
      for (let round = 0; round < rounds; round++) {
        requestVector(cpu.number, VECTOR)
        KeGetCurrentIrql() // an interruption point: ISR and DPC run here
      }
    }),
  )
  const { count, deferred } = bench
  ExFreePool(bench)
  return { ns, count, deferred }
}
