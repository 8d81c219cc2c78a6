/** What the lines driver keeps of a device, and its hardware. */
import { Lines, MOST_PATTERNS, patternOffset } from 'dirql/lines'
import {
  array,
  DEVICE_OBJECT,
  ExAllocatePool2,
  ExFreePool,
  flush,
  IoDisconnectInterrupt,
  KDPC,
  KeAcquireInterruptSpinLock,
  KeFlushQueuedDpcs,
  KeReleaseInterruptSpinLock,
  KeRemoveQueueDpc,
  KINTERRUPT,
  type KSERVICE_ROUTINE,
  KSPIN_LOCK,
  MmMapIoSpace,
  MmNonCached,
  MmUnmapIoSpace,
  NT_SUCCESS,
  type NTSTATUS,
  out,
  pointer,
  POOL_FLAG_NON_PAGED,
  READ_REGISTER_ULONG,
  readFresh,
  STATUS_DEVICE_NOT_CONNECTED,
  STATUS_INSUFFICIENT_RESOURCES,
  STATUS_SUCCESS,
  STATUS_UNSUCCESSFUL,
  struct,
  UCHAR,
  ULONG,
} from 'dirql/wdm'
import { disconnectMapped, MAPPED_LINE, type mappedNames } from '../lib/lines.ts'
import { connectInterrupt, type Resources } from '../lib/pnp.ts'
import { RECORD_RING } from '../lib/records.ts'
import { drain, locked, REQUEST_QUEUE } from '../lib/requests.ts'

const WINDOW_BYTES = 0x800
const RING_BYTES = 0x4000
export const LONGEST = 256
/** `data` and `transmit` come before the patterns' lines. */
const OWN_LINES = 2

export const TEXT = struct('TEXT_DEVICE', {
  // Guarded by the interrupt spin lock, one for all lines of the device.
  InterruptLock: KSPIN_LOCK,
  Ring: RECORD_RING, // text lines
  Partial: array(UCHAR, LONGEST), // a text line whose end has not come
  PartialLength: ULONG,
  Told: ULONG, // LINES at the last interrupt
  Patterns: array(MAPPED_LINE, MOST_PATTERNS),

  // Guarded by Lock, which is acquired before the interrupt spin lock.
  Lock: KSPIN_LOCK,
  IsThere: ULONG, // not 0: between start and stop. Registers and interrupts may be used
  Reads: REQUEST_QUEUE, // of text
  Writes: REQUEST_QUEUE,
  Watches: REQUEST_QUEUE, // reads of patterns' files
  Written: ULONG, // bytes that were ever written to DATA; wraps

  // Set before the interrupts are connected, or by PnP.
  PatternCount: ULONG,
  Registers: ULONG, // address of the register window
  Data: pointer(KINTERRUPT),
  Transmit: pointer(KINTERRUPT),
  Lower: pointer<DEVICE_OBJECT>(() => DEVICE_OBJECT),
  Physical: pointer<DEVICE_OBJECT>(() => DEVICE_OBJECT),
  Number: ULONG,
  Dpc: KDPC,
})
export type TEXT = InstanceType<typeof TEXT>

export const textOf = (device: DEVICE_OBJECT): TEXT => device.DeviceExtension as TEXT
export const queuesOf = (text: TEXT): REQUEST_QUEUE[] => [text.Reads, text.Writes, text.Watches]

export const withLock = <R>(text: TEXT, body: () => R): R => locked(text.Lock, body)

/** Runs `body` with the interrupt spin lock held. The device is there, and its lock is held. @irql DISPATCH_LEVEL */
export function withInterrupts<R>(text: TEXT, body: () => R): R {
  const interrupt = text.Data as KINTERRUPT
  const irql = KeAcquireInterruptSpinLock(interrupt)
  const result = body()
  KeReleaseInterruptSpinLock(interrupt, irql)
  return result
}

/** The driver's exports. */
export interface LineRoutines {
  data: KSERVICE_ROUTINE
  transmit: KSERVICE_ROUTINE
  pattern: KSERVICE_ROUTINE
}

type Names = Awaited<ReturnType<typeof mappedNames>>

/** @irql PASSIVE_LEVEL */
export async function startText(
  text: TEXT,
  resources: Resources,
  names: Names,
  routines: LineRoutines,
): Promise<NTSTATUS> {
  const [window] = resources.windows
  if (window === undefined || resources.interrupts.length < OWN_LINES) return STATUS_UNSUCCESSFUL
  text.Registers = MmMapIoSpace(window, WINDOW_BYTES, MmNonCached)
  text.Ring.Buffer = ExAllocatePool2(POOL_FLAG_NON_PAGED, RING_BYTES, 'Text')
  text.Ring.Size = RING_BYTES
  const isReady = text.Registers !== 0 && text.Ring.Buffer !== 0
  const prepared = isReady ? await prepare(text, names) : STATUS_INSUFFICIENT_RESOURCES
  const status = NT_SUCCESS(prepared) ? connectAll(text, resources, routines) : prepared
  if (!NT_SUCCESS(status)) {
    await letGo(text)
    return status
  }
  withLock(text, () => {
    text.IsThere = 1
    for (const queue of queuesOf(text)) queue.IsOpen = 1
  })
  return STATUS_SUCCESS
}

/** What the device has counted before this driver. */
async function prepare(text: TEXT, names: Names): Promise<NTSTATUS> {
  const { Registers } = text
  const status = await flush(Registers)
  if (!NT_SUCCESS(status)) return status
  const written = out<number>()
  const asked = await readFresh(Registers + Lines.WRITTEN, written)
  if (!NT_SUCCESS(asked)) return asked
  text.Written = written.value
  text.Told = READ_REGISTER_ULONG(Registers + Lines.LINES)
  text.PatternCount = Math.min(names.length, MOST_PATTERNS)
  for (let index = 0; index < text.PatternCount; index++) {
    const line = text.Patterns.at(index)
    line.CountRegister = Registers + patternOffset(index)
    line.FirstValue = line.CountRegister + 4
    line.ValueCount = names[index]?.values ?? 0
    line.Count = READ_REGISTER_ULONG(line.CountRegister)
    line.Dpc = text.Dpc
  }
  return STATUS_SUCCESS
}

function connectAll(text: TEXT, { interrupts }: Resources, routines: LineRoutines): NTSTATUS {
  const shared = { lock: text.InterruptLock, synchronizeIrql: Math.max(...interrupts.map(({ level }) => level)) }
  for (const [index, line] of interrupts.entries()) {
    const box = out<KINTERRUPT | null>()
    const pattern = index - OWN_LINES
    if (pattern >= text.PatternCount) break
    const isr = index === 0 ? routines.data : index === 1 ? routines.transmit : routines.pattern
    const context = pattern < 0 ? text : text.Patterns.at(pattern)
    const status = connectInterrupt(line, isr, context, box, shared)
    if (!NT_SUCCESS(status)) return status
    if (index === 0) text.Data = box.value
    else if (index === 1) text.Transmit = box.value
    else text.Patterns.at(pattern).Interrupt = box.value
  }
  return STATUS_SUCCESS
}

/** Ends what waits, and lets go of the hardware. Harmless when done before. @irql PASSIVE_LEVEL */
export async function stopText(text: TEXT): Promise<void> {
  const wasThere = withLock(text, () => {
    const { IsThere } = text
    text.IsThere = 0
    for (const queue of queuesOf(text)) queue.IsOpen = 0
    return IsThere !== 0
  })
  if (!wasThere) return
  await letGo(text)
  for (const queue of queuesOf(text)) drain(queue, STATUS_DEVICE_NOT_CONNECTED)
}

async function letGo(text: TEXT): Promise<void> {
  for (let index = 0; index < text.PatternCount; index++) await disconnectMapped(text.Patterns.at(index))
  if (text.Transmit !== null) await IoDisconnectInterrupt(text.Transmit)
  if (text.Data !== null) await IoDisconnectInterrupt(text.Data)
  text.Transmit = null
  text.Data = null
  KeRemoveQueueDpc(text.Dpc)
  await KeFlushQueuedDpcs()
  if (text.Registers !== 0) MmUnmapIoSpace(text.Registers, WINDOW_BYTES)
  if (text.Ring.Buffer !== 0) ExFreePool(text.Ring.Buffer)
  text.Registers = 0
  text.Ring.Buffer = 0
}
