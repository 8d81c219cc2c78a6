/** A machine, as programs and tests see it. */
import type { CrashRecord } from '../kernel/ports/crash.ts'

export interface Machine extends AsyncDisposable {
  readonly processors: number
  /** The bug check that stopped the machine, if one did. */
  readonly crash: CrashRecord | null
  /** Runs a routine as a system thread at PASSIVE_LEVEL: a local function where `localRoutines` is on. */
  run<T, A = undefined>(routine: (argument: A) => T | Promise<T>, argument?: A): Promise<T>
  /** Runs the export `name` of a driver file as a system thread, on processor `processor` (default 0). */
  run(url: string | URL, name: string, argument?: unknown, processor?: number): Promise<unknown>
  /** Lets time pass: real, or virtual, which moves only while something of the machine is awaited. */
  sleep(milliseconds: number): Promise<void>
  /** Stops the machine and frees what it holds. */
  shutdown(): Promise<void>
}
