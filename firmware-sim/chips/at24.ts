/** 24LC256, a serial EEPROM of 32 KiB. Microchip DS20001203; sections are its own. */
import type { I2cTarget } from './bus.ts'

export const AT24_SIZE = 32 * 1024
export const AT24_PAGE = 64
const WRITE_CYCLE_US = 5_000

export class At24 implements I2cTarget {
  readonly address: number
  /** What it holds, and keeps without power. */
  readonly memory: Uint8Array
  /** The WP pin: bytes are acknowledged and not stored (§6.3). */
  isWriteProtected = false
  /** Write cycles begun: its endurance is counted in these. */
  writeCycles = 0
  readonly #now: () => number
  #counter = 0
  #received = 0
  #high = 0
  readonly #page = new Map<number, number>()
  #busyUntilUs = 0

  /** `now` in microseconds. */
  constructor(now: () => number, address = 0x50, memory: Uint8Array = new Uint8Array(AT24_SIZE).fill(0xff)) {
    this.#now = now
    this.memory = memory
    this.address = address
  }

  /** During a write cycle it acknowledges nothing: that is what acknowledge polling finds out (§7). */
  start(isRead: boolean): boolean {
    this.#page.clear() // a page whose STOP never came is not written
    this.#received = 0
    if (isRead) this.#high = 0
    return this.#now() >= this.#busyUntilUs
  }

  write(byte: number): boolean {
    this.#received += 1
    if (this.#received === 1) this.#high = byte & 0x7f
    else if (this.#received === 2) this.#counter = (this.#high << 8) | byte
    else this.#load(byte)
    return true
  }

  /** Addresses roll over within the page: byte 65 overwrites the first (§6.2). */
  #load(byte: number): void {
    this.#page.set(this.#counter, byte)
    const page = this.#counter & ~(AT24_PAGE - 1)
    this.#counter = page | ((this.#counter + 1) & (AT24_PAGE - 1))
  }

  /** Reading rolls over from the last address to the first (§8.3). */
  read(): number {
    const byte = this.memory[this.#counter] as number
    this.#counter = (this.#counter + 1) & (AT24_SIZE - 1)
    return byte
  }

  /** STOP behind data begins the write cycle. */
  stop(): void {
    if (this.#page.size === 0) return
    if (!this.isWriteProtected) {
      for (const [address, byte] of this.#page) this.memory[address] = byte
      this.writeCycles += 1
      this.#busyUntilUs = this.#now() + WRITE_CYCLE_US
    }
    this.#page.clear()
  }
}
