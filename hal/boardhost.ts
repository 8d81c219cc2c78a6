/**
 * The host's end of one board: takes posted writes and EOIs from the board's ring in order, and puts the board's frames
 * into its lines. Runs on the thread that serves devices, and is no processor: it works on the machine's memory only.
 */
import type { Memory } from '../kernel/mm/memory.ts'
import { Line, LineState, Post, SNAPSHOT_ROOM, takePosted } from '../kernel/ports/device.ts'

/** An interrupt frame: what the board says when a line interrupts. */
export interface Frame {
  /** The line's number on the board. */
  line: number
  sequence: number
  /** Edges that the board counted since hello; wraps at 32 bits. */
  edges: number
  /** Board clock in microseconds; wraps. */
  boardTime: number
  /** Status and count registers of the line's device at that moment. */
  snapshot: readonly { offset: number; value: number }[]
}

/** What the host asks of a board, in order. */
export interface BoardEnd {
  write(device: number, offset: number, value: number): void
  endOfInterrupt(line: number, sequence: number): void
  enableLine(line: number): void
  disableLine(line: number): void
  /** Calls back when everything before it was done. */
  flush(done: () => void): void
  read(device: number, offset: number, done: (value: number) => void): void
}

export interface BoardHostParts {
  memory: Memory
  ring: number
  /** Lines by their number on the board. */
  lines: { address: number; vector: number }[]
  /** Asks the machine to dispatch a vector. */
  interrupt(vector: number): void
  /** Answers a thread that asked the board. */
  answer(token: number, status: number, value: number): void
  now(): number
}

const STATUS_SUCCESS = 0
const STATUS_NO_SUCH_DEVICE = 0xc000000e | 0

export class BoardHost {
  readonly #parts: BoardHostParts
  readonly #board: BoardEnd
  /** Frames that came while another of the same line was in flight: a board that breaks the protocol. */
  lostFrames = 0
  /** Questions that are out, by token: each is answered exactly once. */
  readonly #asked = new Set<number>()

  constructor(parts: BoardHostParts, board: BoardEnd) {
    this.#parts = parts
    this.#board = board
  }

  /** Sends what the processors posted since the last time. */
  serve(): void {
    const { memory, ring } = this.#parts
    for (let entry = takePosted(memory, ring); entry !== null; entry = takePosted(memory, ring)) {
      const { kind, first, second, third } = entry
      if (kind === Post.Write) this.#board.write(first, second, third)
      else if (kind === Post.EndOfInterrupt) this.#board.endOfInterrupt(first, second)
      else if (kind === Post.EnableLine) this.#board.enableLine(first)
      else if (kind === Post.DisableLine) this.#board.disableLine(first)
      else if (kind === Post.Flush) this.#flush(first)
      else if (kind === Post.Read) this.#read(first, second, third)
    }
  }

  #read(device: number, offset: number, token: number): void {
    this.#asked.add(token)
    this.#board.read(device, offset, (value) => this.#answer(token, STATUS_SUCCESS, value))
  }

  #flush(token: number): void {
    this.#asked.add(token)
    this.#board.flush(() => this.#answer(token, STATUS_SUCCESS, 0))
  }

  #answer(token: number, status: number, value: number): void {
    if (this.#asked.delete(token)) this.#parts.answer(token, status, value)
  }

  /** The board is gone: what was asked and not answered fails, and what was posted is dropped. */
  gone(): void {
    const { memory, ring } = this.#parts
    for (let entry = takePosted(memory, ring); entry !== null; entry = takePosted(memory, ring)) {
      if (entry.kind === Post.Flush) this.#asked.add(entry.first)
      if (entry.kind === Post.Read) this.#asked.add(entry.third)
    }
    for (const token of [...this.#asked]) this.#answer(token, STATUS_NO_SUCH_DEVICE, 0)
  }

  /**
   * Puts a frame into its line and interrupts. The frame is written before its state is stored atomically, so who sees
   * the state sees all of it; it is not touched again before the processor has sent EOI.
   */
  frame({ line: number, sequence, edges, boardTime, snapshot }: Frame): void {
    const line = this.#parts.lines[number]
    if (line === undefined) return
    const { memory } = this.#parts
    const word = (offset: number): number => (line.address + offset) >> 2
    if (Atomics.load(memory.i32, word(Line.State)) !== LineState.Idle) {
      this.lostFrames += 1
      return
    }
    memory.i32[word(Line.Sequence)] = sequence
    memory.i32[word(Line.Edges)] = edges
    memory.i32[word(Line.BoardTime)] = boardTime
    memory.f64[(line.address + Line.Stamp) >> 3] = this.#parts.now()
    const count = Math.min(snapshot.length, SNAPSHOT_ROOM)
    for (let index = 0; index < count; index++) {
      const { offset, value } = snapshot[index] as { offset: number; value: number }
      memory.i32[word(Line.Snapshot + index * 8)] = offset
      memory.i32[word(Line.Snapshot + index * 8 + 4)] = value
    }
    memory.i32[word(Line.SnapshotCount)] = count
    memory.i32[word(Line.Frames)] = (memory.i32[word(Line.Frames)] as number) + 1
    Atomics.store(memory.i32, word(Line.State), LineState.FrameWaits)
    this.#parts.interrupt(line.vector)
  }
}
