import { expect, test } from 'vitest'
import { EX_PUSH_LOCK } from '../../../kernel/ex/pushlock.ts'
import {
  FLT_PUSH_LOCK_DISABLE_AUTO_BOOST,
  FLT_PUSH_LOCK_ENABLE_AUTO_BOOST,
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
import {
  KeAreAllApcsDisabled,
  KeAreApcsDisabled,
  KeEnterCriticalRegion,
  KeLeaveCriticalRegion,
} from '../../../kernel/ke/apc.ts'
import {
  APC_LEVEL,
  KeGetCurrentIrql,
  KeLowerIrql,
  KeRaiseIrql,
  KeRaiseIrqlToDpcLevel,
} from '../../../kernel/ke/level.ts'
import { poolUsage } from '../../../kernel/mm/pool.ts'
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

test.each([0, FLT_PUSH_LOCK_ENABLE_AUTO_BOOST, FLT_PUSH_LOCK_DISABLE_AUTO_BOOST, FLT_PUSH_LOCK_VALID_FLAGS])(
  'FltAcquirePushLockExclusiveEx, FltAcquirePushLockSharedEx and FltReleasePushLockEx take Flags of %i alike',
  async (flags) => {
    await withLock(async (lock) => {
      await FltAcquirePushLockExclusiveEx(lock, flags)
      expect([lock.Value, KeAreApcsDisabled()]).toEqual([0x1, true])
      FltReleasePushLockEx(lock, flags)
      await FltAcquirePushLockSharedEx(lock, flags)
      expect(lock.Value).toBe(0x11)
      FltReleasePushLockEx(lock, flags)
      expect([lock.Value, KeAreApcsDisabled()]).toEqual([0, false])
    })
  },
)

test('FltAcquirePushLockShared inside a region of the caller’s leaves that region to him', async () => {
  await withLock(async (lock) => {
    KeEnterCriticalRegion()
    await FltAcquirePushLockShared(lock)
    await FltAcquirePushLockShared(lock)
    FltReleasePushLock(lock)
    FltReleasePushLock(lock)
    expect(KeAreApcsDisabled()).toBe(true)
    KeLeaveCriticalRegion()
    expect(KeAreApcsDisabled()).toBe(false)
  })
})

test('FltAcquirePushLockExclusive keeps the region while it waits, and enters it once', async () => {
  await withLock(async (lock) => {
    await FltAcquirePushLockExclusive(lock)
    const areOff: boolean[] = []
    const join = await spawn(async () => {
      await FltAcquirePushLockExclusive(lock)
      areOff.push(KeAreApcsDisabled())
      FltReleasePushLock(lock)
      areOff.push(KeAreApcsDisabled())
    })
    FltReleasePushLock(lock)
    await join()
    expect(areOff).toEqual([true, false])
  })
})

test('FltInitializePushLock, FltAcquirePushLockExclusive, FltReleasePushLock and FltDeletePushLock work at APC_LEVEL', async () => {
  await withLock(async (lock) => {
    const old = { value: 0 }
    KeRaiseIrql(APC_LEVEL, old)
    FltInitializePushLock(lock)
    await FltAcquirePushLockExclusive(lock)
    expect([lock.Value, KeGetCurrentIrql()]).toEqual([0x1, APC_LEVEL])
    FltReleasePushLock(lock)
    FltDeletePushLock(lock)
    KeLowerIrql(old.value)
  })
})

test('FltDeletePushLock frees no memory: the word may be initialized anew', async () => {
  await withLock(async (lock) => {
    const bytes = (): number => poolUsage().reduce((sum, row) => sum + row.bytes, 0)
    const before = bytes()
    FltDeletePushLock(lock)
    FltInitializePushLock(lock)
    await FltAcquirePushLockShared(lock)
    FltReleasePushLock(lock)
    expect(bytes()).toBe(before)
  })
})

test.each([
  ['FltInitializePushLock', FltInitializePushLock],
  ['FltReleasePushLock', FltReleasePushLock],
  ['FltDeletePushLock', FltDeletePushLock],
] as const)('%s at DISPATCH_LEVEL is a bug check', async (name, routine) => {
  const crash = withLock((lock) => {
    KeRaiseIrqlToDpcLevel()
    routine(lock)
  })
  await expect(crash).rejects.toThrow(`${name} may be called at APC_LEVEL at most`)
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
    rule: 'FltInitializePushLock of a word that is not aligned',
    code: 0x1e,
    act: (lock) => FltInitializePushLock(new EX_PUSH_LOCK(lock.address + 2)),
  },
  {
    rule: 'FltAcquirePushLockShared of a word that is not aligned',
    code: 0x1e,
    act: (lock) => FltAcquirePushLockShared(new EX_PUSH_LOCK(lock.address + 1)),
  },
  {
    rule: 'FltAcquirePushLockExclusive at DISPATCH_LEVEL',
    code: 0x192,
    act: (lock) => (KeRaiseIrqlToDpcLevel(), FltAcquirePushLockExclusive(lock)),
  },
])('$rule is a bug check on a checked build', async ({ act, code }) => {
  await expect(withLock(act)).rejects.toMatchObject({ code })
})
