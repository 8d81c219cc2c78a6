/**
 * What a user program asks of the I/O system. machine/ calls these on a user thread of the program's process.
 *
 * Everything that comes from outside is checked here: handles, access, lengths, codes. A program's buffers lie in
 * pool blocks of one request (tag `User`); bytes are copied in and out.
 */
import { mem } from '../mm/memory.ts'
import { allocate, free } from '../mm/pool.ts'
import { currentProcess, closeHandle as closeObjectHandle, referenceByHandle } from '../ob/handle.ts'
import { captureAttributes, OBJ_CASE_INSENSITIVE } from '../ob/attributes.ts'
import { openByName } from '../ob/object.ts'
import { dereferenceObject } from '../ob/reference.ts'
import { UserMode } from '../ke/wait.ts'
import {
  NT_ERROR,
  type NTSTATUS,
  STATUS_INSUFFICIENT_RESOURCES,
  STATUS_INVALID_PARAMETER,
  STATUS_NOT_SUPPORTED,
  STATUS_SUCCESS,
} from '../rtl/status.ts'
import {
  FILE_LIST_DIRECTORY,
  FILE_READ_ACCESS,
  FILE_READ_DATA,
  FILE_WRITE_ACCESS,
  FILE_WRITE_DATA,
  FileBothDirectoryInformation,
  IRP_MJ_READ,
  IRP_MJ_WRITE,
  METHOD_FROM_CTL_CODE,
  METHOD_NEITHER,
} from './codes.ts'
import {
  control,
  copyOut,
  type DirectoryQuery,
  type FileRequest,
  notifyDirectory,
  queryDirectory as queryFileDirectory,
  queryInformation as queryFileInformation,
  transfer,
} from './fileio.ts'
import { fileType, type OpenPacket, openPacket } from './open.ts'
import { cancelRequest, type Outcome } from './request.ts'

/** What a program gets back. */
export interface Reply {
  status: NTSTATUS
  information: number
  /** What was read; null for a request that reads nothing, and when it failed. */
  data: Uint8Array | null
  /** Why, where the status alone does not say it. */
  reason?: string
}

export interface OpenReply {
  status: NTSTATUS
  /** Valid in the process of the calling thread only; 0 on failure. */
  handle: number
  /** FILE_OPENED, FILE_CREATED … */
  information: number
}

/** The bits that a change filter may have. */
const FILE_NOTIFY_VALID_MASK = 0xfff

const refused = (status: NTSTATUS, reason?: string): Reply => {
  const reply: Reply = { status, information: 0, data: null }
  if (reason !== undefined) reply.reason = reason
  return reply
}

/** `\\.\Name`, or just `Name`, as the object manager knows it. */
export function devicePath(name: string): string {
  if (name.startsWith('\\\\.\\')) return `\\??\\${name.slice(4)}`
  return name.startsWith('\\') ? name : `\\??\\${name}`
}

/** Opens a device, or a file of one. @irql PASSIVE_LEVEL */
export async function openFile(
  path: string,
  access: number,
  wish: Partial<Omit<OpenPacket, 'isOpenPacket'>> = {},
): Promise<OpenReply> {
  const failed = (status: NTSTATUS): OpenReply => ({ status, handle: 0, information: 0 })
  if (typeof path !== 'string' || !isWord(access)) return failed(STATUS_INVALID_PARAMETER)
  const attributes = captureAttributes({ ObjectName: devicePath(path), Attributes: OBJ_CASE_INSENSITIVE }, UserMode)
  if (attributes.status !== STATUS_SUCCESS) return failed(attributes.status)
  const context = openPacket(wish)
  const { status, handle } = await openByName({ attributes, type: fileType, access, mode: UserMode, context })
  return status < 0 ? failed(status) : { status, handle, information: context.information }
}

/** Closes a handle of any type. The driver sees IRP_MJ_CLEANUP before this is done. @irql PASSIVE_LEVEL */
export function closeHandle(handle: number): NTSTATUS | Promise<NTSTATUS> {
  return isWord(handle) ? closeObjectHandle(handle, UserMode) : STATUS_INVALID_PARAMETER
}

/** Reads up to `length` bytes. `token` names the request for `cancel`; 0: none. @irql PASSIVE_LEVEL */
export function readFile(handle: number, length: number, offset: number | bigint | null, token = 0): Promise<Reply> {
  const start = offsetOf(offset)
  if (start === undefined) return Promise.resolve(refused(STATUS_INVALID_PARAMETER))
  return onFile(handle, FILE_READ_DATA, token, length, null, (request, buffer) =>
    transfer(request, IRP_MJ_READ, buffer, length, start),
  )
}

/** Writes bytes. @irql PASSIVE_LEVEL */
export async function writeFile(
  handle: number,
  bytes: Uint8Array,
  offset: number | bigint | null,
  token = 0,
): Promise<Reply> {
  const start = offsetOf(offset)
  if (start === undefined || !(bytes instanceof Uint8Array)) return refused(STATUS_INVALID_PARAMETER)
  const reply = await onFile(handle, FILE_WRITE_DATA, token, bytes.length, bytes, (request, buffer) =>
    transfer(request, IRP_MJ_WRITE, buffer, bytes.length, start),
  )
  return { ...reply, data: null }
}

const NEITHER =
  'the control code asks for METHOD_NEITHER, by which a driver gets raw addresses of the program; use METHOD_BUFFERED or a direct method'

/** Sends a control code. `output`: how much room there is for the answer, or the bytes that stand there before. */
export async function deviceIoControl(
  handle: number,
  code: number,
  input: Uint8Array,
  output: number | Uint8Array,
  token = 0,
): Promise<Reply> {
  if (!isWord(code) || !(input instanceof Uint8Array)) return refused(STATUS_INVALID_PARAMETER)
  if (METHOD_FROM_CTL_CODE(code) === METHOD_NEITHER) return refused(STATUS_NOT_SUPPORTED, NEITHER)
  const inputBuffer = userBuffer(input.length, input)
  if (inputBuffer < 0) return refused(STATUS_INSUFFICIENT_RESOURCES)
  const outputLength = typeof output === 'number' ? output : output.length
  const before = typeof output === 'number' ? null : output
  const reply = await onFile(handle, accessOf(code), token, outputLength, before, (request, buffer) =>
    control(request, { code, input: inputBuffer, inputLength: input.length, output: buffer, outputLength }),
  )
  freeUserBuffer(inputBuffer)
  return reply
}

function accessOf(code: number): number {
  const asked = (code >>> 14) & 3
  return (
    ((asked & FILE_READ_ACCESS) !== 0 ? FILE_READ_DATA : 0) | ((asked & FILE_WRITE_ACCESS) !== 0 ? FILE_WRITE_DATA : 0)
  )
}

/** Waits for a change in a directory. @irql PASSIVE_LEVEL */
export function notifyChange(
  handle: number,
  filter: number,
  watchTree: boolean,
  length: number,
  token = 0,
): Promise<Reply> {
  const isValid = isWord(filter) && filter !== 0 && (filter & ~FILE_NOTIFY_VALID_MASK) === 0
  if (!isValid) return Promise.resolve(refused(STATUS_INVALID_PARAMETER))
  return onFile(handle, FILE_LIST_DIRECTORY, token, length, null, (request, buffer) =>
    notifyDirectory(request, buffer, length, filter, watchTree === true),
  )
}

/** Lists a directory; STATUS_NO_MORE_FILES at its end. @irql PASSIVE_LEVEL */
export function queryDirectory(
  handle: number,
  length: number,
  query: Partial<DirectoryQuery> = {},
  token = 0,
): Promise<Reply> {
  const { informationClass = FileBothDirectoryInformation, pattern = null, restart = false, single = false } = query
  return onFile(handle, FILE_LIST_DIRECTORY, token, length, null, (request, buffer) =>
    queryFileDirectory(request, buffer, length, { informationClass, pattern, restart, single }),
  )
}

/** Asks what a file is; the answer is the layout of `informationClass`. @irql PASSIVE_LEVEL */
export function queryInformation(handle: number, length: number, informationClass: number, token = 0): Promise<Reply> {
  if (!isWord(informationClass)) return Promise.resolve(refused(STATUS_INVALID_PARAMETER))
  return onFile(handle, 0, token, length, null, (request, buffer) =>
    queryFileInformation(request, buffer, length, informationClass),
  )
}

/**
 * Cancels the request of the current process that has this token. It ends once, with STATUS_CANCELLED or as it would
 * have; its own call tells which.
 *
 * @returns false when there is none: it has not begun, or has ended
 */
export function cancel(token: number): boolean {
  return cancelRequest(currentProcess(), token)
}

/** Runs a request on the file of a handle, with a user buffer of `length` bytes, and copies out what was read. */
async function onFile(
  handle: number,
  access: number,
  token: number,
  length: number,
  bytes: Uint8Array | null,
  use: (request: FileRequest, buffer: number) => Promise<Outcome>,
): Promise<Reply> {
  if (!isWord(handle) || !isWord(length) || !isWord(token)) return refused(STATUS_INVALID_PARAMETER)
  const target = referenceByHandle(handle, access, fileType, UserMode)
  if (target.status !== STATUS_SUCCESS) return refused(target.status)
  const file = target.object
  const buffer = userBuffer(length, bytes)
  const reply =
    buffer < 0
      ? refused(STATUS_INSUFFICIENT_RESOURCES)
      : toReply(await use({ file, mode: UserMode, process: currentProcess(), token, event: 0 }, buffer), buffer, length)
  freeUserBuffer(buffer)
  dereferenceObject(file)
  return reply
}

function toReply({ status, information }: Outcome, buffer: number, length: number): Reply {
  if (NT_ERROR(status)) return { status, information, data: null }
  return { status, information, data: copyOut(buffer, Math.min(information, length)) }
}

/** Allocates a program's buffer; 0 when it is empty, -1 when there is no memory. */
function userBuffer(length: number, bytes: Uint8Array | null): number {
  if (length === 0) return 0
  const buffer = allocate(length, 'User')
  if (buffer === 0) return -1
  if (bytes !== null) mem.u8.set(bytes, buffer)
  return buffer
}

function freeUserBuffer(buffer: number): void {
  if (buffer > 0) free(buffer, 'User')
}

const isWord = (value: unknown): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 0xffffffff

/** The byte offset of a request; undefined for what is none. */
function offsetOf(offset: number | bigint | null): bigint | null | undefined {
  if (offset === null) return null
  if (typeof offset === 'bigint') return offset >= 0n && offset < 1n << 63n ? offset : undefined
  return Number.isSafeInteger(offset) && offset >= 0 ? BigInt(offset) : undefined
}
