import { beforeEach, describe, expect, test } from 'vitest'
import { mem } from '../../../kernel/mm/memory.ts'
import { allocate, free, PAGED, poolBytesInUse, poolFault, poolUsage, tagOf } from '../../../kernel/mm/pool.ts'
import { bugCheckOf, freshPool, POOL_START } from './pool-region.ts'

// Bug check 0xC2: 7 double free, 0xA wrong tag, 0x46 bad address; 0x19: 0x20 header (wdm-facts, section 17).
const DOUBLE_FREE = [0xc2, 0x7, 0]
const BAD_ADDRESS = [0xc2, 0x46]

const ascending = (left: number, right: number): number => left - right

beforeEach(() => {
  freshPool()
})

describe('a second free is bug check 0xC2 with 7', () => {
  test.for([16, 64, 512, 2032, 4080, 4096, 9000])('for a block of %i bytes', (size) => {
    const address = allocate(size, 'Test')
    free(address)
    const numbers = bugCheckOf(() => free(address))
    expect([numbers?.slice(0, 3), numbers?.[4]]).toEqual([DOUBLE_FREE, address])
  })

  test('for a block whose page went back to the pool', () => {
    const blocks = Array.from({ length: 20 }, () => allocate(1000, 'Test'))
    for (const block of blocks) free(block)
    const last = blocks.at(-1) as number
    expect(bugCheckOf(() => free(last))?.slice(0, 3)).toEqual(DOUBLE_FREE)
  })

  test('for pages that grew together with those before them', () => {
    const [first, second] = [allocate(8192, 'Test'), allocate(8192, 'Test')]
    free(first)
    free(second)
    expect(bugCheckOf(() => free(second))?.slice(0, 3)).toEqual(DOUBLE_FREE)
  })
})

describe('a free of what is no block is bug check 0xC2 with 0x46', () => {
  test('for NULL, the control block, the end of memory and beyond', () => {
    for (const address of [0, 16, POOL_START, POOL_START + 64, mem.u8.length, 0x7ffffff0]) {
      expect(bugCheckOf(() => free(address))).toEqual([...BAD_ADDRESS, address, 0, 0])
    }
  })

  test('for an address inside a block', () => {
    const small = allocate(200, 'Test')
    const large = allocate(20000, 'Test')
    for (const address of [small + 1, small + 16, small - 16, small + 208, large + 16, large + 4096]) {
      expect(bugCheckOf(() => free(address))?.slice(0, 3), `${address - small}`).toEqual([...BAD_ADDRESS, address])
    }
  })

  test('for pages that nobody allocated', () => {
    const large = allocate(4096, 'Test')
    expect(bugCheckOf(() => free(large + 4096))).toEqual([...BAD_ADDRESS, large + 4096, 0, 0])
  })
})

describe('a free with another tag', () => {
  test.for([64, 8192])('is bug check 0xC2 with 0xA for %i bytes, and the block stays', (size) => {
    const address = allocate(size, 'Mine')
    expect(bugCheckOf(() => free(address, 'Your'))).toEqual([0xc2, 0xa, address, tagOf('Mine'), tagOf('Your')])
    expect(poolBytesInUse()).toBe(size)
    free(address, 'Mine')
  })
})

describe('a write', () => {
  test('over the end is bug check 0x19 with 0x20 and the next header', () => {
    for (const size of [48, 496, 1008]) {
      const address = allocate(size, 'Test')
      const next = address - 16 + (size === 1008 ? 1024 : size + 16)
      mem.u8.fill(0x41, address, address + size + 4)
      expect(bugCheckOf(() => free(address))).toEqual([0x19, 0x20, address - 16, next, 0])
      freshPool()
    }
  })

  test('over the end of a page is found in the first header of the next', () => {
    const blocks = Array.from({ length: 6 }, () => allocate(2032, 'Test'))
    const last = blocks.find((block) => (block + 2032) % 4096 === 0 && blocks.includes(block + 2048)) as number
    mem.u8.fill(0x41, last, last + 2032 + 1)
    expect(bugCheckOf(() => free(last))).toEqual([0x19, 0x20, last - 16, last + 2032, 0])
  })

  test('before the start is bug check 0x19 with 0x20 and the header', () => {
    const address = allocate(64, 'Test')
    mem.u8.fill(0x41, address - 4, address)
    expect(bugCheckOf(() => free(address))).toEqual([0x19, 0x20, address - 16, 0, 0])
  })

  test('over a free header is found when that block is taken', () => {
    const address = allocate(64, 'Test')
    mem.u8.fill(0x41, address, address + 66)
    expect(bugCheckOf(() => allocate(64, 'Test'))).toEqual([0x19, 0x20, address + 64, 0, 0])
  })

  test('after the free does no harm to the pool', () => {
    const blocks = Array.from({ length: 5 }, () => allocate(64, 'Test'))
    for (const block of blocks) free(block)
    for (const block of blocks) mem.u8.fill(0xff, block, block + 64)
    const again = Array.from({ length: 5 }, () => allocate(64, 'Test'))
    expect(again.sort(ascending)).toEqual(blocks.sort(ascending))
  })
})

test('a fault leaves the lock free', () => {
  freshPool(1 << 20, 2)
  expect(bugCheckOf(() => free(0))).not.toBeNull()
  expect(allocate(64, 'Test')).not.toBe(0)
})

describe('usage', () => {
  test('is counted by tag and type, in bytes as asked for', () => {
    const first = allocate(100, 'Uart')
    allocate(28, 'Uart')
    allocate(5000, 'Uart', PAGED)
    free(first)
    expect(poolUsage()).toEqual([
      { tag: 'Uart', type: 'paged', allocations: 1, frees: 0, bytes: 5000 },
      { tag: 'Uart', type: 'nonpaged', allocations: 2, frees: 1, bytes: 28 },
    ])
  })

  test('of more tags than there are rows is counted under Ovfl', () => {
    const blocks = Array.from({ length: 1000 }, (_, index) => allocate(16, 0x41000000 + index, index & 1))
    const rows = poolUsage()
    expect(rows.reduce((sum, row) => sum + row.bytes, 0)).toBe(16000)
    const overflow = rows.filter((row) => row.tag === 'Ovfl')
    expect(overflow.map((row) => row.type).sort()).toEqual(['nonpaged', 'paged'])
    for (const block of blocks) free(block)
    expect(poolBytesInUse()).toBe(0)
  })

  test('is not counted for an allocation that fails', () => {
    poolFault.shouldFail = () => true
    allocate(64, 'Test')
    poolFault.shouldFail = null
    allocate(1 << 30, 'Test')
    expect(poolUsage()).toEqual([])
  })

  test('shows a tag as it is written', () => {
    expect(tagOf('Uart')).toBe(0x74726155) // 'traU' in C
    for (const tag of ['Uart', tagOf('Uart')]) allocate(16, tag)
    allocate(16, 'Io')
    expect(poolUsage().map((row) => row.tag)).toEqual(['Uart', 'Io  '])
  })
})
