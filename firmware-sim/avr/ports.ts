/** The pins of an ATmega328P: ports B, C and D, external and pin-change interrupts (datasheet §13 and §14). */
import type { Core } from './core.ts'

/** Address of PINx; DDRx and PORTx follow. */
export const PortBase = { B: 0x23, C: 0x26, D: 0x29 } as const

const PCIFR = 0x3b
const EIFR = 0x3c
const EIMSK = 0x3d
const PCICR = 0x68
const EICRA = 0x69
const PCMSK0 = 0x6b

const INT0_VECTOR = 1
const PCINT0_VECTOR = 3
const INT0_PIN = 2 // of port D; INT1 is the next

/** Values of ISCn1 ISCn0. */
const Sense = { Low: 0, Change: 1, Falling: 2, Rising: 3 } as const

/** Eight pins. What drives them from outside is not touched by a reset. */
export class Port {
  /** Told of pins whose level changed. */
  onChange: (changed: number, levels: number) => void = () => {}
  levels = 0
  readonly #core: Core
  readonly #base: number
  /** Pins that something outside drives, and how. */
  #driven = 0
  #high = 0

  constructor(core: Core, base: number) {
    this.#core = core
    this.#base = base
    const { writeHooks } = core.cpu
    writeHooks[base] = (value, _old, _address, mask) => {
      core.data[base + 2] = (core.data[base + 2] as number) ^ (value & mask) // writing ones to PINx toggles PORTx
      this.update()
      return true
    }
    for (const register of [base + 1, base + 2]) {
      writeHooks[register] = (value) => {
        core.data[register] = value
        this.update()
        return true
      }
    }
  }

  /** Drives a pin from outside; null lets go of it, and then only a pull-up holds it. */
  drive(pin: number, level: boolean | null): void {
    const bit = 1 << pin
    this.#driven = level === null ? this.#driven & ~bit : this.#driven | bit
    this.#high = level ? this.#high | bit : this.#high & ~bit
    this.update()
  }

  get direction(): number {
    return this.#core.data[this.#base + 1] as number
  }

  /** An output wins over what drives it from outside; a pin that nothing holds reads low. */
  update(): void {
    const { data } = this.#core
    const output = data[this.#base + 1] as number
    const port = data[this.#base + 2] as number
    const outside = (this.#driven & this.#high) | (~this.#driven & port)
    const levels = ((output & port) | (~output & outside)) & 0xff
    data[this.#base] = levels
    const changed = levels ^ this.levels
    if (changed === 0) return
    this.levels = levels
    this.onChange(changed, levels)
  }
}

/** INT0, INT1 and PCINT0 to 2. A flag is set by its edge whether or not its interrupt is enabled. */
export class PinInterrupts {
  readonly #core: Core
  #levels = 0

  constructor(core: Core) {
    this.#core = core
    const { writeHooks } = core.cpu
    for (const flags of [EIFR, PCIFR]) {
      writeHooks[flags] = (value, old, _address, mask) => {
        core.data[flags] = old & ~(value & mask)
        this.#look()
        return true
      }
    }
    for (const register of [EIMSK, PCICR, EICRA]) {
      writeHooks[register] = (value) => {
        core.data[register] = value
        this.#look()
        return true
      }
    }
    for (const index of [0, 1]) core.onInterrupt(INT0_VECTOR + index, () => this.#clear(EIFR, index))
    for (const index of [0, 1, 2]) core.onInterrupt(PCINT0_VECTOR + index, () => this.#clear(PCIFR, index))
  }

  /** Pins of port `index` (B, C, D) changed. */
  changed(index: number, changed: number, levels: number): void {
    const { data } = this.#core
    if (changed & (data[PCMSK0 + index] as number)) data[PCIFR] = (data[PCIFR] as number) | (1 << index)
    if (index === 2) {
      this.#levels = levels
      for (const external of [0, 1]) if (this.#isEdge(external, changed, levels)) this.#set(external)
    }
    this.#look()
  }

  #isEdge(index: number, changed: number, levels: number): boolean {
    const bit = 1 << (INT0_PIN + index)
    if (!(changed & bit)) return false
    const sense = this.#sense(index)
    return sense === Sense.Change || sense === (levels & bit ? Sense.Rising : Sense.Falling)
  }

  #sense(index: number): number {
    return ((this.#core.data[EICRA] as number) >> (index * 2)) & 3
  }

  #set(index: number): void {
    const { data } = this.#core
    data[EIFR] = (data[EIFR] as number) | (1 << index)
  }

  #clear(flags: number, index: number): void {
    const { data } = this.#core
    data[flags] = (data[flags] as number) & ~(1 << index)
    this.#look()
  }

  #look(): void {
    const { data } = this.#core
    for (const index of [0, 1]) {
      const isLow = this.#sense(index) === Sense.Low && !(this.#levels & (1 << (INT0_PIN + index)))
      const asks = isLow || (data[EIFR] as number) & (1 << index)
      this.#core.setInterrupt(INT0_VECTOR + index, !!asks && ((data[EIMSK] as number) & (1 << index)) !== 0)
    }
    const changes = (data[PCIFR] as number) & (data[PCICR] as number)
    for (const index of [0, 1, 2]) this.#core.setInterrupt(PCINT0_VECTOR + index, (changes & (1 << index)) !== 0)
  }
}
