/** Interrupt frames as lines tell them, by what is new in them (docs/wire.md, 8): written on one side, added up on the other. */
import type { BoardMessage, Told } from './messages.ts'

/** An interrupt frame, as boards and hosts know it. */
export interface BridgeFrame {
  line: number
  sequence: number
  /** Edges since the session began; wraps at 32 bits. */
  edges: number
  /** Microseconds; wraps. */
  boardTime: number
  snapshot: readonly { offset: number; value: number }[]
}

type FrameMessage = Extract<BoardMessage, { kind: 'i' | 's' }>

/** Registers of one frame at most, in bounded memory. */
export const MOST_SNAPSHOT = 32
/** Characters of a line's snapshot, about: longer ones are told in several lines. */
const GOOD_LENGTH = 24

const hexLength = (value: number): number => Math.max(Math.ceil((32 - Math.clz32(value)) / 4), 1)
const keyOf = (line: number, offset: number): number => (line << 16) | offset

interface LineState {
  sequence: number
  edges: number
  /** Of `s` lines, for the frame to come. */
  parts: { offset: number; value: number }[]
}

/** Adds up what a session's frames tell. */
export class FrameReader {
  readonly #lines: (LineState | undefined)[] = []
  /** The value of each register that a frame told last. */
  readonly #told = new Map<number, number>()
  #time = 0

  /** The frame that `message` ends, null for a part of one, or what is wrong with it. */
  take(message: FrameMessage): BridgeFrame | null | string {
    const state = (this.#lines[message.line] ??= { sequence: 0, edges: 0, parts: [] })
    for (const told of message.snapshot) state.parts.push(this.#add(message.line, told))
    const snapshot = state.parts
    if (message.kind === 'i' || snapshot.length > MOST_SNAPSHOT) state.parts = []
    if (snapshot.length > MOST_SNAPSHOT) {
      return `told more than ${MOST_SNAPSHOT} registers in one frame of line ${message.line}`
    }
    if (message.kind === 's') return null
    if (message.frame !== (state.sequence & 63)) {
      return `sent frame ${message.frame} of line ${message.line} in place of frame ${state.sequence & 63}`
    }
    this.#time = (this.#time + message.time) >>> 0
    state.edges = (state.edges + message.edges) >>> 0
    const { line } = message
    return { line, sequence: state.sequence++, edges: state.edges, boardTime: this.#time, snapshot }
  }

  #add(line: number, { offset, value, isMore }: Told): { offset: number; value: number } {
    const key = keyOf(line, offset)
    const now = isMore ? ((this.#told.get(key) ?? 0) + value) >>> 0 : value
    this.#told.set(key, now)
    return { offset, value: now }
  }
}

/** Tells a session's frames by what is new in them. */
export class FrameWriter {
  readonly #lines: ({ frames: number; edges: number; sequence: number } | undefined)[] = []
  readonly #told = new Map<number, number>()
  #time = 0

  /** The messages that tell `frame`: parts of its snapshot, and the interrupt itself. */
  messages({ line, sequence, edges, boardTime, snapshot }: BridgeFrame): FrameMessage[] {
    const state = (this.#lines[line] ??= { frames: 0, edges: 0, sequence: 0 })
    const parts = this.#news(line, snapshot)
    const last = parts.pop() ?? []
    const messages: FrameMessage[] = parts.map((part) => ({ kind: 's', line, snapshot: part }))
    const [time, more] = [(boardTime - this.#time) >>> 0, (edges - state.edges) >>> 0]
    messages.push({ kind: 'i', line, frame: state.frames & 63, time, edges: more, snapshot: last })
    this.#time = boardTime
    state.edges = edges
    state.sequence = sequence
    state.frames += 1
    return messages
  }

  /** The board's own number of the frame that an EOI names, if that one is the newest of its line. */
  sequenceOf(line: number, frame: number): number | null {
    const state = this.#lines[line]
    return state !== undefined && ((state.frames - 1) & 63) === frame ? state.sequence : null
  }

  /** What has changed, in parts that are short. */
  #news(line: number, snapshot: BridgeFrame['snapshot']): Told[][] {
    const parts: Told[][] = []
    let length = GOOD_LENGTH
    for (const { offset, value } of snapshot) {
      const key = keyOf(line, offset)
      const before = this.#told.get(key)
      if (before === value) continue
      this.#told.set(key, value)
      const more = (value - (before ?? 0)) >>> 0
      const told = more < value ? { offset, value: more, isMore: true } : { offset, value, isMore: false }
      const characters = 2 + hexLength(offset >>> 2) + hexLength(told.value)
      if (length + characters > GOOD_LENGTH) {
        parts.push([])
        length = 0
      }
      length += characters
      parts.at(-1)!.push(told)
    }
    return parts
  }
}
