/**
 * Peers run in a thread of their own: what a machine plugs into its thread, such as hooks on promises, would be their
 * cost, too.
 */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { Take } from './benchmark.ts'

const RUNNER = new URL('./peers/runner.ts', import.meta.url)

export interface Errand {
  file: string
  routine: string
  argument: unknown
}

let thread: Worker | null = null

/** Takes the figure that `routine` of `peers/<file>` gives for `argument`. */
export function apart(file: string, routine: string, argument: unknown): Take {
  return async () => {
    thread ??= start()
    thread.ref()
    thread.postMessage({ file, routine, argument } satisfies Errand)
    const [answer] = (await once(thread, 'message')) as [number | Error]
    thread.unref()
    if (answer instanceof Error) throw answer
    return answer
  }
}

function start(): Worker {
  const worker = new Worker(RUNNER)
  worker.unref()
  return worker
}
