/** What a benchmark is, and how its figure and those of its peers are taken. */

/** Takes one figure. It has checked its own result before it gives it. */
export type Take = () => Promise<number>

export interface Contenders {
  ours: Take
  /** Other ways to the same end. */
  peers?: Record<string, Take>
  /** What the host itself can do at best, or the same at another size. */
  limits?: Record<string, Take>
  close?: () => Promise<void>
}

/** What our figure is to be: so many times that of the peer or limit `of`, or so much where there is none. */
export interface Goal {
  is: 'least' | 'most'
  times: number
  of: string | null
}

export const atMost = (times: number, of: string | null = null): Goal => ({ is: 'most', times, of })
export const atLeast = (times: number, of: string | null = null): Goal => ({ is: 'least', times, of })

/** Whether a result meets a goal; null where what it is measured by could not be had. */
export function meets({ ours, ratios }: Result, { is, times, of }: Goal): boolean | null {
  const figure = of === null ? ours : ratios[of]
  if (figure === undefined) return null
  return is === 'least' ? figure >= times : figure <= times
}

export interface Benchmark {
  /** `event.two` is chosen by `event`, too. */
  name: string
  /** Rates (`…/s`) are better when they are higher, all others when they are lower. */
  unit: string
  /** One line for the table. */
  what: string
  goals?: readonly Goal[]
  /** What has to be said of the figure, on the page. */
  remark?: string
  /** How often, where that is not as often as all others. */
  runs?: { quick: number; full: number }
  /** Gets everything ready; `quick` asks for a rough figure. Throws a Skip where it cannot be measured here. */
  prepare(quick: boolean): Promise<Contenders>
}

export interface Result {
  ours: number
  unit: string
  peers: Record<string, number>
  limits: Record<string, number>
  /** Ours divided by theirs: the median of the runs' own ratios. */
  ratios: Record<string, number>
  runs: number
}

/** Why a figure cannot be had on this host. */
export class Skip extends Error {
  override name = 'Skip'
}

const RUNS = 5
const QUICK_RUNS = 3
/** In a hurry no further run begins behind that. */
const QUICK_MS = 250

export function median(figures: readonly number[]): number {
  return quantile(figures, 0.5)
}

/** The figure below which `share` of them lie. */
export function quantile(figures: readonly number[], share: number): number {
  const sorted = [...figures].sort((left, right) => left - right)
  const place = (sorted.length - 1) * share
  const below = sorted[Math.floor(place)] ?? Number.NaN
  const above = sorted[Math.ceil(place)] ?? Number.NaN
  return below + (above - below) * (place - Math.floor(place))
}

/** Three digits, which is more than the runs agree on. */
export const rounded = (figure: number): number => Number(figure.toPrecision(3))

/**
 * Medians of several runs. They are taken in turn, and each of ours is compared with its neighbour of theirs, so that a
 * host that slows down slows both.
 */
export async function measure(benchmark: Benchmark, quick: boolean): Promise<Result> {
  const wanted = quick ? (benchmark.runs?.quick ?? QUICK_RUNS) : (benchmark.runs?.full ?? RUNS)
  const { ours, peers = {}, limits = {}, close } = await benchmark.prepare(quick)
  try {
    const takes: [string, Take][] = [['', ours], ...Object.entries({ ...peers, ...limits })]
    const runs = await takeInTurn(takes, wanted, quick ? QUICK_MS : Number.POSITIVE_INFINITY)
    const of = (name: string): number => median(runs.map((run) => run[name] as number))
    const ratio = (name: string): number => median(runs.map((run) => (run[''] as number) / (run[name] as number)))
    const pick = (names: object): Record<string, number> =>
      Object.fromEntries(Object.keys(names).map((name) => [name, rounded(of(name))]))
    return {
      ours: rounded(of('')),
      unit: benchmark.unit,
      peers: pick(peers),
      limits: pick(limits),
      ratios: Object.fromEntries(takes.slice(1).map(([name]) => [name, rounded(ratio(name))])),
      runs: runs.length,
    }
  } finally {
    await close?.()
  }
}

/** What each take gave in each run: `wanted` of them, or fewer where they last longer than `ms`. */
async function takeInTurn(
  takes: readonly [string, Take][],
  wanted: number,
  ms: number,
): Promise<Record<string, number>[]> {
  const end = performance.now() + ms
  // The first compiles, and is not counted: where it is not all that there is time for, and is little of that.
  const first = await takeEach(takes)
  if (wanted === 1 || performance.now() > end) return [first]
  const runs: Record<string, number>[] = []
  while (runs.length === 0 || (runs.length < wanted && performance.now() < end)) runs.push(await takeEach(takes))
  return runs
}

async function takeEach(takes: readonly [string, Take][]): Promise<Record<string, number>> {
  const figures: Record<string, number> = {}
  for (const [name, take] of takes) figures[name] = await take()
  return figures
}

/** A figure of a run whose result is wrong is worth nothing. */
export function expectEqual(actual: unknown, expected: unknown, what: string): void {
  if (actual !== expected) throw new Error(`${what} is ${String(actual)} and not ${String(expected)}: no figure`)
}

/** Rounds a second, of a take that gives nanoseconds a round. */
export const rate =
  (take: Take): Take =>
  async () =>
    1e9 / (await take())

export const rates = (takes: Record<string, Take>): Record<string, Take> =>
  Object.fromEntries(Object.entries(takes).map(([name, take]) => [name, rate(take)]))

/** Nanoseconds a round of `body`, which does `rounds` of them. */
export function timed(rounds: number, body: () => void): number {
  const start = process.hrtime.bigint()
  body()
  return Number(process.hrtime.bigint() - start) / rounds
}

export async function timedAsync(rounds: number, body: () => Promise<unknown>): Promise<number> {
  const start = process.hrtime.bigint()
  await body()
  return Number(process.hrtime.bigint() - start) / rounds
}
