/** Firmware that prints text as a device of class `lines`: text lines, and patterns that make interrupts of them. */
import type { DeviceLayout } from '../classes/device.ts'
import {
  Lines,
  LINES_LONGEST,
  LINES_TRANSMIT_ROOM,
  patternOffset,
  type PatternSpec,
  patternValue,
} from '../classes/lines.ts'
import { type SoftEvents, SoftDevice } from './softdevice.ts'
import { Transmitter } from './transmitter.ts'

const LF = 0x0a
const CR = 0x0d
const DATA_LINE = 0
const TRANSMIT_LINE = 1
const FIRST_PATTERN_LINE = 2
/** Text lines that are kept while the host has no room; the link stops soon after it is told to. */
const MOST_KEPT = 1024

export interface TextLine {
  /** Without its end. */
  bytes: Uint8Array
  /** It was longer. */
  isCut: boolean
}

/** Cuts bytes into text lines, in bounded memory. Empty ones are left out. */
export class LineCutter {
  readonly #bytes = new Uint8Array(LINES_LONGEST)
  #length = 0
  #isCut = false

  take(bytes: Uint8Array): TextLine[] {
    const lines: TextLine[] = []
    for (const byte of bytes) {
      if (byte === LF || byte === CR) {
        if (this.#length > 0) lines.push({ bytes: this.#bytes.slice(0, this.#length), isCut: this.#isCut })
        this.#length = 0
        this.#isCut = false
      } else if (this.#length < LINES_LONGEST) {
        this.#bytes[this.#length++] = byte
      } else {
        this.#isCut = true
      }
    }
    return lines
  }
}

export interface PatternMatch {
  /** Of the pattern. */
  index: number
  /** Of its groups, as registers hold them. */
  values: number[]
}

/** The patterns that a text line matches, with what their groups say. */
export function matchesOf(
  patterns: readonly { expression: RegExp; scale: number }[],
  bytes: Uint8Array,
): PatternMatch[] {
  const text = decoder.decode(bytes)
  return patterns.flatMap(({ expression, scale }, index) => {
    const groups = expression.exec(text)
    return groups === null ? [] : [{ index, values: groups.slice(1).map((group) => patternValue(group, scale)) }]
  })
}
const decoder = new TextDecoder()

/** What a port does for the device. */
export interface TextPort {
  /** Microseconds. */
  now(): number
  send(bytes: Uint8Array): void
  pause(): void
  resume(): void
}

/** The host's end of a port that a sketch prints to, in place of a board. */
export class TextDevice extends SoftDevice {
  readonly #port: TextPort
  readonly #patterns: { expression: RegExp; scale: number }[]
  readonly #transmitter: Transmitter
  #cutter = new LineCutter()
  #kept: TextLine[] = []

  constructor(layout: DeviceLayout, port: TextPort, patterns: readonly PatternSpec[] = []) {
    super(layout, () => port.now())
    this.#port = port
    this.#patterns = patterns.map(({ match, scale }) => ({ expression: new RegExp(match, 'u'), scale }))
    const plan = { ROOM: Lines.ROOM, WRITTEN: Lines.WRITTEN, room: LINES_TRANSMIT_ROOM, line: TRANSMIT_LINE }
    this.#transmitter = new Transmitter(this, plan, (bytes) => port.send(bytes))
    this.onWrite = (offset, value) => {
      if (offset === Lines.DATA) this.#transmitter.write(value)
    }
    this.onCredit = () => this.#giveKept()
  }

  override connect(events: SoftEvents): void {
    super.connect(events)
    this.#transmitter.begin()
  }

  /** Bytes came. */
  receive(bytes: Uint8Array): void {
    for (const line of this.#cutter.take(bytes)) {
      if (this.#kept.length < MOST_KEPT) this.#kept.push(line)
      else if (this.#kept.length === MOST_KEPT)
        this.log('the port does not stop sending, and no driver reads: text lines are lost')
    }
    this.#giveKept()
  }

  /** Gives the host whole text lines, as far as it has room; the port waits while any is left. */
  #giveKept(): void {
    while (this.#kept.length > 0 && this.creditOf(Lines.DATA) > this.#kept[0]!.bytes.length) {
      this.#give(this.#kept.shift()!)
    }
    if (this.#kept.length > 0) this.#port.pause()
    else this.#port.resume()
  }

  #give({ bytes, isCut }: TextLine): void {
    this.put(Lines.DATA, Uint8Array.of(...bytes, LF))
    this.add(Lines.LINES, 1)
    this.add(Lines.RECEIVED, bytes.length + 1)
    if (isCut) this.add(Lines.CUT, 1)
    for (const { index, values } of matchesOf(this.#patterns, bytes)) this.#matched(index, values)
    this.edge(DATA_LINE)
  }

  #matched(index: number, values: readonly number[]): void {
    const first = patternOffset(index)
    this.add(first, 1)
    for (const [group, value] of values.entries()) this.set(first + 4 * (group + 1), value)
    this.edge(FIRST_PATTERN_LINE + index)
  }

  /** `unsent` bytes are left of what was sent. */
  sent(unsent: number): void {
    this.#transmitter.sent(unsent)
  }
}
