/**
 * A board as one more device, behind its own: what drivers/boardfs makes directories and files of. It gets every
 * register window, and every latched line that others share, and is told in its registry key what they mean.
 *
 * Values of the key: `Board`, the instance's name; `Files`, a text for each file; `Lines`, a text for each line in the
 * order of their numbers. A text is words with a blank between:
 *
 *     i2c0\transfers register 0 0x18       path, window, offset
 *     gpio pins 1 \Device\00000004         directory, window, the device that pins are set through
 *     i2c0\tmp102\temperature file \Device\00000006
 *     gpio.pins 1 0 0x14 0x18 0x40+ 0x44+  line, window, interrupt (- for none), registers of its frames (+: a count)
 */
import type { RegisterSpec } from '../classes/device.ts'
import { nameOf } from '../kernel/ob/directory.ts'
import type { RootDevice } from '../kernel/io/rootbus.ts'
import { MOST_DESCRIPTORS, type Resource } from '../kernel/io/resources.ts'
import type { BoardPlan, DevicePlan, LinePlan } from './plug.ts'

/** A device of the board as it was plugged in. */
export interface PlantedDevice {
  readonly plan: DevicePlan
  readonly memory: Resource
  /** In the order of the plan's lines. */
  readonly interrupts: readonly Resource[]
  /** PDOs: its own, then its children's; 0 for one that there was no memory for. */
  readonly pdos: readonly number[]
}

/** What a chip's data is called where its board file does not say. */
const DATA = 'data'

export function boardDevice(board: BoardPlan, devices: readonly PlantedDevice[]): RootDevice {
  const windows = devices.slice(0, MOST_DESCRIPTORS).map(({ memory }) => ({ ...memory, shared: true }))
  const interrupts: Resource[] = []
  const lines = devices.slice(0, windows.length).flatMap(({ plan, interrupts: all }, window) =>
    plan.lines.map((line, index) => {
      const isHeard = line.latched && line.shared && windows.length + interrupts.length < MOST_DESCRIPTORS
      const heard = isHeard ? String(interrupts.push({ ...(all[index] as Resource), shared: true }) - 1) : '-'
      return [`${plan.name}.${line.name}`, window, heard, ...framesOf(plan, line)].join(' ')
    }),
  )
  return {
    hardwareIds: ['dirql\\board'],
    instanceId: `${board.name}-board`,
    description: `the files of ${board.name}`,
    resources: [...windows, ...interrupts],
    parameters: { Board: board.name, Files: devices.slice(0, windows.length).flatMap(filesOf), Lines: lines },
  }
}

function filesOf({ plan, pdos }: PlantedDevice, window: number): string[] {
  const [own = 0, ...chips] = pdos
  const registers = plan.registers.filter(({ kind }) => kind === 'status' || kind === 'count')
  const files =
    plan.class === 'gpio'
      ? [`${plan.name} pins ${window} ${deviceName(own)}`]
      : registers.map(({ name, offset }) => `${plan.name}\\${name.toLowerCase()} register ${window} ${hex(offset)}`)
  const children = plan.children ?? []
  return [
    ...files,
    ...children.map(
      ({ name, file = DATA }, index) => `${plan.name}\\${name}\\${file} file ${deviceName(chips[index] ?? 0)}`,
    ),
  ]
}

/** Offsets of the registers that a line's frames carry. */
function framesOf({ registers }: DevicePlan, { snapshot = [] }: LinePlan): string[] {
  return snapshot
    .map((name) => registers.find((register) => register.name === name))
    .filter((register): register is RegisterSpec => register !== undefined)
    .map(({ offset, kind }) => `${hex(offset)}${kind === 'count' ? '+' : ''}`)
}

const deviceName = (pdo: number): string => (pdo === 0 ? '-' : `\\Device\\${nameOf(pdo)}`)
const hex = (offset: number): string => `0x${offset.toString(16)}`
