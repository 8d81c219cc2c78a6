/**
 * Requests that wait in cancel-safe queues (IO_CSQ), and are served from DPCs: no thread waits with them. No state of its
 * own: what a driver keeps is a REQUEST_QUEUE in its device extension, and one spin lock for all queues of a device.
 *
 * Who finishes a request marks it under that lock and takes it out of its queue behind the lock. A cancel in between comes
 * too late: it completes the request, once, as it was finished.
 */
import {
  array,
  CONTAINING_RECORD,
  ExAllocatePool2,
  ExFreePool,
  type FILE_OBJECT,
  IO_CSQ,
  type IO_CSQ_ACQUIRE_LOCK,
  type IO_CSQ_COMPLETE_CANCELED_IRP,
  type IO_CSQ_INSERT_IRP_EX,
  type IO_CSQ_PEEK_NEXT_IRP,
  type IO_CSQ_RELEASE_LOCK,
  type IO_CSQ_REMOVE_IRP,
  InitializeListHead,
  InsertHeadList,
  InsertTailList,
  IoCsqInitializeEx,
  IoCsqInsertIrpEx,
  IoCsqRemoveNextIrp,
  IoGetCurrentIrpStackLocation,
  IRP,
  KeAcquireSpinLock,
  KeReleaseSpinLock,
  type KIRQL,
  KSPIN_LOCK,
  LIST_ENTRY,
  LONG,
  NT_SUCCESS,
  type NTSTATUS,
  out,
  pointer,
  POOL_FLAG_NON_PAGED,
  RemoveEntryList,
  same,
  STATUS_CANCELLED,
  STATUS_DEVICE_NOT_CONNECTED,
  STATUS_INSUFFICIENT_RESOURCES,
  STATUS_PENDING,
  STATUS_SUCCESS,
  struct,
  DOUBLE,
  ULONG,
} from 'dirql/wdm'
import { complete } from './irp.ts'

export const REQUEST_QUEUE = struct('REQUEST_QUEUE', {
  Csq: IO_CSQ,
  Lock: pointer(KSPIN_LOCK), // of the device; guards the list and its requests
  Head: LIST_ENTRY,
  Owner: ULONG, // address of what the queue belongs to
  IsOpen: ULONG, // not 0: requests are taken
})
export type REQUEST_QUEUE = InstanceType<typeof REQUEST_QUEUE>

/** What a driver knows of an IRP that waits. Guarded by the queue's lock. */
export const REQUEST = struct('REQUEST', {
  Entry: LIST_ENTRY,
  Irp: pointer(IRP),
  Buffer: ULONG, // address
  Length: ULONG, // bytes that are wanted, or are to be sent
  Done: ULONG, // of these
  Kind: ULONG, // the driver's
  IsStarted: ULONG, // it was first in its queue
  IsFinished: ULONG,
  Status: LONG, // when finished
  Deadline: DOUBLE, // interrupt time; 0 for none
  NewestByte: DOUBLE, // interrupt time
  Words: array(ULONG, 4), // the driver's
})
export type REQUEST = InstanceType<typeof REQUEST>

/** What IoCsq calls. */
export interface QueueRoutines {
  insertIrp: IO_CSQ_INSERT_IRP_EX
  removeIrp: IO_CSQ_REMOVE_IRP
  peekNextIrp: IO_CSQ_PEEK_NEXT_IRP
  acquireLock: IO_CSQ_ACQUIRE_LOCK
  releaseLock: IO_CSQ_RELEASE_LOCK
  completeCancelledIrp: IO_CSQ_COMPLETE_CANCELED_IRP
}

/**
 * The routines of a driver's queues. The driver exports them under these names, for routines are known by the image
 * that exports them. `served` is called when a request was cancelled: what was behind it may be first now. `insert` may
 * refuse a request before it calls `insertRequest`.
 */
export const queueRoutines = (
  served: (queue: REQUEST_QUEUE) => void = () => {},
  insert: IO_CSQ_INSERT_IRP_EX = insertRequest,
): QueueRoutines => ({
  insertIrp: (csq, irp, place) => insert(csq, irp, place),
  removeIrp: (_csq, irp) => void RemoveEntryList(requestOf(irp).Entry),
  peekNextIrp: (csq, irp, wanted) => peekRequest(csq, irp, wanted),
  acquireLock: (csq, irql) => KeAcquireSpinLock(lockOf(csq), irql),
  releaseLock: (csq, irql) => KeReleaseSpinLock(lockOf(csq), irql),
  completeCancelledIrp(csq, irp) {
    const request = requestOf(irp)
    // Finished just before: what it was told would be lost.
    completeRequest(irp, request, request.IsFinished === 0 ? STATUS_CANCELLED : request.Status)
    served(queueOf(csq))
  },
})

/** What a request that is to be inserted says of its place. */
export const AT_HEAD = 1
const FINISHED = 2

export function initializeQueue(
  queue: REQUEST_QUEUE,
  lock: KSPIN_LOCK,
  owner: { readonly address: number },
  routines: QueueRoutines,
): void {
  queue.Lock = lock
  queue.Owner = owner.address
  InitializeListHead(queue.Head)
  IoCsqInitializeEx({
    Csq: queue.Csq,
    CsqInsertIrp: routines.insertIrp,
    CsqRemoveIrp: routines.removeIrp,
    CsqPeekNextIrp: routines.peekNextIrp,
    CsqAcquireLock: routines.acquireLock,
    CsqReleaseLock: routines.releaseLock,
    CsqCompleteCanceledIrp: routines.completeCancelledIrp,
  })
}

export const queueOf = (csq: IO_CSQ): REQUEST_QUEUE => CONTAINING_RECORD(csq, REQUEST_QUEUE, 'Csq')
const requestOf = (irp: IRP): REQUEST => irp.Tail.Overlay.DriverContext.at(0) as REQUEST

const lockOf = (csq: IO_CSQ): KSPIN_LOCK => queueOf(csq).Lock as KSPIN_LOCK

/** Lock held. */
export function insertRequest(csq: IO_CSQ, irp: IRP, place: unknown): NTSTATUS {
  const queue = queueOf(csq)
  if (queue.IsOpen === 0) return STATUS_DEVICE_NOT_CONNECTED
  const { Entry } = requestOf(irp)
  if (place === AT_HEAD) InsertHeadList(queue.Head, Entry)
  else InsertTailList(queue.Head, Entry)
  return STATUS_SUCCESS
}

/** The next one that is finished, that is of a file object, or whichever. Lock held. */
function peekRequest(csq: IO_CSQ, irp: IRP | null, wanted: unknown): IRP | null {
  const { Head } = queueOf(csq)
  for (let request = behind(Head, irp === null ? Head : requestOf(irp).Entry); request; ) {
    if (isWanted(request, wanted)) return request.Irp
    request = behind(Head, request.Entry)
  }
  return null
}

function isWanted({ Irp, IsFinished }: REQUEST, wanted: unknown): boolean {
  if (wanted === FINISHED) return IsFinished !== 0
  if (wanted === null) return true
  return same(IoGetCurrentIrpStackLocation(Irp as IRP).FileObject, wanted as FILE_OBJECT)
}

function behind(head: LIST_ENTRY, entry: LIST_ENTRY): REQUEST | null {
  const next = entry.Flink as LIST_ENTRY
  return next.address === head.address ? null : CONTAINING_RECORD(next, REQUEST, 'Entry')
}

/** Runs `body` with the device's lock held. @irql <= DISPATCH_LEVEL */
export function locked<R>(lock: KSPIN_LOCK, body: () => R): R {
  const irql = out<KIRQL>()
  KeAcquireSpinLock(lock, irql)
  const result = body()
  KeReleaseSpinLock(lock, irql.value)
  return result
}

/** What a request asks for. */
export interface Wish {
  buffer: number
  length: number
  kind?: number
  words?: readonly number[]
  isFirst?: boolean
}

/**
 * Has an IRP wait in `queue`; serve the queue next. STATUS_PENDING; or what the driver's insert routine says, and the IRP
 * is completed with it.
 */
export function enqueue(
  queue: REQUEST_QUEUE,
  Irp: IRP,
  { buffer, length, kind = 0, words = [], isFirst = false }: Wish,
): NTSTATUS {
  const request = REQUEST.at(ExAllocatePool2(POOL_FLAG_NON_PAGED, REQUEST.size, 'Requ'))
  if (request === null) return complete(Irp, STATUS_INSUFFICIENT_RESOURCES)
  request.Irp = Irp
  request.Buffer = buffer
  request.Length = length
  request.Kind = kind
  for (const [index, word] of words.entries()) request.Words[index] = word
  Irp.Tail.Overlay.DriverContext.set(0, request)
  const status = IoCsqInsertIrpEx(queue.Csq, Irp, null, isFirst ? AT_HEAD : null)
  if (NT_SUCCESS(status)) return STATUS_PENDING
  ExFreePool(request)
  return complete(Irp, status)
}

/** Marks a request: its IRP is completed when the lock is released. Lock held. */
export function finish(request: REQUEST, status: NTSTATUS): true {
  request.IsFinished = 1
  request.Status = status
  return true
}

/**
 * Has `step` look at the requests of a queue, first one first, as long as each is finished by it; at all of them when
 * `isEach`. It runs with the lock held and says whether it has finished the request. @irql <= DISPATCH_LEVEL
 */
export function serve(queue: REQUEST_QUEUE, step: (request: REQUEST) => boolean, isEach = false): void {
  let finished = 0
  locked(queue.Lock as KSPIN_LOCK, () => {
    for (let request = behind(queue.Head, queue.Head); request; request = behind(queue.Head, request.Entry)) {
      if (request.IsFinished !== 0) continue // by another processor, which takes it out
      if (step(request)) finished += 1
      else if (!isEach) return
    }
  })
  if (finished > 0) completeFinished(queue, finished)
}

/** The first request that is not finished. Lock held. */
export function firstRequest(queue: REQUEST_QUEUE): REQUEST | null {
  let request = behind(queue.Head, queue.Head)
  while (request !== null && request.IsFinished !== 0) request = behind(queue.Head, request.Entry)
  return request
}

/** Another processor, or a cancel, may have taken some of them out meanwhile. */
function completeFinished(queue: REQUEST_QUEUE, count: number): void {
  for (let left = count; left > 0; left--) {
    const irp = IoCsqRemoveNextIrp(queue.Csq, FINISHED)
    if (irp === null) return
    const request = requestOf(irp)
    completeRequest(irp, request, request.Status)
  }
}

/** Ends all requests of a queue, or those of one file. @irql <= DISPATCH_LEVEL */
export function drain(queue: REQUEST_QUEUE, status: NTSTATUS, file: FILE_OBJECT | null = null): void {
  for (;;) {
    const irp = IoCsqRemoveNextIrp(queue.Csq, file)
    if (irp === null) return
    const request = requestOf(irp)
    completeRequest(irp, request, request.IsFinished === 0 ? status : request.Status)
  }
}

function completeRequest(irp: IRP, request: REQUEST, status: NTSTATUS): void {
  const { Done } = request
  ExFreePool(request)
  complete(irp, status, Done)
}
