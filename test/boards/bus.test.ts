/** A holder of the bus's event that dies: the other driver's wait times out, the bus is recovered, work goes on. */
import { describe, expect, test } from 'vitest'
import { Bench } from '../../cli/bench/bench.ts'
import { outcome } from '../../cli/bench/eeprom.ts'

const DYING = new URL('./images/dying.ts', import.meta.url)
const EVENT = 'bench-0-i2c0'
/** BUS_TIMEOUT_MS of drivers/lib/i2c.ts. */
const PATIENCE_MS = 5000

const BOARDS: [string, 'model' | 'emulated'][] = [
  ['a model', 'model'],
  ['the real firmware in an emulated Uno', 'emulated'],
]

async function onBench(at: 'model' | 'emulated', body: (bench: Bench) => Promise<void>): Promise<void> {
  const bench = await Bench.boot({ board: { board: 'arduino-uno', at }, clock: 'virtual' })
  try {
    await body(bench)
    expect(bench.machine.crash).toBeNull()
  } finally {
    await bench.machine.shutdown()
  }
}

const die = (bench: Bench): Promise<unknown> =>
  bench.machine.run(DYING, 'die', { window: bench.board.window('i2c0'), event: EVENT })

const page = Uint8Array.from({ length: 64 }, (_, index) => index ^ 0x5a)

/** Both drivers do their work, at once and for some time. */
async function worksOn(bench: Bench): Promise<void> {
  await bench.with('at24', async (file) => {
    await file.write(page, { offset: 128 })
    const [bytes, ...temperatures] = await Promise.all([
      file.read(64, { offset: 128 }),
      ...Array.from({ length: 5 }, () => bench.temperature()),
    ])
    expect(bytes).toEqual(page)
    expect(temperatures).toEqual([21.5, 21.5, 21.5, 21.5, 21.5])
  })
  expect((await bench.board.busReport())?.mixedTransactions).toBe(0)
}

/** Virtual milliseconds that `body` takes. */
async function during(bench: Bench, body: () => Promise<unknown>): Promise<number> {
  let isOver = false
  let passed = 0
  const clock = (async () => {
    while (!isOver) {
      await bench.sleep(10)
      passed += 10
    }
  })()
  await body()
  isOver = true
  await clock
  return passed
}

describe.each(BOARDS)('on %s', (_name, at) => {
  test('a driver that dies in mid-transfer is outlived: the wait times out, and the bus is recovered', () =>
    onBench(at, async (bench) => {
      bench.hands?.set('tmp102.temperature', 21.5)
      await bench.sleep(300)
      await die(bench)
      const took = await during(bench, () => bench.temperature())
      // Once for the transaction that the dead one had begun, which ends and looks like life, and once for silence.
      expect(took).toBeGreaterThanOrEqual(PATIENCE_MS)
      expect(took).toBeLessThan(2 * PATIENCE_MS + 300)
      expect((await bench.sensorCounts()).Recoveries).toBe(1)
      await worksOn(bench)
    }))

  test('a board that is pulled out while a dead driver has the bus comes back to work', () =>
    onBench(at, async (bench) => {
      await die(bench)
      const file = await bench.open('at24')
      const reading = outcome(file.read(64, { offset: 0 }))
      await bench.sleep(20)
      await bench.pull()
      expect(await reading).toBeLessThan(0)
      await file.close()
      await bench.insert()
      bench.hands?.set('tmp102.temperature', 21.5)
      await bench.sleep(300)
      await worksOn(bench)
    }))

  test('a board that is reset in the middle of a read comes back to work, whatever bit the chip was at', () =>
    onBench(at, async (bench) => {
      for (const delayMs of [4, 6.3, 9.1, 12.7]) {
        const file = await bench.open('at24')
        const reading = outcome(file.read(4096, { offset: 0 }))
        await bench.sleep(delayMs)
        await bench.hands?.reset()
        expect(await reading).toBeLessThan(0)
        await file.close()
        await bench.isBack()
        bench.hands?.set('tmp102.temperature', 21.5) // an emulated one was switched off and on
        await bench.sleep(300)
        await worksOn(bench)
      }
    }))
})
