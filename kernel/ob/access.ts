/**
 * Access rights, and the small security model.
 *
 * An object carries one mask: the rights that user mode can be granted. The kernel is granted what it asks for. Who
 * makes an object in user mode gives user mode everything; the kernel gives what its type's `userAccess` says,
 * unless the creator passes a SECURITY_DESCRIPTOR.
 */
import { UserMode } from '../ke/wait.ts'
import { readU32 } from '../mm/access.ts'
import { type NTSTATUS, STATUS_ACCESS_DENIED, STATUS_SUCCESS } from '../rtl/status.ts'
import { struct, ULONG } from '../rtl/struct.ts'
import { headerField } from './layouts.ts'

/** A set of rights: `ACCESS_MASK` in a driver, always an unsigned number here. */
export type ACCESS_MASK = number

export const DELETE = 0x00010000
export const READ_CONTROL = 0x00020000
export const WRITE_DAC = 0x00040000
export const WRITE_OWNER = 0x00080000
export const SYNCHRONIZE = 0x00100000
export const STANDARD_RIGHTS_REQUIRED = 0x000f0000
export const STANDARD_RIGHTS_READ = READ_CONTROL
export const STANDARD_RIGHTS_WRITE = READ_CONTROL
export const STANDARD_RIGHTS_EXECUTE = READ_CONTROL
export const STANDARD_RIGHTS_ALL = 0x001f0000
export const MAXIMUM_ALLOWED = 0x02000000
export const GENERIC_ALL = 0x10000000
export const GENERIC_EXECUTE = 0x20000000
export const GENERIC_WRITE = 0x40000000
export const GENERIC_READ = 0x80000000

/** What the generic rights mean for a type. */
export interface GenericMapping {
  readonly read: ACCESS_MASK
  readonly write: ACCESS_MASK
  readonly execute: ACCESS_MASK
  readonly all: ACCESS_MASK
}

/**
 * What stands in for a security descriptor.
 *
 * @deviates (decision 0018) there are no SIDs and no ACLs: it says which rights user mode can be granted, that is all.
 */
export const SECURITY_DESCRIPTOR = struct('SECURITY_DESCRIPTOR', { UserAccess: ULONG })
export interface SECURITY_DESCRIPTOR extends InstanceType<typeof SECURITY_DESCRIPTOR> {}

/** Replaces generic rights and MAXIMUM_ALLOWED by what they mean; `most` is what MAXIMUM_ALLOWED gives. */
export function mapAccess(desired: ACCESS_MASK, mapping: GenericMapping, most: ACCESS_MASK): ACCESS_MASK {
  let access = desired & ~(GENERIC_ALL | GENERIC_EXECUTE | GENERIC_WRITE | GENERIC_READ | MAXIMUM_ALLOWED)
  if ((desired & GENERIC_READ) !== 0) access |= mapping.read
  if ((desired & GENERIC_WRITE) !== 0) access |= mapping.write
  if ((desired & GENERIC_EXECUTE) !== 0) access |= mapping.execute
  if ((desired & GENERIC_ALL) !== 0) access |= mapping.all
  if ((desired & MAXIMUM_ALLOWED) !== 0) access |= most
  return access >>> 0
}

/** The rights that `mode` gets when it asks for `desired` of an object that exists. */
export function checkAccess(
  object: number,
  mapping: GenericMapping,
  desired: ACCESS_MASK,
  mode: number,
): { status: NTSTATUS; granted: ACCESS_MASK } {
  if (mode !== UserMode) return { status: STATUS_SUCCESS, granted: mapAccess(desired, mapping, mapping.all) }
  const allowed = readU32(headerField(object, 'UserAccess'))
  const granted = mapAccess(desired, mapping, allowed)
  if ((granted & ~allowed) !== 0) return { status: STATUS_ACCESS_DENIED, granted: 0 }
  return { status: STATUS_SUCCESS, granted }
}
