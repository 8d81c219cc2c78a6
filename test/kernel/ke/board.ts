/** The smallest board there is: a window, a ring, and interrupt lines, served by the test itself. */
import { attachLine, requestVector } from '../../../kernel/ke/interrupt.ts'
import { Machine, Pending, setPending } from '../../../kernel/ke/pcr.ts'
import { read32, write32, write8 } from '../../../kernel/mm/access.ts'
import { mem } from '../../../kernel/mm/memory.ts'
import { allocate } from '../../../kernel/mm/pool.ts'
import {
  answerReply,
  Fifo,
  fifoSize,
  initializeFifo,
  Line,
  LINE_SIZE,
  LineState,
  Post,
  type Posted,
  Ring,
  ringSize,
  takePosted,
  Window,
  WINDOW_MAGIC,
  WINDOW_SIZE,
  WindowState,
} from '../../../kernel/ports/device.ts'

export interface TestBoard {
  readonly window: number
  readonly ring: number
}

/** A board whose registers have the given kinds, by number. */
export function makeBoard(kinds: readonly number[], room = 16): TestBoard {
  const window = allocate(WINDOW_SIZE, 'Wind')
  const ring = allocate(ringSize(room), 'Ring')
  write32(ring + Ring.Room, room)
  write32(window + Window.Magic, WINDOW_MAGIC)
  write32(window + Window.Ring, ring)
  write32(window + Window.Device, 7)
  write32(window + Window.State, WindowState.Present)
  for (const [register, kind] of kinds.entries()) write8(window + Window.Kinds + register, kind)
  return { window, ring }
}

/** Gives a register of kind Fifo its FIFO. */
export function makeFifo({ window }: TestBoard, register: number, room: number, width: 1 | 4): number {
  const fifo = allocate(fifoSize(room, width), 'Fifo')
  initializeFifo(mem, fifo, room, width)
  write32(window + register * 4, fifo)
  return fifo
}
export const FIFO_TAKEN = Fifo.Taken

/** All that was posted since the last call. */
export function takeAll({ ring }: TestBoard): Posted[] {
  const all: Posted[] = []
  for (let next = takePosted(mem, ring); next !== null; next = takePosted(mem, ring)) all.push(next)
  return all
}

/** Answers a question, as the thread that serves the board does. */
export function answer(token: number, status: number, value: number): void {
  answerReply(mem, Machine.Replies, token, status, value)
  setPending(Pending.Message)
}

/** Connects a line of the board to `vector`. */
export function makeLine({ window, ring }: TestBoard, vector: number, number = 0): number {
  const line = allocate(LINE_SIZE, 'Line')
  write32(line + Line.Ring, ring)
  write32(line + Line.Number, number)
  write32(line + Line.Window, window)
  write32(line + Line.Vector, vector)
  attachLine(line)
  return line
}

/** A frame arrives: the snapshot is pairs of register number and value. */
export function interrupt(line: number, snapshot: readonly [number, number][] = []): void {
  for (const [index, [register, value]] of snapshot.entries()) {
    write32(line + Line.Snapshot + index * 8, register * 4)
    write32(line + Line.Snapshot + index * 8 + 4, value)
  }
  write32(line + Line.SnapshotCount, snapshot.length)
  write32(line + Line.State, LineState.FrameWaits)
  requestVector(0, read32(line + Line.Vector))
}

export const kindsOf = (posted: readonly Posted[]): number[] => posted.map(({ kind }) => kind)
export { Post }
