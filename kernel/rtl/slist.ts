/** Singly linked lists: SINGLE_LIST_ENTRY for those who hold a lock, SLIST_HEADER for those who hold none. */

import { mem } from '../mm/memory.ts'
import { atomic, pointer, struct, ULONG, type View } from './struct.ts'

/** A member of a singly linked list, or its head. */
export const SINGLE_LIST_ENTRY = struct('SINGLE_LIST_ENTRY', {
  Next: pointer<SINGLE_LIST_ENTRY>(() => SINGLE_LIST_ENTRY),
})
export interface SINGLE_LIST_ENTRY extends View<typeof SINGLE_LIST_ENTRY> {}

/** A member of a list without a lock. */
export const SLIST_ENTRY = struct('SLIST_ENTRY', {
  Next: pointer<SLIST_ENTRY>(() => SLIST_ENTRY),
})
export interface SLIST_ENTRY extends View<typeof SLIST_ENTRY> {}

/**
 * Head of a list without a lock. Opaque to drivers.
 *
 * Windows swaps address, depth and a sequence number in one go. Here that would be a bigint, allocated at each push
 * and pop, and 16 bits of sequence only make ABA rare. So, instead: pushes swap the address alone, whenever they like,
 * while those who take out take turns. ABA needs a first entry to leave and come back between another's look at
 * it and his swap. Who pushes does not care what came back; and while one takes out, no entry leaves but by him.
 * A turn lasts three accesses, with no interruption point among them: the owner of the turn is never an interrupted
 * routine of the waiter's own processor, so the wait ends at any IRQL.
 */
export const SLIST_HEADER = struct('SLIST_HEADER', {
  Next: atomic(ULONG), // address of the first entry
  Depth: atomic(ULONG), // follows Next by an instruction: as exact as what QueryDepthSList can promise
  Turn: atomic(ULONG), // 1 while someone takes entries out
  Reserved: ULONG,
})
export interface SLIST_HEADER extends View<typeof SLIST_HEADER> {}

const SPINS_BEFORE_SLEEP = 200
const NAP_MS = 0.05

function takeTurn(ListHead: SLIST_HEADER): void {
  const turn = (ListHead.address + SLIST_HEADER.offsets.Turn) >> 2
  for (let spins = 0; Atomics.exchange(mem.i32, turn, 1) !== 0; spins++) {
    // Its owner may be off its core: more threads than cores would spin until it comes back.
    if (spins > SPINS_BEFORE_SLEEP) Atomics.wait(mem.i32, turn, 1, NAP_MS)
  }
}

/**
 * Inserts `Entry` as the first member.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-pushentrylist
 */
export function PushEntryList(ListHead: SINGLE_LIST_ENTRY, Entry: SINGLE_LIST_ENTRY): void {
  Entry.Next = ListHead.Next
  ListHead.Next = Entry
}

/**
 * Takes the first member out.
 *
 * @irql any
 * @returns the member, or null if the list is empty.
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-popentrylist
 */
export function PopEntryList(ListHead: SINGLE_LIST_ENTRY): SINGLE_LIST_ENTRY | null {
  const first = ListHead.Next
  if (first !== null) ListHead.Next = first.Next
  return first
}

/**
 * Makes `SListHead` the head of an empty list.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-initializeslisthead
 */
export function InitializeSListHead(SListHead: SLIST_HEADER): void {
  SListHead.Next.store(0)
  SListHead.Depth.store(0)
  SListHead.Turn.store(0)
}

/**
 * Inserts `ListEntry` as the first member, whatever other processors do to the list.
 *
 * @irql any
 * @returns the member that was first before, or null if there was none.
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-interlockedpushentryslist
 */
export function InterlockedPushEntrySList(ListHead: SLIST_HEADER, ListEntry: SLIST_ENTRY): SLIST_ENTRY | null {
  const first = ListHead.Next
  let before
  do {
    before = first.load()
    mem.u32[ListEntry.address >> 2] = before
  } while (first.compareExchange(before, ListEntry.address) !== before)
  ListHead.Depth.add(1)
  return SLIST_ENTRY.at(before)
}

/**
 * Takes the first member out, whatever other processors do to the list.
 *
 * @irql any
 * @returns the member, or null if the list is empty.
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-interlockedpopentryslist
 */
export function InterlockedPopEntrySList(ListHead: SLIST_HEADER): SLIST_ENTRY | null {
  if (ListHead.Next.load() === 0) return null
  takeTurn(ListHead)
  let entry
  do {
    entry = ListHead.Next.load()
  } while (entry !== 0 && ListHead.Next.compareExchange(entry, mem.u32[entry >> 2]!) !== entry)
  if (entry !== 0) ListHead.Depth.sub(1)
  ListHead.Turn.store(0)
  return SLIST_ENTRY.at(entry)
}

/**
 * Takes all members out at once.
 *
 * @irql any
 * @returns the member that was first, with the others behind it, or null if the list is empty.
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-interlockedflushslist
 */
export function InterlockedFlushSList(ListHead: SLIST_HEADER): SLIST_ENTRY | null {
  takeTurn(ListHead)
  const first = ListHead.Next.exchange(0)
  let count = 0
  for (let entry = first; entry !== 0; entry = mem.u32[entry >> 2]!) count++
  ListHead.Depth.sub(count)
  ListHead.Turn.store(0)
  return SLIST_ENTRY.at(first)
}

/**
 * Counts the members, as of a moment that may be gone.
 *
 * @irql any
 * @returns the number of members, in 16 bits.
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-querydepthslist
 */
export function QueryDepthSList(SListHead: SLIST_HEADER): number {
  return SListHead.Depth.load() & 0xffff
}

/**
 * Looks at the first member without taking it out.
 *
 * @irql any
 * @returns the member, or null if the list is empty.
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntifs/nf-ntifs-firstentryslist
 */
export function FirstEntrySList(ListHead: SLIST_HEADER): SLIST_ENTRY | null {
  return SLIST_ENTRY.at(ListHead.Next.load())
}
