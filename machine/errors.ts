/** What a program is told when it uses the machine wrongly. */
import * as statuses from '../kernel/rtl/status.ts'

/** The options of `boot`, or what a call was given, cannot be used: says what, where, and what to do. */
export class UsageError extends Error {
  override name = 'UsageError'
}

/** A driver could not be loaded: its file, the reason, and what to do. */
export class LoadError extends Error {
  override name = 'LoadError'
  /** What DriverEntry, or the loader, returned. */
  readonly status: number
  constructor(message: string, status: number, options?: ErrorOptions) {
    super(message, options)
    this.status = status
  }
}

/** A call of the user's program failed with a status. */
export class NtStatusError extends Error {
  override name = 'NtStatusError'
  readonly status: number
  constructor(status: number, what: string) {
    super(`${what}: ${statusText(status)}`)
    this.status = status
  }
}

const names = Object.entries(statuses).filter(
  (entry): entry is [string, number] => entry[0].startsWith('STATUS_') && typeof entry[1] === 'number',
)

/** The names of statuses; of several for one value, the first in the alphabet. */
export const statusName = {
  of: (status: number): string | null => names.find(([, value]) => value === status)?.[0] ?? null,
  /** The status that is named `text`, or that is `number`. */
  find(text: string, number: number | null): { name: string; value: number } | null {
    const found = names.find(([name, value]) => name === text.toUpperCase() || value === number)
    return found === undefined ? null : { name: found[0], value: found[1] }
  },
}

/** A status for people: its name, and its number as headers write it. */
export function statusText(status: number): string {
  const number = `0x${(status >>> 0).toString(16).toUpperCase().padStart(8, '0')}`
  const name = statusName.of(status)
  return name === null ? `status ${number}` : `${name} (${number})`
}
