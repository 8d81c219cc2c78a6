/** Critical and guarded regions: what keeps APCs off the current thread. */
import * as memory from '../mm/memory.ts'
import { KTHREAD } from './layouts.ts'
import { APC_LEVEL, currentIrql, enter, point } from './level.ts'
import { currentThread } from './thread.ts'

// Looked up once: an imported name is looked up at each use (decision 0041).
const { mem } = memory

const { KernelApcDisable, SpecialApcDisable } = KTHREAD.offsets

const count = (thread: number, field: number): number => mem.i16[(thread + field) >> 1] as number

function change(field: number, delta: number): void {
  const index = (currentThread() + field) >> 1
  mem.i16[index] = (mem.i16[index] as number) + delta
}

/** Enters a critical region without an interruption point: for locks that contain one. */
export function enterCriticalRegion(): void {
  change(KernelApcDisable, -1)
}

export function leaveCriticalRegion(): void {
  change(KernelApcDisable, 1)
}

/** The same for guarded regions. */
export function enterGuardedRegion(): void {
  change(SpecialApcDisable, -1)
}

export function leaveGuardedRegion(): void {
  change(SpecialApcDisable, 1)
}

/** Whether normal kernel APCs are off for the thread that runs. */
export function areApcsDisabled(): boolean {
  return mem.i32[(currentThread() + KernelApcDisable) >> 2] !== 0 // both counts: they are neighbours
}

/**
 * Keeps user and normal kernel APCs off the current thread; nests.
 *
 * @irql <= APC_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntddk/nf-ntddk-keentercriticalregion
 */
export function KeEnterCriticalRegion(): void {
  enter(APC_LEVEL, 'KeEnterCriticalRegion')
  enterCriticalRegion()
}

/**
 * Undoes one KeEnterCriticalRegion.
 *
 * @irql <= APC_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntddk/nf-ntddk-keleavecriticalregion
 */
export function KeLeaveCriticalRegion(): void {
  enter(APC_LEVEL, 'KeLeaveCriticalRegion')
  leaveCriticalRegion()
}

/**
 * Keeps all APCs off the current thread; nests.
 *
 * @irql <= APC_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-keenterguardedregion
 */
export function KeEnterGuardedRegion(): void {
  enter(APC_LEVEL, 'KeEnterGuardedRegion')
  enterGuardedRegion()
}

/**
 * Undoes one KeEnterGuardedRegion.
 *
 * @irql <= APC_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-keleaveguardedregion
 */
export function KeLeaveGuardedRegion(): void {
  enter(APC_LEVEL, 'KeLeaveGuardedRegion')
  leaveGuardedRegion()
}

/**
 * Whether normal kernel APCs are off: in a critical or guarded region. The IRQL plays no part.
 *
 * @irql <= DISPATCH_LEVEL
 * @returns TRUE when they are; also after leaving a region that was never entered
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-keareapcsdisabled
 */
export function KeAreApcsDisabled(): boolean {
  point()
  return areApcsDisabled()
}

/**
 * Whether all APCs are off: in a guarded region, or at APC_LEVEL or above.
 *
 * @irql <= DISPATCH_LEVEL
 * @returns TRUE when they are
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-keareallapcsdisabled
 */
export function KeAreAllApcsDisabled(): boolean {
  point()
  return count(currentThread(), SpecialApcDisable) !== 0 || currentIrql() >= APC_LEVEL
}
