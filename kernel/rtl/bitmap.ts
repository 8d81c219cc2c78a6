/** RTL_BITMAP: bits in a block of ULONGs, the lowest first. Who uses one holds the lock that guards it. */

import { assert } from '../../base/assert.ts'
import { mem } from '../mm/memory.ts'
import { struct, ULONG, type View } from './struct.ts'

export const RTL_BITMAP = struct('RTL_BITMAP', {
  SizeOfBitMap: ULONG, // bits
  Buffer: ULONG, // address, a multiple of 4
})
export interface RTL_BITMAP extends View<typeof RTL_BITMAP> {}

/** What the searches return when there is no such run. */
const NOT_FOUND = 0xffffffff

const wordOf = (buffer: number, bit: number): number => (buffer >> 2) + (bit >>> 5)
const isSet = (buffer: number, bit: number): boolean => ((mem.u32[wordOf(buffer, bit)]! >>> (bit & 31)) & 1) === 1

/** The bits of `bit`'s word that belong to the run from `bit` to before `end`. */
function maskFrom(bit: number, end: number): number {
  const first = bit & 31
  const count = Math.min(32 - first, end - bit)
  return (count === 32 ? -1 : (1 << count) - 1) << first
}

const nextWord = (bit: number): number => (bit | 31) + 1

function change(bitmap: RTL_BITMAP, start: number, count: number, toSet: boolean): void {
  const end = start + count
  assert(end <= bitmap.SizeOfBitMap, `bits ${start} to ${end} lie in a bitmap of ${bitmap.SizeOfBitMap}`)
  const buffer = bitmap.Buffer
  for (let bit = start; bit < end; bit = nextWord(bit)) {
    const mask = maskFrom(bit, end)
    const word = mem.i32[wordOf(buffer, bit)]!
    mem.i32[wordOf(buffer, bit)] = toSet ? word | mask : word & ~mask
  }
}

function fill(bitmap: RTL_BITMAP, word: number): void {
  const first = wordOf(bitmap.Buffer, 0)
  mem.i32.fill(word, first, first + Math.ceil(bitmap.SizeOfBitMap / 32))
}

/** Whether all bits of a run are set, or all are clear. An empty run, and one that leaves the bitmap, is neither. */
function areAll(bitmap: RTL_BITMAP, start: number, count: number, set: boolean): boolean {
  const end = start + count
  if (count === 0 || end > bitmap.SizeOfBitMap) return false
  const buffer = bitmap.Buffer
  for (let bit = start; bit < end; bit = nextWord(bit)) {
    const mask = maskFrom(bit, end)
    if ((mem.i32[wordOf(buffer, bit)]! & mask) !== (set ? mask : 0)) return false
  }
  return true
}

/** The first run of `count` equal bits that starts at `from` or later and ends before `end`. */
function findBetween(buffer: number, from: number, end: number, count: number, set: boolean): number {
  const wordOfOthers = set ? 0 : -1
  let start = from
  for (let bit = from; bit < end; ) {
    if ((bit & 31) === 0 && mem.i32[wordOf(buffer, bit)] === wordOfOthers) {
      start = bit += 32
    } else if (isSet(buffer, bit++) !== set) {
      start = bit
    } else if (bit - start === count) {
      return start
    }
  }
  return NOT_FOUND
}

/** As Windows searches: from the hint to the end, then from the start to what the first search has not seen. */
function find(bitmap: RTL_BITMAP, count: number, hint: number, set: boolean): number {
  const { Buffer: buffer, SizeOfBitMap: size } = bitmap
  const from = hint < size ? hint : 0
  if (count === 0) return from & ~7
  const found = findBetween(buffer, from, size, count, set)
  return found !== NOT_FOUND ? found : findBetween(buffer, 0, Math.min(from + count - 1, size), count, set)
}

/**
 * Makes `BitMapHeader` describe the `SizeOfBitMap` bits at address `BitMapBuffer`, which stay as they are.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-rtlinitializebitmap
 */
export function RtlInitializeBitMap(BitMapHeader: RTL_BITMAP, BitMapBuffer: number, SizeOfBitMap: number): void {
  BitMapHeader.SizeOfBitMap = SizeOfBitMap
  BitMapHeader.Buffer = BitMapBuffer
}

/**
 * Sets a run of bits.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-rtlsetbits
 */
export function RtlSetBits(BitMapHeader: RTL_BITMAP, StartingIndex: number, NumberToSet: number): void {
  change(BitMapHeader, StartingIndex, NumberToSet, true)
}

/**
 * Clears a run of bits.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-rtlclearbits
 */
export function RtlClearBits(BitMapHeader: RTL_BITMAP, StartingIndex: number, NumberToClear: number): void {
  change(BitMapHeader, StartingIndex, NumberToClear, false)
}

/**
 * Sets all bits, and those that fill the last ULONG.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-rtlsetallbits
 */
export function RtlSetAllBits(BitMapHeader: RTL_BITMAP): void {
  fill(BitMapHeader, -1)
}

/**
 * Clears all bits, and those that fill the last ULONG.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-rtlclearallbits
 */
export function RtlClearAllBits(BitMapHeader: RTL_BITMAP): void {
  fill(BitMapHeader, 0)
}

/**
 * Looks for a run of clear bits, from `HintIndex` on, then from the start.
 *
 * @irql any
 * @returns the index of its first bit; 0xFFFFFFFF if there is no such run.
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-rtlfindclearbits
 */
export function RtlFindClearBits(BitMapHeader: RTL_BITMAP, NumberToFind: number, HintIndex: number): number {
  return find(BitMapHeader, NumberToFind, HintIndex, false)
}

/**
 * Looks for a run of clear bits, from `HintIndex` on, then from the start, and sets it.
 *
 * @irql any
 * @returns the index of its first bit; 0xFFFFFFFF if there is no such run.
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-rtlfindclearbitsandset
 */
export function RtlFindClearBitsAndSet(BitMapHeader: RTL_BITMAP, NumberToFind: number, HintIndex: number): number {
  const found = find(BitMapHeader, NumberToFind, HintIndex, false)
  if (found !== NOT_FOUND) change(BitMapHeader, found, NumberToFind, true)
  return found
}

/**
 * Looks for a run of set bits, from `HintIndex` on, then from the start.
 *
 * @irql any
 * @returns the index of its first bit; 0xFFFFFFFF if there is no such run.
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-rtlfindsetbits
 */
export function RtlFindSetBits(BitMapHeader: RTL_BITMAP, NumberToFind: number, HintIndex: number): number {
  return find(BitMapHeader, NumberToFind, HintIndex, true)
}

/**
 * Tells whether a bit is set.
 *
 * @irql any
 * @returns true if it is.
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-rtltestbit
 */
export function RtlTestBit(BitMapHeader: RTL_BITMAP, BitNumber: number): boolean {
  return areAll(BitMapHeader, BitNumber, 1, true)
}

/**
 * Counts the bits that are set.
 *
 * @irql any
 * @returns their number.
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-rtlnumberofsetbits
 */
export function RtlNumberOfSetBits(BitMapHeader: RTL_BITMAP): number {
  const { Buffer: buffer, SizeOfBitMap: size } = BitMapHeader
  let count = 0
  for (let bit = 0; bit < size; bit++) if (isSet(buffer, bit)) count++
  return count
}

/**
 * Tells whether all bits of a run are set.
 *
 * @irql any
 * @returns true if they are; false also for an empty run and one that leaves the bitmap.
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-rtlarebitsset
 */
export function RtlAreBitsSet(BitMapHeader: RTL_BITMAP, StartingIndex: number, Length: number): boolean {
  return areAll(BitMapHeader, StartingIndex, Length, true)
}

/**
 * Tells whether all bits of a run are clear.
 *
 * @irql any
 * @returns true if they are; false also for an empty run and one that leaves the bitmap.
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-rtlarebitsclear
 */
export function RtlAreBitsClear(BitMapHeader: RTL_BITMAP, StartingIndex: number, Length: number): boolean {
  return areAll(BitMapHeader, StartingIndex, Length, false)
}
