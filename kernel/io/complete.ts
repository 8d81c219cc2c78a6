/**
 * IoCompleteRequest: takes an IRP back up its stack, from completion routine to completion routine, to the thread
 * that sent it (wdm-facts §14.3).
 *
 * There are no APC objects here: all memory is one block, so the I/O manager's part runs where the IRP is completed,
 * on any processor and up to DISPATCH_LEVEL. It writes the status block, copies buffered data and sets the event; a
 * request of user mode leaves the rest to its thread, which waits for that event.
 */
import { mem } from '../mm/memory.ts'
import { atomicAdd, read32, readU32, read8, write32, write8, zero } from '../mm/access.ts'
import { free } from '../mm/pool.ts'
import { BugCode } from '../ke/bugcodes.ts'
import { bugCheck, escapedException } from '../ke/bugcheck.ts'
import { setEvent } from '../ke/event.ts'
import { routineOf } from '../ke/image.ts'
import { currentIrql, DISPATCH_LEVEL, enter, levelName } from '../ke/level.ts'
import { cpu } from '../ke/pcr.ts'
import {
  NT_ERROR,
  NT_SUCCESS,
  type NTSTATUS,
  STATUS_ACCESS_VIOLATION,
  STATUS_MORE_PROCESSING_REQUIRED,
  STATUS_PENDING,
} from '../rtl/status.ts'
import { loadPvoid } from '../rtl/struct.ts'
import {
  IRP_ASSOCIATED_IRP,
  IRP_BUFFERED_IO,
  IRP_DEALLOCATE_BUFFER,
  IRP_INPUT_OPERATION,
  IRP_OWNED_BY_REQUEST,
  SL_INVOKE_ON_CANCEL,
  SL_INVOKE_ON_ERROR,
  SL_INVOKE_ON_SUCCESS,
  SL_PENDING_RETURNED,
} from './codes.ts'
import {
  currentLocation,
  currentStack,
  freeIrp,
  irpStatus,
  isIrp,
  leaveThread,
  markPending,
  moveLocation,
  stackCount,
  violation,
} from './irp.ts'
import { DEVICE_OBJECT, IO_STATUS_BLOCK, IRP, Irp, Stack } from './layouts.ts'
import { freeMdls } from './mdl.ts'

/** Completes an IRP: the caller must not touch it afterwards. */
export function completeRequest(irp: number): void {
  if (!isIrp(irp) || currentLocation(irp) > stackCount(irp) + 1) completedTwice(irp)
  if (cpu.checked) checkCompletion(irp)
  const top = stackCount(irp) + 1
  while (currentLocation(irp) < top) {
    if (goUp(irp, top) === STATUS_MORE_PROCESSING_REQUIRED) return
  }
  write8(irp + Irp.CurrentLocation, top + 1) // completed: a second time is found
  finish(irp)
}

/** Leaves one location; gives back what the completion routine stored in it says. */
function goUp(irp: number, top: number): NTSTATUS {
  const left = currentStack(irp)
  const control = read8(left + Stack.Control)
  write8(irp + Irp.PendingReturned, control & SL_PENDING_RETURNED)
  moveLocation(irp, 1)
  const isTop = currentLocation(irp) === top
  if (!isInvoked(irp, control)) {
    if (control & SL_PENDING_RETURNED && !isTop) markPending(irp)
    clearStack(left)
    return 0
  }
  const routine = routineOf(read32(left + Stack.CompletionRoutine))
  const context = loadPvoid(left + Stack.Context)
  clearStack(left)
  const device = isTop ? null : DEVICE_OBJECT.at(read32(currentStack(irp) + Stack.DeviceObject))
  return callCompletion(routine, device, irp, context)
}

function isInvoked(irp: number, control: number): boolean {
  const when = NT_SUCCESS(irpStatus(irp)) ? SL_INVOKE_ON_SUCCESS : SL_INVOKE_ON_ERROR
  if ((control & when) !== 0) return true
  return (control & SL_INVOKE_ON_CANCEL) !== 0 && read8(irp + Irp.Cancel) !== 0
}

/** What the driver below was asked is gone before anyone above looks; the routine's fields and the device stay. */
function clearStack(stack: number): void {
  zero(stack + Stack.MinorFunction, Stack.DeviceObject - Stack.MinorFunction)
  write32(stack + Stack.FileObject, 0)
}

function callCompletion(routine: Function, device: DEVICE_OBJECT | null, irp: number, context: unknown): NTSTATUS {
  const irql = currentIrql()
  let status: unknown
  try {
    status = routine(device, new IRP(irp), context)
  } catch (error) {
    escapedException(error, `completion routine ${routine.name}`)
  }
  if (typeof status !== 'number') {
    violation(0x228, irp, `completion routine ${routine.name} returned ${String(status)} instead of an NTSTATUS`)
  }
  if (cpu.checked && currentIrql() !== irql) changedIrql(routine, irql)
  return status
}

function changedIrql(routine: Function, before: number): never {
  return bugCheck({
    code: BugCode.DRIVER_VERIFIER_DETECTED_VIOLATION,
    parameters: [0xfa, 0, before, currentIrql()],
    message: `completion routine ${routine.name} was called at ${levelName(before)} and returned at ${levelName(currentIrql())}`,
  })
}

function completedTwice(irp: number): never {
  return bugCheck({
    code: BugCode.MULTIPLE_IRP_COMPLETE_REQUESTS,
    parameters: [irp],
    message: 'an IRP was completed that had been completed before; whoever completes an IRP must own it',
  })
}

function checkCompletion(irp: number): void {
  const status = irpStatus(irp)
  if (status === STATUS_PENDING || status === -1) {
    violation(
      0x06,
      irp,
      'an IRP was completed with the status STATUS_PENDING; set Irp.IoStatus.Status to the result first',
    )
  }
  if (read32(irp + Irp.CancelRoutine) !== 0) {
    violation(
      0x07,
      irp,
      'an IRP was completed with a cancel routine set; take it out with IoSetCancelRoutine(Irp, null)',
    )
  }
}

/** The I/O manager's part. */
function finish(irp: number): void {
  const flags = read32(irp + Irp.Flags)
  if ((flags & IRP_ASSOCIATED_IRP) !== 0) return finishAssociated(irp)
  if ((read8(irp + Irp.AllocationFlags) & IRP_OWNED_BY_REQUEST) !== 0) {
    // From here on the IRP is its thread's, which copies the data out and frees it.
    setEvent(read32(irp + Irp.UserEvent))
    return
  }
  if (read32(irp + Irp.Thread) === 0) ownerless(irp)
  finishBuffer(irp, flags)
  freeMdls(irp)
  report(irp)
}

/** The last of a master's associated IRPs completes the master. */
function finishAssociated(irp: number): void {
  const master = read32(irp + Irp.AssociatedIrp)
  freeMdls(irp)
  freeIrp(irp)
  if (atomicAdd(master + Irp.AssociatedIrp, -1) === 1) completeRequest(master)
}

/** Copies what a buffered request read to where its originator wants it; nothing on an error. */
export function finishBuffer(irp: number, flags: number): void {
  if ((flags & IRP_BUFFERED_IO) === 0) return
  const buffer = readU32(irp + Irp.AssociatedIrp)
  if ((flags & IRP_INPUT_OPERATION) !== 0 && !NT_ERROR(irpStatus(irp))) {
    mem.u8.copyWithin(readU32(irp + Irp.UserBuffer), buffer, buffer + readU32(irp + Irp.Information))
  }
  if ((flags & IRP_DEALLOCATE_BUFFER) !== 0 && buffer !== 0) free(buffer, 'IoSb')
  write32(irp + Irp.AssociatedIrp, 0)
}

/** Writes the status block and sets the event, unless the request failed before it was ever pending. */
function report(irp: number): void {
  const status = irpStatus(irp)
  const isReported = !NT_ERROR(status) || read8(irp + Irp.PendingReturned) !== 0
  const event = read32(irp + Irp.UserEvent)
  if (isReported) copyStatusBlock(irp, read32(irp + Irp.UserIosb))
  // The thread may go as soon as the event is set: its list first.
  if (leaveThread(irp)) freeIrp(irp)
  if (isReported && event !== 0) setEvent(event)
}

function copyStatusBlock(irp: number, iosb: number): void {
  if (iosb === 0) return
  write32(iosb + IO_STATUS_BLOCK.offsets.Information, read32(irp + Irp.Information))
  write32(iosb + IO_STATUS_BLOCK.offsets.Status, irpStatus(irp))
}

function ownerless(irp: number): never {
  return bugCheck({
    code: BugCode.KMODE_EXCEPTION_NOT_HANDLED,
    parameters: [STATUS_ACCESS_VIOLATION, 0, irp],
    message:
      'an IRP of IoAllocateIrp was completed all the way up, and belongs to no thread; the completion routine of the driver ' +
      'that allocated it must free it and return STATUS_MORE_PROCESSING_REQUIRED',
  })
}

/** How far a request's IRP has come: true when IoCompleteRequest has done its part. */
export const isComplete = (irp: number): boolean => currentLocation(irp) === stackCount(irp) + 2

/**
 * Completes an IRP: its completion routines run now, on this processor. It belongs to somebody else from this call
 * on, and must not be touched. Not to be called with a spin lock held that a completion routine may want.
 *
 * @irql <= DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iocompleterequest
 */
export function IoCompleteRequest(Irp_: IRP, _PriorityBoost: number): void {
  enter(DISPATCH_LEVEL, 'IoCompleteRequest')
  completeRequest(Irp_.address)
}

/**
 * IoCompleteRequest under its other name.
 *
 * @irql <= DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iofcompleterequest
 */
export function IofCompleteRequest(Irp_: IRP, PriorityBoost: number): void {
  IoCompleteRequest(Irp_, PriorityBoost)
}
