/** The port's hardware: found, prepared, connected, and let go of. */
import { Uart } from 'dirql/uart'
import {
  type DEVICE_OBJECT,
  ExAllocatePool2,
  ExFreePool,
  flush,
  IoDisconnectInterrupt,
  KeCancelTimer,
  KeFlushQueuedDpcs,
  KeRemoveQueueDpc,
  type KINTERRUPT,
  MmMapIoSpace,
  MmNonCached,
  MmUnmapIoSpace,
  NT_SUCCESS,
  type NTSTATUS,
  out,
  POOL_FLAG_NON_PAGED,
  READ_REGISTER_ULONG,
  readFresh,
  STATUS_DEVICE_NOT_CONNECTED,
  STATUS_INSUFFICIENT_RESOURCES,
  STATUS_SUCCESS,
  STATUS_UNSUCCESSFUL,
} from 'dirql/wdm'
import { connectInterrupt, type InterruptResource, type Resources } from '../lib/pnp.ts'
import { drain } from '../lib/requests.ts'
import { ctsIsr, dataIsr, dcdIsr, dsrIsr, MODEM_LINES, riIsr, transmitIsr } from './interrupts.ts'
import { SERIAL_DTR_CONTROL, SERIAL_RTS_CONTROL } from './ntddser.ts'
import { LINES, type PORT, portOf, withLock } from './port.ts'

const WINDOW_BYTES = 0x800
const RING_BYTES = 4096
const XON = 0x11
const XOFF = 0x13
/** In the order of the class's lines. */
const ISRS = [dataIsr, transmitIsr, ctsIsr, dsrIsr, riIsr, dcdIsr]

/** @irql PASSIVE_LEVEL */
export async function start(device: DEVICE_OBJECT, { windows, interrupts }: Resources): Promise<NTSTATUS> {
  const port = portOf(device)
  const [window] = windows
  if (window === undefined || interrupts.length < LINES) return STATUS_UNSUCCESSFUL
  port.Registers = MmMapIoSpace(window, WINDOW_BYTES, MmNonCached)
  port.Ring = ExAllocatePool2(POOL_FLAG_NON_PAGED, RING_BYTES, 'Comm')
  const isReady = port.Registers !== 0 && port.Ring !== 0
  const status = isReady ? await prepare(port) : STATUS_INSUFFICIENT_RESOURCES
  const connected = NT_SUCCESS(status) ? connectAll(port, interrupts) : status
  if (!NT_SUCCESS(connected)) {
    await letGo(port)
    return connected
  }
  withLock(port, () => {
    port.IsThere = 1
    for (const queue of [port.Reads, port.Writes, port.Waits]) queue.IsOpen = 1
  })
  return STATUS_SUCCESS
}

/** What the port has counted before this driver, and how its lines are. */
async function prepare(port: PORT): Promise<NTSTATUS> {
  const { Registers } = port
  const status = await flush(Registers)
  if (!NT_SUCCESS(status)) return status
  port.Written = await fresh(Registers + Uart.WRITTEN)
  for (const [index, { level, count, bit }] of MODEM_LINES.entries()) {
    port.ModemCounts[index] = await fresh(Registers + count)
    if ((await fresh(Registers + level)) !== 0) port.Modem |= bit
  }
  port.Received = READ_REGISTER_ULONG(Registers + Uart.RECEIVED)
  port.BaudRate = READ_REGISTER_ULONG(Registers + Uart.BAUD)
  port.ModemControl = READ_REGISTER_ULONG(Registers + Uart.MODEM_CONTROL)
  port.LineControl.WordLength = 8
  port.RingSize = RING_BYTES
  port.HandFlow.ControlHandShake = SERIAL_DTR_CONTROL
  port.HandFlow.FlowReplace = SERIAL_RTS_CONTROL
  port.HandFlow.XonLimit = RING_BYTES / 2
  port.HandFlow.XoffLimit = RING_BYTES / 8
  port.Chars.XonChar = XON
  port.Chars.XoffChar = XOFF
  port.IsEmptyTold = 1
  return STATUS_SUCCESS
}

async function fresh(register: number): Promise<number> {
  const value = out<number>()
  return NT_SUCCESS(await readFresh(register, value)) ? value.value : 0
}

function connectAll(port: PORT, interrupts: readonly InterruptResource[]): NTSTATUS {
  const shared = { lock: port.InterruptLock, synchronizeIrql: Math.max(...interrupts.map(({ level }) => level)) }
  for (const [index, isr] of ISRS.entries()) {
    const box = out<KINTERRUPT | null>()
    const status = connectInterrupt(interrupts[index] as InterruptResource, isr, port, box, shared)
    if (!NT_SUCCESS(status)) return status
    port.Interrupts.set(index, box.value)
  }
  return STATUS_SUCCESS
}

/** Ends what waits, and lets go of the hardware. Harmless when done before. @irql PASSIVE_LEVEL */
export async function stop(device: DEVICE_OBJECT): Promise<void> {
  const port = portOf(device)
  const wasThere = withLock(port, () => {
    const { IsThere } = port
    port.IsThere = 0
    for (const queue of [port.Reads, port.Writes, port.Waits]) queue.IsOpen = 0
    return IsThere !== 0
  })
  if (!wasThere) return
  await letGo(port)
  for (const queue of [port.Reads, port.Writes, port.Waits]) drain(queue, STATUS_DEVICE_NOT_CONNECTED)
}

async function letGo(port: PORT): Promise<void> {
  for (let index = 0; index < LINES; index++) {
    const interrupt = port.Interrupts.at(index)
    if (interrupt !== null) await IoDisconnectInterrupt(interrupt)
    port.Interrupts.set(index, null)
  }
  KeCancelTimer(port.Timer)
  KeRemoveQueueDpc(port.Dpc)
  await KeFlushQueuedDpcs()
  if (port.Registers !== 0) MmUnmapIoSpace(port.Registers, WINDOW_BYTES)
  if (port.Ring !== 0) ExFreePool(port.Ring)
  port.Registers = 0
  port.Ring = 0
}
