/** The thread of a machine: see aboard.ts. */
import { parentPort, workerData } from 'node:worker_threads'
import { boot, type BootOptions } from '../machine/index.ts'
import type { Job } from './aboard.ts'

const parent = parentPort
if (parent === null) throw new Error('this file is a thread of the benchmarks')
const machine = await boot(workerData as BootOptions)

async function run({ driver, routine, argument }: Job): Promise<unknown> {
  try {
    return await machine.run(driver, routine, argument)
  } catch (error) {
    return error
  }
}

async function hear(job: Job | null): Promise<void> {
  if (job !== null) return parent?.postMessage(await run(job))
  await machine.shutdown()
  parent?.close()
}

parent.on('message', (job: Job | null) => void hear(job))
parent.postMessage('ready')
