/** What a program sees of a notify list (wdm-facts §1.9, §1.11): through handles, by a file system that follows the book. */
import { expect, test } from 'vitest'
import { boot, type Machine, NtStatusError } from '../../../machine/index.ts'
import {
  FILE_ACTION_ADDED,
  FILE_ACTION_REMOVED,
  FILE_ACTION_RENAMED_NEW_NAME,
  FILE_ACTION_RENAMED_OLD_NAME,
} from '../../../kernel/fsrtl/codes.ts'
import { STATUS_DELETE_PENDING } from '../../../kernel/rtl/status.ts'

const volume = new URL('./drivers/volume.ts', import.meta.url)

/** Boots with the volume loaded. */
async function withVolume(body: (machine: Machine) => Promise<void>): Promise<void> {
  await using machine = await boot({ build: 'checked', clock: 'virtual' })
  await machine.load(volume)
  await body(machine)
  expect(await machine.run(volume, 'isQuiet')).toBe(true)
  await machine.unload('volume')
}

const report = (machine: Machine, name: string, action = FILE_ACTION_ADDED): Promise<unknown> =>
  machine.run(volume, 'report', { name, action })

async function untilWatched(machine: Machine): Promise<void> {
  while (await machine.run(volume, 'isQuiet'));
}

test('a program is told of what is added, removed and renamed in a directory that it watches', () =>
  withVolume(async (machine) => {
    await using file = await machine.open('Volume\\d')
    const changes = file.watch()
    const first = changes.next()
    await untilWatched(machine)
    await report(machine, '\\d\\a')
    await report(machine, '\\d\\a', FILE_ACTION_RENAMED_OLD_NAME)
    await report(machine, '\\d\\b', FILE_ACTION_RENAMED_NEW_NAME)
    await report(machine, '\\d\\b', FILE_ACTION_REMOVED)
    const seen = [(await first).value]
    for (let i = 0; i < 3; i++) seen.push((await changes.next()).value)
    expect(seen).toEqual([
      { action: 'added', path: 'a' },
      { action: 'renamed-from', path: 'a' },
      { action: 'renamed-to', path: 'b' },
      { action: 'removed', path: 'b' },
    ])
  }))

test('the end of the last handle ends its watch, with the changes of others untouched', () =>
  withVolume(async (machine) => {
    const parent = await machine.open('Volume\\d')
    await using child = await machine.open('Volume\\d\\e')
    const watching = parent.watch({ tree: true }).next()
    const other = child.watch({ tree: true }).next()
    await untilWatched(machine)
    await parent.close()
    expect(await watching).toEqual({ done: true, value: undefined })
    await machine.sleep(1)
    await report(machine, '\\d\\e\\f\\a')
    expect((await other).value).toEqual({ action: 'added', path: 'f\\a' })
  }))

test('a cancelled watch ends, and the next one gets what happened since', () =>
  withVolume(async (machine) => {
    await using file = await machine.open('Volume\\d')
    const controller = new AbortController()
    const watching = file.watch({ signal: controller.signal }).next()
    await untilWatched(machine)
    controller.abort()
    expect(await watching).toEqual({ done: true, value: undefined })
    await report(machine, '\\d\\a')
    await report(machine, '\\d\\b')
    const again = file.watch()
    expect([(await again.next()).value, (await again.next()).value]).toEqual([
      { action: 'added', path: 'a' },
      { action: 'added', path: 'b' },
    ])
  }))

test('more changes than there is room for are told as one overflow', () =>
  withVolume(async (machine) => {
    await using file = await machine.open('Volume\\d')
    const changes = file.watch()
    const first = changes.next()
    await untilWatched(machine)
    await machine.run(volume, 'reportMany', { directory: '\\d', count: 500 })
    expect([(await first).value, (await changes.next()).value]).toEqual([
      { action: 'added', path: '0' },
      { action: 'overflow', path: '' },
    ])
  }))

test('the removal of a watched directory ends the wait, of every program that watches it', () =>
  withVolume(async (machine) => {
    await using first = await machine.open('Volume\\d')
    await using second = await machine.open('Volume\\d')
    await using other = await machine.open('Volume\\e')
    const ended = [first, second].map((file) => file.watch().next())
    const watching = other.watch().next()
    const all = Promise.allSettled(ended)
    await untilWatched(machine)
    await machine.sleep(1)
    await machine.run(volume, 'remove', '\\d')
    const reasons = (await all).map((result) => (result as PromiseRejectedResult).reason as NtStatusError)
    expect(reasons.map(({ status }) => status)).toEqual([STATUS_DELETE_PENDING, STATUS_DELETE_PENDING])
    await report(machine, '\\e\\a')
    expect((await watching).value).toEqual({ action: 'added', path: 'a' })
  }))

test('a second watch of one handle waits behind the first, and each change goes to one of them', () =>
  withVolume(async (machine) => {
    await using file = await machine.open('Volume\\d')
    const watching = [file.watch().next(), file.watch().next()]
    await untilWatched(machine)
    await machine.sleep(1)
    for (const name of ['a', 'b']) await report(machine, `\\d\\${name}`)
    const paths = (await Promise.all(watching)).map(({ value }) => (value as { path: string }).path)
    expect(paths.toSorted()).toEqual(['a', 'b'])
  }))

test.for([0, 0xffffffff, 0x1000])('a filter of %i is refused before the file system sees it', (filter) =>
  withVolume(async (machine) => {
    await using file = await machine.open('Volume\\d')
    const watching = file.watch({ filter }).next()
    await expect(watching).rejects.toThrow(NtStatusError)
  }),
)
