/** The DPC that every device object has (DpcForIsr): what its ISR leaves to be done at DISPATCH_LEVEL. */
import { initializeDpc, queueDpc } from '../ke/dpc.ts'
import { type Routine, routineId } from '../ke/image.ts'
import type { KDPC } from '../ke/layouts.ts'
import { assertIrqlAtLeast, DISPATCH_LEVEL, point } from '../ke/level.ts'
import type { Pvoid, Synchronous } from '../rtl/struct.ts'
import { DEVICE_OBJECT, type IRP } from './layouts.ts'

/** @irql DISPATCH_LEVEL */
export type IO_DPC_ROUTINE = (Dpc: KDPC, DeviceObject: DEVICE_OBJECT, Irp: IRP | null, Context: never) => void

const DIRQL = DISPATCH_LEVEL + 1

/**
 * Gives a device its DpcForIsr.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-ioinitializedpcrequest
 */
export function IoInitializeDpcRequest<F extends IO_DPC_ROUTINE>(
  DeviceObject: DEVICE_OBJECT,
  DpcRoutine: F & Synchronous<F>,
): void {
  point()
  initializeDpc(DeviceObject.address + DEVICE_OBJECT.offsets.Dpc, routineId(DpcRoutine as Routine), DeviceObject)
}

/**
 * Queues the device's DpcForIsr, from its ISR. A request that comes before the DPC ran is covered by that run, which
 * gets the first one's `Irp` and `Context`: what must not be lost belongs into the device extension.
 *
 * @irql DIRQL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iorequestdpc
 */
export function IoRequestDpc(DeviceObject: DEVICE_OBJECT, Irp: IRP | null, Context: Pvoid): void {
  point()
  assertIrqlAtLeast(DIRQL, 'IoRequestDpc')
  queueDpc(DeviceObject.address + DEVICE_OBJECT.offsets.Dpc, Irp, Context)
}
