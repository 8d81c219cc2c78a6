/** The EEPROM and the bus that it shares with the sensor (drivers/lib/i2c.ts): what goes well, and what goes wrong. */
import { describe, expect, test } from 'vitest'
import { IOCTL_AT24_STATISTICS } from '../../drivers/at24/interface.ts'
import { IOCTL_TMP102_STATISTICS, STATISTICS as TMP102_STATISTICS } from '../../drivers/tmp102/interface.ts'
import { boot, type BootOptions, type Machine } from '../../machine/index.ts'
import type { UserFile } from '../../machine/user.ts'
import {
  driver,
  MACHINES,
  STATUS_CANCELLED,
  STATUS_INVALID_PARAMETER,
  STATUS_NOT_CONNECTED,
  statusOf,
  text,
  until,
  VIRTUAL,
  words,
  wordsIn,
} from './machines.ts'

const AT24 = 0x50
const SENSOR = 0x48
const STATUS_NO_SUCH_DEVICE = 0xc000000e | 0
const STATUS_END_OF_FILE = 0xc0000011 | 0
const BOARDS = [{ board: 'arduino-uno', name: 'uno-0' }]
/** The bus's event, as the board file names it. */
const BUS_EVENT = 'uno-0-i2c0'

interface Bus {
  machine: Machine
  eeprom: UserFile
  sensor: UserFile
}

async function withBus(options: BootOptions, body: (bus: Bus) => Promise<void>): Promise<void> {
  await using machine = await boot({ ...options, drivers: [driver('at24'), driver('tmp102')], boards: BOARDS })
  await using eeprom = await machine.open('At24-0')
  await using sensor = await machine.open('Tmp102-0')
  await body({ machine, eeprom, sensor })
}

const NAMES = ['transactions', 'handovers', 'interrupts', 'pages', 'retries', 'recoveries'] as const
type Statistics = Record<(typeof NAMES)[number], number>
async function statistics(eeprom: UserFile): Promise<Statistics> {
  const told = wordsIn(await eeprom.ioctl(IOCTL_AT24_STATISTICS, words(), 24))
  return Object.fromEntries(NAMES.map((name, index) => [name, told[index]])) as Statistics
}

const pattern = (length: number, seed = 5): Uint8Array =>
  Uint8Array.from({ length }, (_, index) => (index * 37 + seed) & 0xff)
const log = (machine: Machine) => machine.board('uno-0').uno.busLog()
const faults = (machine: Machine) => machine.board('uno-0').fault.bus()

describe('pages', () => {
  test.each(MACHINES)('what is written across page borders is read back, on %s', (_name, options) =>
    withBus(options, async ({ machine, eeprom }) => {
      const data = pattern(150)
      expect(await eeprom.write(data, { offset: 60 })).toBe(150)
      expect([...(await eeprom.read(150, { offset: 60 }))]).toEqual([...data])
      // 4 bytes to the border, two whole pages, and the rest.
      expect(await statistics(eeprom)).toMatchObject({ pages: 4, recoveries: 0 })
      const pages = log(machine).filter(({ address, isRead, bytes }) => address === AT24 && !isRead && bytes.length > 2)
      expect(pages.map(({ bytes }) => bytes.length - 2)).toEqual([4, 64, 64, 18])
      expect(pages.map(({ bytes: [high = 0, low = 0] }) => high * 256 + low)).toEqual([60, 64, 128, 192])
    }),
  )

  test('a write cycle is waited for with the bus kept', () =>
    withBus(VIRTUAL, async ({ machine, eeprom, sensor }) => {
      await Promise.all([eeprom.write(pattern(128), { offset: 0 }), sensor.read(16), sensor.read(16)])
      const { uno } = machine.board('uno-0')
      expect(uno.mixed()).toBe(0)
      const polls = log(machine).filter(({ address, ack, bytes }) => address === AT24 && !ack && bytes.length === 0)
      expect(polls.length).toBeGreaterThanOrEqual(4) // it answers nothing for up to 5 ms, twice
      // A poll that is not answered is no failure: nothing was tried again.
      expect(await statistics(eeprom)).toMatchObject({ pages: 2, retries: 0 })
    }))

  test('offsets beyond the chip', () =>
    withBus(VIRTUAL, async ({ eeprom }) => {
      await eeprom.write(pattern(4), { offset: 0x7ffc })
      expect(await eeprom.read(100, { offset: 0x7ffc })).toEqual(pattern(4))
      expect(await statusOf(eeprom.read(1, { offset: 0x8000 }))).toBe(STATUS_END_OF_FILE)
      expect(await statusOf(eeprom.write(pattern(5), { offset: 0x7ffc }))).toBe(STATUS_INVALID_PARAMETER)
    }))

  test.each(MACHINES)('strangers on one bus do not cut into each other on %s', (_name, options) =>
    withBus(options, async ({ machine, eeprom, sensor }) => {
      const work = Array.from({ length: 6 }, async (_, index) => {
        const data = pattern(70, index)
        await eeprom.write(data, { offset: index * 100 })
        expect(await eeprom.read(70, { offset: index * 100 })).toEqual(data)
        expect(text(await sensor.read(16))).toBe('25')
      })
      machine.board('uno-0').set('tmp102.temperature', 25)
      await Promise.all(work)
      expect(machine.board('uno-0').uno.mixed()).toBe(0)
      expect((await statistics(eeprom)).handovers).toBeGreaterThan(0)
    }),
  )
})

describe('what goes wrong on the bus', () => {
  test.each([1, 2, 9])('a sequence whose address was not answered %d times is tried again as often', (count) =>
    withBus(VIRTUAL, async ({ machine, eeprom }) => {
      faults(machine).nack(AT24, count)
      expect(await eeprom.read(2, { offset: 0 })).toHaveLength(2)
      expect(await statistics(eeprom)).toMatchObject({ transactions: count + 2, retries: count, recoveries: 0 })
    }),
  )

  test('a chip that does not answer ten times is no such device, and the bus is free', () =>
    withBus(VIRTUAL, async ({ machine, eeprom, sensor }) => {
      faults(machine).nack(AT24, 10)
      expect(await statusOf(eeprom.read(2, { offset: 0 }))).toBe(STATUS_NO_SUCH_DEVICE)
      expect(await statistics(eeprom)).toMatchObject({ transactions: 10, retries: 9 })
      expect(text(await sensor.read(16))).toBe('25')
      expect(await eeprom.read(2, { offset: 0 })).toHaveLength(2)
    }))

  test('a chip that a cancelled write left in its write cycle is waited for', () =>
    withBus(VIRTUAL, async ({ machine, eeprom }) => {
      const control = new AbortController()
      const writing = statusOf(eeprom.write(pattern(64), { offset: 0, signal: control.signal }))
      const polls = () => log(machine).filter(({ address, ack }) => address === AT24 && !ack)
      await until(machine, 'the write cycle', () => polls().length > 0)
      control.abort()
      expect(await writing).toBe(STATUS_CANCELLED)
      expect(await eeprom.read(64, { offset: 0 })).toEqual(pattern(64))
      const { retries } = await statistics(eeprom)
      expect(retries).toBeGreaterThan(0)
      expect(retries).toBeLessThanOrEqual(5) // milliseconds
    }))

  test('a NACK of a data byte is an error, and the next request works', () =>
    withBus(VIRTUAL, async ({ machine, eeprom }) => {
      faults(machine).nack(AT24, 1, 3)
      expect(await statusOf(eeprom.write(pattern(8), { offset: 0 }))).toBe(0xc0000185 | 0)
      expect(await eeprom.write(pattern(8), { offset: 0 })).toBe(8)
      expect(await eeprom.read(8, { offset: 0 })).toEqual(pattern(8))
    }))

  test('a stuck bus is recovered, and the request goes on', () =>
    withBus(VIRTUAL, async ({ machine, eeprom }) => {
      faults(machine).holdSda(5)
      expect(await eeprom.write(pattern(8), { offset: 0 })).toBe(8)
      expect(await eeprom.read(8, { offset: 0 })).toEqual(pattern(8))
      expect(await statistics(eeprom)).toMatchObject({ recoveries: 1, retries: 1 })
    }))

  test('a transaction that ends behind its time is not taken for the one after it', () =>
    withBus(VIRTUAL, async ({ machine, eeprom, sensor }) => {
      await eeprom.write(pattern(64), { offset: 0 })
      faults(machine).stretch(24_000, 60) // each byte in its time, and all of them in more than a second
      expect(await eeprom.read(64, { offset: 0 })).toEqual(pattern(64))
      expect(text(await sensor.read(16))).toBe('25')
      const { recoveries, interrupts } = await statistics(eeprom)
      expect(recoveries).toBe(1)
      const ofSensor = wordsIn(await sensor.ioctl(IOCTL_TMP102_STATISTICS, words(), TMP102_STATISTICS.size))
      const done = machine
        .board('uno-0')
        .lines()
        .find(({ line }) => line === 'done')
      expect(done?.edges).toBe(interrupts + (ofSensor[2] as number))
    }))

  test('a bus that stays stuck is a time-out, and works again when it is free', () =>
    withBus(VIRTUAL, async ({ machine, eeprom, sensor }) => {
      faults(machine).holdSda(Number.POSITIVE_INFINITY)
      expect(await statusOf(eeprom.read(8, { offset: 0 }))).toBe(0xc00000b5 | 0)
      expect(await statusOf(sensor.read(16))).toBe(0xc00000b5 | 0)
      faults(machine).holdSda(0)
      expect(await eeprom.read(8, { offset: 0 })).toHaveLength(8)
      expect(text(await sensor.read(16))).toBe('25')
    }))
})

describe('the end of requests', () => {
  test.each(MACHINES)('a cancel in mid-transfer ends the request and frees the bus, on %s', (_name, options) =>
    withBus(options, async ({ machine, eeprom, sensor }) => {
      const control = new AbortController()
      const writing = statusOf(eeprom.write(pattern(2000), { offset: 0, signal: control.signal }))
      const queued = statusOf(eeprom.read(64, { offset: 0, signal: control.signal }))
      await until(machine, 'the first pages', () => log(machine).length > 4)
      control.abort()
      expect(await Promise.all([writing, queued])).toEqual([STATUS_CANCELLED, STATUS_CANCELLED])
      expect((await statistics(eeprom)).pages).toBeLessThan(32)
      expect(text(await sensor.read(16))).toBe('25')
      expect(await eeprom.write(pattern(3), { offset: 4000 })).toBe(3)
      expect(await eeprom.read(3, { offset: 4000 })).toEqual(pattern(3))
    }),
  )

  test.each(MACHINES)(
    'an unplug in mid-transfer ends all that waits, and the board comes back, on %s',
    (_name, options) =>
      withBus(options, async ({ machine, eeprom, sensor }) => {
        const ended = [eeprom.write(pattern(2000), { offset: 0 }), eeprom.read(2000, { offset: 0 })].map(statusOf)
        await until(machine, 'the first pages', () => log(machine).length > 4)
        await machine.board('uno-0').unplug()
        expect(await Promise.all(ended)).toEqual([STATUS_NOT_CONNECTED, STATUS_NOT_CONNECTED])
        expect(await statusOf(sensor.read(16))).toBe(STATUS_NOT_CONNECTED)
        await eeprom.close()
        await sensor.close()
        await machine.board('uno-0').plug()
        await using again = await machine.open('At24-1')
        expect(await again.write(pattern(3), { offset: 0 })).toBe(3)
        expect(await again.read(3, { offset: 0 })).toEqual(pattern(3))
      }),
  )

  test.each(MACHINES)('a reset of the board in mid-transfer is an unplug and a plug, on %s', (_name, options) =>
    withBus(options, async ({ machine, eeprom, sensor }) => {
      const writing = statusOf(eeprom.write(pattern(2000), { offset: 0 }))
      await until(machine, 'the first pages', () => log(machine).length > 4)
      await machine.board('uno-0').reset()
      expect(await writing).toBe(STATUS_NOT_CONNECTED)
      await eeprom.close()
      await sensor.close()
      await using again = await machine.open('At24-1')
      await using thermometer = await machine.open('Tmp102-1')
      expect(await again.read(3, { offset: 0 })).toHaveLength(3)
      expect(text(await thermometer.read(16))).toBe('25')
    }),
  )
})

describe('a holder of the bus that dies', () => {
  test.each(MACHINES)(
    'its event is never set: the others time out, recover the bus, and go on, on %s',
    (_name, options) =>
      withBus(options, async ({ machine, eeprom, sensor }) => {
        await using event = await machine.openEvent(BUS_EVENT)
        expect(await event.wait({ timeoutMs: 1000 })).toBe(true) // this program holds the bus, and never gives it back
        faults(machine).holdSda(9) // in mid-transfer: a chip waits for clocks
        const before = await statistics(eeprom)
        expect(await eeprom.write(pattern(10), { offset: 0 })).toBe(10)
        expect(await statistics(eeprom)).toMatchObject({
          recoveries: before.recoveries + 1,
          retries: 0,
          handovers: before.handovers,
        })
        // The bus is given back behind that, so nobody waits any more.
        expect(text(await sensor.read(16))).toBe('25')
        expect(await eeprom.read(10, { offset: 0 })).toEqual(pattern(10))
        expect((await statistics(eeprom)).recoveries).toBe(before.recoveries + 1)
      }),
  )

  test('both wait for it: one recovers the bus, the other has its turn behind it', () =>
    withBus(VIRTUAL, async ({ machine, eeprom, sensor }) => {
      await using event = await machine.openEvent(BUS_EVENT)
      await event.wait()
      const [written, temperature] = await Promise.all([eeprom.write(pattern(70), { offset: 0 }), sensor.read(16)])
      expect(written).toBe(70)
      expect(text(temperature)).toBe('25')
      expect(machine.board('uno-0').uno.mixed()).toBe(0)
    }))

  test('one that waits for a dead holder can be cancelled', () =>
    withBus(VIRTUAL, async ({ machine, eeprom }) => {
      await using event = await machine.openEvent(BUS_EVENT)
      await event.wait()
      const control = new AbortController()
      const reading = statusOf(eeprom.read(10, { offset: 0, signal: control.signal }))
      await machine.sleep(100)
      control.abort()
      expect(await reading).toBe(STATUS_CANCELLED)
      await event.set()
      expect(await eeprom.read(10, { offset: 0 })).toHaveLength(10)
    }))
})

test('addresses of the chips are those of the board file', () =>
  withBus(VIRTUAL, async ({ machine, eeprom, sensor }) => {
    await eeprom.read(1, { offset: 0 })
    await sensor.read(16)
    expect(new Set(log(machine).map(({ address }) => address))).toEqual(new Set([AT24, SENSOR]))
  }))
