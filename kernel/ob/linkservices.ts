/** Symbolic link objects: the routines. */
import { enter, type Out, PASSIVE_LEVEL } from '../ke/level.ts'
import { KernelMode } from '../ke/wait.ts'
import { write16, write32 } from '../mm/access.ts'
import { type NTSTATUS, STATUS_BUFFER_TOO_SMALL, STATUS_INVALID_PARAMETER, STATUS_SUCCESS } from '../rtl/status.ts'
import { type Text, textOf, UNICODE_STRING } from '../rtl/string.ts'
import { allocateText, type Captured, captureAttributes, type ObjectAttributes, writeText } from './attributes.ts'
import { type HANDLE, referenceByHandle } from './handle.ts'
import { OBJECT_SYMBOLIC_LINK } from './layouts.ts'
import { linkTarget } from './lookup.ts'
import { createObject } from './object.ts'
import { dereferenceObject } from './reference.ts'
import { createNamed, openNamed } from './services.ts'
import { SYMBOLIC_LINK_QUERY, symbolicLinkType } from './symboliclink.ts'

const { LinkTarget } = OBJECT_SYMBOLIC_LINK.offsets
const { Length, MaximumLength, Buffer } = UNICODE_STRING.offsets

/** Makes a symbolic link object, without name. @returns its address, 0 if there is no memory. */
export function createLink(target: string, attributes: Captured, mode: number): number {
  const link = createObject(symbolicLinkType, OBJECT_SYMBOLIC_LINK.size, { mode, attributes })
  if (link === 0) return 0
  const text = allocateText(`${target}\0`)
  write32(link + LinkTarget + Buffer, text)
  write16(link + LinkTarget + Length, 2 * target.length)
  write16(link + LinkTarget + MaximumLength, 2 * target.length + 2)
  if (text !== 0) return link
  dereferenceObject(link)
  return 0
}

/**
 * Makes a symbolic link that stands for `LinkTarget`, a path from the root.
 *
 * @irql PASSIVE_LEVEL
 * @returns STATUS_SUCCESS; STATUS_OBJECT_NAME_EXISTS, STATUS_OBJECT_NAME_COLLISION when the name is taken;
 *   STATUS_INSUFFICIENT_RESOURCES; what the name's syntax gives
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iocreatesymboliclink
 */
export function ZwCreateSymbolicLinkObject(
  LinkHandle: Out<HANDLE>,
  DesiredAccess: number,
  ObjectAttributes: ObjectAttributes,
  LinkTarget: Text,
): NTSTATUS {
  enter(PASSIVE_LEVEL, 'ZwCreateSymbolicLinkObject')
  const target = textOf(LinkTarget)
  if (target === '') return STATUS_INVALID_PARAMETER
  const attributes = captureAttributes(ObjectAttributes, KernelMode)
  return createNamed(LinkHandle, attributes, DesiredAccess, KernelMode, () =>
    createLink(target, attributes, KernelMode),
  )
}

/**
 * Opens a symbolic link itself, not what it stands for.
 *
 * @irql PASSIVE_LEVEL
 * @returns STATUS_SUCCESS; STATUS_OBJECT_NAME_NOT_FOUND; STATUS_OBJECT_TYPE_MISMATCH; what the name's syntax gives
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-zwopensymboliclinkobject
 */
export function ZwOpenSymbolicLinkObject(
  LinkHandle: Out<HANDLE>,
  DesiredAccess: number,
  ObjectAttributes: ObjectAttributes,
): NTSTATUS {
  enter(PASSIVE_LEVEL, 'ZwOpenSymbolicLinkObject')
  return openNamed(LinkHandle, ObjectAttributes, symbolicLinkType, DesiredAccess, KernelMode)
}

/**
 * Copies a link's target. With a `ReturnedLength` box the buffer must have room for a NUL as well, and gets it.
 *
 * @irql PASSIVE_LEVEL
 * @returns STATUS_SUCCESS; STATUS_BUFFER_TOO_SMALL, with the bytes needed in `ReturnedLength`; STATUS_INVALID_HANDLE,
 *   STATUS_OBJECT_TYPE_MISMATCH, STATUS_ACCESS_DENIED as ObReferenceObjectByHandle
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-zwquerysymboliclinkobject
 */
export function ZwQuerySymbolicLinkObject(
  LinkHandle: HANDLE,
  LinkTarget: UNICODE_STRING,
  ReturnedLength: Out<number> | null,
): NTSTATUS {
  enter(PASSIVE_LEVEL, 'ZwQuerySymbolicLinkObject')
  const link = referenceByHandle(LinkHandle, SYMBOLIC_LINK_QUERY, symbolicLinkType, KernelMode)
  if (link.status !== STATUS_SUCCESS) return link.status
  const text = linkTarget(link.object)
  dereferenceObject(link.object)
  const target = ReturnedLength === null ? text : `${text}\0`
  if (ReturnedLength !== null) ReturnedLength.value = 2 * target.length
  if (LinkTarget.MaximumLength < 2 * target.length || LinkTarget.Buffer === 0) return STATUS_BUFFER_TOO_SMALL
  writeText(LinkTarget.Buffer, target)
  LinkTarget.Length = 2 * text.length
  return STATUS_SUCCESS
}
