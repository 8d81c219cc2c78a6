/**
 * Lookaside lists: freed entries of one size, kept for the next who wants one.
 *
 * Windows adjusts each list's depth once a second to what it sees; here a list keeps up to MAXIMUM_DEPTH entries from
 * the start, so that a run can be repeated.
 */

import {
  InitializeSListHead,
  InterlockedFlushSList,
  InterlockedPopEntrySList,
  InterlockedPushEntrySList,
  QueryDepthSList,
  SLIST_ENTRY,
  SLIST_HEADER,
} from '../rtl/slist.ts'
import { atomic, struct, ULONG, USHORT, type View } from '../rtl/struct.ts'
import { mem } from './memory.ts'
import type { PoolPointer } from './pool-ddi.ts'
import { tagOf } from './pool.ts'

const MAXIMUM_DEPTH = 256

/** What all lookaside lists have. No lock: the entries are in a list without one, the rest is set before use. */
export const GENERAL_LOOKASIDE = struct('GENERAL_LOOKASIDE', {
  ListHead: SLIST_HEADER,
  Depth: USHORT, // entries to keep
  MaximumDepth: USHORT,
  TotalAllocates: atomic(ULONG),
  AllocateMisses: atomic(ULONG), // allocations that found the list empty
  TotalFrees: atomic(ULONG),
  FreeMisses: atomic(ULONG), // frees that found it full
  Type: ULONG, // POOL_TYPE and flags
  Tag: ULONG,
  Size: ULONG, // bytes of an entry
})
export interface GENERAL_LOOKASIDE extends View<typeof GENERAL_LOOKASIDE> {}

/** Makes an empty list of entries of `type`, which is a POOL_TYPE with flags. */
export function initializeList(
  list: GENERAL_LOOKASIDE,
  type: number,
  entry: { Size: number; Tag: string | number },
): void {
  InitializeSListHead(list.ListHead)
  list.Depth = MAXIMUM_DEPTH
  list.MaximumDepth = MAXIMUM_DEPTH
  for (const count of [list.TotalAllocates, list.AllocateMisses, list.TotalFrees, list.FreeMisses]) count.store(0)
  list.Type = type
  list.Tag = tagOf(entry.Tag) >>> 0
  list.Size = Math.max(entry.Size, SLIST_ENTRY.size) // a kept entry begins with the link to the next
}

/** Takes a kept entry. @returns its address, or 0 if there is none. */
export function take(list: GENERAL_LOOKASIDE): number {
  list.TotalAllocates.add(1)
  const entry = InterlockedPopEntrySList(list.ListHead)
  if (entry !== null) return entry.address
  list.AllocateMisses.add(1)
  return 0
}

/** Keeps the entry if there is room: says whether. Two processors may both see the last room: one entry more does no harm. */
export function keep(list: GENERAL_LOOKASIDE, entry: PoolPointer): boolean {
  list.TotalFrees.add(1)
  if (QueryDepthSList(list.ListHead) >= list.Depth) {
    list.FreeMisses.add(1)
    return false
  }
  InterlockedPushEntrySList(list.ListHead, new SLIST_ENTRY(addressOf(entry)))
  return true
}

/** Takes all kept entries and gives each to `dropEntry`. */
export function flush(list: GENERAL_LOOKASIDE, dropEntry: (entry: number) => void): void {
  let entry = InterlockedFlushSList(list.ListHead)?.address ?? 0
  while (entry !== 0) {
    const next = mem.u32[entry >> 2]! // before the entry is gone
    dropEntry(entry)
    entry = next
  }
}

export function addressOf(entry: PoolPointer): number {
  return typeof entry === 'number' ? entry : entry.address
}
