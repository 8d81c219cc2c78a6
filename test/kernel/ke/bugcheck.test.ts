import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { boot, type Machine } from '../../../machine/index.ts'
import { KeEnterCriticalRegion } from '../../../kernel/ke/apc.ts'
import { type BugCheckError, KeBugCheck, KeBugCheckEx } from '../../../kernel/ke/bugcheck.ts'
import { KeInitializeDpc, KeInsertQueueDpc } from '../../../kernel/ke/dpc.ts'
import { KeInitializeEvent, KeReadStateEvent, KeSetEvent, NotificationEvent } from '../../../kernel/ke/event.ts'
import { ExRaiseStatus, StatusError } from '../../../kernel/ke/exception.ts'
import { KDPC, KEVENT, KTIMER } from '../../../kernel/ke/layouts.ts'
import { KeGetCurrentIrql, KeLowerIrql, KeRaiseIrql, KeRaiseIrqlToDpcLevel } from '../../../kernel/ke/level.ts'
import { KeAcquireSpinLock, KeInitializeSpinLock, KSPIN_LOCK } from '../../../kernel/ke/spinlock.ts'
import { KeQueryInterruptTime } from '../../../kernel/ke/time.ts'
import { KeCancelTimer, KeInitializeTimer, KeSetTimer } from '../../../kernel/ke/timer.ts'
import { Executive, KeDelayExecutionThread, KernelMode, KeWaitForSingleObject } from '../../../kernel/ke/wait.ts'
import { bugCheckOf, bugCheckOn, BUILDS, make, MS, onBuild, onChecked, spawn } from './facts.ts'

const driver = new URL('./drivers/crashes.ts', import.meta.url)

/** The line below the caller's. */
const nextLine = (): number =>
  Number(/bugcheck\.test\.ts[^:]*:(\d+)/.exec(new Error().stack?.split('\n')[2] ?? '')?.[1]) + 1

/** The line of KeBugCheckEx in the driver file. */
const lineOfStop = (): number =>
  readFileSync(driver, 'utf8')
    .split('\n')
    .findIndex((text) => text.startsWith('export const stop')) + 1

/** What `promise` is rejected with. */
const rejection = (promise: Promise<unknown>): Promise<BugCheckError> =>
  promise.then(
    () => {
      throw new Error('it was not rejected')
    },
    (error: unknown) => error as BugCheckError,
  )

const wait = (event: KEVENT) => KeWaitForSingleObject(event, Executive, KernelMode, false, null)
function makeEvent(): KEVENT {
  const event = make(KEVENT)
  KeInitializeEvent(event, NotificationEvent, false)
  return event
}

describe.each(BUILDS)('%s build: the driver’s own', (build) => {
  test('KeBugCheckEx rejects with code, parameters, level, file and line', async () => {
    let line = 0
    const error = await bugCheckOn(build, () => {
      KeRaiseIrql(2, { value: 0 })
      line = nextLine()
      KeBugCheckEx(0xdeaddead, 1, 0xfffffff0, 3, 4)
    })
    expect(error.name).toBe('BugCheckError')
    expect([error.code, ...error.parameters]).toEqual([0xdeaddead, 1, 0xfffffff0, 3, 4])
    expect([error.processor, error.irql, error.line]).toEqual([0, 2, line])
    expect(error.file).toContain('test/kernel/ke/bugcheck.test.ts')
    expect(error.message).toContain('BUG_CHECK_0xDEADDEAD')
  })

  test('KeBugCheck has no parameters, and names what has a name', async () => {
    const error = await bugCheckOn(build, () => KeBugCheck(0xe2))
    expect([error.code, error.bugCheck, ...error.parameters]).toEqual([0xe2, 'MANUALLY_INITIATED_CRASH', 0, 0, 0, 0])
  })

  test('KeBugCheck with code 0 stops the machine as well', async () => {
    const seen: unknown[] = []
    const error = await bugCheckOn(build, () => {
      try {
        KeBugCheck(0)
      } catch {
        // no catch revives the machine
      }
      for (const call of [KeGetCurrentIrql, () => KeBugCheck(5)]) {
        try {
          call()
        } catch (caught) {
          seen.push((caught as BugCheckError).code)
        }
      }
    })
    expect([error.code, seen]).toEqual([0, [0, 0]])
  })

  test('KeBugCheckEx: every later kernel call throws that error, however often it is caught', async () => {
    const thrown: unknown[] = []
    let count = 0
    const error = await bugCheckOn(build, () => {
      const event = makeEvent()
      const timer = make(KTIMER)
      const lock = make(KSPIN_LOCK)
      const dpc = make(KDPC)
      const calls: (() => unknown)[] = [
        () => KeBugCheckEx(1, 2, 3, 4, 5),
        () => KeBugCheck(0xe2),
        () => KeGetCurrentIrql(),
        () => KeRaiseIrql(2, { value: 0 }),
        () => KeRaiseIrqlToDpcLevel(),
        () => KeLowerIrql(0),
        () => KeSetEvent(event, 0, false),
        () => KeReadStateEvent(event),
        () => KeInitializeTimer(timer),
        () => KeSetTimer(timer, -1, null),
        () => KeCancelTimer(timer),
        () => KeInitializeSpinLock(lock),
        () => KeAcquireSpinLock(lock, { value: 0 }),
        () => KeInitializeDpc(dpc, () => {}, null),
        () => KeInsertQueueDpc(dpc, null, null),
        () => KeQueryInterruptTime(),
        () => KeEnterCriticalRegion(),
        () => wait(event),
        () => KeDelayExecutionThread(KernelMode, false, -1),
      ]
      count = calls.length
      for (let round = 0; round < 2; round++) {
        for (const call of calls) {
          try {
            call()
          } catch (caught) {
            thrown.push(caught)
          }
        }
      }
    })
    expect(thrown).toHaveLength(2 * count)
    expect(new Set(thrown.map((caught) => (caught as BugCheckError).message))).toEqual(new Set([error.message]))
    expect([error.code, ...error.parameters]).toEqual([1, 2, 3, 4, 5])
  })
})

describe('checked build: what the program sees', () => {
  test('KeBugCheckEx rejects everything that is outstanding, and what comes after; the next boot works', async () => {
    const machine: Machine = await boot({ localRoutines: true, clock: 'virtual' })
    const forever = (): Promise<number> => Promise.resolve(wait(makeEvent()))
    const outstanding = [machine.run(forever), machine.run(forever), machine.sleep(1_000_000)].map(rejection)
    outstanding.push(rejection(machine.run(() => KeBugCheckEx(0xe2, 1, 0, 0, 0))))
    const errors = await Promise.all(outstanding)
    errors.push(await rejection(machine.run(() => 1)), await rejection(machine.sleep(1)))
    expect(errors.map(({ name, code, parameters }) => [name, code, parameters[0]])).toEqual(
      errors.map(() => ['BugCheckError', 0xe2, 1]),
    )
    expect(machine.crash?.code).toBe(0xe2)
    await machine.shutdown()
    expect(await onChecked(() => KeGetCurrentIrql())).toBe(0)
  })

  test('KeBugCheckEx writes a record: threads with what they wait for and where, held locks, levels', async () => {
    let line = 0
    let addresses: number[] = []
    const { record } = await bugCheckOf(async () => {
      const event = makeEvent()
      const lock = make(KSPIN_LOCK)
      addresses = [event.address, lock.address]
      await spawn(async () => {
        line = nextLine()
        await KeWaitForSingleObject(event, Executive, KernelMode, false, null)
      })
      KeAcquireSpinLock(lock, { value: 0 })
      KeBugCheck(0xe2)
    })
    const [event, lock] = addresses
    const waiting = record.threads.filter(({ waitsFor }) => waitsFor.includes(event as number))
    expect(waiting.map(({ state, processor, irql }) => [state, processor, irql])).toEqual([['Waiting', 0, 0]])
    expect(waiting[0]?.site).toMatch(new RegExp(`bugcheck\\.test\\.ts.*:${line}$`))
    expect(record.processors).toEqual([{ number: 0, irql: 2, heldLocks: [{ address: lock, site: null }] }])
    expect(record.pool.some(({ tag }) => tag === 'Test')).toBe(true)
    expect(() => structuredClone(record)).not.toThrow()
  })
})

// wdm-facts §17: 0x1E (exception, …)
describe.each(BUILDS)('%s build: exceptions that escape', (build) => {
  function broken(): never {
    throw new StatusError(0xc0000005 | 0)
  }
  const inDpc = (): void => {
    const dpc = make(KDPC)
    KeInitializeDpc(dpc, broken, null)
    KeInsertQueueDpc(dpc, null, null)
  }
  const inTimerDpc = async (): Promise<void> => {
    const dpc = make(KDPC)
    const timer = make(KTIMER)
    KeInitializeDpc(dpc, broken, null)
    KeInitializeTimer(timer)
    KeSetTimer(timer, -MS, dpc)
    await KeDelayExecutionThread(KernelMode, false, -5 * MS)
  }
  const inThread = (): Promise<unknown> => spawn(broken)
  const behindAWait = (): Promise<unknown> =>
    spawn(async () => {
      await KeDelayExecutionThread(KernelMode, false, -MS)
      broken()
    })

  test.each([
    ['KeInsertQueueDpc: in the DPC', inDpc, 2],
    ['KeSetTimer: in the timer’s DPC', inTimerDpc, 2],
    ['ExRaiseStatus: in a system thread', inThread, 0],
    ['ExRaiseStatus: in a system thread, behind a wait', behindAWait, 0],
  ] as const)('%s is bug check 0x1E with the status and the line that threw', async (_, body, irql) => {
    const error = await bugCheckOn(build, body)
    expect([error.code, error.parameters[0], error.irql]).toEqual([0x1e, 0xc0000005 | 0, irql])
    expect([error.file, error.line]).toEqual([expect.stringContaining('bugcheck.test.ts'), lineOf(broken)])
  })

  test.each<[string, unknown, string]>([
    ['a string', 'just text', 'just text'],
    ['undefined', undefined, 'undefined'],
    ['a TypeError', new TypeError('no such field'), 'no such field'],
  ])('KeInsertQueueDpc: %s that a DPC throws is bug check 0x1E, and is told', async (_, thrown, text) => {
    const error = await bugCheckOn(build, () => {
      const dpc = make(KDPC)
      KeInitializeDpc(
        dpc,
        () => {
          throw thrown
        },
        null,
      )
      KeInsertQueueDpc(dpc, null, null)
    })
    expect([error.code, error.parameters[0]]).toEqual([0x1e, 0xe0000001 | 0])
    expect(error.message).toContain(text)
  })

  test('ExRaiseStatus that the driver catches is no more than that', async () => {
    const status = await onBuild(build, () => {
      try {
        return ExRaiseStatus(0xc000000d | 0)
      } catch (error) {
        return (error as StatusError).status
      }
    })
    expect(status).toBe(0xc000000d | 0)
  })

  /** The line of the `throw` in a function of this file. */
  function lineOf(thrower: () => never): number {
    try {
      return thrower()
    } catch (error) {
      return Number(/bugcheck\.test\.ts[^:]*:(\d+)/.exec((error as Error).stack ?? '')?.[1])
    }
  }
})

test('ExRaiseStatus above APC_LEVEL is bug check 0x0A (checked build)', async () => {
  const error = await bugCheckOf(() => {
    KeRaiseIrqlToDpcLevel()
    ExRaiseStatus(-1)
  })
  expect(error.code).toBe(0x0a)
})

describe.each([1, 2])('checked build, %i processors: a driver file', (processors) => {
  test('KeBugCheckEx names the driver, its file and line, and the processor', async () => {
    await using machine = await boot({ processors })
    const error = await rejection(machine.run(driver, 'stop', 7, processors - 1))
    expect([error.name, error.code, error.parameters[0], error.processor]).toEqual([
      'BugCheckError',
      0xe2,
      7,
      processors - 1,
    ])
    expect([error.driver, error.file, error.line]).toEqual([
      'crashes',
      expect.stringContaining('drivers/crashes.ts'),
      lineOfStop(),
    ])
  })

  test('KeBugCheckEx stops the other processors too: a thread there that polls the kernel and catches all ends', async () => {
    await using machine = await boot({ processors })
    const running = rejection(machine.run(driver, 'pollForEver', undefined, 0))
    const error = await rejection(machine.run(driver, 'stopSoon', 8, processors - 1))
    const other = await running
    expect([error.code, other.code, other.parameters[0]]).toEqual([0xe2, 0xe2, 8])
  })
})
