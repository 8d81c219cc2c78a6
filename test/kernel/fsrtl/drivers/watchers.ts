/** Programs that watch the directories of `volume.ts`, on whatever processor they are run. */
import {
  array,
  atomic,
  type DEVICE_OBJECT,
  type FILE_OBJECT,
  globals,
  IoAllocateIrp,
  IoCallDriver,
  IoCancelIrp,
  IoFreeIrp,
  IoFileObjectType,
  IoGetNextIrpStackLocation,
  IoReuseIrp,
  IoSetCompletionRoutine,
  type IRP,
  IRP_MJ_DIRECTORY_CONTROL,
  IRP_MN_NOTIFY_CHANGE_DIRECTORY,
  KeDelayExecutionThread,
  KeGetCurrentProcessorNumberEx,
  KeInitializeEvent,
  KernelMode,
  KeSetEvent,
  KEVENT,
  KeWaitForSingleObject,
  LONG,
  type NTSTATUS,
  ObDereferenceObject,
  ObReferenceObjectByHandle,
  out,
  STATUS_CANCELLED,
  STATUS_INVALID_HANDLE,
  STATUS_MORE_PROCESSING_REQUIRED,
  STATUS_NOTIFY_CLEANUP,
  STATUS_NOTIFY_ENUM_DIR,
  STATUS_SUCCESS,
  struct,
  SynchronizationEvent,
} from '../../../../ddi/ntifs.ts'
import { cancel, closeHandle, notifyChange, openFile } from '../../../../kernel/io/syscall.ts'
import { allocateStruct, free } from '../../../../kernel/mm/pool.ts'
import { recordsIn } from '../records.ts'
import { report } from './volume.ts'

const GENERIC_READ = 0x80000000
const FILE_NAMES = 1
const LENGTH = 0x10000

interface Watching {
  path: string
  count: number
  tree?: boolean
  /** Of the requests; 0: they are not cancelled. */
  token?: number
}

interface Tally {
  /** Names in the order in which they came. */
  names: string[]
  cancelled: number
  completions: number
}

/** Watches until it was told of `count` changes; cancelled requests are sent again. */
export async function watch({ path, count, tree = false, token = 0 }: Watching): Promise<Tally> {
  const { handle } = await openFile(`Volume${path}`, GENERIC_READ)
  const tally: Tally = { names: [], cancelled: 0, completions: 0 }
  while (tally.names.length < count) {
    const { status, data } = await notifyChange(handle, FILE_NAMES, tree, LENGTH, token)
    tally.completions += 1
    if (status === STATUS_CANCELLED) tally.cancelled += 1
    else if (status === STATUS_SUCCESS && data !== null) tally.names.push(...recordsIn(data).map((one) => one.slice(2)))
    else throw new Error(`watching ended with ${status}`)
  }
  await closeHandle(handle)
  return tally
}

/** Cancels the requests of that token now and then, until none is left for a while. */
export async function cancelMany({ token, count }: { token: number; count: number }): Promise<number> {
  let found = 0
  for (let round = 0; round < count; round++) {
    if (cancel(token)) found += 1
    if (round % 16 === 0) await KeDelayExecutionThread(KernelMode, false, -1)
  }
  return found
}

/** Handles of those who come, for those who make them go; 0: none. */
export const shared = globals({ handles: array(atomic(LONG), 2) })

interface Visits {
  path: string
  rounds: number
  slot: number
}

/** Opens and watches again and again, until somebody closes the handle. Gives back statuses that must not be. */
export async function come({ path, rounds, slot }: Visits): Promise<number[]> {
  const seen = new Set<number>()
  for (let round = 0; round < rounds; round++) {
    const { handle } = await openFile(`Volume${path}${round % 7}`, GENERIC_READ)
    shared.handles.at(slot).store(handle)
    let { status } = await notifyChange(handle, FILE_NAMES, true, 64, 0)
    seen.add(status)
    while (status === STATUS_SUCCESS || status === STATUS_NOTIFY_ENUM_DIR) {
      ;({ status } = await notifyChange(handle, FILE_NAMES, true, 64, 0))
      seen.add(status)
    }
  }
  return [...seen].filter((status) => !ENDS.includes(status))
}
const ENDS = [STATUS_SUCCESS, STATUS_NOTIFY_CLEANUP, STATUS_NOTIFY_ENUM_DIR, STATUS_INVALID_HANDLE]

/** Closes as many handles as were opened. */
export async function go({ rounds, slot }: Visits): Promise<void> {
  for (let round = 0; round < rounds; ) {
    const handle = shared.handles.at(slot).exchange(0)
    if (handle === 0) {
      await KeDelayExecutionThread(KernelMode, false, -1)
      continue
    }
    await closeHandle(handle >>> 0)
    round += 1
  }
}

const CANCELLER = struct('CANCELLER', {
  done: KEVENT,
  status: LONG,
  processor: LONG, // where the request was completed
  isOver: atomic(LONG),
})
type CANCELLER = InstanceType<typeof CANCELLER>

/** Made by one thread, for the others. */
export function makeCanceller(): number {
  return (allocateStruct(CANCELLER, 'Test') as CANCELLER).address
}

export function cancelled(_device: DEVICE_OBJECT | null, irp: IRP, canceller: CANCELLER): NTSTATUS {
  canceller.status = irp.IoStatus.Status
  canceller.processor = KeGetCurrentProcessorNumberEx(null)
  KeSetEvent(canceller.done, 0, false)
  return STATUS_MORE_PROCESSING_REQUIRED
}

/** Sends requests and cancels each at once, until `wanted` of them were completed by the other processor. */
export async function sendAndCancel({ address, wanted }: { address: number; wanted: number }): Promise<number[]> {
  const canceller = new CANCELLER(address)
  const { handle } = await openFile('Volume\\d', GENERIC_READ)
  const box = out<FILE_OBJECT>()
  ObReferenceObjectByHandle({
    Handle: handle,
    DesiredAccess: 0,
    ObjectType: IoFileObjectType,
    AccessMode: KernelMode,
    Object: box,
    HandleInformation: null,
  })
  const file = box.value
  const device = file.DeviceObject as DEVICE_OBJECT
  const irp = IoAllocateIrp(device.StackSize, false) as IRP
  KeInitializeEvent(canceller.done, SynchronizationEvent, false)
  const seen = new Set<number>()
  for (let elsewhere = 0; elsewhere < wanted; ) {
    const stack = IoGetNextIrpStackLocation(irp)
    stack.MajorFunction = IRP_MJ_DIRECTORY_CONTROL
    stack.MinorFunction = IRP_MN_NOTIFY_CHANGE_DIRECTORY
    stack.FileObject = file
    stack.Parameters.NotifyDirectory.CompletionFilter = FILE_NAMES
    IoSetCompletionRoutine({
      Irp: irp,
      CompletionRoutine: cancelled,
      Context: canceller,
      InvokeOnSuccess: true,
      InvokeOnError: true,
      InvokeOnCancel: true,
    })
    await IoCallDriver(device, irp)
    IoCancelIrp(irp)
    await KeWaitForSingleObject(canceller.done, 0, KernelMode, false, null)
    seen.add(canceller.status)
    if (canceller.processor !== KeGetCurrentProcessorNumberEx(null)) elsewhere += 1
    IoReuseIrp(irp, STATUS_SUCCESS)
  }
  IoFreeIrp(irp)
  ObDereferenceObject(file)
  await closeHandle(handle)
  canceller.isOver.store(1)
  return [...seen]
}

/** Reports changes that reach nobody, until `sendAndCancel` has seen enough. */
export async function reportUntilOver({ address }: { address: number }): Promise<void> {
  const canceller = new CANCELLER(address)
  while (canceller.isOver.load() === 0) await report({ name: '\\e\\x' })
  free(address, 'Test')
}
