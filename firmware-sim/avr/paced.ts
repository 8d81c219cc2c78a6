/** An Uno that keeps pace with a clock, as fast as real time or some times faster, on a thread of its own. */
import { CYCLES_A_US } from './atmega328p.ts'
import type { Uno, UnoFault, UnoReport } from './uno.ts'

/** What its owner asks of it. */
export type UnoCommand =
  | { do: 'write'; bytes: Uint8Array }
  | { do: 'press' | 'release'; pin: string }
  | { do: 'set'; sensor: string; value: number }
  | { do: 'reset' }
  | { do: 'fault'; fault: UnoFault; values: readonly number[] }
  | { do: 'report'; id: number; withLog: boolean }
  | { do: 'stop' }

export type UnoEvent = { tells: 'data'; bytes: Uint8Array } | { tells: 'report'; id: number; report: UnoReport }

export interface Pace {
  /** Microseconds. */
  now(): number
  /** Waits that long, or until a command comes. */
  wait(us: number): void
  /** The next command; undefined when there is none. */
  take(): UnoCommand | undefined
  tell(event: UnoEvent): void
  /** Its clock runs so many times as fast as that of `now`. */
  speed: number
}

/** How much of its time passes at one stretch while its processor is awake. */
const SLICE_CYCLES = 200 * CYCLES_A_US
/** Further behind than this, it gives up to catch up. */
const LATEST_CYCLES = 200_000 * CYCLES_A_US
const LONGEST_WAIT_US = 100_000
/** Hands are not quicker than this: edges of two commands that come at once are two edges. */
const HAND_CYCLES = 50 * CYCLES_A_US

export class PacedUno {
  readonly #uno: Uno
  readonly #pace: Pace
  readonly #cyclesAUs: number
  /** The time of `now` at which its clock was zero; later when it fell behind. */
  #origin: number
  #lateUs = 0
  #isRunning = true
  readonly #leaving: { byte: number; end: number }[] = []

  constructor(uno: Uno, pace: Pace) {
    this.#uno = uno
    this.#pace = pace
    this.#cyclesAUs = CYCLES_A_US * pace.speed
    this.#origin = pace.now() - uno.chip.cycles / this.#cyclesAUs
    uno.chip.usart.onByte = (byte, end) => this.#leaving.push({ byte, end })
  }

  /** Runs until it is told to stop. */
  run(): void {
    while (this.#isRunning) this.#turn()
  }

  #turn(): void {
    for (let command = this.#pace.take(); command !== undefined; command = this.#pace.take()) this.#carryOut(command)
    const { chip } = this.#uno
    const due = this.#due()
    if (due > chip.cycles) {
      chip.run(Math.min(due, chip.cycles + SLICE_CYCLES))
      this.#sendWhatLeft()
    } else if (this.#isRunning) {
      const { core } = chip
      const next = core.isAsleep ? core.alarms.next : core.cycles + SLICE_CYCLES
      this.#pace.wait(Math.min(LONGEST_WAIT_US, Math.max(1, (next - due) / this.#cyclesAUs)))
    }
  }

  /** Where its clock should be now. */
  #due(): number {
    const due = Math.floor((this.#pace.now() - this.#origin) * this.#cyclesAUs)
    const late = due - this.#uno.chip.cycles
    if (late < LATEST_CYCLES || this.#uno.chip.core.isAsleep) return due
    this.#lateUs += late / this.#cyclesAUs
    this.#origin += late / this.#cyclesAUs
    return this.#uno.chip.cycles
  }

  #sendWhatLeft(): void {
    const count = this.#leaving.findIndex(({ end }) => end > this.#uno.chip.cycles)
    const left = this.#leaving.splice(0, count < 0 ? this.#leaving.length : count)
    if (left.length > 0) this.#pace.tell({ tells: 'data', bytes: Uint8Array.from(left, ({ byte }) => byte) })
  }

  #carryOut(command: UnoCommand): void {
    const uno = this.#uno
    if (command.do === 'write') uno.chip.usart.receive(command.bytes)
    else if (command.do === 'press' || command.do === 'release' || command.do === 'set') this.#touch(command)
    else if (command.do === 'reset') uno.reset()
    else if (command.do === 'fault') uno.fault(command.fault, command.values)
    else if (command.do === 'report') this.#report(command.id, command.withLog)
    else this.#isRunning = false
  }

  #touch(command: Extract<UnoCommand, { do: 'press' | 'release' | 'set' }>): void {
    const uno = this.#uno
    if (command.do === 'set') uno.set(command.sensor, command.value)
    else uno[command.do](command.pin)
    uno.chip.run(uno.chip.cycles + HAND_CYCLES)
  }

  #report(id: number, withLog: boolean): void {
    const report = { ...this.#uno.report(withLog), lateUs: this.#lateUs }
    this.#pace.tell({ tells: 'report', id, report })
  }
}
