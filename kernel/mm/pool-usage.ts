/**
 * Who uses the pool: a row for each tag and type, in shared memory, as `!poolused` shows them.
 *
 * A row: 0 tag · 4 IN_USE, + 1 if paged · 8 bytes in use · 16 allocations · 24 frees (both doubles: days of them fit).
 * The table is a hash table with linear probing. When it is full, further tags share the rows behind it,
 * one for each type, under the tag 'Ovfl' that Windows has for this.
 */

import { acquirePoolLock, OVERFLOW_ROWS, pool, releasePoolLock, USAGE_ROW_BYTES, USAGE_ROWS } from './pool-control.ts'
import { mem } from './memory.ts'

const IN_USE = 2
const MOST_IN_USE = (USAGE_ROWS * 3) >> 2
const ALL_ROWS = USAGE_ROWS + OVERFLOW_ROWS

/** One row, read out. */
export interface PoolUsage {
  tag: string
  type: 'paged' | 'nonpaged'
  allocations: number
  frees: number
  bytes: number
}

/**
 * The number of a tag: its first letter is the lowest byte, so that memory shows it in reading order.
 *
 * C drivers write `'traU'` to get this, as a multi-character constant puts its first letter highest; here it is
 * `'Uart'`. A shorter tag is padded with spaces.
 */
export function tagOf(tag: string | number): number {
  if (typeof tag === 'number') return tag | 0
  if (tag.length === 4) return letter(tag, 0) | (letter(tag, 1) << 8) | (letter(tag, 2) << 16) | (letter(tag, 3) << 24)
  return tag === '' ? 0 : tagOf(tag.padEnd(4).slice(0, 4))
}

/** The four letters of a tag, with a dot for each byte that cannot be printed. */
export function tagText(tag: number): string {
  const bytes = [tag & 255, (tag >>> 8) & 255, (tag >>> 16) & 255, tag >>> 24]
  return bytes.map((byte) => (byte >= 0x20 && byte <= 0x7e ? String.fromCharCode(byte) : '.')).join('')
}

const OVERFLOW = tagOf('Ovfl')

/** Counts an allocation. Caller holds the pool lock. @returns the address of its row, for `countFree`. */
export function countAllocation(tag: number, paged: number, size: number): number {
  const { i32, f64 } = mem
  const row = rowOf(tag, paged)
  i32[(row >> 2) + 2]! += size
  f64[(row >> 3) + 2]! += 1
  return row
}

/** Counts the free of a block that was counted in `row`. Caller holds the pool lock. */
export function countFree(row: number, size: number): void {
  const { i32, f64 } = mem
  i32[(row >> 2) + 2]! -= size
  f64[(row >> 3) + 3]! += 1
}

/** Whether a block's header can be telling the truth about its row. */
export function isUsageRow(row: number): boolean {
  return (row - pool.usage) >>> 0 < ALL_ROWS * USAGE_ROW_BYTES && (row & (USAGE_ROW_BYTES - 1)) === 0
}

/** All rows, those with the most bytes first. */
export function poolUsage(): PoolUsage[] {
  const { i32, f64 } = mem
  const rows: PoolUsage[] = []
  acquirePoolLock()
  for (let index = 0; index < ALL_ROWS; index++) {
    const row = pool.usage + index * USAGE_ROW_BYTES
    const word = row >> 2
    if (i32[word + 1] === 0) continue
    rows.push({
      tag: tagText(i32[word]!),
      type: i32[word + 1]! & 1 ? 'paged' : 'nonpaged',
      allocations: f64[(row >> 3) + 2]!,
      frees: f64[(row >> 3) + 3]!,
      bytes: i32[word + 2]!,
    })
  }
  releasePoolLock()
  return rows.sort((a, b) => b.bytes - a.bytes || (a.tag < b.tag ? -1 : 1))
}

/** Bytes that are allocated and not freed, as they were asked for. */
export function poolBytesInUse(): number {
  return poolUsage().reduce((sum, row) => sum + row.bytes, 0)
}

function rowOf(tag: number, paged: number): number {
  const { i32 } = mem
  const type = IN_USE | paged
  let index = (Math.imul(tag ^ paged, 0x9e3779b1) >>> 16) & (USAGE_ROWS - 1)
  for (;;) {
    const row = pool.usage + index * USAGE_ROW_BYTES
    const word = row >> 2
    if (i32[word] === tag && i32[word + 1] === type) return row
    if (i32[word + 1] === 0) {
      if (i32[pool.usageCount]! >= MOST_IN_USE) return overflowRow(paged)
      i32[pool.usageCount]! += 1
      i32[word] = tag
      i32[word + 1] = type
      return row
    }
    index = (index + 1) & (USAGE_ROWS - 1)
  }
}

function overflowRow(paged: number): number {
  const row = pool.usage + (USAGE_ROWS + paged) * USAGE_ROW_BYTES
  mem.i32[row >> 2] = OVERFLOW
  mem.i32[(row >> 2) + 1] = IN_USE | paged
  return row
}

function letter(tag: string, index: number): number {
  return tag.charCodeAt(index) & 255
}
