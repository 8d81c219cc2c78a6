/**
 * Interrupt lines that a board file makes by name: a pattern of text, a field of a report. Each has a count and a few
 * values in registers; who has a line's file open is told when the count has moved. No state of its own.
 */
import {
  array,
  type DEVICE_OBJECT,
  ExAllocatePool2,
  ExFreePool,
  FILE_OBJECT,
  IoDisconnectInterrupt,
  KDPC,
  KeInsertQueueDpc,
  KINTERRUPT,
  pointer,
  POOL_FLAG_NON_PAGED,
  READ_REGISTER_ULONG,
  STATUS_SUCCESS,
  struct,
  ULONG,
} from 'dirql/wdm'
import { textsParameter } from './parameters.ts'
import { finish, type REQUEST } from './requests.ts'
import { ALL_ONES } from './window.ts'

export const MOST_VALUES = 7

export const MAPPED_LINE = struct('MAPPED_LINE', {
  // Guarded by the device's interrupt spin lock.
  Count: ULONG, // at the last interrupt; wraps
  Values: array(ULONG, MOST_VALUES),

  // Set before the interrupt is connected.
  CountRegister: ULONG, // address
  FirstValue: ULONG, // address of the first value's register; the others follow
  ValueCount: ULONG,
  Interrupt: pointer(KINTERRUPT),
  Dpc: pointer(KDPC), // of the device
})
export type MAPPED_LINE = InstanceType<typeof MAPPED_LINE>

/** What a read of a line's file gives: the newest values, and how often the line has had cause so far. */
export const LINE_EVENT = struct('LINE_EVENT', { Count: ULONG, ValueCount: ULONG, Values: array(ULONG, MOST_VALUES) })

/** An open file of a line. */
export const LINE_FILE = struct('LINE_FILE', {
  Line: pointer(MAPPED_LINE),
  Seen: ULONG, // the count that was told last
})
export type LINE_FILE = InstanceType<typeof LINE_FILE>

/** Takes over what the frame told. FALSE when the count has not moved. @irql DIRQL, interrupt spin lock held */
export function takeMapped(line: MAPPED_LINE): boolean {
  const count = READ_REGISTER_ULONG(line.CountRegister)
  if (count === line.Count || count === ALL_ONES) return false
  line.Count = count
  for (let index = 0; index < line.ValueCount; index++) {
    line.Values[index] = READ_REGISTER_ULONG(line.FirstValue + 4 * index)
  }
  KeInsertQueueDpc(line.Dpc as KDPC, null, null)
  return true
}

/** @irql PASSIVE_LEVEL */
export async function disconnectMapped(line: MAPPED_LINE): Promise<void> {
  const { Interrupt } = line
  if (Interrupt !== null) await IoDisconnectInterrupt(Interrupt)
  line.Interrupt = null
}

/** The lines' names, in the order of the board file, and how many values each has. @irql PASSIVE_LEVEL */
export async function mappedNames(pdo: DEVICE_OBJECT): Promise<{ name: string; values: number }[]> {
  const texts = await textsParameter(pdo, 'Lines')
  return texts.map((text) => {
    const [name = '', values = '0'] = text.split(' ')
    return { name, values: Number(values) }
  })
}

/** What an open file of a line is told next: what comes from now on. Null without memory. */
export function openLine(line: MAPPED_LINE): LINE_FILE | null {
  const file = LINE_FILE.at(ExAllocatePool2(POOL_FLAG_NON_PAGED, LINE_FILE.size, 'Line'))
  if (file === null) return null
  file.Line = line
  file.Seen = line.Count
  return file
}

/** IRP_MJ_CLOSE of any file of the device. */
export function closeLine(file: FILE_OBJECT): void {
  if (file.FsContext !== null) ExFreePool(file.FsContext as LINE_FILE)
  file.FsContext = null
}

/** Ends a read of a line's file if the count has moved. Interrupt spin lock held. */
export function tellLine(request: REQUEST, file: LINE_FILE): boolean {
  const line = file.Line as MAPPED_LINE
  if (line.Count === file.Seen) return false
  file.Seen = line.Count
  const told = new LINE_EVENT(request.Buffer)
  told.Count = line.Count
  told.ValueCount = line.ValueCount
  for (let index = 0; index < MOST_VALUES; index++) told.Values[index] = line.Values[index] ?? 0
  request.Done = LINE_EVENT.size
  return finish(request, STATUS_SUCCESS)
}
