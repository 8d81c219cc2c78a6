import { describe, expect, test } from 'vitest'
import { boot } from '../../../machine/index.ts'
import { KeInitializeDpc, KeInsertQueueDpc } from '../../../kernel/ke/dpc.ts'
import {
  KeInitializeEvent,
  KePulseEvent,
  KeReadStateEvent,
  KeSetEvent,
  NotificationEvent,
  SynchronizationEvent,
} from '../../../kernel/ke/event.ts'
import { KDPC, KEVENT, KMUTEX, KSEMAPHORE, KTHREAD, KTIMER, KWAIT_BLOCK } from '../../../kernel/ke/layouts.ts'
import { KeGetCurrentIrql, KeLowerIrql, KeRaiseIrql } from '../../../kernel/ke/level.ts'
import { KeInitializeMutex, KeReadStateMutex, KeReleaseMutex } from '../../../kernel/ke/mutex.ts'
import { KeInitializeSemaphore, KeReadStateSemaphore, KeReleaseSemaphore } from '../../../kernel/ke/semaphore.ts'
import { currentThread } from '../../../kernel/ke/thread.ts'
import { KeQueryInterruptTime, KeQuerySystemTime } from '../../../kernel/ke/time.ts'
import { KeCancelTimer, KeInitializeTimer, KeSetTimer } from '../../../kernel/ke/timer.ts'
import {
  type DispatcherObject,
  Executive,
  KeAlertThread,
  KeDelayExecutionThread,
  KernelMode,
  KeWaitForMultipleObjects,
  KeWaitForMutexObject,
  KeWaitForSingleObject,
  UserMode,
  WaitAll,
  WaitAny,
} from '../../../kernel/ke/wait.ts'
import { allocate } from '../../../kernel/mm/pool.ts'
import { STATUS_ALERTED, STATUS_SUCCESS, STATUS_TIMEOUT } from '../../../kernel/rtl/status.ts'
import { bugCheckOf, BUILDS, make, MS, onBuild, onChecked, settle, spawn } from './facts.ts'

const driver = new URL('./drivers/processors.ts', import.meta.url)
type Timeout = number | bigint | null

function makeEvent(state = false, type = SynchronizationEvent): KEVENT {
  const event = make(KEVENT)
  KeInitializeEvent(event, type, state)
  return event
}

const wait = (object: DispatcherObject, Timeout: Timeout = null, alertable = false, mode = KernelMode) =>
  KeWaitForSingleObject(object, Executive, mode, alertable, Timeout)

function waitMany(Object: DispatcherObject[], WaitType: number, Timeout: Timeout = null, Alertable = false) {
  const WaitBlockArray = Object.length > 3 ? { address: allocate(Object.length * KWAIT_BLOCK.size, 'Test') } : null
  return KeWaitForMultipleObjects({
    Count: Object.length,
    Object,
    WaitType,
    WaitReason: Executive,
    WaitMode: KernelMode,
    Alertable,
    Timeout,
    WaitBlockArray,
  })
}

function systemTime(): bigint {
  const box = { value: 0n }
  KeQuerySystemTime(box)
  return box.value
}

/** What `body` gives, and how many whole milliseconds passed. */
async function timed<T>(body: () => T | Promise<T>): Promise<[T, number]> {
  const start = KeQueryInterruptTime()
  const result = await body()
  return [result, Number((KeQueryInterruptTime() - start) / BigInt(MS))]
}

const thisThread = (): KTHREAD => new KTHREAD(currentThread())

// wdm-facts §10.5: "Order of decisions"
describe.each(BUILDS)('%s build: what a wait looks at, and in which order', (build) => {
  test.each<[string, { signalled: boolean; alerted: boolean; alertable: boolean; timeout: Timeout }, number, unknown]>([
    ['signalled, time 0', { signalled: true, alerted: false, alertable: false, timeout: 0 }, STATUS_SUCCESS, [0, 0]],
    ['signalled, alerted', { signalled: true, alerted: true, alertable: true, timeout: null }, STATUS_SUCCESS, [0, 1]],
    ['alerted, time 0', { signalled: false, alerted: true, alertable: true, timeout: 0 }, STATUS_ALERTED, [0, 0]],
    [
      'alerted, not alertable',
      { signalled: false, alerted: true, alertable: false, timeout: 0 },
      STATUS_TIMEOUT,
      [0, 1],
    ],
    [
      'not signalled, time 0',
      { signalled: false, alerted: false, alertable: true, timeout: 0 },
      STATUS_TIMEOUT,
      [0, 0],
    ],
    [
      'not signalled, time 0n',
      { signalled: false, alerted: false, alertable: false, timeout: 0n },
      STATUS_TIMEOUT,
      [0, 0],
    ],
    [
      'not signalled, 1601',
      { signalled: false, alerted: false, alertable: false, timeout: 1n },
      STATUS_TIMEOUT,
      [0, 0],
    ],
  ])('KeWaitForSingleObject and KeWaitForMultipleObjects: %s', async (_, given, status, left) => {
    for (const waitFor of [
      (event: KEVENT) => wait(event, given.timeout, given.alertable),
      (event: KEVENT) => waitMany([event, makeEvent()], WaitAny, given.timeout, given.alertable),
    ]) {
      const seen = await onBuild(build, () => {
        const event = makeEvent(given.signalled)
        if (given.alerted) KeAlertThread(thisThread(), KernelMode)
        const result = waitFor(event) // no promise: nothing of this blocks
        const rest = [KeReadStateEvent(event), thisThread().Alerted]
        return [result, rest]
      })
      expect(seen).toEqual([status, left])
    }
  })

  test.each<[string, () => Timeout, number]>([
    ['a negative number', () => -20 * MS, 20],
    ['a negative bigint', () => BigInt(-20 * MS), 20],
    ['a system time', () => systemTime() + BigInt(20 * MS), 20],
    ['a system time that is over', () => systemTime() - 1n, 0],
  ])('KeWaitForSingleObject with %s gives STATUS_TIMEOUT then', async (_, timeout, ms) => {
    const seen = await onBuild(build, () => timed(() => wait(makeEvent(), timeout())))
    expect(seen).toEqual([STATUS_TIMEOUT, ms])
  })

  test('KeWaitForSingleObject that is satisfied in time gives STATUS_SUCCESS then, and its time-out is off', async () => {
    const seen = await onBuild(build, () =>
      timed(() => {
        const timer = make(KTIMER)
        KeInitializeTimer(timer)
        KeSetTimer(timer, -7 * MS, null)
        return wait(timer, -50 * MS)
      }),
    )
    expect(seen).toEqual([STATUS_SUCCESS, 7])
  })

  test('KeWaitForSingleObject with null waits however long it takes', async () => {
    const seen = await onBuild(build, () =>
      timed(() => {
        const timer = make(KTIMER)
        KeInitializeTimer(timer)
        KeSetTimer(timer, -86_400_000 * MS, null)
        return wait(timer)
      }),
    )
    expect(seen).toEqual([STATUS_SUCCESS, 86_400_000])
  })

  test.each([5, Number.NaN, Number.POSITIVE_INFINITY])(
    'KeWaitForSingleObject with %d says what a time is',
    async (timeout) => {
      await expect(onBuild(build, () => wait(makeEvent(), timeout))).rejects.toThrow(/a relative time is negative/)
    },
  )

  test('KeWaitForSingleObject for a thread is satisfied for ever once the thread has ended', async () => {
    const seen = await onBuild(build, async () => {
      let other: KTHREAD | null = null
      const before: number[] = []
      const gate = makeEvent()
      const joined = await spawn(async () => {
        other = thisThread()
        await wait(gate)
      })
      before.push(await wait(other as unknown as KTHREAD, 0))
      KeSetEvent(gate, 0, false)
      const status = await wait(other as unknown as KTHREAD)
      await joined()
      return [...before, status]
    })
    expect(seen).toEqual([STATUS_TIMEOUT, STATUS_SUCCESS])
  })

  test('KeWaitForMutexObject is KeWaitForSingleObject: it times out while another thread owns the mutex', async () => {
    const seen = await onBuild(build, async () => {
      const mutex = make(KMUTEX)
      KeInitializeMutex(mutex, 0)
      const joined = await spawn(async () => {
        await wait(mutex)
        await KeDelayExecutionThread(KernelMode, false, -10 * MS)
        KeReleaseMutex(mutex, false)
      })
      const statuses: number[] = []
      for (const timeout of [0, -5 * MS, null]) {
        statuses.push(await KeWaitForMutexObject(mutex, Executive, KernelMode, false, timeout))
      }
      KeReleaseMutex(mutex, false)
      await joined()
      return statuses
    })
    expect(seen).toEqual([STATUS_TIMEOUT, STATUS_TIMEOUT, STATUS_SUCCESS])
  })
})

// wdm-facts §10.6
describe.each(BUILDS)('%s build: several objects', (build) => {
  const X = true
  const O = false
  test.each<[number, boolean[], number, boolean[]]>([
    [WaitAny, [X, O, O], STATUS_SUCCESS, [O, O, O]],
    [WaitAny, [O, O, X], 2, [O, O, O]],
    [WaitAny, [O, X, X], 1, [O, O, X]],
    [WaitAny, [O, O, O], STATUS_TIMEOUT, [O, O, O]],
    [WaitAny, [O, O, O, O, O, X], 5, [O, O, O, O, O, O]],
    [WaitAll, [X, X, X], STATUS_SUCCESS, [O, O, O]],
    [WaitAll, [X, X, O], STATUS_TIMEOUT, [X, X, O]],
    [WaitAll, [X, X, X, X, X], STATUS_SUCCESS, [O, O, O, O, O]],
    [WaitAll, [X, X, X, X, O], STATUS_TIMEOUT, [X, X, X, X, O]],
  ])('KeWaitForMultipleObjects, type %i, of %j gives %i and leaves %j', async (type, states, status, left) => {
    for (const timeout of [0, -5 * MS]) {
      const seen = await onBuild(build, async () => {
        const events = states.map((state) => makeEvent(state))
        const result = await waitMany(events, type, timeout)
        return [result, events.map((event) => KeReadStateEvent(event) !== 0)]
      })
      expect(seen).toEqual([status, left])
    }
  })

  test.each([0, 1, 2, 63])('KeWaitForMultipleObjects that waits for any of 64 is woken by number %i', async (index) => {
    const seen = await onBuild(build, async () => {
      const events = Array.from({ length: 64 }, () => makeEvent())
      let result = -1
      const joined = await spawn(async () => {
        result = await waitMany(events, WaitAny)
      })
      for (const event of events.slice(index)) KeSetEvent(event, 0, false)
      await joined()
      return [result, events.filter((event) => KeReadStateEvent(event) !== 0).length]
    })
    expect(seen).toEqual([index, 63 - index])
  })

  test('KeWaitForMultipleObjects that waits for all takes nothing until all are there, and then all', async () => {
    const seen = await onBuild(build, async () => {
      const semaphore = make(KSEMAPHORE)
      KeInitializeSemaphore(semaphore, 0, 5)
      const events = [makeEvent(), makeEvent(true, NotificationEvent)]
      let result = -1
      const joined = await spawn(async () => {
        result = await waitMany([...events, semaphore], WaitAll)
      })
      KeReleaseSemaphore(semaphore, 0, 2, false)
      await settle()
      const half = [result, KeReadStateSemaphore(semaphore)]
      KeSetEvent(events[0] as KEVENT, 0, false)
      await joined()
      return [half, result, KeReadStateSemaphore(semaphore), events.map((event) => KeReadStateEvent(event))]
    })
    expect(seen).toEqual([[-1, 2], STATUS_SUCCESS, 1, [0, 1]])
  })

  test('KeWaitForMultipleObjects that waits for all does not keep an object from a younger waiter', async () => {
    const seen = await onBuild(build, async () => {
      const [first, second] = [makeEvent(), makeEvent()]
      const woken: string[] = []
      const joinAll = await spawn(async () => {
        await waitMany([first, second], WaitAll)
        woken.push('all')
      })
      const joinOne = await spawn(async () => {
        await wait(first)
        woken.push('one')
      })
      KeSetEvent(first, 0, false)
      await joinOne()
      for (const event of [second, first]) KeSetEvent(event, 0, false)
      await joinAll()
      return woken
    })
    expect(seen).toEqual(['one', 'all'])
  })

  test.each<[string, number, boolean]>([
    ['4 objects without a WaitBlockArray', 4, false],
    ['65 objects with one', 65, true],
  ])('KeWaitForMultipleObjects for %s is bug check 0x0C', async (_, count, hasArray) => {
    const error = await bugCheckOf(() => {
      const objects = Array.from({ length: count }, () => makeEvent(true))
      const WaitBlockArray = hasArray ? { address: allocate(count * KWAIT_BLOCK.size, 'Test') } : null
      const rest = { WaitReason: Executive, WaitMode: KernelMode, Alertable: false, Timeout: null, WaitBlockArray }
      return KeWaitForMultipleObjects({ Count: count, Object: objects, WaitType: WaitAny, ...rest })
    })
    expect([error.code, ...error.parameters]).toEqual([0x0c, 0, 0, 0, 0])
  })
})

describe.each(BUILDS)('%s build: waits and levels', (build) => {
  function at<T>(irql: number, body: () => T): T {
    const old = { value: 0 }
    KeRaiseIrql(irql, old)
    const result = body()
    KeLowerIrql(old.value)
    return result
  }

  test('KeWaitForSingleObject at DISPATCH_LEVEL with time 0 is legal', async () => {
    const seen = await onBuild(build, () => {
      const events = [makeEvent(true), makeEvent()]
      return events.map((event) => at(2, () => [wait(event, 0), waitMany([event], WaitAll, 0), KeGetCurrentIrql()]))
    })
    expect(seen).toEqual([
      [STATUS_SUCCESS, STATUS_TIMEOUT, 2],
      [STATUS_TIMEOUT, STATUS_TIMEOUT, 2],
    ])
  })

  test('KeWaitForSingleObject at APC_LEVEL blocks, and comes back at APC_LEVEL', async () => {
    const seen = await onBuild(build, async () => {
      const old = { value: 0 }
      KeRaiseIrql(1, old)
      const status = await wait(makeEvent(), -MS)
      const irql = KeGetCurrentIrql()
      KeLowerIrql(old.value)
      return [status, irql]
    })
    expect(seen).toEqual([STATUS_TIMEOUT, 1])
  })

  test.each<[string, number, () => unknown, number]>([
    ['KeWaitForSingleObject that may block, at DISPATCH_LEVEL, is 0xB8', 2, () => wait(makeEvent()), 0xb8],
    ['KeWaitForSingleObject of a signalled object, at DISPATCH_LEVEL, is 0xB8', 2, () => wait(makeEvent(true)), 0xb8],
    ['KeWaitForSingleObject with a time, at DISPATCH_LEVEL, is 0xB8', 2, () => wait(makeEvent(), -MS), 0xb8],
    ['KeWaitForSingleObject with time 0, above DISPATCH_LEVEL, is 0x0A', 3, () => wait(makeEvent(true), 0), 0x0a],
    [
      'KeWaitForMultipleObjects that may block, at DISPATCH_LEVEL, is 0xB8',
      2,
      () => waitMany([makeEvent()], WaitAll),
      0xb8,
    ],
    ['KeDelayExecutionThread at DISPATCH_LEVEL is 0xB8', 2, () => KeDelayExecutionThread(KernelMode, false, -MS), 0xb8],
    [
      'KeDelayExecutionThread of 0 at DISPATCH_LEVEL is 0xB8',
      2,
      () => KeDelayExecutionThread(KernelMode, false, 0),
      0xb8,
    ],
  ])('%s', async (_, irql, body, code) => {
    const error = await bugCheckOf(() => at(irql, body))
    expect(error.code).toBe(code)
    expect(error.file).toContain('wait.test.ts')
  })

  test('KeWaitForSingleObject in a DPC that interrupts nobody takes a mutex with time 0, and can release it', async () => {
    const seen = await onBuild(build, async () => {
      const steps: unknown[] = []
      const mutex = make(KMUTEX)
      KeInitializeMutex(mutex, 0)
      const dpc = make(KDPC)
      KeInitializeDpc(
        dpc,
        () => {
          steps.push(wait(mutex, 0), KeReadStateMutex(mutex))
          steps.push(waitMany([mutex, makeEvent()], WaitAny, 0), KeReadStateMutex(mutex))
          steps.push(KeReleaseMutex(mutex, false), KeReleaseMutex(mutex, false))
        },
        null,
      )
      const timer = make(KTIMER)
      KeInitializeTimer(timer)
      KeSetTimer(timer, -MS, dpc)
      await KeDelayExecutionThread(KernelMode, false, -5 * MS)
      return steps
    })
    expect(seen).toEqual([STATUS_SUCCESS, 0, STATUS_SUCCESS, -1, -1, 0])
  })
})

// wdm-facts §10.1: "With Wait TRUE … returns at DISPATCH_LEVEL (SYNCH on MP)"
describe.each(BUILDS)('%s build, one processor: Wait TRUE', (build) => {
  const CALLS: [string, number[], () => unknown][] = [
    ['KeSetEvent', [0, 1], () => KeSetEvent(makeEvent(), 0, true)],
    ['KePulseEvent', [0, 1], () => KePulseEvent(makeEvent(), 0, true)],
    ['KeReleaseSemaphore', [0], releaseSemaphore],
    ['KeReleaseMutex', [0, 1], releaseMutex],
  ]
  function releaseSemaphore(): void {
    const semaphore = make(KSEMAPHORE)
    KeInitializeSemaphore(semaphore, 0, 1)
    KeReleaseSemaphore(semaphore, 0, 1, true)
  }
  function releaseMutex(): void {
    const mutex = make(KMUTEX)
    KeInitializeMutex(mutex, 0)
    void wait(mutex)
    KeReleaseMutex(mutex, true)
  }

  test.each(CALLS.flatMap(([name, levels, call]) => levels.map((from) => ({ name, call, from }))))(
    '$name with Wait TRUE at IRQL $from stays at DISPATCH_LEVEL until the wait, which goes back',
    async ({ call, from }) => {
      const seen = await onBuild(build, async () => {
        const event = makeEvent(true)
        const old = { value: 0 }
        KeRaiseIrql(from, old)
        call()
        const { WaitNext, WaitIrql } = thisThread()
        const between = [KeGetCurrentIrql(), WaitNext, WaitIrql]
        const status = await wait(event)
        const behind = [status, KeGetCurrentIrql(), thisThread().WaitNext]
        KeLowerIrql(old.value)
        return [between, behind]
      })
      expect(seen).toEqual([
        [2, 1, from],
        [STATUS_SUCCESS, from, 0],
      ])
    },
  )

  test('KeSetEvent with Wait TRUE, and a wait that blocks: nobody runs in between', async () => {
    const seen = await onBuild(build, async () => {
      const order: string[] = []
      const [mine, yours] = [makeEvent(), makeEvent()]
      const joined = await spawn(async () => {
        await wait(yours)
        order.push('other')
        KeSetEvent(mine, 0, false)
      })
      const dpc = make(KDPC)
      KeInitializeDpc(dpc, () => void order.push('DPC'), null)
      KeSetEvent(yours, 0, true)
      KeInsertQueueDpc(dpc, null, null)
      order.push('between')
      await wait(mine)
      order.push('behind')
      await joined()
      return order
    })
    expect(seen).toEqual(['between', 'DPC', 'other', 'behind'])
  })
})

test('KeSetEvent with Wait TRUE stays at SYNCH_LEVEL on two processors (free and checked build)', async () => {
  for (const build of BUILDS) {
    await using machine = await boot({ processors: 2, build })
    expect(await machine.run(driver, 'setAndWait')).toEqual({ between: [12, 1, 1], behind: [0, 1, 0] })
  }
})

test('KeWaitForSingleObject with a wrong time leaves no lock behind on two processors (checked build)', async () => {
  await using machine = await boot({ processors: 2, watchdog: 2000 })
  expect(await machine.run(driver, 'waitWrongly')).toEqual(['RangeError', 'RangeError', 'RangeError', 0])
})

test.each([1, 2])(
  'KeWaitForSingleObject: virtual time stands still while a thread takes turns, %i processors (checked build)',
  async (processors) => {
    await using machine = await boot({ processors, clock: 'virtual' })
    const sleeping = machine.sleep(3_600_000)
    expect(await machine.run(driver, 'manyWaits', undefined, processors - 1)).toBeLessThan(1000)
    sleeping.catch(() => {})
  },
)

describe.each(BUILDS)('%s build: alerts', (build) => {
  test.each<[string, boolean, number, number, number]>([
    ['ends an alertable wait', true, KernelMode, KernelMode, STATUS_ALERTED],
    ['of UserMode ends an alertable wait of UserMode', true, UserMode, UserMode, STATUS_ALERTED],
    ['of KernelMode ends an alertable wait of UserMode', true, UserMode, KernelMode, STATUS_ALERTED],
    ['of UserMode does not end a wait of KernelMode', true, KernelMode, UserMode, STATUS_TIMEOUT],
    ['does not end a wait that is not alertable', false, KernelMode, KernelMode, STATUS_TIMEOUT],
  ])('KeAlertThread %s', async (_, alertable, waitMode, alertMode, expected) => {
    for (const waitFor of [
      () => wait(makeEvent(), -10 * MS, alertable, waitMode),
      () => KeDelayExecutionThread(waitMode, alertable, -10 * MS),
    ]) {
      const isDelay = waitFor.toString().includes('KeDelay')
      const seen = await onBuild(build, async () => {
        let status = -1
        let thread: KTHREAD | null = null
        const joined = await spawn(async () => {
          thread = thisThread()
          status = await waitFor()
        })
        const was = KeAlertThread(thread as unknown as KTHREAD, alertMode)
        await joined()
        return [was, status]
      })
      expect(seen).toEqual([false, isDelay && expected === STATUS_TIMEOUT ? STATUS_SUCCESS : expected])
    }
  })

  test('KeAlertThread of a thread that does not wait ends its next alertable wait, and tells when it is alerted already', async () => {
    const seen = await onBuild(build, async () => {
      const alerts = [KeAlertThread(thisThread(), KernelMode), KeAlertThread(thisThread(), KernelMode)]
      const statuses = [await wait(makeEvent(), -MS, true), await wait(makeEvent(), -MS, true)]
      return [
        alerts,
        statuses,
        KeAlertThread(thisThread(), KernelMode),
        await KeDelayExecutionThread(KernelMode, true, -MS),
      ]
    })
    expect(seen).toEqual([[false, true], [STATUS_ALERTED, STATUS_TIMEOUT], false, STATUS_ALERTED])
  })
})

describe.each(BUILDS)('%s build: delays', (build) => {
  test.each<[string, () => number | bigint, number]>([
    ['a negative number', () => -15 * MS, 15],
    ['a negative bigint', () => BigInt(-15 * MS), 15],
    ['a system time', () => systemTime() + BigInt(15 * MS), 15],
    ['a system time that is over', () => systemTime() - BigInt(1000 * MS), 0],
    ['0', () => 0, 0],
    ['0n', () => 0n, 0],
  ])('KeDelayExecutionThread with %s is STATUS_SUCCESS then', async (_, interval, ms) => {
    expect(await onBuild(build, () => timed(() => KeDelayExecutionThread(KernelMode, false, interval())))).toEqual([
      0,
      ms,
    ])
  })

  test('KeDelayExecutionThread of 0 lets the others run', async () => {
    const seen = await onBuild(build, async () => {
      const order: string[] = []
      const event = makeEvent()
      const joined = await spawn(async () => {
        await wait(event)
        order.push('other')
      })
      KeSetEvent(event, 0, false)
      await KeDelayExecutionThread(KernelMode, false, 0)
      order.push('this')
      await joined()
      return order
    })
    expect(seen).toEqual(['other', 'this'])
  })
})

describe('checked build: a wait and the host', () => {
  test('KeWaitForSingleObject: a thread that never blocks still lets the event loop turn', async () => {
    const seen = await onChecked(async () => {
      let turned = false
      const event = makeEvent(true, NotificationEvent)
      setImmediate(() => (turned = true))
      let rounds = 0
      while (!turned && rounds < 100_000) {
        await wait(event)
        rounds += 1
      }
      return turned
    })
    expect(seen).toBe(true)
  })

  test.each([
    ['no timer is set', false],
    ['a timer is set for the next hour', true],
  ])(
    'KeWaitForSingleObject: while a thread takes turns of the event loop virtual time stands still, where %s',
    async (_, isSet) => {
      const seen = await onChecked(async () => {
        const timer = make(KTIMER)
        KeInitializeTimer(timer)
        if (isSet) KeSetTimer(timer, -3_600_000 * MS, null)
        const event = makeEvent(true, NotificationEvent)
        const [, ms] = await timed(async () => {
          for (let round = 0; round < 5000; round++) await wait(event)
        })
        return [ms < 100, await KeDelayExecutionThread(KernelMode, false, -MS), KeCancelTimer(timer)]
      })
      expect(seen).toEqual([true, STATUS_SUCCESS, isSet])
    },
  )

  test('KeWaitForSingleObject without await is bug check 0x121, at the line of the wait', async () => {
    let line = 0
    const error = await bugCheckOf(() => {
      const event = makeEvent()
      line = Number(/wait\.test\.ts[^:]*:(\d+)/.exec(new Error().stack ?? '')?.[1]) + 1
      void KeWaitForSingleObject(event, Executive, KernelMode, false, null)
      KeReadStateEvent(event)
    })
    expect([error.code, error.parameters[0], error.line]).toEqual([0x121, 3, line])
  })
})
