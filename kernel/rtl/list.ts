/**
 * LIST_ENTRY: doubly linked lists whose links lie in the members, with the head as a member like the others.
 *
 * Drivers use Windows' names on views, the kernel the plain ones on addresses. Nothing here locks: who uses a list
 * holds the lock that guards it.
 */

import * as memory from '../mm/memory.ts'
import { pointer, struct, type View } from './struct.ts'

export * from './slist.ts'

// Looked up once: an imported name is looked up at each use (decision 0041).
const { mem } = memory

/** A member of a list, or its head. */
export const LIST_ENTRY = struct('LIST_ENTRY', {
  Flink: pointer<LIST_ENTRY>(() => LIST_ENTRY), // the next one; of a head, the first
  Blink: pointer<LIST_ENTRY>(() => LIST_ENTRY), // the one before; of a head, the last
})
export interface LIST_ENTRY extends View<typeof LIST_ENTRY> {}

/** Told of a member whose neighbours do not point back at it. ke plugs the bug check in: 0x139, parameter 1 = 3. */
export const corruption = {
  list: (entry: number): void => {
    throw new Error(`the list entry at 0x${entry.toString(16)} is corrupt: its neighbours do not point back at it`)
  },
}

const flink = (entry: number): number => mem.u32[entry >> 2]!
const blink = (entry: number): number => mem.u32[(entry >> 2) + 1]!

function link(before: number, after: number): void {
  mem.u32[before >> 2] = after
  mem.u32[(after >> 2) + 1] = before
}

/** Reports `entry` unless both neighbours point at it. A driver that removes an entry twice is found here. */
function check(entry: number): void {
  if (blink(flink(entry)) !== entry || flink(blink(entry)) !== entry) corruption.list(entry)
}

export function initializeList(head: number): void {
  link(head, head)
}

export function isEmpty(head: number): boolean {
  return flink(head) === head
}

/** The first member; 0 if the list is empty. */
export function firstEntry(head: number): number {
  const first = flink(head)
  return first === head ? 0 : first
}

export function insertHead(head: number, entry: number): void {
  check(head)
  const first = flink(head)
  link(head, entry)
  link(entry, first)
}

export function insertTail(head: number, entry: number): void {
  check(head)
  const last = blink(head)
  link(last, entry)
  link(entry, head)
}

/** Takes `entry` out of its list; returns whether the list is empty now. */
export function removeEntry(entry: number): boolean {
  check(entry)
  const before = blink(entry)
  const after = flink(entry)
  link(before, after)
  return before === after
}

/** Takes the first member out; 0 if there is none. */
export function removeHead(head: number): number {
  const first = firstEntry(head)
  if (first !== 0) removeEntry(first)
  return first
}

/** Takes the last member out; 0 if there is none. */
export function removeTail(head: number): number {
  const last = blink(head)
  if (last === head) return 0
  removeEntry(last)
  return last
}

/** Calls `visit` with each member in turn. `visit` may take out the one it is given, but no other. */
export function forEachEntry(head: number, visit: (entry: number) => void): void {
  let next
  for (let entry = flink(head); entry !== head; entry = next) {
    next = flink(entry)
    visit(entry)
  }
}

/**
 * Makes `ListHead` the head of an empty list.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-initializelisthead
 */
export function InitializeListHead(ListHead: LIST_ENTRY): void {
  initializeList(ListHead.address)
}

/**
 * Tells whether the list has no members.
 *
 * @irql any
 * @returns true if there is none.
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-islistempty
 */
export function IsListEmpty(ListHead: LIST_ENTRY): boolean {
  return isEmpty(ListHead.address)
}

/**
 * Inserts `Entry` as the first member.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-insertheadlist
 */
export function InsertHeadList(ListHead: LIST_ENTRY, Entry: LIST_ENTRY): void {
  insertHead(ListHead.address, Entry.address)
}

/**
 * Inserts `Entry` as the last member.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-inserttaillist
 */
export function InsertTailList(ListHead: LIST_ENTRY, Entry: LIST_ENTRY): void {
  insertTail(ListHead.address, Entry.address)
}

/**
 * Takes the first member out.
 *
 * @irql any
 * @returns the member; of an empty list the head itself, so ask IsListEmpty first.
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-removeheadlist
 */
export function RemoveHeadList(ListHead: LIST_ENTRY): LIST_ENTRY {
  return new LIST_ENTRY(removeHead(ListHead.address) || ListHead.address)
}

/**
 * Takes the last member out.
 *
 * @irql any
 * @returns the member; of an empty list the head itself, so ask IsListEmpty first.
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-removetaillist
 */
export function RemoveTailList(ListHead: LIST_ENTRY): LIST_ENTRY {
  return new LIST_ENTRY(removeTail(ListHead.address) || ListHead.address)
}

/**
 * Takes `Entry` out of the list that it is in.
 *
 * @irql any
 * @returns true if the list is empty now.
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-removeentrylist
 */
export function RemoveEntryList(Entry: LIST_ENTRY): boolean {
  return removeEntry(Entry.address)
}

/**
 * Appends the members that `ListToAppend` is the first of; it is no head, but becomes a member like them.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-appendtaillist
 */
export function AppendTailList(ListHead: LIST_ENTRY, ListToAppend: LIST_ENTRY): void {
  const head = ListHead.address
  const first = ListToAppend.address
  check(head)
  check(first)
  const last = blink(first)
  link(blink(head), first)
  link(last, head)
}
