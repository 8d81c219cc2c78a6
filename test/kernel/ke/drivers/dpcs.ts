/** DPCs on two processors. What a routine sees it counts in its struct: a processor's variables are its own. */
import {
  KeInitializeDpc,
  KeInsertQueueDpc,
  KeRemoveQueueDpc,
  KeSetImportanceDpc,
  KeSetTargetProcessorDpc,
} from '../../../../kernel/ke/dpc.ts'
import { KeFlushQueuedDpcs } from '../../../../kernel/ke/dpcflush.ts'
import { KeInitializeEvent, KeSetEvent, SynchronizationEvent } from '../../../../kernel/ke/event.ts'
import { KeGetCurrentProcessorNumber } from '../../../../kernel/ke/ipi.ts'
import { KDPC, KEVENT } from '../../../../kernel/ke/layouts.ts'
import { KeGetCurrentIrql, KeLowerIrql, KeRaiseIrqlToDpcLevel } from '../../../../kernel/ke/level.ts'
import { YieldProcessor } from '../../../../kernel/ke/time.ts'
import { Executive, KeDelayExecutionThread, KernelMode, KeWaitForSingleObject } from '../../../../kernel/ke/wait.ts'
import { field, InterlockedIncrement } from '../../../../kernel/ex/interlocked.ts'
import { allocateStruct, free } from '../../../../kernel/mm/pool.ts'
import { LONG, struct } from '../../../../kernel/rtl/struct.ts'

const COUNTER = struct('KE_DPC_COUNTER', {
  dpc: KDPC,
  ran: KEVENT,
  calls: LONG, // interlocked
  processor: LONG, // of the last call; read behind `ran`
  irql: LONG,
  isQueued: LONG, // written by one processor, read by the other
  isLetGo: LONG,
})
type COUNTER = InstanceType<typeof COUNTER>

const at = (address: number): COUNTER => new COUNTER(address)

function make(): COUNTER {
  const counter = allocateStruct(COUNTER, 'Test')
  if (counter === null) throw new Error('no pool')
  KeInitializeDpc(counter.dpc, count, counter)
  KeInitializeEvent(counter.ran, SynchronizationEvent, false)
  return counter
}

export function count(_dpc: KDPC, counter: COUNTER): void {
  InterlockedIncrement(field(counter, 'calls'))
  counter.processor = KeGetCurrentProcessorNumber()
  counter.irql = KeGetCurrentIrql()
  KeSetEvent(counter.ran, 0, false)
}

/** From processor 0: where the DPC runs with target 1, 0, 1, 0. */
export async function runElsewhere(importance: number): Promise<object> {
  const counter = make()
  KeSetImportanceDpc(counter.dpc, importance)
  const ran: number[] = []
  for (const target of [1, 0, 1, 0]) {
    KeSetTargetProcessorDpc(counter.dpc, target)
    KeInsertQueueDpc(counter.dpc, null, null)
    await KeWaitForSingleObject(counter.ran, Executive, KernelMode, false, null)
    ran.push(counter.processor)
  }
  const { irql } = counter
  free(counter.address)
  return { ran, irql }
}

/** Queues the DPC on this processor, and keeps it from running until `letGo`. */
export function queueAndHold(address: number): void {
  const counter = at(address)
  const before = KeRaiseIrqlToDpcLevel()
  KeInsertQueueDpc(counter.dpc, null, null)
  counter.isQueued = 1
  while (counter.isLetGo === 0) YieldProcessor()
  KeLowerIrql(before)
}

/** What another processor's DPC says to an insert and two removes, once it is queued there. */
export async function insertAndRemove(address: number): Promise<object> {
  const counter = at(address)
  while (counter.isQueued === 0) await KeDelayExecutionThread(KernelMode, false, -1000)
  const inserted = KeInsertQueueDpc(counter.dpc, null, null)
  const removed = KeRemoveQueueDpc(counter.dpc)
  const again = KeRemoveQueueDpc(counter.dpc)
  counter.isLetGo = 1
  return { inserted, removed, again }
}

export const callsOf = (address: number): number => at(address).calls

export const makeCounter = (): number => make().address

/** Inserts without end; gives back how many inserts were TRUE. */
export function insertHammer(address: number): number {
  const { dpc } = at(address)
  let inserted = 0
  for (let round = 0; round < 5000; round++) if (KeInsertQueueDpc(dpc, null, null)) inserted += 1
  return inserted
}

export async function counted(address: number): Promise<number> {
  await KeFlushQueuedDpcs()
  const { calls } = at(address)
  free(address)
  return calls
}

export function targetNobody(): void {
  KeSetTargetProcessorDpc(make().dpc, 2)
}
