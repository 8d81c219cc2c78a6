/** What a program asks is anything at all: each call's fields must be of their kinds before one of them is used. */
import type { SystemCall } from './userservice.ts'

type Check = (value: unknown) => boolean

const integer: Check = (value) => Number.isSafeInteger(value)
/** Ticks from now on, below 0. */
const relativeTime: Check = (value) => Number.isSafeInteger(value) && (value as number) <= 0
const text: Check = (value) => typeof value === 'string'
const truth: Check = (value) => typeof value === 'boolean'
const bytes: Check = (value) => value instanceof Uint8Array
const orNull =
  (check: Check): Check =>
  (value) =>
    value === null || check(value)

const handle = { handle: integer }
const FIELDS: Record<SystemCall['call'], Record<string, Check>> = {
  open: { path: text, access: integer, disposition: integer },
  close: handle,
  read: { ...handle, length: integer, offset: orNull(integer) },
  write: { ...handle, bytes, offset: orNull(integer) },
  ioctl: { ...handle, code: integer, input: bytes, output: integer },
  notify: { ...handle, filter: integer, tree: truth, length: integer },
  info: { ...handle, class: integer, length: integer },
  list: { ...handle, length: integer, restart: truth },
  'create-event': { name: orNull(text), type: integer, state: truth },
  'open-event': { name: text },
  'set-event': handle,
  'reset-event': handle,
  wait: { ...handle, timeout: orNull(relativeTime) },
  cancel: { token: integer },
  'create-process': { name: text },
  'exit-process': {},
}

/** The name of the first field that is not of its kind, `call` for a call that there is not; null for a good request. */
export function wrongField(request: SystemCall): string | null {
  const call: unknown = request?.call
  if (typeof call !== 'string' || !Object.hasOwn(FIELDS, call)) return 'call'
  const fields = FIELDS[request.call]
  const values = request as unknown as Record<string, unknown>
  return Object.keys(fields).find((name) => fields[name]?.(values[name]) !== true) ?? null
}
