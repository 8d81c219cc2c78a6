import fc from 'fast-check'
import { beforeEach, expect, test } from 'vitest'
import { mem } from '../../../kernel/mm/memory.ts'
import {
  RTL_BITMAP,
  RtlAreBitsClear,
  RtlAreBitsSet,
  RtlClearAllBits,
  RtlClearBits,
  RtlFindClearBits,
  RtlFindClearBitsAndSet,
  RtlFindSetBits,
  RtlInitializeBitMap,
  RtlNumberOfSetBits,
  RtlSetAllBits,
  RtlSetBits,
  RtlTestBit,
} from '../../../kernel/rtl/bitmap.ts'
import { BASE, freshMemory } from './memory.ts'

const NONE = 0xffffffff
const BITS = 100
const BUFFER = BASE + 0x100
const bitmap = new RTL_BITMAP(BASE)

beforeEach(() => {
  freshMemory()
  RtlInitializeBitMap(bitmap, BUFFER, BITS)
})

test('RtlInitializeBitMap leaves the bits as they are', () => {
  mem.u32[BUFFER >> 2] = 5
  RtlInitializeBitMap(bitmap, BUFFER, 40)
  expect([bitmap.SizeOfBitMap, bitmap.Buffer, RtlNumberOfSetBits(bitmap)]).toEqual([40, BUFFER, 2])
})

test('RtlSetBits sets the run and nothing beside it', () => {
  RtlSetBits(bitmap, 30, 40)
  expect([29, 30, 69, 70].map((bit) => RtlTestBit(bitmap, bit))).toEqual([false, true, true, false])
  expect(RtlNumberOfSetBits(bitmap)).toBe(40)
  expect(() => RtlSetBits(bitmap, 99, 2)).toThrow('bitmap of 100')
  RtlSetBits(bitmap, 100, 0)
})

test('RtlClearBits clears the run and nothing beside it', () => {
  RtlSetAllBits(bitmap)
  RtlClearBits(bitmap, 31, 33)
  expect([30, 31, 63, 64].map((bit) => RtlTestBit(bitmap, bit))).toEqual([true, false, false, true])
})

test('RtlSetAllBits sets all', () => {
  RtlSetAllBits(bitmap)
  expect([RtlNumberOfSetBits(bitmap), mem.u32[(BUFFER >> 2) + 4]]).toEqual([BITS, 0])
})

test('RtlClearAllBits clears all', () => {
  RtlSetAllBits(bitmap)
  RtlClearAllBits(bitmap)
  expect(RtlNumberOfSetBits(bitmap)).toBe(0)
})

test('RtlTestBit is FALSE outside the bitmap', () => {
  RtlSetAllBits(bitmap)
  expect([RtlTestBit(bitmap, 99), RtlTestBit(bitmap, 100)]).toEqual([true, false])
})

test('RtlNumberOfSetBits counts no bit beyond the last', () => {
  mem.u32[(BUFFER >> 2) + 3] = NONE
  expect(RtlNumberOfSetBits(bitmap)).toBe(4)
})

test('RtlAreBitsSet is FALSE for an empty run and one that leaves the bitmap', () => {
  RtlSetAllBits(bitmap)
  expect([RtlAreBitsSet(bitmap, 0, BITS), RtlAreBitsSet(bitmap, 5, 0), RtlAreBitsSet(bitmap, 5, BITS)]).toEqual([
    true,
    false,
    false,
  ])
})

test('RtlAreBitsClear sees a single set bit', () => {
  RtlSetBits(bitmap, 64, 1)
  expect([RtlAreBitsClear(bitmap, 0, 64), RtlAreBitsClear(bitmap, 0, 65)]).toEqual([true, false])
})

test('RtlFindClearBits goes on at the start when the hint finds nothing', () => {
  RtlSetBits(bitmap, 40, 60)
  expect([
    RtlFindClearBits(bitmap, 10, 5),
    RtlFindClearBits(bitmap, 10, 35),
    RtlFindClearBits(bitmap, 10, 1000),
    RtlFindClearBits(bitmap, 41, 0),
  ]).toEqual([5, 0, 0, NONE])
})

test('RtlFindClearBits finds a run across the hint', () => {
  RtlSetAllBits(bitmap)
  RtlClearBits(bitmap, 50, 6)
  expect(RtlFindClearBits(bitmap, 6, 53)).toBe(50)
})

test('RtlFindClearBitsAndSet sets what it found', () => {
  const found = [1, 2, 3, 4].map(() => RtlFindClearBitsAndSet(bitmap, 30, 0))
  expect(found).toEqual([0, 30, 60, NONE])
  expect(RtlNumberOfSetBits(bitmap)).toBe(90)
})

test('RtlFindSetBits finds a run of set bits', () => {
  RtlSetBits(bitmap, 62, 5)
  expect([RtlFindSetBits(bitmap, 5, 0), RtlFindSetBits(bitmap, 6, 0)]).toEqual([62, NONE])
})

test('RtlFindSetBits finds what a search bit by bit finds', () => {
  const run = fc.tuple(fc.nat(BITS - 1), fc.nat(70), fc.boolean())
  fc.assert(
    fc.property(
      fc.array(run, { maxLength: 6 }),
      fc.integer({ min: 1, max: 70 }),
      fc.nat(BITS - 1),
      (runs, count, hint) => {
        RtlClearAllBits(bitmap)
        for (const [start, length, set] of runs) {
          ;(set ? RtlSetBits : RtlClearBits)(bitmap, start, Math.min(length, BITS - start))
        }
        const starts = Array.from({ length: BITS }, (_, i) => i)
        const fits = (start: number) =>
          start + count <= BITS && starts.slice(start, start + count).every((bit) => RtlTestBit(bitmap, bit))
        const expected = starts.slice(hint).find(fits) ?? starts.find(fits) ?? NONE
        expect(RtlFindSetBits(bitmap, count, hint)).toBe(expected)
        expect(RtlAreBitsSet(bitmap, hint, count)).toBe(fits(hint))
      },
    ),
  )
})
