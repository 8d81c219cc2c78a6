/** Events that a driver and programs share, in the two ways that Windows' page tells (wdm-facts §2). */
import { describe, expect, test } from 'vitest'
import { boot, type BootOptions, type Machine } from '../../machine/index.ts'
import {
  STATUS_ACCESS_DENIED,
  STATUS_INVALID_HANDLE,
  STATUS_OBJECT_NAME_NOT_FOUND,
  STATUS_OBJECT_TYPE_MISMATCH,
} from '../../kernel/rtl/status.ts'
import { MACHINES, statusOf, words, wordsIn } from '../drivers/machines.ts'
import { IOCTL_AT_ENTRY, IOCTL_MAKE, IOCTL_SET, IOCTL_WAIT } from './drivers/events.ts'

const DRIVER = new URL('./drivers/events.ts', import.meta.url)
const FIRST = words(0)

/** Boots with the driver; at the end it is unloaded, and nothing of it may be left. */
async function withDriver(options: BootOptions, body: (machine: Machine) => Promise<void>): Promise<void> {
  await using machine = await boot({ drivers: [DRIVER], ...options })
  await body(machine)
  await machine.clear()
}

describe('a handle in an IOCTL', () => {
  test.each(MACHINES)(
    'ObReferenceObjectByHandle gives the driver an event that a program made, on %s',
    (_name, options) =>
      withDriver(options, async (machine) => {
        await using file = await machine.open('Events')
        await using event = await machine.createEvent({ kind: 'synchronization' })
        const waiting = event.wait()
        await file.ioctl(IOCTL_SET, words(event.handle))
        expect(await waiting).toBe(true)
        // One thread was released, and the event reset itself.
        expect(await event.wait({ timeoutMs: 0 })).toBe(false)
      }),
  )

  test('ObReferenceObjectByHandle refuses the driver what is no event of the program’s', () =>
    withDriver({}, async (machine) => {
      await using file = await machine.open('Events')
      await using stranger = await machine.process('stranger')
      await using others = await stranger.createEvent()
      const [own = 0] = wordsIn(await file.ioctl(IOCTL_MAKE, FIRST, 4))
      const set = (handle: number): Promise<number | null> => statusOf(file.ioctl(IOCTL_SET, words(handle)))
      expect([await set(0), await set(0x7ff0), await set(file.handle), await set(own)]).toEqual([
        STATUS_INVALID_HANDLE,
        STATUS_INVALID_HANDLE,
        STATUS_OBJECT_TYPE_MISMATCH,
        STATUS_INVALID_HANDLE, // the kernel's, and the driver asks for UserMode
      ])
      // A handle of another process is a number like any other here: no handle, or one of this process's own.
      expect(await set(others.handle + 0x1000)).toBe(STATUS_INVALID_HANDLE)
      expect(await others.wait({ timeoutMs: 0 })).toBe(false)
    }))
})

describe('a name in \\BaseNamedObjects', () => {
  test.each(MACHINES)(
    'IoCreateSynchronizationEvent makes an event that a program opens as X, Global\\X and in full, on %s',
    (_name, options) =>
      withDriver(options, async (machine) => {
        await using file = await machine.open('Events')
        const first = await file.ioctl(IOCTL_WAIT, FIRST) // a new one is signalled
        expect(first).toHaveLength(0)
        for (const name of ['driver-event', 'Global\\driver-event', '\\BaseNamedObjects\\driver-event']) {
          await using event = await machine.openEvent(name)
          const waiting = file.ioctl(IOCTL_WAIT, FIRST)
          await machine.sleep(1)
          expect(await event.set()).toBe(false)
          await waiting
          expect(await event.wait({ timeoutMs: 0 })).toBe(false)
        }
      }),
  )

  test('IoCreateSynchronizationEvent opens the event that a program made first, unsignalled as it is', async () => {
    await using machine = await boot({ clock: 'virtual' })
    const event = await machine.createEvent({ name: 'driver-event', kind: 'notification' })
    await machine.load(DRIVER)
    await using file = await machine.open('Events')
    const waiting = file.ioctl(IOCTL_WAIT, FIRST)
    await machine.sleep(1)
    expect(await event.set()).toBe(false)
    await waiting
    // It stays a notification event: the driver's wait did not reset it.
    expect(await event.wait({ timeoutMs: 0 })).toBe(true)
    await event.close()
  })

  test('IoCreateSynchronizationEvent gives a handle that no program can close', () =>
    withDriver({}, async (machine) => {
      await using file = await machine.open('Events')
      await using program = await machine.process()
      const [handle = 0] = wordsIn(await file.ioctl(IOCTL_MAKE, FIRST, 4))
      expect(handle >>> 31).toBe(1)
      expect(await program.call({ call: 'close', handle })).toMatchObject({ status: STATUS_INVALID_HANDLE })
      await (await machine.openEvent('driver-event')).close()
    }))

  test('IoCreateSynchronizationEvent’s event goes with the driver’s handle, if no program has it open', async () => {
    await using machine = await boot({ drivers: [DRIVER] })
    const event = await machine.openEvent('driver-event')
    await machine.unload('events')
    await (await machine.openEvent('driver-event')).close()
    await event.close()
    expect(await statusOf(machine.openEvent('driver-event'))).toBe(STATUS_OBJECT_NAME_NOT_FOUND)
  })

  test('ZwCreateEvent’s rule holds: a program may make names there, and nowhere else', async () => {
    await using machine = await boot()
    await (await machine.createEvent({ name: 'mine' })).close()
    expect(await statusOf(machine.createEvent({ name: '\\Mine' }))).toBe(STATUS_ACCESS_DENIED)
  })
})

describe('a driver that is loaded at boot', () => {
  test.each(MACHINES)(
    'IoCreateSynchronizationEvent gives its DriverEntry null: \\BaseNamedObjects is not there yet, on %s',
    async (_name, options) => {
      await using machine = await boot({ ...options, bootDrivers: [DRIVER] })
      await using file = await machine.open('Events')
      expect(wordsIn(await file.ioctl(IOCTL_AT_ENTRY, FIRST, 4))).toEqual([0])
      expect(await statusOf(machine.openEvent('driver-event'))).toBe(STATUS_OBJECT_NAME_NOT_FOUND)
      // Later it is.
      await file.ioctl(IOCTL_MAKE, FIRST, 4)
      await (await machine.openEvent('driver-event')).close()
    },
  )

  test('IoCreateSynchronizationEvent gives the DriverEntry of another driver its event', () =>
    withDriver({}, async (machine) => {
      await using file = await machine.open('Events')
      expect(wordsIn(await file.ioctl(IOCTL_AT_ENTRY, FIRST, 4))).toEqual([1])
    }))
})
