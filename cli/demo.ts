/**
 * `npm start`: what dirql does, in ten seconds: a board with a button, its driver, and a program that reads.
 *
 * Exit codes: 0 held, 1 something was lost, 2 usage, 70 bug check.
 */
import { parseArgs } from 'node:util'
import { boot, BugCheckError } from '../machine/index.ts'

const USAGE = `npm start -- [options]

  --seconds N      how long (default 10)
  --processors N   processors of the machine (default 2)
  --virtual        on virtual time: two runs with one seed are the same
  --seed N         seed of the presses, and of what the rules leave open
  --json           nothing but one JSON object at the end
  --help
`

interface Options {
  seconds: number
  processors: number
  isVirtual: boolean
  seed: number
  json: boolean
}

function usage(message: string): never {
  process.stderr.write(`${message}\n\n${USAGE}`)
  process.exit(2)
}

function count(name: string, text: string, least: number, most: number): number {
  const value = Number(text)
  if (text.trim() !== '' && Number.isInteger(value) && value >= least && value <= most) return value
  return usage(`--${name} ${text}: it must be an integer from ${least} to ${most}`)
}

function parse(): Options {
  try {
    const { values } = parseArgs({
      options: {
        seconds: { type: 'string', default: '10' },
        processors: { type: 'string', default: '2' },
        virtual: { type: 'boolean', default: false },
        seed: { type: 'string', default: '1' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    })
    if (values.help) {
      process.stdout.write(USAGE)
      process.exit(0)
    }
    return {
      seconds: count('seconds', values.seconds, 1, 3600),
      processors: count('processors', values.processors, 1, 32),
      isVirtual: values.virtual,
      seed: count('seed', values.seed, 0, 0xffffffff),
      json: values.json,
    }
  } catch (error) {
    return usage((error as Error).message)
  }
}

/** Presses between 5 and 100 ms apart, some of them in bursts faster than the driver: the board counts. */
function* presses(seed: number): Generator<{ afterMs: number; times: number }> {
  let state = seed >>> 0 || 1
  for (;;) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    yield { afterMs: 5 + ((state >>> 16) % 96), times: (state >>> 8) % 8 === 0 ? 5 : 1 }
  }
}

const quantile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
const round = (value: number): number => Math.round(value * 10) / 10

async function demo({ seconds, processors, isVirtual, seed, json }: Options): Promise<number> {
  const say = (text: string): void => void (json || process.stdout.write(`${text}\n`))
  await using machine = await boot({
    processors,
    seed,
    clock: isVirtual ? 'virtual' : 'real',
    drivers: [new URL('../drivers/button/index.ts', import.meta.url)],
    boards: [{ board: 'button' }],
  })
  const board = machine.board('button-0')
  say(
    `a machine with ${processors} processor${processors > 1 ? 's' : ''} on ${isVirtual ? 'virtual' : 'real'} time, board button-0 (model), driver button, seed ${seed}`,
  )

  await using file = await machine.open('Button-0')
  const latencies: number[] = []
  let pressed = 0
  let told = 0
  let light = 0
  let elapsedMs = 0
  for (const { afterMs, times } of presses(seed)) {
    if (elapsedMs + afterMs > seconds * 1000) break
    await machine.sleep(afterMs)
    elapsedMs += afterMs
    for (let time = 0; time < times; time++) board.press()
    pressed += times
    for (let time = 0; time < times; time++) {
      const text = new TextDecoder().decode(await file.read(64))
      told += 1
      if (time === times - 1) say(`  ${text}${times > 1 ? `   (a burst of ${times})` : ''}`)
    }
    light = 1 - light
    await file.write(String(light))
    latencies.push(board.lines()[0]?.latencyUs ?? 0)
  }
  await machine.sleep(10)

  const [line] = board.lines()
  latencies.sort((left, right) => left - right)
  const summary = {
    processors,
    board: 'button-0',
    seconds,
    seed,
    presses: pressed,
    told,
    interrupts: line?.frames ?? 0,
    lostInterrupts: (line?.edges ?? 0) - told,
    unclaimed: line?.unclaimed ?? 0,
    lightSwitches: board.model.writes.length,
    isrLatencyUs: { p50: round(quantile(latencies, 0.5)), p99: round(quantile(latencies, 0.99)) },
    bugChecks: 0,
  }
  if (json) process.stdout.write(`${JSON.stringify(summary)}\n`)
  else {
    const { interrupts, lostInterrupts, isrLatencyUs, lightSwitches } = summary
    say(
      `${pressed} presses in ${interrupts} interrupts, ${told} told to the program, ${lostInterrupts} lost; ${lightSwitches} register writes reached the board`,
    )
    say(`line to ISR: p50 ${isrLatencyUs.p50} us, p99 ${isrLatencyUs.p99} us`)
  }
  return summary.lostInterrupts === 0 && pressed === told ? 0 : 1
}

try {
  process.exitCode = await demo(parse())
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = error instanceof BugCheckError ? 70 : 2
}
