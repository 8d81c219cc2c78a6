import { expect, test } from 'vitest'
import { formatText, needsPassiveLevel } from '../../../kernel/rtl/format.ts'

test.for<[format: string, values: (number | bigint | string | null | boolean)[], text: string]>([
  ['no codes', [], 'no codes'],
  ['%d %i', [-1, 12], '-1 12'],
  ['%u', [-1], '4294967295'],
  ['%x %X', [0xbeef, -1], 'beef FFFFFFFF'],
  ['%#x', [255], '0xff'],
  ['%o', [8], '10'],
  ['%08x|%8x|%-8x|', [0xabc, 0xabc, 0xabc], '00000abc|     abc|abc     |'],
  ['%#010x', [0xabc], '0x00000abc'],
  ['%05d|%+d|% d', [-42, 42, 42], '-0042|+42| 42'],
  ['%.4d|%8.4d', [7, 7], '0007|    0007'],
  ['%*d|%-*d|', [5, 42, 5, 42], '   42|42   |'],
  ['%ld %lu', [-5, -5], '-5 4294967291'],
  ['%lld %I64d %llx', [-5n, 2n ** 40n, -1n], '-5 1099511627776 ffffffffffffffff'],
  ['%I64u', [-1], '18446744073709551615'],
  ['%hd %hhu', [0x18000, 0x1ff], '-32768 255'],
  ['%p', [0x12345], '00012345'],
  ['%c%C', ['ab', 0x41], 'aA'],
  ['%s %S %ws', ['one', 'two', 'three'], 'one two three'],
  ['%.2s|%5s|%-5s|', ['abc', 'abc', 'abc'], 'ab|  abc|abc  |'],
  ['%s', [null], '(null)'],
  ['%d', [true], '1'],
  ['100%% of %d', [3], '100% of 3'],
  ['%d and %d', [1], '1 and %d'],
  ['%q', [1], '%q'],
  ['%d', [Number.NaN], '0'],
])('%s prints as in C', ([format, values, text]) => {
  expect(formatText(format, values)).toBe(text)
})

test('a code for Unicode text is one for PASSIVE_LEVEL', () => {
  expect(['%S', '%C', '%wZ', '%ws', '%ls', '%lc', 'a %-10wZ b'].filter((one) => !needsPassiveLevel(one))).toEqual([])
  expect(['%s', '%c', '%d', '%lx', '%Z', '100%% S'].filter(needsPassiveLevel)).toEqual([])
})
