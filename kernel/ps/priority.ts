/** Priorities of threads. */
import { lockDispatcher, makeReady, takeReady, unlockDispatcher } from '../ke/dispatcher.ts'
import { KTHREAD, ThreadState } from '../ke/layouts.ts'
import { enter, PASSIVE_LEVEL } from '../ke/level.ts'
import { pcrOf } from '../ke/pcr.ts'
import { NORMAL_PRIORITY } from '../ke/start.ts'
import { read32, read8, write32 } from '../mm/access.ts'

export const LOW_PRIORITY = 0
export const LOW_REALTIME_PRIORITY = 16
export const HIGH_PRIORITY = 31

const { Priority, BasePriority, State, Processor } = KTHREAD.offsets

const clamp = (priority: number): number => Math.min(Math.max(priority, LOW_PRIORITY + 1), HIGH_PRIORITY)

/** Changes the priority; a ready thread moves to the list of the new one. */
function setPriority(thread: number, priority: number): void {
  const isReady = read8(thread + State) === ThreadState.Ready
  if (isReady) takeReady(pcrOf(read32(thread + Processor)), thread, read32(thread + Priority) & 31)
  write32(thread + Priority, priority)
  if (isReady) makeReady(thread)
}

/**
 * Sets the run-time priority of a thread, 1 to 31.
 *
 * @irql PASSIVE_LEVEL
 * @returns the priority before
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kesetprioritythread
 * @deviates (decision 0005) priorities only order the ready threads of a processor: a running thread goes on until it
 *   waits
 */
export function KeSetPriorityThread(Thread: KTHREAD, NewPriority: number): number {
  enter(PASSIVE_LEVEL, 'KeSetPriorityThread')
  lockDispatcher()
  const before = read32(Thread.address + Priority)
  setPriority(Thread.address, clamp(NewPriority))
  write32(Thread.address + BasePriority, clamp(NewPriority))
  unlockDispatcher()
  return before
}

/**
 * The run-time priority of a thread.
 *
 * @irql PASSIVE_LEVEL
 * @returns 0 to 31
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntddk/nf-ntddk-kequeryprioritythread
 */
export function KeQueryPriorityThread(Thread: KTHREAD): number {
  enter(PASSIVE_LEVEL, 'KeQueryPriorityThread')
  return read32(Thread.address + Priority)
}

/**
 * Sets the base priority of a thread, relative to its process's.
 *
 * @irql PASSIVE_LEVEL
 * @returns the increment before
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntddk/nf-ntddk-kesetbaseprioritythread
 */
export function KeSetBasePriorityThread(Thread: KTHREAD, Increment: number): number {
  enter(PASSIVE_LEVEL, 'KeSetBasePriorityThread')
  const priority = clamp(NORMAL_PRIORITY + Increment)
  lockDispatcher()
  const before = read32(Thread.address + BasePriority) - NORMAL_PRIORITY
  setPriority(Thread.address, priority)
  write32(Thread.address + BasePriority, priority)
  unlockDispatcher()
  return before
}
