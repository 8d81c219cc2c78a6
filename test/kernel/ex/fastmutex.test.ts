import { expect, test } from 'vitest'
import {
  ExAcquireFastMutex,
  ExAcquireFastMutexUnsafe,
  ExEnterCriticalRegionAndAcquireFastMutexUnsafe,
  ExInitializeFastMutex,
  ExReleaseFastMutex,
  ExReleaseFastMutexUnsafe,
  ExReleaseFastMutexUnsafeAndLeaveCriticalRegion,
  ExTryToAcquireFastMutex,
  FAST_MUTEX,
} from '../../../kernel/ex/fastmutex.ts'
import { KeAreAllApcsDisabled, KeAreApcsDisabled } from '../../../kernel/ke/apc.ts'
import { APC_LEVEL, KeGetCurrentIrql, KeLowerIrql, KeRaiseIrql, PASSIVE_LEVEL } from '../../../kernel/ke/level.ts'
import { currentThread } from '../../../kernel/ke/thread.ts'
import { bootOne, make, settle, spawn } from './threads.ts'

async function withMutex(body: (mutex: FAST_MUTEX) => unknown, build: 'checked' | 'free' = 'checked'): Promise<void> {
  await using machine = await bootOne(build)
  await machine.run(async () => {
    const mutex = make(FAST_MUTEX)
    mutex.OldIrql = 0x55555555
    ExInitializeFastMutex(mutex)
    await body(mutex)
  })
}

const BUILDS = ['checked', 'free'] as const

// Facts §11.1 [KMT ExFastMutex], measured on Windows; both builds agree.
test.each(BUILDS)('ExInitializeFastMutex writes Count 1, Owner NULL, and leaves OldIrql (%s build)', async (build) => {
  await withMutex((mutex) => {
    expect([mutex.Count, mutex.Owner, mutex.Contention, mutex.OldIrql]).toEqual([1, 0, 0, 0x55555555])
  }, build)
})

test.each([
  { build: 'checked', before: PASSIVE_LEVEL },
  { build: 'checked', before: APC_LEVEL },
  { build: 'free', before: PASSIVE_LEVEL },
  { build: 'free', before: APC_LEVEL },
] as const)(
  'ExAcquireFastMutex raises from $before to APC_LEVEL, and the release goes back ($build build)',
  async ({ build, before }) => {
    await withMutex((mutex) => {
      if (before === APC_LEVEL) KeRaiseIrql(APC_LEVEL, { value: 0 })
      expect(ExAcquireFastMutex(mutex)).toBeUndefined()
      expect([mutex.Count, mutex.Owner, mutex.OldIrql]).toEqual([0, currentThread(), before])
      expect([KeGetCurrentIrql(), KeAreApcsDisabled(), KeAreAllApcsDisabled()]).toEqual([APC_LEVEL, false, true])
      ExReleaseFastMutex(mutex)
      expect([mutex.Count, mutex.Owner, mutex.OldIrql]).toEqual([1, 0, before])
      expect(KeGetCurrentIrql()).toBe(before)
      KeLowerIrql(PASSIVE_LEVEL)
    }, build)
  },
)

test.each(BUILDS)(
  'ExTryToAcquireFastMutex refuses a held mutex, to its owner too, and keeps the IRQL (%s build)',
  async (build) => {
    await withMutex(async (mutex) => {
      expect(ExTryToAcquireFastMutex(mutex)).toBe(true)
      expect([mutex.Count, mutex.OldIrql, KeGetCurrentIrql()]).toEqual([0, PASSIVE_LEVEL, APC_LEVEL])
      expect(ExTryToAcquireFastMutex(mutex)).toBe(false)
      expect(KeGetCurrentIrql()).toBe(APC_LEVEL)
      const join = await spawn(() => {
        expect(ExTryToAcquireFastMutex(mutex)).toBe(false)
        expect(KeGetCurrentIrql()).toBe(PASSIVE_LEVEL)
      })
      await join()
      ExReleaseFastMutex(mutex)
      expect(mutex.Contention).toBe(0)
    }, build)
  },
)

test.each(BUILDS)('ExReleaseFastMutex hands over in order; Contention counts who waited (%s build)', async (build) => {
  await withMutex(async (mutex) => {
    await ExAcquireFastMutex(mutex)
    const order: number[] = []
    const joins: (() => Promise<void>)[] = []
    for (let waiter = 1; waiter <= 3; waiter++) {
      joins.push(
        await spawn(async () => {
          await ExAcquireFastMutex(mutex)
          order.push(waiter)
          expect([mutex.Owner, mutex.OldIrql, KeGetCurrentIrql()]).toEqual([currentThread(), PASSIVE_LEVEL, APC_LEVEL])
          await settle()
          ExReleaseFastMutex(mutex)
          expect(KeGetCurrentIrql()).toBe(PASSIVE_LEVEL)
        }),
      )
      expect([mutex.Count, mutex.Contention]).toEqual([-waiter, waiter])
    }
    ExReleaseFastMutex(mutex)
    for (const join of joins) await join()
    expect(order).toEqual([1, 2, 3])
    expect([mutex.Count, mutex.Owner, mutex.Contention]).toEqual([1, 0, 3])
  }, build)
})

test.each(BUILDS)('ExAcquireFastMutexUnsafe leaves the IRQL and OldIrql alone (%s build)', async (build) => {
  await withMutex((mutex) => {
    KeRaiseIrql(APC_LEVEL, { value: 0 })
    expect(ExAcquireFastMutexUnsafe(mutex)).toBeUndefined()
    expect([mutex.Count, mutex.Owner, mutex.OldIrql]).toEqual([0, currentThread(), 0x55555555])
    ExReleaseFastMutexUnsafe(mutex)
    expect([mutex.Count, mutex.Owner, KeGetCurrentIrql()]).toEqual([1, 0, APC_LEVEL])
    KeLowerIrql(PASSIVE_LEVEL)
  }, build)
})

test('ExReleaseFastMutexUnsafe after ExAcquireFastMutex leaves the thread at APC_LEVEL', async () => {
  await withMutex(async (mutex) => {
    await ExAcquireFastMutex(mutex)
    ExReleaseFastMutexUnsafe(mutex)
    expect(KeGetCurrentIrql()).toBe(APC_LEVEL)
    KeLowerIrql(PASSIVE_LEVEL)
  })
})

test('ExReleaseFastMutex without an acquire counts up on a free build', async () => {
  await withMutex((mutex) => {
    ExReleaseFastMutexUnsafe(mutex)
    expect(mutex.Count).toBe(2)
    ExReleaseFastMutexUnsafe(mutex)
    expect(mutex.Count).toBe(3)
  }, 'free')
})

test('ExEnterCriticalRegionAndAcquireFastMutexUnsafe keeps normal APCs off until ExReleaseFastMutexUnsafeAndLeaveCriticalRegion', async () => {
  await withMutex(async (mutex) => {
    await ExEnterCriticalRegionAndAcquireFastMutexUnsafe(mutex)
    expect([KeAreApcsDisabled(), KeGetCurrentIrql(), mutex.Count]).toEqual([true, PASSIVE_LEVEL, 0])
    ExReleaseFastMutexUnsafeAndLeaveCriticalRegion(mutex)
    expect([KeAreApcsDisabled(), mutex.Count]).toEqual([false, 1])
  })
})

test('ExReleaseFastMutexUnsafeAndLeaveCriticalRegion wakes a waiter', async () => {
  await withMutex(async (mutex) => {
    await ExEnterCriticalRegionAndAcquireFastMutexUnsafe(mutex)
    const join = await spawn(async () => {
      await ExEnterCriticalRegionAndAcquireFastMutexUnsafe(mutex)
      ExReleaseFastMutexUnsafeAndLeaveCriticalRegion(mutex)
    })
    expect(mutex.Count).toBe(-1)
    ExReleaseFastMutexUnsafeAndLeaveCriticalRegion(mutex)
    await join()
    expect(mutex.Count).toBe(1)
  })
})

// Sub-codes of 0xC4 on a checked build (facts §18.3).
test.each([
  {
    rule: 'ExAcquireFastMutex at DISPATCH_LEVEL',
    first: 0x33,
    act: (mutex: FAST_MUTEX) => (KeRaiseIrql(2, { value: 0 }), ExAcquireFastMutex(mutex)),
  },
  {
    rule: 'ExReleaseFastMutex below APC_LEVEL',
    first: 0x34,
    act: async (mutex: FAST_MUTEX) => {
      await ExAcquireFastMutex(mutex)
      KeLowerIrql(PASSIVE_LEVEL)
      ExReleaseFastMutex(mutex)
    },
  },
  {
    rule: 'ExAcquireFastMutexUnsafe with APCs on',
    first: 0x39,
    act: (mutex: FAST_MUTEX) => ExAcquireFastMutexUnsafe(mutex),
  },
  {
    rule: 'ExReleaseFastMutexUnsafe with APCs on',
    first: 0x3a,
    act: (mutex: FAST_MUTEX) => ExReleaseFastMutexUnsafe(mutex),
  },
  {
    rule: 'ExAcquireFastMutex by the owner',
    first: 0x1000,
    act: async (mutex: FAST_MUTEX) => {
      await ExAcquireFastMutex(mutex)
      await ExAcquireFastMutex(mutex)
    },
  },
  {
    rule: 'ExReleaseFastMutex of a free mutex',
    first: 0x1007,
    act: (mutex: FAST_MUTEX) => (KeRaiseIrql(APC_LEVEL, { value: 0 }), ExReleaseFastMutex(mutex)),
  },
])('$rule is bug check 0xC4 on a checked build', async ({ act, first }) => {
  const error = await withMutex(act).catch((caught: unknown) => caught)
  expect(error).toMatchObject({ code: 0xc4 })
  expect((error as { parameters: number[] }).parameters[0]).toBe(first)
})
