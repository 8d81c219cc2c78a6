/** What an emulated Uno costs: emulated seconds for a second of the processor that it runs on. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Uno } from '../firmware-sim/avr/uno.ts'
import { boot, type Machine } from '../machine/index.ts'
import { apart } from './apart.ts'
import { atLeast, type Benchmark, expectEqual, type Take } from './benchmark.ts'
import { HZ, speedOf } from './peers/uno.ts'
import { simavr } from './simavr.ts'

const FIRMWARE = fileURLToPath(new URL('../boards/arduino-uno/firmware/uno.hex', import.meta.url))
const BUSY = fileURLToPath(new URL('../test/firmware-sim/avr/busy.hex', import.meta.url))
const DRIVERS = ['tmp102', 'at24'].map((name) => new URL(`../drivers/${name}/index.ts`, import.meta.url))
const PAGE = 64
const PAGES = 16
const CELSIUS = 23.5

/** Two programs keep both drivers busy on one bus: the sensor is read, and pages are written and read back. */
async function work(machine: Machine, seconds: number): Promise<void> {
  let goesOn = true
  const readings = read(machine, () => goesOn)
  const pages = write(machine, () => goesOn)
  await machine.sleep(seconds * 1000)
  goesOn = false
  const counts = await Promise.all([readings, pages])
  if (counts.some((count) => count === 0)) throw new Error('a driver had nothing to do: no figure')
}

async function read(machine: Machine, goesOn: () => boolean): Promise<number> {
  await using file = await machine.open('Tmp102-0')
  let count = 0
  for (; goesOn(); count++) {
    expectEqual(Number(new TextDecoder().decode(await file.read(32))), CELSIUS, 'the temperature')
  }
  return count
}

async function write(machine: Machine, goesOn: () => boolean): Promise<number> {
  await using file = await machine.open('At24-0')
  let count = 0
  for (; goesOn(); count++) {
    const offset = (count % PAGES) * PAGE
    const page = Uint8Array.from({ length: PAGE }, (_, index) => (count * 31 + index) & 0xff)
    await file.write(page, { offset })
    const back = await file.read(PAGE, { offset })
    expectEqual(Buffer.compare(page, back), 0, 'the difference of what was read back')
  }
  return count
}

async function bootUno(): Promise<Machine> {
  const machine = await boot({
    clock: 'virtual',
    drivers: DRIVERS,
    boards: [{ board: 'arduino-uno', name: 'uno', at: 'emulated' }],
  })
  machine.board('uno').set('temperature', CELSIUS)
  await machine.sleep(500) // the sensor converts four times a second
  return machine
}

/** A program that never sleeps: each instruction is executed. */
function busy(seconds: number): Take {
  const firmware = readFileSync(BUSY, 'latin1')
  return () => {
    const { chip } = new Uno({ firmware })
    let wrong = 0
    chip.usart.onByte = (byte) => {
      if (byte !== 'p'.charCodeAt(0)) wrong += 1
    }
    return speedOf(seconds, () => {
      chip.run(seconds * HZ)
      expectEqual(wrong, 0, 'the count of wrong results')
    })
  }
}

export const uno: Benchmark[] = [
  {
    name: 'uno',
    unit: 's/s',
    what: 'emulated Uno with its firmware, the kernel and two drivers that share its bus, one thread',
    goals: [atLeast(0.85, 'avr8js'), atLeast(3)],
    remark:
      'Time of the processor, not of the clock; above 1 s/s it is faster than real time. avr8js runs the same image and ' +
      'nothing else; it knows no sleep, so it executes every cycle.',
    async prepare(quick) {
      const seconds = quick ? 1 : 10
      const machine = await bootUno()
      return {
        ours: () => speedOf(seconds, () => work(machine, seconds)),
        peers: { avr8js: apart('uno', 'firmware', { image: FIRMWARE, seconds: quick ? 0.5 : 5 }) },
        async close() {
          const report = await machine.board('uno').busReport()
          expectEqual(report?.mixedTransactions, 0, 'the count of sequences on the bus that were cut into')
          await machine.shutdown()
        },
      }
    },
  },
  {
    name: 'uno.busy',
    unit: 's/s',
    what: 'emulated Uno whose program never sleeps, and nothing else',
    goals: [atLeast(0.85, 'avr8js'), atLeast(3)],
    remark:
      'simavr is C, and the measure of what this host can do: where it takes a second for three emulated ones, so much is ' +
      'the goal of a JavaScript program.',
    prepare: async (quick) => {
      const seconds = quick ? 0.5 : 5
      return {
        ours: busy(seconds),
        peers: { avr8js: apart('uno', 'busy', { image: BUSY, seconds }), ...simavr(BUSY, seconds) },
      }
    },
  },
]
