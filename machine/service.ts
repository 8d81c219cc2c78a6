/** What the user's program has a processor do: runs on the processor's own thread. */
import { kernelRoutine, registerImage, retireImage, type Routine, routineId } from '../kernel/ke/image.ts'
import { readyThread } from '../kernel/ke/start.ts'
import { currentThread } from '../kernel/ke/thread.ts'
import { loadDriver, unloadDriver } from '../kernel/io/driver.ts'
import { createBaseNamedObjects } from '../kernel/ob/init.ts'
import { createThread } from '../kernel/ps/thread.ts'
import type { Pvoid } from '../kernel/rtl/struct.ts'
import { NT_SUCCESS, STATUS_DRIVER_ENTRYPOINT_NOT_FOUND, STATUS_INVALID_IMAGE_FORMAT } from '../kernel/rtl/status.ts'
import { LoadError, statusText } from './errors.ts'
import type { Request } from './protocol.ts'

/** Does what was asked, and gives back what the program gets. */
export async function serve(request: Request): Promise<unknown> {
  switch (request.kind) {
    case 'import':
      return describe(await importImage(request.number, request.name, request.url))
    case 'retire':
      return retireImage(request.number)
    case 'run':
      return runExport(request.url, request.name, request.argument)
    case 'load':
      return runOnThread(() => load(request.number, request.name, request.url))
    case 'unload':
      return runOnThread(() => unloadDriver(request.name))
    case 'named-objects':
      return runOnThread(createBaseNamedObjects)
    case 'inspect':
    case 'syscall':
      throw new Error(`a processor cannot serve '${request.kind}'`)
  }
}

/** Modules of loaded images, by URL. */
const modules = new Map<string, Record<string, unknown>>()

/** Imports a driver file on this processor and registers its exports under `number`. */
async function importImage(number: number, name: string, url: string): Promise<Record<string, unknown>> {
  let exports: Record<string, unknown>
  try {
    exports = (await import(url)) as Record<string, unknown>
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new LoadError(`driver ${name} cannot be imported from ${url}: ${reason}`, STATUS_INVALID_IMAGE_FORMAT, {
      cause: error,
    })
  }
  registerImage(number, name, url, exports)
  modules.set(url, exports)
  return exports
}

/** What the loader must know of an image. */
export interface ImageDescription {
  hasDriverEntry: boolean
  hardwareIds: string[]
}

function describe(exports: Record<string, unknown>): ImageDescription {
  const { DriverEntry, hardwareIds } = exports
  const ids = Array.isArray(hardwareIds) ? hardwareIds.filter((id) => typeof id === 'string') : []
  return { hasDriverEntry: typeof DriverEntry === 'function', hardwareIds: ids as string[] }
}

async function load(image: number, name: string, url: string): Promise<void> {
  const entry = modules.get(url)?.['DriverEntry']
  if (typeof entry !== 'function') {
    throw new LoadError(
      `driver ${name} (${url}) has no DriverEntry: write \`export function DriverEntry(DriverObject, RegistryPath)\``,
      STATUS_DRIVER_ENTRYPOINT_NOT_FOUND,
    )
  }
  const { status } = await loadDriver({ image, name, driverEntry: entry as Routine })
  if (NT_SUCCESS(status)) return
  throw new LoadError(`driver ${name} was not loaded: ${statusText(status)}`, status)
}

type Outcome = { value: unknown } | { error: unknown }
/** Bodies of threads that serve the program, by KTHREAD: they run where they were made. */
const bodies = new Map<number, { body: () => unknown; settle: (outcome: Outcome) => void }>()

/** The start routine of those threads. */
const runBody = kernelRoutine(async function runBody(): Promise<void> {
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
export function runOnThread<T>(body: () => T | Promise<T>, process?: number): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const routine = routineId(runBody)
    const thread = createThread(
      process === undefined ? { routine, context: null } : { routine, context: null, process },
    )
    if (thread === 0) {
      reject(new Error('the pool has no room for a thread'))
      return
    }
    bodies.set(thread, {
      body,
      settle: (outcome) => ('value' in outcome ? resolve(outcome.value as T) : reject(outcome.error as Error)),
    })
    readyThread(thread)
  })
}

/** Calls the export `name` of the imported file at `url`, as a system thread. */
async function runExport(url: string, name: string, argument: unknown): Promise<unknown> {
  const exports = modules.get(url) ?? {}
  const routine = exports[name]
  if (typeof routine === 'function') return runOnThread(() => (routine as Routine)(argument as Pvoid))
  const functions = Object.keys(exports).filter((key) => typeof exports[key] === 'function')
  throw new LoadError(
    `${url} exports no function '${name}'; it exports ${functions.join(', ') || 'none'}`,
    STATUS_DRIVER_ENTRYPOINT_NOT_FOUND,
  )
}

/** Another machine begins on this thread. */
export function forgetServices(): void {
  modules.clear()
  bodies.clear()
}
