/**
 * A TMP102 temperature sensor on an i2c controller (datasheet: Texas Instruments SBOS397).
 *
 * A read tells the temperature as text, `23.5625`. The controller's interrupt is shared with drivers of other chips, and
 * its bus by a named event. ALERT is a line of the sensor's own: its ISR runs at PASSIVE_LEVEL, because only a transfer
 * on the bus lets the sensor take ALERT back.
 */
import {
  CONNECT_FULLY_SPECIFIED,
  DEVICE_OBJECT,
  type DRIVER_OBJECT,
  globals,
  atomic,
  IO_NO_INCREMENT,
  IoConnectInterruptEx,
  IoDeleteSymbolicLink,
  IoDisconnectInterruptEx,
  IoGetCurrentIrpStackLocation,
  type IRP,
  IRP_MJ_CLEANUP,
  IRP_MJ_CLOSE,
  IRP_MJ_CREATE,
  IRP_MJ_DEVICE_CONTROL,
  IRP_MJ_PNP,
  IRP_MJ_READ,
  KeDelayExecutionThread,
  KeQueryInterruptTime,
  KernelMode,
  KeSetEvent,
  KINTERRUPT,
  LevelSensitive,
  LONG,
  LONGLONG,
  NT_SUCCESS,
  type NTSTATUS,
  pointer,
  ref,
  STATUS_BUFFER_TOO_SMALL,
  STATUS_INVALID_DEVICE_REQUEST,
  STATUS_INVALID_PARAMETER,
  STATUS_SUCCESS,
  struct,
  ULONG,
} from 'dirql/wdm'
import { type Bus, onBus } from '../lib/i2c.ts'
import { chipRoutines, I2C_CHIP, initializeChip, removeChip, startChip, stopChip } from '../lib/i2cchip.ts'
import { complete, completeWithText } from '../lib/irp.ts'
import { busAddress, textParameter } from '../lib/parameters.ts'
import { attachDevice, dispatchPnp, type InterruptResource, type PnpRoutines, type Resources } from '../lib/pnp.ts'
import { IOCTL_TMP102_SET_THRESHOLDS, IOCTL_TMP102_STATISTICS, STATISTICS, THRESHOLDS } from './interface.ts'

/** The devices that this driver is for. */
export const hardwareIds = ['dirql\\tmp102', 'ti\\tmp102']

/** The sensor's registers, by pointer value. */
const Pointer = { Temperature: 0, Configuration: 1, Low: 2, High: 3 } as const
/** Twelve bits, 8 Hz; interrupt mode: ALERT stays until a register is read. */
const CONFIGURATION = 0x62e0
const PER_DEGREE = 16 // a register is a sixteenth of a degree, in its upper 12 bits
const DEFAULT_ADDRESS = 0x48
const ATTEMPTS = 3
// What a register holds, in sixteenths of a degree.
const COLDEST = -0x800
const HOTTEST = 0x7ff
/** From power-up to the end of the first conversion, at most: until then the sensor tells 0 °C. */
const CONVERSION_TICKS = 350_000

export const TMP102 = struct('TMP102', {
  Chip: I2C_CHIP,
  Lower: pointer<DEVICE_OBJECT>(() => DEVICE_OBJECT),
  Physical: pointer<DEVICE_OBJECT>(() => DEVICE_OBJECT),
  Number: ULONG,
  AlertInterrupt: pointer(KINTERRUPT),
  ReadyTime: LONGLONG, // interrupt time at which there is a temperature

  // Belong to the ALERT interrupt: its ISR and who synchronizes with it.
  Alerts: ULONG,
  AlertTemperature: LONG,
})
export type TMP102 = InstanceType<typeof TMP102>

/** How many sensors there were: each gets a number for its name. */
export const Globals = globals({ Sensors: atomic(LONG) })

/** @irql PASSIVE_LEVEL */
export function DriverEntry(DriverObject: DRIVER_OBJECT): NTSTATUS {
  for (const major of [IRP_MJ_CREATE, IRP_MJ_CLEANUP, IRP_MJ_CLOSE]) DriverObject.MajorFunction.set(major, succeed)
  DriverObject.MajorFunction.set(IRP_MJ_READ, read)
  DriverObject.MajorFunction.set(IRP_MJ_DEVICE_CONTROL, control)
  DriverObject.MajorFunction.set(IRP_MJ_PNP, pnp)
  if (DriverObject.DriverExtension !== null) DriverObject.DriverExtension.AddDevice = addDevice
  DriverObject.DriverUnload = unload
  return STATUS_SUCCESS
}

/** PnP has removed the devices before. @irql PASSIVE_LEVEL */
export function unload(_DriverObject: DRIVER_OBJECT): void {}

const sensorOf = (device: DEVICE_OBJECT): TMP102 => device.DeviceExtension as TMP102
const linkName = ({ Number: number }: TMP102): string => `\\??\\Tmp102-${number}`

/** @irql PASSIVE_LEVEL */
export function addDevice(DriverObject: DRIVER_OBJECT, PhysicalDeviceObject: DEVICE_OBJECT): NTSTATUS {
  const number = Globals.Sensors.add(1)
  const initialize = (sensor: TMP102): void => {
    sensor.Number = number
    sensor.Physical = PhysicalDeviceObject
    initializeChip(sensor.Chip, CHIP, ATTEMPTS)
  }
  const opened = { name: `Tmp102-${number}`, link: `Tmp102-${number}` }
  return attachDevice(DriverObject, PhysicalDeviceObject, TMP102, initialize, opened)
}

const PNP: PnpRoutines = { start, stop, remove }

/** @irql PASSIVE_LEVEL */
export function pnp(DeviceObject: DEVICE_OBJECT, Irp: IRP): Promise<NTSTATUS> {
  return dispatchPnp(DeviceObject, sensorOf(DeviceObject).Lower as DEVICE_OBJECT, Irp, PNP)
}

async function start(device: DEVICE_OBJECT, resources: Resources): Promise<NTSTATUS> {
  const sensor = sensorOf(device)
  const pdo = sensor.Physical as DEVICE_OBJECT
  const address = busAddress(pdo) || DEFAULT_ADDRESS
  const busEvent = await textParameter(pdo, 'BusEvent')
  const started = startChip(sensor.Chip, resources, CHIP, { address, busEvent })
  if (!NT_SUCCESS(started)) return started
  const configured = await onBus(sensor.Chip, CHIP, null, (bus) =>
    writeRegister(sensor, bus, Pointer.Configuration, CONFIGURATION),
  )
  if (!NT_SUCCESS(configured)) return configured
  sensor.ReadyTime = KeQueryInterruptTime() + BigInt(CONVERSION_TICKS)
  const [, alert] = resources.interrupts
  return alert === undefined ? STATUS_SUCCESS : connectAlert(sensor, pdo, alert)
}

/** Irql and SynchronizeIrql 0: the ISR runs at PASSIVE_LEVEL. */
function connectAlert(sensor: TMP102, pdo: DEVICE_OBJECT, { vector, affinity, isShared }: InterruptResource): NTSTATUS {
  return IoConnectInterruptEx({
    Version: CONNECT_FULLY_SPECIFIED,
    FullySpecified: {
      PhysicalDeviceObject: pdo,
      InterruptObject: ref(sensor, 'AlertInterrupt'),
      ServiceRoutine: alertIsr,
      ServiceContext: sensor,
      SpinLock: null,
      SynchronizeIrql: 0,
      FloatingSave: false,
      ShareVector: isShared,
      Vector: vector,
      Irql: 0,
      InterruptMode: LevelSensitive,
      ProcessorEnableMask: affinity,
    },
  })
}

async function stop(device: DEVICE_OBJECT): Promise<void> {
  const sensor = sensorOf(device)
  KeSetEvent(sensor.Chip.Gone, IO_NO_INCREMENT, false) // an ALERT that is being served ends
  const { AlertInterrupt } = sensor
  if (AlertInterrupt !== null) {
    await IoDisconnectInterruptEx({ Version: CONNECT_FULLY_SPECIFIED, ConnectionContext: AlertInterrupt })
  }
  sensor.AlertInterrupt = null
  await stopChip(sensor.Chip)
}

async function remove(device: DEVICE_OBJECT): Promise<void> {
  const sensor = sensorOf(device)
  await removeChip(sensor.Chip)
  IoDeleteSymbolicLink(linkName(sensor))
}

const CHIP = chipRoutines()
export const { chipIsr, chipDpc, beginTransaction, giveUpTransaction, cancelRequest } = CHIP

/**
 * The temperature reached a threshold. Reading it makes the sensor take ALERT back; only behind that does the board hear
 * EOI and look at the line again.
 *
 * @irql PASSIVE_LEVEL
 */
export async function alertIsr(_Interrupt: KINTERRUPT, sensor: TMP102): Promise<boolean> {
  let temperature = 0
  const status = await onBus(sensor.Chip, CHIP, null, async (bus) => {
    const read = await readRegister(sensor, bus, Pointer.Temperature)
    temperature = sixteenths(sensor)
    return read
  })
  if (!NT_SUCCESS(status)) return false
  sensor.Alerts += 1
  sensor.AlertTemperature = temperature
  return true
}

async function readRegister({ Chip }: TMP102, bus: Bus, pointer: number): Promise<NTSTATUS> {
  Chip.Data[0] = pointer
  const status = await bus.transact(1, 0)
  return NT_SUCCESS(status) ? bus.transact(0, 2) : status
}

function writeRegister({ Chip }: TMP102, bus: Bus, pointer: number, value: number): Promise<NTSTATUS> {
  Chip.Data[0] = pointer
  Chip.Data[1] = (value >> 8) & 0xff
  Chip.Data[2] = value & 0xff
  return bus.transact(3, 0)
}

/** The two bytes that were read, in sixteenths of a degree. */
function sixteenths({ Chip }: TMP102): number {
  const word = ((Chip.Data[0] ?? 0) << 8) | (Chip.Data[1] ?? 0)
  return (word << 16) >> 20
}

/** Tells the temperature in degrees Celsius. @irql PASSIVE_LEVEL */
export async function read(DeviceObject: DEVICE_OBJECT, Irp: IRP): Promise<NTSTATUS> {
  const sensor = sensorOf(DeviceObject)
  let temperature = 0
  const early = sensor.ReadyTime - KeQueryInterruptTime()
  if (early > 0n) await KeDelayExecutionThread(KernelMode, false, -early)
  const status = await onBus(sensor.Chip, CHIP, Irp, async (bus) => {
    const done = await readRegister(sensor, bus, Pointer.Temperature)
    temperature = sixteenths(sensor) // the next request's bytes come to the same place
    return done
  })
  return NT_SUCCESS(status) ? completeWithText(Irp, String(temperature / PER_DEGREE)) : complete(Irp, status)
}

/** @irql PASSIVE_LEVEL */
export async function control(DeviceObject: DEVICE_OBJECT, Irp: IRP): Promise<NTSTATUS> {
  const sensor = sensorOf(DeviceObject)
  const { IoControlCode, InputBufferLength, OutputBufferLength } =
    IoGetCurrentIrpStackLocation(Irp).Parameters.DeviceIoControl
  const buffer = Irp.AssociatedIrp.SystemBuffer
  if (IoControlCode === IOCTL_TMP102_SET_THRESHOLDS) {
    if (InputBufferLength < THRESHOLDS.size) return complete(Irp, STATUS_BUFFER_TOO_SMALL)
    const { Low, High } = new THRESHOLDS(buffer)
    if (Low < COLDEST || High > HOTTEST || Low > High) return complete(Irp, STATUS_INVALID_PARAMETER)
    const status = await onBus(sensor.Chip, CHIP, Irp, async (bus) => {
      const written = await writeRegister(sensor, bus, Pointer.Low, Low << 4)
      return NT_SUCCESS(written) ? writeRegister(sensor, bus, Pointer.High, High << 4) : written
    })
    return complete(Irp, status)
  }
  if (IoControlCode === IOCTL_TMP102_STATISTICS) {
    if (OutputBufferLength < STATISTICS.size) return complete(Irp, STATUS_BUFFER_TOO_SMALL)
    const { Transactions, Handovers, Interrupts, Retries, Recoveries } = sensor.Chip
    const { Alerts, AlertTemperature } = sensor
    const told = { Transactions, Handovers, Interrupts, Alerts, Retries, Recoveries, AlertTemperature }
    Object.assign(new STATISTICS(buffer), told)
    return complete(Irp, STATUS_SUCCESS, STATISTICS.size)
  }
  return complete(Irp, STATUS_INVALID_DEVICE_REQUEST)
}

/** @irql PASSIVE_LEVEL */
export function succeed(_DeviceObject: DEVICE_OBJECT, Irp: IRP): NTSTATUS {
  return complete(Irp, STATUS_SUCCESS)
}
