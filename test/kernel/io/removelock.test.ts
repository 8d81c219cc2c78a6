import { expect, test } from 'vitest'
import {
  IO_REMOVE_LOCK,
  IoAcquireRemoveLock,
  IoInitializeRemoveLock,
  IoReleaseRemoveLock,
  IoReleaseRemoveLockAndWait,
} from '../../../kernel/io/removelock.ts'
import { KeLowerIrql, KeRaiseIrqlToDpcLevel } from '../../../kernel/ke/level.ts'
import { allocateStruct, poolUsage } from '../../../kernel/mm/pool.ts'
import { STATUS_DELETE_PENDING, STATUS_SUCCESS } from '../../../kernel/rtl/status.ts'
import { boot } from '../../../machine/index.ts'
import { bugCheckOf, onMachine } from '../ke/machine.ts'

function newLock(highWatermark = 0): IO_REMOVE_LOCK {
  const lock = allocateStruct(IO_REMOVE_LOCK, 'Test') as IO_REMOVE_LOCK
  IoInitializeRemoveLock(lock, 0x74736554, 0, highWatermark)
  return lock
}
const bytes = (): number => poolUsage().reduce((sum, row) => sum + row.bytes, 0)

// wdm-facts §12 [ROS remlock.c; WINE driver.c test_remove_lock]
test('IoInitializeRemoveLock makes a lock with a count of 1', async () => {
  const seen = await onMachine(() => {
    const lock = newLock()
    return [lock.IoCount, lock.Removed, lock.RemoveEvent.Header.SignalState]
  })
  expect(seen).toEqual([1, 0, 0])
})

test('IoAcquireRemoveLock adds 1 at DISPATCH_LEVEL, too', async () => {
  const seen = await onMachine(() => {
    const lock = newLock()
    const before = KeRaiseIrqlToDpcLevel()
    const status = IoAcquireRemoveLock(lock, 1)
    KeLowerIrql(before)
    return [status, lock.IoCount]
  })
  expect(seen).toEqual([STATUS_SUCCESS, 2])
})

test('IoReleaseRemoveLock takes 1, and the memory of a checked build’s tag', async () => {
  const seen = await onMachine(() => {
    const lock = newLock()
    const before = bytes()
    IoAcquireRemoveLock(lock, lock)
    IoReleaseRemoveLock(lock, lock)
    return [lock.IoCount, bytes() - before]
  })
  expect(seen).toEqual([1, 0])
})

test('IoReleaseRemoveLockAndWait returns at once when nobody else holds the lock', async () => {
  const seen = await onMachine(async () => {
    const lock = newLock()
    IoAcquireRemoveLock(lock, null)
    await IoReleaseRemoveLockAndWait(lock, null)
    return [lock.IoCount, IoAcquireRemoveLock(lock, 2), lock.IoCount]
  })
  expect(seen).toEqual([0, STATUS_DELETE_PENDING, 0])
})

test('IoReleaseRemoveLockAndWait waits for the last holder', async () => {
  await using machine = await boot({ localRoutines: true })
  const order: string[] = []
  const lock = await machine.run(() => {
    const made = newLock()
    IoAcquireRemoveLock(made, 1)
    return made
  })
  const removal = machine.run(async () => {
    IoAcquireRemoveLock(lock, 2)
    await IoReleaseRemoveLockAndWait(lock, 2)
    order.push('removed')
  })
  await machine.run(() => {
    order.push(`acquire: ${IoAcquireRemoveLock(lock, 3) === STATUS_DELETE_PENDING}`)
    IoReleaseRemoveLock(lock, 1)
    order.push('released')
  })
  await removal
  expect(order).toEqual(['acquire: true', 'released', 'removed'])
})

test.each<[string, number, (lock: IO_REMOVE_LOCK) => unknown]>([
  ['IoReleaseRemoveLock of a tag that nobody acquired with', 0xd5, (lock) => IoReleaseRemoveLock(lock, 2)],
  [
    'IoReleaseRemoveLockAndWait of a tag that nobody acquired with',
    0xd6,
    (lock) => IoReleaseRemoveLockAndWait(lock, 2),
  ],
])('%s is bug check 0xC4/0x%x', async (_, code, release) => {
  const error = await bugCheckOf(() => {
    const lock = newLock()
    IoAcquireRemoveLock(lock, 1)
    return release(lock)
  })
  expect([error.code, error.parameters[0]]).toEqual([0xc4, code])
})

test('IoInitializeRemoveLock of a lock after removal is bug check 0xC4/0xD7', async () => {
  const error = await bugCheckOf(async () => {
    const lock = newLock()
    IoAcquireRemoveLock(lock, 1)
    await IoReleaseRemoveLockAndWait(lock, 1)
    IoInitializeRemoveLock(lock, 1, 0, 0)
  })
  expect([error.code, error.parameters[0]]).toEqual([0xc4, 0xd7])
})

test('IoAcquireRemoveLock above the high water mark is bug check 0x121', async () => {
  const error = await bugCheckOf(() => {
    const lock = newLock(1)
    IoAcquireRemoveLock(lock, 1)
    IoAcquireRemoveLock(lock, 2)
  })
  expect(error.code).toBe(0x121)
})
