/** A crash record for people. */
import type { CrashRecord } from '../kernel/ports/crash.ts'

const hex = (value: number): string => `0x${(value >>> 0).toString(16).toUpperCase()}`

export function formatRecord(record: CrashRecord): string {
  const { name, code, parameters, message, processor, irql, driver, file, line, stack } = record
  const where =
    file === null ? 'no driver on the stack' : `${file}:${line}${driver === null ? '' : ` (driver ${driver})`}`
  return [
    `*** STOP ${hex(code)} ${name} (${parameters.map(hex).join(', ')})`,
    `    ${message}`,
    `    at ${where}, processor ${processor}, IRQL ${irql}`,
    ...record.processors.map(({ number, irql: level, heldLocks }) => {
      const locks = heldLocks.map(({ address, site }) => `${hex(address)}${site === null ? '' : ` taken at ${site}`}`)
      return `    processor ${number}: IRQL ${level}${locks.length > 0 ? `, holds ${locks.join(', ')}` : ''}`
    }),
    ...record.threads.map(({ address, state, waitsFor, site }) => {
      const waits = waitsFor.length > 0 ? ` for ${waitsFor.map(hex).join(', ')}` : ''
      return `    thread ${hex(address)}: ${state}${waits}${site === null ? '' : ` at ${site}`}`
    }),
    stack.replace(/^Error\n?/, ''),
  ].join('\n')
}
