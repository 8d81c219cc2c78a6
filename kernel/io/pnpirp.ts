/** The PnP requests (IRP_MJ_PNP) that the PnP manager sends, each to the top of a device's stack. */
import { mem } from '../mm/memory.ts'
import { read32, write32 } from '../mm/access.ts'
import { allocate, free } from '../mm/pool.ts'
import { BugCode } from '../ke/bugcodes.ts'
import { bugCheck } from '../ke/bugcheck.ts'
import { KernelMode } from '../ke/wait.ts'
import { readText } from '../ob/attributes.ts'
import { dereferenceObject, referenceObject } from '../ob/reference.ts'
import { NT_SUCCESS, type NTSTATUS, STATUS_INSUFFICIENT_RESOURCES, STATUS_NOT_SUPPORTED } from '../rtl/status.ts'
import { array, pointer, struct, ULONG, USHORT, type View } from '../rtl/struct.ts'
import { irpFor } from './build.ts'
import {
  IRP_MJ_PNP,
  IRP_MN_QUERY_CAPABILITIES,
  IRP_MN_QUERY_DEVICE_RELATIONS,
  IRP_MN_QUERY_DEVICE_TEXT,
  IRP_MN_QUERY_ID,
  IRP_MN_QUERY_PNP_DEVICE_STATE,
  IRP_MN_QUERY_RESOURCES,
  IRP_MN_START_DEVICE,
} from './codes.ts'
import { isDeleted, topOf } from './database.ts'
import { textsAt } from './devnode.ts'
import { nextStack } from './irp.ts'
import { DEVICE_OBJECT, IO_STACK_LOCATION, Irp } from './layouts.ts'
import { type Outcome, sendAndWait } from './request.ts'
import { CM_RESOURCE_LIST } from './resources.ts'

/** DEVICE_RELATION_TYPE */
export const BusRelations = 0
export const EjectionRelations = 1
export const PowerRelations = 2
export const RemovalRelations = 3
export const TargetDeviceRelation = 4

/** BUS_QUERY_ID_TYPE */
export const BusQueryDeviceID = 0
export const BusQueryHardwareIDs = 1
export const BusQueryCompatibleIDs = 2
export const BusQueryInstanceID = 3
export const BusQueryDeviceSerialNumber = 4
export const BusQueryContainerID = 5

/** DEVICE_TEXT_TYPE */
export const DeviceTextDescription = 0
export const DeviceTextLocationInformation = 1

const MOST_RELATIONS = 128
/** In pool that whoever asked frees; each object carries a reference. */
export const DEVICE_RELATIONS = struct('DEVICE_RELATIONS', {
  Count: ULONG,
  Objects: array(pointer(DEVICE_OBJECT), MOST_RELATIONS),
})
export interface DEVICE_RELATIONS extends View<typeof DEVICE_RELATIONS> {}

export const DEVICE_CAPABILITIES = struct('DEVICE_CAPABILITIES', {
  Size: USHORT,
  Version: USHORT,
  Capabilities: ULONG, // the bits below: C's bit field
  Address: ULONG,
  UINumber: ULONG,
  DeviceState: array(ULONG, 7), // by system power state
  SystemWake: ULONG,
  DeviceWake: ULONG,
  D1Latency: ULONG, // 100 us
  D2Latency: ULONG,
  D3Latency: ULONG,
})
export interface DEVICE_CAPABILITIES extends View<typeof DEVICE_CAPABILITIES> {}

/** Bits of DEVICE_CAPABILITIES.Capabilities, named as the fields of Windows. */
export const Capability = {
  DeviceD1: 0x01,
  DeviceD2: 0x02,
  LockSupported: 0x04,
  EjectSupported: 0x08,
  Removable: 0x10,
  DockDevice: 0x20,
  UniqueID: 0x40,
  SilentInstall: 0x80,
  RawDeviceOK: 0x100,
  SurpriseRemovalOK: 0x200,
} as const

type Fill = (location: IO_STACK_LOCATION) => void

/** Sends one PnP request and waits for it. It begins with STATUS_NOT_SUPPORTED: who does not know it leaves that. */
export async function sendPnp(pdo: number, minor: number, fill: Fill = () => {}): Promise<Outcome> {
  const device = topOf(pdo)
  const irp = irpFor(device)
  if (irp === 0) return { status: STATUS_INSUFFICIENT_RESOURCES, information: 0, wasPending: false }
  referenceObject(device)
  write32(irp + Irp.Status, STATUS_NOT_SUPPORTED)
  const location = new IO_STACK_LOCATION(nextStack(irp))
  location.MajorFunction = IRP_MJ_PNP
  location.MinorFunction = minor
  fill(location)
  const outcome = await sendAndWait({ device, irp, room: 0xffffffff, mode: KernelMode })
  dereferenceObject(device)
  return outcome
}

export async function sendStart(pdo: number, resources: number): Promise<NTSTATUS> {
  const list = CM_RESOURCE_LIST.at(resources)
  const { status } = await sendPnp(pdo, IRP_MN_START_DEVICE, ({ Parameters }) => {
    Parameters.StartDevice.AllocatedResources = list
    Parameters.StartDevice.AllocatedResourcesTranslated = list
  })
  return status
}

/** The ids of one kind; none when the bus driver does not know them. */
export async function queryIds(pdo: number, type: number): Promise<string[]> {
  const { status, information } = await sendPnp(pdo, IRP_MN_QUERY_ID, ({ Parameters }) => {
    Parameters.QueryId.IdType = type
  })
  if (!NT_SUCCESS(status) || information === 0) return []
  const isList = type === BusQueryHardwareIDs || type === BusQueryCompatibleIDs
  const ids = readTexts(information, isList)
  free(information)
  for (const id of ids) assertId(pdo, id, type)
  return ids
}

/** One text, or a list that ends with an empty one, at `address`. */
function readTexts(address: number, isList: boolean): string[] {
  if (isList) return textsAt(address)
  let length = 0
  while (mem.u16[(address >> 1) + length] !== 0) length++
  return length === 0 ? [] : [readText(address, length)]
}

const LONGEST_ID = 200
const ID = /^[!-+\--~]+$/ // printable, without blanks and commas

function assertId(pdo: number, id: string, type: number): void {
  if (id.length < LONGEST_ID && ID.test(id)) return
  bugCheck({
    code: BugCode.PNP_DETECTED_FATAL_ERROR,
    parameters: [3, pdo, 0, type + 1],
    message: `a bus driver reported the id ${JSON.stringify(id)}; ids are printable ASCII without blanks and commas, below ${LONGEST_ID} characters`,
  })
}

/** The devices that a bus has now, each with a reference for the caller; null when it does not say. */
export async function queryBusRelations(pdo: number): Promise<number[] | null> {
  const { status, information } = await sendPnp(pdo, IRP_MN_QUERY_DEVICE_RELATIONS, ({ Parameters }) => {
    Parameters.QueryDeviceRelations.Type = BusRelations
  })
  if (!NT_SUCCESS(status) || information === 0) return null
  const relations = new DEVICE_RELATIONS(information)
  const devices: number[] = []
  for (let index = 0; index < relations.Count; index++) {
    const device = read32(relations.Objects.address + index * 4)
    assertRelation(device, devices)
    devices.push(device)
  }
  free(information)
  return devices
}

function assertRelation(device: number, before: readonly number[]): void {
  if (device === 0) fatal(8, 0, 'a bus driver reported NULL as a device; fill Count entries of Objects')
  if (isDeleted(device)) fatal(4, device, 'a bus driver reported a device that it has deleted')
  if (before.includes(device)) fatal(1, device, 'a bus driver reported one device twice')
}

/** A bus driver did what leaves the device tree in no sound state. */
export function fatal(parameter: number, device: number, message: string): never {
  return bugCheck({ code: BugCode.PNP_DETECTED_FATAL_ERROR, parameters: [parameter, device], message })
}

/** What the stack says of the device, with Address and UINumber preset to "unknown". */
export async function queryCapabilities(pdo: number): Promise<{ bits: number; address: number; uiNumber: number }> {
  const unknown = { bits: 0, address: -1, uiNumber: -1 }
  const block = allocate(DEVICE_CAPABILITIES.size, 'PpCp')
  if (block === 0) return unknown
  const capabilities = new DEVICE_CAPABILITIES(block)
  capabilities.Size = DEVICE_CAPABILITIES.size
  capabilities.Version = 1
  capabilities.Address = 0xffffffff
  capabilities.UINumber = 0xffffffff
  const { status } = await sendPnp(pdo, IRP_MN_QUERY_CAPABILITIES, ({ Parameters }) => {
    Parameters.DeviceCapabilities.Capabilities = capabilities
  })
  const { Capabilities: bits, Address: address, UINumber: uiNumber } = capabilities
  free(block)
  return NT_SUCCESS(status) ? { bits, address, uiNumber } : unknown
}

/** The resources that the bus gave the device: address of a CM_RESOURCE_LIST, the caller's now; 0 for none. */
export async function queryResources(pdo: number): Promise<number> {
  const { status, information } = await sendPnp(pdo, IRP_MN_QUERY_RESOURCES)
  return NT_SUCCESS(status) ? information : 0
}

export async function queryText(pdo: number, type: number): Promise<string[]> {
  const { status, information } = await sendPnp(pdo, IRP_MN_QUERY_DEVICE_TEXT, ({ Parameters }) => {
    Parameters.QueryDeviceText.DeviceTextType = type
    Parameters.QueryDeviceText.LocaleId = ENGLISH
  })
  if (!NT_SUCCESS(status) || information === 0) return []
  const texts = readTexts(information, false)
  free(information)
  return texts
}
const ENGLISH = 0x409

/** PNP_DEVICE_STATE bits; 0 when no driver of the stack says any. */
export async function queryPnpState(pdo: number): Promise<number> {
  const { status, information } = await sendPnp(pdo, IRP_MN_QUERY_PNP_DEVICE_STATE)
  return NT_SUCCESS(status) ? information : 0
}
