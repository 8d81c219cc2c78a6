/** User mode: files, events and processes, as the user's program has them. */
import { nextTurn } from '../hal/timers.ts'
import { NtStatusError } from './errors.ts'
import type { SystemCall, SystemReply } from './userservice.ts'

/** Sends a call to a processor, which runs it on a thread of `process`. */
export type Caller = (process: number, request: SystemCall, token: number) => Promise<SystemReply>

export interface CallOptions {
  /** Cancels the call: it ends with STATUS_CANCELLED, or as it would have if it was quicker. */
  signal?: AbortSignal
}

export interface ReadOptions extends CallOptions {
  /** Byte offset in the file; left out for devices without one. */
  offset?: number
}

/** A change in a watched directory. */
export interface Change {
  action: 'added' | 'removed' | 'modified' | 'renamed-from' | 'renamed-to' | 'overflow'
  /** Relative to the watched directory. '' on overflow: list it anew. */
  path: string
}

/** An entry of a directory. */
export interface DirectoryEntry {
  name: string
  isDirectory: boolean
  /** Bytes, where the driver knows. */
  size: number
}

/** What a file is. */
export interface FileInfo {
  isDirectory: boolean
  size: number
  /** It is gone, but for those who have it open. */
  isDeleted: boolean
}

export interface WatchOptions extends CallOptions {
  /** FILE_NOTIFY_CHANGE_… bits; default all names, sizes and writes. */
  filter?: number
  /** The directories below it, too. */
  tree?: boolean
}

const GENERIC_READ_WRITE = 0xc0000000
const STATUS_CANCELLED = 0xc0000120 | 0
const STATUS_NOTIFY_ENUM_DIR = 0x10c
const STATUS_NOTIFY_CLEANUP = 0x10b
const STATUS_TIMEOUT = 0x102
const STATUS_ALERTED = 0x101
const STATUS_NO_MORE_FILES = 0x80000006 | 0
const STATUS_NO_SUCH_FILE = 0xc000000f | 0
const STANDARD_INFORMATION = 5
const ATTRIBUTE_DIRECTORY = 0x10
const ACTIONS = [undefined, 'added', 'removed', 'modified', 'renamed-from', 'renamed-to'] as const
const FILE_OPEN = 1

/** A process of the user's program, with a handle table of its own. */
export class UserProcess implements AsyncDisposable {
  readonly #call: Caller
  readonly #id: number
  #token = 1

  constructor(call: Caller, id: number) {
    this.#call = call
    this.#id = id
  }

  /** Opens a device (`Tmp102-0`, or `\\.\Tmp102-0`) or a file of one. */
  async open(path: string, { access = GENERIC_READ_WRITE, disposition = FILE_OPEN } = {}): Promise<UserFile> {
    const reply = await this.call({ call: 'open', path, access: access >>> 0, disposition })
    return new UserFile(this, check(reply, `open ${path}`).handle as number, path)
  }

  /** Makes an event; one that has the name already is opened. */
  async createEvent({
    name = null,
    kind = 'synchronization',
    signalled = false,
  }: EventOptions = {}): Promise<UserEvent> {
    const type = kind === 'notification' ? 0 : 1
    const reply = await this.call({ call: 'create-event', name, type, state: signalled })
    return new UserEvent(this, check(reply, `create event ${name ?? ''}`).handle as number)
  }

  /** Opens a named event: `X` is `\BaseNamedObjects\X`. */
  async openEvent(name: string): Promise<UserEvent> {
    const reply = await this.call({ call: 'open-event', name })
    return new UserEvent(this, check(reply, `open event ${name}`).handle as number)
  }

  /** Ends the process: closes every handle that it has. */
  async exit(): Promise<void> {
    await this.call({ call: 'exit-process' })
  }

  /** One system call. An abort cancels it once, by its number; one that comes first is kept until the call is out. */
  async call(request: SystemCall, { signal }: CallOptions = {}): Promise<SystemReply> {
    signal?.throwIfAborted()
    const token = this.#token++
    let isOut = true
    const abort = async (): Promise<void> => {
      // The call may not have reached its driver yet: ask again until it was found, or has ended.
      while (isOut) {
        const { status } = await this.#call(this.#id, { call: 'cancel', token }, 0)
        if (status === 0) return
        await nextTurn()
      }
    }
    const onAbort = (): void => void abort()
    signal?.addEventListener('abort', onAbort, { once: true })
    try {
      return await this.#call(this.#id, request, token)
    } finally {
      isOut = false
      signal?.removeEventListener('abort', onAbort)
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.exit()
  }
}

export interface EventOptions {
  name?: string | null
  kind?: 'synchronization' | 'notification'
  signalled?: boolean
}

function check(reply: SystemReply, what: string): SystemReply {
  if (reply.status >= 0) return reply
  throw new NtStatusError(reply.status, reply.reason === undefined ? what : `${what}: ${reply.reason}`)
}

/** An open file or device. */
export class UserFile implements AsyncDisposable {
  readonly #process: UserProcess
  readonly #path: string
  /** Valid in its process only: may be handed to a driver in an IOCTL. */
  readonly handle: number
  #isClosed = false

  constructor(process: UserProcess, handle: number, path: string) {
    this.#process = process
    this.handle = handle
    this.#path = path
  }

  /** Reads up to `length` bytes. */
  async read(length: number, { offset, signal }: ReadOptions = {}): Promise<Uint8Array> {
    const reply = await this.#call(
      { call: 'read', handle: this.handle, length, offset: offset ?? null },
      'read',
      signal,
    )
    return reply.data ?? new Uint8Array(0)
  }

  /** Writes bytes, or text as UTF-8; gives back how many were written. */
  async write(data: Uint8Array | string, { offset, signal }: ReadOptions = {}): Promise<number> {
    const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : data
    const reply = await this.#call(
      { call: 'write', handle: this.handle, bytes, offset: offset ?? null },
      'write',
      signal,
    )
    return reply.value ?? 0
  }

  /** Sends a control code; gives back what the driver answered, `outputLength` bytes at most. */
  async ioctl(code: number, input: Uint8Array = new Uint8Array(0), outputLength = 0, { signal }: CallOptions = {}) {
    const request: SystemCall = { call: 'ioctl', handle: this.handle, code: code >>> 0, input, output: outputLength }
    const reply = await this.#call(request, `ioctl 0x${(code >>> 0).toString(16)}`, signal)
    return reply.data ?? new Uint8Array(0)
  }

  /** The entries of this directory. */
  async list({ signal }: CallOptions = {}): Promise<DirectoryEntry[]> {
    const entries: DirectoryEntry[] = []
    for (let restart = true; ; restart = false) {
      const request: SystemCall = { call: 'list', handle: this.handle, length: 4096, restart }
      const reply = await this.#process.call(request, signal === undefined ? {} : { signal })
      if (reply.status === STATUS_NO_MORE_FILES || reply.status === STATUS_NO_SUCH_FILE) return entries
      entries.push(...entriesIn(check(reply, `list ${this.#path}`).data ?? new Uint8Array(0)))
    }
  }

  /** What this file is. */
  async info({ signal }: CallOptions = {}): Promise<FileInfo> {
    const request: SystemCall = { call: 'info', handle: this.handle, class: STANDARD_INFORMATION, length: 24 }
    const { data } = await this.#call(request, 'info', signal)
    const bytes = data ?? new Uint8Array(24)
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    return {
      isDirectory: view.getUint8(21) !== 0,
      size: Number(view.getBigInt64(8, true)),
      isDeleted: view.getUint8(20) !== 0,
    }
  }

  /** Changes in this directory, as they come; ends when the file is closed or `signal` aborts. */
  async *watch({ filter = 0x15b, tree = false, signal }: WatchOptions = {}): AsyncGenerator<Change, void> {
    while (!this.#isClosed) {
      const request: SystemCall = { call: 'notify', handle: this.handle, filter, tree, length: 4096 }
      const reply = await this.#process.call(request, signal === undefined ? {} : { signal })
      if (reply.status === STATUS_CANCELLED || reply.status === STATUS_NOTIFY_CLEANUP) return
      if (reply.status === STATUS_NOTIFY_ENUM_DIR) yield { action: 'overflow', path: '' }
      else yield* changesIn(check(reply, `watch ${this.#path}`).data ?? new Uint8Array(0))
    }
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    check(await this.#process.call({ call: 'close', handle: this.handle }), `close ${this.#path}`)
  }

  async #call(request: SystemCall, what: string, signal?: AbortSignal): Promise<SystemReply> {
    const reply = await this.#process.call(request, signal === undefined ? {} : { signal })
    return check(reply, `${what} ${this.#path}`)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/** Records of FILE_NOTIFY_INFORMATION: next offset, action, length of the name in bytes, name. */
function* changesIn(data: Uint8Array): Generator<Change> {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
  for (let offset = 0; data.length >= offset + 12; ) {
    const next = view.getUint32(offset, true)
    const action = ACTIONS[view.getUint32(offset + 4, true)] ?? 'modified'
    const length = view.getUint32(offset + 8, true)
    yield { action, path: new TextDecoder('utf-16le').decode(data.subarray(offset + 12, offset + 12 + length)) }
    if (next === 0) return
    offset += next
  }
}

/** Records of FILE_BOTH_DIR_INFORMATION. */
function* entriesIn(data: Uint8Array): Generator<DirectoryEntry> {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
  for (let offset = 0; data.length >= offset + 94; ) {
    const next = view.getUint32(offset, true)
    const length = view.getUint32(offset + 60, true)
    yield {
      name: new TextDecoder('utf-16le').decode(data.subarray(offset + 94, offset + 94 + length)),
      isDirectory: (view.getUint32(offset + 56, true) & ATTRIBUTE_DIRECTORY) !== 0,
      size: Number(view.getBigInt64(offset + 40, true)),
    }
    if (next === 0) return
    offset += next
  }
}

/** An event, by a handle of a process. */
export class UserEvent implements AsyncDisposable {
  readonly #process: UserProcess
  readonly handle: number

  constructor(process: UserProcess, handle: number) {
    this.#process = process
    this.handle = handle
  }

  /** Signals it; gives back whether it was signalled. */
  async set(): Promise<boolean> {
    return check(await this.#process.call({ call: 'set-event', handle: this.handle }), 'set event').value !== 0
  }

  async reset(): Promise<boolean> {
    return check(await this.#process.call({ call: 'reset-event', handle: this.handle }), 'reset event').value !== 0
  }

  /** Waits until it is signalled; false when `timeoutMs` passed first. */
  async wait({ timeoutMs, signal }: CallOptions & { timeoutMs?: number } = {}): Promise<boolean> {
    const timeout = timeoutMs === undefined ? null : -Math.round(timeoutMs * 10_000)
    const request: SystemCall = { call: 'wait', handle: this.handle, timeout }
    const reply = await this.#process.call(request, signal === undefined ? {} : { signal })
    if (reply.status === STATUS_ALERTED) throw new NtStatusError(STATUS_CANCELLED, 'wait for event')
    return check(reply, 'wait for event').status !== STATUS_TIMEOUT
  }

  async close(): Promise<void> {
    check(await this.#process.call({ call: 'close', handle: this.handle }), 'close event')
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
