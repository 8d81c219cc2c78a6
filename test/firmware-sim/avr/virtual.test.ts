import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Uno } from '../../../firmware-sim/avr/uno.ts'
import { UnoOnVirtualClock } from '../../../firmware-sim/avr/virtual.ts'
import { ManualTime } from '../chips/time.ts'
import { image } from './bench.ts'

const TICKS_A_MS = 10_000

function bench(firmware = 'parts') {
  const time = new ManualTime()
  const board = new UnoOnVirtualClock(new Uno({ firmware: image(firmware) }), time)
  const heard: [tick: number, byte: number][] = []
  board.onData = (bytes) => {
    for (const byte of bytes) heard.push([time.now(), byte])
  }
  return { time, board, heard, text: () => String.fromCharCode(...heard.map(([, byte]) => byte)) }
}

test('bytes arrive when their last bit has left, though the board was run ahead to know them', () => {
  const { time, heard } = bench()
  time.pass(5 * TICKS_A_MS)
  const gaps = heard.slice(1).map(([tick], index) => tick - (heard[index]?.[0] ?? 0))
  for (const gap of gaps) expect(gap).toBe(850) // 17 × 8 × 10 cycles of 62.5 ns
})

test('commands of the host reach the board at their time, and its answers come back', () => {
  const { time, board, text } = bench()
  time.pass(30 * TICKS_A_MS)
  board.write(Buffer.from('t'))
  time.pass(10 * TICKS_A_MS)
  expect(text()).toBe('ready\nt081828104050195800\n')
})

test('a sleeping board is looked at only when something falls due in it', () => {
  const { time, board } = bench()
  time.pass(100 * TICKS_A_MS)
  let looks = 0
  const { chip } = board.uno
  const run = chip.run.bind(chip)
  chip.run = (cycles) => {
    looks += 1
    run(cycles)
  }
  time.pass(1000 * TICKS_A_MS)
  expect(looks).toBeLessThan(10) // the conversions of the TMP102, four a second
  expect(board.uno.us).toBeGreaterThan(1_000_000)
})

test('a board without power says nothing', () => {
  const { time, board, heard } = bench()
  time.pass(2_000)
  void board.powerOff()
  const before = heard.length
  board.write(Buffer.from('t'))
  time.pass(100 * TICKS_A_MS)
  expect(heard.length).toBe(before)
})

test('a board that was made later begins its time then', () => {
  const time = new ManualTime()
  time.pass(12_345)
  const board = new UnoOnVirtualClock(new Uno({ firmware: image('parts') }), time)
  time.pass(5 * TICKS_A_MS)
  expect(board.uno.us).toBeLessThan(5_010)
})

test('two runs with the same inputs are the same, byte for byte and tick for tick', () => {
  const run = (): unknown => {
    const { time, board, heard } = bench()
    for (const letter of 'abtpsjc') {
      time.pass(7 * TICKS_A_MS + 321)
      board.write(Buffer.from(letter))
      board.press('button')
      time.pass(1234)
      board.release('button')
    }
    time.pass(50 * TICKS_A_MS)
    return { heard, log: board.uno.bus.log, cycles: board.uno.chip.cycles }
  }
  expect(run()).toEqual(run())
})

test('it makes no difference in which stretches a board is run', () => {
  const whole = new Uno({ firmware: image('parts') })
  whole.chip.usart.receive(Buffer.from('tap'))
  whole.chip.run(16_000_000)
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 200_000 }), { minLength: 1, maxLength: 40 }), (stretches) => {
      const uno = new Uno({ firmware: image('parts') })
      uno.chip.usart.receive(Buffer.from('tap'))
      for (let index = 0; uno.chip.cycles < 16_000_000; index++) {
        uno.chip.run(Math.min(16_000_000, uno.chip.cycles + (stretches[index % stretches.length] as number)))
      }
      expect(uno.chip.core.data).toEqual(whole.chip.core.data)
      expect(uno.bus.log).toEqual(whole.bus.log)
    }),
    { numRuns: 10 },
  )
})
