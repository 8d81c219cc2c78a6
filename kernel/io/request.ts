/**
 * Requests that a thread sends and waits for: what system services do.
 *
 * The IRP and its event lie in one block with a count of references: the waiting thread has one, a cancel takes
 * another while it is at work. So a cancel may race completion, and the IRP is there until both are done.
 */
import { atomicAdd, read32, readU32, read8, write32, write8 } from '../mm/access.ts'
import { allocate, free } from '../mm/pool.ts'
import { initializeEvent, NotificationEvent } from '../ke/event.ts'
import { KEVENT } from '../ke/layouts.ts'
import { cpu, Root } from '../ke/pcr.ts'
import { acquireWord, releaseWord } from '../ke/spin.ts'
import { KeDelayExecutionThread, KernelMode, UserMode, waitForObject, waitUnnoted } from '../ke/wait.ts'
import { initializeList, insertTail, LIST_ENTRY, removeEntry } from '../rtl/list.ts'
import { type NTSTATUS, STATUS_INSUFFICIENT_RESOURCES, STATUS_PENDING } from '../rtl/status.ts'
import { LONG, struct, ULONG } from '../rtl/struct.ts'
import { callDriver } from './call.ts'
import { cancelIrp } from './cancel.ts'
import { finishBuffer, isComplete } from './complete.ts'
import { IRP_OWNED_BY_REQUEST } from './codes.ts'
import { discardIrp } from './build.ts'
import { freeIrp, irpStatus, leaveThread, queueToThread, violation } from './irp.ts'
import { Irp } from './layouts.ts'
import { freeMdls } from './mdl.ts'

/** Guarded by Root.IoRequestLock, but for the count and the event. */
const REQUEST = struct('IO_REQUEST', {
  ListEntry: LIST_ENTRY, // in Root.IoRequests
  References: LONG, // atomic
  Token: ULONG, // names the request within its process; 0: it cannot be cancelled from outside
  Process: ULONG,
  Irp: ULONG,
  Done: KEVENT,
})
const Request = REQUEST.offsets

/** What became of a request. */
export interface Outcome {
  status: NTSTATUS
  information: number
  /** Whether it was completed after its dispatch routine had returned. */
  wasPending: boolean
}

export interface Sending {
  device: number
  irp: number
  /** Most bytes that the request may give back. */
  room: number
  process?: number
  token?: number
  mode: number
  /** There is nobody to fail to: without memory it waits for some. */
  mustSucceed?: boolean
}

export const RETRY_AFTER = -10_000 // 1 ms

export function initializeRequests(): void {
  initializeList(Root.IoRequests)
}

/** Sends an IRP and waits until it is completed; then copies its data out and frees it, with its buffers. */
export async function sendAndWait(sending: Sending): Promise<Outcome> {
  const { device, irp } = sending
  let request = begin(sending)
  while (request === 0 && sending.mustSucceed === true) {
    await KeDelayExecutionThread(KernelMode, false, RETRY_AFTER)
    request = begin(sending)
  }
  if (request === 0) {
    discardIrp(irp)
    return { status: STATUS_INSUFFICIENT_RESOURCES, information: 0, wasPending: false }
  }
  const returned = await callDriver(device, irp)
  if (returned !== STATUS_PENDING && !isComplete(irp)) notCompleted(irp, returned)
  // A driver's request may come of a Zw routine that it does not await; nobody can forget to wait for a program's.
  const done = request + Request.Done
  if (returned === STATUS_PENDING) await (sending.mode === UserMode ? waitUnnoted(done) : waitForObject(done))
  if (cpu.checked) checkReturned(irp, returned)
  const outcome = takeOutcome(irp, returned, sending.room)
  finish(request, irp)
  return outcome
}

function begin({ irp, process = 0, token = 0, mode }: Sending): number {
  const request = allocate(REQUEST.size, 'IoRq')
  if (request === 0) return 0
  write32(request + Request.References, 1)
  write32(request + Request.Token, token)
  write32(request + Request.Process, process)
  write32(request + Request.Irp, irp)
  initializeEvent(request + Request.Done, NotificationEvent, false)
  write8(irp + Irp.AllocationFlags, read8(irp + Irp.AllocationFlags) | IRP_OWNED_BY_REQUEST)
  write8(irp + Irp.RequestorMode, mode)
  write32(irp + Irp.UserEvent, request + Request.Done)
  queueToThread(irp)
  acquireWord(Root.IoRequestLock)
  insertTail(Root.IoRequests, request + Request.ListEntry)
  releaseWord(Root.IoRequestLock)
  return request
}

/** The status that the caller gets: of a pending request the IRP's, else the one that was returned. */
function takeOutcome(irp: number, returned: NTSTATUS, room: number): Outcome {
  const information = readU32(irp + Irp.Information)
  if (information > room && irpStatus(irp) >= 0) {
    if (cpu.checked) tooMuch(irp, information, room)
    write32(irp + Irp.Information, room)
  }
  finishBuffer(irp, read32(irp + Irp.Flags))
  freeMdls(irp)
  return {
    status: returned === STATUS_PENDING ? irpStatus(irp) : returned,
    information: readU32(irp + Irp.Information),
    wasPending: returned === STATUS_PENDING,
  }
}

function finish(request: number, irp: number): void {
  leaveThread(irp)
  acquireWord(Root.IoRequestLock)
  removeEntry(request + Request.ListEntry)
  releaseWord(Root.IoRequestLock)
  release(request)
}

function release(request: number): void {
  if (atomicAdd(request + Request.References, -1) !== 1) return
  freeIrp(read32(request + Request.Irp))
  free(request, 'IoRq')
}

/**
 * Cancels a request of `process`. Races completion: whoever comes first wins, and the request ends once.
 *
 * @irql <= DISPATCH_LEVEL
 * @returns false when there is no such request (any more)
 */
export function cancelRequest(process: number, token: number): boolean {
  const request = findRequest(process, token)
  if (request === 0) return false
  cancelIrp(read32(request + Request.Irp))
  release(request)
  return true
}

function findRequest(process: number, token: number): number {
  acquireWord(Root.IoRequestLock)
  let found = 0
  for (let entry = read32(Root.IoRequests); entry !== Root.IoRequests && found === 0; entry = read32(entry)) {
    const request = entry - Request.ListEntry
    if (read32(request + Request.Token) === token && read32(request + Request.Process) === process) found = request
  }
  if (found !== 0) atomicAdd(found + Request.References, 1)
  releaseWord(Root.IoRequestLock)
  return found
}

/** Addresses of the IRPs that are out, for `inspect()`. */
export function irpsInFlight(): number[] {
  const irps: number[] = []
  acquireWord(Root.IoRequestLock)
  for (let entry = read32(Root.IoRequests); entry !== Root.IoRequests; entry = read32(entry)) {
    irps.push(read32(entry - Request.ListEntry + Request.Irp))
  }
  releaseWord(Root.IoRequestLock)
  return irps
}

const hex = (status: NTSTATUS): string => `0x${(status >>> 0).toString(16).toUpperCase().padStart(8, '0')}`

function notCompleted(irp: number, returned: NTSTATUS): never {
  return violation(
    0x226,
    irp,
    `a dispatch routine returned ${hex(returned)}, but did not complete the IRP; to complete it later, call ` +
      'IoMarkIrpPending and return STATUS_PENDING',
  )
}

/** The rules of wdm-facts §14.4 that can be checked while the IRP is still there. */
function checkReturned(irp: number, returned: NTSTATUS): void {
  const wasPending = read8(irp + Irp.PendingReturned) !== 0
  if (returned === STATUS_PENDING) {
    if (!wasPending) {
      violation(
        0x23d,
        irp,
        'a dispatch routine returned STATUS_PENDING without IoMarkIrpPending, or a completion routine ignored PendingReturned',
      )
    }
    return
  }
  if (wasPending) {
    violation(
      0x23e,
      irp,
      `a dispatch routine called IoMarkIrpPending and returned ${hex(returned)} instead of STATUS_PENDING`,
    )
  }
  if (returned !== irpStatus(irp)) {
    violation(
      0x224,
      irp,
      `a dispatch routine returned ${hex(returned)}, but completed the IRP with ${hex(irpStatus(irp))}`,
    )
  }
}

function tooMuch(irp: number, information: number, room: number): never {
  return violation(
    0x312,
    irp,
    `Irp.IoStatus.Information says ${information} bytes, but the caller's buffer has ${room}; never report more than was asked for`,
  )
}
