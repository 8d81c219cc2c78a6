/** FTDI FT232R. Its protocol is the vendor's; written down in Linux' drivers/usb/serial/ftdi_sio.h. Linux: ttyUSB. */
import { bulkEndpoint, type Identity, interfaceDescriptor, UsbClass } from './descriptors.ts'
import { type ControlAnswer, DONE, RequestKind, type UsbInterfaces } from './device.ts'
import { SerialUsbDevice } from './serial.ts'
import type { Setup } from './usbip.ts'

const PACKET_BYTES = 64
/** Each packet begins with the status of modem and line. */
const STATUS_BYTES = 2
const STREAM_IN = 0x81
const STREAM_OUT = 0x02

const Request = {
  Reset: 0,
  SetModemLines: 1,
  SetBaudRate: 3,
  SetFraming: 4,
  GetModemStatus: 5,
  SetLatencyTimer: 9,
  GetLatencyTimer: 10,
  ReadEeprom: 0x90,
} as const

/** Values of Reset: the whole chip, or what it keeps for the host. */
const RESET_ALL = 0
const PURGE_RECEIVED = 1

const FRAMING_BREAK = 1 << 14

/** Bits of the first status byte; bit 0 is always set. */
const ModemStatus = { always: 1 << 0, cts: 1 << 4, dsr: 1 << 5, ri: 1 << 6, dcd: 1 << 7 } as const
/** Second status byte: nothing left to transmit. */
const TRANSMITTER_EMPTY = 0x60

const FT232R: Identity = {
  vendorId: 0x0403,
  productId: 0x6001,
  release: 0x0600,
  manufacturer: 'FTDI',
  product: 'FT232R USB UART',
  serialNumber: 'DIRQL002',
}

export class FtdiDevice extends SerialUsbDevice {
  protected readonly stream = this.inEndpoint(STREAM_IN & 0x0f, PACKET_BYTES)
  #latencyMs = 16

  constructor(identity: Partial<Identity> = {}) {
    super({ ...FT232R, ...identity })
  }

  protected interfaces(): UsbInterfaces {
    return {
      count: 1,
      descriptors: [
        ...interfaceDescriptor({
          number: 0,
          endpoints: 2,
          class: UsbClass.Vendor,
          subclass: UsbClass.Vendor,
          protocol: UsbClass.Vendor,
        }),
        ...bulkEndpoint(STREAM_IN, PACKET_BYTES),
        ...bulkEndpoint(STREAM_OUT, PACKET_BYTES),
      ],
    }
  }

  protected control({ type, request, value, index }: Setup): ControlAnswer {
    if ((type & RequestKind.Mask) !== RequestKind.Vendor) return null
    switch (request) {
      case Request.Reset:
        if (value === RESET_ALL || value === PURGE_RECEIVED) this.#purge()
        return DONE
      case Request.SetModemLines:
        this.setLines(ordered(value))
        return DONE
      case Request.SetBaudRate:
        this.onBaudRate(baudRateOf(value, index))
        return DONE
      case Request.SetFraming:
        this.#setBreak((value & FRAMING_BREAK) !== 0)
        return DONE
      case Request.GetModemStatus:
        return this.#status()
      case Request.SetLatencyTimer:
        this.#latencyMs = value & 0xff
        return DONE
      case Request.GetLatencyTimer:
        return [this.#latencyMs]
      case Request.ReadEeprom:
        return [0, 0] // no pin of its EEPROM is given away as general purpose
      default:
        return DONE // flow control, event and error characters: kept by a chip, of no effect here
    }
  }

  /** Told with the framing, which a program sets for other reasons too. */
  #setBreak(brk: boolean): void {
    if (brk !== this.lines.brk) this.setLines({ brk })
  }

  #purge(): void {
    this.stream.purge()
    this.tellInputs() // what was purged may have held the newest status
  }

  #status(): [number, number] {
    const { cts, dsr, ri, dcd } = this.inputs
    const lines =
      (cts ? ModemStatus.cts : 0) |
      (dsr ? ModemStatus.dsr : 0) |
      (ri ? ModemStatus.ri : 0) |
      (dcd ? ModemStatus.dcd : 0)
    return [ModemStatus.always | lines, TRANSMITTER_EMPTY]
  }

  send(bytes: Uint8Array): void {
    const room = PACKET_BYTES - STATUS_BYTES
    for (let at = 0; at < bytes.length; at += room) {
      const data = bytes.subarray(at, at + room)
      const packet = new Uint8Array(STATUS_BYTES + data.length)
      packet.set(this.#status())
      packet.set(data, STATUS_BYTES)
      this.stream.send(packet)
    }
  }

  protected tellInputs(): void {
    this.stream.send(Uint8Array.from(this.#status()))
  }
}

/** The high byte of SetModemLines says which of the lines are meant. */
function ordered(value: number): { dtr?: boolean; rts?: boolean } {
  return {
    ...((value & 0x100) !== 0 && { dtr: (value & 1) !== 0 }),
    ...((value & 0x200) !== 0 && { rts: (value & 2) !== 0 }),
  }
}

/** Eighths of the divisor, by three bits of it. */
const EIGHTHS = [0, 4, 2, 1, 3, 5, 6, 7] as const
const CLOCK_HZ = 3_000_000

/** Fourteen bits of divisor, and eighths of it in three: two above, and one in the index. */
function baudRateOf(value: number, index: number): number {
  const whole = value & 0x3fff
  const eighths = EIGHTHS[((value >> 14) & 3) | ((index & 1) << 2)] as number
  if (whole === 0) return CLOCK_HZ
  return Math.round(whole === 1 && eighths === 0 ? 2_000_000 : CLOCK_HZ / (whole + eighths / 8))
}
