import { expect, test } from 'vitest'
import {
  KDEVICE_QUEUE,
  KDEVICE_QUEUE_ENTRY,
  KeInitializeDeviceQueue,
  KeInsertByKeyDeviceQueue,
  KeInsertDeviceQueue,
  KeRemoveByKeyDeviceQueue,
  KeRemoveDeviceQueue,
  KeRemoveEntryDeviceQueue,
} from '../../../kernel/ke/devicequeue.ts'
import { KeLowerIrql, KeRaiseIrqlToDpcLevel } from '../../../kernel/ke/level.ts'
import { zero } from '../../../kernel/mm/access.ts'
import { mem } from '../../../kernel/mm/memory.ts'
import { bootOne, make } from '../ex/threads.ts'

/** Runs `body` at DISPATCH_LEVEL with an idle queue. */
async function withQueue(body: (queue: KDEVICE_QUEUE) => void): Promise<void> {
  await using machine = await bootOne()
  await machine.run(() => {
    const queue = make(KDEVICE_QUEUE)
    KeInitializeDeviceQueue(queue)
    const before = KeRaiseIrqlToDpcLevel()
    body(queue)
    KeLowerIrql(before)
  })
}

const entries = (count: number): KDEVICE_QUEUE_ENTRY[] => Array.from({ length: count }, () => make(KDEVICE_QUEUE_ENTRY))

/** Makes the device busy and queues an entry for each key. */
function fill(queue: KDEVICE_QUEUE, keys: number[]): KDEVICE_QUEUE_ENTRY[] {
  expect(KeInsertDeviceQueue(queue, make(KDEVICE_QUEUE_ENTRY))).toBe(false)
  return keys.map((key) => {
    const entry = make(KDEVICE_QUEUE_ENTRY)
    expect(KeInsertByKeyDeviceQueue(queue, entry, key)).toBe(true)
    expect(entry.Inserted).toBe(1)
    return entry
  })
}

function drain(queue: KDEVICE_QUEUE): number[] {
  const keys: number[] = []
  for (let entry = KeRemoveDeviceQueue(queue); entry !== null; entry = KeRemoveDeviceQueue(queue))
    keys.push(entry.SortKey)
  return keys
}

// Facts §14.7 [KMT KeDevQueue], measured on Windows.
test('KeInitializeDeviceQueue writes type, size and an idle queue, and nothing behind the structure', async () => {
  await using machine = await bootOne()
  await machine.run(() => {
    const queue = make(KDEVICE_QUEUE)
    zero(queue.address, KDEVICE_QUEUE.size)
    const behind = mem.u8[queue.address + KDEVICE_QUEUE.size]
    KeInitializeDeviceQueue(queue)
    expect([queue.Type, queue.Size, queue.Busy]).toEqual([0x14, KDEVICE_QUEUE.size, 0])
    expect(mem.u8[queue.address + KDEVICE_QUEUE.size]).toBe(behind)
  })
})

test('KeInsertDeviceQueue makes an idle device busy and does not queue the entry', async () => {
  await withQueue((queue) => {
    const [first, second] = entries(2) as [KDEVICE_QUEUE_ENTRY, KDEVICE_QUEUE_ENTRY]
    expect(KeInsertDeviceQueue(queue, first)).toBe(false)
    expect([queue.Busy, first.Inserted]).toEqual([1, 0])
    expect(KeInsertDeviceQueue(queue, second)).toBe(true)
    expect(second.Inserted).toBe(1)
  })
})

test('KeRemoveDeviceQueue takes the first entry; without one the device is idle', async () => {
  await withQueue((queue) => {
    const [first, second, third] = entries(3) as [KDEVICE_QUEUE_ENTRY, KDEVICE_QUEUE_ENTRY, KDEVICE_QUEUE_ENTRY]
    for (const entry of [first, second, third]) KeInsertDeviceQueue(queue, entry)
    expect(KeRemoveDeviceQueue(queue)?.address).toBe(second.address)
    expect([second.Inserted, queue.Busy]).toEqual([0, 1])
    expect(KeRemoveDeviceQueue(queue)?.address).toBe(third.address)
    expect(KeRemoveDeviceQueue(queue)).toBeNull()
    expect(queue.Busy).toBe(0)
  })
})

test('KeInsertByKeyDeviceQueue sorts by key, unsigned, and keeps the order of equal keys', async () => {
  await withQueue((queue) => {
    const [five, one, otherFive] = fill(queue, [5, 1, 5, 0xffffffff, 0]) as KDEVICE_QUEUE_ENTRY[]
    expect(KeRemoveDeviceQueue(queue)?.SortKey).toBe(0)
    expect(KeRemoveDeviceQueue(queue)?.address).toBe(one?.address)
    expect(KeRemoveDeviceQueue(queue)?.address).toBe(five?.address)
    expect(KeRemoveDeviceQueue(queue)?.address).toBe(otherFive?.address)
    expect(drain(queue)).toEqual([0xffffffff])
  })
})

// [ROS]: the first entry with key >= k, else the first one.
test.each([
  { key: 0, taken: 2 },
  { key: 2, taken: 2 },
  { key: 3, taken: 4 },
  { key: 5, taken: 6 },
  { key: 7, taken: 2 },
])('KeRemoveByKeyDeviceQueue with key $key of 2, 4, 6 takes $taken', async ({ key, taken }) => {
  await withQueue((queue) => {
    fill(queue, [2, 4, 6])
    expect(KeRemoveByKeyDeviceQueue(queue, key)?.SortKey).toBe(taken)
    expect(drain(queue)).toEqual([2, 4, 6].filter((other) => other !== taken))
  })
})

test('KeRemoveByKeyDeviceQueue of an empty queue makes the device idle', async () => {
  await withQueue((queue) => {
    fill(queue, [])
    expect(KeRemoveByKeyDeviceQueue(queue, 1)).toBeNull()
    expect(queue.Busy).toBe(0)
  })
})

test('KeRemoveEntryDeviceQueue returns TRUE once, and leaves the others', async () => {
  await withQueue((queue) => {
    const [, middle] = fill(queue, [1, 2, 3]) as KDEVICE_QUEUE_ENTRY[]
    expect(KeRemoveEntryDeviceQueue(queue, middle as KDEVICE_QUEUE_ENTRY)).toBe(true)
    expect(KeRemoveEntryDeviceQueue(queue, middle as KDEVICE_QUEUE_ENTRY)).toBe(false)
    expect(drain(queue)).toEqual([1, 3])
  })
})

test('KeInsertDeviceQueue below DISPATCH_LEVEL is bug check 0x08 on a checked build', async () => {
  const stop = withQueue((queue) => {
    KeLowerIrql(0)
    KeInsertDeviceQueue(queue, make(KDEVICE_QUEUE_ENTRY))
  })
  await expect(stop).rejects.toMatchObject({ code: 0x08 })
})
