/** What the user's program has a processor do: runs on the processor's thread. */
import { allocate, free } from '../kernel/mm/pool.ts'
import { kernelRoutine, registerImage, type Routine, routineId } from '../kernel/ke/image.ts'
import { KTHREAD } from '../kernel/ke/layouts.ts'
import { cpu } from '../kernel/ke/pcr.ts'
import { initializeThread, onThreadEnd, readyThread } from '../kernel/ke/start.ts'
import { currentThread } from '../kernel/ke/thread.ts'
import type { Pvoid } from '../kernel/rtl/struct.ts'
import { LoadError } from './errors.ts'

/** Modules of loaded images, by URL. */
const modules = new Map<string, Record<string, unknown>>()

/** Imports a driver file on this processor and registers its exports under `number`. */
export async function importImage(number: number, name: string, url: string): Promise<Record<string, unknown>> {
  let exports: Record<string, unknown>
  try {
    exports = (await import(url)) as Record<string, unknown>
  } catch (error) {
    throw new LoadError(`driver ${name} cannot be imported from ${url}: ${messageOf(error)}`, 0xc000007b | 0, {
      cause: error,
    })
  }
  registerImage(number, name, url, exports)
  modules.set(url, exports)
  return exports
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

type Body = () => unknown
/** Bodies of threads that serve the user's program, by KTHREAD: they run where they were made. */
const bodies = new Map<number, { body: Body; settle: (outcome: Outcome) => void }>()
type Outcome = { value: unknown } | { error: unknown }

/** The start routine of those threads. */
const serve = kernelRoutine(async (): Promise<void> => {
  const thread = currentThread()
  const served = bodies.get(thread)
  if (served === undefined) return
  bodies.delete(thread)
  try {
    served.settle({ value: await served.body() })
  } catch (error) {
    served.settle({ error })
  }
})

/** Runs `body` on a new system thread of this processor, at PASSIVE_LEVEL. */
export function runOnThread<T>(body: () => T | Promise<T>): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const thread = allocate(KTHREAD.size, 'Thre', 0)
    if (thread === 0) {
      reject(new Error('there is no pool for a thread'))
      return
    }
    initializeThread(thread, { routine: routineId(serve), context: null, processor: cpu.number, process: 0 })
    bodies.set(thread, {
      body,
      settle: (outcome) => ('value' in outcome ? resolve(outcome.value as T) : reject(outcome.error as Error)),
    })
    readyThread(thread)
  })
}

onThreadEnd.run = (thread) => free(thread)

/** Calls the export `name` of the file at `url`, as a system thread. */
export async function runExport(number: number, url: string, name: string, argument: unknown): Promise<unknown> {
  const exports = modules.get(url) ?? (await importImage(number, url, url))
  const routine = exports[name]
  if (typeof routine !== 'function') {
    const functions = Object.keys(exports).filter((key) => typeof exports[key] === 'function')
    throw new LoadError(
      `${url} exports no function '${name}'; it exports ${functions.join(', ') || 'none'}`,
      0xc0000263 | 0,
    )
  }
  return runOnThread(() => (routine as Routine)(argument as Pvoid))
}

export function forgetServices(): void {
  modules.clear()
  bodies.clear()
}
