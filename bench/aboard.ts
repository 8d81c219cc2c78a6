/**
 * A machine of one processor in a thread of its own, as a program has it that boots one: in a thread that has seen other
 * machines, V8 knows less of this one (decision 0047). Peers run in a thread of their own as well.
 */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { BootOptions } from '../machine/index.ts'
import { compiledEnv } from './compiled.ts'
import { expectEqual, type Take } from './benchmark.ts'
import type { Figure } from './drivers/locks.ts'

const THREAD = new URL('./aboard-thread.ts', import.meta.url)

/** What the thread is told: a routine of a driver that the machine is to run. */
export interface Job {
  driver: string
  routine: string
  argument: unknown
}

/** As a machine has it. */
export interface Runs {
  run(driver: URL, routine: string, argument: unknown): Promise<unknown>
}

export interface Aboard extends Runs {
  end(): Promise<void>
}

export async function aboard(options: Pick<BootOptions, 'drivers' | 'trace'> = {}): Promise<Aboard> {
  const thread = new Worker(THREAD, { workerData: options, env: compiledEnv })
  await answer(thread)
  return {
    run(driver, routine, argument) {
      thread.postMessage({ driver: driver.href, routine, argument } satisfies Job)
      return answer(thread)
    },
    async end() {
      thread.postMessage(null)
      await once(thread, 'exit')
    },
  }
}

async function answer(thread: Worker): Promise<unknown> {
  const [told] = (await once(thread, 'message')) as [unknown]
  if (told instanceof Error) throw told
  return told
}

/** Takes the figure of a routine that counts its rounds. */
export function figureOf(machine: Runs, driver: URL, routine: string, rounds: number): Take {
  return async () => {
    const { ns, ...counts } = (await machine.run(driver, routine, rounds)) as Figure
    for (const [what, count] of Object.entries(counts)) expectEqual(count, rounds, `the ${what}`)
    return ns
  }
}
