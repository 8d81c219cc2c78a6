/** How long a driver may poll at one stretch, and what it is told then. */
import type { PollLimit } from '../hal/realclock.ts'
import { bugCheck } from '../kernel/ke/bugcheck.ts'
import { BugCode } from '../kernel/ke/bugcodes.ts'
import { cpu } from '../kernel/ke/pcr.ts'

/** 20 ms: nothing else can run on this thread meanwhile, so what a loop polls for cannot come. */
export const UNIPROCESSOR_POLL_TICKS = 200_000
/** A second: boards and other processors go on meanwhile, threads of this processor do not. */
export const MULTIPROCESSOR_POLL_TICKS = 10_000_000

export function pollLimit(ticks: number): PollLimit {
  return {
    ticks,
    exceeded: (polled) =>
      bugCheck({
        code: BugCode.DPC_WATCHDOG_VIOLATION,
        parameters: [0, Math.floor(polled), ticks],
        message: `code polled for ${Math.floor(polled / 10_000)} ms at one stretch without an await: ${remedy()}`,
      }),
  }
}

const remedy = (): string =>
  cpu.multiprocessor
    ? 'no thread of this processor runs meanwhile; wait for an event instead'
    : 'on one processor nothing else runs meanwhile; wait for an event instead, or boot with processors: 2'
