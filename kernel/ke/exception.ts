/** Exceptions that a routine raises: `ExRaiseStatus` and what documents "raises STATUS_…". */
import type { NTSTATUS } from '../rtl/status.ts'
import { APC_LEVEL, enter } from './level.ts'

/** A raised status. `try … catch` in a driver is Windows' `__try … __except`. */
export class StatusError extends Error {
  override name = 'StatusError'
  readonly status: NTSTATUS

  constructor(status: NTSTATUS) {
    super(`status 0x${(status >>> 0).toString(16).toUpperCase().padStart(8, '0')} was raised`)
    this.status = status
  }
}

export function raiseStatus(status: NTSTATUS): never {
  throw new StatusError(status)
}

/**
 * Raises `Status` as an exception.
 *
 * @irql <= APC_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntddk/nf-ntddk-exraisestatus
 */
export function ExRaiseStatus(Status: NTSTATUS): never {
  enter(APC_LEVEL, 'ExRaiseStatus')
  raiseStatus(Status)
}
