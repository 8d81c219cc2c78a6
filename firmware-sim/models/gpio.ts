/** The gpio class as a model: pins that hands, chips and the host drive (docs/hardware/gpio.md). */
import type { LineSpec } from '../../classes/device.ts'
import { GPIO_PINS, gpioEdgesName } from '../../classes/gpio.ts'
import type { DeviceModel } from '../device.ts'

export class GpioModel {
  readonly #device: DeviceModel
  readonly #us: () => number
  /** What drives each pin from outside; null: nothing does. */
  readonly #driven: (boolean | null)[] = Array<null>(GPIO_PINS).fill(null)
  readonly #levels: boolean[] = Array<boolean>(GPIO_PINS).fill(false)
  /** Lines that pins are of their own, by pin. */
  readonly #own: ReadonlyMap<number, LineSpec>
  /** Called when the level of a pin changes. */
  onLevel: (pin: number, isHigh: boolean) => void = () => {}

  constructor(device: DeviceModel, us: () => number) {
    this.#device = device
    this.#us = us
    this.#own = new Map(device.layout.lines.flatMap((line) => (line.pin === undefined ? [] : [[line.pin, line]])))
    device.onWrite = () => this.#settle()
    device.onBegin = () => this.#begin()
    device.onRead = (register) => {
      if (register === 'INPUT') this.#showLevels()
    }
    device.onSnapshot = () => this.#showLevels()
    device.onTold = (line) => {
      if (line === 'pins') device.set('EDGE_PINS', 0)
    }
    this.#begin()
  }

  /** Levels are those of the reset values; a level line whose pin is asserted says so when it is enabled. */
  #begin(): void {
    for (let pin = 0; pin < GPIO_PINS; pin++) {
      const level = this.#levelOf(pin)
      this.#levels[pin] = level
      const own = this.#own.get(pin)
      if (own?.mode === 'level') this.#device.line(own.name).begin(this.#isActive(own, level))
    }
  }

  #isActive({ active }: LineSpec, isHigh: boolean): boolean {
    return isHigh === (active === 'high')
  }

  #bit(register: string, pin: number): boolean {
    return ((this.#device.get(register) >>> pin) & 1) !== 0
  }

  #levelOf(pin: number): boolean {
    if (this.#bit('DIRECTION', pin)) return this.#bit('OUTPUT', pin)
    return this.#driven[pin] ?? this.#bit('PULLUP', pin)
  }

  /** Drives a pin from outside; null lets go of it. */
  drive(pin: number, level: boolean | null): void {
    this.#driven[pin] = level
    this.#look(pin)
  }

  level(pin: number): boolean {
    return this.#levels[pin] as boolean
  }

  #settle(): void {
    for (let pin = 0; pin < GPIO_PINS; pin++) this.#look(pin)
  }

  #look(pin: number): void {
    const level = this.#levelOf(pin)
    if (level === this.#levels[pin]) return
    this.#levels[pin] = level
    const own = this.#own.get(pin)
    if (own === undefined) this.#edge(pin, level)
    else this.#ownEdge(own, pin, level)
    this.onLevel(pin, level)
  }

  #edge(pin: number, isRising: boolean): void {
    if (!this.#bit(isRising ? 'RISING' : 'FALLING', pin) || !this.#bit('PINS', pin)) return
    const device = this.#device
    device.add(gpioEdgesName(pin), 1)
    device.set('EDGE_PINS', device.get('EDGE_PINS') | (1 << pin))
    device.set('TIME', Math.floor(this.#us()))
    device.line('pins').edge(1)
  }

  #ownEdge(line: LineSpec, pin: number, isHigh: boolean): void {
    const target = this.#device.line(line.name)
    const isActive = this.#isActive(line, isHigh)
    if (isActive || line.active === 'both') this.#device.add(gpioEdgesName(pin), 1)
    if (line.mode === 'latched') {
      if (isActive || line.active === 'both') target.pulse()
    } else if (isActive) target.assert()
    else target.deassert()
  }

  #showLevels(): void {
    const mask = this.#levels.reduce((bits, level, pin) => (level ? bits | (1 << pin) : bits), 0)
    this.#device.set('INPUT', mask & this.#device.get('PINS'))
  }
}
