import { expect, test } from 'vitest'
import { KeGetCurrentIrql } from '../../../kernel/ke/level.ts'
import { KeLowerIrql, KeRaiseIrqlToDpcLevel } from '../../../kernel/ke/level.ts'
import {
  KeAcquireInStackQueuedSpinLock,
  KeAcquireInStackQueuedSpinLockAtDpcLevel,
  KeAcquireInStackQueuedSpinLockForDpc,
  KeAcquireInStackQueuedSpinLockRaiseToSynch,
  KeReleaseInStackQueuedSpinLock,
  KeReleaseInStackQueuedSpinLockForDpc,
  KeReleaseInStackQueuedSpinLockFromDpcLevel,
  KLOCK_QUEUE_HANDLE,
} from '../../../kernel/ke/queuedlock.ts'
import { KeInitializeSpinLock, KSPIN_LOCK } from '../../../kernel/ke/spinlock.ts'
import { allocateStruct } from '../../../kernel/mm/pool.ts'
import { struct } from '../../../kernel/rtl/struct.ts'
import { bugCheckOf, onMachine } from './machine.ts'

const TWO = struct('TWO_HANDLES', { Lock: KSPIN_LOCK, First: KLOCK_QUEUE_HANDLE, Second: KLOCK_QUEUE_HANDLE })

function lockAndHandles(): InstanceType<typeof TWO> {
  const two = allocateStruct(TWO, 'Test')
  if (two === null) throw new Error('no pool')
  KeInitializeSpinLock(two.Lock)
  return two
}

// wdm-facts §6 [KMT KeSpinLock.c]: the word, LockQueue and OldIrql of a lock that is held and one that is not.
test('KeAcquireInStackQueuedSpinLock makes the word the handle’s address and marks the handle as owner', async () => {
  const seen = await onMachine(() => {
    const { Lock, First } = lockAndHandles()
    KeAcquireInStackQueuedSpinLock(Lock, First)
    const held = [Lock.Lock === First.address, First.LockQueue.Lock === (Lock.address | 2), First.LockQueue.Next]
    const levels = [First.OldIrql, KeGetCurrentIrql()]
    KeReleaseInStackQueuedSpinLock(First)
    return { held, levels, word: Lock.Lock, after: First.LockQueue.Lock === Lock.address, irql: KeGetCurrentIrql() }
  })
  expect(seen).toEqual({ held: [true, true, 0], levels: [0, 2], word: 0, after: true, irql: 0 })
})

test('KeReleaseInStackQueuedSpinLock of a handle that owns nothing is bug check 0x10', async () => {
  const error = await bugCheckOf(() => {
    const { Lock, First } = lockAndHandles()
    KeAcquireInStackQueuedSpinLock(Lock, First)
    KeReleaseInStackQueuedSpinLockFromDpcLevel(First)
    KeReleaseInStackQueuedSpinLock(First)
  })
  expect(error.code).toBe(0x10)
})

test('KeAcquireInStackQueuedSpinLockAtDpcLevel leaves the IRQL as it is', async () => {
  const levels = await onMachine(() => {
    const { Lock, First } = lockAndHandles()
    const before = KeRaiseIrqlToDpcLevel()
    KeAcquireInStackQueuedSpinLockAtDpcLevel(Lock, First)
    const inside = KeGetCurrentIrql()
    KeReleaseInStackQueuedSpinLockFromDpcLevel(First)
    const behind = KeGetCurrentIrql()
    KeLowerIrql(before)
    return [inside, behind]
  })
  expect(levels).toEqual([2, 2])
})

test('KeReleaseInStackQueuedSpinLockFromDpcLevel below DISPATCH_LEVEL is bug check 0x8', async () => {
  const error = await bugCheckOf(() => KeReleaseInStackQueuedSpinLockFromDpcLevel(lockAndHandles().First))
  expect(error.code).toBe(0x8)
})

test('KeAcquireInStackQueuedSpinLock of a lock that this processor holds is bug check 0xF', async () => {
  const error = await bugCheckOf(() => {
    const { Lock, First, Second } = lockAndHandles()
    KeAcquireInStackQueuedSpinLock(Lock, First)
    KeAcquireInStackQueuedSpinLock(Lock, Second)
  })
  expect(error.code).toBe(0xf)
})

test('KeAcquireInStackQueuedSpinLockRaiseToSynch raises to SYNCH_LEVEL', async () => {
  const level = await onMachine(() => {
    const { Lock, First } = lockAndHandles()
    KeAcquireInStackQueuedSpinLockRaiseToSynch(Lock, First)
    const inside = KeGetCurrentIrql()
    KeReleaseInStackQueuedSpinLock(First)
    return inside
  })
  expect(level).toBe(12)
})

test('KeAcquireInStackQueuedSpinLockForDpc raises to DISPATCH_LEVEL', async () => {
  const level = await onMachine(() => {
    const { Lock, First } = lockAndHandles()
    KeAcquireInStackQueuedSpinLockForDpc(Lock, First)
    const inside = KeGetCurrentIrql()
    KeReleaseInStackQueuedSpinLockForDpc(First)
    return inside
  })
  expect(level).toBe(2)
})

test('KeReleaseInStackQueuedSpinLockForDpc goes back to the level of the acquire', async () => {
  const level = await onMachine(() => {
    const { Lock, First } = lockAndHandles()
    KeAcquireInStackQueuedSpinLockForDpc(Lock, First)
    KeReleaseInStackQueuedSpinLockForDpc(First)
    return KeGetCurrentIrql()
  })
  expect(level).toBe(0)
})

test('KeAcquireInStackQueuedSpinLock of a free build leaves the word of a uniprocessor at 0', async () => {
  const word = await onMachine(
    () => {
      const { Lock, First } = lockAndHandles()
      KeAcquireInStackQueuedSpinLock(Lock, First)
      const held = Lock.Lock
      KeReleaseInStackQueuedSpinLock(First)
      return held
    },
    { build: 'free' },
  )
  expect(word).toBe(0)
})
