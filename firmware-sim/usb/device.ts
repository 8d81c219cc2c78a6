/**
 * A USB device as its bus sees it: it answers transfers. Pure: requests of the kernel go in with `take`, answers come
 * out through `onReply`; who carries them is not known here (vhci.ts).
 */
import {
  configurationDescriptor,
  DescriptorType,
  deviceDescriptor,
  type Identity,
  IN,
  stringDescriptor,
  UsbClass,
} from './descriptors.ts'
import { InEndpoint } from './endpoint.ts'
import { type Request, type Setup, type Submit, submitted, TransferStatus, unlinked } from './usbip.ts'

/** Bits 5 and 6 of a request's type. */
export const RequestKind = { Mask: 0x60, Standard: 0x00, Class: 0x20, Vendor: 0x40 } as const

const Standard = {
  GetStatus: 0,
  ClearFeature: 1,
  SetFeature: 3,
  SetAddress: 5,
  GetDescriptor: 6,
  GetConfiguration: 8,
  SetConfiguration: 9,
  GetInterface: 10,
  SetInterface: 11,
} as const

const TO_ENDPOINT = 2
const ENDPOINT_HALT = 0

/** The answer to a control transfer: bytes for the host, or nothing to say; null is a stall. */
export type ControlAnswer = readonly number[] | Uint8Array | null

/** Carried out, with nothing to say. */
export const DONE: readonly number[] = []

export interface UsbInterfaces {
  count: number
  /** Their descriptors, with those of their endpoints. */
  descriptors: number[]
}

export abstract class UsbDevice {
  readonly identity: Identity
  /** Told of each answer for the kernel. */
  onReply: (bytes: Uint8Array) => void = () => {}
  /** Told when the host has chosen the configuration: a driver is at work. */
  onConfigured: () => void = () => {}
  protected readonly deviceClass: number = UsbClass.PerInterface
  readonly #in = new Map<number, InEndpoint>()
  readonly #haltedOut = new Set<number>()
  /** Transfers towards a device that takes none at the moment. */
  readonly #heldOut: Submit[] = []
  #isHeld = false
  #configuration = 0

  constructor(identity: Identity) {
    this.identity = identity
  }

  protected abstract interfaces(): UsbInterfaces

  /** Requests of class and vendor. */
  protected abstract control(setup: Setup, data: Uint8Array): ControlAnswer

  /** Bytes that the host sent to an endpoint. */
  protected abstract received(endpoint: number, data: Uint8Array): void

  /** Descriptors of the class. */
  protected descriptor(_type: number): ControlAnswer {
    return null
  }

  /** Makes an endpoint towards the host. `streamPacket`: see InEndpoint. */
  protected inEndpoint(number: number, streamPacket: number | null): InEndpoint {
    const endpoint = new InEndpoint((bytes) => this.onReply(bytes), streamPacket)
    this.#in.set(number, endpoint)
    return endpoint
  }

  take(request: Request): void {
    if (request.kind === 'unlink') this.#unlink(request.sequence, request.victim)
    else if (request.endpoint === 0) this.#takeControl(request)
    else if (request.isIn) this.#takeIn(request)
    else this.#takeOut(request)
  }

  /** Takes no data from the host until `release`: its buffer is full. */
  hold(): void {
    this.#isHeld = true
  }

  release(): void {
    this.#isHeld = false
    for (const transfer of this.#heldOut.splice(0)) this.#takeOut(transfer)
  }

  /** Stalls the endpoint at `address` (bit 7: towards the host) until the host clears the halt. */
  stall(address: number): void {
    if ((address & IN) !== 0) this.#in.get(address & ~IN)?.halt()
    else this.#haltedOut.add(address)
  }

  #isStalled(address: number): boolean {
    return (address & IN) !== 0 ? this.#in.get(address & ~IN)?.isHalted === true : this.#haltedOut.has(address)
  }

  #clearStall(address: number): void {
    if ((address & IN) !== 0) this.#in.get(address & ~IN)?.clearHalt()
    else this.#haltedOut.delete(address)
  }

  #takeIn(transfer: Submit): void {
    const endpoint = this.#in.get(transfer.endpoint)
    if (endpoint === undefined) this.onReply(submitted(transfer.sequence, TransferStatus.Stalled, 0))
    else endpoint.take(transfer)
  }

  #takeOut(transfer: Submit): void {
    const { sequence, endpoint, data } = transfer
    if (this.#haltedOut.has(endpoint)) this.onReply(submitted(sequence, TransferStatus.Stalled, 0))
    else if (this.#isHeld) this.#heldOut.push(transfer)
    else {
      this.onReply(submitted(sequence, TransferStatus.Done, data.length))
      this.received(endpoint, data)
    }
  }

  #unlink(sequence: number, victim: number): void {
    const at = this.#heldOut.findIndex((transfer) => transfer.sequence === victim)
    if (at >= 0) this.#heldOut.splice(at, 1)
    const isTaken = at >= 0 || this.#in.values().some((endpoint) => endpoint.unlink(victim))
    this.onReply(unlinked(sequence, isTaken ? TransferStatus.Unlinked : TransferStatus.Done))
  }

  #takeControl({ sequence, setup, data, length }: Submit): void {
    const isStandard = (setup.type & RequestKind.Mask) === RequestKind.Standard
    const answer = isStandard ? this.#standard(setup) : this.control(setup, data)
    if (answer === null) this.onReply(submitted(sequence, TransferStatus.Stalled, 0))
    else if ((setup.type & IN) === 0) this.onReply(submitted(sequence, TransferStatus.Done, data.length))
    else {
      const bytes = Uint8Array.from(answer).slice(0, Math.min(length, setup.length))
      this.onReply(submitted(sequence, TransferStatus.Done, bytes.length, bytes))
    }
  }

  #standard(setup: Setup): ControlAnswer {
    switch (setup.request) {
      case Standard.GetDescriptor:
        return this.#describe(setup.value >> 8, setup.value & 0xff)
      case Standard.SetConfiguration:
        this.#configuration = setup.value
        if (setup.value !== 0) this.onConfigured()
        return DONE
      case Standard.GetConfiguration:
        return [this.#configuration]
      case Standard.GetStatus:
        return [(setup.type & 0x1f) === TO_ENDPOINT && this.#isStalled(setup.index) ? 1 : 0, 0]
      case Standard.ClearFeature:
      case Standard.SetFeature:
        return this.#feature(setup)
      case Standard.GetInterface:
        return [0]
      case Standard.SetInterface:
      case Standard.SetAddress:
        return DONE
      default:
        return null
    }
  }

  #feature({ type, request, value, index }: Setup): ControlAnswer {
    if ((type & 0x1f) !== TO_ENDPOINT || value !== ENDPOINT_HALT) return DONE
    if (request === Standard.SetFeature) this.stall(index)
    else this.#clearStall(index)
    return DONE
  }

  #describe(type: number, index: number): ControlAnswer {
    const { count, descriptors } = this.interfaces()
    switch (type) {
      case DescriptorType.Device:
        return deviceDescriptor(this.identity, this.deviceClass)
      case DescriptorType.Configuration:
        return configurationDescriptor(count, descriptors)
      case DescriptorType.String:
        return stringDescriptor(this.identity, index)
      default:
        return this.descriptor(type)
    }
  }
}
