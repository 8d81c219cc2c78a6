// npm run soak: claims that are run for a long time. 0 held, 1 something was lost, 2 usage, 70 bug check.

import { randomInt } from 'node:crypto'
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import { BugCheckError } from '../machine/index.ts'
import { fuzz } from '../soak/fuzz.ts'
import { hammer } from '../soak/hammer.ts'
import { handover } from '../soak/handover.ts'
import { locks } from '../soak/locks.ts'
import type { Progress, Soak, SoakOutcome } from '../soak/soak.ts'
import { unplug } from '../soak/unplug.ts'
import { wire } from '../soak/wire.ts'

const SOAKS: readonly Soak[] = [locks, handover, wire, unplug, hammer, fuzz]
const HELD = 0
const LOST = 1
const USAGE = 2
const BUG_CHECK = 70
const BAR_WIDTH = 30

interface Options {
  count: number
  seed: number
  json: boolean
  loss?: number
}

function integer(least: number): (text: string) => number {
  return (text) => {
    const number = Number(text.replaceAll('_', ''))
    if (Number.isSafeInteger(number) && number >= least && number <= 0xffffffff && text.trim() !== '') return number
    throw new InvalidArgumentError(`It must be an integer from ${least} to ${0xffffffff}.`)
  }
}

function percent(text: string): number {
  const number = Number(text)
  if (number >= 0 && number <= 20 && text.trim() !== '') return number
  throw new InvalidArgumentError('It must be a number from 0 to 20: with more nothing arrives any more.')
}

/** A bar for people, redrawn in place; nothing where nobody looks. */
function progressBar(): { show: Progress; end: () => void } {
  if (!process.stderr.isTTY) return { show: () => {}, end: () => {} }
  return {
    show: (label, part) => {
      const full = Math.round(part * BAR_WIDTH)
      const bar = '█'.repeat(full) + '░'.repeat(BAR_WIDTH - full)
      process.stderr.write(`\r\x1b[K${label.padEnd(21)} ${bar} ${String(Math.floor(part * 100)).padStart(3)} %`)
    },
    end: () => process.stderr.write('\r\x1b[K'),
  }
}

async function soak(one: Soak, { count, seed, json, loss }: Options): Promise<number> {
  // First and last, so that it is there however the run ends.
  const sayHow = (): void =>
    console.error(
      `seed ${seed}: npm run -s soak -- ${one.name} --count ${count} ${loss === undefined ? '' : `--loss ${loss} `}--seed ${seed}${json ? ' --json' : ''}`,
    )
  const bar = progressBar()
  sayHow()
  try {
    const outcome = await one.run({ count, seed, progress: bar.show, ...(loss === undefined ? {} : { loss }) })
    bar.end()
    report(outcome, json)
    return outcome.held ? HELD : LOST
  } catch (error) {
    bar.end()
    console.error(error instanceof BugCheckError ? error.message : error)
    return error instanceof BugCheckError ? BUG_CHECK : LOST
  } finally {
    sayHow()
  }
}

function report({ result, remark, held }: SoakOutcome, json: boolean): void {
  if (remark !== '') console.error(remark)
  if (json) {
    console.log(JSON.stringify(result))
    return
  }
  const { soak: name, ...rows } = result
  console.log(`${String(name)}: ${held ? 'held' : 'DID NOT HOLD'}`)
  for (const [row, value] of flat(rows)) console.log(`  ${row.padEnd(30)} ${value.toLocaleString('en')}`)
}

/** Numbers with the names that lead to them. */
function flat(value: object, path = ''): [string, number][] {
  return Object.entries(value).flatMap(([key, inner]): [string, number][] =>
    typeof inner === 'number' ? [[path + key, inner]] : flat(inner as object, `${path}${key} `),
  )
}

const program = new Command('soak')
  .description('Runs a claim for a long time. Exit code: 0 it held, 1 it did not, 2 usage, 70 bug check.')
  .usage('SOAK [options]')
  .exitOverride()
  .showHelpAfterError('(--help lists the soaks and their options)')

for (const one of SOAKS) {
  const command = program
    .command(one.name)
    .summary(one.summary)
    .description(`The soak '${one.name}': ${one.summary}.`)
    .addOption(new Option('--count <n>', 'how often').argParser(integer(2)).default(one.count))
    .addOption(
      new Option('--seed <n>', 'seed of all that is random').argParser(integer(0)).default(undefined, 'random'),
    )
    .option('--json', 'print one JSON object on standard output, and nothing else there', false)
    .exitOverride()
    .action(async ({ count, seed, json, loss }: Partial<Options>) => {
      const options = { count: count ?? one.count, seed: seed ?? randomInt(0x1_0000_0000), json: json ?? false }
      process.exitCode = await soak(one, loss === undefined ? options : { ...options, loss })
    })
  if (one.loss !== undefined) {
    command.addOption(new Option('--loss <percent>', 'bytes damaged each way').argParser(percent).default(one.loss))
  }
}

try {
  await program.parseAsync()
} catch (error) {
  if (!(error instanceof CommanderError)) throw error
  process.exitCode = error.exitCode === 0 ? 0 : USAGE
}
