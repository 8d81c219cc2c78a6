/** A board's firmware with the host's side of the bridge before it: what tests of firmware ask, and what they see. */
import { adcClass } from '../../classes/adc.ts'
import { gpioClass } from '../../classes/gpio.ts'
import { I2c, i2cClass, I2cCommand, i2cControl } from '../../classes/i2c.ts'
import type { BridgeFrame } from '../../wire/bridge/frames.ts'
import { BridgeHost, type BridgeHostParts, type Opened } from '../../wire/bridge/host.ts'
import type { BridgedDevice } from '../../wire/bridge/identity.ts'
import type { Time } from '../../wire/bridge/talk.ts'

/** Devices and lines of docs/hardware/arduino-uno.md. */
export const Device = { I2C: 0, GPIO: 1, ADC: 2 } as const
export const Line = { DONE: 0, PINS: 1, BUTTON: 2, ALERT: 3, THRESHOLD: 4, DATA: 5 } as const
export const DEVICES: readonly BridgedDevice[] = [
  { class: i2cClass.name, version: i2cClass.version, lines: 1 },
  { class: gpioClass.name, version: gpioClass.version, lines: 3 },
  { class: adcClass.name, version: adcClass.version, lines: 2 },
]

export interface BridgedParts {
  time: Time
  write: (bytes: Uint8Array) => void
  /** Lets time pass, until `isDone` or for ever so long; gives back whether it is. */
  until: (isDone: () => boolean) => Promise<boolean>
  host?: Partial<BridgeHostParts>
}

export class Bridged {
  readonly host: BridgeHost
  readonly frames: BridgeFrame[] = []
  readonly received: { device: number; offset: number; entries: number[] }[] = []
  readonly logs: string[] = []
  resets = 0
  /** Lines whose frames are answered with EOI at once. */
  readonly answered = new Set<number>()
  readonly #until: BridgedParts['until']
  #nonce = 0x1a2b3c4d

  constructor({ time, write, until, host }: BridgedParts) {
    this.#until = until
    const parts = { time, write, random: () => this.#nonce++, devices: DEVICES, baud: 115_200, ...host }
    this.host = new BridgeHost(
      { byteFifos: [{ device: Device.I2C, offset: I2c.DATA }], ...parts },
      {
        frame: (frame) => {
          this.frames.push(frame)
          if (this.answered.has(frame.line)) this.host.endOfInterrupt(frame.line, frame.sequence)
        },
        fifo: (device, offset, entries) => this.received.push({ device, offset, entries: [...entries] }),
        reset: () => (this.resets += 1),
        gone: (reason) => this.logs.push(`gone: ${reason}`),
        log: (text) => this.logs.push(text),
      },
    )
  }

  async until(isDone: () => boolean, what: string): Promise<void> {
    if (!(await this.#until(isDone))) throw new Error(`${what} never came; the board said: ${this.logs.join(', ')}`)
  }

  async open(): Promise<Opened> {
    let opened: Opened | null = null
    this.host.open((result) => (opened = result))
    await this.until(() => opened !== null, 'an answer to hello')
    return opened as unknown as Opened
  }

  async read(device: number, offset: number): Promise<number> {
    let answer: number | null = null
    this.host.read(device, offset, (value) => (answer = value))
    await this.until(() => answer !== null, `the answer of device ${device}, register ${offset}`)
    return answer as unknown as number
  }

  async flush(): Promise<void> {
    let isDone = false
    this.host.flush(() => (isDone = true))
    await this.until(() => isDone, 'the flush')
  }

  framesOf(line: number): BridgeFrame[] {
    return this.frames.filter((frame) => frame.line === line)
  }

  /** The frame `count` of a line, from 1. */
  async frame(line: number, count: number): Promise<BridgeFrame> {
    await this.until(() => this.framesOf(line).length >= count, `frame ${count} of line ${line}`)
    return this.framesOf(line)[count - 1] as BridgeFrame
  }

  /** A register as the line's frames have told it last: what has not changed is left out of them. */
  newest(line: number, offset: number): number | undefined {
    const values = this.framesOf(line).map((frame) => told(frame, offset))
    return values.findLast((value) => value !== undefined)
  }

  /** All entries of a FIFO so far. */
  entries(device: number, offset: number): number[] {
    return this.received.flatMap((part) => (part.device === device && part.offset === offset ? part.entries : []))
  }

  /** Begins a transaction of the controller, at 400 kHz. */
  transfer(address: number, written: readonly number[], readLength: number): void {
    const { host } = this
    host.write(Device.I2C, I2c.CONTROL, i2cControl(400))
    host.write(Device.I2C, I2c.ADDRESS, address)
    host.write(Device.I2C, I2c.WRITE_LENGTH, written.length)
    host.write(Device.I2C, I2c.READ_LENGTH, readLength)
    for (const byte of written) host.write(Device.I2C, I2c.DATA, byte)
    host.write(Device.I2C, I2c.COMMAND, I2cCommand.START)
  }
}

/** What a frame's snapshot tells of a register. */
export const told = (frame: BridgeFrame, offset: number): number | undefined =>
  frame.snapshot.find((entry) => entry.offset === offset)?.value

/** Virtual time for what takes a `Time`: it leaps from one thing that falls due to the next. */
export class LeapingTime implements Time {
  #now = 0
  #due: { at: number; happen: () => void }[] = []

  now(): number {
    return this.#now
  }

  after(ticks: number, happen: () => void): () => void {
    const at = this.#now + Math.max(0, ticks)
    let index = this.#due.length
    while (index > 0 && (this.#due[index - 1] as { at: number }).at > at) index -= 1
    const entry = { at, happen }
    this.#due.splice(index, 0, entry)
    return () => {
      const place = this.#due.indexOf(entry)
      if (place >= 0) this.#due.splice(place, 1)
    }
  }

  /** Lets it pass until `isDone`, at most `ms`. */
  pass(ms: number, isDone: () => boolean = () => false): boolean {
    const end = this.#now + ms * 10_000
    while (!isDone()) {
      const first = this.#due[0]
      if (first === undefined || first.at > end) {
        this.#now = end
        return isDone()
      }
      this.#due.shift()
      this.#now = Math.max(this.#now, first.at)
      first.happen()
    }
    return true
  }
}
