/** Real firmware and behaviour model are one board: the same script gives the same values, per line and per register. */
import { expect, test } from 'vitest'
import { Adc, AdcControl, adcSample } from '../../classes/adc.ts'
import type { DeviceLayout } from '../../classes/device.ts'
import { Gpio, gpioEdges } from '../../classes/gpio.ts'
import { I2c, I2cCommand, i2cControl } from '../../classes/i2c.ts'
import { nextTurn } from '../../hal/timers.ts'
import { World } from '../../hal/world.ts'
import { attach, type Hands, type OpenBoard } from '../../machine/attach.ts'
import { readBoardFile } from '../../machine/boardfile.ts'
import { layoutsOf, placedLines } from '../../machine/boardplan.ts'
import { Device } from './bridged.ts'

const TICKS_PER_MS = 10_000
/** Long enough for every interrupt, conversion and write cycle of a step. */
const STEP_MS = 400
const CREDIT = 1000

/** Time stamps are the boards' own. */
const STAMPS = new Set(['TIME'])

/** A board without a machine: a script asks it, and all that it tells is kept. */
class Scripted {
  now = 0
  readonly world = new World(() => this.now)
  /** By line (`line gpio.pins`), register (`gpio.INPUT`), FIFO and question: values, a new one where it changed. */
  readonly told: Record<string, number[]> = {}
  readonly faults: string[] = []
  readonly #layouts: readonly DeviceLayout[] = layoutsOf(readBoardFile('arduino-uno'))
  #board!: OpenBoard
  #hands!: Hands

  async open(at: 'model' | 'emulated'): Promise<void> {
    const attachment = await attach(readBoardFile('arduino-uno'), { board: 'arduino-uno', at }, this.world, true)
    let board: OpenBoard | null = null
    const opening = attachment.open().then((opened) => (board = opened))
    while (board === null) {
      this.pass(1)
      await nextTurn()
    }
    this.#board = await opening
    this.#hands = attachment.hands as Hands
    const lines = placedLines(this.#layouts)
    this.#board.connect({
      frame: ({ line, sequence, edges, snapshot }) => {
        const { device, line: spec } = lines[line] as (typeof lines)[number]
        this.#tell(`line ${device}.${spec.name}`, edges)
        for (const { offset, value } of snapshot) this.#tellRegister(device, offset, value)
        this.#board.endOfInterrupt(line, sequence)
      },
      fifo: (device, offset, entries) => {
        const name = `fifo ${this.#nameOf(this.#layouts[device]?.name ?? '', offset)}`
        this.told[name] = [...(this.told[name] ?? []), ...Array.from(entries)]
      },
      reset: () => this.faults.push('reset'),
      gone: (reason) => this.faults.push(reason),
      log: (text) => this.faults.push(text),
    })
    this.#board.credit(Device.I2C, I2c.DATA, CREDIT)
    for (const line of lines.keys()) this.#board.enableLine(line)
    this.pass(STEP_MS)
  }

  #nameOf(device: string, offset: number): string {
    const layout = this.#layouts.find(({ name }) => name === device)
    return `${device}.${layout?.registers.find((register) => register.offset === offset)?.name ?? offset}`
  }

  #tellRegister(device: string, offset: number, value: number): void {
    const name = this.#nameOf(device, offset)
    if (!STAMPS.has(name.split('.')[1] ?? '')) this.#tell(name, value)
  }

  #tell(what: string, value: number): void {
    const values = (this.told[what] ??= [])
    if (values.at(-1) !== value >>> 0) values.push(value >>> 0)
  }

  pass(milliseconds: number): void {
    const end = this.now + milliseconds * TICKS_PER_MS
    while (this.world.next <= end) {
      this.now = Math.max(this.now, this.world.next)
      this.world.run()
    }
    this.now = end
  }

  /** Something is done, and all that comes of it has come. */
  step(body: (hands: Hands) => void): void {
    body(this.#hands)
    this.pass(STEP_MS)
  }

  write(device: number, offset: number, value: number): void {
    this.#board.write(device, offset, value)
  }

  writes(device: number, ...writes: [offset: number, value: number][]): void {
    for (const [offset, value] of writes) this.write(device, offset, value)
    this.pass(STEP_MS)
  }

  ask(device: number, offset: number): void {
    const name = `asked ${this.#nameOf(this.#layouts[device]?.name ?? '', offset)}`
    this.#board.read(device, offset, (value) => (this.told[name] ??= []).push(value >>> 0))
    this.pass(STEP_MS)
  }

  transfer(address: number, written: readonly number[], readLength: number, command: number = I2cCommand.START): void {
    const { I2C } = Device
    this.writes(
      I2C,
      [I2c.ADDRESS, address],
      [I2c.WRITE_LENGTH, written.length],
      [I2c.READ_LENGTH, readLength],
      ...written.map((byte): [number, number] => [I2c.DATA, byte]),
      [I2c.COMMAND, command],
    )
  }

  async close(): Promise<void> {
    await this.#board.close()
  }
}

function bus(board: Scripted): void {
  board.writes(Device.I2C, [I2c.CONTROL, i2cControl(100)])
  board.step((hands) => hands.set('tmp102.temperature', 23.5))
  board.transfer(0x48, [0], 2)
  board.step((hands) => hands.set('tmp102.temperature', -12.25))
  board.transfer(0x48, [0], 2)
  board.transfer(0x48, [], 2)
  board.transfer(0x33, [1], 0)
  board.transfer(0x88, [1], 0)
  board.transfer(0x48, [0], 65)
  board.transfer(0x50, [0x01, 0x3e, 1, 2, 3, 4, 5], 0) // wraps in its page
  board.transfer(0x50, [0x01, 0x00], 4)
  board.transfer(0x50, [0x01, 0x3c], 6)
  board.transfer(0, [], 0, I2cCommand.RECOVER)
  for (const register of [I2c.STATUS, I2c.TRANSFERS, I2c.RECEIVED, I2c.REFUSED]) board.ask(Device.I2C, register)
}

function alert(board: Scripted): void {
  board.transfer(0x48, [1, 0x62, 0xe0], 0) // interrupt mode: a read takes ALERT back
  board.transfer(0x48, [2, 0x19, 0x00], 0)
  board.transfer(0x48, [3, 0x1e, 0x00], 0)
  board.step((hands) => hands.set('tmp102.temperature', 35))
  board.transfer(0x48, [0], 2)
  board.step((hands) => hands.set('tmp102.temperature', 20))
  board.transfer(0x48, [0], 2)
  board.ask(Device.GPIO, gpioEdges(3))
}

function pins(board: Scripted): void {
  const { GPIO } = Device
  for (let press = 0; press < 3; press++) {
    board.step((hands) => hands.press('button'))
    board.step((hands) => hands.release('button'))
  }
  board.writes(GPIO, [Gpio.PULLUP, (1 << 2) | (1 << 3) | (1 << 4) | (1 << 14)])
  board.writes(GPIO, [Gpio.FALLING, (1 << 4) | (1 << 13)], [Gpio.RISING, (1 << 13) | (1 << 14)])
  for (const pin of ['D4', 'A0', 'D4']) {
    board.step((hands) => hands.press(pin))
    board.step((hands) => hands.release(pin))
  }
  board.writes(GPIO, [Gpio.DIRECTION, 1 << 13])
  for (const level of [1, 0, 0, 1]) board.writes(GPIO, [Gpio.OUTPUT, level << 13])
  board.ask(GPIO, Gpio.INPUT)
  board.writes(GPIO, [Gpio.RISING, 0], [Gpio.FALLING, 0], [Gpio.DIRECTION, 0])
  for (const register of [
    Gpio.INPUT,
    Gpio.PINS,
    Gpio.PULLUP,
    gpioEdges(2),
    gpioEdges(4),
    gpioEdges(13),
    gpioEdges(14),
  ]) {
    board.ask(GPIO, register)
  }
}

function converter(board: Scripted): void {
  const { ADC } = Device
  board.step((hands) => hands.set('adc0.1', 300))
  board.writes(
    ADC,
    [Adc.CHANNELS, 0b10],
    [Adc.PERIOD, 5000],
    [Adc.LOW, 100],
    [Adc.HIGH, 600],
    [Adc.CONTROL, AdcControl.RUN | AdcControl.WATCH],
  )
  for (const value of [700, 300, 50, 300]) board.step((hands) => hands.set('adc0.1', value))
  board.writes(ADC, [Adc.CONTROL, 0])
  for (const register of [Adc.OUTSIDE, Adc.CROSSINGS, Adc.LOST, Adc.PRESENT, adcSample(1)]) board.ask(ADC, register)
}

async function script(at: 'model' | 'emulated'): Promise<Record<string, number[]>> {
  const board = new Scripted()
  await board.open(at)
  for (const part of [bus, alert, pins, converter]) part(board)
  await board.close()
  expect(board.faults).toEqual([])
  return board.told
}

test('one script gives the same sequence of values on firmware and model, per line and per register', async () => {
  const [model, firmware] = [await script('model'), await script('emulated')]
  expect(firmware).toEqual(model)
  expect(model['line gpio.button']).toEqual([1, 2, 3])
  expect(model['fifo i2c0.DATA']?.length).toBe(20)
  expect(model['line gpio.alert']).toEqual([1, 2])
  expect(model['adc0.CROSSINGS']).toEqual([1, 2, 3, 4])
})
