import { expect, test } from 'vitest'
import { InitializeObjectAttributes, OBJECT_ATTRIBUTES, type ObjectAttributes } from '../../../kernel/ob/attributes.ts'
import {
  OBJECT_DIRECTORY_INFORMATION,
  ObMakeTemporaryObject,
  ZwCreateDirectoryObject,
  ZwMakePermanentObject,
  ZwMakeTemporaryObject,
  ZwOpenDirectoryObject,
  ZwQueryDirectoryObject,
} from '../../../kernel/ob/directoryservices.ts'
import { ZwCreateEvent, ZwOpenEvent } from '../../../kernel/ob/event.ts'
import { referenceByHandle, ZwClose } from '../../../kernel/ob/handle.ts'
import {
  ZwCreateSymbolicLinkObject,
  ZwOpenSymbolicLinkObject,
  ZwQuerySymbolicLinkObject,
} from '../../../kernel/ob/linkservices.ts'
import { ZwCreateMutant } from '../../../kernel/ob/mutant.ts'
import {
  OBJECT_NAME_INFORMATION,
  ObjectNameInformation,
  ObjectTypeInformation,
  ObQueryNameString,
  ZwQueryObject,
} from '../../../kernel/ob/query.ts'
import { dereferenceObject } from '../../../kernel/ob/reference.ts'
import { allocate, allocateStruct, free } from '../../../kernel/mm/pool.ts'
import { textOf, UNICODE_STRING } from '../../../kernel/rtl/string.ts'
import * as S from '../../../kernel/rtl/status.ts'
import { basic, box, counts, onMachine } from './machine.ts'

const KERNEL = 0x200
const OPENIF = 0x80
const PERMANENT = 0x10
const ANY_CASE = 0x40
const IN = '\\BaseNamedObjects\\'

const createEvent = (attributes: ObjectAttributes, handle = box<number>()): { status: number; handle: number } => {
  const status = ZwCreateEvent(handle, 0x1f0003, attributes, 0, false)
  return { status, handle: status >= 0 ? handle.value : 0 }
}
const openEvent = (attributes: ObjectAttributes): { status: number; handle: number } => {
  const handle = { value: 0x1234 }
  const status = ZwOpenEvent(handle, 1, attributes)
  return { status, handle: handle.value }
}
const close = async (...handles: number[]): Promise<void> => {
  for (const handle of handles) if (handle !== 0) await ZwClose(handle)
}

// Facts: wdm-facts §13.3 [WINE dlls/ntdll/tests/om.c].
test('ZwCreateEvent without OBJ_OPENIF collides, with it opens the existing event unchanged', async () => {
  const seen = await onMachine(async () => {
    const ObjectName = `${IN}om.c-event`
    const first = createEvent({ ObjectName })
    const second = createEvent({ ObjectName })
    const third = createEvent({ ObjectName, Attributes: OPENIF })
    const counted = counts(first.handle)
    await close(first.handle, third.handle)
    return { statuses: [first.status, second.status, third.status], counted }
  })
  expect(seen).toEqual({ statuses: [0, S.STATUS_OBJECT_NAME_COLLISION, S.STATUS_OBJECT_NAME_EXISTS], counted: '4/2' })
})

test('ZwCreateMutant under the name of an event is a type mismatch, with OBJ_OPENIF or without (Vista+)', async () => {
  const seen = await onMachine(async () => {
    const ObjectName = `${IN}om.c-event`
    const event = createEvent({ ObjectName })
    const statuses = [0, OPENIF].map((Attributes) => ZwCreateMutant(box(), 0x1f0001, { ObjectName, Attributes }, false))
    await close(event.handle)
    return statuses
  })
  expect(seen).toEqual([S.STATUS_OBJECT_TYPE_MISMATCH, S.STATUS_OBJECT_TYPE_MISMATCH])
})

test('ZwOpenEvent tells what is wrong, and gives handle 0', async () => {
  const seen = await onMachine(() => [
    openEvent({ ObjectName: `${IN}missing` }),
    openEvent({ ObjectName: '\\BaseNamedObjects' }),
    openEvent({ ObjectName: '' }),
    openEvent({}),
    openEvent(null),
  ])
  expect(seen).toEqual(
    [
      S.STATUS_OBJECT_NAME_NOT_FOUND,
      S.STATUS_OBJECT_TYPE_MISMATCH,
      S.STATUS_OBJECT_PATH_SYNTAX_BAD,
      S.STATUS_OBJECT_PATH_SYNTAX_BAD,
      S.STATUS_INVALID_PARAMETER,
    ].map((status) => ({ status, handle: 0 })),
  )
})

test('ZwCreateEvent makes a nameless event of NULL attributes, a NULL name or an empty one', async () => {
  const seen = await onMachine(async () => {
    const made = [createEvent(null), createEvent({}), createEvent({ ObjectName: '' })]
    const counted = made.map(({ handle }) => counts(handle))
    await close(...made.map(({ handle }) => handle))
    return [made.map(({ status }) => status), counted]
  })
  expect(seen).toEqual([
    [0, 0, 0],
    ['2/1', '2/1', '2/1'],
  ])
})

test('InitializeObjectAttributes fills the struct from a JavaScript string or a UNICODE_STRING', async () => {
  const seen = await onMachine(async () => {
    const attributes = allocateStruct(OBJECT_ATTRIBUTES, 'Test') as OBJECT_ATTRIBUTES
    InitializeObjectAttributes(attributes, `${IN}struct`, KERNEL, null, null)
    const made = createEvent(attributes)
    const found = openEvent({ ObjectName: `${IN}struct` })
    attributes.Length = 4
    const wrongLength = createEvent(attributes).status
    InitializeObjectAttributes(attributes, attributes.NameStorage, ANY_CASE, null, null)
    const again = openEvent(attributes)
    await close(made.handle, found.handle, again.handle)
    free(attributes.address)
    return [made.status, found.status, wrongLength, again.status]
  })
  expect(seen).toEqual([0, 0, S.STATUS_INVALID_PARAMETER, 0])
})

// Facts: wdm-facts §13.4 [WINE dlls/ntdll/tests/om.c; KMT ntos_ob/ObInsert.c].
const NAMES: [string, string, number][] = [
  ['no leading backslash', 'X', S.STATUS_OBJECT_PATH_SYNTAX_BAD],
  ['a trailing backslash after a directory', '\\BaseNamedObjects\\', S.STATUS_OBJECT_NAME_INVALID],
  ['a doubled leading backslash', '\\\\BaseNamedObjects\\X', S.STATUS_OBJECT_NAME_INVALID],
  ['a missing directory', `${IN}missing\\X`, S.STATUS_OBJECT_PATH_NOT_FOUND],
  ['a missing directory and nothing behind', `${IN}missing\\`, S.STATUS_OBJECT_PATH_NOT_FOUND],
  ['65534 bytes', IN.padEnd(32767, 'x'), S.STATUS_OBJECT_NAME_INVALID],
  ['65532 bytes', IN.padEnd(32766, 'x'), S.STATUS_SUCCESS],
  ['the root', '\\', S.STATUS_OBJECT_NAME_COLLISION],
  ['a directory', '\\BaseNamedObjects', S.STATUS_OBJECT_TYPE_MISMATCH],
]
test.each(NAMES)('ZwCreateEvent with %s as its name', async (_what, ObjectName, expected) => {
  const seen = await onMachine(async () => {
    const { status, handle } = createEvent({ ObjectName })
    await close(handle)
    return status
  })
  expect(seen).toBe(expected)
})

test('ZwCreateEvent with a name of odd Length is STATUS_OBJECT_NAME_INVALID', async () => {
  const seen = await onMachine(() => {
    const name = allocateStruct(UNICODE_STRING, 'Test') as UNICODE_STRING
    name.Length = 5
    const { status } = createEvent({ ObjectName: name })
    free(name.address)
    return status
  })
  expect(seen).toBe(S.STATUS_OBJECT_NAME_INVALID)
})

test('ZwOpenDirectoryObject gives a handle that names are relative to', async () => {
  const seen = await onMachine(async () => {
    const [directory, link] = [box<number>(), box<number>()]
    ZwOpenDirectoryObject(directory, 0xf000f, { ObjectName: '\\BaseNamedObjects' })
    ZwOpenSymbolicLinkObject(link, 1, { ObjectName: `${IN}Global` })
    const RootDirectory = directory.value
    const made = createEvent({ ObjectName: 'relative', RootDirectory })
    const found = openEvent({ ObjectName: `${IN}relative` })
    const statuses = [
      made.status,
      found.status,
      createEvent({ ObjectName: '\\X', RootDirectory }).status,
      createEvent({ ObjectName: null, RootDirectory }).status,
      createEvent({ ObjectName: 'X', RootDirectory: link.value }).status,
    ]
    await close(made.handle, found.handle, directory.value, link.value)
    return statuses
  })
  const { STATUS_OBJECT_PATH_SYNTAX_BAD: bad, STATUS_OBJECT_NAME_INVALID: invalid } = S
  expect(seen).toEqual([0, 0, bad, invalid, S.STATUS_OBJECT_TYPE_MISMATCH])
})

test('names differ by case unless OBJ_CASE_INSENSITIVE [WINE om.c]', async () => {
  const seen = await onMachine(async () => {
    const [lower, upper] = [createEvent({ ObjectName: `${IN}tést` }), createEvent({ ObjectName: `${IN}TÉST` })]
    const folded = openEvent({ ObjectName: `${IN}TéST`, Attributes: ANY_CASE })
    const exact = openEvent({ ObjectName: `${IN}TéST` })
    await close(lower.handle, upper.handle, folded.handle, exact.handle)
    return [lower.status, upper.status, folded.status, exact.status]
  })
  expect(seen).toEqual([0, 0, 0, S.STATUS_OBJECT_NAME_NOT_FOUND])
})

test('a symbolic link is followed with what is left of the path; Global\\X is \\BaseNamedObjects\\X', async () => {
  const seen = await onMachine(async () => {
    const event = createEvent({ ObjectName: `${IN}bus` })
    const [link, loop] = [box<number>(), box<number>()]
    ZwCreateSymbolicLinkObject(link, 1, { ObjectName: `${IN}chain` }, '\\BaseNamedObjects\\Global\\')
    ZwCreateSymbolicLinkObject(loop, 1, { ObjectName: `${IN}loop` }, `${IN}loop`)
    const found = [`${IN}Global\\bus`, `${IN}chain\\Local\\bus`].map((ObjectName) => openEvent({ ObjectName }))
    const endless = openEvent({ ObjectName: `${IN}loop` })
    const below = openEvent({ ObjectName: `${IN}bus\\X` })
    await close(event.handle, link.value, loop.value, ...found.map(({ handle }) => handle))
    return [...found.map(({ status }) => status), endless.status, below.status]
  })
  expect(seen).toEqual([0, 0, S.STATUS_OBJECT_NAME_NOT_FOUND, S.STATUS_OBJECT_TYPE_MISMATCH])
})

test('ZwOpenSymbolicLinkObject opens the link itself; what is made in \\DosDevices is in \\??', async () => {
  const seen = await onMachine(async () => {
    const [made, opened] = [box<number>(), box<number>()]
    const statuses = [
      ZwCreateSymbolicLinkObject(made, 0xf0001, { ObjectName: '\\DosDevices\\Foo0' }, '\\Device\\Foo0'),
      ZwOpenSymbolicLinkObject(opened, 1, { ObjectName: '\\??\\Foo0' }),
      ZwCreateSymbolicLinkObject(box(), 1, { ObjectName: '\\??\\Foo1' }, ''),
    ]
    await close(made.value, opened.value)
    return statuses
  })
  expect(seen).toEqual([0, 0, S.STATUS_INVALID_PARAMETER])
})

// Facts: wdm-facts §13.5 [KMT ntos_ob/ObSymbolicLink.c; WINE om.c].
test('ZwQuerySymbolicLinkObject needs room for a NUL only where it returns a length', async () => {
  const seen = await onMachine(async () => {
    const link = box<number>()
    ZwCreateSymbolicLinkObject(link, 1, { ObjectName: '\\??\\Foo0' }, '\\Device\\Foo')
    const target = allocateStruct(UNICODE_STRING, 'Test') as UNICODE_STRING
    const buffer = allocate(64, 'Test')
    const query = (bytes: number, hasLength: boolean, Buffer = buffer) => {
      Object.assign(target, { Length: 0, MaximumLength: bytes, Buffer })
      const length = box<number>()
      const status = ZwQuerySymbolicLinkObject(link.value, target, hasLength ? length : null)
      return [status, length.value, textOf(target)]
    }
    const results = [query(22, false), query(22, true), query(24, true), query(64, true, 0), query(20, false)]
    await close(link.value)
    free(buffer)
    free(target.address)
    return results
  })
  expect(seen).toEqual([
    [0, undefined, '\\Device\\Foo'],
    [S.STATUS_BUFFER_TOO_SMALL, 24, ''],
    [0, 24, '\\Device\\Foo'],
    [S.STATUS_BUFFER_TOO_SMALL, 24, ''],
    [S.STATUS_BUFFER_TOO_SMALL, undefined, ''],
  ])
})

test('ZwMakeTemporaryObject lets a permanent object lose its name with its last handle, and changes no count [KMT, WINE]', async () => {
  const seen = await onMachine(async () => {
    const ObjectName = `${IN}kept`
    const made = createEvent({ ObjectName, Attributes: PERMANENT })
    await close(made.handle)
    const kept = openEvent({ ObjectName, Attributes: PERMANENT })
    const counted = counts(kept.handle)
    const statuses = [ZwMakeTemporaryObject(kept.handle), ZwMakeTemporaryObject(kept.handle)]
    const unchanged = counts(kept.handle)
    await close(kept.handle)
    const gone = openEvent({ ObjectName }).status
    const openedOnly = createEvent({ ObjectName })
    const permanentOpen = openEvent({ ObjectName, Attributes: PERMANENT })
    await close(openedOnly.handle, permanentOpen.handle)
    return { statuses, counted, unchanged, gone, after: openEvent({ ObjectName }).status }
  })
  const gone = S.STATUS_OBJECT_NAME_NOT_FOUND
  expect(seen).toEqual({ statuses: [0, 0], counted: '3/1', unchanged: '3/1', gone, after: gone })
})

test('ObMakeTemporaryObject takes the name that ZwMakePermanentObject kept without handles', async () => {
  const seen = await onMachine(async () => {
    const ObjectName = `${IN}kept`
    const { handle } = createEvent({ ObjectName })
    const status = ZwMakePermanentObject(handle)
    const { object } = referenceByHandle(handle, 0, null, 0)
    await close(handle)
    const found = openEvent({ ObjectName })
    await close(found.handle)
    ObMakeTemporaryObject({ address: object })
    const gone = openEvent({ ObjectName }).status
    dereferenceObject(object)
    return [status, found.status, gone]
  })
  expect(seen).toEqual([0, 0, S.STATUS_OBJECT_NAME_NOT_FOUND])
})

test('a name can be made anew while somebody holds a pointer to the object that had it', async () => {
  const seen = await onMachine(async () => {
    const ObjectName = `${IN}again`
    const first = createEvent({ ObjectName })
    const { object } = referenceByHandle(first.handle, 0, null, 0)
    await close(first.handle)
    const second = createEvent({ ObjectName })
    const other = referenceByHandle(second.handle, 0, null, 0)
    const isNew = other.object !== object
    dereferenceObject(other.object)
    dereferenceObject(object)
    await close(second.handle)
    return [second.status, isNew]
  })
  expect(seen).toEqual([0, true])
})

test('ZwCreateDirectoryObject makes a directory that holds 100,000 names and finds them', async () => {
  const seen = await onMachine(
    async () => {
      const directory = box<number>()
      ZwCreateDirectoryObject(directory, 0xf000f, { ObjectName: '\\many' })
      const RootDirectory = directory.value
      const made = []
      for (let n = 0; n < 100_000; n++) made.push(createEvent({ ObjectName: `event-${n}`, RootDirectory }).handle)
      const found = [0, 50_000, 99_999].map((n) => openEvent({ ObjectName: `\\many\\event-${n}` }))
      const statuses = found.map(({ status }) => status)
      await close(...made, ...found.map(({ handle }) => handle))
      const gone = openEvent({ ObjectName: '\\many\\event-7' }).status
      await close(directory.value)
      return [...statuses, gone]
    },
    { memory: 256 << 20 },
  )
  expect(seen).toEqual([0, 0, 0, S.STATUS_OBJECT_NAME_NOT_FOUND])
})

test('ZwQueryDirectoryObject lists names and types, all at once or one by one', async () => {
  const seen = await onMachine(async () => {
    const directory = box<number>()
    ZwCreateDirectoryObject(directory, 0xf000f, { ObjectName: '\\listed' })
    const event = createEvent({ ObjectName: '\\listed\\alpha' })
    const mutant = box<number>()
    ZwCreateMutant(mutant, 0x1f0001, { ObjectName: '\\listed\\beta' }, false)
    const Buffer = { address: allocate(512, 'Test') }
    const Context = { value: 0 }
    const list = (ReturnSingleEntry: boolean, RestartScan: boolean, Length = 512) => {
      const rest = { Buffer, Length, Context, ReturnLength: null }
      const status = ZwQueryDirectoryObject({
        DirectoryHandle: directory.value,
        ReturnSingleEntry,
        RestartScan,
        ...rest,
      })
      const entries = []
      for (let at = Buffer.address; status >= 0; at += OBJECT_DIRECTORY_INFORMATION.size) {
        const entry = new OBJECT_DIRECTORY_INFORMATION(at)
        if (entry.Name.Buffer === 0) break
        entries.push(`${textOf(entry.Name)}: ${textOf(entry.TypeName)}`)
      }
      return { status, entries: entries.sort() }
    }
    const all = list(false, true)
    const [first, second, third] = [list(true, true), list(true, false), list(true, false)]
    const small = list(true, true, 20).status
    free(Buffer.address)
    await close(event.handle, mutant.value, directory.value)
    return { all, each: [...first.entries, ...second.entries].sort(), third: third.status, small }
  })
  const entries = ['alpha: Event', 'beta: Mutant']
  expect(seen).toEqual({
    all: { status: 0, entries },
    each: entries,
    third: S.STATUS_NO_MORE_ENTRIES,
    small: S.STATUS_BUFFER_TOO_SMALL,
  })
})

// Facts: wdm-facts §2 [WINE driver.c], §13.5 [KMT ntos_ob/ObQuery.c].
test('ObQueryNameString tells the full name, and nothing of a nameless object [WINE driver.c; KMT ntos_ob/ObQuery.c]', async () => {
  const seen = await onMachine(async () => {
    const named = createEvent({ ObjectName: `${IN}Global\\named` })
    const nameless = createEvent(null)
    const buffer = allocateStruct(OBJECT_NAME_INFORMATION, 'Test')
    const room = { address: allocate(256, 'Test') }
    const ask = (handle: number, length: number) => {
      const { object } = referenceByHandle(handle, 0, null, 0)
      const needed = box<number>()
      const status = ObQueryNameString({ address: object }, new OBJECT_NAME_INFORMATION(room.address), length, needed)
      const name = status === 0 ? textOf(new OBJECT_NAME_INFORMATION(room.address).Name) : null
      const byHandle = ZwQueryObject(handle, ObjectNameInformation, room, length, null)
      dereferenceObject(object)
      return [status, needed.value, name, byHandle === status]
    }
    const results = [ask(named.handle, 256), ask(named.handle, 0), ask(named.handle, 8), ask(nameless.handle, 256)]
    const type = ZwQueryObject(named.handle, ObjectTypeInformation, room, 256, null)
    results.push([type, textOf(new OBJECT_NAME_INFORMATION(room.address).Name)])
    results.push([ZwQueryObject(named.handle, 0, room, 0, null), ZwQueryObject(named.handle, 99, room, 8, null)])
    free(room.address)
    if (buffer !== null) free(buffer.address)
    await close(named.handle, nameless.handle)
    return results
  })
  const full = '\\BaseNamedObjects\\named'
  const needed = 8 + 2 * full.length + 2
  expect(seen).toEqual([
    [0, needed, full, true],
    [S.STATUS_INFO_LENGTH_MISMATCH, needed, null, true],
    [S.STATUS_BUFFER_OVERFLOW, needed, null, true],
    [0, 8, '', true],
    [0, 'Event'],
    [S.STATUS_INFO_LENGTH_MISMATCH, S.STATUS_INVALID_INFO_CLASS],
  ])
})

test('a directory that lost its name keeps the objects in it alive, which have no full name then', async () => {
  await onMachine(async () => {
    const directory = box<number>()
    ZwCreateDirectoryObject(directory, 0xf000f, { ObjectName: '\\brief' })
    const event = createEvent({ ObjectName: '\\brief\\X' })
    await close(directory.value)
    expect(openEvent({ ObjectName: '\\brief\\X' }).status).toBe(S.STATUS_OBJECT_PATH_NOT_FOUND)
    expect(counts(event.handle)).toBe('3/1')
    await close(event.handle)
  })
})

test('there are the directories that drivers expect', async () => {
  const seen = await onMachine(async () => {
    const names = [
      '\\',
      '\\Device',
      '\\Driver',
      '\\Callback',
      '\\KernelObjects',
      '\\ObjectTypes',
      '\\??',
      '\\DosDevices',
    ]
    const statuses = []
    for (const ObjectName of [...names, '\\BaseNamedObjects\\Local']) {
      const handle = box<number>()
      statuses.push(ZwOpenDirectoryObject(handle, 1, { ObjectName }))
      await close(handle.value)
    }
    return statuses
  })
  expect(seen).toEqual(Array(9).fill(0))
})

test('ZwMakePermanentObject keeps the name of an event that nobody has open', async () => {
  const seen = await onMachine(async () => {
    const ObjectName = `${IN}kept`
    const made = createEvent({ ObjectName })
    ZwMakePermanentObject(made.handle)
    await close(made.handle)
    const found = openEvent({ ObjectName })
    ZwMakeTemporaryObject(found.handle)
    await close(found.handle)
    return found.status
  })
  expect(seen).toBe(0)
})

test('ZwQueryObject wants the exact length of OBJECT_BASIC_INFORMATION, and tells it', async () => {
  const seen = await onMachine(async () => {
    const { handle } = createEvent({ ObjectName: `${IN}asked`, Attributes: PERMANENT })
    const needed = box<number>()
    const status = ZwQueryObject(handle, 0, null, 0, needed)
    const { Attributes, GrantedAccess } = basic(handle)
    ZwMakeTemporaryObject(handle)
    await close(handle)
    return [status, needed.value, Attributes, GrantedAccess, ZwQueryObject(handle, 0, null, 0, null)]
  })
  const { STATUS_INFO_LENGTH_MISMATCH: mismatch, STATUS_INVALID_HANDLE: invalid } = S
  expect(seen).toEqual([mismatch, 56, 0x10, 0x1f0003, invalid])
})

test('ZwCreateSymbolicLinkObject without a target is STATUS_INVALID_PARAMETER', async () => {
  const seen = await onMachine(() => ZwCreateSymbolicLinkObject(box(), 1, { ObjectName: '\\??\\Foo1' }, ''))
  expect(seen).toBe(S.STATUS_INVALID_PARAMETER)
})
