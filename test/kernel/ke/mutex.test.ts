import { describe, expect, test } from 'vitest'
import { KeAreApcsDisabled, KeEnterCriticalRegion } from '../../../kernel/ke/apc.ts'
import { KEVENT, KMUTANT, KMUTEX, ObjectType } from '../../../kernel/ke/layouts.ts'
import { KeInitializeEvent, NotificationEvent } from '../../../kernel/ke/event.ts'
import { KeLowerIrql, KeRaiseIrql } from '../../../kernel/ke/level.ts'
import { initializeMutant, KeInitializeMutex, KeReadStateMutex, KeReleaseMutex } from '../../../kernel/ke/mutex.ts'
import {
  type DispatcherObject,
  Executive,
  KernelMode,
  KeWaitForMultipleObjects,
  KeWaitForMutexObject,
  KeWaitForSingleObject,
  WaitAll,
  WaitAny,
} from '../../../kernel/ke/wait.ts'
import {
  STATUS_ABANDONED,
  STATUS_MUTANT_LIMIT_EXCEEDED,
  STATUS_MUTANT_NOT_OWNED,
  STATUS_SUCCESS,
  STATUS_TIMEOUT,
} from '../../../kernel/rtl/status.ts'
import { apcCounts, bugCheckOf, BUILDS, make, onBuild, onChecked, raisedBy, settle, spawn } from './facts.ts'

function makeMutex(level = 0): KMUTEX {
  const mutex = make(KMUTEX)
  KeInitializeMutex(mutex, level)
  return mutex
}

/** A mutant, as ZwCreateMutant makes it: owning it is no critical region. */
function makeMutant(isOwned = false): KMUTANT {
  const mutant = make(KMUTANT)
  initializeMutant(mutant.address, isOwned, 0)
  return mutant
}

const take = (mutex: KMUTEX, timeout: number | null = null) =>
  KeWaitForSingleObject(mutex, Executive, KernelMode, false, timeout)
const waitFor = (WaitType: number, ...objects: DispatcherObject[]) =>
  KeWaitForMultipleObjects({
    Count: objects.length,
    Object: objects,
    WaitType,
    WaitReason: Executive,
    WaitMode: KernelMode,
    Alertable: false,
    Timeout: null,
    WaitBlockArray: null,
  })

/** Starts a thread that takes `mutants`, one after the other, and ends. */
async function abandon(...mutants: KMUTANT[]): Promise<void> {
  const joined = await spawn(async () => {
    for (const mutant of mutants) await take(mutant)
  })
  await joined()
}

// wdm-facts §10.2 [KMT KeMutex]
describe.each(BUILDS)('%s build: mutexes', (build) => {
  test.each([0, 1, 7])(
    'KeInitializeMutex with Level %i: free, and owning it will be a critical region',
    async (level) => {
      const seen = await onBuild(build, () => {
        const { Header, OwnerThread, Abandoned, ApcDisable } = makeMutex(level)
        return [Header.Type, Header.Size, Header.SignalState, OwnerThread, Abandoned, ApcDisable]
      })
      expect(seen).toEqual([ObjectType.MutantObject, KMUTEX.size / 4, 1, 0, 0, 1])
    },
  )

  test.each([
    ['KeWaitForSingleObject', take],
    ['KeWaitForMutexObject', (mutex: KMUTEX) => KeWaitForMutexObject(mutex, Executive, KernelMode, false, null)],
  ])('%s takes a mutex again and again: state and region by step', async (_, wait) => {
    const seen = await onBuild(build, async () => {
      const mutex = makeMutex()
      const steps: number[][] = []
      const note = (result: number): void => {
        steps.push([result, KeReadStateMutex(mutex), apcCounts().KernelApcDisable])
      }
      for (let round = 0; round < 3; round++) note(await wait(mutex))
      for (let round = 0; round < 3; round++) note(KeReleaseMutex(mutex, false))
      return steps
    })
    expect(seen).toEqual([
      [STATUS_SUCCESS, 0, -1],
      [STATUS_SUCCESS, -1, -1],
      [STATUS_SUCCESS, -2, -1],
      [-2, -1, -1],
      [-1, 0, -1],
      [0, 1, 0],
    ])
  })

  test('KeReleaseMutex of a mutant: owning it was no critical region', async () => {
    const seen = await onBuild(build, async () => {
      const mutant = makeMutant()
      await take(mutant)
      const owned = [KeReadStateMutex(mutant), KeAreApcsDisabled()]
      return [...owned, KeReleaseMutex(mutant, false), KeReadStateMutex(mutant)]
    })
    expect(seen).toEqual([0, false, 0, 1])
  })

  test('KeReadStateMutex of a mutant that is owned from the beginning is 0', async () => {
    const seen = await onBuild(build, () => {
      const mutant = makeMutant(true)
      return [KeReadStateMutex(mutant), KeReleaseMutex(mutant, false), KeReadStateMutex(mutant)]
    })
    expect(seen).toEqual([0, 0, 1])
  })

  test('KeReleaseMutex of a free mutex raises STATUS_MUTANT_NOT_OWNED and changes nothing', async () => {
    const seen = await onBuild(build, () => {
      const mutex = makeMutex()
      return [raisedBy(() => KeReleaseMutex(mutex, false)), KeReadStateMutex(mutex), apcCounts().KernelApcDisable]
    })
    expect(seen).toEqual([STATUS_MUTANT_NOT_OWNED, 1, 0])
  })

  test('KeReleaseMutex by another thread raises STATUS_MUTANT_NOT_OWNED, and the owner keeps the mutex', async () => {
    const seen = await onBuild(build, async () => {
      const mutex = makeMutex()
      await take(mutex)
      let other: unknown
      const joined = await spawn(async () => {
        other = [await take(mutex, 0), raisedBy(() => KeReleaseMutex(mutex, false))]
      })
      await joined()
      return [other, KeReadStateMutex(mutex), KeReleaseMutex(mutex, false)]
    })
    expect(seen).toEqual([[STATUS_TIMEOUT, STATUS_MUTANT_NOT_OWNED], 0, 0])
  })

  test('KeWaitForMutexObject at state MINLONG raises STATUS_MUTANT_LIMIT_EXCEEDED and changes nothing', async () => {
    const seen = await onBuild(build, async () => {
      const mutex = makeMutex()
      await take(mutex)
      mutex.Header.SignalState = 0x80000000 | 0
      const raised = raisedBy(() => take(mutex))
      const state = KeReadStateMutex(mutex)
      mutex.Header.SignalState = 0
      return [raised, state, KeReleaseMutex(mutex, false)]
    })
    expect(seen).toEqual([STATUS_MUTANT_LIMIT_EXCEEDED, 0x80000000 | 0, 0])
  })

  test('KeReleaseMutex hands the mutex to those who wait, oldest first, each in a region of its own', async () => {
    const seen = await onBuild(build, async () => {
      const mutex = makeMutex()
      await take(mutex)
      const order: unknown[] = []
      for (let index = 0; index < 2; index++) {
        await spawn(async () => {
          await take(mutex)
          order.push([index, KeReadStateMutex(mutex), apcCounts().KernelApcDisable])
          KeReleaseMutex(mutex, false)
        })
      }
      const before = KeReleaseMutex(mutex, false)
      order.push(['handed over', KeReadStateMutex(mutex), apcCounts().KernelApcDisable])
      await settle()
      return [before, ...order, KeReadStateMutex(mutex)]
    })
    expect(seen).toEqual([0, ['handed over', 0, 0], [0, 0, -1], [1, 0, -1], 1])
  })
})

describe.each(BUILDS)('%s build: a thread ends as owner', (build) => {
  test('KeWaitForSingleObject gives STATUS_ABANDONED once for an abandoned mutant, and ownership', async () => {
    const seen = await onBuild(build, async () => {
      const mutant = makeMutant()
      await abandon(mutant)
      const flag = [KeReadStateMutex(mutant), mutant.Abandoned]
      const first = [await take(mutant), KeReadStateMutex(mutant), mutant.Abandoned, KeReleaseMutex(mutant, false)]
      return [flag, first, await take(mutant), KeReleaseMutex(mutant, false)]
    })
    expect(seen).toEqual([[1, 1], [STATUS_ABANDONED, 0, 0, 0], STATUS_SUCCESS, 0])
  })

  test('KeReleaseMutex of an abandoned mutant by a thread that does not own it raises STATUS_ABANDONED', async () => {
    const raised = await onBuild(build, async () => {
      const mutant = makeMutant()
      await abandon(mutant)
      return raisedBy(() => KeReleaseMutex(mutant, false))
    })
    expect(raised).toBe(STATUS_ABANDONED)
  })

  test('KeWaitForMultipleObjects gives STATUS_ABANDONED_WAIT_0 + index for WaitAny, STATUS_ABANDONED for WaitAll', async () => {
    const seen = await onBuild(build, async () => {
      const event = make(KEVENT)
      KeInitializeEvent(event, NotificationEvent, false)
      const mutant = makeMutant()
      await abandon(mutant)
      const any = await waitFor(WaitAny, event, event, mutant)
      KeReleaseMutex(mutant, false)
      await abandon(mutant)
      event.Header.SignalState = 1
      const all = await waitFor(WaitAll, event, mutant)
      return [any, all, KeReleaseMutex(mutant, false)]
    })
    expect(seen).toEqual([STATUS_ABANDONED + 2, STATUS_ABANDONED, 0])
  })

  test('KeWaitForSingleObject that waits already gets the mutants of a thread that ends, recursive ones too', async () => {
    const seen = await onBuild(build, async () => {
      const [first, second] = [makeMutant(), makeMutant()]
      const gate = make(KEVENT)
      KeInitializeEvent(gate, NotificationEvent, false)
      const joinOwner = await spawn(async () => {
        for (const mutant of [first, first, second]) await take(mutant)
        await KeWaitForSingleObject(gate, Executive, KernelMode, false, -10_000_000)
      })
      const owned = [KeReadStateMutex(first), KeReadStateMutex(second)]
      const taken: number[] = []
      const joinWaiter = await spawn(async () => {
        for (const mutant of [second, first]) taken.push(await take(mutant))
        for (const mutant of [second, first]) KeReleaseMutex(mutant, false)
      })
      await joinOwner()
      await joinWaiter()
      return [owned, taken, KeReadStateMutex(first), KeReadStateMutex(second)]
    })
    expect(seen).toEqual([[-1, 0], [STATUS_ABANDONED, STATUS_ABANDONED], 1, 1])
  })
})

describe('checked build: broken rules', () => {
  test('KeInitializeMutex: a thread that ends as owner of a mutex is bug check 0x39', async () => {
    const error = await bugCheckOf(() => spawn(() => void take(makeMutex())))
    expect([error.code, error.bugCheck]).toEqual([0x39, 'SYSTEM_EXIT_OWNED_MUTEX'])
  })

  test('KeEnterCriticalRegion: a thread that ends in a region is bug check 0x20', async () => {
    const error = await bugCheckOf(() => spawn(() => KeEnterCriticalRegion()))
    expect([error.code, ...error.parameters]).toEqual([0x20, 0, 0xffff, 0, 0])
  })

  test.each<[string, (mutex: KMUTEX) => unknown]>([
    ['KeReleaseMutex', (mutex) => KeReleaseMutex(mutex, false)],
    ['KeReadStateMutex', KeReadStateMutex],
  ])('%s above DISPATCH_LEVEL is bug check 0x0A', async (_, body) => {
    const error = await bugCheckOf(() => {
      const mutex = makeMutex()
      KeRaiseIrql(3, { value: 0 })
      body(mutex)
    })
    expect(error.code).toBe(0x0a)
  })

  test('KeReadStateMutex is legal at DISPATCH_LEVEL, KeInitializeMutex at HIGH_LEVEL', async () => {
    const state = await onChecked(() => {
      const old = { value: 0 }
      KeRaiseIrql(15, old)
      const mutex = makeMutex()
      KeLowerIrql(2)
      const read = KeReadStateMutex(mutex)
      KeLowerIrql(old.value)
      return read
    })
    expect(state).toBe(1)
  })
})
