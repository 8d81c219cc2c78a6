import { expect, test } from 'vitest'
import {
  CTL_CODE,
  DO_BUFFERED_IO,
  DO_DIRECT_IO,
  DO_EXCLUSIVE,
  FILE_GENERIC_READ,
  FILE_GENERIC_WRITE,
  FILE_WRITE_ACCESS,
  IRP_MJ_CLEANUP,
  IRP_MJ_CLOSE,
  IRP_MJ_CREATE,
  IRP_MJ_DEVICE_CONTROL,
  IRP_MJ_DIRECTORY_CONTROL,
  IRP_MJ_QUERY_INFORMATION,
  IRP_MJ_READ,
  IRP_MJ_WRITE,
  IRP_MN_NOTIFY_CHANGE_DIRECTORY,
  METHOD_BUFFERED,
  METHOD_IN_DIRECT,
  METHOD_NEITHER,
  SL_WATCH_TREE,
} from '../../../kernel/io/codes.ts'
import { IoReleaseCancelSpinLock, IoSetCancelRoutine } from '../../../kernel/io/cancel.ts'
import { IoAttachDeviceToDeviceStack } from '../../../kernel/io/attach.ts'
import { IoCallDriver } from '../../../kernel/io/call.ts'
import {
  IoGetCurrentIrpStackLocation,
  IoMarkIrpPending,
  IoSkipCurrentIrpStackLocation,
} from '../../../kernel/io/irp.ts'
import type { DRIVER_DISPATCH, IRP } from '../../../kernel/io/layouts.ts'
import { mdlAddress } from '../../../kernel/io/mdl.ts'
import { irpsInFlight } from '../../../kernel/io/request.ts'
import { settleDeletions } from '../../../kernel/io/driver.ts'
import {
  cancel,
  closeHandle,
  deviceIoControl,
  devicePath,
  notifyChange,
  openFile,
  queryDirectory,
  queryInformation,
  readFile,
  writeFile,
} from '../../../kernel/io/syscall.ts'
import { KeDelayExecutionThread } from '../../../kernel/ke/wait.ts'
import { read8, write8 } from '../../../kernel/mm/access.ts'
import { textOf } from '../../../kernel/rtl/string.ts'
import {
  STATUS_ACCESS_DENIED,
  STATUS_CANCELLED,
  STATUS_INVALID_HANDLE,
  STATUS_INVALID_PARAMETER,
  STATUS_NO_MORE_FILES,
  STATUS_NO_SUCH_DEVICE,
  STATUS_NO_SUCH_FILE,
  STATUS_NOT_SUPPORTED,
  STATUS_OBJECT_NAME_NOT_FOUND,
  STATUS_PENDING,
  STATUS_SUCCESS,
  STATUS_UNSUCCESSFUL,
} from '../../../kernel/rtl/status.ts'
import { bootSystem, bytesByTag, deviceOf, type Dispatch, driverWith, finish, onSystem } from './system.ts'

const READ_WRITE = FILE_GENERIC_READ | FILE_GENERIC_WRITE
const NOTHING = { 'Irp ': 0, IoRq: 0, IoSb: 0, User: 0, 'Mdl ': 0, IoFw: 0, IoNm: 0, IoRg: 0, DrvE: 0, File: 0 }

/** A driver with one open device, `\\.\Box`. */
async function opened(table: Dispatch, flags = DO_BUFFERED_IO, access = READ_WRITE): Promise<number> {
  const device = deviceOf(await driverWith(table), 'Box')
  device.Flags |= flags
  const { status, handle } = await openFile('\\\\.\\Box', access)
  if (status !== STATUS_SUCCESS) throw new Error(`open failed: ${status}`)
  return handle
}

/** Keeps requests until they are cancelled. */
const held: IRP[] = []
function cancelHeld(_device: unknown, irp: IRP): void {
  IoReleaseCancelSpinLock(irp.CancelIrql)
  held.splice(held.indexOf(irp), 1)
  finish(irp, STATUS_CANCELLED)
}
const hold: DRIVER_DISPATCH = (_device, irp) => {
  IoMarkIrpPending(irp)
  held.push(irp)
  IoSetCancelRoutine(irp, cancelHeld)
  return STATUS_PENDING
}

test('devicePath: a name, \\\\.\\name and a full path', () => {
  expect([devicePath('Box'), devicePath('\\\\.\\Box'), devicePath('\\Device\\Box')]).toEqual([
    '\\??\\Box',
    '\\??\\Box',
    '\\Device\\Box',
  ])
})

test('openFile sends IRP_MJ_CREATE with the rest of the path; closing sends CLEANUP, then CLOSE; nothing is left', async () => {
  const seen = await onSystem(async () => {
    const order: string[] = []
    const note =
      (what: string): DRIVER_DISPATCH =>
      (_device, irp) => {
        const { FileObject } = IoGetCurrentIrpStackLocation(irp)
        order.push(`${what} ${FileObject === null ? '' : textOf(FileObject.FileName)}`)
        return finish(irp, STATUS_SUCCESS, 1)
      }
    const driver = await driverWith({
      [IRP_MJ_CREATE]: note('create'),
      [IRP_MJ_CLEANUP]: note('cleanup'),
      [IRP_MJ_CLOSE]: note('close'),
    })
    const device = deviceOf(driver, 'Box')
    const { status, handle, information } = await openFile('Box\\sub\\file', FILE_GENERIC_READ)
    const opens = device.ReferenceCount
    const closed = await closeHandle(handle)
    await settleDeletions()
    return { status, information, opens, closed, after: device.ReferenceCount, order, bytes: bytesByTag() }
  })
  expect(seen).toEqual({
    status: STATUS_SUCCESS,
    information: 1,
    opens: 1,
    closed: STATUS_SUCCESS,
    after: 0,
    order: ['create \\sub\\file', 'cleanup \\sub\\file', 'close \\sub\\file'],
    bytes: NOTHING,
  })
})

test('openFile that the driver refuses gives its status: no handle, no CLEANUP, no CLOSE', async () => {
  const seen = await onSystem(async () => {
    let others = 0
    const count: DRIVER_DISPATCH = (_device, irp) => {
      others += 1
      return finish(irp, STATUS_SUCCESS)
    }
    const refuse: DRIVER_DISPATCH = (_device, irp) => finish(irp, STATUS_NO_SUCH_FILE)
    const device = deviceOf(
      await driverWith({ [IRP_MJ_CREATE]: refuse, [IRP_MJ_CLEANUP]: count, [IRP_MJ_CLOSE]: count }),
      'Box',
    )
    const reply = await openFile('Box', FILE_GENERIC_READ)
    await settleDeletions()
    return { reply, others, opens: device.ReferenceCount, bytes: bytesByTag() }
  })
  expect(seen).toEqual({
    reply: { status: STATUS_NO_SUCH_FILE, handle: 0, information: 0 },
    others: 0,
    opens: 0,
    bytes: NOTHING,
  })
})

test('openFile of a missing name, of a device that is initializing, and of an exclusive one that is open', async () => {
  const seen = await onSystem(async () => {
    const driver = await driverWith()
    const missing = (await openFile('None', FILE_GENERIC_READ)).status
    const device = deviceOf(driver, 'Box')
    device.Flags |= 0x80
    const initializing = (await openFile('Box', FILE_GENERIC_READ)).status
    device.Flags = (device.Flags & ~0x80) | DO_EXCLUSIVE
    const first = (await openFile('Box', FILE_GENERIC_READ)).status
    return [missing, initializing, first, (await openFile('Box', FILE_GENERIC_READ)).status]
  })
  expect(seen).toEqual([STATUS_OBJECT_NAME_NOT_FOUND, STATUS_NO_SUCH_DEVICE, STATUS_SUCCESS, STATUS_ACCESS_DENIED])
})

test.each([
  ['buffered', DO_BUFFERED_IO],
  ['direct', DO_DIRECT_IO],
  ['neither', 0],
])('readFile and writeFile move bytes through %s I/O', async (_name, flags) => {
  const seen = await onSystem(async () => {
    const store: number[] = []
    const buffer = (irp: IRP): number =>
      flags === DO_BUFFERED_IO
        ? irp.AssociatedIrp.SystemBuffer
        : irp.MdlAddress === null
          ? irp.UserBuffer
          : mdlAddress(irp.MdlAddress.address)
    const handle = await opened(
      {
        [IRP_MJ_WRITE]: (_device, irp) => {
          const { Length } = IoGetCurrentIrpStackLocation(irp).Parameters.Write
          for (let index = 0; index < Length; index++) store.push(read8(buffer(irp) + index))
          return finish(irp, STATUS_SUCCESS, Length)
        },
        [IRP_MJ_READ]: async (_device, irp) => {
          await KeDelayExecutionThread(0, false, -10)
          const { ByteOffset } = IoGetCurrentIrpStackLocation(irp).Parameters.Read
          write8(buffer(irp), store[Number(ByteOffset)] ?? 0)
          return finish(irp, STATUS_SUCCESS, 1)
        },
      },
      flags,
    )
    const written = await writeFile(handle, new Uint8Array([5, 6, 7]), null)
    const read = await readFile(handle, 10, 2)
    await closeHandle(handle)
    await settleDeletions()
    return { written, status: read.status, data: [...(read.data ?? [])], bytes: bytesByTag() }
  })
  expect(seen).toEqual({
    written: { status: STATUS_SUCCESS, information: 3, data: null },
    status: STATUS_SUCCESS,
    data: [7],
    bytes: NOTHING,
  })
})

test('writeFile with a handle for reading gives STATUS_ACCESS_DENIED, readFile with what is no handle STATUS_INVALID_HANDLE', async () => {
  const seen = await onSystem(async () => {
    const handle = await opened({}, 0, FILE_GENERIC_READ)
    const code = CTL_CODE(0x22, 0x800, METHOD_BUFFERED, FILE_WRITE_ACCESS)
    return [
      (await writeFile(handle, new Uint8Array(1), 0)).status,
      (await deviceIoControl(handle, code, new Uint8Array(0), 0)).status,
      (await readFile(handle + 400, 1, 0)).status,
      (await readFile(0x80000004, 1, 0)).status,
    ]
  })
  expect(seen).toEqual([STATUS_ACCESS_DENIED, STATUS_ACCESS_DENIED, STATUS_INVALID_HANDLE, STATUS_INVALID_HANDLE])
})

test.each([
  ['a length that is no integer', () => readFile(4, 1.5, 0)],
  ['a negative length', () => readFile(4, -1, 0)],
  ['a negative offset', () => readFile(4, 1, -1n)],
  ['a code beyond 32 bits', () => deviceIoControl(4, 2 ** 32, new Uint8Array(0), 0)],
  ['a filter of 0', () => notifyChange(4, 0, false, 10)],
  ['a filter of -1', () => notifyChange(4, 0xffffffff, false, 10)],
])('%s gives STATUS_INVALID_PARAMETER, and the driver hears nothing', async (_name, call) => {
  expect((await onSystem(() => call())).status).toBe(STATUS_INVALID_PARAMETER)
})

test('deviceIoControl: METHOD_BUFFERED answers in the same buffer, METHOD_IN_DIRECT sees the second one', async () => {
  const seen = await onSystem(async () => {
    const handle = await opened({
      [IRP_MJ_DEVICE_CONTROL]: (_device, irp) => {
        const buffer = irp.AssociatedIrp.SystemBuffer
        const second = irp.MdlAddress === null ? 0 : read8(mdlAddress(irp.MdlAddress.address))
        write8(buffer, read8(buffer) + second + 1)
        return finish(irp, STATUS_SUCCESS, 1)
      },
    })
    const code = (method: number) => CTL_CODE(0x22, 0x801, method, 0)
    const buffered = await deviceIoControl(handle, code(METHOD_BUFFERED), new Uint8Array([40]), 4)
    const direct = await deviceIoControl(handle, code(METHOD_IN_DIRECT), new Uint8Array([1]), new Uint8Array([9]))
    await closeHandle(handle)
    await settleDeletions()
    return { buffered: [...(buffered.data ?? [])], direct: [...(direct.data ?? [])], bytes: bytesByTag() }
  })
  expect(seen).toEqual({ buffered: [41], direct: [9], bytes: NOTHING })
})

test('deviceIoControl: METHOD_NEITHER gives STATUS_NOT_SUPPORTED and says why', async () => {
  const reply = await onSystem(async () => {
    const handle = await opened({})
    return deviceIoControl(handle, CTL_CODE(0x22, 0x800, METHOD_NEITHER, 0), new Uint8Array(0), 0)
  })
  expect(reply).toMatchObject({ status: STATUS_NOT_SUPPORTED, reason: expect.stringContaining('METHOD_BUFFERED') })
})

/** Waits, on a thread of its own, until the driver holds a request. */
async function untilHeld(): Promise<void> {
  while (irpsInFlight().length === 0) await KeDelayExecutionThread(0, false, -1000)
}

test('notifyChange sends IRP_MN_NOTIFY_CHANGE_DIRECTORY with the filter, and cancel ends it with STATUS_CANCELLED', async () => {
  await using machine = await bootSystem()
  const asked: number[] = []
  const handle = await machine.run(() =>
    opened({
      [IRP_MJ_DIRECTORY_CONTROL]: (device, irp) => {
        const { MinorFunction, Flags, Parameters } = IoGetCurrentIrpStackLocation(irp)
        asked.push(MinorFunction, Flags, Parameters.NotifyDirectory.CompletionFilter, Parameters.NotifyDirectory.Length)
        return hold(device, irp)
      },
    }),
  )
  const before = await machine.run(() => cancel(9))
  const change = machine.run(() => notifyChange(handle, 3, true, 64, 9))
  const cancelled = await machine.run(async () => {
    await untilHeld()
    return [cancel(8), cancel(9)]
  })
  const { status, data } = await change
  const bytes = await machine.run(async () => {
    await closeHandle(handle)
    await settleDeletions()
    return { again: cancel(9), ...bytesByTag() }
  })
  expect({ asked, before, cancelled, status, data, bytes }).toEqual({
    asked: [IRP_MN_NOTIFY_CHANGE_DIRECTORY, SL_WATCH_TREE, 3, 64],
    before: false,
    cancelled: [false, true],
    status: STATUS_CANCELLED,
    data: null,
    bytes: { again: false, ...NOTHING },
  })
})

test('cancel of a request that its driver has completed already changes nothing', async () => {
  await using machine = await bootSystem()
  const handle = await machine.run(() => opened({ [IRP_MJ_READ]: hold }))
  const reading = machine.run(() => readFile(handle, 4, 0, 5))
  const cancelled = await machine.run(async () => {
    await untilHeld()
    const irp = held.shift() as IRP
    IoSetCancelRoutine(irp, null)
    finish(irp, STATUS_SUCCESS, 2)
    return cancel(5) // the request is still there: its thread has not run yet
  })
  const { status, information } = await reading
  const irps = await machine.run(() => bytesByTag()['Irp '])
  expect({ cancelled, status, information, irps }).toEqual({
    cancelled: true,
    status: STATUS_SUCCESS,
    information: 2,
    irps: 0,
  })
})

test('closeHandle while a read is out: CLEANUP at once, CLOSE when the read is done', async () => {
  await using machine = await bootSystem()
  const order: string[] = []
  const note =
    (what: string): DRIVER_DISPATCH =>
    (_device, irp) => {
      order.push(what)
      return finish(irp, STATUS_SUCCESS)
    }
  const table = { [IRP_MJ_READ]: hold, [IRP_MJ_CLEANUP]: note('cleanup'), [IRP_MJ_CLOSE]: note('close') }
  const handle = await machine.run(() => opened(table))
  const reading = machine.run(() => readFile(handle, 4, 0, 6))
  await machine.run(async () => {
    await untilHeld()
    await closeHandle(handle)
    order.push('closed')
    cancel(6)
  })
  await reading
  await machine.run(settleDeletions)
  expect(order).toEqual(['cleanup', 'closed', 'close'])
})

test('queryDirectory hands the pattern to the driver and gives STATUS_NO_MORE_FILES back', async () => {
  const seen = await onSystem(async () => {
    const patterns: string[] = []
    const handle = await opened({
      [IRP_MJ_DIRECTORY_CONTROL]: (_device, irp) => {
        const { FileName } = IoGetCurrentIrpStackLocation(irp).Parameters.QueryDirectory
        patterns.push(FileName === null ? '' : textOf(FileName))
        return finish(irp, STATUS_NO_MORE_FILES)
      },
    })
    const { status } = await queryDirectory(handle, 100, { pattern: '*.pin' })
    return { patterns, status, bytes: bytesByTag()['IoNm'] }
  })
  expect(seen).toEqual({ patterns: ['*.pin'], status: STATUS_NO_MORE_FILES, bytes: 0 })
})

test('queryInformation asks by class and gets a system buffer, whatever the device’s flags say', async () => {
  const seen = await onSystem(async () => {
    const handle = await opened(
      {
        [IRP_MJ_QUERY_INFORMATION]: (_device, irp) => {
          const { Length, FileInformationClass } = IoGetCurrentIrpStackLocation(irp).Parameters.QueryFile
          write8(irp.AssociatedIrp.SystemBuffer, FileInformationClass)
          return finish(irp, STATUS_SUCCESS, Length)
        },
      },
      DO_DIRECT_IO,
      0, // no access is needed
    )
    const { status, data } = await queryInformation(handle, 3, 5)
    return { status, data, bytes: bytesByTag() }
  })
  expect(seen).toMatchObject({ status: STATUS_SUCCESS, data: Uint8Array.of(5, 0, 0), bytes: { IoSb: 0, User: 0 } })
})

test('a request goes to the top of the stack that its device is in', async () => {
  const seen = await onSystem(async () => {
    const order: string[] = []
    const lower = deviceOf(
      await driverWith({
        [IRP_MJ_READ]: (_device, irp) => {
          order.push('lower')
          return finish(irp, STATUS_SUCCESS)
        },
      }),
      'Box',
    )
    const pass: DRIVER_DISPATCH = (_device, irp) => {
      IoSkipCurrentIrpStackLocation(irp)
      return IoCallDriver(lower, irp)
    }
    const filter = await driverWith({
      [IRP_MJ_CREATE]: pass,
      [IRP_MJ_CLEANUP]: pass,
      [IRP_MJ_CLOSE]: pass,
      [IRP_MJ_READ]: (device, irp) => {
        order.push('filter')
        return pass(device, irp)
      },
    })
    IoAttachDeviceToDeviceStack(deviceOf(filter), lower)
    const { handle } = await openFile('Box', FILE_GENERIC_READ)
    await readFile(handle, 0, 0)
    await closeHandle(handle)
    return order
  })
  expect(seen).toEqual(['filter', 'lower'])
})

// wdm-facts §14.4 and §18.4.
const broken: [string, number, DRIVER_DISPATCH][] = [
  [
    'returns another status than it completed with',
    0x224,
    (_device, irp) => finish(irp, STATUS_UNSUCCESSFUL) && STATUS_SUCCESS,
  ],
  ['neither completes nor pends', 0x226, () => STATUS_SUCCESS],
  [
    'returns STATUS_PENDING without IoMarkIrpPending',
    0x23d,
    (_device, irp) => {
      finish(irp, STATUS_SUCCESS)
      return STATUS_PENDING
    },
  ],
  [
    'marks pending and returns something else',
    0x23e,
    (_device, irp) => {
      IoMarkIrpPending(irp)
      return finish(irp, STATUS_SUCCESS)
    },
  ],
  ['reports more bytes than there is room for', 0x312, (_device, irp) => finish(irp, STATUS_SUCCESS, 5)],
]

test.each(broken)('a dispatch routine that %s is bug check 0xC9, subcode 0x%x', async (_name, subcode, dispatch) => {
  const crash = onSystem(async () => {
    const handle = await opened({ [IRP_MJ_READ]: dispatch })
    await readFile(handle, 4, 0)
  })
  await expect(crash).rejects.toMatchObject({ code: 0xc9, parameters: [subcode, expect.anything(), 0, 0] })
})
