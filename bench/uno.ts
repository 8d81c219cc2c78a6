/** What an emulated Uno costs: milliseconds of a processor for an emulated second. */
import { execFile, spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Uno } from '../firmware-sim/avr/uno.ts'
import { apart } from './apart.ts'
import { type Benchmark, expectEqual, type Take } from './benchmark.ts'
import { processorMs } from './peers/uno.ts'

const BUSY = fileURLToPath(new URL('../test/firmware-sim/avr/busy.hex', import.meta.url))
const HZ = 16_000_000
const SIMAVR_SOURCE = join(import.meta.dirname, 'c', 'simavr.c')
const FOLDER = join(import.meta.dirname, 'node_modules', '.cache')

const run = promisify(execFile)

/** A program that never sleeps: each instruction is executed. */
function busy(seconds: number): Take {
  const firmware = readFileSync(BUSY, 'latin1')
  return () => {
    const { chip } = new Uno({ firmware })
    let wrong = 0
    chip.usart.onByte = (byte) => {
      if (byte !== 'p'.charCodeAt(0)) wrong += 1
    }
    const ms = processorMs(() => chip.run(seconds * HZ))
    expectEqual(wrong, 0, 'the count of wrong results')
    return Promise.resolve(ms / seconds)
  }
}

/** The same in C, where Debian's libsimavr-dev and a compiler are. */
function simavr(seconds: number): Record<string, Take> {
  mkdirSync(FOLDER, { recursive: true })
  const path = join(FOLDER, 'simavr')
  const built = spawnSync('cc', ['-O2', '-o', path, SIMAVR_SOURCE, '-lsimavr'], { encoding: 'utf8' })
  if (built.status !== 0) {
    console.error('bench: simavr is left out: it takes a C compiler and Debian’s libsimavr-dev')
    return {}
  }
  const take = async (): Promise<number> => Number((await run(path, [BUSY, String(seconds)])).stdout)
  return { 'libsimavr (C)': take }
}

export const uno: Benchmark[] = [
  {
    name: 'uno',
    unit: 'ms',
    what: 'an emulated second of an Uno whose program never sleeps',
    most: 333,
    goals: { avr8js: 1.17 },
    remark: 'Time of the processor, not of the clock. Real time is 1,000 ms.',
    prepare(quick) {
      const seconds = quick ? 2 : 5
      return Promise.resolve({
        ours: busy(seconds),
        peers: { avr8js: apart('uno', 'avr8js', { image: BUSY, seconds }), ...simavr(seconds) },
      })
    },
  },
]
