/** Two sides of a run, each on its own processor: they begin together, and both times count. */
import { atomic, struct, ULONG } from '../../ddi/wdm.ts'

/** Where the sides of a run meet. */
export const MEETING = struct('BENCH_MEETING', { arrived: atomic(ULONG) })
export type MEETING = InstanceType<typeof MEETING>

/** When a side began and ended, in nanoseconds of the clock that all threads share. */
export interface Span {
  begin: number
  end: number
}

/** One side's part of a run. */
export interface Side {
  address: number
  rounds: number
}

const now = (): number => Number(process.hrtime.bigint())

/** Runs `body` once both sides are here. Nobody calls the kernel meanwhile: the other side is on its way. */
export function together(meeting: MEETING, sides: number, body: () => void): Span {
  const all = (Math.floor(meeting.arrived.add(1) / sides) + 1) * sides
  while (meeting.arrived.load() < all) Atomics.pause()
  const begin = now()
  body()
  return { begin, end: now() }
}

/** The same for a `body` that may wait. */
export async function togetherAsync(meeting: MEETING, sides: number, body: () => Promise<void>): Promise<Span> {
  let begin = 0
  together(meeting, sides, () => (begin = now()))
  await body()
  return { begin, end: now() }
}

/** Nanoseconds a round, over all sides. */
export function perRound(spans: readonly Span[], rounds: number): number {
  const begin = Math.min(...spans.map((span) => span.begin))
  const end = Math.max(...spans.map((span) => span.end))
  return (end - begin) / (rounds * spans.length)
}
