import { expect, test } from 'vitest'
import { KernelMode, UserMode } from '../../../kernel/ke/wait.ts'
import { currentThread } from '../../../kernel/ke/thread.ts'
import { KTHREAD } from '../../../kernel/ke/layouts.ts'
import { write32 } from '../../../kernel/mm/access.ts'
import { duplicateHandle, ZwDuplicateObject } from '../../../kernel/ob/duplicate.ts'
import {
  createEvent,
  EVENT_ALL_ACCESS,
  ExEventObjectType,
  ZwCreateEvent,
  ZwSetEvent,
} from '../../../kernel/ob/event.ts'
import {
  closeHandle,
  NtCurrentProcess,
  NtCurrentThread,
  ObCloseHandle,
  ObReferenceObjectByHandle,
  referenceByHandle,
  ZwClose,
  ZwCurrentProcess,
  ZwCurrentThread,
} from '../../../kernel/ob/handle.ts'
import { directoryType } from '../../../kernel/ob/directory.ts'
import { ObGetObjectType } from '../../../kernel/ob/open.ts'
import { openWithHandle } from '../../../kernel/ob/services.ts'
import {
  OBJECT_HANDLE_FLAG_INFORMATION,
  ObIsKernelHandle,
  ObjectHandleFlagInformation,
  ZwSetInformationObject,
} from '../../../kernel/ob/query.ts'
import { ObDereferenceObject, ObReferenceObject, dereferenceObject } from '../../../kernel/ob/reference.ts'
import { allocateStruct, free } from '../../../kernel/mm/pool.ts'
import { createProcess, exitProcess } from '../../../kernel/ps/process.ts'
import * as status from '../../../kernel/rtl/status.ts'
import { basic, box, counts, onMachine } from './machine.ts'

const KERNEL = 0x200

function newHandle(attributes = KERNEL, access = EVENT_ALL_ACCESS): number {
  const handle = box<number>()
  ZwCreateEvent(handle, access, { Attributes: attributes }, 0, false)
  return handle.value
}

/** Runs `body` on a thread of another process, and ends that process. */
async function inProcess<T>(body: (process: number) => T | Promise<T>): Promise<T> {
  const process = createProcess('test.exe')
  const field = currentThread() + KTHREAD.offsets.Process
  write32(field, process)
  try {
    return await body(process)
  } finally {
    write32(field, 0)
    await exitProcess(process)
    dereferenceObject(process)
  }
}

test('ObIsKernelHandle tells a handle made with OBJ_KERNEL_HANDLE: its top bit is set [KMT ntos_ob/ObHandle.c @35242bd4]', async () => {
  const seen = await onMachine(async () => {
    const handles = [newHandle(KERNEL), newHandle(0)]
    const kinds = handles.map((handle) => [ObIsKernelHandle(handle), handle >= 0x80000000])
    for (const handle of handles) await ZwClose(handle)
    return kinds
  })
  expect(seen).toEqual([
    [true, true],
    [false, false],
  ])
})

test('ObReferenceObjectByHandle checks handle, type and access [WINE dlls/ntoskrnl.exe/tests/driver.c]', async () => {
  const seen = await onMachine(() =>
    inProcess(async () => {
      const user = newHandle(0, 0x100001)
      const kernel = newHandle()
      const look = (Handle: number, DesiredAccess: number, ObjectType: any, AccessMode: number) => {
        const object = box<any>()
        const result = ObReferenceObjectByHandle({ Handle, DesiredAccess, ObjectType, AccessMode, Object: object })
        if (object.value !== null) ObDereferenceObject(object.value)
        return result
      }
      const results = [
        look(0, 0, ExEventObjectType, KernelMode),
        look(user, 0, directoryType, KernelMode),
        look(user, 0, null, KernelMode),
        look(user, 2, ExEventObjectType, UserMode),
        look(user, 2, ExEventObjectType, KernelMode),
        look(user, 1, ExEventObjectType, UserMode),
        look(kernel, 1, ExEventObjectType, UserMode),
        look(0x7fff0, 1, ExEventObjectType, KernelMode),
      ]
      await ZwClose(user)
      await ZwClose(kernel)
      return results
    }),
  )
  const { STATUS_INVALID_HANDLE: invalid, STATUS_ACCESS_DENIED: denied } = status
  expect(seen).toEqual([invalid, status.STATUS_OBJECT_TYPE_MISMATCH, 0, denied, 0, 0, invalid, invalid])
})

test('ObCloseHandle of a kernel handle in UserMode leaves it open [KMT ObHandle.c]', async () => {
  const seen = await onMachine(async () => {
    const handle = newHandle()
    const results = [await ObCloseHandle(handle, UserMode), counts(handle), await ObCloseHandle(handle, KernelMode)]
    return results
  })
  expect(seen).toEqual([status.STATUS_INVALID_HANDLE, '2/1', 0])
})

const CLOSES: [string, number, number][] = [
  ['NULL', 0, status.STATUS_INVALID_HANDLE],
  ['0x80000000', 0x80000000, status.STATUS_INVALID_HANDLE],
  ['-1', -1, 0],
]
test.each(CLOSES)('ZwClose of %s is no bug check [KMT ObHandle.c, Windows 10]', async (_name, handle, expected) => {
  expect(await onMachine(() => ZwClose(handle))).toBe(expected)
})

test.each([0x7fffffff, 123, 0x8000007b])(
  'ZwClose of %i is bug check INVALID_KERNEL_HANDLE [KMT ObHandle.c]',
  async (handle) => {
    const run = onMachine(() => ZwClose(handle))
    await expect(run).rejects.toMatchObject({ code: 0x93, parameters: [handle, 1, 0, 0] })
  },
)

test('ZwClose twice is bug check INVALID_KERNEL_HANDLE', async () => {
  const run = onMachine(async () => {
    const handle = newHandle()
    await ZwClose(handle)
    await ZwClose(handle)
  })
  await expect(run).rejects.toMatchObject({ code: 0x93 })
})

test('ObCloseHandle of a bad user handle in UserMode returns STATUS_INVALID_HANDLE', async () => {
  expect(await onMachine(() => ObCloseHandle(124, UserMode))).toBe(status.STATUS_INVALID_HANDLE)
})

test('ZwSetInformationObject protects a handle from being closed: 0x93 in kernel mode, a status in user mode', async () => {
  const run = onMachine(async () => {
    const handle = newHandle(0)
    const flags = allocateStruct(OBJECT_HANDLE_FLAG_INFORMATION, 'Test') as OBJECT_HANDLE_FLAG_INFORMATION
    flags.ProtectFromClose = 1
    expect(ZwSetInformationObject(handle, ObjectHandleFlagInformation, flags, 2)).toBe(0)
    expect(basic(handle).Attributes).toBe(1)
    expect(await ObCloseHandle(handle, UserMode)).toBe(status.STATUS_HANDLE_NOT_CLOSABLE)
    await ZwClose(handle)
  })
  await expect(run).rejects.toMatchObject({ code: 0x93, parameters: [4, 0, 0, 0] })
})

test('a user handle is valid in its process only, and is closed when the process ends', async () => {
  const seen = await onMachine(async () => {
    const object = box<any>()
    const handle = await inProcess(async () => {
      const made = newHandle(0)
      ObReferenceObjectByHandle({
        Handle: made,
        DesiredAccess: 0,
        ObjectType: null,
        AccessMode: UserMode,
        Object: object,
      })
      return made
    })
    const elsewhere = referenceByHandle(handle, 0, ExEventObjectType, UserMode).status
    const left = ObReferenceObject(object.value)
    ObDereferenceObject(object.value)
    ObDereferenceObject(object.value)
    return [elsewhere, left]
  })
  expect(seen).toEqual([status.STATUS_INVALID_HANDLE, 2])
})

test('a handle value is not used again at once', async () => {
  const seen = await onMachine(async () => {
    const handles = []
    for (let n = 0; n < 20; n++) {
      handles.push(newHandle())
      await ZwClose(handles.at(-1) as number)
    }
    return new Set(handles).size
  })
  expect(seen).toBe(20)
})

test('ten thousand handles are made, found and closed, in a table that reuses entries', async () => {
  const seen = await onMachine(async () => {
    const handles = Array.from({ length: 10_000 }, () => newHandle())
    const all = new Set(handles).size
    const found = handles.every((handle) => ZwSetEvent(handle, null) === 0)
    for (const handle of handles) await ZwClose(handle)
    const highest = Math.max(...handles)
    const again = Array.from({ length: 5_000 }, () => newHandle())
    const isReused = again.every((handle) => handle < highest + 4_000)
    for (const handle of again) await ZwClose(handle)
    return { all, found, isReused }
  })
  expect(seen).toEqual({ all: 10_000, found: true, isReused: true })
})

const DUPLICATES = [
  { options: 0, expected: { GrantedAccess: 2, Attributes: 2 } },
  { options: 2, expected: { GrantedAccess: 0x1f0003, Attributes: 2 } },
  { options: 4, expected: { GrantedAccess: 2, Attributes: 0 } },
  { options: 6, expected: { GrantedAccess: 0x1f0003, Attributes: 0 } },
]
test.each(DUPLICATES)('ZwDuplicateObject with options $options [KMT ObHandle.c]', async ({ options, expected }) => {
  const seen = await onMachine(async () => {
    const handle = newHandle()
    const copy = box<number>()
    const result = await ZwDuplicateObject({
      SourceProcessHandle: NtCurrentProcess(),
      SourceHandle: handle,
      TargetProcessHandle: NtCurrentProcess(),
      TargetHandle: copy,
      DesiredAccess: 2,
      HandleAttributes: 2,
      Options: options,
    })
    const { GrantedAccess, Attributes } = basic(copy.value)
    const counted = counts(handle)
    await ZwClose(copy.value)
    await ZwClose(handle)
    return { result, counted, GrantedAccess, Attributes }
  })
  expect(seen).toEqual({ result: 0, counted: '3/2', ...expected })
})

test('ZwDuplicateObject honours OBJ_KERNEL_HANDLE only where the target is the System process [KMT ObHandle.c]', async () => {
  const seen = await onMachine(async () => {
    const copyHere = async () => {
      const source = newHandle(0)
      const copy = box<number>()
      await duplicateHandle(
        {
          SourceProcessHandle: -1,
          SourceHandle: source,
          TargetProcessHandle: -1,
          TargetHandle: copy,
          DesiredAccess: 0,
          HandleAttributes: KERNEL,
          Options: 3,
        },
        KernelMode,
      )
      const isKernel = ObIsKernelHandle(copy.value)
      await ZwClose(copy.value)
      return isKernel
    }
    return [await copyHere(), await inProcess(copyHere)]
  })
  expect(seen).toEqual([true, false])
})

test('what the kernel makes under a name grants user mode what its type says, and its creator may say otherwise', async () => {
  const seen = await onMachine(async () => {
    const name = { ObjectName: '\\BaseNamedObjects\\bus', Attributes: KERNEL }
    const handle = box<number>()
    ZwCreateEvent(handle, EVENT_ALL_ACCESS, name, 1, true)
    const open = async (access: number) => {
      const opened = openWithHandle({ ObjectName: name.ObjectName }, ExEventObjectType, access, UserMode)
      if (opened.status === 0) await closeHandle(opened.handle, UserMode)
      return opened.status
    }
    const byDefault = [await open(0x100002), await open(EVENT_ALL_ACCESS), await open(0x02000000)]
    await ZwClose(handle.value)
    const { SECURITY_DESCRIPTOR } = await import('../../../kernel/ob/access.ts')
    const nobody = allocateStruct(SECURITY_DESCRIPTOR, 'Test') as InstanceType<typeof SECURITY_DESCRIPTOR>
    ZwCreateEvent(handle, EVENT_ALL_ACCESS, { ...name, SecurityDescriptor: nobody }, 1, true)
    const closed = await open(0x100000)
    await ZwClose(handle.value)
    free(nobody.address)
    const inRoot = createEvent({
      attributes: { ObjectName: '\\X' },
      access: 1,
      mode: UserMode,
      type: 0,
      state: 0,
    }).status
    return { byDefault, closed, inRoot }
  })
  const { STATUS_ACCESS_DENIED: denied } = status
  expect(seen).toEqual({ byDefault: [0, denied, 0], closed: denied, inRoot: denied })
})

/** Type of the object that a pseudo handle stands for. */
async function typeOf(current: () => number): Promise<string> {
  return await onMachine(() => {
    const object = box<any>()
    const rest = { DesiredAccess: 0, ObjectType: null, AccessMode: KernelMode, Object: object }
    expect(ObReferenceObjectByHandle({ Handle: current(), ...rest })).toBe(0)
    const { name } = ObGetObjectType(object.value)
    ObDereferenceObject(object.value)
    return name
  })
}

test('NtCurrentProcess stands for the current process', async () => {
  expect(await typeOf(NtCurrentProcess)).toBe('Process')
})

test('ZwCurrentProcess stands for the current process', async () => {
  expect(await typeOf(ZwCurrentProcess)).toBe('Process')
})

test('NtCurrentThread stands for the current thread', async () => {
  expect(await typeOf(NtCurrentThread)).toBe('Thread')
})

test('ZwCurrentThread stands for the current thread', async () => {
  expect(await typeOf(ZwCurrentThread)).toBe('Thread')
})
