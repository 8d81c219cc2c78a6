/** Soak of the locks: two processors raise one plain count under each guard in turn, and then under none. */
import { boot, type Machine } from '../machine/index.ts'
import type { Progress, Soak } from './soak.ts'

const DRIVER = new URL('./drivers/locks.ts', import.meta.url)

/** Guards, and the routine that each side runs. */
const GUARDS = {
  spinLock: ['spinLock', 'spinLock'],
  interruptSpinLock: ['synchronizing', 'interrupting'],
  pushLock: ['pushLock', 'pushLock'],
  fastMutex: ['fastMutex', 'fastMutex'],
  synchronizationEvent: ['synchronizationEvent', 'synchronizationEvent'],
} as const
type Guard = keyof typeof GUARDS
type Sides = readonly [string, string]

/** Runs are cut up so that the progress bar moves; a side's last rounds may find the other one gone. */
const SLICE = 500_000
/** The race does not show in every run: so often it is tried. */
const MOST_RACES = 20

export const locks: Soak = {
  name: 'locks',
  summary: 'two processors raise one plain count under each kind of lock, and under none',
  count: 10_000_000,
  async run({ count, seed, progress }) {
    await using machine = await boot({ processors: 2 })
    const address = (await machine.run(DRIVER, 'create', seed)) as number
    await machine.run(DRIVER, 'connect', address, 1)
    const guarded = {} as Record<Guard, number>
    for (const [guard, sides] of Object.entries(GUARDS) as [Guard, Sides][]) {
      guarded[guard] = await lostIn(machine, { address, sides, count, label: guard, progress })
    }
    const unguarded = await race(machine, address, count, progress)
    await machine.run(DRIVER, 'disconnect', address, 1)
    await machine.run(DRIVER, 'destroy', address)
    const held = Object.values(guarded).every((lost) => lost === 0) && unguarded > 0
    const remark = unguarded > 0 ? '' : `without a lock nothing was lost in ${MOST_RACES} runs: the soak proves nothing`
    return { held, result: { soak: 'locks', count, guarded, unguarded }, remark }
  },
}

interface Run {
  address: number
  sides: Sides
  count: number
  label: string
  progress: Progress
}

/** How many of `count` increments, half of them on each processor, were lost. */
async function lostIn(machine: Machine, { address, sides, count, label, progress }: Run): Promise<number> {
  let lost = 0
  for (let done = 0; done < count; done += SLICE) {
    progress(label, done / count)
    const rounds = Math.min(SLICE, count - done)
    const half = Math.floor(rounds / 2)
    await machine.run(DRIVER, 'reset', address)
    await Promise.all([
      machine.run(DRIVER, sides[0], { address, rounds: half }, 0),
      machine.run(DRIVER, sides[1], { address, rounds: rounds - half }, 1),
    ])
    lost += rounds - ((await machine.run(DRIVER, 'read', address)) as number)
  }
  progress(label, 1)
  return lost
}

/** Lost increments of the first run without a lock that lost any. */
async function race(machine: Machine, address: number, count: number, progress: Progress): Promise<number> {
  const sides = ['unguarded', 'unguarded'] as const
  for (let run = 0; run < MOST_RACES; run++) {
    const lost = await lostIn(machine, { address, sides, count, label: 'unguarded', progress })
    if (lost > 0) return lost
  }
  return 0
}
