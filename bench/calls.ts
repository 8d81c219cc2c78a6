/** DPCs, timers, waits and IRPs of one processor: the usual operation of each. */
import { boot } from '../machine/index.ts'
import { aboard, figureOf } from './aboard.ts'
import { apart } from './apart.ts'
import { type Benchmark, type Contenders, expectEqual, timedAsync } from './benchmark.ts'

const CALLS = new URL('./drivers/calls.ts', import.meta.url)
const STACK = new URL('./drivers/stack.ts', import.meta.url)

/** What one exported routine of a driver measures. */
function measured(
  {
    driver,
    routine,
    rounds: full,
    ...rest
  }: Omit<Benchmark, 'unit' | 'prepare'> & {
    driver: URL
    routine: string
    rounds: number
  },
  others: (rounds: number) => Pick<Contenders, 'peers' | 'limits'>,
): Benchmark {
  return {
    ...rest,
    unit: 'ns',
    async prepare(quick) {
      const rounds = quick ? full / 10 : full
      const machine = await aboard({ drivers: driver === STACK ? [STACK.href] : [] })
      return {
        ours: figureOf(machine, driver, routine, rounds),
        ...others(rounds),
        close: () => machine.end(),
      }
    },
  }
}

export const dpc: Benchmark[] = [
  measured(
    { name: 'dpc', what: 'KeInsertQueueDpc until the DPC has run', driver: CALLS, routine: 'dpc', rounds: 500_000 },
    (rounds) => ({
      peers: {
        'queueMicrotask, awaited': apart('calls', 'microtask', rounds),
        'setImmediate hop': apart('calls', 'immediateHop', rounds >> 3),
      },
    }),
  ),
]

export const timer: Benchmark[] = [
  measured(
    { name: 'timer', what: 'KeSetTimer and KeCancelTimer', driver: CALLS, routine: 'timer', rounds: 500_000 },
    (rounds) => ({ peers: { 'setTimeout and clearTimeout': apart('calls', 'timeout', rounds) } }),
  ),
]

export const wait: Benchmark[] = [
  measured(
    {
      name: 'wait',
      what: 'KeSetEvent and a wait that it satisfies, awaited',
      driver: CALLS,
      routine: 'satisfied',
      rounds: 500_000,
    },
    (rounds) => ({
      peers: { 'events.once and emit': apart('calls', 'onceEmitted', rounds >> 2) },
      limits: { 'await of a settled promise': apart('calls', 'settled', rounds) },
    }),
  ),
  {
    name: 'wait.blocked',
    unit: 'ns',
    what: 'a wait that blocks until another thread of the processor sets the event',
    async prepare(quick) {
      const rounds = quick ? 20_000 : 100_000
      const machine = await boot()
      return {
        ours: async () => {
          const address = await machine.run(CALLS, 'create')
          const sides = [true, false].map((begins) => ({ address, rounds, begins }))
          const ns = await timedAsync(rounds * 2, () =>
            Promise.all(sides.map((side) => machine.run(CALLS, 'blocked', side))),
          )
          expectEqual(await machine.run(CALLS, 'close', address), rounds * 2, 'the count')
          return ns
        },
        peers: { 'two promises': apart('calls', 'deferred', rounds) },
        close: () => machine.shutdown(),
      }
    },
  },
]

export const irp: Benchmark[] = [
  measured(
    {
      name: 'irp',
      what: 'a buffered read built, sent through two devices, completed, awaited',
      driver: STACK,
      routine: 'send',
      rounds: 100_000,
    },
    (rounds) => ({ peers: { 'two async methods': apart('calls', 'layers', rounds) } }),
  ),
]
