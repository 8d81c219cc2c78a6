import { expect, test } from 'vitest'
import {
  IoAttachDevice,
  IoAttachDeviceToDeviceStack,
  IoDetachDevice,
  IoGetAttachedDevice,
  IoGetAttachedDeviceReference,
} from '../../../kernel/io/attach.ts'
import {
  DO_DEVICE_HAS_NAME,
  DO_DEVICE_INITIALIZING,
  DO_EXCLUSIVE,
  IRP_MJ_CLEANUP,
  IRP_MJ_CLOSE,
  IRP_MJ_CREATE,
} from '../../../kernel/io/codes.ts'
import {
  IoCreateDevice,
  IoCreateSymbolicLink,
  IoDeleteDevice,
  IoDeleteSymbolicLink,
  IoGetDeviceObjectPointer,
  IoGetRelatedDeviceObject,
} from '../../../kernel/io/device.ts'
import type { DEVICE_OBJECT, DRIVER_DISPATCH, DRIVER_OBJECT, FILE_OBJECT } from '../../../kernel/io/layouts.ts'
import { dereferenceObject, pointerCount } from '../../../kernel/ob/reference.ts'
import {
  STATUS_OBJECT_NAME_COLLISION,
  STATUS_OBJECT_NAME_NOT_FOUND,
  STATUS_OBJECT_PATH_NOT_FOUND,
  STATUS_OBJECT_TYPE_MISMATCH,
  STATUS_SUCCESS,
} from '../../../kernel/rtl/status.ts'
import { same, struct, ULONG } from '../../../kernel/rtl/struct.ts'
import { settleDeletions } from '../../../kernel/io/driver.ts'
import { deviceOf, driverWith, finish, onSystem } from './system.ts'

const EXTENSION = struct('TEST_EXTENSION', { count: ULONG, more: ULONG })
type EXTENSION = InstanceType<typeof EXTENSION>

function create(driver: DRIVER_OBJECT, name: string | null, exclusive = false) {
  const box = { value: null as DEVICE_OBJECT | null }
  const status = IoCreateDevice({
    DriverObject: driver,
    DeviceExtensionSize: EXTENSION,
    DeviceName: name,
    DeviceType: 0x22,
    DeviceCharacteristics: 0x100,
    Exclusive: exclusive,
    DeviceObject: box,
  })
  return { status, device: box.value }
}

test('IoCreateDevice makes a device of type 3 with StackSize 1, initializing, at the head of its driver’s list', async () => {
  const seen = await onSystem(async () => {
    const driver = await driverWith()
    const older = create(driver, null).device as DEVICE_OBJECT
    const device = create(driver, '\\Device\\Named', true).device as DEVICE_OBJECT
    const { Type, ReferenceCount, StackSize, Flags, DeviceType, Characteristics } = device
    const isLinked = same(driver.DeviceObject, device) && same(device.NextDevice, older)
    return { Type, ReferenceCount, StackSize, Flags, DeviceType, Characteristics, isLinked, older: older.Flags }
  })
  expect(seen).toEqual({
    Type: 3,
    ReferenceCount: 0,
    StackSize: 1,
    Flags: DO_DEVICE_INITIALIZING | DO_DEVICE_HAS_NAME | DO_EXCLUSIVE,
    DeviceType: 0x22,
    Characteristics: 0x100,
    isLinked: true,
    older: DO_DEVICE_INITIALIZING,
  })
})

test('IoCreateDevice gives a zeroed extension that DeviceExtension reads as its struct', async () => {
  const seen = await onSystem(async () => {
    const device = create(await driverWith(), null).device as DEVICE_OBJECT
    const extension = device.DeviceExtension as EXTENSION
    const before = extension.count
    extension.count = 4
    return { before, after: (device.DeviceExtension as EXTENSION).count, isStruct: extension instanceof EXTENSION }
  })
  expect(seen).toEqual({ before: 0, after: 4, isStruct: true })
})

test.each([
  ['a name that is taken', '\\Device\\Twice', STATUS_OBJECT_NAME_COLLISION],
  ['a missing directory', '\\Nowhere\\Device0', STATUS_OBJECT_PATH_NOT_FOUND],
])('IoCreateDevice with %s (KMT IoDeviceObject, 2003)', async (_name, path, expected) => {
  const seen = await onSystem(async () => {
    const driver = await driverWith()
    create(driver, '\\Device\\Twice')
    const { status, device } = create(driver, path)
    return { status, device, devices: driver.DeviceObject?.NextDevice ?? null }
  })
  expect(seen).toEqual({ status: expected, device: null, devices: null })
})

test('IoDeleteDevice takes the device off its driver’s list, and frees its name at once', async () => {
  const seen = await onSystem(async () => {
    const driver = await driverWith()
    IoDeleteDevice(create(driver, '\\Device\\Gone').device as DEVICE_OBJECT)
    return { list: driver.DeviceObject, again: create(driver, '\\Device\\Gone').status }
  })
  expect(seen).toEqual({ list: null, again: STATUS_SUCCESS })
})

test('IoDeleteDevice twice is bug check 0xC9, subcode 0x240', async () => {
  const crash = onSystem(async () => {
    const driver = await driverWith()
    const lower = deviceOf(driver)
    const upper = deviceOf(driver)
    IoAttachDeviceToDeviceStack(upper, lower) // keeps the memory
    IoDeleteDevice(lower)
    IoDeleteDevice(lower)
  })
  await expect(crash).rejects.toMatchObject({ code: 0xc9, parameters: [0x240, expect.anything(), 0, 0] })
})

test('IoDeleteDevice of a device that is still attached is bug check 0xC9, subcode 0x201', async () => {
  const crash = onSystem(async () => {
    const driver = await driverWith()
    const upper = deviceOf(driver)
    IoAttachDeviceToDeviceStack(upper, deviceOf(driver))
    IoDeleteDevice(upper)
  })
  await expect(crash).rejects.toMatchObject({ code: 0xc9, parameters: [0x201, expect.anything(), 0, 0] })
})

test('IoAttachDeviceToDeviceStack attaches to the top of the stack, whichever device is named', async () => {
  const seen = await onSystem(async () => {
    const driver = await driverWith()
    const [bottom, middle, top] = [deviceOf(driver), deviceOf(driver), deviceOf(driver)]
    bottom.AlignmentRequirement = 3
    const first = IoAttachDeviceToDeviceStack(middle, bottom)
    const second = IoAttachDeviceToDeviceStack(top, bottom)
    return {
      isFirst: same(first, bottom),
      isSecond: same(second, middle),
      sizes: [bottom.StackSize, middle.StackSize, top.StackSize],
      alignment: top.AlignmentRequirement,
    }
  })
  expect(seen).toEqual({ isFirst: true, isSecond: true, sizes: [1, 2, 3], alignment: 3 })
})

test('IoAttachDeviceToDeviceStack returns null for a device that is still initializing', async () => {
  const below = await onSystem(async () => {
    const driver = await driverWith()
    return IoAttachDeviceToDeviceStack(deviceOf(driver), create(driver, null).device as DEVICE_OBJECT)
  })
  expect(below).toBe(null)
})

test('IoDetachDevice breaks the link above the device, and leaves StackSize', async () => {
  const seen = await onSystem(async () => {
    const driver = await driverWith()
    const [lower, upper] = [deviceOf(driver), deviceOf(driver)]
    IoAttachDeviceToDeviceStack(upper, lower)
    const references = pointerCount(lower.address)
    IoDetachDevice(lower)
    return { above: lower.AttachedDevice, size: upper.StackSize, dropped: references - pointerCount(lower.address) }
  })
  expect(seen).toEqual({ above: null, size: 2, dropped: 1 })
})

test('IoDetachDevice from nothing is bug check 0xC9, subcode 0x202', async () => {
  const crash = onSystem(async () => IoDetachDevice(deviceOf(await driverWith())))
  await expect(crash).rejects.toMatchObject({ code: 0xc9, parameters: [0x202, expect.anything(), 0, 0] })
})

test('IoGetAttachedDeviceReference gives the top of the stack with a reference, IoGetAttachedDevice without', async () => {
  const seen = await onSystem(async () => {
    const driver = await driverWith()
    const [lower, upper] = [deviceOf(driver), deviceOf(driver)]
    IoAttachDeviceToDeviceStack(upper, lower)
    const before = pointerCount(upper.address)
    const plain = IoGetAttachedDevice(lower)
    const top = IoGetAttachedDeviceReference(lower)
    return [same(plain, upper), same(top, upper), pointerCount(upper.address) - before]
  })
  expect(seen).toEqual([true, true, 1])
})

test('IoGetAttachedDevice of a device alone is the device', async () => {
  expect(
    await onSystem(async () => {
      const device = deviceOf(await driverWith())
      return same(IoGetAttachedDevice(device), device)
    }),
  ).toBe(true)
})

test('IoAttachDevice finds the device by its name, without opening it', async () => {
  const seen = await onSystem(async () => {
    let opens = 0
    const count: DRIVER_DISPATCH = (_device, irp) => {
      opens += 1
      return finish(irp, STATUS_SUCCESS)
    }
    const driver = await driverWith({ [IRP_MJ_CREATE]: count })
    const [lower, upper] = [deviceOf(driver, 'Lower'), deviceOf(driver)]
    const box = { value: null as DEVICE_OBJECT | null }
    const status = IoAttachDevice(upper, '\\??\\Lower', box)
    return { status, isLower: same(box.value, lower), opens, missing: IoAttachDevice(upper, '\\Device\\None', box) }
  })
  expect(seen).toEqual({ status: STATUS_SUCCESS, isLower: true, opens: 0, missing: STATUS_OBJECT_NAME_NOT_FOUND })
})

test('IoCreateSymbolicLink makes a name that may be taken once', async () => {
  const seen = await onSystem(() => [
    IoCreateSymbolicLink('\\??\\Link', '\\Device\\Later'),
    IoCreateSymbolicLink('\\DosDevices\\link', '\\Device\\Later'),
  ])
  expect(seen).toEqual([STATUS_SUCCESS, STATUS_OBJECT_NAME_COLLISION])
})

test('IoDeleteSymbolicLink frees the name; a second time there is none, and a device is no link', async () => {
  const seen = await onSystem(async () => {
    deviceOf(await driverWith(), 'Linked')
    return [
      IoDeleteSymbolicLink('\\??\\Linked'),
      IoDeleteSymbolicLink('\\??\\Linked'),
      IoDeleteSymbolicLink('\\Device\\Linked'),
    ]
  })
  expect(seen).toEqual([STATUS_SUCCESS, STATUS_OBJECT_NAME_NOT_FOUND, STATUS_OBJECT_TYPE_MISMATCH])
})

test('IoGetDeviceObjectPointer opens the device, gives the top of its stack, and closes when the file object goes', async () => {
  const seen = await onSystem(async () => {
    const order: string[] = []
    const note =
      (what: string): DRIVER_DISPATCH =>
      (_device, irp) => {
        order.push(what)
        return finish(irp, STATUS_SUCCESS)
      }
    const driver = await driverWith({
      [IRP_MJ_CREATE]: note('create'),
      [IRP_MJ_CLEANUP]: note('cleanup'),
      [IRP_MJ_CLOSE]: note('close'),
    })
    const lower = deviceOf(driver, 'Pointed')
    const upper = deviceOf(driver)
    IoAttachDeviceToDeviceStack(upper, lower)
    const file = { value: null as FILE_OBJECT | null }
    const device = { value: null as DEVICE_OBJECT | null }
    const status = await IoGetDeviceObjectPointer('\\Device\\Pointed', 0x80, file, device)
    const isTop = same(device.value, upper) && same(IoGetRelatedDeviceObject(file.value as FILE_OBJECT), upper)
    order.push(`opens ${lower.ReferenceCount}`)
    dereferenceObject((file.value as FILE_OBJECT).address)
    await settleDeletions()
    return { status, isTop, order, opens: lower.ReferenceCount }
  })
  expect(seen).toEqual({
    status: STATUS_SUCCESS,
    isTop: true,
    order: ['create', 'cleanup', 'opens 1', 'close'],
    opens: 0,
  })
})

test('IoGetRelatedDeviceObject is the named device where nothing is attached', async () => {
  const isSame = await onSystem(async () => {
    const device = deviceOf(await driverWith(), 'Alone')
    const file = { value: null as FILE_OBJECT | null }
    await IoGetDeviceObjectPointer('\\??\\Alone', 0x80, file, { value: null })
    const isSame = same(IoGetRelatedDeviceObject(file.value as FILE_OBJECT), device)
    dereferenceObject((file.value as FILE_OBJECT).address)
    return isSame
  })
  expect(isSame).toBe(true)
})

test('IoCreateDevice with FILE_AUTOGENERATED_DEVICE_NAME gives each device a name of its own', async () => {
  const statuses = await onSystem(async () => {
    const driver = await driverWith()
    return [1, 2].map(() => {
      const box = { value: null as DEVICE_OBJECT | null }
      const wanted = {
        DriverObject: driver,
        DeviceExtensionSize: 0,
        DeviceName: null,
        DeviceType: 0x22,
        Exclusive: false,
      }
      const status = IoCreateDevice({ ...wanted, DeviceCharacteristics: 0x80, DeviceObject: box })
      return [status, (box.value?.Flags ?? 0) & DO_DEVICE_HAS_NAME]
    })
  })
  expect(statuses).toEqual([
    [STATUS_SUCCESS, DO_DEVICE_HAS_NAME],
    [STATUS_SUCCESS, DO_DEVICE_HAS_NAME],
  ])
})
