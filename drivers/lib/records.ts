/**
 * A ring of records of different lengths: ISRs put them, the oldest is dropped when there is no room. Guarded by the
 * interrupt spin lock of its device.
 */
import { RtlCopyMemory, struct, ULONG } from 'dirql/wdm'
import { BYTES } from './irp.ts'

export const RECORD_RING = struct('RECORD_RING', {
  Buffer: ULONG, // address
  Size: ULONG, // bytes, a power of two
  Put: ULONG, // bytes that were ever put; wraps
  Taken: ULONG,
  Lost: ULONG, // records that nobody took in time
})
export type RECORD_RING = InstanceType<typeof RECORD_RING>

/** Before each record: its length, low byte first. */
const HEADER_BYTES = 2

const used = ({ Put, Taken }: RECORD_RING): number => (Put - Taken) >>> 0

/** Puts a record of `length` bytes, each of which `next` gives. */
export function putRecord(ring: RECORD_RING, length: number, next: (index: number) => number): void {
  while (ring.Size - used(ring) < HEADER_BYTES + length) {
    ring.Taken += HEADER_BYTES + nextLength(ring)
    ring.Lost += 1
  }
  const { Data } = new BYTES(ring.Buffer)
  const mask = ring.Size - 1
  Data[ring.Put & mask] = length & 0xff
  Data[(ring.Put + 1) & mask] = length >> 8
  for (let index = 0; index < length; index++) Data[(ring.Put + HEADER_BYTES + index) & mask] = next(index)
  ring.Put += HEADER_BYTES + length
}

/** Whether there is a record. */
export const hasRecord = (ring: RECORD_RING): boolean => used(ring) > 0

/** The length of the oldest record. */
export function nextLength({ Buffer, Size, Taken }: RECORD_RING): number {
  const { Data } = new BYTES(Buffer)
  return (Data[Taken & (Size - 1)] ?? 0) | ((Data[(Taken + 1) & (Size - 1)] ?? 0) << 8)
}

/** Takes the oldest record to `address`, and gives back its length. */
export function takeRecord(ring: RECORD_RING, address: number): number {
  const length = nextLength(ring)
  const first = (ring.Taken + HEADER_BYTES) & (ring.Size - 1)
  const part = Math.min(length, ring.Size - first)
  if (part > 0) RtlCopyMemory(address, ring.Buffer + first, part)
  if (length > part) RtlCopyMemory(address + part, ring.Buffer, length - part)
  ring.Taken += HEADER_BYTES + length
  return length
}
