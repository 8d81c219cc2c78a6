/** Notify lists on two processors: who reports, who watches and who cancels know nothing of each other. */
import { expect, test } from 'vitest'
import { boot, type Machine } from '../../../machine/index.ts'
import { STATUS_CANCELLED } from '../../../kernel/rtl/status.ts'

const volume = new URL('./drivers/volume.ts', import.meta.url)
const watchers = new URL('./drivers/watchers.ts', import.meta.url)
const COUNT = 1500
const numbers = Array.from({ length: COUNT }, (_, number) => String(number))

interface Tally {
  names: string[]
  cancelled: number
  completions: number
}

const watch = (machine: Machine, argument: object, processor: number): Promise<Tally> =>
  machine.run(watchers, 'watch', argument, processor) as Promise<Tally>

/** Waits until somebody watches. */
async function untilWatched(machine: Machine): Promise<void> {
  while (await machine.run(volume, 'isQuiet'));
}

test('FsRtlNotifyFullReportChange tells a watcher on the other processor of every change, once and in order', async () => {
  await using machine = await boot({ processors: 2, build: 'checked' })
  await machine.load(volume)
  const watching = watch(machine, { path: '\\d', count: COUNT }, 1)
  await untilWatched(machine)
  await machine.run(volume, 'reportMany', { directory: '\\d', count: COUNT }, 0)
  expect((await watching).names).toEqual(numbers)
  expect(await machine.run(volume, 'isQuiet')).toBe(true)
})

test('FsRtlNotifyFullReportChange from two processors leaves each directory’s changes in order', async () => {
  await using machine = await boot({ processors: 2, build: 'checked' })
  await machine.load(volume)
  const watching = watch(machine, { path: '\\', count: 2 * COUNT, tree: true }, 0)
  await untilWatched(machine)
  await Promise.all(
    [0, 1].map((processor) =>
      machine.run(volume, 'reportMany', { directory: `\\${processor}`, count: COUNT }, processor),
    ),
  )
  const { names } = await watching
  for (const directory of ['0', '1']) {
    const own = names.filter((name) => name.startsWith(`${directory}\\`))
    expect(own).toEqual(numbers.map((number) => `${directory}\\${number}`))
  }
})

test('IoCancelIrp on one processor, while the other reports, loses no change', async () => {
  await using machine = await boot({ processors: 2, build: 'checked' })
  await machine.load(volume)
  const watching = watch(machine, { path: '\\d', count: COUNT, token: 77 }, 1)
  await untilWatched(machine)
  // One that nobody else can have completed.
  const first = (await machine.run(watchers, 'cancelMany', { token: 77, count: 1 }, 0)) as number
  const [tally, , found] = await Promise.all([
    watching,
    machine.run(volume, 'reportMany', { directory: '\\d', count: COUNT, rests: true }, 0),
    machine.run(watchers, 'cancelMany', { token: 77, count: 4 * COUNT }, 0),
  ])
  expect(tally.names).toEqual(numbers)
  expect(tally.cancelled).toBeGreaterThanOrEqual(1)
  expect(tally.cancelled).toBeLessThanOrEqual(first + (found as number))
})

test('IoCancelIrp of a request whose lock the other processor has lets that one complete it', async () => {
  await using machine = await boot({ processors: 2, build: 'checked' })
  await machine.load(volume)
  const address = await machine.run(watchers, 'makeCanceller')
  const [statuses] = await Promise.all([
    machine.run(watchers, 'sendAndCancel', { address, wanted: 20 }, 1),
    machine.run(watchers, 'reportUntilOver', { address }, 0),
  ])
  expect(statuses).toEqual([STATUS_CANCELLED])
})

test('FsRtlNotifyCleanup of watchers that come and go on both processors leaves nothing', async () => {
  await using machine = await boot({ processors: 2, build: 'checked' })
  await machine.load(volume)
  const visit = (routine: string, slot: number, processor: number): Promise<unknown> =>
    machine.run(watchers, routine, { path: '\\d', rounds: 300, slot }, processor)
  const strange = await Promise.all([
    visit('come', 0, 0),
    visit('come', 1, 1),
    visit('go', 0, 1),
    visit('go', 1, 0),
    machine.run(volume, 'reportMany', { directory: '\\d3', count: COUNT }, 0),
    machine.run(volume, 'reportMany', { directory: '\\d4', count: COUNT }, 1),
  ])
  expect(strange.slice(0, 2)).toEqual([[], []])
  expect(await machine.run(volume, 'isQuiet')).toBe(true)
  await machine.unload('volume')
  const { pool } = await machine.inspect()
  expect(pool.filter(({ tag, bytes }) => /^(FSNS|FsN.)$/.test(tag) && bytes > 0)).toEqual([])
})
