/** IRPs that a test's driver keeps. */
import type { IRP } from '../../../kernel/io/layouts.ts'
import { STATUS_SUCCESS } from '../../../kernel/rtl/status.ts'
import { finish } from './system.ts'

/** Completes the IRP that was held first, with 7 bytes. */
export function completeFirst(held: IRP[]): void {
  const irp = held.shift()
  if (irp === undefined) throw new Error('the driver holds no IRP')
  finish(irp, STATUS_SUCCESS, 7)
}
