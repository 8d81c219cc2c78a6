/** What the main thread and the processors' threads tell each other. */
import type { MessagePort } from 'node:worker_threads'
import type { BoardPlan } from './plug.ts'
import type { SystemCall } from './userservice.ts'
import type { CrashRecord } from '../kernel/ports/crash.ts'

/** What a processor is asked. */
export type Request =
  /** `globals` tells where processor 0 put the image's globals; null asks processor 0 to allocate them. */
  | { kind: 'import'; number: number; name: string; url: string; globals: number[] | null }
  | { kind: 'retire'; number: number }
  | { kind: 'run'; url: string; name: string; argument: unknown }
  | { kind: 'load'; number: number; name: string; url: string }
  | { kind: 'unload'; name: string }
  | { kind: 'named-objects' }
  | { kind: 'inspect' }
  | { kind: 'system-call'; process: number; token: number; request: SystemCall }
  | { kind: 'plug'; board: BoardPlan }
  | { kind: 'announce'; board: number }
  | { kind: 'unplug'; board: number }
  | { kind: 'release'; ring: number }

export interface Call {
  id: number
  request: Request
}

/** What comes of a call. */
export type Answer = { kind: 'value'; id: number; value: unknown } | { kind: 'error'; id: number; error: PortableError }

/** What a processor's thread says of itself, at any time. */
export type Message = { kind: 'ready' } | { kind: 'crash'; record: CrashRecord } | { kind: 'print'; text: string }

/** An error that travels between threads. */
export interface PortableError {
  name: string
  message: string
  stack: string | undefined
  status: number | undefined
}

export function portable(error: unknown): PortableError {
  if (!(error instanceof Error)) return { name: 'Error', message: String(error), stack: undefined, status: undefined }
  const { name, message, stack } = error
  return { name, message, stack, status: (error as { status?: number }).status }
}

/** Everything that a worker needs to be processor `number`. */
export interface ProcessorSeat {
  /** Calls come here, and their answers go here. */
  calls: MessagePort
  buffer: SharedArrayBuffer
  number: number
  processors: number
  checked: boolean
  isVirtual: boolean
  isTraced: boolean
  localRoutines: false
  bootSystemTime: bigint
  clockBase: bigint
  seed: number | null
}
