/**
 * MDLs: descriptions of buffers whose pages stay in memory.
 *
 * All memory is one block that is never paged, so locking and mapping move nothing. The flags, and the checks that
 * hang on them, are Windows': what is unlocked twice, or mapped without having been locked, is found here too.
 */
import { mem, LOWEST_ADDRESS } from '../mm/memory.ts'
import { read16, read32, readU32, write16, write32 } from '../mm/access.ts'
import { allocate, free, isPaged } from '../mm/pool.ts'
import { BugCode } from '../ke/bugcodes.ts'
import { bugCheck } from '../ke/bugcheck.ts'
import { raiseStatus } from '../ke/exception.ts'
import { DISPATCH_LEVEL, APC_LEVEL, currentIrql, enter } from '../ke/level.ts'
import { KernelMode, UserMode } from '../ke/wait.ts'
import { STATUS_ACCESS_VIOLATION, STATUS_DATATYPE_MISALIGNMENT } from '../rtl/status.ts'
import { IoReadAccess } from './codes.ts'
import { IRP, Irp, MDL } from './layouts.ts'

export const PAGE_SIZE = 4096
const PAGE_ENTRY = 4 // bytes that the page array has for each page

/** MDL.MdlFlags */
export const MDL_MAPPED_TO_SYSTEM_VA = 0x0001
export const MDL_PAGES_LOCKED = 0x0002
export const MDL_SOURCE_IS_NONPAGED_POOL = 0x0004
export const MDL_ALLOCATED_FIXED_SIZE = 0x0008
export const MDL_PARTIAL = 0x0010
export const MDL_PARTIAL_HAS_BEEN_MAPPED = 0x0020
export const MDL_WRITE_OPERATION = 0x0080
/** What makes the pages reachable: locked, or never paged. */
const RESIDENT = MDL_PAGES_LOCKED | MDL_SOURCE_IS_NONPAGED_POOL | MDL_PARTIAL

/** MEMORY_CACHING_TYPE */
export const MmNonCached = 0
export const MmCached = 1
export const MmWriteCombined = 2
/** Priorities of a mapping. */
export const LowPagePriority = 0
export const NormalPagePriority = 16
export const HighPagePriority = 32

const { Next, Size, MdlFlags, MappedSystemVa, StartVa, ByteCount, ByteOffset } = MDL.offsets

/** Where a buffer is: its address, or the struct that it is. */
export type Buffer = number | { readonly address: number } | null
export const addressOf = (buffer: Buffer): number =>
  buffer === null ? 0 : typeof buffer === 'number' ? buffer : buffer.address

const flagsOf = (mdl: number): number => read16(mdl + MdlFlags)
const setFlags = (mdl: number, flags: number): void => write16(mdl + MdlFlags, flagsOf(mdl) | flags)
const clearFlags = (mdl: number, flags: number): void => write16(mdl + MdlFlags, flagsOf(mdl) & ~flags)

/** Pages that the buffer lies on. */
const spannedPages = (address: number, length: number): number =>
  Math.ceil(((address & (PAGE_SIZE - 1)) + length) / PAGE_SIZE)

/** The address that an MDL describes. */
export const mdlAddress = (mdl: number): number => readU32(mdl + StartVa) + readU32(mdl + ByteOffset)
export const mdlLength = (mdl: number): number => readU32(mdl + ByteCount)

/** Allocates an MDL; 0 when there is no memory, or when its page array would be longer than an MDL can say. */
export function allocateMdl(address: number, length: number): number {
  const size = MDL.size + spannedPages(address, length) * PAGE_ENTRY
  if (size > 0xffff) return 0
  const mdl = allocate(size, 'Mdl ')
  if (mdl === 0) return 0
  write16(mdl + Size, size)
  describe(mdl, address, length)
  return mdl
}

function describe(mdl: number, address: number, length: number): void {
  write32(mdl + StartVa, address & ~(PAGE_SIZE - 1))
  write32(mdl + ByteOffset, address & (PAGE_SIZE - 1))
  write32(mdl + ByteCount, length)
}

/** Unlocks and frees an IRP's MDLs. */
export function freeMdls(irp: number): void {
  let mdl = read32(irp + Irp.MdlAddress)
  write32(irp + Irp.MdlAddress, 0)
  while (mdl !== 0) {
    const next = read32(mdl + Next)
    if ((flagsOf(mdl) & MDL_PAGES_LOCKED) !== 0) unlockPages(mdl)
    free(mdl, 'Mdl ')
    mdl = next
  }
}

/** Whether all of [address, address + length) is in the machine's memory. */
export const isInMemory = (address: number, length: number): boolean =>
  address >= LOWEST_ADDRESS && length >= 0 && address + length <= mem.u8.length

/** Locks the pages; false when they are no memory. */
export function lockPages(mdl: number, operation: number): boolean {
  if (!isInMemory(mdlAddress(mdl), mdlLength(mdl))) return false
  setFlags(mdl, MDL_PAGES_LOCKED | (operation === IoReadAccess ? 0 : MDL_WRITE_OPERATION))
  return true
}

function unlockPages(mdl: number): void {
  write32(mdl + MappedSystemVa, 0)
  clearFlags(mdl, MDL_PAGES_LOCKED | MDL_MAPPED_TO_SYSTEM_VA | MDL_WRITE_OPERATION)
}

function mdlViolation(code: number, mdl: number, message: string): never {
  return bugCheck({ code: BugCode.DRIVER_VERIFIER_DETECTED_VIOLATION, parameters: [code, mdl, flagsOf(mdl)], message })
}

/**
 * Allocates an MDL for a buffer; with an IRP it becomes that one's MdlAddress, or, as SecondaryBuffer, the last of its
 * list. `ChargeQuota` is ignored.
 *
 * @irql <= DISPATCH_LEVEL
 * @returns the MDL; null when there is no memory or the buffer is too long (64 MB here)
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-ioallocatemdl
 */
export function IoAllocateMdl(
  VirtualAddress: Buffer,
  Length: number,
  SecondaryBuffer: boolean,
  _ChargeQuota: boolean,
  Irp_: IRP | null,
): MDL | null {
  enter(DISPATCH_LEVEL, 'IoAllocateMdl')
  const mdl = Length >= 0x80000000 ? 0 : allocateMdl(addressOf(VirtualAddress), Length)
  if (mdl !== 0 && Irp_ !== null) attachMdl(Irp_.address, mdl, SecondaryBuffer)
  return MDL.at(mdl)
}

function attachMdl(irp: number, mdl: number, isSecondary: boolean): void {
  let place = irp + Irp.MdlAddress
  if (isSecondary) while (read32(place) !== 0) place = read32(place) + Next
  write32(place, mdl)
}

/**
 * Frees an MDL. Its pages must have been unlocked.
 *
 * @irql <= DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iofreemdl
 */
export function IoFreeMdl(Mdl: MDL): void {
  enter(DISPATCH_LEVEL, 'IoFreeMdl')
  if ((flagsOf(Mdl.address) & MDL_PAGES_LOCKED) !== 0) {
    mdlViolation(0xb0, Mdl.address, 'an MDL was freed while its pages are locked; call MmUnlockPages first')
  }
  free(Mdl.address, 'Mdl ')
}

/**
 * Makes `TargetMdl` describe a part of what `SourceMdl` describes; length 0 is all from `VirtualAddress` on.
 *
 * @irql <= DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iobuildpartialmdl
 */
export function IoBuildPartialMdl(SourceMdl: MDL, TargetMdl: MDL, VirtualAddress: Buffer, Length: number): void {
  enter(DISPATCH_LEVEL, 'IoBuildPartialMdl')
  const source = SourceMdl.address
  const target = TargetMdl.address
  const start = addressOf(VirtualAddress)
  const length = Length === 0 ? mdlAddress(source) + mdlLength(source) - start : Length
  if (MDL.size + spannedPages(start, length) * PAGE_ENTRY > (mem.u16[(target + Size) >> 1] as number)) tooSmall(target)
  describe(target, start, length)
  const inherited = flagsOf(source) & (MDL_SOURCE_IS_NONPAGED_POOL | MDL_MAPPED_TO_SYSTEM_VA)
  write16(target + MdlFlags, MDL_PARTIAL | inherited)
  const mapped = readU32(source + MappedSystemVa)
  write32(target + MappedSystemVa, mapped === 0 ? 0 : mapped + start - mdlAddress(source))
}

function tooSmall(mdl: number): never {
  return bugCheck({
    code: BugCode.TARGET_MDL_TOO_SMALL,
    parameters: [mdl],
    message: 'IoBuildPartialMdl: the target MDL was allocated for fewer pages than it shall describe',
  })
}

/**
 * Completes an MDL for a buffer in nonpaged pool, which needs no locking.
 *
 * @irql <= DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-mmbuildmdlfornonpagedpool
 */
export function MmBuildMdlForNonPagedPool(MemoryDescriptorList: MDL): void {
  enter(DISPATCH_LEVEL, 'MmBuildMdlForNonPagedPool')
  const mdl = MemoryDescriptorList.address
  if (isPaged(mdlAddress(mdl))) mdlViolation(0xb9, mdl, 'MmBuildMdlForNonPagedPool was given a buffer in paged pool')
  buildForNonPagedPool(mdl)
}

export function buildForNonPagedPool(mdl: number): void {
  setFlags(mdl, MDL_SOURCE_IS_NONPAGED_POOL)
  write32(mdl + MappedSystemVa, mdlAddress(mdl))
}

/**
 * Locks the pages of an MDL in memory, after a look at whether the buffer can be accessed so.
 *
 * Raises STATUS_ACCESS_VIOLATION when it cannot.
 *
 * @irql <= DISPATCH_LEVEL; <= APC_LEVEL for a pageable buffer
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-mmprobeandlockpages
 */
export function MmProbeAndLockPages(MemoryDescriptorList: MDL, _AccessMode: number, Operation: number): void {
  enter(DISPATCH_LEVEL, 'MmProbeAndLockPages')
  const mdl = MemoryDescriptorList.address
  if ((flagsOf(mdl) & RESIDENT) !== 0) {
    mdlViolation(0xb4, mdl, 'MmProbeAndLockPages was given an MDL whose pages are locked already, or are nonpaged pool')
  }
  if (isPaged(mdlAddress(mdl)) && currentIrql() > APC_LEVEL) {
    mdlViolation(0x70, mdl, 'MmProbeAndLockPages was asked to lock paged memory above APC_LEVEL')
  }
  if (!lockPages(mdl, Operation)) raiseStatus(STATUS_ACCESS_VIOLATION)
}

/**
 * Undoes MmProbeAndLockPages, and the mapping if there is one.
 *
 * @irql <= DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-mmunlockpages
 */
export function MmUnlockPages(MemoryDescriptorList: MDL): void {
  enter(DISPATCH_LEVEL, 'MmUnlockPages')
  const mdl = MemoryDescriptorList.address
  if ((flagsOf(mdl) & MDL_PAGES_LOCKED) === 0) {
    mdlViolation(0x7c, mdl, 'MmUnlockPages was given an MDL whose pages are not locked')
  }
  unlockPages(mdl)
}

/**
 * The address at which the kernel reaches what an MDL describes; maps it if it is not mapped.
 *
 * @irql <= DISPATCH_LEVEL
 * @returns the address; on Windows also 0 when there is no room, so check
 * @see https://learn.microsoft.com/windows-hardware/drivers/kernel/using-mdls
 */
export function MmGetSystemAddressForMdlSafe(Mdl: MDL, _Priority: number): number {
  enter(DISPATCH_LEVEL, 'MmGetSystemAddressForMdlSafe')
  return mapMdl(Mdl.address)
}

function mapMdl(mdl: number): number {
  const flags = flagsOf(mdl)
  if ((flags & (MDL_MAPPED_TO_SYSTEM_VA | MDL_SOURCE_IS_NONPAGED_POOL)) !== 0) return readU32(mdl + MappedSystemVa)
  if ((flags & RESIDENT) === 0) {
    mdlViolation(0xb6, mdl, 'an MDL was mapped whose pages are not locked; call MmProbeAndLockPages first')
  }
  const address = mdlAddress(mdl)
  write32(mdl + MappedSystemVa, address)
  setFlags(mdl, MDL_MAPPED_TO_SYSTEM_VA | (flags & MDL_PARTIAL ? MDL_PARTIAL_HAS_BEEN_MAPPED : 0))
  return address
}

interface Mapping {
  MemoryDescriptorList: MDL
  AccessMode: number
  CacheType: number
  RequestedAddress: number | null
  BugCheckOnFailure: boolean | number
  Priority: number
}

/**
 * Maps what an MDL describes: memory is one block, so for kernel and user mode alike this is where it lies.
 *
 * Raises STATUS_ACCESS_VIOLATION for UserMode: programs see no kernel memory here.
 *
 * @irql <= DISPATCH_LEVEL; <= APC_LEVEL for UserMode
 * @returns the address
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-mmmaplockedpagesspecifycache
 */
export function MmMapLockedPagesSpecifyCache(mapping: Mapping): number {
  enter(mapping.AccessMode === UserMode ? APC_LEVEL : DISPATCH_LEVEL, 'MmMapLockedPagesSpecifyCache')
  if (mapping.AccessMode !== KernelMode) raiseStatus(STATUS_ACCESS_VIOLATION)
  return mapMdl(mapping.MemoryDescriptorList.address)
}

/**
 * Undoes a mapping; the pages stay locked.
 *
 * @irql <= DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-mmunmaplockedpages
 */
export function MmUnmapLockedPages(_BaseAddress: number, MemoryDescriptorList: MDL): void {
  enter(DISPATCH_LEVEL, 'MmUnmapLockedPages')
  const mdl = MemoryDescriptorList.address
  if ((flagsOf(mdl) & MDL_MAPPED_TO_SYSTEM_VA) === 0) {
    mdlViolation(0x7d, mdl, 'MmUnmapLockedPages was given an MDL that is not mapped')
  }
  clearFlags(mdl, MDL_MAPPED_TO_SYSTEM_VA)
  write32(mdl + MappedSystemVa, 0)
}

/**
 * Bytes that an MDL describes.
 *
 * @irql <= DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/kernel/using-mdls
 */
export function MmGetMdlByteCount(Mdl: MDL): number {
  return mdlLength(Mdl.address)
}

/**
 * Where the buffer that an MDL describes begins in its first page.
 *
 * @irql <= DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/kernel/using-mdls
 */
export function MmGetMdlByteOffset(Mdl: MDL): number {
  return readU32(Mdl.address + ByteOffset)
}

/**
 * The address that an MDL was made for: to compute with, not to be read through.
 *
 * @irql <= DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/kernel/using-mdls
 */
export function MmGetMdlVirtualAddress(Mdl: MDL): number {
  return mdlAddress(Mdl.address)
}

/** Raises unless a user buffer is memory and aligned. A length of 0 is never looked at. */
function probe(address: number, length: number, alignment: number): void {
  if (length === 0) return
  if (address % alignment !== 0) raiseStatus(STATUS_DATATYPE_MISALIGNMENT)
  if (!isInMemory(address, length)) raiseStatus(STATUS_ACCESS_VIOLATION)
}

/**
 * Raises STATUS_ACCESS_VIOLATION unless a user buffer can be read, STATUS_DATATYPE_MISALIGNMENT unless it is aligned.
 *
 * @irql <= APC_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-probeforread
 */
export function ProbeForRead(Address: Buffer, Length: number, Alignment: number): void {
  enter(APC_LEVEL, 'ProbeForRead')
  probe(addressOf(Address), Length, Alignment)
}

/**
 * Raises STATUS_ACCESS_VIOLATION unless a user buffer can be written, STATUS_DATATYPE_MISALIGNMENT unless it is
 * aligned.
 *
 * @irql <= APC_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-probeforwrite
 */
export function ProbeForWrite(Address: Buffer, Length: number, Alignment: number): void {
  enter(APC_LEVEL, 'ProbeForWrite')
  probe(addressOf(Address), Length, Alignment)
}
