/**
 * A chip on an i2c controller that other drivers use as well (docs/hardware/i2c.md): what a driver keeps of it in its
 * device extension, its interrupt, and how it comes and goes.
 */
import { I2c, i2cControl } from 'dirql/i2c'
import {
  array,
  type DRIVER_CANCEL,
  Executive,
  IO_NO_INCREMENT,
  IoCreateSynchronizationEvent,
  IoDisconnectInterrupt,
  IoReleaseCancelSpinLock,
  KDPC,
  KeInitializeDpc,
  KeInitializeEvent,
  KeInsertQueueDpc,
  KeRemoveQueueDpc,
  KernelMode,
  KeSetEvent,
  KEVENT,
  KeWaitForSingleObject,
  KINTERRUPT,
  MmMapIoSpace,
  MmNonCached,
  MmUnmapIoSpace,
  NotificationEvent,
  NT_SUCCESS,
  type NTSTATUS,
  out,
  pointer,
  READ_REGISTER_ULONG,
  ref,
  STATUS_INSUFFICIENT_RESOURCES,
  STATUS_SUCCESS,
  STATUS_UNSUCCESSFUL,
  struct,
  SynchronizationEvent,
  UCHAR,
  ULONG,
  WRITE_REGISTER_ULONG,
  ZwClose,
} from 'dirql/wdm'
import { connectInterrupt, type Resources } from './pnp.ts'

const WINDOW_BYTES = 0x800
const SPEED_KHZ = 100

export const I2C_CHIP = struct('I2C_CHIP', {
  // Guarded by the interrupt spin lock: only the ISR and SynchCritSections touch these.
  Awaited: ULONG, // ends that will come: of a transaction of this driver, and of the recovery of one that came to none
  EndCount: ULONG, // TRANSFERS at the last end before these
  Status: ULONG, // STATUS, of the last one
  Received: ULONG, // RECEIVED, of the last one
  Interrupts: ULONG, // edges of the line that the ISR claimed

  // Set before the interrupt is connected, or by PnP.
  Registers: ULONG, // address of the controller's window; 0 when the board is gone
  Address: ULONG, // of the chip, on the bus
  Attempts: ULONG, // at a sequence whose chip does not answer
  Interrupt: pointer(KINTERRUPT),
  BusEvent: pointer(KEVENT), // null: this driver does not wait for its turn on the bus
  BusEventHandle: ULONG,
  RecoveryEvent: pointer(KEVENT), // who has it may take the bus from a dead holder
  RecoveryEventHandle: ULONG,
  Dpc: KDPC,

  Turn: KEVENT, // synchronization, signalled while no request of this driver has the bus
  Done: KEVENT, // synchronization: the transaction has ended
  Gone: KEVENT, // notification: the board was pulled out

  // Belong to the request whose turn it is.
  Data: array(UCHAR, 72), // bytes to write, and bytes that were read
  Transactions: ULONG,
  Handovers: ULONG, // waits for the bus that another driver's set ended
  Retries: ULONG, // sequences that were begun again: the chip had not answered
  Recoveries: ULONG, // of the bus, from a chip that held it or a driver that died
})
export type I2C_CHIP = InstanceType<typeof I2C_CHIP>

/** One IRP's wish to be cancelled. */
export const I2C_REQUEST = struct('I2C_REQUEST', { Cancelled: KEVENT })
export type I2C_REQUEST = InstanceType<typeof I2C_REQUEST>

/** What the kernel calls. */
export interface ChipRoutines {
  /** Claims the interrupt when a transaction of this driver has ended. @irql DIRQL, interrupt spin lock held */
  chipIsr: (Interrupt: KINTERRUPT, chip: I2C_CHIP) => boolean
  /** @irql DISPATCH_LEVEL */
  chipDpc: (Dpc: KDPC, chip: I2C_CHIP) => void
  /** A SynchCritSection: a transaction or a recovery is about to be started. @irql DIRQL, interrupt spin lock held */
  beginTransaction: (chip: I2C_CHIP) => boolean
  /** A SynchCritSection: what was awaited will not come. TRUE when nothing was. */
  giveUpTransaction: (chip: I2C_CHIP) => boolean
  /** The request's own thread completes it. @irql DISPATCH_LEVEL, cancel spin lock held */
  cancelRequest: DRIVER_CANCEL
}

/**
 * The routines of a driver's chips. The driver exports them under these names, for routines are known by the image that
 * exports them.
 */
export const chipRoutines = (): ChipRoutines => ({
  chipIsr: (_Interrupt, chip) => takeEnd(chip),
  chipDpc: (_Dpc, chip) => void KeSetEvent(chip.Done, IO_NO_INCREMENT, false),
  beginTransaction(chip) {
    if (chip.Awaited === 0) chip.EndCount = READ_REGISTER_ULONG(chip.Registers + I2c.TRANSFERS)
    chip.Awaited += 1
    return true
  },
  giveUpTransaction(chip) {
    const hadEnded = chip.Awaited === 0
    chip.Awaited = 0
    return hadEnded
  },
  cancelRequest(_DeviceObject, Irp) {
    const request = Irp.Tail.Overlay.DriverContext.at(0) as I2C_REQUEST
    IoReleaseCancelSpinLock(Irp.CancelIrql)
    KeSetEvent(request.Cancelled, IO_NO_INCREMENT, false)
  },
})

function takeEnd(chip: I2C_CHIP): boolean {
  const ends = (READ_REGISTER_ULONG(chip.Registers + I2c.TRANSFERS) - chip.EndCount) >>> 0
  if (chip.Awaited === 0 || ends === 0) return false // another driver's
  const taken = Math.min(ends, chip.Awaited)
  chip.EndCount += taken
  chip.Awaited -= taken
  chip.Interrupts += taken
  if (chip.Awaited > 0) return true // of a transaction that nobody waits for any more: its recovery ends behind it
  chip.Status = READ_REGISTER_ULONG(chip.Registers + I2c.STATUS)
  chip.Received = READ_REGISTER_ULONG(chip.Registers + I2c.RECEIVED)
  KeInsertQueueDpc(chip.Dpc, null, null)
  return true
}

/** In AddDevice. A sequence whose chip does not answer is tried `attempts` times in all, a millisecond apart. */
export function initializeChip(chip: I2C_CHIP, { chipDpc }: ChipRoutines, attempts: number): void {
  chip.Attempts = attempts
  KeInitializeDpc(chip.Dpc, chipDpc, chip)
  KeInitializeEvent(chip.Turn, SynchronizationEvent, true)
  KeInitializeEvent(chip.Done, SynchronizationEvent, false)
  KeInitializeEvent(chip.Gone, NotificationEvent, false)
}

/**
 * Maps the controller and connects to its `done` line, which the drivers of all chips on the bus share. `busEvent` is the
 * event's name below \BaseNamedObjects, '' for none.
 */
export function startChip(
  chip: I2C_CHIP,
  { windows: [window], interrupts: [done] }: Resources,
  { chipIsr }: ChipRoutines,
  { address, busEvent }: { address: number; busEvent: string },
): NTSTATUS {
  if (window === undefined || done === undefined) return STATUS_UNSUCCESSFUL
  const shared = busEvent === '' ? STATUS_SUCCESS : openBusEvents(chip, busEvent)
  if (!NT_SUCCESS(shared)) return shared
  chip.Address = address
  chip.Awaited = 0
  chip.Registers = MmMapIoSpace(window, WINDOW_BYTES, MmNonCached)
  if (chip.Registers === 0) return STATUS_INSUFFICIENT_RESOURCES
  WRITE_REGISTER_ULONG(chip.Registers + I2c.CONTROL, i2cControl(SPEED_KHZ))
  const status = connectInterrupt(done, chipIsr, chip, ref(chip, 'Interrupt'))
  if (!NT_SUCCESS(status)) unmap(chip)
  return status
}

function openBusEvents(chip: I2C_CHIP, name: string): NTSTATUS {
  const handle = out<number>()
  chip.BusEvent = IoCreateSynchronizationEvent(`\\BaseNamedObjects\\${name}`, handle)
  if (chip.BusEvent === null) return STATUS_INSUFFICIENT_RESOURCES
  chip.BusEventHandle = handle.value
  chip.RecoveryEvent = IoCreateSynchronizationEvent(`\\BaseNamedObjects\\${name}-recovery`, handle)
  if (chip.RecoveryEvent === null) return STATUS_INSUFFICIENT_RESOURCES
  chip.RecoveryEventHandle = handle.value
  return STATUS_SUCCESS
}

function unmap(chip: I2C_CHIP): void {
  MmUnmapIoSpace(chip.Registers, WINDOW_BYTES)
  chip.Registers = 0
}

/** Requests that wait end with STATUS_DEVICE_NOT_CONNECTED; what has the bus gives it back. Harmless when done before. */
export async function stopChip(chip: I2C_CHIP): Promise<void> {
  const { Interrupt } = chip
  if (Interrupt === null) return
  KeSetEvent(chip.Gone, IO_NO_INCREMENT, false)
  await KeWaitForSingleObject(chip.Turn, Executive, KernelMode, false, null) // the request that had the bus is through
  await IoDisconnectInterrupt(Interrupt)
  chip.Interrupt = null
  KeRemoveQueueDpc(chip.Dpc)
  unmap(chip)
  KeSetEvent(chip.Turn, IO_NO_INCREMENT, false)
}

/** Behind `stopChip`, when the device is removed. */
export async function removeChip(chip: I2C_CHIP): Promise<void> {
  if (chip.BusEventHandle !== 0) await ZwClose(chip.BusEventHandle)
  if (chip.RecoveryEventHandle !== 0) await ZwClose(chip.RecoveryEventHandle)
  chip.BusEventHandle = 0
  chip.RecoveryEventHandle = 0
  chip.BusEvent = null
  chip.RecoveryEvent = null
}
