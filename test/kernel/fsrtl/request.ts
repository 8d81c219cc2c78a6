/** A request to be told of changes, as the test that sent it sees it, and what may become of one. */
import { IoCancelIrp } from '../../../kernel/io/cancel.ts'
import type { IRP } from '../../../kernel/io/layouts.ts'
import type { NotifyFilterChangeDirectory } from '../../../kernel/fsrtl/watch.ts'
import { mem } from '../../../kernel/mm/memory.ts'
import {
  STATUS_CANCELLED,
  STATUS_DELETE_PENDING,
  STATUS_INSUFFICIENT_RESOURCES,
  STATUS_NOTIFY_CLEANUP,
  STATUS_NOTIFY_ENUM_DIR,
  STATUS_SUCCESS,
} from '../../../kernel/rtl/status.ts'
import { recordsIn } from './records.ts'

/** What a request came to. */
export type Outcome = 'pending' | { status: string; information: number; records: string[] }

export interface WatchOptions
  extends Partial<Omit<NotifyFilterChangeDirectory, 'NotifyIrp' | 'NotifySync' | 'NotifyList'>> {
  /** Bytes that the request has room for. */
  length?: number
  buffer?: 'system' | 'mdl' | 'user' | 'none'
  /** Where in its block a user buffer begins. */
  skew?: number
  /** Asks by FsRtlNotifyChangeDirectory. */
  firstForm?: boolean
  /** Asks by FsRtlNotifyFullChangeDirectory; else it is FsRtlNotifyFilterChangeDirectory. */
  fullForm?: boolean
  /** Called when the request is completed, before anybody else learns of it. */
  whenDone?: () => void
}

/** The statuses that a request may come to. */
const NAMES: Record<number, string> = {
  [STATUS_SUCCESS]: 'SUCCESS',
  [STATUS_NOTIFY_CLEANUP]: 'NOTIFY_CLEANUP',
  [STATUS_NOTIFY_ENUM_DIR]: 'NOTIFY_ENUM_DIR',
  [STATUS_DELETE_PENDING]: 'DELETE_PENDING',
  [STATUS_CANCELLED]: 'CANCELLED',
  [STATUS_INSUFFICIENT_RESOURCES]: 'INSUFFICIENT_RESOURCES',
}
const statusName = (status: number): string => NAMES[status] ?? `0x${(status >>> 0).toString(16)}`

export class Request {
  readonly irp: IRP
  readonly buffer: number
  readonly length: number
  readonly options: WatchOptions
  completions = 0
  /** Irp.PendingReturned, when it was completed. */
  isMarkedPending = false
  #outcome: Outcome = 'pending'

  constructor(irp: IRP, buffer: number, length: number, options: WatchOptions) {
    this.irp = irp
    this.buffer = buffer
    this.length = length
    this.options = options
  }

  get outcome(): Outcome {
    return this.#outcome
  }

  complete(): void {
    const { Status, Information } = this.irp.IoStatus
    this.completions += 1
    this.isMarkedPending = this.irp.PendingReturned !== 0
    this.#outcome = {
      status: statusName(Status),
      information: Information,
      records: Information === 0 ? [] : recordsAt(this.buffer, Information),
    }
    this.options.whenDone?.()
  }

  cancel(): boolean {
    return IoCancelIrp(this.irp)
  }
}

function recordsAt(start: number, length: number): string[] {
  return recordsIn(mem.u8.slice(start, start + length))
}

/** Records as an outcome: SUCCESS, with the bytes that they take. */
export function success(...records: string[]): Outcome {
  let information = 0
  for (const record of records)
    information = ((information + 3) & ~3) + 12 + 2 * record.slice(record.indexOf(' ') + 1).length
  return { status: 'SUCCESS', information, records }
}
export const without = (status: string): Outcome => ({ status, information: 0, records: [] })
export const ENUM_DIR = without('NOTIFY_ENUM_DIR')
export const CLEANUP = without('NOTIFY_CLEANUP')
export const DELETE_PENDING = without('DELETE_PENDING')
export const CANCELLED = without('CANCELLED')
