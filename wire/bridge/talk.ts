/**
 * One side of a session: sends lines until they are acknowledged, and hands on what comes, exactly once and in order
 * (docs/wire.md, 6 and 7). Both sides are alike.
 */
import { encodeBody, type Fault, isSequenced, type Line, seal } from './codec.ts'
import type { Message } from './messages.ts'
import { type Out, ReceiveWindow, SendWindow, USUAL_WINDOW } from './window.ts'

/** Ticks are 100 ns. Nothing that is planned is ever taken back: what is no longer due does nothing. */
export interface Time {
  now(): number
  after(ticks: number, happen: () => void): unknown
}

export const TICKS_PER_MS = 10_000
const ACK_TICKS = 1 * TICKS_PER_MS
const SILENT_TICKS = 3000 * TICKS_PER_MS
/**
 * Between two looks no more counts as silence: a program that was stopped, or on a host that was asleep, has what came
 * meanwhile yet to read.
 */
const MOST_SILENT_TICKS = 200 * TICKS_PER_MS
const MOST_MEASURED_TICKS = 100 * TICKS_PER_MS
/** Round trips that the shortest is taken of. */
const ROUND_TRIPS = 16

/** Usual lines are shorter, both ways together. */
const BYTES_A_LINE = 50

/** The retransmission time on a wire with this baud rate, 0 for one that has none, and with so many lines out. */
export const retransmitTicksOf = (baud: number, window: number): number =>
  3 * TICKS_PER_MS +
  (baud === 0 ? 0 : Math.ceil((BYTES_A_LINE * Math.max(window, USUAL_WINDOW) * 10 * 1000 * TICKS_PER_MS) / baud))

/** What was counted on a wire, since the first hello. */
export class WireCounts {
  linesReceived = 0
  linesSent = 0
  /** Lines with a bad checksum, too long, or not built as the protocol says. */
  damaged = 0
  /** Good lines of a session that is over. */
  stale = 0
  duplicates = 0
  retransmissions = 0
  /** Lines and acknowledgements that a side which follows the protocol does not send. */
  impossible = 0
}

export interface TalkParts {
  time: Time
  counts: WireCounts
  /** Takes a line to send. Nothing may come back before it returns. */
  write(line: Uint8Array): void
  /** Whether lines that were written have not left yet: none is sent again behind them. */
  isBusy(): boolean
  /** The checksum's state behind the session's prefix. */
  prefix: number
  /** Lines that this side takes at once. */
  takes: number
  /** Lines that the other side takes, as far as is known. */
  window: number
  retransmitTicks: number
  /** Whether the retransmission time may grow with the measured round trip. */
  measures: boolean
  ackKind: 'A' | 'a'
  /** Carries out a line; false when it cannot be now, and is to be asked again. */
  deliver(line: Line | Fault): boolean
  /** Lines were acknowledged. */
  acknowledged(): void
  /** Nothing was heard for three seconds while something waits to be acknowledged. May end the talk. */
  silent(): void
}

export class Talk {
  readonly #parts: TalkParts
  readonly #sent: SendWindow
  readonly #received: ReceiveWindow<Line | Fault>
  readonly #ackBody: Uint8Array
  #queue: Message[] = []
  /** Messages of `#queue` that are out already. */
  #taken = 0
  /** When an acknowledgement is to be sent at the latest; Infinity when none is owed. */
  #ackAt = Number.POSITIVE_INFINITY
  /** The next time that is planned. */
  #planned = Number.POSITIVE_INFINITY
  /** How long nothing was heard while something waits to be acknowledged, as far as it counts; and up to when. */
  #silence = 0
  #lookedAt: number
  #isOver = false
  #isGathering = false
  /** As is asked for, and as measured. */
  #leastTicks: number
  #retransmitTicks: number
  readonly #roundTrips: number[] = []
  /** Messages ever queued, and ever acknowledged. */
  queued = 0
  ended = 0

  constructor(parts: TalkParts) {
    this.#parts = parts
    this.#ackBody = encodeBody({ kind: parts.ackKind }, 0)
    this.#lookedAt = parts.time.now()
    this.#sent = new SendWindow(parts.window)
    this.#received = new ReceiveWindow(parts.takes)
    this.#leastTicks = parts.retransmitTicks
    this.#retransmitTicks = parts.retransmitTicks
  }

  /** The other side has said how many lines it takes. */
  widen(window: number, retransmitTicks: number): void {
    this.#sent.size = window
    this.#leastTicks = retransmitTicks
    this.#retransmitTicks = retransmitTicks
  }

  /** Messages that are not out yet. */
  get waiting(): number {
    return this.#queue.length - this.#taken
  }

  /** The newest message that is not out yet: more may be put into it. */
  get newest(): Message | undefined {
    return this.waiting > 0 ? this.#queue.at(-1) : undefined
  }

  send(message: Message): void {
    if (this.#isOver) return
    this.queued += 1
    this.#queue.push(message)
    this.#fill()
  }

  /** What is sent in `body` is put out behind it: until then more may be put into the newest message. */
  gather(body: () => void): void {
    this.#isGathering = true
    try {
      body()
    } finally {
      this.#isGathering = false
    }
    this.#fill()
  }

  /** Sends an unsequenced line of the session. */
  sendOnce(message: Message): void {
    if (!this.#isOver) this.#write(encodeBody(message, 0))
  }

  /** The silence is over; or begins, for from now on something is to be acknowledged. */
  #heard(): void {
    this.#silence = 0
    this.#lookedAt = this.#parts.time.now()
  }

  /** The session is over: nothing is sent any more. */
  end(): void {
    this.#isOver = true
    this.#queue = []
    this.#taken = 0
  }

  /** Takes a line of the session, with a good checksum. */
  receive(line: Line | Fault): void {
    if (this.#isOver) return
    this.#heard()
    if (line.ack >= 0) this.#acknowledge(line.ack)
    if (isOfSequence(line)) this.#arrive(line)
    else this.#parts.deliver(line)
    if (!this.#isOver) this.#fill()
  }

  #acknowledge(ack: number): void {
    const ended = this.#sent.acknowledge(ack)
    if (ended === null) {
      this.#parts.counts.impossible += 1
    } else if (ended.length > 0) {
      this.ended += ended.length
      for (const line of ended) this.#measure(line)
      this.#parts.acknowledged()
    }
  }

  /** The shortest of the last round trips of lines that were sent once: what takes longer was lost, not late. */
  #measure({ sends, sentAt }: Out): void {
    if (!this.#parts.measures || sends > 1) return
    this.#roundTrips.push(this.#parts.time.now() - sentAt)
    if (this.#roundTrips.length < ROUND_TRIPS) return
    const twice = 2 * Math.min(...this.#roundTrips.splice(0))
    this.#retransmitTicks = Math.max(this.#leastTicks, Math.min(twice, MOST_MEASURED_TICKS))
  }

  #arrive(line: Line | Fault): void {
    const { counts } = this.#parts
    const arrival = this.#received.place(line.sequence, line)
    if (arrival === 'outside') {
      counts.impossible += 1
      return
    }
    if (arrival === 'duplicate') {
      counts.duplicates += 1
      this.#oweAck(0)
      return
    }
    if (arrival === 'next') {
      // One that cannot be carried out now is let go, acknowledged as not there, and sent again.
      for (let next: Line | Fault | null = line; next !== null; next = this.#received.advance()) {
        if (!this.#parts.deliver(next)) break
        if (this.#isOver) return
      }
    }
    this.#oweAck(ACK_TICKS)
  }

  #oweAck(ticks: number): void {
    this.#ackAt = Math.min(this.#ackAt, this.#parts.time.now() + ticks)
    if (ticks === 0) this.#tick()
    else this.#plan(this.#ackAt)
  }

  /** Puts out what there is room for. */
  #fill(): void {
    if (this.#isGathering) return
    const now = this.#parts.time.now()
    while (this.#sent.hasRoom && this.waiting > 0) {
      if (this.#sent.out.length === 0) this.#heard()
      const body = encodeBody(this.#queue[this.#taken++]!, this.#sent.nextSequence)
      this.#sent.put(body, now)
      this.#write(body)
      this.#plan(now + this.#retransmitTicks)
    }
    if (this.#taken === this.#queue.length && this.#taken > 0) {
      this.#queue = []
      this.#taken = 0
    } else if (this.#taken > 256) {
      this.#queue.splice(0, this.#taken)
      this.#taken = 0
    }
  }

  #write(body: Uint8Array): void {
    this.#parts.counts.linesSent += 1
    this.#ackAt = Number.POSITIVE_INFINITY
    this.#parts.write(seal(body, this.#received.acknowledgement, this.#parts.prefix))
  }

  #plan(at: number): void {
    if (at >= this.#planned) return
    this.#planned = at
    const { time } = this.#parts
    time.after(Math.max(at - time.now(), 0), () => {
      if (this.#isOver || this.#planned !== at) return
      this.#planned = Number.POSITIVE_INFINITY
      this.#tick()
    })
  }

  /** Sends again what is due, oldest first, or an acknowledgement if one is. */
  #tick(): void {
    const now = this.#parts.time.now()
    const { out } = this.#sent
    this.#silence += Math.min(now - this.#lookedAt, Math.max(MOST_SILENT_TICKS, 2 * this.#retransmitTicks))
    this.#lookedAt = now
    if (out.length > 0 && this.#silence >= SILENT_TICKS) {
      this.#parts.silent()
      if (this.#isOver) return
    }
    let next = Number.POSITIVE_INFINITY
    const isBusy = this.#parts.isBusy()
    for (const line of out) {
      if (line.isHeld) continue
      if (isBusy) {
        next = Math.min(next, Math.max(line.sentAt, now) + this.#retransmitTicks)
        continue
      }
      if (now - line.sentAt >= this.#retransmitTicks) {
        line.sentAt = now
        line.sends += 1
        this.#parts.counts.retransmissions += 1
        this.#write(line.body)
      }
      next = Math.min(next, line.sentAt + this.#retransmitTicks)
    }
    if (this.#ackAt <= now) this.#write(this.#ackBody)
    this.#plan(Math.min(next, this.#ackAt))
  }
}

const isOfSequence = (line: Line | Fault): boolean =>
  'fault' in line ? line.isSequenced : isSequenced(line.message.kind)
