/** The boards of a machine: plugged in, served, pulled out. Runs on the thread of the user's program. */
import type { DeviceLayout } from '../classes/device.ts'
import { type BoardFaults, BoardHost, type BoardEvents, fifosOf } from '../hal/boardhost.ts'
import { placeOf } from '../hal/places.ts'
import type { World } from '../hal/world.ts'
import type { ModelBoard } from '../firmware-sim/model.ts'
import type { HidModel, SerialModel } from '../firmware-sim/port-model.ts'
import type { ModelFaults, UnoModel } from '../firmware-sim/uno-model.ts'
import type { Memory } from '../kernel/mm/memory.ts'
import { boardBit, isWindowUnused, Line } from '../kernel/ports/device.ts'
import { type Attachment, attach, type BusReport, type Hands, type OpenBoard } from './attach.ts'
import { type BoardFile, readBoardFile } from './boardfile.ts'
import { boardPlan, layoutsOf, placedLines } from './boardplan.ts'
import { UsageError } from './errors.ts'
import type { BoardOption } from './options.ts'
import type { BoardPlan, BoardSeat } from './plug.ts'

/** What boards need of the machine that they hang on. */
export interface BoardSlots {
  readonly memory: Memory
  readonly world: World
  plug(plan: BoardPlan): Promise<BoardSeat>
  announce(board: number): Promise<void>
  unplug(board: number): Promise<void>
  /** Gives back the ring and the windows of a board that is unplugged, and that no driver has mapped any more. */
  release(ring: number): Promise<void>
  interrupt(vector: number): void
  answer(token: number, status: number, value: number): void
  /** The program may await `promise`: virtual time moves. */
  track<T>(promise: Promise<T>): Promise<T>
  print(text: string): void
  readonly isVirtual: boolean
}

/** A line, as the board and the machine have counted it. */
export interface LineReport {
  device: string
  line: string
  vector: number
  /** Edges that the last frame told. */
  edges: number
  frames: number
  claimed: number
  unclaimed: number
  /** From the frame's last byte to the first ISR, of the last frame, in microseconds. */
  latencyUs: number
}

/** A board while it is plugged in. */
interface Session {
  seat: BoardSeat
  host: BoardHost
  end: OpenBoard
}

/** Between two looks for a board that was pulled out. */
const LOOK_TICKS = 10_000_000

/** A board of a machine. On a simulated one the hands are methods. */
export class Board {
  readonly name: string
  readonly #slots: BoardSlots
  readonly #file: BoardFile
  readonly #layouts: readonly DeviceLayout[]
  readonly #number: number
  readonly #at: Attachment
  #session: Session | null = null
  /** Unplugged, and a driver has a window mapped: who asks there yet is answered. */
  #departed: Session[] = []
  /** Faults of the sessions before this one. */
  #faultsBefore: Partial<BoardFaults> = {}
  /** It went away by itself, and may come back so. */
  #isExpected = false
  #stopLooking: () => void = () => {}
  /** Plugs and unplugs, one behind the other. */
  #turn: Promise<unknown> = Promise.resolve()
  /** Who waits until the board is back. */
  #restarting: { resolve: () => void; reject: (error: Error) => void }[] = []

  constructor(slots: BoardSlots, number: number, name: string, file: BoardFile, at: Attachment) {
    this.#slots = slots
    this.#number = number
    this.name = name
    this.#file = file
    this.#layouts = layoutsOf(file)
    this.#at = at
  }

  /** The behaviour model: registers and lines of the simulated board. */
  get model(): ModelBoard {
    return this.#simulated(this.#at.model, 'behaviour model')
  }

  /** The model of a board with buses, pins and converters: its chips and its bus's log. */
  get uno(): UnoModel {
    return this.#simulated(this.#at.uno, 'model with buses and pins')
  }

  /** The far end of a simulated serial port or HID device. */
  get port(): SerialModel | HidModel {
    return this.#simulated(this.#at.port, 'simulated port')
  }

  /** What can go wrong with a simulated board, by request. */
  get fault(): ModelFaults {
    return this.#simulated(this.#at.fault, 'faults to be asked for')
  }

  #simulated<T>(part: T | null, what: string): T {
    if (part !== null) return part
    throw new UsageError(`board ${this.name} (${this.#file.name} at ${this.#at.where}) has no ${what}`)
  }

  get isPlugged(): boolean {
    return this.#session !== null
  }

  /** Where it is. */
  get where(): string {
    return this.#at.where
  }

  /** Plugs the board in: its devices are found, drivers matched and started. */
  plug(): Promise<void> {
    return this.#inTurn(() => this.#plug())
  }

  /** Pulls the board out: a surprise removal. */
  unplug(): Promise<void> {
    this.#expectNoMore()
    return this.#inTurn(() => this.#unplug())
  }

  /** The reset button: the board is removed, and comes back as new devices. Resolves when they are there. */
  reset(): Promise<void> {
    this.#hands('press its reset button').reset()
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#restarting.push({ resolve, reject })
    return this.#slots.track(promise)
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#turn.then(work)
    this.#turn = done.catch(() => {})
    return done
  }

  async #plug(): Promise<void> {
    if (this.#session !== null) return
    await this.#releaseDeparted()
    const { memory, world } = this.#slots
    const end = await this.#slots.track(this.#at.open())
    const seat = await this.#slots.plug(this.#planWith(end))
    const seats = seat.devices.flatMap((device) => device.lines)
    const offsets = this.#layouts.map(({ registers }) => new Map(registers.map(({ name, offset }) => [name, offset])))
    const lines = this.#layouts.flatMap((layout, device) =>
      layout.lines.map(({ name, mode, snapshot }) => ({
        name: `line ${layout.name}.${name}`,
        isLevel: mode === 'level',
        snapshot: new Set(snapshot.map((register) => offsets[device]?.get(register) as number)),
      })),
    )
    const host = new BoardHost(
      {
        memory,
        ring: seat.ring,
        devices: seat.devices.map(({ window }) => ({ window, fifos: fifosOf(memory, window) })),
        lines: seats.map((line, index) => ({ ...line, ...(lines[index] as (typeof lines)[number]) })),
        interrupt: (vector) => this.#slots.interrupt(vector),
        answer: (token, status, value) => this.#slots.answer(token, status, value),
        now: () => world.now(),
        report: (text) => this.#print(text),
      },
      end,
    )
    const session = { seat, host, end }
    this.#session = session
    end.connect(this.#eventsOf(session))
    host.begin()
    this.#expectNoMore()
    await this.#slots.announce(this.#number)
    this.serve()
  }

  /** What the machine is told, with what the board itself has told. */
  #planWith({ presets = [] }: OpenBoard): BoardPlan {
    const plan = boardPlan(this.#file, this.#number, this.name)
    const devices = plan.devices.map((device, index) => ({
      ...device,
      registers: device.registers.map((register) => {
        const preset = presets.find((one) => one.device === index && one.offset === register.offset)
        return preset === undefined ? register : { ...register, reset: preset.value }
      }),
    }))
    return { ...plan, devices }
  }

  /** A session that is over tells nothing any more. */
  #eventsOf(session: Session): BoardEvents {
    const ifCurrent = (happen: () => void): void => {
      if (this.#session === session) happen()
    }
    return {
      frame: (frame) => ifCurrent(() => session.host.frame(frame)),
      fifo: (device, offset, entries) => ifCurrent(() => session.host.fifo(device, offset, entries)),
      reset: () => ifCurrent(() => this.#restart()),
      gone: (reason) => ifCurrent(() => this.#lost(reason)),
      log: (text) => ifCurrent(() => this.#print(`the board says: ${text}`)),
    }
  }

  /** A board that was reset knows nothing any more: its devices are removed, and come back as new ones. */
  #restart(): void {
    this.#print('the board was reset: its devices are removed, and come back')
    const restarted = this.#inTurn(async () => {
      await this.#unplug()
      await this.#plug()
    })
    restarted.then(
      () => {
        for (const { resolve } of this.#restarting.splice(0)) resolve()
      },
      (error: Error) => {
        this.#print(`the board did not come back: ${error.message}`)
        this.#expect()
        for (const { reject } of this.#restarting.splice(0)) reject(error)
      },
    )
  }

  #lost(reason: string): void {
    this.#print(`the board is gone: ${reason}`)
    const removed = this.#inTurn(() => this.#unplug())
    removed.catch((error: unknown) => this.#print(`its removal failed: ${(error as Error).message}`))
    this.#expect()
  }

  /** From now on looks for the board, where it is one of the system's: somebody may plug it in again. */
  #expect(): void {
    this.#isExpected = this.#at.mayReturn === true
    this.#look()
  }

  #look(): void {
    if (!this.#isExpected) return
    this.#stopLooking = this.#slots.world.after(LOOK_TICKS, () => {
      this.plug().then(
        () => this.#print('the board is back'),
        () => this.#look(),
      )
    })
  }

  #expectNoMore(): void {
    this.#isExpected = false
    this.#stopLooking()
  }

  #print(text: string): void {
    this.#slots.print(`board ${this.name}: ${text}\n`)
  }

  async #unplug(): Promise<void> {
    const session = this.#session
    if (session === null) return
    this.#session = null
    this.#faultsBefore = this.faults()
    // A processor may have seen the windows there and ask a moment later: its ring is looked at until they are unused.
    this.#departed.push(session)
    const closed = session.end.close()
    session.host.gone()
    await this.#slots.unplug(this.#number)
    await closed
    await this.#releaseDeparted()
  }

  /** A ring is not used again before the last unmap of a window that leads to it. */
  async #releaseDeparted(): Promise<void> {
    const { memory } = this.#slots
    const isUnused = ({ seat }: Session): boolean => seat.devices.every(({ window }) => isWindowUnused(memory, window))
    const unused = this.#departed.filter(isUnused)
    this.#departed = this.#departed.filter((session) => !unused.includes(session))
    for (const { seat } of unused) await this.#slots.release(seat.ring)
  }

  /** Sends what the processors have posted. */
  serve(): void {
    this.#session?.host.serve()
    for (const { host } of this.#departed) host.gone()
  }

  /** Presses a button, or what else the board has that can be: a pin, a modem line, a field of a report. */
  press(pin = 'button'): void {
    this.#hands(`press ${pin}`).press(pin)
  }

  release(pin = 'button'): void {
    this.#hands(`let go of ${pin}`).release(pin)
  }

  /** Sets what a sensor is exposed to: `tmp102.temperature` in °C, `adc0.2` as the converter reads it. */
  set(sensor: string, value: number): void {
    this.#hands(`set ${sensor} to ${value}`).set(sensor, value)
  }

  /** What a board without firmware of ours sends: bytes, a text, or a report. */
  feed(data: Uint8Array | string): void {
    const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : data
    this.#hands('have it send something').feed(bytes)
  }

  #hands(what: string): Hands {
    const { hands, where } = this.#at
    if (hands !== null) return hands
    throw new UsageError(`board ${this.name} is a real one, at ${where}: ${what} by hand`)
  }

  /** Whether it can be pressed and set by program. */
  get isSimulated(): boolean {
    return this.#at.hands !== null
  }

  /** Name and version of its firmware; null where there is none that tells: a model, a board without firmware of ours. */
  get firmware(): string | null {
    return this.#session?.end.firmware ?? null
  }

  /** What its I2C bus has seen; null on a real board, where nobody looks. */
  async busReport(): Promise<BusReport | null> {
    return (await this.#at.busReport?.()) ?? null
  }

  /** What the board did that the protocol does not allow. */
  faults(): BoardFaults {
    const now = this.#session?.host.faults
    const before = this.#faultsBefore
    const sum = (key: keyof BoardFaults): number => (now?.[key] ?? 0) + (before[key] ?? 0)
    return {
      unknownLines: sum('unknownLines'),
      lostFrames: sum('lostFrames'),
      wrongSequences: sum('wrongSequences'),
      strayRegisters: sum('strayRegisters'),
      strayEntries: sum('strayEntries'),
      lostEntries: sum('lostEntries'),
    }
  }

  /** Address of a device's register window. */
  window(device: string): number {
    const index = this.#file.devices.findIndex(({ name }) => name === device)
    const window = this.#session?.seat.devices[index]?.window
    if (window !== undefined) return window
    throw new UsageError(`board ${this.name} has no device '${device}' plugged in`)
  }

  /** Its lines, as counted so far. */
  lines(): LineReport[] {
    const { i32, f64 } = this.#slots.memory
    const seats = this.#session?.seat.devices.flatMap(({ lines }) => lines) ?? []
    const placed = placedLines(this.#layouts)
    return seats.map(({ address, vector }, number) => {
      const word = (offset: number): number => i32[(address + offset) >> 2] as number
      return {
        device: placed[number]?.device ?? '',
        line: placed[number]?.line.name ?? String(number),
        vector,
        edges: word(Line.Edges) >>> 0,
        frames: word(Line.Frames),
        claimed: word(Line.Claims),
        unclaimed: word(Line.Spurious),
        latencyUs: (f64[(address + Line.Latency) >> 3] as number) / 10,
      }
    })
  }

  /** Gives back what the attachment holds. */
  async close(): Promise<void> {
    this.#expectNoMore()
    await this.#session?.end.close()
    await this.#at.close?.()
  }
}

function namedPlace(name: string): string | undefined {
  try {
    return placeOf(name)
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

export class Boards {
  readonly #slots: BoardSlots
  readonly #boards = new Map<string, Board>()
  /** By the bit that rings for them. */
  readonly #byBit = new Map<number, Board[]>()
  #next = 1

  constructor(slots: BoardSlots) {
    this.#slots = slots
  }

  /** Makes a board and plugs it in. */
  async add(option: BoardOption): Promise<Board> {
    const file = readBoardFile(option.board)
    if (option.name !== undefined) this.#checkName(option.name)
    const at = await attach(file, this.#placed(option, file.name), this.#slots.world, this.#slots.isVirtual)
    const name = option.name ?? this.#freeName(file.name, at.serialNumber)
    const number = this.#next++
    const board = new Board(this.#slots, number, name, file, at)
    this.#boards.set(name, board)
    this.#byBit.set(boardBit(number), [...(this.#byBit.get(boardBit(number)) ?? []), board])
    await board.plug()
    return board
  }

  /** Where DIRQL_BOARDS says, if it does. */
  #placed(option: BoardOption, kind: string): BoardOption {
    const name = option.name ?? this.#freeName(kind, null)
    const place = namedPlace(name)
    return place === undefined ? option : { ...option, name, at: place }
  }

  #checkName(name: string): void {
    if (this.#boards.has(name)) throw new UsageError(`two boards are named '${name}'; give one of them another name`)
  }

  /** By its serial number where it has one, so that it is called the same at the next boot; else by order. */
  #freeName(kind: string, serialNumber: string | null): string {
    const own =
      serialNumber
        ?.replace(/[^a-zA-Z0-9]/g, '')
        .slice(-8)
        .toLowerCase() ?? ''
    if (own !== '' && !this.#boards.has(`${kind}-${own}`)) return `${kind}-${own}`
    let index = 0
    while (this.#boards.has(`${kind}-${index}`)) index += 1
    return `${kind}-${index}`
  }

  get(name: string): Board {
    const board = this.#boards.get(name)
    if (board !== undefined) return board
    throw new UsageError(`there is no board '${name}'; there are ${[...this.#boards.keys()].join(', ') || 'none'}`)
  }

  /** Pulls all of them out, the newest first. */
  async unplugAll(): Promise<void> {
    for (const board of [...this.#boards.values()].reverse()) await board.unplug()
  }

  /** The machine is gone: gives back what the boards hold of this program and its system. */
  async close(): Promise<void> {
    for (const board of this.#boards.values()) await board.close()
    this.#boards.clear()
    this.#byBit.clear()
  }

  /** Sends what the processors have posted to boards that were rung for: `rung` has their bits. */
  serve(rung: number): void {
    for (let left = rung; left !== 0; left &= left - 1) {
      for (const board of this.#byBit.get(left & -left) ?? []) board.serve()
    }
  }
}
