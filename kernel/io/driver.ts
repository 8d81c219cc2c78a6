/** Driver objects: a driver is loaded, its DriverEntry fills in the routines, and one day it is unloaded. */
import { read32, write16, write32 } from '../mm/access.ts'
import { allocate, free } from '../mm/pool.ts'
import { escapedException } from '../ke/bugcheck.ts'
import { kernelRoutine, type Routine, routineId, routineOf } from '../ke/image.ts'
import { currentIrql, DISPATCH_LEVEL, enter, type Out, PASSIVE_LEVEL } from '../ke/level.ts'
import { ThreadExit } from '../ke/start.ts'
import { KeDelayExecutionThread, KernelMode } from '../ke/wait.ts'
import { allocateText, captureAttributes, freeText, OBJ_CASE_INSENSITIVE, OBJ_PERMANENT } from '../ob/attributes.ts'
import { objectsToDelete } from '../ob/delete.ts'
import { setPermanent } from '../ob/lookup.ts'
import { createObject, insertObject, referenceByName } from '../ob/object.ts'
import { dereferenceObject } from '../ob/reference.ts'
import { registerObjectType } from '../ob/type.ts'
import {
  NT_SUCCESS,
  type NTSTATUS,
  STATUS_DEVICE_BUSY,
  STATUS_DRIVER_ENTRYPOINT_NOT_FOUND,
  STATUS_IMAGE_ALREADY_LOADED,
  STATUS_INSUFFICIENT_RESOURCES,
  STATUS_INVALID_DEVICE_REQUEST,
  STATUS_OBJECT_NAME_COLLISION,
  STATUS_OBJECT_NAME_NOT_FOUND,
  STATUS_SUCCESS,
} from '../rtl/status.ts'
import { UNICODE_STRING } from '../rtl/string.ts'
import { type AnyStruct, type AnyView, pvoidOf, struct, ULONG } from '../rtl/struct.ts'
import {
  DO_DEVICE_INITIALIZING,
  DRVO_INITIALIZED,
  DRVO_LEGACY_DRIVER,
  DRVO_UNLOAD_INVOKED,
  IO_TYPE_DRIVER,
  IRP_MJ_MAXIMUM_FUNCTION,
} from './codes.ts'
import { completeRequest } from './complete.ts'
import { Device, devicesOf, Driver, lockDatabase, unlockDatabase } from './database.ts'
import { violation } from './irp.ts'
import { type DEVICE_OBJECT, DRIVER_EXTENSION, DRIVER_OBJECT, type IRP, Irp } from './layouts.ts'

const Extension = DRIVER_EXTENSION.offsets
const { Buffer, Length, MaximumLength } = UNICODE_STRING.offsets

export const driverType = registerObjectType({
  name: 'Driver',
  view: DRIVER_OBJECT,
  tag: 'Driv',
  mapping: { read: 0x00020001, write: 0x00020002, execute: 0x00020000, all: 0x001f0001 },
  userAccess: 0x00020001,
  delete: (driver) => {
    freeClientExtensions(driver)
    freeText(read32(driver + Driver.DriverName + Buffer))
    freeText(read32(read32(driver + Driver.DriverExtension) + Extension.ServiceKeyName + Buffer))
  },
})
export const IoDriverObjectType = driverType

/** What all 28 slots begin with. */
const invalidDeviceRequest = kernelRoutine(function invalidDeviceRequest(_device: DEVICE_OBJECT, irp: IRP): NTSTATUS {
  write32(irp.address + Irp.Status, STATUS_INVALID_DEVICE_REQUEST)
  write32(irp.address + Irp.Information, 0)
  completeRequest(irp.address)
  return STATUS_INVALID_DEVICE_REQUEST
})

export interface DriverImage {
  /** The image's number: its exports are registered on every processor. */
  image: number
  name: string
  /** The export DriverEntry; null when there is none. */
  driverEntry: Routine | null
}

export interface LoadResult {
  status: NTSTATUS
  /** Address of the driver object; 0 when it was not loaded. */
  driver: number
}

const failed = (status: NTSTATUS): LoadResult => ({ status, driver: 0 })

/**
 * Makes the driver object `\Driver\<name>` and calls DriverEntry. On a failure status the caller retires the image.
 *
 * @irql PASSIVE_LEVEL, on a system thread
 */
export async function loadDriver({ image, name, driverEntry }: DriverImage): Promise<LoadResult> {
  enter(PASSIVE_LEVEL, 'loadDriver')
  if (driverEntry === null) return failed(STATUS_DRIVER_ENTRYPOINT_NOT_FOUND)
  const { status, driver } = createDriver(name, image, routineId(driverEntry))
  if (status !== STATUS_SUCCESS) return failed(status)
  const path = registryPath(name)
  if (path === 0) return failed(dropDriver(driver, STATUS_INSUFFICIENT_RESOURCES))
  const entered = await callPassive(driverEntry, new DRIVER_OBJECT(driver), new UNICODE_STRING(path))
  freeText(read32(path + Buffer))
  free(path, 'IoRg')
  if (!NT_SUCCESS(entered as NTSTATUS)) return failed(dropDriver(driver, entered as NTSTATUS))
  write32(driver + Driver.Flags, read32(driver + Driver.Flags) | DRVO_INITIALIZED)
  for (const device of devicesOf(driver)) {
    write32(device + Device.Flags, read32(device + Device.Flags) & ~DO_DEVICE_INITIALIZING)
  }
  return { status: entered as NTSTATUS, driver }
}

/** Calls a routine of the driver's own life: it may wait, and must come back at PASSIVE_LEVEL. */
async function callPassive(routine: Routine, ...parameters: unknown[]): Promise<unknown> {
  let result: unknown
  try {
    result = await routine(...parameters)
  } catch (error) {
    if (error instanceof ThreadExit) throw error
    escapedException(error, routine.name)
  }
  if (currentIrql() !== PASSIVE_LEVEL) violation(0x05, 0, `${routine.name} returned at a raised IRQL`)
  return result
}

/** Makes a driver object without calling the driver; one that the system drives itself has no image. */
export function createDriver(name: string, image: number, entry: number): LoadResult {
  const attributes = captureAttributes({ ObjectName: `\\Driver\\${name}`, Attributes: OBJ_PERMANENT }, KernelMode)
  if (attributes.status !== STATUS_SUCCESS) return failed(attributes.status)
  const driver = createObject(driverType, DRIVER_OBJECT.size + DRIVER_EXTENSION.size, { attributes })
  if (driver === 0) return failed(STATUS_INSUFFICIENT_RESOURCES)
  initializeDriver(driver, image, entry)
  const isNamed = setText(driver + Driver.DriverName, `\\Driver\\${name}`)
  if (!isNamed || !setText(driver + DRIVER_OBJECT.size + Extension.ServiceKeyName, name)) {
    dereferenceObject(driver)
    return failed(STATUS_INSUFFICIENT_RESOURCES)
  }
  const { status } = insertObject(driver, { attributes, access: 0, mode: KernelMode, wantsHandle: false })
  if (status === STATUS_OBJECT_NAME_COLLISION) return failed(STATUS_IMAGE_ALREADY_LOADED)
  return status === STATUS_SUCCESS ? { status, driver } : failed(status)
}

function initializeDriver(driver: number, image: number, entry: number): void {
  const extension = driver + DRIVER_OBJECT.size
  write16(driver + Driver.Type, IO_TYPE_DRIVER)
  write16(driver + Driver.Size, DRIVER_OBJECT.size)
  write32(driver + Driver.Flags, DRVO_LEGACY_DRIVER)
  write32(driver + Driver.DriverStart, image)
  write32(driver + Driver.DriverInit, entry)
  write32(driver + Driver.DriverExtension, extension)
  write32(extension + Extension.DriverObject, driver)
  const none = routineId(invalidDeviceRequest)
  for (let major = 0; major <= IRP_MJ_MAXIMUM_FUNCTION; major++)
    write32(driver + Driver.MajorFunction + major * 4, none)
}

/** Writes a counted string with units of its own; false when there is no memory. */
function setText(string: number, text: string): boolean {
  const units = allocateText(text)
  write32(string + Buffer, units)
  write16(string + Length, 2 * text.length)
  write16(string + MaximumLength, 2 * text.length)
  return units !== 0
}

function registryPath(name: string): number {
  const path = allocate(UNICODE_STRING.size, 'IoRg')
  if (path === 0) return 0
  if (setText(path, `\\Registry\\Machine\\System\\CurrentControlSet\\Services\\${name}`)) return path
  free(path, 'IoRg')
  return 0
}

/** Takes a driver's name away; its memory stays while devices refer to it. */
function dropDriver(driver: number, status: NTSTATUS): NTSTATUS {
  setPermanent(driver, false)
  dereferenceObject(driver)
  return status
}

/** The driver object of a name, with a reference for the caller; 0 when it is not loaded. */
export function referenceDriver(name: string): number {
  const attributes = captureAttributes(
    { ObjectName: `\\Driver\\${name}`, Attributes: OBJ_CASE_INSENSITIVE },
    KernelMode,
  )
  if (attributes.status !== STATUS_SUCCESS) return 0
  const found = referenceByName({ attributes, type: driverType, access: 0, mode: KernelMode })
  return found instanceof Promise ? 0 : found.object
}

export interface UnloadResult {
  status: NTSTATUS
  /** Number of the image to retire; 0 when the driver stays. */
  image: number
  /** What the driver has left behind, in words. */
  leaks: string[]
}

/**
 * Calls DriverUnload, and takes the driver object away.
 *
 * @irql PASSIVE_LEVEL, on a system thread
 * @returns STATUS_SUCCESS; STATUS_OBJECT_NAME_NOT_FOUND when it is not loaded; STATUS_INVALID_DEVICE_REQUEST when it has
 *   no DriverUnload; STATUS_DEVICE_BUSY while one of its devices is open (Windows unloads it later then)
 */
export async function unloadDriver(name: string): Promise<UnloadResult> {
  enter(PASSIVE_LEVEL, 'unloadDriver')
  const stays = (status: NTSTATUS): UnloadResult => ({ status, image: 0, leaks: [] })
  await settleDeletions()
  const driver = referenceDriver(name)
  if (driver === 0) return stays(STATUS_OBJECT_NAME_NOT_FOUND)
  const status = mayUnload(driver)
  if (status !== STATUS_SUCCESS) {
    dereferenceObject(driver)
    return stays(status)
  }
  write32(driver + Driver.Flags, read32(driver + Driver.Flags) | DRVO_UNLOAD_INVOKED)
  await callPassive(routineOf(read32(driver + Driver.DriverUnload)), new DRIVER_OBJECT(driver))
  const leaks = devicesOf(driver).map((device) => `device object 0x${device.toString(16)}: DriverUnload must delete it`)
  const image = read32(driver + Driver.DriverStart)
  dropDriver(driver, STATUS_SUCCESS)
  dereferenceObject(driver)
  return { status: STATUS_SUCCESS, image, leaks }
}

function mayUnload(driver: number): NTSTATUS {
  const isUnloading = (read32(driver + Driver.Flags) & DRVO_UNLOAD_INVOKED) !== 0
  if (read32(driver + Driver.DriverUnload) === 0 || isUnloading) return STATUS_INVALID_DEVICE_REQUEST
  const isOpen = devicesOf(driver).some((device) => read32(device + Device.ReferenceCount) !== 0)
  return isOpen ? STATUS_DEVICE_BUSY : STATUS_SUCCESS
}

const SHORT_WHILE = -10_000 // 1 ms
const MOST_ROUNDS = 1000

/** Lets the reaper finish with files that were closed just now. */
export async function settleDeletions(): Promise<void> {
  for (let round = 0; objectsToDelete() !== 0 && round < MOST_ROUNDS; round++) {
    await KeDelayExecutionThread(KernelMode, false, SHORT_WHILE)
  }
}

/** Lies before what IoAllocateDriverObjectExtension gives. Guarded by the database lock. */
const CLIENT_EXTENSION = struct('IO_CLIENT_EXTENSION', { Next: ULONG, Id: ULONG, TypeId: ULONG, Reserved: ULONG })
const Client = CLIENT_EXTENSION.offsets

/** What names an extension: a number, or a routine of the driver. */
type ClientId = number | ((...parameters: never[]) => unknown)
const clientId = (id: ClientId): number => (typeof id === 'number' ? id : routineId(id as Routine))

/** Caller holds the database lock. */
function findClient(driver: number, id: number): number {
  let client = read32(read32(driver + Driver.DriverExtension) + Extension.ClientExtensions)
  while (client !== 0 && read32(client + Client.Id) !== (id | 0)) client = read32(client + Client.Next)
  return client
}

function freeClientExtensions(driver: number): void {
  let client = read32(read32(driver + Driver.DriverExtension) + Extension.ClientExtensions)
  while (client !== 0) {
    const next = read32(client + Client.Next)
    free(client, 'DrvE')
    client = next
  }
}

/**
 * Gives a driver memory that hangs on its driver object, and goes with it. `DriverObjectExtensionSize` is a struct, as
 * which the box then reads, or a size.
 *
 * @irql <= DISPATCH_LEVEL
 * @returns STATUS_SUCCESS; STATUS_OBJECT_NAME_COLLISION when the id is in use, and the box is null then;
 *   STATUS_INSUFFICIENT_RESOURCES
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-ioallocatedriverobjectextension
 */
export function IoAllocateDriverObjectExtension<T extends AnyView | number>(
  DriverObject: DRIVER_OBJECT,
  ClientIdentificationAddress: ClientId,
  DriverObjectExtensionSize: (AnyStruct & { at(address: number): T | null }) | number,
  DriverObjectExtension: Out<T | null>,
): NTSTATUS {
  enter(DISPATCH_LEVEL, 'IoAllocateDriverObjectExtension')
  DriverObjectExtension.value = null
  const type = typeof DriverObjectExtensionSize === 'number' ? null : DriverObjectExtensionSize
  const id = clientId(ClientIdentificationAddress)
  const client = allocate(CLIENT_EXTENSION.size + (type?.size ?? (DriverObjectExtensionSize as number)), 'DrvE')
  if (client === 0) return STATUS_INSUFFICIENT_RESOURCES
  const driver = DriverObject.address
  const head = read32(driver + Driver.DriverExtension) + Extension.ClientExtensions
  lockDatabase()
  const isTaken = findClient(driver, id) !== 0
  if (!isTaken) {
    write32(client + Client.Next, read32(head))
    write32(client + Client.Id, id)
    write32(client + Client.TypeId, type?.typeId ?? 0)
    write32(head, client)
  }
  unlockDatabase()
  if (isTaken) {
    free(client, 'DrvE')
    return STATUS_OBJECT_NAME_COLLISION
  }
  DriverObjectExtension.value = viewOf(client) as T
  return STATUS_SUCCESS
}

const viewOf = (client: number): unknown =>
  pvoidOf(client + CLIENT_EXTENSION.size, read32(client + Client.TypeId) >>> 0)

/**
 * The memory that IoAllocateDriverObjectExtension gave under this id.
 *
 * @irql <= DISPATCH_LEVEL
 * @returns the struct, or an address where a size was given; null when there is none
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iogetdriverobjectextension
 */
export function IoGetDriverObjectExtension(
  DriverObject: DRIVER_OBJECT,
  ClientIdentificationAddress: ClientId,
): AnyView | number | null {
  enter(DISPATCH_LEVEL, 'IoGetDriverObjectExtension')
  const id = clientId(ClientIdentificationAddress)
  lockDatabase()
  const client = findClient(DriverObject.address, id)
  unlockDatabase()
  return client === 0 ? null : (viewOf(client) as AnyView | number)
}
