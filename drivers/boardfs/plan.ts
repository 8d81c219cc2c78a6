/** What a board's registry key says of its files, and the nodes that are made of it (machine/boardtree.ts). */
import { Gpio, gpioPinsOf } from 'dirql/gpio'
import { type DEVICE_OBJECT, READ_REGISTER_ULONG } from 'dirql/wdm'
import { textParameter, textsParameter } from '../lib/parameters.ts'
import { childNamed, createNode, Kind, link, type NODE, type NodePlan } from './node.ts'

/** A line of the board; its number is its place. */
export interface LinePlan {
  name: string
  window: number
  /** Place among the device's interrupts; -1: it has none. */
  interrupt: number
  /** Offsets of the registers that its frames carry. */
  registers: { offset: number; isCount: boolean }[]
}

export interface BoardPlan {
  name: string
  files: string[]
  lines: LinePlan[]
}

export async function readPlan(pdo: DEVICE_OBJECT): Promise<BoardPlan> {
  const name = await textParameter(pdo, 'Board')
  const files = await textsParameter(pdo, 'Files')
  const lines = await textsParameter(pdo, 'Lines')
  return { name, files, lines: lines.map(readLine) }
}

function readLine(text: string): LinePlan {
  const [name = '', window, interrupt = '-', ...registers] = text.split(' ')
  return {
    name,
    window: Number(window),
    interrupt: interrupt === '-' ? -1 : Number(interrupt),
    registers: registers.map((word) => ({ offset: Number(word.replace('+', '')), isCount: word.endsWith('+') })),
  }
}

/** Makes all nodes below `directory`; false without memory. `windows` are the mapped addresses. */
export function plant(directory: NODE, { files, lines }: BoardPlan, windows: ArrayLike<number>): boolean {
  const isPlanted = files.every((text) => plantFile(directory, text, windows))
  return isPlanted && lines.every((line, number) => plantLine(directory, line, number))
}

function plantFile(directory: NODE, text: string, windows: ArrayLike<number>): boolean {
  const [path = '', kind, first = '', second = ''] = text.split(' ')
  if (kind === 'pins') return plantPins(directory, path, Number(first), second, windows)
  if (kind === 'register') {
    return plantAt(directory, path, { kind: Kind.Register, window: Number(first), value: Number(second) })
  }
  return kind !== 'file' || plantAt(directory, path, { kind: Kind.Device, target: first })
}

/** A file for each pin that the device has. */
function plantPins(directory: NODE, path: string, window: number, target: string, windows: ArrayLike<number>): boolean {
  const pins = gpioPinsOf(READ_REGISTER_ULONG((windows[window] ?? 0) + Gpio.PINS))
  return pins.every((pin) => plantAt(directory, `${path}\\d${pin}`, { kind: Kind.Pin, window, value: pin, target }))
}

function plantLine(directory: NODE, { name, registers }: LinePlan, number: number): boolean {
  const at = `interrupts\\${number}`
  if (!plantAt(directory, `${at}\\name`, { kind: Kind.Text, target: name })) return false
  const isCounted = registers.some(({ isCount }) => isCount)
  return !isCounted || plantAt(directory, `${at}\\count`, { kind: Kind.Count, value: number })
}

/** Makes a file, and the directories on its way that are not there yet. */
function plantAt(directory: NODE, path: string, file: Omit<NodePlan, 'parent' | 'name'>): boolean {
  const components = path.split('\\')
  const name = components.pop() ?? ''
  let parent: NODE | null = directory
  for (const component of components) {
    parent = childNamed(parent, component) ?? plantOne({ parent, name: component })
    if (parent === null) return false
  }
  return plantOne({ ...file, parent, name }) !== null
}

function plantOne(plan: NodePlan): NODE | null {
  const node = createNode(plan)
  if (node !== null) link(node)
  return node
}
