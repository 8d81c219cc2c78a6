/** `dirql explain CODE`: a bug check or a status, in words. */
import { BugCode } from '../../kernel/ke/bugcodes.ts'
import { statusName, UsageError } from '../../machine/errors.ts'
import { BUG_CHECKS } from '../explanations.ts'

const hex = (code: number, digits: number): string =>
  `0x${(code >>> 0).toString(16).toUpperCase().padStart(digits, '0')}`

/** The explanation of `text`: a number, with 0x or without, or a name. */
export function explain(text: string): string {
  const found = [bugCheckText(text), statusExplained(text)].filter((part) => part !== null)
  return found.length === 0 ? unknown(text) : found.join('\n\n') // a small number may be both
}

function unknown(text: string): never {
  throw new UsageError(
    `'${text}' is neither a bug check nor a status that dirql knows; write a name (IRQL_NOT_LESS_OR_EQUAL, STATUS_PENDING) or a number (0x0A, 0xC000000E)`,
  )
}

function bugCheckText(text: string): string | null {
  const number = numberOf(text)
  const found = (Object.entries(BugCode) as [keyof typeof BugCode, number][]).find(
    ([name, code]) => name === text.toUpperCase() || code === number,
  )
  if (found === undefined) return null
  const [name, code] = found
  const { rule, fix } = BUG_CHECKS[name]
  return [
    `bug check ${hex(code, 2)} ${name}`,
    `  rule: ${rule}`,
    `  fix:  ${fix}`,
    `  see:  https://learn.microsoft.com/windows-hardware/drivers/debugger/bug-check-code-reference2`,
  ].join('\n')
}

const SEVERITY = ['success', 'information', 'warning', 'error']

function statusExplained(text: string): string | null {
  const status = statusName.find(text, numberOf(text))
  if (status === null) return null
  const { name, value } = status
  const severity = SEVERITY[value >>> 30] as string
  return [
    `status ${hex(value, 8)} ${name}`,
    `  severity: ${severity}${value >= 0 ? '; NT_SUCCESS' : '; not NT_SUCCESS'}`,
    '  see:      https://learn.microsoft.com/openspecs/windows_protocols/ms-erref/596a1078-e883-4972-9bbc-49e60bebca55',
  ].join('\n')
}

function numberOf(text: string): number | null {
  const digits = /^(?:0x)?([0-9a-f]{1,8})$/i.exec(text)?.[1]
  return digits === undefined ? null : Number.parseInt(digits, 16) | 0
}
