/** What the checked build asks of those who take and give back locks: the sub-codes are Driver Verifier's (wdm-facts §18.3). */
import { read32 } from '../mm/access.ts'
import { areApcsDisabled } from '../ke/apc.ts'
import { BugCode } from '../ke/bugcodes.ts'
import { bugCheck } from '../ke/bugcheck.ts'
import { KTHREAD } from '../ke/layouts.ts'
import { APC_LEVEL, currentIrql } from '../ke/level.ts'
import { currentThread } from '../ke/thread.ts'

/** Sub-codes of DRIVER_VERIFIER_DETECTED_VIOLATION (0xC4). */
export const Violation = {
  FAST_MUTEX_ACQUIRE_IRQL: 0x33,
  FAST_MUTEX_RELEASE_IRQL: 0x34,
  RESOURCE_ACQUIRE_APCS: 0x37,
  RESOURCE_RELEASE_APCS: 0x38,
  UNSAFE_ACQUIRE_APCS: 0x39,
  UNSAFE_RELEASE_APCS: 0x3a,
  RESOURCE_INITIALIZED_TWICE: 0xd0,
  RESOURCE_NOT_INITIALIZED: 0xd1,
  PUSH_LOCK_ACQUIRE_APCS: 0xea,
  PUSH_LOCK_RELEASE_APCS: 0xeb,
  SELF_DEADLOCK: 0x1000,
  WRONG_THREAD_RELEASES: 0x1004,
  RELEASED_UNACQUIRED: 0x1007,
  WRONG_RELEASE: 0x1009,
  DELETED_WHILE_OWNED: 0x100b,
} as const

/** Stops the machine for a rule of Driver Verifier's. */
export function violation(subCode: number, parameters: readonly number[], message: string): never {
  return bugCheck({
    code: BugCode.DRIVER_VERIFIER_DETECTED_VIOLATION,
    parameters: [subCode, ...parameters],
    message,
  })
}

/** Whether no normal kernel APC can interrupt the caller: a region, or the IRQL, keeps them off. */
export const apcsAreOff = (): boolean => areApcsDisabled() || currentIrql() >= APC_LEVEL

/** The thread's APC disable counts as Windows puts them into one parameter: special ones above, normal ones below. */
export const apcDisableCounts = (): number => read32(currentThread() + KTHREAD.offsets.KernelApcDisable)
