import { expect, test } from 'vitest'
import { IoCallDriver, IofCallDriver } from '../../../kernel/io/call.ts'
import { IRP_MJ_READ } from '../../../kernel/io/codes.ts'
import { IoCompleteRequest, IofCompleteRequest } from '../../../kernel/io/complete.ts'
import {
  IoAllocateIrp,
  IoCopyCurrentIrpStackLocationToNext,
  IoFreeIrp,
  IoGetCurrentIrpStackLocation,
  IoGetNextIrpStackLocation,
  IoMarkIrpPending,
  IoSetCompletionRoutine,
  IoSkipCurrentIrpStackLocation,
} from '../../../kernel/io/irp.ts'
import type { DEVICE_OBJECT, DRIVER_DISPATCH, IO_COMPLETION_ROUTINE } from '../../../kernel/io/layouts.ts'
import { IRP } from '../../../kernel/io/layouts.ts'
import { IoCancelIrp } from '../../../kernel/io/cancel.ts'
import { initializeDpc, queueDpc } from '../../../kernel/ke/dpc.ts'
import { routineId } from '../../../kernel/ke/image.ts'
import { KDPC } from '../../../kernel/ke/layouts.ts'
import { currentIrql, DISPATCH_LEVEL, lowerIrql, point, raiseIrql } from '../../../kernel/ke/level.ts'
import { allocate } from '../../../kernel/mm/pool.ts'
import {
  STATUS_CANCELLED,
  STATUS_MORE_PROCESSING_REQUIRED,
  STATUS_PENDING,
  STATUS_SUCCESS,
  STATUS_UNSUCCESSFUL,
} from '../../../kernel/rtl/status.ts'
import { same } from '../../../kernel/rtl/struct.ts'
import { bytesByTag, finish, onSystem, stackOf } from './system.ts'

const always = { InvokeOnSuccess: true, InvokeOnError: true, InvokeOnCancel: true }

/** An originator's IRP for a stack, with a completion routine that keeps it. */
function originate(top: DEVICE_OBJECT, routine: IO_COMPLETION_ROUTINE, when = always): IRP {
  const irp = IoAllocateIrp(top.StackSize, false) as IRP
  IoGetNextIrpStackLocation(irp).MajorFunction = IRP_MJ_READ
  IoSetCompletionRoutine({ Irp: irp, CompletionRoutine: routine, Context: 1, ...when })
  return irp
}

/** A filter that passes the request on with a completion routine. */
const passOn =
  (below: () => DEVICE_OBJECT, routine: IO_COMPLETION_ROUTINE, when = always): DRIVER_DISPATCH =>
  (_device, irp) => {
    IoCopyCurrentIrpStackLocationToNext(irp)
    IoSetCompletionRoutine({ Irp: irp, CompletionRoutine: routine, Context: null, ...when })
    return IoCallDriver(below(), irp)
  }

test('IoCompleteRequest calls the completion routines upwards, each with the device that set it', async () => {
  const order = await onSystem(async () => {
    const seen: string[] = []
    let devices: DEVICE_OBJECT[] = []
    const routine =
      (name: string, own: () => DEVICE_OBJECT | null): IO_COMPLETION_ROUTINE =>
      (device) => {
        seen.push(`${name} ${same(device, own())}`)
        return STATUS_SUCCESS
      }
    const at = (index: number) => () => devices[index] as DEVICE_OBJECT
    devices = await stackOf(
      { [IRP_MJ_READ]: (_device, irp) => finish(irp, STATUS_SUCCESS, 5) },
      { [IRP_MJ_READ]: passOn(at(0), routine('middle', at(1))) },
      { [IRP_MJ_READ]: passOn(at(1), routine('top', at(2))) },
    )
    const irp = originate(at(2)(), (device) => {
      seen.push(`originator ${device === null}`)
      return STATUS_MORE_PROCESSING_REQUIRED
    })
    const status = await IoCallDriver(at(2)(), irp)
    seen.push(`status ${status} information ${irp.IoStatus.Information}`)
    IoFreeIrp(irp)
    return seen
  })
  expect(order).toEqual(['middle true', 'top true', 'originator true', 'status 0 information 5'])
})

test('IoCompleteRequest stops at STATUS_MORE_PROCESSING_REQUIRED and, called again, resumes above', async () => {
  const order = await onSystem(async () => {
    const seen: string[] = []
    let devices: DEVICE_OBJECT[] = []
    const at = (index: number) => () => devices[index] as DEVICE_OBJECT
    devices = await stackOf(
      { [IRP_MJ_READ]: (_device, irp) => finish(irp, STATUS_SUCCESS) },
      {
        [IRP_MJ_READ]: passOn(at(0), () => {
          seen.push('middle keeps it')
          return STATUS_MORE_PROCESSING_REQUIRED
        }),
      },
      {
        [IRP_MJ_READ]: passOn(at(1), () => {
          seen.push('top')
          return STATUS_SUCCESS
        }),
      },
    )
    const irp = originate(at(2)(), () => {
      seen.push('originator')
      return STATUS_MORE_PROCESSING_REQUIRED
    })
    await IoCallDriver(at(2)(), irp)
    seen.push(`location ${irp.CurrentLocation}`)
    IoCompleteRequest(irp, 0)
    IoFreeIrp(irp)
    return seen
  })
  expect(order).toEqual(['middle keeps it', 'location 2', 'top', 'originator'])
})

// [WINE ntoskrnl.exe/tests/driver.c] and wdm-facts §14.3, §14.5.
const conditions: [string, [boolean, boolean, boolean], boolean, number, boolean][] = [
  ['success, on success', [true, false, false], false, STATUS_SUCCESS, true],
  ['success, on error', [false, true, false], false, STATUS_SUCCESS, false],
  ['success, on cancel only', [false, false, true], false, STATUS_SUCCESS, false],
  ['error, on success', [true, false, false], false, STATUS_UNSUCCESSFUL, false],
  ['error, on error', [false, true, false], false, STATUS_UNSUCCESSFUL, true],
  ['cancelled, (T,F,T)', [true, false, true], true, STATUS_CANCELLED, true],
  ['cancelled, (T,T,F)', [true, true, false], true, STATUS_CANCELLED, true],
  ['cancelled, (T,F,F)', [true, false, false], true, STATUS_CANCELLED, false],
  ['cancelled but successful, on cancel only', [false, false, true], true, STATUS_SUCCESS, true],
]

test.each(conditions)('IoSetCompletionRoutine: %s', async (_name, flags, cancel, status, isCalled) => {
  const calls = await onSystem(async () => {
    let calls = 0
    const [InvokeOnSuccess, InvokeOnError, InvokeOnCancel] = flags
    let below: DEVICE_OBJECT
    const devices = await stackOf(
      { [IRP_MJ_READ]: (_device, irp) => finish(irp, status) },
      {
        [IRP_MJ_READ]: passOn(
          () => below,
          () => {
            calls++
            return STATUS_SUCCESS
          },
          { InvokeOnSuccess, InvokeOnError, InvokeOnCancel },
        ),
      },
    )
    below = devices[0] as DEVICE_OBJECT
    const irp = originate(devices[1] as DEVICE_OBJECT, () => STATUS_MORE_PROCESSING_REQUIRED)
    if (cancel) IoCancelIrp(irp)
    await IoCallDriver(devices[1] as DEVICE_OBJECT, irp)
    IoFreeIrp(irp)
    return calls
  })
  expect(calls).toBe(isCalled ? 1 : 0)
})

test('IoCompleteRequest hands the pending bit up where no routine is called, and PendingReturned tells', async () => {
  const seen = await onSystem(async () => {
    const held: IRP[] = []
    let below: DEVICE_OBJECT
    const devices = await stackOf(
      {
        [IRP_MJ_READ]: (_device, irp) => {
          IoMarkIrpPending(irp)
          held.push(irp)
          return STATUS_PENDING
        },
      },
      {
        [IRP_MJ_READ]: (_device, irp) => {
          IoCopyCurrentIrpStackLocationToNext(irp)
          return IoCallDriver(below, irp)
        },
      },
    )
    below = devices[0] as DEVICE_OBJECT
    const pending: (number | boolean)[] = []
    const irp = originate(devices[1] as DEVICE_OBJECT, (_device, done) => {
      pending.push(done.PendingReturned)
      return STATUS_MORE_PROCESSING_REQUIRED
    })
    const status = await IoCallDriver(devices[1] as DEVICE_OBJECT, irp)
    finish(held[0] as IRP, STATUS_SUCCESS)
    IoFreeIrp(irp)
    return { status, pending }
  })
  expect(seen).toEqual({ status: STATUS_PENDING, pending: [1] })
})

test('IoCompleteRequest clears the location that it leaves before the completion routine sees the IRP', async () => {
  const length = await onSystem(async () => {
    const [device] = (await stackOf({ [IRP_MJ_READ]: (_device, irp) => finish(irp, STATUS_SUCCESS) })) as [
      DEVICE_OBJECT,
    ]
    const lengths: number[] = []
    const irp = originate(device, (_device, done) => {
      lengths.push(IoGetNextIrpStackLocation(done).Parameters.Read.Length)
      return STATUS_MORE_PROCESSING_REQUIRED
    })
    IoGetNextIrpStackLocation(irp).Parameters.Read.Length = 9
    await IoCallDriver(device, irp)
    IoFreeIrp(irp)
    return lengths
  })
  expect(length).toEqual([0])
})

test('IoCompleteRequest a second time, after the request went all the way up, is bug check 0x44', async () => {
  const crash = onSystem(async () => {
    const [device] = (await stackOf({
      [IRP_MJ_READ]: (_device, irp) => {
        finish(irp, STATUS_SUCCESS)
        return finish(irp, STATUS_SUCCESS)
      },
    })) as [DEVICE_OBJECT]
    const irp = originate(device, () => STATUS_SUCCESS)
    irp.Tail.Overlay.Thread = 0x999990 // as if a thread had sent it
    await IoCallDriver(device, irp)
  })
  await expect(crash).rejects.toMatchObject({ code: 0x44 })
})

test('IofCompleteRequest with STATUS_PENDING as the status is bug check 0xC9, subcode 6', async () => {
  const crash = onSystem(async () => {
    const [device] = (await stackOf({
      [IRP_MJ_READ]: (_device, irp) => {
        irp.IoStatus.Status = STATUS_PENDING
        IofCompleteRequest(irp, 0)
        return STATUS_PENDING
      },
    })) as [DEVICE_OBJECT]
    await IoCallDriver(
      device,
      originate(device, () => STATUS_MORE_PROCESSING_REQUIRED),
    )
  })
  await expect(crash).rejects.toMatchObject({ code: 0xc9, parameters: [6, expect.anything(), 0, 0] })
})

test('IoCompleteRequest may be called from a DPC, and the completion routine runs at DISPATCH_LEVEL then', async () => {
  const levels = await onSystem(async () => {
    const held: IRP[] = []
    const [device] = (await stackOf({
      [IRP_MJ_READ]: (_device, irp) => {
        IoMarkIrpPending(irp)
        held.push(irp)
        return STATUS_PENDING
      },
    })) as [DEVICE_OBJECT]
    const levels: number[] = []
    const irp = originate(device, () => {
      levels.push(currentIrql())
      return STATUS_MORE_PROCESSING_REQUIRED
    })
    await IoCallDriver(device, irp)
    const dpc = allocate(KDPC.size, 'Test')
    initializeDpc(
      dpc,
      routineId(() => finish(held[0] as IRP, STATUS_SUCCESS)),
      null,
    )
    queueDpc(dpc, null, null)
    point()
    IoFreeIrp(irp)
    return levels
  })
  expect(levels).toEqual([DISPATCH_LEVEL])
})

test('IoCallDriver returns the status of a plain dispatch routine plainly, and unchanged', async () => {
  const status = await onSystem(async () => {
    const [device] = (await stackOf({ [IRP_MJ_READ]: (_device, irp) => finish(irp, 0x40000123) })) as [DEVICE_OBJECT]
    const irp = originate(device, () => STATUS_MORE_PROCESSING_REQUIRED)
    const status = IoCallDriver(device, irp)
    IoFreeIrp(irp)
    return status
  })
  expect(status).toBe(0x40000123)
})

test('IoCallDriver of a driver without a routine for the function completes it with STATUS_INVALID_DEVICE_REQUEST', async () => {
  const status = await onSystem(async () => {
    const [device] = (await stackOf({})) as [DEVICE_OBJECT]
    const irp = originate(device, () => STATUS_MORE_PROCESSING_REQUIRED)
    const status = await IoCallDriver(device, irp)
    IoFreeIrp(irp)
    return status
  })
  expect(status).toBe(0xc0000010 | 0)
})

test('IoCallDriver of an async dispatch routine at DISPATCH_LEVEL is a bug check that names it', async () => {
  const crash = onSystem(async () => {
    const [device] = (await stackOf({
      [IRP_MJ_READ]: async function readSlowly(_device: DEVICE_OBJECT, irp: IRP) {
        return finish(irp, STATUS_SUCCESS)
      },
    })) as [DEVICE_OBJECT]
    raiseIrql(DISPATCH_LEVEL)
    void IoCallDriver(
      device,
      originate(device, () => STATUS_MORE_PROCESSING_REQUIRED),
    )
  })
  await expect(crash).rejects.toThrow(/readSlowly.*IRP_MJ_READ.*async/)
})

test('IoCallDriver with more drivers than stack locations is bug check 0x35', async () => {
  const crash = onSystem(async () => {
    const devices = await stackOf({}, { [IRP_MJ_READ]: (device, irp) => IofCallDriver(device, irp) })
    const irp = IoAllocateIrp(1, false) as IRP
    IoGetNextIrpStackLocation(irp).MajorFunction = IRP_MJ_READ
    await IoCallDriver(devices[1] as DEVICE_OBJECT, irp)
  })
  await expect(crash).rejects.toMatchObject({ code: 0x35 })
})

test('IofCallDriver finds a dispatch routine that returns at another IRQL: bug check 0xC9, subcode 5', async () => {
  const crash = onSystem(async () => {
    const [device] = (await stackOf({
      [IRP_MJ_READ]: (_device, irp) => {
        raiseIrql(DISPATCH_LEVEL)
        return finish(irp, STATUS_SUCCESS)
      },
    })) as [DEVICE_OBJECT]
    void IofCallDriver(
      device,
      originate(device, () => STATUS_MORE_PROCESSING_REQUIRED),
    )
    lowerIrql(0)
  })
  await expect(crash).rejects.toMatchObject({ code: 0xc9, parameters: [5, expect.anything(), 0, 0] })
})

test('IoSkipCurrentIrpStackLocation after IoMarkIrpPending is found by IoCallDriver: bug check 0xC9/0x206', async () => {
  const crash = onSystem(async () => {
    let below: DEVICE_OBJECT
    const devices = await stackOf(
      { [IRP_MJ_READ]: (_device, irp) => finish(irp, STATUS_SUCCESS) },
      {
        [IRP_MJ_READ]: (_device, irp) => {
          IoMarkIrpPending(irp)
          IoSkipCurrentIrpStackLocation(irp)
          return IoCallDriver(below, irp)
        },
      },
    )
    below = devices[0] as DEVICE_OBJECT
    const irp = originate(devices[1] as DEVICE_OBJECT, () => STATUS_MORE_PROCESSING_REQUIRED)
    await IoCallDriver(devices[1] as DEVICE_OBJECT, irp)
  })
  await expect(crash).rejects.toMatchObject({ code: 0xc9, parameters: [0x206, expect.anything(), 0, 0] })
})

test('IoGetCurrentIrpStackLocation in the lowest driver shows what the originator wrote, past two skips', async () => {
  const seen = await onSystem(async () => {
    const before = bytesByTag()
    const lengths: number[] = []
    let devices: DEVICE_OBJECT[] = []
    const skip =
      (index: number): DRIVER_DISPATCH =>
      (_device, irp) => {
        IoSkipCurrentIrpStackLocation(irp)
        return IoCallDriver(devices[index] as DEVICE_OBJECT, irp)
      }
    devices = await stackOf(
      {
        [IRP_MJ_READ]: (_device, irp) => {
          lengths.push(IoGetCurrentIrpStackLocation(irp).Parameters.Read.Length)
          return finish(irp, STATUS_SUCCESS)
        },
      },
      { [IRP_MJ_READ]: skip(0) },
      { [IRP_MJ_READ]: skip(1) },
    )
    const irp = originate(devices[2] as DEVICE_OBJECT, () => STATUS_MORE_PROCESSING_REQUIRED)
    IoGetNextIrpStackLocation(irp).Parameters.Read.Length = 33
    await IoCallDriver(devices[2] as DEVICE_OBJECT, irp)
    IoFreeIrp(irp)
    return { lengths, leaked: bytesByTag()['Irp '] !== before['Irp '], size: devices[2]?.StackSize }
  })
  expect(seen).toEqual({ lengths: [33], leaked: false, size: 3 })
})
