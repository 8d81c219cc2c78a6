import { expect, test } from 'vitest'
import {
  CriticalWorkQueue,
  DelayedWorkQueue,
  ExInitializeWorkItem,
  ExQueueWorkItem,
  HyperCriticalWorkQueue,
  isQueued,
  queueWorkItem,
  WORK_QUEUE_ITEM,
} from '../../../kernel/ex/workitem.ts'
import { KeEnterCriticalRegion } from '../../../kernel/ke/apc.ts'
import { initializeEvent, NotificationEvent, setEvent } from '../../../kernel/ke/event.ts'
import { KEVENT, KMUTEX } from '../../../kernel/ke/layouts.ts'
import {
  APC_LEVEL,
  DISPATCH_LEVEL,
  KeGetCurrentIrql,
  KeLowerIrql,
  KeRaiseIrql,
  KeRaiseIrqlToDpcLevel,
  PASSIVE_LEVEL,
} from '../../../kernel/ke/level.ts'
import { KeInitializeMutex } from '../../../kernel/ke/mutex.ts'
import { currentThread } from '../../../kernel/ke/thread.ts'
import { waitForObject } from '../../../kernel/ke/wait.ts'
import { free } from '../../../kernel/mm/pool.ts'
import { bootOne, make, settle } from './threads.ts'

async function onMachine(body: () => unknown): Promise<void> {
  await using machine = await bootOne()
  await machine.run(async () => {
    await body()
    await settle()
  })
}

function item(routine: (context: number) => void | Promise<void>, context = 0): WORK_QUEUE_ITEM {
  const made = make(WORK_QUEUE_ITEM)
  ExInitializeWorkItem(made, routine, context)
  return made
}

test.each([
  ['CriticalWorkQueue', CriticalWorkQueue],
  ['DelayedWorkQueue', DelayedWorkQueue],
  ['HyperCriticalWorkQueue', HyperCriticalWorkQueue],
])(
  'ExQueueWorkItem calls the routine with its context at PASSIVE_LEVEL in another thread (%s)',
  async (_name, queue) => {
    await onMachine(async () => {
      const seen: unknown[] = []
      const queuer = currentThread()
      const work = item((context) => void seen.push(context, KeGetCurrentIrql(), currentThread() === queuer), 7)
      const before = KeRaiseIrqlToDpcLevel()
      ExQueueWorkItem(work, queue)
      expect(isQueued(work.address)).toBe(true)
      KeLowerIrql(before)
      await settle()
      expect(seen).toEqual([7, PASSIVE_LEVEL, false])
      expect(isQueued(work.address)).toBe(false)
    })
  },
)

test('ExQueueWorkItem serves items in the order in which they were queued', async () => {
  await onMachine(async () => {
    const order: number[] = []
    for (let index = 0; index < 20; index++)
      ExQueueWorkItem(
        item((context) => void order.push(context), index + 1),
        DelayedWorkQueue,
      )
    await settle()
    expect(order).toEqual(Array.from({ length: 20 }, (_, index) => index + 1))
  })
})

test('ExQueueWorkItem serves other items while a routine waits', async () => {
  await onMachine(async () => {
    const gate = make(KEVENT)
    initializeEvent(gate.address, NotificationEvent, false)
    let passed = 0
    const pass = async (): Promise<void> => {
      await waitForObject(gate.address)
      passed += 1
    }
    for (let index = 0; index < 5; index++) ExQueueWorkItem(item(pass), DelayedWorkQueue)
    ExQueueWorkItem(
      item(() => void setEvent(gate.address)),
      DelayedWorkQueue,
    )
    await settle()
    expect(passed).toBe(5)
  })
})

test('ExInitializeWorkItem makes an item that its routine may queue again, or free', async () => {
  await onMachine(async () => {
    let runs = 0
    const work = item(() => {
      runs += 1
      if (runs < 3) ExQueueWorkItem(work, DelayedWorkQueue)
      else free(work.address)
    })
    queueWorkItem(work.address, DelayedWorkQueue)
    await settle()
    expect(runs).toBe(3)
  })
})

// Bug checks of both builds (facts §17), and 0x01 of the checked one.
test.each<{ rule: string; code: number; routine: () => void | Promise<void>; second: number }>([
  {
    rule: 'a routine that returns at DISPATCH_LEVEL',
    code: 0xe1,
    routine: () => KeRaiseIrql(DISPATCH_LEVEL, { value: 0 }),
    second: DISPATCH_LEVEL,
  },
  {
    rule: 'an async routine that returns at APC_LEVEL',
    code: 0xe1,
    routine: async () => {
      await settle()
      KeRaiseIrql(APC_LEVEL, { value: 0 })
    },
    second: APC_LEVEL,
  },
  {
    rule: 'a routine that returns with a mutex',
    code: 0x39,
    routine: async () => {
      const mutex = make(KMUTEX)
      KeInitializeMutex(mutex, 0)
      await waitForObject(mutex.address)
    },
    second: 99,
  },
  {
    rule: 'a routine that returns in a critical region',
    code: 0x01,
    routine: () => KeEnterCriticalRegion(),
    second: 0,
  },
  {
    rule: 'a routine that throws',
    code: 0x1e,
    routine: () => {
      throw new Error('it broke')
    },
    second: 0,
  },
])('ExQueueWorkItem of $rule is a bug check', async ({ code, routine, second }) => {
  const error = await onMachine(async () => {
    ExQueueWorkItem(item(routine, 99), DelayedWorkQueue)
    await settle()
  }).catch((caught: unknown) => caught)
  expect(error).toMatchObject({ code })
  expect((error as { parameters: number[] }).parameters[1]).toBe(second)
})

test('ExQueueWorkItem of an item that is queued is bug check 0xE4', async () => {
  const stop = onMachine(() => {
    const work = item(() => {})
    ExQueueWorkItem(work, DelayedWorkQueue)
    ExQueueWorkItem(work, CriticalWorkQueue)
  })
  await expect(stop).rejects.toMatchObject({ code: 0xe4 })
})

test('ExQueueWorkItem to a queue that does not exist is bug check 0xE4', async () => {
  await expect(
    onMachine(() =>
      ExQueueWorkItem(
        item(() => {}),
        7,
      ),
    ),
  ).rejects.toMatchObject({ code: 0xe4 })
})
