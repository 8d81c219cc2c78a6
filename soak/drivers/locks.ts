/**
 * A driver that counts under each kind of lock, from two processors at once. `create` gives the address of the shared
 * struct; each export that is named after a guard runs one side's rounds.
 *
 * The count is a plain word, raised in three steps: it comes out right only if the guard kept the other side out.
 */
import { IoConnectInterrupt, IoDisconnectInterrupt } from '../../kernel/io/interrupt.ts'
import { IoCreateSynchronizationEvent } from '../../kernel/io/namedevent.ts'
import {
  EX_PUSH_LOCK,
  ExAcquirePushLockExclusive,
  ExInitializePushLock,
  ExReleasePushLockExclusive,
} from '../../kernel/ex/pushlock.ts'
import { ExAcquireFastMutex, ExInitializeFastMutex, ExReleaseFastMutex, FAST_MUTEX } from '../../kernel/ex/fastmutex.ts'
import { KeEnterCriticalRegion, KeLeaveCriticalRegion } from '../../kernel/ke/apc.ts'
import { IO_NO_INCREMENT, KeInitializeEvent, KeSetEvent, NotificationEvent } from '../../kernel/ke/event.ts'
import { KeSynchronizeExecution, LevelSensitive, levelOf, requestVector, vectorOf } from '../../kernel/ke/interrupt.ts'
import { KEVENT, KINTERRUPT } from '../../kernel/ke/layouts.ts'
import { KeGetCurrentIrql } from '../../kernel/ke/level.ts'
import { cpu } from '../../kernel/ke/pcr.ts'
import {
  KeAcquireSpinLockRaiseToDpc,
  KeInitializeSpinLock,
  KeReleaseSpinLock,
  KSPIN_LOCK,
} from '../../kernel/ke/spinlock.ts'
import { Executive, KernelMode, KeWaitForSingleObject } from '../../kernel/ke/wait.ts'
import { allocateStruct, free } from '../../kernel/mm/pool.ts'
import { ZwClose } from '../../kernel/ob/handle.ts'
import { NT_SUCCESS } from '../../kernel/rtl/status.ts'
import { array, atomic, pointer, struct, ULONG } from '../../kernel/rtl/struct.ts'

/** No device stands on this vector: the driver asserts it itself. */
const VECTOR = vectorOf(5, 0x50)
const EVENT_NAME = '\\BaseNamedObjects\\SoakLocks'
const SCRATCH_WORDS = 8

export const COUNTED = struct('COUNTED', {
  // Guarded by whichever lock is soaked.
  count: ULONG,
  scratch: array(ULONG, SCRATCH_WORDS), // work between the read and the write of the count

  // Guarded by the interrupt spin lock.
  served: ULONG, // interrupts that the ISR has taken in this run

  spinLock: KSPIN_LOCK,
  pushLock: EX_PUSH_LOCK,
  fastMutex: FAST_MUTEX,

  // No lock: the sides meet here before a run.
  arrived: atomic(ULONG),
  start: KEVENT,

  // Set before the interrupt is connected, never changed while it is.
  interrupt: pointer(KINTERRUPT),
  work: ULONG, // words of scratch that a round goes through
})
export type COUNTED = InstanceType<typeof COUNTED>

/** One side's part of a run. */
export interface Rounds {
  address: number
  rounds: number
}

const at = (address: number): COUNTED => new COUNTED(address)

/** Makes the shared struct; gives back its address, 0 without memory. */
export function create(work: number): number {
  const counted = allocateStruct(COUNTED, 'Soak')
  if (counted === null) return 0
  counted.work = work % SCRATCH_WORDS
  KeInitializeSpinLock(counted.spinLock)
  ExInitializePushLock(counted.pushLock)
  ExInitializeFastMutex(counted.fastMutex)
  KeInitializeEvent(counted.start, NotificationEvent, false)
  return counted.address
}

export function destroy(address: number): void {
  free(address, 'Soak')
}

/** Begins a run: the count starts again, and both sides are awaited anew. */
export function reset(address: number): void {
  const counted = at(address)
  counted.count = 0
  counted.served = 0
  counted.arrived.store(0)
  KeInitializeEvent(counted.start, NotificationEvent, false)
}

/** What the runs since `reset` have counted. */
export function read(address: number): number {
  return at(address).count
}

/** Both sides begin together: who comes first waits for the other. */
async function meet(counted: COUNTED): Promise<void> {
  if (counted.arrived.add(1) === 1) KeSetEvent(counted.start, IO_NO_INCREMENT, false)
  else await KeWaitForSingleObject(counted.start, Executive, KernelMode, false, null)
}

/** Read, some work, write: room for the other side to come between. */
function increment(counted: COUNTED): void {
  const { count, scratch, work } = counted
  for (let word = 0; word < work; word++) scratch[word] = count + word
  counted.count = count + 1
}

export async function spinLock({ address, rounds }: Rounds): Promise<void> {
  const counted = at(address)
  const lock = counted.spinLock
  await meet(counted)
  for (let round = 0; round < rounds; round++) {
    const before = KeAcquireSpinLockRaiseToDpc(lock)
    increment(counted)
    KeReleaseSpinLock(lock, before)
  }
}

export async function pushLock({ address, rounds }: Rounds): Promise<void> {
  const counted = at(address)
  const lock = counted.pushLock
  await meet(counted)
  for (let round = 0; round < rounds; round++) {
    KeEnterCriticalRegion()
    const wait = ExAcquirePushLockExclusive(lock)
    if (wait !== undefined) await wait
    increment(counted)
    ExReleasePushLockExclusive(lock)
    KeLeaveCriticalRegion()
  }
}

export async function fastMutex({ address, rounds }: Rounds): Promise<void> {
  const counted = at(address)
  const mutex = counted.fastMutex
  await meet(counted)
  for (let round = 0; round < rounds; round++) {
    const wait = ExAcquireFastMutex(mutex)
    if (wait !== undefined) await wait
    increment(counted)
    ExReleaseFastMutex(mutex)
  }
}

/** Each side opens the event by its name, as two drivers that know nothing of each other do. */
export async function synchronizationEvent({ address, rounds }: Rounds): Promise<void> {
  const counted = at(address)
  const handle = { value: 0 }
  const event = IoCreateSynchronizationEvent(EVENT_NAME, handle)
  if (event === null) throw new Error(`${EVENT_NAME} could not be made`)
  await meet(counted)
  for (let round = 0; round < rounds; round++) {
    const wait = KeWaitForSingleObject(event, Executive, KernelMode, false, null)
    if (typeof wait === 'object') await wait
    increment(counted)
    KeSetEvent(event, IO_NO_INCREMENT, false)
  }
  await ZwClose(handle.value)
}

/** Connects the ISR to this processor. */
export function connect(address: number): void {
  const counted = at(address)
  const box: { value: KINTERRUPT | null } = { value: null }
  const status = IoConnectInterrupt({
    InterruptObject: box,
    ServiceRoutine: countIsr,
    ServiceContext: counted,
    SpinLock: null,
    Vector: VECTOR,
    Irql: levelOf(VECTOR),
    SynchronizeIrql: levelOf(VECTOR),
    InterruptMode: LevelSensitive,
    ShareVector: false,
    ProcessorEnableMask: 1 << cpu.number,
    FloatingSave: false,
  })
  if (!NT_SUCCESS(status)) throw new Error(`IoConnectInterrupt: 0x${(status >>> 0).toString(16)}`)
  counted.interrupt = box.value
}

export async function disconnect(address: number): Promise<void> {
  const { interrupt } = at(address)
  if (interrupt !== null) await IoDisconnectInterrupt(interrupt)
}

/** @irql DIRQL, interrupt spin lock held */
export function countIsr(_interrupt: KINTERRUPT, counted: COUNTED): boolean {
  increment(counted)
  counted.served += 1
  return true
}

/** A SynchCritSection. @irql DIRQL, interrupt spin lock held */
export function countSynchronized(counted: COUNTED): boolean {
  increment(counted)
  return true
}

/** The side that the ISR shares its count with. */
export async function synchronizing({ address, rounds }: Rounds): Promise<void> {
  const counted = at(address)
  const interrupt = counted.interrupt as KINTERRUPT
  await meet(counted)
  for (let round = 0; round < rounds; round++) KeSynchronizeExecution(interrupt, countSynchronized, counted)
}

/** The side on which the ISR runs: asserts the line until it was served `rounds` times. */
export async function interrupting({ address, rounds }: Rounds): Promise<void> {
  const counted = at(address)
  const goal = counted.served + rounds
  await meet(counted)
  while (counted.served < goal) {
    requestVector(cpu.number, VECTOR)
    KeGetCurrentIrql() // an interruption point: the ISR runs here
  }
}

/** The same count with no guard at all. */
export async function unguarded({ address, rounds }: Rounds): Promise<void> {
  const counted = at(address)
  await meet(counted)
  for (let round = 0; round < rounds; round++) increment(counted)
}
