import { expect, test } from 'vitest'
import {
  EX_PUSH_LOCK,
  ExAcquirePushLockExclusive,
  ExAcquirePushLockShared,
  ExfReleasePushLock,
  ExInitializePushLock,
  ExReleasePushLockExclusive,
  ExReleasePushLockShared,
  ExTryAcquirePushLockExclusive,
  ExTryAcquirePushLockShared,
  ExTryConvertPushLockSharedToExclusive,
} from '../../../kernel/ex/pushlock.ts'
import { enterCriticalRegion, leaveCriticalRegion } from '../../../kernel/ke/apc.ts'
import { DISPATCH_LEVEL, KeLowerIrql, KeRaiseIrqlToDpcLevel } from '../../../kernel/ke/level.ts'
import { poolUsage } from '../../../kernel/mm/pool.ts'
import { bootOne, make, settle, spawn } from './threads.ts'

const LOCK = 0x1
const WAITING = 0x2
const WAKING = 0x4
const MULTIPLE_SHARED = 0x8
const FLAGS = 0xf

/** Runs `body` in a critical region with a fresh push lock. */
async function withLock<T>(
  body: (lock: EX_PUSH_LOCK) => Promise<T>,
  build: 'checked' | 'free' = 'checked',
): Promise<T> {
  await using machine = await bootOne(build)
  return (await machine.run(async () => {
    const lock = make(EX_PUSH_LOCK)
    lock.Value = 0xffff_ffff
    ExInitializePushLock(lock)
    enterCriticalRegion()
    const result = await body(lock)
    leaveCriticalRegion()
    return result
  })) as T
}

/** Bytes of wait blocks that are allocated; NaN if none ever was. */
const waitBlocks = (): number => poolUsage().find(({ tag }) => tag === 'ExPl')?.bytes ?? Number.NaN

const wordIsPlausible = (word: number): boolean => {
  if ((word & WAKING) !== 0 && (word & WAITING) === 0) return false
  if ((word & MULTIPLE_SHARED) !== 0 && (word & (LOCK | WAITING)) !== (LOCK | WAITING)) return false
  if ((word & (LOCK | WAITING)) === 0 && word !== 0) return false
  return (word & WAITING) === 0 || word >>> 4 !== 0
}

test('ExInitializePushLock makes the word 0', async () => {
  expect(await withLock(async (lock) => lock.Value)).toBe(0)
})

test('ExAcquirePushLockExclusive sets the word of a free lock to 1, and returns no promise', async () => {
  await withLock(async (lock) => {
    expect(ExAcquirePushLockExclusive(lock)).toBeUndefined()
    expect(lock.Value).toBe(0x1)
    ExReleasePushLockExclusive(lock)
    expect(lock.Value).toBe(0)
  })
})

// Words as measured [KMT ExPushLock]; both builds agree.
test.each(['checked', 'free'] as const)(
  'ExAcquirePushLockShared counts holders in units of 0x10, and the last release leaves 0 (%s build)',
  async (build) => {
    const words = await withLock(async (lock) => {
      const seen: number[] = []
      for (let holder = 0; holder < 4; holder++) {
        expect(ExAcquirePushLockShared(lock)).toBeUndefined()
        seen.push(lock.Value)
      }
      for (let holder = 0; holder < 4; holder++) {
        ExReleasePushLockShared(lock)
        seen.push(lock.Value)
      }
      return seen
    }, build)
    expect(words).toEqual([0x11, 0x21, 0x31, 0x41, 0x31, 0x21, 0x11, 0])
  },
)

// A holder, who asks, and the flags of the word while it waits (facts §3.3).
test.each([
  { holders: 'X', asks: 'X', flags: LOCK | WAITING },
  { holders: 'X', asks: 'S', flags: LOCK | WAITING },
  { holders: 'S', asks: 'X', flags: LOCK | WAITING },
  { holders: 'SS', asks: 'X', flags: LOCK | WAITING | MULTIPLE_SHARED },
  { holders: 'SSS', asks: 'X', flags: LOCK | WAITING | MULTIPLE_SHARED },
])('ExfReleasePushLock of $holders lets a waiting $asks in', async ({ holders, asks, flags }) => {
  await withLock(async (lock) => {
    for (const holder of holders)
      await (holder === 'X' ? ExAcquirePushLockExclusive(lock) : ExAcquirePushLockShared(lock))
    let isIn = false
    const join = await spawn(async () => {
      enterCriticalRegion()
      await (asks === 'X' ? ExAcquirePushLockExclusive(lock) : ExAcquirePushLockShared(lock))
      isIn = true
      expect(lock.Value).toBe(asks === 'X' ? 0x1 : 0x11)
      ExfReleasePushLock(lock)
      leaveCriticalRegion()
    })
    expect(lock.Value & FLAGS).toBe(flags)
    for (let left = holders.length; left > 0; left--) {
      await settle()
      expect(isIn).toBe(false)
      expect(lock.Value & FLAGS).toBe(flags) // nothing changes while holders are left
      ExfReleasePushLock(lock)
    }
    await join()
    expect(isIn).toBe(true)
    expect(lock.Value).toBe(0)
  })
})

test('ExAcquirePushLockShared queues behind an exclusive request that waits, even for a thread with a share', async () => {
  await withLock(async (lock) => {
    await ExAcquirePushLockShared(lock)
    const writer = await spawn(async () => {
      enterCriticalRegion()
      await ExAcquirePushLockExclusive(lock)
      ExReleasePushLockExclusive(lock)
      leaveCriticalRegion()
    })
    expect(ExTryAcquirePushLockShared(lock)).toBe(false)
    ExReleasePushLockShared(lock)
    await writer()
    expect(lock.Value).toBe(0)
  })
})

test('ExReleasePushLockExclusive wakes one exclusive waiter at a time, and loses none of many', async () => {
  await withLock(async (lock) => {
    const COUNT = 12
    let inside = 0
    let runs = 0
    await ExAcquirePushLockExclusive(lock)
    const joins: (() => Promise<void>)[] = []
    for (let index = 0; index < COUNT; index++) {
      joins.push(
        await spawn(async () => {
          enterCriticalRegion()
          const isExclusive = index % 3 !== 0
          await (isExclusive ? ExAcquirePushLockExclusive(lock) : ExAcquirePushLockShared(lock))
          inside += isExclusive ? 100 : 1
          expect(isExclusive ? inside : inside % 100).toBeLessThanOrEqual(isExclusive ? 100 : COUNT)
          expect(wordIsPlausible(lock.Value)).toBe(true)
          await settle()
          inside -= isExclusive ? 100 : 1
          runs += 1
          ExfReleasePushLock(lock)
          expect(wordIsPlausible(lock.Value)).toBe(true)
          leaveCriticalRegion()
        }),
      )
    }
    ExReleasePushLockExclusive(lock)
    for (const join of joins) await join()
    expect(runs).toBe(COUNT)
    expect(lock.Value).toBe(0)
    expect(waitBlocks()).toBe(0)
  })
})

test('ExTryAcquirePushLockExclusive takes a free lock, and refuses one that is held', async () => {
  await withLock(async (lock) => {
    expect(ExTryAcquirePushLockExclusive(lock)).toBe(true)
    expect(lock.Value).toBe(0x1)
    expect(ExTryAcquirePushLockExclusive(lock)).toBe(false)
    ExReleasePushLockExclusive(lock)
    await ExAcquirePushLockShared(lock)
    expect(ExTryAcquirePushLockExclusive(lock)).toBe(false)
    expect(lock.Value).toBe(0x11)
    ExReleasePushLockShared(lock)
  })
})

test('ExTryAcquirePushLockShared joins sharers, and refuses under an exclusive holder', async () => {
  await withLock(async (lock) => {
    expect(ExTryAcquirePushLockShared(lock)).toBe(true)
    expect(ExTryAcquirePushLockShared(lock)).toBe(true)
    expect(lock.Value).toBe(0x21)
    ExReleasePushLockShared(lock)
    ExReleasePushLockShared(lock)
    await ExAcquirePushLockExclusive(lock)
    expect(ExTryAcquirePushLockShared(lock)).toBe(false)
    ExReleasePushLockExclusive(lock)
  })
})

test('ExTryConvertPushLockSharedToExclusive converts the only share, and none of two', async () => {
  await withLock(async (lock) => {
    await ExAcquirePushLockShared(lock)
    await ExAcquirePushLockShared(lock)
    expect(ExTryConvertPushLockSharedToExclusive(lock)).toBe(false)
    ExReleasePushLockShared(lock)
    expect(ExTryConvertPushLockSharedToExclusive(lock)).toBe(true)
    expect(lock.Value).toBe(0x1)
    ExReleasePushLockExclusive(lock)
  })
})

// The rules of the checked build: what is done with a free lock, and the bug check (facts §3.1, §18.3).
const broken = [
  {
    rule: 'ExAcquirePushLockExclusive with APCs on',
    act: (lock: EX_PUSH_LOCK) => (leaveCriticalRegion(), ExAcquirePushLockExclusive(lock)),
    code: 0xc4,
    at: 0,
    is: 0xea,
  },
  {
    rule: 'ExReleasePushLockExclusive with APCs on',
    act: async (lock: EX_PUSH_LOCK) => {
      await ExAcquirePushLockExclusive(lock)
      leaveCriticalRegion()
      ExReleasePushLockExclusive(lock)
    },
    code: 0xc4,
    at: 0,
    is: 0xeb,
  },
  {
    rule: 'ExAcquirePushLockShared at DISPATCH_LEVEL',
    act: (lock: EX_PUSH_LOCK) => {
      const before = KeRaiseIrqlToDpcLevel()
      const result = ExAcquirePushLockShared(lock)
      KeLowerIrql(before)
      return result
    },
    code: 0x192,
    at: 2,
    is: DISPATCH_LEVEL,
  },
  {
    rule: 'ExReleasePushLockExclusive of a shared hold',
    act: async (lock: EX_PUSH_LOCK) => {
      await ExAcquirePushLockShared(lock)
      ExReleasePushLockExclusive(lock)
    },
    code: 0xc4,
    at: 0,
    is: 0x1009,
  },
  {
    rule: 'ExReleasePushLockShared of a lock that nobody holds',
    act: (lock: EX_PUSH_LOCK) => ExReleasePushLockShared(lock),
    code: 0x162,
    at: 2,
    is: 0,
  },
  {
    rule: 'ExReleasePushLockShared of an exclusive hold',
    act: async (lock: EX_PUSH_LOCK) => {
      await ExAcquirePushLockExclusive(lock)
      ExReleasePushLockShared(lock)
    },
    code: 0xc4,
    at: 0,
    is: 0x1009,
  },
  {
    rule: 'ExInitializePushLock of a word that is not aligned',
    act: (lock: EX_PUSH_LOCK) => ExInitializePushLock(new EX_PUSH_LOCK(lock.address + 2)),
    code: 0x1e,
    at: 0,
    is: 0x80000002 | 0,
  },
]

// Facts §3.1: IRQL, APC disable count, lock.
test.each([
  {
    what: 'acquire',
    subCode: 0xea,
    act: (lock: EX_PUSH_LOCK) => (leaveCriticalRegion(), ExAcquirePushLockShared(lock)),
  },
  {
    what: 'release',
    subCode: 0xeb,
    act: async (lock: EX_PUSH_LOCK) => {
      await ExAcquirePushLockShared(lock)
      leaveCriticalRegion()
      ExReleasePushLockShared(lock)
    },
  },
])(
  'ExAcquirePushLockShared: an $what with APCs on names IRQL, APC disable count and lock',
  async ({ subCode, act }) => {
    let address = 0
    const error = await withLock((lock) => {
      ;({ address } = lock)
      return Promise.resolve(act(lock))
    }).catch((caught: unknown) => caught)
    expect(error).toMatchObject({ code: 0xc4, parameters: [subCode, 0, 0, address] })
  },
)

test.each([
  { name: 'ExAcquirePushLockExclusive', acquire: ExAcquirePushLockExclusive },
  { name: 'ExAcquirePushLockShared', acquire: ExAcquirePushLockShared },
  { name: 'ExTryAcquirePushLockExclusive', acquire: ExTryAcquirePushLockExclusive },
  { name: 'ExTryAcquirePushLockShared', acquire: ExTryAcquirePushLockShared },
])('$name at DISPATCH_LEVEL is bug check 0x192', async ({ acquire }) => {
  const crash = withLock(async (lock) => {
    KeRaiseIrqlToDpcLevel()
    await acquire(lock)
  })
  await expect(crash).rejects.toMatchObject({ code: 0x192 })
})

test.each(broken)('$rule is a bug check on a checked build', async ({ act, code, at, is }) => {
  const error = await withLock(async (lock) => act(lock)).catch((caught: unknown) => caught)
  expect(error).toMatchObject({ code })
  expect((error as { parameters: number[] }).parameters[at]).toBe(is)
})
