/** What machines of one and of several processors have in common: images, and what the program awaits. */
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import { BugCheckError } from '../kernel/ke/bugcheck.ts'
import type { CrashRecord } from '../kernel/ports/crash.ts'
import { LoadError, NtStatusError, UsageError } from './errors.ts'
import type { Machine } from './machine.ts'
import { type CheckedOptions, driverUrl } from './options.ts'
import { Outstanding } from './outstanding.ts'
import { type Board, Boards, type BoardSlots as AllSlots } from './boards.ts'
import type { Inspection } from './inspect.ts'
import type { BoardOption } from './options.ts'
import type { BoardSeat } from './plug.ts'
import type { Request } from './protocol.ts'
import { type Caller, type EventOptions, type UserEvent, type UserFile, UserProcess } from './user.ts'
import type { SystemReply } from './userservice.ts'
import type { ImageDescription } from './service.ts'

type BoardSlots = Omit<AllSlots, 'plug' | 'announce' | 'unplug' | 'release' | 'track' | 'print' | 'isVirtual'>

interface LoadedDriver {
  image: number
  url: string
}

export abstract class BaseMachine implements Machine {
  readonly processors: number
  crash: CrashRecord | null = null
  protected readonly options: CheckedOptions
  protected readonly outstanding: Outstanding
  /** Image numbers of files whose exports are registered, by URL. */
  readonly #imported = new Map<string, number>()
  readonly #drivers = new Map<string, LoadedDriver>()
  #images = 0

  constructor(options: CheckedOptions) {
    this.options = options
    this.processors = options.processors
    this.outstanding = new Outstanding(
      () => this.beginAwait(),
      () => this.endAwait(),
    )
  }

  /** Has processor `processor` do `request`. */
  protected abstract call(processor: number, request: Request): Promise<unknown>
  protected abstract runLocal<T>(body: () => T | Promise<T>): Promise<T>
  protected abstract beginAwait(): void
  protected abstract endAwait(): void
  abstract sleep(milliseconds: number): Promise<void>
  abstract shutdown(): Promise<void>

  /** Loads the drivers and plugs in the boards that boot was given. */
  async begin(): Promise<void> {
    for (const driver of this.options.bootDrivers) await this.load(driver)
    await this.outstanding.track(this.call(0, { kind: 'named-objects' }))
    for (const driver of this.options.drivers) await this.load(driver)
    for (const board of this.options.boards) await this.plug(board)
  }

  /** What boards need of this machine. */
  protected abstract slots(): BoardSlots
  #boards: Boards | null = null

  protected get boards(): Boards {
    this.#boards ??= new Boards({
      ...this.slots(),
      plug: (board) => this.outstanding.track(this.call(0, { kind: 'plug', board }) as Promise<BoardSeat>),
      announce: (board) => this.outstanding.track(this.call(0, { kind: 'announce', board }) as Promise<void>),
      unplug: (board) => this.outstanding.track(this.call(0, { kind: 'unplug', board }) as Promise<void>),
      release: (ring) => this.outstanding.track(this.call(0, { kind: 'release', ring }) as Promise<void>),
      track: (promise) => this.outstanding.track(promise),
      print: this.options.print,
      isVirtual: this.options.isVirtual,
    })
    return this.#boards
  }

  /** Gives back what boards hold of this program and its system: ports, threads of emulators. */
  protected closeBoards(): Promise<void> {
    return this.#boards?.close() ?? Promise.resolve()
  }

  plug(board: BoardOption): Promise<Board> {
    return this.boards.add(board)
  }

  board(name: string): Board {
    return this.boards.get(name)
  }

  inspect(): Promise<Inspection> {
    return this.outstanding.track(this.call(0, { kind: 'inspect' }) as Promise<Inspection>)
  }

  /** The process of the program itself. */
  #program: Promise<UserProcess> | null = null

  #self(): Promise<UserProcess> {
    this.#program ??= this.process('program')
    return this.#program
  }

  async process(name = 'process'): Promise<UserProcess> {
    const call: Caller = (process, request, token) =>
      this.outstanding.track(this.call(0, { kind: 'system-call', process, token, request }) as Promise<SystemReply>)
    const { status, value } = await call(0, { call: 'create-process', name }, 0)
    if (status < 0) throw new NtStatusError(status, `create process ${name}`)
    return new UserProcess(call, value as number)
  }

  async open(path: string, options?: { access?: number; disposition?: number }): Promise<UserFile> {
    return (await this.#self()).open(path, options)
  }

  async openEvent(name: string): Promise<UserEvent> {
    return (await this.#self()).openEvent(name)
  }

  async createEvent(options?: EventOptions): Promise<UserEvent> {
    return (await this.#self()).createEvent(options)
  }

  run<T, A>(
    routine: string | URL | ((argument: A) => T | Promise<T>),
    second?: unknown,
    third?: unknown,
    processor = 0,
  ) {
    if (typeof routine === 'function') {
      if (this.options.localRoutines) return this.outstanding.track(this.runLocal(() => routine(second as A)))
      throw new UsageError(
        'machine.run takes a local function only where boot has localRoutines: true; else a file and the name of an export',
      )
    }
    const url = driverUrl(routine)
    return this.outstanding.track(this.#runExport(url, String(second), third, processor)) as Promise<T>
  }

  async #runExport(url: string, name: string, argument: unknown, processor: number): Promise<unknown> {
    if (!this.#imported.has(url)) await this.#import(url)
    return this.call(processor, { kind: 'run', url, name, argument })
  }

  async #import(url: string): Promise<ImageDescription> {
    this.#images += 1
    const number = this.#images
    const request = { kind: 'import', number, name: driverName(url), url } as const
    const description = (await this.call(0, { ...request, globals: null })) as ImageDescription
    await this.#onOthers({ ...request, globals: description.globals })
    this.#imported.set(url, number)
    return description
  }

  load(driver: string | URL): Promise<string> {
    return this.outstanding.track(this.#load(driverUrl(driver)))
  }

  async #load(url: string): Promise<string> {
    const name = driverName(url)
    if (this.#drivers.has(name)) {
      throw new LoadError(`driver ${name} is loaded already; unload it first`, STATUS_IMAGE_ALREADY_LOADED)
    }
    await this.#import(url)
    const image = this.#images
    try {
      await this.call(0, { kind: 'load', number: image, name, url })
    } catch (error) {
      await this.#retire(url, image)
      throw error
    }
    this.#drivers.set(name, { image, url })
    return name
  }

  unload(name: string): Promise<void> {
    return this.outstanding.track(this.#unload(name))
  }

  async #unload(name: string): Promise<void> {
    const driver = this.#drivers.get(name)
    if (driver === undefined) throw new UsageError(`no driver ${name} is loaded; loaded are ${this.#names()}`)
    const { status, leaks } = (await this.call(0, { kind: 'unload', name })) as { status: number; leaks: string[] }
    if (status < 0) throw new NtStatusError(status, `driver ${name} was not unloaded`)
    for (const leak of leaks) this.options.print(`driver ${name} has left behind: ${leak}\n`)
    this.#drivers.delete(name)
    await this.#retire(driver.url, driver.image)
  }

  async clear(): Promise<void> {
    await this.#boards?.unplugAll()
    for (const name of [...this.#drivers.keys()].reverse()) await this.unload(name)
  }

  #names(): string {
    return [...this.#drivers.keys()].join(', ') || 'none'
  }

  /** From now on, calling a routine of the image is a bug check. */
  async #retire(url: string, number: number): Promise<void> {
    this.#imported.delete(url)
    const request: Request = { kind: 'retire', number }
    await this.#onOthers(request)
    await this.call(0, request)
  }

  /** Has every processor but 0 do `request`. */
  async #onOthers(request: Request): Promise<void> {
    await Promise.all(Array.from({ length: this.processors - 1 }, (_, index) => this.call(index + 1, request)))
  }

  /** The machine has stopped: everything that the program awaits is rejected. */
  protected stopWith(record: CrashRecord): void {
    if (this.crash !== null) return
    this.crash = record
    this.outstanding.rejectAll(new BugCheckError(record))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown()
  }
}

const STATUS_IMAGE_ALREADY_LOADED = 0xc000010e | 0

/** A driver's name is its file's, or its folder's where the file is `index`. */
function driverName(url: string): string {
  const path = fileURLToPath(url).replace(/\.[cm]?[jt]s$/, '')
  const name = basename(path)
  return name === 'index' ? basename(path.slice(0, -'index'.length - 1)) : name
}
