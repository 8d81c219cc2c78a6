/** HID devices: reports through interrupt endpoints, feature reports through endpoint 0. USB HID 1.11 §7.2. */
import {
  DescriptorType,
  hidDescriptor,
  type Identity,
  interfaceDescriptor,
  interruptEndpoint,
  UsbClass,
} from './descriptors.ts'
import { type ControlAnswer, DONE, RequestKind, UsbDevice, type UsbInterfaces } from './device.ts'
import type { Setup } from './usbip.ts'

const PACKET_BYTES = 64
const INTERVAL_MS = 1
const REPORT_IN = 0x81
const REPORT_OUT = 0x02

const Request = { GetReport: 0x01, SetReport: 0x09 } as const
/** High byte of the value of these. */
const FEATURE = 3

export interface HidKind {
  identity: Identity
  reportDescriptor: readonly number[]
}

/** Reports of 64 bytes both ways, and a feature report of 8, none of them numbered: the bridge over raw HID. */
export const RAW_HID: HidKind = {
  identity: {
    vendorId: 0x16c0,
    productId: 0x0486,
    release: 0x0100,
    manufacturer: 'dirql (simulated)',
    product: 'Raw HID bridge (simulated)',
    serialNumber: 'DIRQL003',
  },
  reportDescriptor: [
    ...[0x06, 0xab, 0xff], // usage page 0xffab, the vendor's
    ...[0x0a, 0x00, 0x02], // usage 0x200
    ...[0xa1, 0x01], // collection: application
    ...[0x15, 0x00, 0x26, 0xff, 0x00, 0x75, 0x08], // values of 0 to 255, in 8 bits
    ...[0x95, 64, 0x09, 0x01, 0x81, 0x02], // 64 of them: input
    ...[0x95, 64, 0x09, 0x02, 0x91, 0x02], // output
    ...[0x95, 8, 0x09, 0x03, 0xb1, 0x02], // 8: feature
    0xc0,
  ],
}

/** A pad with two axes and sixteen buttons, in the eight bytes of a cheap one. */
export const GAMEPAD: HidKind = {
  identity: {
    vendorId: 0x0079,
    productId: 0x0011,
    release: 0x0106,
    manufacturer: '',
    product: 'USB Gamepad (simulated)',
    serialNumber: '',
  },
  reportDescriptor: [
    ...[0x05, 0x01, 0x09, 0x04, 0xa1, 0x01], // generic desktop, joystick
    ...[0x15, 0x00, 0x26, 0xff, 0x00, 0x75, 0x08], // 0 to 255, in 8 bits
    ...[0x95, 3, 0x81, 0x01], // three bytes of nothing
    ...[0x95, 2, 0x09, 0x30, 0x09, 0x31, 0x81, 0x02], // bytes 3 and 4: X and Y
    ...[0x75, 0x04, 0x95, 1, 0x81, 0x01], // four bits of nothing
    ...[0x05, 0x09, 0x19, 0x01, 0x29, 0x0c, 0x25, 0x01, 0x75, 0x01, 0x95, 12, 0x81, 0x02], // buttons 1 to 12
    ...[0x75, 0x08, 0x95, 1, 0x81, 0x01], // a byte of nothing
    0xc0,
  ],
}

/** A report of GAMEPAD. `buttons`: bit 0 is button 1. */
export const gamepadReport = (x: number, y: number, buttons: number): Uint8Array =>
  Uint8Array.of(0x01, 0x7f, 0x7f, x, y, ((buttons & 0x0f) << 4) | 0x0f, (buttons >> 4) & 0xff, 0)

export class HidUsbDevice extends UsbDevice {
  /** Told of output reports; `id` is 0 where they are not numbered, and `data` begins with it where they are. */
  onOutput: (data: Uint8Array) => void = () => {}
  onFeature: (id: number, data: Uint8Array) => void = () => {}
  readonly #reports = this.inEndpoint(REPORT_IN & 0x0f, null)
  readonly #descriptor: readonly number[]
  /** By id, as the host set them. */
  readonly #features = new Map<number, Uint8Array>()

  constructor({ identity, reportDescriptor }: HidKind, own: Partial<Identity> = {}) {
    super({ ...identity, ...own })
    this.#descriptor = reportDescriptor
  }

  /** Bytes of reports that the host has not asked for yet. */
  get unsent(): number {
    return this.#reports.unsent
  }

  protected interfaces(): UsbInterfaces {
    return {
      count: 1,
      descriptors: [
        ...interfaceDescriptor({ number: 0, endpoints: 2, class: UsbClass.Hid }),
        ...hidDescriptor(this.#descriptor.length),
        ...interruptEndpoint(REPORT_IN, PACKET_BYTES, INTERVAL_MS),
        ...interruptEndpoint(REPORT_OUT, PACKET_BYTES, INTERVAL_MS),
      ],
    }
  }

  protected override descriptor(type: number): ControlAnswer {
    if (type === DescriptorType.HidReport) return this.#descriptor
    return type === DescriptorType.Hid ? hidDescriptor(this.#descriptor.length) : null
  }

  protected control({ type, request, value, length }: Setup, data: Uint8Array): ControlAnswer {
    if ((type & RequestKind.Mask) !== RequestKind.Class) return null
    const isFeature = value >> 8 === FEATURE
    const id = value & 0xff
    if (request === Request.GetReport) return (isFeature && this.#features.get(id)) || new Uint8Array(length)
    if (request === Request.SetReport) {
      if (!isFeature) this.onOutput(data)
      else {
        this.#features.set(id, data)
        this.onFeature(id, data)
      }
    }
    return DONE // rate and protocol: one of each
  }

  protected received(_endpoint: number, data: Uint8Array): void {
    this.onOutput(data)
  }

  /** Sends an input report. */
  send(report: Uint8Array): void {
    this.#reports.send(report)
  }
}
