/** A serial port as a device of class `uart`: raw bytes and modem lines, no firmware (docs/hardware/uart.md). */
import type { DeviceLayout } from '../classes/device.ts'
import {
  Uart,
  UART_TRANSMIT_ROOM,
  UartModem,
  UartModemControl,
  type UartSettings,
  uartSettings,
} from '../classes/uart.ts'
import { grown } from '../classes/device.ts'
import { type SoftEvents, SoftDevice } from './softdevice.ts'
import { Transmitter } from './transmitter.ts'

/** Lines of the class, by their place in it. */
const DATA_LINE = 0
const TRANSMIT_LINE = 1
const MODEM = ['cts', 'dsr', 'ri', 'dcd'] as const
const MODEM_LINE = { cts: 2, dsr: 3, ri: 4, dcd: 5 } as const
const BIT = { cts: UartModem.CTS, dsr: UartModem.DSR, ri: UartModem.RI, dcd: UartModem.DCD } as const
const LEVEL = { cts: Uart.CTS, dsr: Uart.DSR, ri: Uart.RI, dcd: Uart.DCD } as const
const COUNT = { cts: Uart.CTS_COUNT, dsr: Uart.DSR_COUNT, ri: Uart.RI_COUNT, dcd: Uart.DCD_COUNT } as const
const ERROR = {
  frame: Uart.FRAMING_ERRORS,
  parity: Uart.PARITY_ERRORS,
  overrun: Uart.OVERRUNS,
  break: Uart.BREAKS,
} as const
/** Bytes that are kept while the host has no room; the link stops soon after it is told to. */
const MOST_KEPT = 65_536

export type ModemCounts = Record<(typeof MODEM)[number], number>
export type ModemLevels = Record<(typeof MODEM)[number], boolean>
export type ReceiveErrors = Record<keyof typeof ERROR, number>

/** What a port does for the device. */
export interface UartPort {
  /** Microseconds. */
  now(): number
  send(bytes: Uint8Array): void
  /** Reads no more, and reads on: so that pressure reaches the sender. */
  pause(): void
  resume(): void
  control(lines: { dtr: boolean; rts: boolean; brk: boolean }): void
  configure(baud: number, settings: UartSettings): void
}

/** The host's end of a port, in place of a board: what the port tells goes in through receive, sent and modem. */
export class UartDevice extends SoftDevice {
  readonly #port: UartPort
  readonly #transmitter: Transmitter
  #kept: Uint8Array[] = []
  #keptBytes = 0
  #counted = 0
  /** Counts as the port told them last; a session counts from there. */
  #counts: ModemCounts | null = null
  #levels: ModemLevels | null = null
  #errors: ReceiveErrors | null = null

  /** `counted` are the modem lines whose edges are counted and not sampled. */
  constructor(layout: DeviceLayout, port: UartPort, counted: readonly (typeof MODEM)[number][] = []) {
    super(layout, () => port.now())
    this.#port = port
    this.#counted = counted.reduce((bits, line) => bits | BIT[line], 0)
    const plan = { ROOM: Uart.ROOM, WRITTEN: Uart.WRITTEN, room: UART_TRANSMIT_ROOM, line: TRANSMIT_LINE }
    this.#transmitter = new Transmitter(this, plan, (bytes) => port.send(bytes))
    this.onWrite = (offset, value) => this.#written(offset, value)
    this.onCredit = () => this.#giveKept()
  }

  override connect(events: SoftEvents): void {
    super.connect(events)
    this.#transmitter.begin()
    this.set(Uart.MODEM_COUNTED, this.#counted)
    this.#showLevels()
  }

  #written(offset: number, value: number): void {
    if (offset === Uart.DATA) this.#transmitter.write(value)
    else if (offset === Uart.MODEM_CONTROL) this.#control(value)
    else if (offset === Uart.LINE_CONTROL || offset === Uart.BAUD) this.#configure()
  }

  #control(value: number): void {
    const has = (bit: number): boolean => (value & bit) !== 0
    const { DTR, RTS, BREAK } = UartModemControl
    this.#port.control({ dtr: has(DTR), rts: has(RTS), brk: has(BREAK) })
  }

  #configure(): void {
    const settings = uartSettings(this.get(Uart.LINE_CONTROL))
    const baud = this.get(Uart.BAUD)
    if (settings === null || baud === 0) {
      const [control, rate] = [this.get(Uart.LINE_CONTROL).toString(16), baud]
      this.log(`LINE_CONTROL 0x${control} with BAUD ${rate} is out of range: nothing was changed`)
      return
    }
    this.#port.configure(baud, settings)
  }

  /** Bytes came. */
  receive(bytes: Uint8Array): void {
    this.#kept.push(bytes)
    this.#keptBytes += bytes.length
    this.#giveKept()
    if (this.#keptBytes > MOST_KEPT) {
      this.#kept = []
      this.#keptBytes = 0
      this.add(Uart.OVERRUNS, 1)
      this.edge(DATA_LINE)
    }
  }

  /** Gives the host what it has room for; the port waits while anything is left. */
  #giveKept(): void {
    let given = 0
    for (let first = this.#kept[0]; first !== undefined; first = this.#kept[0]) {
      const count = this.put(Uart.DATA, first)
      given += count
      if (count === first.length) this.#kept.shift()
      else this.#kept[0] = first.subarray(count)
      if (count < first.length) break
    }
    this.#keptBytes -= given
    if (given > 0) {
      this.add(Uart.RECEIVED, given)
      this.edge(DATA_LINE)
    }
    if (this.#keptBytes > 0) this.#port.pause()
    else this.#port.resume()
  }

  /** `unsent` bytes are left of what was sent. */
  sent(unsent: number): void {
    this.#transmitter.sent(unsent)
  }

  /** The port's counters and levels as they are now. */
  modem(counts: ModemCounts, levels: ModemLevels, errors: ReceiveErrors): void {
    const [before, errorsBefore] = [this.#counts ?? counts, this.#errors ?? errors]
    this.#counts = { ...counts }
    this.#levels = { ...levels }
    this.#errors = { ...errors }
    this.#showLevels()
    for (const line of MODEM) {
      const edges = grown(before[line], counts[line])
      this.add(COUNT[line], edges)
      this.edge(MODEM_LINE[line], edges)
    }
    let count = 0
    for (const error of Object.keys(ERROR) as (keyof typeof ERROR)[]) {
      const more = grown(errorsBefore[error], errors[error])
      this.add(ERROR[error], more)
      count += more
    }
    this.edge(DATA_LINE, count)
  }

  #showLevels(): void {
    let bits = 0
    for (const line of MODEM) {
      const isHigh = this.#levels?.[line] ?? false
      this.set(LEVEL[line], isHigh ? 1 : 0)
      if (isHigh) bits |= BIT[line]
    }
    this.set(Uart.MODEM_STATUS, bits)
  }
}
