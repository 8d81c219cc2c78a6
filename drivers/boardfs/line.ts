/**
 * An interrupt line as boardfs hears it: one of several on its chain. The ISR compares the registers that the line's
 * frames carry with what they were, and a work item tells of the files that are made of them.
 */
import {
  array,
  containing,
  ExAllocatePool2,
  ExFreePool,
  InsertTailList,
  IoConnectInterrupt,
  IoDisconnectInterrupt,
  KDPC,
  KeAcquireInterruptSpinLock,
  KeInsertQueueDpc,
  KeReleaseInterruptSpinLock,
  KeSynchronizeExecution,
  KINTERRUPT,
  Latched,
  LIST_ENTRY,
  type NTSTATUS,
  pointer,
  POOL_FLAG_NON_PAGED,
  READ_REGISTER_ULONG,
  ref,
  RemoveEntryList,
  struct,
  UCHAR,
  ULONG,
  USHORT,
  type View,
} from 'dirql/wdm'
import type { InterruptResource } from '../lib/pnp.ts'
import type { LinePlan } from './plan.ts'

/** What every register reads when the board was pulled out. */
const GONE = 0xffffffff
/** Registers that a frame carries at most. */
const MOST_REGISTERS = 32

export const LINE = struct('BOARDFS_LINE', {
  // Guarded by the interrupt spin lock.
  Values: array(ULONG, MOST_REGISTERS), // as the newest frame told them
  Changed: array(ULONG, MOST_REGISTERS), // bits that changed and were not taken yet

  // Set before the interrupt is connected.
  Entry: LIST_ENTRY, // in BOARD.Lines
  Number: ULONG,
  Window: ULONG,
  Registers: ULONG, // address of the window
  Count: ULONG,
  Offsets: array(USHORT, MOST_REGISTERS),
  IsCount: array(UCHAR, MOST_REGISTERS),
  Dpc: pointer(KDPC), // the board's
  Interrupt: pointer(KINTERRUPT), // null: the line is not shared, its files tell no changes

  Taken: array(ULONG, MOST_REGISTERS), // belongs to the work item
})
export interface LINE extends View<typeof LINE> {}

/** Makes a line and hangs it into `lines`; null without memory. */
export function createLine(lines: LIST_ENTRY, number: number, plan: LinePlan, registers: number): LINE | null {
  const line = LINE.at(ExAllocatePool2(POOL_FLAG_NON_PAGED, LINE.size, 'BfLn'))
  if (line === null) return null
  line.Number = number
  line.Window = plan.window
  line.Registers = registers
  line.Count = Math.min(plan.registers.length, MOST_REGISTERS)
  for (const [index, { offset, isCount }] of plan.registers.slice(0, MOST_REGISTERS).entries()) {
    line.Offsets[index] = offset
    line.IsCount[index] = isCount ? 1 : 0
    line.Values[index] = READ_REGISTER_ULONG(registers + offset)
  }
  InsertTailList(lines, line.Entry)
  return line
}

export function connectLine(line: LINE, dpc: KDPC, { vector, level, affinity }: InterruptResource): NTSTATUS {
  line.Dpc = dpc
  return IoConnectInterrupt({
    InterruptObject: ref(line, 'Interrupt'),
    ServiceRoutine: lineIsr,
    ServiceContext: line,
    SpinLock: null,
    Vector: vector,
    Irql: level,
    SynchronizeIrql: level,
    InterruptMode: Latched,
    ShareVector: true,
    ProcessorEnableMask: affinity,
    FloatingSave: false,
  })
}

/** Nobody uses it any more. */
export async function disconnectLine(line: LINE): Promise<void> {
  if (line.Interrupt !== null) await IoDisconnectInterrupt(line.Interrupt)
  line.Interrupt = null
}

export function freeLine(line: LINE): void {
  RemoveEntryList(line.Entry)
  ExFreePool(line)
}

export function linesOf(head: LIST_ENTRY): LINE[] {
  const lines: LINE[] = []
  for (let entry = head.Flink as LIST_ENTRY; entry.address !== head.address; entry = entry.Flink as LIST_ENTRY) {
    lines.push(containing(LINE, 'Entry', entry))
  }
  return lines
}

/** Claims the interrupt when a register has changed. @irql DIRQL, interrupt spin lock held */
export function lineIsr(_Interrupt: KINTERRUPT, line: LINE): boolean {
  const { Registers, Count, Offsets, Values, Changed } = line
  let hasChanged = false
  for (let index = 0; index < Count; index++) {
    const before = Values[index] ?? 0
    const now = READ_REGISTER_ULONG(Registers + (Offsets[index] ?? 0))
    if (now === before) continue
    Values[index] = now
    Changed[index] = (Changed[index] ?? 0) | (now ^ before)
    hasChanged = true
  }
  if (hasChanged && line.Dpc !== null) KeInsertQueueDpc(line.Dpc, null, null)
  return hasChanged
}

/** Moves what has changed to `Taken`; false if nothing has. */
export function takeChanges(line: LINE): boolean {
  return line.Interrupt !== null && KeSynchronizeExecution(line.Interrupt, moveChanges, line) !== 0
}

/** A SynchCritSection. @irql DIRQL, interrupt spin lock held */
export function moveChanges(line: LINE): boolean {
  const { Count, Changed, Taken } = line
  let areAny = false
  for (let index = 0; index < Count; index++) {
    Taken[index] = Changed[index] ?? 0
    Changed[index] = 0
    areAny ||= Taken[index] !== 0
  }
  return areAny
}

/** Bits of a register that were taken as changed. */
export function takenOf(line: LINE, offset: number): number {
  const index = line.Offsets.subarray(0, line.Count).indexOf(offset)
  return index < 0 ? 0 : (line.Taken[index] ?? 0)
}

/** Whether a count was among what was taken. */
export const hasCounted = (line: LINE): boolean =>
  line.Taken.subarray(0, line.Count).some((bits, index) => bits !== 0 && line.IsCount[index] !== 0)

/** What the line has counted, as the newest frame told it: all its counts of one moment. Null: the board is gone. */
export function countOf(line: LINE): number | null {
  const { Interrupt } = line
  const irql = Interrupt === null ? 0 : KeAcquireInterruptSpinLock(Interrupt)
  let sum = 0
  let isThere = false
  for (let index = 0; index < line.Count; index++) {
    if (line.IsCount[index] === 0) continue
    const count = READ_REGISTER_ULONG(line.Registers + (line.Offsets[index] ?? 0))
    sum += count
    isThere ||= count !== GONE
  }
  if (Interrupt !== null) KeReleaseInterruptSpinLock(Interrupt, irql)
  return isThere ? sum >>> 0 : null
}
