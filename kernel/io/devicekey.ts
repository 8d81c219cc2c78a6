/** The registry key of a device: what its board file says about it besides the resources. */
import { enter, type Out, PASSIVE_LEVEL } from '../ke/level.ts'
import { openKey } from '../cm/key.ts'
import type { HANDLE } from '../ob/handle.ts'
import {
  type NTSTATUS,
  STATUS_INVALID_DEVICE_REQUEST,
  STATUS_INVALID_PARAMETER,
  STATUS_OBJECT_NAME_NOT_FOUND,
} from '../rtl/status.ts'
import { nodeOf } from './devnode.ts'
import type { DEVICE_OBJECT } from './layouts.ts'
import { parametersOf } from './rootbus.ts'

/** DevInstKeyType: the device's own key. */
export const PLUGPLAY_REGKEY_DEVICE = 1
export const PLUGPLAY_REGKEY_DRIVER = 2
export const PLUGPLAY_REGKEY_CURRENT_HWPROFILE = 4

/**
 * Opens the key of a device, for ZwQueryValueKey. A device of a board has there what the board file gives it as
 * `parameters`, and what its bus adds (`Address`, `BusEvent`). Close it by ZwClose.
 *
 * @irql PASSIVE_LEVEL
 * @returns STATUS_SUCCESS, and the handle; STATUS_INVALID_DEVICE_REQUEST when DeviceObject is no PDO;
 *   STATUS_OBJECT_NAME_NOT_FOUND for PLUGPLAY_REGKEY_DRIVER: there is no such key; STATUS_INVALID_PARAMETER for another
 *   DevInstKeyType; STATUS_INSUFFICIENT_RESOURCES. The handle is 0 unless it succeeds
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-ioopendeviceregistrykey
 * @deviates (decision 0028) the key has the values of the moment when it was opened, and cannot be written.
 */
export function IoOpenDeviceRegistryKey(
  DeviceObject: DEVICE_OBJECT,
  DevInstKeyType: number,
  DesiredAccess: number,
  DeviceRegKey: Out<HANDLE>,
): NTSTATUS {
  enter(PASSIVE_LEVEL, 'IoOpenDeviceRegistryKey')
  DeviceRegKey.value = 0
  const kind = DevInstKeyType & ~PLUGPLAY_REGKEY_CURRENT_HWPROFILE
  if (kind !== PLUGPLAY_REGKEY_DEVICE && kind !== PLUGPLAY_REGKEY_DRIVER) return STATUS_INVALID_PARAMETER
  if (nodeOf(DeviceObject.address) === 0) return STATUS_INVALID_DEVICE_REQUEST
  if (DevInstKeyType !== PLUGPLAY_REGKEY_DEVICE) return STATUS_OBJECT_NAME_NOT_FOUND
  const { status, handle } = openKey(parametersOf(DeviceObject.address), DesiredAccess)
  DeviceRegKey.value = handle
  return status
}
