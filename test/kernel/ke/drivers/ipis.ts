/** Inter-processor calls on two processors. */
import {
  KeGetCurrentProcessorNumber,
  KeGetCurrentProcessorNumberEx,
  KeIpiGenericCall,
  KeQueryActiveProcessorCountEx,
  KeQueryActiveProcessors,
} from '../../../../kernel/ke/ipi.ts'
import { KeGetCurrentIrql } from '../../../../kernel/ke/level.ts'
import {
  KeAcquireSpinLock,
  KeInitializeSpinLock,
  KeReleaseSpinLock,
  KSPIN_LOCK,
} from '../../../../kernel/ke/spinlock.ts'
import { YieldProcessor } from '../../../../kernel/ke/time.ts'
import { allocateStruct, free } from '../../../../kernel/mm/pool.ts'
import { array, atomic, LONG, struct } from '../../../../kernel/rtl/struct.ts'

const MEETING = struct('KE_MEETING', {
  // A word a processor: each writes its own.
  calls: array(LONG, 2),
  irqls: array(LONG, 2),
  met: array(LONG, 2),
  here: atomic(LONG), // processors that are in the routine
  lock: KSPIN_LOCK,
  isSpinning: atomic(LONG),
  isHeld: atomic(LONG),
})
type MEETING = InstanceType<typeof MEETING>

function make(): MEETING {
  const meeting = allocateStruct(MEETING, 'Test')
  if (meeting === null) throw new Error('no pool')
  KeInitializeSpinLock(meeting.lock)
  return meeting
}

export const makeMeeting = (): number => make().address

/** Waits until both processors are in here: they run it at the same time. */
export function arrive(meeting: MEETING): number {
  const processor = KeGetCurrentProcessorNumber()
  meeting.calls[processor] = (meeting.calls[processor] as number) + 1
  meeting.irqls[processor] = KeGetCurrentIrql()
  meeting.here.add(1)
  let rounds = 0
  while (meeting.here.load() < 2 && rounds < 100_000_000) rounds += 1
  meeting.met[processor] = meeting.here.load() === 2 ? 1 : 0
  return 100 + processor
}

export function meet(): object {
  const meeting = make()
  const result = KeIpiGenericCall(arrive, meeting)
  const { calls, irqls, met } = meeting
  const seen = { result, calls: [...calls], irqls: [...irqls], met: [...met], after: KeGetCurrentIrql() }
  free(meeting.address)
  return seen
}

export function count(meeting: MEETING): number {
  const processor = KeGetCurrentProcessorNumber()
  meeting.calls[processor] = (meeting.calls[processor] as number) + 1
  return 0
}

export function callHammer(address: number): void {
  const meeting = new MEETING(address)
  for (let round = 0; round < 500; round++) KeIpiGenericCall(count, meeting)
}

export function callsOf(address: number): number[] {
  const calls = [...new MEETING(address).calls]
  free(address)
  return calls
}

/** Calls with the lock held, once the other processor spins for it. */
export function callUnderLock(address: number): void {
  const meeting = new MEETING(address)
  const old = { value: 0 }
  KeAcquireSpinLock(meeting.lock, old)
  meeting.isHeld.store(1)
  while (meeting.isSpinning.load() === 0) YieldProcessor()
  KeIpiGenericCall(count, meeting)
  KeReleaseSpinLock(meeting.lock, old.value)
}

export function spinForLock(address: number): void {
  const meeting = new MEETING(address)
  const old = { value: 0 }
  while (meeting.isHeld.load() === 0) YieldProcessor()
  meeting.isSpinning.store(1)
  KeAcquireSpinLock(meeting.lock, old)
  KeReleaseSpinLock(meeting.lock, old.value)
}

export const numbers = (): number[] => [
  KeGetCurrentProcessorNumber(),
  KeGetCurrentProcessorNumberEx(null),
  KeQueryActiveProcessorCountEx(0xffff),
  KeQueryActiveProcessors(),
]
