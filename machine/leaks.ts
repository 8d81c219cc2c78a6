/** What is in use on a machine, and what of it a test or a driver has left behind. */
import { DISPATCH_LEVEL, levelName } from '../kernel/ke/level.ts'
import { KTHREAD } from '../kernel/ke/layouts.ts'
import { cpu, Pcr, pcrOf, Root } from '../kernel/ke/pcr.ts'
import { KernelMode, KeDelayExecutionThread } from '../kernel/ke/wait.ts'
import { read32 } from '../kernel/mm/access.ts'
import { poolUsage } from '../kernel/mm/pool.ts'
import { objectsToDelete } from '../kernel/ob/delete.ts'
import { openHandles } from '../kernel/ob/handletable.ts'

export interface InUse {
  /** Blocks and bytes by pool tag. */
  pool: Record<string, { blocks: number; bytes: number }>
  kernelHandles: number
  /** In words, what no code may leave behind: IRQL raised, spin locks held. */
  raised: string[]
}

/** Tables that grow once and stay: the timer queue, the work queues, handle tables, string literals, driver globals. */
const TABLES = ['KeTq', 'ExWq', 'Obtb', 'Lit ', 'Glob']
const THREADS = 'Thre'
/** Ids of routines below this one are the kernel's own. */
const FIRST_DRIVER_ROUTINE = 4096
const SETTLE_TICKS = -10_000 // 1 ms
const MOST_ROUNDS = 1000

/** Looks at the whole machine; a system thread at PASSIVE_LEVEL runs it. */
export async function inUse(): Promise<InUse> {
  const raised = processorsRaised()
  if (raised.length > 0) return { pool: {}, kernelHandles: 0, raised }
  // Threads that have ended, and what was closed just now, are freed a little later.
  for (let round = 0; round < MOST_ROUNDS; round++) {
    await KeDelayExecutionThread(KernelMode, false, SETTLE_TICKS)
    if (objectsToDelete() === 0) break
  }
  return { pool: poolInUse(), kernelHandles: openHandles(read32(Root.ObKernelHandles)), raised }
}

function processorsRaised(): string[] {
  return Array.from({ length: cpu.count }, (_, number) => {
    const irql = read32(pcrOf(number) + Pcr.Irql)
    const locks = read32(pcrOf(number) + Pcr.HeldLockCount)
    return [
      ...(irql >= DISPATCH_LEVEL ? [`processor ${number} is at ${levelName(irql)}`] : []),
      ...(locks > 0 ? [`processor ${number} holds the spin lock at 0x${heldLock(number).toString(16)}`] : []),
    ]
  }).flat()
}

const heldLock = (processor: number): number => read32(pcrOf(processor) + Pcr.HeldLocks)

function poolInUse(): InUse['pool'] {
  const pool: InUse['pool'] = {}
  for (const { tag, allocations, frees, bytes } of poolUsage()) {
    if (allocations === frees || TABLES.includes(tag)) continue
    const sum = (pool[tag] ??= { blocks: 0, bytes: 0 })
    sum.blocks += allocations - frees
    sum.bytes += bytes
  }
  const threads = pool[THREADS]
  const own = kernelThreads()
  if (threads !== undefined) {
    threads.bytes -= Math.round((threads.bytes / threads.blocks) * own)
    threads.blocks -= own
  }
  return pool
}

/** Threads that the kernel runs for itself: workers come and stay as work does. */
function kernelThreads(): number {
  const { ThreadListEntry, StartRoutine } = KTHREAD.offsets
  const head = Root.PsActiveThreads
  let count = 0
  for (let link = read32(head); link !== head; link = read32(link)) {
    if (read32(link - ThreadListEntry + StartRoutine) < FIRST_DRIVER_ROUTINE) count += 1
  }
  return count
}

/** What is in use more than before, in words. */
export function leaksBetween(before: InUse, after: InUse): string[] {
  if (after.raised.length > 0) return after.raised
  const tags = new Set([...Object.keys(before.pool), ...Object.keys(after.pool)])
  const leaks = [...tags].sort().flatMap((tag) => {
    const blocks = (after.pool[tag]?.blocks ?? 0) - (before.pool[tag]?.blocks ?? 0)
    const bytes = (after.pool[tag]?.bytes ?? 0) - (before.pool[tag]?.bytes ?? 0)
    return blocks > 0 ? [`pool tag '${tag}': ${blocks} block${blocks === 1 ? '' : 's'}, ${bytes} bytes`] : []
  })
  const handles = after.kernelHandles - before.kernelHandles
  return handles > 0 ? [...leaks, `${handles} kernel handle${handles === 1 ? '' : 's'}`] : leaks
}
