/**
 * USB/IP, the part of it that a device needs: the kernel's vhci_hcd submits transfers and takes them back, the device
 * answers. Kernel documentation: usb/usbip_protocol. All numbers but the setup packet are big-endian.
 */

export const HEADER_BYTES = 48

const CMD_SUBMIT = 1
const CMD_UNLINK = 2
const RET_SUBMIT = 3
const RET_UNLINK = 4

/** Status of a transfer: Linux' errno, negative. */
export const TransferStatus = {
  Done: 0,
  /** The endpoint has stalled. */
  Stalled: -32,
  /** Taken back before it was answered. */
  Unlinked: -104,
} as const

export interface Setup {
  /** Bit 7: towards the host; bits 5 and 6: standard, class, vendor; bits 0 to 4: device, interface, endpoint. */
  readonly type: number
  readonly request: number
  readonly value: number
  readonly index: number
  readonly length: number
}

export interface Submit {
  readonly kind: 'submit'
  readonly sequence: number
  /** Number of the endpoint, without its direction. */
  readonly endpoint: number
  readonly isIn: boolean
  /** Bytes that it carries, or has room for. */
  readonly length: number
  readonly setup: Setup
  /** Of a transfer towards the device. */
  readonly data: Uint8Array
}

export interface Unlink {
  readonly kind: 'unlink'
  readonly sequence: number
  /** Sequence number of the transfer that is taken back. */
  readonly victim: number
}

export type Request = Submit | Unlink

/** No transfer of these devices comes near it: a stream that says so is out of step. */
const LONGEST = 1 << 20

/** Cuts the stream from the kernel into requests. */
export class RequestStream {
  #rest: Uint8Array = new Uint8Array(0)

  push(bytes: Uint8Array): Request[] {
    let rest = this.#rest.length === 0 ? bytes : joined(this.#rest, bytes)
    const requests: Request[] = []
    for (let next = parse(rest); next !== null; next = parse(rest)) {
      requests.push(next.request)
      rest = rest.subarray(next.bytes)
    }
    this.#rest = rest.slice()
    return requests
  }
}

function joined(left: Uint8Array, right: Uint8Array): Uint8Array {
  const all = new Uint8Array(left.length + right.length)
  all.set(left)
  all.set(right, left.length)
  return all
}

/** The first request of `stream` and its length; null while it is not whole. */
function parse(stream: Uint8Array): { request: Request; bytes: number } | null {
  if (stream.length < HEADER_BYTES) return null
  const view = new DataView(stream.buffer, stream.byteOffset, HEADER_BYTES)
  const command = view.getUint32(0)
  const sequence = view.getUint32(4)
  if (command === CMD_UNLINK) {
    return { request: { kind: 'unlink', sequence, victim: view.getUint32(20) }, bytes: HEADER_BYTES }
  }
  if (command !== CMD_SUBMIT) throw new Error(`USB/IP: command ${command} is no request; the stream is out of step`)
  const isIn = view.getUint32(12) === 1
  const length = view.getUint32(24)
  if (length > LONGEST) throw new Error(`USB/IP: a transfer of ${length} bytes; the stream is out of step`)
  const bytes = HEADER_BYTES + (isIn ? 0 : length)
  if (stream.length < bytes) return null
  const data = stream.slice(HEADER_BYTES, bytes)
  const endpoint = view.getUint32(16)
  return { request: { kind: 'submit', sequence, endpoint, isIn, length, setup: setupAt(view, 40), data }, bytes }
}

const setupAt = (view: DataView, at: number): Setup => ({
  type: view.getUint8(at),
  request: view.getUint8(at + 1),
  value: view.getUint16(at + 2, true),
  index: view.getUint16(at + 4, true),
  length: view.getUint16(at + 6, true),
})

/** Ends a submitted transfer. `actual` bytes were carried; `data` are those of one towards the host. */
export function submitted(
  sequence: number,
  status: number,
  actual: number,
  data: Uint8Array = new Uint8Array(0),
): Uint8Array {
  const reply = new Uint8Array(HEADER_BYTES + data.length)
  const view = new DataView(reply.buffer)
  view.setUint32(0, RET_SUBMIT)
  view.setUint32(4, sequence)
  view.setInt32(20, status)
  view.setUint32(24, actual)
  reply.set(data, HEADER_BYTES)
  return reply
}

/** Answers an unlink: Unlinked, or Done where the transfer had been answered already. */
export function unlinked(sequence: number, status: number): Uint8Array {
  const reply = new Uint8Array(HEADER_BYTES)
  const view = new DataView(reply.buffer)
  view.setUint32(0, RET_UNLINK)
  view.setUint32(4, sequence)
  view.setInt32(20, status)
  return reply
}
