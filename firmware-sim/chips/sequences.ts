/**
 * Sequences on a bus that two drivers share, read from the bus's own log. A sequence is one driver's: a pointer and then
 * the read from it, an address and then the read from it, a page write and then its acknowledge polls.
 */
import type { BusEntry } from './bus.ts'

/** What the chip waits for, and whether another chip was spoken to meanwhile. */
interface Sequence {
  awaits: 'read' | 'poll'
  isCut: boolean
}

/** How many bytes the pointer, or address, of a chip has: the 24LC256 sits at 0x50 to 0x57, the TMP102 at 0x48 to 0x4b. */
const pointerBytes = (address: number): number => (address >= 0x50 && address <= 0x57 ? 2 : 1)
const hasWriteCycle = (address: number): boolean => pointerBytes(address) === 2

/** Counts sequences that were cut into and then went on: what the serialization of the bus is there to prevent. */
export class SequenceCounter {
  mixed = 0
  readonly #open = new Map<number, Sequence>()

  see(entry: BusEntry): void {
    for (const [address, sequence] of this.#open) if (address !== entry.address) sequence.isCut = true
    const sequence = this.#open.get(entry.address)
    if (sequence !== undefined && continues(sequence, entry)) {
      if (sequence.isCut) this.mixed += 1
      sequence.isCut = false
      if (sequence.awaits === 'poll' && !entry.ack) return // the write cycle goes on, and the polls with it
    }
    // One that did not go on was given up: it began anew, and nothing was mixed.
    this.#open.delete(entry.address)
    const awaits = opens(entry)
    if (awaits !== null) this.#open.set(entry.address, { awaits, isCut: false })
  }
}

function continues({ awaits }: Sequence, { isRead, bytes, ack }: BusEntry): boolean {
  if (awaits === 'read') return isRead
  return !ack || bytes.length === 0
}

function opens({ address, isRead, bytes, ack, end }: BusEntry): Sequence['awaits'] | null {
  if (isRead || !ack || end === 'lost') return null
  const pointer = pointerBytes(address)
  if (bytes.length === pointer) return 'read'
  return bytes.length > pointer && hasWriteCycle(address) ? 'poll' : null
}

/** How many sequences in `log` the other chip's transactions cut into. */
export function mixedTransactions(log: readonly BusEntry[]): number {
  const counter = new SequenceCounter()
  for (const entry of log) counter.see(entry)
  return counter.mixed
}
