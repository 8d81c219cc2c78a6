/** A driver whose ISR queues a DPC, which answers with a register write: that makes a line of the boards interrupt again. */
import {
  type CM_RESOURCE_LIST,
  CmResourceTypeInterrupt,
  CmResourceTypeMemory,
  DEVICE_OBJECT,
  DO_DEVICE_INITIALIZING,
  type DRIVER_OBJECT,
  FILE_DEVICE_UNKNOWN,
  IoAttachDeviceToDeviceStack,
  IoCallDriver,
  IoCompleteRequest,
  IoConnectInterrupt,
  IoCreateDevice,
  IoDeleteDevice,
  IoDetachDevice,
  IoDisconnectInterrupt,
  IO_NO_INCREMENT,
  IoForwardIrpSynchronously,
  IoGetCurrentIrpStackLocation,
  IoSkipCurrentIrpStackLocation,
  type IRP,
  IRP_MJ_PNP,
  IRP_MN_REMOVE_DEVICE,
  IRP_MN_START_DEVICE,
  KDPC,
  KeInitializeDpc,
  KeInsertQueueDpc,
  KINTERRUPT,
  Latched,
  MmMapIoSpace,
  MmNonCached,
  MmUnmapIoSpace,
  NT_SUCCESS,
  type NTSTATUS,
  out,
  pointer,
  READ_REGISTER_ULONG,
  STATUS_SUCCESS,
  STATUS_UNSUCCESSFUL,
  struct,
  ULONG,
  WRITE_REGISTER_ULONG,
} from '../../ddi/wdm.ts'
import { ANSWER, answerTo, CHAIN_IDS, COUNT, REGISTER_BYTES } from './chainboard.ts'

export const hardwareIds = CHAIN_IDS

const CHAIN = struct('BENCH_CHAIN', {
  Registers: ULONG,
  Taken: ULONG, // the board's count at the last interrupt
  Interrupt: pointer(KINTERRUPT),
  Lower: pointer<DEVICE_OBJECT>(() => DEVICE_OBJECT),
  Dpc: KDPC,
})
type CHAIN = InstanceType<typeof CHAIN>

export function DriverEntry(DriverObject: DRIVER_OBJECT): NTSTATUS {
  DriverObject.MajorFunction.set(IRP_MJ_PNP, pnp)
  if (DriverObject.DriverExtension !== null) DriverObject.DriverExtension.AddDevice = addDevice
  DriverObject.DriverUnload = unload
  return STATUS_SUCCESS
}

export function unload(_DriverObject: DRIVER_OBJECT): void {}

export function addDevice(DriverObject: DRIVER_OBJECT, PhysicalDeviceObject: DEVICE_OBJECT): NTSTATUS {
  const created = out<DEVICE_OBJECT>()
  const status = IoCreateDevice({
    DriverObject,
    DeviceExtensionSize: CHAIN,
    DeviceName: null,
    DeviceType: FILE_DEVICE_UNKNOWN,
    DeviceCharacteristics: 0,
    Exclusive: false,
    DeviceObject: created,
  })
  if (!NT_SUCCESS(status)) return status
  const chain = created.value.DeviceExtension as CHAIN
  KeInitializeDpc(chain.Dpc, passOn, chain)
  chain.Lower = IoAttachDeviceToDeviceStack(created.value, PhysicalDeviceObject)
  created.value.Flags &= ~DO_DEVICE_INITIALIZING
  return STATUS_SUCCESS
}

export async function pnp(DeviceObject: DEVICE_OBJECT, Irp: IRP): Promise<NTSTATUS> {
  const chain = DeviceObject.DeviceExtension as CHAIN
  const lower = chain.Lower as DEVICE_OBJECT
  const { MinorFunction, Parameters } = IoGetCurrentIrpStackLocation(Irp)
  if (MinorFunction === IRP_MN_START_DEVICE) {
    await IoForwardIrpSynchronously(lower, Irp)
    const status = start(chain, Parameters.StartDevice.AllocatedResourcesTranslated as CM_RESOURCE_LIST)
    Irp.IoStatus.Status = status
    IoCompleteRequest(Irp, IO_NO_INCREMENT)
    return status
  }
  IoSkipCurrentIrpStackLocation(Irp)
  if (MinorFunction !== IRP_MN_REMOVE_DEVICE) return IoCallDriver(lower, Irp)
  if (chain.Interrupt !== null) await IoDisconnectInterrupt(chain.Interrupt)
  if (chain.Registers !== 0) MmUnmapIoSpace(chain.Registers, REGISTER_BYTES)
  Irp.IoStatus.Status = STATUS_SUCCESS
  const status = await IoCallDriver(lower, Irp)
  IoDetachDevice(lower)
  IoDeleteDevice(DeviceObject)
  return status
}

function start(chain: CHAIN, list: CM_RESOURCE_LIST): NTSTATUS {
  const { Count, PartialDescriptors } = list.List.at(0).PartialResourceList
  for (let index = 0; index < Count; index++) {
    const descriptor = PartialDescriptors.at(index)
    if (descriptor.Type === CmResourceTypeMemory) {
      chain.Registers = MmMapIoSpace(descriptor.u.Memory.Start, REGISTER_BYTES, MmNonCached)
    } else if (descriptor.Type === CmResourceTypeInterrupt) {
      const { Level, Vector, Affinity } = descriptor.u.Interrupt
      const box = out<KINTERRUPT>()
      const status = IoConnectInterrupt({
        InterruptObject: box,
        ServiceRoutine: serve,
        ServiceContext: chain,
        SpinLock: null,
        Vector,
        Irql: Level,
        SynchronizeIrql: Level,
        InterruptMode: Latched,
        ShareVector: false,
        ProcessorEnableMask: Affinity,
        FloatingSave: false,
      })
      if (!NT_SUCCESS(status)) return status
      chain.Interrupt = box.value
    }
  }
  return chain.Registers !== 0 && chain.Interrupt !== null ? STATUS_SUCCESS : STATUS_UNSUCCESSFUL
}

export function serve(_Interrupt: KINTERRUPT, chain: CHAIN): boolean {
  const count = READ_REGISTER_ULONG(chain.Registers + COUNT)
  if (count === chain.Taken) return false
  chain.Taken = count
  KeInsertQueueDpc(chain.Dpc, null, null)
  return true
}

export function passOn(_Dpc: KDPC, chain: CHAIN): void {
  WRITE_REGISTER_ULONG(chain.Registers + ANSWER, answerTo(chain.Taken))
}
