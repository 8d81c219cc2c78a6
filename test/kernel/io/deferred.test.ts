/** What a device's driver leaves for later: its DpcForIsr, its timer, its work items. */
import { expect, test } from 'vitest'
import { boot } from '../../../machine/index.ts'
import { DelayedWorkQueue } from '../../../kernel/ex/workitem.ts'
import { IoInitializeDpcRequest, IoRequestDpc } from '../../../kernel/io/dpcrequest.ts'
import { IoDeleteDevice } from '../../../kernel/io/device.ts'
import { DEVICE_OBJECT, IRP } from '../../../kernel/io/layouts.ts'
import { IoAllocateIrp } from '../../../kernel/io/irp.ts'
import { IoInitializeTimer, IoStartTimer, IoStopTimer } from '../../../kernel/io/timer.ts'
import {
  IO_WORKITEM,
  IoAllocateWorkItem,
  IoFreeWorkItem,
  IoInitializeWorkItem,
  IoQueueWorkItem,
  IoQueueWorkItemEx,
  IoSizeofWorkItem,
  IoUninitializeWorkItem,
} from '../../../kernel/io/workitem.ts'
import type { KDPC } from '../../../kernel/ke/layouts.ts'
import { KeGetCurrentIrql, KeLowerIrql, KeRaiseIrql } from '../../../kernel/ke/level.ts'
import { KeDelayExecutionThread, KernelMode } from '../../../kernel/ke/wait.ts'
import { allocate, allocateStruct, poolUsage } from '../../../kernel/mm/pool.ts'
import { pointerCount } from '../../../kernel/ob/reference.ts'
import { STATUS_SUCCESS } from '../../../kernel/rtl/status.ts'
import { deviceOf, driverWith } from './system.ts'
import { bugCheckOf, onMachine } from '../ke/machine.ts'

const newDevice = async (): Promise<DEVICE_OBJECT> => deviceOf(await driverWith())
const pause = (): unknown => KeDelayExecutionThread(KernelMode, false, -10_000)
const bytes = (tag: string): number => poolUsage().reduce((sum, row) => sum + (row.tag === tag ? row.bytes : 0), 0)

function atDirql(body: () => void): void {
  KeRaiseIrql(5, { value: 0 })
  body()
  KeLowerIrql(0)
}

// wdm-facts §4.7, §7
test('IoRequestDpc has DpcForIsr called with the device, and with Irp and Context of the first request', async () => {
  const seen = await onMachine(async () => {
    const device = await newDevice()
    const irp = IoAllocateIrp(1, false) as IRP
    const calls: unknown[] = []
    IoInitializeDpcRequest(device, (_: KDPC, at: DEVICE_OBJECT, of: IRP | null, context: number) => {
      calls.push(at.address === device.address, of?.address === irp.address, context, KeGetCurrentIrql())
    })
    atDirql(() => {
      IoRequestDpc(device, irp, 1)
      IoRequestDpc(device, null, 2)
    })
    return calls
  })
  expect(seen).toEqual([true, true, 1, 2])
})

test('IoInitializeDpcRequest makes the device the DPC’s context', async () => {
  const isDevice = await onMachine(async () => {
    const device = await newDevice()
    IoInitializeDpcRequest(device, () => {})
    return (device.Dpc.DeferredContext as unknown as DEVICE_OBJECT).address === device.address
  })
  expect(isDevice).toBe(true)
})

test('IoRequestDpc below DIRQL is bug check 0x9', async () => {
  const error = await bugCheckOf(async () => {
    const device = await newDevice()
    IoInitializeDpcRequest(device, () => {})
    IoRequestDpc(device, null, null)
  })
  expect(error.code).toBe(0x9)
})

test('IoStartTimer has the routine called once a second at DISPATCH_LEVEL, until IoStopTimer', async () => {
  await using machine = await boot({ localRoutines: true, clock: 'virtual' })
  const levels: number[] = []
  const device = await machine.run(async () => {
    const made = await newDevice()
    IoInitializeTimer(made, (_: DEVICE_OBJECT, context: number) => void levels.push(KeGetCurrentIrql(), context), 7)
    IoStartTimer(made)
    return made.address
  })
  await machine.sleep(3500)
  expect(levels).toEqual([2, 7, 2, 7, 2, 7])
  await machine.run(() => IoStopTimer(new DEVICE_OBJECT(device)))
  await machine.sleep(2000)
  expect(levels).toHaveLength(6)
})

test('IoStopTimer of a timer that is not started does nothing', async () => {
  const levels = await onMachine(async () => {
    const device = await newDevice()
    IoStopTimer(device)
    IoInitializeTimer(device, () => {}, null)
    IoStopTimer(device)
    return KeGetCurrentIrql()
  })
  expect(levels).toBe(0)
})

test('IoInitializeTimer gives STATUS_SUCCESS, a second time as well, and the timer goes with its device', async () => {
  const seen = await onMachine(async () => {
    const device = await newDevice()
    const statuses = [1, 2].map(() => IoInitializeTimer(device, () => {}, null))
    IoStartTimer(device)
    const held = bytes('IoTm')
    IoDeleteDevice(device)
    await pause()
    return { statuses, held: held > 0, left: bytes('IoTm') }
  })
  expect(seen).toEqual({ statuses: [STATUS_SUCCESS, STATUS_SUCCESS], held: true, left: 0 })
})

test('IoQueueWorkItem calls the routine with the device at PASSIVE_LEVEL, and references the device meanwhile', async () => {
  const seen = await onMachine(async () => {
    const device = await newDevice()
    const item = IoAllocateWorkItem(device) as IO_WORKITEM
    const calls: unknown[] = []
    const before = pointerCount(device.address)
    const routine = async (at: DEVICE_OBJECT, context: number): Promise<void> => {
      calls.push(at.address === device.address, context, KeGetCurrentIrql())
      await pause()
    }
    IoQueueWorkItem(item, routine, DelayedWorkQueue, 3)
    const queued = pointerCount(device.address) - before
    await pause()
    await pause()
    await pause()
    const after = pointerCount(device.address) - before
    IoFreeWorkItem(item)
    return { calls, queued, after }
  })
  expect(seen).toEqual({ calls: [true, 3, 0], queued: 1, after: 0 })
})

test('IoQueueWorkItemEx gives the routine the item, which it may free', async () => {
  const seen = await onMachine(async () => {
    const device = await newDevice()
    const item = IoAllocateWorkItem(device) as IO_WORKITEM
    const before = bytes('IoWi')
    const routine = (_: DEVICE_OBJECT, __: null, it: IO_WORKITEM): void => IoFreeWorkItem(it)
    IoQueueWorkItemEx(item, routine, DelayedWorkQueue, null)
    await pause()
    return [before > 0, bytes('IoWi')]
  })
  expect(seen).toEqual([true, 0])
})

test.each<[string, (item: IO_WORKITEM) => void]>([
  ['IoFreeWorkItem', IoFreeWorkItem],
  ['IoUninitializeWorkItem', IoUninitializeWorkItem],
  ['IoQueueWorkItem', (item) => IoQueueWorkItem(item, () => {}, DelayedWorkQueue, null)],
])('%s of an item that is queued is bug check 0x96', async (_, misuse) => {
  const error = await bugCheckOf(async () => {
    const item = IoAllocateWorkItem(await newDevice()) as IO_WORKITEM
    IoQueueWorkItem(item, () => {}, DelayedWorkQueue, null)
    misuse(item)
  })
  expect(error.code).toBe(0x96)
})

test('IoFreeWorkItem frees the memory of an item that is idle', async () => {
  const left = await onMachine(async () => {
    IoFreeWorkItem(IoAllocateWorkItem(await newDevice()) as IO_WORKITEM)
    return bytes('IoWi')
  })
  expect(left).toBe(0)
})

test('IoAllocateWorkItem gives an item of IoSizeofWorkItem bytes', async () => {
  const size = await onMachine(async () => {
    IoAllocateWorkItem(await newDevice())
    return bytes('IoWi')
  })
  expect(size).toBe(IoSizeofWorkItem())
})

test('IoSizeofWorkItem is the size of IO_WORKITEM', () => {
  expect(IoSizeofWorkItem()).toBe(IO_WORKITEM.size)
})

test('IoInitializeWorkItem makes an item of the driver’s own memory, for a driver object, too', async () => {
  const seen = await onMachine(async () => {
    const driver = await driverWith()
    const item = new IO_WORKITEM(allocate(IoSizeofWorkItem(), 'Test'))
    const objects: number[] = []
    IoInitializeWorkItem(driver, item)
    const routine = (object: { address: number }): void => void objects.push(object.address)
    IoQueueWorkItemEx(item, routine as never, DelayedWorkQueue, null)
    await pause()
    IoUninitializeWorkItem(item)
    return objects[0] === driver.address
  })
  expect(seen).toBe(true)
})

test('IoUninitializeWorkItem ends the use of an item that is idle', async () => {
  const routine = await onMachine(async () => {
    const item = allocateStruct(IO_WORKITEM, 'Test') as IO_WORKITEM
    IoInitializeWorkItem(await newDevice(), item)
    IoUninitializeWorkItem(item)
    return item.WorkItem.WorkerRoutine
  })
  expect(routine).toBe(0)
})
