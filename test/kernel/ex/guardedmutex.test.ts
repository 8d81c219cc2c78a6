import { expect, test } from 'vitest'
import {
  KeAcquireGuardedMutex,
  KeAcquireGuardedMutexUnsafe,
  KeInitializeGuardedMutex,
  KeReleaseGuardedMutex,
  KeReleaseGuardedMutexUnsafe,
  KeTryToAcquireGuardedMutex,
  KGUARDED_MUTEX,
} from '../../../kernel/ex/guardedmutex.ts'
import { KeAreAllApcsDisabled, KeAreApcsDisabled } from '../../../kernel/ke/apc.ts'
import { KeGetCurrentIrql, PASSIVE_LEVEL } from '../../../kernel/ke/level.ts'
import { currentThread } from '../../../kernel/ke/thread.ts'
import { bootOne, make, settle, spawn } from './threads.ts'

async function withMutex(
  body: (mutex: KGUARDED_MUTEX) => unknown,
  build: 'checked' | 'free' = 'checked',
): Promise<void> {
  await using machine = await bootOne(build)
  await machine.run(async () => {
    const mutex = make(KGUARDED_MUTEX)
    KeInitializeGuardedMutex(mutex)
    await body(mutex)
  })
}

const BUILDS = ['checked', 'free'] as const
const regions = (): unknown[] => [KeGetCurrentIrql(), KeAreApcsDisabled(), KeAreAllApcsDisabled()]

// Facts §11.2 [KMT KeGuardedMutex], as measured before Windows 8; both builds agree.
test('KeInitializeGuardedMutex makes a free mutex: Count 1', async () => {
  await withMutex((mutex) => expect([mutex.Count, mutex.Owner, mutex.Contention]).toEqual([1, 0, 0]))
})

test.each(BUILDS)(
  'KeAcquireGuardedMutex enters a guarded region, and KeReleaseGuardedMutex leaves it (%s build)',
  async (build) => {
    await withMutex((mutex) => {
      expect(KeAcquireGuardedMutex(mutex)).toBeUndefined()
      expect([mutex.Count, mutex.Owner, mutex.SpecialApcDisable]).toEqual([0, currentThread(), -1])
      expect(regions()).toEqual([PASSIVE_LEVEL, true, true])
      KeReleaseGuardedMutex(mutex)
      expect([mutex.Count, mutex.Owner]).toEqual([1, 0])
      expect(regions()).toEqual([PASSIVE_LEVEL, false, false])
    }, build)
  },
)

test.each(BUILDS)(
  'KeTryToAcquireGuardedMutex refuses a held mutex and stays out of the region (%s build)',
  async (build) => {
    await withMutex(async (mutex) => {
      expect(KeTryToAcquireGuardedMutex(mutex)).toBe(true)
      expect(regions()).toEqual([PASSIVE_LEVEL, true, true])
      const join = await spawn(() => {
        expect(KeTryToAcquireGuardedMutex(mutex)).toBe(false)
        expect(regions()).toEqual([PASSIVE_LEVEL, false, false])
      })
      await join()
      KeReleaseGuardedMutex(mutex)
      expect(mutex.Contention).toBe(0)
    }, build)
  },
)

test.each(BUILDS)('KeReleaseGuardedMutex wakes one waiter; each that waits counts 4 (%s build)', async (build) => {
  await withMutex(async (mutex) => {
    await KeAcquireGuardedMutex(mutex)
    let runs = 0
    const joins: (() => Promise<void>)[] = []
    for (let waiter = 1; waiter <= 3; waiter++) {
      joins.push(
        await spawn(async () => {
          await KeAcquireGuardedMutex(mutex)
          expect([mutex.Owner, mutex.Count & 3]).toEqual([currentThread(), 0])
          runs += 1
          await settle()
          KeReleaseGuardedMutex(mutex)
        }),
      )
      expect([mutex.Count, mutex.Contention]).toEqual([4 * waiter, waiter])
    }
    KeReleaseGuardedMutex(mutex)
    expect(mutex.Count).toBe(1 + 2 + 8) // free, one on its way, two that sleep
    for (const join of joins) await join()
    expect([runs, mutex.Count, mutex.Owner]).toEqual([3, 1, 0])
  }, build)
})

test('KeAcquireGuardedMutex may overtake a woken waiter, which waits again', async () => {
  await withMutex(async (mutex) => {
    await KeAcquireGuardedMutex(mutex)
    const join = await spawn(async () => {
      await KeAcquireGuardedMutex(mutex)
      KeReleaseGuardedMutex(mutex)
    })
    KeReleaseGuardedMutex(mutex)
    expect(KeAcquireGuardedMutex(mutex)).toBeUndefined()
    expect(mutex.Count).toBe(2)
    await settle()
    expect(mutex.Count).toBe(4)
    KeReleaseGuardedMutex(mutex)
    await join()
    expect(mutex.Count).toBe(1)
  })
})

test('KeAcquireGuardedMutexUnsafe enters no region, and KeReleaseGuardedMutexUnsafe leaves none', async () => {
  await withMutex(async (mutex) => {
    await KeAcquireGuardedMutexUnsafe(mutex)
    expect(regions()).toEqual([PASSIVE_LEVEL, false, false])
    KeReleaseGuardedMutexUnsafe(mutex)
    expect(mutex.Count).toBe(1)
  })
})

test('KeReleaseGuardedMutexUnsafe without an acquire toggles Count 1, 0, 1 on a free build', async () => {
  await withMutex((mutex) => {
    KeReleaseGuardedMutexUnsafe(mutex)
    expect(mutex.Count).toBe(0)
    KeReleaseGuardedMutexUnsafe(mutex)
    expect(mutex.Count).toBe(1)
  }, 'free')
})

test('KeAcquireGuardedMutex by the owner is bug check 0xC4 on a checked build', async () => {
  const stop = withMutex(async (mutex) => {
    await KeAcquireGuardedMutex(mutex)
    await KeAcquireGuardedMutex(mutex)
  })
  await expect(stop).rejects.toMatchObject({ code: 0xc4 })
})
