/**
 * How devices go: taken away by surprise, or removed after their drivers were asked. All of it runs on the PnP thread.
 */
import { read32, read8, write32, write8 } from '../mm/access.ts'
import { BugCode } from '../ke/bugcodes.ts'
import { bugCheck } from '../ke/bugcheck.ts'
import { cpu } from '../ke/pcr.ts'
import { dereferenceObject } from '../ob/reference.ts'
import { NT_SUCCESS, type NTSTATUS, STATUS_SUCCESS, STATUS_UNSUCCESSFUL } from '../rtl/status.ts'
import {
  IRP_MN_CANCEL_REMOVE_DEVICE,
  IRP_MN_EJECT,
  IRP_MN_QUERY_REMOVE_DEVICE,
  IRP_MN_REMOVE_DEVICE,
  IRP_MN_SURPRISE_REMOVAL,
} from './codes.ts'
import { onFileClosed, topOf } from './database.ts'
import {
  bottomOf,
  childrenOf,
  deleteNode,
  Node,
  nodeOf,
  NodeState,
  openFiles,
  pdoOf,
  setState,
  stateOf,
  subtreeOf,
} from './devnode.ts'
import { sendPnp } from './pnpirp.ts'
import { Action, Manager, manager, queueAction } from './pnpqueue.ts'

export const isIn = (node: number, ...states: number[]): boolean => states.includes(stateOf(node))
const isGone = (node: number): boolean => isIn(node, NodeState.SurpriseRemoved, NodeState.Removed)

/** A device is gone, without having been asked: its drivers are told, and it is removed once nobody has it open. */
export async function lose(node: number): Promise<void> {
  for (const one of subtreeOf(node).reverse()) {
    if (isGone(one)) continue
    setState(one, NodeState.SurpriseRemoved)
    await sendPnp(pdoOf(one), IRP_MN_SURPRISE_REMOVAL)
  }
  await removeLost(node)
}

/** Removes what is gone and closed, and then the devices above it that waited for that. */
export async function removeLost(node: number): Promise<NTSTATUS> {
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
export async function sendRemove(node: number, next: NodeState): Promise<void> {
  const pdo = pdoOf(node)
  setState(node, NodeState.Removed)
  const driver = read32(node + Node.DriverObject)
  await sendPnp(pdo, IRP_MN_REMOVE_DEVICE)
  if (topOf(pdo) !== pdo) stillAttached(pdo, driver)
  write32(node + Node.DriverObject, 0)
  write8(node + Node.WasStarted, 0)
  const isKept = read8(node + Node.IsListed) !== 0 && !isGone(read32(node + Node.Parent))
  // Who reported them is gone.
  for (const child of childrenOf(node)) forget(child)
  if (isKept) setState(node, next)
  else forget(node)
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
export async function remove(node: number, isEjected: boolean): Promise<NTSTATUS> {
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
  if (stacks.some((one) => isIn(one, NodeState.SurpriseRemoved))) return STATUS_UNSUCCESSFUL // still open
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

/** Removes all devices of a driver that is to be unloaded; stops at the first refusal. */
export async function removeDriver(driver: number): Promise<NTSTATUS> {
  const root = read32(manager() + Manager.RootNode)
  for (;;) {
    const node = subtreeOf(root).find((one) => read32(one + Node.DriverObject) === driver)
    if (node === undefined) return STATUS_SUCCESS
    const status = await remove(node, false)
    if (!NT_SUCCESS(status)) return status
    if (nodeOf(pdoOf(node)) === node && read32(node + Node.DriverObject) === driver) return STATUS_UNSUCCESSFUL
  }
}
