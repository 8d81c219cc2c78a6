/** Files as drivers use them: ZwCreateFile and what follows. */
import { KTHREAD } from '../ke/layouts.ts'
import { enter, type Out, PASSIVE_LEVEL } from '../ke/level.ts'
import { currentThread } from '../ke/thread.ts'
import { KernelMode } from '../ke/wait.ts'
import { read32 } from '../mm/access.ts'
import { captureAttributes, OBJ_CASE_INSENSITIVE, type ObjectAttributes } from '../ob/attributes.ts'
import { type HANDLE, referenceByHandle } from '../ob/handle.ts'
import { objectTypeIndex } from '../ob/layouts.ts'
import { openByName } from '../ob/object.ts'
import { dereferenceObject } from '../ob/reference.ts'
import { objectType } from '../ob/type.ts'
import {
  NT_ERROR,
  type NTSTATUS,
  STATUS_INVALID_PARAMETER,
  STATUS_OBJECT_TYPE_MISMATCH,
  STATUS_SUCCESS,
} from '../rtl/status.ts'
import { FILE_OPEN, IRP_MJ_READ, IRP_MJ_WRITE } from './codes.ts'
import { control, type FileRequest, transfer } from './fileio.ts'
import type { IO_STATUS_BLOCK } from './layouts.ts'
import { addressOf, type Buffer } from './mdl.ts'
import { fileType, type OpenPacket, openPacket } from './open.ts'
import type { Outcome } from './request.ts'

interface CreateFile {
  FileHandle: Out<HANDLE>
  DesiredAccess: number
  ObjectAttributes: ObjectAttributes
  IoStatusBlock: IO_STATUS_BLOCK
  AllocationSize: bigint | null
  FileAttributes: number
  ShareAccess: number
  CreateDisposition: number
  CreateOptions: number
  EaBuffer: null
  EaLength: 0
}

/**
 * Creates or opens a file, mostly a device or a file of one. Give OBJ_KERNEL_HANDLE unless the handle is only used in
 * the current process.
 *
 * @irql PASSIVE_LEVEL
 * @returns STATUS_SUCCESS; STATUS_OBJECT_NAME_NOT_FOUND, STATUS_OBJECT_PATH_NOT_FOUND; STATUS_OBJECT_TYPE_MISMATCH when
 *   the name is no device's; STATUS_NO_SUCH_DEVICE when the device is initializing or being deleted; STATUS_ACCESS_DENIED
 *   when it is exclusive and open; what the driver's IRP_MJ_CREATE gives
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-zwcreatefile
 */
export function ZwCreateFile(file: CreateFile): Promise<NTSTATUS> {
  enter(PASSIVE_LEVEL, 'ZwCreateFile')
  return open(file.FileHandle, file.DesiredAccess, file.ObjectAttributes, file.IoStatusBlock, {
    disposition: file.CreateDisposition,
    options: file.CreateOptions,
    fileAttributes: file.FileAttributes,
    shareAccess: file.ShareAccess,
  })
}

/**
 * Opens a file that exists.
 *
 * @irql PASSIVE_LEVEL
 * @returns as ZwCreateFile
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-zwopenfile
 */
export function ZwOpenFile(file: {
  FileHandle: Out<HANDLE>
  DesiredAccess: number
  ObjectAttributes: ObjectAttributes
  IoStatusBlock: IO_STATUS_BLOCK
  ShareAccess: number
  OpenOptions: number
}): Promise<NTSTATUS> {
  enter(PASSIVE_LEVEL, 'ZwOpenFile')
  return open(file.FileHandle, file.DesiredAccess, file.ObjectAttributes, file.IoStatusBlock, {
    disposition: FILE_OPEN,
    options: file.OpenOptions,
    shareAccess: file.ShareAccess,
  })
}

async function open(
  handle: Out<HANDLE>,
  access: number,
  given: ObjectAttributes,
  block: IO_STATUS_BLOCK,
  wish: Partial<OpenPacket>,
): Promise<NTSTATUS> {
  handle.value = 0
  if (given === null) return STATUS_INVALID_PARAMETER
  const captured = captureAttributes(given, KernelMode)
  if (captured.status !== STATUS_SUCCESS) return captured.status
  const attributes = { ...captured, attributes: captured.attributes | OBJ_CASE_INSENSITIVE }
  const context = openPacket(wish)
  const opened = await openByName({ attributes, type: fileType, access, mode: KernelMode, context })
  block.Status = opened.status
  block.Information = context.information
  if (opened.status >= 0) handle.value = opened.handle
  return opened.status
}

interface Transfer {
  FileHandle: HANDLE
  Event: HANDLE | null
  ApcRoutine: null
  ApcContext: null
  IoStatusBlock: IO_STATUS_BLOCK
  Buffer: Buffer
  Length: number
  ByteOffset: bigint | number | null
  Key: null
}

/**
 * Reads from a file, and waits for the data.
 *
 * @irql PASSIVE_LEVEL
 * @returns the request's status; STATUS_INVALID_HANDLE when the handle is not open; STATUS_OBJECT_TYPE_MISMATCH when it
 *   is no file's; STATUS_INSUFFICIENT_RESOURCES
 * @deviates (decision 0020) Waits also where Windows would return STATUS_PENDING (a file opened without
 *   FILE_SYNCHRONOUS_IO_…): there are no APCs, and callers that treat STATUS_PENDING right see no difference.
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-zwreadfile
 */
export function ZwReadFile(read: Transfer): Promise<NTSTATUS> {
  enter(PASSIVE_LEVEL, 'ZwReadFile')
  return move(read, IRP_MJ_READ)
}

/**
 * Writes to a file, and waits until that is done.
 *
 * @irql PASSIVE_LEVEL
 * @returns as ZwReadFile
 * @deviates (decision 0020) As ZwReadFile.
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-zwwritefile
 */
export function ZwWriteFile(write: Transfer): Promise<NTSTATUS> {
  enter(PASSIVE_LEVEL, 'ZwWriteFile')
  return move(write, IRP_MJ_WRITE)
}

function move(request: Transfer, major: typeof IRP_MJ_READ | typeof IRP_MJ_WRITE): Promise<NTSTATUS> {
  const offset = request.ByteOffset === null ? null : BigInt(request.ByteOffset)
  return onFile(request, (file) => transfer(file, major, addressOf(request.Buffer), request.Length, offset))
}

interface DeviceControl {
  FileHandle: HANDLE
  Event: HANDLE | null
  ApcRoutine: null
  ApcContext: null
  IoStatusBlock: IO_STATUS_BLOCK
  IoControlCode: number
  InputBuffer: Buffer
  InputBufferLength: number
  OutputBuffer: Buffer
  OutputBufferLength: number
}

/**
 * Sends a control code to a device, and waits for the answer.
 *
 * @irql PASSIVE_LEVEL
 * @returns as ZwReadFile
 * @deviates (decision 0020) As ZwReadFile.
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntifs/nf-ntifs-zwdeviceiocontrolfile
 */
export function ZwDeviceIoControlFile(request: DeviceControl): Promise<NTSTATUS> {
  enter(PASSIVE_LEVEL, 'ZwDeviceIoControlFile')
  return onFile(request, (file) =>
    control(file, {
      code: request.IoControlCode,
      input: addressOf(request.InputBuffer),
      inputLength: request.InputBufferLength,
      output: addressOf(request.OutputBuffer),
      outputLength: request.OutputBufferLength,
    }),
  )
}

interface OnFile {
  FileHandle: HANDLE
  Event: HANDLE | null
  IoStatusBlock: IO_STATUS_BLOCK
}

/** Runs a request on the file of a handle; the status block is written unless the request failed at once. */
async function onFile(parameters: OnFile, use: (request: FileRequest) => Promise<Outcome>): Promise<NTSTATUS> {
  const target = referenceByHandle(parameters.FileHandle, 0, fileType, KernelMode)
  if (target.status !== STATUS_SUCCESS) return target.status
  const event = referenceEvent(parameters.Event)
  const file = target.object
  const process = read32(currentThread() + KTHREAD.offsets.Process)
  const outcome =
    event.status === STATUS_SUCCESS
      ? await use({ file, mode: KernelMode, process, token: 0, event: event.object })
      : { status: event.status, information: 0, wasPending: false }
  if (event.object !== 0) dereferenceObject(event.object)
  dereferenceObject(file)
  if (!NT_ERROR(outcome.status) || outcome.wasPending) {
    parameters.IoStatusBlock.Status = outcome.status
    parameters.IoStatusBlock.Information = outcome.information
  }
  return outcome.status
}

function referenceEvent(handle: HANDLE | null): { status: NTSTATUS; object: number } {
  if (handle === null || handle === 0) return { status: STATUS_SUCCESS, object: 0 }
  const { status, object } = referenceByHandle(handle, 0, null, KernelMode)
  if (status !== STATUS_SUCCESS || objectType(objectTypeIndex(object)).name === 'Event') return { status, object }
  dereferenceObject(object)
  return { status: STATUS_OBJECT_TYPE_MISMATCH, object: 0 }
}
