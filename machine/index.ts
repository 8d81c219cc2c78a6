/** dirql: what programs and tests import. */
export { boot } from './boot.ts'
export { LoadError, NtStatusError, UsageError } from './errors.ts'
export type { Machine } from './machine.ts'
export type { BoardOption, BootOptions } from './options.ts'
export { BugCheckError, MachineGoneError } from '../kernel/ke/bugcheck.ts'
export type { CrashRecord } from '../kernel/ports/crash.ts'
