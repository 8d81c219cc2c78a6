/**
 * Deferred procedure calls (KDPC): what an ISR leaves to be done at DISPATCH_LEVEL.
 *
 * A DPC is in at most one queue: whoever changes its DpcData from 0 to a KPCR queues it there. Each processor's queue
 * has a lock; the holder passes no interruption point.
 */
import {
  atomicAdd,
  atomicCompareExchange,
  atomicStore,
  read16,
  read32,
  read8,
  readU32,
  write16,
  write32,
  write8,
} from '../mm/access.ts'
import { ports } from '../ports/ports.ts'
import { insertHead, insertTail, isEmpty, removeEntry } from '../rtl/list.ts'
import { checkPvoid, type Pvoid, pvoidOf, storePvoid, type Synchronous } from '../rtl/struct.ts'
import { BugCode } from './bugcodes.ts'
import { bugCheck, escapedException } from './bugcheck.ts'
import { routineId, routineOf } from './image.ts'
import { KDPC, ObjectType } from './layouts.ts'
import { delivery, DISPATCH_LEVEL, point } from './level.ts'
import { clearPending, cpu, Pcr, pcrOf, Pending, requestProcessor, setPending } from './pcr.ts'
import { acquireWord, releaseWord } from './spin.ts'

export const LowImportance = 0
export const MediumImportance = 1
export const HighImportance = 2
export const MediumHighImportance = 3

export const MAXIMUM_PROCESSORS = 64

const { Type, Importance, Number: TARGET, DpcListEntry, DeferredRoutine, DeferredContext } = KDPC.offsets
const { SystemArgument1, SystemArgument2, DpcData } = KDPC.offsets

/** A queue deeper than this is drained at once, whatever the importance of what is in it. */
const DEEP_QUEUE = 4
/** DPCs run in one go: what is queued then waits for the next pass, so that DPCs that queue each other starve nobody. */
const DPCS_PER_DRAIN = 1024

/** A DPC routine. @irql DISPATCH_LEVEL */
export type KDEFERRED_ROUTINE = (
  Dpc: KDPC,
  DeferredContext: never,
  SystemArgument1: never,
  SystemArgument2: never,
) => void

/**
 * Sets up a DPC; its arguments and list links keep what the memory held.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-keinitializedpc
 */
export function KeInitializeDpc<F extends KDEFERRED_ROUTINE>(
  Dpc: KDPC,
  DeferredRoutine_: (F & Synchronous<F>) | null,
  DeferredContext_: Pvoid,
): void {
  point()
  initializeDpc(Dpc.address, DeferredRoutine_ === null ? 0 : routineId(DeferredRoutine_), DeferredContext_)
}

export function initializeDpc(dpc: number, routine: number, context: Pvoid): void {
  write8(dpc + Type, ObjectType.DpcObject)
  write8(dpc + Importance, MediumImportance)
  write16(dpc + TARGET, 0)
  write32(dpc + DpcData, 0)
  write32(dpc + DeferredRoutine, routine)
  storePvoid(dpc + DeferredContext, context)
}

/**
 * Queues a DPC. One that is queued already, on whichever processor, stays as it is.
 *
 * @irql any
 * @returns TRUE when it was queued; FALSE when it was in a queue, which keeps the arguments of the first call
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-keinsertqueuedpc
 */
export function KeInsertQueueDpc(Dpc: KDPC, SystemArgument1_: Pvoid, SystemArgument2_: Pvoid): boolean {
  const wasQueued = queueDpc(Dpc.address, SystemArgument1_, SystemArgument2_)
  point() // below DISPATCH_LEVEL it has run before this call returns
  return wasQueued
}

export function queueDpc(dpc: number, argument1: Pvoid, argument2: Pvoid): boolean {
  checkPvoid(argument1)
  checkPvoid(argument2)
  const target = read16(dpc + TARGET)
  const processor = target === 0 ? cpu.number : target - MAXIMUM_PROCESSORS
  const pcr = pcrOf(processor)
  acquireWord(pcr + Pcr.DpcLock)
  const isFree = cpu.multiprocessor ? atomicCompareExchange(dpc + DpcData, 0, pcr) === 0 : read32(dpc + DpcData) === 0
  if (isFree) {
    if (!cpu.multiprocessor) write32(dpc + DpcData, pcr)
    storePvoid(dpc + SystemArgument1, argument1)
    storePvoid(dpc + SystemArgument2, argument2)
    const link = dpc + DpcListEntry
    if (read8(dpc + Importance) === HighImportance) insertHead(pcr + Pcr.DpcQueue, link)
    else insertTail(pcr + Pcr.DpcQueue, link)
    write32(pcr + Pcr.DpcDepth, read32(pcr + Pcr.DpcDepth) + 1)
  }
  releaseWord(pcr + Pcr.DpcLock)
  if (isFree) kick(processor, pcr, read8(dpc + Importance))
  return isFree
}

/** When the queue is looked at: at once, or when its processor has nothing better to do (wdm-facts §7). */
function kick(processor: number, pcr: number, importance: number): void {
  const isDeep = read32(pcr + Pcr.DpcDepth) > DEEP_QUEUE
  if (processor === cpu.number) {
    if (importance !== LowImportance || isDeep) setPending(Pending.Dpc)
    else ports.processor.schedulePass()
  } else if (importance >= HighImportance || isDeep) {
    requestProcessor(processor, Pending.Dpc)
  } else {
    ports.processor.ring(processor)
  }
}

/** Takes a DPC out of the queue that it is in. */
export function removeDpc(dpc: number): boolean {
  for (;;) {
    const pcr = read32(dpc + DpcData)
    if (pcr === 0) return false
    acquireWord(pcr + Pcr.DpcLock)
    const isHere = read32(dpc + DpcData) === pcr
    if (isHere) unlink(pcr, dpc)
    releaseWord(pcr + Pcr.DpcLock)
    if (isHere) return true // otherwise it left the queue, or went to another, meanwhile: look again
  }
}

function unlink(pcr: number, dpc: number): void {
  removeEntry(dpc + DpcListEntry)
  write32(pcr + Pcr.DpcDepth, read32(pcr + Pcr.DpcDepth) - 1)
  // Last, and atomic: from here on another processor may queue it, under its own queue's lock.
  if (cpu.multiprocessor) atomicStore(dpc + DpcData, 0)
  else write32(dpc + DpcData, 0)
}

/** Whether the own queue has something in it. */
export const hasDpcs = (): boolean => read32(cpu.pcr + Pcr.DpcDepth) !== 0

/**
 * Runs what is queued on this processor, first come first served. The IRQL is DISPATCH_LEVEL while it does, and
 * interrupts are taken between two DPCs.
 */
export function drainDpcs(): void {
  const { pcr } = cpu
  clearPending(Pending.Dpc)
  write32(pcr + Pcr.Irql, DISPATCH_LEVEL)
  write32(pcr + Pcr.DpcActive, 1)
  let count = 0
  for (; count < DPCS_PER_DRAIN; count++) {
    const dpc = takeFirst(pcr)
    if (dpc === 0) break
    runDpc(pcr, dpc)
    if (read32(pcr + Pcr.Pending) !== 0) delivery.deliver()
  }
  if (count === DPCS_PER_DRAIN) clearPending(Pending.Dpc) // the pass that is scheduled below looks at the queue itself
  write32(pcr + Pcr.DpcActive, 0)
  write32(pcr + Pcr.Irql, 0)
  if (cpu.multiprocessor) atomicAdd(pcr + Pcr.DpcDrains, 1)
  else write32(pcr + Pcr.DpcDrains, read32(pcr + Pcr.DpcDrains) + 1)
  if (hasDpcs()) ports.processor.schedulePass()
}

/** What a run needs of the DPC, copied while the lock is held: from then on the DPC may be queued again. */
const taken = { routine: 0, context: 0, contextType: 0, first: 0, firstType: 0, second: 0, secondType: 0 }

function takeFirst(pcr: number): number {
  const head = pcr + Pcr.DpcQueue
  if (isEmpty(head)) return 0
  acquireWord(pcr + Pcr.DpcLock)
  const dpc = isEmpty(head) ? 0 : read32(head) - DpcListEntry
  if (dpc !== 0) {
    taken.routine = read32(dpc + DeferredRoutine)
    taken.context = readU32(dpc + DeferredContext)
    taken.contextType = readU32(dpc + DeferredContext + 4)
    taken.first = readU32(dpc + SystemArgument1)
    taken.firstType = readU32(dpc + SystemArgument1 + 4)
    taken.second = readU32(dpc + SystemArgument2)
    taken.secondType = readU32(dpc + SystemArgument2 + 4)
    unlink(pcr, dpc)
  }
  releaseWord(pcr + Pcr.DpcLock)
  return dpc
}

function runDpc(pcr: number, dpc: number): void {
  const routine = routineOf(taken.routine)
  const context = pvoidOf(taken.context, taken.contextType)
  const first = pvoidOf(taken.first, taken.firstType)
  const second = pvoidOf(taken.second, taken.secondType)
  write32(pcr + Pcr.Dpcs, read32(pcr + Pcr.Dpcs) + 1)
  if (ports.trace !== null) ports.trace.event(TRACE_DPC, dpc, taken.routine)
  try {
    routine(new KDPC(dpc), context, first, second)
  } catch (error) {
    escapedException(error, `DPC routine ${routine.name}`)
  }
  if (read32(pcr + Pcr.Irql) !== DISPATCH_LEVEL) changedIrql(routine.name, pcr)
}
const TRACE_DPC = 3

function changedIrql(name: string, pcr: number): never {
  const irql = read32(pcr + Pcr.Irql)
  return bugCheck({
    code: BugCode.IRQL_UNEXPECTED_VALUE,
    parameters: [(irql << 16) | (DISPATCH_LEVEL << 8)],
    message: `DPC routine ${name} returned at IRQL ${irql}; it was called at DISPATCH_LEVEL and must return there`,
  })
}

/**
 * Takes a DPC out of its queue.
 *
 * @irql any
 * @returns TRUE when it was queued, and has not begun to run
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-keremovequeuedpc
 */
export function KeRemoveQueueDpc(Dpc: KDPC): boolean {
  point()
  return removeDpc(Dpc.address)
}

/**
 * Sets where in the queue later inserts put the DPC, and how soon it runs.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kesetimportancedpc
 */
export function KeSetImportanceDpc(Dpc: KDPC, Importance_: number): void {
  point()
  write8(Dpc.address + Importance, Importance_)
}

/**
 * Sets the processor that later inserts queue the DPC on.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kesettargetprocessordpc
 */
export function KeSetTargetProcessorDpc(Dpc: KDPC, Number: number): void {
  point()
  if (Number < 0 || Number >= cpu.count) badProcessor(Dpc.address, Number)
  write16(Dpc.address + TARGET, Number + MAXIMUM_PROCESSORS)
}

function badProcessor(dpc: number, processor: number): never {
  return bugCheck({
    code: BugCode.TIMER_OR_DPC_INVALID,
    parameters: [3, dpc, processor, cpu.count],
    message: `a DPC was given processor ${processor} as its target; this machine has processors 0 to ${cpu.count - 1}`,
  })
}
