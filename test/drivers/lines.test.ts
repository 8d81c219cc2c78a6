import { describe, expect, test } from 'vitest'
import { IOCTL_LINES_STATISTICS } from '../../drivers/lines/interface.ts'
import type { SerialModel } from '../../firmware-sim/port-model.ts'
import { boot, type BootOptions, type Machine } from '../../machine/index.ts'
import type { UserFile } from '../../machine/user.ts'
import {
  driver,
  MACHINES,
  STATUS_BUFFER_TOO_SMALL,
  STATUS_CANCELLED,
  STATUS_NOT_CONNECTED,
  statusOf,
  text,
  until,
  VIRTUAL,
  words,
  wordsIn,
} from './machines.ts'

const BOARDS = [{ board: 'serial-text', name: 'sketch' }]
const EVENT_BYTES = 36

interface Sketch {
  machine: Machine
  file: UserFile
  port: SerialModel
  /** The sketch prints. */
  print(output: string): void
}

async function withSketch(options: BootOptions, body: (sketch: Sketch) => Promise<void>): Promise<void> {
  await using machine = await boot({ ...options, drivers: [driver('lines')], boards: BOARDS })
  await using file = await machine.open('Lines-0')
  const board = machine.board('sketch')
  await body({ machine, file, port: board.port as SerialModel, print: (output) => board.feed(output) })
}

/** What a line's file tells next: its count, and the first value as a signed number. */
async function next(line: UserFile, signal?: AbortSignal): Promise<[count: number, value: number]> {
  const [count, , value] = wordsIn(await line.read(EVENT_BYTES, signal === undefined ? {} : { signal }))
  return [count as number, (value as number) | 0]
}

describe('text', () => {
  test.each(MACHINES)('each read gives a line, on %s', (_name, options) =>
    withSketch(options, async ({ machine, file, print }) => {
      const first = file.read(100)
      await machine.sleep(1)
      print('hel')
      print('lo\r\n\r\nworld\nrest')
      expect(text(await first)).toBe('hello')
      expect(text(await file.read(100))).toBe('world')
      print(' of it\n')
      expect(text(await file.read(100))).toBe('rest of it')
    }),
  )

  test.each(MACHINES)('what is written is sent, however long, on %s', (_name, options) =>
    withSketch(options, async ({ machine, file, port }) => {
      const data = Buffer.from(Array.from({ length: 1000 }, (_, index) => index & 0xff))
      expect(await file.write(data)).toBe(1000)
      await until(machine, 'the last byte', () => port.sent.length === 1000)
      expect(Buffer.from(port.sent).equals(data)).toBe(true)
    }),
  )

  test('a line that does not fit stays for a larger read', () =>
    withSketch(VIRTUAL, async ({ machine, file, print }) => {
      print('quite a long one\n')
      await machine.sleep(1)
      expect(await statusOf(file.read(5))).toBe(STATUS_BUFFER_TOO_SMALL)
      expect(text(await file.read(16))).toBe('quite a long one')
    }))

  test('lines that nobody reads are dropped, oldest first, and the sketch is not held up', () =>
    withSketch(VIRTUAL, async ({ machine, file, print }) => {
      await using button = await machine.open('Lines-0\\button')
      const pressed = next(button)
      for (let index = 0; index < 3000; index++) {
        print(`line ${index}\n`)
        if (index % 100 === 0) await machine.sleep(1)
      }
      print('BTN 1\n')
      expect(await pressed).toEqual([1, 1])
      await machine.sleep(10)
      const [lines, cut, lost] = wordsIn(await file.ioctl(IOCTL_LINES_STATISTICS, words(), 16))
      expect({ lines, cut }).toEqual({ lines: 3001, cut: 0 })
      expect(lost).toBeGreaterThan(1000)
      expect(text(await file.read(100))).toBe(`line ${lost}`)
    }))

  test('a line that is too long is cut, and counted', () =>
    withSketch(VIRTUAL, async ({ file, print }) => {
      print(`${'x'.repeat(300)}\n`)
      expect(await file.read(400)).toHaveLength(256)
      expect(wordsIn(await file.ioctl(IOCTL_LINES_STATISTICS, words(), 16))).toEqual([1, 1, 0, 0])
    }))
})

describe('mapped lines', () => {
  test.each(MACHINES)('a text line that matches is an interrupt with its values, on %s', (_name, options) =>
    withSketch(options, async ({ machine, file, print }) => {
      await using button = await machine.open('Lines-0\\button')
      await using temperature = await machine.open('Lines-0\\Temperature')
      const told = [next(button), next(temperature)]
      await machine.sleep(1)
      print('BTN 1\nT=-23.5\n')
      expect(await Promise.all(told)).toEqual([
        [1, 1],
        [1, -23_500],
      ])
      expect(text(await file.read(100))).toBe('BTN 1')
      expect(text(await file.read(100))).toBe('T=-23.5')
      print('BTN 0\n')
      expect(await next(button)).toEqual([2, 0])
    }),
  )

  test('every file of a line is told, and each of what came since it was opened', () =>
    withSketch(VIRTUAL, async ({ machine, print }) => {
      await using first = await machine.open('Lines-0\\button')
      print('BTN 1\nBTN 0\nBTN 1\n')
      await machine.sleep(2)
      await using second = await machine.open('Lines-0\\button')
      expect(await next(first)).toEqual([3, 1]) // as many as there were, with the newest value
      const told = [next(first), next(second)]
      await machine.sleep(1)
      print('BTN 0\n')
      expect(await Promise.all(told)).toEqual([
        [4, 0],
        [4, 0],
      ])
    }))

  test('matches that come faster than anybody reads add up', () =>
    withSketch(VIRTUAL, async ({ machine, print }) => {
      await using line = await machine.open('Lines-0\\button')
      for (let index = 0; index < 500; index++) print(`BTN ${index & 1}\n`)
      await machine.sleep(20)
      expect(await next(line)).toEqual([500, 1])
      const [, , report] = machine.board('sketch').lines()
      expect(report).toMatchObject({ line: 'button', edges: 500, unclaimed: 0 })
    }))

  test('a line that the board file does not have is not found', () =>
    withSketch(VIRTUAL, async ({ machine }) => {
      expect(await statusOf(machine.open('Lines-0\\knob'))).toBe(0xc0000034 | 0)
    }))

  test('a line’s file takes no bytes', () =>
    withSketch(VIRTUAL, async ({ machine }) => {
      await using line = await machine.open('Lines-0\\button')
      expect(await statusOf(line.write('x'))).toBe(0xc0000010 | 0)
      expect(await statusOf(line.read(4))).toBe(STATUS_BUFFER_TOO_SMALL)
    }))
})

describe('the end of requests', () => {
  test.each(MACHINES)('a cancel and an unplug end what waits on %s', (_name, options) =>
    withSketch(options, async ({ machine, file, print }) => {
      const line = await machine.open('Lines-0\\button')
      const control = new AbortController()
      const cancelled = [
        statusOf(file.read(10, { signal: control.signal })),
        statusOf(next(line, control.signal)),
        statusOf(file.write(new Uint8Array(50_000), { signal: control.signal })),
      ]
      await machine.sleep(1)
      const reading = file.read(10)
      control.abort()
      expect(await Promise.all(cancelled)).toEqual(Array<number>(3).fill(STATUS_CANCELLED))
      print('on\n')
      expect(text(await reading)).toBe('on')
      const ended = [statusOf(file.read(10)), statusOf(next(line)), statusOf(file.write(new Uint8Array(50_000)))]
      await machine.sleep(1)
      await machine.board('sketch').unplug()
      expect(await Promise.all(ended)).toEqual(Array<number>(3).fill(STATUS_NOT_CONNECTED))
      await line.close()
    }),
  )

  test('a file that is closed ends its own reads only', () =>
    withSketch(VIRTUAL, async ({ machine, print, file }) => {
      const other = await machine.open('Lines-0')
      const ended = statusOf(other.read(10))
      await machine.sleep(1)
      const reading = file.read(10)
      await machine.sleep(1)
      await other.close()
      expect(await ended).toBe(STATUS_CANCELLED)
      print('mine\n')
      expect(text(await reading)).toBe('mine')
    }))
})
