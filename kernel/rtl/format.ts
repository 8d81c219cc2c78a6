/** The format codes of `DbgPrint`: those of C's printf, and the kernel's strings. */

import { textOf, type STRING, type UNICODE_STRING } from './string.ts'
import type { AnyView } from './types.ts'

/** What a format code can print. A number for %s or %S is the address of nothing here: give the text itself. */
export type Printable = number | bigint | boolean | string | UNICODE_STRING | STRING | AnyView | null | undefined

/** %[flags][width][.precision][size]code */
const CODE = /%([-+ 0#]*)(\*|\d+)?(?:\.(\*|\d+))?(I64|I32|ll|hh|[hlwIz])?([a-zA-Z%])/g

/** Whether a code of `format` is for Unicode text: Windows needs tables for those that are paged. */
export function needsPassiveLevel(format: string): boolean {
  for (const [, , , , size, letter = ''] of format.matchAll(CODE)) {
    if ('CS'.includes(letter) || ((size === 'l' || size === 'w') && 'cs'.includes(letter))) return true
    if (size === 'w' && letter === 'Z') return true
  }
  return false
}

/** `format` with the arguments filled in; a code without an argument stays as it is written. */
export function formatText(format: string, values: readonly Printable[]): string {
  let next = 0
  return format.replace(CODE, (code: string, flags: string, width, precision, size = '', letter: string) => {
    if (letter === '%') return '%'
    const count = (given: string | undefined): number | null =>
      given === undefined ? null : given === '*' ? Number(values[next++]) : Number(given)
    const least = count(width)
    const exact = count(precision)
    if (next >= values.length) return code
    const text = convert(letter, size, values[next++], { flags, precision: exact })
    return text === null ? code : pad(text, least, flags, 'diuxXop'.includes(letter) && exact === null)
  })
}

interface Style {
  flags: string
  precision: number | null
}

/** What one code prints; null for a code that there is none of. */
function convert(letter: string, size: string, value: Printable, { flags, precision }: Style): string | null {
  switch (letter) {
    case 'd':
    case 'i':
      return signed(integer(value, size, true), flags, precision)
    case 'u':
      return digits(integer(value, size, false), 10, precision)
    case 'o':
      return digits(integer(value, size, false), 8, precision)
    case 'x':
      return (flags.includes('#') ? '0x' : '') + digits(integer(value, size, false), 16, precision)
    case 'X':
      return (flags.includes('#') ? '0X' : '') + digits(integer(value, size, false), 16, precision).toUpperCase()
    case 'p':
      return digits(integer(value, '', false), 16, 8).toUpperCase()
    case 'c':
    case 'C':
      return typeof value === 'string' ? value.slice(0, 1) : String.fromCharCode(Number(value))
    case 's':
    case 'S':
    case 'Z':
      return text(value).slice(0, precision ?? undefined)
    default:
      return null
  }
}

/** The integer that an argument is: 64 bits with I64 or ll, otherwise 32. */
function integer(value: Printable, size: string, isSigned: boolean): bigint {
  const whole = typeof value === 'object' ? BigInt(value?.address ?? 0) : BigInt(wholeNumber(value))
  const bits = size === 'I64' || size === 'll' ? 64 : size === 'h' ? 16 : size === 'hh' ? 8 : 32
  return isSigned ? BigInt.asIntN(bits, whole) : BigInt.asUintN(bits, whole)
}

function wholeNumber(value: Exclude<Printable, object>): number | bigint | boolean {
  if (typeof value === 'bigint' || typeof value === 'boolean') return value
  const number = Math.trunc(Number(value))
  return Number.isFinite(number) ? number : 0
}

const digits = (value: bigint, radix: number, precision: number | null): string =>
  value.toString(radix).padStart(precision ?? 1, '0')

function signed(value: bigint, flags: string, precision: number | null): string {
  const sign = value < 0n ? '-' : flags.includes('+') ? '+' : flags.includes(' ') ? ' ' : ''
  return sign + digits(value < 0n ? -value : value, 10, precision)
}

function text(value: Printable): string {
  if (value === null || value === undefined) return '(null)'
  if (typeof value !== 'object') return String(value)
  return 'Buffer' in value ? textOf(value) : `0x${value.address.toString(16)}`
}

/** Widens to `least` characters: zeros come behind a sign, spaces before everything. */
function pad(text: string, least: number | null, flags: string, isNumber: boolean): string {
  if (least === null || text.length >= Math.abs(least)) return text
  if (flags.includes('-') || least < 0) return text.padEnd(Math.abs(least))
  if (!flags.includes('0') || !isNumber) return text.padStart(least)
  const sign = /^(?:[-+ ]|0[xX](?=.))?/.exec(text)?.[0] ?? ''
  return sign + text.slice(sign.length).padStart(least - sign.length, '0')
}
