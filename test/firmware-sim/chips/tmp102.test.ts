import { expect, test } from 'vitest'
import { I2cBus } from '../../../firmware-sim/chips/bus.ts'
import { Tmp102, Tmp102Config } from '../../../firmware-sim/chips/tmp102.ts'
import { ManualTime } from './time.ts'

const CONFIGURATION = 1
const TLOW = 2
const THIGH = 3

function bench() {
  const time = new ManualTime()
  const bus = new I2cBus(time.now)
  const chip = new Tmp102(time)
  bus.attach(chip)
  bus.attach(chip.alertResponse)
  const levels: boolean[] = []
  chip.onAlert = (isHigh) => levels.push(isHigh)
  const read = (register?: number): number => {
    if (register !== undefined) {
      bus.start(0x48, false)
      bus.write(register)
    }
    expect(bus.start(0x48, true)).toBe(true)
    const word = (bus.read() << 8) | bus.read()
    bus.stop()
    return word
  }
  const write = (register: number, word: number): void => {
    bus.start(0x48, false)
    for (const byte of [register, word >> 8, word & 0xff]) bus.write(byte)
    bus.stop()
  }
  const configure = (bits: number, not = 0): void => write(CONFIGURATION, (read(CONFIGURATION) & ~not) | bits)
  return { time, bus, chip, levels, read, write, configure, conversion: () => time.pass(250_000) }
}

test('the registers have the reset values of the datasheet', () => {
  const { read } = bench()
  expect([0, 1, 2, 3].map((register) => read(register))).toEqual([0, 0x60a0, 0x4b00, 0x5000])
})

test('the temperature reads 0 until the first conversion is done after 26 ms', () => {
  const { read, time } = bench()
  time.pass(25_999)
  expect(read(0)).toBe(0)
  time.pass(1)
  expect(read(0)).toBe(0x1900)
})

test.each([
  [127.9375, 0x7ff0],
  [150, 0x7ff0],
  [100, 0x6400],
  [0.25, 0x0040],
  [0, 0],
  [-0.25, 0xffc0],
  [-25, 0xe700],
  [-55, 0xc900],
])('%d °C reads %i in 12 bits, table 12-Bit Temperature Data Format', (celsius, raw) => {
  const { chip, read, conversion } = bench()
  chip.celsius = celsius
  conversion()
  expect(read(0)).toBe(raw)
})

test.each([
  [150, 0x4b01],
  [128, 0x4001],
  [25, 0x0c81],
  [-0.25, 0xffe1],
  [-55, 0xe481],
])('%d °C reads %i in 13 bits, its last bit telling the format', (celsius, raw) => {
  const { chip, read, configure, conversion } = bench()
  configure(Tmp102Config.Extended)
  chip.celsius = celsius
  conversion()
  expect(read(0)).toBe(raw)
})

test('a read keeps the pointer of the last write', () => {
  const { read } = bench()
  expect(read(THIGH)).toBe(0x5000)
  expect(read()).toBe(0x5000)
})

test('in comparator mode ALERT goes low at THIGH and high below TLOW', () => {
  const { chip, levels, conversion, read } = bench()
  chip.celsius = 80
  conversion()
  expect(levels).toEqual([false])
  read(0)
  expect(chip.alertPin).toBe(false) // reading clears nothing
  chip.celsius = 75
  conversion()
  expect(levels).toEqual([false])
  chip.celsius = 74.9375
  conversion()
  expect(levels).toEqual([false, true])
})

test('in interrupt mode a read clears ALERT, and it comes again below TLOW only', () => {
  const { chip, levels, conversion, configure, read } = bench()
  configure(Tmp102Config.ThermostatMode)
  chip.celsius = 90
  conversion()
  expect(levels).toEqual([false])
  read(TLOW) // any register
  expect(levels).toEqual([false, true])
  conversion()
  expect(levels).toEqual([false, true])
  chip.celsius = 20
  conversion()
  expect(levels).toEqual([false, true, false])
  read(0)
  chip.celsius = 90
  conversion()
  expect(levels).toEqual([false, true, false, true, false])
})

test('the alert response gives the address and the side once, and clears ALERT', () => {
  const { chip, bus, conversion, configure } = bench()
  configure(Tmp102Config.ThermostatMode)
  chip.celsius = 90
  conversion()
  expect(bus.start(0x0c, true)).toBe(true)
  expect(bus.read()).toBe((0x48 << 1) | 1)
  bus.stop()
  expect(chip.alertPin).toBe(true)
  expect(bus.start(0x0c, true)).toBe(false)
  bus.stop()
})

test.each([
  [0, 1],
  [1, 2],
  [2, 4],
  [3, 6],
])('fault queue %i asks for %i faults in a row', (bits, faults) => {
  const { chip, levels, conversion, configure } = bench()
  configure(bits << 11)
  chip.celsius = 90
  for (let index = 1; index < faults; index++) conversion()
  expect(levels).toEqual([])
  chip.celsius = 25
  if (faults > 1) conversion() // one that is none begins the count anew
  chip.celsius = 90
  for (let index = 1; index <= faults; index++) conversion()
  expect(levels).toEqual([false])
})

test('POL inverts the pin and the AL bit', () => {
  const { chip, levels, conversion, configure, read } = bench()
  expect(read(CONFIGURATION) & Tmp102Config.Alert).toBe(Tmp102Config.Alert)
  configure(Tmp102Config.Polarity)
  expect(levels).toEqual([false])
  expect(read(CONFIGURATION) & Tmp102Config.Alert).toBe(0)
  chip.celsius = 90
  conversion()
  expect(levels).toEqual([false, true])
  expect(read(CONFIGURATION) & Tmp102Config.Alert).toBe(Tmp102Config.Alert)
})

test('in shutdown nothing converts but one-shots, whose end OS tells', () => {
  const { chip, conversion, configure, read, time } = bench()
  conversion()
  configure(Tmp102Config.Shutdown)
  chip.celsius = 40
  conversion()
  expect(read(0)).toBe(0x1900)
  configure(Tmp102Config.OneShot)
  expect(read(CONFIGURATION) & Tmp102Config.OneShot).toBe(0)
  time.pass(26_000)
  expect(read(CONFIGURATION) & Tmp102Config.OneShot).toBe(Tmp102Config.OneShot)
  expect(read(0)).toBe(0x2800)
})

test.each([
  [0, 4_000_000],
  [1, 1_000_000],
  [2, 250_000],
  [3, 125_000],
])('conversion rate %i converts every %i µs', (bits, us) => {
  const { chip, configure, read, time } = bench()
  configure(bits << 6, 0x00c0)
  time.pass(26_000)
  chip.celsius = 50
  time.pass(us - 1)
  expect(read(0)).toBe(0x1900)
  time.pass(1)
  expect(read(0)).toBe(0x3200)
})

test('it converts without a planner, too: by what time it is when somebody looks', () => {
  const time = new ManualTime()
  const chip = new Tmp102({ now: time.now })
  chip.celsius = 90
  time.pass(10_000_000)
  expect(chip.alertPin).toBe(false)
})
