/** The newer lookaside list: of either pool type, with routines that are told which list it is. */

import { STATUS_SUCCESS } from '../rtl/status.ts'
import { routine, struct, type View } from '../rtl/struct.ts'
import { addressOf, flush, GENERAL_LOOKASIDE, initializeList, keep, take } from './lookaside-list.ts'
import { ExAllocatePoolWithTag, ExFreePool, type PoolPointer } from './pool-ddi.ts'
import { POOL_QUOTA_FAIL_INSTEAD_OF_RAISE, POOL_RAISE_IF_ALLOCATION_FAILURE } from './pool-ddi.ts'

export const EX_LOOKASIDE_LIST_EX_FLAGS_RAISE_ON_FAIL = 1
export const EX_LOOKASIDE_LIST_EX_FLAGS_FAIL_NO_RAISE = 2

const STATUS_INVALID_PARAMETER_5 = 0xc00000f3 | 0

/** Makes an entry when the list has none: its address, or 0. */
export type ALLOCATE_FUNCTION_EX = (
  PoolType: number,
  NumberOfBytes: number,
  Tag: number,
  Lookaside: LOOKASIDE_LIST_EX,
) => number
export type FREE_FUNCTION_EX = (Buffer: number, Lookaside: LOOKASIDE_LIST_EX) => void

/** A lookaside list whose routines are told which list it is. */
export const LOOKASIDE_LIST_EX = struct('LOOKASIDE_LIST_EX', {
  L: GENERAL_LOOKASIDE,
  Allocate: routine<ALLOCATE_FUNCTION_EX>(),
  Free: routine<FREE_FUNCTION_EX>(),
})
export interface LOOKASIDE_LIST_EX extends View<typeof LOOKASIDE_LIST_EX> {}

/**
 * Makes an empty lookaside list of either pool type. `Depth` is reserved and not looked at.
 *
 * @irql <= DISPATCH_LEVEL
 * @returns STATUS_SUCCESS, or STATUS_INVALID_PARAMETER_5 if `Flags` has both bits, one that is not known, or
 * EX_LOOKASIDE_LIST_EX_FLAGS_FAIL_NO_RAISE without an `Allocate` that it could be for.
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exinitializelookasidelistex
 */
export function ExInitializeLookasideListEx(parameters: {
  Lookaside: LOOKASIDE_LIST_EX
  Allocate: ALLOCATE_FUNCTION_EX | null
  Free: FREE_FUNCTION_EX | null
  PoolType: number
  Flags: number
  Size: number
  Tag: string | number
  Depth: number
}): number {
  const { Lookaside, Allocate, Free, PoolType, Flags } = parameters
  const failsQuietly = Flags === EX_LOOKASIDE_LIST_EX_FLAGS_FAIL_NO_RAISE
  const raises = Flags === EX_LOOKASIDE_LIST_EX_FLAGS_RAISE_ON_FAIL
  if ((Flags !== 0 && !raises && !failsQuietly) || (failsQuietly && Allocate === null)) {
    return STATUS_INVALID_PARAMETER_5
  }
  const flag = raises ? POOL_RAISE_IF_ALLOCATION_FAILURE : failsQuietly ? POOL_QUOTA_FAIL_INSTEAD_OF_RAISE : 0
  initializeList(Lookaside.L, PoolType | flag, parameters)
  Lookaside.Allocate = Allocate
  Lookaside.Free = Free
  return STATUS_SUCCESS
}

/**
 * Takes an entry from the list, or makes one if it is empty.
 *
 * @irql <= DISPATCH_LEVEL; <= APC_LEVEL for paged entries
 * @returns the entry's address, its bytes as they were left, or NULL if there is no memory; with
 * EX_LOOKASIDE_LIST_EX_FLAGS_RAISE_ON_FAIL it raises STATUS_INSUFFICIENT_RESOURCES instead.
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exallocatefromlookasidelistex
 */
export function ExAllocateFromLookasideListEx(Lookaside: LOOKASIDE_LIST_EX): number {
  return take(Lookaside.L) || make(Lookaside)
}

/**
 * Puts an entry into the list, or frees it if the list is full.
 *
 * @irql <= DISPATCH_LEVEL; <= APC_LEVEL for paged entries
 * @returns nothing.
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exfreetolookasidelistex
 */
export function ExFreeToLookasideListEx(Lookaside: LOOKASIDE_LIST_EX, Entry: PoolPointer): void {
  if (!keep(Lookaside.L, Entry)) drop(Lookaside, addressOf(Entry))
}

/**
 * Frees the entries that the list keeps; those that are in use stay the caller's to free.
 *
 * @irql <= DISPATCH_LEVEL; <= APC_LEVEL for paged entries
 * @returns nothing.
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exdeletelookasidelistex
 */
export function ExDeleteLookasideListEx(Lookaside: LOOKASIDE_LIST_EX): void {
  ExFlushLookasideListEx(Lookaside)
}

/**
 * Frees the entries that the list keeps; the list stays in use.
 *
 * @irql <= DISPATCH_LEVEL; <= APC_LEVEL for paged entries
 * @returns nothing.
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exflushlookasidelistex
 */
export function ExFlushLookasideListEx(Lookaside: LOOKASIDE_LIST_EX): void {
  flush(Lookaside.L, (entry) => drop(Lookaside, entry))
}

function make(list: LOOKASIDE_LIST_EX): number {
  const { L, Allocate } = list
  return Allocate === null ? ExAllocatePoolWithTag(L.Type, L.Size, L.Tag) : Allocate(L.Type, L.Size, L.Tag, list)
}

function drop(list: LOOKASIDE_LIST_EX, entry: number): void {
  const { Free } = list
  if (Free === null) ExFreePool(entry)
  else Free(entry, list)
}
