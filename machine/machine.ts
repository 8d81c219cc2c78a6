/** A machine, as programs and tests see it. */
import type { Board } from './boards.ts'
import type { Inspection } from './inspect.ts'
import type { BoardOption } from './options.ts'
import type { EventOptions, UserEvent, UserFile, UserProcess } from './user.ts'
import type { CrashRecord } from '../kernel/ports/crash.ts'

export interface Machine extends AsyncDisposable {
  readonly processors: number
  /** The bug check that stopped the machine, if one did. */
  readonly crash: CrashRecord | null
  /** Runs a local function as a system thread at PASSIVE_LEVEL, where boot has `localRoutines: true`. */
  run<T, A = undefined>(routine: (argument: A) => T | Promise<T>, argument?: A): Promise<T>
  /** Runs the export `name` of a driver file as a system thread, on processor `processor` (default 0). */
  run(url: string | URL, name: string, argument?: unknown, processor?: number): Promise<unknown>
  /** Loads a driver: imports its file on every processor and calls DriverEntry. Gives back its name. */
  load(driver: string | URL): Promise<string>
  /** Calls the driver's DriverUnload; from then on none of its routines may be called. */
  unload(name: string): Promise<void>
  /** Plugs in a board: drivers that are loaded, and match, get its devices. */
  plug(board: BoardOption): Promise<Board>
  board(name: string): Board
  /** Opens a device or a file of one: `Button-0`, or `\\\\.\\Button-0`. */
  open(path: string, options?: { access?: number; disposition?: number }): Promise<UserFile>
  /** Opens a named event: `X` is `\\BaseNamedObjects\\X`. */
  openEvent(name: string): Promise<UserEvent>
  createEvent(options?: EventOptions): Promise<UserEvent>
  /** A second process of the program, with a handle table of its own. */
  process(name?: string): Promise<UserProcess>
  /** Threads, locks, IRPs, handles and pool by tag. */
  inspect(): Promise<Inspection>
  /** Lets time pass: real, or virtual, which moves only while something of the machine is awaited. */
  sleep(milliseconds: number): Promise<void>
  /** Pulls out every board and unloads every driver, the newest first: what is left then was leaked. */
  clear(): Promise<void>
  /** Stops the machine and frees what it holds. */
  shutdown(): Promise<void>
}
