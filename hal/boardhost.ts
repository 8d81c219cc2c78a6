/**
 * The host's end of one board: takes posted writes and EOIs from the board's ring in order, and puts the board's frames
 * and FIFO entries into its lines and windows. Runs on the thread that serves devices, and is no processor: it works
 * on the machine's memory only. A board may lie: what it sends is checked before it touches that memory.
 */
import type { Memory } from '../kernel/mm/memory.ts'
import {
  fifoCredit,
  Line,
  LineState,
  Post,
  putFifo,
  RegisterKind,
  SNAPSHOT_ROOM,
  takePosted,
  Window,
  WINDOW_REGISTERS,
} from '../kernel/ports/device.ts'

/** An interrupt frame: what the board says when a line interrupts. */
export interface Frame {
  /** The line's number on the board. */
  line: number
  /** One more than the line's frame before, modulo 64 at least. */
  sequence: number
  /** Edges that the board counted since hello; wraps at 32 bits. */
  edges: number
  /** Board clock in microseconds; wraps. */
  boardTime: number
  /** Status and count registers of the line's device at that moment; what did not change may be left out. */
  snapshot: readonly { offset: number; value: number }[]
}

/** What the host asks of a board, in order. */
export interface BoardEnd {
  /** Runs `ask`, which asks for several things at once: what carries them may put them together. */
  gather?(ask: () => void): void
  write(device: number, offset: number, value: number): void
  endOfInterrupt(line: number, sequence: number): void
  enableLine(line: number): void
  disableLine(line: number): void
  /** Calls back when everything before it was done. */
  flush(done: () => void): void
  read(device: number, offset: number, done: (value: number) => void): void
  /** The host can take `count` more entries of a FIFO register. At hello it can take none. */
  credit(device: number, offset: number, count: number): void
}

/** What a board, or the wire to it, tells the host. */
export interface BoardEvents {
  frame(frame: Frame): void
  /** Entries of a FIFO register: bytes, or words where it has words. */
  fifo(device: number, offset: number, entries: ArrayLike<number>): void
  /** The board came up again and knows nothing any more. */
  reset(): void
  /** The board cannot be reached any more. Once, and the last that is told. */
  gone(reason: string): void
  /** What firmware says to people. */
  log(text: string): void
}

/** What a board did that the protocol does not allow, counted. Nothing of it reaches a driver. */
export interface BoardFaults {
  /** Frames of lines that the board does not have. */
  unknownLines: number
  /** Frames that came while another of the same line was in flight. */
  lostFrames: number
  /** Frames whose sequence number did not follow the one before; they are taken. */
  wrongSequences: number
  /** Entries of snapshots that are no register of the line's snapshot. */
  strayRegisters: number
  /** Entries for what is no FIFO register. */
  strayEntries: number
  /** Entries beyond the credit. */
  lostEntries: number
}

export interface HostedLine {
  address: number
  vector: number
  /** For people. */
  name?: string
  isLevel?: boolean
  /** Offsets of the registers that its frames may carry. */
  snapshot: ReadonlySet<number>
}

export interface HostedDevice {
  window: number
  /** Offsets of the FIFO registers that the board may fill. */
  fifos: readonly number[]
}

export interface BoardHostParts {
  memory: Memory
  ring: number
  /** By their numbers on the board. */
  devices: readonly HostedDevice[]
  lines: readonly HostedLine[]
  /** Asks the machine to dispatch a vector. */
  interrupt(vector: number): void
  /** Answers a thread that asked the board. */
  answer(token: number, status: number, value: number): void
  now(): number
  /** Tells people what the board did wrong. */
  report(text: string): void
}

const STATUS_SUCCESS = 0
const STATUS_NO_SUCH_DEVICE = 0xc000000e | 0

/** Interrupts of a level line without a new edge before people are told. */
const STAYS_ASSERTED = 1000

/** Sequence numbers are compared modulo this: wires carry no more of them. */
const SEQUENCES = 64

const FAULT_TEXT: Record<keyof BoardFaults, string> = {
  unknownLines: 'sent a frame of a line that it does not have',
  lostFrames: 'sent a frame of a line before the end of interrupt of the one before',
  wrongSequences: 'sent a frame whose sequence number does not follow the one before',
  strayRegisters: 'sent a register in a frame that is not in the snapshot of the line',
  strayEntries: 'sent entries of what is no FIFO register',
  lostEntries: 'sent more FIFO entries than it had credit for',
}

export class BoardHost {
  readonly #parts: BoardHostParts
  readonly #board: BoardEnd
  readonly faults: BoardFaults = {
    unknownLines: 0,
    lostFrames: 0,
    wrongSequences: 0,
    strayRegisters: 0,
    strayEntries: 0,
    lostEntries: 0,
  }
  /** Questions that are out, by token: each is answered exactly once. */
  readonly #asked = new Set<number>()
  /** Sequence of the newest frame, by line. */
  readonly #sequences: (number | undefined)[] = []
  /** Frames of a level line since its last edge, by line. */
  readonly #asserted: { edges: number; frames: number }[] = []

  constructor(parts: BoardHostParts, board: BoardEnd) {
    this.#parts = parts
    this.#board = board
  }

  /** Gives the board credit for all that its FIFOs have room for: the begin of a session. */
  begin(): void {
    const { devices, memory } = this.#parts
    for (const [device, { window, fifos }] of devices.entries()) {
      for (const offset of fifos) this.#board.credit(device, offset, fifoCredit(memory, this.#fifoAt(window, offset)))
    }
  }

  #fifoAt(window: number, offset: number): number {
    return this.#parts.memory.i32[(window + offset) >> 2] as number
  }

  /** Sends what the processors posted since the last time. */
  serve(): void {
    if (this.#board.gather === undefined) this.#serveAll()
    else this.#board.gather(this.#serveAll)
  }

  readonly #serveAll = (): void => {
    const { memory, ring } = this.#parts
    for (let entry = takePosted(memory, ring); entry !== null; entry = takePosted(memory, ring)) {
      const { kind, first, second, third } = entry
      if (kind === Post.Write) this.#board.write(first, second, third)
      else if (kind === Post.EndOfInterrupt) this.#board.endOfInterrupt(first, second)
      else if (kind === Post.EnableLine) this.#board.enableLine(first)
      else if (kind === Post.DisableLine) this.#board.disableLine(first)
      else if (kind === Post.Flush) this.#flush(first)
      else if (kind === Post.Read) this.#read(first, second, third)
      else if (kind === Post.Credit) this.#board.credit(first, second, third)
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
    for (const token of Array.from(this.#asked)) this.#answer(token, STATUS_NO_SUCH_DEVICE, 0)
  }

  /** Counts what the board did wrong, and says so the first time. */
  #fault(what: keyof BoardFaults, count: number, where: string): void {
    if (this.faults[what] === 0)
      this.#parts.report(`the board ${FAULT_TEXT[what]} (${where}); further ones are counted`)
    this.faults[what] += count
  }

  /** Puts entries into a FIFO. A board keeps to its credit, so that they all have room. */
  fifo(device: number, offset: number, entries: ArrayLike<number>): void {
    const target = this.#parts.devices[device]
    if (target === undefined || !target.fifos.includes(offset)) {
      this.#fault('strayEntries', entries.length, `device ${device}, offset ${offset}`)
      return
    }
    const put = putFifo(this.#parts.memory, this.#fifoAt(target.window, offset), entries)
    if (put < entries.length) this.#fault('lostEntries', entries.length - put, `device ${device}, offset ${offset}`)
  }

  /**
   * Puts a frame into its line and interrupts. The frame is written before its state is stored atomically, so who sees
   * the state sees all of it; it is not touched again before the processor has sent EOI.
   */
  frame(frame: Frame): void {
    const line = this.#parts.lines[frame.line]
    if (line === undefined) {
      this.#fault('unknownLines', 1, `line ${frame.line}`)
      return
    }
    const { memory } = this.#parts
    const word = (offset: number): number => (line.address + offset) >> 2
    if (Atomics.load(memory.i32, word(Line.State)) !== LineState.Idle) {
      this.#fault('lostFrames', 1, `line ${frame.line}`)
      return
    }
    this.#checkSequence(frame)
    if (line.isLevel === true) this.#checkLevel(frame, line)
    memory.i32[word(Line.Sequence)] = frame.sequence
    memory.i32[word(Line.Edges)] = frame.edges
    memory.i32[word(Line.BoardTime)] = frame.boardTime
    memory.f64[(line.address + Line.Stamp) >> 3] = this.#parts.now()
    memory.i32[word(Line.SnapshotCount)] = this.#putSnapshot(frame, line)
    memory.i32[word(Line.Frames)] = (memory.i32[word(Line.Frames)] as number) + 1
    Atomics.store(memory.i32, word(Line.State), LineState.FrameWaits)
    this.#parts.interrupt(line.vector)
  }

  #checkSequence({ line, sequence }: Frame): void {
    const before = this.#sequences[line]
    this.#sequences[line] = sequence
    if (before === undefined || (sequence - before - 1) % SEQUENCES === 0) return
    this.#fault('wrongSequences', 1, `line ${line}: ${sequence} behind ${before}`)
  }

  /** A level line that is claimed again and again without becoming inactive is told by name, once an edge. */
  #checkLevel({ line, edges }: Frame, { name = `line ${line}` }: HostedLine): void {
    const before = this.#asserted[line]
    const frames = before?.edges === edges ? before.frames + 1 : 1
    this.#asserted[line] = { edges, frames }
    if (frames !== STAYS_ASSERTED) return
    this.#parts.report(
      `${name} has interrupted ${frames} times without becoming inactive: what claims it must take the cause away`,
    )
  }

  /** The snapshot's registers, those that the line has: their number. A register that is told twice counts once. */
  #putSnapshot({ line: number, snapshot }: Frame, { address, snapshot: known }: HostedLine): number {
    const { i32 } = this.#parts.memory
    const first = (address + Line.Snapshot) >> 2
    let count = 0
    for (const { offset, value } of snapshot) {
      if (!known.has(offset) || count === SNAPSHOT_ROOM) {
        this.#fault('strayRegisters', 1, `line ${number}, offset ${offset}`)
        continue
      }
      i32[first + count * 2] = offset
      i32[first + count * 2 + 1] = value
      count += 1
    }
    return count
  }
}

/** The FIFO registers of the window at `window` that the board may fill. */
export function fifosOf({ u8, i32 }: Memory, window: number): number[] {
  const offsets = Array.from({ length: WINDOW_REGISTERS }, (_, register) => register * 4)
  return offsets.filter(
    (offset) => u8[window + Window.Kinds + (offset >> 2)] === RegisterKind.Fifo && i32[(window + offset) >> 2] !== 0,
  )
}
