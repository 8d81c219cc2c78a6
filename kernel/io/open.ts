/**
 * File objects: one for each open of a device. IRP_MJ_CREATE makes it, IRP_MJ_CLEANUP follows when its last handle
 * is closed, IRP_MJ_CLOSE when its last reference goes.
 */
import { read32, write16, write32, read8, write8, write64, readU32 } from '../mm/access.ts'
import { initializeEvent, NotificationEvent, SynchronizationEvent } from '../ke/event.ts'
import { KernelMode, KeDelayExecutionThread } from '../ke/wait.ts'
import { checkAccess, type GenericMapping } from '../ob/access.ts'
import { allocateText, freeText } from '../ob/attributes.ts'
import { createObject } from '../ob/object.ts'
import { dereferenceObject, pointerCount, referenceObject } from '../ob/reference.ts'
import { type ObjectType, type ParseRequest, type ParseResult, registerObjectType } from '../ob/type.ts'
import {
  NT_SUCCESS,
  type NTSTATUS,
  STATUS_ACCESS_DENIED,
  STATUS_INSUFFICIENT_RESOURCES,
  STATUS_NO_SUCH_DEVICE,
  STATUS_OBJECT_TYPE_MISMATCH,
  STATUS_SUCCESS,
} from '../rtl/status.ts'
import { UNICODE_STRING } from '../rtl/string.ts'
import { irpFor } from './build.ts'
import {
  DO_DEVICE_INITIALIZING,
  DO_EXCLUSIVE,
  FILE_ALL_ACCESS,
  FILE_GENERIC_EXECUTE,
  FILE_GENERIC_READ,
  FILE_GENERIC_WRITE,
  FILE_OPEN,
  FILE_READ_DATA,
  FILE_SHARE_DELETE,
  FILE_SHARE_READ,
  FILE_SHARE_WRITE,
  FILE_SYNCHRONOUS_IO_ALERT,
  FILE_SYNCHRONOUS_IO_NONALERT,
  FILE_WRITE_DATA,
  FO_ALERTABLE_IO,
  FO_CLEANUP_COMPLETE,
  FO_FILE_OPEN,
  FO_HANDLE_CREATED,
  FO_SYNCHRONOUS_IO,
  IO_TYPE_FILE,
  IRP_CLOSE_OPERATION,
  IRP_CREATE_OPERATION,
  IRP_MJ_CLEANUP,
  IRP_MJ_CLOSE,
  IRP_MJ_CREATE,
  IRP_SYNCHRONOUS_API,
} from './codes.ts'
import { countOpen, Device, deviceOfFile, File, isDeleted, uncountOpen } from './database.ts'
import { admitCreate } from './devnode.ts'
import { nextStack } from './irp.ts'
import { FILE_OBJECT, IO_STACK_LOCATION, Irp, Stack } from './layouts.ts'
import { RETRY_AFTER, sendAndWait } from './request.ts'

/** What an open asks for, handed through the object manager to the parse procedure. */
export interface OpenPacket {
  readonly isOpenPacket: true
  disposition: number
  options: number
  fileAttributes: number
  shareAccess: number
  /** Filled in: IoStatus.Information of IRP_MJ_CREATE, and why the open failed. */
  information: number
}

export const openPacket = (wish: Partial<Omit<OpenPacket, 'isOpenPacket'>> = {}): OpenPacket => ({
  isOpenPacket: true,
  disposition: wish.disposition ?? FILE_OPEN,
  options: wish.options ?? 0,
  fileAttributes: wish.fileAttributes ?? 0,
  shareAccess: wish.shareAccess ?? FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
  information: 0,
})

export const FILE_MAPPING: GenericMapping = {
  read: FILE_GENERIC_READ,
  write: FILE_GENERIC_WRITE,
  execute: FILE_GENERIC_EXECUTE,
  all: FILE_ALL_ACCESS,
}

/** IRP_MJ_CLOSE was sent: ours, in FILE_OBJECT.Flags. */
const FO_CLOSED = 0x80000000 | 0

export const fileType: ObjectType = registerObjectType({
  name: 'File',
  view: FILE_OBJECT,
  tag: 'File',
  mapping: FILE_MAPPING,
  userAccess: FILE_ALL_ACCESS,
  waitObject: (file) => file + File.Event,
  open: (file) => {
    write32(file + File.Flags, read32(file + File.Flags) | FO_HANDLE_CREATED)
    return STATUS_SUCCESS
  },
  close: closeProcedure,
  delete: deleteProcedure,
  deletesLater: true,
  parse: (file, rest, request) => open(read32(file + File.DeviceObject), file, rest, request),
})

/** The object manager has come to a device: it is opened, with the rest of the path as the file's name. */
export function parseDevice(device: number, rest: string, request: ParseRequest): ParseResult | Promise<ParseResult> {
  const wantsDevice = request.type !== null && request.type.name === 'Device'
  if (!wantsDevice) return open(device, 0, rest, request)
  if (rest !== '') return failed(STATUS_OBJECT_TYPE_MISMATCH)
  referenceObject(device)
  return { status: STATUS_SUCCESS, object: device }
}

const failed = (status: NTSTATUS): ParseResult => ({ status, object: 0 })

function open(
  device: number,
  related: number,
  name: string,
  request: ParseRequest,
): ParseResult | Promise<ParseResult> {
  const packet = request.context as OpenPacket | null | undefined
  const wantsFile = request.type === null || request.type.name === 'File'
  if (packet?.isOpenPacket !== true || !wantsFile) return failed(STATUS_OBJECT_TYPE_MISMATCH)
  const flags = read32(device + Device.Flags)
  if ((flags & DO_DEVICE_INITIALIZING) !== 0 || isDeleted(device)) return failed(STATUS_NO_SUCH_DEVICE)
  const { status, granted } = checkAccess(device, FILE_MAPPING, request.access, request.mode)
  if (status !== STATUS_SUCCESS) return failed(status)
  if (!countOpen(device, (flags & DO_EXCLUSIVE) !== 0 && related === 0)) return failed(STATUS_ACCESS_DENIED)
  const file = createFile(device, related, name, granted, packet)
  if (file !== 0) return create(file, packet, request.mode)
  uncountOpen(device)
  return failed(STATUS_INSUFFICIENT_RESOURCES)
}

/** Makes a file object; it has a reference to its device. */
function createFile(device: number, related: number, name: string, access: number, packet: OpenPacket): number {
  const file = createObject(fileType, FILE_OBJECT.size)
  if (file === 0) return 0
  const text = name === '' ? 0 : allocateText(name)
  if (name !== '' && text === 0) {
    dereferenceObject(file)
    return 0
  }
  referenceObject(device)
  write16(file + File.Type, IO_TYPE_FILE)
  write16(file + File.Size, FILE_OBJECT.size)
  write32(file + File.DeviceObject, device)
  write32(file + File.RelatedFileObject, related)
  write32(file + File.FileName + UNICODE_STRING.offsets.Buffer, text)
  write16(file + File.FileName + UNICODE_STRING.offsets.Length, name.length * 2)
  write16(file + File.FileName + UNICODE_STRING.offsets.MaximumLength, name.length * 2)
  write64(file + File.CurrentByteOffset, 0n)
  write8(file + File.ReadAccess, (access & FILE_READ_DATA) !== 0 ? 1 : 0)
  write8(file + File.WriteAccess, (access & FILE_WRITE_DATA) !== 0 ? 1 : 0)
  write8(file + File.SharedRead, packet.shareAccess & FILE_SHARE_READ ? 1 : 0)
  write8(file + File.SharedWrite, packet.shareAccess & FILE_SHARE_WRITE ? 1 : 0)
  write8(file + File.SharedDelete, packet.shareAccess & FILE_SHARE_DELETE ? 1 : 0)
  write32(file + File.Flags, flagsFor(packet.options))
  initializeEvent(file + File.Lock, SynchronizationEvent, true)
  initializeEvent(file + File.Event, NotificationEvent, false)
  return file
}

function flagsFor(options: number): number {
  if ((options & FILE_SYNCHRONOUS_IO_ALERT) !== 0) return FO_SYNCHRONOUS_IO | FO_ALERTABLE_IO
  return (options & FILE_SYNCHRONOUS_IO_NONALERT) !== 0 ? FO_SYNCHRONOUS_IO : 0
}

/** Sends IRP_MJ_CREATE. A file that the driver refuses is never cleaned up or closed. */
async function create(file: number, packet: OpenPacket, mode: number): Promise<ParseResult> {
  const admitted = await admitCreate(read32(file + File.DeviceObject))
  if (admitted !== STATUS_SUCCESS) return refuse(file, admitted)
  const device = deviceOfFile(file)
  const irp = irpFor(device)
  if (irp === 0) return refuse(file, STATUS_INSUFFICIENT_RESOURCES)
  write32(irp + Irp.Flags, IRP_CREATE_OPERATION | IRP_SYNCHRONOUS_API)
  const stack = new IO_STACK_LOCATION(nextStack(irp))
  stack.MajorFunction = IRP_MJ_CREATE
  stack.Parameters.Create.Options = (packet.disposition << 24) | packet.options
  stack.Parameters.Create.FileAttributes = packet.fileAttributes
  stack.Parameters.Create.ShareAccess = packet.shareAccess
  setFile(irp, file)
  const { status, information } = await sendAndWait({ device, irp, room: 0xffffffff, mode })
  if (!NT_SUCCESS(status)) return refuse(file, status)
  packet.information = information
  write32(file + File.RelatedFileObject, 0)
  write32(file + File.Flags, read32(file + File.Flags) | FO_FILE_OPEN)
  return { status: STATUS_SUCCESS, object: file }
}

function refuse(file: number, status: NTSTATUS): ParseResult {
  uncountOpen(read32(file + File.DeviceObject))
  dereferenceObject(file)
  return failed(status)
}

/** Names the file in an IRP and in the first location. */
export function setFile(irp: number, file: number): void {
  write32(irp + Irp.OriginalFileObject, file)
  write32(nextStack(irp) + Stack.FileObject, file)
}

const hasFlag = (file: number, flag: number): boolean => (read32(file + File.Flags) & flag) !== 0
const setFlag = (file: number, flag: number): void => write32(file + File.Flags, read32(file + File.Flags) | flag)

/** A handle was closed. With the last one the driver cleans up; and closes, if nobody else refers to the file. */
async function closeFile(file: number): Promise<void> {
  await cleanUp(file)
  // One reference is the handle's own. Requests that are out have theirs: then the last of those closes.
  if (pointerCount(file) === 1) await sendClose(file)
}

function closeProcedure(file: number, _process: number, _access: number, left: number): void | Promise<void> {
  return left === 0 ? closeFile(file) : undefined
}

async function cleanUp(file: number): Promise<void> {
  if (!hasFlag(file, FO_FILE_OPEN) || hasFlag(file, FO_CLEANUP_COMPLETE)) return
  setFlag(file, FO_CLEANUP_COMPLETE)
  await sendWithoutFail(file, IRP_MJ_CLEANUP, IRP_CLOSE_OPERATION | IRP_SYNCHRONOUS_API)
}

async function sendClose(file: number): Promise<void> {
  if (!hasFlag(file, FO_FILE_OPEN) || hasFlag(file, FO_CLOSED)) return
  setFlag(file, FO_CLOSED)
  await sendWithoutFail(file, IRP_MJ_CLOSE, IRP_CLOSE_OPERATION | IRP_SYNCHRONOUS_API)
  uncountOpen(read32(file + File.DeviceObject))
}

/** The last reference is gone. Runs on the object manager's own thread. */
async function deleteProcedure(file: number): Promise<void> {
  await cleanUp(file)
  await sendClose(file)
  freeText(readU32(file + File.FileName + UNICODE_STRING.offsets.Buffer))
  const device = read32(file + File.DeviceObject)
  if (device !== 0) dereferenceObject(device)
}

/** A cleanup or close has nobody to fail to: without memory it waits for some. */
async function sendWithoutFail(file: number, major: number, flags: number): Promise<void> {
  const device = deviceOfFile(file)
  let irp = irpFor(device)
  while (irp === 0) {
    await KeDelayExecutionThread(KernelMode, false, RETRY_AFTER)
    irp = irpFor(device)
  }
  write32(irp + Irp.Flags, flags)
  write8(nextStack(irp) + Stack.MajorFunction, major)
  setFile(irp, file)
  await sendAndWait({ device, irp, room: 0xffffffff, mode: KernelMode, mustSucceed: true })
}

export const isSynchronous = (file: number): boolean => hasFlag(file, FO_SYNCHRONOUS_IO)
export const hasAccess = (file: number, field: 'ReadAccess' | 'WriteAccess'): boolean => read8(file + File[field]) !== 0
