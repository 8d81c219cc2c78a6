/** A board file as layouts, which wire, models and firmware number by, and as what the machine plugs in. */
import { adcClass } from '../classes/adc.ts'
import type { DeviceClass, DeviceLayout, LineSpec, RegisterSpec } from '../classes/device.ts'
import { gpioClass, gpioEdgesName } from '../classes/gpio.ts'
import { fieldLine, fieldRegisters, hidClass, type ReportFieldSpec } from '../classes/hid.ts'
import { i2cClass } from '../classes/i2c.ts'
import { groupsOf, linesClass, patternLine, patternRegisters, type PatternSpec } from '../classes/lines.ts'
import { uartClass } from '../classes/uart.ts'
import type { BoardFile, DeviceEntry, LineEntry } from './boardschema.ts'
import type { BoardPlan, ChildPlan, DevicePlan, LineGrant } from './plug.ts'

const CLASSES: Readonly<Record<string, DeviceClass>> = {
  i2c: i2cClass,
  gpio: gpioClass,
  adc: adcClass,
  uart: uartClass,
  lines: linesClass,
  hid: hidClass,
}

/** The patterns of a device of class lines, in the order of the file. */
export const patternsOf = ({ patterns }: DeviceEntry): PatternSpec[] =>
  Object.entries(patterns).map(([name, pattern]) => ({ name, ...pattern }))

/** The fields of a device of class hid, in the order of the file. */
export const fieldsOf = ({ fields }: DeviceEntry): ReportFieldSpec[] =>
  Object.entries(fields).map(([name, { active, ...field }]) => ({
    name,
    ...field,
    active: active ?? (field.mode === 'level' ? 'high' : 'both'),
  }))

/** Registers and lines of one device of the file. */
export function layoutOf(entry: DeviceEntry): DeviceLayout {
  const type = entry.class === undefined ? null : (CLASSES[entry.class] as DeviceClass)
  const patterns = patternsOf(entry)
  const fields = fieldsOf(entry)
  const registers = [
    ...(type?.registers ?? []),
    ...ownRegisters(entry),
    ...patterns.flatMap(patternRegisters),
    ...fields.flatMap(fieldRegisters),
  ]
  const pinLines = entry.lines.filter(({ pin }) => pin !== undefined).map(({ pin }) => gpioEdgesName(pin as number))
  const classLines = (type?.lines ?? []).map((line) => ({
    ...line,
    dirql: entry.dirql[line.name] ?? line.dirql,
    // A pin that is a line of its own counts there and nowhere else.
    snapshot: line.snapshot.filter((register) => !pinLines.includes(register)),
  }))
  return {
    name: entry.name,
    class: type?.name ?? 'raw',
    version: type?.version ?? 1,
    registers: registers.map((register) => ({ ...register, reset: entry.reset[register.name] ?? register.reset ?? 0 })),
    lines: [...classLines, ...entry.lines.map(ownLine), ...patterns.map(patternLine), ...fields.map(fieldLine)],
  }
}

function ownRegisters({ registers }: DeviceEntry): RegisterSpec[] {
  return registers.map(({ name, offset, kind, reset, width, room, of }) => {
    const fifo = registers.find((candidate) => candidate.name === of)?.offset
    return {
      name,
      offset,
      kind,
      reset,
      ...(width !== undefined && { width }),
      ...(room !== undefined && { room }),
      ...(fifo !== undefined && { of: fifo }),
    }
  })
}

function ownLine({ name, dirql, mode, shared, passive, snapshot, pin, active }: LineEntry): LineSpec {
  const line = { name, dirql, mode, shared, passive }
  if (pin === undefined) return { ...line, snapshot: snapshot ?? [] }
  return { ...line, pin, active: active ?? 'low', snapshot: [gpioEdgesName(pin)] }
}

/** All devices of a board; its lines are numbered over them in this order. */
export const layoutsOf = (file: BoardFile): DeviceLayout[] => file.devices.map(layoutOf)

/** A line by its number on the board. */
export interface PlacedLine {
  device: string
  line: LineSpec
  number: number
}

export function placedLines(layouts: readonly DeviceLayout[]): PlacedLine[] {
  return layouts
    .flatMap(({ name, lines }) => lines.map((line) => ({ device: name, line })))
    .map((placed, number) => ({ ...placed, number }))
}

/** The lines that `wanted` may mean: `gpio.alert`, or `alert` where no other device has one of that name. */
export function linesNamed(lines: readonly PlacedLine[], wanted: string): PlacedLine[] {
  return lines.filter(({ device, line }) => wanted === line.name || wanted === `${device}.${line.name}`)
}

export const addressOf = (address: number | string): number => Number(address)

/** What the machine is told to plug in: the board's `number` and `name` are the instance's. */
export function boardPlan(file: BoardFile, number: number, name: string): BoardPlan {
  const layouts = layoutsOf(file)
  const lines = placedLines(layouts)
  const owned = file.devices.flatMap(({ children }) => children).flatMap((child) => child.lines)
  const given = new Set(owned.flatMap((wanted) => linesNamed(lines, wanted)).map((placed) => placed.number))
  const devices = file.devices.map((entry, index): DevicePlan => {
    const layout = layouts[index] as DeviceLayout
    const own = lines.filter(({ device }) => device === entry.name)
    // What a chip has for its own, its controller does not get.
    const grants = own.filter((placed) => !given.has(placed.number)).map(grantOf)
    return {
      name: entry.name,
      class: layout.class,
      hardwareIds: entry.hardwareIds ?? [`dirql\\${layout.class}`],
      parameters: {
        ...pinsOf(own.filter((placed) => !given.has(placed.number))),
        ...mappedParameters(entry),
        ...entry.parameters,
      },
      registers: layout.registers,
      lines: layout.lines.map(({ name: line, dirql, mode, shared, passive = false, snapshot }) => ({
        name: line,
        level: dirql,
        latched: mode === 'latched',
        shared,
        passive,
        snapshot,
      })),
      grants,
      children: entry.children.map((child): ChildPlan => {
        const address = addressOf(child.address)
        const ownLines = child.lines.flatMap((wanted) => linesNamed(lines, wanted))
        return {
          name: child.name,
          hardwareIds: child.hardwareIds,
          address,
          ...(child.file !== undefined && { file: child.file }),
          parameters: { Address: address, BusEvent: `${name}-${entry.name}`, ...child.parameters },
          grants: [...grants.filter(({ shared }) => shared), ...ownLines.map(grantOf)],
        }
      }),
    }
  })
  return { number, name, devices }
}

/** Which pins the device's own lines watch, and what is an edge there: its driver cannot see that in the resources. */
function pinsOf(lines: readonly PlacedLine[]): { LinePins?: string } {
  const pins = lines.flatMap(({ line: { pin, active } }) => (pin === undefined ? [] : [`${pin} ${active}`]))
  return pins.length > 0 ? { LinePins: pins.join(',') } : {}
}

/** The lines that patterns or fields make: each one's name, and how many values it has. */
function mappedParameters(entry: DeviceEntry): { Lines?: string[] } {
  const patterns = patternsOf(entry).map(({ name, match }) => `${name} ${groupsOf(match)}`)
  const fields = fieldsOf(entry).map(({ name }) => `${name} 1`)
  const Lines = [...patterns, ...fields]
  return Lines.length === 0 ? {} : { Lines }
}

const grantOf = ({ number, line }: PlacedLine): LineGrant => ({ line: number, shared: line.shared })
