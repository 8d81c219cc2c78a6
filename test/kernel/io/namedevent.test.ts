import { expect, test } from 'vitest'
import { KeReadStateEvent, KeResetEvent, KeSetEvent } from '../../../kernel/ke/event.ts'
import type { KEVENT } from '../../../kernel/ke/layouts.ts'
import { KeWaitForSingleObject } from '../../../kernel/ke/wait.ts'
import { DISPATCH_LEVEL, KeLowerIrql, KeRaiseIrqlToDpcLevel } from '../../../kernel/ke/level.ts'
import { IoCreateNotificationEvent, IoCreateSynchronizationEvent } from '../../../kernel/io/namedevent.ts'
import { ExEventObjectType, ZwSetEvent } from '../../../kernel/ob/event.ts'
import { ObReferenceObjectByHandle, ZwClose } from '../../../kernel/ob/handle.ts'
import { ZwCreateDirectoryObject } from '../../../kernel/ob/directoryservices.ts'
import { ObDereferenceObject } from '../../../kernel/ob/reference.ts'
import { ZwWaitForSingleObject } from '../../../kernel/ob/wait.ts'
import { basic, box, counts, onMachine } from '../ob/machine.ts'

const NAME = '\\BaseNamedObjects\\uno-0-i2c0'

// Facts: wdm-facts §2, [KMT ntos_io/IoEvent.c @ae3bfa94] unless a title says otherwise.
const KINDS = [
  { routine: 'IoCreateNotificationEvent', create: IoCreateNotificationEvent, type: 0 },
  { routine: 'IoCreateSynchronizationEvent', create: IoCreateSynchronizationEvent, type: 1 },
] as const

for (const { routine, create, type } of KINDS) {
  test(`${routine} makes a signalled event of its kind, with or without a name`, async () => {
    const seen = await onMachine(async () => {
      const states = []
      for (const name of [null, NAME]) {
        const handle = box<number>()
        const event = create(name, handle) as KEVENT
        states.push([
          event.Header.Type,
          KeReadStateEvent(event),
          counts(handle.value),
          (handle.value & 0x80000000) !== 0,
        ])
        await ZwClose(handle.value)
      }
      return states
    })
    expect(seen).toEqual([
      [type, 1, '2/1', true],
      [type, 1, '3/1', true],
    ])
  })

  test(`${routine} opens the event that has the name, and counts 4/2, after one ZwClose 3/1`, async () => {
    const seen = await onMachine(async () => {
      const [first, second] = [box<number>(), box<number>()]
      const made = create(NAME, first) as KEVENT
      const one = counts(first.value)
      const opened = create(NAME, second) as KEVENT
      const both = [counts(first.value), counts(second.value)]
      await ZwClose(first.value)
      const left = counts(second.value)
      await ZwClose(second.value)
      return { isSame: made.address === opened.address, one, both, left }
    })
    expect(seen).toEqual({ isSame: true, one: '3/1', both: ['4/2', '4/2'], left: '3/1' })
  })

  test(`${routine} leaves state and type of an existing event alone`, async () => {
    const seen = await onMachine(async () => {
      const [first, second, third] = [box<number>(), box<number>(), box<number>()]
      const event = IoCreateNotificationEvent(NAME, first) as KEVENT
      KeResetEvent(event)
      const again = create(NAME, second) as KEVENT
      const found = [again.Header.Type, KeReadStateEvent(again)]
      const nameless = create(null, third) as KEVENT
      for (const { value } of [first, second, third]) await ZwClose(value)
      return { found, isOther: nameless.address !== event.address }
    })
    expect(seen).toEqual({ found: [0, 0], isOther: true })
  })

  test(`${routine} gives a handle with Attributes 0 and GrantedAccess 0x1F0003`, async () => {
    const seen = await onMachine(async () => {
      const handle = box<number>()
      create(NAME, handle)
      const { Attributes, GrantedAccess } = basic(handle.value)
      await ZwClose(handle.value)
      return { Attributes, GrantedAccess }
    })
    expect(seen).toEqual({ Attributes: 0, GrantedAccess: 0x1f0003 })
  })

  const REFUSED = [
    ['a missing directory', '\\NoSuchDirectory\\X'],
    ['no leading backslash', 'uno-0-i2c0'],
    ['a trailing backslash', '\\BaseNamedObjects\\'],
    ['a doubled leading backslash', '\\\\BaseNamedObjects\\X'],
    ['the name of a directory', '\\BaseNamedObjects\\Taken'],
  ] as const
  test.each(REFUSED)(`${routine} returns null for %s, and does not write EventHandle`, async (_what, name) => {
    const seen = await onMachine(async () => {
      const directory = box<number>()
      ZwCreateDirectoryObject(directory, 0xf000f, { ObjectName: '\\BaseNamedObjects\\Taken', Attributes: 0x200 })
      const handle = { value: 0x1234 }
      const event = create(name, handle)
      await ZwClose(directory.value)
      return [event, handle.value]
    })
    expect(seen).toEqual([null, 0x1234])
  })

  test(`${routine} at DISPATCH_LEVEL is a bug check`, async () => {
    const run = onMachine(() => {
      KeRaiseIrqlToDpcLevel()
      create(null, box<number>())
      KeLowerIrql(DISPATCH_LEVEL)
    })
    await expect(run).rejects.toMatchObject({ code: 0x0a })
  })
}

test('IoCreateSynchronizationEvent gives an event whose first wait succeeds at once and resets it', async () => {
  const seen = await onMachine(async () => {
    const handle = box<number>()
    const event = IoCreateSynchronizationEvent(NAME, handle) as KEVENT
    const first = await KeWaitForSingleObject(event, 0, 0, false, 0)
    const second = await KeWaitForSingleObject(event, 0, 0, false, 0)
    await ZwClose(handle.value)
    return [first, second]
  })
  expect(seen).toEqual([0, 0x102])
})

test('IoCreateSynchronizationEvent makes a new, signalled event once the last handle is closed', async () => {
  const seen = await onMachine(async () => {
    const handle = box<number>()
    const event = IoCreateSynchronizationEvent(NAME, handle) as KEVENT
    KeResetEvent(event)
    await ZwClose(handle.value)
    const again = IoCreateSynchronizationEvent(NAME, handle) as KEVENT
    const state = KeReadStateEvent(again)
    await ZwClose(handle.value)
    return state
  })
  expect(seen).toBe(1)
})

test('IoCreateSynchronizationEvent: pointer and handle act on one state [WINE driver.c]', async () => {
  const seen = await onMachine(async () => {
    const handle = box<number>()
    const event = IoCreateSynchronizationEvent(null, handle) as KEVENT
    const previous = box<number>()
    KeResetEvent(event)
    ZwSetEvent(handle.value, previous)
    const waited = await ZwWaitForSingleObject(handle.value, false, 0)
    const state = KeSetEvent(event, 0, false)
    const object = box<KEVENT | null>()
    const status = ObReferenceObjectByHandle({
      Handle: handle.value,
      DesiredAccess: 0,
      ObjectType: ExEventObjectType,
      AccessMode: 0,
      Object: object,
    })
    const isSame = object.value?.address === event.address
    const counted = counts(handle.value)
    ObDereferenceObject(object.value as KEVENT)
    await ZwClose(handle.value)
    return { previous: previous.value, waited, state, status, isSame, counted }
  })
  expect(seen).toEqual({ previous: 0, waited: 0, state: 0, status: 0, isSame: true, counted: '3/1' })
})

test('IoCreateNotificationEvent gives an event that stays signalled after waits', async () => {
  const seen = await onMachine(async () => {
    const handle = box<number>()
    const event = IoCreateNotificationEvent(NAME, handle) as KEVENT
    const waits = [
      await KeWaitForSingleObject(event, 0, 0, false, 0),
      await KeWaitForSingleObject(event, 0, 0, false, 0),
    ]
    await ZwClose(handle.value)
    return waits
  })
  expect(seen).toEqual([0, 0])
})
