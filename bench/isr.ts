/** An interrupt, from the assertion of its line to the end of the DPC that its ISR has queued. */
import { aboard, figureOf } from './aboard.ts'
import { apart } from './apart.ts'
import { atMost, type Benchmark } from './benchmark.ts'

const DRIVER = new URL('./drivers/locks.ts', import.meta.url)

/** Until V8 has put the whole way into few functions. */
const WARM_UP = 500_000

export const isr: Benchmark[] = [
  {
    name: 'isr',
    unit: 'ns',
    what: 'line → ISR → DPC, one processor, nothing traced',
    goals: [atMost(8, 'EventEmitter.emit')],
    remark:
      'A request, two changes of level, the vector’s chain, the interrupt spin lock, the ISR, a DPC in a list and out of it, ' +
      'and what checks each of them. The limit is the same changes in one function without calls or checks. Measured ' +
      'with the option of V8 that the command sets (decision 0046); without it, it takes nearly twice as long.',
    async prepare(quick) {
      const rounds = quick ? 100_000 : 500_000
      const machine = await aboard({ trace: false })
      await machine.run(DRIVER, 'isr', WARM_UP)
      return {
        ours: figureOf(machine, DRIVER, 'isr', rounds),
        peers: {
          'EventEmitter.emit': apart('calls', 'emit', rounds * 4),
          'setImmediate hop': apart('calls', 'immediateHop', rounds >> 3),
        },
        limits: { 'the words alone': apart('interrupt', 'wordsAlone', rounds * 4) },
        close: () => machine.end(),
      }
    },
  },
]
