/**
 * The pool's pages. Free ones form runs, kept in lists by length, merged with their neighbours when they come back.
 *
 * Runs of up to 15 pages have a list for each length, longer ones eight lists for each power of two; a bitmap
 * tells which lists are not empty. So taking and giving back are O(1), except when memory is nearly used up.
 *
 * A free run keeps its facts in the descriptors of its first and last page:
 *   0 FREE, or FREED where something began that was given back · 1 length · first page only: 2 next, 3 previous
 * What the descriptors between say is stale; only that none of them says "in use" is relied on.
 */

import { BIN_LIMIT, DESCRIPTOR_WORDS, pool } from './pool-control.ts'
import { mem } from './memory.ts'

export const FREE = 0x46520000
export const FREED = 0x46520001
const TAKEN = 0x544b0000 // the last page of a run that is in use; its user overwrites it in a run of one page

const EXACT_LENGTHS = 16

export function descriptorOf(page: number): number {
  return pool.descriptors + page * DESCRIPTOR_WORDS
}

/** Makes all pages one free run; touches the descriptors of the first and the last page only. */
export function createPages(count: number): void {
  linkRun(pool.firstPage, count, FREE)
}

/** Takes a run of `count` pages. Caller holds the pool lock. @returns its first page, or 0 if there is none. */
export function takePages(count: number): number {
  const { i32 } = mem
  const page = findRun(count)
  if (page === 0) return 0
  const length = i32[descriptorOf(page) + 1]!
  unlinkRun(page, length)
  if (length > count) linkRun(page + count, length - count, FREE)
  i32[descriptorOf(page + count - 1)] = TAKEN
  if (page + count > i32[pool.untouchedPage]!) i32[pool.untouchedPage] = page + count
  return page
}

/** Gives back what `takePages` gave. Caller holds the pool lock. */
export function releasePages(page: number, count: number): void {
  const { i32 } = mem
  let first = page
  let length = count
  i32[descriptorOf(page)] = FREED // stays there when the run merges with the one before: a second free finds it
  const after = descriptorOf(page + count)
  if (isFree(i32[after]!)) {
    const afterLength = i32[after + 1]!
    unlinkRun(page + count, afterLength)
    length += afterLength
  }
  const before = descriptorOf(page - 1)
  if (isFree(i32[before]!)) {
    const beforeLength = i32[before + 1]!
    first -= beforeLength
    unlinkRun(first, beforeLength)
    length += beforeLength
  }
  linkRun(first, length, i32[descriptorOf(first)]!)
}

/** Pages in free runs, and the length of the longest. Caller holds the pool lock. Walks them all: for reports. */
export function measureFreePages(): { free: number; longest: number } {
  const { i32 } = mem
  let free = 0
  let longest = 0
  for (let bin = 0; bin < BIN_LIMIT; bin++) {
    for (let page = i32[pool.binHeads + bin]!; page !== 0; page = i32[descriptorOf(page) + 2]!) {
      const length = i32[descriptorOf(page) + 1]!
      free += length
      longest = Math.max(longest, length)
    }
  }
  return { free, longest }
}

function isFree(kind: number): boolean {
  return (kind & ~1) === FREE
}

function findRun(count: number): number {
  const { i32 } = mem
  // The first list in which every run is long enough.
  const firstBin = binOf(count - 1) + 1
  for (let word = firstBin >> 5; word < BIN_LIMIT >> 5; word++) {
    let bits = i32[pool.binBitmap + word]!
    if (word === firstBin >> 5) bits &= -1 << (firstBin & 31)
    if (bits !== 0) return i32[pool.binHeads + word * 32 + 31 - Math.clz32(bits & -bits)]!
  }
  // Memory is nearly used up: perhaps the list before, whose runs may be too short, has one that is not.
  let page = i32[pool.binHeads + binOf(count)]!
  while (page !== 0 && i32[descriptorOf(page) + 1]! < count) page = i32[descriptorOf(page) + 2]!
  return page
}

function binOf(length: number): number {
  if (length < EXACT_LENGTHS) return length
  const power = 31 - Math.clz32(length)
  return EXACT_LENGTHS + (power - 4) * 8 + ((length >>> (power - 3)) & 7)
}

function linkRun(page: number, length: number, kind: number): void {
  const { i32 } = mem
  const bin = binOf(length)
  const head = pool.binHeads + bin
  const next = i32[head]!
  const first = descriptorOf(page)
  const last = descriptorOf(page + length - 1)
  if (!isFree(i32[last]!)) i32[last] = FREE
  i32[last + 1] = length
  i32[first] = kind
  i32[first + 1] = length
  i32[first + 2] = next
  i32[first + 3] = 0
  if (next !== 0) i32[descriptorOf(next) + 3] = page
  i32[head] = page
  i32[pool.binBitmap + (bin >> 5)]! |= 1 << (bin & 31)
}

function unlinkRun(page: number, length: number): void {
  const { i32 } = mem
  const first = descriptorOf(page)
  const next = i32[first + 2]!
  const previous = i32[first + 3]!
  if (next !== 0) i32[descriptorOf(next) + 3] = previous
  if (previous !== 0) i32[descriptorOf(previous) + 2] = next
  else {
    const bin = binOf(length)
    i32[pool.binHeads + bin] = next
    if (next === 0) i32[pool.binBitmap + (bin >> 5)]! &= ~(1 << (bin & 31))
  }
}
