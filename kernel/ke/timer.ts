/** Timers (KTIMER): signalled, and with a DPC queued, when their time comes. */
import { read32, readF64, write32, write8, writeF64 } from '../mm/access.ts'
import { ports } from '../ports/ports.ts'
import { initializeHeader, lockDispatcher, serveWaiters, unlockDispatcher, unwait } from './dispatcher.ts'
import { queueDpc } from './dpc.ts'
import { DISPATCHER_HEADER, type KDPC, KTHREAD, KTIMER, ObjectType } from './layouts.ts'
import { DISPATCH_LEVEL, enter, HIGH_LEVEL, point } from './level.ts'
import { STATUS_TIMEOUT } from '../rtl/status.ts'
import { bootSystemTime, dueTimeOf, TICKS_PER_MS } from './time.ts'
import { disownTimer, insertTimer, removeTimer, takeDueTimer } from './timerqueue.ts'

export const NotificationTimer = 0
export const SynchronizationTimer = 1

const { SignalState, Inserted } = DISPATCHER_HEADER.offsets
const { HeapIndex, Dpc, Period, DueTime } = KTIMER.offsets

/** Makes `timer` a timer that is not set. An armed one stays armed, as in Windows (wdm-facts §8). */
export function initializeTimer(timer: number, type: number): void {
  const header = ObjectType.TimerNotificationObject + type
  lockDispatcher()
  initializeHeader(timer, header, KTIMER.size, 0)
  write8(timer + Inserted, 0)
  disownTimer(timer)
  unlockDispatcher()
}

/** Called by the clock interrupt: takes out all timers that are due. */
export function expireTimers(): void {
  for (;;) {
    lockDispatcher()
    const now = ports.clock.now()
    const timer = takeDueTimer(now)
    if (timer === 0) {
      unlockDispatcher()
      return
    }
    expire(timer, now)
    unlockDispatcher()
  }
}

/**
 * Signals a timer that is due and was taken out, and queues its DPC. The dispatcher lock is held, over the queueing
 * too: who cancels the timer and finds that it was not set may rely on the DPC being queued, so that
 * KeFlushQueuedDpcs waits for it.
 */
function expire(timer: number, now: number): void {
  const period = read32(timer + Period)
  if (period !== 0) insertTimer(timer, nextPeriod(readF64(timer + DueTime), period * TICKS_PER_MS, now))
  const owner = ownerOfTimeout(timer)
  if (owner !== 0) {
    unwait(owner, STATUS_TIMEOUT)
    return
  }
  write32(timer + SignalState, 1)
  serveWaiters(timer)
  const dpc = read32(timer + Dpc)
  if (dpc !== 0) queueTimerDpc(dpc)
}

/** Expiries that were missed while the host was busy are not made up for. */
function nextPeriod(due: number, period: number, now: number): number {
  const next = due + period
  return next > now ? next : now + period - ((now - due) % period)
}

/** A thread's own timer is its time-out: the thread that it belongs to, else 0. */
const ownerOfTimeout = (timer: number): number =>
  read32(timer + Dpc) === TIMEOUT_MARK ? timer - KTHREAD.offsets.Timer : 0
/** Stands in a thread's own timer where others have a DPC. */
export const TIMEOUT_MARK = 1

function queueTimerDpc(dpc: number): void {
  const time = bootSystemTime() + BigInt(Math.floor(ports.clock.now()))
  queueDpc(dpc, Number(BigInt.asUintN(32, time)), Number(BigInt.asUintN(32, time >> 32n)))
}

/**
 * Makes `Timer` a notification timer that is not set.
 *
 * @irql <= DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-keinitializetimer
 */
export function KeInitializeTimer(Timer: KTIMER): void {
  KeInitializeTimerEx(Timer, NotificationTimer)
}

/**
 * Makes `Timer` a notification or synchronization timer that is not set.
 *
 * @irql <= DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-keinitializetimerex
 */
export function KeInitializeTimerEx(Timer: KTIMER, Type: number): void {
  enter(HIGH_LEVEL, 'KeInitializeTimerEx') // measured: legal up to HIGH_LEVEL
  initializeTimer(Timer.address, Type)
}

/**
 * Sets a one-shot timer; `Dpc` is queued when it expires.
 *
 * @irql <= DISPATCH_LEVEL
 * @returns TRUE when the timer was set already, and was cancelled by this call
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kesettimer
 */
export function KeSetTimer(Timer: KTIMER, DueTime: number | bigint, Dpc: KDPC | null): boolean {
  return KeSetTimerEx(Timer, DueTime, 0, Dpc)
}

/**
 * Sets a timer: `DueTime` relative (negative, 100 ns units) or absolute (a positive bigint), then every `Period`
 * milliseconds; 0 is a one-shot.
 *
 * @irql <= DISPATCH_LEVEL
 * @returns TRUE when the timer was set already, and was cancelled by this call
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kesettimerex
 */
export function KeSetTimerEx(Timer: KTIMER, DueTime: number | bigint, Period: number, Dpc: KDPC | null): boolean {
  enter(DISPATCH_LEVEL, 'KeSetTimerEx')
  const wasSet = setTimer(Timer.address, DueTime, Period, Dpc === null ? 0 : Dpc.address)
  point() // the DPC of a timer that was due already has run before this call returns, below DISPATCH_LEVEL
  return wasSet
}

/**
 * Sets a timer that may expire up to `TolerableDelay` milliseconds late. This machine's clock has no reason to
 * delay it, so the tolerance is not used.
 *
 * @irql <= DISPATCH_LEVEL
 * @returns TRUE when the timer was set already, and was cancelled by this call
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kesetcoalescabletimer
 */
export function KeSetCoalescableTimer(
  Timer: KTIMER,
  DueTime: number | bigint,
  Period: number,
  _TolerableDelay: number,
  Dpc: KDPC | null,
): boolean {
  enter(DISPATCH_LEVEL, 'KeSetCoalescableTimer')
  return KeSetTimerEx(Timer, DueTime, Period, Dpc)
}

export function setTimer(timer: number, dueTime: number | bigint, period: number, dpc: number): boolean {
  const due = dueTimeOf(dueTime)
  lockDispatcher()
  const wasSet = removeTimer(timer)
  write32(timer + SignalState, 0)
  write32(timer + Period, period)
  write32(timer + Dpc, dpc)
  if (due > ports.clock.now()) insertTimer(timer, due)
  else expireAtOnce(timer, due)
  unlockDispatcher()
  return wasSet
}

function expireAtOnce(timer: number, due: number): void {
  writeF64(timer + DueTime, due)
  expire(timer, ports.clock.now())
}

/**
 * Takes a timer out of the timer queue; its signal state stays.
 *
 * @irql <= DISPATCH_LEVEL
 * @returns TRUE when it was set
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kecanceltimer
 */
export function KeCancelTimer(Timer: KTIMER): boolean {
  enter(DISPATCH_LEVEL, 'KeCancelTimer')
  lockDispatcher()
  const wasSet = removeTimer(Timer.address)
  write32(Timer.address + Period, 0)
  write32(Timer.address + Dpc, 0)
  unlockDispatcher()
  return wasSet
}

/**
 * Whether the timer is signalled, without synchronisation.
 *
 * @irql <= DISPATCH_LEVEL
 * @returns TRUE when it is
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kereadstatetimer
 */
export function KeReadStateTimer(Timer: KTIMER): boolean {
  enter(DISPATCH_LEVEL, 'KeReadStateTimer')
  return read32(Timer.address + SignalState) !== 0
}

/** Whether the timer is in the timer queue. */
export const isTimerSet = (timer: number): boolean => read32(timer + HeapIndex) !== 0
