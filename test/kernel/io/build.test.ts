import { expect, test } from 'vitest'
import {
  IoBuildAsynchronousFsdRequest,
  IoBuildDeviceIoControlRequest,
  IoBuildSynchronousFsdRequest,
  IoForwardIrpSynchronously,
  IoMakeAssociatedIrp,
} from '../../../kernel/io/build.ts'
import { IoCallDriver } from '../../../kernel/io/call.ts'
import {
  CTL_CODE,
  DO_BUFFERED_IO,
  DO_DIRECT_IO,
  IRP_MJ_DEVICE_CONTROL,
  IRP_MJ_INTERNAL_DEVICE_CONTROL,
  IRP_MJ_PNP,
  IRP_MJ_READ,
  IRP_MJ_WRITE,
  METHOD_BUFFERED,
  METHOD_IN_DIRECT,
  METHOD_NEITHER,
  METHOD_OUT_DIRECT,
} from '../../../kernel/io/codes.ts'
import {
  IoAllocateIrp,
  IoFreeIrp,
  IoGetCurrentIrpStackLocation,
  IoGetNextIrpStackLocation,
  IoGetRequestorProcess,
  IoMarkIrpPending,
  IoSetCompletionRoutine,
  IoSetNextIrpStackLocation,
} from '../../../kernel/io/irp.ts'
import type { DEVICE_OBJECT, DRIVER_DISPATCH } from '../../../kernel/io/layouts.ts'
import { IO_STATUS_BLOCK, type IRP } from '../../../kernel/io/layouts.ts'
import { mdlAddress } from '../../../kernel/io/mdl.ts'
import { discardIrp } from '../../../kernel/io/build.ts'
import { initializeEvent } from '../../../kernel/ke/event.ts'
import { KEVENT } from '../../../kernel/ke/layouts.ts'
import { KeWaitForSingleObject } from '../../../kernel/ke/wait.ts'
import { read8, write8 } from '../../../kernel/mm/access.ts'
import { allocate } from '../../../kernel/mm/pool.ts'
import { completeFirst } from './held.ts'
import {
  STATUS_BUFFER_OVERFLOW,
  STATUS_MORE_PROCESSING_REQUIRED,
  STATUS_NOT_SUPPORTED,
  STATUS_PENDING,
  STATUS_SUCCESS,
  STATUS_UNSUCCESSFUL,
} from '../../../kernel/rtl/status.ts'
import { bytesByTag, finish, onSystem, stackOf } from './system.ts'

const newEvent = (): KEVENT => {
  const event = new KEVENT(allocate(KEVENT.size, 'Test'))
  initializeEvent(event.address, 0, false)
  return event
}
const newBlock = (): IO_STATUS_BLOCK => new IO_STATUS_BLOCK(allocate(IO_STATUS_BLOCK.size, 'Test'))

/** Sends a control code with 4 bytes in and 8 out to a driver that is `dispatch`. */
async function sendControl(method: number, dispatch: DRIVER_DISPATCH) {
  const [device] = (await stackOf({ [IRP_MJ_DEVICE_CONTROL]: dispatch })) as [DEVICE_OBJECT]
  const input = allocate(4, 'Test')
  const output = allocate(8, 'Test')
  for (let index = 0; index < 4; index++) write8(input + index, index + 1)
  const event = newEvent()
  const block = newBlock()
  block.Status = 0x1234
  const irp = IoBuildDeviceIoControlRequest({
    IoControlCode: CTL_CODE(0x22, 0x800, method, 0),
    DeviceObject: device,
    InputBuffer: input,
    InputBufferLength: 4,
    OutputBuffer: output,
    OutputBufferLength: 8,
    InternalDeviceIoControl: false,
    Event: event,
    IoStatusBlock: block,
  }) as IRP
  const returned = await IoCallDriver(device, irp)
  const bytes = Array.from({ length: 8 }, (_, index) => read8(output + index))
  return { returned, bytes, status: block.Status, information: block.Information, event: event.Header.SignalState }
}

test('IoBuildDeviceIoControlRequest, METHOD_BUFFERED: one buffer in and out, Information bytes come back', async () => {
  const seen = await onSystem(async () => {
    const reply = await sendControl(METHOD_BUFFERED, (_device, irp) => {
      const buffer = irp.AssociatedIrp.SystemBuffer
      write8(buffer, read8(buffer + 3) + 10)
      write8(buffer + 5, 99)
      return finish(irp, STATUS_SUCCESS, 3)
    })
    return { ...reply, bytesInUse: bytesByTag()['IoSb'] }
  })
  expect(seen).toEqual({
    returned: 0,
    bytes: [14, 2, 3, 0, 0, 0, 0, 0],
    status: 0,
    information: 3,
    event: 1,
    bytesInUse: 0,
  })
})

// wdm-facts §14.3, Wine's matrix (ntoskrnl.exe/tests/driver.c).
test.each([
  ['success', STATUS_SUCCESS, false, { data: 1, status: STATUS_SUCCESS, event: 1 }],
  ['a warning', STATUS_BUFFER_OVERFLOW, false, { data: 1, status: STATUS_BUFFER_OVERFLOW, event: 1 }],
  ['an error at once', STATUS_UNSUCCESSFUL, false, { data: 0, status: 0x1234, event: 0 }],
  ['an error after pending', STATUS_UNSUCCESSFUL, true, { data: 0, status: STATUS_UNSUCCESSFUL, event: 1 }],
])(
  'IoBuildDeviceIoControlRequest: with %s the data, the status block and the event are',
  async (_name, status, pends, expected) => {
    const seen = await onSystem(() =>
      sendControl(METHOD_BUFFERED, (_device, irp) => {
        write8(irp.AssociatedIrp.SystemBuffer, 1)
        if (pends) IoMarkIrpPending(irp)
        finish(irp, status, 1)
        return pends ? STATUS_PENDING : status
      }),
    )
    expect({ data: seen.bytes[0], status: seen.status, event: seen.event }).toEqual(expected)
  },
)

test.each([
  ['METHOD_IN_DIRECT', METHOD_IN_DIRECT],
  ['METHOD_OUT_DIRECT', METHOD_OUT_DIRECT],
])(
  'IoBuildDeviceIoControlRequest, %s: the second buffer is an MDL, and shows its data also on an error',
  async (_name, method) => {
    const seen = await onSystem(async () => {
      const reply = await sendControl(method, (_device, irp) => {
        write8(irp.MdlAddress === null ? 0 : mdlAddress(irp.MdlAddress.address), read8(irp.AssociatedIrp.SystemBuffer))
        return finish(irp, STATUS_UNSUCCESSFUL)
      })
      return { first: reply.bytes[0], mdl: bytesByTag()['Mdl '], buffer: bytesByTag()['IoSb'] }
    })
    expect(seen).toEqual({ first: 1, mdl: 0, buffer: 0 })
  },
)

test('IoBuildDeviceIoControlRequest, METHOD_NEITHER: the driver gets the addresses as they are', async () => {
  const seen = await onSystem(() =>
    sendControl(METHOD_NEITHER, (_device, irp) => {
      const { Type3InputBuffer } = IoGetCurrentIrpStackLocation(irp).Parameters.DeviceIoControl
      write8(irp.UserBuffer, read8(Type3InputBuffer + 1))
      return finish(irp, STATUS_SUCCESS)
    }),
  )
  expect(seen.bytes[0]).toBe(2)
})

test('IoBuildDeviceIoControlRequest with InternalDeviceIoControl sends IRP_MJ_INTERNAL_DEVICE_CONTROL', async () => {
  const major = await onSystem(async () => {
    const [device] = (await stackOf({})) as [DEVICE_OBJECT]
    const irp = IoBuildDeviceIoControlRequest({
      IoControlCode: 3,
      DeviceObject: device,
      InputBuffer: null,
      InputBufferLength: 0,
      OutputBuffer: null,
      OutputBufferLength: 0,
      InternalDeviceIoControl: true,
      Event: newEvent(),
      IoStatusBlock: newBlock(),
    }) as IRP
    const { MajorFunction } = IoGetNextIrpStackLocation(irp)
    await IoCallDriver(device, irp)
    return MajorFunction
  })
  expect(major).toBe(IRP_MJ_INTERNAL_DEVICE_CONTROL)
})

test.each([
  ['buffered', DO_BUFFERED_IO],
  ['direct', DO_DIRECT_IO],
  ['neither', 0],
])('IoBuildSynchronousFsdRequest reads through %s I/O, and leaves nothing behind', async (_name, flag) => {
  const seen = await onSystem(async () => {
    const [device] = (await stackOf({
      [IRP_MJ_READ]: (_device, irp) => {
        const direct = irp.MdlAddress === null ? irp.UserBuffer : mdlAddress(irp.MdlAddress.address)
        write8(flag === DO_BUFFERED_IO ? irp.AssociatedIrp.SystemBuffer : direct, 42)
        const { Length, ByteOffset } = IoGetCurrentIrpStackLocation(irp).Parameters.Read
        return finish(irp, STATUS_SUCCESS, Length + Number(ByteOffset))
      },
    })) as [DEVICE_OBJECT]
    device.Flags |= flag
    const buffer = allocate(16, 'Test')
    const block = newBlock()
    const irp = IoBuildSynchronousFsdRequest({
      MajorFunction: IRP_MJ_READ,
      DeviceObject: device,
      Buffer: buffer,
      Length: 4,
      StartingOffset: 2n,
      Event: newEvent(),
      IoStatusBlock: block,
    }) as IRP
    await IoCallDriver(device, irp)
    const { 'Irp ': irps, 'Mdl ': mdls, IoSb } = bytesByTag()
    return { first: read8(buffer), information: block.Information, irps, mdls, IoSb }
  })
  expect(seen).toEqual({ first: 42, information: 6, irps: 0, mdls: 0, IoSb: 0 })
})

test('IoBuildSynchronousFsdRequest for IRP_MJ_PNP begins with STATUS_NOT_SUPPORTED', async () => {
  const status = await onSystem(async () => {
    const [device] = (await stackOf({})) as [DEVICE_OBJECT]
    const irp = IoBuildSynchronousFsdRequest({
      MajorFunction: IRP_MJ_PNP,
      DeviceObject: device,
      Buffer: null,
      Length: 0,
      StartingOffset: null,
      Event: newEvent(),
      IoStatusBlock: newBlock(),
    }) as IRP
    const before = irp.IoStatus.Status
    await IoCallDriver(device, irp)
    return before
  })
  expect(status).toBe(STATUS_NOT_SUPPORTED)
})

test('IoGetRequestorProcess names the process of the thread that sent a threaded IRP', async () => {
  const process = await onSystem(async () => {
    const seen: number[] = []
    const [device] = (await stackOf({
      [IRP_MJ_READ]: (_device, irp) => {
        seen.push(IoGetRequestorProcess(irp))
        return finish(irp, STATUS_SUCCESS)
      },
    })) as [DEVICE_OBJECT]
    const irp = IoBuildSynchronousFsdRequest({
      MajorFunction: IRP_MJ_READ,
      DeviceObject: device,
      Buffer: null,
      Length: 0,
      StartingOffset: null,
      Event: newEvent(),
      IoStatusBlock: newBlock(),
    }) as IRP
    await IoCallDriver(device, irp)
    return typeof seen[0]
  })
  expect(process).toBe('number')
})

test('IoBuildAsynchronousFsdRequest makes an IRP that its completion routine frees', async () => {
  const seen = await onSystem(async () => {
    const [device] = (await stackOf({
      [IRP_MJ_WRITE]: (_device, irp) => finish(irp, STATUS_SUCCESS, read8(irp.AssociatedIrp.SystemBuffer)),
    })) as [DEVICE_OBJECT]
    device.Flags |= DO_BUFFERED_IO
    const buffer = allocate(4, 'Test')
    write8(buffer, 77)
    const irp = IoBuildAsynchronousFsdRequest({
      MajorFunction: IRP_MJ_WRITE,
      DeviceObject: device,
      Buffer: buffer,
      Length: 4,
      StartingOffset: 0,
      IoStatusBlock: null,
    }) as IRP
    const information: number[] = []
    IoSetCompletionRoutine({
      Irp: irp,
      CompletionRoutine: (_device, done) => {
        information.push(done.IoStatus.Information)
        discardIrp(done.address)
        return STATUS_MORE_PROCESSING_REQUIRED
      },
      Context: null,
      InvokeOnSuccess: true,
      InvokeOnError: true,
      InvokeOnCancel: true,
    })
    await IoCallDriver(device, irp)
    const { 'Irp ': irps, IoSb } = bytesByTag()
    return { information, irps, IoSb }
  })
  expect(seen).toEqual({ information: [77], irps: 0, IoSb: 0 })
})

test('IoMakeAssociatedIrp: the master completes when the last part does', async () => {
  const seen = await onSystem(async () => {
    const order: string[] = []
    const [device] = (await stackOf({
      [IRP_MJ_READ]: (_device, irp) => {
        order.push('part')
        return finish(irp, STATUS_SUCCESS)
      },
    })) as [DEVICE_OBJECT]
    const master = IoAllocateIrp(1, false) as IRP
    IoSetCompletionRoutine({
      Irp: master,
      CompletionRoutine: () => {
        order.push('master')
        return STATUS_MORE_PROCESSING_REQUIRED
      },
      Context: null,
      InvokeOnSuccess: true,
      InvokeOnError: true,
      InvokeOnCancel: true,
    })
    IoSetNextIrpStackLocation(master) // as the driver sees it that has split it
    master.AssociatedIrp.IrpCount = 2
    for (let part = 0; part < 2; part++) {
      const irp = IoMakeAssociatedIrp(master, 1) as IRP
      IoGetNextIrpStackLocation(irp).MajorFunction = IRP_MJ_READ
      await IoCallDriver(device, irp)
    }
    IoFreeIrp(master)
    return { order, bytes: bytesByTag()['Irp '] }
  })
  expect(seen).toEqual({ order: ['part', 'part', 'master'], bytes: 0 })
})

test.each([
  ['completes at once', false],
  ['completes later', true],
])('IoForwardIrpSynchronously gives the IRP back where the driver below %s', async (_name, pends) => {
  const seen = await onSystem(async () => {
    let below: DEVICE_OBJECT
    const held: IRP[] = []
    const devices = await stackOf(
      {
        [IRP_MJ_READ]: (_device, irp) => {
          if (!pends) return finish(irp, STATUS_SUCCESS, 7)
          IoMarkIrpPending(irp)
          held.push(irp)
          return STATUS_PENDING
        },
      },
      {
        [IRP_MJ_READ]: async (_device, irp) => {
          const sent = await IoForwardIrpSynchronously(below, irp)
          return finish(irp, STATUS_SUCCESS, irp.IoStatus.Information + (sent ? 100 : 0))
        },
      },
    )
    below = devices[0] as DEVICE_OBJECT
    const event = newEvent()
    const block = newBlock()
    const irp = IoBuildSynchronousFsdRequest({
      MajorFunction: IRP_MJ_READ,
      DeviceObject: devices[1] as DEVICE_OBJECT,
      Buffer: null,
      Length: 0,
      StartingOffset: null,
      Event: event,
      IoStatusBlock: block,
    }) as IRP
    const result = IoCallDriver(devices[1] as DEVICE_OBJECT, irp)
    if (pends) completeFirst(held)
    await result
    await KeWaitForSingleObject(event, 0, 0, false, null)
    const { 'Irp ': irps, IoFw } = bytesByTag()
    return { information: block.Information, irps, IoFw }
  })
  expect(seen).toEqual({ information: 107, irps: 0, IoFw: 0 })
})

test('IoForwardIrpSynchronously returns FALSE and sends nothing when there is no location left', async () => {
  const sent = await onSystem(async () => {
    const [device] = (await stackOf({})) as [DEVICE_OBJECT]
    const irp = IoAllocateIrp(0, false) as IRP
    const sent = await IoForwardIrpSynchronously(device, irp)
    IoFreeIrp(irp)
    return sent
  })
  expect(sent).toBe(false)
})
