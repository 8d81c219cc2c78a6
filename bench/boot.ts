/** Booting and shutting down a machine, and the command from its start to its end. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { boot as bootMachine } from '../machine/index.ts'
import { type Benchmark, expectEqual, Skip, timedAsync } from './benchmark.ts'
import { startPair } from './pairs.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
/** The command, built and as it stands. */
const COMMANDS = ['dist/cli/index.js', 'cli/index.ts']

const ms = async (body: () => Promise<unknown>): Promise<number> => (await timedAsync(1, body)) / 1e6

async function once(processors: number): Promise<void> {
  await using machine = await bootMachine({ processors })
  expectEqual(machine.processors, processors, 'the number of processors')
}

async function node(...args: string[]): Promise<number> {
  return ms(async () => {
    const { status, stderr } = spawnSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8' })
    if (status !== 0) throw new Error(`node ${args.join(' ')}: ${stderr}`)
  })
}

export const boot: Benchmark[] = [
  {
    name: 'boot',
    unit: 'ms',
    what: 'boot and shutdown, one processor',
    most: 10,
    prepare: async () => ({ ours: () => ms(() => once(1)) }),
  },
  {
    name: 'boot.two',
    unit: 'ms',
    what: 'boot and shutdown, two processors',
    goals: { 'new Worker, twice': 2 },
    prepare: async () => ({
      ours: () => ms(() => once(2)),
      limits: { 'new Worker, twice': () => ms(async () => (await startPair('sleep')).end()) },
    }),
  },
  {
    name: 'boot.command',
    unit: 'ms',
    what: 'dirql --version, beyond node -e 0',
    most: 60,
    async prepare() {
      const command = COMMANDS.find((path) => existsSync(`${ROOT}${path}`))
      if (command === undefined) throw new Skip('there is no command yet')
      const ours = async (): Promise<number> => (await node(command, '--version')) - (await node('-e', '0'))
      return { ours, limits: { 'node -e 0': () => node('-e', '0') } }
    },
  },
]
