import fc from 'fast-check'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { mem } from '../../../kernel/mm/memory.ts'
import {
  STATUS_BUFFER_OVERFLOW,
  STATUS_BUFFER_TOO_SMALL,
  STATUS_INVALID_PARAMETER,
} from '../../../kernel/rtl/status.ts'
import {
  literals,
  RtlAppendUnicodeStringToString,
  RtlAppendUnicodeToString,
  RtlCompareMemory,
  RtlCompareUnicodeString,
  RtlCopyMemory,
  RtlCopyUnicodeString,
  RtlEqualUnicodeString,
  RtlFillMemory,
  RtlInitUnicodeString,
  RtlIntegerToUnicodeString,
  RtlMoveMemory,
  RtlPrefixUnicodeString,
  RtlUnicodeStringToInteger,
  RtlUpcaseUnicodeChar,
  RtlZeroMemory,
  STRING,
  textOf,
  UNICODE_STRING,
} from '../../../kernel/rtl/string.ts'
import { BASE, freshMemory } from './memory.ts'

const { address } = literals

/** A string with room for `units` UTF-16 units, that says `text`. */
function make(text: string, units = text.length, at = BASE): UNICODE_STRING {
  const string = new UNICODE_STRING(at)
  string.Buffer = at + 0x100
  string.MaximumLength = 2 * units
  RtlCopyUnicodeString(string, text)
  return string
}

beforeEach(() => {
  freshMemory()
  literals.address = (text) => {
    for (let i = 0; i < text.length; i++) mem.u16[(BASE + 0x8000 + 2 * i) >> 1] = text.charCodeAt(i)
    return BASE + 0x8000
  }
})

afterEach(() => {
  literals.address = address
})

test('RtlInitUnicodeString points at a literal and counts its NUL in MaximumLength', () => {
  const string = new UNICODE_STRING(BASE)
  RtlInitUnicodeString(string, '\\Device\\Button')
  expect([textOf(string), string.Length, string.MaximumLength]).toEqual(['\\Device\\Button', 28, 30])
  RtlInitUnicodeString(string, null)
  expect([string.Buffer, string.Length, string.MaximumLength]).toEqual([0, 0, 0])
  RtlInitUnicodeString(string, 'x'.repeat(0x8000))
  expect([string.Length, string.MaximumLength]).toEqual([0xfffc, 0xfffe])
})

test('RtlCopyUnicodeString copies what there is room for', () => {
  const string = make('', 4)
  RtlCopyUnicodeString(string, 'abcdef')
  expect(textOf(string)).toBe('abcd')
  RtlCopyUnicodeString(string, make('xy', 2, BASE + 0x1000))
  expect(textOf(string)).toBe('xy')
  expect(mem.u16[(string.Buffer + 4) >> 1]).toBe(0)
  RtlCopyUnicodeString(string, null)
  expect(string.Length).toBe(0)
})

test('RtlAppendUnicodeStringToString appends all or nothing', () => {
  const string = make('ab', 5)
  expect(RtlAppendUnicodeStringToString(string, make('cd', 2, BASE + 0x1000))).toBe(0)
  expect(RtlAppendUnicodeStringToString(string, 'ef')).toBe(STATUS_BUFFER_TOO_SMALL)
  expect(STATUS_BUFFER_TOO_SMALL).toBe(0xc0000023 | 0)
  expect(textOf(string)).toBe('abcd')
})

test('RtlAppendUnicodeToString appends a text, and nothing for null', () => {
  const string = make('ab', 4)
  expect([RtlAppendUnicodeToString(string, 'cd'), RtlAppendUnicodeToString(string, null)]).toEqual([0, 0])
  expect(textOf(string)).toBe('abcd')
  expect(RtlAppendUnicodeToString(string, 'e')).toBe(STATUS_BUFFER_TOO_SMALL)
})

test('RtlCompareUnicodeString orders by unit, then by length', () => {
  expect(RtlCompareUnicodeString(make('abc'), 'abd', false)).toBeLessThan(0)
  expect(RtlCompareUnicodeString('abc', 'ab', false)).toBeGreaterThan(0)
  expect(RtlCompareUnicodeString('aBc', 'AbC', true)).toBe(0)
  expect(RtlCompareUnicodeString('a', 'A', false)).toBeGreaterThan(0)
})

test('RtlEqualUnicodeString minds case unless told not to', () => {
  expect(RtlEqualUnicodeString(make('Button'), 'button', false)).toBe(false)
  expect(RtlEqualUnicodeString(make('Button'), 'button', 1)).toBe(true)
})

test('RtlPrefixUnicodeString asks whether the first string starts the second', () => {
  expect(RtlPrefixUnicodeString('\\dev', make('\\Device'), true)).toBe(true)
  expect(RtlPrefixUnicodeString('\\dev', make('\\Device'), false)).toBe(false)
  expect(RtlPrefixUnicodeString('\\Device', '\\Dev', false)).toBe(false)
})

test('RtlUpcaseUnicodeChar maps one unit to one unit', () => {
  const upper = (c: string) => String.fromCharCode(RtlUpcaseUnicodeChar(c.charCodeAt(0)))
  expect(['a', 'Z', 'ä', 'ß', 'ı', 'я', '1'].map(upper)).toEqual(['A', 'Z', 'Ä', 'ß', 'ı', 'Я', '1'])
})

test.each([
  ['  42', 10, 42],
  ['-1', 0, 0xffffffff],
  ['0x1F', 0, 31],
  ['0b101', 0, 5],
  ['0o17', 0, 15],
  ['0x1F', 16, 0],
  ['fFz', 16, 255],
  ['102', 2, 2],
  ['4294967297', 10, 1],
  ['', 10, 0],
  ['x', 0, 0],
])('RtlUnicodeStringToInteger reads %j in base %i as %i', (text, base, expected) => {
  const out = { value: 7 }
  expect(RtlUnicodeStringToInteger(make(text), base, out)).toBe(0)
  expect(out.value).toBe(expected)
})

test('RtlUnicodeStringToInteger knows bases 0, 2, 8, 10 and 16 only', () => {
  const out = { value: 7 }
  expect(RtlUnicodeStringToInteger('1', 3, out)).toBe(STATUS_INVALID_PARAMETER)
  expect(out.value).toBe(7)
})

test('RtlIntegerToUnicodeString writes what RtlUnicodeStringToInteger reads', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 0xffffffff }), fc.constantFrom(0, 2, 8, 10, 16), (value, base) => {
      const string = make('', 32)
      const out = { value: 0 }
      expect(RtlIntegerToUnicodeString(value, base, string)).toBe(0)
      expect(RtlUnicodeStringToInteger(string, base, out)).toBe(0)
      expect(out.value).toBe(value)
    }),
  )
  expect(RtlIntegerToUnicodeString(1000, 10, make('', 3))).toBe(STATUS_BUFFER_OVERFLOW)
  expect(RtlIntegerToUnicodeString(1, 7, make('', 3))).toBe(STATUS_INVALID_PARAMETER)
})

test('textOf reads wide strings, byte strings and literals, lone surrogates included', () => {
  const bytes = new STRING(BASE + 0x2000)
  bytes.Length = 2
  bytes.Buffer = BASE + 0x2100
  mem.u8.set([0x68, 0xe9], bytes.Buffer)
  expect([textOf(make('a\uD800b')), textOf(bytes), textOf('x')]).toEqual(['a\uD800b', 'hé', 'x'])
})

test('RtlCopyMemory copies bytes between addresses and structs', () => {
  const string = make('ab')
  RtlCopyMemory(BASE + 0x1000, string, UNICODE_STRING.size)
  expect(textOf(new UNICODE_STRING(BASE + 0x1000))).toBe('ab')
})

test('RtlMoveMemory copies where the blocks overlap', () => {
  mem.u8.set([1, 2, 3, 4], BASE)
  RtlMoveMemory(BASE + 1, BASE, 4)
  expect([...mem.u8.subarray(BASE, BASE + 5)]).toEqual([1, 1, 2, 3, 4])
})

test('RtlZeroMemory clears the block and no more', () => {
  mem.u8.fill(1, BASE, BASE + 4)
  RtlZeroMemory(BASE + 1, 2)
  expect([...mem.u8.subarray(BASE, BASE + 4)]).toEqual([1, 0, 0, 1])
})

test('RtlFillMemory takes the length before the byte', () => {
  RtlFillMemory(BASE, 2, 0xab)
  expect([...mem.u8.subarray(BASE, BASE + 3)]).toEqual([0xab, 0xab, 0])
})

test('RtlCompareMemory counts the equal bytes', () => {
  mem.u8.set([1, 2, 3, 4, 1, 2, 9, 4], BASE)
  expect([RtlCompareMemory(BASE, BASE + 4, 4), RtlCompareMemory(BASE, BASE, 8)]).toEqual([2, 8])
})
