/**
 * The pool: memory for every kernel object and driver, in shared memory, seen alike by all processors.
 *
 * Each block has a header of four words: state with class and type · tag · size as asked for · usage row. A small one
 * has it in the 16 bytes before it; one of whole pages, which starts on a page, in its first page's descriptor.
 * So a free finds whether the address is a block's, whether it is free already, whose it is, and whether its
 * header or the next one was written over.
 */

import { ALLOCATED, classOf, HEADER_BYTES, LARGE, PAGED_BIT, pagesFor } from './pool-blocks.ts'
import { releaseBlock, releaseEmptyPages, takeBlock } from './pool-blocks.ts'
import { faultOf, headerOf, isPlainlySound, refuseFree } from './pool-check.ts'
import { acquirePoolLock, attachControl, createControl, PAGE_SHIFT, PAGE_SIZE, pool } from './pool-control.ts'
import { poolFault, releasePoolLock } from './pool-control.ts'
import { mem } from './memory.ts'
import { createPages, descriptorOf, measureFreePages, releasePages, takePages } from './pool-pages.ts'
import { countAllocation, countFree, tagOf } from './pool-usage.ts'

export { poolFault, poolLocks } from './pool-control.ts'
export { type PoolUsage, poolBytesInUse, poolUsage, tagOf, tagText } from './pool-usage.ts'

/** What kind of memory `allocate` shall give; 0 is nonpaged and zeroed. */
export const PAGED = 1
export const UNINITIALIZED = 2 // whatever was there before
export const CACHE_ALIGNED = 4 // starts on a line of 64 bytes

const LARGEST_REQUEST = 0x7fffffff

/** Makes the pool in [start, end), which must be zero. Once a machine, before any other thread attaches. */
export function initializePool(region: { start: number; end: number; processors: number }): void {
  createPages(createControl(region.start, region.end, region.processors))
}

/** Makes this thread use the pool that another one made at `start`. */
export function attachPool(start: number): void {
  attachControl(start)
}

/**
 * Allocates a block, aligned to 16 bytes, or to a page if it is as large as one.
 *
 * @returns its address, or 0 if there is no memory.
 */
export function allocate(size: number, tag: string | number, flags = 0): number {
  if (!(size >= 0 && size <= LARGEST_REQUEST)) return 0
  const tagNumber = tagOf(tag)
  if (poolFault.shouldFail !== null && poolFault.shouldFail(size, tagNumber)) return 0
  const blockClass = classOf(size, (flags & CACHE_ALIGNED) !== 0)
  if (blockClass === 0) return allocatePages(size, tagNumber, flags)
  acquirePoolLock()
  const address = takeBlock(blockClass) || (releaseEmptyPages() ? takeBlock(blockClass) : 0)
  if (address !== 0) {
    const header = (address - HEADER_BYTES) >> 2
    fillHeader(header, ALLOCATED + blockClass, size, tagNumber, flags & PAGED)
  }
  releasePoolLock()
  // Only now: it is the caller's block, and clearing it is the longest part.
  if (address !== 0 && (flags & UNINITIALIZED) === 0) clear(address, address + size)
  return address
}

/** Frees a block. Anything that is not one, or whose tag is another than `tag` (0: any), is a bug check. */
export function free(address: number, tag: string | number = 0): void {
  const { i32 } = mem
  const tagNumber = tagOf(tag)
  acquirePoolLock()
  if (!isPlainlySound(address, tagNumber)) {
    const fault = faultOf(address, tagNumber)
    if (fault !== '') {
      releasePoolLock()
      refuseFree(fault, address, tagNumber)
    }
  }
  const page = address >>> PAGE_SHIFT
  const isSmall = (address & (PAGE_SIZE - 1)) !== 0
  const header = isSmall ? (address - HEADER_BYTES) >> 2 : descriptorOf(page)
  const size = i32[header + 2]!
  countFree(i32[header + 3]!, size)
  if (isSmall) releaseBlock(address, i32[header]! & 0xff)
  else releasePages(page, pagesFor(size))
  releasePoolLock()
}

/** Whether the block at `address` is paged pool; false for what is no block. Needs no lock if it is the caller's. */
export function isPaged(address: number): boolean {
  const header = headerOf(address)
  return header !== 0 && (mem.i32[header]! & PAGED_BIT) !== 0
}

/** Bytes in free pages and in the longest run of them: what a request of whole pages can hope for. */
export function poolBytesFree(): { free: number; longest: number } {
  acquirePoolLock()
  releaseEmptyPages()
  const { free: freePages, longest } = measureFreePages()
  releasePoolLock()
  return { free: freePages * PAGE_SIZE, longest: longest * PAGE_SIZE }
}

/** Allocates a struct, zeroed. @returns its view, or null if there is no memory. */
export function allocateStruct<T>(
  type: { new (address: number): T; readonly size: number },
  tag: string | number,
  options: { paged?: boolean } = {},
): T | null {
  const address = allocate(type.size, tag, options.paged === true ? PAGED : 0)
  return address === 0 ? null : new type(address)
}

function allocatePages(size: number, tag: number, flags: number): number {
  const { i32 } = mem
  const count = pagesFor(size)
  acquirePoolLock()
  const untouched = i32[pool.untouchedPage]!
  const page = takePages(count) || (releaseEmptyPages() ? takePages(count) : 0)
  if (page !== 0) fillHeader(descriptorOf(page), LARGE, size, tag, flags & PAGED)
  releasePoolLock()
  if (page === 0) return 0
  const address = page << PAGE_SHIFT
  // What was never handed out is zero and has cost no memory yet; clearing it would.
  if ((flags & UNINITIALIZED) === 0) clear(address, Math.min(address + size, untouched << PAGE_SHIFT))
  return address
}

function fillHeader(header: number, state: number, size: number, tag: number, paged: number): void {
  const { i32 } = mem
  i32[header] = paged === 0 ? state : state | PAGED_BIT
  i32[header + 1] = tag
  i32[header + 2] = size
  i32[header + 3] = countAllocation(tag, paged, size)
}

const SHORT_BYTES = 512 // up to here a loop is faster than fill

/** Clears whole words of eight bytes, as many as [start, end) reaches into; bytes one by one take seven times as long. */
function clear(start: number, end: number): void {
  const { f64 } = mem
  const last = (end + 7) >>> 3
  if (end - start > SHORT_BYTES) f64.fill(0, start >>> 3, last)
  else for (let word = start >>> 3; word < last; word++) f64[word] = 0
}
