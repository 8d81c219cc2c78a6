/**
 * What the HAL and the kernel share of a device: its register window, its interrupt lines, and its board's ring.
 *
 * A window is a page: 512 registers of four bytes, one kind byte each, and a header at its end, so that a register
 * address alone leads to its window. A frame is taken, not pushed: it waits in the line until the processor that
 * dispatches the line copies it into the window, with the interrupt spin locks of the line held.
 */
import type { Memory } from '../mm/memory.ts'

export const WINDOW_SIZE = 0x1000
export const WINDOW_REGISTERS = 512

/** Offsets in a window's page. */
export const Window = {
  Kinds: 0x800, // one byte a register
  Magic: 0xf00,
  Ring: 0xf04, // address of the board's ring
  Device: 0xf08, // the device's number on its board
  State: 0xf0c,
  DroppedWrites: 0xf10,
  Board: 0xf14,
  Maps: 0xf18, // mappings that drivers have (MmMapIoSpace); atomic
} as const
export const WINDOW_MAGIC = 0x57494e44
export const WindowState = { Present: 1, Gone: 2 } as const

/**
 * What a register is (docs/hardware). The shadow word of a Fifo register holds the address of its FIFO, that of a Level
 * register the address of the FIFO whose entries it tells; 0 stands for a FIFO that is only written.
 */
export const RegisterKind = { None: 0, Control: 1, Status: 2, Count: 3, Command: 4, Fifo: 5, Level: 6 } as const

export const windowOf = (register: number): number => register & ~(WINDOW_SIZE - 1)

/** The board is gone: from now on reads give all ones and writes are counted and dropped. */
export function markWindowGone(memory: Memory, window: number): void {
  Atomics.store(memory.i32, (window + Window.State) >> 2, WindowState.Gone)
}

/** Whether no driver has `window` mapped any more, so that it may be used for another device. */
export const isWindowUnused = (memory: Memory, window: number): boolean =>
  Atomics.load(memory.i32, (window + Window.Maps) >> 2) === 0

/**
 * Offsets in a FIFO: what the board sends and the host reads once.
 *
 * One thread puts (the one that serves the board), any processor takes. The words at Put and Taken only grow, and
 * wrap; each is written by one side.
 */
export const Fifo = {
  Put: 0, // entries ever put; atomic
  Taken: 4, // entries ever taken; atomic
  Room: 8, // entries, a power of two
  Width: 12, // bytes of an entry: 1 or 4
  Credited: 16, // entries taken whose room the board was told of; atomic, written by takers
  Entries: 20,
} as const
export const fifoSize = (room: number, width: 1 | 4): number => Fifo.Entries + room * width

/** Makes the FIFO at `fifo`, in zeroed memory. */
export function initializeFifo(memory: Memory, fifo: number, room: number, width: 1 | 4): void {
  memory.i32[(fifo + Fifo.Room) >> 2] = room
  memory.i32[(fifo + Fifo.Width) >> 2] = width
}

/** Entries that can be taken. */
export function fifoLevel({ i32 }: Memory, fifo: number): number {
  return (Atomics.load(i32, (fifo + Fifo.Put) >> 2) - Atomics.load(i32, (fifo + Fifo.Taken) >> 2)) | 0
}

/** Entries that the board may put, with those that it was told of and has not put yet. Given at the begin of a session. */
export function fifoCredit({ i32 }: Memory, fifo: number): number {
  const uncredited = (i32[(fifo + Fifo.Put) >> 2]! - Atomics.load(i32, (fifo + Fifo.Credited) >> 2)) | 0
  return i32[(fifo + Fifo.Room) >> 2]! - uncredited
}

/** Entries that can still be put. */
export function fifoRoom({ i32 }: Memory, fifo: number): number {
  const filled = (i32[(fifo + Fifo.Put) >> 2]! - Atomics.load(i32, (fifo + Fifo.Taken) >> 2)) | 0
  return i32[(fifo + Fifo.Room) >> 2]! - filled
}

/**
 * Puts as many of `entries` as there is room for, and gives back how many. What is left over stays with the sender:
 * the HAL stops reading from the board, so that pressure reaches it and nothing is lost.
 */
export function putFifo(memory: Memory, fifo: number, entries: ArrayLike<number>): number {
  const count = Math.min(entries.length, fifoRoom(memory, fifo))
  const word = (fifo + Fifo.Put) >> 2
  const put = memory.i32[word]!
  const mask = memory.i32[(fifo + Fifo.Room) >> 2]! - 1
  const isBytes = memory.i32[(fifo + Fifo.Width) >> 2] === 1
  const first = fifo + Fifo.Entries
  if (isBytes && entries instanceof Uint8Array) {
    const straight = Math.min(count, mask + 1 - (put & mask))
    memory.u8.set(entries.subarray(0, straight), first + (put & mask))
    memory.u8.set(entries.subarray(straight, count), first)
  } else {
    for (let index = 0; index < count; index++) {
      const slot = (put + index) & mask
      if (isBytes) memory.u8[first + slot] = entries[index]!
      else memory.i32[(first >> 2) + slot] = entries[index]!
    }
  }
  Atomics.store(memory.i32, word, (put + count) | 0)
  return count
}

/** Offsets in a LINE. One frame is in flight at most. */
export const Line = {
  Next: 0, // the next line on the same vector
  Ring: 4,
  Number: 8, // on its board
  State: 12, // LineState; atomic
  Sequence: 16,
  Edges: 20, // counted by the board since hello; wraps
  BoardTime: 24, // microseconds; wraps
  Window: 28,
  SnapshotCount: 32,
  Mode: 36, // LevelSensitive 0, Latched 1
  Vector: 40,
  Claims: 48, // frames that an ISR claimed
  Spurious: 52, // frames that none claimed
  Frames: 56,
  Taken: 60,
  Stamp: 64, // double: host time at the frame's last byte, 100 ns units
  Latency: 72, // double: from there to the first ISR, of the last frame
  Snapshot: 80, // pairs of register offset and value
} as const
export const SNAPSHOT_ROOM = 32
export const LINE_SIZE = Line.Snapshot + SNAPSHOT_ROOM * 8
export const LineState = { Idle: 0, FrameWaits: 1, Taken: 2 } as const

/** Offsets in a board's ring: posted writes and EOIs in the order in which processors put them there. */
export const Ring = {
  Lock: 0,
  Put: 4, // entries ever put
  Taken: 8, // entries ever taken; atomic
  Room: 12, // entries, a power of two
  Board: 16,
  Entries: 32,
} as const
export const RING_ENTRY_SIZE = 16
export const ringSize = (room: number): number => Ring.Entries + room * RING_ENTRY_SIZE

/** Boards are rung by 32 bits: what serves them looks at one in 32, however many there are. */
export const boardBit = (board: number): number => 1 << (board & 31)

/** What an entry of a ring asks of the board. A token is the address of the REPLY that is to be answered, once. */
export const Post = {
  Write: 1, // device, offset, value
  EndOfInterrupt: 2, // line, sequence
  EnableLine: 3, // line
  DisableLine: 4, // line
  Flush: 5, // token: answered when everything before it was acknowledged
  Read: 6, // device, offset, token: a fresh read
  Credit: 7, // device, offset, entries of the FIFO that were taken since the last credit
} as const

export interface Posted {
  kind: number
  first: number
  second: number
  third: number
}

/** Takes the next entry of the ring at `ring`, for the thread that serves the board; null when it is empty. */
export function takePosted(memory: Memory, ring: number): Posted | null {
  const { i32 } = memory
  const word = (offset: number): number => i32[(ring + offset) >> 2] as number
  const taken = word(Ring.Taken)
  if (Atomics.load(i32, (ring + Ring.Put) >> 2) === taken) return null
  const entry = (ring + Ring.Entries + (taken & (word(Ring.Room) - 1)) * RING_ENTRY_SIZE) >> 2
  const [kind, first, second, third] = [i32[entry], i32[entry + 1], i32[entry + 2], i32[entry + 3]] as number[]
  Atomics.store(i32, (ring + Ring.Taken) >> 2, (taken + 1) | 0)
  return { kind, first, second, third } as Posted
}

/** Offsets in a REPLY: what a thread waits for that asked the board something. */
export const Reply = { Next: 0, Status: 4, Value: 8, Event: 12 } as const

/**
 * Answers the REPLY at `token`: puts it on the list at `head` (`Machine.Replies`), whose processor takes it when it
 * next looks (`Pending.Message`). To be called exactly once for each token, also when the board is gone.
 */
export function answerReply(memory: Memory, head: number, token: number, status: number, value: number): void {
  const { i32 } = memory
  i32[(token + Reply.Status) >> 2] = status
  i32[(token + Reply.Value) >> 2] = value
  // Takers take the whole list, so a head that is the same again is followed by the same entry: no ABA.
  for (;;) {
    const next = Atomics.load(i32, head >> 2)
    i32[(token + Reply.Next) >> 2] = next
    if (Atomics.compareExchange(i32, head >> 2, next, token) === next) return
  }
}
