import { beforeEach, describe, expect, test } from 'vitest'
import { mem } from '../../../kernel/mm/memory.ts'
import { isPaged, poolBytesInUse, poolFault, poolUsage, tagOf } from '../../../kernel/mm/pool.ts'
import * as ddi from '../../../kernel/mm/pool-ddi.ts'
import { bugCheckOf, freshPool, PoolRaise } from './pool-region.ts'

const { ExAllocatePool2, ExAllocatePoolWithTag, ExAllocatePoolZero, ExFreePool, ExFreePoolWithTag } = ddi
const { NonPagedPool, NonPagedPoolNx, PagedPool, POOL_FLAG_NON_PAGED, POOL_FLAG_PAGED } = ddi
const TAG = tagOf('Test')
const APC_LEVEL = 1
const DISPATCH_LEVEL = 2
const SYNCH_LEVEL = 12

beforeEach(() => {
  freshPool()
})

function statusOf(action: () => unknown): number | null {
  try {
    action()
    return null
  } catch (error) {
    if (error instanceof PoolRaise) return error.status
    throw error
  }
}

/** A freed block's memory, dirty, so that the next of its size shows whether it was cleared. */
function dirty(size: number): void {
  const address = ExAllocatePool2(POOL_FLAG_NON_PAGED, size, 'Test')
  mem.u8.fill(0xff, address, address + size)
  ExFreePool(address)
}

describe('ExAllocatePool2', () => {
  test('takes its flags as number or bigint', () => {
    for (const flags of [POOL_FLAG_PAGED, BigInt(POOL_FLAG_PAGED)]) {
      expect(isPaged(ExAllocatePool2(flags, 32, 'Test'))).toBe(true)
    }
    for (const flags of [POOL_FLAG_NON_PAGED, ddi.POOL_FLAG_NON_PAGED_EXECUTE]) {
      expect(isPaged(ExAllocatePool2(flags, 32, 'Test'))).toBe(false)
    }
  })

  test('clears the memory unless POOL_FLAG_UNINITIALIZED is set', () => {
    dirty(64)
    const left = ExAllocatePool2(POOL_FLAG_NON_PAGED | ddi.POOL_FLAG_UNINITIALIZED, 64, 'Test')
    expect(mem.i32[left >> 2]).toBe(-1)
    ExFreePool(left)
    expect(mem.i32[ExAllocatePool2(POOL_FLAG_NON_PAGED, 64, 'Test') >> 2]).toBe(0)
  })

  test('starts the block on a cache line with POOL_FLAG_CACHE_ALIGNED', () => {
    for (let count = 0; count < 10; count++) {
      expect(ExAllocatePool2(POOL_FLAG_NON_PAGED | ddi.POOL_FLAG_CACHE_ALIGNED, 40, 'Test') % 64).toBe(0)
    }
  })

  test('returns NULL for no pool type, two of them, an unknown flag, tag 0 and zero bytes', () => {
    expect(ExAllocatePool2(0, 32, 'Test')).toBe(0)
    expect(ExAllocatePool2(POOL_FLAG_NON_PAGED | POOL_FLAG_PAGED, 32, 'Test')).toBe(0)
    expect(ExAllocatePool2(POOL_FLAG_NON_PAGED | 0x1000, 32, 'Test')).toBe(0)
    expect(ExAllocatePool2(POOL_FLAG_NON_PAGED, 32, 0)).toBe(0)
    expect(ExAllocatePool2(POOL_FLAG_NON_PAGED, 0, 'Test')).toBe(0)
    expect(poolUsage()).toEqual([])
  })

  test('ignores optional flags that it does not know', () => {
    for (const flags of [POOL_FLAG_NON_PAGED + 2 ** 40, BigInt(POOL_FLAG_NON_PAGED) | (1n << 40n)]) {
      expect(ExAllocatePool2(flags, 32, 'Test')).not.toBe(0)
    }
  })

  test('accepts quota and session flags', () => {
    const flags = POOL_FLAG_PAGED | ddi.POOL_FLAG_USE_QUOTA | ddi.POOL_FLAG_SESSION
    expect(ExAllocatePool2(flags, 32, 'Test')).not.toBe(0)
  })

  test('raises instead of returning NULL with POOL_FLAG_RAISE_ON_FAILURE', () => {
    const raising = POOL_FLAG_NON_PAGED | ddi.POOL_FLAG_RAISE_ON_FAILURE
    expect(statusOf(() => ExAllocatePool2(raising, 1 << 30, 'Test'))).toBe(0xc000009a | 0)
    expect(statusOf(() => ExAllocatePool2(raising, 32, 0))).toBe(0xc000000d | 0)
    expect(ExAllocatePool2(POOL_FLAG_NON_PAGED, 1 << 30, 'Test')).toBe(0)
  })

  test('of paged pool at DISPATCH_LEVEL is bug check 0xC2 with 8', () => {
    poolFault.irql = () => DISPATCH_LEVEL
    expect(bugCheckOf(() => ExAllocatePool2(POOL_FLAG_PAGED, 32, 'Test'))).toEqual([
      0xc2,
      8,
      DISPATCH_LEVEL,
      PagedPool,
      32,
    ])
    expect(ExAllocatePool2(POOL_FLAG_NON_PAGED, 32, 'Test')).not.toBe(0)
    poolFault.irql = () => APC_LEVEL
    expect(ExAllocatePool2(POOL_FLAG_PAGED, 32, 'Test')).not.toBe(0)
  })

  test('above DISPATCH_LEVEL is bug check 0xC2 with 8', () => {
    poolFault.irql = () => SYNCH_LEVEL
    const numbers = bugCheckOf(() => ExAllocatePool2(POOL_FLAG_NON_PAGED, 32, 'Test'))
    expect(numbers).toEqual([0xc2, 8, SYNCH_LEVEL, NonPagedPoolNx, 32])
  })
})

describe('ExAllocatePoolWithTag', () => {
  test('takes paged and nonpaged pool types', () => {
    const types = [NonPagedPool, NonPagedPoolNx, ddi.NonPagedPoolCacheAligned, PagedPool, ddi.PagedPoolCacheAligned]
    const paged = types.map((type) => isPaged(ExAllocatePoolWithTag(type, 32, 'Test')))
    expect(paged).toEqual([false, false, false, true, true])
  })

  test('leaves the memory as it was', () => {
    dirty(64)
    expect(mem.i32[ExAllocatePoolWithTag(NonPagedPoolNx, 64, 'Test') >> 2]).toBe(-1)
  })

  test('with tag 0 is bug check 0xC2 with 0x9B, of zero bytes with 0, of must-succeed pool with 0x9A', () => {
    expect(bugCheckOf(() => ExAllocatePoolWithTag(PagedPool, 32, 0))).toEqual([0xc2, 0x9b, PagedPool, 32, 0])
    expect(bugCheckOf(() => ExAllocatePoolWithTag(PagedPool, 0, 'Test'))).toEqual([0xc2, 0, 0, PagedPool, TAG])
    expect(bugCheckOf(() => ExAllocatePoolWithTag(2, 32, 'Test'))).toEqual([0xc2, 0x9a, 2, 32, TAG])
  })

  test('of paged pool at DISPATCH_LEVEL is bug check 0xC2 with 8', () => {
    poolFault.irql = () => DISPATCH_LEVEL
    expect(bugCheckOf(() => ExAllocatePoolWithTag(PagedPool, 32, 'Test'))).toEqual([0xc2, 8, 2, PagedPool, 32])
  })

  test('returns NULL when there is no memory, or raises if the type says so', () => {
    expect(ExAllocatePoolWithTag(NonPagedPool, 1 << 30, 'Test')).toBe(0)
    const raising = NonPagedPool | ddi.POOL_RAISE_IF_ALLOCATION_FAILURE
    expect(statusOf(() => ExAllocatePoolWithTag(raising, 1 << 30, 'Test'))).toBe(0xc000009a | 0)
  })
})

describe('ExAllocatePoolZero', () => {
  test('clears the memory', () => {
    dirty(64)
    expect(mem.i32[ExAllocatePoolZero(NonPagedPoolNx, 64, 'Test') >> 2]).toBe(0)
  })
})

describe('ExFreePool', () => {
  test('takes an address or a struct, whatever the tag', () => {
    ExFreePool(ExAllocatePool2(POOL_FLAG_NON_PAGED, 32, 'Test'))
    ExFreePool({ address: ExAllocatePool2(POOL_FLAG_NON_PAGED, 9000, 'Test') })
    expect(poolBytesInUse()).toBe(0)
  })

  test('of paged pool at DISPATCH_LEVEL is bug check 0xC2 with 9', () => {
    const paged = ExAllocatePool2(POOL_FLAG_PAGED, 32, 'Test')
    const nonpaged = ExAllocatePool2(POOL_FLAG_NON_PAGED, 32, 'Test')
    poolFault.irql = () => DISPATCH_LEVEL
    expect(bugCheckOf(() => ExFreePool(paged))).toEqual([0xc2, 9, DISPATCH_LEVEL, PagedPool, paged])
    ExFreePool(nonpaged)
    poolFault.irql = () => APC_LEVEL
    ExFreePool(paged)
    expect(poolBytesInUse()).toBe(0)
  })

  test('above DISPATCH_LEVEL is bug check 0xC2 with 9', () => {
    const address = ExAllocatePool2(POOL_FLAG_NON_PAGED, 32, 'Test')
    poolFault.irql = () => SYNCH_LEVEL
    expect(bugCheckOf(() => ExFreePool(address))).toEqual([0xc2, 9, SYNCH_LEVEL, NonPagedPoolNx, address])
  })
})

describe('ExFreePoolWithTag', () => {
  test('frees a block of that tag', () => {
    ExFreePoolWithTag(ExAllocatePool2(POOL_FLAG_NON_PAGED, 32, 'Test'), 'Test')
    expect(poolBytesInUse()).toBe(0)
  })

  test('with another tag is bug check 0xC2 with 0xA', () => {
    const address = ExAllocatePool2(POOL_FLAG_NON_PAGED, 32, 'Test')
    expect(bugCheckOf(() => ExFreePoolWithTag(address, 'Else'))).toEqual([0xc2, 0xa, address, TAG, tagOf('Else')])
  })

  test('of NULL is bug check 0xC2 with 0x46', () => {
    expect(bugCheckOf(() => ExFreePoolWithTag(0, 'Test'))).toEqual([0xc2, 0x46, 0, 0, 0])
  })
})
