/**
 * The timer queue: a binary heap of KTIMERs by due time, in the machine's memory, guarded by the dispatcher lock.
 *
 * A timer knows its place in the heap, so that cancelling costs as much as setting. Timers due at one time expire in
 * the order in which they were set.
 */
import { read32, readF64, write32, write8, writeF64 } from '../mm/access.ts'
import { mem } from '../mm/memory.ts'
import { allocate, free } from '../mm/pool.ts'
import { ports } from '../ports/ports.ts'
import { STATUS_INSUFFICIENT_RESOURCES } from '../rtl/status.ts'
import { KTIMER } from './layouts.ts'
import { Machine } from './pcr.ts'
import { DISPATCHER_HEADER } from './layouts.ts'
import { StatusError } from './exception.ts'
import { releaseWord } from './spin.ts'

const { DueTime, Sequence, HeapIndex } = KTIMER.offsets
const { Inserted } = DISPATCHER_HEADER.offsets
const FIRST_ROOM = 64

const slot = (index: number): number => read32(Machine.TimerHeap) + index * 4
const timerAt = (index: number): number => read32(slot(index))

function place(timer: number, index: number): void {
  write32(slot(index), timer)
  write32(timer + HeapIndex, index)
}

function isBefore(left: number, right: number): boolean {
  const difference = readF64(left + DueTime) - readF64(right + DueTime)
  if (difference !== 0) return difference < 0
  return (read32(left + Sequence) - read32(right + Sequence)) << 0 < 0
}

/** Puts a timer that is in no queue in, due at `due`. Raises, with the dispatcher lock released, if there is no memory. */
export function insertTimer(timer: number, due: number): void {
  const count = read32(Machine.TimerCount) + 1
  if (count >= read32(Machine.TimerRoom)) grow()
  write32(Machine.TimerCount, count)
  const sequence = read32(Machine.TimerSequence)
  write32(Machine.TimerSequence, sequence + 1)
  write32(timer + Sequence, sequence)
  writeF64(timer + DueTime, due)
  write8(timer + Inserted, 1)
  rise(timer, count)
  publishNextDue()
}

/** A timer that is to be initialized may hold anything: one that the queue does not know is in none. */
export function disownTimer(timer: number): void {
  const index = read32(timer + HeapIndex)
  const isQueued = index > 0 && index <= read32(Machine.TimerCount) && timerAt(index) === timer
  if (!isQueued) write32(timer + HeapIndex, 0)
}

/** Takes a timer out; FALSE when it was in no queue. */
export function removeTimer(timer: number): boolean {
  const index = read32(timer + HeapIndex)
  if (index === 0) return false
  const count = read32(Machine.TimerCount)
  const last = timerAt(count)
  write32(Machine.TimerCount, count - 1)
  write32(timer + HeapIndex, 0)
  write8(timer + Inserted, 0)
  if (last !== timer) {
    rise(last, index)
    sink(last, read32(last + HeapIndex))
  }
  publishNextDue()
  return true
}

/** Takes out the first timer that is due at `now`; 0 when none is. */
export function takeDueTimer(now: number): number {
  if (read32(Machine.TimerCount) === 0) return 0
  const timer = timerAt(1)
  if (readF64(timer + DueTime) > now) return 0
  removeTimer(timer)
  return timer
}

function rise(timer: number, from: number): void {
  let index = from
  while (index > 1) {
    const parent = timerAt(index >> 1)
    if (!isBefore(timer, parent)) break
    place(parent, index)
    index >>= 1
  }
  place(timer, index)
}

function sink(timer: number, from: number): void {
  const count = read32(Machine.TimerCount)
  let index = from
  for (;;) {
    let child = index * 2
    if (child > count) break
    if (child < count && isBefore(timerAt(child + 1), timerAt(child))) child += 1
    if (!isBefore(timerAt(child), timer)) break
    place(timerAt(child), index)
    index = child
  }
  place(timer, index)
}

function grow(): void {
  const room = read32(Machine.TimerRoom)
  const heap = allocate((room === 0 ? FIRST_ROOM : room * 2) * 4, 'KeTq', 0)
  if (heap === 0) noRoom()
  const old = read32(Machine.TimerHeap)
  if (old !== 0) {
    mem.u8.copyWithin(heap, old, old + room * 4)
    free(old)
  }
  write32(Machine.TimerHeap, heap)
  write32(Machine.TimerRoom, room === 0 ? FIRST_ROOM : room * 2)
}

/** The caller has changed nothing yet, so the lock goes with the exception: nobody else would give it back. */
function noRoom(): never {
  releaseWord(Machine.DispatcherLock)
  throw new StatusError(STATUS_INSUFFICIENT_RESOURCES)
}

function publishNextDue(): void {
  const due = read32(Machine.TimerCount) === 0 ? Number.POSITIVE_INFINITY : readF64(timerAt(1) + DueTime)
  if (due === readF64(Machine.NextDue)) return
  writeF64(Machine.NextDue, due)
  ports.clock.arm(due)
}
