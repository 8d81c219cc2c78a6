/**
 * Interrupt objects (KINTERRUPT), their chains, and what happens when a line interrupts.
 *
 * A vector is a level and a number below 256: `level << 8 | number`. Each vector has a lock: who walks the chain
 * holds it at the vector's level, who changes the chain holds it at HIGH_LEVEL. So when a disconnect returns, the ISR
 * does not run and will not be called.
 */
import * as access from '../mm/access.ts'
import type { Memory } from '../mm/memory.ts'
import * as memory from '../mm/memory.ts'
import { allocate } from '../mm/pool.ts'
import { Line, LineState, Post } from '../ports/device.ts'
import * as plugged from '../ports/ports.ts'
import * as list from '../rtl/list.ts'
import { type Pvoid, pvoidOf, type Synchronous } from '../rtl/struct.ts'
import { BugCode } from './bugcodes.ts'
import { bugCheck, escapedException } from './bugcheck.ts'
import { type Routine, routineOf } from './image.ts'
import { KINTERRUPT } from './layouts.ts'
import { currentIrql, HIGH_LEVEL, type KIRQL, levelName, lowerIrql, point, raiseIrql } from './level.ts'
import { synchronizePassively, wakePassiveService } from './passive.ts'
import * as kpcr from './pcr.ts'
import { acquireWord, releaseWord } from './spin.ts'
import { acquireLock, releaseLock } from './spinlock.ts'
import { post } from './wire.ts'

// Looked up once: an imported name is looked up at each use (decision 0041).
const { add32, atomicLoad, atomicStore, read32, read8, readF64, readU32, write32, write8, writeF64 } = access
const { mem } = memory
const { ports } = plugged
const { initializeList, insertTail, isEmpty, removeEntry } = list
const { cpu, levelBit, Machine, Pcr, pcrOf, requestProcessor } = kpcr

export const LevelSensitive = 0
export const Latched = 1

/** An ISR. @irql DIRQL; interrupt spin lock held */
export type KSERVICE_ROUTINE = (Interrupt: KINTERRUPT, ServiceContext: never) => boolean
/** A SynchCritSection. @irql DIRQL; SynchronizeIrql, interrupt spin lock held */
export type KSYNCHRONIZE_ROUTINE = (SynchronizeContext: never) => boolean | number
/** A SynchCritSection of a passive-level interrupt. @irql PASSIVE_LEVEL; the interrupt's event held */
export type PASSIVE_SYNCHRONIZE_ROUTINE = (SynchronizeContext: never) => Promise<boolean | number>

const K = KINTERRUPT.offsets
const VECTORS_PER_LEVEL = 256
const LEVELS = 16

/** Offsets in an entry of the vector table. */
export const Vector = {
  Lock: 0,
  Chain: 4, // LIST_ENTRY
  Lines: 12,
  Unclaimed: 16,
  Dispatches: 20,
  IsMasked: 24,
  Processor: 28,
  Passive: 32, // the PASSIVE_SERVICE whose thread runs the ISRs, 0 for a vector that is served at its level
} as const
const VECTOR_SIZE = 36

/** Frames in a row that no ISR claimed before a vector is masked. */
const STORM = 1000

export const vectorOf = (level: number, number: number): number => level * VECTORS_PER_LEVEL + number
export const levelOf = (vector: number): number => vector >> 8
export const entryOf = (vector: number): number => read32(Machine.Vectors) + vector * VECTOR_SIZE

/** Makes the vector table. Once a machine. */
export function createVectors(): void {
  write32(Machine.Vectors, allocate(LEVELS * VECTORS_PER_LEVEL * VECTOR_SIZE, 'KeIv', 0))
}

/** Asks processor `processor` to dispatch `vector`. Called by the HAL of this thread, and by software. */
export function requestVector(processor: number, vector: number): void {
  const level = levelOf(vector)
  const words = pcrOf(processor) >> 2
  const word = words + REQUESTS + (vector >> 5)
  const groups = words + GROUPS + level
  const { i32 } = mem
  // The request first, then its group: who takes the level's bit then finds both.
  if (cpu.multiprocessor) {
    Atomics.or(i32, word, 1 << (vector & 31))
    Atomics.or(i32, groups, 1 << groupOf(vector))
  } else {
    i32[word] = (i32[word] as number) | (1 << (vector & 31))
    i32[groups] = (i32[groups] as number) | (1 << groupOf(vector))
  }
  requestProcessor(processor, levelBit(level))
}
// In words of the KPCR.
const REQUESTS = Pcr.Requests >> 2
const GROUPS = Pcr.Groups >> 2
/** Words of requests that a level has. */
const GROUPS_PER_LEVEL = VECTORS_PER_LEVEL / 32
const groupOf = (vector: number): number => (vector >> 5) & (GROUPS_PER_LEVEL - 1)

/** The same from a thread that is no processor. Gives back the processor, and the pending bit that it has to be given. */
export function postVector({ i32 }: Memory, vector: number): { processor: number; pending: number } {
  const level = levelOf(vector)
  const entry = (i32[Machine.Vectors >> 2] as number) + vector * VECTOR_SIZE
  const processor = i32[(entry + Vector.Processor) >> 2] as number
  const words = pcrOf(processor) >> 2
  Atomics.or(i32, words + REQUESTS + (vector >> 5), 1 << (vector & 31))
  Atomics.or(i32, words + GROUPS + level, 1 << groupOf(vector))
  return { processor, pending: levelBit(level) }
}

/** Takes the requests of one level; the IRQL is that level. */
export function dispatchVectors(level: number): void {
  let groups = take(cpu.word + GROUPS + level)
  while (groups !== 0) {
    const first = level * VECTORS_PER_LEVEL + lowestBit(groups) * 32
    groups &= groups - 1
    let bits = take(cpu.word + REQUESTS + (first >> 5))
    while (bits !== 0) {
      const vector = first + lowestBit(bits)
      bits &= bits - 1
      dispatchVector(vector, level)
    }
  }
}

/** The bits in a word of the own KPCR, which are cleared. */
function take(word: number): number {
  const { i32 } = mem
  if (cpu.multiprocessor) return Atomics.exchange(i32, word, 0)
  const bits = i32[word] as number
  i32[word] = 0
  return bits
}

const lowestBit = (bits: number): number => 31 - Math.clz32(bits & -bits)

/** What this processor knows of an interrupt object: its routine and the views that it is called with. */
interface Served {
  id: number
  routine: Routine
  interrupt: KINTERRUPT
  context: Pvoid
}
/** By address, as far as places differ. */
const served: (Served | undefined)[] = Array.from({ length: 256 }, () => undefined)
const placeOf = (interrupt: number): number => (interrupt >> 4) & 255

/** Forgets what was known of interrupt objects: another machine begins. */
export function forgetInterrupts(): void {
  served.fill(undefined)
}

export function servedOf(interrupt: number): Served {
  const known = served[placeOf(interrupt)]
  return known !== undefined && known.id === read32(interrupt + K.Id) ? known : servedAnew(interrupt)
}

function servedAnew(interrupt: number): Served {
  const id = read32(interrupt + K.Id)
  const fresh = {
    id,
    routine: routineOf(read32(interrupt + K.ServiceRoutine)),
    interrupt: new KINTERRUPT(interrupt),
    context: pvoidOf(readU32(interrupt + K.ServiceContext), readU32(interrupt + K.ServiceContext + 4)),
  }
  served[placeOf(interrupt)] = fresh
  return fresh
}

function dispatchVector(vector: number, level: number): void {
  const entry = entryOf(vector)
  acquireWord(entry + Vector.Lock)
  add32(cpu.pcr + Pcr.Interrupts, 1)
  add32(entry + Vector.Dispatches, 1)
  if (read32(entry + Vector.Passive) === 0) serveVector(entry, vector, level)
  // Under the lock: a disconnect on another processor ends the service, which is freed.
  else wakePassiveService(read32(entry + Vector.Passive))
  releaseWord(entry + Vector.Lock)
}
const TRACE_INTERRUPT = 1
const TRACE_ISR = 2

function serveVector(entry: number, vector: number, level: number): void {
  const head = entry + Vector.Chain
  const first = read32(head)
  let isClaimed = false
  if (first !== 0 && first !== head) {
    if (ports.trace !== null) ports.trace.event(TRACE_INTERRUPT, vector, 0)
    // One object alone takes the frame under the lock that its ISR needs anyway.
    isClaimed = read32(first) === head ? serveAlone(first - K.ListEntry, entry) : serveChain(head, entry)
    write32(cpu.pcr + Pcr.Irql, level)
  }
  if (read32(entry + Vector.Lines) !== 0) endInterrupt(entry, isClaimed)
  countClaim(entry, vector, isClaimed)
}

function serveAlone(interrupt: number, entry: number): boolean {
  const lock = read32(interrupt + K.ActualLock)
  write32(cpu.pcr + Pcr.Irql, read8(interrupt + K.SynchronizeIrql))
  acquireLock(lock)
  if (read32(entry + Vector.Lines) !== 0) takeFrames(entry)
  const isClaimed = read8(interrupt + K.IsActive) !== 0 && callService(interrupt)
  releaseLock(lock)
  return isClaimed
}

/** Several objects: the frames are taken with all their locks held, then each ISR runs under its own. */
function serveChain(head: number, entry: number): boolean {
  takeFramesUnderAllLocks(head, entry)
  let isClaimed = false
  for (;;) {
    let isPassClaimed = false
    for (let link = read32(head); link !== head; link = read32(link)) {
      const interrupt = link - K.ListEntry
      if (!serveOne(interrupt)) continue
      isPassClaimed = true
      if (read8(interrupt + K.Mode) === LevelSensitive) return true // a line still asserted interrupts again
    }
    // Latched: an edge of another device may have come meanwhile, so until a whole pass claims nothing.
    if (!isPassClaimed) return isClaimed
    isClaimed = true
    if (read8(read32(head) - K.ListEntry + K.Mode) === LevelSensitive) return true
  }
}

function serveOne(interrupt: number): boolean {
  if (read8(interrupt + K.IsActive) === 0) return false
  const lock = read32(interrupt + K.ActualLock)
  write32(cpu.pcr + Pcr.Irql, read8(interrupt + K.SynchronizeIrql))
  acquireLock(lock)
  const isClaimed = callService(interrupt)
  releaseLock(lock)
  return isClaimed
}

function takeFramesUnderAllLocks(head: number, entry: number): void {
  const locks = new Set<number>()
  let irql = 0
  for (let link = read32(head); link !== head; link = read32(link)) {
    const interrupt = link - K.ListEntry
    locks.add(read32(interrupt + K.ActualLock))
    irql = Math.max(irql, read8(interrupt + K.SynchronizeIrql))
  }
  // By address, so that two processors that take several of them never wait for each other.
  const ordered = [...locks].sort((left, right) => left - right)
  write32(cpu.pcr + Pcr.Irql, irql)
  for (const lock of ordered) acquireLock(lock)
  takeFrames(entry)
  for (const lock of ordered.reverse()) releaseLock(lock)
}

/** Copies the frames that wait in the vector's lines into their windows. */
export function takeFrames(entry: number): void {
  for (let line = read32(entry + Vector.Lines); line !== 0; line = read32(line + Line.Next)) {
    if (atomicLoad(line + Line.State) !== LineState.FrameWaits) continue
    const window = read32(line + Line.Window)
    const count = read32(line + Line.SnapshotCount)
    for (let index = 0; index < count; index++) {
      const pair = line + Line.Snapshot + index * 8
      write32(window + read32(pair), read32(pair + 4))
    }
    write32(line + Line.Taken, read32(line + Line.Taken) + 1)
    const stamp = readF64(line + Line.Stamp)
    if (stamp !== 0) writeF64(line + Line.Latency, ports.clock.now() - stamp)
    atomicStore(line + Line.State, LineState.Taken)
  }
}

function callService(interrupt: number): boolean {
  const { routine, interrupt: view, context } = servedOf(interrupt)
  const irql = read32(cpu.pcr + Pcr.Irql)
  add32(interrupt + K.DispatchCount, 1)
  let claim: unknown
  try {
    claim = routine(view, context)
  } catch (error) {
    escapedException(error, `ISR ${routine.name}`)
  }
  if (typeof claim === 'object') asyncAtDirql(interrupt, 'ISR', routine)
  if (read32(cpu.pcr + Pcr.Irql) !== irql) changedIrql(routine, interrupt, irql)
  const isClaimed = Boolean(claim)
  if (isClaimed) add32(interrupt + K.ClaimCount, 1)
  if (ports.trace !== null) ports.trace.event(TRACE_ISR, interrupt, isClaimed ? 1 : 0)
  return isClaimed
}

function changedIrql(routine: Routine, interrupt: number, expected: number): never {
  const irql = read32(cpu.pcr + Pcr.Irql)
  return bugCheck({
    code: BugCode.IRQL_UNEXPECTED_VALUE,
    parameters: [(irql << 16) | (expected << 8) | 3, read32(interrupt + K.ServiceRoutine), interrupt],
    message: `ISR ${routine.name} returned at IRQL ${irql}; it was called at IRQL ${expected} and must return there`,
  })
}

/** EOI goes behind the register writes that the ISRs posted: the ring keeps the order. */
export function endInterrupt(entry: number, isClaimed: boolean): void {
  for (let line = read32(entry + Vector.Lines); line !== 0; line = read32(line + Line.Next)) {
    const state = atomicLoad(line + Line.State)
    if (state === LineState.FrameWaits && !isConnected(entry)) takeFrames(entry)
    else if (state !== LineState.Taken) continue
    const counter = line + (isClaimed ? Line.Claims : Line.Spurious)
    write32(counter, read32(counter) + 1)
    atomicStore(line + Line.State, LineState.Idle)
    post(read32(line + Line.Ring), Post.EndOfInterrupt, read32(line + Line.Number), read32(line + Line.Sequence), 0)
  }
}

export function isConnected(entry: number): boolean {
  const head = entry + Vector.Chain
  const first = read32(head)
  return first !== 0 && first !== head
}

/** A vector that nobody claims again and again is masked, and says so. */
export function countClaim(entry: number, vector: number, isClaimed: boolean): void {
  if (isClaimed) write32(entry + Vector.Unclaimed, 0)
  else countUnclaimed(entry, vector)
}

function countUnclaimed(entry: number, vector: number): void {
  const count = read32(entry + Vector.Unclaimed) + 1
  write32(entry + Vector.Unclaimed, count)
  if (count !== STORM || read32(entry + Vector.IsMasked) !== 0) return
  write32(entry + Vector.IsMasked, 1)
  forEachLine(entry, (line) => post(read32(line + Line.Ring), Post.DisableLine, read32(line + Line.Number), 0, 0))
  ports.processor.print(
    `interrupt vector 0x${vector.toString(16)} was masked: no ISR claimed ${STORM} interrupts in a row; the ISR must return true for its own device's interrupts\n`,
  )
}

function forEachLine(entry: number, visit: (line: number) => void): void {
  for (let line = read32(entry + Vector.Lines); line !== 0; line = read32(line + Line.Next)) visit(line)
}

/** Puts a line of a board on its vector. @irql PASSIVE_LEVEL */
export function attachLine(line: number): void {
  const entry = entryOf(read32(line + Line.Vector))
  withVector(entry, () => {
    write32(line + Line.Next, read32(entry + Vector.Lines))
    write32(entry + Vector.Lines, line)
    if (isConnected(entry)) enableLine(line)
  })
}

/** Takes a line off its vector. @irql PASSIVE_LEVEL */
export function detachLine(line: number): void {
  const entry = entryOf(read32(line + Line.Vector))
  withVector(entry, () => {
    let link = entry + Vector.Lines
    while (read32(link) !== 0 && read32(link) !== line) link = read32(link) + Line.Next
    if (read32(link) === line) write32(link, read32(line + Line.Next))
  })
}

const enableLine = (line: number): void =>
  post(read32(line + Line.Ring), Post.EnableLine, read32(line + Line.Number), 0, 0)
const disableLine = (line: number): void =>
  post(read32(line + Line.Ring), Post.DisableLine, read32(line + Line.Number), 0, 0)

/** Runs `body` while nobody walks the vector's chain. */
export function withVector(entry: number, body: () => void): void {
  withVectors([entry], body)
}

/** The same for several. In the order of their levels, as a processor takes them that nests one interrupt in another. */
function withVectors(entries: readonly number[], body: () => void): void {
  const before = raiseIrql(HIGH_LEVEL)
  for (const entry of entries) acquireWord(entry + Vector.Lock)
  body()
  for (const entry of entries) releaseWord(entry + Vector.Lock)
  lowerIrql(before)
}

/** An interrupt object that is to be connected. A passive-level one brings a service, which serves its vector if it is the first. */
export interface Joining {
  readonly interrupt: number
  readonly service: number
}

const entryOfInterrupt = ({ interrupt }: Joining): number => entryOf(read32(interrupt + K.Vector))

/**
 * Puts interrupt objects of different vectors at the ends of their chains, all or none; the first of a chain enables
 * the vector's lines.
 */
export function connectInterrupts(set: readonly Joining[]): boolean {
  let fits = false
  const entries = set.map(entryOfInterrupt).sort((left, right) => left - right)
  withVectors(entries, () => {
    fits = set.every(fitsChain)
    if (fits) set.forEach(join)
  })
  return fits
}

/** Whether the chain takes the object: it is empty, or all share the vector, are of one mode, and served at one level. */
function fitsChain(joining: Joining): boolean {
  const entry = entryOfInterrupt(joining)
  if (!isConnected(entry)) return true
  const { interrupt, service } = joining
  const other = read32(entry + Vector.Chain) - K.ListEntry
  const isShared = read8(interrupt + K.ShareVector) !== 0 && read8(other + K.ShareVector) !== 0
  const isPassive = read32(entry + Vector.Passive) !== 0
  return isShared && read8(other + K.Mode) === read8(interrupt + K.Mode) && isPassive === (service !== 0)
}

function join(joining: Joining): void {
  const { interrupt, service } = joining
  const entry = entryOfInterrupt(joining)
  const isFirst = !isConnected(entry)
  if (isFirst) {
    initializeList(entry + Vector.Chain)
    write32(entry + Vector.Passive, service)
    write32(entry + Vector.Processor, read32(interrupt + K.Processor))
    write32(entry + Vector.IsMasked, 0)
    write32(entry + Vector.Unclaimed, 0)
  }
  insertTail(entry + Vector.Chain, interrupt + K.ListEntry)
  write8(interrupt + K.Connected, 1)
  if (isFirst) forEachLine(entry, enableLine)
}

/** Takes an interrupt object out of its chain. When it returns, its ISR does not run and will not be called. */
export function disconnectInterrupt(interrupt: number): void {
  if (read8(interrupt + K.Connected) === 0) return
  const entry = entryOf(read32(interrupt + K.Vector))
  withVector(entry, () => {
    removeEntry(interrupt + K.ListEntry)
    write8(interrupt + K.Connected, 0)
    if (!isEmpty(entry + Vector.Chain)) return
    forEachLine(entry, disableLine)
    write32(entry + Vector.Passive, 0)
  })
}

/**
 * The board's clock, in microseconds, when it sent the newest frame of the interrupt's line: for an ISR the frame that
 * it is called for. Wraps; 0 when there was none.
 *
 * @irql any
 */
export function boardTime(Interrupt: KINTERRUPT): number {
  point()
  const line = read32(entryOf(read32(Interrupt.address + K.Vector)) + Vector.Lines)
  return line === 0 ? 0 : readU32(line + Line.BoardTime)
}

/** Has the ISR called, or not. The lines are off while no object of the chain is active. */
export function setInterruptActive(interrupt: number, isActive: boolean): void {
  const entry = entryOf(read32(interrupt + K.Vector))
  withVector(entry, () => {
    const wasAnyActive = isAnyActive(entry)
    write8(interrupt + K.IsActive, isActive ? 1 : 0)
    const isAnyActiveNow = isAnyActive(entry)
    if (isAnyActiveNow === wasAnyActive) return
    if (isAnyActiveNow) write32(entry + Vector.Unclaimed, 0)
    forEachLine(entry, isAnyActiveNow ? enableLine : disableLine)
  })
}

function isAnyActive(entry: number): boolean {
  const head = entry + Vector.Chain
  for (let link = read32(head); link !== head; link = read32(link)) {
    if (read8(link - K.ListEntry + K.IsActive) !== 0) return true
  }
  return false
}

/** Whether `service` is the one whose thread runs the ISRs of `vector`. */
export const isServedBy = (vector: number, service: number): boolean =>
  read32(entryOf(vector) + Vector.Passive) === service

/** The processor that dispatches `vector`. */
export const processorOf = (vector: number): number => read32(entryOf(vector) + Vector.Processor)

/**
 * Runs `SynchronizeRoutine` as if it were part of the ISR: at SynchronizeIrql, with the interrupt spin lock held.
 *
 * For a passive-level interrupt the routine is `async` and runs at PASSIVE_LEVEL, while the interrupt's event is
 * held instead of a lock: `await` the call.
 *
 * @irql <= DIRQL; not above the interrupt's SynchronizeIrql
 * @returns the byte that the routine returned, unchanged (2 stays 2; a boolean becomes 1 or 0; decision 0112)
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kesynchronizeexecution
 */
export function KeSynchronizeExecution<F extends KSYNCHRONIZE_ROUTINE>(
  Interrupt: KINTERRUPT,
  SynchronizeRoutine: F & Synchronous<F>,
  SynchronizeContext: Pvoid,
): number
export function KeSynchronizeExecution(
  Interrupt: KINTERRUPT,
  SynchronizeRoutine: PASSIVE_SYNCHRONIZE_ROUTINE,
  SynchronizeContext: Pvoid,
): Promise<number>
export function KeSynchronizeExecution(
  Interrupt: KINTERRUPT,
  SynchronizeRoutine: KSYNCHRONIZE_ROUTINE | PASSIVE_SYNCHRONIZE_ROUTINE,
  SynchronizeContext: Pvoid,
): number | Promise<number> {
  point()
  const interrupt = Interrupt.address
  if (read8(interrupt + K.IsPassive) !== 0) {
    return synchronizePassively(interrupt, SynchronizeRoutine as Routine, SynchronizeContext)
  }
  const before = raiseToSynchronize(interrupt, 'KeSynchronizeExecution')
  const lock = read32(interrupt + K.ActualLock)
  acquireLock(lock)
  const result = callSynchronized(SynchronizeRoutine as Routine, SynchronizeContext)
  if (typeof result === 'object') asyncAtDirql(interrupt, 'SynchCritSection routine', SynchronizeRoutine as Routine)
  releaseLock(lock)
  lowerIrql(before)
  return Number(result) & 0xff
}

function callSynchronized(routine: Routine, context: Pvoid): unknown {
  try {
    return routine(context)
  } catch (error) {
    return escapedException(error, `SynchCritSection routine ${routine.name}`)
  }
}

function asyncAtDirql(interrupt: number, kind: string, routine: Routine): never {
  return bugCheck({
    code: BugCode.DRIVER_VIOLATION,
    parameters: [0x13, interrupt],
    message: `${kind} ${routine.name} is async, and the interrupt is not a passive-level one; nothing can wait with its spin lock held, so take the async away`,
  })
}

function raiseToSynchronize(interrupt: number, routine: string): KIRQL {
  const irql = read8(interrupt + K.SynchronizeIrql)
  if (cpu.checked && currentIrql() > irql) aboveSynchronize(interrupt, irql, routine)
  return raiseIrql(irql)
}

function aboveSynchronize(interrupt: number, irql: number, routine: string): never {
  return bugCheck({
    code: BugCode.IRQL_NOT_LESS_OR_EQUAL,
    parameters: [interrupt, currentIrql(), 0, irql],
    message: `${routine} was called at ${levelName(currentIrql())}, above the interrupt's SynchronizeIrql ${irql}`,
  })
}

/**
 * Raises to the interrupt's SynchronizeIrql and takes its spin lock.
 *
 * @irql <= DIRQL
 * @returns the level before, for KeReleaseInterruptSpinLock
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-keacquireinterruptspinlock
 */
export function KeAcquireInterruptSpinLock(Interrupt: KINTERRUPT): KIRQL {
  point()
  const interrupt = Interrupt.address
  if (read8(interrupt + K.IsPassive) !== 0) passiveHasNoLock(interrupt, 'KeAcquireInterruptSpinLock')
  const before = raiseToSynchronize(interrupt, 'KeAcquireInterruptSpinLock')
  acquireLock(read32(interrupt + K.ActualLock))
  return before
}

function passiveHasNoLock(interrupt: number, routine: string): never {
  return bugCheck({
    code: BugCode.DRIVER_VIOLATION,
    parameters: [5, interrupt],
    message: `${routine} was called for a passive-level interrupt, which has no spin lock; use KeSynchronizeExecution`,
  })
}

/**
 * Gives the interrupt's spin lock back and goes to `OldIrql`.
 *
 * @irql DIRQL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kereleaseinterruptspinlock
 */
export function KeReleaseInterruptSpinLock(Interrupt: KINTERRUPT, OldIrql: KIRQL): void {
  point()
  if (read8(Interrupt.address + K.IsPassive) !== 0) passiveHasNoLock(Interrupt.address, 'KeReleaseInterruptSpinLock')
  releaseLock(read32(Interrupt.address + K.ActualLock))
  lowerIrql(OldIrql)
}
