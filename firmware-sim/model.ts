/** Behaviour models of boards: registers, lines and what they do, in this process. */
import { InterruptLine } from './line.ts'

/** What the model of a board is made from: the board file's device tree. */
export interface ModelDevice {
  name: string
  registers: readonly { name: string; offset: number; reset: number }[]
  lines: readonly { name: string; latched: boolean; snapshot: readonly string[] }[]
}

export interface ModelFrame {
  line: number
  sequence: number
  edges: number
  boardTime: number
  snapshot: { offset: number; value: number }[]
}

/** One device of a model: its registers by name, its lines, and what a write does. */
export class DeviceModel {
  readonly values = new Map<string, number>()
  readonly lines = new Map<string, InterruptLine>()
  readonly plan: ModelDevice
  /** Called when the host writes a register, after its value is stored. */
  onWrite: (register: string, value: number) => void = () => {}

  constructor(plan: ModelDevice) {
    this.plan = plan
    for (const { name, reset } of plan.registers) this.values.set(name, reset)
  }

  get(register: string): number {
    return this.values.get(register) ?? 0
  }

  set(register: string, value: number): void {
    this.values.set(register, value >>> 0)
  }

  add(register: string, delta: number): void {
    this.set(register, this.get(register) + delta)
  }

  line(name: string): InterruptLine {
    const line = this.lines.get(name)
    if (line === undefined) throw new Error(`device ${this.plan.name} has no line '${name}'`)
    return line
  }
}

/** A board's model. Device behaviour is given by the caller, who listens to writes and asserts lines. */
export class ModelBoard {
  readonly devices: DeviceModel[]
  readonly #lines: { device: DeviceModel; line: InterruptLine }[] = []
  readonly #now: () => number
  #send: (frame: ModelFrame) => void = () => {}
  /** Every write of the host, in order: for tests of the wire. */
  readonly writes: { device: string; offset: number; value: number }[] = []

  /** `now` is the board's clock in microseconds. */
  constructor(plans: readonly ModelDevice[], now: () => number) {
    this.#now = now
    this.devices = plans.map((plan) => {
      const device = new DeviceModel(plan)
      for (const { name, latched, snapshot } of plan.lines) {
        const number = this.#lines.length
        const line = new InterruptLine(latched, (told) => this.#frame(number, device, told, snapshot))
        device.lines.set(name, line)
        this.#lines.push({ device, line })
      }
      return device
    })
  }

  connect(send: (frame: ModelFrame) => void): void {
    this.#send = send
  }

  device(name: string): DeviceModel {
    const device = this.devices.find(({ plan }) => plan.name === name)
    if (device === undefined) throw new Error(`this board has no device '${name}'`)
    return device
  }

  #frame(number: number, device: DeviceModel, line: InterruptLine, registers: readonly string[]): void {
    const snapshot = registers.map((name) => ({ offset: offsetOf(device.plan, name), value: device.get(name) }))
    const boardTime = Math.floor(this.#now()) >>> 0
    this.#send({ line: number, sequence: line.sequence, edges: line.edges, boardTime, snapshot })
  }

  write(device: number, offset: number, value: number): void {
    const target = this.devices[device]
    const register = target?.plan.registers.find((candidate) => candidate.offset === offset)
    if (target === undefined || register === undefined) return
    this.writes.push({ device: target.plan.name, offset, value: value >>> 0 })
    target.set(register.name, value)
    target.onWrite(register.name, value >>> 0)
  }

  read(device: number, offset: number, done: (value: number) => void): void {
    const target = this.devices[device]
    const register = target?.plan.registers.find((candidate) => candidate.offset === offset)
    done(target === undefined || register === undefined ? 0xffffffff : target.get(register.name))
  }

  flush(done: () => void): void {
    done()
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

function offsetOf(plan: ModelDevice, register: string): number {
  const found = plan.registers.find(({ name }) => name === register)
  if (found === undefined) throw new Error(`device ${plan.name} has no register '${register}'`)
  return found.offset
}
