/**
 * The PnP manager: finds the devices of a bus, gives each a driver, starts it, and removes it when it is gone
 * (wdm-facts §15).
 *
 * Everything here runs on the PnP thread, one action after the other, so no two requests that change a device's state
 * are ever out at once. Children come before their parents on the way down, behind them on the way up.
 */
import { read32, read8, write32, write8 } from '../mm/access.ts'
import { escapedException } from '../ke/bugcheck.ts'
import { kernelRoutine, routineOf } from '../ke/image.ts'
import { cpu } from '../ke/pcr.ts'
import { ports } from '../ports/ports.ts'
import { dereferenceObject } from '../ob/reference.ts'
import {
  NT_SUCCESS,
  type NTSTATUS,
  STATUS_INVALID_DEVICE_STATE,
  STATUS_NO_SUCH_DEVICE,
  STATUS_SUCCESS,
  STATUS_UNSUCCESSFUL,
} from '../rtl/status.ts'
import {
  DO_BUS_ENUMERATED_DEVICE,
  DO_DEVICE_INITIALIZING,
  IRP_MN_CANCEL_STOP_DEVICE,
  IRP_MN_QUERY_STOP_DEVICE,
  IRP_MN_STOP_DEVICE,
} from './codes.ts'
import { Device, Driver, topOf } from './database.ts'
import {
  childrenOf,
  createNode,
  Node,
  nodeOf,
  NodeState,
  nodeText,
  nodeTexts,
  pdoOf,
  PNP_DEVICE_DISABLED,
  PNP_DEVICE_FAILED,
  PNP_DEVICE_REMOVED,
  PNP_DEVICE_RESOURCE_REQUIREMENTS_CHANGED,
  setNodeText,
  setState,
  stateOf,
  subtreeOf,
} from './devnode.ts'
import { violation } from './irp.ts'
import { DEVICE_OBJECT, DRIVER_EXTENSION, DRIVER_OBJECT } from './layouts.ts'
import {
  BusQueryCompatibleIDs,
  BusQueryDeviceID,
  BusQueryHardwareIDs,
  BusQueryInstanceID,
  Capability,
  DeviceTextDescription,
  DeviceTextLocationInformation,
  fatal,
  queryBusRelations,
  queryCapabilities,
  queryIds,
  queryPnpState,
  queryResources,
  queryText,
  sendPnp,
  sendStart,
} from './pnpirp.ts'
import { findDriver } from './pnpdrivers.ts'
import { Action, Manager, manager, serveActions } from './pnpqueue.ts'
import { lose, remove, removeDriver, removeLost, sendRemove } from './pnpremoval.ts'

/** Start routine of the PnP thread. */
export const pnpThread = kernelRoutine(async function pnpThread() {
  await serveActions(perform)
})

async function perform(kind: Action, object: number): Promise<NTSTATUS> {
  if (kind === Action.Rescan) return await rescan()
  if (kind === Action.RemoveDriver) return await removeDriver(object)
  const node = nodeOf(object)
  if (node === 0) return STATUS_NO_SUCH_DEVICE // removed before its turn came
  switch (kind) {
    case Action.Relations:
      return await enumerate(node)
    case Action.State:
      return await checkState(node)
    case Action.Closed:
      return await removeLost(node)
    case Action.Restart:
      return await restart(node)
    default:
      return await remove(node, kind === Action.Eject)
  }
}

/** Compares what the bus has now with what it had before. */
async function enumerate(node: number): Promise<NTSTATUS> {
  if (stateOf(node) !== NodeState.Started) return STATUS_INVALID_DEVICE_STATE
  const listed = await queryBusRelations(pdoOf(node))
  if (listed === null) return STATUS_SUCCESS // no bus, or it does not know: nothing changes
  const lost = childrenOf(node).filter((child) => !listed.includes(pdoOf(child)))
  for (const child of lost) write8(child + Node.IsListed, 0)
  const found = listed.map((pdo) => adopt(pdo, node)).filter((child) => child !== 0)
  for (const child of lost) await lose(child)
  for (const child of found) await configure(child)
  return STATUS_SUCCESS
}

/** The node of a PDO that was not known before, else 0. */
function adopt(pdo: number, parent: number): number {
  const known = nodeOf(pdo)
  if (known === 0) {
    write32(pdo + Device.Flags, read32(pdo + Device.Flags) | DO_BUS_ENUMERATED_DEVICE)
    return createNode(pdo, parent)
  }
  if (read32(known + Node.Parent) !== parent) fatal(2, pdo, 'a bus driver reported what is a device of another bus')
  dereferenceObject(pdo) // the node has its own
  return 0
}

/** Asks a new device what it is, and gives it a driver. */
async function configure(node: number): Promise<void> {
  const pdo = pdoOf(node)
  setNodeText(node, Node.DeviceId, await queryIds(pdo, BusQueryDeviceID))
  setNodeText(node, Node.InstanceId, await queryIds(pdo, BusQueryInstanceID))
  await keepCapabilities(node)
  setNodeText(node, Node.HardwareIds, await queryIds(pdo, BusQueryHardwareIDs))
  setNodeText(node, Node.CompatibleIds, await queryIds(pdo, BusQueryCompatibleIDs))
  setNodeText(node, Node.Description, await queryText(pdo, DeviceTextDescription))
  setNodeText(node, Node.Location, await queryText(pdo, DeviceTextLocationInformation))
  write32(node + Node.Resources, await queryResources(pdo))
  await bindDriver(node)
}

async function keepCapabilities(node: number): Promise<void> {
  const { bits, address, uiNumber } = await queryCapabilities(pdoOf(node))
  write32(node + Node.Capabilities, bits)
  write32(node + Node.Address, address)
  write32(node + Node.UINumber, uiNumber)
}

/** A driver came: devices that had none may be its. */
async function rescan(): Promise<NTSTATUS> {
  const root = read32(manager() + Manager.RootNode)
  for (const node of subtreeOf(root)) {
    if (node !== root && stateOf(node) === NodeState.Uninitialized) await bindDriver(node)
  }
  return STATUS_SUCCESS
}

/** Finds a driver by the device's ids, best match first, has it add the device, and starts it. */
async function bindDriver(node: number): Promise<void> {
  const driver = findDriver([...nodeTexts(node, Node.HardwareIds), ...nodeTexts(node, Node.CompatibleIds)])
  if (driver === 0) {
    if ((read32(node + Node.Capabilities) & Capability.RawDeviceOK) !== 0) await start(node)
    return
  }
  setState(node, NodeState.Starting)
  write32(node + Node.DriverObject, driver)
  const status = await addDevice(driver, pdoOf(node))
  if (NT_SUCCESS(status)) {
    await start(node)
    return
  }
  tellFailure(node, 'add', status)
  write32(node + Node.DriverObject, 0)
  setState(node, NodeState.Failed)
}

/** What Windows' Device Manager shows with a yellow mark. */
function tellFailure(node: number, what: 'add' | 'start', status: NTSTATUS): void {
  const name = `${nodeText(node, Node.DeviceId)}\\${nodeText(node, Node.InstanceId)}`
  ports.processor.print(`device ${name}: its driver did not ${what} it: status 0x${(status >>> 0).toString(16)}\n`)
}

async function addDevice(driver: number, pdo: number): Promise<NTSTATUS> {
  const id = read32(read32(driver + Driver.DriverExtension) + DRIVER_EXTENSION.offsets.AddDevice)
  if (id === 0) return STATUS_UNSUCCESSFUL
  const routine = routineOf(id)
  let status: NTSTATUS
  try {
    status = await routine(new DRIVER_OBJECT(driver), new DEVICE_OBJECT(pdo))
  } catch (error) {
    return escapedException(error, `AddDevice routine ${routine.name}`)
  }
  const top = topOf(pdo)
  const isInitializing = (read32(top + Device.Flags) & DO_DEVICE_INITIALIZING) !== 0
  if (cpu.checked && NT_SUCCESS(status) && top !== pdo && isInitializing) {
    violation(
      0x243,
      top,
      `${routine.name} left DO_DEVICE_INITIALIZING set in its device's Flags; clear it when the device is ready`,
    )
  }
  return status
}

/** Starts a device. One that fails is removed: by REMOVE alone, or, when it had run before, by surprise. */
async function start(node: number): Promise<NTSTATUS> {
  const wasStarted = read8(node + Node.WasStarted) !== 0
  setState(node, NodeState.Starting)
  const status = await sendStart(pdoOf(node), read32(node + Node.Resources))
  if (!NT_SUCCESS(status)) {
    tellFailure(node, 'start', status)
    if (wasStarted) await lose(node)
    else await sendRemove(node, NodeState.Failed)
    return status
  }
  write8(node + Node.WasStarted, 1)
  setState(node, NodeState.Started)
  await keepCapabilities(node)
  if (!wasStarted) await checkState(node)
  if (stateOf(node) === NodeState.Started) await enumerate(node)
  return status
}

/** Asks the driver how its device is, after the first start and when the driver says that it changed. */
async function checkState(node: number): Promise<NTSTATUS> {
  if (stateOf(node) !== NodeState.Started) return STATUS_INVALID_DEVICE_STATE
  const bits = await queryPnpState(pdoOf(node))
  write32(node + Node.PnpState, bits)
  if ((bits & (PNP_DEVICE_FAILED | PNP_DEVICE_REMOVED)) !== 0) await lose(node)
  else if ((bits & PNP_DEVICE_DISABLED) !== 0) await remove(node, false)
  else if ((bits & PNP_DEVICE_RESOURCE_REQUIREMENTS_CHANGED) !== 0) await restart(node)
  return STATUS_SUCCESS
}

/** Stops a device and starts it again: what Windows does to give devices other resources. */
async function restart(node: number): Promise<NTSTATUS> {
  if (stateOf(node) !== NodeState.Started) return STATUS_INVALID_DEVICE_STATE
  const stacks = subtreeOf(node).filter((one) => stateOf(one) === NodeState.Started)
  const asked: number[] = []
  for (const one of [...stacks].reverse()) {
    setState(one, NodeState.StopPending)
    asked.push(one)
    const { status } = await sendPnp(pdoOf(one), IRP_MN_QUERY_STOP_DEVICE)
    if (NT_SUCCESS(status)) continue
    for (const each of asked.reverse()) {
      await sendPnp(pdoOf(each), IRP_MN_CANCEL_STOP_DEVICE)
      setState(each, NodeState.Started)
    }
    return status
  }
  for (const one of asked) {
    await sendPnp(pdoOf(one), IRP_MN_STOP_DEVICE)
    setState(one, NodeState.Stopped)
  }
  for (const one of stacks) {
    const status = await start(one)
    if (!NT_SUCCESS(status)) return status
  }
  return STATUS_SUCCESS
}
