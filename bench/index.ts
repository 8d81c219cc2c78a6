// npm run bench: what dirql costs, beside others and beside what the host can do at best.

import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Command, CommanderError } from 'commander'
import { type Benchmark, measure, type Result, Skip } from './benchmark.ts'
import { boot } from './boot.ts'
import { bridge } from './bridge.ts'
import { dpc, irp, timer, wait } from './calls.ts'
import { event } from './event.ts'
import { idle } from './idle.ts'
import { ipi } from './ipi.ts'
import { isr } from './isr.ts'
import { fastmutex, pushlock, resource } from './mutexes.ts'
import { notify } from './notify.ts'
import { describeHost, line, page } from './report.ts'
import { scale } from './scale.ts'
import { serial } from './serial.ts'
import { spinlock, synch } from './spinlock.ts'
import { uno } from './uno.ts'

const ALL: readonly Benchmark[] = [
  ...idle,
  ...spinlock,
  ...isr,
  ...synch,
  ...ipi,
  ...event,
  ...pushlock,
  ...resource,
  ...fastmutex,
  ...dpc,
  ...timer,
  ...wait,
  ...irp,
  ...notify,
  ...serial,
  ...bridge,
  ...boot,
  ...scale,
  ...uno,
]
const USAGE = 2
const RESULTS = fileURLToPath(new URL('./RESULTS.md', import.meta.url))

interface Options {
  json: boolean
  quick: boolean
  write: boolean
}

/** Those that were named, by their whole name or its first part. */
function chosen(names: readonly string[]): Benchmark[] {
  for (const name of names) {
    if (ALL.some((one) => isNamed(one, name))) continue
    throw new CommanderError(
      USAGE,
      'bench',
      `no benchmark '${name}'; there are ${ALL.map((one) => one.name).join(', ')}`,
    )
  }
  return ALL.filter((one) => names.length === 0 || names.some((name) => isNamed(one, name)))
}
const isNamed = (one: Benchmark, name: string): boolean => one.name === name || one.name.startsWith(`${name}.`)

/** The result, or null where it cannot be had here, which is said. */
async function measureOrSkip(one: Benchmark, quick: boolean): Promise<Result | null> {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${one.name} …`)
  try {
    return await measure(one, quick)
  } catch (error) {
    if (!(error instanceof Skip)) throw error
    console.error(`bench: ${one.name} is left out: ${error.message}`)
    return null
  } finally {
    if (process.stderr.isTTY) process.stderr.write('\r\x1b[K')
  }
}

async function bench(names: string[], { json, quick, write }: Options): Promise<void> {
  const list = chosen(names)
  const results: Record<string, Result> = {}
  if (!json) console.log(describeHost())
  for (const one of list) {
    const result = await measureOrSkip(one, quick)
    if (result === null) continue
    results[one.name] = result
    if (!json) console.log(line(one, result))
  }
  if (json) console.log(JSON.stringify(results))
  if (write) writeFileSync(RESULTS, page(list, results))
}

const program = new Command('bench')
  .description('Measures what dirql costs, beside its peers and beside what the host can do at best.')
  .argument('[names...]', `which: ${ALL.map(({ name }) => name).join(', ')}; all if none is named`)
  .option('--json', 'print one JSON object on standard output, and nothing else there', false)
  .option('--quick', 'rough figures of all in less than a minute', false)
  .option('--write', 'write bench/RESULTS.md', false)
  .exitOverride()
  .action(bench)

try {
  await program.parseAsync()
} catch (error) {
  if (!(error instanceof CommanderError)) throw error
  if (error.code === 'bench') console.error(`error: ${error.message}`)
  process.exitCode = error.exitCode === 0 ? 0 : USAGE
}
