/**
 * The I/O database: which devices a driver has, and how devices are stacked. One lock guards all of these links; its
 * holder passes no interruption point.
 */
import { mem } from '../mm/memory.ts'
import { read32, read8, write32, write8 } from '../mm/access.ts'
import { Root } from '../ke/pcr.ts'
import { acquireWord, releaseWord } from '../ke/spin.ts'
import { DEVICE_OBJECT, DRIVER_OBJECT, FILE_OBJECT } from './layouts.ts'

export const Device = DEVICE_OBJECT.offsets
export const Driver = DRIVER_OBJECT.offsets
export const File = FILE_OBJECT.offsets

/** DEVICE_OBJECT.ExtensionFlags */
export const DEVICE_DELETED = 1

export const lockDatabase = (): void => acquireWord(Root.IoDatabaseLock)
export const unlockDatabase = (): void => releaseWord(Root.IoDatabaseLock)

/** The device on top of the stack that `device` is in. Caller holds the database lock, or keeps the stack as it is. */
export function topOf(device: number): number {
  let top = device
  for (let above = read32(top + Device.AttachedDevice); above !== 0; above = read32(top + Device.AttachedDevice))
    top = above
  return top
}

/** The device that requests for `file` go to. */
export function deviceOfFile(file: number): number {
  lockDatabase()
  const top = topOf(read32(file + File.DeviceObject))
  unlockDatabase()
  return top
}

export const stackSize = (device: number): number => mem.i8[device + Device.StackSize] as number
export const isDeleted = (device: number): boolean => (read8(device + Device.ExtensionFlags) & DEVICE_DELETED) !== 0

/** Puts a device at the head of its driver's list. */
export function linkDevice(device: number, driver: number): void {
  lockDatabase()
  write32(device + Device.NextDevice, read32(driver + Driver.DeviceObject))
  write32(driver + Driver.DeviceObject, device)
  unlockDatabase()
}

/** Takes a device off its driver's list and marks it as deleted; false when it was already. */
export function unlinkDevice(device: number): boolean {
  lockDatabase()
  const isFirst = !isDeleted(device)
  if (isFirst) {
    write8(device + Device.ExtensionFlags, read8(device + Device.ExtensionFlags) | DEVICE_DELETED)
    let place = read32(device + Device.DriverObject) + Driver.DeviceObject
    while (read32(place) !== 0 && read32(place) !== device) place = read32(place) + Device.NextDevice
    if (read32(place) === device) write32(place, read32(device + Device.NextDevice))
    write32(device + Device.NextDevice, 0)
  }
  unlockDatabase()
  return isFirst
}

/** A driver's devices, the newest first. */
export function devicesOf(driver: number): number[] {
  const devices: number[] = []
  lockDatabase()
  for (let device = read32(driver + Driver.DeviceObject); device !== 0; device = read32(device + Device.NextDevice)) {
    devices.push(device)
  }
  unlockDatabase()
  return devices
}

/** Counts an open of a device; false when the device is exclusive and open. */
export function countOpen(device: number, isExclusive: boolean): boolean {
  lockDatabase()
  const count = read32(device + Device.ReferenceCount)
  const isAllowed = !isExclusive || count === 0
  if (isAllowed) write32(device + Device.ReferenceCount, count + 1)
  unlockDatabase()
  return isAllowed
}

export function uncountOpen(device: number): void {
  lockDatabase()
  write32(device + Device.ReferenceCount, read32(device + Device.ReferenceCount) - 1)
  unlockDatabase()
  onFileClosed.run(device)
}

/** Called when a file was closed; plugged by the PnP manager, which may wait for the last one. */
export const onFileClosed: { run: (device: number) => void } = { run: () => {} }
