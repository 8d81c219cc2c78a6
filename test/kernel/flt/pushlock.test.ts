import { expect, test } from 'vitest'
import { EX_PUSH_LOCK } from '../../../kernel/ex/pushlock.ts'
import {
  FLT_PUSH_LOCK_DISABLE_AUTO_BOOST,
  FLT_PUSH_LOCK_VALID_FLAGS,
  FltAcquirePushLockExclusive,
  FltAcquirePushLockExclusiveEx,
  FltAcquirePushLockShared,
  FltAcquirePushLockSharedEx,
  FltDeletePushLock,
  FltInitializePushLock,
  FltReleasePushLock,
  FltReleasePushLockEx,
} from '../../../kernel/flt/pushlock.ts'
import { KeAreAllApcsDisabled, KeAreApcsDisabled } from '../../../kernel/ke/apc.ts'
import { KeRaiseIrqlToDpcLevel } from '../../../kernel/ke/level.ts'
import { bootOne, make, spawn } from '../ex/threads.ts'

async function withLock(body: (lock: EX_PUSH_LOCK) => unknown): Promise<void> {
  await using machine = await bootOne()
  await machine.run(async () => {
    const lock = make(EX_PUSH_LOCK)
    lock.Value = 0x55
    FltInitializePushLock(lock)
    await body(lock)
    FltDeletePushLock(lock)
  })
}

const NONE = FLT_PUSH_LOCK_DISABLE_AUTO_BOOST & FLT_PUSH_LOCK_VALID_FLAGS

// Words and regions of facts §3.1, §3.2: after an acquire normal APCs are off, not all.
test.each([
  { name: 'FltAcquirePushLockExclusive', acquire: FltAcquirePushLockExclusive, release: FltReleasePushLock, word: 0x1 },
  { name: 'FltAcquirePushLockShared', acquire: FltAcquirePushLockShared, release: FltReleasePushLock, word: 0x11 },
  {
    name: 'FltAcquirePushLockExclusiveEx',
    acquire: (lock: EX_PUSH_LOCK) => FltAcquirePushLockExclusiveEx(lock, NONE),
    release: (lock: EX_PUSH_LOCK) => FltReleasePushLockEx(lock, NONE),
    word: 0x1,
  },
  {
    name: 'FltAcquirePushLockSharedEx',
    acquire: (lock: EX_PUSH_LOCK) => FltAcquirePushLockSharedEx(lock, NONE),
    release: (lock: EX_PUSH_LOCK) => FltReleasePushLockEx(lock, NONE),
    word: 0x11,
  },
])('$name enters a critical region, which the release leaves', async ({ acquire, release, word }) => {
  await withLock((lock) => {
    expect(acquire(lock)).toBeUndefined()
    expect([lock.Value, KeAreApcsDisabled(), KeAreAllApcsDisabled()]).toEqual([word, true, false])
    release(lock)
    expect([lock.Value, KeAreApcsDisabled()]).toEqual([0, false])
  })
})

test.each([
  { name: 'FltReleasePushLock', release: FltReleasePushLock },
  { name: 'FltReleasePushLockEx', release: (lock: EX_PUSH_LOCK) => FltReleasePushLockEx(lock, NONE) },
])('$name of an exclusive hold wakes two sharers together', async ({ release }) => {
  await withLock(async (lock) => {
    await FltAcquirePushLockExclusive(lock)
    const joins = []
    for (let index = 0; index < 2; index++) {
      joins.push(
        await spawn(async () => {
          await FltAcquirePushLockShared(lock)
          release(lock)
        }),
      )
    }
    release(lock)
    for (const join of joins) await join()
    expect(lock.Value).toBe(0)
  })
})

test('FltInitializePushLock makes the word 0', async () => {
  await withLock((lock) => expect(lock.Value).toBe(0))
})

test.each<{ rule: string; code: number; act: (lock: EX_PUSH_LOCK) => void | Promise<void> }>([
  {
    rule: 'FltDeletePushLock of a lock that is held',
    code: 0xc4,
    act: async (lock) => {
      await FltAcquirePushLockShared(lock)
      FltDeletePushLock(lock)
    },
  },
  { rule: 'FltReleasePushLock of a lock that nobody holds', code: 0x162, act: FltReleasePushLock },
  {
    rule: 'FltAcquirePushLockExclusive at DISPATCH_LEVEL',
    code: 0x192,
    act: (lock) => (KeRaiseIrqlToDpcLevel(), FltAcquirePushLockExclusive(lock)),
  },
])('$rule is a bug check on a checked build', async ({ act, code }) => {
  await expect(withLock(act)).rejects.toMatchObject({ code })
})
