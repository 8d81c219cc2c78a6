/**
 * Timers of an ATmega328P: counts, flags and interrupts in every mode (datasheet §15, §16, §18). A count is worked out
 * when somebody looks; in between there is an alarm only for a flag that is still clear.
 */
import type { Alarm } from './alarms.ts'
import type { Core } from './core.ts'

export interface TimerPlan {
  bits: 8 | 16
  /** Clock cycles a count by CSn2:0; 0: stopped. */
  prescalers: readonly number[]
  tccra: number
  tccrb: number
  tcnt: number
  ocra: number
  ocrb: number
  icr: number
  timsk: number
  tifr: number
  compareAVector: number
  compareBVector: number
  overflowVector: number
}

/** CSn2:0 of timers 0 and 1; 6 and 7 count edges of a pin, which nothing here drives. */
const PRESCALERS = [0, 1, 8, 64, 256, 1024, 0, 0]
const PRESCALERS_2 = [0, 1, 8, 32, 64, 128, 256, 1024]

/** Eight-bit timers have their registers side by side from TCCRnA; ICR is the sixteen-bit one's. */
const eightBits = (tccra: number) =>
  ({ bits: 8, tccra, tccrb: tccra + 1, tcnt: tccra + 2, ocra: tccra + 3, ocrb: tccra + 4, icr: 0 }) as const
const vectors = (compareAVector: number) => ({
  compareAVector,
  compareBVector: compareAVector + 1,
  overflowVector: compareAVector + 2,
})

export const TIMERS: readonly TimerPlan[] = [
  { ...eightBits(0x44), prescalers: PRESCALERS, timsk: 0x6e, tifr: 0x35, ...vectors(14) },
  {
    bits: 16,
    prescalers: PRESCALERS,
    tccra: 0x80,
    tccrb: 0x81,
    tcnt: 0x84,
    ocra: 0x88,
    ocrb: 0x8a,
    icr: 0x86,
    timsk: 0x6f,
    tifr: 0x36,
    ...vectors(11),
  },
  { ...eightBits(0xb0), prescalers: PRESCALERS_2, timsk: 0x70, tifr: 0x37, ...vectors(7) },
]

const OVERFLOW = 1
const COMPARE_A = 2
const COMPARE_B = 4

/** How it counts: up to `top`, or up and down; and whether it overflows there or only at its greatest count. */
interface Mode {
  top: number
  isUpAndDown: boolean
  overflowsAtTop: boolean
}

export class Timer {
  readonly #core: Core
  readonly #plan: TimerPlan
  readonly #max: number
  readonly #alarm: Alarm
  #mode: Mode = { top: 0, isUpAndDown: false, overflowsAtTop: false }
  #divider = 0
  /** Place in the period at prescaler tick `#since`; of a count up and down, places behind top are on the way down. */
  #place = 0
  #since = 0
  /** The byte of a 16-bit register that waits for the other (§16.3). */
  #temporary = 0

  constructor(core: Core, plan: TimerPlan) {
    this.#core = core
    this.#plan = plan
    this.#max = plan.bits === 16 ? 0xffff : 0xff
    this.#alarm = core.alarms.add(() => this.#advance())
    this.#hookControls()
    this.#hookCounts()
    for (const [vector, flag] of this.#vectors()) core.onInterrupt(vector, () => this.#clear(flag))
  }

  reset(): void {
    this.#place = 0
    this.#temporary = 0
    this.#configure()
  }

  #vectors(): [number, number][] {
    const { compareAVector, compareBVector, overflowVector } = this.#plan
    return [
      [compareAVector, COMPARE_A],
      [compareBVector, COMPARE_B],
      [overflowVector, OVERFLOW],
    ]
  }

  #hookControls(): void {
    const { data, cpu } = this.#core
    const { tccra, tccrb, timsk, tifr } = this.#plan
    for (const register of [tccra, tccrb]) {
      cpu.writeHooks[register] = (value) => {
        this.#advance()
        data[register] = value
        this.#configure()
        return true
      }
    }
    cpu.writeHooks[timsk] = (value) => {
      this.#advance()
      data[timsk] = value
      this.#look()
      return true
    }
    cpu.readHooks[tifr] = () => {
      this.#advance()
      return data[tifr] as number
    }
    cpu.writeHooks[tifr] = (value, _old, _address, mask) => {
      this.#clear(value & mask)
      return true
    }
  }

  #hookCounts(): void {
    const { data, cpu } = this.#core
    const { bits, tcnt, ocra, ocrb, icr } = this.#plan
    cpu.readHooks[tcnt] = () => {
      const count = this.#count()
      this.#temporary = count >> 8
      return count & 0xff
    }
    cpu.writeHooks[tcnt] = (value) => {
      this.#advance()
      this.#place = bits === 16 ? (this.#temporary << 8) | value : value
      this.#arm()
      return true
    }
    const compares = bits === 16 ? [ocra, ocrb, icr] : [ocra, ocrb]
    for (const register of compares) {
      cpu.writeHooks[register] = (value) => {
        this.#advance()
        if (bits === 16) data[register + 1] = this.#temporary
        data[register] = value
        this.#configure()
        return true
      }
    }
    if (bits === 8) return
    cpu.readHooks[tcnt + 1] = () => this.#temporary
    for (const register of [tcnt, ...compares]) {
      cpu.writeHooks[register + 1] = (value) => {
        this.#temporary = value
        return true
      }
    }
  }

  #register(low: number): number {
    const { data } = this.#core
    return this.#plan.bits === 16 ? ((data[low + 1] as number) << 8) | (data[low] as number) : (data[low] as number)
  }

  /** Tables 15-8 and 16-4. Compare values are taken over at once, in PWM modes too. */
  #configure(): void {
    const { data } = this.#core
    const { tccra, tccrb, prescalers, bits } = this.#plan
    const high = (data[tccrb] as number) >> 3
    const wave = ((data[tccra] as number) & 3) | (bits === 16 ? (high & 3) << 2 : (high & 1) << 2)
    const count = this.#count()
    this.#mode = bits === 16 ? this.#mode16(wave) : this.#mode8(wave)
    this.#divider = prescalers[(data[tccrb] as number) & 7] as number
    this.#place = count
    if (this.#divider !== 0) this.#since = this.#ticks()
    this.#arm()
  }

  #mode8(wave: number): Mode {
    const top = wave === 2 || wave >= 5 ? this.#register(this.#plan.ocra) : 0xff
    return { top, isUpAndDown: wave === 1 || wave === 5, overflowsAtTop: wave === 3 || wave === 7 }
  }

  #mode16(wave: number): Mode {
    const { ocra, icr } = this.#plan
    const fixed = [0xffff, 0xff, 0x1ff, 0x3ff, -1, 0xff, 0x1ff, 0x3ff][wave]
    const takesCapture = wave === 8 || wave === 10 || wave === 12 || wave === 14
    const top = fixed === undefined || fixed < 0 ? this.#register(takesCapture ? icr : ocra) : fixed
    const isUpAndDown = (wave >= 1 && wave <= 3) || (wave >= 8 && wave <= 11)
    return { top, isUpAndDown, overflowsAtTop: (wave >= 5 && wave <= 7) || wave >= 14 }
  }

  /** Ticks of the prescaler, which runs on from reset, since the beginning. */
  #ticks(): number {
    return Math.floor(this.#core.cycles / this.#divider)
  }

  /** One count beyond top (written so) goes on to the greatest, and over it to zero. */
  get #period(): number {
    const { top, isUpAndDown } = this.#mode
    if (isUpAndDown) return Math.max(1, 2 * top)
    return this.#place > top ? this.#max + 1 : top + 1
  }

  #count(): number {
    this.#advance()
    const { top, isUpAndDown } = this.#mode
    return isUpAndDown && this.#place > top ? 2 * top - this.#place : this.#place
  }

  /** Counts up to now, and sets the flags of what was passed. */
  #advance(): void {
    if (this.#divider === 0) return
    const now = this.#ticks()
    let left = now - this.#since
    if (left === 0) return
    this.#since = now
    let flags = 0
    while (left > 0) {
      const period = this.#period
      const step = Math.min(left, period - (this.#place % period))
      flags |= this.#passed(this.#place, this.#place + step)
      this.#place = (this.#place + step) % period
      left -= step
      // whole periods set the same flags each: one of them is looked at
      if (left >= 2 * period && this.#place === 0) left -= (Math.floor(left / period) - 1) * period
    }
    const { tifr } = this.#plan
    this.#core.data[tifr] = (this.#core.data[tifr] as number) | flags
    this.#look()
  }

  /** The flags of the places that are left while it goes from `from` to `to`, within one period. */
  #passed(from: number, to: number): number {
    let flags = 0
    for (const [flag, places] of this.#places()) {
      if (places.some((place) => place >= from && place < to)) flags |= flag
    }
    return flags
  }

  /** A flag is set when its place is left, which is one count behind the match (figures 15-9 to 15-11). */
  #places(): [number, number[]][] {
    const { top, isUpAndDown, overflowsAtTop } = this.#mode
    const a = this.#register(this.#plan.ocra)
    const b = this.#register(this.#plan.ocrb)
    if (isUpAndDown) {
      return [
        [COMPARE_A, a <= top ? [a, 2 * top - a] : []],
        [COMPARE_B, b <= top ? [b, 2 * top - b] : []],
        [OVERFLOW, [2 * top - 1]],
      ]
    }
    return [
      [COMPARE_A, [a]],
      [COMPARE_B, [b]],
      [OVERFLOW, [overflowsAtTop ? top : this.#max]],
    ]
  }

  /** Sets the alarm for the next flag that is clear and whose interrupt is on; the others show when somebody looks. */
  #arm(): void {
    this.#alarm.clear()
    if (this.#divider === 0) return
    const enabled = this.#core.data[this.#plan.timsk] as number
    const flags = this.#core.data[this.#plan.tifr] as number
    const period = this.#period
    let ticks = Number.POSITIVE_INFINITY
    for (const [flag, places] of this.#places()) {
      if (!(enabled & flag) || flags & flag) continue
      for (const place of places) {
        if (place < period) ticks = Math.min(ticks, ((place - this.#place + period) % period) + 1)
      }
    }
    if (this.#place > this.#mode.top) ticks = Math.min(ticks, period - this.#place)
    if (ticks !== Number.POSITIVE_INFINITY) this.#alarm.set((this.#since + ticks) * this.#divider)
  }

  #clear(flags: number): void {
    this.#advance()
    const { tifr } = this.#plan
    this.#core.data[tifr] = (this.#core.data[tifr] as number) & ~flags
    this.#look()
  }

  #look(): void {
    const { data } = this.#core
    const asking = (data[this.#plan.tifr] as number) & (data[this.#plan.timsk] as number)
    for (const [vector, flag] of this.#vectors()) this.#core.setInterrupt(vector, (asking & flag) !== 0)
    this.#arm()
  }
}
