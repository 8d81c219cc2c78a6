/** Locks that may wait: push locks, fast mutexes, resources. */
import { aboard, figureOf } from './aboard.ts'
import { apart } from './apart.ts'
import { baseline } from './baselines.ts'
import { atLeast, atMost, type Benchmark, type Contenders, expectEqual, rates } from './benchmark.ts'
import { perRound, type Span } from './drivers/meet.ts'
import { startPair, takePair } from './pairs.ts'

const DRIVER = new URL('./drivers/mutexes.ts', import.meta.url)
/** As in the driver, and in C. */
const ROUNDS_PER_WRITE = 100

/** What is measured on one processor, with nobody else there. */
function alone(
  benchmark: Omit<Benchmark, 'unit' | 'prepare'> & { routine: string; rounds: number },
  others: (rounds: number) => Pick<Contenders, 'peers' | 'limits'>,
): Benchmark {
  const { routine, rounds: full, ...rest } = benchmark
  return {
    ...rest,
    unit: 'ns',
    async prepare(quick) {
      const rounds = quick ? full / 10 : full
      const machine = await aboard()
      return {
        ours: figureOf(machine, DRIVER, routine, rounds),
        ...others(rounds),
        close: () => machine.end(),
      }
    },
  }
}

const pair = (rounds: number) => ({ 'Atomics pair': apart('locks', 'atomicsPair', rounds) })
const rwlocks = (rounds: number, isShared: boolean) => ({
  'async-rwlock': apart('locks', 'asyncRwlock', { rounds, isShared }),
  '@rocicorp/lock': apart('locks', 'rocicorpLock', { rounds, isShared }),
})

const readMostly: Benchmark = {
  name: 'pushlock.mostly',
  unit: '/s',
  what: 'holds of a push lock, 1 % of them exclusive, two processors',
  goals: [atLeast(0.4, 'pthread_rwlock')],
  remark:
    'What JavaScript can do is the second figure: one word that counts readers, without a kernel, checks or waiters that ' +
    'sleep. C holds its lock so briefly that one core often takes it several times before the other sees it free.',
  async prepare(quick) {
    const rounds = quick ? 100_000 : 500_000
    const machine = await aboard({ processors: 2 })
    const pair = await startPair('mostly')
    return {
      ours: async () => {
        const address = await machine.run(DRIVER, 'create')
        const sides = [0, 1].map((side) => machine.run(DRIVER, 'readMostly', { address, rounds }, side))
        const spans = (await Promise.all(sides)) as Span[]
        const writes = Math.ceil(rounds / ROUNDS_PER_WRITE) * 2
        expectEqual(await machine.run(DRIVER, 'close', address), writes, 'the count of exclusive holds')
        return 1e9 / perRound(spans, rounds)
      },
      limits: rates({
        'Atomics, readers counted': takePair(pair, rounds, Math.ceil(rounds / ROUNDS_PER_WRITE) * 2),
        ...baseline('pthread_rwlock', 'rwlock-mostly', rounds),
      }),
      close: async () => void (await Promise.all([machine.end(), pair.end()])),
    }
  },
}

export const pushlock: Benchmark[] = [
  alone(
    {
      name: 'pushlock',
      what: 'push lock held exclusively, uncontended, without await',
      routine: 'pushLockExclusive',
      rounds: 2_000_000,
      goals: [atMost(2, 'Atomics pair')],
    },
    (rounds) => ({ limits: { ...pair(rounds), ...baseline('pthread_rwlock', 'rwlock', rounds) } }),
  ),
  alone(
    {
      name: 'pushlock.shared',
      what: 'push lock held shared, uncontended, without await',
      routine: 'pushLockShared',
      rounds: 2_000_000,
      goals: [atMost(2, 'Atomics pair')],
    },
    (rounds) => ({ limits: pair(rounds) }),
  ),
  alone(
    {
      name: 'pushlock.awaited',
      what: 'push lock held exclusively, uncontended, awaited',
      routine: 'pushLockAwaited',
      rounds: 500_000,
      goals: [atMost(1, 'async-mutex')],
    },
    (rounds) => ({
      peers: { 'async-mutex': apart('locks', 'asyncMutex', rounds), ...rwlocks(rounds, false) },
    }),
  ),
  readMostly,
]

export const resource: Benchmark[] = [
  alone(
    {
      name: 'resource',
      what: 'ERESOURCE held exclusively, uncontended, awaited',
      routine: 'resourceExclusive',
      rounds: 500_000,
    },
    (rounds) => ({ peers: rwlocks(rounds, false) }),
  ),
  alone(
    {
      name: 'resource.shared',
      what: 'ERESOURCE held shared, uncontended, awaited',
      routine: 'resourceShared',
      rounds: 500_000,
    },
    (rounds) => ({ peers: rwlocks(rounds, true) }),
  ),
]

export const fastmutex: Benchmark[] = [
  alone(
    {
      name: 'fastmutex',
      what: 'fast mutex, uncontended, awaited',
      routine: 'fastMutex',
      rounds: 500_000,
    },
    (rounds) => ({ peers: { 'async-mutex': apart('locks', 'asyncMutex', rounds) } }),
  ),
]
