/** CM_RESOURCE_LIST: the register window and interrupt vectors that a device got, told in IRP_MN_START_DEVICE. */
import { allocate, free } from '../mm/pool.ts'
import { array, LONGLONG, struct, UCHAR, ULONG, union, USHORT, type View } from '../rtl/struct.ts'

/** CM_PARTIAL_RESOURCE_DESCRIPTOR.Type */
export const CmResourceTypeNull = 0
export const CmResourceTypePort = 1
export const CmResourceTypeInterrupt = 2
export const CmResourceTypeMemory = 3
export const CmResourceTypeDevicePrivate = 0x81

/** CM_PARTIAL_RESOURCE_DESCRIPTOR.ShareDisposition */
export const CmResourceShareDeviceExclusive = 1
export const CmResourceShareDriverExclusive = 2
export const CmResourceShareShared = 3

/** CM_PARTIAL_RESOURCE_DESCRIPTOR.Flags of an interrupt. */
export const CM_RESOURCE_INTERRUPT_LEVEL_SENSITIVE = 0
export const CM_RESOURCE_INTERRUPT_LATCHED = 1

/** INTERFACE_TYPE: what a list says of its bus. */
export const Internal = 0
export const PNPBus = 15

/** More than a board has. */
export const MOST_DESCRIPTORS = 32

const CmInterrupt = struct('CM_INTERRUPT', {
  Level: ULONG, // DIRQL
  Vector: ULONG,
  Affinity: ULONG, // processors that may dispatch it, a bit each
})
const CmMemory = struct('CM_MEMORY', {
  Start: LONGLONG, // for MmMapIoSpace
  Length: ULONG, // bytes
})
const CmPrivate = struct('CM_PRIVATE', { Data: array(ULONG, 3) })
const CmUnion = union('CM_RESOURCE', { Interrupt: CmInterrupt, Memory: CmMemory, DevicePrivate: CmPrivate })

export const CM_PARTIAL_RESOURCE_DESCRIPTOR = struct('CM_PARTIAL_RESOURCE_DESCRIPTOR', {
  Type: UCHAR,
  ShareDisposition: UCHAR,
  Flags: USHORT,
  u: CmUnion,
})
export interface CM_PARTIAL_RESOURCE_DESCRIPTOR extends View<typeof CM_PARTIAL_RESOURCE_DESCRIPTOR> {}

export const CM_PARTIAL_RESOURCE_LIST = struct('CM_PARTIAL_RESOURCE_LIST', {
  Version: USHORT,
  Revision: USHORT,
  Count: ULONG, // of PartialDescriptors that are filled
  PartialDescriptors: array(CM_PARTIAL_RESOURCE_DESCRIPTOR, MOST_DESCRIPTORS),
})
export const CM_FULL_RESOURCE_DESCRIPTOR = struct('CM_FULL_RESOURCE_DESCRIPTOR', {
  InterfaceType: ULONG,
  BusNumber: ULONG,
  PartialResourceList: CM_PARTIAL_RESOURCE_LIST,
})
/** Always of one full descriptor: a device is on one bus. */
export const CM_RESOURCE_LIST = struct('CM_RESOURCE_LIST', {
  Count: ULONG,
  List: array(CM_FULL_RESOURCE_DESCRIPTOR, 1),
})
export interface CM_RESOURCE_LIST extends View<typeof CM_RESOURCE_LIST> {}

/** A resource, as kernel and machine code write it down. */
export type Resource =
  | { readonly kind: 'memory'; readonly start: number; readonly length: number; readonly shared?: boolean }
  | {
      readonly kind: 'interrupt'
      readonly vector: number
      readonly level: number
      readonly latched: boolean
      readonly shared?: boolean
      readonly affinity?: number // default: any processor
    }

const TAG = 'PpRs'

/** Writes a list into the pool; null when there is no memory. Freed by `freeResources`. */
export function allocateResources(resources: readonly Resource[]): CM_RESOURCE_LIST | null {
  if (resources.length > MOST_DESCRIPTORS) throw new RangeError(`a device has at most ${MOST_DESCRIPTORS} resources`)
  const list = CM_RESOURCE_LIST.at(allocate(CM_RESOURCE_LIST.size, TAG))
  if (list === null) return null
  list.Count = 1
  const full = list.List.at(0)
  full.InterfaceType = PNPBus
  const partial = full.PartialResourceList
  partial.Version = 1
  partial.Revision = 1
  partial.Count = resources.length
  for (const [index, resource] of resources.entries()) fill(partial.PartialDescriptors.at(index), resource)
  return list
}

function fill(descriptor: CM_PARTIAL_RESOURCE_DESCRIPTOR, resource: Resource): void {
  descriptor.ShareDisposition = resource.shared === true ? CmResourceShareShared : CmResourceShareDeviceExclusive
  if (resource.kind === 'memory') {
    descriptor.Type = CmResourceTypeMemory
    descriptor.u.Memory.Start = BigInt(resource.start)
    descriptor.u.Memory.Length = resource.length
    return
  }
  descriptor.Type = CmResourceTypeInterrupt
  descriptor.Flags = resource.latched ? CM_RESOURCE_INTERRUPT_LATCHED : CM_RESOURCE_INTERRUPT_LEVEL_SENSITIVE
  descriptor.u.Interrupt.Level = resource.level
  descriptor.u.Interrupt.Vector = resource.vector
  descriptor.u.Interrupt.Affinity = resource.affinity ?? 0xffffffff
}

export function freeResources(list: number): void {
  if (list !== 0) free(list)
}

/** The resources that the list at `list` names. */
export function readResources(list: number): Resource[] {
  if (list === 0) return []
  const { Count, PartialDescriptors } = new CM_RESOURCE_LIST(list).List.at(0).PartialResourceList
  const resources: Resource[] = []
  for (let index = 0; index < Count; index++) {
    const resource = read(PartialDescriptors.at(index))
    if (resource !== null) resources.push(resource)
  }
  return resources
}

function read({ Type, ShareDisposition, Flags, u }: CM_PARTIAL_RESOURCE_DESCRIPTOR): Resource | null {
  const shared = ShareDisposition === CmResourceShareShared
  if (Type === CmResourceTypeMemory) {
    return { kind: 'memory', start: Number(u.Memory.Start), length: u.Memory.Length, shared }
  }
  if (Type !== CmResourceTypeInterrupt) return null
  const { Level, Vector, Affinity } = u.Interrupt
  const latched = (Flags & CM_RESOURCE_INTERRUPT_LATCHED) !== 0
  return { kind: 'interrupt', vector: Vector, level: Level, latched, shared, affinity: Affinity }
}
