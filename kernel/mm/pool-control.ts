/**
 * The pool's control block: where its parts lie in shared memory, the lock over all of them, and what a fault calls.
 *
 * One lock guards everything here. A section under it is some ten loads and stores (worst: a walk over free runs
 * when memory is nearly used up). Interrupts are taken only at interruption points and no section contains one, so no
 * ISR or DPC of this processor can come inside and ask for the lock again; that is why it needs no raised IRQL.
 */

import { assert } from '../../base/assert.ts'
import { mem } from './memory.ts'

export const PAGE_SHIFT = 12
export const PAGE_SIZE = 1 << PAGE_SHIFT

export const CLASS_LIMIT = 64 // size classes
export const BIN_LIMIT = 160 // lists of free runs; a whole number of bitmap words
export const USAGE_ROWS = 512 // a power of two
export const OVERFLOW_ROWS = 2
export const USAGE_ROW_BYTES = 32

// Byte offsets in the control block. The lock has a cache line to itself.
const SIGNATURE = 0
const PROCESSORS = 4
const FIRST_PAGE = 8 // page number, as all pages below
const END_PAGE = 12
const UNTOUCHED_PAGE = 16 // pages from here on were never handed out, so they are still zero
const USAGE_COUNT = 20 // rows in use
const LOCK = 64
const PARTIAL_PAGES = 128 // a list head for each size class: a page with a free block, or 0
const EMPTY_PAGES = PARTIAL_PAGES + CLASS_LIMIT * 4 // for each size class: its page without a block in use, or 0
const BIN_BITMAP = EMPTY_PAGES + CLASS_LIMIT * 4
const BIN_HEADS = BIN_BITMAP + BIN_LIMIT / 8
const USAGE = (BIN_HEADS + BIN_LIMIT * 4 + 63) & ~63
const DESCRIPTORS = USAGE + (USAGE_ROWS + OVERFLOW_ROWS) * USAGE_ROW_BYTES

const SIGNED = 0x6c6f6f50 // 'Pool'

/** Words of a page's descriptor; what they mean is told where each kind of page is made. */
export const DESCRIPTOR_WORDS = 4

/** This thread's way to the control block: indexes into `mem.i32`, but `usage` and `control`, which are addresses. */
export const pool = {
  control: 0,
  lock: 0,
  firstPage: 0,
  endPage: 0,
  untouchedPage: 0,
  partialPages: 0,
  emptyPages: 0,
  binBitmap: 0,
  binHeads: 0,
  usage: 0,
  usageCount: 0,
  descriptors: 0, // page p has descriptors + p * DESCRIPTOR_WORDS
}

/** How the lock is taken. A uniprocessor machine needs no atomics: a plain branch decides. */
export const poolLocks = {
  multiprocessor: false,
  /** Called between two short sleeps of a processor that waits for the lock, without holding it. Plugged by ke. */
  whileWaiting: (): void => {},
}

/** What the pool calls when something is wrong. Plugged by ke and vf; the lock is never held during a call. */
export const poolFault = {
  bugCheck(code: number, p1: number, p2: number, p3: number, p4: number): never {
    throw new Error(`bug check 0x${[code, p1, p2, p3, p4].map(hex).join(', 0x')}`)
  },
  raise(status: number): never {
    throw Object.assign(new Error(`status 0x${hex(status)}`), { status })
  },
  irql(): number {
    return 0
  },
  /** Low-resources simulation: an allocation for which this says true finds no memory. */
  shouldFail: null as null | ((size: number, tag: number) => boolean),
}

/** Lays out the control block at the start of zeroed memory. @returns the number of pages that are left for blocks. */
export function createControl(start: number, end: number, processors: number): number {
  const { i32 } = mem
  const control = (start + 63) & ~63
  const endPage = end >>> PAGE_SHIFT
  // One descriptor more on either side stays zero, "not free": merging needs no test for the ends.
  const descriptors = (endPage - (control >>> PAGE_SHIFT) + 2) * DESCRIPTOR_WORDS * 4
  const firstPage = (control + DESCRIPTORS + descriptors + PAGE_SIZE - 1) >>> PAGE_SHIFT
  assert(firstPage < endPage, 'I-pool-1: the pool region has room for its control block and one page')
  i32[(control + PROCESSORS) >> 2] = processors
  i32[(control + FIRST_PAGE) >> 2] = firstPage
  i32[(control + END_PAGE) >> 2] = endPage
  i32[(control + UNTOUCHED_PAGE) >> 2] = firstPage
  Atomics.store(i32, (control + SIGNATURE) >> 2, SIGNED)
  attachControl(start)
  return endPage - firstPage
}

/** Points this thread at the control block that `createControl` laid out at the same `start`. */
export function attachControl(start: number): void {
  const { i32 } = mem
  const control = (start + 63) & ~63
  assert(Atomics.load(i32, (control + SIGNATURE) >> 2) === SIGNED, 'I-pool-2: a pool is attached where one was made')
  pool.control = control
  pool.lock = (control + LOCK) >> 2
  pool.firstPage = i32[(control + FIRST_PAGE) >> 2]!
  pool.endPage = i32[(control + END_PAGE) >> 2]!
  pool.untouchedPage = (control + UNTOUCHED_PAGE) >> 2
  pool.partialPages = (control + PARTIAL_PAGES) >> 2
  pool.emptyPages = (control + EMPTY_PAGES) >> 2
  pool.binBitmap = (control + BIN_BITMAP) >> 2
  pool.binHeads = (control + BIN_HEADS) >> 2
  pool.usage = control + USAGE
  pool.usageCount = (control + USAGE_COUNT) >> 2
  pool.descriptors = ((control + DESCRIPTORS) >> 2) + (1 - pool.firstPage) * DESCRIPTOR_WORDS
  poolLocks.multiprocessor = i32[(control + PROCESSORS) >> 2]! > 1
}

export function acquirePoolLock(): void {
  if (!poolLocks.multiprocessor) return
  if (Atomics.compareExchange(mem.i32, pool.lock, 0, 1) !== 0) waitForPoolLock()
}

export function releasePoolLock(): void {
  if (poolLocks.multiprocessor) Atomics.store(mem.i32, pool.lock, 0)
}

const SPINS = 500 // some 15 µs: far longer than a section, so a lock still held then has a holder that does not run

/** Nobody notifies: the sleep is there to give the core to a holder that lost it, and 50 µs of it are enough. */
function waitForPoolLock(): void {
  const { i32 } = mem
  for (;;) {
    for (let spin = 0; spin < SPINS; spin++) {
      Atomics.pause()
      if (i32[pool.lock] === 0 && Atomics.compareExchange(i32, pool.lock, 0, 1) === 0) return
    }
    Atomics.wait(i32, pool.lock, 1, 0.05)
    poolLocks.whileWaiting()
  }
}

function hex(value: number): string {
  return (value >>> 0).toString(16).toUpperCase()
}
