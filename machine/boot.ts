/** Boots a machine. */
import type { Machine } from './machine.ts'
import { type BootOptions, checkOptions } from './options.ts'
import { Multiprocessor } from './multiprocessor.ts'
import { Uniprocessor } from './uniprocessor.ts'

/** Boots a machine: its memory, its processors, the kernel, boards and drivers. `await using` shuts it down. */
export async function boot(options: BootOptions = {}): Promise<Machine> {
  const checked = checkOptions(options)
  const machine = checked.processors === 1 ? new Uniprocessor(checked) : await Multiprocessor.start(checked)
  try {
    await machine.begin()
  } catch (error) {
    await machine.shutdown()
    throw error
  }
  return machine
}
