/** Spin locks and interrupt spin locks: that nobody else wants, and that two processors want. */
import { aboard, figureOf } from './aboard.ts'
import { apart } from './apart.ts'
import { baseline } from './baselines.ts'
import { atLeast, atMost, type Benchmark, expectEqual, rates } from './benchmark.ts'
import { perRound, type Span } from './drivers/meet.ts'
import { startPair, takePair } from './pairs.ts'

const DRIVER = new URL('./drivers/locks.ts', import.meta.url)

/** `routine` of the driver, on the first of so many processors. */
async function alone(routine: string, processors: number, rounds: number) {
  const machine = await aboard({ processors })
  return { ours: figureOf(machine, DRIVER, routine, rounds), close: () => machine.end() }
}

const uncontended: Benchmark[] = [1, 2].map((processors) => ({
  name: processors === 1 ? 'spinlock' : 'spinlock.two',
  unit: 'ns',
  what: `KeAcquireSpinLock and KeReleaseSpinLock, uncontended, machine of ${processors}`,
  goals: processors === 1 ? [atMost(1.7, 'Atomics pair')] : [],
  async prepare(quick) {
    const rounds = quick ? 300_000 : 2_000_000
    return {
      ...(await alone('spinLock', processors, rounds)),
      limits: {
        'Atomics pair': apart('locks', 'atomicsPair', rounds),
        ...baseline('pthread_spin_lock', 'spin', rounds),
      },
    }
  },
}))

const contended: Benchmark = {
  name: 'spinlock.contended',
  unit: '/s',
  what: 'holds of a spin lock, two processors that want it all the time',
  goals: [atLeast(0.7, 'Atomics pair')],
  remark:
    'While one processor holds the lock the other can do nothing, so what a hold costs beyond the two atomic operations is ' +
    'lost for both: the level, the holder’s mark, the list of held locks. How often the lock changes hands differs ' +
    'from run to run, and with it both figures.',
  async prepare(quick) {
    const rounds = quick ? 100_000 : 500_000
    const machine = await aboard({ processors: 2 })
    const pair = await startPair('contend')
    return {
      ours: async () => {
        const address = await machine.run(DRIVER, 'create')
        const sides = [0, 1].map((side) => machine.run(DRIVER, 'contend', { address, rounds }, side))
        const spans = (await Promise.all(sides)) as Span[]
        expectEqual(await machine.run(DRIVER, 'close', address), rounds * 2, 'the count')
        return 1e9 / perRound(spans, rounds)
      },
      limits: rates({
        'Atomics pair': takePair(pair, rounds, rounds * 2),
        ...baseline('pthread_spin_lock', 'spin-contended', rounds),
      }),
      close: async () => void (await Promise.all([machine.end(), pair.end()])),
    }
  },
}

export const spinlock: Benchmark[] = [...uncontended, contended]

export const synch: Benchmark[] = [1, 2].map((processors) => ({
  name: processors === 1 ? 'synch' : 'synch.two',
  unit: 'ns',
  what: `KeSynchronizeExecution, uncontended, machine of ${processors}`,
  goals: [atMost(1.8, 'call through an Atomics lock')],
  async prepare(quick) {
    const rounds = quick ? 300_000 : 2_000_000
    return {
      ...(await alone('synchronize', processors, rounds)),
      limits: { 'call through an Atomics lock': apart('locks', 'atomicsCall', rounds) },
    }
  },
}))
