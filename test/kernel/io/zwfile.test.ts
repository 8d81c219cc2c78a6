import { expect, test } from 'vitest'
import {
  CTL_CODE,
  DO_BUFFERED_IO,
  FILE_CREATE,
  FILE_GENERIC_READ,
  FILE_SYNCHRONOUS_IO_NONALERT,
  IRP_MJ_CREATE,
  IRP_MJ_DEVICE_CONTROL,
  IRP_MJ_READ,
  IRP_MJ_WRITE,
  METHOD_BUFFERED,
} from '../../../kernel/io/codes.ts'
import { settleDeletions } from '../../../kernel/io/driver.ts'
import { IoGetCurrentIrpStackLocation } from '../../../kernel/io/irp.ts'
import { IO_STATUS_BLOCK } from '../../../kernel/io/layouts.ts'
import { ZwCreateFile, ZwDeviceIoControlFile, ZwOpenFile, ZwReadFile, ZwWriteFile } from '../../../kernel/io/zwfile.ts'
import { read8, write8 } from '../../../kernel/mm/access.ts'
import { allocate } from '../../../kernel/mm/pool.ts'
import { OBJ_KERNEL_HANDLE } from '../../../kernel/ob/attributes.ts'
import { ZwClose } from '../../../kernel/ob/handle.ts'
import {
  STATUS_OBJECT_NAME_NOT_FOUND,
  STATUS_OBJECT_TYPE_MISMATCH,
  STATUS_SUCCESS,
} from '../../../kernel/rtl/status.ts'
import { bytesByTag, deviceOf, type Dispatch, driverWith, finish, onSystem } from './system.ts'

const newBlock = (): IO_STATUS_BLOCK => new IO_STATUS_BLOCK(allocate(IO_STATUS_BLOCK.size, 'Test'))

async function open(table: Dispatch, options = 0): Promise<number> {
  const device = deviceOf(await driverWith(table), 'Box')
  device.Flags |= DO_BUFFERED_IO
  const handle = { value: 0 }
  await ZwOpenFile({
    FileHandle: handle,
    DesiredAccess: FILE_GENERIC_READ,
    ObjectAttributes: { ObjectName: '\\Device\\Box', Attributes: OBJ_KERNEL_HANDLE },
    IoStatusBlock: newBlock(),
    ShareAccess: 7,
    OpenOptions: options,
  })
  return handle.value
}

const transfer = (handle: number, buffer: number, length: number, offset: bigint | null, block = newBlock()) => ({
  FileHandle: handle,
  Event: null,
  ApcRoutine: null,
  ApcContext: null,
  IoStatusBlock: block,
  Buffer: buffer,
  Length: length,
  ByteOffset: offset,
  Key: null,
})

test('ZwCreateFile hands disposition, options and sharing to the driver, and its Information back', async () => {
  const seen = await onSystem(async () => {
    let asked: number[] = []
    const driver = await driverWith({
      [IRP_MJ_CREATE]: (_device, irp) => {
        const { Options, ShareAccess, FileAttributes } = IoGetCurrentIrpStackLocation(irp).Parameters.Create
        asked = [Options >>> 24, Options & 0xffffff, ShareAccess, FileAttributes]
        return finish(irp, STATUS_SUCCESS, 2)
      },
    })
    deviceOf(driver, 'Box')
    const handle = { value: 0 }
    const block = newBlock()
    const status = await ZwCreateFile({
      FileHandle: handle,
      DesiredAccess: FILE_GENERIC_READ,
      ObjectAttributes: { ObjectName: '\\??\\Box', Attributes: OBJ_KERNEL_HANDLE },
      IoStatusBlock: block,
      AllocationSize: null,
      FileAttributes: 0x80,
      ShareAccess: 1,
      CreateDisposition: FILE_CREATE,
      CreateOptions: FILE_SYNCHRONOUS_IO_NONALERT,
      EaBuffer: null,
      EaLength: 0,
    })
    const isKernel = handle.value >= 0x80000000
    await ZwClose(handle.value)
    await settleDeletions()
    return { status, asked, information: block.Information, isKernel, files: bytesByTag()['File'] }
  })
  expect(seen).toEqual({ status: STATUS_SUCCESS, asked: [2, 0x20, 1, 0x80], information: 2, isKernel: true, files: 0 })
})

test('ZwOpenFile of a missing name and of a directory', async () => {
  const seen = await onSystem(async () => {
    const openIt = (ObjectName: string) =>
      ZwOpenFile({
        FileHandle: { value: 1 },
        DesiredAccess: FILE_GENERIC_READ,
        ObjectAttributes: { ObjectName, Attributes: OBJ_KERNEL_HANDLE },
        IoStatusBlock: newBlock(),
        ShareAccess: 7,
        OpenOptions: 0,
      })
    return [await openIt('\\Device\\None'), await openIt('\\Device')]
  })
  expect(seen).toEqual([STATUS_OBJECT_NAME_NOT_FOUND, STATUS_OBJECT_TYPE_MISMATCH])
})

test('ZwReadFile on a synchronous file goes on where the last read ended, unless an offset is given', async () => {
  const offsets = await onSystem(async () => {
    const offsets: number[] = []
    const handle = await open(
      {
        [IRP_MJ_READ]: (_device, irp) => {
          offsets.push(Number(IoGetCurrentIrpStackLocation(irp).Parameters.Read.ByteOffset))
          return finish(irp, STATUS_SUCCESS, 3)
        },
      },
      FILE_SYNCHRONOUS_IO_NONALERT,
    )
    const buffer = allocate(8, 'Test')
    for (const offset of [null, null, 100n, null]) await ZwReadFile(transfer(handle, buffer, 4, offset))
    await ZwClose(handle)
    return offsets
  })
  expect(offsets).toEqual([0, 3, 100, 103])
})

test('ZwWriteFile gives the driver the bytes, and the status block what it says', async () => {
  const seen = await onSystem(async () => {
    let first = 0
    const handle = await open({
      [IRP_MJ_WRITE]: (_device, irp) => {
        first = read8(irp.AssociatedIrp.SystemBuffer)
        return finish(irp, STATUS_SUCCESS, 2)
      },
    })
    const buffer = allocate(2, 'Test')
    write8(buffer, 66)
    const block = newBlock()
    const status = await ZwWriteFile(transfer(handle, buffer, 2, 0n, block))
    await ZwClose(handle)
    return { status, first, information: block.Information }
  })
  expect(seen).toEqual({ status: STATUS_SUCCESS, first: 66, information: 2 })
})

test('ZwDeviceIoControlFile copies the answer into the output buffer', async () => {
  const answer = await onSystem(async () => {
    const handle = await open({
      [IRP_MJ_DEVICE_CONTROL]: (_device, irp) => {
        write8(irp.AssociatedIrp.SystemBuffer, 12)
        return finish(irp, STATUS_SUCCESS, 1)
      },
    })
    const output = allocate(4, 'Test')
    await ZwDeviceIoControlFile({
      FileHandle: handle,
      Event: null,
      ApcRoutine: null,
      ApcContext: null,
      IoStatusBlock: newBlock(),
      IoControlCode: CTL_CODE(0x22, 1, METHOD_BUFFERED, 0),
      InputBuffer: null,
      InputBufferLength: 0,
      OutputBuffer: output,
      OutputBufferLength: 4,
    })
    await ZwClose(handle)
    return read8(output)
  })
  expect(answer).toBe(12)
})
