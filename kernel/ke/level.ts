/**
 * IRQL, and the points at which a processor takes interrupts.
 *
 * Levels 0 and 1 belong to the thread, 2 and above to the processor (a word of its KPCR). JavaScript cannot be
 * stopped between two instructions: a processor takes interrupts where it calls `point`, that is in every kernel
 * call, and where it lowers its IRQL.
 */
import * as access from '../mm/access.ts'
import * as memory from '../mm/memory.ts'
import * as plugged from '../ports/ports.ts'
import type { Out } from '../rtl/ref.ts'
import { BugCode } from './bugcodes.ts'
import { bugCheck, throwStopped } from './bugcheck.ts'
import * as kpcr from './pcr.ts'
import { setThreadIrql, threadIrql } from './thread.ts'

export type { Out } from '../rtl/ref.ts'

// Looked up once: an imported name is looked up at each use (decision 0041).
const { read32, write32 } = access
const { mem } = memory
const { ports } = plugged
const { clearPending, cpu, levelBit, Pcr, Pending } = kpcr

export type KIRQL = number

export const PASSIVE_LEVEL = 0
export const LOW_LEVEL = 0
export const APC_LEVEL = 1
export const DISPATCH_LEVEL = 2
export const CMCI_LEVEL = 5
export const SYNCH_LEVEL = 12
export const CLOCK_LEVEL = 13
export const IPI_LEVEL = 14
export const DRS_LEVEL = 14
export const POWER_LEVEL = 14
export const PROFILE_LEVEL = 15
export const HIGH_LEVEL = 15

const LEVEL_NAMES = ['PASSIVE_LEVEL', 'APC_LEVEL', 'DISPATCH_LEVEL']
export const levelName = (irql: number): string => LEVEL_NAMES[irql] ?? `IRQL ${irql}`

/** Plugged by `deliver.ts`: takes what has become deliverable, and looks for a forgotten `await`. */
export const delivery: { deliver: () => void; checkSuspended: () => void } = {
  deliver: () => {},
  checkSuspended: () => {},
}

// The words that every kernel call touches, counted from `cpu.word`. What is written in terms of them is short enough
// for V8 to put it into its callers, and those into theirs.
const IRQL = Pcr.Irql >> 2
const PENDING = Pcr.Pending >> 2

export function currentIrql(): KIRQL {
  const level = mem.i32[cpu.word + IRQL] as number
  return level >= DISPATCH_LEVEL ? level : threadIrql()
}

/** An interruption point: every kernel call begins with one. */
export function point(): void {
  cpu.points -= 1
  if (cpu.points < 0 || mem.i32[cpu.word + PENDING] !== 0) attend()
}

/** A thread that never waits still looks at the clock now and then: once in so many points. */
const POINTS_PER_LOOK = 1024

/** Looks at what is pending: a stop, a hand-over, a forgotten `await`, interrupts, DPCs. */
export function attend(): void {
  if (cpu.points < 0) {
    cpu.points = POINTS_PER_LOOK
    ports.clock.poll()
  }
  if ((read32(cpu.pcr + Pcr.Pending) & FOR_THE_CODE) !== 0) attendCode()
  if (deliverable() !== 0) delivery.deliver()
}

/** Pending bits that are no interrupts: something is wanted of the code that runs. */
const FOR_THE_CODE = Pending.Freeze | Pending.Lockstep | Pending.Suspend | Pending.Beat

function attendCode(): void {
  const pending = read32(cpu.pcr + Pcr.Pending)
  if ((pending & Pending.Beat) !== 0) beat()
  if ((pending & Pending.Freeze) !== 0) throwStopped()
  if ((pending & Pending.Lockstep) !== 0) ports.processor.step(1)
  if ((pending & Pending.Suspend) !== 0) delivery.checkSuspended()
}

/** The pending bits that are taken at each IRQL: device interrupts above it, and DPCs below DISPATCH_LEVEL. */
const TAKEN_AT = Int32Array.from({ length: HIGH_LEVEL + 1 }, (_, irql) => {
  const levels = Array.from({ length: HIGH_LEVEL + 1 }, (__, level) => level)
  const above = levels.filter((level) => level > Math.max(irql, DISPATCH_LEVEL))
  return above.reduce((bits, level) => bits | levelBit(level), irql < DISPATCH_LEVEL ? Pending.Dpc : 0)
})

/** What is pending that the processor takes at its IRQL, as bits. */
export const deliverable = (): number =>
  (mem.i32[cpu.word + PENDING] as number) & (TAKEN_AT[mem.i32[cpu.word + IRQL] as number] as number)

/** The processor lives: whoever watches it sees the count change. */
function beat(): void {
  clearPending(Pending.Beat)
  write32(cpu.pcr + Pcr.Heartbeat, read32(cpu.pcr + Pcr.Heartbeat) + 1)
}

/** Raises to `newIrql` and gives back the level before. Never delivers. */
export function raiseIrql(newIrql: KIRQL): KIRQL {
  const { i32 } = mem
  const word = cpu.word + IRQL
  const level = i32[word] as number
  const before = level >= DISPATCH_LEVEL || cpu.apcLevelThreads === 0 ? level : threadIrql()
  if (newIrql >= DISPATCH_LEVEL || level >= DISPATCH_LEVEL) i32[word] = newIrql
  else setThreadIrql(newIrql)
  return before
}

/** Goes back to `newIrql` and delivers what has become deliverable. */
export function lowerIrql(newIrql: KIRQL): void {
  const { i32 } = mem
  const { word } = cpu
  i32[word + IRQL] = newIrql >= DISPATCH_LEVEL ? newIrql : 0
  if (newIrql < DISPATCH_LEVEL && (newIrql !== PASSIVE_LEVEL || cpu.apcLevelThreads !== 0)) setThreadIrql(newIrql)
  if (i32[word + PENDING] !== 0) attend()
}

/** Bug checks when the caller runs above `highest` (checked build). */
export function assertIrqlAtMost(highest: KIRQL, routine: string): void {
  if (highest !== PASSIVE_LEVEL || cpu.apcLevelThreads === 0) {
    if ((mem.i32[cpu.word + IRQL] as number) > highest) isTooHigh(highest, routine)
  } else if (currentIrql() !== PASSIVE_LEVEL) isTooHigh(highest, routine)
}

function isTooHigh(highest: KIRQL, routine: string): void {
  if (cpu.checked) wrongIrql(BugCode.IRQL_NOT_LESS_OR_EQUAL, highest, routine, `${levelName(highest)} at most`)
}

/** Bug checks when the caller runs below `lowest` (checked build). */
export function assertIrqlAtLeast(lowest: KIRQL, routine: string): void {
  if ((mem.i32[cpu.word + IRQL] as number) < lowest) isTooLow(lowest, routine)
}

function isTooLow(lowest: KIRQL, routine: string): void {
  if (!cpu.checked || currentIrql() >= lowest) return
  const code = lowest === DISPATCH_LEVEL ? BugCode.IRQL_NOT_DISPATCH_LEVEL : BugCode.IRQL_NOT_GREATER_OR_EQUAL
  wrongIrql(code, lowest, routine, `${levelName(lowest)} at least`)
}

function wrongIrql(code: number, expected: number, routine: string, limit: string): never {
  const irql = currentIrql()
  return bugCheck({
    code,
    parameters: [0, irql, 0, expected],
    message: `${routine} may be called at ${limit}, and was called at ${levelName(irql)}`,
  })
}

/** The beginning of a kernel call that is legal at DISPATCH_LEVEL and below, and raises to it: gives back the level before. */
export function enterDispatch(routine: string): KIRQL {
  point()
  const { i32 } = mem
  const word = cpu.word + IRQL
  const level = i32[word] as number
  if (level > DISPATCH_LEVEL) isTooHigh(DISPATCH_LEVEL, routine)
  i32[word] = DISPATCH_LEVEL
  return level !== 0 || cpu.apcLevelThreads === 0 ? level : threadIrql()
}

/** The beginning of a kernel call that is legal at `highest` and below. */
export function enter(highest: KIRQL, routine: string): void {
  point()
  assertIrqlAtMost(highest, routine)
}

/**
 * The level that this processor, or the thread that runs on it, is at.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kegetcurrentirql
 */
export function KeGetCurrentIrql(): KIRQL {
  point()
  return currentIrql()
}

/**
 * Raises the IRQL to `NewIrql`, which must not be below the current one.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-keraiseirql
 */
export function KeRaiseIrql(NewIrql: KIRQL, OldIrql: Out<KIRQL>): void {
  point()
  const before = currentIrql()
  if (NewIrql < before && cpu.checked) wrongRaise(before, NewIrql)
  OldIrql.value = before
  if (NewIrql < before) lowerIrql(NewIrql)
  else raiseIrql(NewIrql)
}

function wrongRaise(current: KIRQL, requested: KIRQL): never {
  return bugCheck({
    code: BugCode.IRQL_NOT_GREATER_OR_EQUAL,
    parameters: [current, requested],
    message: `KeRaiseIrql was asked to go from ${levelName(current)} down to ${levelName(requested)}; use KeLowerIrql`,
  })
}

/**
 * Goes back to the level that the matching raise returned, and takes what has become deliverable.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kelowerirql
 */
export function KeLowerIrql(NewIrql: KIRQL): void {
  point()
  const before = currentIrql()
  if (NewIrql > before) {
    if (cpu.checked) wrongLower(before, NewIrql)
    raiseIrql(NewIrql)
    return
  }
  lowerIrql(NewIrql)
}

function wrongLower(current: KIRQL, requested: KIRQL): never {
  return bugCheck({
    code: BugCode.IRQL_NOT_LESS_OR_EQUAL,
    parameters: [0, current, 0, requested],
    message: `KeLowerIrql was asked to go from ${levelName(current)} up to ${levelName(requested)}; use KeRaiseIrql`,
  })
}

/**
 * Raises to DISPATCH_LEVEL and returns the level before.
 *
 * @irql <= DISPATCH_LEVEL
 * @returns the level before
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-keraiseirqltodpclevel
 */
export function KeRaiseIrqlToDpcLevel(): KIRQL {
  enter(DISPATCH_LEVEL, 'KeRaiseIrqlToDpcLevel')
  return raiseIrql(DISPATCH_LEVEL)
}

/**
 * Raises to SYNCH_LEVEL and returns the level before.
 *
 * @irql <= SYNCH_LEVEL
 * @returns the level before
 * @see https://learn.microsoft.com/windows-hardware/drivers/kernel/managing-hardware-priorities
 */
export function KeRaiseIrqlToSynchLevel(): KIRQL {
  enter(SYNCH_LEVEL, 'KeRaiseIrqlToSynchLevel')
  return raiseIrql(SYNCH_LEVEL)
}
