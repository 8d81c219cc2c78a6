import { expect, test } from 'vitest'
import {
  EVENT_BASIC_INFORMATION,
  ZwClearEvent,
  ZwCreateEvent,
  ZwOpenEvent,
  ZwPulseEvent,
  ZwQueryEvent,
  ZwResetEvent,
  ZwSetEvent,
} from '../../../kernel/ob/event.ts'
import { ZwClose } from '../../../kernel/ob/handle.ts'
import { ZwCreateMutant, ZwOpenMutant, ZwReleaseMutant } from '../../../kernel/ob/mutant.ts'
import { ZwCreateSemaphore, ZwOpenSemaphore, ZwReleaseSemaphore } from '../../../kernel/ob/semaphore.ts'
import { ZwWaitForSingleObject } from '../../../kernel/ob/wait.ts'
import { ZwOpenDirectoryObject } from '../../../kernel/ob/directoryservices.ts'
import { allocateStruct, free } from '../../../kernel/mm/pool.ts'
import { PsCreateSystemThread } from '../../../kernel/ps/thread.ts'
import * as S from '../../../kernel/rtl/status.ts'
import { box, counts, onMachine } from './machine.ts'

const NAME = { ObjectName: '\\BaseNamedObjects\\sync', Attributes: 0x200 }

/** Runs `body` on another system thread. @returns its handle */
export function startThread(body: () => unknown): number {
  const handle = box<number>()
  const rest = { DesiredAccess: 0x1fffff, ObjectAttributes: { Attributes: 0x200 }, ProcessHandle: null, ClientId: null }
  const status = PsCreateSystemThread({
    ThreadHandle: handle,
    StartRoutine: async () => void (await body()),
    StartContext: null,
    ...rest,
  })
  if (status !== 0) throw new Error(`PsCreateSystemThread: ${status}`)
  return handle.value
}

test('ZwSetEvent and its likes change the state and tell the one before', async () => {
  const seen = await onMachine(async () => {
    const handle = box<number>()
    ZwCreateEvent(handle, 0x1f0003, null, 0, 5)
    const previous = [box<number>(), box<number>(), box<number>(), box<number>()] as const
    const information = allocateStruct(EVENT_BASIC_INFORMATION, 'Test') as EVENT_BASIC_INFORMATION
    const states = []
    for (const act of [
      () => ZwResetEvent(handle.value, previous[0]),
      () => ZwSetEvent(handle.value, previous[1]),
      () => ZwPulseEvent(handle.value, previous[2]),
      () => ZwSetEvent(handle.value, previous[3]),
      () => ZwClearEvent(handle.value),
    ]) {
      act()
      ZwQueryEvent(handle.value, 0, information, EVENT_BASIC_INFORMATION.size, null)
      states.push(information.EventState)
    }
    free(information.address)
    await ZwClose(handle.value)
    return { states, previous: previous.map(({ value }) => value) }
  })
  expect(seen).toEqual({ states: [0, 1, 0, 1, 0], previous: [1, 0, 1, 0] })
})

test('ZwQueryEvent tells the type, and wants the exact length', async () => {
  const seen = await onMachine(async () => {
    const handle = box<number>()
    ZwCreateEvent(handle, 0x1f0003, null, 1, true)
    const information = allocateStruct(EVENT_BASIC_INFORMATION, 'Test') as EVENT_BASIC_INFORMATION
    const statuses = [
      ZwQueryEvent(handle.value, 0, information, 8, null),
      ZwQueryEvent(handle.value, 0, information, 7, null),
    ]
    statuses.push(ZwQueryEvent(handle.value, 1, information, 8, null), information.EventType)
    free(information.address)
    await ZwClose(handle.value)
    return statuses
  })
  expect(seen).toEqual([0, S.STATUS_INFO_LENGTH_MISMATCH, S.STATUS_INVALID_INFO_CLASS, 1])
})

test('ZwCreateEvent of a third kind is STATUS_INVALID_PARAMETER', async () => {
  expect(await onMachine(() => ZwCreateEvent(box(), 0, null, 2, false))).toBe(S.STATUS_INVALID_PARAMETER)
})

test('ZwOpenEvent opens the event that ZwSetEvent of another handle signals', async () => {
  const seen = await onMachine(async () => {
    const [first, second] = [box<number>(), box<number>()]
    ZwCreateEvent(first, 0x1f0003, NAME, 1, false)
    ZwOpenEvent(second, 0x1f0003, NAME)
    const thread = startThread(() => ZwSetEvent(second.value, null))
    const waited = await ZwWaitForSingleObject(first.value, false, null)
    const again = await ZwWaitForSingleObject(first.value, false, 0)
    await ZwWaitForSingleObject(thread, false, null)
    for (const { value } of [first, second, { value: thread }]) await ZwClose(value)
    return [waited, again]
  })
  expect(seen).toEqual([0, S.STATUS_TIMEOUT])
})

test('ZwWaitForSingleObject keeps the object while it waits, and refuses what cannot be waited for', async () => {
  const seen = await onMachine(async () => {
    const [event, directory] = [box<number>(), box<number>()]
    ZwCreateEvent(event, 0x1f0003, null, 0, false)
    const waits: number[] = []
    const thread = startThread(
      async () => void waits.push(await ZwWaitForSingleObject(event.value, false, -10_000_000)),
    )
    const timer = await ZwWaitForSingleObject(event.value, false, -10_000)
    const counted = counts(event.value)
    ZwSetEvent(event.value, null)
    await ZwWaitForSingleObject(thread, false, null)
    ZwOpenDirectoryObject(directory, 1, { ObjectName: '\\Device' })
    const mismatch = await ZwWaitForSingleObject(directory.value, false, 0)
    const invalid = await ZwWaitForSingleObject(0, false, 0)
    for (const { value } of [event, directory, { value: thread }]) await ZwClose(value)
    return { timer, counted, waits, mismatch, invalid }
  })
  expect(seen).toEqual({
    timer: S.STATUS_TIMEOUT,
    counted: '3/1',
    waits: [0],
    mismatch: S.STATUS_OBJECT_TYPE_MISMATCH,
    invalid: S.STATUS_INVALID_HANDLE,
  })
})

test('ZwCreateMutant with InitialOwner is owned, and ZwReleaseMutant gives it up once', async () => {
  const seen = await onMachine(async () => {
    const [first, second] = [box<number>(), box<number>()]
    ZwCreateMutant(first, 0x1f0001, NAME, true)
    ZwOpenMutant(second, 0x1f0001, NAME)
    const before = box<number>()
    const results = [ZwReleaseMutant(second.value, before), before.value, ZwReleaseMutant(second.value, null)]
    results.push(await ZwWaitForSingleObject(first.value, false, 0), ZwReleaseMutant(first.value, null))
    for (const { value } of [first, second]) await ZwClose(value)
    return results
  })
  expect(seen).toEqual([0, 0, S.STATUS_MUTANT_NOT_OWNED, 0, 0])
})

test('ZwClose of the last handle of a mutant takes it off its owner', async () => {
  await onMachine(async () => {
    const handle = box<number>()
    ZwCreateMutant(handle, 0x1f0001, null, true)
    await ZwClose(handle.value)
  })
})

test('ZwCreateSemaphore checks its counts, ZwReleaseSemaphore its limit [WINE dlls/ntdll/tests/sync.c]', async () => {
  const seen = await onMachine(async () => {
    const [first, second] = [box<number>(), box<number>()]
    const previous = { value: 77 }
    const results = [
      ZwCreateSemaphore(first, 0x1f0003, NAME, 2, 1),
      ZwCreateSemaphore(first, 0x1f0003, NAME, 1, 2),
      ZwOpenSemaphore(second, 0x1f0003, NAME),
      ZwReleaseSemaphore(second.value, 2, previous),
      previous.value,
      ZwReleaseSemaphore(second.value, 1, previous),
      previous.value,
      await ZwWaitForSingleObject(first.value, false, 0),
    ]
    for (const { value } of [first, second]) await ZwClose(value)
    return results
  })
  const over = S.STATUS_SEMAPHORE_LIMIT_EXCEEDED
  expect(seen).toEqual([S.STATUS_INVALID_PARAMETER, 0, 0, over, 77, 0, 1, 0])
})

/** The state that was told (-1: none), and the state after, of an event that was signalled. */
async function changed(change: (handle: number, previous: { value: number }) => number): Promise<number[]> {
  return await onMachine(async () => {
    const handle = box<number>()
    ZwCreateEvent(handle, 0x1f0003, null, 0, true)
    const previous = { value: -1 }
    change(handle.value, previous)
    const after = (await ZwWaitForSingleObject(handle.value, false, 0)) === 0 ? 1 : 0
    await ZwClose(handle.value)
    return [previous.value, after]
  })
}

test('ZwResetEvent tells the state before and leaves the event not signalled', async () => {
  expect(await changed(ZwResetEvent)).toEqual([1, 0])
})

test('ZwPulseEvent tells the state before and leaves the event not signalled', async () => {
  expect(await changed(ZwPulseEvent)).toEqual([1, 0])
})

test('ZwClearEvent leaves the event not signalled and tells nothing', async () => {
  expect(await changed(ZwClearEvent)).toEqual([-1, 0])
})

test('ZwOpenMutant and ZwOpenSemaphore find only their own type', async () => {
  const seen = await onMachine(async () => {
    const event = box<number>()
    ZwCreateEvent(event, 0x1f0003, NAME, 0, true)
    const statuses = [ZwOpenMutant(box(), 1, NAME), ZwOpenSemaphore(box(), 1, NAME)]
    await ZwClose(event.value)
    return [...statuses, ZwOpenMutant(box(), 1, NAME)]
  })
  const { STATUS_OBJECT_TYPE_MISMATCH: mismatch, STATUS_OBJECT_NAME_NOT_FOUND: missing } = S
  expect(seen).toEqual([mismatch, mismatch, missing])
})

test('ZwOpenSemaphore of a missing name gives handle 0', async () => {
  const seen = await onMachine(() => {
    const handle = { value: 4 }
    return [ZwOpenSemaphore(handle, 1, NAME), handle.value]
  })
  expect(seen).toEqual([S.STATUS_OBJECT_NAME_NOT_FOUND, 0])
})

test('ZwReleaseMutant by a thread that does not own it is STATUS_MUTANT_NOT_OWNED', async () => {
  const seen = await onMachine(async () => {
    const handle = box<number>()
    ZwCreateMutant(handle, 0x1f0001, null, false)
    const status = ZwReleaseMutant(handle.value, null)
    await ZwClose(handle.value)
    return status
  })
  expect(seen).toBe(S.STATUS_MUTANT_NOT_OWNED)
})

test('ZwReleaseSemaphore of nothing is STATUS_INVALID_PARAMETER', async () => {
  expect(await onMachine(() => ZwReleaseSemaphore(4, 0, null))).toBe(S.STATUS_INVALID_PARAMETER)
})
