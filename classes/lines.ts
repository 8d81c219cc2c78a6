/** The lines class: firmware that prints text, a line at a time (docs/hardware/lines.md). */
import { type DeviceClass, type LineSpec, offsetsOf, type RegisterSpec } from './device.ts'

/** Bytes of a text line at most, without its end. */
export const LINES_LONGEST = 256
export const LINES_TRANSMIT_ROOM = 256

const registers = [
  { name: 'DATA', offset: 0x00, kind: 'fifo', width: 1, room: 4096 },
  { name: 'DATA_LEVEL', offset: 0x04, kind: 'level', of: 0x00 },
  { name: 'LINES', offset: 0x08, kind: 'count' },
  { name: 'RECEIVED', offset: 0x0c, kind: 'count' },
  { name: 'CUT', offset: 0x10, kind: 'count' },
  { name: 'ROOM', offset: 0x14, kind: 'count', reset: LINES_TRANSMIT_ROOM },
  { name: 'WRITTEN', offset: 0x18, kind: 'count' },
] as const

/** Offsets in the register window. */
export const Lines = offsetsOf(registers)

export const linesClass: DeviceClass = {
  name: 'lines',
  version: 1,
  registers,
  lines: [
    { name: 'data', dirql: 6, mode: 'latched', shared: false, snapshot: ['LINES', 'RECEIVED', 'CUT'] },
    { name: 'transmit', dirql: 5, mode: 'latched', shared: false, snapshot: ['ROOM', 'WRITTEN'] },
  ],
}

/** A pattern of a board file: text lines that match it interrupt, and leave numbers in registers. */
export interface PatternSpec {
  readonly name: string
  /** A regular expression over one text line; each of its groups is a register. */
  readonly match: string
  /** Groups are numbers that are multiplied by this and rounded: 1000 makes `23.5` 23500. */
  readonly scale: number
  readonly dirql: number
}

const FIRST_PATTERN = 0x40
const PATTERN_STRIDE = 0x20
export const PATTERN_GROUPS = 7
export const MOST_PATTERNS = 24

/** `light-level` in a board file is LIGHT_LEVEL as a register. */
export const registerName = (name: string): string => name.toUpperCase().replaceAll('-', '_')

/** Groups of a regular expression. */
export function groupsOf(match: string): number {
  return (new RegExp(`${match}|`, 'u').exec('')?.length ?? 1) - 1
}

/** Offset of the count of the `index`th pattern's matches; its groups' values follow. */
export const patternOffset = (index: number): number => FIRST_PATTERN + index * PATTERN_STRIDE

/** The registers that the `index`th pattern of a board file makes. */
export function patternRegisters({ name, match }: PatternSpec, index: number): RegisterSpec[] {
  const own = registerName(name)
  const first = patternOffset(index)
  const values = Array.from(
    { length: groupsOf(match) },
    (_, group): RegisterSpec => ({ name: `${own}_${group + 1}`, offset: first + 4 * (group + 1), kind: 'status' }),
  )
  return [{ name: `${own}_COUNT`, offset: first, kind: 'count' }, ...values]
}

/** The interrupt line that it makes. */
export const patternLine = (pattern: PatternSpec, index: number): LineSpec => ({
  name: pattern.name,
  dirql: pattern.dirql,
  mode: 'latched',
  shared: false,
  snapshot: patternRegisters(pattern, index).map(({ name }) => name),
})

/** A group's text as a register's 32 bits: a decimal or 0x number times `scale`, rounded; 0 for what is no number. */
export function patternValue(text: string | undefined, scale: number): number {
  const value = Math.round(Number(text ?? '') * scale)
  return Number.isFinite(value) ? value >>> 0 : 0
}
