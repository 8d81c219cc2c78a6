/** The timer that a device may have: its routine is called once a second. */
import { read32, read8, readU32, write32, write8 } from '../mm/access.ts'
import { allocate, free } from '../mm/pool.ts'
import { escapedException } from '../ke/bugcheck.ts'
import { initializeDpc, removeDpc } from '../ke/dpc.ts'
import { kernelRoutine, type Routine, routineId, routineOf } from '../ke/image.ts'
import { KDPC, KTIMER } from '../ke/layouts.ts'
import { DISPATCH_LEVEL, enter, PASSIVE_LEVEL } from '../ke/level.ts'
import { TICKS_PER_MS } from '../ke/time.ts'
import { initializeTimer, KeCancelTimer, NotificationTimer, setTimer } from '../ke/timer.ts'
import { type NTSTATUS, STATUS_INSUFFICIENT_RESOURCES, STATUS_SUCCESS } from '../rtl/status.ts'
import { type Pvoid, PVOID, pvoidOf, storePvoid, struct, type Synchronous, UCHAR, ULONG } from '../rtl/struct.ts'
import { DEVICE_OBJECT } from './layouts.ts'

/** @irql DISPATCH_LEVEL */
export type IO_TIMER_ROUTINE = (DeviceObject: DEVICE_OBJECT, Context: never) => void

const IO_TIMER = struct('IO_TIMER', {
  Timer: KTIMER,
  Dpc: KDPC,
  DeviceObject: ULONG,
  TimerRoutine: ULONG, // routine id
  Context: PVOID,
  IsStarted: UCHAR,
})
const { Dpc, DeviceObject: DEVICE, TimerRoutine: ROUTINE, Context: CONTEXT, IsStarted } = IO_TIMER.offsets
const TIMER = DEVICE_OBJECT.offsets.Timer
const TAG = 'IoTm'
const PERIOD_MS = 1000

/**
 * Gives a device its timer, stopped. Called again, it changes the routine.
 *
 * @irql PASSIVE_LEVEL
 * @returns STATUS_SUCCESS; STATUS_INSUFFICIENT_RESOURCES when there is no memory
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-ioinitializetimer
 */
export function IoInitializeTimer<F extends IO_TIMER_ROUTINE>(
  DeviceObject: DEVICE_OBJECT,
  TimerRoutine: F & Synchronous<F>,
  Context: Pvoid,
): NTSTATUS {
  enter(PASSIVE_LEVEL, 'IoInitializeTimer')
  const device = DeviceObject.address
  const timer = read32(device + TIMER) || createTimer(device)
  if (timer === 0) return STATUS_INSUFFICIENT_RESOURCES
  write32(timer + ROUTINE, routineId(TimerRoutine as Routine))
  storePvoid(timer + CONTEXT, Context)
  return STATUS_SUCCESS
}

function createTimer(device: number): number {
  const timer = allocate(IO_TIMER.size, TAG)
  if (timer === 0) return 0
  initializeTimer(timer, NotificationTimer)
  initializeDpc(timer + Dpc, routineId(ticked), timer)
  write32(timer + DEVICE, device)
  write32(device + TIMER, timer)
  return timer
}

const ticked = kernelRoutine(function ticked(_dpc: KDPC, timer: number) {
  if (read8(timer + IsStarted) === 0) return // stopped while this was queued
  const routine = routineOf(read32(timer + ROUTINE))
  try {
    routine(new DEVICE_OBJECT(read32(timer + DEVICE)), pvoidOf(readU32(timer + CONTEXT), readU32(timer + CONTEXT + 4)))
  } catch (error) {
    escapedException(error, `timer routine ${routine.name}`)
  }
})

/**
 * Starts the device's timer: its routine is called at DISPATCH_LEVEL, every second from now on.
 *
 * @irql <= DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iostarttimer
 */
export function IoStartTimer(DeviceObject: DEVICE_OBJECT): void {
  enter(DISPATCH_LEVEL, 'IoStartTimer')
  const timer = read32(DeviceObject.address + TIMER)
  if (timer === 0 || read8(timer + IsStarted) !== 0) return
  write8(timer + IsStarted, 1)
  setTimer(timer, -PERIOD_MS * TICKS_PER_MS, PERIOD_MS, timer + Dpc)
}

/**
 * Stops the device's timer. On another processor its routine may still be running.
 *
 * @irql <= DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iostoptimer
 */
export function IoStopTimer(DeviceObject: DEVICE_OBJECT): void {
  enter(DISPATCH_LEVEL, 'IoStopTimer')
  stopTimer(read32(DeviceObject.address + TIMER))
}

function stopTimer(timer: number): void {
  if (timer === 0) return
  write8(timer + IsStarted, 0)
  KeCancelTimer(new KTIMER(timer))
  removeDpc(timer + Dpc)
}

/** Frees the timer of a device that is being deleted. @irql <= DISPATCH_LEVEL */
export function freeDeviceTimer(device: number): void {
  const timer = read32(device + TIMER)
  if (timer === 0) return
  stopTimer(timer)
  write32(device + TIMER, 0)
  free(timer, TAG)
}
