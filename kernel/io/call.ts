/** IoCallDriver: hands an IRP to the driver below. */
import { mem } from '../mm/memory.ts'
import { read32, read8, write32 } from '../mm/access.ts'
import { BugCode } from '../ke/bugcodes.ts'
import { bugCheck, escapedException } from '../ke/bugcheck.ts'
import { type Routine, routineOf } from '../ke/image.ts'
import { currentIrql, DISPATCH_LEVEL, enter, levelName } from '../ke/level.ts'
import { cpu } from '../ke/pcr.ts'
import { ThreadExit } from '../ke/start.ts'
import type { NTSTATUS } from '../rtl/status.ts'
import { IO_TYPE_DEVICE, MAJOR_FUNCTION_NAMES, SL_PENDING_RETURNED } from './codes.ts'
import { DEVICE_OBJECT, DRIVER_OBJECT, IRP, Irp, Stack } from './layouts.ts'
import { assertIrp, currentLocation, moveLocation, nextStack, violation } from './irp.ts'

/** What a dispatch routine gives: the status now, or a promise of it. Always `await` it. */
export type DispatchResult = NTSTATUS | Promise<NTSTATUS>

const AsyncFunction = (async () => {}).constructor
const MAJOR_FUNCTIONS = DRIVER_OBJECT.offsets.MajorFunction

/** Calls the dispatch routine of `device` for the next location of `irp`. */
export function callDriver(device: number, irp: number): DispatchResult {
  if (cpu.checked) checkCall(device, irp)
  if (currentLocation(irp) <= 1) noMoreLocations(irp, device)
  moveLocation(irp, -1)
  const stack = read32(irp + Irp.CurrentStackLocation)
  write32(stack + Stack.DeviceObject, device)
  const major = read8(stack + Stack.MajorFunction)
  const driver = read32(device + DEVICE_OBJECT.offsets.DriverObject)
  return dispatch(routineOf(read32(driver + MAJOR_FUNCTIONS + major * 4)), device, irp, major)
}

function dispatch(routine: Routine, device: number, irp: number, major: number): DispatchResult {
  const irql = currentIrql()
  if (irql >= DISPATCH_LEVEL && routine.constructor === AsyncFunction) asyncTooHigh(routine, irql, irp, major)
  let result: unknown
  try {
    result = routine(new DEVICE_OBJECT(device), new IRP(irp))
  } catch (error) {
    dispatchFailed(error, routine)
  }
  if (typeof result === 'number') {
    if (cpu.checked && currentIrql() !== irql) changedIrql(routine, irql, irp)
    return result
  }
  if (!isPromise(result)) noStatus(routine, result, irp)
  if (irql >= DISPATCH_LEVEL) asyncTooHigh(routine, irql, irp, major)
  return settle(result, routine, irql, irp)
}

/** Checks a dispatch routine that may wait when it is done. */
async function settle(result: Promise<unknown>, routine: Routine, irql: number, irp: number): Promise<NTSTATUS> {
  let status: unknown
  try {
    status = await result
  } catch (error) {
    dispatchFailed(error, routine)
  }
  if (typeof status !== 'number') noStatus(routine, status, irp)
  if (cpu.checked && currentIrql() !== irql) changedIrql(routine, irql, irp)
  return status
}

const isPromise = (value: unknown): value is Promise<unknown> =>
  typeof (value as Promise<unknown> | null | undefined)?.then === 'function'

function dispatchFailed(error: unknown, routine: Routine): never {
  if (error instanceof ThreadExit) throw error
  escapedException(error, `dispatch routine ${routine.name}`)
}

function checkCall(device: number, irp: number): void {
  assertIrp(irp, 'IoCallDriver', 0x03)
  if (device === 0) violation(0x204, irp, 'IoCallDriver was given no device')
  if ((mem.u16[device >> 1] as number) !== IO_TYPE_DEVICE) {
    violation(0x04, irp, 'IoCallDriver was given what is no device object, or one that was deleted')
  }
  if (read32(irp + Irp.CancelRoutine) !== 0) {
    violation(
      0x203,
      irp,
      'an IRP was passed down with a cancel routine set; take it out with IoSetCancelRoutine(Irp, null)',
    )
  }
  if (currentLocation(irp) > 1 && (read8(nextStack(irp) + Stack.Control) & SL_PENDING_RETURNED) !== 0) {
    violation(
      0x206,
      irp,
      'an IRP was passed down with SL_PENDING_RETURNED in the next location; do not skip a location after IoMarkIrpPending',
    )
  }
}

function noMoreLocations(irp: number, device: number): never {
  return bugCheck({
    code: BugCode.NO_MORE_IRP_STACK_LOCATIONS,
    parameters: [irp, device],
    message: 'IoCallDriver: the IRP has no stack location left; allocate it with the StackSize of the top device',
  })
}

function asyncTooHigh(routine: Routine, irql: number, irp: number, major: number): never {
  return bugCheck({
    code: BugCode.ATTEMPTED_SWITCH_FROM_DPC,
    parameters: [irp],
    message:
      `dispatch routine ${routine.name} (IRP_MJ_${MAJOR_FUNCTION_NAMES[major]}) is async, so it may wait, and was called at ` +
      `${levelName(irql)}; make it a plain function, or call IoCallDriver at APC_LEVEL or below`,
  })
}

function noStatus(routine: Routine, value: unknown, irp: number): never {
  return violation(0x226, irp, `dispatch routine ${routine.name} returned ${String(value)} instead of an NTSTATUS`)
}

function changedIrql(routine: Routine, before: number, irp: number): never {
  return violation(
    0x05,
    irp,
    `dispatch routine ${routine.name} was called at ${levelName(before)} and returned at ${levelName(currentIrql())}`,
  )
}

/**
 * Sends an IRP to the driver of `DeviceObject`, which gets the next stack location.
 *
 * @irql <= DISPATCH_LEVEL
 * @returns what the dispatch routine returns, unchanged: the status now, or, where it may wait, a promise of it.
 *   STATUS_PENDING when the IRP is completed later
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iocalldriver
 */
export function IoCallDriver(DeviceObject: DEVICE_OBJECT, Irp_: IRP): DispatchResult {
  enter(DISPATCH_LEVEL, 'IoCallDriver')
  return callDriver(DeviceObject === null ? 0 : DeviceObject.address, Irp_.address)
}

/**
 * IoCallDriver under its other name.
 *
 * @irql <= DISPATCH_LEVEL
 * @returns as IoCallDriver
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iofcalldriver
 */
export function IofCallDriver(DeviceObject: DEVICE_OBJECT, Irp_: IRP): DispatchResult {
  return IoCallDriver(DeviceObject, Irp_)
}
