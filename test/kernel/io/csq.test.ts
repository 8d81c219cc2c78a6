import { expect, test } from 'vitest'
import { IoCancelIrp } from '../../../kernel/io/cancel.ts'
import {
  IO_CSQ,
  IO_CSQ_IRP_CONTEXT,
  IoCsqInitialize,
  IoCsqInitializeEx,
  IoCsqInsertIrp,
  IoCsqInsertIrpEx,
  IoCsqRemoveIrp,
  IoCsqRemoveNextIrp,
} from '../../../kernel/io/csq.ts'
import { IoAllocateIrp, IoGetCurrentIrpStackLocation, IoSetNextIrpStackLocation } from '../../../kernel/io/irp.ts'
import { IRP, Irp } from '../../../kernel/io/layouts.ts'
import { KeAcquireSpinLock, KeReleaseSpinLock, KeTestSpinLock, KSPIN_LOCK } from '../../../kernel/ke/spinlock.ts'
import type { KIRQL, Out } from '../../../kernel/ke/level.ts'
import { allocateStruct } from '../../../kernel/mm/pool.ts'
import { firstEntry, initializeList, insertTail, isEmpty, LIST_ENTRY, removeEntry } from '../../../kernel/rtl/list.ts'
import { read32 } from '../../../kernel/mm/access.ts'
import {
  type NTSTATUS,
  STATUS_DEVICE_BUSY,
  STATUS_INVALID_PARAMETER,
  STATUS_SUCCESS,
} from '../../../kernel/rtl/status.ts'
import { containing, struct } from '../../../kernel/rtl/struct.ts'
import { onMachine } from '../ke/machine.ts'

const QUEUE = struct('CSQ_TEST_QUEUE', { Csq: IO_CSQ, Lock: KSPIN_LOCK, Head: LIST_ENTRY, Context: IO_CSQ_IRP_CONTEXT })
type QUEUE = InstanceType<typeof QUEUE>
const queueOf = (csq: IO_CSQ): QUEUE => containing(QUEUE, 'Csq', csq)

/** IRPs that CsqCompleteCanceledIrp got, with whether the queue's lock was free. */
const cancelled: [number, boolean][] = []

const CsqInsertIrp = (Csq: IO_CSQ, irp: IRP): void => insertTail(queueOf(Csq).Head.address, irp.address + Irp.ListEntry)
const routines = {
  CsqRemoveIrp: (_: IO_CSQ, irp: IRP) => void removeEntry(irp.address + Irp.ListEntry),
  CsqPeekNextIrp: (Csq: IO_CSQ, irp: IRP | null): IRP | null => {
    const head = queueOf(Csq).Head.address
    const next = irp === null ? firstEntry(head) : read32(irp.address + Irp.ListEntry)
    return next === 0 || next === head ? null : new IRP(next - Irp.ListEntry)
  },
  CsqAcquireLock: (Csq: IO_CSQ, Irql: Out<KIRQL>) => KeAcquireSpinLock(queueOf(Csq).Lock, Irql),
  CsqReleaseLock: (Csq: IO_CSQ, Irql: KIRQL) => KeReleaseSpinLock(queueOf(Csq).Lock, Irql),
  CsqCompleteCanceledIrp: (Csq: IO_CSQ, irp: IRP) =>
    void cancelled.push([irp.address, KeTestSpinLock(queueOf(Csq).Lock)]),
}

function newQueue(): QUEUE {
  cancelled.length = 0
  const queue = allocateStruct(QUEUE, 'Test') as QUEUE
  initializeList(queue.Head.address)
  IoCsqInitialize({ Csq: queue.Csq, CsqInsertIrp, ...routines })
  return queue
}

/** A queue whose insert routine refuses with `status`. */
function newQueueEx(insert: (irp: IRP, context: unknown) => NTSTATUS): QUEUE {
  const queue = newQueue()
  const CsqInsertIrpEx = (Csq: IO_CSQ, irp: IRP, context: unknown): NTSTATUS => {
    const status = insert(irp, context)
    if (status >= 0) CsqInsertIrp(Csq, irp)
    return status
  }
  IoCsqInitializeEx({ Csq: queue.Csq, CsqInsertIrp: CsqInsertIrpEx, ...routines })
  return queue
}

function newIrp(): IRP {
  const irp = IoAllocateIrp(1, false) as IRP
  IoSetNextIrpStackLocation(irp)
  return irp
}
const isPending = (irp: IRP): boolean => (IoGetCurrentIrpStackLocation(irp).Control & 1) !== 0

// wdm-facts §14.6
test('IoCsqInsertIrp queues the IRP, marks it pending and makes it cancellable', async () => {
  const seen = await onMachine(() => {
    const queue = newQueue()
    const irp = newIrp()
    IoCsqInsertIrp(queue.Csq, irp, null)
    return [isPending(irp), irp.CancelRoutine !== null, isEmpty(queue.Head.address)]
  })
  expect(seen).toEqual([true, true, false])
})

test('IoCsqInsertIrp of an IRP that is cancelled already completes it by CsqCompleteCanceledIrp', async () => {
  const seen = await onMachine(() => {
    const queue = newQueue()
    const irp = newIrp()
    IoCancelIrp(irp)
    IoCsqInsertIrp(queue.Csq, irp, queue.Context)
    return [cancelled.length, cancelled[0]?.[1], isEmpty(queue.Head.address), queue.Context.Irp]
  })
  expect(seen).toEqual([1, true, true, null])
})

test('IoCsqInsertIrpEx on a plain queue gives STATUS_SUCCESS', async () => {
  expect(await onMachine(() => IoCsqInsertIrpEx(newQueue().Csq, newIrp(), null, 5))).toBe(STATUS_SUCCESS)
})

test('IoCsqInsertIrpEx gives what the insert routine says, and a refused IRP is neither pending nor cancellable', async () => {
  const seen = await onMachine(() => {
    const queue = newQueueEx((_, context) => (context === 5 ? STATUS_INVALID_PARAMETER : STATUS_SUCCESS))
    const irp = newIrp()
    return [IoCsqInsertIrpEx(queue.Csq, irp, null, 5), isPending(irp), irp.CancelRoutine, isEmpty(queue.Head.address)]
  })
  expect(seen).toEqual([STATUS_INVALID_PARAMETER, false, null, true])
})

test('IoCsqInsertIrp on an extended queue passes NULL as the insert context', async () => {
  const contexts = await onMachine(() => {
    const seen: unknown[] = []
    IoCsqInsertIrp(newQueueEx((_, context) => (seen.push(context), STATUS_SUCCESS)).Csq, newIrp(), null)
    return seen
  })
  expect(contexts).toEqual([null])
})

test('IoCsqRemoveIrp gives the IRP once, then null', async () => {
  const seen = await onMachine(() => {
    const queue = newQueue()
    const irp = newIrp()
    IoCsqInsertIrp(queue.Csq, irp, queue.Context)
    const first = IoCsqRemoveIrp(queue.Csq, queue.Context)
    return [first?.address === irp.address, irp.CancelRoutine, IoCsqRemoveIrp(queue.Csq, queue.Context)]
  })
  expect(seen).toEqual([true, null, null])
})

test('IoCsqRemoveIrp gives null for an IRP that was cancelled', async () => {
  const seen = await onMachine(() => {
    const queue = newQueue()
    const irp = newIrp()
    IoCsqInsertIrp(queue.Csq, irp, queue.Context)
    const isCancelled = IoCancelIrp(irp)
    return [isCancelled, cancelled.length, IoCsqRemoveIrp(queue.Csq, queue.Context)]
  })
  expect(seen).toEqual([true, 1, null])
})

test('IoCsqRemoveNextIrp gives the IRPs in order, without those that were cancelled, then null', async () => {
  const seen = await onMachine(() => {
    const queue = newQueue()
    const irps = [newIrp(), newIrp(), newIrp()]
    for (const irp of irps) IoCsqInsertIrp(queue.Csq, irp, null)
    IoCancelIrp(irps[1] as IRP)
    const taken = [1, 2, 3].map(() => IoCsqRemoveNextIrp(queue.Csq, null))
    return taken.map((irp) => irps.findIndex((one) => one.address === irp?.address))
  })
  expect(seen).toEqual([0, 2, -1])
})

test('IoCsqInitialize and IoCsqInitializeEx tell their queues apart by Type', async () => {
  const types = await onMachine(() => [newQueue().Csq.Type, newQueueEx(() => STATUS_DEVICE_BUSY).Csq.Type])
  expect(types).toEqual([2, 3])
})

test('IoCsqInitializeEx gives STATUS_SUCCESS', async () => {
  const status = await onMachine(() => {
    const { Csq } = newQueue()
    return IoCsqInitializeEx({ Csq, CsqInsertIrp: () => STATUS_SUCCESS, ...routines })
  })
  expect(status).toBe(STATUS_SUCCESS)
})
