/** What the tests of the kernel core share: machines of both builds, threads, and a look at what a test leaves behind. */
import { boot, type BugCheckError } from '../../../machine/index.ts'
import { KTHREAD } from '../../../kernel/ke/layouts.ts'
import { KeGetCurrentIrql } from '../../../kernel/ke/level.ts'
import { cpu, Machine, Pcr } from '../../../kernel/ke/pcr.ts'
import { currentThread } from '../../../kernel/ke/thread.ts'
import { read32 } from '../../../kernel/mm/access.ts'

export { make, settle, spawn } from '../ex/threads.ts'

export type Build = 'checked' | 'free'
export const BUILDS: Build[] = ['checked', 'free']
export const MS = 10_000

/** Runs `body` as a system thread of a fresh machine in virtual time, and expects that it leaves nothing behind. */
export async function onBuild<T>(build: Build, body: () => T | Promise<T>): Promise<T> {
  await using machine = await boot({ localRoutines: true, clock: 'virtual', build })
  return await machine.run(async () => {
    const before = leftovers()
    const result = await body()
    const after = leftovers()
    if (after !== before) throw new Error(`the test leaves behind: ${after}; before it were ${before}`)
    return result
  })
}

export const onChecked = <T>(body: () => T | Promise<T>): Promise<T> => onBuild('checked', body)

/** IRQL, held spin locks, regions of the thread, queued DPCs and timers that are set. */
function leftovers(): string {
  const { KernelApcDisable, SpecialApcDisable } = apcCounts()
  const words = [Pcr.HeldLockCount, Pcr.DpcDepth].map((word) => read32(cpu.pcr + word))
  return `IRQL ${KeGetCurrentIrql()}, regions ${KernelApcDisable}/${SpecialApcDisable}, locks and DPCs ${words.join(',')}, timers ${read32(Machine.TimerCount)}`
}

/** The two counts of the thread that runs. */
export function apcCounts(): { KernelApcDisable: number; SpecialApcDisable: number } {
  const { KernelApcDisable, SpecialApcDisable } = new KTHREAD(currentThread())
  return { KernelApcDisable, SpecialApcDisable }
}

/** The bug check that `body` runs into. */
export async function bugCheckOn(build: Build, body: () => unknown): Promise<BugCheckError> {
  await using machine = await boot({ localRoutines: true, clock: 'virtual', build })
  try {
    await machine.run(body)
    // Threads of the test may break a rule after its body has ended.
    await machine.sleep(100)
  } catch (error) {
    if ((error as Error).name === 'BugCheckError') return error as BugCheckError
    throw error
  }
  throw new Error('no bug check')
}

/** The same on a checked build. */
export async function bugCheckOf(body: () => unknown): Promise<BugCheckError> {
  return bugCheckOn('checked', body)
}

/** The status that `body` raises. */
export function raisedBy(body: () => unknown): number | null {
  try {
    body()
  } catch (error) {
    return (error as { status: number }).status
  }
  return null
}
