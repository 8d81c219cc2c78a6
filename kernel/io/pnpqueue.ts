/**
 * What the PnP manager has to do, in order: anybody at or below DISPATCH_LEVEL puts an action here, one thread of the
 * machine takes them.
 */
import { atomicAdd, read32, write32 } from '../mm/access.ts'
import { allocate, free } from '../mm/pool.ts'
import { initializeEvent, NotificationEvent, resetEvent, setEvent, SynchronizationEvent } from '../ke/event.ts'
import { KEVENT } from '../ke/layouts.ts'
import { Root } from '../ke/pcr.ts'
import { acquireWord, releaseWord } from '../ke/spin.ts'
import { currentThread } from '../ke/thread.ts'
import { waitForObject } from '../ke/wait.ts'
import { dereferenceObject, referenceObject } from '../ob/reference.ts'
import { type NTSTATUS, STATUS_INSUFFICIENT_RESOURCES, STATUS_SUCCESS } from '../rtl/status.ts'
import { LONG, NTSTATUS as STATUS, struct, ULONG } from '../rtl/struct.ts'

export const Action = {
  Relations: 1, // of a bus's PDO: look what is there
  State: 2, // of a PDO: ask the driver how the device is
  Rescan: 3, // a driver came: look for devices without one
  Closed: 4, // the last file of a lost device was closed
  Remove: 5, // of a PDO, if all agree
  Eject: 6, // remove, then let it out
  Restart: 7, // of a PDO: stop, then start with the same resources
  RemoveDriver: 8, // all devices of a driver
} as const
export type Action = (typeof Action)[keyof typeof Action]

/** Queue and Ids are guarded by Lock; the tree is the PnP thread's. */
const PNP_MANAGER = struct('PNP_MANAGER', {
  Lock: ULONG,
  First: ULONG, // action
  Last: ULONG,
  Outstanding: LONG, // actions that are queued or at work; atomic
  Ids: ULONG, // what drivers declared: the newest PNP_DRIVER_IDS
  RootNode: ULONG,
  RootDriver: ULONG,
  Thread: ULONG, // the one that takes actions
  Wake: KEVENT, // synchronization
  Idle: KEVENT, // notification: nothing is outstanding
})
export const Manager = PNP_MANAGER.offsets
export const manager = (): number => read32(Root.IoPnp)

const PNP_ACTION = struct('PNP_ACTION', {
  Next: ULONG,
  Kind: ULONG,
  Object: ULONG, // device or driver, with a reference; 0 for none
  HasWaiter: ULONG,
  Status: STATUS,
  Done: KEVENT,
})
const Entry = PNP_ACTION.offsets
const TAG = 'PpAc'

export function createManager(): void {
  const address = allocate(PNP_MANAGER.size, 'PpMg')
  initializeEvent(address + Manager.Wake, SynchronizationEvent, false)
  initializeEvent(address + Manager.Idle, NotificationEvent, true)
  write32(Root.IoPnp, address)
}

/** Queues an action for `object`; false when there is no memory. @irql <= DISPATCH_LEVEL */
export function queueAction(kind: Action, object: number): boolean {
  const action = allocate(PNP_ACTION.size, TAG)
  if (action === 0) return false
  append(action, kind, object)
  return true
}

/** Queues an action and waits until it is done. @irql PASSIVE_LEVEL, not on the PnP thread */
export async function doAction(kind: Action, object: number): Promise<NTSTATUS> {
  const action = allocate(PNP_ACTION.size, TAG)
  if (action === 0) return STATUS_INSUFFICIENT_RESOURCES
  initializeEvent(action + Entry.Done, NotificationEvent, false)
  write32(action + Entry.HasWaiter, 1)
  append(action, kind, object)
  await waitForObject(action + Entry.Done)
  const status = read32(action + Entry.Status)
  free(action, TAG)
  return status
}

export const isPnpThread = (thread: number): boolean => read32(manager() + Manager.Thread) === thread

function append(action: number, kind: Action, object: number): void {
  const pnp = manager()
  if (object !== 0) referenceObject(object)
  write32(action + Entry.Kind, kind)
  write32(action + Entry.Object, object)
  if (atomicAdd(pnp + Manager.Outstanding, 1) === 0) resetEvent(pnp + Manager.Idle)
  acquireWord(pnp + Manager.Lock)
  const last = read32(pnp + Manager.Last)
  write32(last === 0 ? pnp + Manager.First : last + Entry.Next, action)
  write32(pnp + Manager.Last, action)
  releaseWord(pnp + Manager.Lock)
  setEvent(pnp + Manager.Wake)
}

function take(): number {
  const pnp = manager()
  acquireWord(pnp + Manager.Lock)
  const action = read32(pnp + Manager.First)
  if (action !== 0) {
    const next = read32(action + Entry.Next)
    write32(pnp + Manager.First, next)
    if (next === 0) write32(pnp + Manager.Last, 0)
  }
  releaseWord(pnp + Manager.Lock)
  return action
}

/** Takes actions for ever. */
export async function serveActions(perform: (kind: Action, object: number) => Promise<NTSTATUS>): Promise<never> {
  write32(manager() + Manager.Thread, currentThread())
  for (;;) {
    await waitForObject(manager() + Manager.Wake)
    for (let action = take(); action !== 0; action = take()) {
      const object = read32(action + Entry.Object)
      finish(action, object, await perform(read32(action + Entry.Kind) as Action, object))
    }
  }
}

function finish(action: number, object: number, status: NTSTATUS): void {
  if (object !== 0) dereferenceObject(object)
  if (read32(action + Entry.HasWaiter) === 0) {
    free(action, TAG)
  } else {
    write32(action + Entry.Status, status)
    setEvent(action + Entry.Done)
  }
  const pnp = manager()
  if (atomicAdd(pnp + Manager.Outstanding, -1) === 1) setEvent(pnp + Manager.Idle)
}

/** Waits until the PnP manager has nothing to do. @irql PASSIVE_LEVEL */
export async function pnpIdle(): Promise<NTSTATUS> {
  while (read32(manager() + Manager.Outstanding) !== 0) await waitForObject(manager() + Manager.Idle)
  return STATUS_SUCCESS
}
