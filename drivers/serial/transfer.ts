/** Reads, writes and waits for events: what each needs to go on, and when it ends. */
import { Uart, UART_TRANSMIT_ROOM, UartModemControl } from 'dirql/uart'
import {
  KeQueryInterruptTime,
  KeSetTimer,
  STATUS_SUCCESS,
  STATUS_TIMEOUT,
  WRITE_REGISTER_BUFFER_UCHAR,
  WRITE_REGISTER_UCHAR,
} from 'dirql/wdm'
import { BYTES } from '../lib/irp.ts'
import { finish, firstRequest, type REQUEST, serve } from '../lib/requests.ts'
import { roomAt } from '../lib/window.ts'
import {
  MAXULONG,
  SERIAL_CTS_HANDSHAKE,
  SERIAL_DCD_HANDSHAKE,
  SERIAL_DSR_HANDSHAKE,
  SERIAL_EV_TXEMPTY,
  SERIAL_MSR_CTS,
  SERIAL_MSR_DCD,
  SERIAL_MSR_DSR,
  SERIAL_TX_WAITING_FOR_CTS,
  SERIAL_TX_WAITING_FOR_DCD,
  SERIAL_TX_WAITING_FOR_DSR,
  SERIAL_TX_WAITING_FOR_XON,
  SERIAL_TX_WAITING_ON_BREAK,
  SERIAL_TX_WAITING_XOFF_SENT,
  SERIAL_XOFF_CONTINUE,
  SERIAL_OUT_HANDSHAKEMASK,
  SERIAL_AUTO_TRANSMIT,
} from './ntddser.ts'
import { type PORT, withInterrupts, withLock } from './port.ts'
import { happened, regulate, takeBytes } from './receive.ts'

const TICKS_PER_MS = 10_000
/** Ten years: what takes longer has no end. */
const LONGEST_MS = 3e11
/** With flow control, what is on its way should be little: it cannot be stopped any more. */
const FEW = 16

/** Kinds of writes. */
export const Write = { Data: 0, Immediate: 1, Flush: 2 } as const

// Words of a read.
const INTERVAL_MS = 0
const IS_EAGER = 1 // gives what there is, as soon as there is anything

const now = (): number => Number(KeQueryInterruptTime())

/** Serves all that waits. @irql <= DISPATCH_LEVEL */
export function serveAll(port: PORT): void {
  serve(port.Reads, (request) => port.IsThere !== 0 && stepRead(port, request))
  serve(port.Writes, (request) => port.IsThere !== 0 && stepWrite(port, request))
  withLock(port, () => {
    if (port.IsThere === 0) return
    regulate(port)
    sendPendingChar(port)
    tellEmpty(port)
  })
  serve(port.Waits, (request) => port.IsThere !== 0 && stepWait(port, request))
}

// Reads.

/** Lock held. */
function stepRead(port: PORT, request: REQUEST): boolean {
  const started = request.IsStarted !== 0 || startRead(port, request)
  const count = takeBytes(port, request.Buffer + request.Done, request.Length - request.Done)
  request.Done += count
  const time = now()
  if (count > 0) request.NewestByte = time
  const { Done, Length, Deadline, Words } = request
  if (Done === Length || !started) return finish(request, STATUS_SUCCESS)
  if (Words[IS_EAGER] !== 0 && Done > 0) return finish(request, STATUS_SUCCESS)
  const intervalMs = Words[INTERVAL_MS] ?? 0
  const silence = intervalMs > 0 && Done > 0 ? request.NewestByte + intervalMs * TICKS_PER_MS : Infinity
  return finishAt(port, request, Math.min(silence, Deadline || Infinity), time)
}

/** FALSE when the read takes what there is, and does not wait at all. */
function startRead(port: PORT, request: REQUEST): boolean {
  const { ReadIntervalTimeout, ReadTotalTimeoutMultiplier, ReadTotalTimeoutConstant } = port.Timeouts
  request.IsStarted = 1
  request.Deadline = 0
  const isQuick = ReadIntervalTimeout === MAXULONG
  if (isQuick && ReadTotalTimeoutMultiplier === 0 && ReadTotalTimeoutConstant === 0) return false
  // MAXULONG as a multiplier means: the constant alone, and whatever came.
  const multiplier = isQuick && ReadTotalTimeoutMultiplier === MAXULONG ? 0 : ReadTotalTimeoutMultiplier
  request.Words[INTERVAL_MS] = isQuick ? 0 : ReadIntervalTimeout
  request.Words[IS_EAGER] = isQuick && ReadTotalTimeoutConstant !== MAXULONG ? 1 : 0
  if (!isQuick || ReadTotalTimeoutConstant !== MAXULONG) {
    request.Deadline = deadline(multiplier, ReadTotalTimeoutConstant, request.Length)
  }
  return true
}

/** 0 when there is none. */
function deadline(multiplier: number, constant: number, length: number): number {
  const ms = multiplier * length + constant
  return ms === 0 || ms > LONGEST_MS ? 0 : now() + ms * TICKS_PER_MS
}

/** Ends the request when its time is over, and sees to it that somebody looks then. Lock held. */
function finishAt(port: PORT, request: REQUEST, time: number, present: number): boolean {
  if (present >= time) return finish(request, STATUS_TIMEOUT)
  if (time === Infinity || (port.NextTimeout !== 0 && port.NextTimeout <= time)) return false
  port.NextTimeout = time
  KeSetTimer(port.Timer, -Math.max(1, Math.ceil(time - present)), port.TimerDpc)
  return false
}

// Writes.

/** Lock held. */
function stepWrite(port: PORT, request: REQUEST): boolean {
  if (request.IsStarted === 0) {
    const { WriteTotalTimeoutMultiplier, WriteTotalTimeoutConstant } = port.Timeouts
    request.IsStarted = 1
    request.Deadline = deadline(WriteTotalTimeoutMultiplier, WriteTotalTimeoutConstant, request.Length)
  }
  sendPendingChar(port)
  const isDone = request.Kind === Write.Flush ? room(port) === UART_TRANSMIT_ROOM : send(port, request)
  if (isDone) return endWrite(request)
  return finishAt(port, request, request.Deadline || Infinity, now())
}

/** IOCTL_SERIAL_IMMEDIATE_CHAR gives nothing back. */
function endWrite(request: REQUEST): true {
  if (request.Kind === Write.Immediate) request.Done = 0
  return finish(request, STATUS_SUCCESS)
}

const room = (port: PORT): number => withInterrupts(port, () => roomAt(port.Registers + Uart.ROOM, port.Written))

/** Whether all of it was sent. Lock held. */
function send(port: PORT, request: REQUEST): boolean {
  const reasons = holdReasons(port)
  // What is urgent is sent to one who has said XOFF, too.
  const held = request.Kind === Write.Immediate ? reasons & ~SERIAL_TX_WAITING_FOR_XON : reasons
  if (held === 0) {
    const count = Math.min(mayBeSent(port), request.Length - request.Done)
    if (count > 0) WRITE_REGISTER_BUFFER_UCHAR(port.Registers + Uart.DATA, request.Buffer + request.Done, count)
    request.Done += count
    sent(port, count)
  }
  return request.Done === request.Length
}

/** Bytes that may be written now. */
function mayBeSent(port: PORT): number {
  const free = room(port)
  if (!isRegulated(port)) return free
  return Math.max(0, FEW - (UART_TRANSMIT_ROOM - free))
}

const isRegulated = ({ HandFlow: { ControlHandShake, FlowReplace } }: PORT): boolean =>
  (ControlHandShake & SERIAL_OUT_HANDSHAKEMASK) !== 0 || (FlowReplace & SERIAL_AUTO_TRANSMIT) !== 0

function sent(port: PORT, count: number): void {
  if (count === 0) return
  withInterrupts(port, () => {
    port.Written += count
    port.Statistics.TransmittedCount += count
  })
  port.IsEmptyTold = 0
}

/** XON or XOFF goes ahead of all else. Lock held. */
function sendPendingChar(port: PORT): void {
  const { PendingChar, ModemControl } = port
  if (PendingChar === 0 || room(port) === 0 || (ModemControl & UartModemControl.BREAK) !== 0) return
  WRITE_REGISTER_UCHAR(port.Registers + Uart.DATA, PendingChar - 1)
  port.IsXoffSent = PendingChar - 1 === port.Chars.XoffChar ? 1 : 0
  port.PendingChar = 0
  sent(port, 1)
}

/** Why nothing is sent: SERIAL_TX_WAITING_…, 0 when all may be. Lock held. */
export function holdReasons(port: PORT): number {
  const { modem, isXoffReceived } = withInterrupts(port, () => ({
    modem: port.Modem,
    isXoffReceived: port.IsXoffReceived !== 0,
  }))
  const { ControlHandShake, FlowReplace } = port.HandFlow
  const lacks = (handshake: number, level: number): boolean =>
    (ControlHandShake & handshake) !== 0 && (modem & level) === 0
  let reasons = 0
  if (lacks(SERIAL_CTS_HANDSHAKE, SERIAL_MSR_CTS)) reasons |= SERIAL_TX_WAITING_FOR_CTS
  if (lacks(SERIAL_DSR_HANDSHAKE, SERIAL_MSR_DSR)) reasons |= SERIAL_TX_WAITING_FOR_DSR
  if (lacks(SERIAL_DCD_HANDSHAKE, SERIAL_MSR_DCD)) reasons |= SERIAL_TX_WAITING_FOR_DCD
  if (isXoffReceived) reasons |= SERIAL_TX_WAITING_FOR_XON
  // Many take any byte for XON: who has said XOFF says nothing more.
  if (port.IsXoffSent !== 0 && (FlowReplace & SERIAL_XOFF_CONTINUE) === 0) reasons |= SERIAL_TX_WAITING_XOFF_SENT
  if ((port.ModemControl & UartModemControl.BREAK) !== 0) reasons |= SERIAL_TX_WAITING_ON_BREAK
  return reasons
}

/** Bytes of writes that wait. Lock held. */
export function unsent(port: PORT): number {
  const first = firstRequest(port.Writes)
  return first === null || first.Kind === Write.Flush ? 0 : first.Length - first.Done
}

/** All that was written has left the port. Lock held. */
function tellEmpty(port: PORT): void {
  if (port.IsEmptyTold !== 0 || firstRequest(port.Writes) !== null || room(port) !== UART_TRANSMIT_ROOM) return
  port.IsEmptyTold = 1
  withInterrupts(port, () => happened(port, SERIAL_EV_TXEMPTY))
}

// Waits for events.

const EVENTS_BYTES = 4

/** Lock held. */
function stepWait(port: PORT, request: REQUEST): boolean {
  const events = withInterrupts(port, () => {
    const { History } = port
    port.History = 0
    return History
  })
  return events !== 0 && endWait(request, events)
}

/** Tells a wait what has happened. Lock held. */
export function endWait(request: REQUEST, events: number): true {
  const { Data } = new BYTES(request.Buffer)
  for (let index = 0; index < EVENTS_BYTES; index++) Data[index] = (events >>> (8 * index)) & 0xff
  request.Done = EVENTS_BYTES
  return finish(request, STATUS_SUCCESS)
}
