/** The i2c class as a model: a controller that takes the bus's time, on chip models (docs/hardware/i2c.md). */
import { I2C_MOST_READ, I2C_MOST_WRITTEN, I2cCommand, I2cControl, i2cSpeedKhz, I2cStatus } from '../../classes/i2c.ts'
import type { I2cBus } from '../chips/bus.ts'
import type { DeviceModel } from '../device.ts'
import type { ModelTime } from '../model.ts'

const TICKS_PER_US = 10
/** Looks at lines that are held down so often. */
const LOOK_US = 100
const RECOVERY_BITS = 10
const TICKS_PER_MS = 10_000

/** What START took over. */
interface Transaction {
  address: number
  bytes: number[]
  readLength: number
  received: number[]
  bitTicks: number
  timeoutTicks: number
  isAborted: boolean
}

export class I2cModel {
  readonly bus: I2cBus
  readonly #device: DeviceModel
  readonly #time: ModelTime
  /** The transmit buffer. */
  #staged: number[] = []
  #hasDropped = false
  #running: Transaction | null = null
  /** STARTed, and waits until the bytes of the one before are with the host. */
  #waiting: Transaction | null = null
  #isRecovering = false
  #mustRecover = false
  /** When the step that is planned, or was the last, is due. */
  #stepAt = 0
  /** Calls off the step that is planned. */
  #cancel: () => void = () => {}

  constructor(device: DeviceModel, bus: I2cBus, time: ModelTime) {
    this.#device = device
    this.bus = bus
    this.#time = time
    device.heldLines.add('done')
    device.onWrite = (register, value) => this.#write(register, value)
    device.onBegin = () => this.#begin()
    device.onDrained = () => this.#startWaiting()
    for (const read of ['onRead', 'onSnapshot'] as const) device[read] = () => this.#showBusy()
  }

  get #isBusy(): boolean {
    return this.#running !== null || this.#waiting !== null || this.#isRecovering
  }

  /** A reset in mid-transaction: the controller lets go, and no STOP is sent. */
  #begin(): void {
    this.#cancel()
    if (this.#running !== null) this.bus.abandon()
    this.#running = null
    this.#waiting = null
    this.#isRecovering = false
    this.#mustRecover = false
    this.#emptyStaged()
  }

  #emptyStaged(): void {
    this.#staged = []
    this.#hasDropped = false
  }

  #showBusy(): void {
    const { BUSY } = I2cStatus
    const status = this.#device.get('STATUS')
    this.#device.set('STATUS', this.#isBusy ? status | BUSY : status & ~BUSY)
  }

  /** The next step is planned from the one before, not from now: a host's coarse timers make no transaction longer. */
  #after(ticks: number, happen: () => void): void {
    this.#stepAt += ticks
    this.#cancel = this.#time.after(Math.max(0, Math.round(this.#stepAt - this.#time.now())), happen)
  }

  #write(register: string, value: number): void {
    if (register === 'COMMAND') this.#command(value)
    if (register !== 'DATA') return
    if (this.#staged.length < I2C_MOST_WRITTEN) this.#staged.push(value & 0xff)
    else this.#hasDropped = true
  }

  #command(value: number): void {
    if ((value & I2cCommand.RECOVER) !== 0) this.#recover()
    else if ((value & I2cCommand.ABORT) !== 0) this.#abort()
    else if ((value & I2cCommand.START) !== 0) this.#start()
  }

  #start(): void {
    if (this.#isBusy) {
      this.#device.add('REFUSED', 1)
      return
    }
    const transaction = this.#takeOver()
    this.#emptyStaged()
    if (transaction === null) this.#end(I2cStatus.INVALID, [])
    else if (this.#device.hasWaiting) this.#waiting = transaction
    else this.#run(transaction)
  }

  /** The transaction that the registers tell; null when it is INVALID. */
  #takeOver(): Transaction | null {
    const get = (register: string): number => this.#device.get(register)
    const speed = i2cSpeedKhz(get('CONTROL'))
    const isEnabled = (get('CONTROL') & I2cControl.ENABLE) !== 0 && speed >= 10 && speed <= 400
    const isStaged = !this.#hasDropped && get('WRITE_LENGTH') === this.#staged.length
    if (!isEnabled || !isStaged || get('ADDRESS') > 0x7f || get('READ_LENGTH') > I2C_MOST_READ) return null
    return {
      address: get('ADDRESS'),
      bytes: this.#staged,
      readLength: get('READ_LENGTH'),
      received: [],
      bitTicks: TICKS_PER_MS / speed,
      timeoutTicks: Math.min(1000, Math.max(1, get('TIMEOUT_MS'))) * TICKS_PER_MS,
      isAborted: false,
    }
  }

  #startWaiting(): void {
    const transaction = this.#waiting
    this.#waiting = null
    if (transaction !== null) this.#run(transaction)
  }

  #run(transaction: Transaction): void {
    this.#running = transaction
    this.#stepAt = this.#time.now()
    this.#waitForBus(transaction, this.#time.now() + transaction.timeoutTicks)
  }

  #waitForBus(transaction: Transaction, until: number): void {
    if (transaction.isAborted) this.#finish(I2cStatus.ABORTED)
    else if (this.bus.isFree) this.#address(transaction, transaction.bytes.length === 0 && transaction.readLength > 0)
    else if (this.#time.now() >= until) this.#finish(I2cStatus.BUS_STUCK)
    else this.#after(LOOK_US * TICKS_PER_US, () => this.#waitForBus(transaction, until))
  }

  /** START or repeated START, the address, and what follows. */
  #address(transaction: Transaction, isRead: boolean): void {
    const isAcknowledged = this.bus.start(transaction.address, isRead)
    this.#pass(transaction, 10, () => {
      if (!isAcknowledged) this.#stop(transaction, I2cStatus.NACK_ADDRESS)
      else if (isRead) this.#read(transaction)
      else this.#writeByte(transaction, 0)
    })
  }

  /** Lets `bits` pass, and as long as a chip stretches the clock; then looks for what ends a transaction early. */
  #pass(transaction: Transaction, bits: number, next: () => void): void {
    const { faults } = this.bus
    const stretch = Math.max(faults.takeStretch(), faults.sclLowForUs) * TICKS_PER_US
    if (stretch > transaction.timeoutTicks) {
      this.#after(transaction.timeoutTicks, () => this.#lose(I2cStatus.TIMEOUT))
      return
    }
    this.#after(bits * transaction.bitTicks + stretch, () => {
      // There is no other controller: a chip holds SDA where it should not.
      if (faults.takeLostArbitration() || faults.takeBusError()) this.#lose(I2cStatus.BUS_STUCK)
      else if (transaction.isAborted) this.#stop(transaction, I2cStatus.ABORTED)
      else next()
    })
  }

  #writeByte(transaction: Transaction, index: number): void {
    const byte = transaction.bytes[index]
    if (byte === undefined) {
      if (transaction.readLength > 0) this.#address(transaction, true)
      else this.#stop(transaction, 0)
      return
    }
    this.#pass(transaction, 9, () => {
      if (this.bus.write(byte)) this.#writeByte(transaction, index + 1)
      else this.#stop(transaction, I2cStatus.NACK_DATA)
    })
  }

  #read(transaction: Transaction): void {
    if (transaction.received.length === transaction.readLength) {
      this.#stop(transaction, 0)
      return
    }
    this.#pass(transaction, 9, () => {
      transaction.received.push(this.bus.read())
      this.#read(transaction)
    })
  }

  #stop({ bitTicks, received }: Transaction, failure: number): void {
    this.#after(bitTicks, () => {
      this.bus.stop()
      this.#finish(failure, received)
    })
  }

  /** The controller lets go of the bus without a STOP. */
  #lose(failure: number): void {
    this.bus.abandon()
    this.#finish(failure)
  }

  #finish(failure: number, received: readonly number[] = []): void {
    this.#running = null
    this.#end(failure, failure === 0 ? received : [])
    if (this.#mustRecover) this.#beginRecovery()
  }

  #end(failure: number, received: readonly number[]): void {
    const device = this.#device
    device.set('STATUS', I2cStatus.DONE | failure)
    device.add('TRANSFERS', 1)
    device.set('RECEIVED', received.length)
    device.put('DATA', received) // before the frame: it waits as long as these do
    device.line('done').pulse()
  }

  #abort(): void {
    this.#emptyStaged()
    if (this.#running !== null) this.#running.isAborted = true
    if (this.#waiting === null) return
    this.#waiting = null
    this.#end(I2cStatus.ABORTED, [])
  }

  /** What a host without room did not take must not keep the recovery from being told. */
  #recover(): void {
    if (this.#isRecovering) return
    this.#abort()
    this.#device.drop('DATA')
    this.#mustRecover = true
    if (this.#running === null) this.#beginRecovery()
  }

  /** Nine clocks with SDA free, then STOP. */
  #beginRecovery(): void {
    this.#mustRecover = false
    this.#isRecovering = true
    this.#stepAt = this.#time.now()
    const speed = Math.max(10, i2cSpeedKhz(this.#device.get('CONTROL')))
    this.#after((RECOVERY_BITS * TICKS_PER_MS) / speed, () => {
      if (!this.bus.faults.isSclLow) for (let clock = 0; clock < 9; clock++) this.bus.pulse()
      this.#isRecovering = false
      this.#end(this.bus.isFree ? 0 : I2cStatus.BUS_STUCK, [])
    })
  }
}
