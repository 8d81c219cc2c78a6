/** One board: plugged in, it puts a directory into the tree; pulled out, it takes it away. */
import { Gpio, gpioEdges } from 'dirql/gpio'
import {
  array,
  atomic,
  DelayedWorkQueue,
  DEVICE_OBJECT,
  DO_DEVICE_INITIALIZING,
  type DRIVER_OBJECT,
  EX_RUNDOWN_REF,
  ExAcquireRundownProtection,
  ExInitializeRundownProtection,
  ExReleaseRundownProtection,
  ExWaitForRundownProtectionRelease,
  FILE_ACTION_ADDED,
  FILE_ACTION_MODIFIED,
  FILE_ACTION_REMOVED,
  FILE_DEVICE_UNKNOWN,
  FILE_NOTIFY_CHANGE_DIR_NAME,
  FILE_NOTIFY_CHANGE_LAST_WRITE,
  InitializeListHead,
  IO_WORKITEM,
  IoAllocateWorkItem,
  IoAttachDeviceToDeviceStack,
  IoCreateDevice,
  IoFreeWorkItem,
  IoQueueWorkItem,
  KDPC,
  KeFlushQueuedDpcs,
  KeInitializeDpc,
  KeRemoveQueueDpc,
  LIST_ENTRY,
  LONG,
  MmMapIoSpace,
  MmNonCached,
  MmUnmapIoSpace,
  NT_SUCCESS,
  type NTSTATUS,
  out,
  pointer,
  STATUS_INSUFFICIENT_RESOURCES,
  STATUS_OBJECT_NAME_COLLISION,
  STATUS_SUCCESS,
  STATUS_UNSUCCESSFUL,
  struct,
  ULONG,
  type View,
} from 'dirql/fltkernel'
import type { Resources } from '../lib/pnp.ts'
import { textOf } from '../lib/text.ts'
import {
  connectLine,
  createLine,
  disconnectLine,
  freeLine,
  hasCounted,
  type LINE,
  linesOf,
  takeChanges,
  takenOf,
} from './line.ts'
import { childNamed, createNode, dropSubtree, Kind, link, NODE, subtreeOf, takeOut } from './node.ts'
import { type BoardPlan, plant, readPlan } from './plan.ts'
import { endWatches, report, rootOf, withTree, withTreeAlone } from './volume.ts'

const WINDOW_BYTES = 0x800
const MOST_WINDOWS = 32

/** Extension of a board's device. */
export const BOARD = struct('BOARDFS_BOARD', {
  Wanted: atomic(LONG), // times that the DPC found changes since the work item began; not 0: it is queued, or runs
  Users: EX_RUNDOWN_REF, // who uses windows or lines

  // Set by PnP.
  Lower: pointer<DEVICE_OBJECT>(() => DEVICE_OBJECT),
  Physical: pointer<DEVICE_OBJECT>(() => DEVICE_OBJECT),
  Directory: pointer(NODE), // and the tree's reference to it; null: not in the tree
  WindowCount: ULONG,
  Windows: array(ULONG, MOST_WINDOWS), // addresses
  Lines: LIST_ENTRY, // of LINE
  Dpc: KDPC,
  Work: pointer(IO_WORKITEM),
})
export interface BOARD extends View<typeof BOARD> {}

export const boardOf = (device: DEVICE_OBJECT): BOARD => device.DeviceExtension as BOARD

/** @irql PASSIVE_LEVEL */
export function addDevice(DriverObject: DRIVER_OBJECT, PhysicalDeviceObject: DEVICE_OBJECT): NTSTATUS {
  const created = out<DEVICE_OBJECT>()
  const status = IoCreateDevice({
    DriverObject,
    DeviceExtensionSize: BOARD,
    DeviceName: null,
    DeviceType: FILE_DEVICE_UNKNOWN,
    DeviceCharacteristics: 0,
    Exclusive: false,
    DeviceObject: created,
  })
  if (!NT_SUCCESS(status)) return status
  const device = created.value
  const board = boardOf(device)
  InitializeListHead(board.Lines)
  ExInitializeRundownProtection(board.Users)
  KeInitializeDpc(board.Dpc, boardDpc, board)
  board.Physical = PhysicalDeviceObject
  board.Lower = IoAttachDeviceToDeviceStack(device, PhysicalDeviceObject)
  device.Flags &= ~DO_DEVICE_INITIALIZING
  return STATUS_SUCCESS
}

/** @irql PASSIVE_LEVEL */
export async function startBoard(device: DEVICE_OBJECT, resources: Resources): Promise<NTSTATUS> {
  const board = boardOf(device)
  const plan = await readPlan(board.Physical as DEVICE_OBJECT)
  if (plan.name === '') return STATUS_UNSUCCESSFUL
  let status = takeHardware(device, plan, resources)
  if (NT_SUCCESS(status)) status = await plantBoard(board, plan)
  if (!NT_SUCCESS(status)) await letGo(board)
  return status
}

function takeHardware(device: DEVICE_OBJECT, { lines }: BoardPlan, resources: Resources): NTSTATUS {
  const board = boardOf(device)
  board.Work = IoAllocateWorkItem(device)
  let status = board.Work === null ? STATUS_INSUFFICIENT_RESOURCES : mapWindows(board, resources)
  for (const [number, line] of lines.entries()) {
    if (!NT_SUCCESS(status)) break
    const made = createLine(board.Lines, number, line, board.Windows[line.window] ?? 0)
    const interrupt = resources.interrupts[line.interrupt]
    if (made === null) status = STATUS_INSUFFICIENT_RESOURCES
    else if (interrupt !== undefined) status = connectLine(made, board.Dpc, interrupt)
  }
  return status
}

function mapWindows(board: BOARD, { windows }: Resources): NTSTATUS {
  for (const [index, window] of windows.entries()) {
    const address = MmMapIoSpace(window, WINDOW_BYTES, MmNonCached)
    if (address === 0) return STATUS_INSUFFICIENT_RESOURCES
    board.Windows[index] = address
    board.WindowCount = index + 1
  }
  return STATUS_SUCCESS
}

/** Makes the board's directory with all that is in it, puts it into the tree, and says so. */
async function plantBoard(board: BOARD, plan: BoardPlan): Promise<NTSTATUS> {
  const directory = createNode({ parent: rootOf(), name: plan.name, board })
  if (directory === null) return STATUS_INSUFFICIENT_RESOURCES
  const isPlanted = plant(directory, plan, board.Windows)
  const status = isPlanted ? await show(board, directory) : STATUS_INSUFFICIENT_RESOURCES
  if (!NT_SUCCESS(status)) dropSubtree(directory)
  return status
}

async function show(board: BOARD, directory: NODE): Promise<NTSTATUS> {
  await withTreeAlone(() => {
    if (childNamed(rootOf(), textOf(directory.Name)) !== null) return
    link(directory)
    board.Directory = directory
  })
  if (board.Directory === null) return STATUS_OBJECT_NAME_COLLISION
  await report(directory, FILE_NOTIFY_CHANGE_DIR_NAME, FILE_ACTION_ADDED)
  return STATUS_SUCCESS
}

/**
 * Takes the directory away, and lets go of the hardware. Harmless when done before.
 *
 * @irql PASSIVE_LEVEL
 */
export async function stopBoard(device: DEVICE_OBJECT): Promise<void> {
  const board = boardOf(device)
  const { Directory: directory } = board
  if (directory === null) return
  board.Directory = null
  await withTreeAlone(() => takeOut(directory)) // whoever comes now finds it gone
  await letGo(board)
  // Who asked to watch had the lock, and asked before; or finds it gone.
  for (const node of subtreeOf(directory)) if (node.Kind === Kind.Directory) await endWatches(node)
  await report(directory, FILE_NOTIFY_CHANGE_DIR_NAME, FILE_ACTION_REMOVED)
  dropSubtree(directory)
}

/** Waits for those who use the hardware, and lets go of it. */
async function letGo(board: BOARD): Promise<void> {
  await ExWaitForRundownProtectionRelease(board.Users) // the work item, too; the DPC queues it no more
  const lines = linesOf(board.Lines)
  for (const line of lines) await disconnectLine(line)
  KeRemoveQueueDpc(board.Dpc)
  await KeFlushQueuedDpcs() // it may be running on another processor
  for (const line of lines) freeLine(line)
  for (let index = 0; index < board.WindowCount; index++) MmUnmapIoSpace(board.Windows[index] ?? 0, WINDOW_BYTES)
  board.WindowCount = 0
  if (board.Work !== null) IoFreeWorkItem(board.Work)
  board.Work = null
}

/** Has the changes told, once for all that come until then. @irql DISPATCH_LEVEL */
export function boardDpc(_Dpc: KDPC, board: BOARD): void {
  if (board.Wanted.add(1) !== 0) return // the work item looks once more
  if (board.Work !== null && ExAcquireRundownProtection(board.Users)) {
    IoQueueWorkItem(board.Work, tellChanges, DelayedWorkQueue, board)
  }
}

/** The work item. @irql PASSIVE_LEVEL */
export async function tellChanges(_DeviceObject: DEVICE_OBJECT, board: BOARD): Promise<void> {
  let wanted: number
  do {
    wanted = board.Wanted.load()
    await withTree(() => tellLines(board))
  } while (board.Wanted.compareExchange(wanted, 0) !== wanted)
  ExReleaseRundownProtection(board.Users)
}

/** Reports every file that has changed. Caller holds the tree lock, so no change is told behind the board's removal. */
async function tellLines(board: BOARD): Promise<void> {
  const { Directory } = board
  if (Directory === null || Directory.IsGone !== 0) return
  for (const line of linesOf(board.Lines)) {
    if (!takeChanges(line)) continue
    for (const node of subtreeOf(Directory)) {
      if (hasChanged(node, line)) await report(node, FILE_NOTIFY_CHANGE_LAST_WRITE, FILE_ACTION_MODIFIED)
    }
  }
}

/** Whether what was taken of a line changes what a file says. */
function hasChanged({ Kind: kind, Window, Value }: NODE, line: LINE): boolean {
  if (kind === Kind.Count) return Value === line.Number && hasCounted(line)
  if (Window !== line.Window) return false
  if (kind === Kind.Register) return takenOf(line, Value) !== 0
  if (kind !== Kind.Pin) return false
  return ((takenOf(line, Gpio.INPUT) >>> Value) & 1) !== 0 || takenOf(line, gpioEdges(Value)) !== 0
}
