/**
 * Deferred procedure calls (KDPC): what an ISR leaves to be done at DISPATCH_LEVEL.
 *
 * A DPC is in at most one queue: whoever changes its DpcData from 0 to a KPCR queues it there. Each processor's queue
 * has a lock; the holder passes no interruption point.
 */
import * as access from '../mm/access.ts'
import * as plugged from '../ports/ports.ts'
import * as list from '../rtl/list.ts'
import { checkPvoid, type Pvoid, pvoidOf, storePvoid, type Synchronous } from '../rtl/struct.ts'
import { BugCode } from './bugcodes.ts'
import { bugCheck, escapedException } from './bugcheck.ts'
import { routineId, routineOf } from './image.ts'
import { KDPC, ObjectType } from './layouts.ts'
import { deliverable, delivery, DISPATCH_LEVEL, point } from './level.ts'
import * as kpcr from './pcr.ts'
import { acquireWord, releaseWord } from './spin.ts'

// Looked up once: an imported name is looked up at each use (decision 0041).
const { add32, atomicAdd, atomicCompareExchange, atomicStore, read32, write16, write32, write8 } = access
const { ports } = plugged
const { insertHead, insertTail, isEmpty, removeEntry } = list
const { clearPending, cpu, Pcr, pcrOf, Pending, requestProcessor, setPending } = kpcr

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
  const head = read32(dpc) // Type, Importance and Number
  const target = head >>> 16
  const processor = target === 0 ? cpu.number : target - MAXIMUM_PROCESSORS
  const pcr = pcrOf(processor)
  acquireWord(pcr + Pcr.DpcLock)
  const isFree = claim(dpc + DpcData, pcr)
  if (isFree) {
    storePvoid(dpc + SystemArgument1, argument1)
    storePvoid(dpc + SystemArgument2, argument2)
    if (((head >> 8) & 0xff) === HighImportance) insertHead(pcr + Pcr.DpcQueue, dpc + DpcListEntry)
    else insertTail(pcr + Pcr.DpcQueue, dpc + DpcListEntry)
    add32(pcr + Pcr.DpcDepth, 1)
  }
  releaseWord(pcr + Pcr.DpcLock)
  if (isFree) kick(processor, pcr, (head >> 8) & 0xff)
  return isFree
}

/** Whether the DPC was in no queue: now it is in that of `pcr`. */
function claim(queue: number, pcr: number): boolean {
  if (cpu.multiprocessor) return atomicCompareExchange(queue, 0, pcr) === 0
  const isFree = read32(queue) === 0
  if (isFree) write32(queue, pcr)
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
  add32(pcr + Pcr.DpcDepth, -1)
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
  while (count < DPCS_PER_DRAIN && !isEmpty(pcr + Pcr.DpcQueue)) {
    if (!runFirst(pcr)) break
    count += 1
    if (deliverable() !== 0) delivery.deliver()
  }
  if (count === DPCS_PER_DRAIN) clearPending(Pending.Dpc) // the pass that is scheduled below looks at the queue itself
  write32(pcr + Pcr.DpcActive, 0)
  write32(pcr + Pcr.Irql, 0)
  if (cpu.multiprocessor) atomicAdd(pcr + Pcr.DpcDrains, 1)
  else add32(pcr + Pcr.DpcDrains, 1)
  if (hasDpcs()) ports.processor.schedulePass()
}

/** Runs the first DPC of the queue; false when somebody else has taken it. */
function runFirst(pcr: number): boolean {
  const lock = pcr + Pcr.DpcLock
  const head = pcr + Pcr.DpcQueue
  acquireWord(lock)
  if (isEmpty(head)) {
    releaseWord(lock)
    return false
  }
  // What the run needs is read while the lock is held: from then on the DPC may be queued again.
  const dpc = read32(head) - DpcListEntry
  const id = read32(dpc + DeferredRoutine)
  const address = read32(dpc + DeferredContext)
  const type = read32(dpc + DeferredContext + 4)
  const first = read32(dpc + SystemArgument1)
  const firstType = read32(dpc + SystemArgument1 + 4)
  const second = read32(dpc + SystemArgument2)
  const secondType = read32(dpc + SystemArgument2 + 4)
  unlink(pcr, dpc)
  releaseWord(lock)
  const routine = routineOf(id)
  const { view, context } = knownOf(dpc, address, type)
  add32(pcr + Pcr.Dpcs, 1)
  if (ports.trace !== null) ports.trace.event(TRACE_DPC, dpc, id)
  try {
    routine(view, context, argumentOf(first, firstType), argumentOf(second, secondType))
  } catch (error) {
    escapedException(error, `DPC routine ${routine.name}`)
  }
  if (read32(pcr + Pcr.Irql) !== DISPATCH_LEVEL) changedIrql(routine.name, pcr)
  return true
}

const argumentOf = (value: number, type: number): Pvoid =>
  type === 0 && value === 0 ? null : pvoidOf(value >>> 0, type >>> 0)

/** What this processor knows of a DPC: the views that its routine is called with. */
interface Known {
  dpc: number
  /** The two words of DeferredContext. */
  address: number
  type: number
  view: KDPC
  context: Pvoid
}

/** By address, as far as places differ. */
const known: (Known | undefined)[] = Array.from({ length: 256 }, () => undefined)
const placeOf = (dpc: number): number => (dpc >> 4) & 255

function knownOf(dpc: number, address: number, type: number): Known {
  const found = known[placeOf(dpc)]
  const isSame = found !== undefined && found.dpc === dpc && found.address === address && found.type === type
  return isSame ? found : knownAnew(dpc, address, type)
}

function knownAnew(dpc: number, address: number, type: number): Known {
  const fresh = { dpc, address, type, view: new KDPC(dpc), context: pvoidOf(address >>> 0, type >>> 0) }
  known[placeOf(dpc)] = fresh
  return fresh
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
