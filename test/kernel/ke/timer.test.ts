import { describe, expect, test } from 'vitest'
import { KeInitializeDpc } from '../../../kernel/ke/dpc.ts'
import { KDPC, KTIMER } from '../../../kernel/ke/layouts.ts'
import { KeGetCurrentIrql, KeLowerIrql, KeRaiseIrql } from '../../../kernel/ke/level.ts'
import { KeQuerySystemTime, KeStallExecutionProcessor } from '../../../kernel/ke/time.ts'
import {
  KeCancelTimer,
  KeInitializeTimer,
  KeInitializeTimerEx,
  KeReadStateTimer,
  KeSetCoalescableTimer,
  KeSetTimer,
  KeSetTimerEx,
  NotificationTimer,
  SynchronizationTimer,
} from '../../../kernel/ke/timer.ts'
import { Executive, KernelMode, KeDelayExecutionThread, KeWaitForSingleObject } from '../../../kernel/ke/wait.ts'
import { write8 } from '../../../kernel/mm/access.ts'
import { STATUS_SUCCESS, STATUS_TIMEOUT } from '../../../kernel/rtl/status.ts'
import { onMachine } from './machine.ts'
import { bugCheckOf, BUILDS, make, MS, onBuild, onChecked } from './facts.ts'

function makeTimer(type = NotificationTimer): KTIMER {
  const timer = make(KTIMER)
  KeInitializeTimerEx(timer, type)
  return timer
}

/** A DPC that runs `routine`. */
function makeDpc(routine: (low: number, high: number) => void): KDPC {
  const dpc = make(KDPC)
  KeInitializeDpc(
    dpc,
    (_: KDPC, __: null, low: number | null, high: number | null) => routine(low ?? 0, high ?? 0),
    null,
  )
  return dpc
}

const delay = (ms: number) => KeDelayExecutionThread(KernelMode, false, -ms * MS)
const wait = (timer: KTIMER, ms: number | null = 0) =>
  KeWaitForSingleObject(timer, Executive, KernelMode, false, ms === null ? null : -ms * MS)

function systemTime(): bigint {
  const box = { value: 0n }
  KeQuerySystemTime(box)
  return box.value
}

/** Milliseconds since `start`, rounded down: virtual time moves a few units with each kernel call. */
const since = (start: bigint): number => Number((systemTime() - start) / BigInt(MS))

// wdm-facts §8 [KMT KeTimer]
describe.each(BUILDS)('%s build: setting up', (build) => {
  test.each([
    ['KeInitializeTimer', (timer: KTIMER) => KeInitializeTimer(timer), 8],
    ['KeInitializeTimerEx, NotificationTimer,', (timer: KTIMER) => KeInitializeTimerEx(timer, NotificationTimer), 8],
    [
      'KeInitializeTimerEx, SynchronizationTimer,',
      (timer: KTIMER) => KeInitializeTimerEx(timer, SynchronizationTimer),
      9,
    ],
  ])('%s writes the header, clears Inserted and leaves Absolute, also at HIGH_LEVEL', async (_, initialize, type) => {
    const seen = await onBuild(build, () => {
      const timer = make(KTIMER)
      const { address, Header } = timer
      for (let byte = 0; byte < KTIMER.size; byte++) write8(address + byte, 0x55)
      const old = { value: 0 }
      KeRaiseIrql(15, old)
      initialize(timer)
      KeLowerIrql(old.value)
      return [Header.Type, Header.Absolute, Header.Size, Header.Inserted, Header.SignalState]
    })
    expect(seen).toEqual([type, 0x55, KTIMER.size / 4, 0, 0])
  })

  test('KeInitializeTimer makes a usable timer of memory that holds anything', async () => {
    const seen = await onBuild(build, async () => {
      const other = makeTimer()
      KeSetTimer(other, -50 * MS, null)
      const timer = make(KTIMER)
      // 1 wherever a word may be: the place of `other` in the timer queue.
      for (let byte = 0; byte < KTIMER.size; byte++) write8(timer.address + byte, byte % 4 === 0 ? 1 : 0)
      KeInitializeTimer(timer)
      const results = [KeCancelTimer(timer), KeSetTimer(timer, -10 * MS, null), await wait(timer, 20)]
      return [...results, KeReadStateTimer(other), KeCancelTimer(other)]
    })
    expect(seen).toEqual([false, false, STATUS_SUCCESS, false, true])
  })
})

describe.each(BUILDS)('%s build: one-shot timers', (build) => {
  const SETTERS: [string, (timer: KTIMER, due: number | bigint, dpc: KDPC | null) => boolean][] = [
    ['KeSetTimer', KeSetTimer],
    ['KeSetTimerEx', (timer, due, dpc) => KeSetTimerEx(timer, due, 0, dpc)],
    ['KeSetCoalescableTimer', (timer, due, dpc) => KeSetCoalescableTimer(timer, due, 0, 5, dpc)],
  ]

  test.each(SETTERS)('%s is TRUE exactly while the timer is set', async (_, set) => {
    const seen = await onBuild(build, async () => {
      const timer = makeTimer()
      const first = set(timer, -10 * MS, null)
      const again = set(timer, -20 * MS, null)
      await delay(15)
      const notYet = KeReadStateTimer(timer)
      await delay(10)
      const fired = KeReadStateTimer(timer)
      const afterFire = set(timer, -10 * MS, null)
      const state = KeReadStateTimer(timer)
      const cancelled = KeCancelTimer(timer)
      return {
        first,
        again,
        notYet,
        fired,
        afterFire,
        state,
        cancelled,
        afterCancel: set(timer, -MS, null),
        c: KeCancelTimer(timer),
      }
    })
    expect(seen).toEqual({
      first: false,
      again: true,
      notYet: false,
      fired: true,
      afterFire: false, // the one-shot left the queue
      state: false, // setting makes it not signalled
      cancelled: true,
      afterCancel: false,
      c: true,
    })
  })

  test.each(SETTERS)('%s queues the DPC at the due time, with the system time as its arguments', async (_, set) => {
    const seen = await onBuild(build, async () => {
      const calls: { late: number; irql: number }[] = []
      const due = systemTime() + BigInt(10 * MS)
      const dpc = makeDpc((low, high) => {
        const time = (BigInt(high) << 32n) | BigInt(low >>> 0)
        calls.push({ late: Number((time - due) / BigInt(MS)), irql: KeGetCurrentIrql() })
      })
      set(makeTimer(), -10 * MS, dpc)
      const before = calls.length
      await delay(30)
      return { before, calls }
    })
    expect(seen).toEqual({ before: 0, calls: [{ late: 0, irql: 2 }] })
  })

  test('KeSetTimer of a set timer drops the old time and the old DPC', async () => {
    const seen = await onBuild(build, async () => {
      const start = systemTime()
      const calls: string[] = []
      const timer = makeTimer()
      const first = makeDpc(() => calls.push(`first at ${since(start)}`))
      const second = makeDpc(() => calls.push(`second at ${since(start)}`))
      KeSetTimer(timer, -10 * MS, first)
      KeSetTimer(timer, -20 * MS, second)
      await delay(40)
      return calls
    })
    expect(seen).toEqual(['second at 20'])
  })

  test('KeSetTimer of a periodic timer makes it a one-shot', async () => {
    const seen = await onBuild(build, async () => {
      let calls = 0
      const timer = makeTimer(SynchronizationTimer)
      const dpc = makeDpc(() => (calls += 1))
      KeSetTimerEx(timer, -10 * MS, 10, dpc)
      await delay(25)
      const periodic = calls
      const was = KeSetTimer(timer, -10 * MS, dpc)
      await delay(50)
      return [periodic, was, calls - periodic]
    })
    expect(seen).toEqual([2, true, 1])
  })

  test.each<[string, () => number | bigint]>([
    ['0', () => 0],
    ['0n, the year 1601,', () => 0n],
    ['now', systemTime],
    ['an hour ago', () => systemTime() - 36_000_000_000n],
  ])('KeSetTimer due at %s signals at once and is not set', async (_, due) => {
    const seen = await onBuild(build, () => {
      let calls = 0
      const timer = makeTimer()
      const was = KeSetTimer(
        timer,
        due(),
        makeDpc(() => (calls += 1)),
      )
      return [was, KeReadStateTimer(timer), calls, KeCancelTimer(timer)]
    })
    expect(seen).toEqual([false, true, 1, false])
  })

  test('KeSetTimer due at a system time expires then', async () => {
    const seen = await onBuild(build, async () => {
      const timer = makeTimer()
      const start = systemTime()
      KeSetTimer(timer, start + BigInt(30 * MS), null)
      const before = await wait(timer, 29)
      return [before, await wait(timer, null), since(start)]
    })
    expect(seen).toEqual([STATUS_TIMEOUT, STATUS_SUCCESS, 30])
  })

  test('KeSetTimer with a positive number says that an absolute time is a bigint', async () => {
    await expect(onBuild(build, () => KeSetTimer(makeTimer(), 10 * MS, null))).rejects.toThrow(
      /absolute one is a bigint/,
    )
  })

  test('KeReadStateTimer stays TRUE for a notification timer, and is FALSE behind the one wait of a synchronization timer', async () => {
    const seen = await onBuild(build, async () => {
      const rows: unknown[] = []
      for (const type of [NotificationTimer, SynchronizationTimer]) {
        const timer = makeTimer(type)
        KeSetTimer(timer, -MS, null)
        await delay(5)
        rows.push([KeReadStateTimer(timer), await wait(timer), await wait(timer), KeReadStateTimer(timer)])
      }
      return rows
    })
    expect(seen).toEqual([
      [true, STATUS_SUCCESS, STATUS_SUCCESS, true],
      [true, STATUS_SUCCESS, STATUS_TIMEOUT, false],
    ])
  })
})

describe.each(BUILDS)('%s build: cancelling', (build) => {
  test('KeCancelTimer is TRUE while the timer is set; its DPC does not run then', async () => {
    const seen = await onBuild(build, async () => {
      let calls = 0
      const timer = makeTimer()
      const never = KeCancelTimer(timer)
      KeSetTimer(
        timer,
        -10 * MS,
        makeDpc(() => (calls += 1)),
      )
      const set = KeCancelTimer(timer)
      const twice = KeCancelTimer(timer)
      return [never, set, twice, await wait(timer, 30), calls, KeReadStateTimer(timer)]
    })
    expect(seen).toEqual([false, true, false, STATUS_TIMEOUT, 0, false])
  })

  test('KeCancelTimer of a timer that has fired is FALSE and leaves it signalled', async () => {
    const seen = await onBuild(build, async () => {
      const timer = makeTimer()
      KeSetTimer(timer, -MS, null)
      await delay(5)
      return [KeCancelTimer(timer), KeReadStateTimer(timer)]
    })
    expect(seen).toEqual([false, true])
  })

  test('KeCancelTimer of a periodic timer is TRUE however often it fired, and ends it', async () => {
    const seen = await onBuild(build, async () => {
      let calls = 0
      const timer = makeTimer()
      KeSetTimerEx(
        timer,
        -5 * MS,
        10,
        makeDpc(() => (calls += 1)),
      )
      await delay(27)
      const before = calls
      const cancelled = KeCancelTimer(timer)
      await delay(50)
      return [before, cancelled, calls, KeReadStateTimer(timer)]
    })
    expect(seen).toEqual([3, true, 3, true])
  })

  test('KeSetTimer with period 0 behind a cancelled periodic run fires once [WINE]', async () => {
    const seen = await onBuild(build, async () => {
      let calls = 0
      const timer = makeTimer(SynchronizationTimer)
      const dpc = makeDpc(() => (calls += 1))
      KeSetTimerEx(timer, -5 * MS, 5, dpc)
      await delay(12)
      KeCancelTimer(timer)
      await wait(timer)
      calls = 0
      KeSetTimer(timer, -5 * MS, dpc)
      return [await wait(timer, 10), await wait(timer, 20), calls]
    })
    expect(seen).toEqual([STATUS_SUCCESS, STATUS_TIMEOUT, 1])
  })

  test('KeInitializeTimerEx of a set timer does not take it out of the queue: it fires, with its DPC [WINE]', async () => {
    const seen = await onBuild(build, async () => {
      let calls = 0
      const timer = makeTimer()
      KeSetTimer(
        timer,
        -10 * MS,
        makeDpc(() => (calls += 1)),
      )
      KeInitializeTimerEx(timer, SynchronizationTimer)
      return [await wait(timer, 20), calls]
    })
    expect(seen).toEqual([STATUS_SUCCESS, 1])
  })
})

describe.each(BUILDS)('%s build: periods and order', (build) => {
  test.each([
    ['KeSetTimerEx', (timer: KTIMER, due: number, dpc: KDPC) => KeSetTimerEx(timer, due, 10, dpc)],
    ['KeSetCoalescableTimer', (timer: KTIMER, due: number, dpc: KDPC) => KeSetCoalescableTimer(timer, due, 10, 3, dpc)],
  ])('%s with a period fires at the due time and each period behind it', async (_, set) => {
    const seen = await onBuild(build, async () => {
      const start = systemTime()
      const times: number[] = []
      const timer = makeTimer()
      set(
        timer,
        -25 * MS,
        makeDpc(() => times.push(since(start))),
      )
      await delay(60)
      return [times, KeCancelTimer(timer)]
    })
    expect(seen).toEqual([[25, 35, 45, 55], true])
  })

  test('KeSetTimerEx that is due already fires at once and stays set for its period', async () => {
    const seen = await onBuild(build, async () => {
      const start = systemTime()
      const times: number[] = []
      const timer = makeTimer()
      KeSetTimerEx(
        timer,
        0n,
        10,
        makeDpc(() => times.push(since(start))),
      )
      await delay(25)
      return [times.length, times[0], KeCancelTimer(timer)]
    })
    expect(seen).toEqual([3, 0, true])
  })

  test('KeSetTimer: two hundred timers expire by due time, those of one time in the order in which they were set', async () => {
    const seen = await onBuild(build, async () => {
      const order: string[] = []
      const base = systemTime() + BigInt(10 * MS)
      let random = 12345
      const timers = Array.from({ length: 200 }, (_, index) => {
        random = (Math.imul(random, 1103515245) + 12345) >>> 0
        const slot = (random >>> 16) % 40
        const name = `${slot}:${index}`
        const timer = makeTimer()
        const push = makeDpc(() => order.push(name))
        KeSetTimer(timer, base + BigInt(slot * MS), push)
        return { timer, slot, name }
      })
      const isLeft = (index: number): boolean => index % 3 !== 1
      for (const [index, { timer }] of timers.entries()) if (!isLeft(index)) KeCancelTimer(timer)
      await delay(100)
      const left = timers.filter((_, index) => isLeft(index))
      return { order, expected: left.sort((one, other) => one.slot - other.slot).map(({ name }) => name) }
    })
    expect(seen.order).toHaveLength(133)
    expect(seen.order).toEqual(seen.expected)
  })

  test('KeSetTimerEx that expires late fires once for all that it missed, and keeps to its times', async () => {
    const seen = await onBuild(build, async () => {
      const start = systemTime()
      const times: number[] = []
      const timer = makeTimer()
      const push = makeDpc(() => times.push(since(start)))
      const busyUntil = (ms: number): void => {
        const old = { value: 0 }
        KeRaiseIrql(13, old)
        KeStallExecutionProcessor(ms * 1000 - since(start) * 1000)
        KeLowerIrql(old.value)
      }
      KeSetTimerEx(timer, -10 * MS, 10, push)
      busyUntil(13)
      await delay(10)
      busyUntil(45)
      await delay(20)
      return [times, KeCancelTimer(timer)]
    })
    expect(seen).toEqual([[13, 20, 45, 50, 60], true])
  })
})

describe('checked build: levels', () => {
  test('KeReadStateTimer: at DISPATCH_LEVEL a timer expires, its DPC runs when the level drops', async () => {
    const seen = await onChecked(() => {
      let calls = 0
      const timer = makeTimer()
      const old = { value: 0 }
      KeRaiseIrql(2, old)
      KeSetTimer(
        timer,
        -MS,
        makeDpc(() => (calls += 1)),
      )
      KeStallExecutionProcessor(2000)
      const atDispatch = [KeReadStateTimer(timer), calls]
      KeLowerIrql(old.value)
      return [...atDispatch, calls]
    })
    expect(seen).toEqual([true, 0, 1])
  })

  test('KeSetTimer: nothing expires while a processor is at CLOCK_LEVEL', async () => {
    const seen = await onChecked(() => {
      const timer = makeTimer()
      KeSetTimer(timer, -MS, null)
      const old = { value: 0 }
      KeRaiseIrql(13, old)
      KeStallExecutionProcessor(2000)
      const atClock = timer.Header.SignalState
      KeLowerIrql(old.value)
      return [atClock, KeReadStateTimer(timer)]
    })
    expect(seen).toEqual([0, true])
  })

  test.each<[string, (timer: KTIMER) => unknown]>([
    ['KeSetTimer', (timer) => KeSetTimer(timer, -MS, null)],
    ['KeSetTimerEx', (timer) => KeSetTimerEx(timer, -MS, 0, null)],
    ['KeSetCoalescableTimer', (timer) => KeSetCoalescableTimer(timer, -MS, 0, 0, null)],
    ['KeCancelTimer', KeCancelTimer],
    ['KeReadStateTimer', KeReadStateTimer],
  ])('%s above DISPATCH_LEVEL is bug check 0x0A', async (_, body) => {
    const error = await bugCheckOf(() => {
      const timer = makeTimer()
      KeRaiseIrql(3, { value: 0 })
      body(timer)
    })
    expect(error.code).toBe(0x0a)
  })
})

test('KeSetTimerEx fires on the real clock, again and again, and never early', async () => {
  const seen = await onMachine(async () => {
    const timer = makeTimer(SynchronizationTimer)
    const start = systemTime()
    KeSetTimerEx(timer, -2 * MS, 1, null)
    const statuses = [await wait(timer, null), await wait(timer, null), await wait(timer, null)]
    return [statuses, since(start) >= 4, KeCancelTimer(timer)]
  })
  expect(seen).toEqual([[STATUS_SUCCESS, STATUS_SUCCESS, STATUS_SUCCESS], true, true])
})
