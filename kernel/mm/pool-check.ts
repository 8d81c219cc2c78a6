/**
 * What can be wrong with an address that is given back, and the bug check for it.
 *
 * `isPlainlySound` passes nearly every block at the cost of a few loads; `faultOf` looks at the rest with care.
 */

import { ALLOCATED, ANY_BLOCK, BLOCK, firstOffsets, HEADER_BYTES, LARGE, PAGE_OF_BLOCKS } from './pool-blocks.ts'
import { pagesFor, PAGED_BIT, strides } from './pool-blocks.ts'
import { PAGE_SHIFT, PAGE_SIZE, pool, poolFault } from './pool-control.ts'
import { mem } from './memory.ts'
import { descriptorOf, FREED } from './pool-pages.ts'
import { isUsageRow } from './pool-usage.ts'

/** What is wrong, by name; '' if nothing is. */
export type PoolFault = '' | 'address' | 'freed' | 'header' | 'next header' | 'tag'

const BAD_POOL_HEADER = 0x19
const BAD_POOL_CALLER = 0xc2

/** Whether `address` is a small block in use, sound itself and followed by a sound one on its page. Caller holds the lock. */
export function isPlainlySound(address: number, tag: number): boolean {
  const { i32 } = mem
  const page = address >>> PAGE_SHIFT
  if (page < pool.firstPage || page >= pool.endPage) return false
  const kind = i32[descriptorOf(page)]!
  const offset = address & (PAGE_SIZE - 1)
  // No need to divide by the stride: only where a block starts does its class stand before it with a row of the table.
  if ((kind & ~0xff) !== PAGE_OF_BLOCKS || offset === 0 || (offset & 15) !== 0) return false
  const blockClass = kind & 0xff
  const stride = strides[blockClass]!
  const header = (address - HEADER_BYTES) >> 2
  return (
    offset - HEADER_BYTES + 2 * stride <= PAGE_SIZE &&
    (i32[header]! & ~PAGED_BIT) === ALLOCATED + blockClass &&
    (i32[header + (stride >> 2)]! & ANY_BLOCK) === BLOCK + blockClass &&
    i32[header + 2]! >>> 0 <= stride - HEADER_BYTES &&
    isUsageRow(i32[header + 3]!) &&
    (tag === 0 || tag === i32[header + 1])
  )
}

/** Index of the header that a block at `address` would have, 0 where no block can start. */
export function headerOf(address: number): number {
  const page = address >>> PAGE_SHIFT
  if (page < pool.firstPage || page >= pool.endPage) return 0
  const descriptor = descriptorOf(page)
  const kind = mem.i32[descriptor]!
  const offset = address & (PAGE_SIZE - 1)
  if (offset === 0) return (kind & ~PAGED_BIT) === LARGE ? descriptor : 0
  if ((kind & ~0xff) !== PAGE_OF_BLOCKS) return 0
  const blockClass = kind & 0xff
  const distance = offset - HEADER_BYTES - firstOffsets[blockClass]!
  return distance >= 0 && distance % strides[blockClass]! === 0 ? (address - HEADER_BYTES) >> 2 : 0
}

/** What speaks against freeing `address` with `tag` (0: any). Caller holds the pool lock. */
export function faultOf(address: number, tag: number): PoolFault {
  const { i32 } = mem
  const header = headerOf(address)
  const page = address >>> PAGE_SHIFT
  if (header === 0) {
    const isInside = page >= pool.firstPage && page < pool.endPage
    return isInside && i32[descriptorOf(page)] === FREED ? 'freed' : 'address'
  }
  const kind = i32[descriptorOf(page)]! & ~PAGED_BIT
  const size = i32[header + 2]!
  if (kind !== LARGE) {
    const blockClass = kind & 0xff
    if (i32[header] === BLOCK + blockClass) return 'freed'
    if ((i32[header]! & ~PAGED_BIT) !== ALLOCATED + blockClass) return 'header'
    if (size >>> 0 > strides[blockClass]! - HEADER_BYTES) return 'header'
  }
  if (!isUsageRow(i32[header + 3]!)) return 'header'
  if (!isHeaderSound(headerAfter(address, size))) return 'next header'
  return tag !== 0 && tag !== i32[header + 1] ? 'tag' : ''
}

/** Bug checks for `fault`. Caller has released the pool lock. */
export function refuseFree(fault: PoolFault, address: number, tag: number): never {
  const { i32 } = mem
  const header = headerOf(address)
  switch (fault) {
    case 'freed':
      return poolFault.bugCheck(BAD_POOL_CALLER, 0x7, 0, header === 0 ? 0 : i32[header]! >>> 0, address)
    case 'tag':
      return poolFault.bugCheck(BAD_POOL_CALLER, 0xa, address, i32[header + 1]! >>> 0, tag >>> 0)
    case 'next header':
      return poolFault.bugCheck(BAD_POOL_HEADER, 0x20, header << 2, headerAfter(address, i32[header + 2]!), 0)
    case 'header':
      return poolFault.bugCheck(BAD_POOL_HEADER, 0x20, header << 2, 0, 0)
    default:
      return poolFault.bugCheck(BAD_POOL_CALLER, 0x46, address, 0, 0)
  }
}

/** Address of the header behind a block, on the next page if need be: what runs over the block's end meets it first. */
function headerAfter(address: number, size: number): number {
  const page = address >>> PAGE_SHIFT
  const offset = address & (PAGE_SIZE - 1)
  let nextPage = page + pagesFor(size)
  if (offset !== 0) {
    const stride = strides[mem.i32[descriptorOf(page)]! & 0xff]!
    if (offset - HEADER_BYTES + 2 * stride <= PAGE_SIZE) return address - HEADER_BYTES + stride
    nextPage = page + 1
  }
  const kind = mem.i32[descriptorOf(nextPage)]!
  if ((kind & ~0xff) !== PAGE_OF_BLOCKS) return 0 // no header there: descriptors lie apart
  return (nextPage << PAGE_SHIFT) + firstOffsets[kind & 0xff]!
}

function isHeaderSound(address: number): boolean {
  const { i32 } = mem
  if (address === 0) return true
  const blockClass = i32[descriptorOf(address >>> PAGE_SHIFT)]! & 0xff
  return (i32[address >> 2]! & ANY_BLOCK) === BLOCK + blockClass
}
