import fc from 'fast-check'
import { beforeEach, describe, expect, test } from 'vitest'
import { mem } from '../../../kernel/mm/memory.ts'
import { allocate, allocateStruct, CACHE_ALIGNED, free, isPaged, PAGED } from '../../../kernel/mm/pool.ts'
import { poolBytesFree, poolBytesInUse, poolFault, UNINITIALIZED } from '../../../kernel/mm/pool.ts'
import { freshPool, POOL_START } from './pool-region.ts'

const PAGE = 4096
/** Sizes at the edges of classes, and around pages. */
const EDGES = [
  1, 16, 17, 32, 496, 512, 513, 560, 1008, 1344, 2032, 2033, 4016, 4079, 4080, 4081, 4095, 4096, 4097, 70000,
]

beforeEach(() => {
  freshPool()
})

function fill(address: number, size: number, byte: number): void {
  mem.u8.fill(byte, address, address + size)
}

function isFilled(address: number, size: number, byte: number): boolean {
  return mem.u8.subarray(address, address + size).every((value) => value === byte)
}

describe('a block', () => {
  test.for(EDGES)('of %i bytes is aligned, and zero also when its memory was used before', (size) => {
    for (let round = 0; round < 3; round++) {
      const address = allocate(size, 'Test')
      expect(address % (size >= PAGE ? PAGE : 16)).toBe(0)
      expect(isFilled(address, size, 0)).toBe(true)
      fill(address, size, 0xff)
      free(address)
    }
  })

  test.for(EDGES)('of %i bytes starts on a cache line if asked to', (size) => {
    for (let count = 0; count < 20; count++) expect(allocate(size, 'Test', CACHE_ALIGNED) % 64).toBe(0)
  })

  test.for(EDGES.filter((size) => size <= PAGE))('of %i bytes lies on one page', (size) => {
    for (let count = 0; count < 20; count++) {
      const address = allocate(size, 'Test')
      expect(Math.floor((address + size - 1) / PAGE)).toBe(Math.floor(address / PAGE))
    }
  })

  test('keeps what was there before if it need not be initialized', () => {
    const address = allocate(64, 'Test')
    fill(address, 64, 0xab)
    free(address)
    expect(allocate(64, 'Test', UNINITIALIZED)).toBe(address)
    expect(isFilled(address, 64, 0xab)).toBe(true)
  })

  test('knows whether it is paged', () => {
    for (const size of [64, 8192]) {
      expect([isPaged(allocate(size, 'Test', PAGED)), isPaged(allocate(size, 'Test'))]).toEqual([true, false])
    }
  })

  test('of no bytes is a block all the same', () => {
    const [first, second] = [allocate(0, 'Test'), allocate(0, 'Test')]
    expect(first).not.toBe(second)
    free(first)
    free(second)
  })
})

describe('memory', () => {
  const operation = fc.oneof(
    fc.record({
      do: fc.constant('allocate' as const),
      size: fc.oneof(
        fc.integer({ min: 0, max: 700 }),
        fc.constantFrom(...EDGES, 16 * PAGE, 17 * PAGE),
        fc.integer({ min: 700, max: 60000 }),
      ),
      flags: fc.integer({ min: 0, max: 7 }),
    }),
    fc.record({ do: fc.constant('free' as const), pick: fc.nat() }),
  )

  test('is never given twice, holds what is written, and all comes back', () => {
    fc.assert(
      fc.property(fc.array(operation, { minLength: 50, maxLength: 400 }), (operations) => {
        freshPool(1 << 20)
        const atFirst = poolBytesFree()
        const live: { address: number; size: number; byte: number }[] = []
        const release = (index: number): void => {
          const [block] = live.splice(index, 1)
          if (block === undefined) return
          expect(isFilled(block.address, block.size, block.byte)).toBe(true)
          free(block.address, 'Prop')
        }
        operations.forEach((one, step) => {
          if (one.do === 'free') return release(one.pick % Math.max(live.length, 1))
          const address = allocate(one.size, 'Prop', one.flags)
          if (address === 0) return
          expect(address).toBeGreaterThan(POOL_START)
          expect(address + one.size).toBeLessThanOrEqual(1 << 20)
          expect((one.flags & UNINITIALIZED) !== 0 || isFilled(address, one.size, 0)).toBe(true)
          const block = { address, size: one.size, byte: (step % 255) + 1 }
          // With no size given the block is still one: a second at its address would be found here.
          const end = address + Math.max(one.size, 1)
          expect(live.some((other) => other.address < end && address < other.address + Math.max(other.size, 1))).toBe(
            false,
          )
          fill(address, one.size, block.byte)
          live.push(block)
        })
        expect(poolBytesInUse()).toBe(live.reduce((sum, { size }) => sum + size, 0))
        while (live.length > 0) release(live.length - 1)
        expect(poolBytesInUse()).toBe(0)
        expect(poolBytesFree()).toEqual(atFirst)
      }),
      { numRuns: 150 },
    )
  })

  test('does not grow under a loop of allocations and frees of changing sizes', () => {
    freshPool(1 << 20)
    const ring = Array.from({ length: 64 }, () => 0)
    for (let round = 0; round < 200_000; round++) {
      const slot = (round * 7) % ring.length
      if (ring[slot] !== 0) free(ring[slot] as number)
      ring[slot] = allocate(1 + (((round * 2654435761) >>> 0) % 6000), 'Loop')
      expect(ring[slot] === 0, `round ${round}`).toBe(false)
    }
  })

  test('that all went into small blocks can become one large block again', () => {
    const { free: bytes, longest } = poolBytesFree()
    expect(longest).toBe(bytes)
    const blocks: number[] = []
    for (let address = allocate(48, 'Smal'); address !== 0; address = allocate(48, 'Smal')) blocks.push(address)
    expect(blocks.length).toBeGreaterThan(((bytes / 4096) | 0) * 63)
    // in an order that leaves pages half empty for long
    for (let start = 0; start < 7; start++) for (let at = start; at < blocks.length; at += 7) free(blocks[at] as number)
    expect(allocate(bytes, 'Larg')).not.toBe(0)
  })

  test('of 16 free pages does not serve a request for 17', () => {
    const gap = allocate(16 * PAGE, 'Test')
    const after = allocate(64, 'Test')
    free(gap)
    expect(allocate(17 * PAGE, 'Test')).toBeGreaterThan(after)
    expect(allocate(16 * PAGE, 'Test')).toBe(gap)
  })

  test('that is used up gives 0, and serves again after a free', () => {
    const blocks: number[] = []
    for (let address = allocate(20000, 'Full'); address !== 0; address = allocate(20000, 'Full')) blocks.push(address)
    expect(allocate(20000, 'Full')).toBe(0)
    free(blocks[3] as number)
    expect(allocate(20000, 'Full')).toBe(blocks[3])
  })

  test.for([-1, Number.NaN, 2 ** 31, 2 ** 53, Number.POSITIVE_INFINITY])('of %d bytes does not exist', (size) => {
    expect(allocate(size, 'Test')).toBe(0)
  })

  test('of many pages costs nothing where it was never touched', () => {
    freshPool(1 << 30)
    const before = process.memoryUsage().rss
    const address = allocate(900 << 20, 'Huge')
    expect(address).not.toBe(0)
    expect(process.memoryUsage().rss - before).toBeLessThan(64 << 20)
  })

  test('fails when the low-resources simulation says so', () => {
    poolFault.shouldFail = (size) => size === 100
    expect([allocate(100, 'Test'), allocate(101, 'Test') !== 0]).toEqual([0, true])
  })
})

describe('allocateStruct', () => {
  class POINT {
    static readonly size = 24
    readonly address: number
    constructor(address: number) {
      this.address = address
    }
  }

  test('gives a view of zeroed memory of the struct', () => {
    const point = allocateStruct(POINT, 'Test', { paged: true })
    expect(point).toBeInstanceOf(POINT)
    expect([isFilled(point?.address ?? 0, 24, 0), isPaged(point?.address ?? 0)]).toEqual([true, true])
  })

  test('gives null when there is no memory', () => {
    poolFault.shouldFail = () => true
    expect(allocateStruct(POINT, 'Test')).toBeNull()
  })
})
