/**
 * A board is plugged in, on the processors' side: its ring, windows and lines are made in the machine's memory, and its
 * devices reported to the PnP manager with what they got.
 */
import type { RegisterSpec } from '../classes/device.ts'
import { attachLine, detachLine, vectorOf } from '../kernel/ke/interrupt.ts'
import { REGISTER_BYTES } from '../kernel/ke/iospace.ts'
import { PASSIVE_LEVEL } from '../kernel/ke/level.ts'
import type { Parameters } from '../kernel/cm/values.ts'
import { reportRootDevice, reportRootDeviceMissing } from '../kernel/io/rootbus.ts'
import { pnpIdle } from '../kernel/io/pnpqueue.ts'
import type { Resource } from '../kernel/io/resources.ts'
import { read32, write32, write8 } from '../kernel/mm/access.ts'
import { mem } from '../kernel/mm/memory.ts'
import { allocate, free } from '../kernel/mm/pool.ts'
import {
  fifoSize,
  initializeFifo,
  Line,
  LINE_SIZE,
  markWindowGone,
  RegisterKind,
  Ring,
  ringSize,
  Window,
  WINDOW_MAGIC,
  WINDOW_SIZE,
  WindowState,
} from '../kernel/ports/device.ts'
import { STATUS_INSUFFICIENT_RESOURCES } from '../kernel/rtl/status.ts'
import { boardDevice } from './boardtree.ts'
import { NtStatusError } from './errors.ts'

export interface LinePlan {
  name: string
  /** DIRQL. */
  level: number
  latched: boolean
  shared: boolean
  /** A passive-level interrupt: drivers are told level 0 (decision 0110). */
  passive?: boolean
  /** Names of the registers that its frames carry. */
  snapshot?: readonly string[]
}

/** What the PnP manager is told of a device, or of a chip on a device's bus. */
export interface NodePlan {
  name: string
  hardwareIds: string[]
  /** Registry values of the device's key. */
  parameters?: Parameters
}

/** A line that a device gets, by its number on the board; `shared` when others get it as well. */
export interface LineGrant {
  line: number
  shared: boolean
}

export interface ChildPlan extends NodePlan {
  /** On the bus. */
  address: number
  /** What its data is called in the board's tree. */
  file?: string
  grants: readonly LineGrant[]
}

export interface DevicePlan extends NodePlan {
  /** Of docs/hardware; left out for a device whose registers the board file itself tells. */
  class?: string
  registers: readonly RegisterSpec[]
  lines: readonly LinePlan[]
  /** Default: all of its own lines. */
  grants?: readonly LineGrant[]
  children?: readonly ChildPlan[]
}

/** What the machine must know of a board to plug it in. */
export interface BoardPlan {
  number: number
  /** The instance's name: `button-0`. */
  name: string
  devices: DevicePlan[]
}

interface LineSeat {
  address: number
  vector: number
}

/** Where everything of a plugged board lies. */
export interface BoardSeat {
  ring: number
  devices: { window: number; lines: LineSeat[] }[]
}

interface Plugged extends BoardSeat {
  plan: BoardPlan
  pdos: number[]
  fifos: number[]
}

const plugged = new Map<number, Plugged>()
/** Vectors in use by level, a set of numbers each. */
const vectors = new Map<number, Set<number>>()

const RING_ROOM = 1024
/** Entries of a FIFO whose register does not say. */
const FIFO_ROOM = 256
const KIND = {
  control: RegisterKind.Control,
  status: RegisterKind.Status,
  count: RegisterKind.Count,
  command: RegisterKind.Command,
  fifo: RegisterKind.Fifo,
  level: RegisterKind.Level,
} as const

/**
 * Makes the board's seat: from here on it can be served. Its devices are not reported yet.
 *
 * @irql PASSIVE_LEVEL, on a system thread
 */
export function plugBoard(plan: BoardPlan): BoardSeat {
  const ring = need(ringSize(RING_ROOM), 'Ring')
  write32(ring + Ring.Room, RING_ROOM)
  write32(ring + Ring.Board, plan.number)
  const fifos: number[] = []
  let lineNumber = 0
  const devices = plan.devices.map((device, index) => {
    const window = makeWindow(device, index, ring, plan.number, fifos)
    const lines = device.lines.map((line) => makeLine(line, lineNumber++, ring, window))
    return { window, lines }
  })
  plugged.set(plan.number, { plan, ring, devices, pdos: [], fifos })
  return { ring, devices }
}

/** Reports the devices of a board that is served: drivers are found and started, and may ask it. @irql PASSIVE_LEVEL */
export async function announceBoard(number: number): Promise<void> {
  const board = plugged.get(number)
  if (board === undefined) return
  const { plan, devices } = board
  const reported = plan.devices.map((device, index) => report(plan, device, index, devices))
  const planted = plan.devices.map((device, index) => {
    const { window, lines } = devices[index] as BoardSeat['devices'][number]
    const interrupts = device.lines.map((line, own) => interruptOf(line, lines[own] as LineSeat, line.shared))
    return { plan: device, memory: memoryOf(window, true), interrupts, pdos: reported[index] as number[] }
  })
  board.pdos = [...reported.flat(), reportRootDevice(boardDevice(plan, planted))]
  await pnpIdle()
}

/** Reports a device and the chips on its bus, which all get its window. */
function report(board: BoardPlan, device: DevicePlan, index: number, seats: BoardSeat['devices']): number[] {
  const { window } = seats[index] as BoardSeat['devices'][number]
  const children = device.children ?? []
  const memory = memoryOf(window, children.length > 0)
  const plans = board.devices.flatMap(({ lines }) => lines)
  const lines = seats.flatMap((seat) => seat.lines)
  const interrupts = (grants: readonly LineGrant[]): Resource[] =>
    grants.map(({ line, shared }) => interruptOf(plans[line] as LinePlan, lines[line] as LineSeat, shared))
  const own = reportRootDevice({
    hardwareIds: device.hardwareIds,
    instanceId: `${board.name}-${device.name}`,
    description: `${device.name} of ${board.name}`,
    resources: [memory, ...interrupts(device.grants ?? allOf(board, index))],
    ...(device.parameters && { parameters: device.parameters }),
  })
  const chips = children.map((child) =>
    reportRootDevice({
      hardwareIds: child.hardwareIds,
      instanceId: `${board.name}-${device.name}-${child.name}`,
      description: `${child.name} on ${device.name} of ${board.name}`,
      location: `${board.name} ${device.name} 0x${child.address.toString(16)}`,
      address: child.address,
      resources: [memory, ...interrupts(child.grants)],
      ...(child.parameters && { parameters: child.parameters }),
    }),
  )
  return [own, ...chips]
}

/** All lines of the board's `index`th device. */
function allOf({ devices }: BoardPlan, index: number): LineGrant[] {
  const first = devices.slice(0, index).reduce((count, { lines }) => count + lines.length, 0)
  return (devices[index] as DevicePlan).lines.map(({ shared }, line) => ({ line: first + line, shared }))
}

const memoryOf = (start: number, shared: boolean): Resource => ({
  kind: 'memory',
  start,
  length: REGISTER_BYTES,
  shared,
})

const interruptOf = (
  { level, latched, passive = false }: LinePlan,
  { vector }: LineSeat,
  shared: boolean,
): Resource => ({
  kind: 'interrupt',
  vector,
  level: passive ? PASSIVE_LEVEL : level,
  latched,
  shared,
})

function need(size: number, tag: string): number {
  const address = allocate(size, tag)
  if (address !== 0) return address
  throw new NtStatusError(STATUS_INSUFFICIENT_RESOURCES, 'the pool has no room for the board')
}

function makeWindow(device: DevicePlan, index: number, ring: number, board: number, fifos: number[]): number {
  const window = need(WINDOW_SIZE, 'Wind')
  for (const { offset, kind, reset } of device.registers) {
    write8(window + Window.Kinds + (offset >> 2), KIND[kind])
    write32(window + offset, reset ?? 0)
  }
  for (const { offset, room, width } of device.registers.filter(({ kind }) => kind === 'fifo')) {
    write32(window + offset, room === 0 ? 0 : makeFifo(room ?? FIFO_ROOM, width ?? 1, fifos))
  }
  for (const { offset, of } of device.registers.filter(({ kind }) => kind === 'level')) {
    write32(window + offset, of === undefined ? 0 : read32(window + of))
  }
  write32(window + Window.Ring, ring)
  write32(window + Window.Device, index)
  write32(window + Window.Board, board)
  write32(window + Window.State, WindowState.Present)
  write32(window + Window.Magic, WINDOW_MAGIC)
  return window
}

function makeFifo(room: number, width: 1 | 4, fifos: number[]): number {
  const fifo = need(fifoSize(room, width), 'Fifo')
  initializeFifo(mem, fifo, room, width)
  fifos.push(fifo)
  return fifo
}

function makeLine(plan: LinePlan, number: number, ring: number, window: number): { address: number; vector: number } {
  const line = need(LINE_SIZE, 'Line')
  const vector = vectorOf(plan.level, freeNumber(plan.level))
  write32(line + Line.Ring, ring)
  write32(line + Line.Number, number)
  write32(line + Line.Window, window)
  write32(line + Line.Mode, plan.latched ? 1 : 0)
  write32(line + Line.Vector, vector)
  attachLine(line)
  return { address: line, vector }
}

function freeNumber(level: number): number {
  const used = vectors.get(level) ?? new Set()
  vectors.set(level, used)
  let number = 0
  while (used.has(number)) number += 1
  used.add(number)
  return number
}

/** The board is gone: its windows read all ones, its drivers get SURPRISE_REMOVAL. @irql PASSIVE_LEVEL */
export async function unplugBoard(number: number): Promise<void> {
  const board = plugged.get(number)
  if (board === undefined) return
  plugged.delete(number)
  for (const { window, lines } of board.devices) {
    markWindowGone(mem, window)
    for (const { address } of lines) detachLine(address)
  }
  for (const pdo of board.pdos) if (pdo !== 0) reportRootDeviceMissing(pdo)
  await pnpIdle()
  for (const { lines } of board.devices) {
    for (const { address, vector } of lines) {
      vectors.get(vector >> 8)?.delete(vector & 0xff)
      free(address)
    }
  }
  departed.set(board.ring, board)
}

/** Boards that are unplugged, by their rings. */
const departed = new Map<number, Plugged>()

/** No driver has a window of the board mapped, and nobody looks at its ring any more. @irql PASSIVE_LEVEL */
export async function releaseBoard(ring: number): Promise<void> {
  const board = departed.get(ring)
  if (board === undefined) return
  departed.delete(ring)
  for (const { window } of board.devices) free(window)
  for (const fifo of board.fifos) free(fifo)
  free(ring)
}

export function forgetBoards(): void {
  plugged.clear()
  vectors.clear()
  departed.clear()
}
