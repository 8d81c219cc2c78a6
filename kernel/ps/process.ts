/** Processes: who owns handles. The System process owns the kernel's; each user program has one of its own. */
import { initializeHeader, lockDispatcher, serveWaiters, unlockDispatcher } from '../ke/dispatcher.ts'
import { DISPATCHER_HEADER, ObjectType as DispatcherType } from '../ke/layouts.ts'
import { point } from '../ke/level.ts'
import { Root } from '../ke/pcr.ts'
import { atomicAdd, atomicExchange, read32, write16, write32, write8 } from '../mm/access.ts'
import { READ_CONTROL, STANDARD_RIGHTS_ALL, SYNCHRONIZE } from '../ob/access.ts'
import { allocateText, freeText } from '../ob/attributes.ts'
import { closeAllHandles, currentProcess } from '../ob/handle.ts'
import { createHandleTable, freeHandleTable } from '../ob/handletable.ts'
import { EPROCESS } from '../ob/layouts.ts'
import { createObject } from '../ob/object.ts'
import { dereferenceObject } from '../ob/reference.ts'
import { registerObjectType } from '../ob/type.ts'
import { STATUS_SUCCESS } from '../rtl/status.ts'
import { UNICODE_STRING } from '../rtl/string.ts'

export { EPROCESS }

const { UniqueProcessId, ObjectTable, IsSystemProcess, ExitStatus, ImageFileName } = EPROCESS.offsets
const { Buffer, Length, MaximumLength } = UNICODE_STRING.offsets
const { SignalState } = DISPATCHER_HEADER.offsets

export const PROCESS_ALL_ACCESS = STANDARD_RIGHTS_ALL | 0xffff

export const processType = registerObjectType({
  name: 'Process',
  view: EPROCESS,
  tag: 'Proc',
  mapping: {
    read: READ_CONTROL | 0x0410,
    write: READ_CONTROL | 0x0bea,
    execute: READ_CONTROL | SYNCHRONIZE | 0x1001,
    all: PROCESS_ALL_ACCESS,
  },
  userAccess: READ_CONTROL | SYNCHRONIZE,
  waitObject: (process) => process,
  delete: (process) => {
    freeText(read32(process + ImageFileName + Buffer))
    const table = atomicExchange(process + ObjectTable, 0)
    if (table !== 0) freeHandleTable(table)
  },
})
export const PsProcessType = processType

const ID_STEP = 4

/** Makes a process without threads. The caller has the one reference. @returns its address, 0 if there is no memory. */
export function createProcess(name: string): number {
  const process = newProcess(name)
  if (process === 0) return 0
  const table = createHandleTable(process)
  write32(process + ObjectTable, table)
  if (table !== 0) return process
  dereferenceObject(process)
  return 0
}

function newProcess(name: string): number {
  const process = createObject(processType, EPROCESS.size)
  if (process === 0) return 0
  initializeHeader(process, DispatcherType.ProcessObject, EPROCESS.size, 0)
  write32(process + UniqueProcessId, atomicAdd(Root.PsNextProcessId, ID_STEP) + ID_STEP)
  write32(process + ImageFileName + Buffer, allocateText(name))
  write16(process + ImageFileName + Length, 2 * name.length)
  write16(process + ImageFileName + MaximumLength, 2 * name.length)
  return process
}

/** Makes the System process, whose handle table is the kernel's. */
export function createSystemProcess(): void {
  const process = newProcess('System')
  const table = read32(Root.ObKernelHandles)
  write8(process + IsSystemProcess, 1)
  write32(process + ObjectTable, table)
  write32(Root.PsSystemProcess, process)
}

/**
 * Ends a process: closes its handles and signals it. None of its threads may run any more.
 *
 * The caller's reference stays the caller's. @irql PASSIVE_LEVEL
 */
export async function exitProcess(process: number, status = STATUS_SUCCESS): Promise<void> {
  const table = atomicExchange(process + ObjectTable, 0)
  if (table !== 0) {
    await closeAllHandles(table)
    freeHandleTable(table)
  }
  write32(process + ExitStatus, status)
  lockDispatcher()
  write32(process + SignalState, 1)
  serveWaiters(process)
  unlockDispatcher()
}

/**
 * The process of the current thread. It carries no reference.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntddk/nf-ntddk-psgetcurrentprocess
 */
export function PsGetCurrentProcess(): EPROCESS {
  point()
  return new EPROCESS(currentProcess())
}

/**
 * PsGetCurrentProcess under its other name.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntddk/nf-ntddk-iogetcurrentprocess
 */
export function IoGetCurrentProcess(): EPROCESS {
  return PsGetCurrentProcess()
}

/**
 * The number of a process.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntddk/nf-ntddk-psgetprocessid
 */
export function PsGetProcessId(Process: EPROCESS): number {
  point()
  return Process.UniqueProcessId
}

/**
 * The number of the current process.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntddk/nf-ntddk-psgetcurrentprocessid
 */
export function PsGetCurrentProcessId(): number {
  point()
  return read32(currentProcess() + UniqueProcessId)
}

/**
 * The System process. It carries no reference.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/kernel/mm64bitphysicaladdress
 * @deviates (decision 0003) a variable in Windows, a routine here, since a machine's processes are known once it is
 *   booted
 */
export function PsInitialSystemProcess(): EPROCESS {
  return new EPROCESS(read32(Root.PsSystemProcess))
}
