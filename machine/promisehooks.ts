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

/** Threads of machines that are gone, and that have not come back yet. */
const stale = new Set<ThreadRecord>()
let unhook: (() => void) | null = null

/** Keeps `records`, threads of a machine that goes, away from whatever machine comes next. */
export function guardStaleThreads(records: Iterable<ThreadRecord>): void {
  for (const record of records) {
    if (record.hasEnded) continue
    stale.add(record)
    record.onSettled = () => stale.delete(record)
  }
  if (stale.size > 0) unhook ??= hookContinuations()
}

interface Seat {
  memory: Memory
  cpu: typeof cpu
  error: Error | null
}

function hookContinuations(): () => void {
  let current: Seat | null = null
  const before = promiseHooks.onBefore(() => {
    const record = threadStore.getStore()
    if (record === undefined || !stale.has(record) || current !== null) return
    current = { memory: { ...mem }, cpu: { ...cpu }, error: stopped.error }
    useMemory(record.memory)
    stopped.error = new MachineGoneError()
  }) as () => void
  const after = promiseHooks.onAfter(() => {
    if (current === null) return
    useMemory(current.memory)
    Object.assign(cpu, current.cpu)
    stopped.error = current.error
    current = null
    if (stale.size > 0) return
    unhook?.() // only here: while a stale thread's code runs, its end must be seen
    unhook = null
  }) as () => void
  return () => {
    before()
    after()
  }
}
