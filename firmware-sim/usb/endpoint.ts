/** An endpoint towards the host: packets that wait for a transfer, or transfers that wait for a packet. */
import { type Submit, submitted, TransferStatus } from './usbip.ts'

export class InEndpoint {
  readonly #reply: (bytes: Uint8Array) => void
  /** Bytes of a full packet, where packets make a stream; null where each is a message. */
  readonly #streamPacket: number | null
  readonly #packets: Uint8Array[] = []
  readonly #transfers: { sequence: number; room: number }[] = []
  #unsent = 0
  #isHalted = false

  constructor(reply: (bytes: Uint8Array) => void, streamPacket: number | null) {
    this.#reply = reply
    this.#streamPacket = streamPacket
  }

  /** Bytes that the host has not asked for yet. */
  get unsent(): number {
    return this.#unsent
  }

  get isHalted(): boolean {
    return this.#isHalted
  }

  send(packet: Uint8Array): void {
    this.#packets.push(packet.slice())
    this.#unsent += packet.length
    this.#serve()
  }

  /** Drops what was not asked for. */
  purge(): void {
    this.#packets.length = 0
    this.#unsent = 0
  }

  take({ sequence, length }: Submit): void {
    this.#transfers.push({ sequence, room: length })
    this.#serve()
  }

  /** Takes back a transfer; false if it is answered already. */
  unlink(sequence: number): boolean {
    const at = this.#transfers.findIndex((transfer) => transfer.sequence === sequence)
    if (at >= 0) this.#transfers.splice(at, 1)
    return at >= 0
  }

  /** Answers each transfer with a stall until the host clears the halt. */
  halt(): void {
    this.#isHalted = true
    this.#serve()
  }

  clearHalt(): void {
    this.#isHalted = false
  }

  #serve(): void {
    while (this.#transfers.length > 0 && (this.#isHalted || this.#packets.length > 0)) {
      const { sequence, room } = this.#transfers.shift() as { sequence: number; room: number }
      if (this.#isHalted) this.#reply(submitted(sequence, TransferStatus.Stalled, 0))
      else {
        const data = this.#collect(room)
        this.#reply(submitted(sequence, TransferStatus.Done, data.length, data))
      }
    }
  }

  /** One packet; of a stream as many as fit, up to the first that is not full, as the host's controller does it. */
  #collect(room: number): Uint8Array<ArrayBuffer> {
    const parts: Uint8Array[] = []
    let bytes = 0
    for (let next = this.#packets[0]; next !== undefined && bytes + next.length <= room; next = this.#packets[0]) {
      parts.push(next)
      this.#packets.shift()
      bytes += next.length
      if (next.length !== this.#streamPacket) break
    }
    if (parts.length === 0) parts.push((this.#packets.shift() as Uint8Array).subarray(0, room)) // what is over is lost
    this.#unsent = this.#packets.length === 0 ? 0 : this.#unsent - bytes
    const data = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
    let at = 0
    for (const part of parts) {
      data.set(part, at)
      at += part.length
    }
    return data
  }
}
