import { expect, test } from 'vitest'
import { IRP_MJ_MAXIMUM_FUNCTION, DO_DEVICE_INITIALIZING } from '../../../kernel/io/codes.ts'
import { IoCreateDevice, IoDeleteDevice } from '../../../kernel/io/device.ts'
import {
  IoAllocateDriverObjectExtension,
  IoGetDriverObjectExtension,
  loadDriver,
  referenceDriver,
  unloadDriver,
} from '../../../kernel/io/driver.ts'
import { openFile } from '../../../kernel/io/syscall.ts'
import type { DEVICE_OBJECT } from '../../../kernel/io/layouts.ts'
import { DRIVER_OBJECT } from '../../../kernel/io/layouts.ts'
import { textOf, type UNICODE_STRING } from '../../../kernel/rtl/string.ts'
import {
  STATUS_DEVICE_BUSY,
  STATUS_DRIVER_ENTRYPOINT_NOT_FOUND,
  STATUS_IMAGE_ALREADY_LOADED,
  STATUS_INVALID_DEVICE_REQUEST,
  STATUS_OBJECT_NAME_COLLISION,
  STATUS_OBJECT_NAME_NOT_FOUND,
  STATUS_SUCCESS,
  STATUS_UNSUCCESSFUL,
} from '../../../kernel/rtl/status.ts'
import { struct, ULONG } from '../../../kernel/rtl/struct.ts'
import { bytesByTag, deviceOf, driverWith, onSystem } from './system.ts'

const load = (name: string, driverEntry: (driver: DRIVER_OBJECT, path: UNICODE_STRING) => unknown) =>
  loadDriver({ image: 7, name, driverEntry })

test('loadDriver calls DriverEntry with a legacy driver object and its registry path (KMT IoDeviceObject, 2003)', async () => {
  const seen = await onSystem(async () => {
    let inEntry = {}
    const { status, driver } = await load('Seen', (object, path) => {
      const slots = new Set(
        Array.from({ length: IRP_MJ_MAXIMUM_FUNCTION + 1 }, (_, major) => object.MajorFunction.at(major)),
      )
      const { Type, Flags, DeviceObject } = object
      inEntry = { Type, Flags, DeviceObject, defaults: slots.size, name: textOf(object.DriverName), path: textOf(path) }
      return STATUS_SUCCESS
    })
    return { status, inEntry, after: new DRIVER_OBJECT(driver).Flags, bytes: bytesByTag()['IoRg'] }
  })
  expect(seen).toEqual({
    status: STATUS_SUCCESS,
    inEntry: {
      Type: 4,
      Flags: 2,
      DeviceObject: null,
      defaults: 1,
      name: '\\Driver\\Seen',
      path: '\\Registry\\Machine\\System\\CurrentControlSet\\Services\\Seen',
    },
    after: 0x12,
    bytes: 0,
  })
})

test('loadDriver clears DO_DEVICE_INITIALIZING of the devices that DriverEntry made, which may be async', async () => {
  const flags = await onSystem(async () => {
    const box = { value: null as DEVICE_OBJECT | null }
    await load('Maker', async (driver) => {
      await Promise.resolve()
      return IoCreateDevice({
        DriverObject: driver,
        DeviceExtensionSize: 0,
        DeviceName: null,
        DeviceType: 0x22,
        DeviceCharacteristics: 0,
        Exclusive: false,
        DeviceObject: box,
      })
    })
    return (box.value?.Flags ?? 0) & DO_DEVICE_INITIALIZING
  })
  expect(flags).toBe(0)
})

test('loadDriver of a name that is loaded gives STATUS_IMAGE_ALREADY_LOADED, and does not call DriverEntry', async () => {
  const seen = await onSystem(async () => {
    await load('Once', () => STATUS_SUCCESS)
    let calls = 0
    const { status } = await load('Once', () => {
      calls += 1
      return STATUS_SUCCESS
    })
    return { status, calls }
  })
  expect(seen).toEqual({ status: STATUS_IMAGE_ALREADY_LOADED, calls: 0 })
})

test('loadDriver whose DriverEntry fails leaves no driver object', async () => {
  const seen = await onSystem(async () => {
    const { status, driver } = await load('Fails', () => STATUS_UNSUCCESSFUL)
    return { status, driver, left: referenceDriver('Fails') }
  })
  expect(seen).toEqual({ status: STATUS_UNSUCCESSFUL, driver: 0, left: 0 })
})

test('loadDriver without DriverEntry gives STATUS_DRIVER_ENTRYPOINT_NOT_FOUND', async () => {
  const { status } = await onSystem(() => loadDriver({ image: 7, name: 'None', driverEntry: null }))
  expect(status).toBe(STATUS_DRIVER_ENTRYPOINT_NOT_FOUND)
})

test('an exception that DriverEntry lets escape is bug check 0x1E', async () => {
  const crash = onSystem(() =>
    load('Throws', () => {
      throw new Error('oh')
    }),
  )
  await expect(crash).rejects.toMatchObject({ code: 0x1e })
})

test('unloadDriver calls DriverUnload with UNLOAD_INVOKED set, and takes the name away', async () => {
  const seen = await onSystem(async () => {
    let flags = 0
    await load('Leaves', (driver) => {
      driver.DriverUnload = (object) => {
        flags = object.Flags
      }
      return STATUS_SUCCESS
    })
    const result = await unloadDriver('Leaves')
    return { result, flags, left: referenceDriver('Leaves'), again: (await unloadDriver('Leaves')).status }
  })
  expect(seen).toEqual({
    result: { status: STATUS_SUCCESS, image: 7, leaks: [] },
    flags: 0x13,
    left: 0,
    again: STATUS_OBJECT_NAME_NOT_FOUND,
  })
})

test('unloadDriver of a driver without DriverUnload gives STATUS_INVALID_DEVICE_REQUEST', async () => {
  const { status } = await onSystem(async () => {
    await load('Stays', () => STATUS_SUCCESS)
    return unloadDriver('Stays')
  })
  expect(status).toBe(STATUS_INVALID_DEVICE_REQUEST)
})

test('unloadDriver reports a device that DriverUnload left', async () => {
  const leaks = await onSystem(async () => {
    const { driver } = await load('Leaks', (object) => {
      object.DriverUnload = () => {}
      return STATUS_SUCCESS
    })
    deviceOf(new DRIVER_OBJECT(driver))
    return (await unloadDriver('Leaks')).leaks
  })
  expect(leaks).toHaveLength(1)
})

test('unloadDriver of a driver one of whose devices is open gives STATUS_DEVICE_BUSY', async () => {
  const { status } = await onSystem(async () => {
    const driver = await driverWith()
    driver.DriverUnload = (object) => IoDeleteDevice(object.DeviceObject as DEVICE_OBJECT)
    deviceOf(driver, 'Busy')
    await openFile('Busy', 0x80000000)
    return unloadDriver(textOf(driver.DriverName).slice('\\Driver\\'.length))
  })
  expect(status).toBe(STATUS_DEVICE_BUSY)
})

const CLIENT = struct('TEST_CLIENT', { value: ULONG })

test('IoAllocateDriverObjectExtension with an id that is in use: STATUS_OBJECT_NAME_COLLISION, and null (WINE driver.c)', async () => {
  const seen = await onSystem(async () => {
    const driver = await driverWith()
    const first = { value: null as InstanceType<typeof CLIENT> | null }
    const second = { value: null as InstanceType<typeof CLIENT> | null }
    const statuses = [
      IoAllocateDriverObjectExtension(driver, 5, CLIENT, first),
      IoAllocateDriverObjectExtension(driver, 5, CLIENT, second),
    ]
    return { statuses, value: first.value?.value, second: second.value }
  })
  expect(seen).toEqual({ statuses: [STATUS_SUCCESS, STATUS_OBJECT_NAME_COLLISION], value: 0, second: null })
})

test('IoGetDriverObjectExtension finds an extension by its id, null where there is none', async () => {
  const seen = await onSystem(async () => {
    const driver = await driverWith()
    const box = { value: null as InstanceType<typeof CLIENT> | null }
    IoAllocateDriverObjectExtension(driver, driverWith, CLIENT, box)
    if (box.value !== null) box.value.value = 8
    const found = IoGetDriverObjectExtension(driver, driverWith) as InstanceType<typeof CLIENT>
    return [found.value, IoGetDriverObjectExtension(driver, 6)]
  })
  expect(seen).toEqual([8, null])
})
