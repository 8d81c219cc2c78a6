/** Transactions of a chip's driver that has the bus, and the recovery of a bus that is held by nobody alive. */
import { I2c, I2cCommand, I2cStatus } from 'dirql/i2c'
import {
  Executive,
  KeClearEvent,
  KernelMode,
  KeSynchronizeExecution,
  type KEVENT,
  KeWaitForMultipleObjects,
  KeWaitForSingleObject,
  type KINTERRUPT,
  type NTSTATUS,
  READ_REGISTER_ULONG,
  STATUS_CANCELLED,
  STATUS_DEVICE_NOT_CONNECTED,
  STATUS_IO_DEVICE_ERROR,
  STATUS_IO_TIMEOUT,
  STATUS_NO_SUCH_DEVICE,
  STATUS_SUCCESS,
  STATUS_TIMEOUT,
  WaitAny,
  WRITE_REGISTER_ULONG,
} from 'dirql/wdm'
import type { ChipRoutines, I2C_CHIP, I2C_REQUEST } from './i2cchip.ts'
import { ALL_ONES, levelAt } from './window.ts'

/** A transaction of 72 bytes takes 7 ms at 100 kHz, and some more on the wire; a host under load takes its time. */
const TRANSFER_TIMEOUT_MS = 1000
const MS = -10_000 // relative, in 100 ns

/** One request at its chip: what each step of it needs. */
export interface Visit {
  chip: I2C_CHIP
  routines: ChipRoutines
  request: I2C_REQUEST
}

/**
 * One transaction. STATUS_NO_SUCH_DEVICE: the chip did not answer, or the bus had to be recovered; STATUS_IO_DEVICE_ERROR:
 * it refused a byte; STATUS_IO_TIMEOUT: the bus is stuck; STATUS_CANCELLED, STATUS_DEVICE_NOT_CONNECTED.
 */
export async function transact(visit: Visit, writeLength: number, readLength: number): Promise<NTSTATUS> {
  const { chip } = visit
  emptyFifo(chip)
  start(visit, I2cCommand.START, writeLength, readLength)
  chip.Transactions += 1
  const status = await waitFor(visit, chip.Done, TRANSFER_TIMEOUT_MS)
  if (status === STATUS_CANCELLED) await abort(visit)
  if (status === STATUS_DEVICE_NOT_CONNECTED) giveUp(visit)
  if (status === STATUS_TIMEOUT) return afterRecovery(await recover(visit))
  if (status !== STATUS_SUCCESS) return status
  if (isPulledOut(chip)) return STATUS_DEVICE_NOT_CONNECTED
  if ((chip.Status & (I2cStatus.BUS_STUCK | I2cStatus.TIMEOUT)) !== 0) return afterRecovery(await recover(visit))
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
function start({ chip, routines }: Visit, command: number, writeLength = 0, readLength = 0): void {
  KeClearEvent(chip.Done)
  KeSynchronizeExecution(chip.Interrupt as KINTERRUPT, routines.beginTransaction, chip)
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
  for (let left = levelAt(Registers + I2c.DATA_LEVEL); left > 0; left--) READ_REGISTER_ULONG(Registers + I2c.DATA)
}

/**
 * Frees the bus of a chip that holds it, or ends what a slow board is still at: that has its end before the recovery's.
 * STATUS_IO_TIMEOUT when it does not help.
 */
export async function recover(visit: Visit): Promise<NTSTATUS> {
  const { chip } = visit
  chip.Recoveries += 1
  start(visit, I2cCommand.RECOVER)
  const status = await waitFor(visit, chip.Done, TRANSFER_TIMEOUT_MS)
  if (status === STATUS_TIMEOUT || status === STATUS_DEVICE_NOT_CONNECTED) giveUp(visit)
  if (status === STATUS_TIMEOUT) return STATUS_IO_TIMEOUT
  if (status === STATUS_SUCCESS && (chip.Status & I2cStatus.BUS_STUCK) !== 0) return STATUS_IO_TIMEOUT
  emptyFifo(chip)
  return status
}

/** Ends the transaction, and waits for that: the next holder of the bus finds it free. */
async function abort(visit: Visit): Promise<void> {
  const { chip } = visit
  WRITE_REGISTER_ULONG(chip.Registers + I2c.COMMAND, I2cCommand.ABORT)
  await KeWaitForSingleObject(chip.Done, Executive, KernelMode, false, TRANSFER_TIMEOUT_MS * MS)
}

function giveUp({ chip, routines }: Visit): void {
  const { Interrupt } = chip
  if (Interrupt !== null) KeSynchronizeExecution(Interrupt, routines.giveUpTransaction, chip)
}

/** STATUS_SUCCESS: `object` is signalled; STATUS_TIMEOUT; STATUS_CANCELLED; STATUS_DEVICE_NOT_CONNECTED. */
export async function waitFor({ chip, request }: Visit, object: KEVENT, timeoutMs: number | null): Promise<NTSTATUS> {
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

/** STATUS_SUCCESS; STATUS_CANCELLED; STATUS_DEVICE_NOT_CONNECTED. */
export async function delay({ chip, request }: Visit, ms: number): Promise<NTSTATUS> {
  const status = await KeWaitForMultipleObjects({
    Count: 2,
    Object: [request.Cancelled, chip.Gone],
    WaitType: WaitAny,
    WaitReason: Executive,
    WaitMode: KernelMode,
    Alertable: false,
    Timeout: ms * MS,
    WaitBlockArray: null,
  })
  if (status === STATUS_TIMEOUT) return STATUS_SUCCESS
  return status === 0 ? STATUS_CANCELLED : STATUS_DEVICE_NOT_CONNECTED
}
