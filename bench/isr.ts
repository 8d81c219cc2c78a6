/** An interrupt, from the assertion of its line to the end of the DPC that its ISR has queued. */
import { boot } from '../machine/index.ts'
import { apart } from './apart.ts'
import { atMost, type Benchmark, expectEqual } from './benchmark.ts'
import type { Figure } from './drivers/locks.ts'

const DRIVER = new URL('./drivers/locks.ts', import.meta.url)

export const isr: Benchmark[] = [
  {
    name: 'isr',
    unit: 'ns',
    what: 'line → ISR → DPC, one processor, nothing traced',
    goals: [atMost(8, 'EventEmitter.emit')],
    async prepare(quick) {
      const rounds = quick ? 100_000 : 500_000
      const machine = await boot({ trace: false })
      return {
        ours: async () => {
          const { ns, count, deferred } = (await machine.run(DRIVER, 'isr', rounds)) as Figure & { deferred: number }
          expectEqual(count, rounds, 'the count of interrupts')
          expectEqual(deferred, rounds, 'the count of DPCs')
          return ns
        },
        peers: {
          'EventEmitter.emit': apart('calls', 'emit', rounds * 4),
          'setImmediate hop': apart('calls', 'immediateHop', rounds >> 3),
        },
        close: () => machine.shutdown(),
      }
    },
  },
]
