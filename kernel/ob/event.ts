/** Event objects: the services. The state itself is ke's. */
import {
  eventType,
  initializeEvent,
  NotificationEvent,
  resetEvent,
  setEvent,
  SynchronizationEvent,
} from '../ke/event.ts'
import { lockDispatcher, serveWaiters, unlockDispatcher } from '../ke/dispatcher.ts'
import { DISPATCHER_HEADER, KEVENT } from '../ke/layouts.ts'
import { enter, type Out, PASSIVE_LEVEL } from '../ke/level.ts'
import { KernelMode } from '../ke/wait.ts'
import { read32, write32 } from '../mm/access.ts'
import {
  type NTSTATUS,
  STATUS_INFO_LENGTH_MISMATCH,
  STATUS_INVALID_INFO_CLASS,
  STATUS_INVALID_PARAMETER,
  STATUS_SUCCESS,
} from '../rtl/status.ts'
import { LONG, struct } from '../rtl/struct.ts'
import { type ACCESS_MASK, READ_CONTROL, STANDARD_RIGHTS_ALL, SYNCHRONIZE } from './access.ts'
import { captureAttributes, type ObjectAttributes } from './attributes.ts'
import type { HANDLE, HandleResult } from './handle.ts'
import { createObject } from './object.ts'
import { createWithHandle, openNamed, withObject } from './services.ts'
import { registerObjectType } from './type.ts'

export const EVENT_QUERY_STATE = 0x0001
export const EVENT_MODIFY_STATE = 0x0002
export const EVENT_ALL_ACCESS = STANDARD_RIGHTS_ALL | EVENT_QUERY_STATE | EVENT_MODIFY_STATE

/**
 * @deviates (decision 0018) an event that the kernel makes may be waited for, set and queried by every user program,
 *   unless its creator says otherwise by a SECURITY_DESCRIPTOR; Windows' default for system-made objects lets
 *   administrators wait and query. A program that can take a bus must be able to give it back.
 */
export const eventObjectType = registerObjectType({
  name: 'Event',
  view: KEVENT,
  tag: 'Even',
  mapping: {
    read: READ_CONTROL | EVENT_QUERY_STATE,
    write: READ_CONTROL | EVENT_MODIFY_STATE,
    execute: READ_CONTROL | SYNCHRONIZE,
    all: EVENT_ALL_ACCESS,
  },
  userAccess: READ_CONTROL | SYNCHRONIZE | EVENT_QUERY_STATE | EVENT_MODIFY_STATE,
  waitObject: (event) => event,
})
export const ExEventObjectType = eventObjectType

export interface NewEvent {
  readonly attributes: ObjectAttributes
  readonly access: ACCESS_MASK
  readonly mode: number
  readonly type: number
  readonly state: boolean | number
}

/** NtCreateEvent for a caller of either mode. */
export function createEvent({ attributes, access, mode, type, state }: NewEvent): HandleResult {
  if (type !== NotificationEvent && type !== SynchronizationEvent)
    return { status: STATUS_INVALID_PARAMETER, handle: 0 }
  const captured = captureAttributes(attributes, mode)
  return createWithHandle(captured, access, mode, () => {
    const event = createObject(eventObjectType, KEVENT.size, { mode, attributes: captured })
    if (event !== 0) initializeEvent(event, type, state ? 1 : 0)
    return event
  })
}

/**
 * Makes an event object, or with OBJ_OPENIF opens the one that has the name, whatever its type and state.
 *
 * @irql PASSIVE_LEVEL
 * @returns STATUS_SUCCESS; STATUS_OBJECT_NAME_EXISTS when an existing one was opened; STATUS_OBJECT_NAME_COLLISION;
 *   STATUS_OBJECT_TYPE_MISMATCH when something else has the name; STATUS_INVALID_PARAMETER for another EventType;
 *   STATUS_INSUFFICIENT_RESOURCES; what the name's syntax gives
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntifs/nf-ntifs-zwcreateevent
 */
export function ZwCreateEvent(
  EventHandle: Out<HANDLE>,
  DesiredAccess: ACCESS_MASK,
  ObjectAttributes: ObjectAttributes,
  EventType: number,
  InitialState: boolean | number,
): NTSTATUS {
  enter(PASSIVE_LEVEL, 'ZwCreateEvent')
  const created = createEvent({
    attributes: ObjectAttributes,
    access: DesiredAccess,
    mode: KernelMode,
    type: EventType,
    state: InitialState,
  })
  if (created.status >= 0) EventHandle.value = created.handle
  return created.status
}

/**
 * Opens a named event.
 *
 * @irql PASSIVE_LEVEL
 * @returns STATUS_SUCCESS; STATUS_OBJECT_NAME_NOT_FOUND, STATUS_OBJECT_TYPE_MISMATCH; STATUS_INVALID_PARAMETER without
 *   ObjectAttributes; what the name's syntax gives. The handle is 0 then
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntifs/nf-ntifs-zwopenevent
 */
export function ZwOpenEvent(
  EventHandle: Out<HANDLE>,
  DesiredAccess: ACCESS_MASK,
  ObjectAttributes: ObjectAttributes,
): NTSTATUS {
  enter(PASSIVE_LEVEL, 'ZwOpenEvent')
  return openNamed(EventHandle, ObjectAttributes, eventObjectType, DesiredAccess, KernelMode)
}

/** Changes an event by handle, and tells its state before. */
export function changeEvent(
  handle: HANDLE,
  mode: number,
  change: (event: number) => number,
  previous: Out<number> | null,
): NTSTATUS {
  return withObject(handle, EVENT_MODIFY_STATE, eventObjectType, mode, (event) => {
    const before = change(event)
    if (previous !== null) previous.value = before
    return STATUS_SUCCESS
  })
}

/**
 * Signals an event.
 *
 * @irql PASSIVE_LEVEL
 * @returns STATUS_SUCCESS; STATUS_INVALID_HANDLE, STATUS_OBJECT_TYPE_MISMATCH, STATUS_ACCESS_DENIED
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntifs/nf-ntifs-zwsetevent
 */
export function ZwSetEvent(EventHandle: HANDLE, PreviousState: Out<number> | null): NTSTATUS {
  enter(PASSIVE_LEVEL, 'ZwSetEvent')
  return changeEvent(EventHandle, KernelMode, setEvent, PreviousState)
}

/**
 * Makes an event not signalled, and tells what it was.
 *
 * @irql PASSIVE_LEVEL
 * @returns STATUS_SUCCESS; STATUS_INVALID_HANDLE, STATUS_OBJECT_TYPE_MISMATCH, STATUS_ACCESS_DENIED
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntifs/nf-ntifs-zwresetevent
 */
export function ZwResetEvent(EventHandle: HANDLE, PreviousState: Out<number> | null): NTSTATUS {
  enter(PASSIVE_LEVEL, 'ZwResetEvent')
  return changeEvent(EventHandle, KernelMode, resetEvent, PreviousState)
}

/**
 * Makes an event not signalled.
 *
 * @irql PASSIVE_LEVEL
 * @returns STATUS_SUCCESS; STATUS_INVALID_HANDLE, STATUS_OBJECT_TYPE_MISMATCH, STATUS_ACCESS_DENIED
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntifs/nf-ntifs-zwclearevent
 */
export function ZwClearEvent(EventHandle: HANDLE): NTSTATUS {
  enter(PASSIVE_LEVEL, 'ZwClearEvent')
  return changeEvent(EventHandle, KernelMode, resetEvent, null)
}

/**
 * Releases those who wait now, and leaves the event not signalled.
 *
 * @irql PASSIVE_LEVEL
 * @returns STATUS_SUCCESS; STATUS_INVALID_HANDLE, STATUS_OBJECT_TYPE_MISMATCH, STATUS_ACCESS_DENIED
 * @see https://learn.microsoft.com/windows/win32/devnotes/ntpulseevent
 */
export function ZwPulseEvent(EventHandle: HANDLE, PreviousState: Out<number> | null): NTSTATUS {
  enter(PASSIVE_LEVEL, 'ZwPulseEvent')
  return changeEvent(EventHandle, KernelMode, pulseEvent, PreviousState)
}

const { SignalState } = DISPATCHER_HEADER.offsets

function pulseEvent(event: number): number {
  lockDispatcher()
  const before = read32(event + SignalState)
  if (before === 0) {
    write32(event + SignalState, 1)
    serveWaiters(event)
  }
  write32(event + SignalState, 0)
  unlockDispatcher()
  return before
}

export const EventBasicInformation = 0
export const EVENT_BASIC_INFORMATION = struct('EVENT_BASIC_INFORMATION', { EventType: LONG, EventState: LONG })
export interface EVENT_BASIC_INFORMATION extends InstanceType<typeof EVENT_BASIC_INFORMATION> {}

/**
 * Tells an event's type and state.
 *
 * @irql PASSIVE_LEVEL
 * @returns STATUS_SUCCESS; STATUS_INVALID_INFO_CLASS; STATUS_INFO_LENGTH_MISMATCH unless the length is exactly that of
 *   EVENT_BASIC_INFORMATION; STATUS_INVALID_HANDLE, STATUS_OBJECT_TYPE_MISMATCH, STATUS_ACCESS_DENIED
 * @see https://learn.microsoft.com/windows/win32/devnotes/ntqueryevent
 */
export function ZwQueryEvent(
  EventHandle: HANDLE,
  EventInformationClass: number,
  EventInformation: EVENT_BASIC_INFORMATION,
  EventInformationLength: number,
  ReturnLength: Out<number> | null,
): NTSTATUS {
  enter(PASSIVE_LEVEL, 'ZwQueryEvent')
  if (EventInformationClass !== EventBasicInformation) return STATUS_INVALID_INFO_CLASS
  if (EventInformationLength !== EVENT_BASIC_INFORMATION.size) return STATUS_INFO_LENGTH_MISMATCH
  return withObject(EventHandle, EVENT_QUERY_STATE, eventObjectType, KernelMode, (event) => {
    EventInformation.EventType = eventType(event)
    EventInformation.EventState = read32(event + SignalState)
    if (ReturnLength !== null) ReturnLength.value = EVENT_BASIC_INFORMATION.size
    return STATUS_SUCCESS
  })
}
