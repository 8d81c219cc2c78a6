/** A HID device as a device of class `hid`: reports, and fields of them that are interrupt lines (docs/hardware/hid.md). */
import type { DeviceLayout } from '../classes/device.ts'
import {
  fieldOffset,
  fieldValue,
  Hid,
  HID_LONGEST,
  HidCommand,
  hidEntry,
  HidResult,
  type ReportFieldSpec,
} from '../classes/hid.ts'
import { SoftDevice } from './softdevice.ts'

const DATA_LINE = 0
const COMPLETE_LINE = 1
const FIRST_FIELD_LINE = 2
/** Reports that are kept while the host has no room; the link stops when it is told to. */
const MOST_KEPT = 64

/** What a HID device does for it. Each calls back when it is done, with whether it was done. */
export interface HidPort {
  /** Microseconds. */
  now(): number
  pause(): void
  resume(): void
  sendOutput(id: number, data: Uint8Array, done: (isDone: boolean) => void): void
  sendFeature(id: number, data: Uint8Array, done: (isDone: boolean) => void): void
  getFeature(id: number, length: number, done: (data: Uint8Array | null) => void): void
}

interface Command {
  command: number
  id: number
  length: number
  data: Uint8Array
}

/** The host's end of a HID device, in place of a board. */
export class HidDevice extends SoftDevice {
  readonly #port: HidPort
  readonly #fields: readonly ReportFieldSpec[]
  readonly #isNumbered: boolean
  #kept: Uint8Array[] = []
  /** Bytes of OUTPUT. */
  #output: number[] = []
  readonly #commands: Command[] = []
  #isBusy = false

  /** `isNumbered`: each report begins with its id. */
  constructor(layout: DeviceLayout, port: HidPort, isNumbered: boolean, fields: readonly ReportFieldSpec[] = []) {
    super(layout, () => port.now())
    this.#port = port
    this.#isNumbered = isNumbered
    this.#fields = fields
    this.onWrite = (offset, value) => this.#written(offset, value)
    this.onCredit = () => this.#giveKept()
  }

  /** An input report came. */
  receive(report: Uint8Array): void {
    const id = this.#isNumbered ? (report[0] ?? 0) : 0
    const data = report.subarray(this.#isNumbered ? 1 : 0)
    if (data.length > HID_LONGEST || this.#kept.length >= MOST_KEPT) {
      this.add(Hid.LOST, 1)
      return
    }
    for (const [index, field] of this.#fields.entries()) if (field.report === id) this.#look(index, field, data)
    this.#kept.push(hidEntry(id, data))
    this.#giveKept()
  }

  #look(index: number, field: ReportFieldSpec, data: Uint8Array): void {
    const value = fieldValue(field, data)
    const offset = fieldOffset(index)
    const before = this.get(offset)
    if (value === null || value === before) return
    this.set(offset, value)
    const line = FIRST_FIELD_LINE + index
    const isHigh = value !== 0
    const isAsserted = isHigh === (field.active !== 'low')
    if (field.mode === 'level') {
      if (isAsserted) this.add(offset + 4, 1)
      this.level(line, isAsserted)
    } else if (field.bits > 1 || field.active === 'both' || isAsserted) {
      this.add(offset + 4, 1)
      this.edge(line)
    }
  }

  /** Gives the host whole reports, as far as it has room; the device's system keeps the rest for a while. */
  #giveKept(): void {
    while (this.#kept.length > 0 && this.creditOf(Hid.DATA) >= this.#kept[0]!.length) {
      this.put(Hid.DATA, this.#kept.shift()!)
      this.add(Hid.REPORTS, 1)
      this.edge(DATA_LINE)
    }
    if (this.#kept.length > 0) this.#port.pause()
    else this.#port.resume()
  }

  #written(offset: number, value: number): void {
    if (offset === Hid.OUTPUT) {
      if (this.#output.length <= HID_LONGEST) this.#output.push(value & 0xff)
    } else if (offset === Hid.COMMAND) {
      this.#command(value)
    }
  }

  #command(command: number): void {
    const data = Uint8Array.from(this.#output)
    if (command !== HidCommand.GET_FEATURE) this.#output = []
    if (command === HidCommand.CLEAR) return
    if (this.#commands.length >= MOST_KEPT) {
      this.log('a driver gives commands faster than the device carries them out: one is dropped')
      return
    }
    this.#commands.push({ command, id: this.get(Hid.REPORT_ID) & 0xff, length: this.get(Hid.LENGTH), data })
    if (!this.#isBusy) this.#next()
  }

  #next(): void {
    const next = this.#commands.shift()
    this.#isBusy = next !== undefined
    if (next !== undefined) this.#begin(next)
  }

  #begin({ command, id, length, data }: Command): void {
    const { SEND_OUTPUT, SEND_FEATURE, GET_FEATURE } = HidCommand
    const sends = command === SEND_OUTPUT || command === SEND_FEATURE
    const done = (isDone: boolean): void => this.#end(isDone ? 0 : HidResult.FAILED)
    if (length > HID_LONGEST || (!sends && command !== GET_FEATURE) || (sends && data.length !== length)) {
      this.#end(HidResult.INVALID)
    } else if (command === SEND_OUTPUT) {
      this.#port.sendOutput(id, data, done)
    } else if (command === SEND_FEATURE) {
      this.#port.sendFeature(id, data, done)
    } else {
      this.#port.getFeature(id, length, (got) => done(got !== null && this.#gotFeature(id, got)))
    }
  }

  /** A feature report that the host has no room for is as good as none. */
  #gotFeature(id: number, data: Uint8Array): boolean {
    const entry = hidEntry(id, data.subarray(0, HID_LONGEST))
    if (this.creditOf(Hid.FEATURE) < entry.length) {
      this.log('a feature report had no room in FEATURE')
      return false
    }
    this.put(Hid.FEATURE, entry)
    return true
  }

  #end(problem: number): void {
    this.set(Hid.RESULT, HidResult.DONE | problem)
    this.add(Hid.COMPLETED, 1)
    this.edge(COMPLETE_LINE)
    this.#next()
  }
}
