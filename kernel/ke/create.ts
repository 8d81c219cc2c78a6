/** A machine begins: its memory is laid out once, then each processor's thread attaches to it. */
import { read32, write32, write64, writeF64 } from '../mm/access.ts'
import { mem, type Memory, useMemory } from '../mm/memory.ts'
import { allocate, attachPool, initializePool, poolFault, poolLocks } from '../mm/pool.ts'

import { corruption, initializeList } from '../rtl/list.ts'
import { literals } from '../rtl/string.ts'
import { BugCode } from './bugcodes.ts'
import { bugCheck, stopped } from './bugcheck.ts'
import { plugBugCheckCallbacks } from './callback.ts'
import { plugDelivery } from './deliver.ts'
import { raiseStatus } from './exception.ts'
import { forgetImages, plugImages } from './image.ts'
import { createVectors, forgetInterrupts } from './interrupt.ts'
import { currentIrql } from './level.ts'
import { cpu, Machine, MACHINE, MACHINE_SIZE, MachineFlag, Pcr, PCR_SIZE, pcrOf, Pending, Root } from './pcr.ts'
import { leaveIfFrozen } from './spin.ts'
import { createIdleThread } from './start.ts'
import { forgetCurrent, threadRecords } from './thread.ts'

export interface KernelOptions {
  processors: number
  checked: boolean
  isVirtual: boolean
  localRoutines: boolean
  /** System time at interrupt time 0: 100 ns units since 1601-01-01. */
  bootSystemTime: bigint
}

/** Lays out zeroed memory. Once a machine, on processor 0, after `attachProcessor`. */
export function createKernel(options: KernelOptions): void {
  const { processors } = options
  write32(Machine.ProcessorCount, processors)
  write32(Machine.Flags, flagsOf(options))
  writeF64(Machine.NextDue, Number.POSITIVE_INFINITY)
  writeF64(Machine.NextOutsideEvent, Number.POSITIVE_INFINITY)
  write64(Machine.BootSystemTime, options.bootSystemTime)
  initializeList(Machine.BugCheckCallbacks)
  initializeList(Root.PsActiveThreads)
  const start = pcrOf(processors)
  write32(Machine.PoolStart, start)
  initializePool({ start, end: mem.u8.length, processors })
  for (let processor = 0; processor < processors; processor++) createProcessor(pcrOf(processor), options.isVirtual)
  createVectors()
}

function flagsOf({ processors, checked, isVirtual, localRoutines }: KernelOptions): number {
  return (
    (checked ? MachineFlag.Checked : 0) |
    (processors > 1 ? MachineFlag.Multiprocessor : 0) |
    (isVirtual ? MachineFlag.Virtual : 0) |
    (localRoutines ? MachineFlag.LocalRoutines : 0)
  )
}

function createProcessor(pcr: number, isVirtual: boolean): void {
  initializeList(pcr + Pcr.DpcQueue)
  for (let priority = 0; priority < 32; priority++) initializeList(pcr + Pcr.ReadyLists + priority * 8)
  write32(pcr + Pcr.Pending, isVirtual ? Pending.Lockstep : 0)
}

/** Makes this thread processor `number` of the machine in `memory`. */
export function attachProcessor(memory: Memory, number: number, options: KernelOptions): void {
  useMemory(memory)
  Object.assign(cpu, {
    isProcessor: true,
    number,
    count: options.processors,
    pcr: pcrOf(number),
    word: pcrOf(number) >> 2,
    multiprocessor: Number(options.processors > 1),
    checked: Number(options.checked),
    lockstep: Number(options.isVirtual),
    localRoutines: options.localRoutines,
    apcLevelThreads: 0,
    points: 0,
  })
  stopped.error = null
  threadRecords.clear()
  forgetCurrent()
  forgetImages()
  forgetInterrupts()
  interned.clear()
  plugImages()
  plugDelivery()
  plugBugCheckCallbacks()
  plugPool()
  literals.address = literalAddress
  corruption.list = corruptList
}

/** What a processor needs of a machine that is laid out. */
export function startProcessor(): void {
  if (cpu.number !== 0) attachPool(read32(Machine.PoolStart))
  createIdleThread()
}

function plugPool(): void {
  poolLocks.multiprocessor = cpu.multiprocessor === 1
  poolLocks.whileWaiting = leaveIfFrozen
  poolFault.irql = currentIrql
  poolFault.raise = raiseStatus
  poolFault.shouldFail = null
  poolFault.bugCheck = (code, ...parameters) =>
    bugCheck({ code, parameters, message: poolMessage(code, parameters[0] ?? 0) })
}

const BAD_POOL_CALLER_RULES: Record<number, string> = {
  0x0: 'zero bytes of pool were asked for',
  0x7: 'pool was freed that is free already',
  0x8: 'pool was allocated at too high an IRQL: paged pool needs APC_LEVEL or below, nonpaged DISPATCH_LEVEL',
  0x9: 'pool was freed at too high an IRQL: paged pool needs APC_LEVEL or below, nonpaged DISPATCH_LEVEL',
  0xa: 'pool was freed with another tag than it was allocated with',
  0x46: 'an address was freed that is no pool block',
  0x9b: 'pool was allocated with tag 0',
}

function poolMessage(code: number, rule: number): string {
  if (code !== BugCode.BAD_POOL_CALLER) return 'a pool header was written over: some block was overrun'
  return BAD_POOL_CALLER_RULES[rule] ?? 'the pool was called with what it cannot take'
}

function corruptList(entry: number): never {
  return bugCheck({
    code: BugCode.KERNEL_SECURITY_CHECK_FAILURE,
    parameters: [3, entry],
    message: 'a LIST_ENTRY is corrupted: an entry was removed twice, inserted twice, or its memory was reused',
  })
}

/** String literals of drivers, as static data would be: one copy a processor, for the machine's life. */
const interned = new Map<string, number>()

function literalAddress(text: string): number {
  const known = interned.get(text)
  if (known !== undefined) return known
  const address = allocate((text.length + 1) * 2, 'Lit ', 0)
  for (let index = 0; index < text.length; index++) mem.u16[(address >> 1) + index] = text.charCodeAt(index)
  interned.set(text, address)
  return address
}

/** The bytes that a machine needs besides its pool. */
export const FIXED_BYTES = MACHINE + MACHINE_SIZE + 64 * PCR_SIZE
