/** The in-process pipe: carries calls to a board in this process and its frames back, in order, after a delay. */
import type { BoardEnd, BoardEvents } from './boardhost.ts'
import type { World } from './world.ts'

/** A board that lives in this process. */
export interface LocalBoard extends BoardEnd {
  /** A host is there: the begin of a session. What the board says goes to `events`. */
  connect(events: BoardEvents): void
}

/** 20 µs each way: about what a short line takes over full-speed USB once it is on its way. */
const DELAY_TICKS = 200

/** The host's end of a pipe to `board`. What is sent one after the other arrives so: the world keeps the order. */
export class Pipe implements BoardEnd {
  readonly #world: World
  readonly #board: LocalBoard
  #isOpen = true

  constructor(world: World, board: LocalBoard) {
    this.#world = world
    this.#board = board
  }

  /** A session begins: the board starts anew, and what it says arrives at `events`. */
  connect(events: BoardEvents): void {
    this.#board.connect({
      frame: (frame) => this.#later(() => events.frame(frame)),
      fifo: (device, offset, entries) => this.#later(() => events.fifo(device, offset, entries)),
      reset: () => this.#later(() => events.reset()),
      gone: (reason) => this.#later(() => events.gone(reason)),
      log: (text) => this.#later(() => events.log(text)),
    })
  }

  #later(happen: () => void): void {
    this.#world.after(DELAY_TICKS, () => {
      if (this.#isOpen) happen()
    })
  }

  write(device: number, offset: number, value: number): void {
    this.#later(() => this.#board.write(device, offset, value))
  }

  endOfInterrupt(line: number, sequence: number): void {
    this.#later(() => this.#board.endOfInterrupt(line, sequence))
  }

  enableLine(line: number): void {
    this.#later(() => this.#board.enableLine(line))
  }

  disableLine(line: number): void {
    this.#later(() => this.#board.disableLine(line))
  }

  flush(done: () => void): void {
    this.#later(() => this.#board.flush(() => this.#later(done)))
  }

  read(device: number, offset: number, done: (value: number) => void): void {
    this.#later(() => this.#board.read(device, offset, (value) => this.#later(() => done(value))))
  }

  credit(device: number, offset: number, count: number): void {
    this.#later(() => this.#board.credit(device, offset, count))
  }

  /** Cuts the wire: nothing that is under way arrives. */
  close(): void {
    this.#isOpen = false
  }
}
