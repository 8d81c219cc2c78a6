/** What a board told its host, and a host that is quick to say it has understood. */
import type { BoardEvents, Frame } from '../../hal/boardhost.ts'
import type { SoftBoard } from '../../hal/softboard.ts'

export class ToldBoard implements BoardEvents {
  readonly frames: Frame[] = []
  readonly entries = new Map<number, number[]>()
  readonly ends: string[] = []
  readonly logs: string[] = []
  readonly #board: SoftBoard

  constructor(board: SoftBoard) {
    this.#board = board
    board.connect(this)
  }

  frame(frame: Frame): void {
    this.frames.push(frame)
    setImmediate(() => this.#board.endOfInterrupt(frame.line, frame.sequence))
  }
  fifo(_device: number, offset: number, entries: ArrayLike<number>): void {
    this.entries.set(offset, [...this.fifoAt(offset), ...Array.from(entries)])
  }
  fifoAt(offset: number): number[] {
    return this.entries.get(offset) ?? []
  }
  reset(): void {}
  gone(reason: string): void {
    this.ends.push(reason)
  }
  log(text: string): void {
    this.logs.push(text)
  }

  /** A register's newest value in the frames of a line. */
  value(line: number, offset: number): number | undefined {
    const frame = this.frames.findLast((candidate) => candidate.line === line)
    return frame?.snapshot.find((entry) => entry.offset === offset)?.value
  }
}
