import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Core, FLASH_SIZE } from '../../../firmware-sim/avr/core.ts'
import { TIMERS, Timer, type TimerPlan } from '../../../firmware-sim/avr/timer.ts'

const OVERFLOW = 1
const COMPARE_A = 2
const COMPARE_B = 4
const MAX = 0xff

/** A timer of eight bits as the datasheet's table 15-8 tells it, one count after the other. */
class Counted {
  count = 0
  isDown = false
  flags = 0
  a = 0
  b = 0
  readonly #wave: number

  constructor(wave: number) {
    this.#wave = wave
  }

  /** Normal, phase correct, CTC, fast; two of these with OCRA on top. */
  get top(): number {
    return [0xff, 0xff, this.a, 0xff, -1, this.a, -1, this.a][this.#wave] as number
  }

  step(): void {
    const { count, top } = this
    if (count === this.a) this.flags |= COMPARE_A
    if (count === this.b) this.flags |= COMPARE_B
    const isUpAndDown = this.#wave === 1 || this.#wave === 5
    if (isUpAndDown) this.#upOrDown(count, top)
    else {
      const overflowsAt = this.#wave === 3 || this.#wave === 7 ? top : MAX
      if (count === overflowsAt) this.flags |= OVERFLOW
      this.count = count === top || count === MAX ? 0 : count + 1
    }
  }

  #upOrDown(count: number, top: number): void {
    if (count === 0) this.isDown = false
    if (count === top) this.isDown = true
    this.count += this.isDown ? -1 : 1
    if (this.count === 0) this.flags |= OVERFLOW
  }
}

function bench(plan: TimerPlan) {
  const core = new Core(new Uint8Array(FLASH_SIZE)) // NOPs, one cycle each
  const timer = new Timer(core, plan)
  core.reset()
  timer.reset()
  return core
}

test('counts and flags are those of a timer that is counted one by one, whenever one looks', () => {
  const look = fc.record({ cycles: fc.integer({ min: 1, max: 4000 }), clears: fc.nat(7), enables: fc.nat(7) })
  fc.assert(
    fc.property(
      fc.constantFrom(0, 1, 2, 3, 5, 7),
      fc.constantFrom([1, 1], [2, 8]),
      fc.integer({ min: 2, max: 255 }),
      fc.nat(255),
      fc.array(look, { minLength: 1, maxLength: 30 }),
      (wave, [select, divider], a, b, looks) => {
        const [plan] = TIMERS as [TimerPlan]
        const core = bench(plan)
        const { cpu } = core
        const counted = new Counted(wave)
        counted.a = a
        counted.b = b
        cpu.writeData(plan.ocra, a)
        cpu.writeData(plan.ocrb, b)
        cpu.writeData(plan.tccra, wave & 3)
        cpu.writeData(plan.tccrb, ((wave & 4) << 1) | (select as number))
        let ticks = 0
        for (const { cycles, clears, enables } of looks) {
          cpu.writeData(plan.timsk, enables)
          core.run(core.cycles + cycles)
          for (; ticks < Math.floor(core.cycles / (divider as number)); ticks++) counted.step()
          expect([cpu.readData(plan.tcnt), cpu.readData(plan.tifr)]).toEqual([counted.count, counted.flags])
          cpu.writeData(plan.tifr, clears)
          counted.flags &= ~clears
        }
      },
    ),
    { seed: 5, numRuns: 200 },
  )
})

test('sixteen bits are written high byte first, and read low byte first, at one moment', () => {
  const plan = TIMERS[1] as TimerPlan
  const core = bench(plan)
  core.cpu.writeData(plan.tcnt + 1, 0x12)
  core.cpu.writeData(plan.tcnt, 0xfe)
  core.cpu.writeData(plan.tccrb, 1)
  core.run(core.cycles + 1)
  expect(core.cpu.readData(plan.tcnt)).toBe(0xff)
  core.run(core.cycles + 1)
  expect(core.cpu.readData(plan.tcnt + 1)).toBe(0x12) // of the moment at which the low byte was read
  expect([core.cpu.readData(plan.tcnt), core.cpu.readData(plan.tcnt + 1)]).toEqual([0, 0x13])
})

test('a count that was written beyond the top goes on to the greatest', () => {
  const [plan] = TIMERS as [TimerPlan]
  const core = bench(plan)
  core.cpu.writeData(plan.ocra, 10)
  core.cpu.writeData(plan.tccra, 2) // CTC
  core.cpu.writeData(plan.tcnt, 200)
  core.cpu.writeData(plan.tccrb, 1)
  core.run(core.cycles + 55)
  expect([core.cpu.readData(plan.tcnt), core.cpu.readData(plan.tifr) & OVERFLOW]).toEqual([255, 0])
  core.run(core.cycles + 1)
  expect([core.cpu.readData(plan.tcnt), core.cpu.readData(plan.tifr) & OVERFLOW]).toEqual([0, OVERFLOW])
  core.run(core.cycles + 11)
  expect([core.cpu.readData(plan.tcnt), core.cpu.readData(plan.tifr) & COMPARE_A]).toEqual([0, COMPARE_A])
})
