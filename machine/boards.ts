/** The boards of a machine: plugged in, served, pulled out. Runs on the thread of the user's program. */
import { BoardHost } from '../hal/boardhost.ts'
import { Pipe } from '../hal/pipe.ts'
import type { World } from '../hal/world.ts'
import { buttonBoard } from '../firmware-sim/button.ts'
import { ModelBoard } from '../firmware-sim/model.ts'
import type { Memory } from '../kernel/mm/memory.ts'
import { Line } from '../kernel/ports/device.ts'
import { type BoardFile, devicePlans, readBoardFile } from './boardfile.ts'
import { UsageError } from './errors.ts'
import type { BoardOption } from './options.ts'
import type { BoardPlan, BoardSeat } from './plug.ts'

/** What boards need of the machine that they hang on. */
export interface BoardSlots {
  readonly memory: Memory
  readonly world: World
  plug(plan: BoardPlan): Promise<BoardSeat>
  unplug(board: number): Promise<void>
  interrupt(vector: number): void
  answer(token: number, status: number, value: number): void
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

/** A board of a machine. On a simulated one the hands are methods. */
export class Board {
  readonly name: string
  readonly #slots: BoardSlots
  readonly #file: BoardFile
  readonly #number: number
  readonly #model: ModelBoard
  readonly #hands: ReturnType<typeof buttonBoard> | null
  #seat: BoardSeat | null = null
  #host: BoardHost | null = null
  #pipe: Pipe | null = null

  constructor(slots: BoardSlots, number: number, name: string, file: BoardFile) {
    this.#slots = slots
    this.#number = number
    this.name = name
    this.#file = file
    const now = (): number => slots.world.now() / 10
    const plans = file.devices.map((device) => ({
      ...device,
      lines: device.lines.map((line) => ({ ...line, latched: line.mode === 'latched' })),
    }))
    this.#model = new ModelBoard(plans, now)
    this.#hands = file.name === 'button' ? buttonBoard(this.#model, now) : null
  }

  /** The behaviour model: registers and lines of the simulated board. */
  get model(): ModelBoard {
    return this.#model
  }

  get isPlugged(): boolean {
    return this.#seat !== null
  }

  /** Plugs the board in: its devices are found, drivers matched and started. */
  async plug(): Promise<void> {
    if (this.#seat !== null) return
    const { memory, world } = this.#slots
    const seat = await this.#slots.plug({ number: this.#number, name: this.name, devices: devicePlans(this.#file) })
    const lines = seat.devices.flatMap((device) => device.lines)
    const pipe = new Pipe(world, this.#model, (frame) => this.#host?.frame(frame))
    this.#host = new BoardHost(
      {
        memory,
        ring: seat.ring,
        lines,
        interrupt: (vector) => this.#slots.interrupt(vector),
        answer: (token, status, value) => this.#slots.answer(token, status, value),
        now: () => world.now(),
      },
      pipe,
    )
    this.#pipe = pipe
    this.#seat = seat
    this.serve() // what the drivers posted while they started
  }

  /** Pulls the board out: a surprise removal. */
  async unplug(): Promise<void> {
    if (this.#seat === null) return
    this.#pipe?.close()
    this.#host?.gone()
    this.#seat = null
    this.#host = null
    await this.#slots.unplug(this.#number)
  }

  /** Sends what the processors have posted. */
  serve(): void {
    this.#host?.serve()
  }

  /** Presses a button. */
  press(pin = 'button'): void {
    this.#hand().press(pin)
  }

  release(pin = 'button'): void {
    this.#hand().release(pin)
  }

  #hand(): ReturnType<typeof buttonBoard> {
    if (this.#hands !== null) return this.#hands
    throw new UsageError(`board ${this.name} (${this.#file.name}) has no buttons to press`)
  }

  /** Address of a device's register window. */
  window(device: string): number {
    const index = this.#file.devices.findIndex(({ name }) => name === device)
    const window = this.#seat?.devices[index]?.window
    if (window !== undefined) return window
    throw new UsageError(`board ${this.name} has no device '${device}' plugged in`)
  }

  /** Its lines, as counted so far. */
  lines(): LineReport[] {
    const { i32, f64 } = this.#slots.memory
    return (this.#seat?.devices ?? []).flatMap(({ lines }, device) =>
      lines.map(({ address, vector }, index) => {
        const word = (offset: number): number => i32[(address + offset) >> 2] as number
        const plan = this.#file.devices[device] as BoardFile['devices'][number]
        return {
          device: plan.name,
          line: plan.lines[index]?.name ?? String(index),
          vector,
          edges: word(Line.Edges) >>> 0,
          frames: word(Line.Frames),
          claimed: word(Line.Claims),
          unclaimed: word(Line.Spurious),
          latencyUs: (f64[(address + Line.Latency) >> 3] as number) / 10,
        }
      }),
    )
  }
}

export class Boards {
  readonly #slots: BoardSlots
  readonly #boards = new Map<string, Board>()
  #next = 1

  constructor(slots: BoardSlots) {
    this.#slots = slots
  }

  /** Makes a board and plugs it in. */
  async add(option: BoardOption): Promise<Board> {
    const at = option.at ?? 'model'
    if (at !== 'model') throw new UsageError(`a board at ${JSON.stringify(at)} is not supported yet: use at: 'model'`)
    const file = readBoardFile(option.board)
    const number = this.#next++
    const name = option.name ?? this.#freeName(file.name)
    if (this.#boards.has(name)) throw new UsageError(`two boards are named '${name}'`)
    const board = new Board(this.#slots, number, name, file)
    this.#boards.set(name, board)
    await board.plug()
    return board
  }

  #freeName(kind: string): string {
    let index = 0
    while (this.#boards.has(`${kind}-${index}`)) index += 1
    return `${kind}-${index}`
  }

  get(name: string): Board {
    const board = this.#boards.get(name)
    if (board !== undefined) return board
    throw new UsageError(`there is no board '${name}'; there are ${[...this.#boards.keys()].join(', ') || 'none'}`)
  }

  /** Sends what the processors have posted to any board. */
  serve(): void {
    for (const board of this.#boards.values()) board.serve()
  }
}
