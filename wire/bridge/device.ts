/**
 * The board's side of a bridge, for boards that live in a program: puts one that has a board's methods behind bytes. It
 * has no thread, no clock and no port of its own.
 */
import { Assembler } from './assembler.ts'
import { decode, encodeBody, type Fault, hasGoodChecksum, type Line, prefixOf, seal } from './codec.ts'
import { FrameWriter } from './frames.ts'
import type { BridgeEvents } from './host.ts'
import { type Identity, identityPieces } from './identity.ts'
import {
  type BoardMessage,
  BRIDGE_VERSION,
  BridgeError,
  HOST_LINE,
  type HostMessage,
  MOST_FIFO_BYTES,
  MOST_FIFO_WORDS,
} from './messages.ts'
import { retransmitTicksOf, Talk, TICKS_PER_MS, type Time, WireCounts } from './talk.ts'
import { MOST_WINDOW } from './window.ts'

const BOOT_TICKS = 1000 * TICKS_PER_MS
const BOOT_ANSWER_TICKS = 20 * TICKS_PER_MS
/** Messages that may wait to be sent before questions have to. */
const MOST_WAITING = 64
const MOST_TEXT = 48

/** What a bridge asks of its board: one that lives in this program (hal/pipe.ts has the same). */
export interface BridgedBoard {
  /** A session begins: registers, counts, credits and lines are as after power-up. What the board says goes to `events`. */
  connect(events: BridgeEvents): void
  write(device: number, offset: number, value: number): void
  read(device: number, offset: number, done: (value: number) => void): void
  endOfInterrupt(line: number, sequence: number): void
  enableLine(line: number): void
  disableLine(line: number): void
  credit(device: number, offset: number, count: number): void
}

export interface BridgeDeviceParts {
  time: Time
  /** Takes bytes to send. Nothing may come back before it returns. */
  write(bytes: Uint8Array): void
  /** Whether bytes of before have not left yet; without it nobody knows. */
  isBusy?: () => boolean
  board: BridgedBoard
  identity: Omit<Identity, 'window'>
  /** Lines that it takes at once, and sends; as many as there may be if left out. */
  window?: number
  bootCount: number
  /** FIFO registers whose entries are words; those of all others are bytes. */
  wordFifos?: readonly { device: number; offset: number }[]
  baud?: number
  retransmitTicks?: number
}

export class BridgeDevice {
  readonly #parts: BridgeDeviceParts
  readonly #assembler: Assembler
  readonly counts = new WireCounts()
  #bootCount: number
  #nonce: number | null = null
  #prefix = 0
  #stalePrefix: number | null = null
  #talk: Talk | null = null
  #frames = new FrameWriter()
  /** Answers in the order of the questions; null as long as the board has not given it. */
  #answers: { value: number | null }[] = []
  /** Which boot, or stop, the planned `b` is of. */
  #life = 0
  #saidAt = Number.NEGATIVE_INFINITY

  constructor(parts: BridgeDeviceParts) {
    this.#parts = parts
    this.#bootCount = parts.bootCount >>> 0
    this.#assembler = new Assembler(
      HOST_LINE,
      (bytes, length) => this.#line(bytes, length),
      () => {
        this.counts.damaged += 1
        this.#answerStranger()
      },
    )
  }

  get hasSession(): boolean {
    return this.#talk !== null
  }

  /** Power-up: says that it is there, until a host says hello. */
  start(): void {
    this.#life += 1
    this.#announce(this.#life)
  }

  stop(): void {
    this.#life += 1
    this.#endSession()
  }

  /** The board resets: it knows nothing of any session, and comes up with another boot count. */
  reset(bootCount = this.#bootCount + 1): void {
    this.stop()
    this.#nonce = null
    this.#stalePrefix = null
    this.#bootCount = bootCount >>> 0
    this.start()
  }

  #announce(life: number): void {
    if (this.#life !== life || this.hasSession) return
    this.#sayUp()
    this.#parts.time.after(BOOT_TICKS, () => this.#announce(life))
  }

  #sayUp(): void {
    this.#saidAt = this.#parts.time.now()
    this.#sayPlainly({ kind: 'b', version: BRIDGE_VERSION, bootCount: this.#bootCount }, prefixOf())
  }

  /** With a newline before it, which ends whatever half a line the host has. */
  #sayPlainly(message: BoardMessage, prefix: number): void {
    this.counts.linesSent += 1
    this.#parts.write(Uint8Array.of(0x0a, ...seal(encodeBody(message, 0), 0, prefix)))
  }

  #answerStranger(): void {
    if (!this.hasSession && this.#parts.time.now() - this.#saidAt >= BOOT_ANSWER_TICKS) this.#sayUp()
  }

  #endSession(): void {
    this.#talk?.end()
    if (this.#talk !== null) this.#stalePrefix = this.#prefix
    this.#talk = null
    this.#answers = []
  }

  /** Bytes of the host, cut anywhere. */
  receive(bytes: Uint8Array): void {
    this.#assembler.take(bytes)
  }

  #line(bytes: Uint8Array, length: number): void {
    this.counts.linesReceived += 1
    // lower case is the board's: an echo of its own words has a good checksum, too
    const isEcho = bytes[0]! >= LOWER_CASE
    if (!isEcho && this.#talk !== null && hasGoodChecksum(bytes, length, this.#prefix)) {
      this.#talk.receive(decode(bytes, length))
      return
    }
    if (bytes[0] === HELLO && hasGoodChecksum(bytes, length, prefixOf())) {
      const line = decode(bytes, length)
      if (!('fault' in line)) {
        this.#hello(line.message as Extract<HostMessage, { kind: 'H' }>)
        return
      }
    }
    const isStale = !isEcho && this.#stalePrefix !== null && hasGoodChecksum(bytes, length, this.#stalePrefix)
    if (isStale) this.counts.stale += 1
    else this.counts.damaged += 1
    this.#answerStranger()
  }

  #hello({ version, nonce }: { version: number; nonce: number }): void {
    const isNew = version === BRIDGE_VERSION && (nonce !== this.#nonce || !this.hasSession)
    if (isNew) this.#endSession()
    this.#sayPlainly({ kind: 'h', version: BRIDGE_VERSION, bootCount: this.#bootCount }, prefixOf(nonce))
    if (isNew) this.#begin(nonce)
  }

  #begin(nonce: number): void {
    this.#nonce = nonce
    this.#prefix = prefixOf(nonce, this.#bootCount)
    this.#frames = new FrameWriter()
    const { window = MOST_WINDOW, identity, baud = 0 } = this.#parts
    this.#talk = new Talk({
      time: this.#parts.time,
      counts: this.counts,
      write: (line) => this.#parts.write(line),
      isBusy: this.#parts.isBusy ?? never,
      prefix: this.#prefix,
      takes: window,
      window,
      retransmitTicks: this.#parts.retransmitTicks ?? retransmitTicksOf(baud, window),
      measures: false,
      ackKind: 'a',
      deliver: (line) => this.#deliver(line),
      acknowledged: () => {},
      silent: () => {}, // its host will come back with a hello
    })
    for (const text of identityPieces({ ...identity, window })) this.#talk.send({ kind: 't', text })
    this.#parts.board.connect(this.#eventsOf(this.#talk))
  }

  #deliver(line: Line | Fault): boolean {
    if ('fault' in line) {
      this.error(line.fault === 'unknown' ? BridgeError.UnknownKind : BridgeError.Malformed, '')
      return true
    }
    const message = line.message as HostMessage
    if (message.kind === 'R' && this.#isFull()) return false
    this.#carryOut(message)
    return true
  }

  #isFull(): boolean {
    return this.#answers.length + (this.#talk?.waiting ?? 0) >= MOST_WAITING
  }

  #carryOut(message: HostMessage): void {
    const { board } = this.#parts
    switch (message.kind) {
      case 'A':
        break
      case 'W':
        board.write(message.device, message.offset, message.value)
        break
      case 'D':
        for (const byte of message.bytes) board.write(message.device, message.offset, byte)
        break
      case 'R':
        this.#read(message.device, message.offset)
        break
      case 'E':
        this.#endOfInterrupt(message.line, message.frame)
        break
      case 'L':
        board.enableLine(message.line)
        break
      case 'M':
        board.disableLine(message.line)
        break
      case 'C':
        board.credit(message.device, message.offset, message.count)
        break
      default: // a hello under a session's checksum
        this.error(BridgeError.UnknownKind, '')
    }
  }

  #read(device: number, offset: number): void {
    const answer: { value: number | null } = { value: null }
    const answers = this.#answers
    answers.push(answer)
    this.#parts.board.read(device, offset, (value) => {
      answer.value = value >>> 0
      while (answers.length > 0 && answers[0]!.value !== null && answers === this.#answers) {
        this.#talk?.send({ kind: 'r', value: answers.shift()!.value! })
      }
    })
  }

  #endOfInterrupt(line: number, frame: number): void {
    const sequence = this.#frames.sequenceOf(line, frame)
    if (sequence !== null) this.#parts.board.endOfInterrupt(line, sequence)
  }

  /** What the board says in a session; nothing of it counts in a later one. */
  #eventsOf(talk: Talk): BridgeEvents {
    const frames = this.#frames
    const inSession = (happen: () => void): void => {
      if (this.#talk === talk) happen()
    }
    return {
      frame: (frame) => inSession(() => frames.messages(frame).forEach((message) => talk.send(message))),
      fifo: (device, offset, entries) => inSession(() => this.#sendEntries(talk, { device, offset }, entries)),
      reset: () => inSession(() => this.reset()),
      gone: () => inSession(() => this.stop()),
      log: (text) => inSession(() => this.log(text)),
    }
  }

  #sendEntries(talk: Talk, register: { device: number; offset: number }, entries: ArrayLike<number>): void {
    const { wordFifos = [] } = this.#parts
    const isWord = wordFifos.some(({ device, offset }) => device === register.device && offset === register.offset)
    const most = isWord ? MOST_FIFO_WORDS : MOST_FIFO_BYTES
    for (let from = 0; from < entries.length; from += most) {
      const part = Array.from({ length: Math.min(most, entries.length - from) }, (_, index) => entries[from + index]!)
      talk.send(isWord ? { kind: 'w', ...register, values: part } : { kind: 'd', ...register, bytes: part })
    }
  }

  /** Tells the host of an error; one that comes while too much waits is dropped. */
  error(code: number, text: string): void {
    if (this.#talk === null || this.#isFull()) return
    this.#talk.send({ kind: 'e', code, text: text.slice(0, MOST_TEXT) })
  }

  /** A message for people; it may get lost. */
  log(text: string): void {
    this.#talk?.sendOnce({ kind: 'l', text: text.slice(0, MOST_TEXT) })
  }
}

const never = (): boolean => false
const LOWER_CASE = 'a'.charCodeAt(0)
const HELLO = 'H'.charCodeAt(0)
