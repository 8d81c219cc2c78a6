/** System services for the user's program: run on a thread of the calling process, everything that comes in checked. */
import { resetEvent, setEvent } from '../kernel/ke/event.ts'
import { currentThread } from '../kernel/ke/thread.ts'
import { KeAlertThread, KernelMode, UserMode } from '../kernel/ke/wait.ts'
import {
  cancel,
  closeHandle,
  deviceIoControl,
  notifyChange,
  openFile,
  queryDirectory,
  queryInformation,
  readFile,
  writeFile,
} from '../kernel/io/syscall.ts'
import { changeEvent, createEvent, EVENT_MODIFY_STATE, eventObjectType } from '../kernel/ob/event.ts'
import { SYNCHRONIZE } from '../kernel/ob/access.ts'
import { waitForHandle } from '../kernel/ob/wait.ts'
import { dereferenceObject } from '../kernel/ob/reference.ts'
import { openWithHandle } from '../kernel/ob/services.ts'
import { OBJ_OPENIF } from '../kernel/ob/attributes.ts'
import { createProcess, exitProcess } from '../kernel/ps/process.ts'
import { wrongField } from './requestcheck.ts'
import { STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_PARAMETER } from '../kernel/rtl/status.ts'

/** What a program may ask. The fields' kinds are checked first, what they say where it is used. */
export type SystemCall =
  | { call: 'open'; path: string; access: number; disposition: number }
  | { call: 'close'; handle: number }
  | { call: 'read'; handle: number; length: number; offset: number | null }
  | { call: 'write'; handle: number; bytes: Uint8Array; offset: number | null }
  | { call: 'ioctl'; handle: number; code: number; input: Uint8Array; output: number }
  | { call: 'notify'; handle: number; filter: number; tree: boolean; length: number }
  | { call: 'list'; handle: number; length: number; restart: boolean }
  | { call: 'info'; handle: number; class: number; length: number }
  | { call: 'create-event'; name: string | null; type: number; state: boolean }
  | { call: 'open-event'; name: string }
  | { call: 'set-event' | 'reset-event'; handle: number }
  | { call: 'wait'; handle: number; timeout: number | null }
  | { call: 'cancel'; token: number }
  | { call: 'create-process'; name: string }
  | { call: 'exit-process' }

export interface SystemReply {
  status: number
  handle?: number
  value?: number
  data?: Uint8Array | null
  reason?: string
}

/** Processes of the program that have not exited. Their maker's reference is the program's. */
const processes = new Set<number>()

export const isProcess = (process: number): boolean => processes.has(process)

/** Another machine begins on this thread. */
export function forgetProcesses(): void {
  processes.clear()
  waiting.clear()
}

/** Threads that wait for an event, by token: an abort alerts them. */
const waiting = new Map<number, number>()

/** Serves one call of `process`. `token` names it for `cancel`. */
export async function systemCall(process: number, request: SystemCall, token: number): Promise<SystemReply> {
  const wrong = wrongField(request)
  if (wrong !== null) return { status: STATUS_INVALID_PARAMETER, reason: `'${wrong}' is not what this call takes` }
  switch (request.call) {
    case 'open':
      return openFile(request.path, request.access, { disposition: request.disposition })
    case 'close':
      return { status: await closeHandle(request.handle) }
    case 'read':
      return readFile(request.handle, request.length, request.offset, token)
    case 'write':
      return counted(await writeFile(request.handle, request.bytes, request.offset, token))
    case 'ioctl':
      return deviceIoControl(request.handle, request.code, request.input, request.output, token)
    case 'notify':
      return notifyChange(request.handle, request.filter, request.tree, request.length, token)
    case 'list':
      return queryDirectory(request.handle, request.length, { restart: request.restart }, token)
    case 'info':
      return queryInformation(request.handle, request.length, request.class, token)
    case 'create-event':
      return createUserEvent(request.name, request.type, request.state)
    case 'open-event':
      return openUserEvent(request.name)
    case 'set-event':
      return changeUserEvent(request.handle, setEvent)
    case 'reset-event':
      return changeUserEvent(request.handle, resetEvent)
    case 'wait':
      return waitForUserHandle(request.handle, request.timeout, token)
    case 'cancel':
      return { status: abort(request.token) ? 0 : STATUS_INVALID_PARAMETER }
    case 'create-process': {
      const created = createProcess(String(request.name))
      if (created === 0) return { status: STATUS_INSUFFICIENT_RESOURCES }
      processes.add(created)
      return { status: 0, value: created }
    }
    case 'exit-process':
      processes.delete(process)
      await exitProcess(process)
      dereferenceObject(process) // this thread still has a reference of its own
      return { status: 0 }
  }
}

const counted = ({
  status,
  information,
  reason,
}: {
  status: number
  information: number
  reason?: string
}): SystemReply => (reason === undefined ? { status, value: information } : { status, value: information, reason })

/** A program's name of a named object: `X` and `Global\X` are in `\BaseNamedObjects`. */
function objectPath(name: unknown): string | null {
  if (typeof name !== 'string' || name === '') return null
  if (name.startsWith('\\')) return name
  return `\\BaseNamedObjects\\${name.replace(/^(Global|Local)\\/i, '')}`
}

function createUserEvent(name: string | null, type: number, state: boolean): SystemReply {
  const path = name === null ? null : objectPath(name)
  if (name !== null && path === null) return { status: STATUS_INVALID_PARAMETER }
  const attributes = { ObjectName: path, Attributes: OBJ_OPENIF }
  const access = SYNCHRONIZE | EVENT_MODIFY_STATE
  return createEvent({ attributes, access, mode: UserMode, type, state })
}

function openUserEvent(name: string): SystemReply {
  const path = objectPath(name)
  if (path === null) return { status: STATUS_INVALID_PARAMETER }
  return openWithHandle({ ObjectName: path }, eventObjectType, SYNCHRONIZE | EVENT_MODIFY_STATE, UserMode)
}

function changeUserEvent(handle: number, change: (event: number) => number): SystemReply {
  const before = { value: 0 }
  const status = changeEvent(handle, UserMode, change, before)
  return { status, value: before.value }
}

async function waitForUserHandle(handle: number, timeout: number | null, token: number): Promise<SystemReply> {
  waiting.set(token, currentThread())
  try {
    return { status: await waitForHandle(handle, UserMode, true, timeout) }
  } finally {
    waiting.delete(token)
  }
}

/** Ends the call with this token, if it is still out. */
function abort(token: number): boolean {
  const thread = waiting.get(token)
  if (thread === undefined) return cancel(token)
  KeAlertThread({ address: thread }, KernelMode)
  return true
}
