/**
 * The driver test that every board passes, whatever it is and however it is reached: the drivers tmp102, at24 and gpio on
 * a model, on emulated firmware, at a path of the operating system, on the bench. It knows no test runner.
 */
import { BugCheckError } from '../../kernel/ke/bugcheck.ts'
import { Bench, type BenchOptions, type Need } from './bench.ts'
import { EEPROM_SCENARIOS } from './eeprom.ts'
import { PIN_SCENARIOS } from './pins.ts'
import { SENSOR_SCENARIOS } from './sensor.ts'
import { SESSION_SCENARIOS } from './session.ts'

export interface Scenario {
  name: string
  /** It is left out on a board without one of these. */
  needs: readonly Need[]
  /** Gives back what it saw; throws when something does not hold. */
  run(bench: Bench): Promise<string>
}

export interface Outcome {
  scenario: string
  /** null: it was left out. */
  ok: boolean | null
  detail: string
  /** Of the host's clock. */
  ms: number
}

export interface Conformance {
  outcomes: Outcome[]
  /** Whether nothing failed. */
  ok: boolean
  hasBugCheck: boolean
  where: string
  /** Name and version, where the board tells. */
  firmware: string | null
  /** Line to ISR. */
  isrLatencyUs: Quantiles
  /** Machine's time from the question for a register to its answer. */
  questionUs: Quantiles
}

export interface Quantiles {
  p50: number
  p99: number
  count: number
}

/** In this order: the last ones take the board away. */
const FIRST = ['hello', 'registers', 'questions']
const LAST = ['interrupts', 'unplug', 'reset']
const ALL = [...SESSION_SCENARIOS, ...SENSOR_SCENARIOS, ...EEPROM_SCENARIOS, ...PIN_SCENARIOS]
const named = (names: readonly string[]): Scenario[] =>
  names.flatMap((name) => ALL.filter((scenario) => scenario.name === name))
export const SCENARIOS: readonly Scenario[] = [
  ...named(FIRST),
  ...ALL.filter(({ name }) => !FIRST.includes(name) && !LAST.includes(name)),
  ...named(LAST),
]

const SCENARIO_LIMIT_MS = 120_000

export interface ConformanceOptions extends BenchOptions {
  /** Told of each outcome as it comes. */
  told?: (outcome: Outcome) => void
}

/** Boots a machine with the board, and runs every scenario that fits it. Fails only when the board cannot be reached. */
export async function conform(options: ConformanceOptions): Promise<Conformance> {
  const { told = () => {} } = options
  const bench = await Bench.boot(options)
  try {
    const { where } = bench.board
    const { firmware } = bench.board
    const outcomes: Outcome[] = []
    for (const scenario of SCENARIOS) {
      const outcome = await outcomeOf(scenario, bench)
      outcomes.push(outcome)
      told(outcome)
      if (bench.machine.crash !== null || outcome.detail.startsWith(DID_NOT_END)) break
    }
    return {
      outcomes,
      ok: outcomes.every(({ ok }) => ok !== false),
      hasBugCheck: bench.machine.crash !== null,
      where,
      firmware,
      isrLatencyUs: quantiles(bench.latenciesUs),
      questionUs: quantiles(bench.questionsUs),
    }
  } finally {
    await bench.machine.shutdown()
  }
}

const DID_NOT_END = 'did not end'

async function outcomeOf(scenario: Scenario, bench: Bench): Promise<Outcome> {
  const lack = bench.lacks(scenario.needs)
  if (lack !== undefined) return { scenario: scenario.name, ok: null, detail: `left out: ${LACK[lack]}`, ms: 0 }
  const begin = bench.wallMs()
  const { ok, detail } = await within(
    SCENARIO_LIMIT_MS,
    scenario.run(bench).then(
      (seen) => ({ ok: true, detail: seen }),
      (error: unknown) => ({ ok: false, detail: described(error) }),
    ),
  )
  return { scenario: scenario.name, ok, detail, ms: Math.round(bench.wallMs() - begin) }
}

const LACK: Record<Need, string> = {
  tmp102: 'the board has no TMP102',
  at24: 'the board has no 24LC256',
  gpio: 'the board has no pins',
  button: 'the board has no button',
  hands: 'it needs hands that a program moves',
}

const described = (error: unknown): string =>
  error instanceof BugCheckError
    ? `bug check: ${error.message}`
    : error instanceof Error
      ? error.message
      : String(error)

interface Seen {
  ok: boolean
  detail: string
}

/** A scenario that hangs is told, not waited for. */
async function within(limitMs: number, doing: Promise<Seen>): Promise<Seen> {
  let limit: NodeJS.Timeout | undefined
  const late = new Promise<Seen>((resolve) => {
    limit = setTimeout(() => resolve({ ok: false, detail: `${DID_NOT_END} within ${limitMs / 1000} s` }), limitMs)
  })
  try {
    return await Promise.race([doing, late])
  } finally {
    clearTimeout(limit)
  }
}

export function quantiles(values: readonly number[]): Quantiles {
  const sorted = [...values].sort((left, right) => left - right)
  const at = (share: number): number =>
    Math.round((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0) * 10) / 10
  return { p50: at(0.5), p99: at(0.99), count: sorted.length }
}
