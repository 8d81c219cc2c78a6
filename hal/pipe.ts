/** The in-process pipe: carries calls to a board in this process and its frames back, in order, after a delay. */
import type { BoardEnd, Frame } from './boardhost.ts'
import type { World } from './world.ts'

/** A board that lives in this process. */
export interface LocalBoard extends BoardEnd {
  /** Where its frames go. */
  connect(send: (frame: Frame) => void): void
}

/** 20 µs each way: about what a short line takes over full-speed USB once it is on its way. */
const DELAY_TICKS = 200

/** The host's end of a pipe to `board`. What is sent one after the other arrives so: the world keeps the order. */
export class Pipe implements BoardEnd {
  readonly #world: World
  readonly #board: LocalBoard
  #isOpen = true

  constructor(world: World, board: LocalBoard, receive: (frame: Frame) => void) {
    this.#world = world
    this.#board = board
    board.connect((frame) => this.#later(() => receive(frame)))
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

  /** Cuts the wire: nothing that is under way arrives. */
  close(): void {
    this.#isOpen = false
  }
}
