/** The USART of an ATmega328P, asynchronous, with its buffers and the time that each byte takes (datasheet §20). */
import type { Alarm } from './alarms.ts'
import type { Core } from './core.ts'

const UCSRA = 0xc0
const UCSRB = 0xc1
const UCSRC = 0xc2
const UBRRL = 0xc4
const UBRRH = 0xc5
const UDR = 0xc6

const Status = { RXC: 0x80, TXC: 0x40, UDRE: 0x20, FE: 0x10, DOR: 0x08, U2X: 0x02, MPCM: 0x01 } as const
const Control = { RXCIE: 0x80, TXCIE: 0x40, UDRIE: 0x20, RXEN: 0x10, TXEN: 0x08 } as const
const RESET_FRAME = 0x06 // 8 bits

const RX_VECTOR = 18
const UDRE_VECTOR = 19
const TX_VECTOR = 20

const CLOCK_HZ = 16_000_000
/** Further apart than this, sender and receiver do not understand each other (table 20-2). */
const TOLERANCE = 0.045

/** Two bytes wait behind the shift register; a third stays in it until the next start bit. */
const RECEIVE_ROOM = 3

export class Usart {
  /** A byte has begun to leave; its last bit is out at cycle `end`. */
  onByte: (byte: number, end: number) => void = () => {}
  /** Bytes that came while the buffers were full. */
  overruns = 0
  /** What the other end of the wire sends and listens with. */
  baud = 115_200
  readonly #core: Core
  /** On the wire, not yet received. */
  #wire: number[] = []
  #received: Frame[] = []
  #hasOverrun = false
  #isSending = false
  #next: number | null = null
  #isComplete = false
  readonly #rx: Alarm
  readonly #tx: Alarm

  constructor(core: Core) {
    this.#core = core
    this.#rx = core.alarms.add((at) => this.#endOfReceive(at))
    this.#tx = core.alarms.add((at) => this.#endOfSend(at))
    const { readHooks, writeHooks } = core.cpu
    readHooks[UCSRA] = () => this.#status()
    readHooks[UDR] = () => this.#take()
    writeHooks[UDR] = (value) => this.#put(value)
    writeHooks[UCSRA] = (value) => {
      if (value & Status.TXC) this.#isComplete = false
      core.data[UCSRA] = value & (Status.U2X | Status.MPCM)
      return this.#look()
    }
    writeHooks[UCSRB] = (value) => {
      core.data[UCSRB] = value
      if (!(value & Control.RXEN)) this.#received = []
      return this.#look()
    }
    core.onInterrupt(TX_VECTOR, () => {
      this.#isComplete = false
      this.#look()
    })
  }

  /** Bytes on the wire go on arriving; until the program listens they are lost. */
  reset(): void {
    this.#core.data[UCSRC] = RESET_FRAME
    this.#received = []
    this.#hasOverrun = false
    this.#isSending = false
    this.#next = null
    this.#isComplete = false
    if (this.#wire.length > 0) this.#rx.set(this.#core.cycles + this.#wireCycles)
    this.#look()
  }

  /** Puts bytes on the wire to the board; they follow one another without a gap. */
  receive(bytes: Iterable<number>): void {
    const isIdle = this.#wire.length === 0
    for (const byte of bytes) this.#wire.push(byte)
    if (isIdle && this.#wire.length > 0) this.#rx.set(this.#core.cycles + this.#wireCycles)
  }

  /** Drops what is on the wire: the sender is gone. */
  cut(): void {
    this.#wire = []
    this.#rx.clear()
  }

  /** Bytes on the wire to the board. */
  get waiting(): number {
    return this.#wire.length
  }

  /** How long a frame takes as the program has set it. */
  get byteCycles(): number {
    const frame = this.#core.data[UCSRC] as number
    const bits = 1 + 5 + ((frame >> 1) & 3) + (frame & 0x08 ? 2 : 1) + (frame & 0x20 ? 1 : 0)
    return this.#bitCycles * bits
  }

  get #bitCycles(): number {
    const { data } = this.#core
    const divisor = (((data[UBRRH] as number) & 0x0f) << 8) | (data[UBRRL] as number)
    return (divisor + 1) * ((data[UCSRA] as number) & Status.U2X ? 8 : 16)
  }

  get #wireCycles(): number {
    return Math.round((10 * CLOCK_HZ) / this.baud)
  }

  /** One bit of ours in bits of the other end; 1 where the difference is small enough to say nothing. */
  get #ratio(): number {
    const ratio = (this.#bitCycles * this.baud) / CLOCK_HZ
    return Math.abs(ratio - 1) < TOLERANCE ? 1 : ratio
  }

  #isOn(bit: number): boolean {
    return ((this.#core.data[UCSRB] as number) & bit) !== 0
  }

  #status(): number {
    return (
      (this.#received.length > 0 ? Status.RXC : 0) |
      (this.#isComplete ? Status.TXC : 0) |
      (this.#next === null ? Status.UDRE : 0) |
      (this.#received[0]?.isFramed === false ? Status.FE : 0) |
      (this.#hasOverrun ? Status.DOR : 0) |
      (this.#core.data[UCSRA] as number)
    )
  }

  #take(): number {
    const byte = this.#received.shift()?.byte ?? 0
    this.#hasOverrun = false
    this.#look()
    return byte
  }

  #put(byte: number): true {
    if (!this.#isOn(Control.TXEN)) return true
    if (!this.#isSending) this.#send(byte, this.#core.cycles)
    else if (this.#next === null) this.#next = byte // written while UDRE is clear, it is ignored
    return this.#look()
  }

  #send(byte: number, start: number): void {
    const end = start + this.byteCycles
    this.#isSending = true
    this.#isComplete = false
    this.#tx.set(end)
    this.onByte(sampled(byte, 1 / this.#ratio).byte, end)
  }

  #endOfSend(at: number): void {
    const next = this.#next
    this.#next = null
    this.#isSending = false
    if (next !== null) this.#send(next, at)
    else this.#isComplete = true
    this.#look()
  }

  #endOfReceive(at: number): void {
    const byte = this.#wire.shift() as number
    if (this.#wire.length > 0) this.#rx.set(at + this.#wireCycles)
    if (!this.#isOn(Control.RXEN)) return
    if (this.#received.length < RECEIVE_ROOM) this.#received.push(sampled(byte, this.#ratio))
    else {
      this.#hasOverrun = true
      this.overruns += 1
    }
    this.#look()
  }

  #look(): true {
    const core = this.#core
    core.setInterrupt(RX_VECTOR, this.#isOn(Control.RXCIE) && this.#received.length > 0)
    core.setInterrupt(UDRE_VECTOR, this.#isOn(Control.UDRIE) && this.#next === null)
    core.setInterrupt(TX_VECTOR, this.#isOn(Control.TXCIE) && this.#isComplete)
    return true
  }
}

interface Frame {
  byte: number
  /** Whether the stop bit was where it was looked for. */
  isFramed: boolean
}

/** A byte as one sees it whose bits are `ratio` times as long as the sender's: each is looked at in its middle. */
function sampled(byte: number, ratio: number): Frame {
  if (ratio === 1) return { byte, isFramed: true }
  const levels = (byte << 1) | 0x200 // start bit, eight bits, stop bit
  const at = (bit: number): number => {
    const index = Math.floor((bit + 0.5) * ratio)
    return index > 9 ? 1 : (levels >> index) & 1
  }
  let seen = 0
  for (let bit = 0; bit < 8; bit++) seen |= at(bit + 1) << bit
  return { byte: seen, isFramed: at(9) === 1 }
}
