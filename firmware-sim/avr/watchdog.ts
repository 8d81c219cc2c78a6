/** The watchdog of an ATmega328P (datasheet §11.8 and §11.9.2). */
import type { Alarm } from './alarms.ts'
import type { Core } from './core.ts'

const MCUSR = 0x54
const WDTCSR = 0x60
const Bits = { WDIF: 0x80, WDIE: 0x40, WDP3: 0x20, WDCE: 0x10, WDE: 0x08, WDP: 0x07 } as const
/** Causes of a reset, in MCUSR. */
export const ResetCause = { PowerOn: 0x01, External: 0x02, BrownOut: 0x04, Watchdog: 0x08 } as const

const VECTOR = 6
const CHANGE_CYCLES = 4
/** 2048 cycles of the 128 kHz oscillator are the shortest time-out: 16 ms, in cycles of the 16 MHz clock. */
const SHORTEST = 2048 * 125

export class Watchdog {
  /** The time is over: the microcontroller is to be reset. */
  onReset: () => void = () => {}
  readonly #core: Core
  readonly #alarm: Alarm
  #mayChangeUntil = -1

  constructor(core: Core) {
    this.#core = core
    this.#alarm = core.alarms.add((at) => this.#expire(at))
    core.onWatchdogReset = () => this.#restart(core.cycles)
    core.cpu.writeHooks[WDTCSR] = (value, old) => this.#write(value, old)
    core.cpu.writeHooks[MCUSR] = (value) => {
      core.data[MCUSR] = (core.data[MCUSR] as number) & value // a cause is cleared by writing zero
      return true
    }
    core.onInterrupt(VECTOR, () => {
      const register = core.data[WDTCSR] as number
      // with a reset behind it, the interrupt comes once: the next time-out resets
      const once = register & Bits.WDE ? Bits.WDIE : 0
      this.#set(register & ~(Bits.WDIF | once))
    })
  }

  /** After a watchdog reset it runs on, with the shortest time-out, until the program stops it. */
  reset(causes: number): void {
    this.#mayChangeUntil = -1
    this.#core.data[MCUSR] = causes
    this.#set(causes & ResetCause.Watchdog ? Bits.WDE : 0)
    this.#restart(this.#core.cycles)
  }

  #write(value: number, old: number): true {
    const isWindow = this.#core.cycles <= this.#mayChangeUntil
    if (value & Bits.WDCE && value & Bits.WDE) this.#mayChangeUntil = this.#core.cycles + CHANGE_CYCLES
    const guarded = Bits.WDP3 | Bits.WDP | Bits.WDE
    let next = isWindow && !(value & Bits.WDCE) ? value & guarded : old & guarded
    if (!(old & Bits.WDE) && value & Bits.WDE) next |= Bits.WDE // setting it needs no permission
    if ((this.#core.data[MCUSR] as number) & ResetCause.Watchdog) next |= Bits.WDE
    const flag = value & Bits.WDIF ? 0 : old & Bits.WDIF
    this.#set(next | (value & Bits.WDIE) | flag)
    this.#restart(this.#core.cycles)
    return true
  }

  #set(register: number): void {
    this.#core.data[WDTCSR] = register
    this.#core.setInterrupt(VECTOR, (register & Bits.WDIE) !== 0 && (register & Bits.WDIF) !== 0)
  }

  #restart(from: number): void {
    const register = this.#core.data[WDTCSR] as number
    const prescaler = (register & Bits.WDP) | (register & Bits.WDP3 ? 8 : 0)
    if (register & (Bits.WDE | Bits.WDIE)) this.#alarm.set(from + SHORTEST * 2 ** Math.min(prescaler, 9))
    else this.#alarm.clear()
  }

  #expire(at: number): void {
    const register = this.#core.data[WDTCSR] as number
    if (!(register & Bits.WDIE)) {
      this.onReset()
      return
    }
    this.#set(register | Bits.WDIF)
    this.#restart(at)
  }
}
