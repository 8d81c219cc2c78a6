/** The process of a machine: see aboard.ts. Its first message is how the machine is booted. */
import { once } from 'node:events'
import { boot } from '../machine/index.ts'
import type { Done, Job, Options } from './aboard.ts'
import { pin } from './cores.ts'

const THREAD = new URL('./drivers/thread.ts', import.meta.url)

const [options] = (await once(process, 'message')) as [Options]
const machine = await boot(options)
if (machine.processors > 1) {
  const threads = [0, 1].map((processor) => machine.run(THREAD, 'numberOf', null, processor))
  pin((await Promise.all(threads)) as number[])
}

async function run({ id, driver, routine, argument, processor }: Job): Promise<void> {
  const told: unknown = await machine.run(driver, routine, argument, processor).catch((error: unknown) => error)
  process.send?.({ id, told } satisfies Done)
}

process.on('message', (job: Job) => void run(job))
process.on('disconnect', () => void machine.shutdown())
process.send?.('ready')
