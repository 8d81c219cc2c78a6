/**
 * A device that the host itself plays: registers and interrupt lines of a class on a wire that knows nothing of them
 * (serial ports, text, HID reports). It has the same methods as a board behind a bridge; its lines are numbered from 0.
 */
import type { DeviceLayout, RegisterSpec } from '../classes/device.ts'

export interface SoftFrame {
  line: number
  sequence: number
  edges: number
  boardTime: number
  snapshot: { offset: number; value: number }[]
}

/** What a device tells its host; a board's events, which see (hal/boardhost.ts). */
export interface SoftEvents {
  frame(frame: SoftFrame): void
  fifo(device: number, offset: number, entries: ArrayLike<number>): void
  log(text: string): void
}

interface SoftLine {
  readonly offsets: readonly number[]
  readonly isLevel: boolean
  isEnabled: boolean
  isInFlight: boolean
  isAsserted: boolean
  edges: number
  /** Edges that frames have told. */
  told: number
  sequence: number
}

const ALL_ONES = 0xffffffff

export class SoftDevice {
  readonly #layout: DeviceLayout
  readonly #now: () => number
  readonly #registers = new Map<number, RegisterSpec>()
  readonly #values = new Map<number, number>()
  readonly #credits = new Map<number, number>()
  #lines: SoftLine[] = []
  #events: SoftEvents | null = null
  /** Called when the driver writes a register, behind the change of its value. */
  onWrite: (offset: number, value: number) => void = () => {}
  /** Called when the host has room for more entries of a FIFO. */
  onCredit: (offset: number) => void = () => {}

  /** `now` is microseconds. */
  constructor(layout: DeviceLayout, now: () => number) {
    this.#layout = layout
    this.#now = now
    for (const register of layout.registers) this.#registers.set(register.offset, register)
    this.#reset()
  }

  #reset(): void {
    this.#credits.clear()
    for (const { offset, reset = 0 } of this.#layout.registers) this.#values.set(offset, reset)
    const offsetOf = (name: string): number => this.#layout.registers.find((register) => register.name === name)!.offset
    this.#lines = this.#layout.lines.map(({ snapshot, mode }) => ({
      offsets: snapshot.map(offsetOf),
      isLevel: mode === 'level',
      isEnabled: false,
      isInFlight: false,
      isAsserted: false,
      edges: 0,
      told: 0,
      sequence: 0,
    }))
  }

  /** A session begins: all is as after power-up. */
  connect(events: SoftEvents): void {
    this.#reset()
    this.#events = events
  }

  get(offset: number): number {
    return this.#values.get(offset) ?? 0
  }

  set(offset: number, value: number): void {
    this.#values.set(offset, value >>> 0)
  }

  add(offset: number, delta: number): void {
    this.set(offset, this.get(offset) + delta)
  }

  log(text: string): void {
    this.#events?.log(text)
  }

  /** Entries that the host can take. */
  creditOf(offset: number): number {
    return this.#credits.get(offset) ?? 0
  }

  /** Hands entries to the host, as many as it has room for; gives back how many. */
  put(offset: number, entries: Uint8Array): number {
    const count = Math.min(this.creditOf(offset), entries.length)
    if (count === 0 || this.#events === null) return 0
    this.#credits.set(offset, this.creditOf(offset) - count)
    this.#events.fifo(0, offset, count === entries.length ? entries : entries.subarray(0, count))
    return count
  }

  /** Edges of a latched line; its registers have their new values already. */
  edge(number: number, count = 1): void {
    const line = this.#lines[number]
    if (line === undefined || count === 0) return
    line.edges = (line.edges + count) >>> 0
    this.#look(number, line)
  }

  /** The level of a level-triggered line. */
  level(number: number, isAsserted: boolean): void {
    const line = this.#lines[number]
    if (line === undefined || line.isAsserted === isAsserted) return
    line.isAsserted = isAsserted
    if (isAsserted) this.edge(number)
  }

  #look(number: number, line: SoftLine): void {
    if (!line.isEnabled || line.isInFlight || this.#events === null) return
    if (line.edges === line.told && !(line.isLevel && line.isAsserted)) return
    line.isInFlight = true
    line.told = line.edges
    const snapshot = line.offsets.map((offset) => ({ offset, value: this.get(offset) }))
    const { edges, sequence } = line
    this.#events.frame({ line: number, sequence, edges, boardTime: Math.floor(this.#now()) >>> 0, snapshot })
  }

  // What the host asks.

  write(device: number, offset: number, value: number): void {
    const register = this.#registers.get(offset)
    if (device !== 0 || register === undefined) {
      this.log(`device ${device} of this board has no register at ${offset}: a write is dropped`)
      return
    }
    if (register.kind === 'control') this.set(offset, value)
    if (register.kind !== 'status' && register.kind !== 'count') this.onWrite(offset, value >>> 0)
  }

  read(device: number, offset: number, done: (value: number) => void): void {
    done(device === 0 && this.#registers.has(offset) ? this.get(offset) : ALL_ONES)
  }

  flush(done: () => void): void {
    done()
  }

  credit(device: number, offset: number, count: number): void {
    if (device !== 0) return
    this.#credits.set(offset, this.creditOf(offset) + count)
    this.onCredit(offset)
  }

  endOfInterrupt(number: number, sequence: number): void {
    const line = this.#lines[number]
    if (line === undefined || !line.isInFlight || ((line.sequence ^ sequence) & 63) !== 0) return
    this.#free(line)
    this.#look(number, line)
  }

  enableLine(number: number): void {
    const line = this.#lines[number]
    if (line === undefined) return
    line.isEnabled = true
    this.#look(number, line)
  }

  /** Edges are counted from here on, not told. */
  disableLine(number: number): void {
    const line = this.#lines[number]
    if (line === undefined) return
    line.isEnabled = false
    if (line.isInFlight) this.#free(line)
  }

  #free(line: SoftLine): void {
    line.isInFlight = false
    line.sequence = (line.sequence + 1) | 0
  }
}
