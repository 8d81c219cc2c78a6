/**
 * Bug check callbacks: a driver's last chance to put its device into a safe state when the machine stops.
 *
 * The list is guarded by the configuration lock, but for the walk at a bug check, when no other processor runs.
 */
import { atomicOr, read32, read8, write32, write8 } from '../mm/access.ts'
import { insertTail, LIST_ENTRY, removeEntry } from '../rtl/list.ts'
import { type Pvoid, pvoidOf, PVOID, storePvoid, struct, type Synchronous, UCHAR, ULONG } from '../rtl/struct.ts'
import { onBugCheck } from './bugcheck.ts'
import { type Routine, routineId, routineOf } from './image.ts'
import { HIGH_LEVEL, lowerIrql, point, raiseIrql } from './level.ts'
import { clearPending, cpu, Machine, Pcr, Pending } from './pcr.ts'
import { acquireWord, releaseWord } from './spin.ts'

/** What the routine gets is the Buffer that was registered. @irql HIGH_LEVEL */
export type KBUGCHECK_CALLBACK_ROUTINE = (Buffer: never, Length: number) => void

export const KBUGCHECK_CALLBACK_RECORD = struct('KBUGCHECK_CALLBACK_RECORD', {
  Entry: LIST_ENTRY,
  CallbackRoutine: ULONG, // routine id
  Buffer: PVOID,
  Length: ULONG,
  State: UCHAR,
})
export interface KBUGCHECK_CALLBACK_RECORD extends InstanceType<typeof KBUGCHECK_CALLBACK_RECORD> {}

const BufferEmpty = 0
const BufferInserted = 1
const BufferStarted = 2
const BufferFinished = 3

const { Entry, CallbackRoutine, Buffer, Length, State } = KBUGCHECK_CALLBACK_RECORD.offsets

/**
 * Makes a callback record that is not registered.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-keinitializecallbackrecord
 */
export function KeInitializeCallbackRecord(CallbackRecord: KBUGCHECK_CALLBACK_RECORD): void {
  point()
  write8(CallbackRecord.address + State, BufferEmpty)
}

/**
 * Has `CallbackRoutine` called when the machine stops. It runs at HIGH_LEVEL with every other processor stopped: it
 * may write device registers and memory, and must take no lock.
 *
 * @irql any
 * @returns TRUE when it is registered now; FALSE when the record was registered already
 * @deviates (decision 0025) The name of the component, which debuggers print, is not kept.
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-keregisterbugcheckcallback
 */
export function KeRegisterBugCheckCallback<F extends KBUGCHECK_CALLBACK_ROUTINE>(
  CallbackRecord: KBUGCHECK_CALLBACK_RECORD,
  CallbackRoutine_: F & Synchronous<F>,
  Buffer_: Pvoid,
  Length_: number,
  _Component: string,
): boolean {
  point()
  const record = CallbackRecord.address
  const routine = routineId(CallbackRoutine_ as unknown as Routine)
  return withList(() => {
    if (read8(record + State) !== BufferEmpty) return false
    write32(record + CallbackRoutine, routine)
    storePvoid(record + Buffer, Buffer_)
    write32(record + Length, Length_)
    insertTail(Machine.BugCheckCallbacks, record + Entry)
    write8(record + State, BufferInserted)
    return true
  })
}

/**
 * Takes a callback out again.
 *
 * @irql any
 * @returns TRUE when it was registered
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kederegisterbugcheckcallback
 */
export function KeDeregisterBugCheckCallback(CallbackRecord: KBUGCHECK_CALLBACK_RECORD): boolean {
  point()
  const record = CallbackRecord.address
  return withList(() => {
    if (read8(record + State) !== BufferInserted) return false
    removeEntry(record + Entry)
    write8(record + State, BufferEmpty)
    return true
  })
}

/** At HIGH_LEVEL, so that an ISR of this processor that registers cannot want the lock meanwhile. */
function withList(change: () => boolean): boolean {
  const before = raiseIrql(HIGH_LEVEL)
  acquireWord(Machine.ConfigurationLock)
  const result = change()
  releaseWord(Machine.ConfigurationLock)
  lowerIrql(before)
  return result
}

/** Calls each callback once, on the processor that found the fault. What they break changes nothing any more. */
function runCallbacks(): void {
  const head = Machine.BugCheckCallbacks
  const irql = read32(cpu.pcr + Pcr.Irql)
  write32(cpu.pcr + Pcr.Irql, HIGH_LEVEL)
  // The stop itself would throw at the callback's first register write.
  clearPending(Pending.Freeze)
  for (let entry = read32(head); entry !== head; entry = read32(entry)) runCallback(entry - Entry)
  atomicOr(cpu.pcr + Pcr.Pending, Pending.Freeze)
  write32(cpu.pcr + Pcr.Irql, irql)
}

function runCallback(record: number): void {
  if (read8(record + State) !== BufferInserted) return
  write8(record + State, BufferStarted)
  try {
    routineOf(read32(record + CallbackRoutine))(
      pvoidOf(read32(record + Buffer) >>> 0, read32(record + Buffer + 4) >>> 0),
      read32(record + Length),
    )
  } catch {
    // The machine is down already, and the other callbacks still want their turn.
  }
  write8(record + State, BufferFinished)
}

/** Plugs the callbacks into the bug check. */
export function plugBugCheckCallbacks(): void {
  onBugCheck.run = runCallbacks
}
