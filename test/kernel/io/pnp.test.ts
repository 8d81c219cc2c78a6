import { describe, expect, test } from 'vitest'
import { boot } from '../../../machine/index.ts'
import type { Machine } from '../../../machine/index.ts'
import { KeGetCurrentIrql } from '../../../kernel/ke/level.ts'
import { KeDelayExecutionThread, KernelMode } from '../../../kernel/ke/wait.ts'
import { IoAttachDeviceToDeviceStack, IoDetachDevice } from '../../../kernel/io/attach.ts'
import { IoCallDriver } from '../../../kernel/io/call.ts'
import * as codes from '../../../kernel/io/codes.ts'
import { IoCreateDevice, IoDeleteDevice } from '../../../kernel/io/device.ts'
import { instancePath, nodeOf, NodeState, stateOf } from '../../../kernel/io/devnode.ts'
import { loadDriver } from '../../../kernel/io/driver.ts'
import { IoForwardIrpSynchronously } from '../../../kernel/io/build.ts'
import { IoGetCurrentIrpStackLocation, IoSkipCurrentIrpStackLocation } from '../../../kernel/io/irp.ts'
import { DEVICE_OBJECT, DRIVER_OBJECT, type IRP } from '../../../kernel/io/layouts.ts'
import {
  DevicePropertyAddress,
  DevicePropertyBusNumber,
  DevicePropertyEnumeratorName,
  DevicePropertyHardwareID,
  DevicePropertyLocationInformation,
  IoGetDeviceProperty,
  IoInvalidateDeviceRelations,
  IoInvalidateDeviceState,
  IoRequestDeviceEject,
} from '../../../kernel/io/pnp.ts'
import { registerHardwareIds, releaseDriverDevices } from '../../../kernel/io/pnpdrivers.ts'
import {
  DEVICE_RELATIONS,
  type DEVICE_CAPABILITIES,
  BusRelations,
  BusQueryInstanceID,
} from '../../../kernel/io/pnpirp.ts'
import { Action, doAction, pnpIdle } from '../../../kernel/io/pnpqueue.ts'
import { CM_RESOURCE_LIST, CmResourceTypeInterrupt, CmResourceTypeMemory } from '../../../kernel/io/resources.ts'
import { reportRootDevice, reportRootDeviceMissing } from '../../../kernel/io/rootbus.ts'
import { closeHandle } from '../../../kernel/ob/handle.ts'
import { captureAttributes, allocateText } from '../../../kernel/ob/attributes.ts'
import { openByName } from '../../../kernel/ob/object.ts'
import { ObReferenceObject } from '../../../kernel/ob/reference.ts'
import { allocate, allocateStruct, poolUsage } from '../../../kernel/mm/pool.ts'
import { mem } from '../../../kernel/mm/memory.ts'
import { fileType, openPacket } from '../../../kernel/io/open.ts'
import {
  NT_SUCCESS,
  type NTSTATUS,
  STATUS_BUFFER_TOO_SMALL,
  STATUS_INVALID_DEVICE_REQUEST,
  STATUS_NO_SUCH_DEVICE,
  STATUS_OBJECT_NAME_NOT_FOUND,
  STATUS_SUCCESS,
  STATUS_UNSUCCESSFUL,
} from '../../../kernel/rtl/status.ts'
import { pointer, struct } from '../../../kernel/rtl/struct.ts'
import { finish } from './system.ts'

const EXT = struct('PNP_TEST_EXT', { Lower: pointer(DEVICE_OBJECT), Pdo: pointer(DEVICE_OBJECT) })
const extensionOf = (device: DEVICE_OBJECT): InstanceType<typeof EXT> =>
  device.DeviceExtension as unknown as InstanceType<typeof EXT>

const NAMES = new Map<number, string>(
  Object.entries(codes)
    .filter(([name]) => name.startsWith('IRP_MN_') && !/POWER|WAIT_WAKE|DIRECTORY/.test(name))
    .map(([name, code]) => [code as number, name.slice('IRP_MN_'.length)]),
)

/** What a test's function driver does differently; `log` gets every PnP request's name. */
interface Behaviour {
  log: string[]
  name?: string
  start?: (irp: IRP) => NTSTATUS
  queryRemove?: NTSTATUS
  queryStop?: NTSTATUS
  pnpState?: number
  onMinor?: (minor: number) => void | Promise<void>
  children?: () => (DEVICE_OBJECT | null)[]
  keepAttached?: boolean
}

const names = { next: 0 }

/** Loads a function driver that behaves like that, for devices with `hardwareId`. */
async function functionDriver(hardwareId: string | null, behaviour: Behaviour): Promise<DRIVER_OBJECT> {
  const loaded = await loadDriver({
    image: 0,
    name: `Pnp${names.next++}`,
    driverEntry(driver: DRIVER_OBJECT) {
      const succeed = (_device: DEVICE_OBJECT, irp: IRP): NTSTATUS => finish(irp, STATUS_SUCCESS)
      for (const major of [codes.IRP_MJ_CREATE, codes.IRP_MJ_CLEANUP, codes.IRP_MJ_CLOSE]) {
        driver.MajorFunction.set(major, succeed)
      }
      driver.MajorFunction.set(codes.IRP_MJ_PNP, (device, irp) => dispatchPnp(device, irp, behaviour))
      const extension = driver.DriverExtension
      if (extension !== null)
        extension.AddDevice = (object: DRIVER_OBJECT, pdo: DEVICE_OBJECT) => addDevice(object, pdo, behaviour)
      return STATUS_SUCCESS
    },
  })
  if (hardwareId !== null) registerHardwareIds(loaded.driver, [hardwareId])
  return new DRIVER_OBJECT(loaded.driver)
}

function addDevice(driver: DRIVER_OBJECT, pdo: DEVICE_OBJECT, { log, name }: Behaviour): NTSTATUS {
  log.push(`AddDevice at ${KeGetCurrentIrql()}`)
  const box: { value: DEVICE_OBJECT | null } = { value: null }
  IoCreateDevice({
    DriverObject: driver,
    DeviceExtensionSize: EXT,
    DeviceName: name === undefined ? null : `\\Device\\${name}`,
    DeviceType: 0x22,
    DeviceCharacteristics: 0,
    Exclusive: false,
    DeviceObject: box,
  })
  const fdo = box.value as DEVICE_OBJECT
  const extension = extensionOf(fdo)
  extension.Pdo = pdo
  extension.Lower = IoAttachDeviceToDeviceStack(fdo, pdo)
  fdo.Flags &= ~codes.DO_DEVICE_INITIALIZING
  return STATUS_SUCCESS
}

async function dispatchPnp(device: DEVICE_OBJECT, irp: IRP, behaviour: Behaviour): Promise<NTSTATUS> {
  const { MinorFunction, Parameters } = IoGetCurrentIrpStackLocation(irp)
  const lower = extensionOf(device).Lower as DEVICE_OBJECT
  const isQuiet = [codes.IRP_MN_QUERY_CAPABILITIES, codes.IRP_MN_QUERY_PNP_DEVICE_STATE].includes(
    MinorFunction as never,
  )
  if (!isQuiet && MinorFunction !== codes.IRP_MN_QUERY_DEVICE_RELATIONS)
    behaviour.log.push(NAMES.get(MinorFunction) ?? '?')
  await behaviour.onMinor?.(MinorFunction)
  switch (MinorFunction) {
    case codes.IRP_MN_START_DEVICE: {
      await IoForwardIrpSynchronously(lower, irp)
      return finish(irp, behaviour.start?.(irp) ?? irp.IoStatus.Status)
    }
    case codes.IRP_MN_QUERY_DEVICE_RELATIONS:
      if (behaviour.children === undefined || Parameters.QueryDeviceRelations.Type !== BusRelations) break
      return finish(irp, STATUS_SUCCESS, relations(behaviour.children()))
    case codes.IRP_MN_QUERY_PNP_DEVICE_STATE:
      if (behaviour.pnpState === undefined) break
      return finish(irp, STATUS_SUCCESS, behaviour.pnpState)
    case codes.IRP_MN_QUERY_REMOVE_DEVICE:
      if (behaviour.queryRemove !== undefined) return finish(irp, behaviour.queryRemove)
      break
    case codes.IRP_MN_QUERY_STOP_DEVICE:
      if (behaviour.queryStop !== undefined) return finish(irp, behaviour.queryStop)
      break
    case codes.IRP_MN_REMOVE_DEVICE: {
      IoSkipCurrentIrpStackLocation(irp)
      const status = await IoCallDriver(lower, irp)
      if (behaviour.keepAttached === true) return status
      IoDetachDevice(lower)
      IoDeleteDevice(device)
      return status
    }
    default:
      break
  }
  IoSkipCurrentIrpStackLocation(irp)
  return await IoCallDriver(lower, irp)
}

function relations(devices: readonly (DEVICE_OBJECT | null)[]): number {
  const list = allocateStruct(DEVICE_RELATIONS, 'Test')
  if (list === null) return 0
  list.Count = devices.length
  for (const [index, device] of devices.entries()) {
    if (device !== null) ObReferenceObject(device)
    list.Objects.set(index, device)
  }
  return list.address
}

const bootPnp = (): Promise<Machine> => boot({ localRoutines: true })

const open = async (name: string): Promise<{ status: NTSTATUS; handle: number }> =>
  openByName({
    attributes: captureAttributes({ ObjectName: `\\Device\\${name}` }, KernelMode),
    type: fileType,
    access: 1,
    mode: KernelMode,
    context: openPacket(),
  })

const device = (instanceId = '0'): Parameters<typeof reportRootDevice>[0] => ({
  hardwareIds: ['Root\\TESTDEV'],
  instanceId,
})

describe('a device comes', () => {
  test('a reported device is added and started at PASSIVE_LEVEL by the driver that declares its id', async () => {
    await using machine = await bootPnp()
    const log: string[] = []
    const state = await machine.run(async () => {
      await functionDriver('root\\testdev', { log })
      const pdo = reportRootDevice(device())
      await pnpIdle()
      return stateOf(nodeOf(pdo))
    })
    expect(log).toEqual(['AddDevice at 0', 'START_DEVICE'])
    expect(state).toBe(NodeState.Started)
  })

  test('a device that came before its driver is started when the driver is loaded', async () => {
    await using machine = await bootPnp()
    const log: string[] = []
    const states = await machine.run(async () => {
      const pdo = reportRootDevice(device())
      await pnpIdle()
      const before = stateOf(nodeOf(pdo))
      await functionDriver('ROOT\\TestDev', { log })
      await pnpIdle()
      return [before, stateOf(nodeOf(pdo))]
    })
    expect(states).toEqual([NodeState.Uninitialized, NodeState.Started])
    expect(log).toEqual(['AddDevice at 0', 'START_DEVICE'])
  })

  test('START_DEVICE brings the device’s memory window and interrupt vectors', async () => {
    await using machine = await bootPnp()
    const seen: unknown[] = []
    await machine.run(async () => {
      const start = (irp: IRP): NTSTATUS => {
        const list = IoGetCurrentIrpStackLocation(irp).Parameters.StartDevice
          .AllocatedResourcesTranslated as CM_RESOURCE_LIST
        const { Count, PartialDescriptors } = list.List.at(0).PartialResourceList
        for (let index = 0; index < Count; index++) {
          const { Type, Flags, u } = PartialDescriptors.at(index)
          if (Type === CmResourceTypeMemory) seen.push([u.Memory.Start, u.Memory.Length])
          if (Type === CmResourceTypeInterrupt) seen.push([u.Interrupt.Level, u.Interrupt.Vector, Flags])
        }
        return STATUS_SUCCESS
      }
      await functionDriver('root\\testdev', { log: [], start })
      reportRootDevice({
        ...device(),
        resources: [
          { kind: 'memory', start: 0x40000, length: 0x800 },
          { kind: 'interrupt', vector: 0x503, level: 5, latched: true },
        ],
      })
      await pnpIdle()
    })
    expect(seen).toEqual([
      [0x40000n, 0x800],
      [5, 0x503, 1],
    ])
  })

  // wdm-facts §15.1: "failing -> PnP sends REMOVE"
  test('a START_DEVICE that fails is followed by REMOVE_DEVICE alone, and the device stays without a driver', async () => {
    await using machine = await bootPnp()
    const log: string[] = []
    const state = await machine.run(async () => {
      await functionDriver('root\\testdev', { log, start: () => STATUS_UNSUCCESSFUL })
      const pdo = reportRootDevice(device())
      await pnpIdle()
      return stateOf(nodeOf(pdo))
    })
    expect(log).toEqual(['AddDevice at 0', 'START_DEVICE', 'REMOVE_DEVICE'])
    expect(state).toBe(NodeState.Failed)
  })

  // wdm-facts §15.4 [WINE driver_pnp.c]: "Raw PDO without RawDeviceOK gets no START"
  test.each([
    [true, NodeState.Started],
    [false, NodeState.Uninitialized],
  ])('a device without a driver and RawDeviceOK %s ends in state %i', async (rawDeviceOk, expected) => {
    await using machine = await bootPnp()
    const state = await machine.run(async () => {
      const pdo = reportRootDevice({ ...device(), rawDeviceOk })
      await pnpIdle()
      return stateOf(nodeOf(pdo))
    })
    expect(state).toBe(expected)
  })

  // wdm-facts §15.2: "Create requests are held off by PnP until START succeeds"
  test('a create waits until the start is through', async () => {
    await using machine = await bootPnp()
    const order: string[] = []
    const onMinor = async (minor: number): Promise<void> => {
      if (minor !== codes.IRP_MN_START_DEVICE) return
      await KeDelayExecutionThread(KernelMode, false, -50_000)
      order.push('started')
    }
    await machine.run(async () => {
      await functionDriver('root\\testdev', { log: [], name: 'HeldOff', onMinor })
      reportRootDevice(device())
      await KeDelayExecutionThread(KernelMode, false, -20_000)
      const { status, handle } = await open('HeldOff')
      order.push(NT_SUCCESS(status) ? 'opened' : 'failed')
      await closeHandle(handle, KernelMode)
    })
    expect(order).toEqual(['started', 'opened'])
  })

  test('a create fails with STATUS_NO_SUCH_DEVICE when the start fails', async () => {
    await using machine = await bootPnp()
    const status = await machine.run(async () => {
      const onMinor = async (minor: number): Promise<void> => {
        if (minor === codes.IRP_MN_START_DEVICE) await KeDelayExecutionThread(KernelMode, false, -50_000)
      }
      await functionDriver('root\\testdev', { log: [], name: 'Fails', onMinor, start: () => STATUS_UNSUCCESSFUL })
      reportRootDevice(device())
      await KeDelayExecutionThread(KernelMode, false, -20_000)
      return (await open('Fails')).status
    })
    expect(status).toBe(STATUS_NO_SUCH_DEVICE)
  })
})

describe('a device goes', () => {
  // wdm-facts §15.4 [WINE driver_pnp.c], the order measured for a lost child
  test('SURPRISE_REMOVAL comes once and without QUERY_REMOVE, REMOVE_DEVICE when the last handle is closed', async () => {
    await using machine = await bootPnp()
    const log: string[] = []
    await machine.run(async () => {
      await functionDriver('root\\testdev', { log, name: 'Lost' })
      const pdo = reportRootDevice(device())
      await pnpIdle()
      const { handle } = await open('Lost')
      log.push('-')
      reportRootDeviceMissing(pdo)
      log.push('returned')
      await pnpIdle()
      log.push(`open: ${(await open('Lost')).status === STATUS_NO_SUCH_DEVICE}`)
      await closeHandle(handle, KernelMode)
      await pnpIdle()
    })
    expect(log.slice(log.indexOf('-') + 1)).toEqual(['returned', 'SURPRISE_REMOVAL', 'open: true', 'REMOVE_DEVICE'])
  })

  test('a device that comes and goes leaves no memory behind', async () => {
    await using machine = await bootPnp()
    const leaked = await machine.run(async () => {
      await functionDriver('root\\testdev', { log: [] })
      const once = async (): Promise<number> => {
        const pdo = reportRootDevice(device())
        await pnpIdle()
        reportRootDeviceMissing(pdo)
        await pnpIdle()
        await KeDelayExecutionThread(KernelMode, false, -10_000)
        return poolUsage().reduce((sum, row) => sum + row.bytes, 0)
      }
      await once()
      const before = await once()
      return (await once()) - before
    })
    expect(leaked).toBe(0)
  })

  test('REMOVE_DEVICE that leaves a device attached is bug check 0x121', async () => {
    await using machine = await bootPnp()
    const removal = machine.run(async () => {
      await functionDriver('root\\testdev', { log: [], keepAttached: true })
      const pdo = reportRootDevice(device())
      await pnpIdle()
      reportRootDeviceMissing(pdo)
      await pnpIdle()
    })
    await expect(removal).rejects.toMatchObject({ code: 0x121 })
  })

  test('IoRequestDeviceEject removes a device whose drivers agree', async () => {
    await using machine = await bootPnp()
    const log: string[] = []
    await machine.run(async () => {
      await functionDriver('root\\testdev', { log })
      const pdo = reportRootDevice(device())
      await pnpIdle()
      log.length = 0
      IoRequestDeviceEject(new DEVICE_OBJECT(pdo))
      await pnpIdle()
    })
    expect(log).toEqual(['QUERY_REMOVE_DEVICE', 'REMOVE_DEVICE'])
  })

  // wdm-facts §15.4: "On any refusal PnP sends CANCEL_REMOVE to the stack"
  test.each([
    ['a driver refuses', { queryRemove: STATUS_UNSUCCESSFUL }, false],
    ['a handle is open', {}, true],
  ])('a removal when %s is taken back by CANCEL_REMOVE_DEVICE, and the device runs on', async (_, over, isOpen) => {
    await using machine = await bootPnp()
    const log: string[] = []
    const seen = await machine.run(async () => {
      await functionDriver('root\\testdev', { log, name: 'Refuses', ...over })
      const pdo = reportRootDevice(device())
      await pnpIdle()
      if (isOpen) await open('Refuses')
      log.length = 0
      const status = await doAction(Action.Remove, pdo)
      return [status, stateOf(nodeOf(pdo))]
    })
    expect(seen).toEqual([STATUS_UNSUCCESSFUL, NodeState.Started])
    expect(log).toEqual(['QUERY_REMOVE_DEVICE', 'CANCEL_REMOVE_DEVICE'])
  })

  test('releaseDriverDevices removes a driver’s devices, and a driver that comes later gets them', async () => {
    await using machine = await bootPnp()
    const [first, second]: string[][] = [[], []]
    await machine.run(async () => {
      const driver = await functionDriver('root\\testdev', { log: first as string[] })
      reportRootDevice(device())
      await pnpIdle()
      await releaseDriverDevices(driver.address)
      await functionDriver('root\\testdev', { log: second as string[] })
      await pnpIdle()
    })
    expect(first).toEqual(['AddDevice at 0', 'START_DEVICE', 'QUERY_REMOVE_DEVICE', 'REMOVE_DEVICE'])
    expect(second).toEqual(['AddDevice at 0', 'START_DEVICE'])
  })
})

describe('a device changes', () => {
  // wdm-facts §15.4: PNP_DEVICE_FAILED causes a surprise removal
  test('IoInvalidateDeviceState has the driver asked, and PNP_DEVICE_FAILED ends in SURPRISE_REMOVAL and REMOVE', async () => {
    await using machine = await bootPnp()
    const log: string[] = []
    const behaviour: Behaviour = { log }
    const state = await machine.run(async () => {
      await functionDriver('root\\testdev', behaviour)
      const pdo = reportRootDevice(device())
      await pnpIdle()
      log.length = 0
      behaviour.pnpState = 4
      IoInvalidateDeviceState(new DEVICE_OBJECT(pdo))
      await pnpIdle()
      return stateOf(nodeOf(pdo))
    })
    expect(log).toEqual(['SURPRISE_REMOVAL', 'REMOVE_DEVICE'])
    expect(state).toBe(NodeState.Failed)
  })

  // wdm-facts §15.3
  test.each([
    ['agrees', undefined, STATUS_SUCCESS, ['QUERY_STOP_DEVICE', 'STOP_DEVICE', 'START_DEVICE']],
    ['refuses', STATUS_UNSUCCESSFUL, STATUS_UNSUCCESSFUL, ['QUERY_STOP_DEVICE', 'CANCEL_STOP_DEVICE']],
  ])('a restart that the driver %s', async (_, queryStop, expected, requests) => {
    await using machine = await bootPnp()
    const log: string[] = []
    const status = await machine.run(async () => {
      await functionDriver('root\\testdev', { log, ...(queryStop === undefined ? {} : { queryStop }) })
      const pdo = reportRootDevice(device())
      await pnpIdle()
      log.length = 0
      return await doAction(Action.Restart, pdo)
    })
    expect(status).toBe(expected)
    expect(log).toEqual(requests)
  })
})

describe('a bus driver of one’s own', () => {
  /** A PDO of `driver`; its requests go to the driver's PnP dispatch, which must answer for it. */
  function childOf(driver: DRIVER_OBJECT): DEVICE_OBJECT {
    const box: { value: DEVICE_OBJECT | null } = { value: null }
    IoCreateDevice({
      DriverObject: driver,
      DeviceExtensionSize: EXT,
      DeviceName: null,
      DeviceType: 0x22,
      DeviceCharacteristics: codes.FILE_AUTOGENERATED_DEVICE_NAME,
      Exclusive: false,
      DeviceObject: box,
    })
    const child = box.value as DEVICE_OBJECT
    child.Flags &= ~codes.DO_DEVICE_INITIALIZING
    return child
  }

  /** A driver that only answers for PDOs, its own being none's function driver. */
  async function pdoDriver(log: string[], present: () => DEVICE_OBJECT[]): Promise<DRIVER_OBJECT> {
    const driver = await functionDriver(null, { log })
    driver.MajorFunction.set(codes.IRP_MJ_PNP, (pdo: DEVICE_OBJECT, irp: IRP) => {
      const { MinorFunction, Parameters } = IoGetCurrentIrpStackLocation(irp)
      switch (MinorFunction) {
        case codes.IRP_MN_START_DEVICE:
        case codes.IRP_MN_SURPRISE_REMOVAL:
          log.push(`child ${NAMES.get(MinorFunction)}`)
          return finish(irp, STATUS_SUCCESS)
        case codes.IRP_MN_QUERY_ID: {
          const id = Parameters.QueryId.IdType === BusQueryInstanceID ? '7' : 'Wine\\Test'
          return finish(irp, STATUS_SUCCESS, allocateText(`${id}\0\0`))
        }
        case codes.IRP_MN_QUERY_CAPABILITIES:
          ;(Parameters.DeviceCapabilities.Capabilities as unknown as DEVICE_CAPABILITIES).Capabilities = 0x100
          return finish(irp, STATUS_SUCCESS)
        case codes.IRP_MN_QUERY_REMOVE_DEVICE:
          return finish(irp, STATUS_SUCCESS)
        case codes.IRP_MN_REMOVE_DEVICE: {
          log.push('child REMOVE_DEVICE')
          const isGone = !present().some((one) => one.address === pdo.address)
          const status = finish(irp, STATUS_SUCCESS)
          if (isGone) IoDeleteDevice(pdo)
          return status
        }
        default:
          return finish(irp, irp.IoStatus.Status, irp.IoStatus.Information)
      }
    })
    return driver
  }

  test('IoInvalidateDeviceRelations returns at once; a new child is started, a lost one removed', async () => {
    await using machine = await bootPnp()
    const log: string[] = []
    const path = await machine.run(async () => {
      const present: DEVICE_OBJECT[] = []
      const children = await pdoDriver(log, () => present)
      await functionDriver('root\\testdev', { log: [], children: () => present })
      const bus = reportRootDevice(device())
      await pnpIdle()
      const child = childOf(children)
      present.push(child)
      IoInvalidateDeviceRelations(new DEVICE_OBJECT(bus), BusRelations)
      log.push('returned')
      await pnpIdle()
      const name = instancePath(child.address)
      present.pop()
      IoInvalidateDeviceRelations(new DEVICE_OBJECT(bus), BusRelations)
      await pnpIdle()
      return name
    })
    expect(path).toBe('Wine\\Test\\7')
    expect(log).toEqual(['returned', 'child START_DEVICE', 'child SURPRISE_REMOVAL', 'child REMOVE_DEVICE'])
  })

  test('a bus that is lost loses its children first', async () => {
    await using machine = await bootPnp()
    const log: string[] = []
    await machine.run(async () => {
      const present: DEVICE_OBJECT[] = []
      const children = await pdoDriver(log, () => present)
      await functionDriver('root\\testdev', { log, children: () => present })
      present.push(childOf(children))
      const bus = reportRootDevice(device())
      await pnpIdle()
      log.length = 0
      present.length = 0
      reportRootDeviceMissing(bus)
      await pnpIdle()
    })
    expect(log).toEqual(['child SURPRISE_REMOVAL', 'SURPRISE_REMOVAL', 'child REMOVE_DEVICE', 'REMOVE_DEVICE'])
  })

  test('a bus that is removed takes its children along, and finds them again when it is started again', async () => {
    await using machine = await bootPnp()
    const log: string[] = []
    await machine.run(async () => {
      const present: DEVICE_OBJECT[] = []
      const children = await pdoDriver(log, () => present)
      const driver = await functionDriver('root\\testdev', { log, children: () => present })
      present.push(childOf(children))
      reportRootDevice(device())
      await pnpIdle()
      log.length = 0
      await releaseDriverDevices(driver.address)
      registerHardwareIds(driver.address, ['root\\testdev'])
      await pnpIdle()
    })
    expect(log).toEqual([
      'QUERY_REMOVE_DEVICE',
      'child REMOVE_DEVICE',
      'REMOVE_DEVICE',
      'AddDevice at 0',
      'START_DEVICE',
      'child START_DEVICE',
    ])
  })

  // wdm-facts §15.4, bug check 0xCA
  test.each<[string, number, (child: DEVICE_OBJECT) => (DEVICE_OBJECT | null)[]]>([
    ['one device twice', 1, (child) => [child, child]],
    ['NULL', 8, () => [null]],
  ])('relations with %s are bug check 0xCA/%i', async (_, parameter, list) => {
    await using machine = await bootPnp()
    const report = machine.run(async () => {
      const child = childOf(await pdoDriver([], () => []))
      await functionDriver('root\\testdev', { log: [], children: () => list(child) })
      reportRootDevice(device())
      await pnpIdle()
    })
    await expect(report).rejects.toMatchObject({ code: 0xca })
    expect(machine.crash?.parameters[0]).toBe(parameter)
  })

  test('IoInvalidateDeviceRelations of what is no PDO is bug check 0xCA/2', async () => {
    await using machine = await bootPnp()
    const call = machine.run(async () => {
      const driver = await functionDriver(null, { log: [] })
      IoInvalidateDeviceRelations(childOf(driver), BusRelations)
    })
    await expect(call).rejects.toMatchObject({ code: 0xca })
  })
})

describe('IoGetDeviceProperty', () => {
  test('IoGetDeviceProperty gives texts, lists and numbers, and says how long they are', async () => {
    await using machine = await bootPnp()
    const seen = await machine.run(async () => {
      const pdo = reportRootDevice({ ...device(), hardwareIds: ['Root\\A', 'Root\\B'] })
      await pnpIdle()
      const buffer = allocate(256, 'Test')
      const ask = (property: number, length = 256): [NTSTATUS, number, string] => {
        const box = { value: 0 }
        mem.u8.fill(0, buffer, buffer + 256)
        const status = IoGetDeviceProperty(new DEVICE_OBJECT(pdo), property, length, buffer, box)
        const units = mem.u16.slice(buffer >> 1, (buffer + box.value) >> 1)
        return [status, box.value, String.fromCharCode(...units)]
      }
      return [
        ask(DevicePropertyHardwareID),
        ask(DevicePropertyEnumeratorName),
        ask(DevicePropertyHardwareID, 4).slice(0, 2),
        ask(DevicePropertyBusNumber).slice(0, 2),
        ask(DevicePropertyLocationInformation)[0],
        ask(DevicePropertyAddress)[0],
      ]
    })
    expect(seen).toEqual([
      [STATUS_SUCCESS, 30, 'Root\\A\0Root\\B\0\0'],
      [STATUS_SUCCESS, 10, 'Root\0'],
      [STATUS_BUFFER_TOO_SMALL, 30],
      [STATUS_SUCCESS, 4],
      STATUS_OBJECT_NAME_NOT_FOUND,
      STATUS_OBJECT_NAME_NOT_FOUND,
    ])
  })

  test('IoGetDeviceProperty of what is no PDO gives STATUS_INVALID_DEVICE_REQUEST', async () => {
    await using machine = await bootPnp()
    const status = await machine.run(() =>
      IoGetDeviceProperty(new DEVICE_OBJECT(allocate(DEVICE_OBJECT.size, 'Test')), 1, 0, null, { value: 0 }),
    )
    expect(status).toBe(STATUS_INVALID_DEVICE_REQUEST)
  })
})
