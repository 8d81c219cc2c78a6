/**
 * Small blocks of the pool: each page holds blocks of one size class, so none crosses a page boundary.
 *
 * Classes go in steps of 16 bytes up to 512, then by how many fit on a page. A block is a header of 16 bytes and what the
 * caller gets, right behind it. Free blocks are chained through their headers, not their bodies, so that a write
 * after free cannot bend the chain.
 *
 * Descriptor of such a page: 0 PAGE_OF_BLOCKS + class · 1 blocks in use << 16 | offset of the first free block's body, 0 if
 * none · 2 next, 3 previous page of this class that has a free block. A page without one is in no list. Of each class
 * one page without a block in use is kept, or a loop around one block would make and lose it each time.
 */

import { CLASS_LIMIT, PAGE_SHIFT, PAGE_SIZE, pool, poolFault, releasePoolLock } from './pool-control.ts'
import { mem } from './memory.ts'
import { descriptorOf, releasePages, takePages } from './pool-pages.ts'

export const PAGE_OF_BLOCKS = 0x50420000
export const LARGE = 0x4c670000 // a page on which a block of whole pages starts: its header, see pool.ts

// A header's word 0 is one of these + class; then 1 tag · 2 size as asked for · 3 usage row, or offset of the next free block.
export const BLOCK = 0x506c0000 // free
export const ALLOCATED = BLOCK | 0x200 // in use; PAGED_BIT tells the type
export const PAGED_BIT = 0x100
export const ANY_BLOCK = ~0x300 // mask: in use or free

export const HEADER_BYTES = 16
const STEPPED_BYTES = 512
const CACHE_LINE = 64
const ONE_IN_USE = 1 << 16

export const LARGEST_BLOCK = PAGE_SIZE - HEADER_BYTES

/** Of each class: bytes from one header to the next, and the offset of the page's first header. */
export const strides = new Uint16Array(CLASS_LIMIT)
export const firstOffsets = new Uint8Array(CLASS_LIMIT)

// Classes by (size + 15) >> 4. In cache-aligned classes, bodies start on a cache line.
const classes = new Uint8Array(PAGE_SIZE >> 4)
const alignedClasses = new Uint8Array(PAGE_SIZE >> 4)

const classCount = defineClasses()

/** The class of the smallest blocks with room for `size`, or 0 if only whole pages have it. */
export function classOf(size: number, cacheAligned: boolean): number {
  if (size > LARGEST_BLOCK) return 0
  return cacheAligned ? alignedClasses[(size + 15) >> 4]! : classes[(size + 15) >> 4]!
}

/** Pages that a block of whole pages takes. */
export function pagesFor(size: number): number {
  return (size + PAGE_SIZE - 1) >>> PAGE_SHIFT
}

/** Takes a block out of a page of its class. Caller holds the pool lock. @returns its body's address, or 0. */
export function takeBlock(blockClass: number): number {
  const { i32 } = mem
  const head = pool.partialPages + blockClass
  const page = i32[head]! || createPageOfBlocks(blockClass)
  if (page === 0) return 0
  const descriptor = descriptorOf(page)
  const state = i32[descriptor + 1]!
  const address = (page << PAGE_SHIFT) + (state & 0xffff)
  const header = (address - HEADER_BYTES) >> 2
  if (i32[header] !== BLOCK + blockClass) refuseHeader(header)
  const next = i32[header + 3]!
  i32[descriptor + 1] = ((state & ~0xffff) | next) + ONE_IN_USE
  if (state < ONE_IN_USE) i32[pool.emptyPages + blockClass] = 0
  if (next === 0) {
    const nextPage = i32[descriptor + 2]!
    i32[head] = nextPage
    if (nextPage !== 0) i32[descriptorOf(nextPage) + 3] = 0
  }
  return address
}

/** Puts a block back that was found to be sound. Caller holds the pool lock. */
export function releaseBlock(address: number, blockClass: number): void {
  const { i32 } = mem
  const page = address >>> PAGE_SHIFT
  const descriptor = descriptorOf(page)
  const header = (address - HEADER_BYTES) >> 2
  const state = i32[descriptor + 1]!
  const next = state & 0xffff
  i32[header] = BLOCK + blockClass
  i32[header + 3] = next
  i32[descriptor + 1] = ((state & ~0xffff) | (address & (PAGE_SIZE - 1))) - ONE_IN_USE
  if (next === 0) linkPage(page, blockClass)
  if (state >= 2 * ONE_IN_USE) return
  const kept = pool.emptyPages + blockClass
  if (i32[kept] === 0) i32[kept] = page
  else destroyPageOfBlocks(page, blockClass)
}

/** Gives back the pages that were kept without a block in use. Caller holds the pool lock. @returns whether there was one. */
export function releaseEmptyPages(): boolean {
  const { i32 } = mem
  let found = false
  for (let blockClass = 1; blockClass <= classCount; blockClass++) {
    const page = i32[pool.emptyPages + blockClass]!
    if (page === 0) continue
    i32[pool.emptyPages + blockClass] = 0
    destroyPageOfBlocks(page, blockClass)
    found = true
  }
  return found
}

function createPageOfBlocks(blockClass: number): number {
  const { i32 } = mem
  const page = takePages(1)
  if (page === 0) return 0
  const stride = strides[blockClass]!
  const first = firstOffsets[blockClass]!
  const start = page << PAGE_SHIFT
  for (let offset = first; offset + stride <= PAGE_SIZE; offset += stride) {
    const header = (start + offset) >> 2
    const next = offset + stride
    i32[header] = BLOCK + blockClass
    i32[header + 3] = next + stride <= PAGE_SIZE ? next + HEADER_BYTES : 0
  }
  const descriptor = descriptorOf(page)
  i32[descriptor] = PAGE_OF_BLOCKS + blockClass
  i32[descriptor + 1] = first + HEADER_BYTES
  linkPage(page, blockClass)
  return page
}

function destroyPageOfBlocks(page: number, blockClass: number): void {
  const { i32 } = mem
  const descriptor = descriptorOf(page)
  const next = i32[descriptor + 2]!
  const previous = i32[descriptor + 3]!
  if (next !== 0) i32[descriptorOf(next) + 3] = previous
  if (previous !== 0) i32[descriptorOf(previous) + 2] = next
  else i32[pool.partialPages + blockClass] = next
  releasePages(page, 1)
}

function linkPage(page: number, blockClass: number): void {
  const { i32 } = mem
  const head = pool.partialPages + blockClass
  const next = i32[head]!
  const descriptor = descriptorOf(page)
  i32[descriptor + 2] = next
  i32[descriptor + 3] = 0
  if (next !== 0) i32[descriptorOf(next) + 3] = page
  i32[head] = page
}

/** A free block's header was written over. */
function refuseHeader(header: number): never {
  releasePoolLock()
  return poolFault.bugCheck(0x19, 0x20, header << 2, 0, 0)
}

function defineClasses(): number {
  let count = 0
  const define = (table: Uint8Array, stride: number, first: number): void => {
    count += 1
    strides[count] = stride
    firstOffsets[count] = first
    let size = (stride - HEADER_BYTES) >> 4
    while (size >= 0 && table[size] === 0) table[size--] = count
  }
  for (let size = 16; size <= STEPPED_BYTES; size += 16) define(classes, size + HEADER_BYTES, 0)
  for (let fit = 7; fit >= 1; fit--) define(classes, Math.floor(PAGE_SIZE / fit) & ~15, 0)
  // The first header lies so that its body starts on a cache line; strides of whole lines keep it so.
  const first = CACHE_LINE - HEADER_BYTES
  const room = PAGE_SIZE - first
  for (let stride = 128; stride <= 384; stride += CACHE_LINE) define(alignedClasses, stride, first)
  for (const fit of [8, 6, 5, 4, 3, 2, 1]) define(alignedClasses, Math.floor(room / fit) & -CACHE_LINE, first)
  return count
}
