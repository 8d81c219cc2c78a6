/** What drivers say to the PnP manager, and ask it. */
import { mem } from '../mm/memory.ts'
import { read32, readU32, write32 } from '../mm/access.ts'
import { DISPATCH_LEVEL, enter, type Out, PASSIVE_LEVEL } from '../ke/level.ts'
import { cpu } from '../ke/pcr.ts'
import { writeText } from '../ob/attributes.ts'
import { nameOf } from '../ob/directory.ts'
import {
  type NTSTATUS,
  STATUS_BUFFER_TOO_SMALL,
  STATUS_INVALID_DEVICE_REQUEST,
  STATUS_INVALID_PARAMETER_2,
  STATUS_OBJECT_NAME_NOT_FOUND,
  STATUS_SUCCESS,
} from '../rtl/status.ts'
import { Node, nodeOf, nodeText, nodeTexts } from './devnode.ts'
import type { DEVICE_OBJECT } from './layouts.ts'
import { fatal } from './pnpirp.ts'
import { Action, queueAction } from './pnpqueue.ts'
import { CM_RESOURCE_LIST } from './resources.ts'

/** DEVICE_REGISTRY_PROPERTY */
export const DevicePropertyDeviceDescription = 0
export const DevicePropertyHardwareID = 1
export const DevicePropertyCompatibleIDs = 2
export const DevicePropertyBootConfiguration = 3
export const DevicePropertyBootConfigurationTranslated = 4
export const DevicePropertyFriendlyName = 9
export const DevicePropertyLocationInformation = 10
export const DevicePropertyPhysicalDeviceObjectName = 11
export const DevicePropertyBusNumber = 14
export const DevicePropertyEnumeratorName = 15
export const DevicePropertyAddress = 16
export const DevicePropertyUINumber = 17
export const DevicePropertyInstallState = 18

/** Bug checks for a device that is no PDO: drivers often pass their own. */
function pdoOf(DeviceObject: DEVICE_OBJECT, routine: string): number {
  const device = DeviceObject.address
  if (nodeOf(device) === 0 && cpu.checked) {
    fatal(
      2,
      device,
      `${routine} was given what is no PDO; pass the PhysicalDeviceObject that AddDevice was called with`,
    )
  }
  return device
}

/**
 * Says that the devices on a bus have changed. Returns at once: the PnP manager asks for the relations soon.
 *
 * @irql <= DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-ioinvalidatedevicerelations
 */
export function IoInvalidateDeviceRelations(DeviceObject: DEVICE_OBJECT, _Type: number): void {
  enter(DISPATCH_LEVEL, 'IoInvalidateDeviceRelations')
  queueAction(Action.Relations, pdoOf(DeviceObject, 'IoInvalidateDeviceRelations'))
}

/**
 * Says that a device's PnP state has changed: its driver is asked with IRP_MN_QUERY_PNP_DEVICE_STATE soon.
 *
 * @irql <= DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-ioinvalidatedevicestate
 */
export function IoInvalidateDeviceState(PhysicalDeviceObject: DEVICE_OBJECT): void {
  enter(DISPATCH_LEVEL, 'IoInvalidateDeviceState')
  queueAction(Action.State, pdoOf(PhysicalDeviceObject, 'IoInvalidateDeviceState'))
}

/**
 * Says that somebody wants to take a device out: it is removed if its drivers agree, and gets IRP_MN_EJECT then.
 *
 * @irql <= DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntddk/nf-ntddk-iorequestdeviceeject
 */
export function IoRequestDeviceEject(PhysicalDeviceObject: DEVICE_OBJECT): void {
  enter(DISPATCH_LEVEL, 'IoRequestDeviceEject')
  queueAction(Action.Eject, pdoOf(PhysicalDeviceObject, 'IoRequestDeviceEject'))
}

/**
 * Copies a property of a device to `PropertyBuffer`: a NUL-ended text, a list of texts, or a ULONG.
 *
 * @irql PASSIVE_LEVEL
 * @returns STATUS_SUCCESS; STATUS_BUFFER_TOO_SMALL, and ResultLength says how many bytes it takes;
 *   STATUS_OBJECT_NAME_NOT_FOUND when the device has no such property; STATUS_INVALID_PARAMETER_2 for a property that
 *   is not kept here; STATUS_INVALID_DEVICE_REQUEST when the device is no PDO
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iogetdeviceproperty
 */
export function IoGetDeviceProperty(
  DeviceObject: DEVICE_OBJECT,
  DeviceProperty: number,
  BufferLength: number,
  PropertyBuffer: number | { readonly address: number } | null,
  ResultLength: Out<number>,
): NTSTATUS {
  enter(PASSIVE_LEVEL, 'IoGetDeviceProperty')
  ResultLength.value = 0
  const node = nodeOf(DeviceObject.address)
  if (node === 0) return STATUS_INVALID_DEVICE_REQUEST
  const property = propertyOf(node, DeviceObject.address, DeviceProperty)
  if (property === undefined) return STATUS_INVALID_PARAMETER_2
  if (property === null) return STATUS_OBJECT_NAME_NOT_FOUND
  const length = lengthOf(property)
  ResultLength.value = length
  if (BufferLength < length || PropertyBuffer === null) return STATUS_BUFFER_TOO_SMALL
  store(typeof PropertyBuffer === 'number' ? PropertyBuffer : PropertyBuffer.address, property)
  return STATUS_SUCCESS
}

/** A text with its NULs, a number, or a block of memory; null when the device has none. */
type Property = string | number | { from: number; length: number } | null

function propertyOf(node: number, pdo: number, property: number): Property | undefined {
  switch (property) {
    case DevicePropertyDeviceDescription:
    case DevicePropertyFriendlyName:
      return text(nodeText(node, Node.Description))
    case DevicePropertyLocationInformation:
      return text(nodeText(node, Node.Location))
    case DevicePropertyHardwareID:
      return list(nodeTexts(node, Node.HardwareIds))
    case DevicePropertyCompatibleIDs:
      return list(nodeTexts(node, Node.CompatibleIds))
    case DevicePropertyEnumeratorName:
      return text(nodeText(node, Node.DeviceId).split('\\')[0] ?? '')
    case DevicePropertyPhysicalDeviceObjectName:
      return text(`\\Device\\${nameOf(pdo)}`)
    case DevicePropertyBootConfiguration:
    case DevicePropertyBootConfigurationTranslated:
      return block(read32(node + Node.Resources))
    case DevicePropertyBusNumber:
    case DevicePropertyInstallState:
      return 0 // one bus; installed
    case DevicePropertyAddress:
      return known(readU32(node + Node.Address))
    case DevicePropertyUINumber:
      return known(readU32(node + Node.UINumber))
    default:
      return undefined
  }
}

const text = (value: string): Property => (value === '' ? null : `${value}\0`)
const list = (values: readonly string[]): Property =>
  values.length === 0 ? null : `${values.map((value) => `${value}\0`).join('')}\0`
const known = (value: number): Property => (value === 0xffffffff ? null : value)
const block = (from: number): Property => (from === 0 ? null : { from, length: CM_RESOURCE_LIST.size })

function lengthOf(property: NonNullable<Property>): number {
  if (typeof property === 'string') return property.length * 2
  return typeof property === 'number' ? 4 : property.length
}

function store(to: number, property: NonNullable<Property>): void {
  if (typeof property === 'string') writeText(to, property)
  else if (typeof property === 'number') write32(to, property)
  else mem.u8.copyWithin(to, property.from, property.from + property.length)
}
