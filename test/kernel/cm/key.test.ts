/** Registry values of devices: IoOpenDeviceRegistryKey and ZwQueryValueKey. */
import { describe, expect, test } from 'vitest'
import {
  IoOpenDeviceRegistryKey,
  PLUGPLAY_REGKEY_CURRENT_HWPROFILE,
  PLUGPLAY_REGKEY_DEVICE,
  PLUGPLAY_REGKEY_DRIVER,
} from '../../../kernel/io/devicekey.ts'
import { DEVICE_OBJECT } from '../../../kernel/io/layouts.ts'
import { nodeOf } from '../../../kernel/io/devnode.ts'
import { pnpIdle } from '../../../kernel/io/pnpqueue.ts'
import { reportRootDevice, reportRootDeviceMissing } from '../../../kernel/io/rootbus.ts'
import {
  KEY_READ,
  KeyValueBasicInformation,
  KeyValueFullInformation,
  KeyValuePartialInformation,
  ZwQueryValueKey,
} from '../../../kernel/cm/key.ts'
import {
  allocateValues,
  copyValues,
  freeValues,
  type Parameters,
  REG_BINARY,
  REG_DWORD,
  REG_MULTI_SZ,
  REG_SZ,
  valuesOf,
} from '../../../kernel/cm/values.ts'
import { out } from '../../../kernel/ke/out.ts'
import { read32 } from '../../../kernel/mm/access.ts'
import { mem } from '../../../kernel/mm/memory.ts'
import { allocate, free, poolUsage } from '../../../kernel/mm/pool.ts'
import { readText } from '../../../kernel/ob/attributes.ts'
import { ZwClose } from '../../../kernel/ob/handle.ts'
import {
  STATUS_BUFFER_OVERFLOW,
  STATUS_BUFFER_TOO_SMALL,
  STATUS_INVALID_DEVICE_REQUEST,
  STATUS_INVALID_PARAMETER,
  STATUS_OBJECT_NAME_NOT_FOUND,
  STATUS_SUCCESS,
} from '../../../kernel/rtl/status.ts'
import { settled } from '../ob/machine.ts'
import { boot } from '../../../machine/index.ts'

const PARAMETERS: Parameters = {
  BusEvent: 'uno-0-i2c0',
  Address: 0x48,
  Names: ['a', 'bc'],
  Raw: Uint8Array.of(1, 2, 3),
}
const ROOM = 256

/** Runs `body` with a device of the root bus; nothing of it may be left behind. */
async function withDevice<T>(body: (pdo: DEVICE_OBJECT) => T | Promise<T>): Promise<T> {
  await using machine = await boot({ localRoutines: true })
  return await machine.run(async () => {
    const before = inUse()
    const pdo = reportRootDevice({ hardwareIds: ['test\\keyed'], instanceId: '0', parameters: PARAMETERS })
    await pnpIdle()
    const result = await body(new DEVICE_OBJECT(pdo))
    reportRootDeviceMissing(pdo)
    await pnpIdle()
    await settled()
    expect(inUse()).toEqual(before)
    return result
  })
}

const inUse = (): [string, number][] =>
  poolUsage()
    .filter(({ tag }) => ['CmVa', 'Key '].includes(tag))
    .map(({ tag, allocations, frees }): [string, number] => [tag, allocations - frees])
    .filter(([, count]) => count !== 0)

function open(pdo: DEVICE_OBJECT): number {
  const key = out<number>()
  expect(IoOpenDeviceRegistryKey(pdo, PLUGPLAY_REGKEY_DEVICE, KEY_READ, key)).toBe(STATUS_SUCCESS)
  return key.value
}

interface Told {
  status: number
  length: number | null
  words: number[]
  bytes: number[]
}

function query(key: number, name: string, kind: number, room = ROOM): Told {
  const buffer = allocate(ROOM, 'Test')
  mem.u8.fill(0xee, buffer, buffer + ROOM)
  let length: number | null = null
  const ResultLength = {
    get value(): number {
      return length ?? 0
    },
    set value(bytes: number) {
      length = bytes
    },
  }
  const status = ZwQueryValueKey({
    KeyHandle: key,
    ValueName: name,
    KeyValueInformationClass: kind,
    KeyValueInformation: buffer,
    Length: room,
    ResultLength,
  })
  const words = Array.from({ length: 5 }, (_, index) => read32(buffer + index * 4))
  const bytes = Array.from(mem.u8.subarray(buffer, buffer + ROOM))
  free(buffer)
  return { status, length, words, bytes }
}

describe('IoOpenDeviceRegistryKey', () => {
  test('IoOpenDeviceRegistryKey opens a key that has the device’s parameters', async () => {
    const told = await withDevice(async (pdo) => {
      const key = open(pdo)
      const value = query(key, 'Address', KeyValuePartialInformation)
      await ZwClose(key)
      return value
    })
    expect(told.status).toBe(STATUS_SUCCESS)
    expect(told.words.slice(0, 4)).toEqual([0, REG_DWORD, 4, 0x48])
    expect(told.length).toBe(16)
  })

  test('IoOpenDeviceRegistryKey knows no driver’s key, no other type, and no device that is no PDO', async () => {
    const statuses = await withDevice((pdo) => {
      const key = out<number>()
      const type = (wanted: number): number => IoOpenDeviceRegistryKey(pdo, wanted, KEY_READ, key)
      const types = [PLUGPLAY_REGKEY_DRIVER, PLUGPLAY_REGKEY_DEVICE | PLUGPLAY_REGKEY_CURRENT_HWPROFILE, 0, 8].map(type)
      const notPdo = allocate(DEVICE_OBJECT.size, 'Test')
      expect(nodeOf(notPdo)).toBe(0)
      const other = IoOpenDeviceRegistryKey(new DEVICE_OBJECT(notPdo), PLUGPLAY_REGKEY_DEVICE, KEY_READ, key)
      free(notPdo)
      return [...types, other, key.value]
    })
    expect(statuses).toEqual([
      STATUS_OBJECT_NAME_NOT_FOUND,
      STATUS_OBJECT_NAME_NOT_FOUND,
      STATUS_INVALID_PARAMETER,
      STATUS_INVALID_PARAMETER,
      STATUS_INVALID_DEVICE_REQUEST,
      0,
    ])
  })

  test('IoOpenDeviceRegistryKey gives a key that outlives the device', async () => {
    const text = await withDevice(async (pdo) => {
      const key = open(pdo)
      reportRootDeviceMissing(pdo.address)
      await pnpIdle()
      const { bytes } = query(key, 'BusEvent', KeyValuePartialInformation)
      await ZwClose(key)
      return String.fromCharCode(...bytes.slice(12, 32).filter((_, index) => index % 2 === 0))
    })
    expect(text).toBe('uno-0-i2c0')
  })
})

describe('ZwQueryValueKey', () => {
  test('ZwQueryValueKey tells type and data, and compares names without case', async () => {
    const told = await withDevice(async (pdo) => {
      const key = open(pdo)
      const values = ['busevent', 'NAMES', 'raw'].map((name) => query(key, name, KeyValuePartialInformation))
      await ZwClose(key)
      return values.map(({ status, words, length }) => [status, words[1], words[2], length])
    })
    expect(told).toEqual([
      [STATUS_SUCCESS, REG_SZ, 22, 34],
      [STATUS_SUCCESS, REG_MULTI_SZ, 12, 24],
      [STATUS_SUCCESS, REG_BINARY, 3, 15],
    ])
  })

  test('ZwQueryValueKey writes nothing where the fixed part does not fit, and what fits of the data else', async () => {
    const [none, part, all] = await withDevice(async (pdo) => {
      const key = open(pdo)
      const values = [11, 14, 15].map((room) => query(key, 'Raw', KeyValuePartialInformation, room))
      await ZwClose(key)
      return values
    })
    expect(none).toMatchObject({ status: STATUS_BUFFER_TOO_SMALL, length: 15 })
    expect(none?.bytes.every((byte) => byte === 0xee)).toBe(true)
    expect(part).toMatchObject({ status: STATUS_BUFFER_OVERFLOW, length: 15 })
    expect(part?.bytes.slice(12, 16)).toEqual([1, 2, 0xee, 0xee])
    expect(all).toMatchObject({ status: STATUS_SUCCESS, length: 15 })
    expect(all?.bytes.slice(12, 16)).toEqual([1, 2, 3, 0xee])
  })

  test('ZwQueryValueKey tells the name with the basic class, name and data with the full one', async () => {
    const [basic, full] = await withDevice(async (pdo) => {
      const key = open(pdo)
      const values = [KeyValueBasicInformation, KeyValueFullInformation].map((kind) => query(key, 'raw', kind))
      await ZwClose(key)
      return values
    })
    const text = (bytes: readonly number[]): string =>
      String.fromCharCode(...bytes.filter((_, index) => index % 2 === 0))
    expect(basic).toMatchObject({ status: STATUS_SUCCESS, length: 18 })
    expect(basic?.words.slice(0, 3)).toEqual([0, REG_BINARY, 6])
    expect(text(basic?.bytes.slice(12, 18) ?? [])).toBe('Raw')
    expect(full).toMatchObject({ status: STATUS_SUCCESS, length: 31 })
    expect(full?.words).toEqual([0, REG_BINARY, 28, 3, 6])
    expect(text(full?.bytes.slice(20, 26) ?? [])).toBe('Raw')
    expect(full?.bytes.slice(28, 31)).toEqual([1, 2, 3])
  })

  test('ZwQueryValueKey refuses what is no value, no class and no key', async () => {
    const statuses = await withDevice(async (pdo) => {
      const key = open(pdo)
      const missing = query(key, 'Nothing', KeyValuePartialInformation)
      const noClass = query(key, 'Raw', 9)
      await ZwClose(key)
      return [missing.status, missing.length, noClass.status]
    })
    expect(statuses).toEqual([STATUS_OBJECT_NAME_NOT_FOUND, null, STATUS_INVALID_PARAMETER])
  })
})

describe('values', () => {
  test('are read as they were written, from the block and from a copy', async () => {
    const names = await withDevice(() => {
      const block = allocateValues(PARAMETERS)
      const copy = copyValues(block)
      freeValues(block)
      const values = valuesOf(copy).map(({ name, type, data, length }) =>
        type === REG_SZ ? `${name}=${readText(data, length / 2 - 1)}` : `${name}:${type}:${length}`,
      )
      freeValues(copy)
      return values
    })
    expect(names).toEqual(['BusEvent=uno-0-i2c0', 'Address:4:4', 'Names:7:12', 'Raw:3:3'])
  })

  test('none are no block', async () => {
    expect(await withDevice(() => [allocateValues({}), copyValues(0), valuesOf(0).length])).toEqual([0, 0, 0])
  })
})
