/** Many threads that wait, many handles and many named objects. What is made stays until the machine goes. */
import {
  ExAllocatePool2,
  IO_NO_INCREMENT,
  IoCreateNotificationEvent,
  KernelMode,
  KeSetEvent,
  KEVENT,
  KeInitializeEvent,
  KeWaitForSingleObject,
  type NTSTATUS,
  NT_SUCCESS,
  ObDereferenceObject,
  ObReferenceObjectByHandle,
  out,
  POOL_FLAG_NON_PAGED,
  PsCreateSystemThread,
  struct,
  SynchronizationEvent,
  ULONG,
  ZwClose,
} from '../../ddi/wdm.ts'
import { EVENT_ALL_ACCESS, ExEventObjectType } from '../../ddi/wdm.ts'
import { NotificationEvent, ZwCreateEvent } from '../../ddi/ntifs.ts'
import { timedAsync } from '../benchmark.ts'

function check(status: NTSTATUS, what: string): void {
  if (!NT_SUCCESS(status)) throw new Error(`${what}: 0x${(status >>> 0).toString(16)}`)
}

// Threads.

const PARKED = struct('BENCH_PARKED', { event: KEVENT, count: ULONG })
type PARKED = InstanceType<typeof PARKED>

/** Threads that wait, each for an event of its own. Gives back the events. */
const parked: PARKED[] = []

export async function park(parking: PARKED): Promise<void> {
  await KeWaitForSingleObject(parking.event, 0, KernelMode, false, null)
  parking.count += 1
}

/** Sees to it that so many threads wait. */
export async function parkThreads(count: number): Promise<void> {
  while (parked.length < count) {
    const parking = new PARKED(ExAllocatePool2(POOL_FLAG_NON_PAGED, PARKED.size, 'Benc'))
    KeInitializeEvent(parking.event, SynchronizationEvent, false)
    const handle = { value: 0 }
    const status = PsCreateSystemThread({
      ThreadHandle: handle,
      DesiredAccess: 0,
      ObjectAttributes: null,
      ProcessHandle: null,
      ClientId: null,
      StartRoutine: park,
      StartContext: parking,
    })
    check(status, 'PsCreateSystemThread')
    await ZwClose(handle.value)
    parked.push(parking)
  }
}

/** Lets all of them go; gives back how many had waited. */
export function wakeThreads(): number {
  for (const { event } of parked) KeSetEvent(event, IO_NO_INCREMENT, false)
  return parked.length
}

/** How many of them have come back. */
export const wokenThreads = (): number => parked.splice(0).reduce((sum, { count }) => sum + count, 0)

// Handles.

let handles = 0

function createEvent(): number {
  const handle = { value: 0 }
  check(ZwCreateEvent(handle, EVENT_ALL_ACCESS, null, NotificationEvent, false), 'ZwCreateEvent')
  return handle.value
}

/** Sees to it that so many handles are open. */
export function openHandles(count: number): void {
  for (; handles < count; handles++) createEvent()
}

/** Nanoseconds to make an event with a handle, to reference it by that and to close it. */
export function useHandles(rounds: number): Promise<number> {
  const object = out<KEVENT>()
  return timedAsync(rounds, async () => {
    for (let round = 0; round < rounds; round++) {
      const handle = createEvent()
      const status = ObReferenceObjectByHandle({
        Handle: handle,
        DesiredAccess: EVENT_ALL_ACCESS,
        ObjectType: ExEventObjectType,
        AccessMode: KernelMode,
        Object: object,
        HandleInformation: null,
      })
      check(status, 'ObReferenceObjectByHandle')
      ObDereferenceObject(object.value)
      await ZwClose(handle)
    }
  })
}

// Objects.

let objects = 0
const nameOf = (index: number): string => `\\BaseNamedObjects\\Bench${index}`

/** Sees to it that there are so many named objects. */
export function nameObjects(count: number): void {
  for (; objects < count; objects++) {
    if (IoCreateNotificationEvent(nameOf(objects), { value: 0 }) === null) throw new Error(`no ${nameOf(objects)}`)
  }
}

/** Nanoseconds to open one of them by its name, and to close it. */
export function useObjects(rounds: number): Promise<number> {
  const handle = { value: 0 }
  return timedAsync(rounds, async () => {
    for (let round = 0; round < rounds; round++) {
      const event = IoCreateNotificationEvent(nameOf((round * 7919) % objects), handle)
      if (event === null) throw new Error('a named object is gone')
      await ZwClose(handle.value)
    }
  })
}
