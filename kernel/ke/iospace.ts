/**
 * Mappings of register windows.
 *
 * The "physical" address of a device's memory resource is its window's address, and so is the mapped one. What a
 * mapping does is count: the window of a board that was unplugged is not used again before the last unmap, so a
 * driver that still reads it reads all ones and not another device's registers.
 */
import { atomicAdd, read32 } from '../mm/access.ts'
import { Window, WINDOW_MAGIC, WINDOW_REGISTERS, windowOf } from '../ports/device.ts'
import { BugCode } from './bugcodes.ts'
import { bugCheck } from './bugcheck.ts'
import { DISPATCH_LEVEL, enter } from './level.ts'

/** MEMORY_CACHING_TYPE */
export const MmNonCached = 0
export const MmCached = 1
export const MmWriteCombined = 2

/** Bytes of a window that are registers. */
export const REGISTER_BYTES = WINDOW_REGISTERS * 4

/** Whether `length` bytes from `address` on are registers of one window. */
function areRegisters(address: number, length: number): boolean {
  const window = windowOf(address)
  return read32(window + Window.Magic) === WINDOW_MAGIC && address - window + length <= REGISTER_BYTES
}

/**
 * Maps `NumberOfBytes` of a device's registers, whose address the memory resource of IRP_MN_START_DEVICE tells.
 *
 * @irql <= DISPATCH_LEVEL
 * @returns the address of the first register, for READ_REGISTER_… and WRITE_REGISTER_…; 0 when there is no device
 *   register in the whole range
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-mmmapiospace
 */
export function MmMapIoSpace(PhysicalAddress: bigint | number, NumberOfBytes: number, _CacheType: number): number {
  enter(DISPATCH_LEVEL, 'MmMapIoSpace')
  const address = Number(PhysicalAddress)
  if (NumberOfBytes <= 0 || !areRegisters(address, NumberOfBytes)) return 0
  atomicAdd(windowOf(address) + Window.Maps, 1)
  return address
}

/**
 * Gives back what MmMapIoSpace gave.
 *
 * @irql <= DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-mmunmapiospace
 */
export function MmUnmapIoSpace(BaseAddress: number, NumberOfBytes: number): void {
  enter(DISPATCH_LEVEL, 'MmUnmapIoSpace')
  const window = windowOf(BaseAddress)
  if (!areRegisters(BaseAddress, NumberOfBytes) || read32(window + Window.Maps) === 0) notMapped(BaseAddress)
  atomicAdd(window + Window.Maps, -1)
}

function notMapped(address: number): never {
  return bugCheck({
    code: BugCode.SYSTEM_PTE_MISUSE,
    parameters: [0, address],
    message: `MmUnmapIoSpace was given 0x${address.toString(16)}, which is not mapped; give it once what MmMapIoSpace returned`,
  })
}
