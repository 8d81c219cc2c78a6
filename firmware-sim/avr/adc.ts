/** The analog-to-digital converter of an ATmega328P: single conversions and free running (datasheet §24). */
import type { Alarm } from './alarms.ts'
import type { Core } from './core.ts'

const ADCL = 0x78
const ADCH = 0x79
const ADCSRA = 0x7a
const ADCSRB = 0x7b
const ADMUX = 0x7c
const Bits = { ADEN: 0x80, ADSC: 0x40, ADATE: 0x20, ADIF: 0x10, ADIE: 0x08, ADPS: 0x07 } as const
const ADLAR = 0x20
const TRIGGER = 0x07
const FREE_RUNNING = 0

const VECTOR = 21
const FIRST_CLOCKS = 25
const CLOCKS = 13
const CHANNELS = 8
const INTERNAL = 1.1
const BANDGAP_CHANNEL = 14
const TEMPERATURE_CHANNEL = 8
/** At 25 °C (table 24-2). */
const TEMPERATURE_VOLTS = 0.314

export class Adc {
  /** Volts at ADC0 to ADC7. */
  readonly volts: number[] = Array.from({ length: CHANNELS }, () => 0)
  /** Of the board: AVCC, and AREF, which an Uno connects to nothing. */
  supply = 5
  readonly #core: Core
  readonly #done: Alarm
  #isFirst = true
  #result = 0

  constructor(core: Core) {
    this.#core = core
    this.#done = core.alarms.add((at) => this.#end(at))
    core.cpu.writeHooks[ADCSRA] = (value, old) => this.#write(value, old)
    core.onInterrupt(VECTOR, () => this.#set((core.data[ADCSRA] as number) & ~Bits.ADIF))
  }

  reset(): void {
    this.#isFirst = true
    this.#set(0)
  }

  #write(value: number, old: number): true {
    const flag = value & Bits.ADIF ? 0 : old & Bits.ADIF
    const running = old & Bits.ADSC // writing zero to ADSC has no effect
    this.#set((value & ~(Bits.ADIF | Bits.ADSC)) | flag | running)
    if (!(value & Bits.ADEN)) this.#stop()
    else if (!running && value & Bits.ADSC) this.#begin(this.#core.cycles)
    return true
  }

  #stop(): void {
    this.#done.clear()
    this.#isFirst = true
    this.#set((this.#core.data[ADCSRA] as number) & ~Bits.ADSC)
  }

  /** The input is held from here on. */
  #begin(start: number): void {
    const register = this.#core.data[ADCSRA] as number
    this.#set(register | Bits.ADSC)
    this.#result = this.#sample()
    const clocks = this.#isFirst ? FIRST_CLOCKS : CLOCKS
    this.#isFirst = false
    this.#done.set(start + clocks * 2 ** Math.max(1, register & Bits.ADPS))
  }

  #sample(): number {
    const mux = this.#core.data[ADMUX] as number
    const reference = mux >> 6 === 3 ? INTERNAL : this.supply
    return Math.max(0, Math.min(1023, Math.floor((this.#input(mux & 0x0f) / reference) * 1024)))
  }

  #input(channel: number): number {
    if (channel === BANDGAP_CHANNEL) return INTERNAL
    if (channel === TEMPERATURE_CHANNEL) return TEMPERATURE_VOLTS
    return this.volts[channel] ?? 0
  }

  #end(at: number): void {
    const { data } = this.#core
    const value = (data[ADMUX] as number) & ADLAR ? this.#result << 6 : this.#result
    data[ADCL] = value & 0xff
    data[ADCH] = value >> 8
    const register = data[ADCSRA] as number
    this.#set((register & ~Bits.ADSC) | Bits.ADIF)
    if (register & Bits.ADATE && ((data[ADCSRB] as number) & TRIGGER) === FREE_RUNNING) this.#begin(at)
  }

  #set(register: number): void {
    this.#core.data[ADCSRA] = register
    this.#core.setInterrupt(VECTOR, (register & Bits.ADIE) !== 0 && (register & Bits.ADIF) !== 0)
  }
}
