import { expect, test } from 'vitest'
import { Bench } from './bench.ts'

const CYCLES_A_BYTE = 17 * 8 * 10 // UBRR 16, double speed, ten bits

test('it starts, and says so at the speed that its program has set', () => {
  const { text, ends } = new Bench()
  expect(text).toBe('ready\n')
  for (let index = 1; index < ends.length; index++) {
    expect((ends[index] as number) - (ends[index - 1] as number)).toBe(CYCLES_A_BYTE)
  }
})

test('a byte of the host takes as long as the host sends it', () => {
  const bench = new Bench()
  const before = bench.uno.chip.cycles
  bench.ask('z')
  const sent = (bench.ends[6] as number) - CYCLES_A_BYTE - before // when the echo began
  expect(sent).toBeGreaterThan(1389)
  expect(sent).toBeLessThan(1389 + 200)
})

test('a host of another speed is not understood', () => {
  const bench = new Bench()
  bench.uno.chip.usart.baud = 57_600
  bench.ask('z')
  expect(bench.text).not.toContain('z')
})

test('while the program does not listen, three bytes are kept and the fourth is lost', () => {
  const bench = new Bench()
  bench.uno.chip.usart.receive(Buffer.from('n')) // interrupts off, asleep
  bench.ms(2)
  bench.uno.chip.usart.receive(Buffer.from('1234'))
  bench.ms(2)
  expect(bench.uno.chip.usart.overruns).toBe(1)
})

test('the processor sleeps while nothing is to be done', () => {
  const bench = new Bench()
  const { uno } = bench
  const slept = uno.chip.core.sleptCycles
  const cycles = uno.chip.cycles
  bench.ms(1000)
  expect((uno.chip.core.sleptCycles - slept) / (uno.chip.cycles - cycles)).toBeGreaterThan(0.99)
})

test('SLEEP right behind SEI is executed before an interrupt that waits already', () => {
  expect(new Bench().ask('s')).toBe('01')
})

test('a power-on is told in MCUSR, a watchdog reset and the reset button too; SRAM outlives both', () => {
  const bench = new Bench()
  expect(bench.ask('c').slice(0, 2)).toBe('01')
  bench.ask('k')
  const causes: number[] = []
  bench.uno.onReset = (cause) => causes.push(cause)
  bench.ask('w', 100)
  expect(bench.ask('c')).toBe('085a')
  bench.uno.reset()
  bench.ms(5)
  expect(bench.ask('c')).toBe('025a')
  expect(causes).toEqual([8, 2])
})

test('the watchdog comes after its time', () => {
  const bench = new Bench()
  let at = 0
  bench.uno.onReset = () => {
    at = bench.uno.us
  }
  const before = bench.uno.us
  bench.ask('w', 100)
  expect(at - before).toBeGreaterThan(64_000)
  expect(at - before).toBeLessThan(64_500)
})

test('EEPROM outlives the power and takes 3.4 ms a byte', () => {
  const first = new Bench()
  const before = first.uno.chip.cycles
  expect(first.ask('b')).toBe('00')
  const took = (first.ends[7] as number) - before
  expect(took).toBeGreaterThan(3_400 * 16)
  expect(took).toBeLessThan(4_000 * 16)
  const second = new Bench({ memory: first.uno.memory })
  expect(second.ask('b')).toBe('01')
})

test('the signature row has the device code, and bytes that differ from board to board', () => {
  expect(new Bench().ask('g')).toBe('1e950f')
  const [one, same, other] = ['uno-0', 'uno-0', 'uno-1'].map((name) => new Bench({ name }).ask('u'))
  expect(same).toBe(one)
  expect(other).not.toBe(one)
})

test('the converter gives volts in 1024ths of the supply, 25 and then 13 of its clocks later', () => {
  const bench = new Bench()
  bench.uno.set('A2', 1.25)
  const line = bench.ask('a')
  expect([line.slice(4, 8), line.slice(12, 16)]).toEqual(['0100', '0100'])
  const [first, second] = [line.slice(0, 4), line.slice(8, 12)].map((digits) => Number.parseInt(digits, 16))
  expect(first).toBeGreaterThanOrEqual(25 * 128)
  expect(first).toBeLessThan(25 * 128 + 20)
  expect(second).toBeGreaterThanOrEqual(13 * 128)
  expect(second).toBeLessThan(13 * 128 + 20)
})

test('sensors and pins have the names of the behaviour model', () => {
  const { uno } = new Bench()
  uno.set('tmp102.temperature', 30)
  uno.set('adc0.2', 700)
  uno.set('A1', 3.3)
  uno.set('gpio.4', 1)
  expect(uno.tmp102.celsius).toBe(30)
  expect(Math.floor(((uno.chip.adc.volts[2] as number) / 5) * 1024)).toBe(700)
  expect(uno.chip.adc.volts[1]).toBe(3.3)
  expect(uno.level(4)).toBe(true)
  uno.press('gpio.4')
  expect(uno.level(4)).toBe(false)
})

test('a timer interrupts at each of its periods', () => {
  const bench = new Bench()
  bench.ask('f', 100)
  const ticks = Number.parseInt(bench.ask('q', 5).slice(0, 4), 16)
  expect(ticks).toBeGreaterThanOrEqual(99)
  expect(ticks).toBeLessThanOrEqual(100)
})

test('writing a timer flag clears that flag alone', () => {
  expect(new Bench().ask('o')).toBe('0504')
})

test('edges interrupt as the program has asked: falling, any, pin change', () => {
  const bench = new Bench()
  bench.ask('i')
  expect(bench.ask('j')).toBe('000000000000')
  for (let press = 0; press < 3; press++) {
    bench.uno.press('button')
    bench.ms(1)
    bench.uno.release('button')
    bench.ms(1)
  }
  bench.uno.set('D3', 0)
  bench.ms(1)
  bench.uno.set('D5', 1)
  bench.ms(1)
  bench.uno.set('D4', 1) // not in the mask
  bench.ms(1)
  expect(bench.ask('j')).toBe('000300010001')
})

test('an edge that comes while its interrupt is off is kept: one of several', () => {
  const bench = new Bench()
  bench.ask('i')
  bench.ask('m')
  for (let press = 0; press < 2; press++) {
    bench.uno.press('button')
    bench.uno.release('button')
  }
  expect(bench.ask('j').slice(0, 4)).toBe('0000')
  bench.ask('M')
  expect(bench.ask('j').slice(0, 4)).toBe('0001')
})

test('pins that change are told by their number on the board', () => {
  const bench = new Bench()
  const changes: [number, boolean][] = []
  bench.uno.onPin = (pin, isHigh) => changes.push([pin, isHigh])
  bench.ask('x')
  bench.ask('x')
  expect(changes).toEqual([
    [13, true],
    [13, false],
  ])
  expect(bench.uno.level(13)).toBe(false)
})

test('hands that reach for what is not there are told what is', () => {
  const { uno } = new Bench()
  expect(() => uno.press('knob')).toThrow("this Uno has no pin 'knob'; it has button, D0, D1")
  expect(() => uno.set('pressure', 1)).toThrow("this Uno has no sensor 'pressure'; it has temperature, A0")
})

test('a bootloader hears what the host says behind a reset, and the program starts when it is through', () => {
  const bench = new Bench({ bootloaderMs: 1000 })
  expect(bench.text).toBe('ready\n') // not behind a power-on
  bench.uno.reset()
  bench.uno.chip.usart.receive(Buffer.from('z'))
  bench.ms(990)
  expect(bench.text).toBe('ready\n')
  bench.ms(20)
  expect(bench.text).toBe('ready\nready\n')
  expect(bench.ask('c')).toMatch(/^00/)
})
