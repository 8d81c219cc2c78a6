/** Blocks of memory, by address or by the struct that lies there. */

import { mem } from '../mm/memory.ts'

/** Where a block starts. */
export type Place = number | { readonly address: number }

const addressOf = (place: Place): number => (typeof place === 'number' ? place : place.address)

/**
 * Copies `Length` bytes from `Source` to `Destination`; here, though not on Windows, the blocks may overlap.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-rtlcopymemory
 */
export function RtlCopyMemory(Destination: Place, Source: Place, Length: number): void {
  RtlMoveMemory(Destination, Source, Length)
}

/**
 * Copies `Length` bytes from `Source` to `Destination`, which may overlap.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-rtlmovememory
 */
export function RtlMoveMemory(Destination: Place, Source: Place, Length: number): void {
  const from = addressOf(Source)
  mem.u8.copyWithin(addressOf(Destination), from, from + Length)
}

/**
 * Fills `Length` bytes with zero.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-rtlzeromemory
 */
export function RtlZeroMemory(Destination: Place, Length: number): void {
  RtlFillMemory(Destination, Length, 0)
}

/**
 * Fills `Length` bytes with the byte `Fill`.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-rtlfillmemory
 */
export function RtlFillMemory(Destination: Place, Length: number, Fill: number): void {
  const to = addressOf(Destination)
  mem.u8.fill(Fill, to, to + Length)
}

/**
 * Compares two blocks byte by byte.
 *
 * @irql any
 * @returns the number of bytes, from the start, that are equal; `Length` if all are.
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-rtlcomparememory
 */
export function RtlCompareMemory(Source1: Place, Source2: Place, Length: number): number {
  const a = addressOf(Source1)
  const b = addressOf(Source2)
  let equal = 0
  while (equal < Length && mem.u8[a + equal] === mem.u8[b + equal]) equal++
  return equal
}
