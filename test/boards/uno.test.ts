import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { Prng } from '../../base/prng.ts'
import { Adc, AdcControl, adcSample, adcValueOf } from '../../classes/adc.ts'
import { Gpio, gpioEdges } from '../../classes/gpio.ts'
import { I2c, I2cCommand, I2cStatus } from '../../classes/i2c.ts'
import { Uno, type UnoOptions } from '../../firmware-sim/avr/uno.ts'
import { UnoOnVirtualClock } from '../../firmware-sim/avr/virtual.ts'
import { damage, FaultyWire } from '../../firmware-sim/faults.ts'
import { Bridged, Device, LeapingTime, Line, told } from './bridged.ts'

const imageOf = (name: string): string =>
  readFileSync(new URL(`../../boards/arduino-uno/firmware/${name}`, import.meta.url), 'utf8')
const images = { 115_200: imageOf('uno.hex'), 1_000_000: imageOf('uno-1m.hex') }
type Baud = keyof typeof images

/** The committed image in an emulated Uno, with a host. */
class Bench extends Bridged {
  readonly time: LeapingTime
  readonly board: UnoOnVirtualClock
  readonly uno: Uno
  readonly bytes: number[] = []

  constructor(options: Partial<UnoOptions> = {}, baud: Baud = 115_200, percent = 0) {
    const time = new LeapingTime()
    const uno = new Uno({ firmware: images[baud], ...options })
    uno.chip.usart.baud = baud
    const board = new UnoOnVirtualClock(uno, time)
    const wire = (deliver: (bytes: Uint8Array) => void, seed: number): FaultyWire =>
      new FaultyWire({ random: new Prng(seed), time, faults: damage(percent), latencyTicks: 0, deliver })
    const toBoard = wire((bytes) => board.write(bytes), 1)
    const toHost = wire((bytes) => {
      this.bytes.push(...bytes)
      this.host.receive(bytes)
    }, 2)
    const until = (isDone: () => boolean): Promise<boolean> => Promise.resolve(time.pass(60_000, isDone))
    super({ time, write: (bytes) => toBoard.send(bytes), until, host: { baud } })
    this.time = time
    this.board = board
    this.uno = uno
    board.onData = (bytes) => toHost.send(bytes)
  }
}

async function opened(baud?: Baud, percent?: number): Promise<Bench> {
  const bench = new Bench({}, baud, percent)
  const result = await bench.open()
  if (!result.isOpen) throw new Error(result.reason)
  return bench
}

test('the Uno says hello, what it is, and which boot this is', async () => {
  const bench = new Bench()
  const result = await bench.open()
  expect(result).toMatchObject({ isOpen: true, identity: { firmware: 'dirql-uno', version: '1.0.0' } })
  const [first, again] = [new Bench({ name: 'other' }), new Bench({ memory: bench.uno.memory })]
  first.time.pass(100)
  again.time.pass(100)
  expect(String.fromCharCode(...first.bytes)).toMatch(/^\nb11[\w-]{6}\n$/)
  expect(String.fromCharCode(...again.bytes)).toMatch(/^\nb12[\w-]{6}\n$/)
  const other = await first.open()
  expect(other.isOpen && other.identity.uniqueId).toMatch(/^[0-9a-f]{16}$/)
  expect(other).not.toEqual(result)
})

test('a press of the button is a frame, and a press before its EOI comes with the next', async () => {
  const bench = await opened()
  bench.host.enableLine(Line.BUTTON)
  await bench.flush()
  for (let press = 0; press < 3; press++) {
    bench.board.press('button')
    bench.time.pass(1)
    bench.board.release('button')
    bench.time.pass(20)
  }
  const first = await bench.frame(Line.BUTTON, 1)
  expect(first).toMatchObject({ sequence: 0, edges: 1 })
  expect(told(first, gpioEdges(2))).toBe(1)
  bench.time.pass(100)
  expect(bench.frames.length).toBe(1)
  bench.host.endOfInterrupt(Line.BUTTON, first.sequence)
  expect(await bench.frame(Line.BUTTON, 2)).toMatchObject({ sequence: 1, edges: 3 })
})

test('a press becomes a frame within 5 ms at 115200 baud', async () => {
  const bench = await opened()
  bench.host.enableLine(Line.BUTTON)
  await bench.flush()
  const before = bench.time.now()
  bench.board.press('button')
  await bench.frame(Line.BUTTON, 1)
  expect((bench.time.now() - before) / 10_000).toBeLessThan(5)
})

test('two chips on the bus are read and written', async () => {
  const bench = await opened()
  bench.answered.add(Line.DONE)
  bench.host.credit(Device.I2C, I2c.DATA, 256)
  bench.host.enableLine(Line.DONE)
  bench.board.set('temperature', 25)
  bench.time.pass(100)
  bench.transfer(0x48, [0], 2)
  const done = await bench.frame(Line.DONE, 1)
  expect(told(done, I2c.STATUS)).toBe(I2cStatus.DONE)
  expect(told(done, I2c.RECEIVED)).toBe(2)
  expect(bench.entries(Device.I2C, I2c.DATA)).toEqual([0x19, 0x00])

  bench.transfer(0x50, [0x00, 0x40, ...Array.from({ length: 64 }, (_, index) => index)], 0)
  expect(told(await bench.frame(Line.DONE, 2), I2c.TRANSFERS)).toBe(2)
  bench.time.pass(10)
  bench.transfer(0x50, [0x00, 0x40], 64)
  await bench.frame(Line.DONE, 3)
  expect(bench.entries(Device.I2C, I2c.DATA).slice(2)).toEqual(Array.from({ length: 64 }, (_, index) => index))
  expect(bench.uno.bus.log.every(({ end }) => end !== 'lost')).toBe(true)
})

test('what goes wrong on the bus is told in STATUS, and RECOVER frees it', async () => {
  const bench = await opened()
  bench.answered.add(Line.DONE)
  bench.host.credit(Device.I2C, I2c.DATA, 256)
  bench.host.enableLine(Line.DONE)
  const statusOf = async (count: number): Promise<number | undefined> => {
    await bench.frame(Line.DONE, count)
    return bench.newest(Line.DONE, I2c.STATUS)
  }

  bench.transfer(0x33, [1], 0)
  expect(await statusOf(1)).toBe(I2cStatus.DONE | I2cStatus.NACK_ADDRESS)
  bench.uno.fault('nack', [0x50, 1, 2])
  bench.transfer(0x50, [0, 0, 1], 0)
  expect(await statusOf(2)).toBe(I2cStatus.DONE | I2cStatus.NACK_DATA)
  bench.board.touch((uno) => uno.fault('holdScl', [Number.POSITIVE_INFINITY]))
  bench.transfer(0x48, [0], 2)
  expect(await statusOf(3)).toBe(I2cStatus.DONE | I2cStatus.BUS_STUCK)
  bench.board.touch((uno) => uno.fault('clear'))
  bench.board.touch((uno) => uno.fault('stretch', [200_000, 1]))
  bench.transfer(0x48, [0], 2)
  expect(await statusOf(4)).toBe(I2cStatus.DONE | I2cStatus.TIMEOUT)
  bench.board.touch((uno) => uno.fault('clear'))
  bench.board.touch((uno) => uno.fault('holdSda', [9]))
  bench.transfer(0x48, [0], 2)
  expect(await statusOf(5)).toBe(I2cStatus.DONE | I2cStatus.BUS_STUCK)
  bench.host.write(Device.I2C, I2c.COMMAND, I2cCommand.RECOVER)
  expect(await statusOf(6)).toBe(I2cStatus.DONE)
  bench.transfer(0x48, [0], 2)
  expect(await statusOf(7)).toBe(I2cStatus.DONE)
  // SPEED and all else right, but a byte too few in the transmit buffer
  bench.host.write(Device.I2C, I2c.WRITE_LENGTH, 2)
  bench.host.write(Device.I2C, I2c.DATA, 0)
  bench.host.write(Device.I2C, I2c.COMMAND, I2cCommand.START)
  expect(await statusOf(8)).toBe(I2cStatus.DONE | I2cStatus.INVALID)
})

test('ABORT ends a transaction behind the byte that is under way', async () => {
  const bench = await opened()
  bench.answered.add(Line.DONE)
  bench.host.credit(Device.I2C, I2c.DATA, 256)
  bench.host.enableLine(Line.DONE)
  bench.board.touch((uno) => uno.fault('stretch', [5000]))
  bench.transfer(0x50, [0, 0], 60)
  bench.host.write(Device.I2C, I2c.COMMAND, I2cCommand.ABORT)
  expect(told(await bench.frame(Line.DONE, 1), I2c.STATUS)).toBe(I2cStatus.DONE | I2cStatus.ABORTED)
  expect(bench.uno.bus.log.at(-1)?.end).toBe('stop')
  expect(bench.entries(Device.I2C, I2c.DATA)).toEqual([])
})

test('ALERT is a level: it interrupts again after each EOI until its cause is gone', async () => {
  const bench = await opened()
  bench.host.enableLine(Line.ALERT)
  await bench.flush()
  bench.board.set('temperature', 90) // above the limit of 80 degrees that the chip wakes up with
  const first = await bench.frame(Line.ALERT, 1)
  expect(first.edges).toBe(1)
  bench.host.endOfInterrupt(Line.ALERT, 0)
  expect(await bench.frame(Line.ALERT, 2)).toMatchObject({ sequence: 1, edges: 1 })
  bench.board.set('temperature', 20)
  bench.time.pass(1000)
  bench.host.endOfInterrupt(Line.ALERT, 1)
  bench.time.pass(100)
  expect(bench.framesOf(Line.ALERT).length).toBe(2)
})

test('edges of pins are counted, each of its own pin and each in the sum of the line', async () => {
  const bench = await opened()
  bench.answered.add(Line.PINS)
  bench.host.write(Device.GPIO, Gpio.PULLUP, (1 << 4) | (1 << 14))
  bench.host.write(Device.GPIO, Gpio.FALLING, (1 << 4) | (1 << 14) | (1 << 8))
  bench.host.write(Device.GPIO, Gpio.RISING, 1 << 4)
  bench.host.write(Device.GPIO, Gpio.DIRECTION, 1 << 8)
  bench.host.write(Device.GPIO, Gpio.OUTPUT, 1 << 8)
  bench.host.enableLine(Line.PINS)
  await bench.flush()
  for (let index = 0; index < 200; index++) {
    bench.board.press('D4')
    bench.time.pass(0.05)
    bench.board.release('D4')
    if (index % 2 === 0) bench.board.press('A0')
    bench.time.pass(0.03)
    bench.board.release('A0')
  }
  bench.host.write(Device.GPIO, Gpio.OUTPUT, 0)
  bench.time.pass(200)
  expect(bench.newest(Line.PINS, gpioEdges(4))).toBe(400)
  expect(bench.newest(Line.PINS, gpioEdges(14))).toBe(100)
  expect(bench.newest(Line.PINS, gpioEdges(8))).toBe(1)
  expect(bench.framesOf(Line.PINS).at(-1)?.edges).toBe(501)
  expect(bench.uno.level(8)).toBe(false)
})

test('a pulse of 1 us on the button is counted', async () => {
  const bench = await opened()
  bench.host.enableLine(Line.BUTTON)
  await bench.flush()
  bench.board.press('button')
  bench.time.pass(0.001)
  bench.board.release('button')
  expect((await bench.frame(Line.BUTTON, 1)).edges).toBe(1)
})

test('samples stream in order, and a channel that leaves its window interrupts', async () => {
  const bench = await opened()
  bench.answered.add(Line.DATA)
  bench.answered.add(Line.THRESHOLD)
  bench.board.set('A0', 2.5)
  bench.board.set('A2', 1)
  bench.host.credit(Device.ADC, Adc.DATA, 1024)
  bench.host.enableLine(Line.DATA)
  bench.host.enableLine(Line.THRESHOLD)
  bench.host.write(Device.ADC, Adc.CHANNELS, 0b101)
  bench.host.write(Device.ADC, Adc.LOW, 100)
  bench.host.write(Device.ADC, Adc.HIGH, 600)
  bench.host.write(Device.ADC, Adc.CONTROL, AdcControl.RUN | AdcControl.STREAM | AdcControl.WATCH)
  bench.time.pass(505)
  const entries = bench.entries(Device.ADC, Adc.DATA)
  expect(entries.length).toBeGreaterThan(98)
  expect(entries.length).toBeLessThan(104)
  expect(entries.slice(0, 4)).toEqual([512, (2 << 16) | 204, 512, (2 << 16) | 204])
  bench.board.set('A2', 4)
  const crossing = await bench.frame(Line.THRESHOLD, 1)
  expect(told(crossing, Adc.OUTSIDE)).toBe(0b100)
  expect(told(crossing, adcSample(2))).toBe(819)
  expect(adcValueOf(bench.entries(Device.ADC, Adc.DATA).at(-1) as number)).toBeGreaterThan(100)
  bench.host.write(Device.ADC, Adc.CONTROL, 0)
  await bench.flush()
  bench.board.set('A3', 5)
  expect(await bench.read(Device.ADC, adcSample(3))).toBe(1023)
})

test('samples that the wire cannot carry are counted, and interrupts go on', async () => {
  const bench = await opened()
  bench.answered.add(Line.DATA)
  bench.answered.add(Line.BUTTON)
  bench.host.credit(Device.ADC, Adc.DATA, 1 << 20)
  bench.host.enableLine(Line.DATA)
  bench.host.enableLine(Line.BUTTON)
  bench.host.write(Device.ADC, Adc.CHANNELS, 0b1111)
  bench.host.write(Device.ADC, Adc.PERIOD, 500)
  bench.host.write(Device.ADC, Adc.CONTROL, AdcControl.RUN | AdcControl.STREAM)
  bench.time.pass(500)
  bench.board.press('button')
  const before = bench.time.now()
  await bench.frame(Line.BUTTON, 1)
  expect((bench.time.now() - before) / 10_000).toBeLessThan(50)
  bench.host.write(Device.ADC, Adc.CONTROL, 0)
  bench.time.pass(200)
  const [samples, lost] = [await bench.read(Device.ADC, Adc.SAMPLES), await bench.read(Device.ADC, Adc.LOST)]
  expect(lost).toBeGreaterThan(1000)
  expect(samples - lost).toBe(bench.entries(Device.ADC, Adc.DATA).length)
  expect(samples).toBeGreaterThan(3800)
})

test('a register that is not there is read as all ones, and said', async () => {
  const bench = await opened()
  expect(await bench.read(Device.GPIO, 0x7fc)).toBe(0xffffffff)
  expect(await bench.read(5, 0)).toBe(0xffffffff)
  bench.time.pass(50)
  expect(bench.logs).toContain(
    'board error 01 (there is no such device, register or line): no such device, register or line',
  )
})

test('a reset is told, and a new session begins with reset values', async () => {
  const bench = await opened()
  bench.host.write(Device.GPIO, Gpio.FALLING, 0x10)
  await bench.flush()
  expect(await bench.read(Device.GPIO, Gpio.FALLING)).toBe(0x10)
  bench.board.reset()
  bench.time.pass(300)
  expect(bench.resets).toBe(1)
  expect((await bench.open()).isOpen).toBe(true)
  expect(await bench.read(Device.GPIO, Gpio.FALLING)).toBe(0)
  expect(await bench.read(Device.GPIO, Gpio.PULLUP)).toBe(0xc)
})

test('the processor sleeps while nothing is to be done', async () => {
  const bench = await opened()
  bench.time.pass(100)
  const [slept, cycles] = [bench.uno.chip.core.sleptCycles, bench.uno.chip.cycles]
  bench.time.pass(1000)
  const share = (bench.uno.chip.core.sleptCycles - slept) / (bench.uno.chip.cycles - cycles)
  expect(share).toBeGreaterThan(0.98)
})

test.each<[Baud, number]>([
  [115_200, 1],
  [115_200, 5],
  [1_000_000, 0],
  [1_000_000, 5],
])(
  'at %i baud with %i per cent of the bytes damaged all that was asked is done once and in order',
  async (baud, percent) => {
    const bench = await opened(baud, percent)
    const { host } = bench
    bench.answered.add(Line.PINS)
    bench.answered.add(Line.DONE)
    host.credit(Device.I2C, I2c.DATA, 256)
    host.enableLine(Line.PINS)
    host.enableLine(Line.DONE)
    host.write(Device.GPIO, Gpio.DIRECTION, 1 << 5)
    host.write(Device.GPIO, Gpio.RISING, 1 << 5)
    for (let edge = 0; edge < 40; edge++) {
      host.write(Device.GPIO, Gpio.OUTPUT, 1 << 5)
      host.write(Device.GPIO, Gpio.OUTPUT, 0)
    }
    const bytes = Array.from({ length: 40 }, (_, index) => 255 - index)
    bench.transfer(0x50, [0x01, 0x00, ...bytes], 0)
    await bench.frame(Line.DONE, 1)
    bench.time.pass(10)
    bench.transfer(0x50, [0x01, 0x00], 40)
    await bench.frame(Line.DONE, 2)
    expect(bench.newest(Line.DONE, I2c.STATUS)).toBe(I2cStatus.DONE)
    expect(bench.newest(Line.DONE, I2c.TRANSFERS)).toBe(2)
    expect(bench.entries(Device.I2C, I2c.DATA)).toEqual(bytes)
    expect(await bench.read(Device.GPIO, gpioEdges(5))).toBe(40)
    await bench.until(() => bench.framesOf(Line.PINS).at(-1)?.edges === 40, 'the last edge')
    expect(host.counts.impossible).toBe(0)
    expect(bench.uno.chip.usart.overruns).toBe(0)
    const { damaged, duplicates, retransmissions } = host.counts
    expect(damaged + duplicates + retransmissions > 0).toBe(percent > 0)
  },
)

test('the stack keeps away from the variables', async () => {
  const bench = new Bench()
  const { data } = bench.uno.chip.core
  // nothing is executed yet: what is still painted in the end was never used
  data.fill(PAINT, RAM_START, RAM_END)
  await bench.open()
  for (const line of Object.values(Line)) {
    bench.answered.add(line)
    bench.host.enableLine(line)
  }
  bench.host.credit(Device.I2C, I2c.DATA, 1 << 20)
  bench.host.credit(Device.ADC, Adc.DATA, 1 << 20)
  bench.host.write(Device.GPIO, Gpio.FALLING, 0x3fff0)
  bench.host.write(Device.GPIO, Gpio.PULLUP, 0x3fff0)
  bench.host.write(Device.ADC, Adc.CHANNELS, 0xf)
  bench.host.write(Device.ADC, Adc.PERIOD, 500)
  bench.host.write(Device.ADC, Adc.HIGH, 600)
  bench.host.write(Device.ADC, Adc.CONTROL, AdcControl.RUN | AdcControl.STREAM | AdcControl.WATCH)
  bench.board.set('temperature', 90)
  for (let round = 0; round < 300; round++) {
    bench.board.set('A0', round % 2 ? 5 : 0)
    bench.board.press(`D${4 + (round % 8)}`)
    if (round % 10 === 0) bench.transfer(0x50, [0, 0, ...Array.from({ length: 40 }, () => 1)], 60)
    bench.host.read(Device.GPIO, 0x7fc, () => {})
    bench.time.pass(3)
    bench.board.release(`D${4 + (round % 8)}`)
  }
  bench.time.pass(500)
  let free = 0
  for (let address = RAM_START, run = 0; address < RAM_END; address++) {
    run = data[address] === PAINT ? run + 1 : 0
    free = Math.max(free, run)
  }
  expect(free).toBeGreaterThan(100)
})
const PAINT = 0xa5
const RAM_START = 0x100
const RAM_END = 0x900
