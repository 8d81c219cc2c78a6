/** How a request comes to wait, and how it is cancelled. */
import { read32, read8, write32 } from '../mm/access.ts'
import { exchangeCancelRoutine, releaseCancelLock } from '../io/cancel.ts'
import { markPending } from '../io/irp.ts'
import { type DEVICE_OBJECT, type IRP, Irp } from '../io/layouts.ts'
import { kernelRoutine, routineId } from '../ke/image.ts'
import { insertTail } from '../rtl/list.ts'
import { referenceChange } from './change.ts'
import { Change } from './layouts.ts'
import { postCancelled } from './lock.ts'
import { completeCancelled } from './pending.ts'

/** The cancel routine of every queued request. @irql DISPATCH_LEVEL */
const cancelNotify = kernelRoutine(function cancelNotify(_device: DEVICE_OBJECT, { address: irp }: IRP) {
  releaseCancelLock(read8(irp + Irp.CancelIrql))
  postCancelled(read32(read32(irp + Irp.Information) + Change.NotifySync), irp)
})

/** Queues a request behind those of the same open. Caller holds the notify lock. */
export function queueIrp(irp: number, change: number): void {
  write32(irp + Irp.Information, change)
  markPending(irp)
  insertTail(change + Change.NotifyIrps, irp + Irp.ListEntry)
  referenceChange(change)
  exchangeCancelRoutine(irp, routineId(cancelNotify))
  // Cancelled before the routine was there: who gets it back completes the IRP.
  if (read8(irp + Irp.Cancel) !== 0 && exchangeCancelRoutine(irp, 0) !== 0) completeCancelled(irp)
}
