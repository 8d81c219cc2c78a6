/** Behaviour models of boards: registers, lines and what they do, in this process; and boards that lie. */
import type { DeviceLayout } from '../classes/device.ts'
import { DeviceModel } from './device.ts'
import type { InterruptLine } from './line.ts'

export interface ModelFrame {
  line: number
  sequence: number
  edges: number
  boardTime: number
  snapshot: { offset: number; value: number }[]
}

/** What a board tells its host. */
export interface ModelEvents {
  frame(frame: ModelFrame): void
  fifo(device: number, offset: number, entries: number[]): void
  reset(): void
  gone(reason: string): void
  log(text: string): void
}

/** What the time of a model is made of, in ticks of 100 ns. */
export interface ModelTime {
  now(): number
  after(ticks: number, happen: () => void): () => void
}

/** What a model can do against the protocol, for a host that must bear it. */
export type Lie =
  /** The next frame of a line leaves out sequence numbers. */
  | 'sequence'
  /** The next frame of a line is sent twice. */
  | 'twice'
  /** The next frame of a line holds registers that are none, and hundreds of them. */
  | 'snapshot'
  /** A frame of a line that there is not, at once. */
  | 'line'
  /** Entries of a register that is no FIFO, and of a device that there is not, at once. */
  | 'fifo'
  /** More entries of a FIFO than there is credit for, at once. */
  | 'credit'

export const LIES: readonly Lie[] = ['sequence', 'twice', 'snapshot', 'line', 'fifo', 'credit']
const UNKNOWN_LINE = 63
const TOO_MANY = 100_000

const NOBODY: ModelEvents = { frame() {}, fifo() {}, reset() {}, gone() {}, log() {} }

/** A board's model. What its devices do is given by who listens to their writes and drives their lines. */
export class ModelBoard {
  readonly devices: DeviceModel[]
  readonly #lines: { device: DeviceModel; name: string; line: InterruptLine }[] = []
  readonly #time: ModelTime
  readonly #lies = new Map<number, Lie>()
  #events: ModelEvents = NOBODY
  /** Every write of the host, in order: for tests of the wire. */
  readonly writes: { device: string; offset: number; value: number }[] = []
  /** Kept out of `writes`: a long run would fill the memory with them. */
  keepsWrites = true

  constructor(layouts: readonly DeviceLayout[], time: ModelTime) {
    this.#time = time
    this.devices = layouts.map((layout, index) => {
      const first = this.#lines.length
      const device: DeviceModel = new DeviceModel(layout, {
        frame: (name, told) => this.#frame(first + layout.lines.findIndex((line) => line.name === name), told),
        fifo: (offset, entries) => this.#events.fifo(index, offset, entries),
      })
      for (const { name } of layout.lines) this.#lines.push({ device, name, line: device.line(name) })
      return device
    })
  }

  /** Microseconds. */
  get us(): number {
    return this.#time.now() / 10
  }

  /** A host is there: a session begins, and all is as after power-up. */
  connect(events: ModelEvents): void {
    this.#begin()
    this.#events = events
  }

  #begin(): void {
    this.#events = NOBODY
    for (const device of this.devices) device.begin()
  }

  /** The board restarts: it forgets everything, and its host hears that it came up. */
  reset(): void {
    const events = this.#events
    this.#begin()
    events.reset()
  }

  log(text: string): void {
    this.#events.log(text)
  }

  device(name: string): DeviceModel {
    const device = this.devices.find(({ layout }) => layout.name === name)
    if (device !== undefined) return device
    throw new Error(
      `this board has no device '${name}'; it has ${this.devices.map((one) => one.layout.name).join(', ')}`,
    )
  }

  /** A line by its name, or by `device.line`. */
  lineNamed(wanted: string): { number: number; line: InterruptLine } {
    const number = this.#lines.findIndex(
      ({ device, name }) => wanted === name || wanted === `${device.layout.name}.${name}`,
    )
    const found = this.#lines[number]
    if (found !== undefined) return { number, line: found.line }
    throw new Error(`this board has no line '${wanted}'; it has ${this.#lines.map(({ name }) => name).join(', ')}`)
  }

  #frame(number: number, line: InterruptLine): void {
    const { device, name } = this.#lines[number] as { device: DeviceModel; name: string }
    if (this.#lies.get(number) === 'sequence') line.sequence = (line.sequence + 7) | 0
    const names = device.layout.lines.find((one) => one.name === name)?.snapshot ?? []
    device.onSnapshot(name)
    const snapshot = names.map((register) => ({
      offset: offsetOf(device.layout, register),
      value: device.get(register),
    }))
    device.onTold(name)
    const boardTime = Math.floor(this.us) >>> 0
    this.#send({ line: number, sequence: line.sequence, edges: line.edges, boardTime, snapshot })
  }

  #send(frame: ModelFrame): void {
    const lie = this.#lies.get(frame.line)
    this.#lies.delete(frame.line)
    if (lie === 'snapshot') this.#events.frame({ ...frame, snapshot: [...frame.snapshot, ...strayRegisters()] })
    else this.#events.frame(frame)
    if (lie === 'twice') this.#events.frame(frame)
  }

  /** Breaks the protocol; `where` names the line, or the FIFO register as `device.REGISTER`. */
  lie(what: Lie, where: string): void {
    const events = this.#events
    if (what === 'line') {
      events.frame({ line: UNKNOWN_LINE, sequence: 0, edges: 1, boardTime: 0, snapshot: [{ offset: 0, value: 1 }] })
    } else if (what === 'fifo') {
      for (const [device, offset] of [
        [0, 2044],
        [this.devices.length, 0],
        [0, -4],
      ] as const)
        events.fifo(device, offset, [1, 2, 3])
    } else if (what === 'credit') {
      const [device = '', register = ''] = where.split('.')
      const index = this.devices.indexOf(this.device(device))
      events.fifo(index, offsetOf(this.device(device).layout, register), Array<number>(TOO_MANY).fill(0x55))
    } else this.#lies.set(this.lineNamed(where).number, what)
  }

  write(device: number, offset: number, value: number): void {
    const target = this.devices[device]
    const register = target?.registerAt(offset)
    if (target === undefined || register === undefined) return
    if (this.keepsWrites) this.writes.push({ device: target.layout.name, offset, value: value >>> 0 })
    if (register.kind === 'status' || register.kind === 'count' || register.kind === 'level') return
    if (register.kind === 'control') target.set(register.name, value)
    target.onWrite(register.name, value >>> 0)
  }

  read(device: number, offset: number, done: (value: number) => void): void {
    const target = this.devices[device]
    const register = target?.registerAt(offset)
    if (target === undefined || register === undefined) {
      done(0xffffffff)
      return
    }
    target.onRead(register.name)
    done(target.get(register.name))
  }

  flush(done: () => void): void {
    done()
  }

  credit(device: number, offset: number, count: number): void {
    this.devices[device]?.credit(offset, count)
  }

  endOfInterrupt(line: number, sequence: number): void {
    this.#lines[line]?.line.endOfInterrupt(sequence)
  }

  enableLine(line: number): void {
    this.#lines[line]?.line.enable()
  }

  disableLine(line: number): void {
    this.#lines[line]?.line.disable()
  }
}

function offsetOf({ name: device, registers }: DeviceLayout, register: string): number {
  const found = registers.find(({ name }) => name === register)
  if (found === undefined) throw new Error(`device ${device} has no register '${register}'`)
  return found.offset
}

/** What would be written over the window's own words, if anybody believed it. */
function strayRegisters(): { offset: number; value: number }[] {
  const wild = [-4, 1, 2, 2048, 0xf04, 0x7fff_fffc, Number.NaN]
  const many = Array.from({ length: 500 }, (_, index) => index * 4 + 0x800)
  return [...wild, ...many].map((offset) => ({ offset, value: 0xdead_beef }))
}
