/** What the user's program has a processor do: runs on the processor's own thread. */
import { StatusError } from '../kernel/ke/exception.ts'
import { kernelRoutine, registerImage, retireImage, type Routine, routineId } from '../kernel/ke/image.ts'
import { readyThread } from '../kernel/ke/start.ts'
import { currentThread } from '../kernel/ke/thread.ts'
import { registerHardwareIds, releaseDriverDevices } from '../kernel/io/pnpdrivers.ts'
import { pnpIdle } from '../kernel/io/pnpqueue.ts'
import { loadDriver, referenceDriver, unloadDriver } from '../kernel/io/driver.ts'
import { dereferenceObject } from '../kernel/ob/reference.ts'
import { createBaseNamedObjects } from '../kernel/ob/init.ts'
import { createThread } from '../kernel/ps/thread.ts'
import type { Pvoid } from '../kernel/rtl/struct.ts'
import {
  NT_SUCCESS,
  STATUS_DRIVER_ENTRYPOINT_NOT_FOUND,
  STATUS_INVALID_IMAGE_FORMAT,
  STATUS_PROCESS_IS_TERMINATING,
} from '../kernel/rtl/status.ts'
import { LoadError, statusText } from './errors.ts'
import { inspect } from './inspect.ts'
import { announceBoard, plugBoard, releaseBoard, unplugBoard } from './plug.ts'
import type { Request } from './protocol.ts'
import { forgetProcesses, isProcess, type SystemCall, systemCall } from './userservice.ts'

/** Does what was asked, and gives back what the program gets. */
export async function serve(request: Request): Promise<unknown> {
  switch (request.kind) {
    case 'import':
      return importImage(request)
    case 'retire':
      return retireImage(request.number)
    case 'run':
      return runExport(request.url, request.name, request.argument)
    case 'load':
      return runOnThread(() => load(request.number, request.name, request.url))
    case 'unload':
      return runOnThread(() => unload(request.name))
    case 'named-objects':
      return runOnThread(createBaseNamedObjects)
    case 'system-call':
      return serveProgram(request.process, request.request, request.token)
    case 'plug':
      return runOnThread(() => plugBoard(request.board))
    case 'announce':
      return runOnThread(() => announceBoard(request.board))
    case 'unplug':
      return runOnThread(() => unplugBoard(request.board))
    case 'release':
      return runOnThread(() => releaseBoard(request.ring))
    case 'inspect':
      return inspect()
  }
}

/** A system call runs on a thread of the calling process; one that makes a process has none yet. */
function serveProgram(process: number, request: SystemCall, token: number): Promise<unknown> {
  if (process !== 0 && !isProcess(process)) return Promise.resolve({ status: STATUS_PROCESS_IS_TERMINATING })
  const body = (): Promise<unknown> => systemCall(process, request, token)
  return process === 0 ? runOnThread(body) : runOnThread(body, process)
}

/** Modules of loaded images, by URL. */
const modules = new Map<string, Record<string, unknown>>()

/** Imports a driver file on this processor and registers its exports under `number`. */
async function importImage({ number, name, url, globals }: ImportRequest): Promise<ImageDescription> {
  try {
    const exports = (await import(url)) as Record<string, unknown>
    const globalsAt = registerImage(number, name, url, exports, globals)
    modules.set(url, exports)
    return {
      hasDriverEntry: typeof exports['DriverEntry'] === 'function',
      hardwareIds: hardwareIdsOf(exports),
      globals: globalsAt,
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    const status = error instanceof StatusError ? error.status : STATUS_INVALID_IMAGE_FORMAT
    throw new LoadError(`driver ${name} cannot be imported from ${url}: ${reason}`, status, { cause: error })
  }
}
type ImportRequest = Extract<Request, { kind: 'import' }>

/** What the loader must know of an image. */
export interface ImageDescription {
  hasDriverEntry: boolean
  hardwareIds: string[]
  /** Where its globals are, in the order of their names. */
  globals: number[]
}

/** What an INF file says on Windows: `export const hardwareIds = ['dirql\\button']`. */
function hardwareIdsOf({ hardwareIds }: Record<string, unknown>): string[] {
  return Array.isArray(hardwareIds) ? hardwareIds.filter((id): id is string => typeof id === 'string') : []
}

async function load(image: number, name: string, url: string): Promise<void> {
  const entry = modules.get(url)?.['DriverEntry']
  if (typeof entry !== 'function') {
    throw new LoadError(
      `driver ${name} (${url}) has no DriverEntry: write \`export function DriverEntry(DriverObject, RegistryPath)\``,
      STATUS_DRIVER_ENTRYPOINT_NOT_FOUND,
    )
  }
  const { status, driver } = await loadDriver({ image, name, driverEntry: entry as Routine })
  if (NT_SUCCESS(status)) {
    const ids = hardwareIdsOf(modules.get(url) ?? {})
    if (ids.length > 0) registerHardwareIds(driver, ids)
    await pnpIdle()
    return
  }
  throw new LoadError(`driver ${name} was not loaded: ${statusText(status)}`, status)
}

/** PnP removes the driver's devices first, as Windows does when a device's driver is disabled. */
async function unload(name: string): Promise<unknown> {
  const driver = referenceDriver(name)
  if (driver !== 0) {
    const status = await releaseDriverDevices(driver)
    dereferenceObject(driver)
    if (!NT_SUCCESS(status)) return { status, image: 0, leaks: [] }
  }
  return unloadDriver(name)
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
  forgetProcesses()
}
