/**
 * The waiters of a push lock (wdm-facts §3.2, §3.3).
 *
 * The word holds flags and either a share count or the newest wait block. Each block points to the next older one;
 * who holds WAKING fills in the way back and caches the oldest block in the head. Blocks lie in nonpaged pool: made
 * by a thread when it must wait, freed by it when it was woken.
 *
 * Who may touch what. The word changes by compare and exchange only, so it orders all that follows. A block is its
 * maker's until the exchange that publishes it. `Next` and `ShareCount` of the oldest are set before that; `Last` and
 * `Previous` change under WAKING alone, which one processor has at a time. Only who has WAKING and finds LOCK clear
 * takes blocks out, so nothing leaves the list while somebody holds the lock or walks it.
 *
 * Why no wake-up is lost. A block is published by an exchange that finds LOCK set, so a holder is still to release.
 * A release that finds WAITING without WAKING takes WAKING with the exchange that clears LOCK, and wakes. One that
 * finds WAKING just clears LOCK: then the exchange by which WAKING's holder would give it up fails, because it
 * expects LOCK to be set, and he wakes instead. When the oldest alone is woken, the rest need no release of the past:
 * the woken thread takes the lock, and its release finds WAITING, or finds the lock taken, and then its holder's does.
 * The woken thread may not sleep yet: its event keeps the signal, and the dispatcher lock is around both, so that the
 * block is not freed before the waker has let go of the event.
 */
import * as access from '../mm/access.ts'
import { allocate } from '../mm/pool.ts'
import { LONG, struct, ULONG } from '../rtl/struct.ts'
import { initializeEvent, setEvent, SynchronizationEvent } from '../ke/event.ts'
import { KEVENT } from '../ke/layouts.ts'
import * as kpcr from '../ke/pcr.ts'

// Looked up once: an imported name is looked up at each use (decision 0041).
const { atomicAdd, atomicAnd, atomicCompareExchange, atomicLoad, read32, write32 } = access
const { cpu } = kpcr

export const LOCK = 0x1
export const WAITING = 0x2
export const WAKING = 0x4
export const MULTIPLE_SHARED = 0x8
export const SHARE = 0x10

const PUSH_LOCK_WAIT_BLOCK = struct('PUSH_LOCK_WAIT_BLOCK', {
  WakeEvent: KEVENT,
  Next: ULONG, // the next older block, 0 in the oldest
  Last: ULONG, // the oldest block; 0: not known here
  Previous: ULONG, // the next newer block
  ShareCount: LONG, // in the oldest: shared holders, when there are several
  IsExclusive: ULONG,
})
const Block = PUSH_LOCK_WAIT_BLOCK.offsets

/** Stores `value` if the word is `expected`. On one processor nothing comes between a look and a store. */
export function swap(word: number, expected: number, value: number): boolean {
  if (cpu.multiprocessor) return atomicCompareExchange(word, expected, value) === expected
  if (read32(word) !== expected) return false
  write32(word, value)
  return true
}

export const load = (word: number): number => (cpu.multiprocessor ? atomicLoad(word) : read32(word))

/** Shared holders that the word counts; nothing when it has waiters. */
export const sharesOf = (word: number): number => word >>> 4

const headOf = (word: number): number => word & ~0xf

/** A wait block for the thread that runs; 0 if there is no memory. */
export function newBlock(isExclusive: boolean): number {
  const block = allocate(PUSH_LOCK_WAIT_BLOCK.size, 'ExPl')
  if (block === 0) return 0
  initializeEvent(block + Block.WakeEvent, SynchronizationEvent, false)
  write32(block + Block.IsExclusive, isExclusive ? 1 : 0)
  return block
}

/** What the owner of a block waits for. */
export const wakeEventOf = (block: number): number => block + Block.WakeEvent

/** Publishes `block` as the newest; false, with nothing done, when the word is no longer `word`, whose LOCK is set. */
export function pushBlock(lock: number, word: number, block: number): boolean {
  if ((word & WAITING) === 0) return pushFirst(lock, word, block)
  write32(block + Block.Next, headOf(word))
  write32(block + Block.Last, 0)
  if (!swap(lock, word, block | (word & 0xf) | WAKING)) return false
  if ((word & WAKING) === 0) optimise(lock)
  return true
}

function pushFirst(lock: number, word: number, block: number): boolean {
  const shares = sharesOf(word)
  write32(block + Block.Next, 0)
  write32(block + Block.Last, block)
  write32(block + Block.ShareCount, shares > 1 ? shares : 0)
  return swap(lock, word, block | LOCK | WAITING | (shares > 1 ? MULTIPLE_SHARED : 0))
}

/** Gives up WAKING, with the way back filled in; or wakes, when the lock was released meanwhile. */
function optimise(lock: number): void {
  for (;;) {
    const word = load(lock)
    if ((word & LOCK) === 0) return wake(lock)
    linkBack(headOf(word))
    if (swap(lock, word, word & ~WAKING)) return
  }
}

/** Fills in the way back from the oldest block to `head`; gives back the oldest. The caller has WAKING. */
function linkBack(head: number): number {
  let block = head
  let oldest = read32(block + Block.Last)
  while (oldest === 0) {
    const older = read32(block + Block.Next)
    write32(older + Block.Previous, block)
    oldest = read32(older + Block.Last)
    block = older
  }
  write32(head + Block.Last, oldest)
  return oldest
}

/** One of several shared holders gives up its share, while others wait; gives back whether holders are left. */
export function dropShare(word: number): boolean {
  let block = headOf(word)
  let oldest = read32(block + Block.Last)
  while (oldest === 0) {
    block = read32(block + Block.Next)
    oldest = read32(block + Block.Last)
  }
  return atomicAdd(oldest + Block.ShareCount, -1) > 1
}

/** The last holder lets go of a lock that has waiters, or may have. */
export function unlockAndWake(lock: number): void {
  for (;;) {
    const word = load(lock)
    const unlocked = word & ~(LOCK | MULTIPLE_SHARED)
    const wakes = (word & (WAITING | WAKING)) === WAITING
    if (!swap(lock, word, wakes ? unlocked | WAKING : unlocked)) continue
    if (wakes) wake(lock)
    return
  }
}

/** Wakes whom the list says, unless the lock is taken again. The caller has WAKING, and gives it up here. */
function wake(lock: number): void {
  for (;;) {
    const word = load(lock)
    if ((word & LOCK) !== 0) {
      if (swap(lock, word, word & ~WAKING)) return
      continue
    }
    const head = headOf(word)
    const oldest = linkBack(head)
    const newer = read32(oldest + Block.Previous)
    if (read32(oldest + Block.IsExclusive) !== 0 && newer !== 0) {
      // Older blocks than the head may keep a stale `Last`: nobody asks them, since every look begins at the head.
      write32(head + Block.Last, newer)
      clearWaking(lock)
      setEvent(wakeEventOf(oldest))
      return
    }
    if (!swap(lock, word, 0)) continue // a newer block came: look again
    wakeAll(oldest)
    return
  }
}

function clearWaking(lock: number): void {
  if (cpu.multiprocessor) atomicAnd(lock, ~WAKING)
  else write32(lock, read32(lock) & ~WAKING)
}

/** Wakes a list that is in no lock any more, oldest first: readers and writers compete anew. */
function wakeAll(oldest: number): void {
  let newer
  for (let block = oldest; block !== 0; block = newer) {
    newer = read32(block + Block.Previous) // before the wake: its owner frees the block then
    setEvent(wakeEventOf(block))
  }
}
