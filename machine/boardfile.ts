/** Board files: what hangs on a board, checked before anything is plugged in. */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { checkBoard } from './boardcheck.ts'
import { type BoardFile, boardFile } from './boardschema.ts'
import { UsageError } from './errors.ts'

export type { BoardFile } from './boardschema.ts'

/** More is no board file. */
const LONGEST_BYTES = 1 << 20

/** The board file of `board`: a name in `boards/`, a path, or the file's content. */
export function readBoardFile(board: string | object): BoardFile {
  if (typeof board === 'object') return checkBoardFile(board, 'that was given')
  const path = board.endsWith('.json')
    ? board
    : fileURLToPath(new URL(`../boards/${board}/board.json`, import.meta.url))
  if (!existsSync(path)) {
    throw new UsageError(
      `board '${board}': there is no file ${path}; give a name of boards/, or the path of a .json file`,
    )
  }
  if (statSync(path).size > LONGEST_BYTES) throw new UsageError(`board file ${path} is larger than a megabyte`)
  let content: unknown
  try {
    content = JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    throw new UsageError(`board file ${path} is no JSON: ${(error as Error).message}`)
  }
  return checkBoardFile(content, path)
}

function checkBoardFile(content: unknown, where: string): BoardFile {
  const result = parsed(content, where)
  const faults = result.success
    ? checkBoard(result.data)
    : result.error.issues.map((issue) => `${placeOf(issue.path, content)}: ${remedyOf(issue)}`)
  if (result.success && faults.length === 0) return result.data
  const shown = faults.slice(0, MOST_FAULTS).map((fault) => `  ${fault}`)
  if (faults.length > shown.length) shown.push(`  and ${faults.length - shown.length} more`)
  throw new UsageError(`board file ${where}:\n${shown.join('\n')}`)
}
const MOST_FAULTS = 20

/** The schema's own checks stumble over an object whose `length` cannot be compared. */
function parsed(content: unknown, where: string) {
  try {
    return boardFile.safeParse(content)
  } catch (error) {
    throw new UsageError(`board file ${where} holds an object that cannot be checked: ${(error as Error).message}`)
  }
}

/** `devices[1] 'gpio', lines[0] 'button', dirql`: a place in the file, with the names that stand there. */
function placeOf(path: readonly PropertyKey[], content: unknown): string {
  const parts: string[] = []
  let at: unknown = content
  for (const key of path) {
    at = typeof at === 'object' && at !== null ? (at as Record<PropertyKey, unknown>)[key] : undefined
    if (typeof key !== 'number') {
      parts.push(String(key))
      continue
    }
    const named = (at as { name?: unknown } | undefined)?.name
    const index = `${parts.pop() ?? ''}[${key}]`
    parts.push(typeof named === 'string' ? `${index} '${named}'` : index)
  }
  return parts.length === 0 ? 'the file' : parts.join(', ')
}

/** What is wrong and what to write instead. */
function remedyOf(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'unrecognized_keys':
      return `there is no ${issue.keys.map((key) => `'${key}'`).join(', ')} here; leave it out, or see boards/board.schema.json for what there is`
    case 'invalid_type':
      return issue.message.includes('undefined')
        ? `it is missing; write ${article(issue.expected)}`
        : `it must be ${article(issue.expected)}`
    case 'invalid_value':
      return `it must be one of ${issue.values.map(String).join(', ')}`
    case 'too_small':
      return `it must be at least ${String(issue.minimum)}${unitOf(issue.origin)}`
    case 'too_big':
      return `it must be at most ${String(issue.maximum)}${unitOf(issue.origin)}`
    case 'not_multiple_of':
      return `it must be a multiple of ${issue.divisor}`
    case 'invalid_union':
      return unionRemedy(issue)
    default:
      return issue.message
  }
}

function unionRemedy({ errors }: z.core.$ZodIssueInvalidUnion): string {
  if (errors.length === 0) return "it must be 'serial' or 'hid'" // the one union that is told apart by a key
  return errors.flatMap((issues) => issues.slice(0, 1).map(remedyOf)).join(', or ')
}

const article = (what: string): string => `${/^[aeio]/.test(what) ? 'an' : 'a'} ${what === 'int' ? 'integer' : what}`
function unitOf(origin: string): string {
  if (origin === 'string') return ' characters long'
  return origin === 'array' ? ' entries long' : ''
}
