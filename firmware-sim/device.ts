/** One device of a board's model: its registers by name, its lines, its FIFOs, and what a write does. */
import type { DeviceLayout, RegisterSpec } from '../classes/device.ts'
import { InterruptLine } from './line.ts'

/** Entries on their way to the host. */
interface Outgoing {
  credit: number
  waiting: number[]
}

export interface DeviceOutlets {
  /** A line has cause, and the snapshot is to be sent. */
  frame(line: string, told: InterruptLine): void
  fifo(offset: number, entries: number[]): void
}

export class DeviceModel {
  readonly layout: DeviceLayout
  readonly values = new Map<string, number>()
  readonly lines = new Map<string, InterruptLine>()
  /** Lines whose frames tell of FIFO entries: they wait as long as entries do. */
  readonly heldLines = new Set<string>()
  readonly #fifos = new Map<string, Outgoing>()
  readonly #outlets: DeviceOutlets
  /** Called when the host writes a register, after its value is stored. */
  onWrite: (register: string, value: number) => void = () => {}
  /** Called before the host is told the value of a register that it asks for. */
  onRead: (register: string) => void = () => {}
  /** Called before a frame's snapshot is made, and behind it. */
  onSnapshot: (line: string) => void = () => {}
  onTold: (line: string) => void = () => {}
  /** Called when entries that waited have left. */
  onDrained: () => void = () => {}
  /** Called when a session begins: registers and lines are as after power-up already. */
  onBegin: () => void = () => {}

  constructor(layout: DeviceLayout, outlets: DeviceOutlets) {
    this.layout = layout
    this.#outlets = outlets
    for (const { name, mode } of layout.lines) {
      const mayTell = (): boolean => !this.heldLines.has(name) || !this.hasWaiting
      const line = new InterruptLine(mode === 'latched', (told) => outlets.frame(name, told), mayTell)
      this.lines.set(name, line)
    }
    this.begin()
  }

  /** As after power-up. */
  begin(): void {
    for (const { name, reset, kind } of this.layout.registers) {
      this.values.set(name, reset ?? 0)
      if (kind === 'fifo') this.#fifos.set(name, { credit: 0, waiting: [] })
    }
    for (const line of this.lines.values()) line.begin()
    this.onBegin()
  }

  registerAt(offset: number): RegisterSpec | undefined {
    return this.layout.registers.find((register) => register.offset === offset)
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
    if (line === undefined) throw new Error(`device ${this.layout.name} has no line '${name}'`)
    return line
  }

  /** Whether entries wait for credit. */
  get hasWaiting(): boolean {
    for (const { waiting } of this.#fifos.values()) if (waiting.length > 0) return true
    return false
  }

  /** Entries of a FIFO that wait for credit. */
  waiting(register: string): number {
    return this.#fifos.get(register)?.waiting.length ?? 0
  }

  /** Gives entries to the host, as far as it has credit; the rest waits for it. */
  put(register: string, entries: readonly number[]): void {
    this.#fifos.get(register)?.waiting.push(...entries)
    this.#drain(register)
  }

  /** Forgets what waits. */
  drop(register: string): void {
    const fifo = this.#fifos.get(register)
    if (fifo !== undefined) fifo.waiting = []
  }

  credit(offset: number, count: number): void {
    const name = this.registerAt(offset)?.name
    const fifo = name === undefined ? undefined : this.#fifos.get(name)
    if (name === undefined || fifo === undefined) return
    fifo.credit += count
    const wasHeld = this.hasWaiting
    this.#drain(name)
    if (!wasHeld || this.hasWaiting) return
    this.onDrained()
    for (const line of this.lines.values()) line.look()
  }

  #drain(register: string): void {
    const fifo = this.#fifos.get(register)
    if (fifo === undefined) return
    const entries = fifo.waiting.splice(0, fifo.credit)
    if (entries.length === 0) return
    fifo.credit -= entries.length
    this.#outlets.fifo(this.layout.registers.find(({ name }) => name === register)?.offset ?? 0, entries)
  }
}
