/**
 * I/O request packets: the header, and one stack location for each driver that handles the request.
 *
 * The locations lie behind the header, the lowest driver's first. CurrentLocation counts down from StackCount + 1,
 * where the originator is, and which has no location.
 */
import { mem } from '../mm/memory.ts'
import { read32, read8, write16, write32, write8, zero } from '../mm/access.ts'
import { allocate, free } from '../mm/pool.ts'
import { BugCode } from '../ke/bugcodes.ts'
import { bugCheck } from '../ke/bugcheck.ts'
import { routineId } from '../ke/image.ts'
import { KTHREAD } from '../ke/layouts.ts'
import { DISPATCH_LEVEL, enter, point } from '../ke/level.ts'
import { cpu, Root } from '../ke/pcr.ts'
import { acquireWord, releaseWord } from '../ke/spin.ts'
import { currentThread } from '../ke/thread.ts'
import { initializeList, insertTail, isEmpty, removeEntry, removeHead } from '../rtl/list.ts'
import { type NTSTATUS, STATUS_ACCESS_VIOLATION, STATUS_SUCCESS } from '../rtl/status.ts'
import { type Pvoid, storePvoid } from '../rtl/struct.ts'
import {
  IO_TYPE_IRP,
  IRP_ALLOCATED_FIXED_SIZE,
  IRP_LOOKASIDE_ALLOCATION,
  SL_INVOKE_ON_CANCEL,
  SL_INVOKE_ON_ERROR,
  SL_INVOKE_ON_SUCCESS,
  SL_PENDING_RETURNED,
} from './codes.ts'
import { type IO_COMPLETION_ROUTINE, IO_STACK_LOCATION, IRP, Irp, Stack, STACK_SIZE } from './layouts.ts'

/** Windows keeps IRPs of up to this many locations in lookaside lists. */
const FIXED_SIZE_LOCATIONS = 8
const MAXIMUM_LOCATIONS = 0x7e

export const stackCount = (irp: number): number => mem.i8[irp + Irp.StackCount] as number
export const currentLocation = (irp: number): number => mem.i8[irp + Irp.CurrentLocation] as number
export const currentStack = (irp: number): number => read32(irp + Irp.CurrentStackLocation)
export const nextStack = (irp: number): number => currentStack(irp) - STACK_SIZE
export const sizeOfIrp = (locations: number): number => IRP.size + locations * STACK_SIZE
export const irpStatus = (irp: number): NTSTATUS => read32(irp + Irp.Status)

/** Moves the current location by `count`: -1 to the driver below, 1 to the one above. */
export function moveLocation(irp: number, count: number): void {
  write8(irp + Irp.CurrentLocation, currentLocation(irp) + count)
  write32(irp + Irp.CurrentStackLocation, currentStack(irp) + count * STACK_SIZE)
}

/** Writes an IRP of `locations` stack locations into `size` bytes. */
export function initializeIrp(irp: number, size: number, locations: number): void {
  zero(irp, size)
  write16(irp + Irp.Type, IO_TYPE_IRP)
  write16(irp + Irp.Size, size)
  write8(irp + Irp.StackCount, locations)
  write8(irp + Irp.CurrentLocation, locations + 1)
  write32(irp + Irp.CurrentStackLocation, irp + sizeOfIrp(locations))
  initializeList(irp + Irp.ThreadListEntry)
}

/** Allocates an IRP; 0 when there is no memory. */
export function allocateIrp(locations: number, chargeQuota = false): number {
  if (locations < 0 || locations > MAXIMUM_LOCATIONS) return 0
  const size = sizeOfIrp(locations)
  const irp = allocate(size, 'Irp ')
  if (irp === 0) return 0
  initializeIrp(irp, size, locations)
  const fixed = locations <= FIXED_SIZE_LOCATIONS ? IRP_ALLOCATED_FIXED_SIZE : 0
  write8(irp + Irp.AllocationFlags, fixed | (chargeQuota && fixed !== 0 ? IRP_LOOKASIDE_ALLOCATION : 0))
  return irp
}

/** Frees an IRP that is in no thread's list. Its type goes, so that a later use is found. */
export function freeIrp(irp: number): void {
  assertIrp(irp, 'IoFreeIrp', 0x01)
  if (!isEmpty(irp + Irp.ThreadListEntry)) {
    violation(0x02, irp, 'an IRP that is still in its thread’s list was freed; the I/O manager frees threaded IRPs')
  }
  write16(irp + Irp.Type, 0)
  free(irp, 'Irp ')
}

/** A rule of the verifier's table was broken (wdm-facts §18.4). */
export function violation(code: number, irp: number, message: string): never {
  return bugCheck({ code: BugCode.DRIVER_VERIFIER_IOMANAGER_VIOLATION, parameters: [code, irp], message })
}

/** Bug checks when `irp` is none, or was freed. */
export function assertIrp(irp: number, routine: string, code: number): void {
  if (isIrp(irp)) return
  violation(code, irp, `${routine} was given what is no IRP, or one that was completed and freed`)
}

export const isIrp = (irp: number): boolean => (mem.u16[irp >> 1] as number) === IO_TYPE_IRP

/** Puts an IRP into the list of the thread that sends it, which is cancelled when the thread ends. */
export function queueToThread(irp: number): void {
  const thread = currentThread()
  write32(irp + Irp.Thread, thread)
  acquireWord(Root.IoIrpListLock)
  insertTail(thread + KTHREAD.offsets.IrpListHead, irp + Irp.ThreadListEntry)
  releaseWord(Root.IoIrpListLock)
}

/** Values of Irp.Tail.Overlay.Thread once the thread has ended. */
const DETACHED = 1
const DETACHED_HELD = 2 // being cancelled: not to be freed meanwhile
const DETACHED_DONE = 3 // completed while it was held

/** Takes a completed IRP out of its thread's list; true when the caller is to free it. Any processor may. */
export function leaveThread(irp: number): boolean {
  acquireWord(Root.IoIrpListLock)
  removeEntry(irp + Irp.ThreadListEntry)
  initializeList(irp + Irp.ThreadListEntry)
  const isHeld = read32(irp + Irp.Thread) === DETACHED_HELD
  if (isHeld) write32(irp + Irp.Thread, DETACHED_DONE)
  releaseWord(Root.IoIrpListLock)
  return !isHeld
}

/** Takes the oldest IRP off the list of a thread that ends, and keeps it from being freed; 0 when there is none. */
export function detachFirst(thread: number): number {
  acquireWord(Root.IoIrpListLock)
  const entry = removeHead(thread + KTHREAD.offsets.IrpListHead)
  const irp = entry === 0 ? 0 : entry - Irp.ThreadListEntry
  if (irp !== 0) {
    initializeList(entry)
    write32(irp + Irp.Thread, DETACHED_HELD)
  }
  releaseWord(Root.IoIrpListLock)
  return irp
}

/** Lets go of what detachFirst gave, and frees it if it was completed meanwhile. */
export function releaseDetached(irp: number): void {
  acquireWord(Root.IoIrpListLock)
  const isDone = read32(irp + Irp.Thread) === DETACHED_DONE
  write32(irp + Irp.Thread, DETACHED)
  releaseWord(Root.IoIrpListLock)
  if (isDone) freeIrp(irp)
}

/** The thread that sent the IRP; 0 when there is none, or it has ended. */
export function threadOfIrp(irp: number): number {
  const thread = read32(irp + Irp.Thread)
  return thread <= DETACHED_DONE ? 0 : thread
}

/**
 * Allocates an IRP for a driver's own request; it belongs to no thread.
 *
 * @irql <= DISPATCH_LEVEL
 * @returns the IRP, null when there is no memory
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-ioallocateirp
 */
export function IoAllocateIrp(StackSize: number, ChargeQuota: boolean): IRP | null {
  enter(DISPATCH_LEVEL, 'IoAllocateIrp')
  return IRP.at(allocateIrp(StackSize, ChargeQuota))
}

/**
 * Frees an IRP that the driver allocated; not its MDLs, and never one that the I/O manager made for a thread.
 *
 * @irql <= DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iofreeirp
 */
export function IoFreeIrp(Irp_: IRP): void {
  enter(DISPATCH_LEVEL, 'IoFreeIrp')
  freeIrp(Irp_.address)
}

/**
 * Makes `PacketSize` bytes that the driver allocated an IRP of `StackSize` locations. Not for those of IoAllocateIrp.
 *
 * @irql <= DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-ioinitializeirp
 */
export function IoInitializeIrp(Irp_: IRP, PacketSize: number, StackSize: number): void {
  enter(DISPATCH_LEVEL, 'IoInitializeIrp')
  initializeIrp(Irp_.address, PacketSize, StackSize)
}

/**
 * Makes an IRP of IoAllocateIrp ready to be sent again, with `Iostatus` as its status.
 *
 * @irql <= DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-ioreuseirp
 */
export function IoReuseIrp(Irp_: IRP, Iostatus: NTSTATUS): void {
  enter(DISPATCH_LEVEL, 'IoReuseIrp')
  const irp = Irp_.address
  assertIrp(irp, 'IoReuseIrp', 0x311)
  const flags = read8(irp + Irp.AllocationFlags)
  initializeIrp(irp, mem.u16[(irp + Irp.Size) >> 1] as number, stackCount(irp))
  write8(irp + Irp.AllocationFlags, flags)
  write32(irp + Irp.Status, Iostatus)
}

/**
 * The bytes that an IRP of `StackSize` locations needs.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iosizeofirp
 */
export function IoSizeOfIrp(StackSize: number): number {
  return sizeOfIrp(StackSize)
}

/**
 * The calling driver's own location: what is asked of it. The originator of an IRP has none.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iogetcurrentirpstacklocation
 */
export function IoGetCurrentIrpStackLocation(Irp_: IRP): IO_STACK_LOCATION {
  return new IO_STACK_LOCATION(currentStack(Irp_.address))
}

/**
 * The location of the driver below: where the caller writes what it asks of that one.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iogetnextirpstacklocation
 */
export function IoGetNextIrpStackLocation(Irp_: IRP): IO_STACK_LOCATION {
  return new IO_STACK_LOCATION(assertNext(Irp_.address, 'IoGetNextIrpStackLocation'))
}

/** The next location, of an IRP that has one (checked build). */
function assertNext(irp: number, routine: string): number {
  if (cpu.checked && currentLocation(irp) <= 1) {
    bugCheck({
      code: BugCode.NO_MORE_IRP_STACK_LOCATIONS,
      parameters: [irp],
      message: `${routine}: the IRP has no location below this one; allocate it with the StackSize of the device it is sent to`,
    })
  }
  return nextStack(irp)
}

/**
 * Gives the originator of an IRP a location of its own, to keep what its completion routine needs.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iosetnextirpstacklocation
 */
export function IoSetNextIrpStackLocation(Irp_: IRP): void {
  assertNext(Irp_.address, 'IoSetNextIrpStackLocation')
  moveLocation(Irp_.address, -1)
}

/**
 * Lets the driver below use the caller's own location. Not with a completion routine, not after IoMarkIrpPending.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-ioskipcurrentirpstacklocation
 */
export function IoSkipCurrentIrpStackLocation(Irp_: IRP): void {
  assertOwnLocation(Irp_.address, 'IoSkipCurrentIrpStackLocation')
  moveLocation(Irp_.address, 1)
}

/** Bug checks for an originator, which has no location: writing to it would corrupt what lies behind the IRP. */
function assertOwnLocation(irp: number, routine: string): void {
  if (!cpu.checked || currentLocation(irp) <= stackCount(irp)) return
  violation(0x212, irp, `${routine}: the caller is the originator of the IRP and has no stack location`)
}

/**
 * Copies the caller's parameters to the driver below: all but the completion routine.
 *
 * @irql <= DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iocopycurrentirpstacklocationtonext
 */
export function IoCopyCurrentIrpStackLocationToNext(Irp_: IRP): void {
  enter(DISPATCH_LEVEL, 'IoCopyCurrentIrpStackLocationToNext')
  copyStackToNext(Irp_.address)
}

export function copyStackToNext(irp: number): void {
  assertOwnLocation(irp, 'IoCopyCurrentIrpStackLocationToNext')
  const next = assertNext(irp, 'IoCopyCurrentIrpStackLocationToNext')
  const current = currentStack(irp)
  mem.u8.copyWithin(next, current, current + Stack.CompletionRoutine)
  write8(next + Stack.Control, 0)
}

/**
 * Says that the IRP will be completed later: the dispatch routine must then return STATUS_PENDING.
 *
 * In a completion routine: `if (Irp.PendingReturned) IoMarkIrpPending(Irp)`, unless it is the originator's.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iomarkirppending
 */
export function IoMarkIrpPending(Irp_: IRP): void {
  assertOwnLocation(Irp_.address, 'IoMarkIrpPending')
  markPending(Irp_.address)
}

export function markPending(irp: number): void {
  const control = currentStack(irp) + Stack.Control
  write8(control, read8(control) | SL_PENDING_RETURNED)
}

interface Completion {
  Irp: IRP
  CompletionRoutine: IO_COMPLETION_ROUTINE | null
  Context: Pvoid
  InvokeOnSuccess: boolean
  InvokeOnError: boolean
  InvokeOnCancel: boolean
}

/**
 * Has `CompletionRoutine` called when the driver below has completed the IRP; null takes the routine away.
 *
 * @irql <= DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iosetcompletionroutine
 */
export function IoSetCompletionRoutine(completion: Completion): void {
  enter(DISPATCH_LEVEL, 'IoSetCompletionRoutine')
  const { Irp, CompletionRoutine, Context, InvokeOnSuccess, InvokeOnError, InvokeOnCancel } = completion
  const when =
    (InvokeOnSuccess ? SL_INVOKE_ON_SUCCESS : 0) |
    (InvokeOnError ? SL_INVOKE_ON_ERROR : 0) |
    (InvokeOnCancel ? SL_INVOKE_ON_CANCEL : 0)
  if (CompletionRoutine === null && when !== 0) nullRoutine(Irp.address)
  setCompletion(Irp.address, CompletionRoutine === null ? 0 : routineId(CompletionRoutine), Context, when)
}

function nullRoutine(irp: number): never {
  return bugCheck({
    code: BugCode.KMODE_EXCEPTION_NOT_HANDLED,
    parameters: [STATUS_ACCESS_VIOLATION, 0, irp],
    message: 'IoSetCompletionRoutine was given no routine and told to call it; pass false for all three conditions',
  })
}

const ALWAYS = SL_INVOKE_ON_SUCCESS | SL_INVOKE_ON_ERROR | SL_INVOKE_ON_CANCEL

/** Stores a completion routine in the next location. */
export function setCompletion(irp: number, routine: number, context: Pvoid, when = ALWAYS): void {
  const next = assertNext(irp, 'IoSetCompletionRoutine')
  write32(next + Stack.CompletionRoutine, routine)
  storePvoid(next + Stack.Context, context)
  write8(next + Stack.Control, when)
}

/**
 * As IoSetCompletionRoutine, for a driver that may be unloaded before the routine has run.
 *
 * @irql <= DISPATCH_LEVEL
 * @returns STATUS_SUCCESS
 * @deviates (decision 0021) A driver with an IRP below it is not unloaded while its devices are open, so nothing is
 *   allocated here and STATUS_INSUFFICIENT_RESOURCES is never returned.
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iosetcompletionroutineex
 */
export function IoSetCompletionRoutineEx(
  completion: { DeviceObject: { readonly address: number } } & Completion,
): NTSTATUS {
  IoSetCompletionRoutine(completion)
  return STATUS_SUCCESS
}

/**
 * The process of the thread that sent the IRP.
 *
 * @irql <= DISPATCH_LEVEL
 * @returns the address of the EPROCESS; 0 for an IRP that belongs to no thread
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntifs/nf-ntifs-iogetrequestorprocess
 */
export function IoGetRequestorProcess(Irp_: IRP): number {
  point()
  const thread = threadOfIrp(Irp_.address)
  return thread === 0 ? 0 : read32(thread + KTHREAD.offsets.Process)
}
