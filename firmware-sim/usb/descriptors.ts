/** USB descriptors as bytes. USB 2.0 §9.6; HID 1.11 §6.2.1; CDC 1.2 §5.2.3. */

export const DescriptorType = {
  Device: 1,
  Configuration: 2,
  String: 3,
  Interface: 4,
  Endpoint: 5,
  Hid: 0x21,
  HidReport: 0x22,
} as const

/** Class codes of interfaces and devices. */
export const UsbClass = { PerInterface: 0, Communications: 2, Hid: 3, CdcData: 10, Vendor: 0xff } as const

/** What a host tells devices apart by. */
export interface Identity {
  vendorId: number
  productId: number
  /** bcdDevice: drivers tell chips of a family apart by it. */
  release: number
  manufacturer: string
  product: string
  /** '' for chips that have none. */
  serialNumber: string
}

const u16 = (value: number): number[] => [value & 0xff, (value >> 8) & 0xff]

const STRINGS = ['manufacturer', 'product', 'serialNumber'] as const

/** Index of the string descriptor; 0 if it has none. */
const indexOf = (identity: Identity, name: (typeof STRINGS)[number]): number =>
  identity[name] === '' ? 0 : STRINGS.indexOf(name) + 1

/** Endpoint 0 of each device here. */
export const CONTROL_PACKET_BYTES = 64

export function deviceDescriptor(identity: Identity, deviceClass: number): number[] {
  const strings = STRINGS.map((name) => indexOf(identity, name))
  return [
    18,
    DescriptorType.Device,
    ...u16(0x0200),
    ...[deviceClass, 0, 0],
    CONTROL_PACKET_BYTES,
    ...u16(identity.vendorId),
    ...u16(identity.productId),
    ...u16(identity.release),
    ...strings,
    1,
  ]
}

const BUS_POWERED = 0x80
/** In units of 2 mA. */
const POWER = 50

/** The one configuration with all that belongs to it, `body`. */
export function configurationDescriptor(interfaces: number, body: readonly number[]): number[] {
  return [9, DescriptorType.Configuration, ...u16(9 + body.length), interfaces, 1, 0, BUS_POWERED, POWER, ...body]
}

export interface InterfaceSpec {
  number: number
  endpoints: number
  class: number
  subclass?: number
  protocol?: number
}

export const interfaceDescriptor = (spec: InterfaceSpec): number[] => [
  ...[9, DescriptorType.Interface, spec.number, 0, spec.endpoints],
  ...[spec.class, spec.subclass ?? 0, spec.protocol ?? 0, 0],
]

/** Bit 7 of an endpoint's address: towards the host. */
export const IN = 0x80

const BULK = 2
const INTERRUPT = 3

export const bulkEndpoint = (address: number, packetBytes: number): number[] => [
  ...[7, DescriptorType.Endpoint, address, BULK, ...u16(packetBytes), 0],
]

/** The host asks every `intervalMs` (of a full-speed device). */
export const interruptEndpoint = (address: number, packetBytes: number, intervalMs: number): number[] => [
  ...[7, DescriptorType.Endpoint, address, INTERRUPT, ...u16(packetBytes), intervalMs],
]

export const hidDescriptor = (reportDescriptorBytes: number): number[] => [
  ...[9, DescriptorType.Hid, ...u16(0x0111), 0, 1, DescriptorType.HidReport, ...u16(reportDescriptorBytes)],
]

const CS_INTERFACE = 0x24

/** Functional descriptors of an abstract control model whose data interface is `data`. */
export const acmFunctionalDescriptors = (control: number, data: number, hasBreak: boolean): number[] => [
  ...[5, CS_INTERFACE, 0x00, ...u16(0x0110)], // header
  ...[5, CS_INTERFACE, 0x01, 0x00, data], // call management: none
  ...[4, CS_INTERFACE, 0x02, hasBreak ? 0x06 : 0x02], // line coding and state; break
  ...[5, CS_INTERFACE, 0x06, control, data], // union
]

const ENGLISH = 0x0409

/** The string descriptor `index` of a device; null if it has none. Number 0 names the language. */
export function stringDescriptor(identity: Identity, index: number): number[] | null {
  if (index === 0) return [4, DescriptorType.String, ...u16(ENGLISH)]
  const name = STRINGS[index - 1]
  if (name === undefined || identity[name] === '') return null
  const units = Array.from({ length: identity[name].length }, (_, at) => u16(identity[name].charCodeAt(at))).flat()
  return [2 + units.length, DescriptorType.String, ...units]
}
