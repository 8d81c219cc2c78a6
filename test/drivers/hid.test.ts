import { describe, expect, test } from 'vitest'
import {
  IOCTL_HID_GET_FEATURE,
  IOCTL_HID_SET_FEATURE,
  IOCTL_HID_SET_OUTPUT_REPORT,
  IOCTL_HID_STATISTICS,
} from '../../drivers/hid/interface.ts'
import type { HidModel } from '../../firmware-sim/port-model.ts'
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
  VIRTUAL,
  words,
  wordsIn,
} from './machines.ts'

const EVENT_BYTES = 36

interface Pad {
  machine: Machine
  file: UserFile
  port: HidModel
  feed(...report: readonly number[]): void
  set(field: string, value: number): void
}

async function withPad(options: BootOptions, body: (pad: Pad) => Promise<void>): Promise<void> {
  await using machine = await boot({
    ...options,
    drivers: [driver('hid')],
    boards: [{ board: 'hid-gamepad', name: 'pad' }],
  })
  await using file = await machine.open('Hid-0')
  const board = machine.board('pad')
  await body({
    machine,
    file,
    port: board.port as HidModel,
    feed: (...report) => board.feed(Uint8Array.from(report)),
    set: (field, value) => board.set(field, value),
  })
}

/** What a field's file tells next: its count and its value. */
async function next(line: UserFile): Promise<number[]> {
  const [count, , value] = wordsIn(await line.read(EVENT_BYTES))
  return [count as number, value as number]
}
const statistics = async (file: UserFile): Promise<number[]> =>
  wordsIn(await file.ioctl(IOCTL_HID_STATISTICS, words(), 16))

describe('reports', () => {
  test.each(MACHINES)('each read gives an input report, id first, on %s', (_name, options) =>
    withPad(options, async ({ machine, file, feed }) => {
      const first = file.read(64)
      await machine.sleep(1)
      feed(1, 2, 3)
      feed(4)
      expect([...(await first)]).toEqual([0, 1, 2, 3])
      expect([...(await file.read(64))]).toEqual([0, 4])
    }),
  )

  test.each(MACHINES)('output and feature reports are sent, and feature reports got, on %s', (_name, options) =>
    withPad(options, async ({ file, port }) => {
      expect(await file.write(Uint8Array.of(0, 5, 6))).toBe(3)
      await file.ioctl(IOCTL_HID_SET_OUTPUT_REPORT, Uint8Array.of(7, 8))
      await file.ioctl(IOCTL_HID_SET_FEATURE, Uint8Array.of(3, 9, 10))
      expect(port.sent.map(({ kind, id, data }) => [kind, id, ...data])).toEqual([
        ['output', 0, 5, 6],
        ['output', 7, 8],
        ['feature', 3, 9, 10],
      ])
      expect([...(await file.ioctl(IOCTL_HID_GET_FEATURE, Uint8Array.of(3), 64))]).toEqual([3, 9, 10])
      expect([...(await file.ioctl(IOCTL_HID_GET_FEATURE, Uint8Array.of(3), 2))]).toEqual([3, 9])
    }),
  )

  test('a feature report that the device does not have is an error, and the next request works', () =>
    withPad(VIRTUAL, async ({ file }) => {
      expect(await statusOf(file.ioctl(IOCTL_HID_GET_FEATURE, Uint8Array.of(9), 64))).toBe(0xc0000185 | 0)
      expect(await file.write(Uint8Array.of(0, 1))).toBe(2)
    }))

  test('many requests at once are carried out one after the other', () =>
    withPad(VIRTUAL, async ({ file, port }) => {
      const writes = Array.from({ length: 100 }, (_, index) => file.write(Uint8Array.of(0, index)))
      await Promise.all(writes)
      expect(port.sent.map(({ data }) => data[0]).sort((a = 0, b = 0) => a - b)).toEqual(
        Array.from({ length: 100 }, (_, index) => index),
      )
      expect((await statistics(file))[3]).toBe(100)
    }))

  test('reports without an id, and longer than any, are refused', () =>
    withPad(VIRTUAL, async ({ file, feed, machine }) => {
      expect(await statusOf(file.write(new Uint8Array(0)))).toBe(STATUS_BUFFER_TOO_SMALL)
      expect(await statusOf(file.write(new Uint8Array(1026)))).toBe(STATUS_INVALID_PARAMETER)
      expect(await statusOf(file.ioctl(IOCTL_HID_GET_FEATURE, Uint8Array.of(1), 0))).toBe(STATUS_BUFFER_TOO_SMALL)
      expect(await file.write(new Uint8Array(1025))).toBe(1025)
      feed(1, 2, 3, 4)
      await machine.sleep(1)
      expect(await statusOf(file.read(4))).toBe(STATUS_BUFFER_TOO_SMALL)
      expect([...(await file.read(5))]).toEqual([0, 1, 2, 3, 4])
    }))

  test('reports that nobody reads are dropped, oldest first, and counted', () =>
    withPad(VIRTUAL, async ({ machine, file, feed }) => {
      for (let index = 0; index < 3000; index++) {
        feed(index & 0xff, index >> 8, 0, 0, 0, 0, 0, 0)
        if (index % 50 === 0) await machine.sleep(1)
      }
      await machine.sleep(10)
      const [reports, lostBefore, lost = 0] = await statistics(file)
      expect({ reports, lostBefore }).toEqual({ reports: 3000, lostBefore: 0 })
      expect(lost).toBeGreaterThan(1000)
      expect([...(await file.read(64))].slice(0, 3)).toEqual([0, lost & 0xff, lost >> 8])
    }))
})

describe('fields as lines', () => {
  test.each(MACHINES)('a field that changes is an interrupt with its value, on %s', (_name, options) =>
    withPad(options, async ({ machine, set }) => {
      await using button = await machine.open('Hid-0\\button-a')
      await using stick = await machine.open('Hid-0\\X')
      const told = [next(button), next(stick)]
      await machine.sleep(1)
      machine.board('pad').press('button-a')
      set('x', 200)
      expect(await Promise.all(told)).toEqual([
        [1, 1],
        [1, 200],
      ])
      machine.board('pad').release('button-a')
      expect(await next(button)).toEqual([2, 0])
    }),
  )

  test('changes that come faster than anybody reads add up', () =>
    withPad(VIRTUAL, async ({ machine, set }) => {
      await using line = await machine.open('Hid-0\\start')
      for (let index = 0; index < 101; index++) set('start', (index + 1) & 1)
      await machine.sleep(20)
      expect(await next(line)).toEqual([101, 1])
    }))

  test('a field that the board file does not have is not found, and a field takes no reports', () =>
    withPad(VIRTUAL, async ({ machine }) => {
      expect(await statusOf(machine.open('Hid-0\\wheel'))).toBe(0xc0000034 | 0)
      await using line = await machine.open('Hid-0\\start')
      expect(await statusOf(line.write(Uint8Array.of(0, 1)))).toBe(0xc0000010 | 0)
    }))
})

describe('the end of requests', () => {
  test.each(MACHINES)('a cancel in mid-command and an unplug end what waits on %s', (_name, options) =>
    withPad(options, async ({ machine, file, port }) => {
      const control = new AbortController()
      const signal = control.signal
      const line = await machine.open('Hid-0\\start')
      const cancelled = [
        statusOf(file.read(10, { signal })),
        statusOf(line.read(EVENT_BYTES, { signal })),
        statusOf(file.ioctl(IOCTL_HID_GET_FEATURE, Uint8Array.of(3), 64, { signal })),
      ]
      control.abort()
      const after = file.write(Uint8Array.of(0, 77))
      // What was under way may have been quicker; then there is no such report.
      const [read, watch, command] = await Promise.all(cancelled)
      expect([read, watch]).toEqual([STATUS_CANCELLED, STATUS_CANCELLED])
      expect([STATUS_CANCELLED, 0xc0000185 | 0]).toContain(command)
      expect(await after).toBe(2)
      expect(port.sent.map(({ data }) => data[0])).toEqual([77])
      const ended = [statusOf(file.read(10)), statusOf(line.read(EVENT_BYTES))]
      await machine.sleep(1)
      await machine.board('pad').unplug()
      expect(await Promise.all(ended)).toEqual([STATUS_NOT_CONNECTED, STATUS_NOT_CONNECTED])
      expect(await statusOf(file.write(Uint8Array.of(0, 1)))).toBe(STATUS_NOT_CONNECTED)
      await line.close()
    }),
  )
})
