/** Which addresses there is memory behind. */
import { LOWEST_ADDRESS, mem } from '../mm/memory.ts'
import { DISPATCH_LEVEL, enter } from './level.ts'

/**
 * Whether reading at `VirtualAddress` would not fault. Windows warns against it: who holds no lock may see it change.
 *
 * @irql <= DISPATCH_LEVEL
 * @returns TRUE for what lies in the machine's memory, except the lowest 64 KiB
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntddk/nf-ntddk-mmisaddressvalid
 */
export function MmIsAddressValid(VirtualAddress: number | { readonly address: number } | null): boolean {
  enter(DISPATCH_LEVEL, 'MmIsAddressValid')
  const address = typeof VirtualAddress === 'number' ? VirtualAddress : (VirtualAddress?.address ?? 0)
  return address >= LOWEST_ADDRESS && address < mem.u8.length
}
