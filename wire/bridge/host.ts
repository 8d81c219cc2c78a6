/**
 * The host's side of a bridge: hello and sessions, and the calls and frames of one board as lines. What it has to say
 * goes out through `write`, what comes goes in through `receive`; it has no thread, no clock and no port of its own.
 */
import { Assembler } from './assembler.ts'
import { decode, encodeBody, type Fault, hasGoodChecksum, type Line, prefixOf, seal } from './codec.ts'
import { FrameReader, type BridgeFrame } from './frames.ts'
import { type BridgedDevice, difference, type Identity, readIdentity } from './identity.ts'
import {
  BOARD_LINE,
  BRIDGE_ERROR_TEXT,
  BRIDGE_VERSION,
  type BoardMessage,
  type HostMessage,
  MOST_FIFO_BYTES,
  MOST_IDENTITY,
} from './messages.ts'
import { retransmitTicksOf, Talk, TICKS_PER_MS, type Time, WireCounts } from './talk.ts'
import { MOST_WINDOW, USUAL_WINDOW } from './window.ts'

const HELLO_TICKS = 20 * TICKS_PER_MS
const HELLO_FOR_TICKS = 3000 * TICKS_PER_MS

export interface BridgeHostParts {
  time: Time
  /** Takes bytes to send. Nothing may come back before it returns. */
  write(bytes: Uint8Array): void
  /** Whether bytes of before have not left yet; without it nobody knows. */
  isBusy?: () => boolean
  /** 32 random bits. */
  random(): number
  /** What the board file says; without it any board is right. */
  devices?: readonly BridgedDevice[]
  /** Registers that are FIFOs of bytes: writes one after the other to one of them may share a line. */
  byteFifos?: readonly { device: number; offset: number }[]
  /** Of the serial port; 0 or nothing where there is none. */
  baud?: number
  /** In place of what follows from `baud`. */
  retransmitTicks?: number
  helloForTicks?: number
}

/** What a bridge tells upwards. */
export interface BridgeEvents {
  frame(frame: BridgeFrame): void
  /** Entries of a FIFO register: bytes, or words where it has words. */
  fifo(device: number, offset: number, entries: readonly number[]): void
  /** The board came up again: the session is over, questions that are out are not answered. */
  reset(): void
  /** The board does not answer any more, or breaks the protocol. */
  gone(reason: string): void
  log(text: string): void
}

export type Opened = { isOpen: true; identity: Identity } | { isOpen: false; reason: string }

type State = 'closed' | 'hello' | 'identity' | 'open'

export class BridgeHost {
  readonly #parts: BridgeHostParts
  readonly #events: BridgeEvents
  readonly #assembler: Assembler
  readonly counts = new WireCounts()
  /** What was asked of the board while it had no session: dropped. */
  dropped = 0
  #state: State = 'closed'
  #opened: (result: Opened) => void = () => {}
  #attempt = 0
  #nonce = 0
  #bootCount = 0
  #prefix = 0
  #stalePrefix: number | null = null
  #identity = ''
  #talk: Talk | null = null
  #frames = new FrameReader()
  #reads: ((value: number) => void)[] = []
  #flushes: { at: number; done: () => void }[] = []

  constructor(parts: BridgeHostParts, events: BridgeEvents) {
    this.#parts = parts
    this.#events = events
    this.#assembler = new Assembler(
      BOARD_LINE,
      (bytes, length) => this.#line(bytes, length),
      () => (this.counts.damaged += 1),
    )
  }

  get isOpen(): boolean {
    return this.#state === 'open'
  }

  /** Says hello until the board answers; `opened` is told once. Credits begin at 0 behind it. */
  open(opened: (result: Opened) => void): void {
    this.#end()
    this.#state = 'hello'
    this.#opened = opened
    const nonce = this.#parts.random() >>> 0
    this.#nonce = nonce === this.#nonce ? (nonce + 1) >>> 0 : nonce
    this.#attempt += 1
    this.#hello(this.#attempt, this.#parts.time.now() + (this.#parts.helloForTicks ?? HELLO_FOR_TICKS))
  }

  /** Ends the session; the board is not told. */
  close(): void {
    this.#end()
    this.#attempt += 1
  }

  #hello(attempt: number, until: number): void {
    if (this.#attempt !== attempt || (this.#state !== 'hello' && this.#state !== 'identity')) return
    const { time } = this.#parts
    if (time.now() >= until) {
      this.#fail('nothing answers: is there a board with bridge firmware, and is the baud rate right?')
      return
    }
    if (this.#state === 'hello') this.#sayHello()
    time.after(HELLO_TICKS, () => this.#hello(attempt, until))
  }

  #sayHello(): void {
    this.counts.linesSent += 1
    const message: HostMessage = { kind: 'H', version: BRIDGE_VERSION, nonce: this.#nonce }
    const line = seal(encodeBody(message, 0), 0, prefixOf())
    // a newline before it ends whatever half a line the board has
    this.#parts.write(Uint8Array.of(0x0a, ...line))
  }

  #fail(reason: string): void {
    this.#end()
    this.#opened({ isOpen: false, reason })
  }

  #end(): void {
    this.#talk?.end()
    if (this.#talk !== null) this.#stalePrefix = this.#prefix
    this.#talk = null
    this.#state = 'closed'
    this.#reads = []
    this.#flushes = []
  }

  /** Bytes of the board, cut anywhere. */
  receive(bytes: Uint8Array): void {
    this.#assembler.take(bytes)
  }

  #line(bytes: Uint8Array, length: number): void {
    this.counts.linesReceived += 1
    // upper case is the host's: an echo of its own words has a good checksum, too
    if (bytes[0]! < LOWER_CASE) this.counts.damaged += 1
    else if (this.#talk !== null && hasGoodChecksum(bytes, length, this.#prefix)) {
      this.#talk.receive(decode(bytes, length))
    } else if (bytes[0] === BOOT && hasGoodChecksum(bytes, length, prefixOf())) {
      this.#cameUp(decode(bytes, length))
    } else if (bytes[0] === ANSWER && hasGoodChecksum(bytes, length, prefixOf(this.#nonce))) {
      this.#cameUp(decode(bytes, length))
    } else if (this.#stalePrefix !== null && hasGoodChecksum(bytes, length, this.#stalePrefix)) {
      this.counts.stale += 1
    } else {
      this.counts.damaged += 1
    }
  }

  /** A `b` or an `h`. */
  #cameUp(line: Line | Fault): void {
    if ('fault' in line) {
      this.counts.damaged += 1
      return
    }
    const { kind, version, bootCount } = line.message as Extract<BoardMessage, { kind: 'b' | 'h' }>
    if (this.#talk !== null) {
      if (bootCount !== this.#bootCount) this.#wasReset()
    } else if (this.#state === 'hello') {
      if (version !== BRIDGE_VERSION) this.#fail(mismatch(version))
      else if (kind === 'b') this.#sayHello()
      else this.#begin(bootCount)
    }
  }

  #begin(bootCount: number): void {
    this.#state = 'identity'
    this.#bootCount = bootCount
    this.#prefix = prefixOf(this.#nonce, bootCount)
    this.#identity = ''
    this.#frames = new FrameReader()
    this.#talk = new Talk({
      time: this.#parts.time,
      counts: this.counts,
      write: (line) => this.#parts.write(line),
      isBusy: this.#parts.isBusy ?? never,
      prefix: this.#prefix,
      takes: MOST_WINDOW,
      window: USUAL_WINDOW,
      retransmitTicks: this.#retransmitTicks(USUAL_WINDOW),
      measures: this.#parts.retransmitTicks === undefined,
      ackKind: 'A',
      deliver: (line) => this.#deliver(line),
      acknowledged: () => this.#acknowledged(),
      silent: () => this.#isGone('it has not answered for three seconds'),
    })
  }

  #retransmitTicks(window: number): number {
    return this.#parts.retransmitTicks ?? retransmitTicksOf(this.#parts.baud ?? 0, window)
  }

  #wasReset(): void {
    if (this.#state !== 'open') {
      this.#fail('the board was reset while it said what it is')
      return
    }
    this.#end()
    this.#events.reset()
  }

  #isGone(reason: string): void {
    if (this.#state !== 'open') {
      this.#fail(`the board has answered, but ${reason}`)
      return
    }
    this.#end()
    this.#events.gone(reason)
  }

  #acknowledged(): void {
    const ended = this.#talk?.ended ?? 0
    while (this.#flushes.length > 0 && this.#flushes[0]!.at <= ended) this.#flushes.shift()!.done()
  }

  /** Always carried out: nothing is held back from a host. */
  #deliver(line: Line | Fault): boolean {
    if ('fault' in line) this.#complain(`sent a line that is ${line.fault}`)
    else this.#carryOut(line.message as BoardMessage)
    return true
  }

  #carryOut(message: BoardMessage): void {
    switch (message.kind) {
      case 'a':
        break
      case 't':
        this.#identify(message.text)
        break
      case 'i':
      case 's':
        this.#frame(message)
        break
      case 'd':
        this.#events.fifo(message.device, message.offset, message.bytes)
        break
      case 'w':
        this.#events.fifo(message.device, message.offset, message.values)
        break
      case 'r':
        if (this.#reads.length > 0) this.#reads.shift()!(message.value)
        else this.#complain('answered what nobody asked')
        break
      case 'e':
        this.#events.log(errorText(message.code, message.text))
        break
      case 'l':
        this.#events.log(message.text)
        break
      default: // `b` and `h` under a session's checksum
        this.#complain(`sent '${message.kind}' in a session`)
    }
  }

  #complain(what: string): void {
    this.counts.impossible += 1
    this.#events.log(`the board breaks the protocol: it ${what}`)
  }

  #identify(piece: string): void {
    if (this.#state !== 'identity') {
      this.#complain('said again what it is')
    } else if (piece !== '') {
      this.#identity += piece
      if (this.#identity.length > MOST_IDENTITY)
        this.#fail(`the board says more than ${MOST_IDENTITY} characters of itself`)
    } else {
      this.#check(readIdentity(this.#identity))
    }
  }

  #check(identity: Identity | string): void {
    if (typeof identity === 'string') {
      this.#fail(identity)
      return
    }
    const { devices } = this.#parts
    const wrong = devices === undefined ? null : difference(identity, devices)
    if (wrong !== null) {
      this.#fail(wrong)
      return
    }
    this.#state = 'open'
    this.#talk?.widen(identity.window, this.#retransmitTicks(identity.window))
    this.#opened({ isOpen: true, identity })
  }

  #frame(message: Extract<BoardMessage, { kind: 'i' | 's' }>): void {
    const frame = this.#frames.take(message)
    if (typeof frame === 'string') this.#complain(frame)
    else if (frame !== null) this.#events.frame(frame)
  }

  #send(message: HostMessage): Talk | null {
    if (this.#state === 'open' && this.#talk !== null) {
      this.#talk.send(message)
      return this.#talk
    }
    this.dropped += 1
    return null
  }

  /** What is asked in `body` goes out behind it, in fewer lines where it may share them. */
  gather(body: () => void): void {
    if (this.#talk === null) body()
    else this.#talk.gather(body)
  }

  write(device: number, offset: number, value: number): void {
    if (this.#parts.byteFifos?.some((fifo) => fifo.device === device && fifo.offset === offset)) {
      this.#writeByte(device, offset, value & 0xff)
    } else {
      this.#send({ kind: 'W', device, offset, value })
    }
  }

  /** Behind others for the same FIFO that are not out yet, in their line. */
  #writeByte(device: number, offset: number, byte: number): void {
    const newest = this.#talk?.newest
    const hasRoom = newest?.kind === 'D' && newest.bytes.length < MOST_FIFO_BYTES
    if (hasRoom && newest.device === device && newest.offset === offset) (newest.bytes as number[]).push(byte)
    else this.#send({ kind: 'D', device, offset, bytes: [byte] })
  }

  endOfInterrupt(line: number, sequence: number): void {
    this.#send({ kind: 'E', line, frame: sequence & 63 })
  }

  enableLine(line: number): void {
    this.#send({ kind: 'L', line })
  }

  disableLine(line: number): void {
    this.#send({ kind: 'M', line })
  }

  /** Calls back when everything before it was carried out; never, if the session ends before. */
  flush(done: () => void): void {
    if (this.#state !== 'open' || this.#talk === null) {
      this.dropped += 1
    } else if (this.#talk.ended === this.#talk.queued) {
      this.#parts.time.after(0, done)
    } else {
      this.#flushes.push({ at: this.#talk.queued, done })
    }
  }

  read(device: number, offset: number, done: (value: number) => void): void {
    if (this.#send({ kind: 'R', device, offset }) !== null) this.#reads.push(done)
  }

  /** The host can take `count` more entries of a FIFO. */
  credit(device: number, offset: number, count: number): void {
    this.#send({ kind: 'C', device, offset, count })
  }
}

const never = (): boolean => false
const LOWER_CASE = 'a'.charCodeAt(0)
const BOOT = 'b'.charCodeAt(0)
const ANSWER = 'h'.charCodeAt(0)

function mismatch(version: number): string {
  const renew = version < BRIDGE_VERSION ? 'put newer firmware on the board' : 'use a newer dirql'
  return `the board speaks version ${version} of the bridge protocol, and this is version ${BRIDGE_VERSION}: ${renew}`
}

function errorText(code: number, text: string): string {
  const meaning = BRIDGE_ERROR_TEXT[code] ?? 'unknown'
  return `board error ${code.toString(16).padStart(2, '0')} (${meaning})${text === '' ? '' : `: ${text}`}`
}
