import { expect, test } from 'vitest'
import { KeClearEvent, KeReadStateEvent, KeResetEvent, KeSetEvent } from '../../../kernel/ke/event.ts'
import { type KEVENT, KTHREAD } from '../../../kernel/ke/layouts.ts'
import { currentThread } from '../../../kernel/ke/thread.ts'
import { KeWaitForSingleObject, UserMode } from '../../../kernel/ke/wait.ts'
import { APC_LEVEL, DISPATCH_LEVEL, KeRaiseIrql } from '../../../kernel/ke/level.ts'
import { IoCreateNotificationEvent, IoCreateSynchronizationEvent } from '../../../kernel/io/namedevent.ts'
import { write16, write32 } from '../../../kernel/mm/access.ts'
import { allocate, allocateStruct, free, poolFault, tagOf } from '../../../kernel/mm/pool.ts'
import { ExEventObjectType, ZwCreateEvent, ZwSetEvent } from '../../../kernel/ob/event.ts'
import { ObCloseHandle, ObReferenceObjectByHandle, ZwClose } from '../../../kernel/ob/handle.ts'
import { ZwCreateDirectoryObject } from '../../../kernel/ob/directoryservices.ts'
import { ZwCreateMutant } from '../../../kernel/ob/mutant.ts'
import { OBJECT_NAME_INFORMATION, ObQueryNameString } from '../../../kernel/ob/query.ts'
import { ObDereferenceObject, ObReferenceObject } from '../../../kernel/ob/reference.ts'
import { ExSemaphoreObjectType, ZwCreateSemaphore } from '../../../kernel/ob/semaphore.ts'
import { ZwWaitForSingleObject } from '../../../kernel/ob/wait.ts'
import { createProcess, exitProcess } from '../../../kernel/ps/process.ts'
import { STATUS_INVALID_HANDLE, STATUS_OBJECT_TYPE_MISMATCH } from '../../../kernel/rtl/status.ts'
import { UNICODE_STRING } from '../../../kernel/rtl/string.ts'
import { settle, spawn } from '../ex/threads.ts'
import { basic, box, counts, onMachine } from '../ob/machine.ts'

const PREFIX = '\\BaseNamedObjects\\'
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
    ['an empty component', '\\BaseNamedObjects\\\\X'],
    ['the name of a directory', '\\BaseNamedObjects\\Taken'],
    ['the name of a mutant', '\\BaseNamedObjects\\Mutant'],
    ['the name of a semaphore', '\\BaseNamedObjects\\Semaphore'],
    ['a name below an event', '\\BaseNamedObjects\\Event\\X'],
    ['the root', '\\'],
  ] as const
  test.each(REFUSED)(`${routine} returns null for %s, and does not write EventHandle`, async (_what, name) => {
    const seen = await onMachine(async () => {
      const taken = [box<number>(), box<number>(), box<number>(), box<number>()] as const
      const named = (what: string) => ({ ObjectName: `\\BaseNamedObjects\\${what}`, Attributes: 0x200 })
      ZwCreateDirectoryObject(taken[0], 0xf000f, named('Taken'))
      ZwCreateMutant(taken[1], 0x1f0001, named('Mutant'), false)
      ZwCreateSemaphore(taken[2], 0x1f0003, named('Semaphore'), 0, 1)
      ZwCreateEvent(taken[3], 0x1f0003, named('Event'), 0, false)
      const handle = { value: 0x1234 }
      const event = create(name, handle)
      for (const { value } of taken) await ZwClose(value)
      return [event, handle.value]
    })
    expect(seen).toEqual([null, 0x1234])
  })

  test.each([APC_LEVEL, DISPATCH_LEVEL])(`${routine} at IRQL %i is a bug check`, async (irql) => {
    const run = onMachine(() => {
      KeRaiseIrql(irql, box<number>())
      create(null, box<number>())
    })
    await expect(run).rejects.toMatchObject({ code: 0x0a })
  })

  test(`${routine} tells names apart by case`, async () => {
    const isOther = await onMachine(async () => {
      const handles = [box<number>(), box<number>()] as const
      const [lower, upper] = [create(NAME, handles[0]), create(`${PREFIX}UNO-0-I2C0`, handles[1])]
      for (const { value } of handles) await ZwClose(value)
      return lower?.address !== upper?.address
    })
    expect(isOther).toBe(true)
  })

  test(`${routine} takes a counted string, and follows \\BaseNamedObjects\\Global`, async () => {
    const isSame = await onMachine(async () => {
      const handles = [box<number>(), box<number>()] as const
      const name = allocateStruct(UNICODE_STRING, 'Test') as UNICODE_STRING
      const units = allocate(2 * NAME.length, 'Test')
      for (let index = 0; index < NAME.length; index++) write16(units + 2 * index, NAME.charCodeAt(index))
      name.Length = name.MaximumLength = 2 * NAME.length
      name.Buffer = units
      const counted = create(name, handles[0])
      const through = create(NAME.replace(PREFIX, `${PREFIX}Global\\`), handles[1])
      for (const { value } of handles) await ZwClose(value)
      free(units)
      free(name.address)
      return counted !== null && counted.address === through?.address
    })
    expect(isSame).toBe(true)
  })

  test(`${routine} returns null without memory for the event, and does not write EventHandle`, async () => {
    const seen = await onMachine(() => {
      const handle = { value: 0x1234 }
      poolFault.shouldFail = (_size, tag) => tag === tagOf('Even')
      const event = create(NAME, handle)
      poolFault.shouldFail = null
      return [event, handle.value]
    })
    expect(seen).toEqual([null, 0x1234])
  })

  test(`${routine} under a name that was given up makes a new, signalled event, though somebody has the old one`, async () => {
    const seen = await onMachine(async () => {
      const handle = box<number>()
      const old = create(NAME, handle) as KEVENT
      ObReferenceObject(old)
      KeResetEvent(old)
      await ZwClose(handle.value)
      const event = create(NAME, handle) as KEVENT
      const states = [event.address !== old.address, KeReadStateEvent(event), KeReadStateEvent(old)]
      ObDereferenceObject(old)
      await ZwClose(handle.value)
      return states
    })
    expect(seen).toEqual([true, 1, 0])
  })

  test(`${routine} gives a handle that works in any process, and that user mode cannot close`, async () => {
    const seen = await onMachine(async () => {
      const handle = box<number>()
      const event = create(NAME, handle) as KEVENT
      KeResetEvent(event)
      const process = createProcess('other.exe')
      const field = currentThread() + KTHREAD.offsets.Process
      write32(field, process)
      const statuses = [ZwSetEvent(handle.value, null), await ObCloseHandle(handle.value, UserMode)]
      write32(field, 0)
      await exitProcess(process)
      ObDereferenceObject({ address: process })
      const left = [KeReadStateEvent(event), counts(handle.value)]
      await ZwClose(handle.value)
      return [...statuses, ...left]
    })
    expect(seen).toEqual([0, STATUS_INVALID_HANDLE, 1, '3/1'])
  })
}

test('IoCreateNotificationEvent opens a synchronization event as it is', async () => {
  const seen = await onMachine(async () => {
    const handles = [box<number>(), box<number>()] as const
    const event = IoCreateSynchronizationEvent(NAME, handles[0]) as KEVENT
    KeClearEvent(event)
    const again = IoCreateNotificationEvent(NAME, handles[1]) as KEVENT
    const found = [again.address === event.address, again.Header.Type, KeReadStateEvent(again)]
    for (const { value } of handles) await ZwClose(value)
    return found
  })
  expect(seen).toEqual([true, 1, 0])
})

test('IoCreateSynchronizationEvent: one waiter is released for each KeSetEvent, and the event reset', async () => {
  const seen = await onMachine(
    async () => {
      const handle = box<number>()
      const event = IoCreateSynchronizationEvent(NAME, handle) as KEVENT
      KeClearEvent(event)
      let released = 0
      const joins = []
      for (let waiter = 0; waiter < 2; waiter++) {
        joins.push(
          await spawn(async () => {
            await KeWaitForSingleObject(event, 0, 0, false, null)
            released += 1
          }),
        )
      }
      const log: number[] = []
      for (let set = 0; set < 2; set++) {
        KeSetEvent(event, 0, false)
        await settle()
        log.push(released, KeReadStateEvent(event))
      }
      for (const join of joins) await join()
      await ZwClose(handle.value)
      return log
    },
    { clock: 'virtual' },
  )
  expect(seen).toEqual([1, 0, 2, 0])
})

test('IoCreateSynchronizationEvent: ObReferenceObjectByHandle of another type is STATUS_OBJECT_TYPE_MISMATCH [WINE driver.c]', async () => {
  const seen = await onMachine(async () => {
    const handle = box<number>()
    IoCreateSynchronizationEvent(NAME, handle)
    const object = box<unknown>()
    const rest = { DesiredAccess: 0, ObjectType: ExSemaphoreObjectType, AccessMode: 0, Object: object }
    const status = ObReferenceObjectByHandle({ Handle: handle.value, ...rest } as never)
    const counted = counts(handle.value)
    await ZwClose(handle.value)
    return [status, counted]
  })
  expect(seen).toEqual([STATUS_OBJECT_TYPE_MISMATCH, '3/1'])
})

test('IoCreateSynchronizationEvent without a name: ObQueryNameString succeeds and tells none [WINE driver.c]', async () => {
  const seen = await onMachine(async () => {
    const handle = box<number>()
    const event = IoCreateSynchronizationEvent(null, handle) as KEVENT
    const name = allocateStruct(OBJECT_NAME_INFORMATION, 'Test') as OBJECT_NAME_INFORMATION
    const needed = box<number>()
    const status = ObQueryNameString(event, name, OBJECT_NAME_INFORMATION.size, needed)
    const found = [status, name.Name.Length, needed.value === OBJECT_NAME_INFORMATION.size]
    free(name.address)
    await ZwClose(handle.value)
    return found
  })
  expect(seen).toEqual([0, 0, true])
})

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
