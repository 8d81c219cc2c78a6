/**
 * The two-wire interface of an ATmega328P as a controller, with the time that each bit takes on SCL (datasheet §22).
 * Nobody addresses the board: it has no target mode.
 */
import type { I2cBus } from '../chips/bus.ts'
import type { Alarm } from './alarms.ts'
import type { Core } from './core.ts'

const TWBR = 0xb8
const TWSR = 0xb9
const TWDR = 0xbb
const TWCR = 0xbc
const Bits = { TWINT: 0x80, TWEA: 0x40, TWSTA: 0x20, TWSTO: 0x10, TWWC: 0x08, TWEN: 0x04, TWIE: 0x01 } as const
const KEPT = Bits.TWEA | Bits.TWSTA | Bits.TWSTO | Bits.TWEN | Bits.TWIE
const PRESCALER = 0x03

/** Status codes, tables 22-2 and 22-3. */
const Status = {
  BusError: 0x00,
  Start: 0x08,
  RepeatedStart: 0x10,
  WriteAck: 0x18,
  WriteNack: 0x20,
  SentAck: 0x28,
  SentNack: 0x30,
  Lost: 0x38,
  ReadAck: 0x40,
  ReadNack: 0x48,
  ReceivedAck: 0x50,
  ReceivedNack: 0x58,
  None: 0xf8,
} as const

const VECTOR = 24
const BITS_A_BYTE = 9
const CYCLES_A_US = 16
/** How often it looks whether a bus that is held has become free. */
const LOOK_CYCLES = 16 * CYCLES_A_US

export class Twi {
  readonly #core: Core
  readonly #bus: I2cBus
  readonly #alarm: Alarm
  #then: (at: number) => void = () => {}
  /** A START of ours is on the bus and no STOP yet. */
  #owns = false

  constructor(core: Core, bus: I2cBus) {
    this.#core = core
    this.#bus = bus
    this.#alarm = core.alarms.add((at) => this.#then(at))
    const { cpu, data } = core
    cpu.writeHooks[TWSR] = (value) => {
      data[TWSR] = ((data[TWSR] as number) & ~PRESCALER) | (value & PRESCALER)
      return true
    }
    cpu.writeHooks[TWDR] = (value) => {
      if ((data[TWCR] as number) & Bits.TWINT) data[TWDR] = value
      else data[TWCR] = (data[TWCR] as number) | Bits.TWWC
      return true
    }
    cpu.writeHooks[TWCR] = (value) => this.#control(value)
  }

  /** Whether the pins are its own. */
  get isEnabled(): boolean {
    return ((this.#core.data[TWCR] as number) & Bits.TWEN) !== 0
  }

  /** A chip that is in the middle of an answer is left there. */
  reset(): void {
    const { data } = this.#core
    data[TWSR] = Status.None
    data[TWDR] = 0xff
    if (this.#owns) this.#bus.abandon()
    this.#owns = false
    this.#look()
  }

  get #bitCycles(): number {
    const { data } = this.#core
    return 16 + 2 * (data[TWBR] as number) * 4 ** ((data[TWSR] as number) & PRESCALER)
  }

  #control(value: number): true {
    const { data } = this.#core
    const old = data[TWCR] as number
    const acts = (value & Bits.TWINT) !== 0 && (value & Bits.TWEN) !== 0
    data[TWCR] = (value & KEPT) | (acts ? 0 : old & Bits.TWINT)
    if (!(value & Bits.TWEN)) this.#disable()
    else if (acts) this.#act(value)
    else if (!(old & Bits.TWSTA) && value & Bits.TWSTA && this.#status === Status.None) this.#start(this.#core.cycles)
    this.#look()
    return true
  }

  #disable(): void {
    this.#alarm.clear()
    if (this.#owns) this.#bus.abandon()
    this.#owns = false
    const { data } = this.#core
    data[TWCR] = (data[TWCR] as number) & ~Bits.TWINT
    this.#setStatus(Status.None)
  }

  #act(value: number): void {
    const now = this.#core.cycles
    if (value & Bits.TWSTO) this.#stop(now, (value & Bits.TWSTA) !== 0)
    else if (value & Bits.TWSTA) this.#start(now)
    else this.#transfer(now)
  }

  /** Waits as long as somebody holds a line: for ever, if need be. */
  #start(from: number): void {
    if (!this.#bus.isFree) {
      this.#later(from + LOOK_CYCLES, (at) => this.#start(at))
      return
    }
    const status = this.#owns ? Status.RepeatedStart : Status.Start
    this.#later(from + this.#bitCycles, () => {
      this.#owns = true
      this.#end(status)
    })
  }

  /** TWSTO clears itself when the STOP is out; no interrupt tells of it. Behind a bus error it only frees the lines. */
  #stop(from: number, startsAgain: boolean): void {
    if (!this.#bus.isFree && this.#owns) {
      this.#later(from + LOOK_CYCLES, (at) => this.#stop(at, startsAgain))
      return
    }
    this.#later(from + this.#bitCycles, (at) => {
      if (this.#owns) this.#bus.stop()
      this.#owns = false
      this.#core.data[TWCR] = (this.#core.data[TWCR] as number) & ~Bits.TWSTO
      this.#setStatus(Status.None)
      if (startsAgain) this.#start(at)
    })
  }

  #transfer(now: number): void {
    const status = this.#status
    if (!this.#owns || status === Status.None) return
    const isAddress = status === Status.Start || status === Status.RepeatedStart
    const isRead = status === Status.ReadAck || status === Status.ReceivedAck
    this.#wait(now, (at) => {
      if (isAddress) this.#address(at)
      else if (isRead) this.#receive(at)
      else this.#send(at)
    })
  }

  /** SCL that is held makes the byte wait. */
  #wait(from: number, then: (at: number) => void): void {
    if (this.#bus.faults.isSclLow) this.#later(from + LOOK_CYCLES, (at) => this.#wait(at, then))
    else then(from)
  }

  /** A byte takes nine clocks, and as much longer as the chip stretches it. */
  #byte(from: number, done: () => void): void {
    const { faults } = this.#bus
    const stretched = faults.takeStretch() * CYCLES_A_US
    const hasBusError = faults.takeBusError()
    const isLost = faults.takeLostArbitration()
    this.#later(from + BITS_A_BYTE * this.#bitCycles + stretched, () => {
      if (hasBusError) this.#giveUp(Status.BusError)
      else if (isLost) this.#giveUp(Status.Lost)
      else done()
    })
  }

  #giveUp(status: number): void {
    this.#bus.abandon()
    this.#owns = false
    this.#end(status)
  }

  #address(at: number): void {
    const byte = this.#core.data[TWDR] as number
    if (this.#isOverridden(byte)) return this.#byte(at, () => this.#giveUp(Status.Lost))
    const isRead = (byte & 1) !== 0
    const ack = this.#bus.start(byte >> 1, isRead)
    const status = isRead ? (ack ? Status.ReadAck : Status.ReadNack) : ack ? Status.WriteAck : Status.WriteNack
    this.#byte(at, () => this.#end(status))
  }

  #send(at: number): void {
    const byte = this.#core.data[TWDR] as number
    if (this.#isOverridden(byte)) return this.#byte(at, () => this.#giveUp(Status.Lost))
    this.#byte(at, () => this.#end(this.#bus.write(byte) ? Status.SentAck : Status.SentNack))
  }

  #receive(at: number): void {
    const isAcknowledged = ((this.#core.data[TWCR] as number) & Bits.TWEA) !== 0
    this.#byte(at, () => {
      this.#core.data[TWDR] = this.#bus.faults.isSdaLow ? 0 : this.#bus.read(isAcknowledged)
      this.#end(isAcknowledged ? Status.ReceivedAck : Status.ReceivedNack)
    })
  }

  /** Who sends a one and sees a zero on SDA has lost the bus. */
  #isOverridden(byte: number): boolean {
    return this.#bus.faults.isSdaLow && byte !== 0
  }

  #later(at: number, then: (at: number) => void): void {
    this.#then = then
    this.#alarm.set(at)
  }

  get #status(): number {
    return (this.#core.data[TWSR] as number) & ~PRESCALER
  }

  #setStatus(status: number): void {
    const { data } = this.#core
    data[TWSR] = status | ((data[TWSR] as number) & PRESCALER)
  }

  #end(status: number): void {
    this.#setStatus(status)
    this.#core.data[TWCR] = (this.#core.data[TWCR] as number) | Bits.TWINT
    this.#look()
  }

  #look(): void {
    const register = this.#core.data[TWCR] as number
    const isOn = (register & Bits.TWEN) !== 0 && (register & Bits.TWIE) !== 0
    this.#core.setInterrupt(VECTOR, isOn && (register & Bits.TWINT) !== 0)
  }
}
