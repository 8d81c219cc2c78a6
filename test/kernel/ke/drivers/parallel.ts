/** A driver for machines of several processors: `make` gives the address of what its other routines share. */
import { queueDpc } from '../../../../kernel/ke/dpc.ts'
import {
  KeFlushQueuedDpcs,
  KeGenericCallDpc,
  KeSetTargetProcessorDpcEx,
  KeSignalCallDpcDone,
  KeSignalCallDpcSynchronize,
} from '../../../../kernel/ke/dpcflush.ts'
import { KeInitializeDpc } from '../../../../kernel/ke/dpc.ts'
import { KeQueryActiveProcessorCountEx } from '../../../../kernel/ke/ipi.ts'
import { KDPC } from '../../../../kernel/ke/layouts.ts'
import {
  KeAcquireInStackQueuedSpinLock,
  KeReleaseInStackQueuedSpinLock,
  KLOCK_QUEUE_HANDLE,
} from '../../../../kernel/ke/queuedlock.ts'
import { KSPIN_LOCK } from '../../../../kernel/ke/spinlock.ts'
import { KeStallExecutionProcessor } from '../../../../kernel/ke/time.ts'
import { allocateStruct } from '../../../../kernel/mm/pool.ts'
import { atomic, LONG, struct, ULONG } from '../../../../kernel/rtl/struct.ts'

const SHARED = struct('PARALLEL_SHARED', {
  Lock: KSPIN_LOCK,
  Count: ULONG, // under Lock; not atomic: right only if the lock keeps everybody else out
  Calls: atomic(LONG),
  Winners: atomic(LONG),
  Dpc: KDPC,
})
type SHARED = InstanceType<typeof SHARED>

export function make(): number {
  return (allocateStruct(SHARED, 'Test') as SHARED).address
}

/** Adds 1 under the queued lock, `rounds` times. */
export async function lockHammer({ address, rounds }: { address: number; rounds: number }): Promise<number> {
  const shared = new SHARED(address)
  const handle = allocateStruct(KLOCK_QUEUE_HANDLE, 'Test') as KLOCK_QUEUE_HANDLE
  for (let round = 0; round < rounds; round++) {
    KeAcquireInStackQueuedSpinLock(shared.Lock, handle)
    shared.Count += 1
    KeReleaseInStackQueuedSpinLock(handle)
  }
  return shared.Lock.Lock
}

export const count = (address: number): number => new SHARED(address).Count

export function slowDpc(_dpc: KDPC, shared: SHARED): void {
  KeStallExecutionProcessor(2000)
  shared.Calls.add(1)
}

/** Queues a DPC on the last processor, and tells how often it has run when the flush is done. */
export async function flushOther(address: number): Promise<number> {
  const shared = new SHARED(address)
  KeInitializeDpc(shared.Dpc, slowDpc, shared)
  KeSetTargetProcessorDpcEx(shared.Dpc, { Group: 0, Number: KeQueryActiveProcessorCountEx(0) - 1 })
  queueDpc(shared.Dpc.address, null, null)
  await KeFlushQueuedDpcs()
  return shared.Calls.load()
}

export function everywhere(_dpc: KDPC, shared: SHARED, done: number, barrier: number): void {
  shared.Calls.add(1)
  for (let round = 0; round < 10; round++) {
    if (KeSignalCallDpcSynchronize(barrier)) shared.Winners.add(1)
  }
  KeSignalCallDpcDone(done)
}

/** Two calls of each caller; several callers may do so at once. */
export async function callEverywhere(address: number): Promise<number[]> {
  const shared = new SHARED(address)
  for (let round = 0; round < 2; round++) KeGenericCallDpc(everywhere, shared)
  return [shared.Calls.load(), shared.Winners.load()]
}
