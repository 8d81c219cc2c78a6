/**
 * Soak of surprise removals: a simulated Uno with its drivers is pulled out at random moments, while programs on one or
 * two processors have requests under way. Most of it is in virtual time, where a seed does the same again; some on the
 * real clock, where two processors really run at once. `node soak/unplug/child.ts PROCESSORS CLOCK SEED UNPLUGS` runs
 * one machine again.
 */
import { fork } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { siblingFile } from '../hal/siblingfile.ts'
import type { Soak } from './soak.ts'
import type { UnplugNews } from './unplug/child.ts'
import type { Slice, Tally } from './unplug/plugs.ts'
import { fileURLToPath } from 'node:url'

const CHILD = fileURLToPath(siblingFile('unplug/child', import.meta.url))
/** Unplugs on one machine, in a process of its own. */
const SLICE = 500
const MACHINES = [
  { processors: 1, clock: 'virtual' },
  { processors: 2, clock: 'virtual' },
  { processors: 2, clock: 'real' },
  { processors: 1, clock: 'virtual' },
  { processors: 2, clock: 'virtual' },
] as const
/** A plug takes some milliseconds, a request that is stuck is given up after some seconds: who is silent for so long hangs. */
const HANG_MS = 90_000
const MOST_TOLD = 8

export const unplug: Soak = {
  name: 'unplug',
  summary: 'a board is pulled out at random moments, with requests under way, on one and two processors',
  count: 10_000,
  async run({ count, seed, progress }) {
    const slices = slicesOf(count, seed)
    const done = new Map<number, number>()
    const tallies: Tally[] = []
    const worker = async (): Promise<void> => {
      for (let slice = slices.shift(); slice !== undefined; slice = slices.shift()) {
        const { seed: key } = slice
        const show = (unplugs: number): void => {
          done.set(key, unplugs)
          progress('unplug', [...done.values()].reduce((sum, one) => sum + one, 0) / count)
        }
        tallies.push(await runProcess(slice, show))
      }
    }
    await Promise.all(Array.from({ length: Math.min(availableParallelism(), slices.length) }, worker))
    const sum = (key: Exclude<keyof Tally, 'told'>): number => tallies.reduce((total, one) => total + one[key], 0)
    const result = {
      soak: 'unplug',
      count,
      leakedBytes: sum('leakedBytes'),
      leakedHandles: sum('leakedHandles'),
      stuckIrps: sum('stuckIrps'),
    }
    const { leakedBytes, leakedHandles, stuckIrps } = result
    const held = leakedBytes === 0 && leakedHandles === 0 && stuckIrps === 0 && sum('wrong') === 0
    const told = tallies.flatMap((one) => one.told).slice(0, MOST_TOLD)
    return { held, result, remark: told.join('\n') }
  },
}

function slicesOf(count: number, seed: number): Slice[] {
  const size = Math.min(SLICE, Math.ceil(count / 3))
  return Array.from({ length: Math.ceil(count / size) }, (_, index) => ({
    ...(MACHINES[index % MACHINES.length] as (typeof MACHINES)[number]),
    seed: (seed + index) % 0x1_0000_0000,
    unplugs: Math.min(size, count - index * size),
  }))
}

/** One machine, in a process of its own: one that ends early or hangs has everything stuck. */
function runProcess({ processors, clock, seed, unplugs }: Slice, show: (done: number) => void): Promise<Tally> {
  const args = [processors, clock, seed, unplugs].map(String)
  const child = fork(CHILD, args, { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
  let errors = ''
  let tally: Tally | null = null
  let last = 0
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (errors = (errors + text).slice(-4000)))
  const watch = setTimeout(() => child.kill('SIGKILL'), HANG_MS)
  child.on('message', (news: UnplugNews) => {
    watch.refresh()
    if (news.kind === 'ended') tally = news.tally
    else show((last = news.unplugs))
  })
  return new Promise((resolve) => {
    child.on('close', (code, signal) => {
      clearTimeout(watch)
      const how = `node ${CHILD} ${args.join(' ')} ended with ${code ?? signal} behind unplug ${last}:\n${errors}`
      resolve(tally ?? { leakedBytes: 0, leakedHandles: 0, stuckIrps: 1, wrong: 1, told: [how] })
    })
  })
}
