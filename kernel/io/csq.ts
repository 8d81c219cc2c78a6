/**
 * Cancel-safe queues (IO_CSQ): the driver says how its queue is locked and linked, and the race between cancelling
 * and removing is settled here.
 *
 * Whoever exchanges the IRP's cancel routine for null owns the IRP, and takes it out of the queue under the queue's
 * lock. DriverContext[3] of a queued IRP holds its IO_CSQ_IRP_CONTEXT, or the queue itself when it has none.
 */
import { read32, read8, write32 } from '../mm/access.ts'
import { escapedException } from '../ke/bugcheck.ts'
import { kernelRoutine, type Routine, routineId, routineOf } from '../ke/image.ts'
import { DISPATCH_LEVEL, enter, type KIRQL, type Out, point } from '../ke/level.ts'
import { NT_SUCCESS, type NTSTATUS, STATUS_SUCCESS } from '../rtl/status.ts'
import { pointer, type Pvoid, storePvoid, struct, type Synchronous, ULONG, type View } from '../rtl/struct.ts'
import { exchangeCancelRoutine, releaseCancelLock } from './cancel.ts'
import { markPending } from './irp.ts'
import { type DEVICE_OBJECT, IRP, Irp } from './layouts.ts'

/** In the driver's memory, and filled by IoCsqInitialize only. The routines are ids. */
export const IO_CSQ = struct('IO_CSQ', {
  Type: ULONG,
  CsqInsertIrp: ULONG,
  CsqRemoveIrp: ULONG,
  CsqPeekNextIrp: ULONG,
  CsqAcquireLock: ULONG,
  CsqReleaseLock: ULONG,
  CsqCompleteCanceledIrp: ULONG,
  ReservePointer: ULONG,
})
export interface IO_CSQ extends View<typeof IO_CSQ> {}

/** Stands for one queued IRP, which may be gone: IoCsqRemoveIrp tells. */
export const IO_CSQ_IRP_CONTEXT = struct('IO_CSQ_IRP_CONTEXT', {
  Type: ULONG,
  Irp: pointer(IRP), // null once it is out of the queue
  Csq: pointer(IO_CSQ),
})
export interface IO_CSQ_IRP_CONTEXT extends View<typeof IO_CSQ_IRP_CONTEXT> {}

export const IO_TYPE_CSQ_IRP_CONTEXT = 1
export const IO_TYPE_CSQ = 2
export const IO_TYPE_CSQ_EX = 3

/** All are called at <= DISPATCH_LEVEL; insert, remove and peek with the queue's lock held. */
export type IO_CSQ_INSERT_IRP = (Csq: IO_CSQ, Irp: IRP) => void
export type IO_CSQ_INSERT_IRP_EX = (Csq: IO_CSQ, Irp: IRP, InsertContext: never) => NTSTATUS
export type IO_CSQ_REMOVE_IRP = (Csq: IO_CSQ, Irp: IRP) => void
/** The IRP behind `Irp`, of those that match `PeekContext`; the first one when `Irp` is null. */
export type IO_CSQ_PEEK_NEXT_IRP = (Csq: IO_CSQ, Irp: IRP | null, PeekContext: never) => IRP | null
/** Acquires the lock of the queue. @irql <= DISPATCH_LEVEL */
export type IO_CSQ_ACQUIRE_LOCK = (Csq: IO_CSQ, Irql: Out<KIRQL>) => void
/** Releases it. @irql DISPATCH_LEVEL */
export type IO_CSQ_RELEASE_LOCK = (Csq: IO_CSQ, Irql: KIRQL) => void
/** Completes an IRP that was cancelled while it was in the queue. @irql <= DISPATCH_LEVEL */
export type IO_CSQ_COMPLETE_CANCELED_IRP = (Csq: IO_CSQ, Irp: IRP) => void

interface CsqRoutines<Insert> {
  Csq: IO_CSQ
  CsqInsertIrp: Insert
  CsqRemoveIrp: Synchronous<IO_CSQ_REMOVE_IRP>
  CsqPeekNextIrp: IO_CSQ_PEEK_NEXT_IRP
  CsqAcquireLock: Synchronous<IO_CSQ_ACQUIRE_LOCK>
  CsqReleaseLock: Synchronous<IO_CSQ_RELEASE_LOCK>
  CsqCompleteCanceledIrp: Synchronous<IO_CSQ_COMPLETE_CANCELED_IRP>
}

const Queue = IO_CSQ.offsets
const Context = IO_CSQ_IRP_CONTEXT.offsets
const OWN_CONTEXT = Irp.DriverContext + 3 * 8

function initialize(type: number, routines: CsqRoutines<Routine>): NTSTATUS {
  point()
  const { Csq, CsqInsertIrp, CsqRemoveIrp, CsqPeekNextIrp } = routines
  const { CsqAcquireLock, CsqReleaseLock, CsqCompleteCanceledIrp } = routines
  const csq = Csq.address
  write32(csq + Queue.Type, type)
  write32(csq + Queue.CsqInsertIrp, routineId(CsqInsertIrp))
  write32(csq + Queue.CsqRemoveIrp, routineId(CsqRemoveIrp))
  write32(csq + Queue.CsqPeekNextIrp, routineId(CsqPeekNextIrp))
  write32(csq + Queue.CsqAcquireLock, routineId(CsqAcquireLock))
  write32(csq + Queue.CsqReleaseLock, routineId(CsqReleaseLock))
  write32(csq + Queue.CsqCompleteCanceledIrp, routineId(CsqCompleteCanceledIrp))
  write32(csq + Queue.ReservePointer, 0)
  return STATUS_SUCCESS
}

/**
 * Makes a cancel-safe queue of the driver's routines.
 *
 * @irql any
 * @returns STATUS_SUCCESS
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iocsqinitialize
 */
export function IoCsqInitialize(routines: CsqRoutines<Synchronous<IO_CSQ_INSERT_IRP>>): NTSTATUS {
  return initialize(IO_TYPE_CSQ, routines)
}

/**
 * Makes a cancel-safe queue whose insert routine takes a context and may refuse an IRP.
 *
 * @irql any
 * @returns STATUS_SUCCESS
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iocsqinitializeex
 */
export function IoCsqInitializeEx(routines: CsqRoutines<IO_CSQ_INSERT_IRP_EX>): NTSTATUS {
  return initialize(IO_TYPE_CSQ_EX, routines)
}

function call(csq: number, field: number, ...args: unknown[]): unknown {
  const routine = routineOf(read32(csq + field))
  try {
    return routine(new IO_CSQ(csq), ...args)
  } catch (error) {
    return escapedException(error, `cancel-safe queue routine ${routine.name}`)
  }
}

/** Runs `body` with the queue's lock held. */
function withLock<R>(csq: number, body: () => R): R {
  const irql = { value: 0 }
  call(csq, Queue.CsqAcquireLock, irql)
  const result = body()
  call(csq, Queue.CsqReleaseLock, irql.value)
  return result
}

/**
 * Puts an IRP into the queue, marks it pending and makes it cancellable. The dispatch routine then returns
 * STATUS_PENDING. `Context` stands for the IRP in IoCsqRemoveIrp.
 *
 * @irql <= DISPATCH_LEVEL
 * @deviates (decision 0022) an IRP that was cancelled before is inserted, taken out again and completed by
 *   CsqCompleteCanceledIrp; Windows' page says that it is not inserted
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iocsqinsertirp
 */
export function IoCsqInsertIrp(Csq: IO_CSQ, Irp_: IRP, Context_: IO_CSQ_IRP_CONTEXT | null): void {
  enter(DISPATCH_LEVEL, 'IoCsqInsertIrp')
  insert(Csq.address, Irp_.address, Context_?.address ?? 0, null)
}

/**
 * As IoCsqInsertIrp, with a context for the queue's insert routine, which may refuse the IRP.
 *
 * @irql <= DISPATCH_LEVEL
 * @returns STATUS_SUCCESS; what CsqInsertIrpEx returned: on an error the IRP is not queued, not marked pending and not
 *   cancellable
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iocsqinsertirpex
 */
export function IoCsqInsertIrpEx(
  Csq: IO_CSQ,
  Irp_: IRP,
  Context_: IO_CSQ_IRP_CONTEXT | null,
  InsertContext: Pvoid,
): NTSTATUS {
  enter(DISPATCH_LEVEL, 'IoCsqInsertIrpEx')
  return insert(Csq.address, Irp_.address, Context_?.address ?? 0, InsertContext)
}

function insert(csq: number, irp: number, context: number, insertContext: Pvoid): NTSTATUS {
  let isCancelled = false
  const status = withLock(csq, () => {
    bind(csq, irp, context)
    const result = callInsert(csq, irp, insertContext)
    if (!NT_SUCCESS(result)) {
      unbind(irp, context)
      return result
    }
    markPending(irp)
    exchangeCancelRoutine(irp, routineId(cancelQueued))
    // Cancelled before the routine was there: who gets it back completes the IRP.
    isCancelled = read8(irp + Irp.Cancel) !== 0 && exchangeCancelRoutine(irp, 0) !== 0
    if (isCancelled) remove(csq, irp, context)
    return result
  })
  if (isCancelled) call(csq, Queue.CsqCompleteCanceledIrp, new IRP(irp))
  return status
}

function callInsert(csq: number, irp: number, insertContext: Pvoid): NTSTATUS {
  const isEx = read32(csq + Queue.Type) === IO_TYPE_CSQ_EX
  if (isEx) return call(csq, Queue.CsqInsertIrp, new IRP(irp), insertContext) as NTSTATUS
  call(csq, Queue.CsqInsertIrp, new IRP(irp))
  return STATUS_SUCCESS
}

/** Says in the IRP which queue it is in. */
function bind(csq: number, irp: number, context: number): void {
  storePvoid(irp + OWN_CONTEXT, context === 0 ? csq : context)
  if (context === 0) return
  write32(context + Context.Type, IO_TYPE_CSQ_IRP_CONTEXT)
  write32(context + Context.Irp, irp)
  write32(context + Context.Csq, csq)
}

function unbind(irp: number, context: number): void {
  storePvoid(irp + OWN_CONTEXT, null)
  if (context !== 0) write32(context + Context.Irp, 0)
}

/** Takes an IRP that is the caller's out of the queue. The queue's lock is held. */
function remove(csq: number, irp: number, context: number): void {
  call(csq, Queue.CsqRemoveIrp, new IRP(irp))
  unbind(irp, context)
}

/** The context that a queued IRP was inserted with, 0 for none. */
function contextOf(irp: number): number {
  const own = read32(irp + OWN_CONTEXT)
  return read32(own) === IO_TYPE_CSQ_IRP_CONTEXT ? own : 0
}

/** The cancel routine of every queued IRP. */
const cancelQueued = kernelRoutine(function cancelQueued(_device: DEVICE_OBJECT, Irp_: IRP) {
  const irp = Irp_.address
  releaseCancelLock(read8(irp + Irp.CancelIrql))
  const context = contextOf(irp)
  const csq = context === 0 ? read32(irp + OWN_CONTEXT) : read32(context + Context.Csq)
  withLock(csq, () => remove(csq, irp, context))
  call(csq, Queue.CsqCompleteCanceledIrp, new IRP(irp))
})

/**
 * Takes the IRP that `Context` stands for out of the queue.
 *
 * @irql <= DISPATCH_LEVEL
 * @returns the IRP, which is the caller's now; null when it was cancelled, or removed before
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iocsqremoveirp
 */
export function IoCsqRemoveIrp(Csq: IO_CSQ, Context_: IO_CSQ_IRP_CONTEXT): IRP | null {
  enter(DISPATCH_LEVEL, 'IoCsqRemoveIrp')
  const csq = Csq.address
  const context = Context_.address
  return withLock(csq, () => {
    const irp = read32(context + Context.Irp)
    if (irp === 0 || exchangeCancelRoutine(irp, 0) === 0) return null
    remove(csq, irp, context)
    return new IRP(irp)
  })
}

/**
 * Takes the first IRP that matches `PeekContext`, and is not being cancelled, out of the queue.
 *
 * @irql <= DISPATCH_LEVEL
 * @returns the IRP, which is the caller's now; null when there is none
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iocsqremovenextirp
 */
export function IoCsqRemoveNextIrp(Csq: IO_CSQ, PeekContext: Pvoid): IRP | null {
  enter(DISPATCH_LEVEL, 'IoCsqRemoveNextIrp')
  const csq = Csq.address
  return withLock(csq, () => {
    let found = call(csq, Queue.CsqPeekNextIrp, null, PeekContext) as IRP | null
    while (found !== null) {
      const irp = found.address
      if (exchangeCancelRoutine(irp, 0) !== 0) {
        remove(csq, irp, contextOf(irp))
        return new IRP(irp)
      }
      found = call(csq, Queue.CsqPeekNextIrp, found, PeekContext) as IRP | null
    }
    return null
  })
}
