/**
 * Peers run in a thread of their own: what a machine plugs into its thread, such as hooks on promises, would be their
 * cost, too. Those that have devices open run in a process of their own, for their packages cannot bear a thread.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import type { Take } from './benchmark.ts'
import { compiledEnv } from './compiled.ts'
import { answer } from './far.ts'

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
    const [told] = (await once(thread, 'message')) as [number | Error]
    thread.unref()
    if (told instanceof Error) throw told
    return told
  }
}

function start(): Worker {
  const worker = new Worker(RUNNER, { env: compiledEnv })
  worker.unref()
  return worker
}

let child: ChildProcess | null = null

/** The same in another process. */
export function beside(file: string, routine: string, argument: unknown): Take {
  return async () => {
    child ??= fork(fileURLToPath(RUNNER), { serialization: 'advanced', env: compiledEnv })
    child.ref()
    child.channel?.ref()
    child.send({ file, routine, argument } satisfies Errand)
    const figure = await answer<number>(child)
    child.unref()
    child.channel?.unref()
    return figure
  }
}
