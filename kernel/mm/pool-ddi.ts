/** The pool routines that drivers call. What Windows documents as NULL is 0 here: a pointer is an address. */

import { allocate, CACHE_ALIGNED, free, isPaged, PAGED, poolFault, tagOf, UNINITIALIZED } from './pool.ts'
import { STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_PARAMETER } from '../rtl/status.ts'

export const POOL_FLAG_USE_QUOTA = 0x1
export const POOL_FLAG_UNINITIALIZED = 0x2
export const POOL_FLAG_SESSION = 0x4
export const POOL_FLAG_CACHE_ALIGNED = 0x8
export const POOL_FLAG_RAISE_ON_FAILURE = 0x20
export const POOL_FLAG_NON_PAGED = 0x40
export const POOL_FLAG_NON_PAGED_EXECUTE = 0x80
export const POOL_FLAG_PAGED = 0x100

/** POOL_TYPE. */
export const NonPagedPool = 0
export const PagedPool = 1
export const NonPagedPoolCacheAligned = 4
export const PagedPoolCacheAligned = 5
export const NonPagedPoolNx = 512
export const NonPagedPoolNxCacheAligned = 516

/** To be or-ed to a POOL_TYPE. */
export const POOL_QUOTA_FAIL_INSTEAD_OF_RAISE = 8
export const POOL_RAISE_IF_ALLOCATION_FAILURE = 16
export const POOL_COLD_ALLOCATION = 256
export const POOL_NX_ALLOCATION = 512

const POOL_TYPE_FLAGS = POOL_FLAG_NON_PAGED | POOL_FLAG_NON_PAGED_EXECUTE | POOL_FLAG_PAGED
const KNOWN_FLAGS =
  POOL_TYPE_FLAGS |
  POOL_FLAG_USE_QUOTA |
  POOL_FLAG_UNINITIALIZED |
  POOL_FLAG_SESSION |
  POOL_FLAG_CACHE_ALIGNED |
  POOL_FLAG_RAISE_ON_FAILURE

const PAGED_POOL_BIT = 1
const MUST_SUCCEED_BIT = 2
const CACHE_ALIGNED_BIT = 4

const APC_LEVEL = 1
const DISPATCH_LEVEL = 2

const BAD_POOL_CALLER = 0xc2

/** A pointer to pool memory: an address, or a struct that lies there. */
export type PoolPointer = number | { readonly address: number }

/**
 * Allocates a block of the pool type that `Flags` names, zeroed unless POOL_FLAG_UNINITIALIZED is set.
 *
 * A `Tag` is four letters in reading order: `'Uart'` where C says `'traU'`. Flags above the low 32 bits are optional
 * and, as in Windows, ignored when not known. Quotas and sessions do not exist: their flags are accepted.
 *
 * @irql <= DISPATCH_LEVEL; <= APC_LEVEL for POOL_FLAG_PAGED
 * @returns the block's address, or NULL if there is no memory, `Tag` or `NumberOfBytes` is 0, a flag is not known, or not
 * exactly one pool type is given. With POOL_FLAG_RAISE_ON_FAILURE it raises STATUS_INSUFFICIENT_RESOURCES for the first
 * and STATUS_INVALID_PARAMETER for the others.
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exallocatepool2
 */
export function ExAllocatePool2(Flags: bigint | number, NumberOfBytes: number, Tag: string | number): number {
  const flags = typeof Flags === 'bigint' ? Number(BigInt.asIntN(32, Flags)) : Flags | 0
  const raises = (flags & POOL_FLAG_RAISE_ON_FAILURE) !== 0
  const type = flags & POOL_TYPE_FLAGS
  const isOneType = type !== 0 && (type & (type - 1)) === 0
  const tag = tagOf(Tag)
  if (!isOneType || (flags & ~KNOWN_FLAGS) !== 0 || tag === 0 || NumberOfBytes === 0) {
    return raises ? poolFault.raise(STATUS_INVALID_PARAMETER) : 0
  }
  const paged = type === POOL_FLAG_PAGED ? PAGED : 0
  assertAllocationIrql(paged, paged === 0 ? NonPagedPoolNx : PagedPool, NumberOfBytes)
  const uninitialized = flags & POOL_FLAG_UNINITIALIZED ? UNINITIALIZED : 0
  const aligned = flags & POOL_FLAG_CACHE_ALIGNED ? CACHE_ALIGNED : 0
  const address = allocate(NumberOfBytes, tag, paged | uninitialized | aligned)
  return address === 0 && raises ? poolFault.raise(STATUS_INSUFFICIENT_RESOURCES) : address
}

/**
 * Allocates a block of pool without clearing it; new drivers use ExAllocatePool2.
 *
 * A `Tag` of 0 is bug check 0xC2 with 0x9B, zero bytes with 0, a must-succeed type with 0x9A.
 *
 * @irql <= DISPATCH_LEVEL; <= APC_LEVEL for paged pool
 * @returns the block's address, or NULL if there is no memory; with POOL_RAISE_IF_ALLOCATION_FAILURE it raises
 * STATUS_INSUFFICIENT_RESOURCES instead.
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exallocatepoolwithtag
 */
export function ExAllocatePoolWithTag(PoolType: number, NumberOfBytes: number, Tag: string | number): number {
  return allocateOfType(PoolType, NumberOfBytes, Tag, UNINITIALIZED)
}

/**
 * Allocates a block of pool as ExAllocatePoolWithTag does, and clears it.
 *
 * @irql <= DISPATCH_LEVEL; <= APC_LEVEL for paged pool
 * @returns the block's address, or NULL if there is no memory; with POOL_RAISE_IF_ALLOCATION_FAILURE it raises
 * STATUS_INSUFFICIENT_RESOURCES instead.
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exallocatepoolzero
 */
export function ExAllocatePoolZero(PoolType: number, NumberOfBytes: number, Tag: string | number): number {
  return allocateOfType(PoolType, NumberOfBytes, Tag, 0)
}

/**
 * Frees a block of pool, whatever its tag.
 *
 * @irql <= DISPATCH_LEVEL; <= APC_LEVEL for paged pool
 * @returns nothing; a pointer that is no allocated block is bug check 0xC2 or, if its header is damaged, 0x19.
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntddk/nf-ntddk-exfreepool
 */
export function ExFreePool(P: PoolPointer): void {
  ExFreePoolWithTag(P, 0)
}

/**
 * Frees a block of pool that was allocated with `Tag`; a `Tag` of 0 fits every block.
 *
 * @irql <= DISPATCH_LEVEL; <= APC_LEVEL for paged pool
 * @returns nothing; another tag than the block's is bug check 0xC2 with 0xA.
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exfreepoolwithtag
 */
export function ExFreePoolWithTag(P: PoolPointer, Tag: string | number): void {
  const address = typeof P === 'number' ? P : P.address
  const irql = poolFault.irql()
  if (irql > APC_LEVEL) {
    const paged = isPaged(address)
    if (paged || irql > DISPATCH_LEVEL) {
      poolFault.bugCheck(BAD_POOL_CALLER, 0x9, irql, paged ? PagedPool : NonPagedPoolNx, address)
    }
  }
  free(address, Tag)
}

function allocateOfType(PoolType: number, NumberOfBytes: number, Tag: string | number, flags: number): number {
  const tag = tagOf(Tag)
  if ((PoolType & MUST_SUCCEED_BIT) !== 0) poolFault.bugCheck(BAD_POOL_CALLER, 0x9a, PoolType, NumberOfBytes, tag)
  if (tag === 0) poolFault.bugCheck(BAD_POOL_CALLER, 0x9b, PoolType, NumberOfBytes, 0)
  if (NumberOfBytes === 0) poolFault.bugCheck(BAD_POOL_CALLER, 0x0, 0, PoolType, tag)
  const paged = PoolType & PAGED_POOL_BIT ? PAGED : 0
  assertAllocationIrql(paged, PoolType, NumberOfBytes)
  const aligned = PoolType & CACHE_ALIGNED_BIT ? CACHE_ALIGNED : 0
  const address = allocate(NumberOfBytes, tag, paged | aligned | flags)
  const raises = (PoolType & POOL_RAISE_IF_ALLOCATION_FAILURE) !== 0
  return address === 0 && raises ? poolFault.raise(STATUS_INSUFFICIENT_RESOURCES) : address
}

function assertAllocationIrql(paged: number, poolType: number, size: number): void {
  const irql = poolFault.irql()
  if (irql <= APC_LEVEL || (irql <= DISPATCH_LEVEL && paged === 0)) return
  poolFault.bugCheck(BAD_POOL_CALLER, 0x8, irql, poolType, size)
}
