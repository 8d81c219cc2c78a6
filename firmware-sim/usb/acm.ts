/** CDC-ACM: an Uno's USB interface, and any board with USB of its own. USB CDC PSTN 1.2 §6. Linux: cdc-acm, ttyACM. */
import {
  acmFunctionalDescriptors,
  bulkEndpoint,
  type Identity,
  interfaceDescriptor,
  interruptEndpoint,
  UsbClass,
} from './descriptors.ts'
import { type ControlAnswer, DONE, RequestKind, type UsbInterfaces } from './device.ts'
import { SerialUsbDevice } from './serial.ts'
import type { Setup } from './usbip.ts'

const PACKET_BYTES = 64
const STREAM_IN = 0x81
const STREAM_OUT = 0x02
const NOTIFY = 0x83

const Request = { SetLineCoding: 0x20, GetLineCoding: 0x21, SetControlLineState: 0x22, SendBreak: 0x23 } as const

const SERIAL_STATE = 0x20
/** Bits of SERIAL_STATE. There is none for CTS. */
const State = { dcd: 1 << 0, dsr: 1 << 1, ri: 1 << 3 } as const

export const UNO_IDENTITY: Identity = {
  vendorId: 0x2341,
  productId: 0x0043,
  release: 0x0001,
  manufacturer: 'Arduino (simulated)',
  product: 'Arduino Uno (simulated)',
  serialNumber: 'DIRQL0001',
}

export class AcmDevice extends SerialUsbDevice {
  protected override readonly deviceClass = UsbClass.Communications
  protected readonly stream = this.inEndpoint(STREAM_IN & 0x0f, PACKET_BYTES)
  readonly #notify = this.inEndpoint(NOTIFY & 0x0f, null)
  readonly #hasBreak: boolean
  /** 9600 8N1: bits a second, stop bits, parity, data bits. */
  #coding: Uint8Array = Uint8Array.of(0x80, 0x25, 0, 0, 0, 0, 8)

  constructor(identity: Partial<Identity> = {}, hasBreak = true) {
    super({ ...UNO_IDENTITY, ...identity })
    this.#hasBreak = hasBreak
  }

  protected interfaces(): UsbInterfaces {
    return {
      count: 2,
      descriptors: [
        // the AT protocol that the host is told to expect is spoken by none of these boards
        ...interfaceDescriptor({ number: 0, endpoints: 1, class: UsbClass.Communications, subclass: 2, protocol: 1 }),
        ...acmFunctionalDescriptors(0, 1, this.#hasBreak),
        ...interruptEndpoint(NOTIFY, 16, 10),
        ...interfaceDescriptor({ number: 1, endpoints: 2, class: UsbClass.CdcData }),
        ...bulkEndpoint(STREAM_IN, PACKET_BYTES),
        ...bulkEndpoint(STREAM_OUT, PACKET_BYTES),
      ],
    }
  }

  protected control({ type, request, value }: Setup, data: Uint8Array): ControlAnswer {
    if ((type & RequestKind.Mask) !== RequestKind.Class) return null
    switch (request) {
      case Request.SetLineCoding:
        return this.#code(data)
      case Request.GetLineCoding:
        return this.#coding
      case Request.SetControlLineState:
        this.setLines({ dtr: (value & 1) !== 0, rts: (value & 2) !== 0 })
        return DONE
      case Request.SendBreak:
        if (!this.#hasBreak) return null
        this.setLines({ brk: value !== 0 })
        return DONE
      default:
        return null
    }
  }

  #code(coding: Uint8Array): ControlAnswer {
    if (coding.length !== 7) return null
    this.#coding = coding
    this.onBaudRate(new DataView(coding.buffer, coding.byteOffset).getUint32(0, true))
    return DONE
  }

  send(bytes: Uint8Array): void {
    this.sendPackets(bytes, PACKET_BYTES)
  }

  protected tellInputs(): void {
    const { dcd, dsr, ri } = this.inputs
    const state = (dcd ? State.dcd : 0) | (dsr ? State.dsr : 0) | (ri ? State.ri : 0)
    this.#notify.send(Uint8Array.of(0xa1, SERIAL_STATE, 0, 0, 0, 0, 2, 0, state, 0))
  }
}
