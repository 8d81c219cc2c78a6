/**
 * Registry keys, as far as drivers of boards need them: a device's parameters, to be read.
 *
 * A key object has the values as they were when it was opened. There is no tree of keys and nothing is ever written.
 */
import { read32, readU32, write32 } from '../mm/access.ts'
import { mem } from '../mm/memory.ts'
import { enter, type Out, PASSIVE_LEVEL } from '../ke/level.ts'
import { KernelMode } from '../ke/wait.ts'
import {
  READ_CONTROL,
  STANDARD_RIGHTS_EXECUTE,
  STANDARD_RIGHTS_READ,
  STANDARD_RIGHTS_WRITE,
  SYNCHRONIZE,
} from '../ob/access.ts'
import { captureAttributes, OBJ_KERNEL_HANDLE, writeText } from '../ob/attributes.ts'
import type { HANDLE, HandleResult } from '../ob/handle.ts'
import { createObject } from '../ob/object.ts'
import { createWithHandle, withObject } from '../ob/services.ts'
import { registerObjectType } from '../ob/type.ts'
import {
  type NTSTATUS,
  STATUS_BUFFER_OVERFLOW,
  STATUS_BUFFER_TOO_SMALL,
  STATUS_INVALID_PARAMETER,
  STATUS_OBJECT_NAME_NOT_FOUND,
  STATUS_SUCCESS,
} from '../rtl/status.ts'
import { type Text, textOf } from '../rtl/string.ts'
import { array, struct, UCHAR, ULONG, USHORT, type View } from '../rtl/struct.ts'
import { copyValues, freeValues, type RegistryValue, valuesOf } from './values.ts'

export const KEY_QUERY_VALUE = 0x0001
export const KEY_SET_VALUE = 0x0002
export const KEY_CREATE_SUB_KEY = 0x0004
export const KEY_ENUMERATE_SUB_KEYS = 0x0008
export const KEY_NOTIFY = 0x0010
export const KEY_CREATE_LINK = 0x0020
const ALL_BUT_SYNCHRONIZE = ~SYNCHRONIZE
export const KEY_READ =
  (STANDARD_RIGHTS_READ | KEY_QUERY_VALUE | KEY_ENUMERATE_SUB_KEYS | KEY_NOTIFY) & ALL_BUT_SYNCHRONIZE
export const KEY_WRITE = (STANDARD_RIGHTS_WRITE | KEY_SET_VALUE | KEY_CREATE_SUB_KEY) & ALL_BUT_SYNCHRONIZE
export const KEY_EXECUTE = KEY_READ
export const KEY_ALL_ACCESS = 0x000f003f

/** KEY_VALUE_INFORMATION_CLASS */
export const KeyValueBasicInformation = 0
export const KeyValueFullInformation = 1
export const KeyValuePartialInformation = 2

/** Name takes as many units as NameLength, counted in bytes, says. */
export const KEY_VALUE_BASIC_INFORMATION = struct('KEY_VALUE_BASIC_INFORMATION', {
  TitleIndex: ULONG,
  Type: ULONG,
  NameLength: ULONG,
  Name: array(USHORT, 1),
})
export interface KEY_VALUE_BASIC_INFORMATION extends View<typeof KEY_VALUE_BASIC_INFORMATION> {}

export const KEY_VALUE_FULL_INFORMATION = struct('KEY_VALUE_FULL_INFORMATION', {
  TitleIndex: ULONG,
  Type: ULONG,
  DataOffset: ULONG, // bytes from here
  DataLength: ULONG,
  NameLength: ULONG,
  Name: array(USHORT, 1),
})
export interface KEY_VALUE_FULL_INFORMATION extends View<typeof KEY_VALUE_FULL_INFORMATION> {}

/** Data goes on as far as DataLength says: it begins at `address + KEY_VALUE_PARTIAL_INFORMATION.offsets.Data`. */
export const KEY_VALUE_PARTIAL_INFORMATION = struct('KEY_VALUE_PARTIAL_INFORMATION', {
  TitleIndex: ULONG,
  Type: ULONG, // REG_…
  DataLength: ULONG, // bytes
  Data: array(UCHAR, 1),
})
export interface KEY_VALUE_PARTIAL_INFORMATION extends View<typeof KEY_VALUE_PARTIAL_INFORMATION> {}

/** Body of a key: the block of its values, which is its own. */
const CM_KEY_BODY = struct('CM_KEY_BODY', { Values: ULONG })
const { Values } = CM_KEY_BODY.offsets

export const keyType = registerObjectType({
  name: 'Key',
  view: CM_KEY_BODY,
  tag: 'Key ',
  mapping: {
    read: KEY_READ,
    write: KEY_WRITE,
    execute: STANDARD_RIGHTS_EXECUTE | KEY_EXECUTE,
    all: KEY_ALL_ACCESS,
  },
  userAccess: READ_CONTROL,
  delete: (key) => freeValues(read32(key + Values)),
})

/** Opens a key that has the values of `block`; the handle is the kernel's. @irql PASSIVE_LEVEL */
export function openKey(block: number, access: number): HandleResult {
  const attributes = captureAttributes({ ObjectName: null, Attributes: OBJ_KERNEL_HANDLE }, KernelMode)
  return createWithHandle(attributes, access, KernelMode, () => {
    const values = copyValues(block)
    if (values === 0 && block !== 0) return 0
    const key = createObject(keyType, CM_KEY_BODY.size)
    if (key === 0) freeValues(values)
    else write32(key + Values, values)
    return key
  })
}

interface QueryValueKey {
  KeyHandle: HANDLE
  ValueName: Text
  KeyValueInformationClass: number
  KeyValueInformation: number | { readonly address: number } | null
  Length: number
  ResultLength: Out<number>
}

/**
 * Reads a value of a key into `KeyValueInformation`, a struct of the class that is asked for.
 *
 * Names are compared without case. Ask with `Length` 0 first to learn from `ResultLength` how much it takes.
 *
 * @irql PASSIVE_LEVEL
 * @returns STATUS_SUCCESS; STATUS_BUFFER_TOO_SMALL when not even the struct's fixed part fits: nothing is written then;
 *   STATUS_BUFFER_OVERFLOW when the data does not fit: as much as fits is written; STATUS_OBJECT_NAME_NOT_FOUND when
 *   the key has no such value; STATUS_INVALID_PARAMETER for a class that there is not; STATUS_INVALID_HANDLE;
 *   STATUS_OBJECT_TYPE_MISMATCH when it is no key. ResultLength is written for the first three
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-zwqueryvaluekey
 */
export function ZwQueryValueKey(parameters: QueryValueKey): NTSTATUS {
  enter(PASSIVE_LEVEL, 'ZwQueryValueKey')
  const { KeyHandle, ValueName } = parameters
  return withObject(KeyHandle, KEY_QUERY_VALUE, keyType, KernelMode, (key) => {
    const name = textOf(ValueName).toUpperCase()
    const value = valuesOf(readU32(key + Values)).find((one) => one.name.toUpperCase() === name)
    return value === undefined ? STATUS_OBJECT_NAME_NOT_FOUND : tell(value, parameters)
  })
}

/** What a class writes: words, then the name, then the data. */
interface Shape {
  words: number[]
  /** Bytes before the first part that may be cut. */
  fixed: number
  name: string
  dataAt: number
}

function shapeOf({ name, type, length }: RegistryValue, informationClass: number): Shape | null {
  const nameLength = 2 * name.length
  if (informationClass === KeyValuePartialInformation) {
    return { words: [0, type, length], fixed: 12, name: '', dataAt: 12 }
  }
  if (informationClass === KeyValueBasicInformation) {
    return { words: [0, type, nameLength], fixed: 12, name, dataAt: 12 + nameLength }
  }
  if (informationClass !== KeyValueFullInformation) return null
  const dataAt = (20 + nameLength + 3) & ~3
  return { words: [0, type, dataAt, length, nameLength], fixed: 20, name, dataAt }
}

function tell(value: RegistryValue, parameters: QueryValueKey): NTSTATUS {
  const { KeyValueInformationClass, KeyValueInformation, Length, ResultLength } = parameters
  const shape = shapeOf(value, KeyValueInformationClass)
  if (shape === null) return STATUS_INVALID_PARAMETER
  const hasData = KeyValueInformationClass !== KeyValueBasicInformation
  const needed = shape.dataAt + (hasData ? value.length : 0)
  ResultLength.value = needed
  const to = typeof KeyValueInformation === 'number' ? KeyValueInformation : (KeyValueInformation?.address ?? 0)
  if (Length < shape.fixed || to === 0) return STATUS_BUFFER_TOO_SMALL
  for (const [index, word] of shape.words.entries()) write32(to + index * 4, word)
  writeText(to + shape.fixed, shape.name.slice(0, Math.max(0, Length - shape.fixed) >> 1))
  const room = Math.max(0, Math.min(value.length, Length - shape.dataAt))
  if (hasData) mem.u8.copyWithin(to + shape.dataAt, value.data, value.data + room)
  return Length < needed ? STATUS_BUFFER_OVERFLOW : STATUS_SUCCESS
}
