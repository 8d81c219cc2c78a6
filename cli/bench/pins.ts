/** Scenarios of the pins: presses, bursts of edges faster than the wire, a waiting read that is cancelled. */
import { type Bench, must } from './bench.ts'
import type { Scenario } from './conformance.ts'
import { hex, outcome, STATUS_CANCELLED } from './eeprom.ts'

const BUTTON = 2
/** A free pin, and one that the board drives itself: the Uno's light. */
const FREE = 4
const LIGHT = 13
const PRESSES = 10
const BURST = 300
const TOGGLES = 200

/** Each press is one edge, told with its count. */
async function presses(bench: Bench): Promise<string> {
  const { hands } = bench
  const before = (await bench.pins()).Edges
  let records = 0
  let last = 0
  await bench.with('gpio', async (file) => {
    for (let press = 0; press < PRESSES; press++) {
      const reading = bench.readEdges(file)
      hands?.press('button')
      await bench.sleep(15)
      hands?.release('button')
      await bench.sleep(15)
      const edges = await reading
      records += edges.length
      must(
        edges.every(({ Pin }) => Pin === BUTTON),
        `an edge of another pin than ${BUTTON} was told`,
      )
      last = edges.at(-1)?.Count ?? last
      bench.noteLatency()
    }
  })
  const counted = (await bench.pins()).Edges - before
  must(counted === PRESSES, `${PRESSES} presses were counted as ${counted}`)
  must(records === PRESSES, `${PRESSES} presses gave ${records} records`)
  return `${PRESSES} presses, ${records} records, the last one's count ${last}`
}

/** Edges by hands, of two pins, faster than frames can be sent. */
async function burst(bench: Bench): Promise<string> {
  const { hands } = bench
  await bench.setUpPin(FREE, { pullUp: 1, rising: 1, falling: 1 })
  const expected = 3 * BURST
  const { interrupts } = await counting(bench, expected, async () => {
    for (let count = 0; count < BURST; count++) {
      hands?.press(`D${FREE}`)
      await bench.betweenEdges()
      hands?.press('button')
      await bench.betweenEdges()
      hands?.release(`D${FREE}`)
      await bench.betweenEdges()
      hands?.release('button')
      await bench.betweenEdges()
    }
  })
  await bench.setUpPin(FREE, {})
  must(interrupts < expected, 'the burst was no faster than the wire: each edge had a frame of its own')
  return `${expected} edges in ${interrupts} interrupts: counts add up exactly`
}

/** Edges of an output, as fast as its writes are posted: no hands are needed. */
async function toggles(bench: Bench): Promise<string> {
  await bench.writePin(LIGHT, [0])
  await bench.setUpPin(LIGHT, { isOutput: 1, rising: 1, falling: 1 })
  const { interrupts } = await counting(bench, TOGGLES, () =>
    bench.writePin(
      LIGHT,
      Array.from({ length: TOGGLES }, (_, index) => (index + 1) & 1),
    ),
  )
  await bench.setUpPin(LIGHT, {})
  return `${TOGGLES} edges in ${interrupts} interrupts: counts add up exactly`
}

/** Counts of the driver and of the board's lines must add up to what was done. */
async function counting(bench: Bench, expected: number, body: () => Promise<void>): Promise<{ interrupts: number }> {
  const lines = ['pins', 'button']
  const before = { edges: (await bench.pins()).Edges, totals: bench.totals(...lines) }
  await body()
  const edges = async (): Promise<number> => (await bench.pins()).Edges - before.edges
  try {
    await bench.until('all edges', async () => (await edges()) >= expected)
  } catch {
    // told below, with the count
  }
  await bench.sleep(50) // none too many
  bench.noteLatency()
  const after = bench.totals(...lines)
  const counted = await edges()
  must(counted === expected, `${expected} edges were counted as ${counted}`)
  const told = after.edges - before.totals.edges
  must(told === expected, `the lines told of ${told} edges, and there were ${expected}`)
  return { interrupts: after.frames - before.totals.frames }
}

/** A read that waits for an edge is cancelled. */
async function cancelWait(bench: Bench): Promise<string> {
  await bench.with('gpio', async (file) => {
    // edges of before are records: take them
    const ended = await drained(bench, file)
    must(ended === STATUS_CANCELLED, `a waiting read that was cancelled ended with ${hex(ended)}`)
  })
  return 'a read that waits for an edge ends as cancelled'
}

type GpioFile = Parameters<Bench['readEdges']>[0]

async function drained(bench: Bench, file: GpioFile): Promise<number | null> {
  for (;;) {
    const controller = new AbortController()
    const reading = outcome(bench.readEdges(file, controller.signal))
    await bench.sleep(10)
    controller.abort()
    const ended = await reading
    if (ended !== null) return ended
  }
}

export const PIN_SCENARIOS: readonly Scenario[] = [
  { name: 'presses', needs: ['gpio', 'button', 'hands'], run: presses },
  { name: 'toggles', needs: ['gpio'], run: toggles },
  { name: 'burst', needs: ['gpio', 'button', 'hands'], run: burst },
  { name: 'waiting read', needs: ['gpio'], run: cancelWait },
]
