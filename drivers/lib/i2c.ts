/**
 * Talking to a chip on an i2c controller that other drivers use as well (docs/hardware/i2c.md). No state of its own: what
 * a driver keeps is an I2C_CHIP in its device extension.
 *
 * A *sequence* is what must not be cut into: it begins with the bus's named event and ends by setting it. Within one
 * driver, requests take turns. A holder that died in mid-transfer leaves the event not signalled: who waits for it longer
 * than any sequence takes, recovers the bus and goes on as its holder.
 */
import { I2c, i2cControl, I2cCommand, I2cStatus } from 'dirql/i2c'
import {
  array,
  type DEVICE_OBJECT,
  Executive,
  ExAllocatePool2,
  ExFreePool,
  IO_NO_INCREMENT,
  IoConnectInterrupt,
  IoCreateSynchronizationEvent,
  IoDisconnectInterrupt,
  IoReleaseCancelSpinLock,
  IoSetCancelRoutine,
  type IRP,
  KDPC,
  type KDEFERRED_ROUTINE,
  KeClearEvent,
  KeInitializeDpc,
  KeInitializeEvent,
  KeInsertQueueDpc,
  KeReadStateEvent,
  KeRemoveQueueDpc,
  KernelMode,
  KeSetEvent,
  KeSynchronizeExecution,
  KEVENT,
  KeWaitForMultipleObjects,
  KeWaitForSingleObject,
  KINTERRUPT,
  type KSERVICE_ROUTINE,
  Latched,
  LevelSensitive,
  MmMapIoSpace,
  MmNonCached,
  MmUnmapIoSpace,
  NotificationEvent,
  type NTSTATUS,
  out,
  pointer,
  POOL_FLAG_NON_PAGED,
  READ_REGISTER_ULONG,
  ref,
  STATUS_CANCELLED,
  STATUS_DEVICE_NOT_CONNECTED,
  STATUS_INSUFFICIENT_RESOURCES,
  STATUS_IO_DEVICE_ERROR,
  STATUS_IO_TIMEOUT,
  STATUS_NO_SUCH_DEVICE,
  STATUS_SUCCESS,
  STATUS_TIMEOUT,
  STATUS_UNSUCCESSFUL,
  struct,
  SynchronizationEvent,
  UCHAR,
  ULONG,
  WaitAny,
  WRITE_REGISTER_ULONG,
  ZwClose,
} from 'dirql/wdm'
import type { Resources } from './pnp.ts'

const WINDOW_BYTES = 0x800
/** What every register reads when the board was pulled out. */
const GONE = 0xffffffff
const MS = -10_000 // relative, in 100 ns
const SPEED_KHZ = 100
/** A transaction of 72 bytes takes 7 ms at 100 kHz, and some more on the wire; a host under load takes its time. */
const TRANSFER_TIMEOUT_MS = 1000
/** Longer than any sequence: a page write, its write cycle, and a retry. */
const BUS_TIMEOUT_MS = 5000
const ATTEMPTS = 3
const ALL_ONES = 0xffffffff

export const I2C_CHIP = struct('I2C_CHIP', {
  // Guarded by the interrupt spin lock: only the ISR and SynchCritSections touch these.
  IsWaiting: ULONG, // a transaction of this driver is under way
  StartCount: ULONG, // TRANSFERS when it was started
  Status: ULONG, // STATUS, of the last one
  Received: ULONG, // RECEIVED, of the last one
  Interrupts: ULONG, // that the ISR claimed

  // Set before the interrupt is connected, or by PnP.
  Registers: ULONG, // address of the controller's window; 0 when the board is gone
  Address: ULONG, // of the chip, on the bus
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
  Retries: ULONG,
  Recoveries: ULONG,
})
export type I2C_CHIP = InstanceType<typeof I2C_CHIP>

/** One IRP's wish to be cancelled. */
export const I2C_REQUEST = struct('I2C_REQUEST', { Cancelled: KEVENT })
export type I2C_REQUEST = InstanceType<typeof I2C_REQUEST>

/** In AddDevice. `dpc` is the driver's exported routine that calls `chipDpc`. */
export function initializeChip(chip: I2C_CHIP, dpc: KDEFERRED_ROUTINE): void {
  KeInitializeDpc(chip.Dpc, dpc, chip)
  KeInitializeEvent(chip.Turn, SynchronizationEvent, true)
  KeInitializeEvent(chip.Done, SynchronizationEvent, false)
  KeInitializeEvent(chip.Gone, NotificationEvent, false)
}

/**
 * Maps the controller and connects to its `done` line, which the drivers of all chips on the bus share. `isr` is the
 * driver's exported routine that calls `chipIsr`. `busEvent` is the event's name below \BaseNamedObjects, '' for none.
 */
export function startChip(
  chip: I2C_CHIP,
  { windows, interrupts }: Resources,
  { address, busEvent, isr }: { address: number; busEvent: string; isr: KSERVICE_ROUTINE },
): NTSTATUS {
  const [window] = windows
  const [done] = interrupts
  if (window === undefined || done === undefined) return STATUS_UNSUCCESSFUL
  if (busEvent !== '') {
    const handle = out<number>()
    chip.BusEvent = IoCreateSynchronizationEvent(`\\BaseNamedObjects\\${busEvent}`, handle)
    if (chip.BusEvent === null) return STATUS_INSUFFICIENT_RESOURCES
    chip.BusEventHandle = handle.value
    chip.RecoveryEvent = IoCreateSynchronizationEvent(`\\BaseNamedObjects\\${busEvent}-recovery`, handle)
    if (chip.RecoveryEvent === null) return STATUS_INSUFFICIENT_RESOURCES
    chip.RecoveryEventHandle = handle.value
  }
  chip.Address = address
  chip.Registers = MmMapIoSpace(window, WINDOW_BYTES, MmNonCached)
  if (chip.Registers === 0) return STATUS_INSUFFICIENT_RESOURCES
  WRITE_REGISTER_ULONG(chip.Registers + I2c.CONTROL, i2cControl(SPEED_KHZ))
  return IoConnectInterrupt({
    InterruptObject: ref(chip, 'Interrupt'),
    ServiceRoutine: isr,
    ServiceContext: chip,
    SpinLock: null,
    Vector: done.vector,
    Irql: done.level,
    SynchronizeIrql: done.level,
    InterruptMode: done.isLatched ? Latched : LevelSensitive,
    ShareVector: done.isShared,
    ProcessorEnableMask: done.affinity,
    FloatingSave: false,
  })
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
  MmUnmapIoSpace(chip.Registers, WINDOW_BYTES)
  chip.Registers = 0
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

/** Claims the interrupt when a transaction of this driver has ended. @irql DIRQL, interrupt spin lock held */
export function chipIsr(chip: I2C_CHIP): boolean {
  if (chip.IsWaiting === 0) return false
  if (READ_REGISTER_ULONG(chip.Registers + I2c.TRANSFERS) === chip.StartCount) return false // another driver's
  chip.IsWaiting = 0
  chip.Status = READ_REGISTER_ULONG(chip.Registers + I2c.STATUS)
  chip.Received = READ_REGISTER_ULONG(chip.Registers + I2c.RECEIVED)
  chip.Interrupts += 1
  KeInsertQueueDpc(chip.Dpc, null, null)
  return true
}

/** @irql DISPATCH_LEVEL */
export function chipDpc(chip: I2C_CHIP): void {
  KeSetEvent(chip.Done, IO_NO_INCREMENT, false)
}

/** A SynchCritSection: a transaction is about to be started. @irql DIRQL, interrupt spin lock held */
export function beginTransaction(chip: I2C_CHIP): boolean {
  chip.IsWaiting = 1
  chip.StartCount = READ_REGISTER_ULONG(chip.Registers + I2c.TRANSFERS)
  return true
}

/** A SynchCritSection: nobody waits any more. TRUE when the transaction had ended before. */
export function giveUpTransaction(chip: I2C_CHIP): boolean {
  const hadEnded = chip.IsWaiting === 0
  chip.IsWaiting = 0
  return hadEnded
}

/**
 * A driver's exported SynchCritSection routines, and its cancel routine: routines are known by the image that exports
 * them, so each driver exports its own.
 */
export interface ChipRoutines {
  begin: (chip: I2C_CHIP) => boolean
  giveUp: (chip: I2C_CHIP) => boolean
  cancel: (DeviceObject: DEVICE_OBJECT, Irp: IRP) => void
}

/** What a driver's cancel routine does: the request's own thread completes it. @irql DISPATCH_LEVEL */
export function cancelRequest(Irp: IRP): void {
  const request = Irp.Tail.Overlay.DriverContext.at(0) as I2C_REQUEST
  IoReleaseCancelSpinLock(Irp.CancelIrql)
  KeSetEvent(request.Cancelled, IO_NO_INCREMENT, false)
}

/** One sequence on the bus, as a request sees it. */
export interface Bus {
  /** Writes the first `writeLength` bytes of chip.Data, then reads `readLength` bytes to there. */
  transact(writeLength: number, readLength: number): Promise<NTSTATUS>
  /** Waits, as long as nobody cancels and the board is there. */
  delay(ms: number): Promise<NTSTATUS>
}

/**
 * Runs `sequence` with the bus to itself, cancellable by `Irp` where one is given. What a sequence gives back is given
 * back; a NACK of the address (the chip is busy, or the bus had noise) has it run again, three times in all.
 */
export async function onBus(
  chip: I2C_CHIP,
  routines: ChipRoutines,
  Irp: IRP | null,
  sequence: (bus: Bus) => Promise<NTSTATUS>,
): Promise<NTSTATUS> {
  const request = I2C_REQUEST.at(ExAllocatePool2(POOL_FLAG_NON_PAGED, I2C_REQUEST.size, 'I2cR'))
  if (request === null) return STATUS_INSUFFICIENT_RESOURCES
  KeInitializeEvent(request.Cancelled, NotificationEvent, false)
  if (Irp !== null) watchCancel(Irp, request, routines)
  const status = await takeTurn(chip, request, routines, sequence)
  if (Irp !== null) await unwatchCancel(Irp, request)
  ExFreePool(request)
  return status
}

function watchCancel(Irp: IRP, request: I2C_REQUEST, routines: ChipRoutines): void {
  Irp.Tail.Overlay.DriverContext.set(0, request)
  IoSetCancelRoutine(Irp, routines.cancel)
  // Cancelled before there was a routine: nobody will call it, unless it is being called just now.
  if (Irp.Cancel !== 0 && IoSetCancelRoutine(Irp, null) !== null) KeSetEvent(request.Cancelled, IO_NO_INCREMENT, false)
}

/** Behind this the cancel routine does not touch the request any more. */
async function unwatchCancel(Irp: IRP, request: I2C_REQUEST): Promise<void> {
  if (IoSetCancelRoutine(Irp, null) !== null) return
  await KeWaitForSingleObject(request.Cancelled, Executive, KernelMode, false, null)
}

async function takeTurn(
  chip: I2C_CHIP,
  request: I2C_REQUEST,
  routines: ChipRoutines,
  sequence: (bus: Bus) => Promise<NTSTATUS>,
): Promise<NTSTATUS> {
  const turn = await waitFor(chip, request, chip.Turn, null)
  if (turn !== STATUS_SUCCESS) return turn
  // Whoever stops the chip sets Gone first, and waits for its turn then.
  const isGone = KeReadStateEvent(chip.Gone) !== 0
  const taken = isGone ? STATUS_DEVICE_NOT_CONNECTED : await takeBus(chip, request, routines)
  if (taken === STATUS_SUCCESS) {
    const status = await repeatOnNack(chip, request, routines, sequence)
    giveBus(chip)
    KeSetEvent(chip.Turn, IO_NO_INCREMENT, false)
    return status
  }
  KeSetEvent(chip.Turn, IO_NO_INCREMENT, false)
  return taken
}

/** STATUS_SUCCESS; STATUS_TIMEOUT; STATUS_CANCELLED; STATUS_DEVICE_NOT_CONNECTED. */
async function waitFor(
  chip: I2C_CHIP,
  request: I2C_REQUEST,
  object: KEVENT,
  timeoutMs: number | null,
): Promise<NTSTATUS> {
  const status = await KeWaitForMultipleObjects({
    Count: 3,
    Object: [object, request.Cancelled, chip.Gone],
    WaitType: WaitAny,
    WaitReason: Executive,
    WaitMode: KernelMode,
    Alertable: false,
    Timeout: timeoutMs === null ? null : timeoutMs * MS,
    WaitBlockArray: null,
  })
  if (status === 1) return STATUS_CANCELLED
  return status === 2 ? STATUS_DEVICE_NOT_CONNECTED : status
}

async function takeBus(chip: I2C_CHIP, request: I2C_REQUEST, routines: ChipRoutines): Promise<NTSTATUS> {
  const { BusEvent } = chip
  if (BusEvent === null) return STATUS_SUCCESS
  // This driver's own requests take turns: if the bus is taken, another driver has it.
  const isFree = await KeWaitForSingleObject(BusEvent, Executive, KernelMode, false, 0)
  if (isFree === STATUS_SUCCESS) return STATUS_SUCCESS
  for (;;) {
    const transfers = READ_REGISTER_ULONG(chip.Registers + I2c.TRANSFERS)
    const status = await waitFor(chip, request, BusEvent, BUS_TIMEOUT_MS)
    if (status === STATUS_SUCCESS) chip.Handovers += 1
    if (status !== STATUS_TIMEOUT) return status
    const taken = await takeFromDead(chip, request, routines, transfers)
    if (taken !== STATUS_TIMEOUT) return taken
  }
}

/**
 * Takes the bus from a holder that is dead. Of several that have waited too long, one takes it: the others see that
 * there were transactions, and wait on. STATUS_TIMEOUT: its holder lives.
 */
async function takeFromDead(
  chip: I2C_CHIP,
  request: I2C_REQUEST,
  routines: ChipRoutines,
  transfers: number,
): Promise<NTSTATUS> {
  const RecoveryEvent = chip.RecoveryEvent as KEVENT
  const turn = await waitFor(chip, request, RecoveryEvent, BUS_TIMEOUT_MS)
  if (turn !== STATUS_SUCCESS) return turn === STATUS_TIMEOUT ? STATUS_IO_TIMEOUT : turn
  const isAlive = READ_REGISTER_ULONG(chip.Registers + I2c.TRANSFERS) !== transfers
  const status = isAlive ? STATUS_TIMEOUT : await recover(chip, request, routines)
  KeSetEvent(RecoveryEvent, IO_NO_INCREMENT, false)
  return status
}

function giveBus({ BusEvent }: I2C_CHIP): void {
  if (BusEvent !== null) KeSetEvent(BusEvent, IO_NO_INCREMENT, false)
}

async function repeatOnNack(
  chip: I2C_CHIP,
  request: I2C_REQUEST,
  routines: ChipRoutines,
  sequence: (bus: Bus) => Promise<NTSTATUS>,
): Promise<NTSTATUS> {
  const bus: Bus = {
    transact: (writeLength, readLength) => transact(chip, request, routines, writeLength, readLength),
    delay: (ms) => delay(chip, ms),
  }
  let status = await sequence(bus)
  for (let attempt = 1; status === STATUS_NO_SUCH_DEVICE && attempt < ATTEMPTS; attempt++) {
    chip.Retries += 1
    status = await delay(chip, 1)
    if (status === STATUS_SUCCESS) status = await sequence(bus)
  }
  return status
}

async function delay(chip: I2C_CHIP, ms: number): Promise<NTSTATUS> {
  const status = await KeWaitForSingleObject(chip.Gone, Executive, KernelMode, false, ms * MS)
  return status === STATUS_TIMEOUT ? STATUS_SUCCESS : STATUS_DEVICE_NOT_CONNECTED
}

async function transact(
  chip: I2C_CHIP,
  request: I2C_REQUEST,
  routines: ChipRoutines,
  writeLength: number,
  readLength: number,
): Promise<NTSTATUS> {
  emptyFifo(chip)
  start(chip, routines, writeLength, readLength, I2cCommand.START)
  chip.Transactions += 1
  const status = await waitFor(chip, request, chip.Done, TRANSFER_TIMEOUT_MS)
  if (status === STATUS_CANCELLED) {
    WRITE_REGISTER_ULONG(chip.Registers + I2c.COMMAND, I2cCommand.ABORT)
    await settle(chip, routines)
    return status
  }
  if (status === STATUS_DEVICE_NOT_CONNECTED) {
    giveUp(chip, routines)
    return status
  }
  if (status === STATUS_TIMEOUT) return afterRecovery(await recover(chip, request, routines))
  if (isPulledOut(chip)) return STATUS_DEVICE_NOT_CONNECTED
  if ((chip.Status & (I2cStatus.BUS_STUCK | I2cStatus.TIMEOUT)) !== 0) {
    return afterRecovery(await recover(chip, request, routines))
  }
  const ended = outcome(chip, readLength)
  return isPulledOut(chip) ? STATUS_DEVICE_NOT_CONNECTED : ended
}

/** The window of a board that is gone reads all ones, before anybody has set Gone: what was read last may be that. */
const isPulledOut = ({ Registers }: I2C_CHIP): boolean => READ_REGISTER_ULONG(Registers + I2c.STATUS) === ALL_ONES

/** A bus that could be recovered is good for the next transaction; this one is lost. */
const afterRecovery = (status: NTSTATUS): NTSTATUS => (status === STATUS_SUCCESS ? STATUS_NO_SUCH_DEVICE : status)

function outcome(chip: I2C_CHIP, readLength: number): NTSTATUS {
  if ((chip.Status & I2cStatus.NACK_ADDRESS) !== 0) return STATUS_NO_SUCH_DEVICE
  if ((chip.Status & ~I2cStatus.BUSY) !== I2cStatus.DONE || chip.Received !== readLength) return STATUS_IO_DEVICE_ERROR
  for (let index = 0; index < readLength; index++) chip.Data[index] = READ_REGISTER_ULONG(chip.Registers + I2c.DATA)
  return STATUS_SUCCESS
}

/** Posts a transaction, or a recovery of the bus. */
function start(chip: I2C_CHIP, routines: ChipRoutines, writeLength: number, readLength: number, command: number): void {
  KeClearEvent(chip.Done)
  KeSynchronizeExecution(chip.Interrupt as KINTERRUPT, routines.begin, chip)
  const { Registers } = chip
  if (command === I2cCommand.START) {
    setControl(Registers + I2c.ADDRESS, chip.Address)
    setControl(Registers + I2c.WRITE_LENGTH, writeLength)
    setControl(Registers + I2c.READ_LENGTH, readLength)
    for (let index = 0; index < writeLength; index++) WRITE_REGISTER_ULONG(Registers + I2c.DATA, chip.Data[index] ?? 0)
  }
  WRITE_REGISTER_ULONG(Registers + I2c.COMMAND, command)
}

/** The shadow of a control register is the truth: a line over the wire is saved where it is right already. */
function setControl(register: number, value: number): void {
  if (READ_REGISTER_ULONG(register) !== value) WRITE_REGISTER_ULONG(register, value)
}

/** A driver that died may have left bytes. */
function emptyFifo({ Registers }: I2C_CHIP): void {
  const level = READ_REGISTER_ULONG(Registers + I2c.DATA_LEVEL)
  if (level === GONE) return
  for (let left = level; left > 0; left--) {
    READ_REGISTER_ULONG(Registers + I2c.DATA)
  }
}

/** Frees the bus of a chip that holds it. STATUS_IO_TIMEOUT when it does not help. */
async function recover(chip: I2C_CHIP, request: I2C_REQUEST, routines: ChipRoutines): Promise<NTSTATUS> {
  chip.Recoveries += 1
  giveUp(chip, routines)
  start(chip, routines, 0, 0, I2cCommand.RECOVER)
  const status = await waitFor(chip, request, chip.Done, TRANSFER_TIMEOUT_MS)
  if (status !== STATUS_SUCCESS) giveUp(chip, routines)
  if (status === STATUS_TIMEOUT) return STATUS_IO_TIMEOUT
  if (status === STATUS_SUCCESS && (chip.Status & I2cStatus.BUS_STUCK) !== 0) return STATUS_IO_TIMEOUT
  emptyFifo(chip)
  return status
}

/** Waits for the end of a transaction that was aborted, so that the next holder of the bus finds it free. */
async function settle(chip: I2C_CHIP, routines: ChipRoutines): Promise<void> {
  await KeWaitForSingleObject(chip.Done, Executive, KernelMode, false, TRANSFER_TIMEOUT_MS * MS)
  giveUp(chip, routines)
}

function giveUp(chip: I2C_CHIP, routines: ChipRoutines): void {
  const { Interrupt } = chip
  if (Interrupt !== null) KeSynchronizeExecution(Interrupt, routines.giveUp, chip)
}
