import { describe, expect, test } from 'vitest'
import { KSEMAPHORE, ObjectType } from '../../../kernel/ke/layouts.ts'
import { KeLowerIrql, KeRaiseIrql } from '../../../kernel/ke/level.ts'
import { KeInitializeSemaphore, KeReadStateSemaphore, KeReleaseSemaphore } from '../../../kernel/ke/semaphore.ts'
import { Executive, KernelMode, KeWaitForSingleObject } from '../../../kernel/ke/wait.ts'
import { STATUS_SEMAPHORE_LIMIT_EXCEEDED, STATUS_SUCCESS, STATUS_TIMEOUT } from '../../../kernel/rtl/status.ts'
import { bugCheckOf, BUILDS, make, onBuild, onChecked, raisedBy, settle, spawn } from './facts.ts'

function makeSemaphore(count: number, limit: number): KSEMAPHORE {
  const semaphore = make(KSEMAPHORE)
  KeInitializeSemaphore(semaphore, count, limit)
  return semaphore
}

// wdm-facts §10.3
describe.each(BUILDS)('%s build: semaphores', (build) => {
  test('KeInitializeSemaphore writes type, size, count and limit', async () => {
    const seen = await onBuild(build, () => {
      const { Header, Limit } = makeSemaphore(2, 5)
      return [Header.Type, Header.Size, Header.SignalState, Limit]
    })
    expect(seen).toEqual([ObjectType.SemaphoreObject, KSEMAPHORE.size / 4, 2, 5])
  })

  test.each([
    { count: 0, limit: 1, adjustment: 1, after: 1 },
    { count: 0, limit: 5, adjustment: 5, after: 5 },
    { count: 3, limit: 5, adjustment: 2, after: 5 },
    { count: 3, limit: 5, adjustment: 0, after: 3 },
    { count: 0x7ffffffe, limit: 0x7fffffff, adjustment: 1, after: 0x7fffffff },
  ])('KeReleaseSemaphore by $adjustment of $count, limit $limit, gives back $count', async (row) => {
    const { count, limit, adjustment, after } = row
    const seen = await onBuild(build, () => {
      const semaphore = makeSemaphore(count, limit)
      return [KeReleaseSemaphore(semaphore, 0, adjustment, false), KeReadStateSemaphore(semaphore)]
    })
    expect(seen).toEqual([count, after])
  })

  test.each([
    { count: 1, limit: 1, adjustment: 1, why: 'above the limit' },
    { count: 3, limit: 5, adjustment: 3, why: 'above the limit' },
    { count: 1, limit: 0x7fffffff, adjustment: 0x7fffffff, why: 'overflow' },
    { count: 3, limit: 5, adjustment: -1, why: 'negative' },
  ])('KeReleaseSemaphore by $adjustment of $count ($why) raises and changes nothing', async (row) => {
    const seen = await onBuild(build, () => {
      const semaphore = makeSemaphore(row.count, row.limit)
      return [raisedBy(() => KeReleaseSemaphore(semaphore, 0, row.adjustment, false)), KeReadStateSemaphore(semaphore)]
    })
    expect(seen).toEqual([STATUS_SEMAPHORE_LIMIT_EXCEEDED, row.count])
  })

  test('KeReadStateSemaphore goes down by one with each wait that is satisfied, to 0', async () => {
    const seen = await onBuild(build, async () => {
      const semaphore = makeSemaphore(2, 2)
      const steps: number[] = []
      for (let round = 0; round < 3; round++) {
        steps.push(await KeWaitForSingleObject(semaphore, Executive, KernelMode, false, 0))
        steps.push(KeReadStateSemaphore(semaphore))
      }
      return steps
    })
    expect(seen).toEqual([STATUS_SUCCESS, 1, STATUS_SUCCESS, 0, STATUS_TIMEOUT, 0])
  })
})

test('KeReleaseSemaphore wakes as many as it adds, oldest first, and keeps what nobody took', async () => {
  const seen = await onChecked(async () => {
    const semaphore = makeSemaphore(0, 10)
    const woken: number[] = []
    for (let index = 0; index < 3; index++) {
      await spawn(async () => {
        await KeWaitForSingleObject(semaphore, Executive, KernelMode, false, null)
        woken.push(index)
      })
    }
    const steps: unknown[] = []
    for (const adjustment of [2, 4]) {
      const before = KeReleaseSemaphore(semaphore, 0, adjustment, false)
      const state = KeReadStateSemaphore(semaphore)
      await settle()
      steps.push([before, state, [...woken]])
    }
    return steps
  })
  expect(seen).toEqual([
    [0, 0, [0, 1]],
    [0, 3, [0, 1, 2]],
  ])
})

describe('checked build: levels', () => {
  function at(irql: number, body: () => unknown): void {
    const old = { value: 0 }
    KeRaiseIrql(irql, old)
    body()
    KeLowerIrql(old.value)
  }

  test('KeReleaseSemaphore is legal at DISPATCH_LEVEL, KeReadStateSemaphore at HIGH_LEVEL', async () => {
    const count = await onChecked(() => {
      const semaphore = makeSemaphore(0, 1)
      at(2, () => KeReleaseSemaphore(semaphore, 0, 1, false))
      at(15, () => KeReadStateSemaphore(semaphore))
      return KeReadStateSemaphore(semaphore)
    })
    expect(count).toBe(1)
  })

  test.each<[string, number, (semaphore: KSEMAPHORE) => unknown]>([
    ['KeInitializeSemaphore above PASSIVE_LEVEL', 1, (semaphore) => KeInitializeSemaphore(semaphore, 0, 1)],
    ['KeReleaseSemaphore above DISPATCH_LEVEL', 3, (semaphore) => KeReleaseSemaphore(semaphore, 0, 1, false)],
    [
      'KeReleaseSemaphore with Wait TRUE above PASSIVE_LEVEL',
      1,
      (semaphore) => KeReleaseSemaphore(semaphore, 0, 1, true),
    ],
  ])('%s is bug check 0x0A', async (_, irql, body) => {
    const error = await bugCheckOf(() => {
      const semaphore = makeSemaphore(0, 1)
      at(irql, () => body(semaphore))
    })
    expect(error.code).toBe(0x0a)
  })
})
