/**
 * A 24LC256 EEPROM on an i2c controller (datasheet: Microchip DS20001203): 32 KiB, read and written at byte offsets.
 *
 * A write is done in the chip's pages of 64 bytes; behind each, the chip answers to nothing until its write cycle is over
 * (5 ms at most), which is polled for with the bus kept: that is one sequence. The controller's interrupt is shared with
 * drivers of other chips, and its bus by a named event.
 */
import {
  atomic,
  DEVICE_OBJECT,
  type DRIVER_OBJECT,
  globals,
  IoDeleteSymbolicLink,
  IoGetCurrentIrpStackLocation,
  type IRP,
  IRP_MJ_CLEANUP,
  IRP_MJ_CLOSE,
  IRP_MJ_CREATE,
  IRP_MJ_DEVICE_CONTROL,
  IRP_MJ_PNP,
  IRP_MJ_READ,
  IRP_MJ_WRITE,
  LONG,
  NT_SUCCESS,
  type NTSTATUS,
  pointer,
  STATUS_BUFFER_TOO_SMALL,
  STATUS_END_OF_FILE,
  STATUS_INVALID_DEVICE_REQUEST,
  STATUS_INVALID_PARAMETER,
  STATUS_IO_TIMEOUT,
  STATUS_NO_SUCH_DEVICE,
  STATUS_SUCCESS,
  struct,
  ULONG,
} from 'dirql/wdm'
import { type Bus, onBus } from '../lib/i2c.ts'
import { chipRoutines, I2C_CHIP, initializeChip, removeChip, startChip, stopChip } from '../lib/i2cchip.ts'
import { BYTES, complete } from '../lib/irp.ts'
import { busAddress, textParameter } from '../lib/parameters.ts'
import { attachDevice, dispatchPnp, type PnpRoutines, type Resources } from '../lib/pnp.ts'
import { IOCTL_AT24_STATISTICS, STATISTICS } from './interface.ts'

/** The devices that this driver is for. */
export const hardwareIds = ['dirql\\at24', 'microchip\\24lc256']

const SIZE = 0x8000
const PAGE = 64
const ADDRESS_BYTES = 2
const DEFAULT_ADDRESS = 0x50
/** A write cycle takes 5 ms at most, in which the chip answers to nothing: one look a millisecond, and some patience. */
const MOST_POLLS = 25
/** A request that was cancelled may have left the chip in its write cycle. */
const ATTEMPTS = 10

export const AT24 = struct('AT24', {
  Chip: I2C_CHIP,
  Lower: pointer<DEVICE_OBJECT>(() => DEVICE_OBJECT),
  Physical: pointer<DEVICE_OBJECT>(() => DEVICE_OBJECT),
  Number: ULONG,
  PagesWritten: ULONG, // belongs to the request whose turn it is
})
export type AT24 = InstanceType<typeof AT24>

/** How many EEPROMs there were: each gets a number for its name. */
export const Globals = globals({ Eeproms: atomic(LONG) })

/** @irql PASSIVE_LEVEL */
export function DriverEntry(DriverObject: DRIVER_OBJECT): NTSTATUS {
  for (const major of [IRP_MJ_CREATE, IRP_MJ_CLEANUP, IRP_MJ_CLOSE]) DriverObject.MajorFunction.set(major, succeed)
  DriverObject.MajorFunction.set(IRP_MJ_READ, read)
  DriverObject.MajorFunction.set(IRP_MJ_WRITE, write)
  DriverObject.MajorFunction.set(IRP_MJ_DEVICE_CONTROL, control)
  DriverObject.MajorFunction.set(IRP_MJ_PNP, pnp)
  if (DriverObject.DriverExtension !== null) DriverObject.DriverExtension.AddDevice = addDevice
  DriverObject.DriverUnload = unload
  return STATUS_SUCCESS
}

/** PnP has removed the devices before. @irql PASSIVE_LEVEL */
export function unload(_DriverObject: DRIVER_OBJECT): void {}

const eepromOf = (device: DEVICE_OBJECT): AT24 => device.DeviceExtension as AT24
const linkName = ({ Number: number }: AT24): string => `\\??\\At24-${number}`

/** @irql PASSIVE_LEVEL */
export function addDevice(DriverObject: DRIVER_OBJECT, PhysicalDeviceObject: DEVICE_OBJECT): NTSTATUS {
  const number = Globals.Eeproms.add(1)
  const initialize = (eeprom: AT24): void => {
    eeprom.Number = number
    eeprom.Physical = PhysicalDeviceObject
    initializeChip(eeprom.Chip, CHIP, ATTEMPTS)
  }
  const opened = { name: `At24-${number}`, link: `At24-${number}` }
  return attachDevice(DriverObject, PhysicalDeviceObject, AT24, initialize, opened)
}

const PNP: PnpRoutines = { start, stop, remove }

/** @irql PASSIVE_LEVEL */
export function pnp(DeviceObject: DEVICE_OBJECT, Irp: IRP): Promise<NTSTATUS> {
  return dispatchPnp(DeviceObject, eepromOf(DeviceObject).Lower as DEVICE_OBJECT, Irp, PNP)
}

async function start(device: DEVICE_OBJECT, resources: Resources): Promise<NTSTATUS> {
  const eeprom = eepromOf(device)
  const pdo = eeprom.Physical as DEVICE_OBJECT
  const address = busAddress(pdo) || DEFAULT_ADDRESS
  const busEvent = await textParameter(pdo, 'BusEvent')
  return startChip(eeprom.Chip, resources, CHIP, { address, busEvent })
}

function stop(device: DEVICE_OBJECT): Promise<void> {
  return stopChip(eepromOf(device).Chip)
}

async function remove(device: DEVICE_OBJECT): Promise<void> {
  const eeprom = eepromOf(device)
  await removeChip(eeprom.Chip)
  IoDeleteSymbolicLink(linkName(eeprom))
}

const CHIP = chipRoutines()
export const { chipIsr, chipDpc, beginTransaction, giveUpTransaction, cancelRequest } = CHIP

/** Reads at the request's offset, up to the chip's end. @irql PASSIVE_LEVEL */
export async function read(DeviceObject: DEVICE_OBJECT, Irp: IRP): Promise<NTSTATUS> {
  const eeprom = eepromOf(DeviceObject)
  const { Length, ByteOffset } = IoGetCurrentIrpStackLocation(Irp).Parameters.Read
  const offset = Number(ByteOffset)
  if (offset < 0) return complete(Irp, STATUS_INVALID_PARAMETER)
  if (offset >= SIZE) return complete(Irp, Length === 0 ? STATUS_SUCCESS : STATUS_END_OF_FILE)
  const length = Math.min(Length, SIZE - offset)
  const { Data } = new BYTES(Irp.AssociatedIrp.SystemBuffer)
  let done = 0
  while (done < length) {
    const count = Math.min(PAGE, length - done)
    const status = await onBus(eeprom.Chip, CHIP, Irp, async (bus) => {
      const read = await readBytes(eeprom, bus, offset + done, count)
      if (NT_SUCCESS(read))
        for (let index = 0; index < count; index++) Data[done + index] = eeprom.Chip.Data[index] ?? 0
      return read
    })
    if (!NT_SUCCESS(status)) return complete(Irp, status, done)
    done += count
  }
  return complete(Irp, STATUS_SUCCESS, done)
}

/** The address, then the bytes: two transactions of one sequence. */
async function readBytes({ Chip }: AT24, bus: Bus, offset: number, count: number): Promise<NTSTATUS> {
  putAddress(Chip, offset)
  const status = await bus.transact(ADDRESS_BYTES, 0)
  return NT_SUCCESS(status) ? bus.transact(0, count) : status
}

function putAddress({ Data }: I2C_CHIP, offset: number): void {
  Data[0] = offset >> 8
  Data[1] = offset & 0xff
}

/** Writes at the request's offset, page by page. Information says how much is surely written. @irql PASSIVE_LEVEL */
export async function write(DeviceObject: DEVICE_OBJECT, Irp: IRP): Promise<NTSTATUS> {
  const eeprom = eepromOf(DeviceObject)
  const { Length, ByteOffset } = IoGetCurrentIrpStackLocation(Irp).Parameters.Write
  const offset = Number(ByteOffset)
  if (offset < 0 || offset + Length > SIZE) return complete(Irp, STATUS_INVALID_PARAMETER)
  const { Data } = new BYTES(Irp.AssociatedIrp.SystemBuffer)
  let done = 0
  while (done < Length) {
    const at = offset + done
    const count = Math.min(PAGE - (at % PAGE), Length - done)
    const status = await onBus(eeprom.Chip, CHIP, Irp, (bus) => {
      putAddress(eeprom.Chip, at)
      for (let index = 0; index < count; index++) eeprom.Chip.Data[ADDRESS_BYTES + index] = Data[done + index] ?? 0
      return writePage(eeprom, bus, count)
    })
    if (!NT_SUCCESS(status)) return complete(Irp, status, done)
    done += count
  }
  return complete(Irp, STATUS_SUCCESS, done)
}

/** One page, and polls until the chip answers again. */
async function writePage(eeprom: AT24, bus: Bus, count: number): Promise<NTSTATUS> {
  let status = await bus.transact(ADDRESS_BYTES + count, 0)
  if (!NT_SUCCESS(status)) return status
  for (let poll = 0; poll < MOST_POLLS; poll++) {
    status = await bus.delay(1)
    if (NT_SUCCESS(status)) status = await bus.transact(0, 0)
    if (status !== STATUS_NO_SUCH_DEVICE) {
      if (NT_SUCCESS(status)) eeprom.PagesWritten += 1
      return status
    }
  }
  return STATUS_IO_TIMEOUT
}

/** @irql PASSIVE_LEVEL */
export function control(DeviceObject: DEVICE_OBJECT, Irp: IRP): NTSTATUS {
  const eeprom = eepromOf(DeviceObject)
  const { IoControlCode, OutputBufferLength } = IoGetCurrentIrpStackLocation(Irp).Parameters.DeviceIoControl
  if (IoControlCode !== IOCTL_AT24_STATISTICS) return complete(Irp, STATUS_INVALID_DEVICE_REQUEST)
  if (OutputBufferLength < STATISTICS.size) return complete(Irp, STATUS_BUFFER_TOO_SMALL)
  const { Transactions, Handovers, Interrupts, Retries, Recoveries } = eeprom.Chip
  const told = { Transactions, Handovers, Interrupts, PagesWritten: eeprom.PagesWritten, Retries, Recoveries }
  Object.assign(new STATISTICS(Irp.AssociatedIrp.SystemBuffer), told)
  return complete(Irp, STATUS_SUCCESS, STATISTICS.size)
}

/** @irql PASSIVE_LEVEL */
export function succeed(_DeviceObject: DEVICE_OBJECT, Irp: IRP): NTSTATUS {
  return complete(Irp, STATUS_SUCCESS)
}
