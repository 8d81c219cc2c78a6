/**
 * Cancellation. A driver that holds on to an IRP gives it a cancel routine; whoever exchanges that for null, the
 * canceller or the driver that completes, owns what happens next.
 */
import { atomicExchange, read32, write32, write8 } from '../mm/access.ts'
import { BugCode } from '../ke/bugcodes.ts'
import { bugCheck, escapedException } from '../ke/bugcheck.ts'
import { routineId, routineOf } from '../ke/image.ts'
import {
  assertIrqlAtLeast,
  currentIrql,
  DISPATCH_LEVEL,
  enter,
  type KIRQL,
  levelName,
  lowerIrql,
  type Out,
  point,
  raiseIrql,
} from '../ke/level.ts'
import { cpu, Machine } from '../ke/pcr.ts'
import { acquireLock, releaseLock } from '../ke/spinlock.ts'
import { onThreadEnd } from '../ke/start.ts'
import '../ps/thread.ts' // first: it sets onThreadEnd
import type { Synchronous } from '../rtl/struct.ts'
import { DEVICE_OBJECT, type DRIVER_CANCEL, IRP, Irp, Stack } from './layouts.ts'
import { currentLocation, currentStack, detachFirst, isIrp, releaseDetached, stackCount, violation } from './irp.ts'

/** Takes the cancel spin lock; gives back the level before. */
export function acquireCancelLock(): KIRQL {
  const before = raiseIrql(DISPATCH_LEVEL)
  acquireLock(Machine.CancelSpinLock)
  return before
}

export function releaseCancelLock(irql: KIRQL): void {
  releaseLock(Machine.CancelSpinLock)
  lowerIrql(irql)
}

/** Exchanges the cancel routine, by id. */
export function exchangeCancelRoutine(irp: number, routine: number): number {
  const word = irp + Irp.CancelRoutine
  if (cpu.multiprocessor) return atomicExchange(word, routine)
  const before = read32(word)
  write32(word, routine)
  return before
}

/** Cancels: true when the IRP had a cancel routine, which has been called. */
export function cancelIrp(irp: number): boolean {
  const irql = acquireCancelLock()
  write8(irp + Irp.Cancel, 1)
  const id = exchangeCancelRoutine(irp, 0)
  if (id === 0) {
    releaseCancelLock(irql)
    return false
  }
  if (currentLocation(irp) > stackCount(irp) + 1 || !isIrp(irp)) cancelledTooLate(irp, id)
  write8(irp + Irp.CancelIrql, irql)
  callCancelRoutine(irp, id)
  if (cpu.checked && currentIrql() !== irql) leftLocked(irp, id, irql)
  return true
}

function cancelledTooLate(irp: number, id: number): never {
  return bugCheck({
    code: BugCode.CANCEL_STATE_IN_COMPLETED_IRP,
    parameters: [irp, id],
    message:
      'an IRP that was completed still has a cancel routine; take it out with IoSetCancelRoutine(Irp, null) before completing',
  })
}

/** The routine gives back the cancel spin lock itself. */
function callCancelRoutine(irp: number, id: number): void {
  const routine = routineOf(id)
  const device = currentLocation(irp) > stackCount(irp) ? 0 : read32(currentStack(irp) + Stack.DeviceObject)
  try {
    routine(DEVICE_OBJECT.at(device), new IRP(irp))
  } catch (error) {
    escapedException(error, `cancel routine ${routine.name}`)
  }
}

function leftLocked(irp: number, id: number, irql: number): never {
  return violation(
    0x12,
    irp,
    `cancel routine ${routineOf(id).name} returned at ${levelName(currentIrql())} instead of ${levelName(irql)}; ` +
      'its first act is IoReleaseCancelSpinLock(Irp.CancelIrql)',
  )
}

/**
 * Marks an IRP as cancelled, and calls its cancel routine, if it has one, at DISPATCH_LEVEL with the cancel spin
 * lock held. The caller must know that the IRP has not been freed.
 *
 * @irql <= DISPATCH_LEVEL
 * @returns TRUE when a cancel routine was called; FALSE when there was none, and whoever has the IRP completes it
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iocancelirp
 */
export function IoCancelIrp(Irp_: IRP): boolean {
  enter(DISPATCH_LEVEL, 'IoCancelIrp')
  return cancelIrp(Irp_.address)
}

/**
 * Sets or, with null, takes out the cancel routine, in one atomic step.
 *
 * Set it, then look at `Irp.Cancel`: if it is set, take the routine out again. Got it back: complete the IRP. Got
 * null: the cancel routine does.
 *
 * @irql <= DISPATCH_LEVEL
 * @returns the routine before; null when there was none, or when cancellation has begun
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iosetcancelroutine
 */
export function IoSetCancelRoutine(Irp_: IRP, CancelRoutine: Synchronous<DRIVER_CANCEL> | null): DRIVER_CANCEL | null {
  enter(DISPATCH_LEVEL, 'IoSetCancelRoutine')
  const before = exchangeCancelRoutine(Irp_.address, CancelRoutine === null ? 0 : routineId(CancelRoutine))
  return before === 0 ? null : routineOf(before)
}

/**
 * Raises to DISPATCH_LEVEL and takes the one cancel spin lock of the system.
 *
 * @irql <= DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-ioacquirecancelspinlock
 */
export function IoAcquireCancelSpinLock(Irql: Out<KIRQL>): void {
  enter(DISPATCH_LEVEL, 'IoAcquireCancelSpinLock')
  Irql.value = acquireCancelLock()
}

/**
 * Gives back the cancel spin lock and goes to `Irql`: in a cancel routine `Irp.CancelIrql`.
 *
 * @irql DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-ioreleasecancelspinlock
 */
export function IoReleaseCancelSpinLock(Irql: KIRQL): void {
  point()
  assertIrqlAtLeast(DISPATCH_LEVEL, 'IoReleaseCancelSpinLock')
  releaseCancelLock(Irql)
}

/**
 * Cancels what a thread that ends has sent and not waited for. What is not completed by then stays out without a
 * thread, and is freed when it completes.
 */
export function cancelThreadIrps(thread: number): void {
  for (let irp = detachFirst(thread); irp !== 0; irp = detachFirst(thread)) {
    cancelIrp(irp)
    releaseDetached(irp)
  }
}

// The IRPs go before the thread's last reference does, which `ps` drops.
const dropThread = onThreadEnd.run
onThreadEnd.run = (thread) => {
  cancelThreadIrps(thread)
  dropThread(thread)
}
