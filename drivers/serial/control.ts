/** What the control codes of a serial port do that end at once. Each runs with the port's lock held. */
import { Uart, UART_TRANSMIT_ROOM, UartModemControl, UartParity, uartLineControl } from 'dirql/uart'
import {
  copyStruct,
  NT_SUCCESS,
  type NTSTATUS,
  RtlZeroMemory,
  STATUS_BUFFER_TOO_SMALL,
  STATUS_DEVICE_NOT_CONNECTED,
  STATUS_INVALID_DEVICE_REQUEST,
  STATUS_INVALID_PARAMETER,
  STATUS_NOT_SUPPORTED,
  STATUS_SUCCESS,
  struct,
  ULONG,
  WRITE_REGISTER_ULONG,
} from 'dirql/wdm'
import { firstRequest } from '../lib/requests.ts'
import * as Ser from './ntddser.ts'
import { type PORT, withInterrupts, withLock } from './port.ts'
import { received, setModemControl } from './receive.ts'
import { holdReasons, unsent, Write } from './transfer.ts'

/** The largest receive buffer: a request's buffer is no larger either. */
export const MOST_QUEUED = 0x10000

/** Many codes take or give nothing but this. */
export const WORD = struct('SERIAL_WORD', { Value: ULONG })

/** A code: bytes that its input and output have at least, and what it does with the request's buffer. */
interface Code {
  input?: number
  output?: number
  run(port: PORT, buffer: number): NTSTATUS | void
}

/** Takes a ULONG. */
const takes = (run: (port: PORT, value: number) => NTSTATUS | void): Code => ({
  input: WORD.size,
  run: (port, buffer) => run(port, new WORD(buffer).Value),
})
/** Gives a ULONG. */
const gives = (run: (port: PORT) => number): Code => ({
  output: WORD.size,
  run: (port, buffer) => {
    new WORD(buffer).Value = run(port)
  },
})
const does = (run: (port: PORT) => NTSTATUS | void): Code => ({ run: (port) => run(port) })

const CODES = new Map<number, Code>([
  [Ser.IOCTL_SERIAL_SET_BAUD_RATE, takes(setBaudRate)],
  [Ser.IOCTL_SERIAL_GET_BAUD_RATE, gives((port) => port.BaudRate)],
  [Ser.IOCTL_SERIAL_SET_LINE_CONTROL, { input: Ser.SERIAL_LINE_CONTROL.size, run: setLineControl }],
  [
    Ser.IOCTL_SERIAL_GET_LINE_CONTROL,
    { output: Ser.SERIAL_LINE_CONTROL.size, run: (port, buffer) => copyLineControl(buffer, port.LineControl) },
  ],
  [Ser.IOCTL_SERIAL_SET_TIMEOUTS, { input: Ser.SERIAL_TIMEOUTS.size, run: setTimeouts }],
  [
    Ser.IOCTL_SERIAL_GET_TIMEOUTS,
    {
      output: Ser.SERIAL_TIMEOUTS.size,
      run: (port, buffer) => copyStruct(new Ser.SERIAL_TIMEOUTS(buffer), port.Timeouts),
    },
  ],
  [Ser.IOCTL_SERIAL_SET_CHARS, { input: Ser.SERIAL_CHARS.size, run: setChars }],
  [
    Ser.IOCTL_SERIAL_GET_CHARS,
    { output: Ser.SERIAL_CHARS.size, run: (port, buffer) => copyStruct(new Ser.SERIAL_CHARS(buffer), port.Chars) },
  ],
  [Ser.IOCTL_SERIAL_SET_HANDFLOW, { input: Ser.SERIAL_HANDFLOW.size, run: setHandFlow }],
  [
    Ser.IOCTL_SERIAL_GET_HANDFLOW,
    {
      output: Ser.SERIAL_HANDFLOW.size,
      run: (port, buffer) => copyStruct(new Ser.SERIAL_HANDFLOW(buffer), port.HandFlow),
    },
  ],
  [Ser.IOCTL_SERIAL_SET_DTR, does((port) => setLine(port, UartModemControl.DTR, true))],
  [Ser.IOCTL_SERIAL_CLR_DTR, does((port) => setLine(port, UartModemControl.DTR, false))],
  [Ser.IOCTL_SERIAL_SET_RTS, does((port) => setLine(port, UartModemControl.RTS, true))],
  [Ser.IOCTL_SERIAL_CLR_RTS, does((port) => setLine(port, UartModemControl.RTS, false))],
  [Ser.IOCTL_SERIAL_GET_DTRRTS, gives((port) => port.ModemControl & LINES)],
  [Ser.IOCTL_SERIAL_GET_MODEM_CONTROL, gives((port) => port.ModemControl & LINES)],
  [
    Ser.IOCTL_SERIAL_SET_MODEM_CONTROL,
    takes((port, value) => setModemControl(port, (port.ModemControl & ~LINES) | (value & LINES))),
  ],
  [Ser.IOCTL_SERIAL_SET_BREAK_ON, does((port) => setModemControl(port, port.ModemControl | UartModemControl.BREAK))],
  [Ser.IOCTL_SERIAL_SET_BREAK_OFF, does((port) => setModemControl(port, port.ModemControl & ~UartModemControl.BREAK))],
  [Ser.IOCTL_SERIAL_SET_XOFF, does((port) => setXoff(port, true))],
  [Ser.IOCTL_SERIAL_SET_XON, does((port) => setXoff(port, false))],
  [Ser.IOCTL_SERIAL_GET_WAIT_MASK, gives((port) => port.WaitMask)],
  [Ser.IOCTL_SERIAL_GET_MODEMSTATUS, gives(takeModemStatus)],
  [Ser.IOCTL_SERIAL_GET_COMMSTATUS, { output: Ser.SERIAL_STATUS.size, run: tellStatus }],
  [
    Ser.IOCTL_SERIAL_GET_STATS,
    {
      output: Ser.SERIALPERF_STATS.size,
      run: (port, buffer) => withInterrupts(port, () => copyStruct(new Ser.SERIALPERF_STATS(buffer), port.Statistics)),
    },
  ],
  [
    Ser.IOCTL_SERIAL_CLEAR_STATS,
    does((port) => withInterrupts(port, () => RtlZeroMemory(port.Statistics, Ser.SERIALPERF_STATS.size))),
  ],
  [Ser.IOCTL_SERIAL_GET_PROPERTIES, { output: Ser.SERIAL_COMMPROP.size, run: tellProperties }],
  [Ser.IOCTL_SERIAL_CONFIG_SIZE, gives(() => 0)],
  [Ser.IOCTL_SERIAL_RESET_DEVICE, does(() => {})],
])
const LINES = UartModemControl.DTR | UartModemControl.RTS

/** What a request was answered. */
export interface Answer {
  status: NTSTATUS
  information: number
}

/** Carries out a control code. @irql <= DISPATCH_LEVEL */
export function answer(port: PORT, code: number, buffer: number, input: number, output: number): Answer {
  const known = CODES.get(code)
  if (known === undefined) return { status: STATUS_INVALID_DEVICE_REQUEST, information: 0 }
  const { input: least = 0, output: room = 0 } = known
  if (input < least || output < room) return { status: STATUS_BUFFER_TOO_SMALL, information: 0 }
  const status = withLock(port, () =>
    port.IsThere === 0 ? STATUS_DEVICE_NOT_CONNECTED : (known.run(port, buffer) ?? STATUS_SUCCESS),
  )
  return { status, information: NT_SUCCESS(status) ? room : 0 }
}

function setBaudRate(port: PORT, rate: number): NTSTATUS {
  if (rate === 0) return STATUS_INVALID_PARAMETER
  port.BaudRate = rate
  WRITE_REGISTER_ULONG(port.Registers + Uart.BAUD, rate)
  return STATUS_SUCCESS
}

const PARITIES = Object.keys(UartParity) as (keyof typeof UartParity)[]

/** The class has one or two stop bits, not one and a half. */
function setLineControl(port: PORT, buffer: number): NTSTATUS {
  const wanted = new Ser.SERIAL_LINE_CONTROL(buffer)
  const { StopBits, WordLength } = wanted
  const parity = PARITIES[wanted.Parity]
  const stopBits = StopBits === Ser.STOP_BITS_2 ? 2 : 1
  const isStopKnown = StopBits === Ser.STOP_BIT_1 || StopBits === Ser.STOP_BITS_2
  if (!isStopKnown || parity === undefined || WordLength < 5 || WordLength > 8) return STATUS_INVALID_PARAMETER
  copyStruct(port.LineControl, wanted)
  const control = uartLineControl({ dataBits: WordLength, stopBits, parity, rtsCts: false, xonXoff: false })
  WRITE_REGISTER_ULONG(port.Registers + Uart.LINE_CONTROL, control)
  return STATUS_SUCCESS
}

function copyLineControl(buffer: number, from: InstanceType<typeof Ser.SERIAL_LINE_CONTROL>): void {
  copyStruct(new Ser.SERIAL_LINE_CONTROL(buffer), from)
}

function setTimeouts(port: PORT, buffer: number): NTSTATUS {
  const wanted = new Ser.SERIAL_TIMEOUTS(buffer)
  const { ReadIntervalTimeout, ReadTotalTimeoutMultiplier, ReadTotalTimeoutConstant } = wanted
  const reads = [ReadIntervalTimeout, ReadTotalTimeoutMultiplier, ReadTotalTimeoutConstant]
  if (reads.every((ms) => ms === Ser.MAXULONG)) return STATUS_INVALID_PARAMETER
  copyStruct(port.Timeouts, wanted)
  return STATUS_SUCCESS
}

function setChars(port: PORT, buffer: number): NTSTATUS {
  const wanted = new Ser.SERIAL_CHARS(buffer)
  if (wanted.XonChar === wanted.XoffChar) return STATUS_INVALID_PARAMETER
  withInterrupts(port, () => copyStruct(port.Chars, wanted))
  return STATUS_SUCCESS
}

/** What a wire without its own UART cannot do. */
const CONTROL_UNKNOWN = Ser.SERIAL_ERROR_ABORT | Ser.SERIAL_DSR_SENSITIVITY
const FLOW_UNKNOWN = Ser.SERIAL_ERROR_CHAR | Ser.SERIAL_BREAK_CHAR

function setHandFlow(port: PORT, buffer: number): NTSTATUS {
  const wanted = new Ser.SERIAL_HANDFLOW(buffer)
  const { ControlHandShake, FlowReplace, XonLimit, XoffLimit } = wanted
  const dtr = ControlHandShake & Ser.SERIAL_DTR_MASK
  const rts = FlowReplace & Ser.SERIAL_RTS_MASK
  const isInvalid =
    (ControlHandShake & Ser.SERIAL_CONTROL_INVALID) !== 0 || (FlowReplace & Ser.SERIAL_FLOW_INVALID) !== 0
  if (isInvalid || dtr === Ser.SERIAL_DTR_MASK) return STATUS_INVALID_PARAMETER
  if (XonLimit < 0 || XonLimit > port.RingSize || XoffLimit < 0 || XoffLimit > port.RingSize) {
    return STATUS_INVALID_PARAMETER
  }
  const isUnknown = (ControlHandShake & CONTROL_UNKNOWN) !== 0 || (FlowReplace & FLOW_UNKNOWN) !== 0
  if (isUnknown || rts === Ser.SERIAL_TRANSMIT_TOGGLE) return STATUS_NOT_SUPPORTED
  withInterrupts(port, () => {
    copyStruct(port.HandFlow, wanted)
    // Who does not listen to XOFF has not heard it.
    if ((FlowReplace & Ser.SERIAL_AUTO_TRANSMIT) === 0) port.IsXoffReceived = 0
  })
  if ((FlowReplace & Ser.SERIAL_AUTO_RECEIVE) === 0) port.IsXoffSent = port.PendingChar = 0
  port.IsHeld = 0 // looked at anew
  // A line that nobody drives is off; one with handshake begins on.
  const lines = (dtr === 0 ? 0 : UartModemControl.DTR) | (rts === 0 ? 0 : UartModemControl.RTS)
  setModemControl(port, (port.ModemControl & ~LINES) | lines)
  return STATUS_SUCCESS
}

/** A line that flow control drives is nobody else's. */
function setLine(port: PORT, line: number, isOn: boolean): NTSTATUS {
  const { ControlHandShake, FlowReplace } = port.HandFlow
  const isTaken =
    line === UartModemControl.DTR
      ? (ControlHandShake & Ser.SERIAL_DTR_MASK) === Ser.SERIAL_DTR_HANDSHAKE
      : (FlowReplace & Ser.SERIAL_RTS_HANDSHAKE) !== 0
  if (isTaken) return STATUS_INVALID_PARAMETER
  setModemControl(port, isOn ? port.ModemControl | line : port.ModemControl & ~line)
  return STATUS_SUCCESS
}

/** As if the other side had sent it. */
function setXoff(port: PORT, isXoff: boolean): void {
  withInterrupts(port, () => {
    port.IsXoffReceived = isXoff ? 1 : 0
  })
}

const MSR_CHANGES = 0xf

function takeModemStatus(port: PORT): number {
  return withInterrupts(port, () => {
    const { Modem } = port
    port.Modem = Modem & ~MSR_CHANGES
    return Modem
  })
}

function tellStatus(port: PORT, buffer: number): void {
  const status = new Ser.SERIAL_STATUS(buffer)
  status.Errors = withInterrupts(port, () => {
    const { Errors } = port
    port.Errors = 0
    return Errors
  })
  status.HoldReasons = holdReasons(port)
  status.AmountInInQueue = received(port)
  status.AmountInOutQueue = unsent(port)
  status.EofReceived = false
  status.WaitForImmediate = firstRequest(port.Writes)?.Kind === Write.Immediate
}

function tellProperties(port: PORT, buffer: number): void {
  RtlZeroMemory(buffer, Ser.SERIAL_COMMPROP.size)
  const properties = new Ser.SERIAL_COMMPROP(buffer)
  properties.PacketLength = Ser.SERIAL_COMMPROP.size
  properties.PacketVersion = 2
  properties.ServiceMask = Ser.SERIAL_SP_SERIALCOMM
  properties.MaxTxQueue = UART_TRANSMIT_ROOM
  properties.MaxRxQueue = MOST_QUEUED
  properties.MaxBaud = Ser.SERIAL_BAUD_USER
  properties.ProvSubType = Ser.SERIAL_SP_RS232
  properties.ProvCapabilities =
    Ser.SERIAL_PCF_DTRDSR |
    Ser.SERIAL_PCF_RTSCTS |
    Ser.SERIAL_PCF_CD |
    Ser.SERIAL_PCF_XONXOFF |
    Ser.SERIAL_PCF_SETXCHAR |
    Ser.SERIAL_PCF_TOTALTIMEOUTS |
    Ser.SERIAL_PCF_INTTIMEOUTS |
    Ser.SERIAL_PCF_SPECIALCHARS
  properties.SettableParams =
    Ser.SERIAL_SP_PARITY |
    Ser.SERIAL_SP_BAUD |
    Ser.SERIAL_SP_DATABITS |
    Ser.SERIAL_SP_STOPBITS |
    Ser.SERIAL_SP_HANDSHAKING
  properties.SettableBaud = Ser.SERIAL_BAUD_USER
  properties.SettableData =
    Ser.SERIAL_DATABITS_5 | Ser.SERIAL_DATABITS_6 | Ser.SERIAL_DATABITS_7 | Ser.SERIAL_DATABITS_8
  properties.SettableStopParity =
    Ser.SERIAL_STOPBITS_10 |
    Ser.SERIAL_STOPBITS_20 |
    Ser.SERIAL_PARITY_NONE |
    Ser.SERIAL_PARITY_ODD |
    Ser.SERIAL_PARITY_EVEN |
    Ser.SERIAL_PARITY_MARK |
    Ser.SERIAL_PARITY_SPACE
  properties.CurrentRxQueue = port.RingSize
}
