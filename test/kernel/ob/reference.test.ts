import { expect, test } from 'vitest'
import type { KEVENT } from '../../../kernel/ke/layouts.ts'
import { DISPATCH_LEVEL, KeLowerIrql, KeRaiseIrqlToDpcLevel } from '../../../kernel/ke/level.ts'
import { KernelMode, UserMode } from '../../../kernel/ke/wait.ts'
import { objectsToDelete } from '../../../kernel/ob/delete.ts'
import { directoryType } from '../../../kernel/ob/directory.ts'
import { ZwCreateDirectoryObject } from '../../../kernel/ob/directoryservices.ts'
import { ExEventObjectType, ZwCreateEvent } from '../../../kernel/ob/event.ts'
import { ObReferenceObjectByHandle, ZwClose } from '../../../kernel/ob/handle.ts'
import {
  ObGetObjectType,
  ObOpenObjectByName,
  ObOpenObjectByPointer,
  ObReferenceObjectByName,
} from '../../../kernel/ob/open.ts'
import {
  type AnyObject,
  ObDereferenceObject,
  ObDereferenceObjectDeferDelete,
  ObReferenceObject,
  ObReferenceObjectByPointer,
} from '../../../kernel/ob/reference.ts'
import * as status from '../../../kernel/rtl/status.ts'
import { allocateStruct } from '../../../kernel/mm/pool.ts'
import { KEVENT as Event } from '../../../kernel/ke/layouts.ts'
import { box, counts, onMachine } from './machine.ts'

const NAME = '\\BaseNamedObjects\\X'
const KERNEL = 0x200

/** A handle to a new event, and the event with a reference. */
function newEvent(name: string | null = null): { handle: number; event: KEVENT } {
  const handle = box<number>()
  ZwCreateEvent(handle, 0x1f0003, { ObjectName: name, Attributes: KERNEL }, 0, false)
  return { handle: handle.value, event: referenced(handle.value) as KEVENT }
}

function referenced(handle: number): AnyObject {
  const object = box<any>()
  ObReferenceObjectByHandle({
    Handle: handle,
    DesiredAccess: 0,
    ObjectType: null,
    AccessMode: KernelMode,
    Object: object,
  })
  return object.value
}

test('ObReferenceObject and ObDereferenceObject return the new count [KMT ntos_ob/ObReference.c @6dd62096]', async () => {
  const seen = await onMachine(async () => {
    const { handle, event } = newEvent()
    referenced(handle)
    const results = [counts(handle), ObReferenceObject(event), counts(handle)]
    for (let n = 0; n < 3; n++) results.push(ObDereferenceObject(event))
    results.push(counts(handle))
    await ZwClose(handle)
    return results
  })
  expect(seen).toEqual(['4/1', 4, '5/1', 3, 2, 1, '2/1'])
})

test('ObReferenceObjectByPointer adds a reference if the type is right', async () => {
  const seen = await onMachine(async () => {
    const { handle, event } = newEvent()
    const results = [
      ObReferenceObjectByPointer(event, 0, ExEventObjectType, KernelMode),
      ObReferenceObjectByPointer(event, 0, null, KernelMode),
      ObReferenceObjectByPointer(event, 0, null, UserMode),
      ObReferenceObjectByPointer(event, 0, directoryType, KernelMode),
      counts(handle),
    ]
    for (let n = 0; n < 3; n++) ObDereferenceObject(event)
    await ZwClose(handle)
    return results
  })
  const mismatch = status.STATUS_OBJECT_TYPE_MISMATCH
  expect(seen).toEqual([0, 0, mismatch, mismatch, '5/1'])
})

test('ObReferenceObjectByName finds an object and checks its type', async () => {
  const seen = await onMachine(async () => {
    const { handle, event } = newEvent(NAME)
    const find = async (ObjectName: string, ObjectType: any, Attributes = 0) => {
      const found = box<any>()
      const rest = { Attributes, AccessState: null, DesiredAccess: 0, AccessMode: KernelMode, ParseContext: null }
      const result = await ObReferenceObjectByName({ ObjectName, ObjectType, Object: found, ...rest })
      if (found.value !== null) ObDereferenceObject(found.value)
      return [result, found.value?.address === event.address]
    }
    const results = [
      await find(NAME, ExEventObjectType),
      await find(NAME, null),
      await find(NAME, directoryType),
      await find(`${NAME}y`, ExEventObjectType),
      await find(NAME.toUpperCase(), ExEventObjectType),
      await find(NAME.toUpperCase(), ExEventObjectType, 0x40),
      counts(handle),
    ]
    ObDereferenceObject(event)
    await ZwClose(handle)
    return results
  })
  expect(seen).toEqual([
    [0, true],
    [0, true],
    [status.STATUS_OBJECT_TYPE_MISMATCH, false],
    [status.STATUS_OBJECT_NAME_NOT_FOUND, false],
    [status.STATUS_OBJECT_PATH_NOT_FOUND, false],
    [0, true],
    '4/1',
  ])
})

test('ObOpenObjectByPointer makes one handle more, as does ObOpenObjectByName', async () => {
  const seen = await onMachine(async () => {
    const { handle, event } = newEvent(NAME)
    const [second, third] = [box<number>(), box<number>()]
    const rest = { PassedAccessState: null, DesiredAccess: 2, ObjectType: ExEventObjectType, AccessMode: KernelMode }
    const results = [
      ObOpenObjectByPointer({ Object: event, HandleAttributes: KERNEL, Handle: second, ...rest }),
      await ObOpenObjectByName({
        ObjectAttributes: { ObjectName: NAME, Attributes: KERNEL },
        ParseContext: null,
        Handle: third,
        ...rest,
      }),
      counts(handle),
      ObGetObjectType(event).name,
    ]
    ObDereferenceObject(event)
    for (const each of [handle, second.value, third.value]) await ZwClose(each)
    return results
  })
  expect(seen).toEqual([0, 0, '6/3', 'Event'])
})

test('ObReferenceObject is legal at DISPATCH_LEVEL, and ObDereferenceObject there leaves the deletion to a thread', async () => {
  const seen = await onMachine(async () => {
    const { handle, event } = newEvent()
    await ZwClose(handle)
    const irql = KeRaiseIrqlToDpcLevel()
    const results = [
      ObReferenceObject(event),
      ObDereferenceObject(event),
      ObDereferenceObject(event),
      objectsToDelete(),
    ]
    KeLowerIrql(irql)
    return results
  })
  expect(seen).toEqual([2, 1, 0, 1])
})

test('ObDereferenceObjectDeferDelete deletes later, at PASSIVE_LEVEL too', async () => {
  const seen = await onMachine(async () => {
    const { handle, event } = newEvent()
    await ZwClose(handle)
    return [ObDereferenceObjectDeferDelete(event), objectsToDelete()]
  })
  expect(seen).toEqual([0, 1])
})

const BROKEN: [string, (event: KEVENT) => void][] = [
  ['ObDereferenceObject of an object whose last reference is gone', (event) => void ObDereferenceObject(event)],
  ['ObReferenceObject of an object whose last reference is gone', (event) => void ObReferenceObject(event)],
  ['ObReferenceObject of NULL', () => void ObReferenceObject(null as unknown as AnyObject)],
  [
    'ObReferenceObject of an event that is no object',
    () => void ObReferenceObject(allocateStruct(Event, 'Test') as KEVENT),
  ],
]
test.each(BROKEN)('%s is bug check REFERENCE_BY_POINTER', async (_what, act) => {
  const run = onMachine(async () => {
    const { handle, event } = newEvent()
    await ZwClose(handle)
    ObDereferenceObject(event)
    act(event)
  })
  await expect(run).rejects.toMatchObject({ code: 0x18 })
})

test('ObReferenceObject between the last reference and the deletion is bug check REFERENCE_BY_POINTER', async () => {
  const run = onMachine(async () => {
    const { handle, event } = newEvent()
    await ZwClose(handle)
    ObDereferenceObjectDeferDelete(event)
    ObReferenceObject(event)
  })
  await expect(run).rejects.toMatchObject({ code: 0x18 })
})

test('ObReferenceObjectByHandle counts references of a directory like those of any object', async () => {
  const seen = await onMachine(async () => {
    const handle = box<number>()
    ZwCreateDirectoryObject(handle, 0xf000f, { ObjectName: '\\kmtest', Attributes: KERNEL })
    const before = counts(handle.value)
    const directory = referenced(handle.value)
    const during = counts(handle.value)
    const left = ObDereferenceObject(directory)
    await ZwClose(handle.value)
    return [before, during, left]
  })
  expect(seen).toEqual(['3/1', '4/1', 2])
})

test('ObDereferenceObject above DISPATCH_LEVEL is a bug check', async () => {
  const { KeRaiseIrql } = await import('../../../kernel/ke/level.ts')
  const run = onMachine(() => {
    const { event } = newEvent()
    KeRaiseIrql(DISPATCH_LEVEL + 1, box())
    ObDereferenceObject(event)
  })
  await expect(run).rejects.toMatchObject({ code: 0x0a })
})

test('ObGetObjectType tells the type', async () => {
  const seen = await onMachine(async () => {
    const { handle, event } = newEvent()
    const type = ObGetObjectType(event)
    ObDereferenceObject(event)
    await ZwClose(handle)
    return type === ExEventObjectType
  })
  expect(seen).toBe(true)
})

test('ObOpenObjectByName of a missing name gives handle 0', async () => {
  const seen = await onMachine(async () => {
    const Handle = { value: 4 }
    const rest = { PassedAccessState: null, DesiredAccess: 2, ObjectType: null, AccessMode: KernelMode, Handle }
    return [
      await ObOpenObjectByName({ ObjectAttributes: { ObjectName: NAME }, ParseContext: null, ...rest }),
      Handle.value,
    ]
  })
  expect(seen).toEqual([status.STATUS_OBJECT_NAME_NOT_FOUND, 0])
})
