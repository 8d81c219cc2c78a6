/** What a program is told when it uses the machine wrongly. */

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

/** A status for people: its number as headers write it. */
export const statusText = (status: number): string =>
  `status 0x${(status >>> 0).toString(16).toUpperCase().padStart(8, '0')}`
