/** Events (KEVENT): a state that threads wait for. */
import * as access from '../mm/access.ts'
import { initializeHeader, lockDispatcher, serveWaiters, unlockDispatcher } from './dispatcher.ts'
import { DISPATCHER_HEADER, KEVENT, KTHREAD } from './layouts.ts'
import { APC_LEVEL, DISPATCH_LEVEL, enter, point, raiseIrql, SYNCH_LEVEL } from './level.ts'
import * as kpcr from './pcr.ts'
import { currentThread } from './thread.ts'

// Looked up once: an imported name is looked up at each use (decision 0041).
const { read32, read8, write32, write8 } = access
const { cpu } = kpcr

/** EVENT_TYPE */
export const NotificationEvent = 0
export const SynchronizationEvent = 1

export const IO_NO_INCREMENT = 0
export const EVENT_INCREMENT = 1

const { SignalState, Type } = DISPATCHER_HEADER.offsets
const { WaitNext, WaitIrql } = KTHREAD.offsets

/** Writes the header of an event that nobody waits for. */
export function initializeEvent(event: number, type: number, state: boolean | number): void {
  initializeHeader(event, type, KEVENT.size, Number(state))
}

/** Signals an event; gives back the state before. */
export function setEvent(event: number): number {
  lockDispatcher()
  const before = read32(event + SignalState)
  write32(event + SignalState, 1)
  serveWaiters(event)
  unlockDispatcher()
  return before
}

export function resetEvent(event: number): number {
  lockDispatcher()
  const before = read32(event + SignalState)
  write32(event + SignalState, 0)
  unlockDispatcher()
  return before
}

/** A set, pulse or release with Wait TRUE: the IRQL stays raised until the wait that must come next. */
export function raiseForWait(wait: boolean): void {
  if (!wait) return
  const before = raiseIrql(cpu.multiprocessor ? SYNCH_LEVEL : DISPATCH_LEVEL)
  const thread = currentThread()
  write8(thread + WaitNext, 1)
  write8(thread + WaitIrql, before)
}

/**
 * Sets up an event: NotificationEvent wakes all waiters and stays signalled, SynchronizationEvent wakes one.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-keinitializeevent
 */
export function KeInitializeEvent(Event: KEVENT, Type_: number, State: boolean | number): void {
  point()
  initializeEvent(Event.address, Type_, State)
}

/**
 * Signals an event.
 *
 * @irql <= DISPATCH_LEVEL; <= APC_LEVEL when Wait is TRUE, and a KeWait… must come next
 * @returns the state before, exactly as it was
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kesetevent
 */
export function KeSetEvent(Event: KEVENT, _Increment: number, Wait: boolean): number {
  enter(Wait ? APC_LEVEL : DISPATCH_LEVEL, 'KeSetEvent')
  const before = setEvent(Event.address)
  raiseForWait(Wait)
  return before
}

/**
 * Makes an event not signalled.
 *
 * @irql <= DISPATCH_LEVEL
 * @returns the state before, exactly as it was
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-keresetevent
 */
export function KeResetEvent(Event: KEVENT): number {
  enter(DISPATCH_LEVEL, 'KeResetEvent')
  return resetEvent(Event.address)
}

/**
 * Makes an event not signalled, and does not ask what it was.
 *
 * @irql <= DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-keclearevent
 */
export function KeClearEvent(Event: KEVENT): void {
  enter(DISPATCH_LEVEL, 'KeClearEvent')
  resetEvent(Event.address)
}

/**
 * Releases those who wait now (all for a notification event, one for a synchronization event), and leaves the event
 * not signalled.
 *
 * @irql <= DISPATCH_LEVEL; <= APC_LEVEL when Wait is TRUE
 * @returns the state before, exactly as it was
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntddk/nf-ntddk-kepulseevent
 */
export function KePulseEvent(Event: KEVENT, _Increment: number, Wait: boolean): number {
  enter(Wait ? APC_LEVEL : DISPATCH_LEVEL, 'KePulseEvent')
  const event = Event.address
  lockDispatcher()
  const before = read32(event + SignalState)
  if (before === 0) {
    write32(event + SignalState, 1)
    serveWaiters(event)
  }
  write32(event + SignalState, 0)
  unlockDispatcher()
  raiseForWait(Wait)
  return before
}

/**
 * The state of an event.
 *
 * @irql <= DISPATCH_LEVEL
 * @returns > 0 when signalled
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kereadstateevent
 */
export function KeReadStateEvent(Event: KEVENT): number {
  point() // may be read at DIRQL under the driver's own synchronisation
  return read32(Event.address + SignalState)
}

/** NotificationEvent or SynchronizationEvent. */
export const eventType = (event: number): number => read8(event + Type)
