/** A booted machine with the object manager and the I/O system, and small drivers for the tests. */
import { boot, type Machine } from '../../../machine/index.ts'
import { IRP_MJ_CLEANUP, IRP_MJ_CLOSE, IRP_MJ_CREATE, IRP_MJ_MAXIMUM_FUNCTION } from '../../../kernel/io/codes.ts'
import { completeRequest } from '../../../kernel/io/complete.ts'
import { IoAttachDeviceToDeviceStack } from '../../../kernel/io/attach.ts'
import { IoCreateDevice, IoCreateSymbolicLink } from '../../../kernel/io/device.ts'
import { loadDriver } from '../../../kernel/io/driver.ts'
import type { DEVICE_OBJECT, DRIVER_DISPATCH, IRP } from '../../../kernel/io/layouts.ts'
import { DRIVER_OBJECT } from '../../../kernel/io/layouts.ts'
import { poolUsage } from '../../../kernel/mm/pool.ts'
import { type NTSTATUS, STATUS_SUCCESS } from '../../../kernel/rtl/status.ts'
import type { AnyStruct } from '../../../kernel/rtl/struct.ts'

export const bootSystem = (): Promise<Machine> => boot({ localRoutines: true, build: 'checked' })

/** Boots, runs `body` on a system thread, and shuts down. */
export async function onSystem<T>(body: () => T | Promise<T>): Promise<T> {
  await using machine = await bootSystem()
  return await machine.run(body)
}

/** Completes an IRP as a driver does; gives back the status, to be returned. */
export function finish(irp: IRP, status: NTSTATUS, information = 0): NTSTATUS {
  irp.IoStatus.Status = status
  irp.IoStatus.Information = information
  completeRequest(irp.address)
  return status
}

export type Dispatch = { [major: number]: DRIVER_DISPATCH }

const state = { drivers: 0 }

/** Loads a driver whose dispatch table is `table`; create, cleanup and close succeed unless it says otherwise. */
export async function driverWith(table: Dispatch = {}): Promise<DRIVER_OBJECT> {
  const succeed: DRIVER_DISPATCH = (_device, irp) => finish(irp, STATUS_SUCCESS)
  const all: Dispatch = { [IRP_MJ_CREATE]: succeed, [IRP_MJ_CLEANUP]: succeed, [IRP_MJ_CLOSE]: succeed, ...table }
  const { status, driver } = await loadDriver({
    image: 0,
    name: `Test${state.drivers++}`,
    driverEntry(object: DRIVER_OBJECT) {
      for (let major = 0; major <= IRP_MJ_MAXIMUM_FUNCTION; major++) {
        const dispatch = all[major]
        if (dispatch !== undefined) object.MajorFunction.set(major, dispatch)
      }
      return STATUS_SUCCESS
    },
  })
  if (status !== STATUS_SUCCESS) throw new Error(`the test driver was not loaded: ${status}`)
  return new DRIVER_OBJECT(driver)
}

/** Makes a device that is ready. */
export function deviceOf(
  driver: DRIVER_OBJECT,
  name: string | null = null,
  extension: AnyStruct | 0 = 0,
): DEVICE_OBJECT {
  const box = { value: null as DEVICE_OBJECT | null }
  const status = IoCreateDevice({
    DriverObject: driver,
    DeviceExtensionSize: extension,
    DeviceName: name === null ? null : `\\Device\\${name}`,
    DeviceType: 0x22,
    DeviceCharacteristics: 0,
    Exclusive: false,
    DeviceObject: box,
  })
  if (box.value === null) throw new Error(`no device: ${status}`)
  if (name !== null) IoCreateSymbolicLink(`\\??\\${name}`, `\\Device\\${name}`)
  box.value.Flags &= ~0x80
  return box.value
}

/** A stack of devices, one for each table; the lowest first. */
export async function stackOf(...tables: Dispatch[]): Promise<DEVICE_OBJECT[]> {
  const devices: DEVICE_OBJECT[] = []
  for (const table of tables) {
    const device = deviceOf(await driverWith(table))
    const below = devices.at(-1)
    if (below !== undefined) IoAttachDeviceToDeviceStack(device, below)
    devices.push(device)
  }
  return devices
}

/** Bytes in use for each of the I/O system's tags. */
export function bytesByTag(): Record<string, number> {
  const tags = ['Irp ', 'IoRq', 'IoSb', 'User', 'Mdl ', 'IoFw', 'IoNm', 'IoRg', 'DrvE', 'File']
  const rows = poolUsage() as unknown as { tag: string; bytes: number }[]
  return Object.fromEntries(
    tags.map((tag) => [tag, rows.filter((row) => row.tag === tag).reduce((sum, row) => sum + row.bytes, 0)]),
  )
}
