/**
 * What runs on several processors in the tests of the kernel core: hammers of spin locks, and what only a machine with
 * more than one processor shows. The counts are not atomic: they come out right only if the lock kept others out.
 */
import { KeInitializeEvent, KeReadStateEvent, KeSetEvent, NotificationEvent } from '../../../../kernel/ke/event.ts'
import { KEVENT, KTHREAD } from '../../../../kernel/ke/layouts.ts'
import { KeGetCurrentIrql, KeLowerIrql, KeRaiseIrql, KeRaiseIrqlToDpcLevel } from '../../../../kernel/ke/level.ts'
import {
  EX_SPIN_LOCK,
  ExAcquireSpinLockExclusive,
  ExAcquireSpinLockShared,
  ExReleaseSpinLockExclusive,
  ExReleaseSpinLockShared,
  KeAcquireSpinLock,
  KeAcquireSpinLockAtDpcLevel,
  KeInitializeSpinLock,
  KeReleaseSpinLock,
  KeReleaseSpinLockFromDpcLevel,
  KeTryToAcquireSpinLockAtDpcLevel,
  KSPIN_LOCK,
} from '../../../../kernel/ke/spinlock.ts'
import { currentThread } from '../../../../kernel/ke/thread.ts'
import { KeQueryInterruptTime, YieldProcessor } from '../../../../kernel/ke/time.ts'
import {
  Executive,
  KeDelayExecutionThread,
  KernelMode,
  KeWaitForMultipleObjects,
  KeWaitForSingleObject,
  WaitAll,
} from '../../../../kernel/ke/wait.ts'
import { field, InterlockedIncrement } from '../../../../kernel/ex/interlocked.ts'
import { allocateStruct, free } from '../../../../kernel/mm/pool.ts'
import { LONG, struct } from '../../../../kernel/rtl/struct.ts'

const ROUNDS = 2000

const SHARED = struct('KE_SHARED', {
  lock: KSPIN_LOCK,
  exLock: EX_SPIN_LOCK,
  // Guarded by whichever lock is hammered.
  count: LONG,
  mirror: LONG, // equals count outside an exclusive hold
  torn: LONG, // interlocked: looks that saw a change half done
})
type SHARED = InstanceType<typeof SHARED>

function made<T>(view: T | null): T {
  if (view === null) throw new Error('no pool')
  return view
}

export function makeShared(): number {
  const shared = made(allocateStruct(SHARED, 'Test'))
  KeInitializeSpinLock(shared.lock)
  return shared.address
}

/** What is left when all are done. */
export function verdict(address: number): object {
  const { count, mirror, torn, lock, exLock } = new SHARED(address)
  const words = [lock.Lock, exLock.Lock]
  free(address)
  return { count, mirror, torn, words }
}

/** A change in two halves, with room for others to come between. */
function change(shared: SHARED): void {
  const before = shared.count
  shared.count = before + 1
  for (let spin = 0; spin < 20; spin++) if (shared.mirror !== before) shared.torn += 1
  shared.mirror = before + 1
}

export function tryTwice(): object {
  const lock = made(allocateStruct(KSPIN_LOCK, 'Test'))
  const old = { value: 0 }
  KeAcquireSpinLock(lock, old)
  KeReleaseSpinLock(lock, old.value)
  const before = KeRaiseIrqlToDpcLevel()
  const tries = [KeTryToAcquireSpinLockAtDpcLevel(lock), KeTryToAcquireSpinLockAtDpcLevel(lock)]
  const isOne = lock.Lock === 1
  const isMark = isOne || lock.Lock === (currentThread() | 1)
  KeReleaseSpinLockFromDpcLevel(lock)
  KeLowerIrql(before)
  const after = lock.Lock
  free(lock.address)
  return { tries, isMark, isOne, after }
}

export function spinHammer(address: number): number {
  const shared = new SHARED(address)
  const old = { value: 0 }
  for (let round = 0; round < ROUNDS; round++) {
    KeAcquireSpinLock(shared.lock, old)
    change(shared)
    KeReleaseSpinLock(shared.lock, old.value)
  }
  return ROUNDS
}

export function atDpcLevelHammer(address: number): number {
  const shared = new SHARED(address)
  for (let round = 0; round < ROUNDS; round++) {
    const before = KeRaiseIrqlToDpcLevel()
    KeAcquireSpinLockAtDpcLevel(shared.lock)
    change(shared)
    KeReleaseSpinLockFromDpcLevel(shared.lock)
    KeLowerIrql(before)
  }
  return ROUNDS
}

export function tryHammer(address: number): number {
  const shared = new SHARED(address)
  for (let round = 0; round < ROUNDS; round++) {
    const before = KeRaiseIrqlToDpcLevel()
    while (!KeTryToAcquireSpinLockAtDpcLevel(shared.lock)) YieldProcessor()
    change(shared)
    KeReleaseSpinLockFromDpcLevel(shared.lock)
    KeLowerIrql(before)
  }
  return ROUNDS
}

export function exclusiveHammer(address: number): number {
  const shared = new SHARED(address)
  for (let round = 0; round < ROUNDS; round++) {
    const before = ExAcquireSpinLockExclusive(shared.exLock)
    change(shared)
    ExReleaseSpinLockExclusive(shared.exLock, before)
  }
  return ROUNDS
}

/** Every other round reads; gives back how many wrote. */
export function sharedHammer(address: number): number {
  const shared = new SHARED(address)
  for (let round = 0; round < ROUNDS; round++) {
    if (round % 2 === 0) {
      const before = ExAcquireSpinLockShared(shared.exLock)
      if (shared.count !== shared.mirror) InterlockedIncrement(field(shared, 'torn'))
      ExReleaseSpinLockShared(shared.exLock, before)
    } else {
      const before = ExAcquireSpinLockExclusive(shared.exLock)
      change(shared)
      ExReleaseSpinLockExclusive(shared.exLock, before)
    }
  }
  return ROUNDS / 2
}

function makeEvent(state: boolean): KEVENT {
  const event = made(allocateStruct(KEVENT, 'Test'))
  KeInitializeEvent(event, NotificationEvent, state)
  return event
}

/** A set with Wait TRUE at APC_LEVEL, and the wait behind it: level, WaitNext and WaitIrql. */
export async function setAndWait(): Promise<object> {
  const event = makeEvent(true)
  const old = { value: 0 }
  const thread = new KTHREAD(currentThread())
  KeRaiseIrql(1, old)
  KeSetEvent(event, 0, true)
  const between = [KeGetCurrentIrql(), thread.WaitNext, thread.WaitIrql]
  const status = await KeWaitForSingleObject(event, Executive, KernelMode, false, null)
  const behind = [status, KeGetCurrentIrql(), thread.WaitNext]
  KeLowerIrql(old.value)
  free(event.address)
  return { between, behind }
}

/** Waits with a positive number, each way; then what needs the same lock. */
export async function waitWrongly(): Promise<unknown[]> {
  const event = makeEvent(false)
  const rest = { WaitReason: Executive, WaitMode: KernelMode, Alertable: false, Timeout: 5, WaitBlockArray: null }
  const names: unknown[] = []
  for (const wait of [
    () => KeWaitForSingleObject(event, Executive, KernelMode, false, 5),
    () => KeWaitForMultipleObjects({ Count: 1, Object: [event], WaitType: WaitAll, ...rest }),
    () => KeDelayExecutionThread(KernelMode, false, 5),
  ]) {
    try {
      await wait()
    } catch (error) {
      names.push((error as Error).name)
    }
  }
  return [...names, KeSetEvent(event, 0, false), KeReadStateEvent(event)].slice(0, 4)
}

export const interruptTime = (): bigint => KeQueryInterruptTime()

/** Waits that are satisfied at once, ever so many; gives back the milliseconds that they took. */
export async function manyWaits(): Promise<number> {
  const event = makeEvent(true)
  const start = KeQueryInterruptTime()
  for (let round = 0; round < 5000; round++) await KeWaitForSingleObject(event, Executive, KernelMode, false, null)
  free(event.address)
  return Number((KeQueryInterruptTime() - start) / 10_000n)
}
