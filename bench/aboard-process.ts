/** The process of a machine: see aboard.ts. Its first message is how the machine is booted. */
import { once } from 'node:events'
import { boot } from '../machine/index.ts'
import type { Job, Options } from './aboard.ts'

const [options] = (await once(process, 'message')) as [Options]
const machine = await boot(options)

async function run({ driver, routine, argument }: Job): Promise<void> {
  try {
    process.send?.(await machine.run(driver, routine, argument))
  } catch (error) {
    process.send?.(error)
  }
}

process.on('message', (job: Job) => void run(job))
process.on('disconnect', () => void machine.shutdown())
process.send?.('ready')
