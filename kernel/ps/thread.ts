/**
 * System threads. A thread is an object whose body is its KTHREAD. It has a reference of its own while it runs,
 * dropped behind its end.
 */
import { workerThreads } from '../ex/workitem.ts'
import { KTHREAD } from '../ke/layouts.ts'
import { routineId } from '../ke/image.ts'
import { enter, type Out, PASSIVE_LEVEL, point } from '../ke/level.ts'
import { cpu, Root } from '../ke/pcr.ts'
import { initializeThread, onThreadEnd, readyThread, ThreadExit } from '../ke/start.ts'
import { currentThread } from '../ke/thread.ts'
import { KernelMode } from '../ke/wait.ts'
import { read32, read8, write8 } from '../mm/access.ts'
import { free } from '../mm/pool.ts'
import { READ_CONTROL, STANDARD_RIGHTS_ALL, SYNCHRONIZE } from '../ob/access.ts'
import { captureAttributes, type ObjectAttributes, type ObjectAttributesLiteral } from '../ob/attributes.ts'
import { type HANDLE, referenceByHandle } from '../ob/handle.ts'
import { EPROCESS } from '../ob/layouts.ts'
import { createObject, insertObject } from '../ob/object.ts'
import { dereferenceObject, isObject, referenceObject } from '../ob/reference.ts'
import { registerObjectType } from '../ob/type.ts'
import {
  type NTSTATUS,
  STATUS_INSUFFICIENT_RESOURCES,
  STATUS_INVALID_PARAMETER,
  STATUS_SUCCESS,
} from '../rtl/status.ts'
import type { Pvoid } from '../rtl/struct.ts'
import { processType } from './process.ts'

const { IsSystemThread, ThreadId, Process } = KTHREAD.offsets

export const THREAD_ALL_ACCESS = STANDARD_RIGHTS_ALL | 0xffff

export const threadType = registerObjectType({
  name: 'Thread',
  view: KTHREAD,
  tag: 'Thre',
  mapping: {
    read: READ_CONTROL | 0x0848,
    write: READ_CONTROL | 0x0437,
    execute: READ_CONTROL | SYNCHRONIZE | 0x0800,
    all: THREAD_ALL_ACCESS,
  },
  userAccess: READ_CONTROL | SYNCHRONIZE,
  waitObject: (thread) => thread,
  delete: (thread) => {
    const process = read32(thread + Process)
    if (process !== 0) dereferenceObject(process)
  },
})
export const PsThreadType = threadType

/** A thread that ends drops its own reference. KTHREADs that are no objects belong to whoever allocated them. */
onThreadEnd.run = (thread) => {
  if (isObject(thread)) dereferenceObject(thread)
  else free(thread)
}

export interface ThreadStart {
  /** Id of an exported or kernel routine. */
  readonly routine: number
  readonly context: Pvoid
  /** The processor that it stays on; this one if left out. */
  readonly processor?: number
  /** Its EPROCESS; the System process if left out. */
  readonly process?: number
}

/**
 * Makes a thread object that does not run yet, with one reference: the thread's own. Then `readyThread`.
 *
 * @returns the address of the KTHREAD; 0 if there is no memory
 */
export function createThread({
  routine,
  context,
  processor = cpu.number,
  process = systemProcess(),
}: ThreadStart): number {
  const thread = createObject(threadType, KTHREAD.size)
  if (thread === 0) return 0
  if (process !== 0) referenceObject(process)
  initializeThread(thread, { routine, context, processor, process })
  write8(thread + IsSystemThread, isSystemProcess(process) ? 1 : 0)
  return thread
}

const isSystemProcess = (process: number): boolean =>
  process === 0 || read8(process + EPROCESS.offsets.IsSystemProcess) !== 0

/** Worker threads are thread objects like all others: a work item may reference the thread that it runs on. */
workerThreads.create = (routine, context, processor) => createThread({ routine, context, processor })

interface SystemThread {
  ThreadHandle: Out<HANDLE>
  DesiredAccess: number
  ObjectAttributes: ThreadAttributes
  ProcessHandle: HANDLE | null
  ClientId: Out<CLIENT_ID> | null
  StartRoutine: (StartContext: any) => void | Promise<void>
  StartContext: Pvoid
}

/** OBJECT_ATTRIBUTES, or a literal that may also say on which processor the thread runs. */
type ThreadAttributes = ObjectAttributes | (ObjectAttributesLiteral & { Processor?: number })

export interface CLIENT_ID {
  UniqueProcess: number
  UniqueThread: number
}

/**
 * Starts a thread of the kernel's at PASSIVE_LEVEL. It runs until `StartRoutine` returns or calls
 * PsTerminateSystemThread. Close the handle at once unless it is needed: it does not keep the thread running.
 *
 * @irql PASSIVE_LEVEL
 * @returns STATUS_SUCCESS; STATUS_INSUFFICIENT_RESOURCES; STATUS_INVALID_PARAMETER when there is no such `Processor`;
 *   STATUS_INVALID_HANDLE or STATUS_OBJECT_TYPE_MISMATCH for a bad ProcessHandle
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-pscreatesystemthread
 * @deviates (decision 0006) affinity is chosen here, by the key `Processor` of an ObjectAttributes literal: threads
 *   never move
 */
export function PsCreateSystemThread(parameters: SystemThread): NTSTATUS {
  enter(PASSIVE_LEVEL, 'PsCreateSystemThread')
  const { ThreadHandle, DesiredAccess, ObjectAttributes, ProcessHandle, ClientId, StartContext } = parameters
  const routine = routineId(parameters.StartRoutine)
  const processor = (ObjectAttributes as { Processor?: number } | null)?.Processor ?? cpu.number
  if (!(processor >= 0 && processor < cpu.count)) return STATUS_INVALID_PARAMETER
  const attributes = captureAttributes(ObjectAttributes, KernelMode)
  if (attributes.status !== STATUS_SUCCESS) return attributes.status
  const owner = processOf(ProcessHandle)
  if (owner.status !== STATUS_SUCCESS) return owner.status
  const thread = createThread({ routine, context: StartContext, processor, process: owner.object })
  dereferenceObject(owner.object)
  if (thread === 0) return STATUS_INSUFFICIENT_RESOURCES
  write8(thread + IsSystemThread, 1)
  const inserted = insertObject(thread, { attributes, access: DesiredAccess, mode: KernelMode, wantsHandle: true })
  if (inserted.status !== STATUS_SUCCESS) return inserted.status
  ThreadHandle.value = inserted.handle
  if (ClientId !== null) {
    ClientId.value = { UniqueProcess: processId(owner.object), UniqueThread: read32(thread + ThreadId) }
  }
  readyThread(thread)
  return STATUS_SUCCESS
}

const processId = (process: number): number => read32(process + EPROCESS.offsets.UniqueProcessId)

/** The process of a handle, with a reference; NULL is the System process. */
function processOf(handle: HANDLE | null): { status: NTSTATUS; object: number } {
  if (handle !== null && handle !== 0) return referenceByHandle(handle, 0, processType, KernelMode)
  const object = systemProcess()
  referenceObject(object)
  return { status: STATUS_SUCCESS, object }
}

const systemProcess = (): number => read32(Root.PsSystemProcess)

/**
 * Ends the current system thread: nothing behind the call runs, but for `finally` blocks.
 *
 * @irql PASSIVE_LEVEL
 * @returns STATUS_INVALID_PARAMETER on a thread that is no system thread; otherwise it does not return
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-psterminatesystemthread
 * @deviates (decision 0007) it throws to unwind the thread: a `catch` around it must let the exception pass
 */
export function PsTerminateSystemThread(ExitStatus: NTSTATUS): NTSTATUS {
  enter(PASSIVE_LEVEL, 'PsTerminateSystemThread')
  if (read8(currentThread() + IsSystemThread) === 0) return STATUS_INVALID_PARAMETER
  throw new ThreadExit(ExitStatus)
}

/**
 * The thread that runs, or that the current ISR or DPC interrupted. It carries no reference.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kegetcurrentthread
 */
export function KeGetCurrentThread(): KTHREAD {
  point()
  return new KTHREAD(currentThread())
}

/**
 * The thread that runs, or that the current ISR or DPC interrupted. It carries no reference.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntddk/nf-ntddk-psgetcurrentthread
 */
export function PsGetCurrentThread(): KTHREAD {
  point()
  return new KTHREAD(currentThread())
}

/**
 * The number of the current thread; no two threads of a machine have the same.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntddk/nf-ntddk-psgetcurrentthreadid
 */
export function PsGetCurrentThreadId(): number {
  point()
  return read32(currentThread() + ThreadId)
}

/**
 * The number of a thread.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntddk/nf-ntddk-psgetthreadid
 */
export function PsGetThreadId(Thread: KTHREAD): number {
  point()
  return Thread.ThreadId
}

/**
 * Whether a thread is the kernel's own.
 *
 * @irql any
 * @returns FALSE for threads that run a user program's requests
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntifs/nf-ntifs-psissystemthread
 */
export function PsIsSystemThread(Thread: KTHREAD): boolean {
  point()
  return Thread.IsSystemThread !== 0
}
