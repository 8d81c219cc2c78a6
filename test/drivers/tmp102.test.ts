import { describe, expect, test } from 'vitest'
import { IOCTL_TMP102_SET_THRESHOLDS, IOCTL_TMP102_STATISTICS } from '../../drivers/tmp102/interface.ts'
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
  text,
  VIRTUAL,
  words,
  wordsIn,
} from './machines.ts'

const SENSOR = 0x48
const BOARDS = [{ board: 'arduino-uno', name: 'uno-0' }]
/** The sensor converts eight times a second. */
const CONVERSION_MS = 300

interface Sensor {
  machine: Machine
  sensor: UserFile
  set(celsius: number): Promise<void>
}

async function withSensor(options: BootOptions, body: (sensor: Sensor) => Promise<void>): Promise<void> {
  await using machine = await boot({ ...options, drivers: [driver('tmp102')], boards: BOARDS })
  await using sensor = await machine.open('Tmp102-0')
  const set = async (celsius: number): Promise<void> => {
    machine.board('uno-0').set('tmp102.temperature', celsius)
    await machine.sleep(CONVERSION_MS)
  }
  await body({ machine, sensor, set })
}

interface Statistics {
  alerts: number
  retries: number
  /** Degrees at the last ALERT. */
  alertTemperature: number
}

async function statistics(sensor: UserFile): Promise<Statistics> {
  const [, , , alerts = 0, retries = 0, , temperature = 0] = wordsIn(
    await sensor.ioctl(IOCTL_TMP102_STATISTICS, words(), 28),
  )
  return { alerts, retries, alertTemperature: (temperature | 0) / 16 }
}

const thresholds = (sensor: UserFile, low: number, high: number): Promise<Uint8Array> =>
  sensor.ioctl(IOCTL_TMP102_SET_THRESHOLDS, words(low * 16, high * 16))

describe('the temperature', () => {
  test.each(MACHINES)('a read tells it in degrees, on %s', (_name, options) =>
    withSensor(options, async ({ sensor, set }) => {
      expect(text(await sensor.read(16))).toBe('25')
      await set(23.5625)
      expect(text(await sensor.read(16))).toBe('23.5625')
      await set(-10.25)
      expect(text(await sensor.read(16))).toBe('-10.25')
    }),
  )

  test('a NACK is tried again', () =>
    withSensor(VIRTUAL, async ({ machine, sensor }) => {
      machine.board('uno-0').fault.bus().nack(SENSOR, 2)
      expect(text(await sensor.read(16))).toBe('25')
      expect(await statistics(sensor)).toMatchObject({ retries: 2 })
    }))

  test('a buffer that is too small is an error', () =>
    withSensor(VIRTUAL, async ({ sensor }) => {
      expect(await statusOf(sensor.read(1))).toBe(STATUS_BUFFER_TOO_SMALL)
      expect(await statusOf(sensor.ioctl(IOCTL_TMP102_SET_THRESHOLDS, words(1)))).toBe(STATUS_BUFFER_TOO_SMALL)
      expect(await statusOf(sensor.ioctl(IOCTL_TMP102_STATISTICS, words(), 24))).toBe(STATUS_BUFFER_TOO_SMALL)
    }))

  test('a read that is cancelled ends, and the next one is right', () =>
    withSensor(VIRTUAL, async ({ machine, sensor }) => {
      await using event = await machine.openEvent('uno-0-i2c0')
      await event.wait() // somebody has the bus
      const control = new AbortController()
      const reads = [sensor.read(16, { signal: control.signal }), sensor.read(16, { signal: control.signal })]
      const ended = reads.map(statusOf)
      await machine.sleep(5)
      control.abort()
      expect(await Promise.all(ended)).toEqual([STATUS_CANCELLED, STATUS_CANCELLED])
      await event.set()
      expect(text(await sensor.read(16))).toBe('25')
    }))
})

describe('ALERT', () => {
  test.each(MACHINES)('comes at each threshold once, and is taken back by its ISR, on %s', (_name, options) =>
    withSensor(options, async ({ machine, sensor, set }) => {
      await thresholds(sensor, 20, 30)
      await set(29)
      expect(await statistics(sensor)).toMatchObject({ alerts: 0 })
      await set(31)
      expect(await statistics(sensor)).toMatchObject({ alerts: 1, alertTemperature: 31 })
      await set(32)
      await set(25)
      expect(await statistics(sensor)).toMatchObject({ alerts: 1 })
      await set(19.5)
      expect(await statistics(sensor)).toMatchObject({ alerts: 2, alertTemperature: 19.5 })
      await set(40)
      expect(await statistics(sensor)).toMatchObject({ alerts: 3, alertTemperature: 40 })
      expect(text(await sensor.read(16))).toBe('40')
      expect(machine.board('uno-0').uno.mixed()).toBe(0)
    }),
  )

  test('thresholds below zero', () =>
    withSensor(VIRTUAL, async ({ sensor, set }) => {
      await thresholds(sensor, -20, -10)
      await set(-5)
      expect(await statistics(sensor)).toMatchObject({ alerts: 1, alertTemperature: -5 })
      await set(-30)
      expect(await statistics(sensor)).toMatchObject({ alerts: 2, alertTemperature: -30 })
    }))

  test('thresholds that no register holds, or that are the wrong way round, are refused', () =>
    withSensor(VIRTUAL, async ({ sensor }) => {
      expect(await statusOf(thresholds(sensor, -128.0625, 0))).toBe(STATUS_INVALID_PARAMETER)
      expect(await statusOf(thresholds(sensor, 0, 128))).toBe(STATUS_INVALID_PARAMETER)
      expect(await statusOf(thresholds(sensor, 30, 20))).toBe(STATUS_INVALID_PARAMETER)
      expect(await statusOf(thresholds(sensor, -128, 127.9375))).toBeNull()
    }))

  test('an ALERT whose transfer fails is served by the next look at the line', () =>
    withSensor(VIRTUAL, async ({ machine, sensor, set }) => {
      await thresholds(sensor, 20, 30)
      machine.board('uno-0').fault.bus().nack(SENSOR, 4) // three tries, and one more
      await set(35)
      expect((await statistics(sensor)).alerts).toBe(1)
    }))

  test('an unplug while ALERT is being served leaves nobody behind', () =>
    withSensor(VIRTUAL, async ({ machine, sensor }) => {
      await thresholds(sensor, 20, 30)
      await using event = await machine.openEvent('uno-0-i2c0')
      await event.wait() // its ISR waits for the bus
      machine.board('uno-0').set('tmp102.temperature', 50)
      await machine.sleep(CONVERSION_MS)
      await machine.board('uno-0').unplug()
      expect(await statusOf(sensor.read(16))).toBe(STATUS_NOT_CONNECTED)
    }))
})
