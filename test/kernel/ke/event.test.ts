import { describe, expect, test } from 'vitest'
import {
  EVENT_INCREMENT,
  IO_NO_INCREMENT,
  KeClearEvent,
  KeInitializeEvent,
  KePulseEvent,
  KeReadStateEvent,
  KeResetEvent,
  KeSetEvent,
  NotificationEvent,
  SynchronizationEvent,
} from '../../../kernel/ke/event.ts'
import { KEVENT } from '../../../kernel/ke/layouts.ts'
import { KeLowerIrql, KeRaiseIrql } from '../../../kernel/ke/level.ts'
import { Executive, KernelMode, KeWaitForSingleObject } from '../../../kernel/ke/wait.ts'
import { read32, write8 } from '../../../kernel/mm/access.ts'
import { bugCheckOf, BUILDS, make, onBuild, onChecked, settle, spawn } from './facts.ts'

const TYPES: [string, number][] = [
  ['NotificationEvent', NotificationEvent],
  ['SynchronizationEvent', SynchronizationEvent],
]

function makeEvent(type: number, state = 0): KEVENT {
  const event = make(KEVENT)
  KeInitializeEvent(event, type, state !== 0)
  event.Header.SignalState = state
  return event
}

/** Starts `count` threads that wait for `event`; the array gets their numbers as they wake. */
async function waiters(event: KEVENT, count: number): Promise<number[]> {
  const woken: number[] = []
  for (let index = 0; index < count; index++) {
    await spawn(async () => {
      await KeWaitForSingleObject(event, Executive, KernelMode, false, null)
      woken.push(index)
    })
  }
  return woken
}

// wdm-facts §10.1 [KMT KeEvent]
describe.each(BUILDS)('%s build: events', (build) => {
  test.each(TYPES.flatMap(([name, type]) => [false, true].map((state) => ({ name, type, state }))))(
    'KeInitializeEvent of a $name, $state, writes type, size, state and list head, no other byte',
    async ({ type, state }) => {
      const seen = await onBuild(build, () => {
        const event = make(KEVENT)
        const { address, Header } = event
        for (let byte = 0; byte < KEVENT.size; byte++) write8(address + byte, 0x55)
        KeInitializeEvent(event, type, state)
        const list = Header.WaitListHead.address
        return {
          Type: Header.Type,
          Absolute: Header.Absolute,
          Size: Header.Size,
          Inserted: Header.Inserted,
          SignalState: Header.SignalState,
          isEmpty: [read32(list) === list, read32(list + 4) === list],
        }
      })
      expect(seen).toEqual({
        Type: type,
        Absolute: 0x55,
        Size: KEVENT.size / 4,
        Inserted: 0x55,
        SignalState: Number(state),
        isEmpty: [true, true],
      })
    },
  )

  const STATES = [0, 1, 2, 0x12345678, -1]
  const CALLS: [string, (event: KEVENT) => number | void, number][] = [
    ['KeSetEvent', (event) => KeSetEvent(event, IO_NO_INCREMENT, false), 1],
    ['KeResetEvent', KeResetEvent, 0],
    ['KePulseEvent', (event) => KePulseEvent(event, EVENT_INCREMENT, false), 0],
    ['KeClearEvent', KeClearEvent, 0],
    ['KeReadStateEvent', KeReadStateEvent, NaN],
  ]
  test.each(
    CALLS.flatMap(([routine, call, after]) => TYPES.map(([name, type]) => ({ routine, call, after, name, type }))),
  )('$routine of a $name gives back the state before, exactly', async ({ routine, call, after, type }) => {
    const seen = await onBuild(build, () =>
      STATES.map((state) => {
        const event = makeEvent(type, state)
        const returned = call(event)
        return [state, returned, KeReadStateEvent(event)]
      }),
    )
    const isVoid = routine === 'KeClearEvent'
    expect(seen).toEqual(
      STATES.map((state) => [state, isVoid ? undefined : state, Number.isNaN(after) ? state : after]),
    )
  })
})

describe('checked build: waiters', () => {
  test('KeSetEvent of a notification event wakes all waiters and stays signalled', async () => {
    const seen = await onChecked(async () => {
      const event = makeEvent(NotificationEvent)
      const woken = await waiters(event, 3)
      const before = KeSetEvent(event, IO_NO_INCREMENT, false)
      await settle()
      return { before, woken, state: KeReadStateEvent(event) }
    })
    expect(seen).toEqual({ before: 0, woken: [0, 1, 2], state: 1 })
  })

  test('KeSetEvent of a synchronization event wakes the oldest waiter alone, and is not signalled then', async () => {
    const seen = await onChecked(async () => {
      const event = makeEvent(SynchronizationEvent)
      const woken = await waiters(event, 3)
      const steps: unknown[] = []
      for (let round = 0; round < 4; round++) {
        const before = KeSetEvent(event, IO_NO_INCREMENT, false)
        const state = KeReadStateEvent(event)
        await settle()
        steps.push([before, state, [...woken]])
      }
      return steps
    })
    expect(seen).toEqual([
      [0, 0, [0]],
      [0, 0, [0, 1]],
      [0, 0, [0, 1, 2]],
      [0, 1, [0, 1, 2]],
    ])
  })

  test.each([
    ['notification', NotificationEvent, [0, 1, 2]],
    ['synchronization', SynchronizationEvent, [0]],
  ])('KePulseEvent of a %s event wakes those who wait now, and leaves it not signalled', async (_, type, expected) => {
    const seen = await onChecked(async () => {
      const event = makeEvent(type)
      const woken = await waiters(event, 3)
      const before = KePulseEvent(event, IO_NO_INCREMENT, false)
      await settle()
      const atOnce = [...woken]
      const state = KeReadStateEvent(event)
      for (let round = 0; round < 3; round++) KeSetEvent(event, IO_NO_INCREMENT, false)
      await settle()
      return { before, atOnce, state }
    })
    expect(seen).toEqual({ before: 0, atOnce: expected, state: 0 })
  })

  test('KePulseEvent of a signalled event only makes it not signalled', async () => {
    const states = await onChecked(() => {
      const event = makeEvent(NotificationEvent, 1)
      return [KePulseEvent(event, IO_NO_INCREMENT, false), KeReadStateEvent(event)]
    })
    expect(states).toEqual([1, 0])
  })

  test('KeSetEvent that was reset before the waiter runs has woken it all the same', async () => {
    const seen = await onChecked(async () => {
      const event = makeEvent(NotificationEvent)
      const woken = await waiters(event, 1)
      KeSetEvent(event, IO_NO_INCREMENT, false)
      KeResetEvent(event)
      await settle()
      return woken
    })
    expect(seen).toEqual([0])
  })
})

describe('checked build: levels', () => {
  const at = (irql: number, body: (event: KEVENT) => unknown): unknown => {
    const event = makeEvent(NotificationEvent)
    const old = { value: 0 }
    KeRaiseIrql(irql, old)
    const result = body(event)
    KeLowerIrql(old.value)
    return result
  }

  test.each<[string, number, (event: KEVENT) => unknown]>([
    ['KeInitializeEvent', 15, (event) => KeInitializeEvent(event, NotificationEvent, false)],
    ['KeReadStateEvent', 15, KeReadStateEvent],
    ['KeSetEvent', 2, (event) => KeSetEvent(event, IO_NO_INCREMENT, false)],
    ['KeResetEvent', 2, KeResetEvent],
    ['KeClearEvent', 2, KeClearEvent],
    ['KePulseEvent', 2, (event) => KePulseEvent(event, IO_NO_INCREMENT, false)],
  ])('%s is legal at IRQL %i', async (_, irql, body) => {
    await onChecked(() => void at(irql, body))
  })

  test.each<[string, number, (event: KEVENT) => unknown]>([
    ['KeSetEvent above DISPATCH_LEVEL', 3, (event) => KeSetEvent(event, IO_NO_INCREMENT, false)],
    ['KeSetEvent with Wait TRUE above APC_LEVEL', 2, (event) => KeSetEvent(event, IO_NO_INCREMENT, true)],
    ['KeResetEvent above DISPATCH_LEVEL', 3, KeResetEvent],
    ['KeClearEvent above DISPATCH_LEVEL', 3, KeClearEvent],
    ['KePulseEvent above DISPATCH_LEVEL', 3, (event) => KePulseEvent(event, IO_NO_INCREMENT, false)],
    ['KePulseEvent with Wait TRUE above APC_LEVEL', 2, (event) => KePulseEvent(event, IO_NO_INCREMENT, true)],
  ])('%s is bug check 0x0A', async (_, irql, body) => {
    expect((await bugCheckOf(() => at(irql, body))).code).toBe(0x0a)
  })
})
