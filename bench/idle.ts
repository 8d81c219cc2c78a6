/** What an idle machine costs: CPU of the whole process, as a share of one core. */
import { setTimeout as sleep } from 'node:timers/promises'
import { boot } from '../machine/index.ts'
import { atMost, type Benchmark, expectEqual, type Take } from './benchmark.ts'
import { startPair } from './pairs.ts'

const LONG_MS = 5000
const SHORT_MS = 1500
/** Until nothing compiles any more, and garbage of the start is collected. */
const SETTLE_MS = 1000
const BOARDS = 4
const BUTTON = new URL('../drivers/button/index.ts', import.meta.url)

async function cpuPercent(milliseconds: number): Promise<number> {
  const start = process.cpuUsage()
  await sleep(milliseconds)
  const { user, system } = process.cpuUsage(start)
  return ((user + system) / 1000 / milliseconds) * 100
}

function idleBeside(milliseconds: number, start: () => Promise<{ end: () => Promise<void> }>, settle: number): Take {
  return async () => {
    const { end } = await start()
    await sleep(settle)
    const percent = await cpuPercent(milliseconds)
    await end()
    return percent
  }
}

async function startMachine(): Promise<{ end: () => Promise<void> }> {
  const boards = Array.from({ length: BOARDS }, () => ({ board: 'button' }))
  const machine = await boot({ processors: 2, drivers: [BUTTON], boards })
  return {
    async end() {
      expectEqual(machine.crash, null, 'the crash record')
      for (let index = 0; index < BOARDS; index++) {
        expectEqual(machine.board(`button-${index}`).isPlugged, true, 'whether the board is plugged in')
      }
      await machine.shutdown()
    },
  }
}

async function startSleepers(): Promise<{ end: () => Promise<void> }> {
  const pair = await startPair('sleep')
  await pair.run(1)
  return pair
}

export const idle: Benchmark[] = [
  {
    name: 'idle',
    unit: '% of a core',
    what: 'an idle machine with two processors and four boards',
    goals: [atMost(1)],
    remark:
      'What two workers that sleep take is the host’s own share: it was 0.02 to 0.5 % in different runs, and ours rises with it.',
    runs: { quick: 1, full: 3 },
    async prepare(quick) {
      const milliseconds = quick ? SHORT_MS : LONG_MS
      return {
        ours: idleBeside(milliseconds, startMachine, SETTLE_MS),
        limits: { 'two workers asleep': idleBeside(milliseconds / 2, startSleepers, 0) },
      }
    },
  },
]
