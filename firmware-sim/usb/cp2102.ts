/** Silicon Labs CP2102. Application note AN571, "CP210x virtual COM port interface". Linux: cp210x, ttyUSB. */
import { bulkEndpoint, type Identity, interfaceDescriptor, UsbClass } from './descriptors.ts'
import { type ControlAnswer, DONE, type UsbInterfaces } from './device.ts'
import { SerialUsbDevice } from './serial.ts'
import type { Setup } from './usbip.ts'

const PACKET_BYTES = 64
const STREAM_IN = 0x81
const STREAM_OUT = 0x02

const Request = {
  SetLineControl: 0x03,
  GetLineControl: 0x04,
  SetBreak: 0x05,
  SetModemLines: 0x07,
  GetModemStatus: 0x08,
  GetChars: 0x0e,
  GetCommStatus: 0x10,
  SetFlow: 0x13,
  GetFlow: 0x14,
  SetChars: 0x19,
  GetBaudRate: 0x1d,
  SetBaudRate: 0x1e,
  Vendor: 0xff,
} as const

/** Value of a vendor's request: which part it is. */
const PART_NUMBER = 0x370b
const CP2102_PART = 0x02

const ModemStatus = { dtr: 1 << 0, rts: 1 << 1, cts: 1 << 4, dsr: 1 << 5, ri: 1 << 6, dcd: 1 << 7 } as const
/** Fields of the flow control words, for a line that is held as it is: DTR in the first, RTS in the second. */
const DTR_FIELD = 0x3
const RTS_FIELD = 0xc0
const DTR_ACTIVE = 0x1
const RTS_ACTIVE = 0x40

const CP2102: Identity = {
  vendorId: 0x10c4,
  productId: 0xea60,
  release: 0x0100,
  manufacturer: 'Silicon Labs',
  product: 'CP2102 USB to UART Bridge Controller',
  serialNumber: 'DIRQL004',
}

const u16 = (value: number): number[] => [value & 0xff, (value >> 8) & 0xff]
const u32 = (value: number): number[] => [...u16(value), ...u16(value >>> 16)]

export class Cp2102Device extends SerialUsbDevice {
  protected readonly stream = this.inEndpoint(STREAM_IN & 0x0f, PACKET_BYTES)
  #baudRate = 9600
  /** 8N1: data bits in the high byte. */
  #lineControl = 0x0800
  #flow: Uint8Array = new Uint8Array(16)
  #chars: Uint8Array = new Uint8Array(6)

  constructor(identity: Partial<Identity> = {}) {
    super({ ...CP2102, ...identity })
  }

  protected interfaces(): UsbInterfaces {
    return {
      count: 1,
      descriptors: [
        ...interfaceDescriptor({ number: 0, endpoints: 2, class: UsbClass.Vendor }),
        ...bulkEndpoint(STREAM_IN, PACKET_BYTES),
        ...bulkEndpoint(STREAM_OUT, PACKET_BYTES),
      ],
    }
  }

  protected control(setup: Setup, data: Uint8Array): ControlAnswer {
    return (setup.type & 0x80) === 0 ? this.#set(setup, data) : this.#get(setup)
  }

  #get({ request, value }: Setup): ControlAnswer {
    switch (request) {
      case Request.GetLineControl:
        return u16(this.#lineControl)
      case Request.GetModemStatus:
        return [this.#modemStatus()]
      case Request.GetChars:
        return this.#chars
      case Request.GetCommStatus:
        return new Uint8Array(19) // no error, nothing queued
      case Request.GetFlow:
        return this.#flow
      case Request.GetBaudRate:
        return u32(this.#baudRate)
      case Request.Vendor:
        return value === PART_NUMBER ? [CP2102_PART] : null
      default:
        return null
    }
  }

  #set({ request, value }: Setup, data: Uint8Array): ControlAnswer {
    switch (request) {
      case Request.SetLineControl:
        this.#lineControl = value
        break
      case Request.SetBreak:
        this.setLines({ brk: value !== 0 })
        break
      case Request.SetModemLines:
        this.setLines({
          ...((value & 0x100) !== 0 && { dtr: (value & 1) !== 0 }),
          ...((value & 0x200) !== 0 && { rts: (value & 2) !== 0 }),
        })
        break
      case Request.SetFlow:
        return this.#setFlow(data)
      case Request.SetChars:
        this.#chars = data
        break
      case Request.SetBaudRate:
        return this.#setBaudRate(data)
    }
    return DONE // what is not named here a chip keeps, and it is of no effect on these boards
  }

  /** The driver raises and lowers the lines with it too. */
  #setFlow(flow: Uint8Array): ControlAnswer {
    if (flow.length !== 16) return null
    this.#flow = flow
    const [first, second] = [flow[0] as number, flow[4] as number]
    this.setLines({ dtr: (first & DTR_FIELD) === DTR_ACTIVE, rts: (second & RTS_FIELD) === RTS_ACTIVE })
    return DONE
  }

  #setBaudRate(data: Uint8Array): ControlAnswer {
    if (data.length !== 4) return null
    this.#baudRate = new DataView(data.buffer, data.byteOffset).getUint32(0, true)
    this.onBaudRate(this.#baudRate)
    return DONE
  }

  #modemStatus(): number {
    const on = { ...this.lines, ...this.inputs }
    return (Object.keys(ModemStatus) as (keyof typeof ModemStatus)[]).reduce(
      (status, line) => status | (on[line] ? ModemStatus[line] : 0),
      0,
    )
  }

  send(bytes: Uint8Array): void {
    this.sendPackets(bytes, PACKET_BYTES)
  }

  /** The chip tells nothing by itself: the driver asks when a program does. */
  protected tellInputs(): void {}
}
