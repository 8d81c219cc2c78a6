/**
 * Driver images and the routines in them.
 *
 * Functions cannot travel between threads, so a routine that the kernel calls is an exported function of an image:
 * the image's number and the place of the export's name in the sorted list make an id that is the same on every
 * processor. Ids are never used again, and image 0 is the kernel's own.
 */
import { allocate, free } from '../mm/pool.ts'
import { bindingOf } from '../rtl/globals.ts'
import { routines } from '../rtl/routine.ts'
import { STATUS_INSUFFICIENT_RESOURCES } from '../rtl/status.ts'
import { BugCode } from './bugcodes.ts'
import { bugCheck, driverOf } from './bugcheck.ts'
import { raiseStatus } from './exception.ts'
import { cpu } from './pcr.ts'

export type Routine = (...args: any[]) => any

const ROUTINE_BITS = 12
const ROUTINES_PER_IMAGE = 1 << ROUTINE_BITS
const ROUTINE_ID = Symbol('routine id')
type Registered = Routine & { [ROUTINE_ID]?: number }

interface Globals {
  readonly value: unknown
  readonly address: number
}

interface Image {
  readonly name: string
  readonly url: string
  readonly routines: Routine[]
  /** `routines` while it is loaded, none afterwards. */
  callable: readonly Routine[]
  /** What it exports as `globals()`, and where they are. */
  readonly globals: readonly Globals[]
  isLoaded: boolean
}

/** Images by number. */
const images: (Image | undefined)[] = []
/** Routines that are no exports, on a machine booted with `localRoutines`. */
const localRoutines: Routine[] = []
const LOCAL_IMAGE = 0x70000 // and all numbers above it

/** Numbers of the kernel's own routines. */
const kernelRoutines: Routine[] = []

/** Gives a routine of the kernel's own its id. Called while modules load, so in one order everywhere. */
export function kernelRoutine<F extends Routine>(routine: F): F {
  ;(routine as Registered)[ROUTINE_ID] = kernelRoutines.length
  kernelRoutines.push(routine)
  return routine
}
kernelRoutine(() => {}) // id 0 is NULL

/**
 * Registers the exports of an image on this processor. Processor 0 is the first: it allocates the image's globals,
 * and the others are told in `globalsAt` where they are.
 *
 * @returns the addresses of the image's globals, in the order of their names
 */
export function registerImage(
  number: number,
  name: string,
  url: string,
  exports: Record<string, unknown>,
  globalsAt: readonly number[] | null = null,
): number[] {
  const globals = bindGlobals(url, exports, globalsAt)
  const functions: Routine[] = []
  for (const key of Object.keys(exports).sort()) {
    const value = exports[key]
    if (typeof value !== 'function') continue
    ;(value as Registered)[ROUTINE_ID] = number * ROUTINES_PER_IMAGE + functions.length
    functions.push(value as Routine)
  }
  images[number] = { name, url, routines: functions, callable: functions, globals, isLoaded: true }
  return globals.map(({ address }) => address)
}

/** Gives the globals among `exports` their memory; those of a file that is registered twice begin anew. */
function bindGlobals(url: string, exports: Record<string, unknown>, globalsAt: readonly number[] | null): Globals[] {
  const names = Object.keys(exports).sort()
  const values = names.map((key) => exports[key]).filter((value) => bindingOf(value) !== undefined)
  for (const value of values) refuseShared(url, value)
  const addresses = globalsAt ?? allocateGlobals(values)
  return values.map((value, index) => {
    const address = addresses[index] ?? 0
    bindingOf(value)?.bind(address)
    return { value, address }
  })
}

/** Zeroed memory for all of them; raises STATUS_INSUFFICIENT_RESOURCES if there is not enough. */
function allocateGlobals(values: readonly unknown[]): number[] {
  const addresses = values.map((value) => allocate(bindingOf(value)?.struct.size ?? 0, 'Glob'))
  if (!addresses.includes(0)) return addresses
  for (const address of addresses) if (address !== 0) free(address, 'Glob')
  return raiseStatus(STATUS_INSUFFICIENT_RESOURCES)
}

function refuseShared(url: string, value: unknown): void {
  const other = images.find(
    (image) => image?.isLoaded && image.url !== url && image.globals.some((g) => g.value === value),
  )
  if (other === undefined) return
  throw new Error(`${url} exports globals that are those of driver ${other.name}: each driver has its own`)
}

/**
 * From now on, calling a routine of the image is a bug check, and its globals have no memory. Processor 0, which
 * frees that, is the last.
 */
export function retireImage(number: number): void {
  const image = images[number]
  if (image === undefined || !image.isLoaded) return
  image.isLoaded = false
  image.callable = []
  unbindGlobals(image)
  if (cpu.number === 0) for (const { address } of image.globals) free(address, 'Glob')
}

function unbindGlobals(image: Image): void {
  for (const { value } of image.globals) bindingOf(value)?.bind(0)
}

/** Forgets all images: the machine is gone. */
export function forgetImages(): void {
  for (const image of images) if (image !== undefined) unbindGlobals(image)
  images.length = 0
  localRoutines.length = 0
}

/** The number of the image that has `routine`, for finding the driver that owns an object. */
export const imageOfRoutine = (id: number): number => id >>> ROUTINE_BITS

/** The id of a routine that the kernel is to call. Throws when it is no export of a loaded image. */
export function routineId(routine: Routine): number {
  const id = (routine as Registered)[ROUTINE_ID]
  if (id !== undefined && isRegistered(id, routine)) return id
  return registerLocal(routine)
}

function isRegistered(id: number, routine: Routine): boolean {
  if (id < ROUTINES_PER_IMAGE) return kernelRoutines[id] === routine
  return images[imageOfRoutine(id)]?.routines[id % ROUTINES_PER_IMAGE] === routine
}

/** A routine that is no export of an image was given to the kernel. */
export class RoutineError extends TypeError {
  override name = 'RoutineError'
}

function registerLocal(routine: Routine): number {
  if (typeof routine !== 'function') throw new RoutineError(`a routine is a function, not ${typeof routine}`)
  if (!cpu.localRoutines) {
    const name = routine.name === '' ? 'an unnamed function' : `'${routine.name}'`
    throw new RoutineError(
      `${name} is not an exported function of a loaded driver image, so no other processor could find it: ` +
        'write `export function` before it in the driver file (in a one-processor test, boot with `localRoutines: true`)',
    )
  }
  let index = localRoutines.indexOf(routine)
  if (index < 0) index = localRoutines.push(routine) - 1
  return LOCAL_IMAGE * ROUTINES_PER_IMAGE + index
}

/** The function with that id. */
export function routineOf(id: number): Routine {
  const image = id >>> ROUTINE_BITS
  const routines = image === 0 ? kernelRoutines : images[image]?.callable
  return routines?.[id & (ROUTINES_PER_IMAGE - 1)] ?? otherRoutine(id)
}

/** A local routine, or one of an image that is not loaded any more. */
function otherRoutine(id: number): Routine {
  const number = imageOfRoutine(id)
  if (number >= LOCAL_IMAGE) return localRoutines[id - LOCAL_IMAGE * ROUTINES_PER_IMAGE] as Routine
  return calledAfterUnload(id, images[number])
}

function calledAfterUnload(id: number, image: Image | undefined): never {
  const routine = image?.routines[id % ROUTINES_PER_IMAGE]?.name ?? 'a routine'
  return bugCheck({
    code: BugCode.DRIVER_UNLOADED_WITHOUT_CANCELLING_PENDING_OPERATIONS,
    parameters: [id, 0, id],
    message: `${routine} of driver ${image?.name ?? '?'} was called after the driver was unloaded; its DriverUnload must cancel timers, DPCs and work items first`,
  })
}

/** Plugs the tables into `rtl` and the bug check's driver names. */
export function plugImages(): void {
  routines.idOf = (routine) => routineId(routine as Routine)
  routines.functionOf = (id) => routineOf(id)
  driverOf.file = (file) => {
    const image = images.find((candidate) => candidate !== undefined && candidate.url.endsWith(file))
    return image?.name ?? null
  }
}
