/**
 * Routine pointers: four bytes that name a function.
 *
 * A function cannot travel between threads, its number can. Who gives the numbers is ke's business: it plugs the
 * two functions at boot.
 */

export interface Routines {
  /** The number of `fn`, the same on every processor; never 0. */
  idOf: (fn: Function) => number
  functionOf: (id: number) => Function
}

export const routines: Routines = {
  idOf(fn) {
    throw new Error(`no machine is booted that could number the routine ${fn.name || '(anonymous)'}`)
  },
  functionOf(id) {
    throw new Error(`no machine is booted that knows routine ${id}`)
  },
}

/** What a `void` routine may return: anything a caller can drop, so not a promise. */
type NothingToAwait = void | boolean | number | bigint | string

/**
 * `F`, but with an `async` function no longer assignable where `F` returns nothing. A parameter `F & Synchronous<F>`
 * refuses an `async` function in words.
 */
export type Synchronous<F> = F extends (...parameters: infer P) => infer R
  ? [R] extends [never]
    ? F
    : [R] extends [PromiseLike<unknown>]
      ? 'a routine that runs above APC_LEVEL must not be async'
      : [R, void] extends [void, R]
        ? (...parameters: P) => NothingToAwait
        : F
  : never

/** The routine with this number; null is 0. */
export function routineOf(id: number): Function | null {
  return id === 0 ? null : routines.functionOf(id)
}

/** The number to store for `fn`; 0 is null. */
export function idOf(fn: Function | null): number {
  return fn === null ? 0 : routines.idOf(fn)
}
