/** What every function driver does with PnP requests: no state, called with the driver's own routines. */
import {
  type CM_RESOURCE_LIST,
  CM_RESOURCE_INTERRUPT_LATCHED,
  CmResourceShareShared,
  CmResourceTypeInterrupt,
  CmResourceTypeMemory,
  type DEVICE_OBJECT,
  DO_BUFFERED_IO,
  DO_DEVICE_INITIALIZING,
  type DRIVER_OBJECT,
  FILE_DEVICE_UNKNOWN,
  IoAttachDeviceToDeviceStack,
  IoCallDriver,
  IoConnectInterrupt,
  IoCreateDevice,
  IoCreateSymbolicLink,
  IoDetachDevice,
  IoDeleteDevice,
  IoForwardIrpSynchronously,
  IoGetCurrentIrpStackLocation,
  IoSkipCurrentIrpStackLocation,
  type IRP,
  IRP_MN_QUERY_STOP_DEVICE,
  IRP_MN_REMOVE_DEVICE,
  IRP_MN_START_DEVICE,
  IRP_MN_STOP_DEVICE,
  IRP_MN_SURPRISE_REMOVAL,
  type KINTERRUPT,
  type KSERVICE_ROUTINE,
  type KSPIN_LOCK,
  Latched,
  LevelSensitive,
  NT_SUCCESS,
  type NTSTATUS,
  type Out,
  out,
  STATUS_SUCCESS,
  STATUS_UNSUCCESSFUL,
} from 'dirql/wdm'
import { complete } from './irp.ts'

export interface InterruptResource {
  vector: number
  level: number
  affinity: number
  isLatched: boolean
  isShared: boolean
}

/** What the PnP manager gave a device: register windows and interrupts, in the order of the list. */
export interface Resources {
  windows: bigint[]
  interrupts: InterruptResource[]
}

export function resourcesOf(list: CM_RESOURCE_LIST | null): Resources {
  const resources: Resources = { windows: [], interrupts: [] }
  if (list === null) return resources
  const { Count, PartialDescriptors } = list.List.at(0).PartialResourceList
  for (let index = 0; index < Count; index++) {
    const { Type, Flags, ShareDisposition, u } = PartialDescriptors.at(index)
    if (Type === CmResourceTypeMemory) resources.windows.push(u.Memory.Start)
    if (Type !== CmResourceTypeInterrupt) continue
    const { Vector, Level, Affinity } = u.Interrupt
    resources.interrupts.push({
      vector: Vector,
      level: Level,
      affinity: Affinity,
      isLatched: (Flags & CM_RESOURCE_INTERRUPT_LATCHED) !== 0,
      isShared: ShareDisposition === CmResourceShareShared,
    })
  }
  return resources
}

/** What a device extension has for `attachDevice`: the device below its own. */
export interface Attached {
  Lower: DEVICE_OBJECT | null
}

/** A device that programs open: its name in `\Device`, the link to it in `\??`, and how. */
export interface Opened {
  name: string
  link: string
  type?: number
  /** One open file at a time. */
  isExclusive?: boolean
}

/**
 * AddDevice: a device object with `extension` in it, above what the bus reported. `initialize` fills the extension
 * before the device may be used; without `opened` it has no name.
 *
 * @irql PASSIVE_LEVEL
 */
export function attachDevice<T extends Attached>(
  DriverObject: DRIVER_OBJECT,
  PhysicalDeviceObject: DEVICE_OBJECT,
  DeviceExtensionSize: { new (address: number): T; readonly size: number },
  initialize: (extension: T) => void,
  opened: Opened | null = null,
): NTSTATUS {
  const DeviceName = opened === null ? null : `\\Device\\${opened.name}`
  const created = out<DEVICE_OBJECT>()
  const status = IoCreateDevice({
    DriverObject,
    DeviceExtensionSize: DeviceExtensionSize as never,
    DeviceName,
    DeviceType: opened?.type ?? FILE_DEVICE_UNKNOWN,
    DeviceCharacteristics: 0,
    Exclusive: opened?.isExclusive ?? false,
    DeviceObject: created,
  })
  if (!NT_SUCCESS(status)) return status
  const device = created.value
  if (opened !== null && DeviceName !== null) {
    const linked = IoCreateSymbolicLink(`\\??\\${opened.link}`, DeviceName)
    if (!NT_SUCCESS(linked)) {
      IoDeleteDevice(device)
      return linked
    }
  }
  const extension = device.DeviceExtension as unknown as T
  initialize(extension)
  extension.Lower = IoAttachDeviceToDeviceStack(device, PhysicalDeviceObject)
  device.Flags = (device.Flags | DO_BUFFERED_IO) & ~DO_DEVICE_INITIALIZING
  return STATUS_SUCCESS
}

/** An interrupt spin lock that several lines have together: it is held at the highest of their levels. */
export interface SharedLock {
  lock: KSPIN_LOCK | null
  synchronizeIrql: number
}

/** Connects an ISR to one line, with a spin lock and the level of its own if no other is said. @irql PASSIVE_LEVEL */
export function connectInterrupt(
  { vector, level, affinity, isLatched, isShared }: InterruptResource,
  ServiceRoutine: KSERVICE_ROUTINE,
  ServiceContext: object,
  InterruptObject: Out<KINTERRUPT | null>,
  { lock, synchronizeIrql }: SharedLock = { lock: null, synchronizeIrql: level },
): NTSTATUS {
  return IoConnectInterrupt({
    InterruptObject,
    ServiceRoutine,
    ServiceContext: ServiceContext as never,
    SpinLock: lock,
    Vector: vector,
    Irql: level,
    SynchronizeIrql: synchronizeIrql,
    InterruptMode: isLatched ? Latched : LevelSensitive,
    ShareVector: isShared,
    ProcessorEnableMask: affinity,
    FloatingSave: false,
  })
}

/** The routines of a driver that `dispatchPnp` calls, at PASSIVE_LEVEL. */
export interface PnpRoutines {
  /** The devices below have started, for the first time or behind `pause`. */
  start(device: DEVICE_OBJECT, resources: Resources): NTSTATUS | Promise<NTSTATUS>
  /** Lets go of the hardware for a while: requests that wait go on waiting. Without it the driver refuses to be stopped. */
  pause?(device: DEVICE_OBJECT): void | Promise<void>
  /** Lets go of the hardware and ends what waits; harmless when done before. */
  stop(device: DEVICE_OBJECT): void | Promise<void>
  /** The device is about to be deleted: names are deleted, handles closed. */
  remove(device: DEVICE_OBJECT): void | Promise<void>
}

/** A function driver's IRP_MJ_PNP. @irql PASSIVE_LEVEL */
export async function dispatchPnp(
  device: DEVICE_OBJECT,
  lower: DEVICE_OBJECT,
  Irp: IRP,
  routines: PnpRoutines,
): Promise<NTSTATUS> {
  const { MinorFunction, Parameters } = IoGetCurrentIrpStackLocation(Irp)
  switch (MinorFunction) {
    case IRP_MN_START_DEVICE: {
      await IoForwardIrpSynchronously(lower, Irp)
      const { Status } = Irp.IoStatus
      if (!NT_SUCCESS(Status)) return complete(Irp, Status)
      const { AllocatedResourcesTranslated } = Parameters.StartDevice
      return complete(Irp, await routines.start(device, resourcesOf(AllocatedResourcesTranslated)))
    }
    case IRP_MN_QUERY_STOP_DEVICE:
      if (routines.pause === undefined) return complete(Irp, STATUS_UNSUCCESSFUL)
      return passDown(lower, Irp, STATUS_SUCCESS)
    case IRP_MN_STOP_DEVICE:
      await routines.pause?.(device)
      return passDown(lower, Irp, STATUS_SUCCESS)
    case IRP_MN_SURPRISE_REMOVAL:
      await routines.stop(device)
      return passDown(lower, Irp, STATUS_SUCCESS)
    case IRP_MN_REMOVE_DEVICE: {
      await routines.stop(device)
      const status = await passDown(lower, Irp, STATUS_SUCCESS)
      await routines.remove(device)
      IoDetachDevice(lower)
      IoDeleteDevice(device)
      return status
    }
    default:
      return passDown(lower, Irp, Irp.IoStatus.Status) // what a driver does not know it leaves as it came
  }
}

function passDown(lower: DEVICE_OBJECT, Irp: IRP, status: NTSTATUS): NTSTATUS | Promise<NTSTATUS> {
  Irp.IoStatus.Status = status
  IoSkipCurrentIrpStackLocation(Irp)
  return IoCallDriver(lower, Irp)
}
