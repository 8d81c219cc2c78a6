/** What the hid driver keeps of a device, and its hardware. */
import { fieldOffset, Hid, HID_LONGEST, MOST_FIELDS } from 'dirql/hid'
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
/** Two bytes of length, the id, the data. */
export const LONGEST = 2 + 1 + HID_LONGEST
/** `data` and `complete` come before the fields' lines. */
const OWN_LINES = 2

export const HID = struct('HID_DEVICE', {
  // Guarded by the interrupt spin lock, one for all lines of the device.
  InterruptLock: KSPIN_LOCK,
  Ring: RECORD_RING, // input reports: id, data
  Partial: array(UCHAR, LONGEST), // an input report that has not come whole
  PartialLength: ULONG,
  Told: ULONG, // REPORTS at the last interrupt
  Result: ULONG, // RESULT at the last interrupt
  Completed: ULONG, // COMPLETED at the last interrupt
  Fields: array(MAPPED_LINE, MOST_FIELDS),

  // Guarded by Lock, which is acquired before the interrupt spin lock.
  Lock: KSPIN_LOCK,
  IsThere: ULONG, // not 0: between start and stop. Registers and interrupts may be used
  Reads: REQUEST_QUEUE, // of input reports
  Commands: REQUEST_QUEUE, // reports to be sent or got
  Watches: REQUEST_QUEUE, // reads of fields' files
  Posted: ULONG, // commands that were ever given; as many are COMPLETED when the device is idle

  // Set before the interrupts are connected, or by PnP.
  FieldCount: ULONG,
  Registers: ULONG, // address of the register window
  Data: pointer(KINTERRUPT),
  Complete: pointer(KINTERRUPT),
  Lower: pointer<DEVICE_OBJECT>(() => DEVICE_OBJECT),
  Physical: pointer<DEVICE_OBJECT>(() => DEVICE_OBJECT),
  Number: ULONG,
  Dpc: KDPC,
})
export type HID = InstanceType<typeof HID>

export const hidOf = (device: DEVICE_OBJECT): HID => device.DeviceExtension as HID
export const queuesOf = (hid: HID): REQUEST_QUEUE[] => [hid.Reads, hid.Commands, hid.Watches]

export const withLock = <R>(hid: HID, body: () => R): R => locked(hid.Lock, body)

/** Runs `body` with the interrupt spin lock held. The device is there, and its lock is held. @irql DISPATCH_LEVEL */
export function withInterrupts<R>(hid: HID, body: () => R): R {
  const interrupt = hid.Data as KINTERRUPT
  const irql = KeAcquireInterruptSpinLock(interrupt)
  const result = body()
  KeReleaseInterruptSpinLock(interrupt, irql)
  return result
}

/** The driver's exports. */
export interface HidRoutines {
  data: KSERVICE_ROUTINE
  complete: KSERVICE_ROUTINE
  field: KSERVICE_ROUTINE
}

type Names = Awaited<ReturnType<typeof mappedNames>>

/** @irql PASSIVE_LEVEL */
export async function startHid(hid: HID, resources: Resources, names: Names, routines: HidRoutines): Promise<NTSTATUS> {
  const [window] = resources.windows
  if (window === undefined || resources.interrupts.length < OWN_LINES) return STATUS_UNSUCCESSFUL
  hid.Registers = MmMapIoSpace(window, WINDOW_BYTES, MmNonCached)
  hid.Ring.Buffer = ExAllocatePool2(POOL_FLAG_NON_PAGED, RING_BYTES, 'Hid ')
  hid.Ring.Size = RING_BYTES
  const isReady = hid.Registers !== 0 && hid.Ring.Buffer !== 0
  const prepared = isReady ? await prepare(hid, names) : STATUS_INSUFFICIENT_RESOURCES
  const status = NT_SUCCESS(prepared) ? connectAll(hid, resources, routines) : prepared
  if (!NT_SUCCESS(status)) {
    await letGo(hid)
    return status
  }
  withLock(hid, () => {
    hid.IsThere = 1
    for (const queue of queuesOf(hid)) queue.IsOpen = 1
  })
  return STATUS_SUCCESS
}

/** What the device has counted before this driver. */
async function prepare(hid: HID, names: Names): Promise<NTSTATUS> {
  const { Registers } = hid
  const status = await flush(Registers)
  if (!NT_SUCCESS(status)) return status
  const completed = out<number>()
  const asked = await readFresh(Registers + Hid.COMPLETED, completed)
  if (!NT_SUCCESS(asked)) return asked
  hid.Completed = completed.value
  hid.Posted = completed.value
  hid.Told = READ_REGISTER_ULONG(Registers + Hid.REPORTS)
  hid.FieldCount = Math.min(names.length, MOST_FIELDS)
  for (let index = 0; index < hid.FieldCount; index++) {
    const line = hid.Fields.at(index)
    line.FirstValue = Registers + fieldOffset(index)
    line.CountRegister = line.FirstValue + 4
    line.ValueCount = 1
    line.Count = READ_REGISTER_ULONG(line.CountRegister)
    line.Dpc = hid.Dpc
  }
  return STATUS_SUCCESS
}

function connectAll(hid: HID, { interrupts }: Resources, routines: HidRoutines): NTSTATUS {
  const shared = { lock: hid.InterruptLock, synchronizeIrql: Math.max(...interrupts.map(({ level }) => level)) }
  for (const [index, line] of interrupts.entries()) {
    const box = out<KINTERRUPT | null>()
    const field = index - OWN_LINES
    if (field >= hid.FieldCount) break
    if (!line.isLatched) continue // as long as it is asserted, only the device could take it back
    const isr = index === 0 ? routines.data : index === 1 ? routines.complete : routines.field
    const context = field < 0 ? hid : hid.Fields.at(field)
    const status = connectInterrupt(line, isr, context, box, shared)
    if (!NT_SUCCESS(status)) return status
    if (index === 0) hid.Data = box.value
    else if (index === 1) hid.Complete = box.value
    else hid.Fields.at(field).Interrupt = box.value
  }
  return STATUS_SUCCESS
}

/** Ends what waits, and lets go of the hardware. Harmless when done before. @irql PASSIVE_LEVEL */
export async function stopHid(hid: HID): Promise<void> {
  const wasThere = withLock(hid, () => {
    const { IsThere } = hid
    hid.IsThere = 0
    for (const queue of queuesOf(hid)) queue.IsOpen = 0
    return IsThere !== 0
  })
  if (!wasThere) return
  await letGo(hid)
  for (const queue of queuesOf(hid)) drain(queue, STATUS_DEVICE_NOT_CONNECTED)
}

async function letGo(hid: HID): Promise<void> {
  for (let index = 0; index < hid.FieldCount; index++) await disconnectMapped(hid.Fields.at(index))
  if (hid.Complete !== null) await IoDisconnectInterrupt(hid.Complete)
  if (hid.Data !== null) await IoDisconnectInterrupt(hid.Data)
  hid.Complete = null
  hid.Data = null
  KeRemoveQueueDpc(hid.Dpc)
  await KeFlushQueuedDpcs()
  if (hid.Registers !== 0) MmUnmapIoSpace(hid.Registers, WINDOW_BYTES)
  if (hid.Ring.Buffer !== 0) ExFreePool(hid.Ring.Buffer)
  hid.Registers = 0
  hid.Ring.Buffer = 0
}
