/** An Uno that lives by the machine's time, in this process: cycle by cycle the same in every run of a virtual clock. */
import { CYCLES_A_US } from './atmega328p.ts'
import type { Uno, UnoFault, UnoHands, UnoReport } from './uno.ts'

/** The machine's time, in ticks of 100 ns. What is planned for one time happens in the order of the plans. */
export interface Ticks {
  now(): number
  /** Gives back what calls it off. */
  after(ticks: number, happen: () => void): () => void
}

const CYCLES_A_TICK = CYCLES_A_US / 10
/**
 * How far a processor that is awake may run behind the time: as long as a byte takes to leave, at most this. A byte is
 * known when its first bit leaves, so it still arrives at its own time.
 */
const LONGEST_CYCLES = 80 * CYCLES_A_US
const SHORTEST_CYCLES = 5 * CYCLES_A_US

export class UnoOnVirtualClock implements UnoHands {
  readonly uno: Uno
  /** Told of bytes from the board, each when its last bit is out. */
  onData: (bytes: Uint8Array) => void = () => {}
  readonly #time: Ticks
  /** The tick at which the board's clock was zero. */
  readonly #origin: number
  #isOn = true
  /** The tick of its own clock at which it wants to look, and what calls that off. */
  #plannedFor = Number.POSITIVE_INFINITY
  #callOff: () => void = () => {}

  constructor(uno: Uno, time: Ticks) {
    this.uno = uno
    this.#time = time
    this.#origin = time.now() - uno.chip.cycles / CYCLES_A_TICK
    uno.chip.usart.onByte = (byte, end) => this.#send(byte, end)
    this.#plan()
  }

  /** Bytes from the host. */
  write(bytes: Uint8Array): void {
    this.#do(() => this.uno.chip.usart.receive(bytes))
  }

  press(pin: string): void {
    this.#do(() => this.uno.press(pin))
  }

  release(pin: string): void {
    this.#do(() => this.uno.release(pin))
  }

  set(sensor: string, value: number): void {
    this.#do(() => this.uno.set(sensor, value))
  }

  reset(): void {
    this.#do(() => this.uno.reset())
  }

  fault(fault: UnoFault, values: readonly number[] = []): void {
    this.#do(() => this.uno.fault(fault, values))
  }

  /** What it has seen so far; with the whole log of its bus, if that is wanted. */
  report(withLog = false): Promise<UnoReport> {
    this.#do(() => {})
    return Promise.resolve(this.uno.report(withLog))
  }

  /** Does something to the board at this very time: to its bus, its chips, its pins. */
  touch(body: (uno: Uno) => void): void {
    this.#do(() => body(this.uno))
  }

  /** Takes its power away. What it has sent is lost where it is. */
  powerOff(): Promise<void> {
    this.#isOn = false
    this.#callOff()
    return Promise.resolve()
  }

  /** Up to now, then what is to be done, then on. */
  #do(body: () => void): void {
    if (!this.#isOn) return
    this.#catchUp()
    body()
    this.#plan()
  }

  #catchUp(): void {
    this.uno.chip.run(Math.floor((this.#time.now() - this.#origin) * CYCLES_A_TICK))
  }

  /** Asleep it need not be looked at before something falls due in it. */
  #plan(): void {
    const { core, usart } = this.uno.chip
    const ahead = Math.max(SHORTEST_CYCLES, Math.min(LONGEST_CYCLES, usart.byteCycles))
    const next = core.isAsleep ? core.alarms.next : core.cycles + ahead
    if (next === Number.POSITIVE_INFINITY) return
    const at = Math.ceil(next / CYCLES_A_TICK)
    if (at === this.#plannedFor) return
    this.#callOff()
    this.#plannedFor = at
    this.#callOff = this.#time.after(Math.max(0, at + this.#origin - this.#time.now()), () => {
      this.#plannedFor = Number.POSITIVE_INFINITY
      this.#catchUp()
      this.#plan()
    })
  }

  #send(byte: number, end: number): void {
    const at = Math.ceil(end / CYCLES_A_TICK) + this.#origin
    this.#time.after(Math.max(0, at - this.#time.now()), () => {
      if (this.#isOn) this.onData(Uint8Array.of(byte))
    })
  }
}
