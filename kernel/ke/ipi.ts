/** Inter-processor interrupts: one routine, run on every processor at once. */
import { atomicAdd, atomicLoad, atomicStore, read32, readU32, write32 } from '../mm/access.ts'
import { ports } from '../ports/ports.ts'
import { checkPvoid, type Pvoid, pvoidOf, storePvoid } from '../rtl/struct.ts'
import { escapedException } from './bugcheck.ts'
import { type Routine, routineId, routineOf } from './image.ts'
import { attend, currentIrql, enter, IPI_LEVEL, lowerIrql, raiseIrql, CLOCK_LEVEL } from './level.ts'
import { cpu, levelBit, Machine, Pcr, pcrOf, requestProcessor } from './pcr.ts'
import { spinForWord } from './spin.ts'

/** A routine of KeIpiGenericCall. @irql IPI_LEVEL */
export type KIPI_BROADCAST_WORKER = (Argument: never) => number

/** Runs on a processor that was asked. The caller spins until all have answered. */
export function answerIpi(): void {
  const mine = cpu.pcr + Pcr.IpiPending
  if (atomicLoad(mine) === 0) return
  atomicStore(mine, 0)
  call(routineOf(read32(Machine.IpiRoutine)), pvoidOf(readU32(Machine.IpiContext), readU32(Machine.IpiContext + 4)))
  atomicAdd(Machine.IpiDone, 1)
}

function call(routine: Routine, context: Pvoid): number {
  try {
    return Number(routine(context))
  } catch (error) {
    return escapedException(error, `inter-processor routine ${routine.name}`)
  }
}

/**
 * Runs `BroadcastFunction` on every processor at once, at IPI_LEVEL, and returns when all of them have.
 *
 * @irql < IPI_LEVEL
 * @returns what the routine returned on the calling processor
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-keipigenericcall
 */
export function KeIpiGenericCall(BroadcastFunction: KIPI_BROADCAST_WORKER, Context: Pvoid): number {
  enter(CLOCK_LEVEL, 'KeIpiGenericCall')
  const id = routineId(BroadcastFunction)
  checkPvoid(Context)
  const before = raiseIrql(Math.max(currentIrql(), CLOCK_LEVEL))
  // One broadcast at a time. Who waits for its turn here still answers the other's: IPI_LEVEL is above CLOCK_LEVEL.
  if (cpu.multiprocessor) spinForWord(Machine.IpiLock, 1)
  write32(Machine.IpiRoutine, id)
  storePvoid(Machine.IpiContext, Context)
  atomicStore(Machine.IpiDone, 0)
  for (let processor = 0; processor < cpu.count; processor++) {
    if (processor === cpu.number) continue
    atomicStore(pcrOf(processor) + Pcr.IpiPending, 1)
    requestProcessor(processor, levelBit(IPI_LEVEL))
  }
  raiseIrql(IPI_LEVEL)
  const result = call(routineOf(id), Context)
  for (let round = 0; atomicLoad(Machine.IpiDone) !== cpu.count - 1; round++) {
    ports.processor.relax(round)
    attend()
  }
  if (cpu.multiprocessor) atomicStore(Machine.IpiLock, 0)
  lowerIrql(before)
  return result
}

/**
 * The number of the processor that runs the caller.
 *
 * @irql any
 * @returns the processor's number, from 0
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kegetcurrentprocessornumberex
 */
export function KeGetCurrentProcessorNumberEx(_ProcNumber: null): number {
  return cpu.number
}

/**
 * The number of the processor that runs the caller.
 *
 * @irql any
 * @returns the processor's number, from 0
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kegetcurrentprocessornumber
 */
export function KeGetCurrentProcessorNumber(): number {
  return cpu.number
}

/**
 * How many processors the machine has.
 *
 * @irql any
 * @returns the count
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kequeryactiveprocessorcountex
 */
export function KeQueryActiveProcessorCountEx(_GroupNumber: number): number {
  return cpu.count
}

/**
 * The processors of the machine, a bit each.
 *
 * @irql <= APC_LEVEL
 * @returns the mask
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kequeryactiveprocessors
 */
export function KeQueryActiveProcessors(): number {
  return cpu.count >= 32 ? 0xffffffff : ((1 << cpu.count) - 1) >>> 0
}
