/** An interrupt, from the assertion of its line to the end of the DPC that its ISR has queued. */
import { aboard, figureOf } from './aboard.ts'
import { apart } from './apart.ts'
import { atMost, type Benchmark } from './benchmark.ts'

const DRIVER = new URL('./drivers/locks.ts', import.meta.url)

export const isr: Benchmark[] = [
  {
    name: 'isr',
    unit: 'ns',
    what: 'line → ISR → DPC, one processor, nothing traced',
    goals: [atMost(8, 'EventEmitter.emit')],
    async prepare(quick) {
      const rounds = quick ? 100_000 : 500_000
      const machine = await aboard({ trace: false })
      return {
        ours: figureOf(machine, DRIVER, 'isr', rounds),
        peers: {
          'EventEmitter.emit': apart('calls', 'emit', rounds * 4),
          'setImmediate hop': apart('calls', 'immediateHop', rounds >> 3),
        },
        close: () => machine.end(),
      }
    },
  },
]
