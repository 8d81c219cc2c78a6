import { expect, test } from 'vitest'
import { IoCallDriver } from '../../../kernel/io/call.ts'
import { IRP_MJ_READ, SL_INVOKE_ON_SUCCESS, SL_PENDING_RETURNED } from '../../../kernel/io/codes.ts'
import { IoCompleteRequest } from '../../../kernel/io/complete.ts'
import {
  IoAllocateIrp,
  IoCopyCurrentIrpStackLocationToNext,
  IoFreeIrp,
  IoGetCurrentIrpStackLocation,
  IoGetNextIrpStackLocation,
  IoGetRequestorProcess,
  IoInitializeIrp,
  IoMarkIrpPending,
  IoReuseIrp,
  IoSetCompletionRoutine,
  IoSetCompletionRoutineEx,
  IoSetNextIrpStackLocation,
  IoSizeOfIrp,
  IoSkipCurrentIrpStackLocation,
} from '../../../kernel/io/irp.ts'
import { IRP } from '../../../kernel/io/layouts.ts'
import { allocate, free } from '../../../kernel/mm/pool.ts'
import { STATUS_MORE_PROCESSING_REQUIRED, STATUS_SUCCESS, STATUS_UNSUCCESSFUL } from '../../../kernel/rtl/status.ts'
import { same } from '../../../kernel/rtl/struct.ts'
import { onSystem } from './system.ts'

const irpOf = (locations: number): IRP => {
  const irp = IoAllocateIrp(locations, false)
  if (irp === null) throw new Error('no memory')
  return irp
}

test('IoAllocateIrp gives an IRP whose current location is one past the last (KMT IoIrp, 2003)', async () => {
  const seen = await onSystem(() => {
    const irp = irpOf(3)
    const { Type, StackCount, CurrentLocation, Cancel, PendingReturned } = irp
    const current = IoGetCurrentIrpStackLocation(irp).address - irp.address
    const size = irp.Size
    IoFreeIrp(irp)
    return { Type, StackCount, CurrentLocation, Cancel, PendingReturned, isEnd: current === size }
  })
  expect(seen).toEqual({ Type: 6, StackCount: 3, CurrentLocation: 4, Cancel: 0, PendingReturned: 0, isEnd: true })
})

test('IoAllocateIrp flags an IRP of few locations as of fixed size, with quota as from a lookaside list', async () => {
  const flags = await onSystem(() =>
    [
      [1, false],
      [1, true],
      [30, false],
    ].map(([locations, quota]) => {
      const irp = IoAllocateIrp(locations as number, quota as boolean) as IRP
      const { AllocationFlags } = irp
      IoFreeIrp(irp)
      return AllocationFlags
    }),
  )
  expect(flags).toEqual([4, 12, 0])
})

test('IoInitializeIrp writes an IRP into memory of the driver’s', async () => {
  const seen = await onSystem(() => {
    const memory = allocate(IoSizeOfIrp(2), 'Test')
    const irp = new IRP(memory)
    IoInitializeIrp(irp, IoSizeOfIrp(2), 2)
    const { Type, Size, StackCount, CurrentLocation } = irp
    free(memory)
    return { Type, isSize: Size === IoSizeOfIrp(2), StackCount, CurrentLocation }
  })
  expect(seen).toEqual({ Type: 6, isSize: true, StackCount: 2, CurrentLocation: 3 })
})

test('IoReuseIrp starts over with the status given and keeps the allocation flags', async () => {
  const seen = await onSystem(() => {
    const irp = irpOf(1)
    IoSetNextIrpStackLocation(irp)
    irp.Flags = 77
    IoReuseIrp(irp, STATUS_UNSUCCESSFUL)
    const { CurrentLocation, Flags, AllocationFlags } = irp
    const status = irp.IoStatus.Status
    IoFreeIrp(irp)
    return { CurrentLocation, Flags, AllocationFlags, status }
  })
  expect(seen).toEqual({ CurrentLocation: 2, Flags: 0, AllocationFlags: 4, status: STATUS_UNSUCCESSFUL })
})

test('IoSizeOfIrp grows by one stack location each', async () => {
  expect(IoSizeOfIrp(3) - IoSizeOfIrp(2)).toBe(IoSizeOfIrp(2) - IoSizeOfIrp(1))
})

test('IoGetNextIrpStackLocation of an IRP without a location below is bug check 0x35', async () => {
  const crash = onSystem(() => {
    const irp = irpOf(1)
    IoSetNextIrpStackLocation(irp)
    IoGetNextIrpStackLocation(irp)
  })
  await expect(crash).rejects.toMatchObject({ code: 0x35 })
})

test('IoSetNextIrpStackLocation makes the next location the originator’s own', async () => {
  const isSame = await onSystem(() => {
    const irp = irpOf(2)
    const next = IoGetNextIrpStackLocation(irp)
    IoSetNextIrpStackLocation(irp)
    const isSame = same(next, IoGetCurrentIrpStackLocation(irp)) && irp.CurrentLocation === 2
    IoFreeIrp(irp)
    return isSame
  })
  expect(isSame).toBe(true)
})

test('IoGetCurrentIrpStackLocation and IoSkipCurrentIrpStackLocation: a skip lets the callee have the same location', async () => {
  const isSame = await onSystem(() => {
    const irp = irpOf(2)
    IoSetNextIrpStackLocation(irp)
    const own = IoGetCurrentIrpStackLocation(irp)
    IoSkipCurrentIrpStackLocation(irp)
    const isSame = same(own, IoGetNextIrpStackLocation(irp))
    IoFreeIrp(irp)
    return isSame
  })
  expect(isSame).toBe(true)
})

test('IoSkipCurrentIrpStackLocation by the originator, which has none, is bug check 0xC9', async () => {
  await expect(onSystem(() => IoSkipCurrentIrpStackLocation(irpOf(1)))).rejects.toMatchObject({ code: 0xc9 })
})

test('IoCopyCurrentIrpStackLocationToNext copies all but the completion routine, and clears Control', async () => {
  const seen = await onSystem(() => {
    const irp = irpOf(2)
    const first = IoGetNextIrpStackLocation(irp)
    first.MajorFunction = IRP_MJ_READ
    first.Parameters.Read.Length = 17
    first.Flags = 3
    IoSetNextIrpStackLocation(irp)
    IoSetCompletionRoutine({
      Irp: irp,
      CompletionRoutine: () => STATUS_SUCCESS,
      Context: null,
      InvokeOnSuccess: true,
      InvokeOnError: false,
      InvokeOnCancel: false,
    })
    const second = IoGetNextIrpStackLocation(irp)
    const before = second.Control
    IoCopyCurrentIrpStackLocationToNext(irp)
    const seen = {
      before,
      major: second.MajorFunction,
      length: second.Parameters.Read.Length,
      flags: second.Flags,
    }
    const control = second.Control
    IoFreeIrp(irp)
    return { ...seen, control }
  })
  expect(seen).toEqual({ before: SL_INVOKE_ON_SUCCESS, major: IRP_MJ_READ, length: 17, flags: 3, control: 0 })
})

test('IoMarkIrpPending sets SL_PENDING_RETURNED in the current location', async () => {
  const control = await onSystem(() => {
    const irp = irpOf(1)
    IoSetNextIrpStackLocation(irp)
    IoMarkIrpPending(irp)
    const { Control } = IoGetCurrentIrpStackLocation(irp)
    IoFreeIrp(irp)
    return Control
  })
  expect(control).toBe(SL_PENDING_RETURNED)
})

test('IoMarkIrpPending by the originator of an IRP is bug check 0xC9', async () => {
  await expect(onSystem(() => IoMarkIrpPending(irpOf(1)))).rejects.toMatchObject({ code: 0xc9 })
})

const routines = { InvokeOnSuccess: true, InvokeOnError: true, InvokeOnCancel: true }

test('IoSetCompletionRoutine without a routine but with a condition is a bug check', async () => {
  const crash = onSystem(() => {
    IoSetCompletionRoutine({ Irp: irpOf(1), CompletionRoutine: null, Context: null, ...routines })
  })
  await expect(crash).rejects.toMatchObject({ code: 0x1e })
})

test('IoSetCompletionRoutineEx returns STATUS_SUCCESS and sets the routine', async () => {
  const seen = await onSystem(() => {
    const irp = irpOf(1)
    const device = { address: 1 }
    const status = IoSetCompletionRoutineEx({
      DeviceObject: device,
      Irp: irp,
      CompletionRoutine: () => STATUS_MORE_PROCESSING_REQUIRED,
      Context: 5,
      ...routines,
    })
    const { Control } = IoGetNextIrpStackLocation(irp)
    IoFreeIrp(irp)
    return { status, Control }
  })
  expect(seen).toEqual({ status: STATUS_SUCCESS, Control: 0xe0 })
})

test('IoFreeIrp of an IRP that was freed is bug check 0xC9, subcode 1', async () => {
  const crash = onSystem(() => {
    const irp = irpOf(1)
    IoFreeIrp(irp)
    IoFreeIrp(irp)
  })
  await expect(crash).rejects.toMatchObject({ code: 0xc9, parameters: [1, expect.anything(), 0, 0] })
})

test('IoGetRequestorProcess is 0 for an IRP that belongs to no thread', async () => {
  expect(
    await onSystem(() => {
      const irp = irpOf(1)
      const process = IoGetRequestorProcess(irp)
      IoFreeIrp(irp)
      return process
    }),
  ).toBe(0)
})

test('IoCallDriver of an IRP that was freed is bug check 0xC9, subcode 3', async () => {
  const crash = onSystem(() => {
    const irp = irpOf(1)
    IoFreeIrp(irp)
    void IoCallDriver(null as never, irp)
  })
  await expect(crash).rejects.toMatchObject({ code: 0xc9, parameters: [3, expect.anything(), 0, 0] })
})

test('IoCompleteRequest of an IRP of IoAllocateIrp that nobody stops is a bug check that says what to do', async () => {
  await expect(onSystem(() => IoCompleteRequest(irpOf(1), 0))).rejects.toThrow(/STATUS_MORE_PROCESSING_REQUIRED/)
})
