/** Booting and shutting down a machine, and the command from its start to its end: as published, and not as sources. */
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { boot as Boot } from '../machine/index.ts'
import { atMost, type Benchmark, expectEqual, timedAsync } from './benchmark.ts'
import { builtBoot, dist } from './dist.ts'

const ms = async (body: () => Promise<unknown>): Promise<number> => (await timedAsync(1, body)) / 1e6

/** From the call of `boot` to the end of the shutdown. */
function bootAndShutdown(boot: typeof Boot, processors: number): Promise<number> {
  return ms(async () => {
    await using machine = await boot({ processors })
    expectEqual(machine.processors, processors, 'the number of processors')
  })
}

const GREETING = `require('node:worker_threads').parentPort.postMessage(0)`

/** Two workers that say that they are there; then they are terminated. */
function twoWorkers(): Promise<number> {
  return ms(async () => {
    const workers = [0, 1].map(() => new Worker(GREETING, { eval: true }))
    await Promise.all(workers.map((worker) => once(worker, 'message')))
    await Promise.all(workers.map((worker) => worker.terminate()))
  })
}

function node(...args: string[]): Promise<number> {
  return ms(async () => {
    const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
    if (status !== 0) throw new Error(`node ${args.join(' ')}: ${stderr}`)
  })
}

const RUNS = { quick: 3, full: 15 }

export const boot: Benchmark[] = [
  {
    name: 'boot',
    unit: 'ms',
    what: 'boot and shutdown, one processor',
    goals: [atMost(10)],
    runs: RUNS,
    async prepare() {
      const boot = await builtBoot()
      return { ours: () => bootAndShutdown(boot, 1) }
    },
  },
  {
    name: 'boot.two',
    unit: 'ms',
    what: 'boot and shutdown, two processors',
    goals: [atMost(2, 'new Worker, twice')],
    remark:
      'Half of the time is Node’s, which starts two threads. The rest loads the kernel, one file from the compile cache, ' +
      'lays out its 100 structs and starts it.',
    runs: RUNS,
    async prepare() {
      const boot = await builtBoot()
      return { ours: () => bootAndShutdown(boot, 2), limits: { 'new Worker, twice': twoWorkers } }
    },
  },
  {
    name: 'boot.command',
    unit: 'ms',
    what: 'dirql --version, beyond node -e 0',
    goals: [atMost(60)],
    runs: RUNS,
    async prepare() {
      const command = join(dist(), 'cli', 'dirql.js')
      const ours = async (): Promise<number> => (await node(command, '--version')) - (await node('-e', '0'))
      return { ours, limits: { 'node -e 0': () => node('-e', '0') } }
    },
  },
]
