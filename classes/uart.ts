/** The uart class: a serial port with its modem lines (docs/hardware/uart.md). */
import { type DeviceClass, offsetsOf } from './device.ts'

/** Bytes that the transmitter takes before the first of them has left. */
export const UART_TRANSMIT_ROOM = 256

const registers = [
  { name: 'DATA', offset: 0x00, kind: 'fifo', width: 1, room: 8192 },
  { name: 'DATA_LEVEL', offset: 0x04, kind: 'level', of: 0x00 },
  { name: 'MODEM_CONTROL', offset: 0x08, kind: 'control', reset: 0x3 },
  { name: 'LINE_CONTROL', offset: 0x0c, kind: 'control', reset: 0x18 },
  { name: 'BAUD', offset: 0x10, kind: 'control', reset: 115_200 },
  { name: 'MODEM_STATUS', offset: 0x14, kind: 'status' },
  { name: 'MODEM_COUNTED', offset: 0x18, kind: 'status' },
  { name: 'RECEIVED', offset: 0x1c, kind: 'count' },
  { name: 'FRAMING_ERRORS', offset: 0x20, kind: 'count' },
  { name: 'PARITY_ERRORS', offset: 0x24, kind: 'count' },
  { name: 'OVERRUNS', offset: 0x28, kind: 'count' },
  { name: 'BREAKS', offset: 0x2c, kind: 'count' },
  { name: 'ROOM', offset: 0x30, kind: 'count', reset: UART_TRANSMIT_ROOM },
  { name: 'WRITTEN', offset: 0x34, kind: 'count' },
  { name: 'CTS', offset: 0x40, kind: 'status' },
  { name: 'CTS_COUNT', offset: 0x44, kind: 'count' },
  { name: 'DSR', offset: 0x48, kind: 'status' },
  { name: 'DSR_COUNT', offset: 0x4c, kind: 'count' },
  { name: 'RI', offset: 0x50, kind: 'status' },
  { name: 'RI_COUNT', offset: 0x54, kind: 'count' },
  { name: 'DCD', offset: 0x58, kind: 'status' },
  { name: 'DCD_COUNT', offset: 0x5c, kind: 'count' },
] as const

/** Offsets in the register window. */
export const Uart = offsetsOf(registers)

/** Bits of MODEM_CONTROL. */
export const UartModemControl = { DTR: 1 << 0, RTS: 1 << 1, BREAK: 1 << 2 } as const

/** Bits of MODEM_STATUS and MODEM_COUNTED. */
export const UartModem = { CTS: 1 << 0, DSR: 1 << 1, RI: 1 << 2, DCD: 1 << 3 } as const

/** Fields of LINE_CONTROL. */
export const UartLineControl = {
  DATA_BITS: 0xf, // 5 to 8
  STOP_BITS_SHIFT: 4, // 1 or 2, two bits
  PARITY_SHIFT: 8, // UartParity, three bits
  RTS_CTS: 1 << 12,
  XON_XOFF: 1 << 13,
} as const
export const UartParity = { NONE: 0, ODD: 1, EVEN: 2, MARK: 3, SPACE: 4 } as const

const modem = (name: string): DeviceClass['lines'][number] => ({
  name: name.toLowerCase(),
  dirql: 7,
  mode: 'latched',
  shared: false,
  snapshot: [name, `${name}_COUNT`],
})

export const uartClass: DeviceClass = {
  name: 'uart',
  version: 1,
  registers,
  lines: [
    {
      name: 'data',
      dirql: 6,
      mode: 'latched',
      shared: false,
      snapshot: ['RECEIVED', 'FRAMING_ERRORS', 'PARITY_ERRORS', 'OVERRUNS', 'BREAKS'],
    },
    { name: 'transmit', dirql: 5, mode: 'latched', shared: false, snapshot: ['ROOM', 'WRITTEN'] },
    ...['CTS', 'DSR', 'RI', 'DCD'].map(modem),
  ],
}

export interface UartSettings {
  dataBits: number
  stopBits: number
  parity: keyof typeof UartParity
  rtsCts: boolean
  xonXoff: boolean
}

const PARITIES = Object.keys(UartParity) as (keyof typeof UartParity)[]

/** LINE_CONTROL for `settings`. */
export function uartLineControl({ dataBits, stopBits, parity, rtsCts, xonXoff }: UartSettings): number {
  const flow = (rtsCts ? UartLineControl.RTS_CTS : 0) | (xonXoff ? UartLineControl.XON_XOFF : 0)
  const framing = (stopBits << UartLineControl.STOP_BITS_SHIFT) | (UartParity[parity] << UartLineControl.PARITY_SHIFT)
  return dataBits | framing | flow
}

/** What a LINE_CONTROL value asks for; null when it is out of range. */
export function uartSettings(lineControl: number): UartSettings | null {
  const dataBits = lineControl & UartLineControl.DATA_BITS
  const stopBits = (lineControl >> UartLineControl.STOP_BITS_SHIFT) & 3
  const parity = PARITIES[(lineControl >> UartLineControl.PARITY_SHIFT) & 7]
  if (dataBits < 5 || dataBits > 8 || stopBits < 1 || stopBits > 2 || parity === undefined) return null
  const rtsCts = (lineControl & UartLineControl.RTS_CTS) !== 0
  const xonXoff = (lineControl & UartLineControl.XON_XOFF) !== 0
  return { dataBits, stopBits, parity, rtsCts, xonXoff }
}

/** Bytes that may be written to DATA now, when `written` were ever written: never more than the transmitter holds. */
export const uartRoom = (room: number, written: number): number => (room - written) >>> 0
