/** A device with a kernel's end of USB/IP that a test holds in its hands. */
import type { UsbDevice } from '../../../firmware-sim/usb/device.ts'
import { HEADER_BYTES, RequestStream } from '../../../firmware-sim/usb/usbip.ts'

export const bytesOf = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.replaceAll(/\s/g, ''), 'hex'))
export const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

export interface Answer {
  sequence: number
  status: number
  actual: number
  data: string
}

const NO_SETUP = '0000000000000000'

const u32 = (number: number): string => (number >>> 0).toString(16).padStart(8, '0')

/** The bytes of a transfer, as the kernel writes them. */
export function submitHex(sequence: number, { endpoint, isIn, length, setup = NO_SETUP, data = '' }: Transfer): string {
  const direction = isIn ? 1 : 0
  const head = [1, sequence, 0x10001, direction, endpoint, 0, length, 0, 0, 0].map(u32).join('')
  return head + setup + data
}

export interface Transfer {
  endpoint: number
  isIn: boolean
  length: number
  setup?: string
  data?: string
}

export const unlinkHex = (sequence: number, victim: number): string =>
  [2, sequence, 0x10001, 0, 0, victim].map(u32).join('') + '00'.repeat(24)

export class TestBus {
  readonly #stream = new RequestStream()
  readonly #device: UsbDevice
  readonly #answers: Answer[] = []
  #sequence = 0

  constructor(device: UsbDevice) {
    this.#device = device
    device.onReply = (bytes) => {
      const view = new DataView(bytes.buffer, bytes.byteOffset)
      this.#answers.push({
        sequence: view.getUint32(4),
        status: view.getInt32(20),
        actual: view.getUint32(24),
        data: hexOf(bytes.subarray(HEADER_BYTES)),
      })
    }
  }

  /** All that was answered since the last call. */
  answers(): Answer[] {
    return this.#answers.splice(0)
  }

  /** Gives a transfer to the device, and back its sequence number. */
  submit(transfer: Transfer): number {
    const sequence = ++this.#sequence
    this.#push(submitHex(sequence, transfer))
    return sequence
  }

  unlink(victim: number): number {
    const sequence = ++this.#sequence
    this.#push(unlinkHex(sequence, victim))
    return sequence
  }

  #push(hex: string): void {
    for (const request of this.#stream.push(bytesOf(hex))) this.#device.take(request)
  }

  /** A control transfer by its setup packet: what came back, or 'stall'. */
  control(setup: string, data = ''): string {
    const packet = setup.replaceAll(' ', '')
    const length = Number.parseInt(packet.slice(14, 16) + packet.slice(12, 14), 16)
    const isIn = Number.parseInt(packet.slice(0, 2), 16) >= 0x80
    this.submit({ endpoint: 0, isIn, length, setup: packet, data: data.replaceAll(' ', '') })
    const answer = this.#answers.pop() as Answer
    return answer.status === -32 ? 'stall' : answer.data
  }

  read(endpoint: number, length = 512): number {
    return this.submit({ endpoint, isIn: true, length })
  }

  write(endpoint: number, data: string): number {
    const hex = data.replaceAll(' ', '')
    return this.submit({ endpoint, isIn: false, length: hex.length / 2, data: hex })
  }
}
