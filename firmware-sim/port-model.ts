/** Models of what is plugged in without firmware of ours: a serial port, a sketch that prints, a HID device. */
import type { DeviceLayout } from '../classes/device.ts'
import type { ReportFieldSpec } from '../classes/hid.ts'
import type { PatternSpec } from '../classes/lines.ts'
import { HidDevice } from '../wire/hid-raw.ts'
import { TextDevice } from '../wire/text.ts'
import { type ModemCounts, type ModemLevels, UartDevice } from '../wire/uart.ts'
import type { ModelTime } from './model.ts'

const TICKS_PER_US = 10
const TICKS_PER_S = 10_000_000
const BITS_PER_BYTE = 10

/** The far end of a serial port: what it sent, and what is sent to it at the speed of the line. */
export class SerialModel {
  /** Bytes that the driver sent. */
  readonly sent: number[] = []
  /** What the driver has set. */
  lines = { dtr: true, rts: true, brk: false }
  readonly device: UartDevice | TextDevice
  readonly #time: ModelTime
  #baud: number
  #isPaused = false
  /** Bytes for the host that wait until it reads on. */
  readonly #waiting: Uint8Array[] = []
  #unsent: number[] = []
  #isSending = false
  readonly #counts: ModemCounts = { cts: 0, dsr: 0, ri: 0, dcd: 0 }
  readonly #levels: ModemLevels = { cts: false, dsr: false, ri: false, dcd: false }

  constructor(layout: DeviceLayout, time: ModelTime, patterns: readonly PatternSpec[]) {
    this.#time = time
    this.#baud = layout.registers.find(({ name }) => name === 'BAUD')?.reset ?? 115_200
    const port = {
      now: () => time.now() / TICKS_PER_US,
      send: (bytes: Uint8Array) => this.#take(bytes),
      pause: () => (this.#isPaused = true),
      resume: () => this.#resume(),
      control: (lines: SerialModel['lines']) => (this.lines = lines),
      configure: (baud: number) => (this.#baud = baud),
    }
    this.device =
      layout.class === 'lines'
        ? new TextDevice(layout, port, patterns)
        : new UartDevice(layout, port, ['cts', 'dsr', 'ri', 'dcd'])
    if (this.device instanceof UartDevice) this.#showModem()
  }

  /** Bytes come from the far end. */
  feed(bytes: Uint8Array): void {
    if (this.#isPaused) this.#waiting.push(bytes)
    else this.device.receive(bytes)
  }

  /** A modem line gets a level. */
  set(line: string, value: number): void {
    if (!(this.device instanceof UartDevice) || !isModemLine(line)) {
      throw new Error(
        `this board has no line '${line}' to set; it has ${this.device instanceof UartDevice ? 'cts, dsr, ri, dcd' : 'none: feed it text'}`,
      )
    }
    const isHigh = value !== 0
    if (this.#levels[line] === isHigh) return
    this.#levels[line] = isHigh
    this.#counts[line] += 1
    this.#showModem()
  }

  #showModem(): void {
    if (!(this.device instanceof UartDevice)) return
    this.device.modem({ ...this.#counts }, { ...this.#levels }, { frame: 0, parity: 0, overrun: 0, break: 0 })
  }

  #resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    // Not from within the device's own call.
    this.#time.after(0, () => {
      while (!this.#isPaused) {
        const bytes = this.#waiting.shift()
        if (bytes === undefined) return
        this.device.receive(bytes)
      }
    })
  }

  #take(bytes: Uint8Array): void {
    this.#unsent.push(...bytes)
    if (!this.#isSending) this.#send()
  }

  /** Bytes leave one after the other, each in its time. */
  #send(): void {
    const byte = this.#unsent[0]
    this.#isSending = byte !== undefined
    if (byte === undefined) return
    this.#time.after(Math.ceil((TICKS_PER_S * BITS_PER_BYTE) / this.#baud), () => {
      this.#unsent.shift()
      this.sent.push(byte)
      this.device.sent(this.#unsent.length)
      this.#send()
    })
  }
}

const isModemLine = (line: string): line is keyof ModemLevels => ['cts', 'dsr', 'ri', 'dcd'].includes(line)

/** A HID device without report ids: reports that it makes, and those that it was sent. */
export class HidModel {
  readonly device: HidDevice
  /** Output and feature reports that the driver sent. */
  readonly sent: { kind: 'output' | 'feature'; id: number; data: Uint8Array }[] = []
  /** Feature reports to be got, by id. */
  readonly features = new Map<number, Uint8Array>()
  readonly #time: ModelTime
  readonly #fields: readonly ReportFieldSpec[]
  #report = new Uint8Array(0)
  #isPaused = false
  readonly #waiting: Uint8Array[] = []

  constructor(layout: DeviceLayout, time: ModelTime, fields: readonly ReportFieldSpec[]) {
    this.#time = time
    this.#fields = fields
    const later = (happen: () => void): void => void time.after(TICKS_PER_MS, happen)
    const port = {
      now: () => time.now() / TICKS_PER_US,
      pause: () => (this.#isPaused = true),
      resume: () => this.#resume(),
      sendOutput: (id: number, data: Uint8Array, done: (isDone: boolean) => void) => {
        this.sent.push({ kind: 'output', id, data })
        later(() => done(true))
      },
      sendFeature: (id: number, data: Uint8Array, done: (isDone: boolean) => void) => {
        this.sent.push({ kind: 'feature', id, data })
        this.features.set(id, data)
        later(() => done(true))
      },
      getFeature: (id: number, length: number, done: (data: Uint8Array | null) => void) =>
        later(() => done(this.features.get(id)?.subarray(0, length) ?? null)),
    }
    this.device = new HidDevice(layout, port, false, fields)
  }

  /** The device sends an input report. */
  feed(report: Uint8Array): void {
    if (this.#isPaused) this.#waiting.push(report)
    else this.device.receive(report)
  }

  /** Changes a field of the newest input report, and sends it. */
  set(name: string, value: number): void {
    const field = this.#fields.find((one) => one.name === name)
    if (field === undefined) {
      throw new Error(
        `this board has no field '${name}'; it has ${this.#fields.map((one) => one.name).join(', ') || 'none'}`,
      )
    }
    const length = Math.max(...this.#fields.map(({ byte, bit, bits }) => byte + Math.ceil((bit + bits) / 8)))
    const report = new Uint8Array(Math.max(length, this.#report.length))
    report.set(this.#report)
    for (let index = 0; index < field.bits; index++) {
      const at = field.bit + index
      const mask = 1 << (at & 7)
      const byte = field.byte + (at >> 3)
      report[byte] = (value / 2 ** index) & 1 ? (report[byte] as number) | mask : (report[byte] as number) & ~mask
    }
    this.#report = report
    this.feed(report.slice())
  }

  #resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#time.after(0, () => {
      while (!this.#isPaused) {
        const report = this.#waiting.shift()
        if (report === undefined) return
        this.device.receive(report)
      }
    })
  }
}

const TICKS_PER_MS = 10_000
