/** What files say, and what is written to them. */
import { Gpio } from 'dirql/gpio'
import {
  ExAcquireRundownProtection,
  ExAllocatePool2,
  ExFreePool,
  ExReleaseRundownProtection,
  FILE_ACTION_MODIFIED,
  FILE_NOTIFY_CHANGE_LAST_WRITE,
  IoGetCurrentIrpStackLocation,
  type IRP,
  IRP_MJ_WRITE,
  NT_SUCCESS,
  type NTSTATUS,
  out,
  POOL_FLAG_NON_PAGED,
  READ_REGISTER_ULONG,
  readFresh,
  STATUS_ACCESS_DENIED,
  STATUS_DEVICE_NOT_CONNECTED,
  STATUS_END_OF_FILE,
  STATUS_INSUFFICIENT_RESOURCES,
  STATUS_INVALID_DEVICE_REQUEST,
  STATUS_INVALID_PARAMETER,
  STATUS_SUCCESS,
} from 'dirql/fltkernel'
import { IOCTL_GPIO_WRITE_PIN, PIN_LEVEL } from '../gpio/interface.ts'
import { BYTES, complete } from '../lib/irp.ts'
import { textOf } from '../lib/text.ts'
import type { BOARD } from './board.ts'
import { forwardControl, forwardTransfer } from './forward.ts'
import { countOf, linesOf } from './line.ts'
import { Kind, type NODE } from './node.ts'
import { report, withTree } from './volume.ts'

interface Told {
  status: NTSTATUS
  value: number
}
const nothing = (status: NTSTATUS): Told => ({ status, value: 0 })

/** Runs `use` with the board of a node, whose windows and lines stay meanwhile. */
async function withBoard(node: NODE, use: (board: BOARD) => Told | Promise<Told>): Promise<Told> {
  const board = node.Board as BOARD
  const isHeld = await withTree(() => node.IsGone === 0 && ExAcquireRundownProtection(board.Users))
  if (!isHeld) return nothing(STATUS_DEVICE_NOT_CONNECTED)
  try {
    return await use(board)
  } finally {
    ExReleaseRundownProtection(board.Users)
  }
}

/** What the board says now. */
async function fresh({ Windows }: BOARD, window: number, offset: number): Promise<Told> {
  const value = out<number>()
  const status = await readFresh((Windows[window] ?? 0) + offset, value)
  return NT_SUCCESS(status) ? { status, value: value.value } : nothing(STATUS_DEVICE_NOT_CONNECTED)
}

function valueOf(node: NODE): Promise<Told> {
  const { Kind: kind, Window, Value } = node
  return withBoard(node, async (board) => {
    if (kind === Kind.Register) return fresh(board, Window, Value)
    if (kind === Kind.Pin) {
      const { status, value } = await fresh(board, Window, Gpio.INPUT)
      return { status, value: (value >>> Value) & 1 }
    }
    const line = linesOf(board.Lines).find(({ Number: number }) => number === Value)
    const value = line === undefined ? null : countOf(line)
    return value === null ? nothing(STATUS_DEVICE_NOT_CONNECTED) : { status: STATUS_SUCCESS, value }
  })
}

/** @irql PASSIVE_LEVEL */
export async function readNode(node: NODE, Irp: IRP): Promise<NTSTATUS> {
  switch (node.Kind) {
    case Kind.Directory:
      return complete(Irp, STATUS_INVALID_DEVICE_REQUEST)
    case Kind.Device:
      return transfer(node, Irp)
    case Kind.Text:
      return node.IsGone === 0 ? tell(Irp, textOf(node.Target)) : complete(Irp, STATUS_DEVICE_NOT_CONNECTED)
    default: {
      const { status, value } = await valueOf(node)
      return NT_SUCCESS(status) ? tell(Irp, String(value)) : complete(Irp, status)
    }
  }
}

/** Completes a read with the part of a text that it asks for. */
function tell(Irp: IRP, text: string): NTSTATUS {
  const { Length, ByteOffset } = IoGetCurrentIrpStackLocation(Irp).Parameters.Read
  if (Length === 0) return complete(Irp, STATUS_SUCCESS)
  if (ByteOffset >= BigInt(text.length)) return complete(Irp, STATUS_END_OF_FILE)
  const part = text.slice(Number(ByteOffset), Number(ByteOffset) + Length)
  const { Data } = new BYTES(Irp.AssociatedIrp.SystemBuffer)
  for (let index = 0; index < part.length; index++) Data[index] = part.charCodeAt(index)
  return complete(Irp, STATUS_SUCCESS, part.length)
}

/** @irql PASSIVE_LEVEL */
export async function writeNode(node: NODE, Irp: IRP): Promise<NTSTATUS> {
  if (node.Kind === Kind.Device) return transfer(node, Irp)
  if (node.Kind === Kind.Pin) return writePin(node, Irp)
  return complete(Irp, node.Kind === Kind.Directory ? STATUS_INVALID_DEVICE_REQUEST : STATUS_ACCESS_DENIED)
}

/** A read or write of the device that the file stands for. */
async function transfer(node: NODE, Irp: IRP): Promise<NTSTATUS> {
  if (node.IsGone !== 0) return complete(Irp, STATUS_DEVICE_NOT_CONNECTED)
  const { MajorFunction } = IoGetCurrentIrpStackLocation(Irp)
  const { status, information } = await forwardTransfer(textOf(node.Target), Irp)
  if (!NT_SUCCESS(status)) {
    // With its board its device has lost its name, and may say so first.
    return complete(Irp, node.IsGone === 0 ? status : STATUS_DEVICE_NOT_CONNECTED)
  }
  if (MajorFunction === IRP_MJ_WRITE) await tellWritten(node)
  return complete(Irp, status, information)
}

const ZERO = 0x30
const ONE = 0x31

/** `0` or `1`, as the first byte. The driver of the pins does it: it has their registers, and a lock for them. */
async function writePin(node: NODE, Irp: IRP): Promise<NTSTATUS> {
  const { Length } = IoGetCurrentIrpStackLocation(Irp).Parameters.Write
  const digit = Length === 0 ? 0 : new BYTES(Irp.AssociatedIrp.SystemBuffer).Data[0]
  if (digit !== ZERO && digit !== ONE) return complete(Irp, STATUS_INVALID_PARAMETER)
  const { status, value } = await withBoard(node, ({ Windows }) => ({
    status: STATUS_SUCCESS,
    value: READ_REGISTER_ULONG((Windows[node.Window] ?? 0) + Gpio.DIRECTION),
  }))
  if (!NT_SUCCESS(status)) return complete(Irp, status)
  if (((value >>> node.Value) & 1) === 0) return complete(Irp, STATUS_ACCESS_DENIED) // an input
  const written = await setPin(node, digit - ZERO)
  if (!NT_SUCCESS(written)) return complete(Irp, node.IsGone === 0 ? written : STATUS_DEVICE_NOT_CONNECTED)
  await tellWritten(node)
  return complete(Irp, STATUS_SUCCESS, Length)
}

async function setPin(node: NODE, level: number): Promise<NTSTATUS> {
  const setting = PIN_LEVEL.at(ExAllocatePool2(POOL_FLAG_NON_PAGED, PIN_LEVEL.size, 'BfPn'))
  if (setting === null) return STATUS_INSUFFICIENT_RESOURCES
  setting.Pin = node.Value
  setting.Level = level
  const status = await forwardControl(textOf(node.Target), IOCTL_GPIO_WRITE_PIN, setting.address, PIN_LEVEL.size)
  ExFreePool(setting)
  return status
}

function tellWritten(node: NODE): Promise<void> {
  return withTree(async () => {
    if (node.IsGone === 0) await report(node, FILE_NOTIFY_CHANGE_LAST_WRITE, FILE_ACTION_MODIFIED)
  })
}
