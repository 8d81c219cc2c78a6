/** A driver for the gpio and adc of a board: counts what it is told, and gives tests the registers. */
import { Adc, adcSample } from 'dirql/adc'
import { Gpio, gpioEdges } from 'dirql/gpio'
import {
  type CM_RESOURCE_LIST,
  CM_RESOURCE_INTERRUPT_LATCHED,
  CmResourceTypeInterrupt,
  CmResourceTypeMemory,
  DEVICE_OBJECT,
  DO_DEVICE_INITIALIZING,
  type DRIVER_OBJECT,
  FILE_DEVICE_UNKNOWN,
  globals,
  IO_NO_INCREMENT,
  IoAttachDeviceToDeviceStack,
  IoCallDriver,
  IoCompleteRequest,
  IoConnectInterrupt,
  IoCreateDevice,
  IoDeleteDevice,
  IoDetachDevice,
  IoDisconnectInterrupt,
  IoForwardIrpSynchronously,
  IoGetCurrentIrpStackLocation,
  IoSkipCurrentIrpStackLocation,
  type IRP,
  IRP_MJ_PNP,
  IRP_MN_REMOVE_DEVICE,
  IRP_MN_START_DEVICE,
  IRP_MN_SURPRISE_REMOVAL,
  KINTERRUPT,
  Latched,
  LevelSensitive,
  MmMapIoSpace,
  MmNonCached,
  MmUnmapIoSpace,
  NT_SUCCESS,
  type NTSTATUS,
  out,
  pointer,
  READ_REGISTER_ULONG,
  readFresh,
  ref,
  STATUS_SUCCESS,
  struct,
  ULONG,
  WRITE_REGISTER_ULONG,
} from 'dirql/wdm'

export const hardwareIds = ['dirql\\gpio', 'dirql\\adc']

const WINDOW_BYTES = 0x100
const MOST_ENTRIES = 1024

const DEVICE = struct('TEST_PINS', {
  // Guarded by the interrupt spin lock of the first line.
  FirstTold: ULONG, // gpio: frames of `pins`; adc: frames of `threshold`
  // Guarded by that of the second one.
  SecondTold: ULONG, // gpio: EDGES_2, added up from differences; adc: SAMPLES of the last frame of `data`
  SecondSeen: ULONG,
  FewerThanTold: ULONG, // frames of `data` that told of more than could be read

  Registers: ULONG,
  First: pointer(KINTERRUPT),
  Second: pointer(KINTERRUPT),
  Lower: pointer<DEVICE_OBJECT>(() => DEVICE_OBJECT),
})
type DEVICE = InstanceType<typeof DEVICE>

export const Globals = globals({ Gpio: pointer(DEVICE), Adc: pointer(DEVICE) })

export function DriverEntry(DriverObject: DRIVER_OBJECT): NTSTATUS {
  DriverObject.MajorFunction.set(IRP_MJ_PNP, pnp)
  const extension = DriverObject.DriverExtension
  if (extension !== null) extension.AddDevice = addDevice
  DriverObject.DriverUnload = unload
  return STATUS_SUCCESS
}

export function unload(_DriverObject: DRIVER_OBJECT): void {}

export function addDevice(DriverObject: DRIVER_OBJECT, PhysicalDeviceObject: DEVICE_OBJECT): NTSTATUS {
  const created = out<DEVICE_OBJECT>()
  const status = IoCreateDevice({
    DriverObject,
    DeviceExtensionSize: DEVICE,
    DeviceName: null,
    DeviceType: FILE_DEVICE_UNKNOWN,
    DeviceCharacteristics: 0,
    Exclusive: false,
    DeviceObject: created,
  })
  if (!NT_SUCCESS(status)) return status
  const device = deviceOf(created.value)
  device.Lower = IoAttachDeviceToDeviceStack(created.value, PhysicalDeviceObject)
  created.value.Flags &= ~DO_DEVICE_INITIALIZING
  return STATUS_SUCCESS
}

const deviceOf = (device: DEVICE_OBJECT): DEVICE => device.DeviceExtension as DEVICE

export async function pnp(DeviceObject: DEVICE_OBJECT, Irp: IRP): Promise<NTSTATUS> {
  const device = deviceOf(DeviceObject)
  const lower = device.Lower as DEVICE_OBJECT
  const { MinorFunction, Parameters } = IoGetCurrentIrpStackLocation(Irp)
  if (MinorFunction === IRP_MN_START_DEVICE) {
    await IoForwardIrpSynchronously(lower, Irp)
    const status = await start(device, Parameters.StartDevice.AllocatedResourcesTranslated as CM_RESOURCE_LIST)
    Irp.IoStatus.Status = status
    IoCompleteRequest(Irp, IO_NO_INCREMENT)
    return status
  }
  if (MinorFunction === IRP_MN_SURPRISE_REMOVAL || MinorFunction === IRP_MN_REMOVE_DEVICE) {
    await stop(device)
    Irp.IoStatus.Status = STATUS_SUCCESS
  }
  IoSkipCurrentIrpStackLocation(Irp)
  const status = await IoCallDriver(lower, Irp)
  if (MinorFunction === IRP_MN_REMOVE_DEVICE) {
    IoDetachDevice(lower)
    IoDeleteDevice(DeviceObject)
  }
  return status
}

/** gpio has PINS at 0x20, where adc has LOST: what the board file resets it to tells them apart. */
async function start(device: DEVICE, { List }: CM_RESOURCE_LIST): Promise<NTSTATUS> {
  const { Count, PartialDescriptors } = List.at(0).PartialResourceList
  let isGpio = true
  let status: NTSTATUS = STATUS_SUCCESS
  let lines = 0
  for (let index = 0; index < Count; index++) {
    const { Type, Flags, u } = PartialDescriptors.at(index)
    if (Type === CmResourceTypeMemory) {
      device.Registers = MmMapIoSpace(u.Memory.Start, WINDOW_BYTES, MmNonCached)
      isGpio = READ_REGISTER_ULONG(device.Registers + Gpio.PINS) !== 0
      if (isGpio) Globals.Gpio = device
      else Globals.Adc = device
    }
    if (Type !== CmResourceTypeInterrupt || lines === 2) continue
    const isFirst = lines++ === 0
    const routine = isGpio ? (isFirst ? pinsIsr : buttonIsr) : isFirst ? thresholdIsr : dataIsr
    const { Vector, Level, Affinity } = u.Interrupt
    status = IoConnectInterrupt({
      InterruptObject: ref(device, isFirst ? 'First' : 'Second'),
      ServiceRoutine: routine,
      ServiceContext: device,
      SpinLock: null,
      Vector,
      Irql: Level,
      SynchronizeIrql: Level,
      InterruptMode: (Flags & CM_RESOURCE_INTERRUPT_LATCHED) !== 0 ? Latched : LevelSensitive,
      ShareVector: false,
      ProcessorEnableMask: Affinity,
      FloatingSave: false,
    })
    if (!NT_SUCCESS(status)) return status
  }
  return status
}

async function stop(device: DEVICE): Promise<void> {
  const { First, Second, Registers } = device
  if (First !== null) await IoDisconnectInterrupt(First)
  if (Second !== null) await IoDisconnectInterrupt(Second)
  device.First = null
  device.Second = null
  if (Registers !== 0) MmUnmapIoSpace(Registers, WINDOW_BYTES)
  device.Registers = 0
}

/** @irql DIRQL, interrupt spin lock held */
export function pinsIsr(_Interrupt: KINTERRUPT, device: DEVICE): boolean {
  const pins = READ_REGISTER_ULONG(device.Registers + Gpio.EDGE_PINS)
  device.FirstTold += 1
  return pins !== 0
}

/** @irql DIRQL, interrupt spin lock held */
export function buttonIsr(_Interrupt: KINTERRUPT, device: DEVICE): boolean {
  const count = READ_REGISTER_ULONG(device.Registers + gpioEdges(2))
  device.SecondTold += (count - device.SecondSeen) >>> 0
  device.SecondSeen = count
  return true
}

/** @irql DIRQL, interrupt spin lock held */
export function thresholdIsr(_Interrupt: KINTERRUPT, device: DEVICE): boolean {
  device.FirstTold += 1
  return true
}

/** @irql DIRQL, interrupt spin lock held */
export function dataIsr(_Interrupt: KINTERRUPT, device: DEVICE): boolean {
  device.SecondTold = READ_REGISTER_ULONG(device.Registers + Adc.SAMPLES)
  if (READ_REGISTER_ULONG(device.Registers + Adc.DATA_LEVEL) < device.SecondTold) device.FewerThanTold += 1
  return true
}

const gpio = (): number => (Globals.Gpio as DEVICE).Registers
const adc = (): number => (Globals.Adc as DEVICE).Registers

export type Writes = readonly (readonly [offset: number, value: number])[]

export function write(writes: Writes): void {
  for (const [offset, value] of writes) WRITE_REGISTER_ULONG(gpio() + offset, value)
}

export function convert(writes: Writes): void {
  for (const [offset, value] of writes) WRITE_REGISTER_ULONG(adc() + offset, value)
}

/** Counts both edges of `pins`, once the board has been told. */
export async function watch(pins: readonly number[]): Promise<void> {
  const mask = pins.reduce((bits, pin) => bits | (1 << pin), 0)
  write([
    [Gpio.RISING, mask],
    [Gpio.FALLING, mask],
  ])
  await fresh(Gpio.RISING)
}

export async function fresh(offset: number): Promise<number> {
  const value = out<number>()
  await readFresh(gpio() + offset, value)
  return value.value
}

export async function freshAdc(offset: number): Promise<number> {
  const value = out<number>()
  await readFresh(adc() + offset, value)
  return value.value
}

/** What the frames told, not what the board says when asked. */
export function told(): Record<string, number> {
  const device = Globals.Gpio as DEVICE
  const count = (pin: number): number => READ_REGISTER_ULONG(gpio() + gpioEdges(pin))
  return { button: device.SecondTold, pin4: count(4), pin5: count(5), frames: device.FirstTold }
}

/** Stops the converter, and reads all that it has given. */
export async function samples(): Promise<{ samples: number; entries: number[] }> {
  WRITE_REGISTER_ULONG(adc() + Adc.CONTROL, 0)
  const count = await freshAdc(Adc.SAMPLES)
  const entries: number[] = []
  while (READ_REGISTER_ULONG(adc() + Adc.DATA_LEVEL) > 0 && entries.length < MOST_ENTRIES) {
    entries.push(READ_REGISTER_ULONG(adc() + Adc.DATA))
  }
  const { FewerThanTold } = Globals.Adc as DEVICE
  if (FewerThanTold > 0) throw new Error(`${FewerThanTold} frames told of samples that were not there`)
  return { samples: count, entries }
}

export function threshold(): Record<string, number> {
  const { FirstTold } = Globals.Adc as DEVICE
  const read = (offset: number): number => READ_REGISTER_ULONG(adc() + offset)
  return {
    interrupts: FirstTold,
    crossings: read(Adc.CROSSINGS),
    outside: read(Adc.OUTSIDE),
    sample: read(adcSample(1)),
  }
}
