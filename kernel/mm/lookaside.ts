/** The lookaside lists of one pool type each: nonpaged and paged. */

import { routine, struct, type View } from '../rtl/struct.ts'
import { addressOf, flush, GENERAL_LOOKASIDE, initializeList, keep, take } from './lookaside-list.ts'
import { ExAllocatePoolWithTag, ExFreePool, NonPagedPool, PagedPool, type PoolPointer } from './pool-ddi.ts'

/** Makes an entry when the list has none: its address, or 0. */
export type ALLOCATE_FUNCTION = (PoolType: number, NumberOfBytes: number, Tag: number) => number
export type FREE_FUNCTION = (Buffer: number) => void

/** A lookaside list of nonpaged entries. */
export const NPAGED_LOOKASIDE_LIST = struct('NPAGED_LOOKASIDE_LIST', {
  L: GENERAL_LOOKASIDE,
  Allocate: routine<ALLOCATE_FUNCTION>(),
  Free: routine<FREE_FUNCTION>(),
})
export interface NPAGED_LOOKASIDE_LIST extends View<typeof NPAGED_LOOKASIDE_LIST> {}

/** A lookaside list of paged entries. The struct itself is nonpaged. */
export const PAGED_LOOKASIDE_LIST = struct('PAGED_LOOKASIDE_LIST', {
  L: GENERAL_LOOKASIDE,
  Allocate: routine<ALLOCATE_FUNCTION>(),
  Free: routine<FREE_FUNCTION>(),
})
export interface PAGED_LOOKASIDE_LIST extends View<typeof PAGED_LOOKASIDE_LIST> {}

interface PlainParameters<List> {
  Lookaside: List
  Allocate: ALLOCATE_FUNCTION | null
  Free: FREE_FUNCTION | null
  /** 0, or POOL_NX_ALLOCATION and POOL_RAISE_IF_ALLOCATION_FAILURE. */
  Flags: number
  Size: number
  Tag: string | number
  Depth: number
}

/**
 * Makes an empty lookaside list of nonpaged entries. `Depth` is reserved and not looked at.
 *
 * @irql <= DISPATCH_LEVEL
 * @returns nothing.
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exinitializenpagedlookasidelist
 */
export function ExInitializeNPagedLookasideList(parameters: PlainParameters<NPAGED_LOOKASIDE_LIST>): void {
  const { Lookaside, Allocate, Free, Flags } = parameters
  initializeList(Lookaside.L, NonPagedPool | Flags, parameters)
  Lookaside.Allocate = Allocate
  Lookaside.Free = Free
}

/**
 * Takes an entry from the list, or makes one if it is empty.
 *
 * @irql <= DISPATCH_LEVEL
 * @returns the entry's address, its bytes as they were left, or NULL if there is no memory.
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exallocatefromnpagedlookasidelist
 */
export function ExAllocateFromNPagedLookasideList(Lookaside: NPAGED_LOOKASIDE_LIST): number {
  return take(Lookaside.L) || make(Lookaside)
}

/**
 * Puts an entry into the list, or frees it if the list is full.
 *
 * @irql <= DISPATCH_LEVEL
 * @returns nothing.
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exfreetonpagedlookasidelist
 */
export function ExFreeToNPagedLookasideList(Lookaside: NPAGED_LOOKASIDE_LIST, Entry: PoolPointer): void {
  if (!keep(Lookaside.L, Entry)) drop(Lookaside, addressOf(Entry))
}

/**
 * Frees the entries that the list keeps; those that are in use stay the caller's to free.
 *
 * @irql <= DISPATCH_LEVEL
 * @returns nothing.
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exdeletenpagedlookasidelist
 */
export function ExDeleteNPagedLookasideList(Lookaside: NPAGED_LOOKASIDE_LIST): void {
  flush(Lookaside.L, (entry) => drop(Lookaside, entry))
}

/**
 * Makes an empty lookaside list of paged entries. `Depth` is reserved and not looked at.
 *
 * @irql <= APC_LEVEL
 * @returns nothing.
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exinitializepagedlookasidelist
 */
export function ExInitializePagedLookasideList(parameters: PlainParameters<PAGED_LOOKASIDE_LIST>): void {
  const { Lookaside, Allocate, Free, Flags } = parameters
  initializeList(Lookaside.L, PagedPool | Flags, parameters)
  Lookaside.Allocate = Allocate
  Lookaside.Free = Free
}

/**
 * Takes an entry from the list, or makes one if it is empty.
 *
 * @irql <= APC_LEVEL
 * @returns the entry's address, its bytes as they were left, or NULL if there is no memory.
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exallocatefrompagedlookasidelist
 */
export function ExAllocateFromPagedLookasideList(Lookaside: PAGED_LOOKASIDE_LIST): number {
  return take(Lookaside.L) || make(Lookaside)
}

/**
 * Puts an entry into the list, or frees it if the list is full.
 *
 * @irql <= APC_LEVEL
 * @returns nothing.
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exfreetopagedlookasidelist
 */
export function ExFreeToPagedLookasideList(Lookaside: PAGED_LOOKASIDE_LIST, Entry: PoolPointer): void {
  if (!keep(Lookaside.L, Entry)) drop(Lookaside, addressOf(Entry))
}

/**
 * Frees the entries that the list keeps; those that are in use stay the caller's to free.
 *
 * @irql <= APC_LEVEL
 * @returns nothing.
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exdeletepagedlookasidelist
 */
export function ExDeletePagedLookasideList(Lookaside: PAGED_LOOKASIDE_LIST): void {
  flush(Lookaside.L, (entry) => drop(Lookaside, entry))
}

type PlainList = NPAGED_LOOKASIDE_LIST | PAGED_LOOKASIDE_LIST

function make({ L, Allocate }: PlainList): number {
  return Allocate === null ? ExAllocatePoolWithTag(L.Type, L.Size, L.Tag) : Allocate(L.Type, L.Size, L.Tag)
}

function drop({ Free }: PlainList, entry: number): void {
  if (Free === null) ExFreePool(entry)
  else Free(entry)
}
