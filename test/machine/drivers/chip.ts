/**
 * A driver for one chip on an I2C controller, as small as can be: exports are run as system threads and do transfers over
 * the controller's registers. It takes the chip's ALERT line, too, and counts.
 */
import { I2c, i2cControl, I2cCommand } from 'dirql/i2c'
import {
  type CM_RESOURCE_LIST,
  CmResourceShareShared,
  CmResourceTypeInterrupt,
  CmResourceTypeMemory,
  DEVICE_OBJECT,
  DO_DEVICE_INITIALIZING,
  type DRIVER_OBJECT,
  Executive,
  ExAllocatePool2,
  ExFreePool,
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
  IoOpenDeviceRegistryKey,
  IoSkipCurrentIrpStackLocation,
  type IRP,
  IRP_MJ_PNP,
  IRP_MN_REMOVE_DEVICE,
  IRP_MN_START_DEVICE,
  IRP_MN_SURPRISE_REMOVAL,
  KDPC,
  KEY_READ,
  KeInitializeDpc,
  KeInitializeEvent,
  KeInsertQueueDpc,
  KernelMode,
  KeSetEvent,
  KEVENT,
  KeWaitForSingleObject,
  KEY_VALUE_PARTIAL_INFORMATION,
  KeyValuePartialInformation,
  KINTERRUPT,
  Latched,
  LevelSensitive,
  MmMapIoSpace,
  MmNonCached,
  MmUnmapIoSpace,
  NT_SUCCESS,
  type NTSTATUS,
  out,
  PLUGPLAY_REGKEY_DEVICE,
  pointer,
  POOL_FLAG_NON_PAGED,
  READ_REGISTER_UCHAR,
  READ_REGISTER_ULONG,
  readFresh,
  ref,
  STATUS_SUCCESS,
  struct,
  SynchronizationEvent,
  ULONG,
  WRITE_REGISTER_UCHAR,
  WRITE_REGISTER_ULONG,
  ZwClose,
  ZwQueryValueKey,
  array,
  USHORT,
} from 'dirql/wdm'

export const hardwareIds = ['dirql\\tmp102', 'test\\chip']

const WINDOW_BYTES = 0x100
const TEXT_UNITS = 64

const CHIP = struct('TEST_CHIP', {
  // Guarded by the interrupt spin lock of `done`.
  IsWaiting: ULONG,
  Transfers: ULONG, // when the transaction was started
  Status: ULONG,
  Received: ULONG,
  Interrupts: ULONG,

  // Guarded by the interrupt spin lock of the chip's own line.
  Alerts: ULONG,

  Registers: ULONG,
  Done: pointer(KINTERRUPT),
  Alert: pointer(KINTERRUPT),
  Dpc: KDPC,
  Ended: KEVENT,
  Lower: pointer<DEVICE_OBJECT>(() => DEVICE_OBJECT),
  Pdo: pointer<DEVICE_OBJECT>(() => DEVICE_OBJECT),
  Shared: ULONG, // of its resources, how many are
  AskedAtStart: ULONG, // what a fresh read in the start gave
})
type CHIP = InstanceType<typeof CHIP>

/** The chip that was started last. */
export const Globals = globals({ Chip: pointer(CHIP), Starts: ULONG, Removals: ULONG })

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
    DeviceExtensionSize: CHIP,
    DeviceName: null,
    DeviceType: FILE_DEVICE_UNKNOWN,
    DeviceCharacteristics: 0,
    Exclusive: false,
    DeviceObject: created,
  })
  if (!NT_SUCCESS(status)) return status
  const chip = chipOf(created.value)
  KeInitializeDpc(chip.Dpc, ended, chip)
  KeInitializeEvent(chip.Ended, SynchronizationEvent, false)
  chip.Pdo = PhysicalDeviceObject
  chip.Lower = IoAttachDeviceToDeviceStack(created.value, PhysicalDeviceObject)
  created.value.Flags &= ~DO_DEVICE_INITIALIZING
  return STATUS_SUCCESS
}

const chipOf = (device: DEVICE_OBJECT): CHIP => device.DeviceExtension as CHIP

export async function pnp(DeviceObject: DEVICE_OBJECT, Irp: IRP): Promise<NTSTATUS> {
  const chip = chipOf(DeviceObject)
  const lower = chip.Lower as DEVICE_OBJECT
  const { MinorFunction, Parameters } = IoGetCurrentIrpStackLocation(Irp)
  if (MinorFunction === IRP_MN_START_DEVICE) {
    await IoForwardIrpSynchronously(lower, Irp)
    const status = await start(chip, Parameters.StartDevice.AllocatedResourcesTranslated as CM_RESOURCE_LIST)
    Irp.IoStatus.Status = status
    IoCompleteRequest(Irp, IO_NO_INCREMENT)
    return status
  }
  if (MinorFunction === IRP_MN_SURPRISE_REMOVAL || MinorFunction === IRP_MN_REMOVE_DEVICE) {
    await stop(chip)
    Irp.IoStatus.Status = STATUS_SUCCESS
  }
  IoSkipCurrentIrpStackLocation(Irp)
  const status = await IoCallDriver(lower, Irp)
  if (MinorFunction === IRP_MN_REMOVE_DEVICE) {
    Globals.Removals += 1
    IoDetachDevice(lower)
    IoDeleteDevice(DeviceObject)
  }
  return status
}

async function start(chip: CHIP, { List }: CM_RESOURCE_LIST): Promise<NTSTATUS> {
  const { Count, PartialDescriptors } = List.at(0).PartialResourceList
  let status: NTSTATUS = STATUS_SUCCESS
  let lines = 0
  for (let index = 0; index < Count; index++) {
    const { Type, u, ShareDisposition } = PartialDescriptors.at(index)
    if (ShareDisposition === CmResourceShareShared) chip.Shared += 1
    if (Type === CmResourceTypeMemory) chip.Registers = MmMapIoSpace(u.Memory.Start, WINDOW_BYTES, MmNonCached)
    if (Type !== CmResourceTypeInterrupt) continue
    const { Vector, Level, Affinity } = u.Interrupt
    const isDone = lines++ === 0
    status = IoConnectInterrupt({
      InterruptObject: ref(chip, isDone ? 'Done' : 'Alert'),
      ServiceRoutine: isDone ? doneIsr : alertIsr,
      ServiceContext: chip,
      SpinLock: null,
      Vector,
      Irql: Level,
      SynchronizeIrql: Level,
      InterruptMode: isDone ? Latched : LevelSensitive,
      ShareVector: isDone,
      ProcessorEnableMask: Affinity,
      FloatingSave: false,
    })
  }
  const timeout = out<number>()
  if (NT_SUCCESS(await readFresh(chip.Registers + I2c.TIMEOUT_MS, timeout))) chip.AskedAtStart = timeout.value
  WRITE_REGISTER_ULONG(chip.Registers + I2c.CONTROL, i2cControl(100))
  Globals.Chip = chip
  Globals.Starts += 1
  return status
}

async function stop(chip: CHIP): Promise<void> {
  const { Done, Alert, Registers } = chip
  if (Done !== null) await IoDisconnectInterrupt(Done)
  if (Alert !== null) await IoDisconnectInterrupt(Alert)
  chip.Done = null
  chip.Alert = null
  if (Registers !== 0) MmUnmapIoSpace(Registers, WINDOW_BYTES)
  chip.Registers = 0
  KeSetEvent(chip.Ended, IO_NO_INCREMENT, false)
}

/** @irql DIRQL, interrupt spin lock held */
export function doneIsr(_Interrupt: KINTERRUPT, chip: CHIP): boolean {
  const transfers = READ_REGISTER_ULONG(chip.Registers + I2c.TRANSFERS)
  if (chip.IsWaiting === 0 || transfers === chip.Transfers) return false
  chip.IsWaiting = 0
  chip.Transfers = transfers
  chip.Status = READ_REGISTER_ULONG(chip.Registers + I2c.STATUS)
  chip.Received = READ_REGISTER_ULONG(chip.Registers + I2c.RECEIVED)
  chip.Interrupts += 1
  KeInsertQueueDpc(chip.Dpc, null, null)
  return true
}

/** @irql DIRQL, interrupt spin lock held */
export function alertIsr(_Interrupt: KINTERRUPT, chip: CHIP): boolean {
  chip.Alerts += 1
  return true
}

/** @irql DISPATCH_LEVEL */
export function ended(_Dpc: KDPC, chip: CHIP): void {
  KeSetEvent(chip.Ended, IO_NO_INCREMENT, false)
}

export interface Transfer {
  address: number
  write?: readonly number[]
  readLength?: number
}

export interface Transferred {
  status: number
  bytes: number[]
  transfers: number
  /** Bytes that are left in DATA. */
  left: number
}

/** One transaction. Nothing else may use the bus meanwhile. */
export async function transfer({ address, write = [], readLength = 0 }: Transfer): Promise<Transferred> {
  const chip = Globals.Chip as CHIP
  const base = chip.Registers
  WRITE_REGISTER_ULONG(base + I2c.ADDRESS, address)
  WRITE_REGISTER_ULONG(base + I2c.WRITE_LENGTH, write.length)
  WRITE_REGISTER_ULONG(base + I2c.READ_LENGTH, readLength)
  for (const byte of write) WRITE_REGISTER_UCHAR(base + I2c.DATA, byte)
  return await command(I2cCommand.START)
}

/** Writes COMMAND and waits for the end. */
export async function command(value: number): Promise<Transferred> {
  const chip = Globals.Chip as CHIP
  const base = chip.Registers
  chip.IsWaiting = 1
  WRITE_REGISTER_ULONG(base + I2c.COMMAND, value)
  await KeWaitForSingleObject(chip.Ended, Executive, KernelMode, false, null)
  const bytes: number[] = []
  while (READ_REGISTER_ULONG(base + I2c.DATA_LEVEL) > 0 && bytes.length < chip.Received) {
    bytes.push(READ_REGISTER_UCHAR(base + I2c.DATA))
  }
  const left = READ_REGISTER_ULONG(base + I2c.DATA_LEVEL)
  return { status: chip.Status, bytes, transfers: chip.Transfers, left }
}

/** A thousand reads of two bytes: how many gave `first`, `second`. */
export async function manyTransfers(plan: { address: number; count: number }): Promise<number[][]> {
  const seen: number[][] = []
  for (let index = 0; index < plan.count; index++) {
    seen.push((await transfer({ address: plan.address, write: [0], readLength: 2 })).bytes)
  }
  return seen
}

/** Writes registers without waiting for anything. */
export function post(writes: readonly (readonly [offset: number, value: number])[]): void {
  const { Registers } = Globals.Chip as CHIP
  for (const [offset, value] of writes) WRITE_REGISTER_ULONG(Registers + offset, value)
}

export async function fresh(offset: number): Promise<number> {
  const value = out<number>()
  await readFresh((Globals.Chip as CHIP).Registers + offset, value)
  return value.value
}

export function seen(): Record<string, number> {
  const chip = Globals.Chip as CHIP
  const { Alerts, Interrupts, Shared, AskedAtStart } = chip
  return { Alerts, Interrupts, Shared, AskedAtStart, Starts: Globals.Starts, Removals: Globals.Removals }
}

const TEXT = struct('TEST_TEXT', { Information: KEY_VALUE_PARTIAL_INFORMATION, Rest: array(USHORT, TEXT_UNITS) })
const BODY = struct('TEST_BODY', { Head: array(ULONG, 3), Units: array(USHORT, TEXT_UNITS) })

/** The REG_SZ value `name` of the chip's key. */
export async function parameter(name: string): Promise<string> {
  const key = out<number>()
  const opened = IoOpenDeviceRegistryKey(
    (Globals.Chip as CHIP).Pdo as DEVICE_OBJECT,
    PLUGPLAY_REGKEY_DEVICE,
    KEY_READ,
    key,
  )
  if (!NT_SUCCESS(opened)) throw new Error(`open: 0x${(opened >>> 0).toString(16)}`)
  const text = ExAllocatePool2(POOL_FLAG_NON_PAGED, TEXT.size, 'Test')
  const length = out<number>()
  const status = ZwQueryValueKey({
    KeyHandle: key.value,
    ValueName: name,
    KeyValueInformationClass: KeyValuePartialInformation,
    KeyValueInformation: text,
    Length: TEXT.size,
    ResultLength: length,
  })
  const { Units } = new BODY(text)
  const units = NT_SUCCESS(status) ? (length.value - KEY_VALUE_PARTIAL_INFORMATION.offsets.Data) / 2 - 1 : 0
  const value = Array.from({ length: units }, (_, index) => String.fromCharCode(Units[index] as number)).join('')
  ExFreePool(text)
  await ZwClose(key.value)
  return NT_SUCCESS(status) ? value : `0x${(status >>> 0).toString(16)}`
}
