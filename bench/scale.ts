/** What a machine costs with few and with many boards, threads, handles and objects. */
import { boot, type Machine } from '../machine/index.ts'
import { atMost, type Benchmark, type Contenders, expectEqual, type Goal, timedAsync } from './benchmark.ts'
import { chainBoard, DEVICE, LINE } from './drivers/chainboard.ts'

const CHAIN = new URL('./drivers/chain.ts', import.meta.url)
const CROWD = new URL('./drivers/crowd.ts', import.meta.url)
const CALLS = new URL('./drivers/calls.ts', import.meta.url)

/** As flat as that. */
const FLAT = 1.5

/** One run measures all sizes, one after the other: a machine that grows. Ours is the last, the others are limits. */
function sweep<S>(sizes: readonly S[], label: (size: S) => string, take: () => Promise<number[]>): Contenders {
  let figures: number[] = []
  const limits = sizes.slice(0, -1).map((size, index) => [label(size), async () => figures[index] as number])
  return {
    async ours() {
      figures = await take()
      return figures.at(-1) as number
    },
    limits: Object.fromEntries(limits),
  }
}

const flat = <S>(sizes: readonly S[], label: (size: S) => string): Goal[] =>
  sizes.slice(0, -1).map((size) => atMost(FLAT, label(size)))

// Boards.

const BOARDS = [1, 10, 100]
const boards = (count: number): string => `${count} ${count === 1 ? 'board' : 'boards'}`

async function poolBytes(machine: Machine): Promise<number> {
  const { pool } = await machine.inspect()
  return pool.reduce((sum, { bytes }) => sum + bytes, 0)
}

/** One interrupt goes round all boards; virtual time, so that nobody waits for the wire. */
async function passRound(machine: Machine, count: number, rounds: number): Promise<number> {
  let interrupts = 0
  const lines = Array.from({ length: count }, (_, index) => machine.board(`chain-${index}`).model.device(`${DEVICE}0`))
  const interrupt = (index: number): void => {
    const device = lines[index % count]
    device?.add('COUNT', 1)
    device?.line(LINE).pulse()
  }
  for (const [index, device] of lines.entries()) {
    device.onWrite = () => {
      interrupts += 1
      if (interrupts < rounds) interrupt(index + 1)
    }
  }
  const ns = await timedAsync(rounds, async () => {
    interrupt(0)
    while (interrupts < rounds) await machine.sleep(10)
  })
  expectEqual(interrupts, rounds, 'the count of interrupts')
  return ns
}

type Measured = (machine: Machine, count: number, bytesBefore: number) => Promise<number>

async function perBoards(measure: Measured): Promise<number[]> {
  await using machine = await boot({ clock: 'virtual', drivers: [CHAIN] })
  const bytes = await poolBytes(machine)
  const figures: number[] = []
  let plugged = 0
  for (const count of BOARDS) {
    for (; plugged < count; plugged++) {
      const board = await machine.plug({ board: chainBoard() })
      board.model.keepsWrites = false // a hundred lists that grow are nothing of the machine's
    }
    figures.push(await measure(machine, count, bytes))
  }
  return figures
}

// Threads, handles, objects.

/** Two threads hand an event back and forth, as in `wait.blocked`. */
async function handOver(machine: Machine, rounds: number): Promise<number> {
  const address = await machine.run(CALLS, 'create')
  const sides = [true, false].map((begins) => ({ address, rounds, begins }))
  const ns = await timedAsync(rounds * 2, () => Promise.all(sides.map((side) => machine.run(CALLS, 'blocked', side))))
  expectEqual(await machine.run(CALLS, 'close', address), rounds * 2, 'the count')
  return ns
}

async function perThreads(counts: readonly number[], rounds: number): Promise<number[]> {
  await using machine = await boot()
  const figures: number[] = []
  for (const count of counts) {
    await machine.run(CROWD, 'parkThreads', count)
    await handOver(machine, rounds)
    figures.push(await handOver(machine, rounds))
  }
  const woken = await machine.run(CROWD, 'wakeThreads')
  await machine.sleep(1)
  expectEqual(await machine.run(CROWD, 'wokenThreads'), woken, 'the count of threads that woke')
  return figures
}

async function perSize(counts: readonly number[], fill: string, use: string, rounds: number): Promise<number[]> {
  await using machine = await boot()
  const figures: number[] = []
  for (const count of counts) {
    await machine.run(CROWD, fill, count)
    await machine.run(CROWD, use, rounds)
    figures.push((await machine.run(CROWD, use, rounds)) as number)
  }
  return figures
}

function crowd(
  name: string,
  what: string,
  counts: readonly number[],
  take: (rounds: number) => Promise<number[]>,
): Benchmark {
  const label = (count: number): string => count.toLocaleString('en')
  return {
    name: `scale.${name}`,
    unit: 'ns',
    what,
    goals: flat(counts, label),
    prepare: async (quick) => sweep(counts, label, () => take(quick ? 3000 : 20_000)),
  }
}

const THREADS = [1, 100, 10_000]
const HANDLES = [100, 10_000]
const OBJECTS = [100, 100_000]

export const scale: Benchmark[] = [
  {
    name: 'scale',
    unit: 'ns',
    what: 'an interrupt that goes round 100 boards: line → ISR → DPC → register write → the next board',
    goals: flat(BOARDS, boards),
    prepare: async (quick) =>
      sweep(BOARDS, boards, () =>
        perBoards(async (machine, count) => {
          const rounds = quick ? 1000 : 10_000
          await passRound(machine, count, rounds >> 1)
          return passRound(machine, count, rounds)
        }),
      ),
  },
  {
    name: 'scale.memory',
    unit: 'bytes',
    what: 'memory of one board of 100',
    goals: flat(BOARDS, boards),
    runs: { quick: 1, full: 1 },
    prepare: async () =>
      sweep(BOARDS, boards, () =>
        perBoards(async (machine, count, bytesBefore) => {
          await passRound(machine, count, 100)
          return ((await poolBytes(machine)) - bytesBefore) / count
        }),
      ),
  },
  crowd('threads', 'a blocking wait while 10,000 threads wait for something else', THREADS, (rounds) =>
    perThreads(THREADS, rounds),
  ),
  crowd('handles', 'a handle made, referenced and closed while 10,000 are open', HANDLES, (rounds) =>
    perSize(HANDLES, 'openHandles', 'useHandles', rounds),
  ),
  crowd('objects', 'a named object opened and closed among 100,000', OBJECTS, (rounds) =>
    perSize(OBJECTS, 'nameObjects', 'useObjects', rounds),
  ),
]
