import { expect, test } from 'vitest'
import { KTHREAD } from '../../../kernel/ke/layouts.ts'
import { KeWaitForSingleObject } from '../../../kernel/ke/wait.ts'
import { currentThread } from '../../../kernel/ke/thread.ts'
import { ExEventObjectType } from '../../../kernel/ob/event.ts'
import { NtCurrentProcess, ObReferenceObjectByHandle, ZwClose } from '../../../kernel/ob/handle.ts'
import { ObDereferenceObject } from '../../../kernel/ob/reference.ts'
import { ZwWaitForSingleObject } from '../../../kernel/ob/wait.ts'
import { KeQueryPriorityThread, KeSetBasePriorityThread, KeSetPriorityThread } from '../../../kernel/ps/priority.ts'
import {
  IoGetCurrentProcess,
  PsGetCurrentProcess,
  PsGetCurrentProcessId,
  PsGetProcessId,
  PsInitialSystemProcess,
} from '../../../kernel/ps/process.ts'
import {
  type CLIENT_ID,
  KeGetCurrentThread,
  PsCreateSystemThread,
  PsGetCurrentThread,
  PsGetCurrentThreadId,
  PsGetThreadId,
  PsIsSystemThread,
  PsTerminateSystemThread,
  PsThreadType,
} from '../../../kernel/ps/thread.ts'
import * as S from '../../../kernel/rtl/status.ts'
import { box, counts, onMachine } from '../ob/machine.ts'

interface Start {
  processor?: number
  context?: any
  processHandle?: number | null
}

function create(body: (context: any) => unknown, { processor, context = null, processHandle = null }: Start = {}) {
  const ThreadHandle = box<number>()
  const ClientId = box<CLIENT_ID>()
  const status = PsCreateSystemThread({
    ThreadHandle,
    DesiredAccess: 0x1fffff,
    ObjectAttributes: processor === undefined ? { Attributes: 0x200 } : { Attributes: 0x200, Processor: processor },
    ProcessHandle: processHandle,
    ClientId,
    StartRoutine: async (given) => void (await body(given)),
    StartContext: context,
  })
  return { status, handle: ThreadHandle.value, client: ClientId.value }
}

const threadOf = (handle: number): KTHREAD => {
  const object = box<KTHREAD | null>()
  ObReferenceObjectByHandle({
    Handle: handle,
    DesiredAccess: 0,
    ObjectType: PsThreadType,
    AccessMode: 0,
    Object: object,
  })
  return object.value as KTHREAD
}

test('PsCreateSystemThread runs the routine with its context on a thread of the System process', async () => {
  const seen = await onMachine(async () => {
    const inside: any[] = []
    const { status, handle, client } = create(
      (context) =>
        inside.push(context, PsGetCurrentThreadId(), PsIsSystemThread(PsGetCurrentThread()), PsGetCurrentProcessId()),
      { context: 42 },
    )
    const before = inside.length
    const waited = await ZwWaitForSingleObject(handle, false, null)
    await ZwClose(handle)
    return { status, before, waited, inside, client }
  })
  const { client } = seen
  expect(seen).toEqual({
    status: 0,
    before: 0,
    waited: 0,
    inside: [42, client.UniqueThread, true, client.UniqueProcess],
    client,
  })
})

test('PsCreateSystemThread gives a handle whose object is the KTHREAD: signalled for ever once it has ended', async () => {
  const seen = await onMachine(async () => {
    let inside = 0
    const { handle } = create(() => {
      inside = KeGetCurrentThread().address
    })
    const thread = threadOf(handle)
    const waits = [
      await KeWaitForSingleObject(thread, 0, 0, false, null),
      await KeWaitForSingleObject(thread, 0, 0, false, 0),
    ]
    const mismatch = ObReferenceObjectByHandle({
      Handle: handle,
      DesiredAccess: 0,
      ObjectType: ExEventObjectType,
      AccessMode: 0,
      Object: box(),
    })
    const isSame = inside === thread.address
    await ZwClose(handle)
    ObDereferenceObject(thread)
    return { waits, mismatch, isSame }
  })
  expect(seen).toEqual({ waits: [0, 0], mismatch: S.STATUS_OBJECT_TYPE_MISMATCH, isSame: true })
})

test('a thread holds a reference to itself while it runs, and is freed when handle and thread are gone', async () => {
  const seen = await onMachine(async () => {
    const { handle } = create(() => {})
    const running = counts(handle)
    await ZwWaitForSingleObject(handle, false, null)
    const ended = counts(handle)
    await ZwClose(handle)
    const detached = create(() => {})
    await ZwClose(detached.handle)
    return { running, ended }
  })
  expect(seen).toEqual({ running: '3/1', ended: '2/1' })
})

test('PsTerminateSystemThread ends the thread with its status, from nested calls too', async () => {
  const seen = await onMachine(async () => {
    let isBehind = false
    const nested = async () => {
      await KeWaitForSingleObject(KeGetCurrentThread(), 0, 0, false, -10_000)
      PsTerminateSystemThread(S.STATUS_CANCELLED)
      isBehind = true
    }
    const { handle } = create(nested)
    const thread = threadOf(handle)
    await ZwWaitForSingleObject(handle, false, null)
    const { ExitStatus } = thread
    ObDereferenceObject(thread)
    await ZwClose(handle)
    return { ExitStatus, isBehind }
  })
  expect(seen).toEqual({ ExitStatus: S.STATUS_CANCELLED, isBehind: false })
})

test('PsCreateSystemThread checks processor and process handle', async () => {
  const seen = await onMachine(() => [
    create(() => {}, { processor: 1 }).status,
    create(() => {}, { processHandle: 0x80000ff0 }).status,
  ])
  expect(seen).toEqual([S.STATUS_INVALID_PARAMETER, S.STATUS_INVALID_HANDLE])
})

test('PsCreateSystemThread takes the current process by NtCurrentProcess', async () => {
  const seen = await onMachine(async () => {
    const { status, handle } = create(() => {}, { processHandle: NtCurrentProcess(), processor: 0 })
    await ZwWaitForSingleObject(handle, false, null)
    await ZwClose(handle)
    return status
  })
  expect(seen).toBe(0)
})

test('PsGetCurrentThread stays right across awaits of several threads, PsGetThreadId tells them apart', async () => {
  const seen = await onMachine(async () => {
    const ids: boolean[] = []
    const threads = Array.from({ length: 3 }, () =>
      create(async () => {
        const before = PsGetCurrentThread().address
        await KeWaitForSingleObject(PsGetCurrentThread(), 0, 0, false, -10_000)
        ids.push(before === currentThread() && PsGetThreadId(PsGetCurrentThread()) === PsGetCurrentThreadId())
      }),
    )
    for (const { handle } of threads) await ZwWaitForSingleObject(handle, false, null)
    for (const { handle } of threads) await ZwClose(handle)
    return { ids, different: new Set(threads.map(({ client }) => client.UniqueThread)).size }
  })
  expect(seen).toEqual({ ids: [true, true, true], different: 3 })
})

test('PsInitialSystemProcess is the process of a system thread', async () => {
  const seen = await onMachine(() => {
    const process = PsGetCurrentProcess()
    return [process.address === PsInitialSystemProcess().address, PsGetProcessId(process) === PsGetCurrentProcessId()]
  })
  expect(seen).toEqual([true, true])
})

test('KeSetBasePriorityThread returns the increment before, KeSetPriorityThread the priority', async () => {
  const seen = await onMachine(() => {
    const thread = KeGetCurrentThread()
    return [
      KeQueryPriorityThread(thread),
      KeSetPriorityThread(thread, 16),
      KeQueryPriorityThread(thread),
      KeSetPriorityThread(thread, 8),
      KeSetBasePriorityThread(thread, 2),
      KeSetBasePriorityThread(thread, 0),
      KeQueryPriorityThread(thread),
    ]
  })
  expect(seen).toEqual([8, 8, 16, 16, 0, 2, 8])
})

test('KeSetPriorityThread moves a ready thread before those of lower priority', async () => {
  const seen = await onMachine(async () => {
    const order: string[] = []
    const threads = ['first', 'second', 'third'].map((name) => create(() => order.push(name)))
    const second = threadOf((threads[1] as { handle: number }).handle)
    KeSetPriorityThread(second, 12)
    for (const { handle } of threads) await ZwWaitForSingleObject(handle, false, null)
    for (const { handle } of threads) await ZwClose(handle)
    ObDereferenceObject(second)
    return order
  })
  expect(seen).toEqual(['second', 'first', 'third'])
})

test('PsCreateSystemThread leaves nothing behind after a thousand threads', async () => {
  await onMachine(async () => {
    for (let n = 0; n < 1000; n++) {
      const { handle } = create(() => {})
      await ZwWaitForSingleObject(handle, false, null)
      await ZwClose(handle)
    }
  })
})

test('KeGetCurrentThread and PsGetCurrentThread are one thread', async () => {
  expect(await onMachine(() => KeGetCurrentThread().address === PsGetCurrentThread().address)).toBe(true)
})

test('KeQueryPriorityThread is 8 for a thread that says nothing else', async () => {
  expect(await onMachine(() => KeQueryPriorityThread(KeGetCurrentThread()))).toBe(8)
})

test('PsGetCurrentThreadId is PsGetThreadId of the current thread', async () => {
  expect(await onMachine(() => PsGetCurrentThreadId() === PsGetThreadId(KeGetCurrentThread()))).toBe(true)
})

test('PsGetThreadId is what ClientId said', async () => {
  const seen = await onMachine(async () => {
    const { handle, client } = create(() => {})
    const thread = threadOf(handle)
    const isSame = PsGetThreadId(thread) === client.UniqueThread
    ObDereferenceObject(thread)
    await ZwWaitForSingleObject(handle, false, null)
    await ZwClose(handle)
    return isSame
  })
  expect(seen).toBe(true)
})

test('PsGetCurrentProcess is IoGetCurrentProcess', async () => {
  expect(await onMachine(() => PsGetCurrentProcess().address === IoGetCurrentProcess().address)).toBe(true)
})

test('IoGetCurrentProcess is the System process on a system thread', async () => {
  expect(await onMachine(() => IoGetCurrentProcess().address === PsInitialSystemProcess().address)).toBe(true)
})

test('PsGetCurrentProcessId is PsGetProcessId of the current process', async () => {
  expect(await onMachine(() => PsGetCurrentProcessId() === PsGetProcessId(PsGetCurrentProcess()))).toBe(true)
})

test('PsGetProcessId is not 0', async () => {
  expect(await onMachine(() => PsGetProcessId(PsInitialSystemProcess()))).toBeGreaterThan(0)
})

test('PsIsSystemThread is true on a thread that PsCreateSystemThread made', async () => {
  const seen = await onMachine(async () => {
    const inside: boolean[] = []
    const { handle } = create(() => inside.push(PsIsSystemThread(KeGetCurrentThread())))
    await ZwWaitForSingleObject(handle, false, null)
    await ZwClose(handle)
    return inside
  })
  expect(seen).toEqual([true])
})
