/** Requests on an open file: reads, writes, control codes and directory requests, as IRPs to the top of its stack. */
import { mem } from '../mm/memory.ts'
import { read32, write16, write32, write8 } from '../mm/access.ts'
import { allocate, free } from '../mm/pool.ts'
import { resetEvent, setEvent } from '../ke/event.ts'
import { waitForObject } from '../ke/wait.ts'
import { writeText } from '../ob/attributes.ts'
import { NT_ERROR, NT_SUCCESS, STATUS_INSUFFICIENT_RESOURCES } from '../rtl/status.ts'
import { UNICODE_STRING } from '../rtl/string.ts'
import {
  discardIrp,
  irpFor,
  makeSystemBuffer,
  setControlBuffers,
  setControlStack,
  setTransferBuffers,
  setTransferStack,
} from './build.ts'
import {
  IRP_MJ_DEVICE_CONTROL,
  IRP_INPUT_OPERATION,
  IRP_MJ_DIRECTORY_CONTROL,
  IRP_MJ_QUERY_INFORMATION,
  IRP_MJ_READ,
  IRP_MJ_WRITE,
  IRP_MN_NOTIFY_CHANGE_DIRECTORY,
  IRP_MN_QUERY_DIRECTORY,
  IRP_READ_OPERATION,
  IRP_WRITE_OPERATION,
  SL_RESTART_SCAN,
  SL_RETURN_SINGLE_ENTRY,
  SL_WATCH_TREE,
} from './codes.ts'
import { deviceOfFile, File } from './database.ts'
import { nextStack } from './irp.ts'
import { FILE_OBJECT, IO_STACK_LOCATION, Irp, Stack } from './layouts.ts'
import { isSynchronous, setFile } from './open.ts'
import { type Outcome, sendAndWait } from './request.ts'

/** Who asks, of which file. The caller has a reference to it. */
export interface FileRequest {
  file: number
  mode: number
  process: number
  /** For a cancel from outside; 0: none. */
  token: number
  /** Address of an event that is set in place of the file's own; 0: none. */
  event: number
}

const NO_MEMORY: Outcome = { status: STATUS_INSUFFICIENT_RESOURCES, information: 0, wasPending: false }

/** Makes an IRP, lets `prepare` write what is asked, sends it, and signals who waits. */
async function send(
  request: FileRequest,
  room: number,
  prepare: (irp: number, device: number) => boolean,
): Promise<Outcome> {
  const { file, mode, process, token } = request
  const device = deviceOfFile(file)
  const irp = irpFor(device)
  if (irp === 0) return NO_MEMORY
  if (!prepare(irp, device)) {
    discardIrp(irp)
    return NO_MEMORY
  }
  setFile(irp, file)
  const event = request.event === 0 ? file + File.Event : request.event
  resetEvent(event)
  const outcome = await sendAndWait({ device, irp, room, process, token, mode })
  if (!NT_ERROR(outcome.status) || outcome.wasPending) setEvent(event)
  return outcome
}

/** Reads or writes. On a synchronous file one request runs at a time, and without an offset where the last one ended. */
export async function transfer(
  request: FileRequest,
  major: typeof IRP_MJ_READ | typeof IRP_MJ_WRITE,
  buffer: number,
  length: number,
  offset: bigint | null,
): Promise<Outcome> {
  const { file } = request
  if (!isSynchronous(file)) return sendTransfer(request, major, buffer, length, offset ?? 0n)
  await waitForObject(file + File.Lock)
  const view = new FILE_OBJECT(file)
  const start = offset ?? view.CurrentByteOffset
  const outcome = await sendTransfer(request, major, buffer, length, start)
  if (NT_SUCCESS(outcome.status)) view.CurrentByteOffset = start + BigInt(outcome.information)
  setEvent(file + File.Lock)
  return outcome
}

function sendTransfer(
  request: FileRequest,
  major: number,
  buffer: number,
  length: number,
  offset: bigint,
): Promise<Outcome> {
  return send(request, length, (irp, device) => {
    setTransferStack(irp, major, length, offset)
    const isReady = setTransferBuffers(irp, device, major, buffer, length)
    const operation = major === IRP_MJ_READ ? IRP_READ_OPERATION : IRP_WRITE_OPERATION
    write32(irp + Irp.Flags, read32(irp + Irp.Flags) | operation)
    return isReady
  })
}

export interface Control {
  code: number
  input: number
  inputLength: number
  output: number
  outputLength: number
}

/** Sends a control code. */
export async function control(request: FileRequest, what: Control): Promise<Outcome> {
  const { file } = request
  if (isSynchronous(file)) await waitForObject(file + File.Lock)
  const outcome = await send(request, what.outputLength, (irp) => {
    setControlStack(irp, IRP_MJ_DEVICE_CONTROL, what)
    return setControlBuffers(irp, what)
  })
  if (isSynchronous(file)) setEvent(file + File.Lock)
  return outcome
}

/** Waits for a change in a directory. */
export function notifyDirectory(
  request: FileRequest,
  buffer: number,
  length: number,
  filter: number,
  watchTree: boolean,
): Promise<Outcome> {
  return send(request, length, (irp, device) => {
    setDirectory(irp, IRP_MN_NOTIFY_CHANGE_DIRECTORY, watchTree ? SL_WATCH_TREE : 0)
    const parameters = new IO_STACK_LOCATION(nextStack(irp)).Parameters.NotifyDirectory
    parameters.Length = length
    parameters.CompletionFilter = filter
    return setTransferBuffers(irp, device, IRP_MJ_READ, buffer, length)
  })
}

export interface DirectoryQuery {
  informationClass: number
  /** Which names; null: as in the first query on the file. */
  pattern: string | null
  restart: boolean
  single: boolean
}

/** Lists a directory. */
export async function queryDirectory(
  request: FileRequest,
  buffer: number,
  length: number,
  query: DirectoryQuery,
): Promise<Outcome> {
  const name = query.pattern === null ? 0 : allocateString(query.pattern)
  if (query.pattern !== null && name === 0) return NO_MEMORY
  const outcome = await send(request, length, (irp, device) => {
    const flags = (query.restart ? SL_RESTART_SCAN : 0) | (query.single ? SL_RETURN_SINGLE_ENTRY : 0)
    setDirectory(irp, IRP_MN_QUERY_DIRECTORY, flags)
    const parameters = new IO_STACK_LOCATION(nextStack(irp)).Parameters.QueryDirectory
    parameters.Length = length
    parameters.FileName = UNICODE_STRING.at(name)
    parameters.FileInformationClass = query.informationClass
    return setTransferBuffers(irp, device, IRP_MJ_READ, buffer, length)
  })
  if (name !== 0) free(name, 'IoNm')
  return outcome
}

/** Asks what a file is. The answer goes through a system buffer, whatever the device's flags say. */
export function queryInformation(
  request: FileRequest,
  buffer: number,
  length: number,
  informationClass: number,
): Promise<Outcome> {
  return send(request, length, (irp) => {
    const stack = new IO_STACK_LOCATION(nextStack(irp))
    stack.MajorFunction = IRP_MJ_QUERY_INFORMATION
    stack.Parameters.QueryFile.Length = length
    stack.Parameters.QueryFile.FileInformationClass = informationClass
    write32(irp + Irp.UserBuffer, buffer)
    write32(irp + Irp.Flags, read32(irp + Irp.Flags) | IRP_INPUT_OPERATION)
    return makeSystemBuffer(irp, length, buffer, 0)
  })
}

function setDirectory(irp: number, minor: number, flags: number): void {
  const stack = nextStack(irp)
  write8(stack + Stack.MajorFunction, IRP_MJ_DIRECTORY_CONTROL)
  write8(stack + Stack.MinorFunction, minor)
  write8(stack + Stack.Flags, flags)
}

/** A counted string and its units in one block. */
function allocateString(text: string): number {
  const string = allocate(UNICODE_STRING.size + 2 * text.length, 'IoNm')
  if (string === 0) return 0
  write16(string + UNICODE_STRING.offsets.Length, 2 * text.length)
  write16(string + UNICODE_STRING.offsets.MaximumLength, 2 * text.length)
  write32(string + UNICODE_STRING.offsets.Buffer, string + UNICODE_STRING.size)
  writeText(string + UNICODE_STRING.size, text)
  return string
}

/** A copy of what a request has read. */
export const copyOut = (buffer: number, length: number): Uint8Array => mem.u8.slice(buffer, buffer + length)
