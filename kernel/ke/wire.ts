/** The processors' end of a board's ring: posted writes and EOIs, never merged, never dropped. */
import { atomicLoad, atomicStore, read32, write32 } from '../mm/access.ts'
import { Ring, RING_ENTRY_SIZE } from '../ports/device.ts'
import { ports } from '../ports/ports.ts'
import { BugCode } from './bugcodes.ts'
import { bugCheck } from './bugcheck.ts'
import { acquireWord, releaseWord } from './spin.ts'

/**
 * Puts an entry into the ring at `ring`. A ring that is full is the driver's fault: it posts faster than the wire
 * carries, without `flush` or a fifo's ROOM.
 */
export function post(ring: number, kind: number, first: number, second: number, third: number): void {
  acquireWord(ring + Ring.Lock)
  const put = read32(ring + Ring.Put)
  const room = read32(ring + Ring.Room)
  const isFull = ((put - atomicLoad(ring + Ring.Taken)) | 0) >= room
  if (!isFull) {
    const entry = ring + Ring.Entries + (put & (room - 1)) * RING_ENTRY_SIZE
    write32(entry, kind)
    write32(entry + 4, first)
    write32(entry + 8, second)
    write32(entry + 12, third)
    // Atomic: whoever sees the new count sees the entry.
    atomicStore(ring + Ring.Put, (put + 1) | 0)
  }
  releaseWord(ring + Ring.Lock)
  if (isFull) ringFull(ring, room)
  ports.wire.kick(read32(ring + Ring.Board))
}

/** Entries that can still be put. */
export const ringRoom = (ring: number): number =>
  read32(ring + Ring.Room) - ((read32(ring + Ring.Put) - atomicLoad(ring + Ring.Taken)) | 0)

function ringFull(ring: number, room: number): never {
  return bugCheck({
    code: BugCode.DRIVER_VIOLATION,
    parameters: [4, ring, room, read32(ring + Ring.Board)],
    message: `a register was written while ${room} posted writes waited for the wire; await flush(window) now and then, or ask the fifo's ROOM first`,
  })
}
