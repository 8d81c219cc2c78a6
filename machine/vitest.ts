/**
 * dirql/vitest: `test` with a machine.
 *
 *     test('…', async ({ machine }) => { … })
 *
 * The machine has one processor and takes local functions as routines; `test.override({ machineOptions: { … } })` in a
 * suite, or `test.extend({ machineOptions: { … } })`, says otherwise. Behind each test its boards are pulled out and its
 * drivers unloaded, and nothing may be left of what it and they have taken. One that fails prints the seed, and the crash record if there is one.
 */
import { type TestAPI, test as plain } from 'vitest'
import { siblingFile } from '../hal/siblingfile.ts'
import { boot } from './boot.ts'
import { type InUse, leaksBetween } from './leaks.ts'
import type { Machine } from './machine.ts'
import type { BootOptions } from './options.ts'
import { formatRecord } from './record.ts'

export interface MachineFixtures {
  /** What `boot` is given. Default: one processor, `localRoutines: true`. */
  machineOptions: BootOptions
  machine: Machine
}

/** A test took something of the machine and did not give it back. */
export class LeakError extends Error {
  override name = 'LeakError'
  readonly leaks: readonly string[]
  constructor(leaks: readonly string[]) {
    super(`the test leaks: ${leaks.join('; ')}`)
    this.leaks = leaks
  }
}

const LEAKS = siblingFile('leaks', import.meta.url)

const look = async (machine: Machine): Promise<InUse> => (await machine.run(LEAKS, 'inUse')) as InUse

export const test: TestAPI<MachineFixtures> = plain.extend<MachineFixtures>({
  machineOptions: {},
  machine: async ({ machineOptions, onTestFailed, task }, use) => {
    const options: BootOptions = { localRoutines: (machineOptions.processors ?? 1) === 1, ...machineOptions }
    const { drivers = [], boards = [] } = options
    const machine = await boot({ ...options, drivers: [], boards: [] })
    onTestFailed(() => {
      console.error(
        `machine: ${options.seed === undefined ? 'no seed, choices were in order' : `seed ${options.seed}`}`,
      )
      if (machine.crash !== null) console.error(formatRecord(machine.crash))
    })
    try {
      await (await machine.createEvent()).close() // makes the program's process, which stays
      await look(machine) // the first look brings in what it needs itself
      const before = await look(machine)
      for (const driver of drivers) await machine.load(driver)
      for (const board of boards) await machine.plug(board)
      await use(machine)
      // A test that failed has its reason already, and a machine that has stopped cannot be looked at.
      if (task.result?.state === 'fail' || machine.crash !== null) return
      await machine.clear()
      const leaks = leaksBetween(before, await look(machine))
      if (leaks.length > 0) throw new LeakError(leaks)
    } finally {
      await machine.shutdown()
    }
  },
})
