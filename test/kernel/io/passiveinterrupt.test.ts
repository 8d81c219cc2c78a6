/** Passive-level interrupts: Windows 8 and later (wdm-facts §4.1, §4.2, §4.4). */
import { describe, expect, test } from 'vitest'
import {
  KeAcquireInterruptSpinLock,
  KeReleaseInterruptSpinLock,
  KeSynchronizeExecution,
  Latched,
  LevelSensitive,
  requestVector,
} from '../../../kernel/ke/interrupt.ts'
import { KEVENT, type KINTERRUPT } from '../../../kernel/ke/layouts.ts'
import { APC_LEVEL, KeGetCurrentIrql, KeRaiseIrql } from '../../../kernel/ke/level.ts'
import { KeInitializeEvent, KeSetEvent, SynchronizationEvent } from '../../../kernel/ke/event.ts'
import { Executive, KeDelayExecutionThread, KernelMode, KeWaitForSingleObject } from '../../../kernel/ke/wait.ts'
import { KSPIN_LOCK } from '../../../kernel/ke/spinlock.ts'
import { IoConnectInterrupt, IoDisconnectInterrupt } from '../../../kernel/io/interrupt.ts'
import {
  type IO_CONNECT_INTERRUPT_PARAMETERS,
  IoConnectInterruptEx,
  IoDisconnectInterruptEx,
  IoReportInterruptActive,
  IoReportInterruptInactive,
} from '../../../kernel/io/interruptex.ts'
import type { DEVICE_OBJECT } from '../../../kernel/io/layouts.ts'
import { allocateStruct, poolFault, tagOf } from '../../../kernel/mm/pool.ts'
import { read32 } from '../../../kernel/mm/access.ts'
import { Line, Post, RegisterKind } from '../../../kernel/ports/device.ts'
import { STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_PARAMETER } from '../../../kernel/rtl/status.ts'
import { interrupt, kindsOf, makeBoard, makeLine, takeAll, type TestBoard } from '../ke/board.ts'
import { spawn } from '../ex/threads.ts'
import { bytes, type Connect, full, line, lines, OTHER, parameters, pdoWith, VECTOR } from './lines.ts'
import { bugCheckOf, onMachine } from '../ke/machine.ts'

type Isr = Connect['ServiceRoutine']
const claims: Isr = async () => true
const pause = (): unknown => KeDelayExecutionThread(KernelMode, false, -10_000)
const board = (): TestBoard => makeBoard([RegisterKind.Status])
const device = (): DEVICE_OBJECT => pdoWith(line(VECTOR, 0))
const virtual = { clock: 'virtual' } as const

interface Connected {
  object: KINTERRUPT
  disconnect: () => void | Promise<void>
}

const atPassive = (over: Partial<Connect>): Partial<Connect> =>
  ({ Irql: 0, SynchronizeIrql: 0, ...over }) as Partial<Connect>

function connect(over: Partial<Connect>): Connected {
  const asked = parameters(atPassive(over))
  const status = IoConnectInterrupt(asked)
  const object = asked.InterruptObject.value
  if (object === null) throw new Error(`not connected: ${status}`)
  return { object, disconnect: () => IoDisconnectInterrupt(object) }
}

function connectEx(asked: IO_CONNECT_INTERRUPT_PARAMETERS): Connected {
  const status = IoConnectInterruptEx(asked)
  const object = (asked.FullySpecified ?? asked.LineBased)?.InterruptObject.value ?? null
  if (object === null) throw new Error(`not connected: ${status}`)
  return { object, disconnect: () => IoDisconnectInterruptEx({ Version: asked.Version, ConnectionContext: object }) }
}

/** The ways in which an ISR comes to run at PASSIVE_LEVEL. */
const CONNECTIONS: [string, (ServiceRoutine: Isr, pdo?: DEVICE_OBJECT) => Connected][] = [
  ['IoConnectInterrupt', (ServiceRoutine) => connect({ ServiceRoutine })],
  ['CONNECT_FULLY_SPECIFIED', (ServiceRoutine, pdo = device()) => connectEx(full(pdo, atPassive({ ServiceRoutine })))],
  [
    'CONNECT_LINE_BASED',
    (ServiceRoutine, pdo = device()) => connectEx(lines(pdo, { value: null }, { ServiceRoutine })),
  ],
]

describe.each(CONNECTIONS)('a passive-level interrupt by %s', (_name, connectBy) => {
  test('IoConnectInterrupt and IoConnectInterruptEx have an async ISR run at PASSIVE_LEVEL, and the EOI comes behind it', async () => {
    const seen = await onMachine(async () => {
      const from = board()
      const made = makeLine(from, VECTOR)
      const event = allocateStruct(KEVENT, 'Test') as KEVENT
      KeInitializeEvent(event, SynchronizationEvent, false)
      const log: unknown[] = []
      const { disconnect } = connectBy(async () => {
        log.push(KeGetCurrentIrql())
        await KeWaitForSingleObject(event, Executive, KernelMode, false, null)
        log.push(kindsOf(takeAll(from)))
        return true
      })
      interrupt(made)
      await pause()
      KeSetEvent(event, 0, false)
      await pause()
      log.push(kindsOf(takeAll(from)), read32(made + Line.Claims))
      await disconnect()
      return log
    })
    expect(seen).toEqual([0, [Post.EnableLine], [Post.EndOfInterrupt], 1])
  })

  test('KeSynchronizeExecution runs its routine at PASSIVE_LEVEL, and keeps the ISR out while it waits', async () => {
    const log = await onMachine(async () => {
      const made = makeLine(board(), VECTOR)
      const order: unknown[] = []
      const { object, disconnect } = connectBy(async () => order.push('isr') > 0)
      const routine = async (context: number): Promise<boolean> => {
        order.push('begin', context, KeGetCurrentIrql())
        interrupt(made)
        await pause()
        return order.push('end') > 0
      }
      await KeSynchronizeExecution(object, routine, 7)
      await pause()
      await disconnect()
      return order
    })
    expect(log).toEqual(['begin', 7, 0, 'end', 'isr'])
  })

  test('KeSynchronizeExecution keeps another caller out', async () => {
    const order = await onMachine(async () => {
      const seen: string[] = []
      const { object, disconnect } = connectBy(claims)
      const run = (name: string): Promise<number> => {
        const routine = async (): Promise<boolean> => {
          seen.push(`${name} begins`)
          await pause()
          await pause()
          return seen.push(`${name} ends`) > 0
        }
        return KeSynchronizeExecution(object, routine, null)
      }
      const other = await spawn(() => run('other'))
      await run('this')
      await other()
      await disconnect()
      return seen
    }, virtual)
    expect(order).toEqual(['other begins', 'other ends', 'this begins', 'this ends'])
  })

  test.each([
    [0, 0],
    [1, 1],
    [2, 2],
    [0x102, 2],
    [true, 1],
    [false, 0],
  ])('KeSynchronizeExecution of a routine that returns %s gives %i: the byte, unchanged', async (returned, byte) => {
    const seen = await onMachine(async () => {
      const { object, disconnect } = connectBy(claims)
      const result = await KeSynchronizeExecution(object, async () => returned, null)
      await disconnect()
      return result
    })
    expect(seen).toBe(byte)
  })

  test('IoDisconnectInterrupt and IoDisconnectInterruptEx wait for the ISR, and leave nothing behind', async () => {
    const seen = await onMachine(async () => {
      const made = makeLine(board(), VECTOR)
      const pdo = device()
      const state = { done: false }
      await pause()
      const before = bytes()
      const { disconnect } = connectBy(async () => {
        await pause()
        await pause()
        state.done = true
        return true
      }, pdo)
      interrupt(made)
      await pause()
      await disconnect()
      const { done } = state
      await pause()
      await pause()
      return { done, leaked: bytes() - before }
    }, virtual)
    expect(seen).toEqual({ done: true, leaked: 0 })
  })

  test('KeAcquireInterruptSpinLock and KeReleaseInterruptSpinLock are bug check 0x121: there is no spin lock', async () => {
    const acquired = await bugCheckOf(() => KeAcquireInterruptSpinLock(connectBy(claims).object))
    const released = await bugCheckOf(() => KeReleaseInterruptSpinLock(connectBy(claims).object, 0))
    expect([acquired, released].map(({ code, parameters: [rule] }) => [code, rule])).toEqual([
      [0x121, 5],
      [0x121, 5],
    ])
  })

  test('KeSynchronizeExecution with a plain routine is bug check 0x121', async () => {
    const error = await bugCheckOf(() => KeSynchronizeExecution(connectBy(() => true).object, () => true, null))
    expect([error.code, error.parameters[0]]).toEqual([0x121, 0x11])
    expect(error.message).toContain('async')
  })

  test('KeSynchronizeExecution above PASSIVE_LEVEL, which is its SynchronizeIrql, is bug check 0x0A', async () => {
    const error = await bugCheckOf(async () => {
      const { object } = connectBy(claims)
      KeRaiseIrql(APC_LEVEL, { value: 0 })
      await KeSynchronizeExecution(object, async () => true, null)
    })
    expect(error.code).toBe(0x0a)
  })
})

describe('an async ISR', () => {
  test.each<[string, () => unknown]>([
    ['IoConnectInterrupt', () => IoConnectInterrupt(parameters({ ServiceRoutine: claims } as Partial<Connect>))],
    [
      'IoConnectInterruptEx',
      () => IoConnectInterruptEx(lines(pdoWith(line(VECTOR, 5)), { value: null }, { ServiceRoutine: claims })),
    ],
  ])('%s of one at DIRQL is bug check 0x121: nothing can wait there', async (_name, act) => {
    const error = await bugCheckOf(act)
    expect([error.code, error.parameters[0]]).toEqual([0x121, 0x13])
    expect(error.message).toContain('async')
  })

  test('KeSynchronizeExecution with an async routine at DIRQL is bug check 0x121, too', async () => {
    const error = await bugCheckOf(() => {
      const asked = parameters()
      IoConnectInterrupt(asked)
      void KeSynchronizeExecution(asked.InterruptObject.value as KINTERRUPT, async () => true, null)
    })
    expect([error.code, error.parameters[0]]).toEqual([0x121, 0x13])
  })
})

describe('CONNECT_LINE_BASED', () => {
  const both = (first: number, second: number): DEVICE_OBJECT => pdoWith(line(VECTOR, first), line(OTHER, second))

  test.each<[string, () => IO_CONNECT_INTERRUPT_PARAMETERS]>([
    [
      'a spin lock for a passive-level interrupt',
      () => lines(device(), { value: null }, { SpinLock: allocateStruct(KSPIN_LOCK, 'Test') }),
    ],
    ['a SynchronizeIrql for a passive-level interrupt', () => lines(device(), { value: null }, { SynchronizeIrql: 5 })],
    ['a device with a passive-level interrupt and another one', () => lines(both(0, 7), { value: null })],
    ['the same the other way round', () => lines(both(5, 0), { value: null })],
  ])('IoConnectInterruptEx refuses %s with STATUS_INVALID_PARAMETER', async (_what, make) => {
    expect(await onMachine(() => IoConnectInterruptEx(make()))).toBe(STATUS_INVALID_PARAMETER)
  })

  test('IoConnectInterruptEx connects all passive-level lines of a device, whose ISRs keep each other out', async () => {
    const seen = await onMachine(async () => {
      const order: string[] = []
      const ServiceRoutine = async ({ Vector }: KINTERRUPT): Promise<boolean> => {
        order.push(`${Vector} begins`)
        await pause()
        return order.push(`${Vector} ends`) > 0
      }
      const pdo = both(0, 0)
      await pause()
      const before = bytes()
      const { disconnect } = connectEx(lines(pdo, { value: null }, { ServiceRoutine }))
      requestVector(0, VECTOR)
      requestVector(0, OTHER)
      for (let wait = 0; wait < 4; wait++) await pause()
      await disconnect()
      await pause()
      return { order, leaked: bytes() - before }
    }, virtual)
    const [first, second] = seen.order[0]?.startsWith(String(VECTOR)) ? [VECTOR, OTHER] : [OTHER, VECTOR]
    const order = [`${first} begins`, `${first} ends`, `${second} begins`, `${second} ends`]
    expect(seen).toEqual({ order, leaked: 0 })
  })

  test('IoConnectInterruptEx without memory connects none of them, whichever allocation fails', async () => {
    const seen = await onMachine(async () => {
      const pdo = both(0, 0)
      await pause()
      const before = bytes()
      const statuses: number[] = []
      const tags = ['IoIn', 'KePs', 'Thre'].map(tagOf)
      for (let failing = 0; statuses.at(-1) !== 0; failing++) {
        const box = { value: null as KINTERRUPT | null }
        let count = 0
        poolFault.shouldFail = (_size, tag) => tags.includes(tag) && count++ === failing
        const asked = lines(pdo, box)
        statuses.push(IoConnectInterruptEx(asked))
        poolFault.shouldFail = null
        if (box.value !== null) await IoDisconnectInterruptEx({ Version: asked.Version, ConnectionContext: box.value })
        await pause()
      }
      return { statuses, leaked: bytes() - before }
    }, virtual)
    // Two objects, and a service and a thread for each.
    expect(seen).toEqual({ statuses: [...Array(6).fill(STATUS_INSUFFICIENT_RESOURCES), 0], leaked: 0 })
  })
})

// wdm-facts §4.5, §4.6
describe('a chain of passive-level ISRs', () => {
  const X = true
  const O = false
  test.each<[string, number, boolean[][], string]>([
    ['LevelSensitive: the first claims', LevelSensitive, [[X], [X]], '0'],
    ['LevelSensitive: the second claims', LevelSensitive, [[O], [X], [X]], '01'],
    ['LevelSensitive: nobody claims', LevelSensitive, [[O], [O]], '01'],
    ['Latched: nobody claims', Latched, [[O], [O]], '01'],
    ['Latched: the first claims once', Latched, [[X], [O]], '0101'],
    ['Latched: another one claims in the second pass', Latched, [[X], [O, X]], '010101'],
    ['Latched: one alone claims', Latched, [[X, X]], '0'],
  ])('IoConnectInterrupt, %s', async (_what, InterruptMode, answers, expected) => {
    const calls = await onMachine(async () => {
      let seen = ''
      const connected = answers.map((claimed, index) => {
        const ServiceRoutine = async (): Promise<boolean> => {
          seen += index
          return claimed.shift() ?? false
        }
        return connect({ ServiceRoutine, InterruptMode, ShareVector: true })
      })
      requestVector(0, VECTOR)
      await pause()
      for (const { disconnect } of connected) await disconnect()
      return seen
    }, virtual)
    expect(calls).toBe(expected)
  })

  test('IoConnectInterrupt: a vector is served at its level or at PASSIVE_LEVEL, not both', async () => {
    const seen = await onMachine(async () => {
      const passive = connect({ ShareVector: true })
      const beside = IoConnectInterrupt(parameters({ ShareVector: true }))
      await passive.disconnect()
      return [beside, IoConnectInterrupt(parameters({ ShareVector: true }))]
    })
    expect(seen).toEqual([STATUS_INVALID_PARAMETER, 0])
  })
})

test('IoReportInterruptInactive keeps a passive-level ISR from being called until IoReportInterruptActive', async () => {
  const seen = await onMachine(async () => {
    const made = makeLine(board(), VECTOR)
    let calls = 0
    const asked = lines(device(), { value: null }, { ServiceRoutine: async () => ++calls > 0 })
    const { object, disconnect } = connectEx(asked)
    const state = { Version: asked.Version, ConnectionContext: object }
    IoReportInterruptInactive(state)
    interrupt(made)
    await pause()
    const inactive = calls
    IoReportInterruptActive(state)
    interrupt(made)
    await pause()
    await disconnect()
    return [inactive, calls]
  })
  expect(seen).toEqual([0, 1])
})
