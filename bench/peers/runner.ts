/** What peers run in, a thread or a process: does one errand after the other. */
import { parentPort } from 'node:worker_threads'
import type { Errand } from '../apart.ts'

type Routine = (argument: unknown) => number | Promise<number>

async function run({ file, routine, argument }: Errand): Promise<number> {
  const peers = (await import(`./${file}.ts`)) as Record<string, Routine>
  return (peers[routine] as Routine)(argument)
}

const told = (answer: unknown): void => {
  if (parentPort !== null) parentPort.postMessage(answer)
  else process.send?.(answer)
}
const hear = (errand: Errand): void => void run(errand).then(told, told)

parentPort?.on('message', hear)
if (parentPort === null) process.on('message', hear).on('disconnect', () => process.exit())
