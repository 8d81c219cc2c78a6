/**
 * The bus of an i2c controller, shared by drivers that do not know each other.
 *
 * A *sequence* is what must not be cut into: it begins with the bus's named event and ends by setting it. Within one
 * driver, requests take turns. A holder that died in mid-transfer leaves the event not signalled: who waits for it longer
 * than any sequence takes, recovers the bus and goes on as its holder.
 */
import { I2c } from 'dirql/i2c'
import {
  ExAllocatePool2,
  Executive,
  ExFreePool,
  IO_NO_INCREMENT,
  IoSetCancelRoutine,
  type IRP,
  KeInitializeEvent,
  KeReadStateEvent,
  KernelMode,
  KeSetEvent,
  type KEVENT,
  KeWaitForSingleObject,
  NotificationEvent,
  type NTSTATUS,
  POOL_FLAG_NON_PAGED,
  READ_REGISTER_ULONG,
  STATUS_DEVICE_NOT_CONNECTED,
  STATUS_INSUFFICIENT_RESOURCES,
  STATUS_IO_TIMEOUT,
  STATUS_NO_SUCH_DEVICE,
  STATUS_SUCCESS,
  STATUS_TIMEOUT,
} from 'dirql/wdm'
import { type ChipRoutines, type I2C_CHIP, I2C_REQUEST } from './i2cchip.ts'
import { delay, recover, transact, type Visit, waitFor } from './i2ctransfer.ts'

/** Longer than any sequence: a page write, its write cycle, and a retry. */
const BUS_TIMEOUT_MS = 5000

/** One sequence on the bus, as a request sees it. */
export interface Bus {
  /** Writes the first `writeLength` bytes of chip.Data, then reads `readLength` bytes to there. */
  transact(writeLength: number, readLength: number): Promise<NTSTATUS>
  /** Waits, as long as nobody cancels and the board is there. */
  delay(ms: number): Promise<NTSTATUS>
}
export type Sequence = (bus: Bus) => Promise<NTSTATUS>

/**
 * Runs `sequence` with the bus to itself, cancellable by `Irp` where one is given. What a sequence gives back is given
 * back; one that ended with STATUS_NO_SUCH_DEVICE (the chip is busy, or the bus had noise) is run again, as often as
 * the chip's Attempts say.
 */
export async function onBus(
  chip: I2C_CHIP,
  routines: ChipRoutines,
  Irp: IRP | null,
  sequence: Sequence,
): Promise<NTSTATUS> {
  const request = I2C_REQUEST.at(ExAllocatePool2(POOL_FLAG_NON_PAGED, I2C_REQUEST.size, 'I2cR'))
  if (request === null) return STATUS_INSUFFICIENT_RESOURCES
  KeInitializeEvent(request.Cancelled, NotificationEvent, false)
  if (Irp !== null) watchCancel(Irp, request, routines)
  const status = await takeTurn({ chip, routines, request }, sequence)
  if (Irp !== null) await unwatchCancel(Irp, request)
  ExFreePool(request)
  return status
}

function watchCancel(Irp: IRP, request: I2C_REQUEST, { cancelRequest }: ChipRoutines): void {
  Irp.Tail.Overlay.DriverContext.set(0, request)
  IoSetCancelRoutine(Irp, cancelRequest)
  // Cancelled before there was a routine: nobody will call it, unless it is being called just now.
  if (Irp.Cancel !== 0 && IoSetCancelRoutine(Irp, null) !== null) KeSetEvent(request.Cancelled, IO_NO_INCREMENT, false)
}

/** Behind this the cancel routine does not touch the request any more. */
async function unwatchCancel(Irp: IRP, request: I2C_REQUEST): Promise<void> {
  if (IoSetCancelRoutine(Irp, null) !== null) return
  await KeWaitForSingleObject(request.Cancelled, Executive, KernelMode, false, null)
}

async function takeTurn(visit: Visit, sequence: Sequence): Promise<NTSTATUS> {
  const { Turn } = visit.chip
  const turn = await waitFor(visit, Turn, null)
  if (turn !== STATUS_SUCCESS) return turn
  const status = await withBus(visit, sequence)
  KeSetEvent(Turn, IO_NO_INCREMENT, false)
  return status
}

async function withBus(visit: Visit, sequence: Sequence): Promise<NTSTATUS> {
  const { Gone, BusEvent } = visit.chip
  // Whoever stops the chip sets Gone first, and waits for its turn then.
  if (KeReadStateEvent(Gone) !== 0) return STATUS_DEVICE_NOT_CONNECTED
  const taken = BusEvent === null ? STATUS_SUCCESS : await takeBus(visit, BusEvent)
  if (taken !== STATUS_SUCCESS) return taken
  const status = await repeatOnNack(visit, sequence)
  if (BusEvent !== null) KeSetEvent(BusEvent, IO_NO_INCREMENT, false)
  return status
}

async function takeBus(visit: Visit, BusEvent: KEVENT): Promise<NTSTATUS> {
  // This driver's own requests take turns: if the bus is taken, another driver has it.
  const isFree = await KeWaitForSingleObject(BusEvent, Executive, KernelMode, false, 0)
  if (isFree === STATUS_SUCCESS) return STATUS_SUCCESS
  const { chip } = visit
  for (;;) {
    const transfers = READ_REGISTER_ULONG(chip.Registers + I2c.TRANSFERS)
    const status = await waitFor(visit, BusEvent, BUS_TIMEOUT_MS)
    if (status === STATUS_SUCCESS) chip.Handovers += 1
    if (status !== STATUS_TIMEOUT) return status
    const taken = await takeFromDead(visit, transfers)
    if (taken !== STATUS_TIMEOUT) return taken
  }
}

/**
 * Takes the bus from a holder that is dead. Of several that have waited too long, one takes it: the others see that
 * there were transactions, and wait on. STATUS_TIMEOUT: its holder lives.
 */
async function takeFromDead(visit: Visit, transfers: number): Promise<NTSTATUS> {
  const { chip } = visit
  const RecoveryEvent = chip.RecoveryEvent as KEVENT
  const turn = await waitFor(visit, RecoveryEvent, BUS_TIMEOUT_MS)
  if (turn !== STATUS_SUCCESS) return turn === STATUS_TIMEOUT ? STATUS_IO_TIMEOUT : turn
  const isAlive = READ_REGISTER_ULONG(chip.Registers + I2c.TRANSFERS) !== transfers
  const status = isAlive ? STATUS_TIMEOUT : await recover(visit)
  KeSetEvent(RecoveryEvent, IO_NO_INCREMENT, false)
  return status
}

async function repeatOnNack(visit: Visit, sequence: Sequence): Promise<NTSTATUS> {
  const { chip } = visit
  const bus: Bus = {
    transact: (writeLength, readLength) => transact(visit, writeLength, readLength),
    delay: (ms) => delay(visit, ms),
  }
  let status = await sequence(bus)
  for (let attempt = 1; status === STATUS_NO_SUCH_DEVICE && attempt < chip.Attempts; attempt++) {
    status = await delay(visit, 1)
    if (status !== STATUS_SUCCESS) return status
    chip.Retries += 1
    status = await sequence(bus)
  }
  return status
}
