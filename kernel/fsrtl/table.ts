/**
 * Hash tables whose links lie in the members. A member is found by its hash; who looks compares the rest.
 *
 * Caller holds the notify lock.
 */
import { read32, readU32, write32 } from '../mm/access.ts'
import { allocate, free } from '../mm/pool.ts'
import { Link, Table } from './layouts.ts'

const FEWEST_BUCKETS = 16
const TAG = 'FsNT'

/** Makes an empty table; false when there is no memory. */
export function createTable(table: number): boolean {
  const buckets = allocate(FEWEST_BUCKETS * 4, TAG)
  write32(table + Table.Buckets, buckets)
  write32(table + Table.Mask, FEWEST_BUCKETS - 1)
  return buckets !== 0
}

/** Gives back the memory of a table that is empty, or was never made. */
export function deleteTable(table: number): void {
  const buckets = read32(table + Table.Buckets)
  if (buckets !== 0) free(buckets, TAG)
}

/** Spreads what differs in few bits, as addresses do. */
export const hashOfWord = (word: number): number => Math.imul(word ^ (word >>> 15), 0x9e3779b1)

const bucketOf = (table: number, hash: number): number =>
  read32(table + Table.Buckets) + ((hash ^ (hash >>> 16)) & read32(table + Table.Mask)) * 4

export function insertLink(table: number, link: number, hash: number): void {
  const count = readU32(table + Table.Count) + 1
  write32(table + Table.Count, count)
  if (count > readU32(table + Table.Mask)) grow(table)
  write32(link + Link.Hash, hash)
  push(bucketOf(table, hash), link)
}

/** Costs the same however many have that hash: all opens of one directory do, in the table of streams. */
export function removeLink(table: number, link: number): void {
  const place = read32(link + Link.Place)
  const next = read32(link + Link.Next)
  write32(place, next)
  if (next !== 0) write32(next + Link.Place, place)
  write32(table + Table.Count, readU32(table + Table.Count) - 1)
}

/** A link with that hash; 0 if there is none. */
export const firstLink = (table: number, hash: number): number => withHash(read32(bucketOf(table, hash)), hash)

/** The next one with the same hash. */
export const nextLink = (link: number): number => withHash(read32(link + Link.Next), read32(link + Link.Hash))

function withHash(start: number, hash: number): number {
  let link = start
  while (link !== 0 && read32(link + Link.Hash) !== hash) link = read32(link + Link.Next)
  return link
}

function push(bucket: number, link: number): void {
  const next = read32(bucket)
  write32(link + Link.Next, next)
  write32(link + Link.Place, bucket)
  if (next !== 0) write32(next + Link.Place, link + Link.Next)
  write32(bucket, link)
}

/** Doubles the buckets. Without memory the chains get longer, which is slower and as right. */
function grow(table: number): void {
  const count = readU32(table + Table.Mask) + 1
  const before = read32(table + Table.Buckets)
  const buckets = allocate(count * 2 * 4, TAG)
  if (buckets === 0) return
  write32(table + Table.Buckets, buckets)
  write32(table + Table.Mask, count * 2 - 1)
  for (let bucket = before; bucket < before + count * 4; bucket += 4) rehash(table, read32(bucket))
  free(before, TAG)
}

/** Each chain is turned round on its way: nobody relies on its order. */
function rehash(table: number, first: number): void {
  for (let link = first, next = 0; link !== 0; link = next) {
    next = read32(link + Link.Next)
    push(bucketOf(table, read32(link + Link.Hash)), link)
  }
}
