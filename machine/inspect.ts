/** What a machine looks like inside: `!stacks`, `!locks`, `!irpfind` and `!pool` in one. */
import { traceHash } from '../kernel/etw/trace.ts'
import { Pcr, pcrOf, Root } from '../kernel/ke/pcr.ts'
import { read32 } from '../kernel/mm/access.ts'
import { machineState } from '../kernel/ke/bugcheck.ts'
import { irpsInFlight } from '../kernel/io/request.ts'
import { openHandles } from '../kernel/ob/handletable.ts'
import type { CrashRecord } from '../kernel/ports/crash.ts'

interface Counts {
  /** Since boot. */
  interrupts: number
  dpcs: number
}

export interface Inspection {
  processors: (CrashRecord['processors'][number] & Counts)[]
  threads: CrashRecord['threads']
  pool: CrashRecord['pool']
  /** In virtual time: the same for two runs only if they did the same things in the same order. */
  traceHash: number
  /** Addresses of IRPs that a program waits for. */
  irps: number[]
  /** Kernel handles that are open. */
  handles: number
}

/** What this processor sees: the threads are its own, the rest is the machine's. */
export function inspect(): Inspection {
  const { processors, threads, pool } = machineState()
  return {
    processors: processors.map((processor) => ({ ...processor, ...countsOf(processor.number) })),
    threads,
    pool,
    traceHash: traceHash(),
    irps: irpsInFlight(),
    handles: openHandles(read32(Root.ObKernelHandles)),
  }
}

const countsOf = (processor: number): Counts => ({
  interrupts: read32(pcrOf(processor) + Pcr.Interrupts) >>> 0,
  dpcs: read32(pcrOf(processor) + Pcr.Dpcs) >>> 0,
})
