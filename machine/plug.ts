/**
 * A board is plugged in, on the processors' side: its ring, windows and lines are made in the machine's memory, and its
 * devices reported to the PnP manager with what they got.
 */
import { attachLine, detachLine, vectorOf } from '../kernel/ke/interrupt.ts'
import { reportRootDevice, reportRootDeviceMissing } from '../kernel/io/rootbus.ts'
import { pnpIdle } from '../kernel/io/pnpqueue.ts'
import type { Resource } from '../kernel/io/resources.ts'
import { write32, write8 } from '../kernel/mm/access.ts'
import { mem } from '../kernel/mm/memory.ts'
import { allocate, free } from '../kernel/mm/pool.ts'
import {
  isWindowUnused,
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
import { NtStatusError } from './errors.ts'

export interface RegisterPlan {
  name: string
  offset: number
  kind: 'control' | 'status' | 'count' | 'command' | 'fifo'
  reset: number
}

export interface LinePlan {
  name: string
  /** DIRQL. */
  level: number
  latched: boolean
  shared: boolean
}

export interface DevicePlan {
  name: string
  hardwareIds: string[]
  registers: RegisterPlan[]
  lines: LinePlan[]
}

/** What the machine must know of a board to plug it in. */
export interface BoardPlan {
  number: number
  /** The instance's name: `button-0`. */
  name: string
  devices: DevicePlan[]
}

/** Where everything of a plugged board lies. */
export interface BoardSeat {
  ring: number
  devices: { window: number; lines: { address: number; vector: number }[] }[]
}

interface Plugged extends BoardSeat {
  pdos: number[]
}

const plugged = new Map<number, Plugged>()
/** Vectors in use by level, a set of numbers each. */
const vectors = new Map<number, Set<number>>()

const RING_ROOM = 1024
const KIND = {
  control: RegisterKind.Control,
  status: RegisterKind.Status,
  count: RegisterKind.Count,
  command: RegisterKind.Command,
  fifo: RegisterKind.Fifo,
} as const

/** @irql PASSIVE_LEVEL, on a system thread */
export async function plugBoard(plan: BoardPlan): Promise<BoardSeat> {
  freeGone()
  const ring = need(ringSize(RING_ROOM), 'Ring')
  write32(ring + Ring.Room, RING_ROOM)
  write32(ring + Ring.Board, plan.number)
  let lineNumber = 0
  const devices = plan.devices.map((device, index) => {
    const window = makeWindow(device, index, ring, plan.number)
    const lines = device.lines.map((line) => makeLine(line, lineNumber++, ring, window))
    return { window, lines }
  })
  const pdos = plan.devices.map((device, index) =>
    reportRootDevice({
      hardwareIds: device.hardwareIds,
      instanceId: `${plan.name}-${device.name}`,
      description: `${device.name} of ${plan.name}`,
      resources: resourcesOf(device, devices[index] as BoardSeat['devices'][number]),
    }),
  )
  plugged.set(plan.number, { ring, devices, pdos })
  await pnpIdle()
  return { ring, devices }
}

function need(size: number, tag: string): number {
  const address = allocate(size, tag)
  if (address !== 0) return address
  throw new NtStatusError(STATUS_INSUFFICIENT_RESOURCES, 'the pool has no room for the board')
}

function makeWindow(device: DevicePlan, index: number, ring: number, board: number): number {
  const window = need(WINDOW_SIZE, 'Wind')
  for (const { offset, kind, reset } of device.registers) {
    write8(window + Window.Kinds + (offset >> 2), KIND[kind])
    write32(window + offset, reset)
  }
  write32(window + Window.Ring, ring)
  write32(window + Window.Device, index)
  write32(window + Window.Board, board)
  write32(window + Window.State, WindowState.Present)
  write32(window + Window.Magic, WINDOW_MAGIC)
  return window
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

function resourcesOf(device: DevicePlan, seat: BoardSeat['devices'][number]): Resource[] {
  const memory: Resource = { kind: 'memory', start: seat.window, length: WINDOW_SIZE / 2 }
  const interrupts = device.lines.map(
    ({ level, latched, shared }, index): Resource => ({
      kind: 'interrupt',
      vector: (seat.lines[index] as { vector: number }).vector,
      level,
      latched,
      shared,
    }),
  )
  return [memory, ...interrupts]
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
  gone.push(board)
  freeGone()
}

/** Boards that are gone while a driver still has a window of theirs mapped. */
const gone: Plugged[] = []

/** A window is not used again before its last unmap, nor is the ring that it leads to. */
function freeGone(): void {
  for (const board of gone.splice(0)) {
    if (!board.devices.every(({ window }) => isWindowUnused(mem, window))) {
      gone.push(board)
      continue
    }
    for (const { window } of board.devices) free(window)
    free(board.ring)
  }
}

export function forgetBoards(): void {
  plugged.clear()
  vectors.clear()
  gone.length = 0
}
