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
  STATUS_BUFFER_OVERFLOW,
  STATUS_BUFFER_TOO_SMALL,
  struct,
  ULONG,
  ZwClose,
  ZwQueryValueKey,
} from 'dirql/wdm'
import { textAt } from './text.ts'

const ADDRESS = struct('ADDRESS', { Value: ULONG })

const ROOM = 512
const DATA = 12 // TitleIndex, Type, DataLength

/** The text of a REG_SZ value; '' when the device has no such value. @irql PASSIVE_LEVEL */
export async function textParameter(pdo: DEVICE_OBJECT, name: string): Promise<string> {
  const [text = ''] = await textsParameter(pdo, name)
  return text
}

/** The texts of a REG_MULTI_SZ value; none when the device has no such value. @irql PASSIVE_LEVEL */
export async function textsParameter(pdo: DEVICE_OBJECT, name: string): Promise<string[]> {
  const key = out<number>()
  if (!NT_SUCCESS(IoOpenDeviceRegistryKey(pdo, PLUGPLAY_REGKEY_DEVICE, KEY_READ, key))) return []
  const units = readUnits(key.value, name)
  await ZwClose(key.value)
  return units.split('\0').filter((text) => text !== '')
}

/** The data of a value as UTF-16, with its NULs. */
function readUnits(key: number, name: string): string {
  for (let room = ROOM; ; ) {
    const buffer = ExAllocatePool2(POOL_FLAG_PAGED, room, 'Parm')
    if (buffer === 0) return ''
    const length = out<number>()
    const status = ZwQueryValueKey({
      KeyHandle: key,
      ValueName: name,
      KeyValueInformationClass: KeyValuePartialInformation,
      KeyValueInformation: buffer,
      Length: room,
      ResultLength: length,
    })
    const text = NT_SUCCESS(status) ? textAt(buffer + DATA, length.value - DATA) : ''
    ExFreePool(buffer)
    if (status !== STATUS_BUFFER_OVERFLOW && status !== STATUS_BUFFER_TOO_SMALL) return text
    room = length.value
  }
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
