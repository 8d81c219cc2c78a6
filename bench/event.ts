/** Hand-overs through a named event: between threads of one processor, and between two processors. */
import { aboard, type Aboard } from './aboard.ts'
import { apart } from './apart.ts'
import { baseline } from './baselines.ts'
import { atLeast, atMost, type Benchmark, expectEqual, rate, rates, timedAsync } from './benchmark.ts'
import { startPair, takePair } from './pairs.ts'

/**
 * Hand-overs of a machine a run: in the first hundred milliseconds the host's scheduler may have both processors on one
 * core, where who spins keeps the other from running.
 */
const MANY = { quick: 20_000, full: 60_000 }
/** Until what waits and wakes is compiled. */
const WARM_UP = 40_000
const DRIVER = new URL('./drivers/events.ts', import.meta.url)

/** Runs two sides on the machine and gives back nanoseconds a hand-over. */
async function handOver(machine: Aboard, rounds: number, sides: [string, object, number][]): Promise<number> {
  const address = await machine.run(DRIVER, 'create')
  const ns = await timedAsync(rounds * 2, () =>
    Promise.all(
      sides.map(([routine, more, processor]) => machine.run(DRIVER, routine, { address, rounds, ...more }, processor)),
    ),
  )
  expectEqual(await machine.run(DRIVER, 'close', address), rounds * 2, 'the count')
  return ns
}

export const event: Benchmark[] = [
  {
    name: 'event',
    unit: '/s',
    what: 'hand-overs of a named event between two threads of one processor',
    goals: [atLeast(1, 'async-mutex')],
    async prepare(quick) {
      const rounds = quick ? 10_000 : 100_000
      const machine = await aboard()
      const sides: [string, object, number][] = [
        ['share', {}, 0],
        ['share', {}, 0],
      ]
      await handOver(machine, WARM_UP, sides)
      return {
        ours: rate(() => handOver(machine, rounds, sides)),
        peers: rates({
          'async-mutex': apart('locks', 'asyncMutexHandOver', rounds),
          'async-lock': apart('locks', 'asyncLockHandOver', rounds),
        }),
        close: () => machine.end(),
      }
    },
  },
  {
    name: 'event.two',
    unit: 'ns',
    what: 'hand-over of a named event between two processors',
    goals: [atMost(2, 'Atomics.wait and notify'), atMost(0.5, 'postMessage')],
    async prepare(quick) {
      const rounds = quick ? 3000 : 20_000
      const machine = await aboard({ processors: 2 })
      const [asleep, spinning, messages] = await Promise.all([
        startPair('wake'),
        startPair('spin'),
        startPair('messages'),
      ])
      const sides: [string, object, number][] = [
        ['pingPong', { begins: true }, 0],
        ['pingPong', { begins: false }, 1],
      ]
      return {
        ours: () => handOver(machine, quick ? MANY.quick : MANY.full, sides),
        peers: { postMessage: takePair(messages, rounds >> 1, (rounds >> 1) * 2) },
        limits: {
          'Atomics.wait and notify': takePair(asleep, rounds, rounds * 2),
          'Atomics, both spinning': takePair(spinning, rounds, rounds * 2),
          ...baseline('POSIX semaphores', 'semaphores', rounds),
        },
        close: async () => void (await Promise.all([machine.end(), asleep.end(), spinning.end(), messages.end()])),
      }
    },
  },
]
