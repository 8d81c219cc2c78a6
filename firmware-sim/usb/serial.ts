/** What USB serial adapters have in common: bytes, the host's lines, and the modem lines towards the host. */
import type { InEndpoint } from './endpoint.ts'
import { UsbDevice } from './device.ts'

/** The host's lines. */
export interface HostLines {
  dtr: boolean
  rts: boolean
  /** The host sends a break. */
  brk: boolean
}

/** The other side's lines. */
export interface ModemInputs {
  cts: boolean
  dsr: boolean
  ri: boolean
  dcd: boolean
}

export abstract class SerialUsbDevice extends UsbDevice {
  onData: (bytes: Uint8Array) => void = () => {}
  onLines: (lines: HostLines) => void = () => {}
  /** Bits a second, where the host's driver tells. */
  onBaudRate: (baudRate: number) => void = () => {}
  readonly #lines: HostLines = { dtr: false, rts: false, brk: false }
  readonly #inputs: ModemInputs = { cts: false, dsr: false, ri: false, dcd: false }
  protected abstract readonly stream: InEndpoint

  get lines(): HostLines {
    return { ...this.#lines }
  }

  get inputs(): Readonly<ModemInputs> {
    return this.#inputs
  }

  /** Bytes that no program has asked for yet. */
  get unsent(): number {
    return this.stream.unsent
  }

  abstract send(bytes: Uint8Array): void

  /** Tells the host of the lines as they are now. */
  protected abstract tellInputs(): void

  /** Each call is told, so that two changes are two edges. */
  setInputs(inputs: Partial<ModemInputs>): void {
    Object.assign(this.#inputs, inputs)
    this.tellInputs()
  }

  protected setLines(lines: Partial<HostLines>): void {
    Object.assign(this.#lines, lines)
    this.onLines(this.lines)
  }

  protected received(_endpoint: number, data: Uint8Array): void {
    this.onData(data)
  }

  /** Sends `bytes` in packets of `packetBytes` at most. */
  protected sendPackets(bytes: Uint8Array, packetBytes: number): void {
    for (let at = 0; at < bytes.length; at += packetBytes) this.stream.send(bytes.subarray(at, at + packetBytes))
  }
}
