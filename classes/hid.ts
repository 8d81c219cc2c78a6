/** The hid class: input, output and feature reports of a HID device (docs/hardware/hid.md). */
import { type DeviceClass, type LineSpec, offsetsOf, type RegisterSpec } from './device.ts'
import { registerName } from './lines.ts'

/** Bytes of a report's data at most, its id not counted. */
export const HID_LONGEST = 1024

const registers = [
  { name: 'DATA', offset: 0x00, kind: 'fifo', width: 1, room: 8192 },
  { name: 'DATA_LEVEL', offset: 0x04, kind: 'level', of: 0x00 },
  { name: 'REPORTS', offset: 0x08, kind: 'count' },
  { name: 'LOST', offset: 0x0c, kind: 'count' },
  { name: 'OUTPUT', offset: 0x10, kind: 'fifo', width: 1, room: 0 },
  { name: 'REPORT_ID', offset: 0x14, kind: 'control' },
  { name: 'LENGTH', offset: 0x18, kind: 'control' },
  { name: 'COMMAND', offset: 0x1c, kind: 'command' },
  { name: 'RESULT', offset: 0x20, kind: 'status' },
  { name: 'COMPLETED', offset: 0x24, kind: 'count' },
  { name: 'FEATURE', offset: 0x28, kind: 'fifo', width: 1, room: 2048 },
  { name: 'FEATURE_LEVEL', offset: 0x2c, kind: 'level', of: 0x28 },
] as const

/** Offsets in the register window. */
export const Hid = offsetsOf(registers)

/** Values of COMMAND. */
export const HidCommand = { SEND_OUTPUT: 1, SEND_FEATURE: 2, GET_FEATURE: 4, CLEAR: 8 } as const

/** Bits of RESULT. */
export const HidResult = { DONE: 1 << 0, FAILED: 1 << 1, INVALID: 1 << 2 } as const

export const hidClass: DeviceClass = {
  name: 'hid',
  version: 1,
  registers,
  lines: [
    { name: 'data', dirql: 6, mode: 'latched', shared: false, snapshot: ['REPORTS', 'LOST'] },
    { name: 'complete', dirql: 5, mode: 'latched', shared: false, snapshot: ['RESULT', 'COMPLETED'] },
  ],
}

/** An input report as DATA holds it: two bytes of length (id included, low byte first), the id, the data. */
export function hidEntry(id: number, data: Uint8Array): Uint8Array {
  const entry = new Uint8Array(3 + data.length)
  entry[0] = (data.length + 1) & 0xff
  entry[1] = (data.length + 1) >> 8
  entry[2] = id
  entry.set(data, 3)
  return entry
}

/** A field of an input report that a board file makes a line of. */
export interface ReportFieldSpec {
  readonly name: string
  /** Id of the report; 0 for a device whose reports have none. */
  readonly report: number
  /** Byte of the report's data, its id not counted. */
  readonly byte: number
  /** Lowest bit of the field in that byte. */
  readonly bit: number
  /** Bits of the field; they go on in the bytes that follow. */
  readonly bits: number
  readonly signed: boolean
  readonly mode: 'latched' | 'level'
  /** When it is asserted; of a latched one which change counts. A field of several bits counts any change. */
  readonly active: 'low' | 'high' | 'both'
  readonly dirql: number
}

const FIRST_FIELD = 0x40
const FIELD_STRIDE = 8
export const MOST_FIELDS = 64

/** Offset of the value of the `index`th field; its count follows. */
export const fieldOffset = (index: number): number => FIRST_FIELD + index * FIELD_STRIDE

/** The registers that the `index`th field of a board file makes. */
export function fieldRegisters({ name }: ReportFieldSpec, index: number): RegisterSpec[] {
  const own = registerName(name)
  return [
    { name: own, offset: fieldOffset(index), kind: 'status' },
    { name: `${own}_COUNT`, offset: fieldOffset(index) + 4, kind: 'count' },
  ]
}

/** The interrupt line that it makes. */
export const fieldLine = (field: ReportFieldSpec): LineSpec => ({
  name: field.name,
  dirql: field.dirql,
  mode: field.mode,
  shared: false,
  active: field.active,
  snapshot: [registerName(field.name), `${registerName(field.name)}_COUNT`],
})

/** The field's value in a report's data, as a register's 32 bits; null when the report is too short to hold it. */
export function fieldValue({ byte, bit, bits, signed }: ReportFieldSpec, data: Uint8Array): number | null {
  if (byte + Math.ceil((bit + bits) / 8) > data.length) return null
  let value = 0
  for (let index = bits - 1; index >= 0; index--) {
    const at = bit + index
    value = value * 2 + (((data[byte + (at >> 3)] as number) >> (at & 7)) & 1)
  }
  return (signed && value >= 2 ** (bits - 1) ? value - 2 ** bits : value) >>> 0
}
