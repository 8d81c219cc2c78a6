/**
 * Promise hooks: two mistakes that only V8 sees.
 *
 * An `await` at raised IRQL is seen where it happens: the promise that it makes has a parent. And a thread of a machine
 * that is gone may still come back from a promise of the host's: while its code runs, this thread sees that machine's
 * memory again, which is stopped for good, so that nothing of the next machine is touched.
 */
import { promiseHooks } from 'node:v8'
import { BugCode } from '../kernel/ke/bugcodes.ts'
import { MachineGoneError, reportBugCheck, stopped } from '../kernel/ke/bugcheck.ts'
import { levelName } from '../kernel/ke/level.ts'
import { cpu, Pcr } from '../kernel/ke/pcr.ts'
import { type ThreadRecord, threadStore } from '../kernel/ke/thread.ts'
import { read32 } from '../kernel/mm/access.ts'
import { mem, type Memory, useMemory } from '../kernel/mm/memory.ts'

/**
 * Makes awaits of this thread visible to hooks that come later: V8 tells of a continuation only if some hook was there
 * when its `await` began. Gives back how to stop.
 */
export function keepAwaitsVisible(): () => void {
  return promiseHooks.onInit(() => {}) as () => void
}

/** Bug checks an `await` at DISPATCH_LEVEL or above, or with a spin lock held. Gives back how to stop watching. */
export function watchAwaits(reported: (error: Error) => void): () => void {
  return promiseHooks.onInit((_promise: Promise<unknown>, parent: Promise<unknown>) => {
    if (parent === undefined || stopped.error !== null || !cpu.isProcessor) return
    const irql = read32(cpu.pcr + Pcr.Irql)
    const locks = read32(cpu.pcr + Pcr.HeldLockCount)
    if (irql === 0 && locks === 0) return
    const lock = locks > 0 ? ` with the spin lock at 0x${read32(cpu.pcr + Pcr.HeldLocks).toString(16)} held` : ''
    reported(
      reportBugCheck({
        code: BugCode.ATTEMPTED_SWITCH_FROM_DPC,
        parameters: [0, irql, locks],
        message: `an await at ${levelName(irql)}${lock}: what may wait runs at APC_LEVEL or below, without spin locks`,
      }),
    )
  }) as () => void
}

/**
 * How many threads of machines that are gone may still come back. Only counted: a thread that waits for an event of such
 * a machine never comes back, and is garbage with all its memory.
 */
let stale = 0
let unhook: (() => void) | null = null
/** What the machine of now saw before the stale thread that runs came back; null when none does. */
let seat: Seat | null = null
const collected = new FinalizationRegistry<void>(forgetOne)

function forgetOne(): void {
  stale -= 1
  if (seat === null) unhookIfDone()
}

function unhookIfDone(): void {
  if (stale > 0) return
  unhook?.()
  unhook = null
}

/** Keeps `records`, threads of a machine that goes, away from whatever machine comes next. */
export function guardStaleThreads(records: Iterable<ThreadRecord>): void {
  for (const record of records) {
    if (record.hasEnded) continue
    stale += 1
    record.isStale = true
    collected.register(record, undefined, record)
    record.onSettled = () => {
      collected.unregister(record)
      forgetOne()
    }
  }
  if (stale > 0) unhook ??= hookContinuations()
}

interface Seat {
  memory: Memory
  cpu: typeof cpu
  error: Error | null
}

function hookContinuations(): () => void {
  const before = promiseHooks.onBefore(() => {
    const record = threadStore.getStore()
    if (record === undefined || !record.isStale || seat !== null) return
    seat = { memory: { ...mem }, cpu: { ...cpu }, error: stopped.error }
    useMemory(record.memory)
    stopped.error = new MachineGoneError()
  }) as () => void
  const after = promiseHooks.onAfter(() => {
    if (seat === null) return
    useMemory(seat.memory)
    Object.assign(cpu, seat.cpu)
    stopped.error = seat.error
    seat = null
    unhookIfDone()
  }) as () => void
  return () => {
    before()
    after()
  }
}
