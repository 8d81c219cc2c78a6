import { expect, test } from 'vitest'
import { IoCallDriver } from '../../../kernel/io/call.ts'
import {
  cancelThreadIrps,
  IoAcquireCancelSpinLock,
  IoCancelIrp,
  IoReleaseCancelSpinLock,
  IoSetCancelRoutine,
} from '../../../kernel/io/cancel.ts'
import { IRP_MJ_READ } from '../../../kernel/io/codes.ts'
import { IoCompleteRequest } from '../../../kernel/io/complete.ts'
import { IoBuildSynchronousFsdRequest } from '../../../kernel/io/build.ts'
import { IoAllocateIrp, IoFreeIrp, IoMarkIrpPending } from '../../../kernel/io/irp.ts'
import type { DEVICE_OBJECT, DRIVER_DISPATCH } from '../../../kernel/io/layouts.ts'
import { IO_STATUS_BLOCK, IRP } from '../../../kernel/io/layouts.ts'
import { initializeEvent } from '../../../kernel/ke/event.ts'
import { KEVENT } from '../../../kernel/ke/layouts.ts'
import { currentIrql, DISPATCH_LEVEL } from '../../../kernel/ke/level.ts'
import { currentThread } from '../../../kernel/ke/thread.ts'
import { allocate } from '../../../kernel/mm/pool.ts'
import { STATUS_CANCELLED, STATUS_PENDING, STATUS_SUCCESS } from '../../../kernel/rtl/status.ts'
import { bootSystem, bytesByTag, finish, onSystem, stackOf } from './system.ts'

/** The routine of a driver that keeps one IRP. */
function cancelRoutine(_device: DEVICE_OBJECT | null, irp: IRP): void {
  IoReleaseCancelSpinLock(irp.CancelIrql)
  finish(irp, STATUS_CANCELLED)
}

const hold: DRIVER_DISPATCH = (_device, irp) => {
  IoMarkIrpPending(irp)
  IoSetCancelRoutine(irp, cancelRoutine)
  return STATUS_PENDING
}

/** A threaded read that `hold` keeps. */
async function heldRead(): Promise<{ irp: IRP; block: IO_STATUS_BLOCK; event: KEVENT }> {
  const [device] = (await stackOf({ [IRP_MJ_READ]: hold })) as [DEVICE_OBJECT]
  const event = new KEVENT(allocate(KEVENT.size, 'Test'))
  const block = new IO_STATUS_BLOCK(allocate(IO_STATUS_BLOCK.size, 'Test'))
  initializeEvent(event.address, 0, false)
  const irp = IoBuildSynchronousFsdRequest({
    MajorFunction: IRP_MJ_READ,
    DeviceObject: device,
    Buffer: null,
    Length: 0,
    StartingOffset: null,
    Event: event,
    IoStatusBlock: block,
  }) as IRP
  await IoCallDriver(device, irp)
  return { irp, block, event }
}

test('IoCancelIrp calls the cancel routine at DISPATCH_LEVEL with the lock held, once, and returns TRUE', async () => {
  const seen = await onSystem(async () => {
    const levels: number[] = []
    const irp = IoAllocateIrp(1, false) as IRP
    IoSetCancelRoutine(irp, (_device, cancelled) => {
      levels.push(currentIrql())
      IoReleaseCancelSpinLock(cancelled.CancelIrql)
    })
    const results = [IoCancelIrp(irp), IoCancelIrp(irp)]
    const after = { irql: currentIrql(), Cancel: irp.Cancel, routine: irp.CancelRoutine }
    IoFreeIrp(irp)
    return { levels, results, after }
  })
  expect(seen).toEqual({
    levels: [DISPATCH_LEVEL],
    results: [true, false],
    after: { irql: 0, Cancel: 1, routine: null },
  })
})

test('IoCancelIrp of an IRP without a cancel routine returns FALSE and leaves Cancel set', async () => {
  const seen = await onSystem(() => {
    const irp = IoAllocateIrp(1, false) as IRP
    const result = IoCancelIrp(irp)
    const { Cancel } = irp
    IoFreeIrp(irp)
    return { result, Cancel }
  })
  expect(seen).toEqual({ result: false, Cancel: 1 })
})

test('IoCancelIrp finds a cancel routine that keeps the cancel spin lock: bug check 0xC9', async () => {
  const crash = onSystem(() => {
    const irp = IoAllocateIrp(1, false) as IRP
    IoSetCancelRoutine(irp, () => {})
    IoCancelIrp(irp)
  })
  await expect(crash).rejects.toThrow(/IoReleaseCancelSpinLock/)
})

test('IoCancelIrp of an IRP that was freed with its cancel routine is bug check 0x48', async () => {
  const crash = onSystem(() => {
    const irp = IoAllocateIrp(1, false) as IRP
    IoSetCancelRoutine(irp, cancelRoutine)
    irp.Type = 0
    IoCancelIrp(irp)
  })
  await expect(crash).rejects.toMatchObject({ code: 0x48 })
})

test('IoSetCancelRoutine returns the routine before, and null once cancellation has begun', async () => {
  const seen = await onSystem(() => {
    const irp = IoAllocateIrp(1, false) as IRP
    const first = IoSetCancelRoutine(irp, cancelRoutine)
    const second = IoSetCancelRoutine(irp, null)
    const third = IoSetCancelRoutine(irp, (_device, cancelled) => IoReleaseCancelSpinLock(cancelled.CancelIrql))
    IoCancelIrp(irp)
    const fourth = IoSetCancelRoutine(irp, null)
    IoFreeIrp(irp)
    return [first === null, second === cancelRoutine, third === null, fourth === null]
  })
  expect(seen).toEqual([true, true, true, true])
})

test('IoAcquireCancelSpinLock raises to DISPATCH_LEVEL, IoReleaseCancelSpinLock goes back', async () => {
  const levels = await onSystem(() => {
    const before = { value: -1 }
    IoAcquireCancelSpinLock(before)
    const inside = currentIrql()
    IoReleaseCancelSpinLock(before.value)
    return [before.value, inside, currentIrql()]
  })
  expect(levels).toEqual([0, DISPATCH_LEVEL, 0])
})

test('IoReleaseCancelSpinLock without holding it is bug check 0x10', async () => {
  const crash = onSystem(() => {
    const before = { value: 0 }
    IoAcquireCancelSpinLock(before)
    IoReleaseCancelSpinLock(DISPATCH_LEVEL)
    IoReleaseCancelSpinLock(0)
  })
  await expect(crash).rejects.toMatchObject({ code: 0x10 })
})

test('IoCompleteRequest with a cancel routine left set is bug check 0xC9, subcode 7', async () => {
  const crash = onSystem(async () => {
    const { irp } = await heldRead()
    irp.IoStatus.Status = STATUS_SUCCESS
    IoCompleteRequest(irp, 0)
  })
  await expect(crash).rejects.toMatchObject({ code: 0xc9, parameters: [7, expect.anything(), 0, 0] })
})

test('IoCancelIrp of a pending threaded request writes STATUS_CANCELLED and sets its event', async () => {
  const seen = await onSystem(async () => {
    const { irp, block, event } = await heldRead()
    const before = event.Header.SignalState
    const result = IoCancelIrp(irp)
    return { before, result, status: block.Status, after: event.Header.SignalState, bytes: bytesByTag()['Irp '] }
  })
  expect(seen).toEqual({ before: 0, result: true, status: STATUS_CANCELLED, after: 1, bytes: 0 })
})

test('a thread that ends cancels its IRPs, and they are freed', async () => {
  const seen = await onSystem(async () => {
    const { block } = await heldRead()
    const before = bytesByTag()['Irp '] as number
    cancelThreadIrps(currentThread())
    return { had: before > 0, status: block.Status, bytes: bytesByTag()['Irp '] }
  })
  expect(seen).toEqual({ had: true, status: STATUS_CANCELLED, bytes: 0 })
})

test('an IRP that its driver does not complete when its thread ends stays out, and is freed when it is', async () => {
  const seen = await onSystem(async () => {
    const { irp, block } = await heldRead()
    IoSetCancelRoutine(irp, null)
    cancelThreadIrps(currentThread())
    const between = { Cancel: irp.Cancel, status: block.Status }
    finish(irp, STATUS_SUCCESS)
    return { between, bytes: bytesByTag()['Irp '] }
  })
  expect(seen).toEqual({ between: { Cancel: 1, status: 0 }, bytes: 0 })
})

test('IoCancelIrp is called for what a thread has sent when that thread really ends', async () => {
  await using machine = await bootSystem()
  const block = await machine.run(async () => (await heldRead()).block.address)
  const seen = await machine.run(() => ({ status: new IO_STATUS_BLOCK(block).Status, bytes: bytesByTag()['Irp '] }))
  expect(seen).toEqual({ status: STATUS_CANCELLED, bytes: 0 })
})
