import { describe, expect, test } from 'vitest'
import { IOCTL_GPIO_READ_PINS, IOCTL_GPIO_SET_UP_PIN, IOCTL_GPIO_WRITE_PIN } from '../../drivers/gpio/interface.ts'
import { boot, type BootOptions, type Machine } from '../../machine/index.ts'
import type { UserFile } from '../../machine/user.ts'
import {
  driver,
  MACHINES,
  STATUS_BUFFER_TOO_SMALL,
  STATUS_CANCELLED,
  STATUS_INVALID_PARAMETER,
  STATUS_NOT_CONNECTED,
  statusOf,
  until,
  VIRTUAL,
  words,
  wordsIn,
} from './machines.ts'

const BOARDS = [{ board: 'arduino-uno', name: 'uno-0' }]
const EDGE_BYTES = 16
const MOST_EDGES = 256

interface Edge {
  pin: number
  level: number
  count: number
  time: number
}

interface Setup {
  output?: boolean
  pullUp?: boolean
  rising?: boolean
  falling?: boolean
  debounceUs?: number
}

interface Pins {
  machine: Machine
  file: UserFile
  setUp(pin: number, setup?: Setup): Promise<unknown>
  drive(pin: number, level: number): void
  edges(most?: number): Promise<Edge[]>
  pins(): Promise<{ levels: number; direction: number; edges: number; lost: number }>
}

const BOTH: Setup = { rising: true, falling: true }

async function withPins(options: BootOptions, body: (pins: Pins) => Promise<void>): Promise<void> {
  await using machine = await boot({ ...options, drivers: [driver('gpio')], boards: BOARDS })
  await using file = await machine.open('Gpio-0')
  const board = machine.board('uno-0')
  await body({
    machine,
    file,
    setUp: async (pin, { output, pullUp, rising, falling, debounceUs = 0 } = {}) => {
      const flags = [output, pullUp, rising, falling].map((flag) => (flag === true ? 1 : 0))
      await file.ioctl(IOCTL_GPIO_SET_UP_PIN, words(pin, ...flags, debounceUs))
      await machine.sleep(2) // register writes are posted
    },
    drive: (pin, level) => board.set(`gpio.${pin}`, level),
    edges: async (most = MOST_EDGES) => edgesIn(await file.read(most * EDGE_BYTES)),
    pins: async () => {
      const [levels = 0, direction = 0, edges = 0, lost = 0] = wordsIn(
        await file.ioctl(IOCTL_GPIO_READ_PINS, words(), 16),
      )
      return { levels, direction, edges, lost }
    },
  })
}

function edgesIn(data: Uint8Array): Edge[] {
  const told = wordsIn(data)
  return Array.from({ length: told.length / 4 }, (_, index) => {
    const [pin = 0, level = 0, count = 0, time = 0] = told.slice(index * 4)
    return { pin, level, count, time }
  })
}

describe('edges', () => {
  test.each(MACHINES)('each is told with pin, level, count and time, on %s', (_name, options) =>
    withPins(options, async ({ machine, setUp, drive, edges }) => {
      drive(4, 0)
      await setUp(4, BOTH)
      const first = edges()
      await machine.sleep(2)
      drive(4, 1)
      const [up] = await first
      expect(up).toMatchObject({ pin: 4, level: 1, count: 1 })
      await machine.sleep(10)
      drive(4, 0)
      const [down] = await edges()
      expect(down).toMatchObject({ pin: 4, level: 0, count: 2 })
      expect((down?.time ?? 0) - (up?.time ?? 0)).toBeGreaterThanOrEqual(9000)
    }),
  )

  test('edges that nobody asked for are not told', () =>
    withPins(VIRTUAL, async ({ machine, setUp, drive, edges }) => {
      drive(4, 0)
      drive(5, 0)
      await setUp(4, { rising: true })
      await setUp(5, { falling: true })
      for (const level of [1, 0, 1, 0]) {
        drive(4, level)
        drive(5, level)
        await machine.sleep(2)
      }
      expect((await edges()).map(({ pin, count }) => [pin, count])).toEqual([
        [4, 1],
        [5, 1],
        [4, 2],
        [5, 2],
      ])
    }))

  test.each(MACHINES)('edges faster than the wire add up, on %s', (_name, options) =>
    withPins(options, async ({ machine, setUp, drive, edges, pins }) => {
      drive(4, 0)
      await setUp(4, BOTH)
      for (let index = 0; index < 999; index++) drive(4, (index + 1) & 1)
      let newest: Edge | undefined
      while (newest?.count !== 999) newest = (await edges()).at(-1)
      expect(newest).toMatchObject({ level: 1, count: 999 })
      await machine.sleep(1)
      expect(await pins()).toMatchObject({ edges: 999, lost: 0 })
    }),
  )

  test('records that nobody reads are dropped, oldest first, and the counts still add up', () =>
    withPins(VIRTUAL, async ({ machine, setUp, drive, edges, pins }) => {
      drive(4, 0)
      await setUp(4, BOTH)
      for (let index = 0; index < 300; index++) {
        drive(4, (index + 1) & 1)
        await machine.sleep(1)
      }
      expect(await pins()).toMatchObject({ edges: 300, lost: 300 - MOST_EDGES })
      const told = await edges()
      expect(told).toHaveLength(MOST_EDGES)
      expect([told[0]?.count, told.at(-1)?.count]).toEqual([300 - MOST_EDGES + 1, 300])
    }))

  test('records are shared by those who read', () =>
    withPins(VIRTUAL, async ({ machine, setUp, drive, edges }) => {
      drive(4, 0)
      await setUp(4, BOTH)
      const both = [edges(1), edges(1)]
      await machine.sleep(1)
      drive(4, 1)
      await machine.sleep(2)
      drive(4, 0)
      const told = (await Promise.all(both)).map(([edge]) => edge?.count)
      expect(told.toSorted((a = 0, b = 0) => a - b)).toEqual([1, 2])
    }))
})

describe('debouncing', () => {
  test('a pin that bounces is told once, when it has been still', () =>
    withPins(VIRTUAL, async ({ machine, setUp, drive, edges, pins }) => {
      drive(4, 0)
      await setUp(4, { ...BOTH, debounceUs: 20_000 })
      const told = edges()
      for (const level of [1, 0, 1, 0, 1]) {
        drive(4, level)
        await machine.sleep(3)
      }
      let isTold = false
      void told.then(() => (isTold = true))
      await machine.sleep(10)
      expect(isTold).toBe(false)
      await machine.sleep(15)
      expect(await told).toMatchObject([{ pin: 4, level: 1, count: 5 }])
      expect(await pins()).toMatchObject({ edges: 5, lost: 0 })
    }))

  test('each time that it is still is told, with counts that add up', () =>
    withPins(VIRTUAL, async ({ machine, setUp, drive, edges }) => {
      drive(4, 0)
      await setUp(4, { ...BOTH, debounceUs: 5000 })
      for (const level of [1, 0, 1]) drive(4, level)
      await machine.sleep(20)
      for (const level of [0, 1, 0]) drive(4, level)
      await machine.sleep(20)
      expect((await edges()).map(({ level, count }) => [level, count])).toEqual([
        [1, 3],
        [0, 6],
      ])
    }))

  test('one pin’s debouncing holds up no other', () =>
    withPins(VIRTUAL, async ({ machine, setUp, drive, edges }) => {
      drive(4, 0)
      drive(5, 0)
      await setUp(4, { ...BOTH, debounceUs: 50_000 })
      await setUp(5, BOTH)
      drive(4, 1)
      await machine.sleep(2)
      drive(5, 1)
      expect((await edges()).map(({ pin }) => pin)).toEqual([5])
      expect((await edges()).map(({ pin }) => pin)).toEqual([4])
    }))

  test('an unplug in the debounce time leaves no timer behind', () =>
    withPins(VIRTUAL, async ({ machine, setUp, drive, edges }) => {
      drive(4, 0)
      await setUp(4, { ...BOTH, debounceUs: 50_000 })
      const ended = statusOf(edges())
      drive(4, 1)
      await machine.sleep(5)
      await machine.board('uno-0').unplug()
      expect(await ended).toBe(STATUS_NOT_CONNECTED)
      await machine.sleep(100)
    }))

  test('a longer time than ten seconds is refused', () =>
    withPins(VIRTUAL, async ({ setUp }) => {
      expect(await statusOf(setUp(4, { debounceUs: 10_000_001 }))).toBe(STATUS_INVALID_PARAMETER)
    }))
})

describe('levels', () => {
  test.each(MACHINES)('an output pin is driven, and told, on %s', (_name, options) =>
    withPins(options, async ({ machine, file, setUp, pins }) => {
      await setUp(13, { output: true })
      await file.ioctl(IOCTL_GPIO_WRITE_PIN, words(13, 1))
      await until(machine, 'the level', () => machine.board('uno-0').uno.level('D13'))
      await file.ioctl(IOCTL_GPIO_WRITE_PIN, words(13, 0))
      await until(machine, 'the level', () => !machine.board('uno-0').uno.level('D13'))
      expect((await pins()).direction & (1 << 13)).not.toBe(0)
    }),
  )

  test('two programs do not take back each other’s pins', () =>
    withPins({ processors: 2, clock: 'virtual' }, async ({ machine, file, setUp }) => {
      const outputs = [4, 5, 6, 7, 8, 9, 10, 11, 12, 13]
      await Promise.all(outputs.map((pin) => setUp(pin, { output: true })))
      await Promise.all(outputs.map((pin) => file.ioctl(IOCTL_GPIO_WRITE_PIN, words(pin, 1))))
      await machine.sleep(5)
      expect(outputs.filter((pin) => !machine.board('uno-0').uno.level(`D${pin}`))).toEqual([])
    }))

  test('pins that the board does not have, and buffers that are too small, are refused', () =>
    withPins(VIRTUAL, async ({ file, setUp }) => {
      expect(await statusOf(setUp(20))).toBe(STATUS_INVALID_PARAMETER)
      expect(await statusOf(setUp(0))).toBe(STATUS_INVALID_PARAMETER) // the Uno's serial port
      expect(await statusOf(file.ioctl(IOCTL_GPIO_WRITE_PIN, words(31, 1)))).toBe(STATUS_INVALID_PARAMETER)
      expect(await statusOf(file.ioctl(IOCTL_GPIO_SET_UP_PIN, words(4)))).toBe(STATUS_BUFFER_TOO_SMALL)
      expect(await statusOf(file.read(EDGE_BYTES - 1))).toBe(STATUS_BUFFER_TOO_SMALL)
      expect(await statusOf(file.ioctl(IOCTL_GPIO_READ_PINS, words(), 12))).toBe(STATUS_BUFFER_TOO_SMALL)
    }))
})

describe('the end of reads', () => {
  test.each(MACHINES)('a cancel ends one, an unplug all, on %s', (_name, options) =>
    withPins(options, async ({ machine, file, setUp, drive, edges }) => {
      drive(4, 0)
      await setUp(4, BOTH)
      const control = new AbortController()
      const cancelled = statusOf(file.read(EDGE_BYTES, { signal: control.signal }))
      await machine.sleep(1)
      control.abort()
      expect(await cancelled).toBe(STATUS_CANCELLED)
      const first = edges()
      await machine.sleep(1)
      drive(4, 1)
      expect(await first).toHaveLength(1)
      const ended = [statusOf(edges()), statusOf(edges())]
      await machine.sleep(1)
      await machine.board('uno-0').unplug()
      expect(await Promise.all(ended)).toEqual([STATUS_NOT_CONNECTED, STATUS_NOT_CONNECTED])
    }),
  )

  test('a file that is closed ends its own reads only', () =>
    withPins(VIRTUAL, async ({ machine, file, setUp, drive, edges }) => {
      drive(4, 0)
      await setUp(4, BOTH)
      const other = await machine.open('Gpio-0')
      const ended = statusOf(other.read(EDGE_BYTES))
      await machine.sleep(1)
      const reading = edges()
      await machine.sleep(1)
      await other.close()
      expect(await ended).toBe(STATUS_CANCELLED)
      drive(4, 1)
      expect(await reading).toHaveLength(1)
      expect(await statusOf(file.read(0))).toBe(STATUS_BUFFER_TOO_SMALL)
    }))

  test('a driver that is loaded again does not count edges of before', async () => {
    await using machine = await boot({ ...VIRTUAL, boards: BOARDS })
    const press = async (): Promise<number[]> => {
      await using file = await machine.open('Gpio-0')
      const reading = file.read(EDGE_BYTES)
      await machine.sleep(1)
      machine.board('uno-0').press('button')
      const [edge] = edgesIn(await reading)
      const [, , edges] = wordsIn(await file.ioctl(IOCTL_GPIO_READ_PINS, words(), 16))
      return [edge?.count ?? 0, edges ?? 0]
    }
    const name = await machine.load(driver('gpio'))
    expect(await press()).toEqual([1, 1])
    machine.board('uno-0').release('button')
    await machine.unload(name)
    await machine.load(driver('gpio'))
    expect(await press()).toEqual([2, 1])
  })
})

describe('the button', () => {
  test.each(MACHINES)('a pin that is a line of its own is told like the others, on %s', (_name, options) =>
    withPins(options, async ({ machine, edges }) => {
      const board = machine.board('uno-0')
      const [first] = await Promise.all([edges(), machine.sleep(1).then(() => board.press('button'))])
      expect(first).toMatchObject([{ pin: 2, level: 0, count: 1 }])
      board.release('button')
      await machine.sleep(10)
      board.press('button')
      const second = await edges()
      expect(second).toMatchObject([{ pin: 2, level: 0, count: 2 }])
      const us = (second[0]?.time ?? 0) - (first[0]?.time ?? 0)
      expect(us).toBeGreaterThanOrEqual(9000)
      expect(us).toBeLessThan(2_000_000)
    }),
  )
})
