/** A change is reported that reaches one watcher of many: each watches a directory of its own. */
import { EventEmitter } from 'node:events'
import { boot, type Machine } from '../machine/index.ts'
import { apart } from './apart.ts'
import { atMost, type Benchmark, expectEqual, type Take, timed, timedAsync } from './benchmark.ts'
import type { Figure } from './drivers/locks.ts'

const DRIVER = new URL('./drivers/notify.ts', import.meta.url)
const VOLUME = new URL('./drivers/volume.ts', import.meta.url)
const FEW = 10
const MEMORY = 512 * 1024 * 1024

const directories = (count: number): string[] =>
  Array.from({ length: count }, (_, number) => `\\${number % 100}\\${Math.floor(number / 100)}`)
const targetIn = (directory: string): string => `${directory}\\changed`

function takeReports(machine: Machine, volume: unknown, rounds: number): Take {
  return async () => {
    const { ns, count } = (await machine.run(DRIVER, 'report', { volume, rounds })) as Figure
    expectEqual(count, rounds, 'the count of changes that were told')
    return ns
  }
}

/** Every change is held against every watcher. */
function linearScan(count: number, rounds: number): Take {
  const told = { changes: 0 }
  const watchers = directories(count).map((path) => ({
    path,
    tell: (name: string) => void (told.changes += name.length > 0 ? 1 : 0),
  }))
  const report = (target: string): void => {
    const cut = target.lastIndexOf('\\')
    const parent = target.slice(0, cut)
    for (const { path, tell } of watchers) if (path === parent) tell(target.slice(cut + 1))
  }
  return takeCalls(count, rounds, told, report)
}

/** A map from each path to its own emitter; a change is told on every level of its path. */
function emitters(count: number, rounds: number): Take {
  const told = { changes: 0 }
  const byPath = new Map<string, EventEmitter>()
  for (const path of directories(count)) {
    byPath.set(
      path,
      new EventEmitter().on('change', (name: string) => void (told.changes += name.length > 0 ? 1 : 0)),
    )
  }
  const report = (target: string): void => {
    for (let cut = target.lastIndexOf('\\'); cut > 0; cut = target.lastIndexOf('\\', cut - 1)) {
      byPath.get(target.slice(0, cut))?.emit('change', target.slice(cut + 1))
    }
  }
  return takeCalls(count, rounds, told, report)
}

function takeCalls(count: number, rounds: number, told: { changes: number }, report: (target: string) => void): Take {
  const targets = directories(count).map(targetIn)
  return async () => {
    told.changes = 0
    const ns = timed(rounds, () => {
      for (let round = 0; round < rounds; round++) report(targets[(round * 7919) % count] as string)
    })
    expectEqual(told.changes, rounds, 'the count of changes that were told')
    return ns
  }
}

const reports: Benchmark[] = [FEW, 1000, 100_000].map((count): Benchmark => {
  const label = count.toLocaleString('en')
  const few = `${FEW} watchers`
  return {
    name: `notify.${count}`,
    unit: 'ns',
    what: `a report that reaches one of ${label} watchers on ${label} directories, and completes its request`,
    ...(count === FEW ? {} : { goals: [atMost(3, few)] }),
    async prepare(quick) {
      const rounds = quick ? 20_000 : 200_000
      const machine = await boot({ memory: MEMORY })
      const volume = await machine.run(DRIVER, 'create', count)
      const scans = Math.max(20, Math.floor((rounds * FEW) / count))
      return {
        ours: takeReports(machine, volume, rounds),
        peers: { 'linear scan': linearScan(count, scans), 'EventEmitter per path': emitters(count, rounds) },
        limits: count === FEW ? {} : { [few]: takeReports(machine, await machine.run(DRIVER, 'create', FEW), rounds) },
        async close() {
          await machine.run(DRIVER, 'close')
          await machine.shutdown()
        },
      }
    },
  }
})

/** A program watches a directory: it is told of a change, asks anew, and the next change comes. */
async function watchFrom(machine: Machine, rounds: number): Promise<number> {
  await using file = await machine.open('BenchVolume\\d')
  const changes = file.watch()
  let told = changes.next()
  while (await machine.run(VOLUME, 'isQuiet'));
  return await timedAsync(rounds, async () => {
    for (let round = 0; round < rounds; round++) {
      await machine.run(VOLUME, 'report', String(round))
      const { value } = await told
      expectEqual(value?.path, String(round), 'the name that was told')
      if (round + 1 < rounds) told = changes.next()
    }
  })
}

const watch: Benchmark = {
  name: 'notify.watch',
  unit: 'ns',
  what: 'a report that a program asks for, to the iterator with which it watches',
  async prepare(quick) {
    const rounds = quick ? 2000 : 20_000
    const machine = await boot({ drivers: [VOLUME] })
    return {
      ours: () => watchFrom(machine, rounds),
      peers: { 'events.on and emit': apart('calls', 'iterated', rounds) },
      close: () => machine.shutdown(),
    }
  },
}

export const notify: Benchmark[] = [...reports, watch]
