import { expect, test } from 'vitest'
import * as statuses from '../../../kernel/rtl/status.ts'

const { NT_ERROR, NT_INFORMATION, NT_SUCCESS, NT_WARNING } = statuses

/** The first and last of each severity: the two top bits. */
const ENDS = [0, 0x3fffffff, 0x40000000, 0x7fffffff, 0x80000000, 0xbfffffff, 0xc0000000, 0xffffffff].map((n) => n | 0)
const which = (predicate: (status: number) => boolean): number[] =>
  ENDS.flatMap((end, i) => (predicate(end) ? [i] : []))

test('NT_SUCCESS is true for success and information', () => {
  expect(which(NT_SUCCESS)).toEqual([0, 1, 2, 3])
})

test('NT_INFORMATION is true for information only', () => {
  expect(which(NT_INFORMATION)).toEqual([2, 3])
})

test('NT_WARNING is true for warnings only', () => {
  expect(which(NT_WARNING)).toEqual([4, 5])
})

test('NT_ERROR is true for errors only', () => {
  expect(which(NT_ERROR)).toEqual([6, 7])
})

test('a status is a signed 32-bit number', () => {
  const wrong = Object.entries(statuses).filter(([, value]) => typeof value === 'number' && value !== (value | 0))
  expect(wrong).toEqual([])
})
