/** What is done with the DPCs of all processors at once: waiting until they are through, and calling one everywhere. */
import { atomicAdd, atomicCompareExchange, atomicLoad, atomicStore, write16, write8 } from '../mm/access.ts'
import { allocate, free } from '../mm/pool.ts'
import { ports } from '../ports/ports.ts'
import { type NTSTATUS, STATUS_INVALID_PARAMETER, STATUS_SUCCESS } from '../rtl/status.ts'
import { LONG, type Pvoid, storePvoid, struct, type Synchronous, ULONG } from '../rtl/struct.ts'
import { escapedException } from './bugcheck.ts'
import { initializeDpc, type KDEFERRED_ROUTINE, MAXIMUM_PROCESSORS, MediumHighImportance, queueDpc } from './dpc.ts'
import { initializeEvent, NotificationEvent, setEvent } from './event.ts'
import { kernelRoutine, type Routine, routineId, routineOf } from './image.ts'
import { KDPC, KEVENT } from './layouts.ts'
import { APC_LEVEL, attend, DISPATCH_LEVEL, enter, lowerIrql, PASSIVE_LEVEL, point, raiseIrql } from './level.ts'
import { cpu, Machine } from './pcr.ts'
import { spinForWord } from './spin.ts'
import { withoutThread } from './thread.ts'
import { waitForObject } from './wait.ts'

const TAG = 'KeDf'

/** One KeFlushQueuedDpcs; behind it a KDPC for each processor. Remaining is atomic. */
const FLUSH = struct('DPC_FLUSH', { Done: KEVENT, Remaining: LONG })

/**
 * Waits until every DPC that was queued before the call, on whichever processor, has run to its end.
 *
 * A DPC of one's own at the end of each queue: when it runs, those before it are through.
 *
 * @irql PASSIVE_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-keflushqueueddpcs
 */
export async function KeFlushQueuedDpcs(): Promise<void> {
  enter(PASSIVE_LEVEL, 'KeFlushQueuedDpcs')
  const flush = allocateFlush()
  for (let processor = 0; processor < cpu.count; processor++) {
    const dpc = flush + FLUSH.size + processor * KDPC.size
    prepareDpc(dpc, routineId(flushed), processor)
    queueDpc(dpc, flush, null)
  }
  point()
  await waitForObject(flush + FLUSH.offsets.Done)
  free(flush, TAG)
}

function allocateFlush(): number {
  const flush = allocate(FLUSH.size + cpu.count * KDPC.size, TAG)
  // A routine that cannot fail must not: without memory there is nothing to wait with.
  if (flush === 0) throw new Error('KeFlushQueuedDpcs: there is no nonpaged pool left')
  initializeEvent(flush + FLUSH.offsets.Done, NotificationEvent, false)
  atomicStore(flush + FLUSH.offsets.Remaining, cpu.count)
  return flush
}

/** MediumHigh: behind what is queued already, and looked at at once. */
function prepareDpc(dpc: number, routine: number, processor: number): void {
  initializeDpc(dpc, routine, null)
  write8(dpc + KDPC.offsets.Importance, MediumHighImportance)
  write16(dpc + KDPC.offsets.Number, processor + MAXIMUM_PROCESSORS)
}

const flushed = kernelRoutine(function flushed(_dpc: KDPC, _context: Pvoid, flush: number) {
  if (atomicAdd(flush + FLUSH.offsets.Remaining, -1) === 1) setEvent(flush + FLUSH.offsets.Done)
})

/** PROCESSOR_NUMBER */
export interface PROCESSOR_NUMBER {
  readonly Group: number
  readonly Number: number
}

/**
 * Sets the processor that later inserts queue the DPC on.
 *
 * @irql any
 * @returns STATUS_SUCCESS; STATUS_INVALID_PARAMETER when the machine has no such processor, and nothing changes
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kesettargetprocessordpcex
 */
export function KeSetTargetProcessorDpcEx(Dpc: KDPC, ProcNumber: PROCESSOR_NUMBER): NTSTATUS {
  point()
  if (ProcNumber.Group !== 0 || !(ProcNumber.Number >= 0 && ProcNumber.Number < cpu.count))
    return STATUS_INVALID_PARAMETER
  write16(Dpc.address + KDPC.offsets.Number, ProcNumber.Number + MAXIMUM_PROCESSORS)
  return STATUS_SUCCESS
}

/** One KeGenericCallDpc; behind it a KDPC for each processor. Both counts are atomic. */
const GENERIC_CALL = struct('GENERIC_DPC_CALL', {
  Done: LONG, // processors whose routine has not said KeSignalCallDpcDone
  Waiting: LONG, // processors that have not come to the next KeSignalCallDpcSynchronize
  Round: ULONG, // bumped when all have
})
const { Done, Waiting, Round } = GENERIC_CALL.offsets

/**
 * Runs `Routine` on every processor at DISPATCH_LEVEL, and returns when all have called KeSignalCallDpcDone.
 *
 * @irql <= APC_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/debugger/bug-check-0x133-dpc-watchdog-violation
 */
export function KeGenericCallDpc<F extends KDEFERRED_ROUTINE>(Routine_: F & Synchronous<F>, Context: Pvoid): void {
  enter(APC_LEVEL, 'KeGenericCallDpc')
  const routine = routineId(Routine_ as Routine)
  const call = allocate(GENERIC_CALL.size + cpu.count * KDPC.size, TAG)
  if (call === 0) throw new Error('KeGenericCallDpc: there is no nonpaged pool left')
  // One at a time, or two callers would wait for each other's processor. Below DISPATCH_LEVEL, so that this one
  // serves the other's DPC meanwhile.
  if (cpu.multiprocessor) spinForWord(Machine.GenericCallLock, 1)
  const before = raiseIrql(DISPATCH_LEVEL)
  atomicStore(call + Done, cpu.count)
  atomicStore(call + Waiting, cpu.count)
  for (let processor = 0; processor < cpu.count; processor++) {
    const dpc = call + GENERIC_CALL.size + processor * KDPC.size
    prepareDpc(dpc, routine, processor)
    storePvoid(dpc + KDPC.offsets.DeferredContext, Context)
    if (processor !== cpu.number) queueDpc(dpc, call, call)
  }
  runHere(call, routine, Context)
  spinUntil(() => atomicLoad(call + Done) === 0)
  if (cpu.multiprocessor) atomicStore(Machine.GenericCallLock, 0)
  free(call, TAG)
  lowerIrql(before)
}

/** A DPC runs without a thread, here as elsewhere. */
function runHere(call: number, id: number, context: Pvoid): void {
  const routine = routineOf(id)
  const dpc = new KDPC(call + GENERIC_CALL.size + cpu.number * KDPC.size)
  try {
    withoutThread(() => routine(dpc, context, call, call))
  } catch (error) {
    escapedException(error, `DPC routine ${routine.name}`)
  }
}

function spinUntil(isDone: () => boolean): void {
  for (let round = 0; !isDone(); round++) {
    ports.processor.relax(round)
    attend()
  }
}

/**
 * Says that this processor's part of a KeGenericCallDpc is done: the routine's last act.
 *
 * @irql DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/debugger/bug-check-0x133-dpc-watchdog-violation
 */
export function KeSignalCallDpcDone(SystemArgument1: number): void {
  point()
  atomicAdd(SystemArgument1 + Done, -1)
}

/**
 * Waits until every processor of a KeGenericCallDpc has come here.
 *
 * @irql DISPATCH_LEVEL
 * @returns TRUE on exactly one of them
 * @see https://learn.microsoft.com/windows-hardware/drivers/debugger/bug-check-0x133-dpc-watchdog-violation
 */
export function KeSignalCallDpcSynchronize(SystemArgument2: number): boolean {
  point()
  const round = atomicLoad(SystemArgument2 + Round)
  if (atomicAdd(SystemArgument2 + Waiting, -1) === 1) {
    // The count first: who sees the new round may come to the next one at once.
    atomicStore(SystemArgument2 + Waiting, cpu.count)
    atomicCompareExchange(SystemArgument2 + Round, round, (round + 1) | 0)
    return true
  }
  spinUntil(() => atomicLoad(SystemArgument2 + Round) !== round)
  return false
}
