/** The figures as people read them: lines on a terminal, and a page. */
import { cpus, release, totalmem, type } from 'node:os'
import { type Benchmark, type Goal, meets, type Result } from './benchmark.ts'

/** What was measured, on what. */
export function describeHost(): string {
  const [first] = cpus()
  const memory = Math.round(totalmem() / 1024 ** 3)
  return `${cpus().length} × ${first?.model.trim() ?? 'unknown processor'}, ${memory} GiB, ${type()} ${release()}, Node.js ${process.version}`
}

const figure = (value: number, unit: string): string =>
  `${value.toLocaleString('en', { maximumSignificantDigits: 3 })} ${unit}`

/** Each peer and limit, and in brackets our figure divided by theirs. */
function others({ peers, limits, ratios, unit }: Result): string {
  return Object.entries({ ...peers, ...limits })
    .map(([name, value]) => `${name} ${figure(value, unit)} (×${ratios[name]})`)
    .join('; ')
}

/** Each goal and whether it is met. */
function goals({ goals: all = [] }: Benchmark, result: Result): string {
  return all
    .flatMap((goal) => {
      const isMet = meets(result, goal)
      return isMet === null ? [] : [`${text(goal, result.unit)}: ${isMet ? 'met' : '**not met**'}`]
    })
    .join('; ')
}

const text = ({ is, times, of }: Goal, unit: string): string =>
  `${is === 'least' ? '≥' : '≤'} ${of === null ? figure(times, unit) : `${times} × ${of}`}`

/** One line of the terminal's table. */
export function line(benchmark: Benchmark, result: Result): string {
  const first = `${benchmark.name.padEnd(18)}${figure(result.ours, result.unit).padStart(16)}   ${others(result)}`
  const goal = goals(benchmark, result)
  return goal === '' ? first : `${first}\n${' '.repeat(37)}${goal}`
}

/** The page: a table, and below it what has to be said of single benchmarks. */
export function page(list: readonly Benchmark[], results: Record<string, Result>): string {
  const rows = list.flatMap((benchmark) => {
    const result = results[benchmark.name]
    if (result === undefined) return []
    const { name, what } = benchmark
    return [
      `| ${name} | ${what} | ${figure(result.ours, result.unit)} | ${others(result)} | ${goals(benchmark, result)} |`,
    ]
  })
  return [
    '# What dirql costs',
    '',
    `Measured ${new Date().toISOString().slice(0, 10)} on ${describeHost()}, by \`npm run bench -- --write\`.`,
    'Medians of runs taken in turn; in brackets how many times theirs ours was, run by run, and of those the median.',
    'Higher is better of what is told per second (`/s`, `s/s`), lower of all else.',
    '',
    '| benchmark | what | dirql | others | goal |',
    '|---|---|---|---|---|',
    ...rows,
    '',
    ...remarks(list.filter(({ name }) => results[name] !== undefined)),
  ].join('\n')
}

function remarks(list: readonly Benchmark[]): string[] {
  return list.flatMap(({ name, remark }) => (remark === undefined ? [] : [`**${name}**: ${remark}`, '']))
}
