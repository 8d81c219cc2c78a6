/**
 * The PnP manager: finds the devices of a bus, gives each a driver, starts it, and removes it when it is gone
 * (wdm-facts §15).
 *
 * Everything here runs on the PnP thread, one action after the other, so no two requests that change a device's state
 * are ever out at once. Children come before their parents on the way down, behind them on the way up.
 */
import { read32, read8, write32, write8 } from '../mm/access.ts'
import { BugCode } from '../ke/bugcodes.ts'
import { bugCheck, escapedException } from '../ke/bugcheck.ts'
import { kernelRoutine, routineOf } from '../ke/image.ts'
import { cpu } from '../ke/pcr.ts'
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
  IRP_MN_CANCEL_REMOVE_DEVICE,
  IRP_MN_CANCEL_STOP_DEVICE,
  IRP_MN_EJECT,
  IRP_MN_QUERY_REMOVE_DEVICE,
  IRP_MN_QUERY_STOP_DEVICE,
  IRP_MN_REMOVE_DEVICE,
  IRP_MN_STOP_DEVICE,
  IRP_MN_SURPRISE_REMOVAL,
} from './codes.ts'
import { Device, Driver, onFileClosed, topOf } from './database.ts'
import {
  bottomOf,
  childrenOf,
  createNode,
  deleteNode,
  Node,
  nodeOf,
  NodeState,
  nodeTexts,
  openFiles,
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
import { Action, Manager, manager, queueAction, serveActions } from './pnpqueue.ts'

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
  write32(node + Node.DriverObject, 0)
  setState(node, NodeState.Failed)
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

const isIn = (node: number, ...states: number[]): boolean => states.includes(stateOf(node))
const isGone = (node: number): boolean => isIn(node, NodeState.SurpriseRemoved, NodeState.Removed)

/** A device is gone, without having been asked: its drivers are told, and it is removed once nobody has it open. */
async function lose(node: number): Promise<void> {
  for (const one of subtreeOf(node).reverse()) {
    if (isGone(one)) continue
    setState(one, NodeState.SurpriseRemoved)
    await sendPnp(pdoOf(one), IRP_MN_SURPRISE_REMOVAL)
  }
  await removeLost(node)
}

/** Removes what is gone and closed, and then the devices above it that waited for that. */
async function removeLost(node: number): Promise<NTSTATUS> {
  for (const one of subtreeOf(node).reverse()) {
    if (stateOf(one) !== NodeState.SurpriseRemoved) continue
    if (childrenOf(one).some((child) => stateOf(child) === NodeState.SurpriseRemoved)) continue
    if (openFiles(pdoOf(one)) === 0) {
      const parent = read32(one + Node.Parent)
      await sendRemove(one, NodeState.Failed)
      if (one === node && stateOf(parent) === NodeState.SurpriseRemoved) return await removeLost(parent)
    }
  }
  return STATUS_SUCCESS
}

onFileClosed.run = (device) => {
  const pdo = bottomOf(device)
  const node = nodeOf(pdo)
  if (node === 0 || stateOf(node) !== NodeState.SurpriseRemoved) return
  if (openFiles(pdo) === 0) queueAction(Action.Closed, pdo)
}

/** Sends REMOVE. A device that its bus still has is kept, in state `next`; the others' nodes go, and their children's. */
async function sendRemove(node: number, next: NodeState): Promise<void> {
  const pdo = pdoOf(node)
  setState(node, NodeState.Removed)
  const driver = read32(node + Node.DriverObject)
  await sendPnp(pdo, IRP_MN_REMOVE_DEVICE)
  if (topOf(pdo) !== pdo) stillAttached(pdo, driver)
  write32(node + Node.DriverObject, 0)
  write8(node + Node.WasStarted, 0)
  const isKept = read8(node + Node.IsListed) !== 0 && !isGone(read32(node + Node.Parent))
  if (isKept) {
    setState(node, next)
    return
  }
  for (const child of childrenOf(node)) forget(child)
  forget(node)
}

function forget(node: number): void {
  const pdo = pdoOf(node)
  deleteNode(node)
  dereferenceObject(pdo)
}

function stillAttached(pdo: number, driver: number): void {
  if (!cpu.checked) return
  bugCheck({
    code: BugCode.DRIVER_VIOLATION,
    parameters: [0x14, pdo, driver, topOf(pdo)],
    message:
      'IRP_MN_REMOVE_DEVICE came back and a device is still attached: its driver must call IoDetachDevice and IoDeleteDevice',
  })
}

/** Removes a device and all below it, if their drivers agree and nobody has them open. */
async function remove(node: number, isEjected: boolean): Promise<NTSTATUS> {
  const stacks = subtreeOf(node).reverse()
  const status = await askAll(stacks)
  if (!NT_SUCCESS(status)) return status
  const pdo = pdoOf(node)
  for (const one of stacks) {
    if (stateOf(one) === NodeState.RemovePending || read32(one + Node.DriverObject) !== 0) {
      await sendRemove(one, NodeState.Uninitialized)
    }
  }
  if (isEjected) await sendPnp(pdo, IRP_MN_EJECT)
  return STATUS_SUCCESS
}

/** QUERY_REMOVE to each that runs; a refusal takes all questions back, that of the one who refused as well. */
async function askAll(stacks: readonly number[]): Promise<NTSTATUS> {
  const asked: number[] = []
  for (const one of stacks) {
    if (!isIn(one, NodeState.Started, NodeState.Stopped)) continue
    write32(one + Node.PreviousState, stateOf(one))
    setState(one, NodeState.RemovePending)
    asked.push(one)
    const { status } = await sendPnp(pdoOf(one), IRP_MN_QUERY_REMOVE_DEVICE)
    const isOpen = openFiles(pdoOf(one)) !== 0
    if (NT_SUCCESS(status) && !isOpen) continue
    for (const each of asked.reverse()) {
      await sendPnp(pdoOf(each), IRP_MN_CANCEL_REMOVE_DEVICE)
      setState(each, read32(each + Node.PreviousState) as NodeState)
    }
    return NT_SUCCESS(status) ? STATUS_UNSUCCESSFUL : status
  }
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

/** Removes all devices of a driver that is to be unloaded; stops at the first refusal. */
async function removeDriver(driver: number): Promise<NTSTATUS> {
  const root = read32(manager() + Manager.RootNode)
  for (;;) {
    const node = subtreeOf(root).find((one) => read32(one + Node.DriverObject) === driver)
    if (node === undefined) return STATUS_SUCCESS
    const status = await remove(node, false)
    if (!NT_SUCCESS(status)) return status
    if (nodeOf(pdoOf(node)) === node && read32(node + Node.DriverObject) === driver) return STATUS_UNSUCCESSFUL
  }
}
