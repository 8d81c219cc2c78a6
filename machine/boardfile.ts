/** Board files: what hangs on a board, checked before anything is plugged in. */
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { UsageError } from './errors.ts'
import type { DevicePlan } from './plug.ts'

const name = z.string().regex(/^[a-z][a-z0-9-]*$/, 'a name is lower case letters, digits and hyphens')
const register = z.strictObject({
  name: z.string().regex(/^[A-Z][A-Z0-9_]*$/, 'a register is named as in a datasheet: upper case'),
  offset: z.number().int().min(0).max(2044).multipleOf(4),
  kind: z.enum(['control', 'status', 'count', 'command', 'fifo']),
  reset: z.number().int().min(0).max(0xffffffff).default(0),
})
const line = z.strictObject({
  name,
  dirql: z.number().int().min(3).max(11),
  mode: z.enum(['latched', 'level']),
  shared: z.boolean().default(false),
  snapshot: z.array(z.string()).max(32).default([]),
})
const device = z.strictObject({
  name,
  hardwareIds: z.array(z.string().min(1)).min(1),
  registers: z.array(register).default([]),
  lines: z.array(line).default([]),
})
const boardFile = z.strictObject({
  name,
  description: z.string().default(''),
  devices: z.array(device).min(1),
})
export type BoardFile = z.infer<typeof boardFile>

/** The board file of `board`: a name in `boards/`, a path, or the file's content. */
export function readBoardFile(board: string | object): BoardFile {
  if (typeof board === 'object') return checkBoardFile(board, 'the board that was given')
  const path = board.endsWith('.json')
    ? board
    : fileURLToPath(new URL(`../boards/${board}/board.json`, import.meta.url))
  if (!existsSync(path)) throw new UsageError(`board '${board}': there is no file ${path}`)
  let content: unknown
  try {
    content = JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    throw new UsageError(`board file ${path} is no JSON: ${(error as Error).message}`)
  }
  return checkBoardFile(content, path)
}

function checkBoardFile(content: unknown, where: string): BoardFile {
  const result = boardFile.safeParse(content)
  if (!result.success) throw new UsageError(`board file ${where}:\n${z.prettifyError(result.error)}`)
  checkNames(result.data, where)
  return result.data
}

/** What the schema cannot say: names are unique, snapshots name status and count registers, each in one line. */
function checkNames(file: BoardFile, where: string): void {
  unique(file.devices, 'device', where)
  for (const { name: deviceName, registers, lines } of file.devices) {
    const place = `${where}, device '${deviceName}'`
    unique(registers, 'register', place)
    unique(lines, 'line', place)
    const taken = new Map<string, string>()
    for (const { name: lineName, snapshot } of lines) {
      for (const entry of snapshot) {
        const kind = registers.find((candidate) => candidate.name === entry)?.kind
        if (kind !== 'status' && kind !== 'count') {
          throw new UsageError(
            `board file ${place}: line '${lineName}' has '${entry}' in its snapshot; it must be a status or count register of the device`,
          )
        }
        const other = taken.get(entry)
        if (other !== undefined) {
          throw new UsageError(
            `board file ${place}: '${entry}' is in the snapshots of '${other}' and '${lineName}'; a register is in one at most`,
          )
        }
        taken.set(entry, lineName)
      }
    }
  }
}

function unique(items: readonly { name: string }[], what: string, where: string): void {
  const seen = new Set<string>()
  for (const item of items) {
    if (seen.has(item.name)) throw new UsageError(`board file ${where}: two ${what}s are named '${item.name}'`)
    seen.add(item.name)
  }
}

/** The board's devices as the machine plugs them in. */
export const devicePlans = (file: BoardFile): DevicePlan[] =>
  file.devices.map(({ name: deviceName, hardwareIds, registers, lines }) => ({
    name: deviceName,
    hardwareIds,
    registers,
    lines: lines.map((entry) => ({
      name: entry.name,
      level: entry.dirql,
      latched: entry.mode === 'latched',
      shared: entry.shared,
    })),
  }))
