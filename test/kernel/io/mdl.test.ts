import { expect, test } from 'vitest'
import { IoAllocateIrp, IoFreeIrp } from '../../../kernel/io/irp.ts'
import { type IRP, MDL } from '../../../kernel/io/layouts.ts'
import {
  IoAllocateMdl,
  IoBuildPartialMdl,
  IoFreeMdl,
  MDL_MAPPED_TO_SYSTEM_VA,
  MDL_PAGES_LOCKED,
  MDL_PARTIAL,
  MmBuildMdlForNonPagedPool,
  MmCached,
  MmGetMdlByteCount,
  MmGetMdlByteOffset,
  MmGetMdlVirtualAddress,
  MmGetSystemAddressForMdlSafe,
  MmMapLockedPagesSpecifyCache,
  MmProbeAndLockPages,
  MmUnlockPages,
  MmUnmapLockedPages,
  NormalPagePriority,
  PAGE_SIZE,
  ProbeForRead,
  ProbeForWrite,
} from '../../../kernel/io/mdl.ts'
import { IoReadAccess, IoWriteAccess } from '../../../kernel/io/codes.ts'
import { StatusError } from '../../../kernel/ke/exception.ts'
import { allocate, PAGED } from '../../../kernel/mm/pool.ts'
import { STATUS_ACCESS_VIOLATION, STATUS_DATATYPE_MISALIGNMENT } from '../../../kernel/rtl/status.ts'
import { bytesByTag, onSystem } from './system.ts'

const mdlFor = (address: number, length: number): MDL => IoAllocateMdl(address, length, false, false, null) as MDL

/** The status that `body` raises; 0 if none. */
function raised(body: () => void): number {
  try {
    body()
    return 0
  } catch (error) {
    if (error instanceof StatusError) return error.status
    throw error
  }
}

test('IoAllocateMdl fails where the page array would not fit, and for 2 GB (KMT IoMdl, 2003)', async () => {
  const fits = await onSystem(() => {
    const largest = (Math.floor((0x10000 - MDL.size) / 4) - 1) * PAGE_SIZE
    return [largest, largest + 1, 0x80000000].map((length) => {
      const mdl = IoAllocateMdl(0, length, false, false, null)
      if (mdl !== null) IoFreeMdl(mdl)
      return mdl !== null
    })
  })
  expect(fits).toEqual([true, false, false])
})

test('IoAllocateMdl with an IRP becomes its MdlAddress; as secondary buffer, the last of its list', async () => {
  const seen = await onSystem(() => {
    const irp = IoAllocateIrp(1, false) as IRP
    const first = IoAllocateMdl(0x20000, 10, false, false, irp) as MDL
    const second = IoAllocateMdl(0x30000, 10, true, false, irp) as MDL
    const seen = [irp.MdlAddress?.address === first.address, first.Next?.address === second.address]
    IoFreeMdl(first)
    IoFreeMdl(second)
    IoFreeIrp(irp)
    return [...seen, bytesByTag()['Mdl ']]
  })
  expect(seen).toEqual([true, true, 0])
})

test('MmGetMdlByteCount, MmGetMdlByteOffset and MmGetMdlVirtualAddress say what the MDL was made for', async () => {
  expect(
    await onSystem(() => {
      const mdl = mdlFor(0x20123, 5000)
      return [MmGetMdlByteCount(mdl), MmGetMdlByteOffset(mdl), MmGetMdlVirtualAddress(mdl)]
    }),
  ).toEqual([5000, 0x123, 0x20123])
})

test('MmGetMdlByteOffset is 0 for a buffer that begins on a page', async () => {
  expect(await onSystem(() => MmGetMdlByteOffset(mdlFor(0x20000, 1)))).toBe(0)
})

test('MmGetMdlVirtualAddress is the address, mapped or not', async () => {
  expect(await onSystem(() => MmGetMdlVirtualAddress(mdlFor(0x20001, 1)))).toBe(0x20001)
})

test('MmBuildMdlForNonPagedPool makes a system address of the buffer’s own', async () => {
  const isSame = await onSystem(() => {
    const buffer = allocate(100, 'Test')
    const mdl = mdlFor(buffer, 100)
    MmBuildMdlForNonPagedPool(mdl)
    const address = MmGetSystemAddressForMdlSafe(mdl, NormalPagePriority)
    IoFreeMdl(mdl)
    return address === buffer
  })
  expect(isSame).toBe(true)
})

test('MmBuildMdlForNonPagedPool of paged pool is bug check 0xC4', async () => {
  const crash = onSystem(() => MmBuildMdlForNonPagedPool(mdlFor(allocate(100, 'Test', PAGED), 100)))
  await expect(crash).rejects.toMatchObject({ code: 0xc4 })
})

test('MmProbeAndLockPages sets the locked flag, MmUnlockPages takes it and the mapping away', async () => {
  const seen = await onSystem(() => {
    const mdl = mdlFor(allocate(100, 'Test', PAGED), 100)
    MmProbeAndLockPages(mdl, 0, IoWriteAccess)
    const locked = mdl.MdlFlags & MDL_PAGES_LOCKED
    MmGetSystemAddressForMdlSafe(mdl, NormalPagePriority)
    const mapped = mdl.MdlFlags & MDL_MAPPED_TO_SYSTEM_VA
    MmUnlockPages(mdl)
    const after = mdl.MdlFlags
    IoFreeMdl(mdl)
    return { locked, mapped, after }
  })
  expect(seen).toEqual({ locked: MDL_PAGES_LOCKED, mapped: MDL_MAPPED_TO_SYSTEM_VA, after: 0 })
})

test('MmProbeAndLockPages raises STATUS_ACCESS_VIOLATION for what is no memory', async () => {
  const status = await onSystem(() => raised(() => MmProbeAndLockPages(mdlFor(0x10, 4), 1, IoReadAccess)))
  expect(status).toBe(STATUS_ACCESS_VIOLATION)
})

test('MmUnlockPages of pages that are not locked is bug check 0xC4', async () => {
  await expect(onSystem(() => MmUnlockPages(mdlFor(0x20000, 4)))).rejects.toMatchObject({ code: 0xc4 })
})

test('IoFreeMdl of locked pages is bug check 0xC4', async () => {
  const crash = onSystem(() => {
    const mdl = mdlFor(0x20000, 4)
    MmProbeAndLockPages(mdl, 0, IoReadAccess)
    IoFreeMdl(mdl)
  })
  await expect(crash).rejects.toMatchObject({ code: 0xc4 })
})

test('MmGetSystemAddressForMdlSafe of pages that are not locked is bug check 0xC4', async () => {
  const crash = onSystem(() => MmGetSystemAddressForMdlSafe(mdlFor(0x20000, 4), NormalPagePriority))
  await expect(crash).rejects.toMatchObject({ code: 0xc4 })
})

test('MmMapLockedPagesSpecifyCache maps and MmUnmapLockedPages unmaps; the pages stay locked', async () => {
  const flags = await onSystem(() => {
    const mdl = mdlFor(0x20000, 4)
    MmProbeAndLockPages(mdl, 0, IoReadAccess)
    const mapping = { MemoryDescriptorList: mdl, AccessMode: 0, CacheType: MmCached, RequestedAddress: null }
    const address = MmMapLockedPagesSpecifyCache({ ...mapping, BugCheckOnFailure: false, Priority: NormalPagePriority })
    MmUnmapLockedPages(address, mdl)
    return mdl.MdlFlags
  })
  expect(flags).toBe(MDL_PAGES_LOCKED)
})

test('MmUnmapLockedPages of what is not mapped is bug check 0xC4', async () => {
  await expect(onSystem(() => MmUnmapLockedPages(0, mdlFor(0x20000, 4)))).rejects.toMatchObject({ code: 0xc4 })
})

test('IoBuildPartialMdl describes a part, and maps to the same bytes', async () => {
  const seen = await onSystem(() => {
    const buffer = allocate(1000, 'Test')
    const whole = mdlFor(buffer, 1000)
    MmBuildMdlForNonPagedPool(whole)
    const part = mdlFor(buffer, 1000)
    IoBuildPartialMdl(whole, part, buffer + 100, 0)
    const address = MmGetSystemAddressForMdlSafe(part, NormalPagePriority)
    return { offset: address - buffer, length: MmGetMdlByteCount(part), isPartial: (part.MdlFlags & MDL_PARTIAL) !== 0 }
  })
  expect(seen).toEqual({ offset: 100, length: 900, isPartial: true })
})

test('IoBuildPartialMdl into an MDL for fewer pages is bug check 0x40', async () => {
  const crash = onSystem(() => IoBuildPartialMdl(mdlFor(0x20000, 9000), mdlFor(0x20000, 1), 0x20000, 0))
  await expect(crash).rejects.toMatchObject({ code: 0x40 })
})

test.each([
  ['memory, aligned', 0x20000, 8, 8, 0],
  ['not aligned', 0x20002, 8, 4, STATUS_DATATYPE_MISALIGNMENT],
  ['no memory', 0x100, 8, 4, STATUS_ACCESS_VIOLATION],
  ['beyond the end', 0x7ffffff0, 64, 1, STATUS_ACCESS_VIOLATION],
  ['of length 0', 1, 0, 4, 0],
])('ProbeForRead and ProbeForWrite of a buffer that is %s', async (_name, address, length, alignment, status) => {
  const statuses = await onSystem(() => [
    raised(() => ProbeForRead(address, length, alignment)),
    raised(() => ProbeForWrite(address, length, alignment)),
  ])
  expect(statuses).toEqual([status, status])
})

test('ProbeForWrite looks at the alignment first', async () => {
  expect(await onSystem(() => raised(() => ProbeForWrite(1, 4, 4)))).toBe(STATUS_DATATYPE_MISALIGNMENT)
})
