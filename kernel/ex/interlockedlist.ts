/** Lists and numbers that a spin lock of the caller's guards, at any IRQL: the lock serves these routines only. */
import { mem } from '../mm/memory.ts'
import { read64, write64 } from '../mm/access.ts'
import { firstEntry, insertHead, insertTail, LIST_ENTRY, removeHead } from '../rtl/list.ts'
import { SINGLE_LIST_ENTRY } from '../rtl/list.ts'
import { HIGH_LEVEL, lowerIrql, point, raiseIrql } from '../ke/level.ts'
import { acquireLock, type KSPIN_LOCK, releaseLock } from '../ke/spinlock.ts'
import type { Target, Target64 } from './interlocked.ts'

/** Runs `body` with the lock held and all interrupts off: the caller may be an ISR of any level. */
function under<T>(lock: KSPIN_LOCK, body: () => T): T {
  point()
  const before = raiseIrql(HIGH_LEVEL)
  acquireLock(lock.address)
  const result = body()
  releaseLock(lock.address)
  lowerIrql(before)
  return result
}

/**
 * Inserts `ListEntry` as the first member.
 *
 * @irql any
 * @returns the member that was first before, or null if there was none
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exinterlockedinsertheadlist
 */
export function ExInterlockedInsertHeadList(
  ListHead: LIST_ENTRY,
  ListEntry: LIST_ENTRY,
  Lock: KSPIN_LOCK,
): LIST_ENTRY | null {
  return under(Lock, () => {
    const first = firstEntry(ListHead.address)
    insertHead(ListHead.address, ListEntry.address)
    return LIST_ENTRY.at(first)
  })
}

/**
 * Inserts `ListEntry` as the last member.
 *
 * @irql any
 * @returns the member that was last before, or null if there was none
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exinterlockedinserttaillist
 */
export function ExInterlockedInsertTailList(
  ListHead: LIST_ENTRY,
  ListEntry: LIST_ENTRY,
  Lock: KSPIN_LOCK,
): LIST_ENTRY | null {
  return under(Lock, () => {
    const head = ListHead.address
    const last = mem.u32[(head + LIST_ENTRY.offsets.Blink) >> 2] as number
    insertTail(head, ListEntry.address)
    return last === head ? null : LIST_ENTRY.at(last)
  })
}

/**
 * Takes the first member out.
 *
 * @irql any
 * @returns the member, or null if the list is empty
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exinterlockedremoveheadlist
 */
export function ExInterlockedRemoveHeadList(ListHead: LIST_ENTRY, Lock: KSPIN_LOCK): LIST_ENTRY | null {
  return under(Lock, () => LIST_ENTRY.at(removeHead(ListHead.address)))
}

/**
 * Inserts `ListEntry` as the first member of a singly linked list.
 *
 * @irql any
 * @returns the member that was first before, or null if there was none
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exinterlockedpushentrylist
 */
export function ExInterlockedPushEntryList(
  ListHead: SINGLE_LIST_ENTRY,
  ListEntry: SINGLE_LIST_ENTRY,
  Lock: KSPIN_LOCK,
): SINGLE_LIST_ENTRY | null {
  return under(Lock, () => {
    const first = ListHead.Next
    ListEntry.Next = first
    ListHead.Next = ListEntry
    return first
  })
}

/**
 * Takes the first member of a singly linked list out.
 *
 * @irql any
 * @returns the member, or null if the list is empty
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exinterlockedpopentrylist
 */
export function ExInterlockedPopEntryList(ListHead: SINGLE_LIST_ENTRY, Lock: KSPIN_LOCK): SINGLE_LIST_ENTRY | null {
  return under(Lock, () => {
    const first = ListHead.Next
    if (first !== null) ListHead.Next = first.Next
    return first
  })
}

/**
 * Adds `Increment`.
 *
 * @irql any
 * @returns the value before
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exinterlockedaddulong
 */
export function ExInterlockedAddUlong(Addend: Target, Increment: number, Lock: KSPIN_LOCK): number {
  const { address } = Addend as { address: number }
  return under(Lock, () => {
    const before = mem.u32[address >> 2] as number
    mem.u32[address >> 2] = before + Increment
    return before
  })
}

/**
 * Adds `Increment` to a 64-bit number.
 *
 * @irql any
 * @returns the value before
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exinterlockedaddlargeinteger
 */
export function ExInterlockedAddLargeInteger(Addend: Target64, Increment: bigint, Lock: KSPIN_LOCK): bigint {
  const { address } = Addend as { address: number }
  return under(Lock, () => {
    const before = read64(address)
    write64(address, before + Increment)
    return before
  })
}
