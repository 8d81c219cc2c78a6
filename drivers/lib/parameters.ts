/** The registry values that the board file gives a device. */
import {
  type DEVICE_OBJECT,
  DevicePropertyAddress,
  ExAllocatePool2,
  ExFreePool,
  IoGetDeviceProperty,
  IoOpenDeviceRegistryKey,
  KEY_READ,
  KeyValuePartialInformation,
  NT_SUCCESS,
  out,
  PLUGPLAY_REGKEY_DEVICE,
  POOL_FLAG_PAGED,
  struct,
  ULONG,
  ZwClose,
  ZwQueryValueKey,
} from 'dirql/wdm'
import { BYTES } from './irp.ts'

const ADDRESS = struct('ADDRESS', { Value: ULONG })

const ROOM = 512
const DATA = 12 // TitleIndex, Type, DataLength

/** The text of a REG_SZ value; '' when the device has no such value. @irql PASSIVE_LEVEL */
export async function textParameter(pdo: DEVICE_OBJECT, name: string): Promise<string> {
  const key = out<number>()
  if (!NT_SUCCESS(IoOpenDeviceRegistryKey(pdo, PLUGPLAY_REGKEY_DEVICE, KEY_READ, key))) return ''
  const buffer = ExAllocatePool2(POOL_FLAG_PAGED, ROOM, 'Parm')
  let text = ''
  if (buffer !== 0) {
    const length = out<number>()
    const status = ZwQueryValueKey({
      KeyHandle: key.value,
      ValueName: name,
      KeyValueInformationClass: KeyValuePartialInformation,
      KeyValueInformation: buffer,
      Length: ROOM,
      ResultLength: length,
    })
    if (NT_SUCCESS(status)) text = utf16(buffer + DATA, length.value - DATA)
    ExFreePool(buffer)
  }
  await ZwClose(key.value)
  return text
}

/** The address that a chip has on its bus; 0 when the device has none. @irql PASSIVE_LEVEL */
export function busAddress(pdo: DEVICE_OBJECT): number {
  const address = ExAllocatePool2(POOL_FLAG_PAGED, ADDRESS.size, 'Parm')
  if (address === 0) return 0
  const view = new ADDRESS(address)
  const status = IoGetDeviceProperty(pdo, DevicePropertyAddress, ADDRESS.size, view, out<number>())
  const { Value } = view
  ExFreePool(view)
  return NT_SUCCESS(status) ? Value : 0
}

/** UTF-16 up to its NUL. */
function utf16(address: number, bytes: number): string {
  const { Data } = new BYTES(address)
  let text = ''
  for (let index = 0; index + 1 < bytes; index += 2) {
    const unit = (Data[index] ?? 0) | ((Data[index + 1] ?? 0) << 8)
    if (unit === 0) break
    text += String.fromCharCode(unit)
  }
  return text
}
