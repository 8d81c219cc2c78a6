/** The sending side of a serial port as the classes `uart` and `lines` have it: ROOM, WRITTEN and their interrupt. */
import type { SoftDevice } from './softdevice.ts'

export interface TransmitterPlan {
  /** Offsets of the registers. */
  ROOM: number
  WRITTEN: number
  /** Bytes that it holds. */
  room: number
  line: number
}

export class Transmitter {
  readonly #device: SoftDevice
  readonly #plan: TransmitterPlan
  readonly #send: (bytes: Uint8Array) => void
  /** Bytes that were written and have not left. */
  #filled = 0
  #dropped = 0

  constructor(device: SoftDevice, plan: TransmitterPlan, send: (bytes: Uint8Array) => void) {
    this.#device = device
    this.#plan = plan
    this.#send = send
  }

  /** The driver writes a byte. What has no room is dropped, and said once. */
  write(byte: number): void {
    const { WRITTEN, room } = this.#plan
    if (this.#filled >= room) {
      this.#dropped += 1
      if (this.#dropped === 1) this.#device.log('a driver wrote more than ROOM tells: bytes are dropped')
      return
    }
    this.#device.add(WRITTEN, 1)
    this.#filled += 1
    this.#send(Uint8Array.of(byte & 0xff))
  }

  /** A session begins: what is on its way is none of its. */
  begin(): void {
    this.#filled = 0
  }

  /** `unsent` bytes are left of what was sent. */
  sent(unsent: number): void {
    const { ROOM, room, line } = this.#plan
    const left = this.#filled - Math.min(unsent, this.#filled)
    if (left === 0) return
    const wasHalfFree = this.#filled <= room / 2
    this.#filled -= left
    this.#device.add(ROOM, left)
    if (this.#filled === 0 || (!wasHalfFree && this.#filled <= room / 2)) this.#device.edge(line)
  }
}
