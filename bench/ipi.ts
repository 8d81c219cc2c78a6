/** How long it takes until another processor, which sleeps, runs an ISR. */
import { aboard } from './aboard.ts'
import { baseline } from './baselines.ts'
import { atMost, type Benchmark, expectEqual, type Goal, quantile } from './benchmark.ts'
import { startPair, takePair } from './pairs.ts'

/** Interrupts until what runs behind a wake-up is compiled. */
const WARM_UP = 1500
/** A host wakes a core fast or slowly for seconds on end: many short runs see both. */
const RUNS = { quick: 7, full: 25 }
const WAKE_REMARK =
  'What it takes is the wake-up of an idle core, which Atomics.wait has in common with us, and which on a virtual machine ' +
  'is most of a message as well: half of postMessage is out of reach where bare Atomics.wait and notify takes more.'
const DRIVER = new URL('./drivers/ipi.ts', import.meta.url)

function shareBelow(name: string, share: number, goals: readonly Goal[]): Benchmark {
  return {
    name,
    unit: 'ns',
    ...(share === 0.5 && { remark: WAKE_REMARK }),
    what: `line → ISR on another, idle processor, p${share * 100}`,
    goals,
    runs: RUNS,
    async prepare(quick) {
      const rounds = quick ? 100 : 500
      const machine = await aboard({ processors: 2 })
      const [wake, message] = await Promise.all([startPair('wakeOneWay'), startPair('messageOneWay')])
      const address = await machine.run(DRIVER, 'connect', null, 1)
      let asserted = 0
      const latencies = async (count: number): Promise<number[]> => {
        asserted += count
        return (await machine.run(DRIVER, 'assertLine', { address, rounds: count })) as number[]
      }
      await latencies(WARM_UP)
      return {
        ours: async () => quantile(await latencies(rounds), share),
        peers: { postMessage: takePair(message, rounds, rounds, share) },
        limits: {
          'Atomics.wait and notify': takePair(wake, rounds, rounds, share),
          ...baseline('futex', 'wake', rounds, share),
        },
        close: async () => {
          expectEqual(await machine.run(DRIVER, 'disconnect', address, 1), asserted, 'the count of interrupts')
          await Promise.all([machine.end(), wake.end(), message.end()])
        },
      }
    },
  }
}

export const ipi: Benchmark[] = [
  shareBelow('ipi', 0.5, [atMost(1.5, 'Atomics.wait and notify'), atMost(0.5, 'postMessage')]),
  shareBelow('ipi.p99', 0.99, []),
]
