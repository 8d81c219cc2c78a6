/**
 * IoCreateSynchronizationEvent and IoCreateNotificationEvent: the event that drivers who know nothing of each other
 * share by its name.
 */
import { NotificationEvent, SynchronizationEvent } from '../ke/event.ts'
import { KEVENT } from '../ke/layouts.ts'
import { enter, type Out, PASSIVE_LEVEL } from '../ke/level.ts'
import { KernelMode } from '../ke/wait.ts'
import { OBJ_KERNEL_HANDLE, OBJ_OPENIF } from '../ob/attributes.ts'
import { createEvent, EVENT_ALL_ACCESS, eventObjectType } from '../ob/event.ts'
import { type HANDLE, referenceByHandle } from '../ob/handle.ts'
import { dereferenceObject } from '../ob/reference.ts'
import type { Text } from '../rtl/string.ts'

/** Makes or opens the event; a new one is signalled. Its one reference is the handle's. */
function createNamedEvent(name: Text | null, type: number, handle: Out<HANDLE>): KEVENT | null {
  const created = createEvent({
    attributes: { ObjectName: name, Attributes: OBJ_OPENIF | OBJ_KERNEL_HANDLE },
    access: EVENT_ALL_ACCESS,
    mode: KernelMode,
    type,
    state: true,
  })
  if (created.status < 0) return null
  const event = referenceByHandle(created.handle, 0, eventObjectType, KernelMode).object
  dereferenceObject(event)
  handle.value = created.handle
  return new KEVENT(event)
}

/**
 * Makes a synchronization event under a name, signalled, or opens the event that has the name: as it is, be it a
 * notification event.
 *
 * The event lives as long as the handle: the pointer has no reference of its own. Release it by ZwClose, never by
 * ObDereferenceObject. `\BaseNamedObjects\X` is what programs open as `Global\X`; it does not exist yet while boot
 * drivers (`bootDrivers` of boot) are initialised.
 *
 * @irql PASSIVE_LEVEL
 * @returns the event; null when the name is bad, its directory missing, or it is something else's; EventHandle is
 *   not written then
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iocreatesynchronizationevent
 */
export function IoCreateSynchronizationEvent(EventName: Text | null, EventHandle: Out<HANDLE>): KEVENT | null {
  enter(PASSIVE_LEVEL, 'IoCreateSynchronizationEvent')
  return createNamedEvent(EventName, SynchronizationEvent, EventHandle)
}

/**
 * Makes a notification event under a name, signalled, or opens the event that has the name: as it is, be it a
 * synchronization event.
 *
 * The event lives as long as the handle: the pointer has no reference of its own. Release it by ZwClose, never by
 * ObDereferenceObject.
 *
 * @irql PASSIVE_LEVEL
 * @returns the event; null when the name is bad, its directory missing, or it is something else's; EventHandle is
 *   not written then
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iocreatenotificationevent
 */
export function IoCreateNotificationEvent(EventName: Text | null, EventHandle: Out<HANDLE>): KEVENT | null {
  enter(PASSIVE_LEVEL, 'IoCreateNotificationEvent')
  return createNamedEvent(EventName, NotificationEvent, EventHandle)
}
