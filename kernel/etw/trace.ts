/**
 * The trace: each processor's last events in a ring in its KPCR, and in lockstep a hash over all events in their order.
 *
 * An event is a kind and two words. A crash record ends with the last ones; two runs that are the same have one hash.
 */
import * as access from '../mm/access.ts'
import * as kpcr from '../ke/pcr.ts'
const { read32, write32 } = access
const { cpu, Machine, Pcr, pcrOf } = kpcr
import type { CrashRecord } from '../ports/crash.ts'
import type { TracePort } from '../ports/ports.ts'

/** Kinds of events. */
export const TraceKind = { Interrupt: 1, ServiceRoutine: 2, Dpc: 3, Resume: 4, Wait: 5 } as const
const NAMES = ['', 'interrupt', 'isr', 'dpc', 'resume', 'wait']

/** Events that a processor keeps: a power of two. */
const ROOM = 64
const EVENT_SIZE = 16

const FNV_PRIME = 0x01000193

export const trace: TracePort = {
  event(kind, first, second) {
    const { pcr } = cpu
    const count = read32(pcr + Pcr.TraceCount)
    const event = pcr + Pcr.Trace + (count & (ROOM - 1)) * EVENT_SIZE
    write32(event, kind)
    write32(event + 4, first)
    write32(event + 8, second)
    write32(pcr + Pcr.TraceCount, count + 1)
    if (cpu.lockstep) addToHash(kind, first, second)
  },
}

/** Only who has the turn runs, so the events of all processors come in one order. */
function addToHash(kind: number, first: number, second: number): void {
  let hash = read32(Machine.TraceHash) ^ cpu.number
  hash = Math.imul(hash ^ kind, FNV_PRIME)
  hash = Math.imul(hash ^ first, FNV_PRIME)
  hash = Math.imul(hash ^ second, FNV_PRIME)
  write32(Machine.TraceHash, hash)
}

/** A number that two runs have in common only if they did the same things in the same order. */
export const traceHash = (): number => read32(Machine.TraceHash) >>> 0

/** The last events of all processors, oldest first within each. */
export function lastEvents(): CrashRecord['trace'] {
  const events: CrashRecord['trace'] = []
  for (let processor = 0; processor < cpu.count; processor++) {
    const pcr = pcrOf(processor)
    const count = read32(pcr + Pcr.TraceCount)
    for (let index = Math.max(0, count - ROOM); index < count; index++) {
      const event = pcr + Pcr.Trace + (index & (ROOM - 1)) * EVENT_SIZE
      events.push({
        processor,
        kind: NAMES[read32(event)] ?? 'event',
        first: read32(event + 4),
        second: read32(event + 8),
      })
    }
  }
  return events
}
