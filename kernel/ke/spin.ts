/**
 * Spin lock words.
 *
 * On a uniprocessor machine nothing else can run while a lock is held, so the kernel's own words are left alone.
 *
 * The order in which one holder takes several of the kernel's own: a vector's, the dispatcher's, then one of the last
 * ones, whose holders take no other: a DPC queue's, the pool's, a board's ring's. The locks of ob, io and ex come
 * before the pool's, and are held while nothing else is taken.
 */
import * as access from '../mm/access.ts'
import * as plugged from '../ports/ports.ts'
import { throwStopped } from './bugcheck.ts'
import { attend } from './level.ts'
import * as kpcr from './pcr.ts'

// Looked up once: an imported name is looked up at each use (decision 0041).
const { atomicCompareExchange, atomicStore, read32 } = access
const { ports } = plugged
const { cpu, Pcr, Pending } = kpcr

/**
 * Takes a lock of the kernel's own. The holder passes no interruption point, so that no code of this processor
 * can want the lock meanwhile; the wait takes no interrupts, since what is guarded is a few words.
 */
export function acquireWord(lock: number): void {
  if (cpu.multiprocessor && atomicCompareExchange(lock, 0, 1) !== 0) waitForWord(lock)
}

function waitForWord(lock: number): void {
  for (let round = 0; ; round++) {
    if (read32(lock) === 0 && atomicCompareExchange(lock, 0, 1) === 0) return
    leaveIfFrozen()
    ports.processor.relax(round)
  }
}

/** Who waits for a word of the kernel's own looks for a stop: its holder may be frozen. */
export function leaveIfFrozen(): void {
  if ((read32(cpu.pcr + Pcr.Pending) & Pending.Freeze) !== 0) throwStopped()
}

/** Gives the lock back. The store is atomic, so the next holder sees what this one wrote. */
export function releaseWord(lock: number): void {
  if (cpu.multiprocessor) atomicStore(lock, 0)
}

/**
 * Spins until the word at `lock` was changed from 0 to `mark`, for locks that drivers hold: IRQL is raised.
 *
 * Interrupts above the caller's IRQL are taken meanwhile: the holder may wait for something that only an ISR of
 * this processor does. A stop ends the spin, by the exception that `attend` throws.
 */
export function spinForWord(lock: number, mark: number): void {
  for (let round = 0; ; round++) {
    if (read32(lock) === 0 && atomicCompareExchange(lock, 0, mark) === 0) return
    ports.processor.relax(round)
    if ((read32(cpu.pcr + Pcr.Pending) & ~Pending.Lockstep) !== 0) attend()
  }
}
