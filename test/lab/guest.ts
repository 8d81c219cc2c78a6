/**
 * Runs in the small machine (vm.ts): serialport, node-hid and our links against devices that Debian's kernel made of our
 * USB devices. Prints a JSON object for each case, and has the kernel note where each begins. The devices live in a
 * process of their own. Its argument is a regular expression for the titles to run.
 */
import { writeFileSync } from 'node:fs'
import { boardCases } from './boardcases.ts'
import { devices } from './devices.ts'
import { hidCases } from './hidcases.ts'
import { contractCases } from './kinds.ts'
import { serialCases } from './serialcases.ts'
import { simCases } from './simcases.ts'
import { unplugCases } from './unplugcases.ts'

export interface LabResult {
  title: string
  /** What went wrong; null if nothing did. */
  error: string | null
  ms: number
}

type Cases = Record<string, () => Promise<void>>

const cases: Cases = { ...contractCases, ...serialCases, ...hidCases, ...simCases, ...boardCases, ...unplugCases }

export const titles = Object.keys(cases)

/** A case that hangs is given up, for the sake of the others. */
const LONGEST_MS = 120_000

/** Where a case begins in what the kernel says. */
export const markOf = (title: string): string => `case: ${title}\n`

async function run(title: string, body: () => Promise<void>): Promise<void> {
  writeFileSync('/dev/kmsg', markOf(title))
  const start = performance.now()
  const overdue = Promise.withResolvers<never>()
  const timer = setTimeout(() => overdue.reject(new Error(`not done after ${LONGEST_MS} ms`)), LONGEST_MS)
  const error = await Promise.race([body(), overdue.promise]).then(
    () => null,
    (cause: Error) => cause.stack ?? String(cause),
  )
  clearTimeout(timer)
  if (error !== null) process.exitCode = 1
  const result: LabResult = { title, error, ms: Math.round(performance.now() - start) }
  process.stdout.write(`${JSON.stringify(result)}\n`)
}

if (process.argv[1] === import.meta.filename) {
  const only = new RegExp(process.argv[2] ?? '')
  for (const [title, body] of Object.entries(cases)) if (only.test(title)) await run(title, body)
  await devices().close()
}
