/** Numbers as text, in the bases that Windows knows. */

const PREFIXES: { readonly [prefix: string]: number } = { '0x': 16, '0o': 8, '0b': 2 }
const DIGITS: { readonly [base: number]: RegExp } = { 2: /^[01]*/, 8: /^[0-7]*/, 10: /^[0-9]*/, 16: /^[0-9A-Fa-f]*/ }

/** The number that `text` starts with, modulo 2 ** 32; undefined for a base that is none. Base 0 goes by the prefix. */
export function integerOf(text: string, base: number): number | undefined {
  const [, sign, unsigned] = /^[\0-\x20]*([+-]?)(.*)$/s.exec(text)!
  const prefixed = base === 0 ? PREFIXES[unsigned!.slice(0, 2)] : undefined
  const radix = base === 0 ? (prefixed ?? 10) : base
  const digits = DIGITS[radix]?.exec(unsigned!.slice(prefixed === undefined ? 0 : 2))![0]
  if (digits === undefined) return undefined
  let value = 0
  for (const digit of digits) value = (Math.imul(value, radix) + Number.parseInt(digit, radix)) >>> 0
  return (sign === '-' ? -value : value) >>> 0
}

/** The 32-bit number `value` in digits; undefined if there is no such base. Base 0 is 10. */
export function textOfInteger(value: number, base: number): string | undefined {
  const radix = base || 10
  return DIGITS[radix] === undefined ? undefined : (value >>> 0).toString(radix).toUpperCase()
}
