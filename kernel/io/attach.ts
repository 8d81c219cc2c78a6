/** Device stacks: a device attached above another sees its requests first. */
import { mem } from '../mm/memory.ts'
import { read32, write32, write8 } from '../mm/access.ts'
import { DISPATCH_LEVEL, enter, type Out, PASSIVE_LEVEL } from '../ke/level.ts'
import { dereferenceObject, referenceObject } from '../ob/reference.ts'
import { type NTSTATUS, STATUS_NO_SUCH_DEVICE, STATUS_SUCCESS } from '../rtl/status.ts'
import type { Text } from '../rtl/string.ts'
import { DO_DEVICE_INITIALIZING } from './codes.ts'
import { Device, isDeleted, lockDatabase, topOf, unlockDatabase } from './database.ts'
import { referenceDeviceByName } from './device.ts'
import { violation } from './irp.ts'
import { DEVICE_OBJECT } from './layouts.ts'

/** An IRP has at most this many locations. */
const HIGHEST_STACK = 126

/** Attaches `source` to the top of the stack of `target`; gives back the device below it, 0 when that is going. */
export function attachToStack(source: number, target: number): number {
  lockDatabase()
  const below = topOf(target)
  const size = mem.i8[below + Device.StackSize] as number
  const isFit =
    !isDeleted(below) && (read32(below + Device.Flags) & DO_DEVICE_INITIALIZING) === 0 && size < HIGHEST_STACK
  if (isFit) {
    write32(below + Device.AttachedDevice, source)
    write32(source + Device.AttachedTo, below)
    write8(source + Device.StackSize, size + 1)
    write32(source + Device.AlignmentRequirement, read32(below + Device.AlignmentRequirement))
    referenceObject(below) // until it is detached
  }
  unlockDatabase()
  return isFit ? below : 0
}

/** Breaks the link between `below` and the device above it; false when there is none. */
function detach(below: number): boolean {
  lockDatabase()
  const above = read32(below + Device.AttachedDevice)
  write32(below + Device.AttachedDevice, 0)
  if (above !== 0) write32(above + Device.AttachedTo, 0)
  unlockDatabase()
  return above !== 0
}

/**
 * Attaches `SourceDevice` to the top of the stack that `TargetDevice` is in. The driver copies DeviceType,
 * Characteristics and the buffering flags from the device that it gets, which need not be TargetDevice.
 *
 * @irql <= DISPATCH_LEVEL
 * @returns the device that SourceDevice lies above now: requests are passed to it; null when that is being deleted, or
 *   is still initializing
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-ioattachdevicetodevicestack
 */
export function IoAttachDeviceToDeviceStack(
  SourceDevice: DEVICE_OBJECT,
  TargetDevice: DEVICE_OBJECT,
): DEVICE_OBJECT | null {
  enter(DISPATCH_LEVEL, 'IoAttachDeviceToDeviceStack')
  return DEVICE_OBJECT.at(attachToStack(SourceDevice.address, TargetDevice.address))
}

/**
 * Attaches `SourceDevice` to the top of the stack of the device that has the name `TargetDevice`.
 *
 * @irql PASSIVE_LEVEL
 * @returns STATUS_SUCCESS; STATUS_NO_SUCH_DEVICE when it is being deleted or still initializing;
 *   STATUS_OBJECT_NAME_NOT_FOUND; STATUS_OBJECT_TYPE_MISMATCH when the name is no device's
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-ioattachdevice
 */
export function IoAttachDevice(
  SourceDevice: DEVICE_OBJECT,
  TargetDevice: Text,
  AttachedDevice: Out<DEVICE_OBJECT | null>,
): NTSTATUS {
  enter(PASSIVE_LEVEL, 'IoAttachDevice')
  const found = referenceDeviceByName(TargetDevice)
  if (found.status !== STATUS_SUCCESS) return found.status
  const below = attachToStack(SourceDevice.address, found.object)
  dereferenceObject(found.object)
  AttachedDevice.value = DEVICE_OBJECT.at(below)
  return below === 0 ? STATUS_NO_SUCH_DEVICE : STATUS_SUCCESS
}

/**
 * Detaches the device above `TargetDevice`, which is the one that the attach gave. StackSize stays as it is.
 *
 * @irql PASSIVE_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iodetachdevice
 */
export function IoDetachDevice(TargetDevice: DEVICE_OBJECT): void {
  enter(PASSIVE_LEVEL, 'IoDetachDevice')
  const below = TargetDevice.address
  if (!detach(below)) violation(0x202, below, 'IoDetachDevice: no device is attached to this one')
  dereferenceObject(below)
}

/**
 * The device on top of a stack, with a reference that the caller drops by ObDereferenceObject.
 *
 * @irql <= DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iogetattacheddevicereference
 */
export function IoGetAttachedDeviceReference(DeviceObject: DEVICE_OBJECT): DEVICE_OBJECT {
  enter(DISPATCH_LEVEL, 'IoGetAttachedDeviceReference')
  lockDatabase()
  const top = topOf(DeviceObject.address)
  referenceObject(top)
  unlockDatabase()
  return new DEVICE_OBJECT(top)
}

/**
 * The device on top of a stack, without a reference: it may go at any time.
 *
 * @irql <= DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntifs/nf-ntifs-iogetattacheddevice
 */
export function IoGetAttachedDevice(DeviceObject: DEVICE_OBJECT): DEVICE_OBJECT {
  enter(DISPATCH_LEVEL, 'IoGetAttachedDevice')
  lockDatabase()
  const top = topOf(DeviceObject.address)
  unlockDatabase()
  return new DEVICE_OBJECT(top)
}
