/** An Arduino Uno with its fixture: TMP102 and 24LC256 on the two-wire bus, ALERT on D3, a button on D2. */
import { AT24_SIZE, At24 } from '../chips/at24.ts'
import { type BusEntry, I2cBus } from '../chips/bus.ts'
import { SequenceCounter } from '../chips/sequences.ts'
import { Tmp102 } from '../chips/tmp102.ts'
import { Atmega328p, CYCLES_A_US, type PortName } from './atmega328p.ts'
import { FLASH_SIZE } from './core.ts'
import { EEPROM_SIZE } from './eeprom.ts'
import { readHex } from './hex.ts'
import { SERIAL_BYTES } from './signature.ts'
import { ResetCause } from './watchdog.ts'

/** Pins by their number on the board: D0 to D13, then A0 to A5. */
export const UNO_PINS = 20
const PIN_NAMES = Array.from({ length: UNO_PINS }, (_, pin) => (pin < 14 ? `D${pin}` : `A${pin - 14}`))
const ALERT_PIN = 3

/** Faults of its bus, by their names in `BusFaults`. */
export type UnoFault = 'nack' | 'holdSda' | 'holdScl' | 'stretch' | 'loseArbitration' | 'disturb' | 'clear'

/** What keeps its contents without power. */
export interface UnoMemory {
  /** 1024 bytes inside of the microcontroller: the boot count. */
  eeprom: Uint8Array
  /** 32 KiB of the 24LC256. */
  at24: Uint8Array
}

/** Buttons, by the pin that each pulls to ground. */
export type UnoButtons = Readonly<Record<string, number>>
export const UNO_BUTTONS: UnoButtons = { button: 2 }

export interface UnoOptions {
  /** Intel HEX of the firmware. */
  firmware: string
  /** Which of all Unos this one is: its chip's unique bytes are made from it. */
  name?: string
  /** Of an earlier Uno: this one is that one, switched on again. It is written to. */
  memory?: UnoMemory
  buttons?: UnoButtons
  /** What the host's end of the serial port is set to. */
  baud?: number
  /**
   * How long the bootloader listens for a new program behind a reset by hand or DTR; Optiboot takes a second. What the
   * host says meanwhile is lost. It clears MCUSR. None is on the board if this is left out.
   */
  bootloaderMs?: number
}

/** What hands can do to a simulated Uno. */
export interface UnoHands {
  /** Presses a button, or pulls a pin (`D4`, `A0`) to ground. */
  press(pin: string): void
  /** Lets go of it. */
  release(pin: string): void
  /**
   * Sets what a sensor is exposed to: `temperature` in °C, `A0` to `A5` in volts, `adc0.0` to `adc0.5` as the converter
   * reads it; or drives a pin: 0 or 1.
   */
  set(sensor: string, value: number): void
  /** The reset button, or DTR. */
  reset(): void
}

/** What an Uno has seen so far. */
export interface UnoReport {
  /** Microseconds of its own clock. */
  us: number
  sleptUs: number
  /** Microseconds of real time that it could not keep up with, and let go. */
  lateUs: number
  /** Bytes of the host that came while its receiver was full. */
  overruns: number
  transactions: number
  mixedTransactions: number
  /** Empty if it was not asked for. */
  log: readonly BusEntry[]
}

export class Uno implements UnoHands {
  readonly chip: Atmega328p
  readonly bus: I2cBus
  readonly tmp102: Tmp102
  readonly at24: At24
  readonly memory: UnoMemory
  /** Sequences on the bus that were cut into. */
  readonly sequences = new SequenceCounter()
  /** Told of resets, by their cause as in MCUSR. */
  onReset: (cause: number) => void = () => {}
  /** Told of each level that changes, by the pin's number on the board. */
  onPin: (pin: number, isHigh: boolean) => void = () => {}
  readonly #buttons: UnoButtons
  readonly #bootloaderMs: number

  constructor({ firmware, name = 'uno', memory, buttons = UNO_BUTTONS, baud, bootloaderMs = 0 }: UnoOptions) {
    this.#buttons = buttons
    this.#bootloaderMs = bootloaderMs
    this.memory = memory ?? { eeprom: erased(EEPROM_SIZE), at24: erased(AT24_SIZE) }
    let now = (): number => 0
    this.bus = new I2cBus(() => now())
    const image = readHex(firmware, FLASH_SIZE)
    this.chip = new Atmega328p({ image, bus: this.bus, eeprom: this.memory.eeprom, serial: serialOf(name) })
    if (baud !== undefined) this.chip.usart.baud = baud
    now = () => this.us
    this.tmp102 = new Tmp102({ now, after: (us, happen) => this.chip.after(us, happen) })
    this.at24 = new At24(now, undefined, this.memory.at24)
    for (const target of [this.tmp102, this.tmp102.alertResponse, this.at24]) this.bus.attach(target)
    this.bus.onEntry = (entry) => this.sequences.see(entry)
    this.#drive(ALERT_PIN, true)
    this.tmp102.onAlert = (isHigh) => this.#drive(ALERT_PIN, isHigh)
    this.chip.onReset = (cause) => this.onReset(cause)
    this.chip.onPins = (port, changed, levels) => this.#tellPins(port, changed, levels)
  }

  /** Microseconds since it was switched on. */
  get us(): number {
    return this.chip.cycles / CYCLES_A_US
  }

  /** Level of a pin, by its number on the board. */
  level(pin: number): boolean {
    const [port, bit] = placeOf(pin)
    return (this.chip.ports[port].levels & (1 << bit)) !== 0
  }

  press(pin: string): void {
    this.#drive(pinOf(pin, this.#buttons), false)
  }

  release(pin: string): void {
    this.#drive(pinOf(pin, this.#buttons), null)
  }

  set(sensor: string, value: number): void {
    const wanted = sensorOf(sensor, this.#buttons)
    if (wanted.is === 'temperature') this.tmp102.celsius = value
    else if (wanted.is === 'pin') this.#drive(wanted.pin, value !== 0)
    else this.chip.adc.volts[wanted.channel] = wanted.isRaw ? ((value + 0.5) / 1024) * this.chip.adc.supply : value
  }

  reset(): void {
    this.chip.reset(ResetCause.External)
    if (this.#bootloaderMs > 0) this.chip.boot(this.#bootloaderMs * 1000)
  }

  /** Lets something go wrong on the bus: a method of its `BusFaults`. */
  fault(fault: UnoFault, values: readonly number[] = []): void {
    const { faults } = this.bus
    const [first = 0, second, third] = values
    if (fault === 'nack') faults.nack(first, second, third)
    else if (fault === 'clear') faults.clear()
    else if (fault === 'stretch') faults.stretch(first, second)
    else faults[fault](values[0])
  }

  report(withLog = false): UnoReport {
    const { bus, chip, sequences, us } = this
    return {
      us,
      sleptUs: chip.core.sleptCycles / CYCLES_A_US,
      lateUs: 0,
      overruns: chip.usart.overruns,
      transactions: bus.log.length,
      mixedTransactions: sequences.mixed,
      log: withLog ? bus.log : [],
    }
  }

  #drive(pin: number, level: boolean | null): void {
    const [port, bit] = placeOf(pin)
    this.chip.ports[port].drive(bit, level)
  }

  #tellPins(port: PortName, changed: number, levels: number): void {
    for (let bit = 0; bit < (port === 'D' ? 8 : 6); bit++) {
      if (changed & (1 << bit)) this.onPin(FIRST_PIN[port] + bit, (levels & (1 << bit)) !== 0)
    }
  }
}

/** The number of a pin: `D4`, `A0`, `gpio.4`, or the name of its button. */
export function pinOf(name: string, buttons: UnoButtons): number {
  const plain = name.replace(/^gpio\./, '')
  const pin = buttons[plain] ?? (/^\d+$/.test(plain) ? Number(plain) : PIN_NAMES.indexOf(plain))
  if (pin >= 0 && pin < UNO_PINS) return pin
  throw new Error(`this Uno has no pin '${name}'; it has ${[...Object.keys(buttons), ...PIN_NAMES].join(', ')}`)
}

type Sensor = { is: 'temperature' } | { is: 'volts'; channel: number; isRaw: boolean } | { is: 'pin'; pin: number }

/** What `set` is to set; the names are those of the behaviour model. */
export function sensorOf(name: string, buttons: UnoButtons): Sensor {
  if (name === 'temperature' || name === 'tmp102.temperature') return { is: 'temperature' }
  const raw = /^adc0\.([0-5])$/.exec(name)?.[1]
  const channel = raw ?? /^A([0-5])$/.exec(name)?.[1]
  if (channel !== undefined) return { is: 'volts', channel: Number(channel), isRaw: raw !== undefined }
  try {
    return { is: 'pin', pin: pinOf(name, buttons) }
  } catch {
    throw new Error(`this Uno has no sensor '${name}'; it has temperature, A0 to A5, adc0.0 to adc0.5, D0 to D13`)
  }
}

const FIRST_PIN = { D: 0, B: 8, C: 14 } as const
const placeOf = (pin: number): [PortName, number] =>
  pin < 8 ? ['D', pin] : pin < 14 ? ['B', pin - 8] : ['C', pin - 14]
const erased = (size: number): Uint8Array => new Uint8Array(size).fill(0xff)

/** Ten bytes that differ from name to name. */
function serialOf(name: string): Uint8Array {
  let state = 0x811c9dc5
  for (const character of name) state = Math.imul(state ^ (character.codePointAt(0) as number), 0x01000193)
  return Uint8Array.from({ length: SERIAL_BYTES }, () => {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x297a2d39
    return (state >>> 16) & 0xff
  })
}
