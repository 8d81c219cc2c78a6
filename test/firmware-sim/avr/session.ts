/** The bridge's host, bound to an emulated Uno that runs its real firmware; all on one time that a test moves. */
import { readFileSync } from 'node:fs'
import { Uno, type UnoOptions } from '../../../firmware-sim/avr/uno.ts'
import { UnoOnVirtualClock } from '../../../firmware-sim/avr/virtual.ts'
import type { BridgeFrame } from '../../../wire/bridge/frames.ts'
import { BridgeHost, type Opened } from '../../../wire/bridge/host.ts'
import { I2c, I2cCommand, i2cControl, i2cFailure } from '../../../classes/i2c.ts'
import { ManualTime } from '../chips/time.ts'

const FIRMWARE = new URL('../../../boards/arduino-uno/firmware/uno.hex', import.meta.url)
const TICKS_A_MS = 10_000

/** Devices and lines as boards/arduino-uno/board.json numbers them. */
export const Device = { i2c: 0 } as const

export class Session {
  readonly time = new ManualTime()
  readonly board: UnoOnVirtualClock
  readonly host: BridgeHost
  readonly frames: BridgeFrame[] = []
  readonly entries: number[] = []
  resets = 0
  opened: Opened | null = null
  #status = 0
  readonly #isSet = new Map<number, number>()

  constructor(options: Partial<UnoOptions> = {}) {
    this.board = new UnoOnVirtualClock(new Uno({ firmware: readFileSync(FIRMWARE, 'latin1'), ...options }), this.time)
    this.host = new BridgeHost(
      {
        time: this.time,
        write: (bytes) => this.board.write(bytes),
        random: () => 0x12345678,
        baud: 115_200,
        byteFifos: [{ device: Device.i2c, offset: I2c.DATA }],
      },
      {
        frame: (frame) => this.frames.push(frame),
        fifo: (_device, _offset, entries) => this.entries.push(...entries),
        reset: () => (this.resets += 1),
        gone(reason) {
          throw new Error(reason)
        },
        log: () => {},
      },
    )
    this.board.onData = (bytes) => this.host.receive(bytes)
  }

  ms(count: number): void {
    this.time.pass(count * TICKS_A_MS)
  }

  /** Lets time pass until `isSo`; at most that long. */
  until(isSo: () => boolean, mostMs = 1000): void {
    for (let ms = 0; ms < mostMs * 10 && !isSo(); ms++) this.ms(0.1)
    if (!isSo()) throw new Error(`this did not come within ${mostMs} ms`)
  }

  open(): Opened {
    this.opened = null
    this.host.open((opened) => {
      this.opened = opened
    })
    this.until(() => this.opened !== null, 4000)
    return this.opened as unknown as Opened
  }

  flush(): void {
    let isDone = false
    this.host.flush(() => {
      isDone = true
    })
    this.until(() => isDone)
  }

  /** Each write takes more than a millisecond on the wire: what is set already is left. */
  #set(offset: number, value: number): void {
    if (this.#isSet.get(offset) !== value) this.host.write(Device.i2c, offset, value)
    this.#isSet.set(offset, value)
  }

  /** Enables the two-wire bus at 400 kHz, its line and its credits. */
  enableBus(): void {
    this.host.credit(Device.i2c, I2c.DATA, 256)
    this.host.enableLine(0)
    this.host.write(Device.i2c, I2c.CONTROL, i2cControl(400))
    this.flush()
  }

  /** One transaction: what was read, and what has failed, as the frame of line `done` tells it. */
  transfer(
    address: number,
    written: readonly number[],
    readLength: number,
  ): { failure: string | null; bytes: number[] } {
    this.entries.length = 0
    const before = this.frames.length
    for (const byte of written) this.host.write(Device.i2c, I2c.DATA, byte)
    this.#set(I2c.ADDRESS, address)
    this.#set(I2c.WRITE_LENGTH, written.length)
    this.#set(I2c.READ_LENGTH, readLength)
    this.host.write(Device.i2c, I2c.COMMAND, I2cCommand.START)
    this.until(() => this.frames.slice(before).some(({ line }) => line === 0), 3000)
    const frame = this.frames.slice(before).find(({ line }) => line === 0) as BridgeFrame
    this.host.endOfInterrupt(0, frame.sequence)
    this.host.credit(Device.i2c, I2c.DATA, this.entries.length)
    // a register that is as it was told last is not told again
    this.#status = frame.snapshot.find(({ offset }) => offset === I2c.STATUS)?.value ?? this.#status
    return { failure: i2cFailure(this.#status), bytes: [...this.entries] }
  }
}
