/** A sensor whose ISR runs at PASSIVE_LEVEL, and asks the board for the value there. */
import {
  array,
  CONNECT_LINE_BASED,
  DEVICE_OBJECT,
  type DRIVER_OBJECT,
  globals,
  IoConnectInterruptEx,
  IoDisconnectInterruptEx,
  type IRP,
  IRP_MJ_PNP,
  KeGetCurrentIrql,
  KeSynchronizeExecution,
  KINTERRUPT,
  MmMapIoSpace,
  MmNonCached,
  MmUnmapIoSpace,
  type NTSTATUS,
  out,
  PASSIVE_LEVEL,
  pointer,
  readFresh,
  ref,
  STATUS_SUCCESS,
  struct,
  ULONG,
} from 'dirql/wdm'
import { attachDevice, dispatchPnp, type Resources } from 'dirql/pnp'

export const hardwareIds = ['test\\sensor']

const BYTES = 8
const MOST = 16

const SENSOR = struct('TEST_SENSOR', {
  Pdo: pointer<DEVICE_OBJECT>(() => DEVICE_OBJECT),
  Lower: pointer<DEVICE_OBJECT>(() => DEVICE_OBJECT),
  Registers: ULONG,
  Interrupt: pointer(KINTERRUPT),
  Level: ULONG, // of the translated resource
  // Guarded by the interrupt's event.
  Count: ULONG,
  Values: array(ULONG, MOST),
  Irqls: ULONG, // bit n: something ran at IRQL n
})
type SENSOR = InstanceType<typeof SENSOR>

export const Globals = globals({ Sensor: pointer(SENSOR) })

export function DriverEntry(driver: DRIVER_OBJECT): NTSTATUS {
  driver.MajorFunction.set(IRP_MJ_PNP, pnp)
  if (driver.DriverExtension !== null) driver.DriverExtension.AddDevice = addDevice
  driver.DriverUnload = unload
  return STATUS_SUCCESS
}

export function unload(_driver: DRIVER_OBJECT): void {}

export function addDevice(driver: DRIVER_OBJECT, pdo: DEVICE_OBJECT): NTSTATUS {
  return attachDevice<SENSOR>(driver, pdo, SENSOR, (sensor) => {
    sensor.Pdo = pdo
    Globals.Sensor = sensor
  })
}

const sensorOf = (device: DEVICE_OBJECT): SENSOR => device.DeviceExtension as unknown as SENSOR

export function pnp(device: DEVICE_OBJECT, irp: IRP): Promise<NTSTATUS> {
  return dispatchPnp(device, sensorOf(device).Lower as DEVICE_OBJECT, irp, { start, stop, remove: () => {} })
}

function start(device: DEVICE_OBJECT, { windows, interrupts }: Resources): NTSTATUS {
  const sensor = sensorOf(device)
  sensor.Registers = MmMapIoSpace(windows[0] as bigint, BYTES, MmNonCached)
  sensor.Level = interrupts[0]?.level ?? 99
  return IoConnectInterruptEx({
    Version: CONNECT_LINE_BASED,
    LineBased: {
      PhysicalDeviceObject: sensor.Pdo,
      InterruptObject: ref(sensor, 'Interrupt'),
      ServiceRoutine: isr,
      ServiceContext: sensor,
      SpinLock: null,
      SynchronizeIrql: PASSIVE_LEVEL,
      FloatingSave: false,
    },
  })
}

async function stop(device: DEVICE_OBJECT): Promise<void> {
  const sensor = sensorOf(device)
  const { Interrupt } = sensor
  if (Interrupt !== null) await IoDisconnectInterruptEx({ Version: CONNECT_LINE_BASED, ConnectionContext: Interrupt })
  sensor.Interrupt = null
  if (sensor.Registers !== 0) MmUnmapIoSpace(sensor.Registers, BYTES)
  sensor.Registers = 0
}

/** @irql PASSIVE_LEVEL */
export async function isr(_interrupt: KINTERRUPT, sensor: SENSOR): Promise<boolean> {
  const value = out<number>()
  if ((await readFresh(sensor.Registers, value)) !== STATUS_SUCCESS) return false
  sensor.Irqls |= 1 << KeGetCurrentIrql()
  sensor.Values[sensor.Count % MOST] = value.value
  sensor.Count += 1
  return true
}

/** What the ISR has read so far, and at which levels: told under the interrupt's event. */
export async function read(): Promise<{ values: number[]; irqls: number; level: number }> {
  const sensor = Globals.Sensor as SENSOR
  const values: number[] = []
  const look = async (): Promise<boolean> => {
    values.push(...sensor.Values.slice(0, sensor.Count))
    return true
  }
  await KeSynchronizeExecution(sensor.Interrupt as KINTERRUPT, look, null)
  return { values, irqls: sensor.Irqls, level: sensor.Level }
}
