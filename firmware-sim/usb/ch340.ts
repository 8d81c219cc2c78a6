/** WCH CH340. No datasheet tells its protocol; as Linux' drivers/usb/serial/ch341.c speaks it. Linux: ttyUSB. */
import { bulkEndpoint, type Identity, interfaceDescriptor, interruptEndpoint, UsbClass } from './descriptors.ts'
import { type ControlAnswer, DONE, type UsbInterfaces } from './device.ts'
import { SerialUsbDevice } from './serial.ts'
import type { Setup } from './usbip.ts'

const PACKET_BYTES = 32
const STREAM_IN = 0x82
const STREAM_OUT = 0x02
const NOTIFY = 0x81

const Request = { ReadVersion: 0x5f, ReadRegister: 0x95, WriteRegister: 0x9a, SetModemLines: 0xa4 } as const

const VERSION = [0x31, 0x00]
/** Pairs of registers: a request names two, and carries a byte for each. */
const MODEM_STATUS = 0x0706
const BREAK = 0x05
/** Clear while the host sends a break. */
const NO_BREAK = 0x01

/** Of a request's value and of the status: a line that is on is a bit that is clear. */
const DTR = 0x20
const RTS = 0x40
const ModemStatus = { cts: 1 << 0, dsr: 1 << 1, ri: 1 << 2, dcd: 1 << 3 } as const

const CH340: Identity = {
  vendorId: 0x1a86,
  productId: 0x7523,
  release: 0x0264,
  manufacturer: '', // the chip has neither this nor a serial number
  product: 'USB Serial',
  serialNumber: '',
}

export class Ch340Device extends SerialUsbDevice {
  protected override readonly deviceClass = UsbClass.Vendor
  protected readonly stream = this.inEndpoint(STREAM_IN & 0x0f, PACKET_BYTES)
  readonly #notify = this.inEndpoint(NOTIFY & 0x0f, null)
  readonly #registers = new Uint8Array(256)

  constructor(identity: Partial<Identity> = {}) {
    super({ ...CH340, ...identity })
    this.#registers[BREAK] = NO_BREAK
  }

  protected interfaces(): UsbInterfaces {
    return {
      count: 1,
      descriptors: [
        ...interfaceDescriptor({ number: 0, endpoints: 3, class: UsbClass.Vendor, subclass: 1, protocol: 2 }),
        ...bulkEndpoint(STREAM_IN, PACKET_BYTES),
        ...bulkEndpoint(STREAM_OUT, PACKET_BYTES),
        ...interruptEndpoint(NOTIFY, 8, 1),
      ],
    }
  }

  protected control({ type, request, value, index, length }: Setup): ControlAnswer {
    switch (request) {
      case Request.ReadVersion:
        return VERSION
      case Request.ReadRegister:
        return value === MODEM_STATUS ? this.#status() : this.#read(value)
      case Request.WriteRegister:
        this.#write(value & 0xff, index & 0xff)
        this.#write(value >> 8, index >> 8)
        return DONE
      case Request.SetModemLines:
        this.setLines({ dtr: (value & DTR) === 0, rts: (value & RTS) === 0 })
        return DONE
      default:
        return (type & 0x80) === 0 ? DONE : new Uint8Array(length)
    }
  }

  #read(pair: number): number[] {
    return [this.#registers[pair & 0xff] as number, this.#registers[pair >> 8] as number]
  }

  #write(register: number, value: number): void {
    this.#registers[register] = value
    const brk = (value & NO_BREAK) === 0
    if (register === BREAK && brk !== this.lines.brk) this.setLines({ brk })
  }

  #status(): number[] {
    const lines = (Object.keys(ModemStatus) as (keyof typeof ModemStatus)[]).reduce(
      (status, line) => (this.inputs[line] ? status & ~ModemStatus[line] : status),
      0xff,
    )
    return [lines, 0xee]
  }

  send(bytes: Uint8Array): void {
    this.sendPackets(bytes, PACKET_BYTES)
  }

  protected tellInputs(): void {
    this.#notify.send(Uint8Array.of(0x08, 0x00, ...this.#status()))
  }
}
