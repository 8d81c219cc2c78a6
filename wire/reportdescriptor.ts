/** HID report descriptors (HID 1.11, 6.2.2): which bits of which report are what. Any bytes give an answer or an error. */

/** Linux takes no longer ones (HID_MAX_DESCRIPTOR_SIZE). */
export const LONGEST_DESCRIPTOR = 4096
const MOST_REPORT_BITS = 1024 * 8
const MOST_FIELDS = 1024
const MOST_USAGES = 256
const MOST_NESTED = 32

export class ReportDescriptorError extends Error {
  override name = 'ReportDescriptorError'
  /** Byte of the descriptor. */
  readonly at: number

  constructor(at: number, what: string) {
    super(`report descriptor, byte ${at}: ${what}`)
    this.at = at
  }
}

export type ReportKind = 'input' | 'output' | 'feature'

/** One main item: `count` values of `bits` bits each, one behind the other. */
export interface ReportField {
  kind: ReportKind
  /** Of the report; 0 where reports have none. */
  id: number
  /** Place of the first bit in the report's data, its id not counted. */
  firstBit: number
  bits: number
  count: number
  /** Padding. */
  isConstant: boolean
  /** Each value is a usage's; else each is the number of one of the usages. */
  isVariable: boolean
  isSigned: boolean
  usagePage: number
  /** Page in the upper 16 bits; of a variable field the n-th is the n-th value's, and the last that of all behind it. */
  usages: number[]
}

export interface ReportDescriptor {
  /** Whether each report begins with its id. */
  isNumbered: boolean
  fields: ReportField[]
}

interface Item {
  at: number
  /** Tag and type, without the size. */
  tag: number
  value: number
  signed: number
}

interface Globals {
  usagePage: number
  minimum: number
  size: number
  count: number
  id: number
}

const MAIN: Record<number, ReportKind> = { 0x80: 'input', 0x90: 'output', 0xb0: 'feature' }
const Tag = {
  Collection: 0xa0,
  EndCollection: 0xc0,
  UsagePage: 0x04,
  LogicalMinimum: 0x14,
  ReportSize: 0x74,
  ReportId: 0x84,
  ReportCount: 0x94,
  Push: 0xa4,
  Pop: 0xb4,
  Usage: 0x08,
  UsageMinimum: 0x18,
  UsageMaximum: 0x28,
} as const
const LONG_ITEM = 0xfe

/** Throws a ReportDescriptorError for what is none. */
export function parseReportDescriptor(bytes: Uint8Array): ReportDescriptor {
  if (bytes.length > LONGEST_DESCRIPTOR) {
    throw new ReportDescriptorError(
      LONGEST_DESCRIPTOR,
      `it has ${bytes.length} bytes; ${LONGEST_DESCRIPTOR} are the most`,
    )
  }
  const parser = new Parser()
  for (const item of itemsOf(bytes)) parser.take(item)
  return parser.end(bytes.length)
}

function* itemsOf(bytes: Uint8Array): Generator<Item> {
  for (let at = 0; at < bytes.length; ) {
    const head = bytes[at]!
    const size = head === LONG_ITEM ? 2 + (bytes[at + 1] ?? 0) : [0, 1, 2, 4][head & 3]!
    if (at + 1 + size > bytes.length) throw new ReportDescriptorError(at, 'its last item is cut off')
    if (head !== LONG_ITEM) {
      let value = 0
      for (let index = size; index >= 1; index--) value = value * 256 + bytes[at + index]!
      const signed = size > 0 && value >= 2 ** (8 * size - 1) ? value - 2 ** (8 * size) : value
      yield { at, tag: head & 0xfc, value, signed }
    }
    at += 1 + size
  }
}

class Parser {
  #globals: Globals = { usagePage: 0, minimum: 0, size: 0, count: 0, id: 0 }
  readonly #saved: Globals[] = []
  #usages: number[] = []
  #usageMinimum = -1
  #nested = 0
  readonly #fields: ReportField[] = []
  /** Bits so far, by kind and id. */
  readonly #bits = new Map<string, number>()
  #isNumbered = false

  take(item: Item): void {
    const globals = this.#globals
    const { at, tag, value } = item
    const kind = MAIN[tag]
    if (kind !== undefined) this.#field(kind, item)
    else if (tag === Tag.Collection) this.#open(at)
    else if (tag === Tag.EndCollection) this.#close(at)
    else if (tag === Tag.UsagePage) globals.usagePage = value & 0xffff
    else if (tag === Tag.LogicalMinimum) globals.minimum = item.signed
    else if (tag === Tag.ReportSize) globals.size = value
    else if (tag === Tag.ReportCount) globals.count = value
    else if (tag === Tag.ReportId) this.#number(item)
    else if (tag === Tag.Push) this.#push(at)
    else if (tag === Tag.Pop) this.#pop(at)
    else if (tag === Tag.Usage) this.#usage(this.#full(value))
    else if (tag === Tag.UsageMinimum) this.#usageMinimum = this.#full(value)
    else if (tag === Tag.UsageMaximum) this.#range(item)
  }

  /** With the page where the usage does not have one of its own. */
  #full(usage: number): number {
    return usage > 0xffff ? usage : this.#globals.usagePage * 0x10000 + usage
  }

  #usage(usage: number): void {
    if (this.#usages.length < MOST_USAGES) this.#usages.push(usage)
  }

  #range({ at, value }: Item): void {
    const last = this.#full(value)
    if (this.#usageMinimum < 0 || last < this.#usageMinimum) {
      throw new ReportDescriptorError(at, 'a usage maximum has no minimum that is below it')
    }
    const end = Math.min(last, this.#usageMinimum + MOST_USAGES)
    for (let usage = this.#usageMinimum; usage <= end; usage++) this.#usage(usage)
    this.#usageMinimum = -1
  }

  #number({ at, value }: Item): void {
    if (value < 1 || value > 255) throw new ReportDescriptorError(at, `report id ${value}; it must be 1 to 255`)
    if (!this.#isNumbered && this.#fields.length > 0) {
      throw new ReportDescriptorError(at, 'some reports have an id, and some before it have none')
    }
    this.#isNumbered = true
    this.#globals.id = value
  }

  #open(at: number): void {
    this.#nested += 1
    if (this.#nested > MOST_NESTED)
      throw new ReportDescriptorError(at, `more than ${MOST_NESTED} collections are nested`)
    this.#forgetLocals()
  }

  #close(at: number): void {
    if (this.#nested === 0) throw new ReportDescriptorError(at, 'a collection ends that was not begun')
    this.#nested -= 1
    this.#forgetLocals()
  }

  #push(at: number): void {
    if (this.#saved.length >= MOST_NESTED)
      throw new ReportDescriptorError(at, `more than ${MOST_NESTED} states are pushed`)
    this.#saved.push({ ...this.#globals })
  }

  #pop(at: number): void {
    const saved = this.#saved.pop()
    if (saved === undefined) throw new ReportDescriptorError(at, 'a state is popped that was not pushed')
    this.#globals = saved
  }

  #forgetLocals(): void {
    this.#usages = []
    this.#usageMinimum = -1
  }

  #field(kind: ReportKind, { at, value }: Item): void {
    const { size, count, id, minimum, usagePage } = this.#globals
    const key = `${kind} ${id}`
    const firstBit = this.#bits.get(key) ?? 0
    const bits = size * count
    if (firstBit + bits > MOST_REPORT_BITS) {
      throw new ReportDescriptorError(at, `${kind} report ${id} has more than ${MOST_REPORT_BITS / 8} bytes`)
    }
    if (this.#fields.length >= MOST_FIELDS)
      throw new ReportDescriptorError(at, `it has more than ${MOST_FIELDS} fields`)
    this.#bits.set(key, firstBit + bits)
    if (bits > 0) {
      const flags = { isConstant: (value & 1) !== 0, isVariable: (value & 2) !== 0, isSigned: minimum < 0 }
      this.#fields.push({ kind, id, firstBit, bits: size, count, ...flags, usagePage, usages: this.#usages })
    }
    this.#forgetLocals()
  }

  end(length: number): ReportDescriptor {
    if (this.#nested > 0) throw new ReportDescriptorError(length, 'a collection is not ended')
    return { isNumbered: this.#isNumbered, fields: this.#fields }
  }
}

/** Bytes of a report's data, its id not counted. */
export function reportBytes({ fields }: ReportDescriptor, kind: ReportKind, id: number): number {
  const own = fields.filter((field) => field.kind === kind && field.id === id)
  return own.reduce((most, { firstBit, bits, count }) => Math.max(most, Math.ceil((firstBit + bits * count) / 8)), 0)
}

/** Where a value lies, as a field of a board file says it (classes/hid.ts). */
export interface ReportPlace {
  report: number
  byte: number
  bit: number
  bits: number
  signed: boolean
}

/** Where the input reports have the value of a usage: page and usage of the HID usage tables. Null if they do not. */
export function placeOf({ fields }: ReportDescriptor, page: number, usage: number): ReportPlace | null {
  const wanted = page * 0x10000 + usage
  for (const { kind, isConstant, isVariable, usages, id, firstBit, bits, count, isSigned } of fields) {
    const index = usages.indexOf(wanted)
    if (kind !== 'input' || isConstant || !isVariable || index < 0 || index >= count) continue
    const at = firstBit + index * bits
    return { report: id, byte: at >> 3, bit: at & 7, bits, signed: isSigned }
  }
  return null
}
