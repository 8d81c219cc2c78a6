/**
 * Device nodes: what the PnP manager knows of a device on a bus. A device object is a PDO when it has one.
 *
 * The tree and the states are changed on the PnP manager's thread only; a node's words are read anywhere.
 */
import { atomicLoad, atomicStore, read32, write32, write8 } from '../mm/access.ts'
import { allocate, free } from '../mm/pool.ts'
import { initializeEvent, NotificationEvent, resetEvent, setEvent } from '../ke/event.ts'
import { KEVENT } from '../ke/layouts.ts'
import { currentThread } from '../ke/thread.ts'
import { waitForObject } from '../ke/wait.ts'
import { allocateText, freeText, readText } from '../ob/attributes.ts'
import { mem } from '../mm/memory.ts'
import { type NTSTATUS, STATUS_NO_SUCH_DEVICE, STATUS_SUCCESS } from '../rtl/status.ts'
import { struct, UCHAR, ULONG } from '../rtl/struct.ts'
import { DEVICE_OBJECT } from './layouts.ts'
import { isPnpThread } from './pnpqueue.ts'
import { freeResources, readResources, type Resource } from './resources.ts'

/** wdm-facts §15.3, and what comes before and behind it. */
export const NodeState = {
  Uninitialized: 0, // found, no driver yet
  Starting: 1, // from AddDevice until START is through: creates wait
  Started: 2,
  StopPending: 3,
  Stopped: 4,
  RemovePending: 5,
  SurpriseRemoved: 6, // REMOVE comes when every handle is closed
  Removed: 7,
  Failed: 8, // start failed, or the driver said PNP_DEVICE_FAILED
} as const
export type NodeState = (typeof NodeState)[keyof typeof NodeState]

/** PNP_DEVICE_STATE */
export const PNP_DEVICE_DISABLED = 0x01
export const PNP_DEVICE_DONT_DISPLAY_IN_UI = 0x02
export const PNP_DEVICE_FAILED = 0x04
export const PNP_DEVICE_REMOVED = 0x08
export const PNP_DEVICE_RESOURCE_REQUIREMENTS_CHANGED = 0x10
export const PNP_DEVICE_NOT_DISABLEABLE = 0x20

export const DEVICE_NODE = struct('DEVICE_NODE', {
  PhysicalDeviceObject: ULONG, // and a reference
  Parent: ULONG,
  Child: ULONG, // the first
  Sibling: ULONG, // the next child of the parent
  State: ULONG, // NodeState; atomic
  PreviousState: ULONG, // before RemovePending
  DriverObject: ULONG, // the function driver, 0 for none
  Resources: ULONG, // CM_RESOURCE_LIST
  PnpState: ULONG, // PNP_DEVICE_STATE bits
  DeviceId: ULONG, // texts in the pool, NUL at the end; lists of texts have two
  InstanceId: ULONG,
  HardwareIds: ULONG,
  CompatibleIds: ULONG,
  Description: ULONG,
  Location: ULONG,
  Address: ULONG, // DEVICE_CAPABILITIES
  UINumber: ULONG,
  Capabilities: ULONG, // its bits
  IsListed: UCHAR, // in the bus's last relations
  WasStarted: UCHAR,
  Settled: KEVENT, // notification: not Starting
})
export const Node = DEVICE_NODE.offsets
const TAG = 'PpNd'

/** Makes a node for a PDO, whose reference it takes over, as the last child of `parent`; 0 without memory. */
export function createNode(pdo: number, parent: number): number {
  const node = allocate(DEVICE_NODE.size, TAG)
  if (node === 0) return 0
  write32(node + Node.PhysicalDeviceObject, pdo)
  write32(node + Node.Parent, parent)
  write8(node + Node.IsListed, 1)
  initializeEvent(node + Node.Settled, NotificationEvent, true)
  if (parent !== 0) {
    let link = parent + Node.Child
    while (read32(link) !== 0) link = read32(link) + Node.Sibling
    write32(link, node)
  }
  if (pdo !== 0) write32(pdo + DEVICE_OBJECT.offsets.DeviceNode, node)
  return node
}

/** Takes a node without children out of the tree and frees it; the reference on its PDO is the caller's again. */
export function deleteNode(node: number): void {
  const pdo = read32(node + Node.PhysicalDeviceObject)
  let link = read32(node + Node.Parent) + Node.Child
  while (read32(link) !== node) link = read32(link) + Node.Sibling
  write32(link, read32(node + Node.Sibling))
  write32(pdo + DEVICE_OBJECT.offsets.DeviceNode, 0)
  setEvent(node + Node.Settled)
  freeResources(read32(node + Node.Resources))
  for (const text of TEXTS) freeText(read32(node + text))
  free(node, TAG)
}
const TEXTS = [
  Node.DeviceId,
  Node.InstanceId,
  Node.HardwareIds,
  Node.CompatibleIds,
  Node.Description,
  Node.Location,
] as const

export const nodeOf = (pdo: number): number => read32(pdo + DEVICE_OBJECT.offsets.DeviceNode)
export const pdoOf = (node: number): number => read32(node + Node.PhysicalDeviceObject)
export const stateOf = (node: number): number => atomicLoad(node + Node.State)

export function setState(node: number, state: NodeState): void {
  if (state === NodeState.Starting) resetEvent(node + Node.Settled)
  atomicStore(node + Node.State, state)
  if (state !== NodeState.Starting) setEvent(node + Node.Settled)
}

/** The children of a node, first found first. */
export function childrenOf(node: number): number[] {
  const children: number[] = []
  for (let child = read32(node + Node.Child); child !== 0; child = read32(child + Node.Sibling)) children.push(child)
  return children
}

/** The node and all below it, parents first. */
export function subtreeOf(node: number): number[] {
  return [node, ...childrenOf(node).flatMap(subtreeOf)]
}

/** A text of the node, '' when it has none. */
export function nodeText(node: number, field: (typeof TEXTS)[number]): string {
  const address = read32(node + field)
  if (address === 0) return ''
  let length = 0
  while (mem.u16[(address >> 1) + length] !== 0) length++
  return readText(address, length)
}

/** Keeps a copy of `texts`; of a list when there are several. */
export function setNodeText(node: number, field: (typeof TEXTS)[number], texts: readonly string[]): void {
  freeText(read32(node + field))
  write32(node + field, texts.length === 0 ? 0 : allocateText(`${texts.join('\0')}\0\0`))
}

/** The texts of a list. */
export const nodeTexts = (node: number, field: (typeof TEXTS)[number]): string[] => textsAt(read32(node + field))

/** The texts of a list in memory, which ends with an empty one. */
export function textsAt(list: number): string[] {
  const texts: string[] = []
  let address = list
  while (address !== 0 && mem.u16[address >> 1] !== 0) {
    let length = 0
    while (mem.u16[(address >> 1) + length] !== 0) length++
    texts.push(readText(address, length))
    address += 2 * (length + 1)
  }
  return texts
}

/** What the instance is called under Windows' Enum key: `Root\DIRQL_UNO\0000`. '' for what is no PDO. */
export function instancePath(pdo: number): string {
  const node = nodeOf(pdo)
  return node === 0 ? '' : `${nodeText(node, Node.DeviceId)}\\${nodeText(node, Node.InstanceId)}`
}

/** The resources that a PDO got; none for a device that has no node. */
export function resourcesOf(pdo: number): Resource[] {
  const node = nodeOf(pdo)
  return node === 0 ? [] : readResources(read32(node + Node.Resources))
}

/** The lowest device of a stack. */
export function bottomOf(device: number): number {
  let bottom = device
  for (;;) {
    const below = read32(bottom + DEVICE_OBJECT.offsets.AttachedTo)
    if (below === 0) return bottom
    bottom = below
  }
}

/** Files that are open on any device of a PDO's stack. */
export function openFiles(pdo: number): number {
  let count = 0
  for (let device = pdo; device !== 0; device = read32(device + DEVICE_OBJECT.offsets.AttachedDevice)) {
    count += read32(device + DEVICE_OBJECT.offsets.ReferenceCount)
  }
  return count
}

/**
 * Whether a create may go to the stack that `device` is in: waits until the device's start is through.
 *
 * @returns STATUS_SUCCESS; STATUS_NO_SUCH_DEVICE when the device did not start, or is being removed
 */
export function admitCreate(device: number): NTSTATUS | Promise<NTSTATUS> {
  const node = nodeOf(bottomOf(device))
  if (node === 0) return STATUS_SUCCESS // a device that no bus reports has nothing to wait for
  // The PnP thread itself would wait for what it has to do: a driver opens its device later than in its start.
  const isHeld = stateOf(node) === NodeState.Starting && !isPnpThread(currentThread())
  return isHeld ? admitLater(device, node) : admit(node)
}

async function admitLater(device: number, node: number): Promise<NTSTATUS> {
  await waitForObject(node + Node.Settled)
  return nodeOf(bottomOf(device)) === node ? admit(node) : STATUS_NO_SUCH_DEVICE
}

const ADMITTING: readonly number[] = [NodeState.Started, NodeState.StopPending, NodeState.Stopped]
const admit = (node: number): NTSTATUS => (ADMITTING.includes(stateOf(node)) ? STATUS_SUCCESS : STATUS_NO_SUCH_DEVICE)
