/** Fields of a bridge line (docs/wire.md, 2): written one behind the other, and read with every bound checked. */

const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_'
/** The character of a digit. */
export const DIGIT_CODES = Uint8Array.from(DIGITS, (digit) => digit.charCodeAt(0))
/** The value of a character as a digit, or -1. */
export const DIGIT_VALUES = new Int8Array(256).fill(-1)
for (const [value, code] of DIGIT_CODES.entries()) DIGIT_VALUES[code] = value

const HEX = '0123456789abcdef'
const HEX_CODES = Uint8Array.from(HEX, (digit) => digit.charCodeAt(0))
const HEX_VALUES = new Int8Array(256).fill(-1)
for (const [value, code] of HEX_CODES.entries()) HEX_VALUES[code] = value

const SPACE = 0x20
const TILDE = 0x7e
const MOST_REGISTER = 0x1ff
const MOST_CHARACTERS = 1024

export const EQUALS = 0x3d
export const PLUS = 0x2b
export const COMMA = 0x2c
export const STAR = 0x2a

export class Writer {
  readonly #bytes = new Uint8Array(MOST_CHARACTERS)
  #length = 0

  /** What was written so far, in bytes of its own; then the writer is empty again. */
  take(): Uint8Array {
    const bytes = this.#bytes.slice(0, this.#length)
    this.#length = 0
    return bytes
  }

  code(code: number): this {
    this.#bytes[this.#length++] = code
    return this
  }

  digit(value: number): this {
    return this.code(DIGIT_CODES[value & 63]!)
  }

  /** A number without leading zeros. */
  hex(value: number): this {
    let digits = 1
    while (digits < 8 && value >>> (4 * digits) !== 0) digits += 1
    return this.fixed(value, digits)
  }

  /** The lowest `digits` hex digits of a number. */
  fixed(value: number, digits: number): this {
    for (let shift = 4 * (digits - 1); shift >= 0; shift -= 4) this.code(HEX_CODES[(value >>> shift) & 15]!)
    return this
  }

  pairs(bytes: readonly number[]): this {
    for (const byte of bytes) this.fixed(byte, 2)
    return this
  }

  list(values: readonly number[]): this {
    values.forEach((value, index) => (index === 0 ? this : this.code(COMMA)).hex(value))
    return this
  }

  register(device: number, offset: number): this {
    return this.digit(device).hex((offset >>> 2) & MOST_REGISTER)
  }

  /** Characters that are none of a line's become '?'. */
  text(text: string): this {
    for (let index = 0; index < text.length; index++) {
      const code = text.charCodeAt(index)
      this.code(code < SPACE || code > TILDE ? 0x3f : code)
    }
    return this
  }
}

/** Reads fields from `bytes[from … end - 1]`. After the first that is wrong `isGood` is false, and stays so. */
export class Reader {
  readonly #bytes: Uint8Array
  readonly #end: number
  #at: number
  isGood = true

  constructor(bytes: Uint8Array, from: number, end: number) {
    this.#bytes = bytes
    this.#at = from
    this.#end = end
  }

  get left(): number {
    return this.#end - this.#at
  }

  #fail(): number {
    this.isGood = false
    this.#at = this.#end
    return 0
  }

  /** The next character, which is not taken; -1 at the end. */
  peek(): number {
    return this.left > 0 ? this.#bytes[this.#at]! : -1
  }

  code(): number {
    return this.left > 0 ? this.#bytes[this.#at++]! : this.#fail()
  }

  expect(code: number): void {
    if (this.code() !== code) this.#fail()
  }

  digit(): number {
    const value = DIGIT_VALUES[this.code()]!
    return value < 0 ? this.#fail() : value
  }

  /** A number of one to eight hex characters. */
  hex(): number {
    let [value, digits] = [0, 0]
    for (; this.left > 0; this.#at++, digits++) {
      const digit = HEX_VALUES[this.#bytes[this.#at]!]!
      if (digit < 0) break
      value = value * 16 + digit
    }
    return digits < 1 || digits > 8 ? this.#fail() : value
  }

  fixed(digits: number): number {
    if (this.left < digits) return this.#fail()
    let value = 0
    for (let count = 0; count < digits; count++) {
      const digit = HEX_VALUES[this.code()]!
      if (digit < 0) return this.#fail()
      value = value * 16 + digit
    }
    return value
  }

  /** All that is left, as bytes of two characters each; one at least. */
  pairs(): number[] {
    if (this.left < 2 || this.left % 2 !== 0) this.#fail()
    const bytes: number[] = []
    while (this.left > 0) bytes.push(this.fixed(2))
    return bytes
  }

  /** Numbers with commas between them; one at least. */
  list(): number[] {
    const values = [this.hex()]
    while (this.left > 0) {
      this.expect(COMMA)
      values.push(this.hex())
    }
    return values
  }

  /** A register's offset in bytes. */
  offset(): number {
    const register = this.hex()
    return register > MOST_REGISTER ? this.#fail() : register * 4
  }

  text(): string {
    let text = ''
    while (this.left > 0) {
      const code = this.code()
      if (code < SPACE || code > TILDE) this.#fail()
      text += String.fromCharCode(code)
    }
    return text
  }
}
