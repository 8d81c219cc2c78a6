// Tests that vitest.test.ts runs in a vitest of its own: most of them are to fail.
import { describe, expect } from 'vitest'
import { test } from '../../../../machine/vitest.ts'
import { KeBugCheckEx } from '../../../../kernel/ke/bugcheck.ts'
import { KeGetCurrentIrql } from '../../../../kernel/ke/level.ts'
import { IoCreateNotificationEvent } from '../../../../kernel/io/namedevent.ts'
import { ExAllocatePool2, ExFreePool, POOL_FLAG_NON_PAGED } from '../../../../kernel/mm/pool-ddi.ts'
import { ZwClose } from '../../../../kernel/ob/handle.ts'
import { KeAcquireSpinLockRaiseToDpc, KSPIN_LOCK } from '../../../../kernel/ke/spinlock.ts'
import {
  ExInitializeWorkItem,
  ExQueueWorkItem,
  DelayedWorkQueue,
  WORK_QUEUE_ITEM,
} from '../../../../kernel/ex/workitem.ts'
import { KeDelayExecutionThread, KernelMode } from '../../../../kernel/ke/wait.ts'

test('gives back what it takes', async ({ machine }) => {
  const irql = await machine.run(async () => {
    const box = { value: 0 }
    IoCreateNotificationEvent('\\BaseNamedObjects\\Mine', box)
    await ZwClose(box.value)
    ExFreePool(ExAllocatePool2(POOL_FLAG_NON_PAGED, 100, 'Mine'))
    return KeGetCurrentIrql()
  })
  expect(irql).toBe(0)
})

test('queues work, and workers that stay are no leak', async ({ machine }) => {
  await machine.run(async () => {
    const item = new WORK_QUEUE_ITEM(ExAllocatePool2(POOL_FLAG_NON_PAGED, WORK_QUEUE_ITEM.size, 'Item'))
    ExInitializeWorkItem(item, () => ExFreePool(item), null)
    ExQueueWorkItem(item, DelayedWorkQueue)
    await KeDelayExecutionThread(KernelMode, false, -100_000)
  })
})

test('leaks pool', async ({ machine }) => {
  await machine.run(() => {
    for (let block = 0; block < 3; block++) ExAllocatePool2(POOL_FLAG_NON_PAGED, 100, 'Lost')
  })
})

test('leaks a handle', async ({ machine }) => {
  await machine.run(() => void IoCreateNotificationEvent('\\BaseNamedObjects\\Kept', { value: 0 }))
})

test('holds a spin lock', async ({ machine }) => {
  await machine.run(() => {
    const lock = new KSPIN_LOCK(ExAllocatePool2(POOL_FLAG_NON_PAGED, KSPIN_LOCK.size, 'Lock'))
    KeAcquireSpinLockRaiseToDpc(lock)
  })
})

test('stops', async ({ machine }) => {
  await machine.run(() => KeBugCheckEx(0xe2, 1, 2, 3, 4))
})

describe('with options', () => {
  test.override({ machineOptions: { processors: 2, seed: 42 } })

  test('has two processors', ({ machine }) => {
    expect(machine.processors).toBe(2)
  })

  test('fails with a seed', ({ machine }) => {
    expect(machine.processors).toBe(3)
  })
})

const virtual = test.extend({ machineOptions: { clock: 'virtual' as const, localRoutines: true } })
virtual('sleeps an hour at once', async ({ machine }) => {
  await machine.sleep(3_600_000)
})
