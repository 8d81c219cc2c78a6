/**
 * Counted strings. `Length` and `MaximumLength` count bytes, a terminating NUL is not part of `Length`, and one is
 * written where there is room. Wherever a routine only reads a string, a JavaScript string will do.
 */

import { mem } from '../mm/memory.ts'
import { integerOf, textOfInteger } from './digits.ts'
import { STATUS_BUFFER_OVERFLOW, STATUS_BUFFER_TOO_SMALL, STATUS_INVALID_PARAMETER, STATUS_SUCCESS } from './status.ts'
import { struct, structOfView, ULONG, USHORT, type NTSTATUS, type View } from './struct.ts'

export * from './bytes.ts'

export const UNICODE_STRING = struct('UNICODE_STRING', {
  Length: USHORT, // bytes in use
  MaximumLength: USHORT, // bytes there are
  Buffer: ULONG, // address of UTF-16 units
})
export interface UNICODE_STRING extends View<typeof UNICODE_STRING> {}

/** A counted string of bytes. */
export const STRING = struct('STRING', {
  Length: USHORT,
  MaximumLength: USHORT,
  Buffer: ULONG,
})
export interface STRING extends View<typeof STRING> {}
export const ANSI_STRING = STRING
export type ANSI_STRING = STRING

/** A string that is only read. */
export type Text = UNICODE_STRING | string

/** The most that `Length` can say and leave room for a NUL in `MaximumLength`. */
const LONGEST_BYTES = 0xfffc

/** Where the texts of literals lie: NUL-terminated UTF-16, one copy of each a machine. mm plugs it in. */
export const literals = {
  address: (text: string): number => {
    throw new Error(`no machine is booted that could hold the text ${JSON.stringify(text)}`)
  },
}

/** What a string says. */
export function textOf(string: Text | STRING): string {
  if (typeof string === 'string') return string
  const units = structOfView(string)?.typeId === STRING.typeId ? bytesOf(string) : unitsOf(string)
  let text = ''
  for (const unit of units) text += String.fromCharCode(unit)
  return text
}

function bytesOf({ Buffer, Length }: UNICODE_STRING | STRING): Uint8Array {
  return mem.u8.subarray(Buffer, Buffer + Length)
}

function unitsOf({ Buffer, Length }: UNICODE_STRING | STRING): Uint16Array {
  return mem.u16.subarray(Buffer >> 1, (Buffer + Length) >> 1)
}

/** Writes `text` at byte `start` of the buffer, which has room for it, and a NUL if there is room for that, too. */
function write(to: UNICODE_STRING, start: number, text: string): void {
  const first = (to.Buffer + start) >> 1
  for (let i = 0; i < text.length; i++) mem.u16[first + i] = text.charCodeAt(i)
  to.Length = start + 2 * text.length
  if (to.Length + 2 <= to.MaximumLength) mem.u16[first + text.length] = 0
}

/**
 * Makes `DestinationString` a string that says `SourceString`; null makes it empty, without a buffer.
 *
 * @irql <= DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-rtlinitunicodestring
 */
export function RtlInitUnicodeString(DestinationString: UNICODE_STRING, SourceString: string | null): void {
  const length = Math.min(2 * (SourceString?.length ?? 0), LONGEST_BYTES)
  DestinationString.Length = length
  DestinationString.MaximumLength = SourceString === null ? 0 : length + 2
  DestinationString.Buffer = SourceString === null ? 0 : literals.address(SourceString)
}

/**
 * Copies as much of `SourceString` as there is room for; null empties the destination.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-rtlcopyunicodestring
 */
export function RtlCopyUnicodeString(DestinationString: UNICODE_STRING, SourceString: Text | null): void {
  if (SourceString === null) DestinationString.Length = 0
  else write(DestinationString, 0, textOf(SourceString).slice(0, DestinationString.MaximumLength >> 1))
}

/**
 * Appends one string to another.
 *
 * @irql <= DISPATCH_LEVEL
 * @returns STATUS_SUCCESS; STATUS_BUFFER_TOO_SMALL if there is no room for all of it: nothing is appended then.
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-rtlappendunicodestringtostring
 */
export function RtlAppendUnicodeStringToString(Destination: UNICODE_STRING, Source: Text): NTSTATUS {
  return RtlAppendUnicodeToString(Destination, textOf(Source))
}

/**
 * Appends a text to a string; null appends nothing.
 *
 * @irql <= DISPATCH_LEVEL
 * @returns STATUS_SUCCESS; STATUS_BUFFER_TOO_SMALL if there is no room for all of it: nothing is appended then.
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-rtlappendunicodetostring
 */
export function RtlAppendUnicodeToString(Destination: UNICODE_STRING, Source: string | null): NTSTATUS {
  if (Source === null) return STATUS_SUCCESS
  const length = Destination.Length
  if (length + 2 * Source.length > Destination.MaximumLength) return STATUS_BUFFER_TOO_SMALL
  write(Destination, length, Source)
  return STATUS_SUCCESS
}

/**
 * Compares two strings unit by unit.
 *
 * @irql PASSIVE_LEVEL
 * @returns 0 if they are equal, less than 0 if `String1` comes first, more than 0 if `String2` does.
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-rtlcompareunicodestring
 */
export function RtlCompareUnicodeString(String1: Text, String2: Text, CaseInSensitive: boolean | number): number {
  const a = folded(String1, CaseInSensitive)
  const b = folded(String2, CaseInSensitive)
  const shorter = Math.min(a.length, b.length)
  for (let i = 0; i < shorter; i++) {
    const difference = a.charCodeAt(i) - b.charCodeAt(i)
    if (difference !== 0) return difference
  }
  return a.length - b.length
}

/**
 * Tells whether two strings are equal.
 *
 * @irql PASSIVE_LEVEL
 * @returns true if they are.
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-rtlequalunicodestring
 */
export function RtlEqualUnicodeString(String1: Text, String2: Text, CaseInSensitive: boolean | number): boolean {
  return folded(String1, CaseInSensitive) === folded(String2, CaseInSensitive)
}

/**
 * Tells whether `String2` starts with `String1`.
 *
 * @irql PASSIVE_LEVEL
 * @returns true if it does.
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntddk/nf-ntddk-rtlprefixunicodestring
 */
export function RtlPrefixUnicodeString(String1: Text, String2: Text, CaseInSensitive: boolean | number): boolean {
  return folded(String2, CaseInSensitive).startsWith(folded(String1, CaseInSensitive))
}

function folded(string: Text, caseInsensitive: boolean | number): string {
  const text = textOf(string)
  if (!caseInsensitive) return text
  let upper = ''
  for (let i = 0; i < text.length; i++) upper += String.fromCharCode(RtlUpcaseUnicodeChar(text.charCodeAt(i)))
  return upper
}

/**
 * Gives the upper case of one UTF-16 unit, by Unicode's table where the way back leads to the same unit.
 *
 * @irql PASSIVE_LEVEL
 * @returns the unit in upper case; the unit itself if it has none of one unit (ß) or shares one (ı, µ).
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntifs/nf-ntifs-rtlupcaseunicodechar
 */
export function RtlUpcaseUnicodeChar(SourceCharacter: number): number {
  const source = String.fromCharCode(SourceCharacter)
  const upper = source.toUpperCase()
  return upper.length === 1 && upper.toLowerCase() === source ? upper.charCodeAt(0) : SourceCharacter
}

/**
 * Reads a number: blanks, a sign, with base 0 a prefix `0x`, `0o` or `0b`, then digits up to the first that is none.
 *
 * @irql PASSIVE_LEVEL
 * @returns STATUS_SUCCESS, even if there is no digit: the value is 0 then. STATUS_INVALID_PARAMETER if `Base` is
 * none of 0, 2, 8, 10, 16.
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-rtlunicodestringtointeger
 */
export function RtlUnicodeStringToInteger(String: Text, Base: number, Value: { value: number }): NTSTATUS {
  const value = integerOf(textOf(String), Base)
  if (value === undefined) return STATUS_INVALID_PARAMETER
  Value.value = value
  return STATUS_SUCCESS
}

/**
 * Writes an unsigned number, without prefix; base 0 is 10.
 *
 * @irql PASSIVE_LEVEL
 * @returns STATUS_SUCCESS; STATUS_BUFFER_OVERFLOW if there is no room for all digits; STATUS_INVALID_PARAMETER if
 * `Base` is none of 0, 2, 8, 10, 16.
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-rtlintegertounicodestring
 */
export function RtlIntegerToUnicodeString(Value: number, Base: number, String: UNICODE_STRING): NTSTATUS {
  const digits = textOfInteger(Value, Base)
  if (digits === undefined) return STATUS_INVALID_PARAMETER
  if (2 * digits.length > String.MaximumLength) return STATUS_BUFFER_OVERFLOW
  write(String, 0, digits)
  return STATUS_SUCCESS
}
