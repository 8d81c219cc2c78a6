import { execFileSync, spawn } from 'node:child_process'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Prng } from '../../base/prng.ts'
import { Adc, AdcControl } from '../../classes/adc.ts'
import { Gpio, gpioEdges } from '../../classes/gpio.ts'
import { I2c, I2cStatus } from '../../classes/i2c.ts'
import { damage, FaultyWire } from '../../firmware-sim/faults.ts'
import { openPty } from '../../hal/links/pty.ts'
import type { Time } from '../../wire/bridge/talk.ts'
import { Bridged, Device, Line, told } from './bridged.ts'
import { compile, lacksCompiler, SANITIZERS } from './compile.ts'

const why = lacksCompiler()
if (why !== null) console.log(`skipped: the hosted firmware is not tested: ${why}`)

const clock: Time = {
  now: () => performance.now() * 10_000,
  after: (ticks, happen) => {
    const timer = setTimeout(happen, Math.max(0, ticks / 10_000))
    return () => clearTimeout(timer)
  },
}

const until = async (isDone: () => boolean): Promise<boolean> => {
  const end = performance.now() + 20_000
  while (!isDone() && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 1))
  return isDone()
}

/** The firmware as a program on pipes, and a host that talks to it over wires that damage `percent` of the bytes. */
class Bench extends Bridged implements AsyncDisposable {
  readonly #ended: Promise<unknown>
  readonly #close: () => void
  readonly wires: FaultyWire[]

  constructor(program: string, percent: number, seed: number) {
    const child = spawn(program, ['--boot', '7'], { stdio: ['pipe', 'pipe', 'inherit'] })
    const wire = (deliver: (bytes: Uint8Array) => void, number: number): FaultyWire =>
      new FaultyWire({
        random: new Prng(seed + number),
        time: clock,
        faults: damage(percent),
        latencyTicks: 0,
        deliver,
      })
    const toBoard = wire((bytes) => child.stdin.write(bytes), 0)
    const toHost = wire((bytes) => this.host.receive(bytes), 1)
    child.stdout.on('data', (bytes: Uint8Array) => toHost.send(bytes))
    child.stdin.on('error', () => {})
    super({
      time: clock,
      write: (bytes) => toBoard.send(bytes),
      until,
      host: { baud: 0, retransmitTicks: 50_000 },
    })
    this.wires = [toBoard, toHost]
    this.#ended = new Promise((resolve) => child.on('close', resolve))
    this.#close = () => {
      this.host.close()
      child.stdin.destroy()
      child.stdout.resume()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#close()
    await this.#ended
  }
}

describe.skipIf(why !== null)('the firmware as a program', () => {
  let firmware: ReturnType<typeof compile>
  beforeAll(() => {
    firmware = compile('hosted/main.c', SANITIZERS)
  }, 60_000)
  afterAll(() => firmware.remove())

  async function opened(percent = 0, seed = 1): Promise<Bench> {
    const bench = new Bench(firmware.program, percent, seed)
    const result = await bench.open()
    if (result.isOpen) return bench
    await bench[Symbol.asyncDispose]()
    throw new Error(result.reason)
  }

  test('it says what it is, and does what is written', async () => {
    await using bench = new Bench(firmware.program, 0, 1)
    expect(await bench.open()).toMatchObject({
      isOpen: true,
      identity: { firmware: 'dirql-hosted', version: '1.0.0', uniqueId: '-', devices: { length: 3 } },
    })
    bench.host.write(Device.GPIO, Gpio.PULLUP, 0x3fff0)
    await bench.flush()
    expect(await bench.read(Device.GPIO, Gpio.PULLUP)).toBe(0x3fff0)
    expect(await bench.read(Device.GPIO, Gpio.INPUT)).toBe(0x3fff0)
    expect(await bench.read(Device.ADC, Adc.RESOLUTION)).toBe(10)
  })

  test('it talks over a pseudo terminal', async () => {
    const link = await openPty({ data: (bytes) => bench.host.receive(bytes), closed: () => {} })
    const bench = new Bridged({ time: clock, write: (bytes) => link.write(bytes), until })
    const child = spawn(firmware.program, [link.path], { stdio: ['ignore', 'ignore', 'inherit'] })
    const ended = new Promise((resolve) => child.on('close', resolve))
    try {
      expect((await bench.open()).isOpen).toBe(true)
      bench.host.write(Device.GPIO, Gpio.PULLUP, 0x10)
      expect(await bench.read(Device.GPIO, Gpio.INPUT)).toBe(0x10)
    } finally {
      bench.host.close()
      child.kill() // it has inherited the terminal's other end, so nothing would tell it that we are gone
      await ended
      await link.close()
    }
  })

  test('a new hello begins a new session with reset values', async () => {
    await using bench = await opened()
    bench.host.write(Device.GPIO, Gpio.RISING, 0x30)
    await bench.flush()
    expect((await bench.open()).isOpen).toBe(true)
    expect(await bench.read(Device.GPIO, Gpio.RISING)).toBe(0)
  })

  test('edges interrupt, and those that come before EOI are in the next frame', async () => {
    await using bench = await opened()
    bench.host.enableLine(Line.BUTTON)
    bench.host.write(Device.GPIO, Gpio.OUTPUT, 1 << 4)
    bench.host.write(Device.GPIO, Gpio.DIRECTION, 1 << 4)
    for (let press = 0; press < 5; press++) {
      bench.host.write(Device.GPIO, Gpio.OUTPUT, 0)
      bench.host.write(Device.GPIO, Gpio.OUTPUT, 1 << 4)
    }
    await bench.flush()
    const first = await bench.frame(Line.BUTTON, 1)
    bench.host.endOfInterrupt(Line.BUTTON, first.sequence)
    await bench.flush()
    await bench.read(Device.GPIO, Gpio.INPUT)
    expect(bench.frames.at(-1)?.edges).toBe(5)
    expect(bench.newest(Line.BUTTON, gpioEdges(2))).toBe(5)
  })

  test('bytes of a transaction come before the frame that tells its end', async () => {
    await using bench = await opened()
    bench.answered.add(Line.DONE)
    bench.host.enableLine(Line.DONE)
    bench.host.credit(Device.I2C, I2c.DATA, 3)
    bench.transfer(0x50, [0, 0x10, 1, 2, 3, 4, 5], 0)
    await bench.frame(Line.DONE, 1)
    bench.transfer(0x50, [0, 0x10], 5)
    await bench.until(() => bench.received.length > 0, 'the bytes for which there is credit')
    await bench.read(Device.I2C, I2c.TRANSFERS)
    expect(bench.entries(Device.I2C, I2c.DATA)).toEqual([1, 2, 3])
    expect(bench.frames.length).toBe(1)
    bench.host.credit(Device.I2C, I2c.DATA, 10)
    const done = await bench.frame(Line.DONE, 2)
    expect(told(done, I2c.RECEIVED)).toBe(5)
    expect(bench.entries(Device.I2C, I2c.DATA)).toEqual([1, 2, 3, 4, 5])
  })

  test('samples of a stream arrive in order, and what the wire could not carry is counted', async () => {
    await using bench = await opened()
    bench.answered.add(Line.DATA)
    bench.host.enableLine(Line.DATA)
    bench.host.credit(Device.ADC, Adc.DATA, 10_000)
    bench.host.write(Device.ADC, Adc.CHANNELS, 0b10)
    bench.host.write(Device.ADC, Adc.PERIOD, 1000)
    bench.host.write(Device.ADC, Adc.CONTROL, AdcControl.RUN | AdcControl.STREAM)
    await bench.until(() => bench.entries(Device.ADC, Adc.DATA).length >= 300, 'the stream')
    bench.host.write(Device.ADC, Adc.CONTROL, 0)
    // what is still in the board goes out between the answers
    for (let look = 0; look < 10; look++) await bench.read(Device.ADC, Adc.CONTROL)
    const [samples, lost] = [await bench.read(Device.ADC, Adc.SAMPLES), await bench.read(Device.ADC, Adc.LOST)]
    const entries = bench.entries(Device.ADC, Adc.DATA)
    expect(samples - lost).toBe(entries.length)
    // the samples of channel 1 are 200 to 299, round and round
    const numbers = entries.map((entry) => entry - (1 << 16) - 200)
    const missed = numbers.map(
      (number, index) => (index === 0 ? number : number - (numbers[index - 1] as number) + 99) % 100,
    )
    expect(missed.reduce((sum, count) => sum + count, 0)).toBeLessThanOrEqual(lost)
  })

  test.each([1, 5])(
    'with %i per cent of the bytes damaged nothing is lost, doubled or out of order',
    async (percent) => {
      await using bench = await opened(percent, 1000 + percent)
      bench.answered.add(Line.PINS)
      bench.answered.add(Line.DONE)
      bench.host.credit(Device.I2C, I2c.DATA, 256)
      bench.host.enableLine(Line.PINS)
      bench.host.enableLine(Line.DONE)
      bench.host.write(Device.GPIO, Gpio.DIRECTION, 1 << 5)
      bench.host.write(Device.GPIO, Gpio.RISING, 1 << 6)
      for (let edge = 0; edge < 50; edge++) {
        bench.host.write(Device.GPIO, Gpio.OUTPUT, 1 << 5)
        bench.host.write(Device.GPIO, Gpio.OUTPUT, 0)
      }
      bench.transfer(0x50, [0, 0, 9, 8, 7, 6, 5, 4, 3, 2, 1], 0)
      await bench.frame(Line.DONE, 1)
      bench.transfer(0x50, [0, 0], 9)
      expect(await bench.read(Device.GPIO, gpioEdges(6))).toBe(50)
      await bench.until(() => bench.newest(Line.DONE, I2c.TRANSFERS) === 2, 'the end of both transactions')
      expect(bench.newest(Line.DONE, I2c.STATUS)).toBe(I2cStatus.DONE)
      expect(bench.entries(Device.I2C, I2c.DATA)).toEqual([9, 8, 7, 6, 5, 4, 3, 2, 1])
      await bench.until(() => bench.framesOf(Line.PINS).at(-1)?.edges === 50, 'the last edge')
      expect(bench.framesOf(Line.PINS).map(({ sequence }) => sequence)).toEqual(
        bench.framesOf(Line.PINS).map((_, n) => n),
      )
      expect(bench.host.counts.impossible).toBe(0)
      expect(bench.wires.reduce((sum, wire) => sum + wire.struck, 0)).toBeGreaterThan(0)
    },
  )
})

describe.skipIf(why !== null)('any bytes at all', () => {
  let fuzz: ReturnType<typeof compile>
  beforeAll(() => {
    fuzz = compile('hosted/fuzz.c', SANITIZERS)
  }, 60_000)
  afterAll(() => fuzz.remove())

  test.each([1, 2])(
    'seed %i: no wrong step, no line that is not built as the page says, and each hello is answered',
    (seed) => {
      const said = execFileSync(fuzz.program, [String(seed), '15000'], { encoding: 'utf8', timeout: 60_000 })
      expect(JSON.parse(said)).toMatchObject({ fuzz: 'firmware', seed, rounds: 15_000 })
    },
  )
})
