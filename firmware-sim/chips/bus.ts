/** A simulated I2C bus, byte by byte: who is addressed, what is said, what goes wrong, and a log of all of it. */

/** Where a chip's time comes from; microseconds. */
export interface ChipTime {
  now(): number
  /** Lets `happen` run `delayUs` from now. Without it, a chip's output pins change only when somebody looks at the chip. */
  after?: (delayUs: number, happen: () => void) => unknown
}

/** A chip on the bus. */
export interface I2cTarget {
  /** Seven bits. */
  readonly address: number
  /** START or repeated START with this chip's address. Gives back whether it acknowledges. */
  start(isRead: boolean): boolean
  /** Gives back whether it acknowledges. */
  write(byte: number): boolean
  read(): number
  stop(): void
}

/** From a START, or repeated START, to the next condition. */
export interface BusEntry {
  /** Microseconds, at the START. */
  time: number
  address: number
  isRead: boolean
  /** As they went over the wire; one that was not acknowledged is the last. */
  bytes: number[]
  /** Whether the address was acknowledged. */
  ack: boolean
  /** How it ended; 'open' while it has not, 'lost' when the controller gave it up without a STOP. */
  end: 'open' | 'stop' | 'restart' | 'lost'
}

/** What answers where nobody drives the lines: the pull-ups. */
const FLOATING = 0xff

export class I2cBus {
  readonly log: BusEntry[] = []
  readonly faults: BusFaults
  /** Told of each entry when it has ended. */
  onEntry: (entry: BusEntry) => void = () => {}
  readonly #now: () => number
  readonly #targets = new Map<number, I2cTarget>()
  #entry: BusEntry | null = null
  #target: I2cTarget | null = null
  /** The chip that was addressed has its next byte ready: its last one was acknowledged. */
  #isAnswering = false

  /** `now` in microseconds. */
  constructor(now: () => number) {
    this.#now = now
    this.faults = new BusFaults(now)
  }

  attach(target: I2cTarget): void {
    if (this.#targets.has(target.address)) throw new Error(`two chips at I2C address ${hex(target.address)}`)
    this.#targets.set(target.address, target)
  }

  detach(address: number): void {
    this.#targets.delete(address)
  }

  /** Whether a START is possible: nobody holds SDA or SCL down. */
  get isFree(): boolean {
    return !this.faults.isSdaLow && !this.faults.isSclLow
  }

  /** Whether a transaction is under way. */
  get isBusy(): boolean {
    return this.#entry !== null
  }

  /** START, or repeated START, and the address byte. Gives back whether it is acknowledged. */
  start(address: number, isRead: boolean): boolean {
    this.#finish('restart')
    const entry: BusEntry = { time: this.#now(), address, isRead, bytes: [], ack: false, end: 'open' }
    this.#entry = entry
    this.log.push(entry)
    const target = this.#targets.get(address)
    this.#target = null
    this.#isAnswering = false
    if (target === undefined || this.faults.takeAddressNack(address)) return false
    entry.ack = target.start(isRead)
    if (entry.ack) this.#target = target
    this.#isAnswering = entry.ack && isRead
    return entry.ack
  }

  /** Gives back whether the byte is acknowledged. */
  write(byte: number): boolean {
    this.#entry?.bytes.push(byte)
    const target = this.#target
    if (target === null || this.faults.takeDataNack(target.address, this.#entry?.bytes.length ?? 0)) return false
    return target.write(byte)
  }

  /** A byte that the controller does not acknowledge is the last. */
  read(isAcknowledged = true): number {
    this.#isAnswering = isAcknowledged
    const byte = this.#target?.read() ?? FLOATING
    this.#entry?.bytes.push(byte)
    return byte
  }

  stop(): void {
    this.#finish('stop')
    this.#target?.stop()
    this.#target = null
    this.#isAnswering = false
  }

  /**
   * The controller is gone in mid-transaction: no STOP. A chip that was to answer goes on waiting for clocks; if the
   * bit that it shows is zero, it holds SDA down until it has been clocked to a one, or to the end of the byte.
   */
  abandon(): void {
    this.#finish('lost')
    const target = this.#target
    if (target !== null && this.#isAnswering) {
      const zeros = Math.clz32(target.read()) - 24
      if (zeros > 0) this.faults.holdSda(zeros)
    }
    this.#target = null
    this.#isAnswering = false
  }

  /** One clock pulse outside of a transaction, as a controller gives to free a stuck bus. */
  pulse(): void {
    this.faults.pulse()
  }

  #finish(end: BusEntry['end']): void {
    const entry = this.#entry
    if (entry === null) return
    this.#entry = null
    entry.end = end
    this.onEntry(entry)
  }
}

const hex = (address: number): string => `0x${address.toString(16).padStart(2, '0')}`

interface Nack {
  address: number
  /** 0: the address byte; n: the n-th data byte. */
  at: number
  left: number
}

/** What can be wrong with a bus, by request of a test. */
export class BusFaults {
  /** Told when a line may have changed. */
  onChange: () => void = () => {}
  readonly #now: () => number
  #nacks: Nack[] = []
  #sdaClocks = 0
  #sclUntil = 0
  #stretch = { us: 0, left: 0 }
  #lostArbitrations = 0
  #busErrors = 0

  constructor(now: () => number) {
    this.#now = now
  }

  /** The next `times` transactions with this address are not acknowledged: at the address, or at data byte `at` (from 1). */
  nack(address: number, times = 1, at = 0): void {
    this.#nacks.push({ address, at, left: times })
  }

  /** A chip holds SDA down until it has seen that many clocks; Infinity: for ever. */
  holdSda(clocks = 9): void {
    this.#sdaClocks = clocks
    this.onChange()
  }

  /** A chip holds SCL down for that long; Infinity: for ever. */
  holdScl(us = Number.POSITIVE_INFINITY): void {
    this.#sclUntil = this.#now() + us
    this.onChange()
  }

  /** Each of the next `bytes` bytes takes that much longer. */
  stretch(us: number, bytes = Number.POSITIVE_INFINITY): void {
    this.#stretch = { us, left: bytes }
  }

  /** Another controller wins the next `times` arbitrations. */
  loseArbitration(times = 1): void {
    this.#lostArbitrations = times
  }

  /** A START or STOP comes at an illegal moment within the next `times` bytes. */
  disturb(times = 1): void {
    this.#busErrors = times
  }

  /** All is well again. */
  clear(): void {
    this.#nacks = []
    this.#sdaClocks = 0
    this.#sclUntil = 0
    this.#stretch = { us: 0, left: 0 }
    this.#lostArbitrations = 0
    this.#busErrors = 0
    this.onChange()
  }

  get isSdaLow(): boolean {
    return this.#sdaClocks > 0
  }

  get isSclLow(): boolean {
    return this.#now() < this.#sclUntil
  }

  /** Microseconds until SCL is released; 0 if it is. */
  get sclLowForUs(): number {
    return Math.max(0, this.#sclUntil - this.#now())
  }

  pulse(): void {
    if (this.#sdaClocks > 0) this.#sdaClocks -= 1
    this.onChange()
  }

  /** By how much the byte that begins now is stretched. */
  takeStretch(): number {
    if (this.#stretch.left <= 0) return 0
    this.#stretch.left -= 1
    return this.#stretch.us
  }

  takeLostArbitration(): boolean {
    if (this.#lostArbitrations === 0) return false
    this.#lostArbitrations -= 1
    return true
  }

  takeBusError(): boolean {
    if (this.#busErrors === 0) return false
    this.#busErrors -= 1
    return true
  }

  takeAddressNack(address: number): boolean {
    return this.#take(address, 0)
  }

  takeDataNack(address: number, index: number): boolean {
    return this.#take(address, index)
  }

  #take(address: number, at: number): boolean {
    const nack = this.#nacks.find((one) => one.address === address && one.at === at)
    if (nack === undefined) return false
    nack.left -= 1
    if (nack.left <= 0) this.#nacks = this.#nacks.filter((one) => one !== nack)
    return true
  }
}
