/** The Uno's behaviour model, through a driver: transfers, lines, converters, resets, and a board that lies. */
import { describe, expect, test } from 'vitest'
import { Adc, AdcControl, adcEntry, adcSample } from '../../classes/adc.ts'
import { Gpio, gpioEdges } from '../../classes/gpio.ts'
import { I2c, I2cCommand, i2cDurationUs, I2cStatus } from '../../classes/i2c.ts'
import { boot, type BootOptions, type Machine } from '../../machine/index.ts'
import type { Transfer, Transferred } from './drivers/chip.ts'

const CHIP = new URL('./drivers/chip.ts', import.meta.url)
const PINS = new URL('./drivers/pins.ts', import.meta.url)
const BOARDS = [{ board: 'arduino-uno', name: 'uno-0' }]
const { DONE } = I2cStatus

const MACHINES: [string, BootOptions][] = [
  ['one processor', { processors: 1 }],
  ['two processors', { processors: 2 }],
  ['one processor in virtual time', { processors: 1, clock: 'virtual' }],
  ['two processors in virtual time', { processors: 2, clock: 'virtual' }],
]
const VIRTUAL: BootOptions = { clock: 'virtual' }

/** A machine with the Uno and the driver; what it prints is kept. */
async function withUno(options: BootOptions): Promise<{ machine: Machine; printed: string[] }> {
  const printed: string[] = []
  const print = (text: string): void => void printed.push(text)
  return { machine: await boot({ drivers: [CHIP], boards: BOARDS, print, ...options }), printed }
}

const transfer = (machine: Machine, what: Transfer): Promise<Transferred> =>
  machine.run(CHIP, 'transfer', what) as Promise<Transferred>
const seen = (machine: Machine): Promise<Record<string, number>> =>
  machine.run(CHIP, 'seen') as Promise<Record<string, number>>
const post = (machine: Machine, writes: [number, number][]): Promise<unknown> => machine.run(CHIP, 'post', writes)

describe('i2c', () => {
  test.each(MACHINES)('a transfer reads a chip’s register, on %s', async (_name, options) => {
    const { machine } = await withUno(options)
    await using _ = machine
    machine.board('uno-0').set('tmp102.temperature', 25.5)
    await machine.sleep(300) // the chip converts four times a second
    const read = await transfer(machine, { address: 0x48, write: [0], readLength: 2 })
    expect(read).toEqual({ status: DONE, bytes: [0x19, 0x80], transfers: 1, left: 0 })
    const log = machine.board('uno-0').uno.busLog()
    expect(log.map(({ address, isRead, bytes, end }) => ({ address, isRead, bytes, end }))).toEqual([
      { address: 0x48, isRead: false, bytes: [0], end: 'restart' },
      { address: 0x48, isRead: true, bytes: [0x19, 0x80], end: 'stop' },
    ])
  })

  test.each(MACHINES)('a page that was written is read back, on %s', async (_name, options) => {
    const { machine } = await withUno(options)
    await using _ = machine
    const page = Array.from({ length: 64 }, (_, index) => (index * 37 + 5) & 0xff)
    expect((await transfer(machine, { address: 0x50, write: [0x12, 0x40, ...page] })).status).toBe(DONE)
    // The write cycle takes 5 ms; on the real clock the answer may come later than that.
    const { status } = await transfer(machine, { address: 0x50 })
    expect(options.clock === 'virtual' ? status : DONE | I2cStatus.NACK_ADDRESS).toBe(DONE | I2cStatus.NACK_ADDRESS)
    await machine.sleep(6)
    const read = await transfer(machine, { address: 0x50, write: [0x12, 0x40], readLength: 64 })
    expect(read).toMatchObject({ status: DONE, bytes: page, left: 0 })
  })

  test('a transaction takes the bus’s time', async () => {
    const { machine } = await withUno(VIRTUAL)
    await using _ = machine
    const { uno } = machine.board('uno-0')
    const before = uno.board.us
    await transfer(machine, { address: 0x48, write: [0], readLength: 2 })
    const first = uno.busLog()[0]?.time ?? 0
    const least = i2cDurationUs(100, 1, 2)
    expect(least).toBe(480)
    expect(uno.board.us - first).toBeGreaterThanOrEqual(least)
    expect(uno.board.us - before).toBeLessThan(least + 400) // and little more: the pipe and the processor
  })

  test.each(MACHINES.slice(2))('credit keeps a long stream of bytes flowing, on %s', async (_name, options) => {
    const { machine } = await withUno(options)
    await using _ = machine
    await machine.sleep(30) // the chip's first conversion
    const count = 200 // 400 bytes through a FIFO of 256
    const all = (await machine.run(CHIP, 'manyTransfers', { address: 0x48, count })) as number[][]
    expect(all).toEqual(Array.from({ length: count }, () => [0x19, 0]))
    expect(machine.board('uno-0').faults()).toMatchObject({ lostEntries: 0, wrongSequences: 0, lostFrames: 0 })
    expect(await seen(machine)).toMatchObject({ Interrupts: count })
  })

  test.each([
    ['an address that no chip has', { address: 0x23, write: [1] }, I2cStatus.NACK_ADDRESS],
    ['an address out of range', { address: 0x88, write: [1] }, I2cStatus.INVALID],
    ['more bytes than can be read', { address: 0x48, readLength: 65 }, I2cStatus.INVALID],
    ['more bytes than the buffer holds', { address: 0x50, write: Array<number>(73).fill(1) }, I2cStatus.INVALID],
  ] as const)('%s ends with its bit', async (_name, what, bit) => {
    const { machine } = await withUno(VIRTUAL)
    await using _ = machine
    const failed = await transfer(machine, what)
    expect(failed).toEqual({ status: DONE | bit, bytes: [], transfers: 1, left: 0 })
    const good = await transfer(machine, { address: 0x48, write: [0], readLength: 2 })
    expect(good.status).toBe(DONE)
  })

  test('a START while a transaction runs is refused and counted', async () => {
    const { machine } = await withUno(VIRTUAL)
    await using _ = machine
    await post(machine, [
      [I2c.ADDRESS, 0x48],
      [I2c.READ_LENGTH, 2],
      [I2c.COMMAND, I2cCommand.START],
      [I2c.COMMAND, I2cCommand.START],
    ])
    expect(await machine.run(CHIP, 'fresh', I2c.STATUS)).toBe(I2cStatus.BUSY)
    await machine.sleep(2)
    expect(await machine.run(CHIP, 'fresh', I2c.STATUS)).toBe(DONE)
    expect(await machine.run(CHIP, 'fresh', I2c.TRANSFERS)).toBe(1)
    expect(await machine.run(CHIP, 'fresh', I2c.REFUSED)).toBe(1)
  })

  test('a stuck bus is told, and RECOVER frees it', async () => {
    const { machine } = await withUno(VIRTUAL)
    await using _ = machine
    machine.board('uno-0').fault.bus().holdSda(5)
    const stuck = await transfer(machine, { address: 0x48, write: [0], readLength: 2 })
    expect(stuck.status).toBe(DONE | I2cStatus.BUS_STUCK)
    expect(((await machine.run(CHIP, 'command', I2cCommand.RECOVER)) as Transferred).status).toBe(DONE)
    expect((await transfer(machine, { address: 0x48, write: [0], readLength: 2 })).status).toBe(DONE)
  })

  test('a chip that holds the clock too long is a timeout, and one that stretches it is waited for', async () => {
    const { machine } = await withUno(VIRTUAL)
    await using _ = machine
    const { faults } = machine.board('uno-0').uno.bus()
    faults.stretch(5_000, 2)
    expect((await transfer(machine, { address: 0x48, write: [0], readLength: 2 })).status).toBe(DONE)
    faults.stretch(50_000, 1)
    expect((await transfer(machine, { address: 0x48, write: [0], readLength: 2 })).status).toBe(
      DONE | I2cStatus.TIMEOUT,
    )
  })

  test('ABORT ends a transaction with STOP', async () => {
    const { machine } = await withUno(VIRTUAL)
    await using _ = machine
    await post(machine, [
      [I2c.ADDRESS, 0x50],
      [I2c.READ_LENGTH, 64],
      [I2c.COMMAND, I2cCommand.START],
    ])
    await machine.sleep(1)
    const aborted = (await machine.run(CHIP, 'command', I2cCommand.ABORT)) as Transferred
    expect(aborted).toMatchObject({ status: DONE | I2cStatus.ABORTED, bytes: [], left: 0 })
    expect(machine.board('uno-0').uno.busLog()[0]).toMatchObject({ end: 'stop' })
  })
})

describe('the chip’s device', () => {
  test('has the controller’s window and line as shared resources, its own line, and a start that may ask the board', async () => {
    const { machine } = await withUno(VIRTUAL)
    await using _ = machine
    expect(await seen(machine)).toMatchObject({ Shared: 2, AskedAtStart: 25, Starts: 1 })
  })

  test('has a key with its bus’s event and the board file’s parameters', async () => {
    const { machine } = await withUno({ ...VIRTUAL, boards: [] })
    await using _ = machine
    await machine.plug({ board: { ...UNO_LIKE }, name: 'uno-7' })
    expect(await machine.run(CHIP, 'parameter', 'BusEvent')).toBe('uno-7-bus')
    expect(await machine.run(CHIP, 'parameter', 'busevent')).toBe('uno-7-bus')
    expect(await machine.run(CHIP, 'parameter', 'Place')).toBe('under the roof')
    expect(await machine.run(CHIP, 'parameter', 'Nothing')).toBe('0xc0000034')
  })

  test('its ALERT interrupts as long as it is active', async () => {
    const { machine } = await withUno(VIRTUAL)
    await using _ = machine
    const board = machine.board('uno-0')
    board.set('tmp102.temperature', 85) // above THIGH after reset, 80 °C
    await machine.sleep(300)
    const { Alerts = 0 } = await seen(machine)
    expect(Alerts).toBeGreaterThan(100)
    board.set('tmp102.temperature', 20)
    await machine.sleep(600)
    const { Alerts: then } = await seen(machine)
    await machine.sleep(300)
    expect((await seen(machine))['Alerts']).toBe(then)
    expect(board.lines().find(({ line }) => line === 'alert')).toMatchObject({ edges: 1, unclaimed: 0 })
  })
})

const UNO_LIKE = {
  name: 'like-uno',
  devices: [
    {
      name: 'bus',
      class: 'i2c',
      children: [
        {
          name: 'probe',
          address: 0x48,
          hardwareIds: ['test\\chip'],
          parameters: { Place: 'under the roof', Bytes: 7 },
        },
      ],
    },
  ],
}

describe('gpio', () => {
  test.each(MACHINES)('a burst of edges is counted to the last one, on %s', async (_name, options) => {
    await using machine = await boot({ drivers: [PINS], boards: BOARDS, ...options })
    const board = machine.board('uno-0')
    await machine.run(PINS, 'watch', [4, 5])
    const edges = 500
    for (let index = 0; index < edges; index++) {
      board.set('gpio.4', index % 2)
      board.press('button')
      board.release('button')
      if (index % 3 === 0) board.set('D5', (index / 3) % 2)
      if (index % 100 === 99) await machine.sleep(1)
    }
    await machine.sleep(20)
    // pin 4 begins low, as does pin 5; the first writes of 0 are none
    const told = (await machine.run(PINS, 'told')) as Record<string, number>
    expect(told).toMatchObject({ button: edges, pin4: edges - 1, pin5: Math.ceil(edges / 3) - 1 })
    const lines = board.lines()
    expect(lines.find(({ line }) => line === 'button')).toMatchObject({ edges, unclaimed: 0 })
    expect(lines.find(({ line }) => line === 'pins')).toMatchObject({ edges: edges - 1 + Math.ceil(edges / 3) - 1 })
  })

  test('an output pin has the level that was written', async () => {
    await using machine = await boot({ drivers: [PINS], boards: BOARDS, ...VIRTUAL })
    const { uno } = machine.board('uno-0')
    await machine.run(PINS, 'write', [
      [Gpio.DIRECTION, 1 << 13],
      [Gpio.OUTPUT, 1 << 13],
    ])
    expect(await machine.run(PINS, 'fresh', Gpio.INPUT)).toBe((1 << 13) | 0b1100) // and the two that are pulled up
    expect(uno.level('D13')).toBe(true)
    expect(await machine.run(PINS, 'fresh', gpioEdges(13))).toBe(0)
  })
})

describe('adc', () => {
  test('samples stream into DATA before the frame that tells them', async () => {
    await using machine = await boot({ drivers: [PINS], boards: BOARDS, ...VIRTUAL })
    const board = machine.board('uno-0')
    board.set('adc0.0', 512)
    board.set('A2', 2.5)
    await machine.run(PINS, 'convert', [
      [Adc.CHANNELS, 0b101],
      [Adc.PERIOD, 1000],
      [Adc.CONTROL, AdcControl.RUN | AdcControl.STREAM],
    ])
    await machine.sleep(20)
    const { samples, entries } = (await machine.run(PINS, 'samples')) as { samples: number; entries: number[] }
    expect(samples).toBeGreaterThanOrEqual(38)
    expect(entries.length).toBe(samples)
    expect(entries.slice(0, 4)).toEqual([adcEntry(0, 512), adcEntry(2, 512), adcEntry(0, 512), adcEntry(2, 512)])
    expect(await machine.run(PINS, 'freshAdc', Adc.LOST)).toBe(0)
  })

  test('a channel that leaves the window and comes back crosses it twice', async () => {
    await using machine = await boot({ drivers: [PINS], boards: BOARDS, ...VIRTUAL })
    const board = machine.board('uno-0')
    board.set('adc0.1', 300)
    await machine.run(PINS, 'convert', [
      [Adc.CHANNELS, 0b10],
      [Adc.LOW, 100],
      [Adc.HIGH, 600],
      [Adc.CONTROL, AdcControl.RUN | AdcControl.WATCH],
    ])
    await machine.sleep(25)
    board.set('adc0.1', 700)
    await machine.sleep(25)
    expect(await machine.run(PINS, 'threshold')).toMatchObject({ crossings: 1, outside: 0b10, sample: 700 })
    board.set('adc0.1', 300)
    await machine.sleep(25)
    expect(await machine.run(PINS, 'threshold')).toMatchObject({ crossings: 2, outside: 0, sample: 300 })
    expect(await machine.run(PINS, 'freshAdc', adcSample(1))).toBe(300)
  })
})

describe('a board that is reset', () => {
  test.each(MACHINES)('is removed and comes back as new devices, on %s', async (_name, options) => {
    const { machine, printed } = await withUno(options)
    await using _ = machine
    const board = machine.board('uno-0')
    await post(machine, [
      [I2c.ADDRESS, 0x50],
      [I2c.READ_LENGTH, 64],
      [I2c.COMMAND, I2cCommand.START],
    ])
    await board.reset()
    expect(await seen(machine)).toMatchObject({ Starts: 2, Removals: 1 })
    expect((await transfer(machine, { address: 0x48, write: [0], readLength: 2 })).transfers).toBe(1)
    expect(printed.join('')).toContain('board uno-0: the board was reset')
  })
})

describe('a board that lies', () => {
  test.each(MACHINES)('is counted and reported, and crashes nothing, on %s', async (_name, options) => {
    const { machine, printed } = await withUno(options)
    await using _ = machine
    const { fault } = machine.board('uno-0')
    await machine.sleep(30) // the chip's first conversion
    expect((await transfer(machine, { address: 0x48, write: [0], readLength: 2 })).status).toBe(DONE)
    fault.lie('line')
    fault.lie('fifo')
    fault.lie('sequence', 'done')
    expect((await transfer(machine, { address: 0x48, write: [0], readLength: 2 })).status).toBe(DONE)
    fault.lie('snapshot', 'i2c0.done')
    expect((await transfer(machine, { address: 0x48, write: [0], readLength: 2 })).status).toBe(DONE)
    fault.lie('twice', 'done')
    expect((await transfer(machine, { address: 0x48, write: [0], readLength: 2 })).bytes).toEqual([0x19, 0])
    fault.lie('credit', 'i2c0.DATA')
    await machine.sleep(5)
    expect(machine.board('uno-0').faults()).toEqual({
      unknownLines: 1,
      lostFrames: expect.any(Number) as number,
      wrongSequences: expect.any(Number) as number,
      strayRegisters: 507,
      strayEntries: 9,
      lostEntries: 100_000 - 256,
    })
    const { lostFrames, wrongSequences } = machine.board('uno-0').faults()
    expect(lostFrames + wrongSequences).toBe(2) // the odd one, and the doubled one
    const text = printed.join('')
    expect(text).toMatch(/board uno-0: the board sent a frame of a line that it does not have \(line 63\)/)
    expect(text).toMatch(/sent more FIFO entries than it had credit for/)
  })

  test('a level line that is stuck is told by name, and a storm of a latched line is one count', async () => {
    const { machine, printed } = await withUno(VIRTUAL)
    await using _ = machine
    const board = machine.board('uno-0')
    board.fault.stick('alert')
    await machine.sleep(100)
    expect(printed.join('')).toMatch(/uno-0: line gpio\.alert has interrupted 1000 times without becoming inactive/)
    board.fault.stick('alert', null)
    await machine.sleep(5)
    const { Alerts = 0 } = await seen(machine)
    expect(Alerts).toBeGreaterThan(1000)
    await machine.sleep(20)
    expect((await seen(machine))['Alerts']).toBe(Alerts)
    board.fault.storm('done', 100_000)
    await machine.sleep(5)
    const done = board.lines().find(({ line }) => line === 'done')
    expect(done).toMatchObject({ edges: 100_000, frames: 1, unclaimed: 1 }) // nobody waits for it
  })

  test('a mistake of a test is told with what there is', async () => {
    const { machine } = await withUno(VIRTUAL)
    await using _ = machine
    const board = machine.board('uno-0')
    expect(() => board.press('knob')).toThrow(/no pin 'knob'; it has button, alert, D0 to D13/)
    expect(() => board.set('humidity', 1)).toThrow(/no sensor 'humidity'; it has tmp102.temperature, adc0.0 to adc0.7/)
    expect(() => board.fault.stick('nmi')).toThrow(/no line 'nmi'/)
    expect(() => board.feed('x')).toThrow(/nothing to feed/)
  })
})
