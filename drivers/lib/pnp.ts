/** What every function driver does with PnP requests: no state, called with the driver's own routines. */
import {
  type CM_RESOURCE_LIST,
  CM_RESOURCE_INTERRUPT_LATCHED,
  CmResourceShareShared,
  CmResourceTypeInterrupt,
  CmResourceTypeMemory,
  type DEVICE_OBJECT,
  IoCallDriver,
  IoDetachDevice,
  IoDeleteDevice,
  IoForwardIrpSynchronously,
  IoGetCurrentIrpStackLocation,
  IoSkipCurrentIrpStackLocation,
  type IRP,
  IRP_MN_REMOVE_DEVICE,
  IRP_MN_START_DEVICE,
  IRP_MN_SURPRISE_REMOVAL,
  NT_SUCCESS,
  type NTSTATUS,
  STATUS_SUCCESS,
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

/** The routines of a driver that `dispatchPnp` calls, at PASSIVE_LEVEL. */
export interface PnpRoutines {
  /** The devices below have started. */
  start(device: DEVICE_OBJECT, resources: Resources): NTSTATUS | Promise<NTSTATUS>
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
  if (MinorFunction === IRP_MN_START_DEVICE) {
    await IoForwardIrpSynchronously(lower, Irp)
    const { Status } = Irp.IoStatus
    if (!NT_SUCCESS(Status)) return complete(Irp, Status)
    const { AllocatedResourcesTranslated } = Parameters.StartDevice
    return complete(Irp, await routines.start(device, resourcesOf(AllocatedResourcesTranslated)))
  }
  if (MinorFunction === IRP_MN_SURPRISE_REMOVAL || MinorFunction === IRP_MN_REMOVE_DEVICE) {
    await routines.stop(device)
    Irp.IoStatus.Status = STATUS_SUCCESS
  }
  IoSkipCurrentIrpStackLocation(Irp)
  const status = await IoCallDriver(lower, Irp)
  if (MinorFunction === IRP_MN_REMOVE_DEVICE) {
    await routines.remove(device)
    IoDetachDevice(lower)
    IoDeleteDevice(device)
  }
  return status
}
