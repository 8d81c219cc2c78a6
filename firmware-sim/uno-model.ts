/**
 * The behaviour model of the Uno, and of any board of the classes i2c, gpio and adc: controllers by their datasheets, chip
 * models on the bus, and hands for tests. Faster than emulated firmware, and it can lie.
 */
import type { DeviceLayout } from '../classes/device.ts'
import { At24 } from './chips/at24.ts'
import { type BusEntry, type BusFaults, I2cBus, type I2cTarget } from './chips/bus.ts'
import { SequenceCounter } from './chips/sequences.ts'
import { Tmp102 } from './chips/tmp102.ts'
import { type Lie, LIES, ModelBoard, type ModelTime } from './model.ts'
import { AdcModel } from './models/adc.ts'
import { GpioModel } from './models/gpio.ts'
import { I2cModel } from './models/i2c.ts'

const TICKS_PER_US = 10
const VOLTS = 5
const FIRST_ANALOGUE_PIN = 14

/** A chip on a bus of the board, as the board file tells it. */
export interface ModelChip {
  /** The device that it is on. */
  device: string
  name: string
  hardwareIds: readonly string[]
  address: number
  /** The lines that are its own, as `device.line`. */
  lines: readonly string[]
}

export interface UnoModelPlan {
  layouts: readonly DeviceLayout[]
  chips: readonly ModelChip[]
  time: ModelTime
}

/** What goes wrong with a model by request of a test. */
export interface ModelFaults {
  /** A line's input stays asserted, or inactive, whatever happens; null mends it. */
  stick(line: string, level?: boolean | null): void
  /** So many edges of a latched line at once. */
  storm(line: string, edges: number): void
  /** The board restarts in the middle of whatever it does. */
  reset(): void
  /** The board breaks the protocol, once; `where` is a line, or `device.REGISTER` for 'credit'. */
  lie(what: Lie, where?: string): void
  /** What goes wrong on a bus. */
  bus(device?: string): BusFaults
}

export class UnoModel {
  readonly board: ModelBoard
  readonly chips = new Map<string, Tmp102 | At24>()
  readonly fault: ModelFaults
  readonly #buses = new Map<string, I2cModel>()
  readonly #sequences = new Map<string, SequenceCounter>()
  readonly #gpios = new Map<string, GpioModel>()
  readonly #adcs = new Map<string, AdcModel>()
  readonly #layouts: readonly DeviceLayout[]

  constructor({ layouts, chips, time }: UnoModelPlan) {
    this.#layouts = layouts
    this.board = new ModelBoard(layouts, time)
    const us = (): number => time.now() / TICKS_PER_US
    for (const device of this.board.devices) {
      const { name, class: type } = device.layout
      if (type === 'i2c') this.#buses.set(name, new I2cModel(device, this.#makeBus(name, us), time))
      else if (type === 'gpio') this.#gpios.set(name, new GpioModel(device, us))
      else if (type === 'adc') this.#adcs.set(name, new AdcModel(device, time))
    }
    for (const chip of chips) this.#addChip(chip, time, us)
    this.fault = {
      stick: (line, level = true) => this.board.lineNamed(line).line.stick(level),
      storm: (line, edges) => this.board.lineNamed(line).line.edge(edges),
      reset: () => this.board.reset(),
      lie: (what, where = '') => this.#lie(what, where),
      bus: (device) => this.bus(device).faults,
    }
  }

  #makeBus(name: string, us: () => number): I2cBus {
    const bus = new I2cBus(us)
    const sequences = new SequenceCounter()
    bus.onEntry = (entry) => sequences.see(entry)
    this.#sequences.set(name, sequences)
    return bus
  }

  #addChip({ device, name, hardwareIds, address, lines }: ModelChip, time: ModelTime, us: () => number): void {
    const controller = this.#buses.get(device)
    if (controller === undefined) return
    const make = hardwareIds.map((id) => CHIPS[id.toLowerCase().replace(/^.*\\/, '')]).find((one) => one !== undefined)
    if (make === undefined) return // a chip that nobody has modelled: its address is not acknowledged
    const chip = make(us, (delayUs, happen) => time.after(Math.round(delayUs * TICKS_PER_US), happen), address)
    controller.bus.attach(chip)
    this.chips.set(name, chip)
    if (!(chip instanceof Tmp102)) return
    attachAlertResponse(controller.bus, chip.alertResponse)
    for (const line of lines) this.#wireAlert(chip, line)
  }

  /** The chip's open-drain ALERT drives the pin of its line. */
  #wireAlert(chip: Tmp102, line: string): void {
    const [device = '', name] = line.split('.')
    const pin = this.#layouts.find((layout) => layout.name === device)?.lines.find((one) => one.name === name)?.pin
    const gpio = this.#gpios.get(device)
    if (pin === undefined || gpio === undefined) return
    const drive = (isHigh: boolean): void => gpio.drive(pin, isHigh ? null : false)
    drive(chip.alertPin)
    chip.onAlert = drive
  }

  #lie(what: Lie, where: string): void {
    if (!LIES.includes(what)) throw new Error(`there is no lie '${String(what)}'; there are ${LIES.join(', ')}`)
    this.board.lie(what, where)
  }

  /** The bus of a controller: the first one, when none is named. */
  bus(device = [...this.#buses.keys()][0] ?? ''): I2cBus {
    return found(this.#buses, device, 'I2C bus').bus
  }

  /** What was said on a bus, newest last. */
  busLog(device?: string): readonly BusEntry[] {
    return this.bus(device).log
  }

  /** Sequences of one driver on the bus that another's cut into. */
  mixed(device = [...this.#buses.keys()][0] ?? ''): number {
    return found(this.#sequences, device, 'I2C bus').mixed
  }

  /** Presses a button: pulls the pin of a line to where the line is asserted, or a pin such as D4 to ground. */
  press(wanted: string): void {
    const { gpio, pin, level } = this.#pin(wanted)
    gpio.drive(pin, level)
  }

  release(wanted: string): void {
    const { gpio, pin } = this.#pin(wanted)
    gpio.drive(pin, null)
  }

  /** Level of a pin. */
  level(wanted: string): boolean {
    const { gpio, pin } = this.#pin(wanted)
    return gpio.level(pin)
  }

  #pin(wanted: string): { gpio: GpioModel; pin: number; level: boolean } {
    const number = pinNumber(wanted)
    for (const { name, lines, class: type } of this.#layouts) {
      const gpio = this.#gpios.get(name)
      if (type !== 'gpio' || gpio === undefined) continue
      const line = lines.find(
        (one) => one.pin !== undefined && (one.name === wanted || `${name}.${one.name}` === wanted),
      )
      if (line?.pin !== undefined) return { gpio, pin: line.pin, level: line.active === 'high' }
      if (number !== null) return { gpio, pin: number, level: false }
    }
    throw new Error(`this board has no pin '${wanted}'; it has ${this.#pinNames()}`)
  }

  #pinNames(): string {
    const lines = this.#layouts.flatMap((layout) => layout.lines).filter(({ pin }) => pin !== undefined)
    const named = lines.map(({ name }) => name)
    return this.#gpios.size === 0
      ? 'no pins at all'
      : [...named, 'D0 to D13', 'A0 to A5', 'gpio.0 to gpio.19'].join(', ')
  }

  /**
   * Sets what a sensor is exposed to: `tmp102.temperature` (°C; `temperature` for short), `adc0.2` (as the converter
   * reads it), `A2` (volts); or drives a pin: `gpio.4`, `D4`.
   */
  set(sensor: string, value: number): void {
    const [first = '', second] = sensor.split('.')
    const chip =
      second === undefined ? [...this.chips.values()].find((one) => one instanceof Tmp102) : this.chips.get(first)
    const adc = this.#adcs.get(first)
    const analogue = /^A([0-7])$/.exec(sensor)?.[1]
    const converter = [...this.#adcs.values()][0]
    if ((second ?? first) === 'temperature' && chip instanceof Tmp102) chip.celsius = value
    else if (adc !== undefined && second !== undefined && /^[0-7]$/.test(second)) adc.set(Number(second), value)
    else if (analogue !== undefined && converter !== undefined) converter.set(Number(analogue), (value / VOLTS) * 1024)
    else if (pinNumber(sensor) !== null) {
      const { gpio, pin } = this.#pin(sensor)
      gpio.drive(pin, value !== 0)
    } else throw new Error(`this board has no sensor '${sensor}'; it has ${this.#sensorNames()}`)
  }

  #sensorNames(): string {
    const temperatures = [...this.chips].flatMap(([name, chip]) =>
      chip instanceof Tmp102 ? [`${name}.temperature`] : [],
    )
    const channels = [...this.#adcs.keys()].map((name) => `${name}.0 to ${name}.7`)
    return [...temperatures, ...channels, this.#pinNames()].join(', ')
  }
}

type ChipMaker = (
  now: () => number,
  after: (delayUs: number, happen: () => void) => unknown,
  address: number,
) => Tmp102 | At24

/** Chip models, by the last part of a hardware id. */
const CHIPS: Readonly<Record<string, ChipMaker>> = {
  tmp102: (now, after, address) => new Tmp102({ now, after }, address),
  at24: (now, _after, address) => new At24(now, address),
}

/** Chips answer to it together; the first one of a bus does here. */
function attachAlertResponse(bus: I2cBus, target: I2cTarget): void {
  try {
    bus.attach(target)
  } catch {
    // another chip has the address
  }
}

/** `D4`, `A0`, `gpio.4` or `4` as a pin's number. */
function pinNumber(wanted: string): number | null {
  const [, kind, digits] = /^(D|A|gpio\.|)(\d{1,2})$/.exec(wanted) ?? []
  if (digits === undefined) return null
  const pin = Number(digits) + (kind === 'A' ? FIRST_ANALOGUE_PIN : 0)
  return pin < 20 ? pin : null
}

function found<T>(map: ReadonlyMap<string, T>, name: string, what: string): T {
  const one = map.get(name)
  if (one !== undefined) return one
  throw new Error(`this board has no ${what} '${name}'; it has ${[...map.keys()].join(', ') || 'none'}`)
}
