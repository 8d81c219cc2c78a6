/** The thread that peers run in: does one errand after the other. */
import { parentPort } from 'node:worker_threads'
import type { Errand } from '../apart.ts'

type Routine = (argument: unknown) => number | Promise<number>

async function run({ file, routine, argument }: Errand): Promise<number> {
  const peers = (await import(`./${file}.ts`)) as Record<string, Routine>
  return (peers[routine] as Routine)(argument)
}

parentPort?.on('message', (errand: Errand) => {
  run(errand).then(
    (figure) => parentPort?.postMessage(figure),
    (error: unknown) => parentPort?.postMessage(error),
  )
})
