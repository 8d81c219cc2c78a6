/** Scenarios of the EEPROM: pages, two drivers on one bus, requests that are cancelled. What it held is put back. */
import { NtStatusError } from '../../machine/index.ts'
import { type Bench, must } from './bench.ts'
import type { Scenario } from './conformance.ts'

const PAGE = 64
/** The last four pages of a 24LC256. */
export const REGION = { offset: 0x7f00, length: 4 * PAGE }
export const STATUS_CANCELLED = 0xc0000120 | 0
/** Of a read that is cancelled: longer than any wait before. */
const LONG_READ = 4096
const MOST_CANCEL_MS = 2000

/** Keeps what the region held, and puts it back. */
async function keeping<T>(bench: Bench, body: () => Promise<T>): Promise<T> {
  const held = await bench.with('at24', (file) => file.read(REGION.length, { offset: REGION.offset }))
  try {
    return await body()
  } finally {
    if (bench.machine.crash === null && bench.board.isPlugged) await write(bench, REGION.offset, held)
  }
}

const write = (bench: Bench, offset: number, bytes: Uint8Array): Promise<number> =>
  bench.with('at24', (file) => file.write(bytes, { offset }))
const read = (bench: Bench, offset: number, length: number): Promise<Uint8Array> =>
  bench.with('at24', (file) => file.read(length, { offset }))

const pattern = (length: number, seed: number): Uint8Array =>
  Uint8Array.from({ length }, (_, index) => (index * 37 + seed * 101 + 5) & 0xff)

const same = (left: Uint8Array, right: Uint8Array): boolean =>
  left.length === right.length && left.every((byte, index) => byte === right[index])

/** Bytes across three pages, from the middle of one to the middle of another. */
function pages(bench: Bench): Promise<string> {
  return keeping(bench, async () => {
    const all = pattern(REGION.length, 1)
    await write(bench, REGION.offset, all)
    const part = pattern(150, 2)
    const from = 33
    must((await write(bench, REGION.offset + from, part)) === part.length, 'not all bytes were written')
    bench.noteLatency()
    all.set(part, from)
    const told = await read(bench, REGION.offset, REGION.length)
    bench.noteLatency()
    must(same(told, all), 'the pages read otherwise than they were written')
    return `${REGION.length} bytes, then ${part.length} across 4 pages: read as written, before and behind as well`
  })
}

/** Two programs use two chips at once: the drivers hand the bus to each other. */
function together(bench: Bench): Promise<string> {
  return keeping(bench, async () => {
    const before = await counts(bench)
    let errors = 0
    const temperatures = async (): Promise<void> => {
      for (let count = 0; count < 30; count++) {
        if (!((await bench.temperature()) > -56)) errors += 1
        bench.noteLatency()
      }
    }
    const writes = async (): Promise<void> => {
      for (let count = 0; count < 6; count++) {
        const page = pattern(PAGE, 10 + count)
        const offset = REGION.offset + (count % 4) * PAGE
        await write(bench, offset, page)
        if (!same(await read(bench, offset, PAGE), page)) errors += 1
        bench.noteLatency()
      }
    }
    await Promise.all([temperatures(), writes()])
    must(errors === 0, `${errors} reads were wrong`)
    const after = await counts(bench)
    const report = await bench.board.busReport()
    must((report?.mixedTransactions ?? 0) === 0, `${report?.mixedTransactions} sequences were cut into`)
    const handovers = after.handovers - before.handovers
    must(handovers > 0, 'the drivers never met on the bus')
    const looked = report === null ? 'nobody looked at the bus' : 'none of them mixed'
    return `${after.transactions - before.transactions} transactions, ${looked}; ${handovers} hand-overs`
  })
}

async function counts(bench: Bench): Promise<{ transactions: number; handovers: number }> {
  const [sensor, eeprom] = [await bench.sensorCounts(), await bench.eepromCounts()]
  return {
    transactions: sensor.Transactions + eeprom.Transactions,
    handovers: sensor.Handovers + eeprom.Handovers,
  }
}

/** A request that is cancelled in mid-transfer ends soon, as cancelled, and the next one works. */
async function cancel(bench: Bench): Promise<string> {
  const expected = await read(bench, REGION.offset, 16)
  const delays = [0, 1, 2, 5, 11, 23]
  for (const delayMs of delays) {
    await bench.with('at24', async (file) => {
      const controller = new AbortController()
      const reading = outcome(file.read(LONG_READ, { offset: 0, signal: controller.signal }))
      await bench.sleep(delayMs)
      const begin = bench.wallMs()
      controller.abort()
      const ended = await reading
      const took = bench.wallMs() - begin
      must(ended === STATUS_CANCELLED, `a read that was cancelled after ${delayMs} ms ended with ${hex(ended)}`)
      must(took < MOST_CANCEL_MS, `a cancelled read took ${Math.round(took)} ms to end`)
    })
    must(same(await read(bench, REGION.offset, 16), expected), 'the read behind a cancelled one was wrong')
  }
  return `${delays.length} reads cancelled after ${delays.join(', ')} ms, each ended as cancelled, the next one right`
}

/** The status that a call ended with; null when it did what it was to do. */
export const outcome = (call: Promise<unknown>): Promise<number | null> =>
  call.then(
    () => null,
    (error: unknown) => {
      if (error instanceof NtStatusError) return error.status
      throw error
    },
  )

export const hex = (status: number | null): string => (status === null ? 'success' : `0x${(status >>> 0).toString(16)}`)

export const EEPROM_SCENARIOS: readonly Scenario[] = [
  { name: 'pages', needs: ['at24'], run: pages },
  { name: 'together', needs: ['tmp102', 'at24'], run: together },
  { name: 'cancel', needs: ['at24'], run: cancel },
]
