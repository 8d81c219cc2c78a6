/** An ATmega328P at 16 MHz: its processor and its peripherals, put together, and what resets do. */
import type { I2cBus } from '../chips/bus.ts'
import { Adc } from './adc.ts'
import { Agenda } from './agenda.ts'
import { Core } from './core.ts'
import { EEPROM_SIZE, Eeprom } from './eeprom.ts'
import { PinInterrupts, Port, PortBase } from './ports.ts'
import { SERIAL_BYTES, Signature } from './signature.ts'
import { TIMERS, Timer } from './timer.ts'
import { Twi } from './twi.ts'
import { Usart } from './usart.ts'
import { ResetCause, Watchdog } from './watchdog.ts'

export const CYCLES_A_US = 16
const SDA = 4 // of port C
const SCL = 5

export type PortName = 'B' | 'C' | 'D'
const PORTS: readonly PortName[] = ['B', 'C', 'D']

export interface Atmega328pParts {
  /** 32 KiB of flash. */
  image: Uint8Array
  /** Kept by whoever gives it: it outlives the power. */
  eeprom?: Uint8Array
  /** Ten bytes by which this chip differs from others. */
  serial?: Uint8Array
  /** What its two-wire interface is connected to. */
  bus: I2cBus
}

export class Atmega328p {
  readonly core: Core
  readonly agenda: Agenda
  readonly ports: Record<PortName, Port>
  readonly usart: Usart
  readonly adc: Adc
  readonly eeprom: Eeprom
  /** Told of each reset, with its cause as in MCUSR. */
  onReset: (cause: number) => void = () => {}
  /** Told of pins whose level changed. */
  onPins: (port: PortName, changed: number, levels: number) => void = () => {}
  readonly #bus: I2cBus
  readonly #twi: Twi
  readonly #watchdog: Watchdog
  readonly #timers: Timer[]
  readonly #pinInterrupts: PinInterrupts
  /** Resets so far: a bootloader that was reset does not start the program. */
  #boots = 0

  constructor(parts: Atmega328pParts) {
    this.core = new Core(parts.image)
    new Signature(this.core, parts.serial ?? new Uint8Array(SERIAL_BYTES))
    this.agenda = new Agenda(this.core.alarms)
    this.ports = { B: this.#port('B'), C: this.#port('C'), D: this.#port('D') }
    this.#pinInterrupts = new PinInterrupts(this.core)
    this.#timers = TIMERS.map((plan) => new Timer(this.core, plan))
    this.usart = new Usart(this.core)
    this.adc = new Adc(this.core)
    this.eeprom = new Eeprom(this.core, parts.eeprom ?? blankEeprom())
    this.#watchdog = new Watchdog(this.core)
    this.#watchdog.onReset = () => this.reset(ResetCause.Watchdog)
    this.#bus = parts.bus
    this.#twi = new Twi(this.core, this.#bus)
    this.#bus.faults.onChange = () => this.#driveBus()
    this.#driveBus()
    this.reset(ResetCause.PowerOn)
  }

  /** Resets, by a cause of `ResetCause`. Causes add up in MCUSR until the program clears them. */
  reset(cause: number): void {
    const before = cause === ResetCause.PowerOn ? 0 : (this.core.data[MCUSR] as number)
    this.#boots += 1
    this.#start(before | cause)
    this.onReset(cause)
  }

  #start(causes: number): void {
    this.core.reset()
    for (const name of PORTS) this.ports[name].update()
    this.#twi.reset()
    for (const timer of this.#timers) timer.reset()
    this.usart.reset()
    this.adc.reset()
    this.eeprom.reset()
    this.#watchdog.reset(causes)
    this.agenda.arm()
  }

  /** Behind a reset: a bootloader listens for so long, to nothing that is known here; then the program starts. */
  boot(us: number): void {
    this.#boots += 1
    const boot = this.#boots
    this.core.park()
    this.after(us, () => {
      if (boot === this.#boots) this.#start(0)
    })
  }

  get cycles(): number {
    return this.core.cycles
  }

  /** Lets `happen` run `us` microseconds from now, whatever resets come. */
  after(us: number, happen: () => void): void {
    this.agenda.plan(this.core.cycles + Math.round(us * CYCLES_A_US), happen)
  }

  /** Runs until the clock has reached `cycles`; the last instruction may take it some further. */
  run(cycles: number): void {
    this.core.run(cycles)
  }

  #port(name: PortName): Port {
    const port = new Port(this.core, PortBase[name])
    port.onChange = (changed, levels) => {
      if (name === 'C') this.#clockByHand(changed, levels)
      this.#pinInterrupts.changed(PORTS.indexOf(name), changed, levels)
      this.onPins(name, changed, levels)
    }
    return port
  }

  /** SCL moved as a plain pin, as a program does to free a stuck bus: each rise is a clock. */
  #clockByHand(changed: number, levels: number): void {
    if (!this.#twi.isEnabled && changed & levels & (1 << SCL)) this.#bus.pulse()
  }

  /** Both lines have pull-ups; who holds one down is stronger. */
  #driveBus(): void {
    const { faults } = this.#bus
    this.ports.C.drive(SDA, !faults.isSdaLow)
    this.ports.C.drive(SCL, !faults.isSclLow)
    const us = faults.sclLowForUs
    if (us > 0 && us < Number.POSITIVE_INFINITY) this.after(us, () => this.#driveBus())
  }
}

const MCUSR = 0x54
const blankEeprom = (): Uint8Array => new Uint8Array(EEPROM_SIZE).fill(0xff)
