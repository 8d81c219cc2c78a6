/** What `boot` takes, checked: a wrong option is told at once, with what to write instead. */
import { fileURLToPath, pathToFileURL } from 'node:url'
import { isAbsolute, resolve } from 'node:path'
import { DEFAULT_BYTES } from '../kernel/mm/memory.ts'
import { UsageError } from './errors.ts'

export interface BootOptions {
  /** 1 (the calling thread, the default) or more (a worker thread each). */
  processors?: number
  /** Bytes of the machine's memory; only what is touched costs anything. Default 256 MiB. */
  memory?: number
  /** 'real' (default), or 'virtual': lockstep, time moves only while the program awaits something of the machine. */
  clock?: 'real' | 'virtual'
  /** Seed of the oracle that chooses where the rules leave a choice open; without one, choices are in order. */
  seed?: number
  /** 'checked' (default) bug checks on broken rules; 'free' does what Windows' free builds do. */
  build?: 'checked' | 'free'
  /** Lets routines be functions that are no exports of a driver file. One processor only; for tests. */
  localRoutines?: boolean
  /** Makes a hang of so many milliseconds (true: 5000) a bug check. Default: on with several processors, off with one. */
  watchdog?: boolean | number
  /**
   * Keeps each processor's last 64 events for the crash record, and in virtual time a hash over all of them. Default: on
   * in virtual time and on a checked build.
   */
  trace?: boolean
  /** Driver files, loaded in this order. */
  drivers?: (string | URL)[]
  /** Driver files that are loaded before those, when there is no `\\BaseNamedObjects` yet. */
  bootDrivers?: (string | URL)[]
  boards?: BoardOption[]
  /** Where DbgPrint goes. Default: standard error. */
  print?: (text: string) => void
}

export interface BoardOption {
  board: string | object
  name?: string
  at?: 'model' | 'emulated' | (string & {}) | { serialNumber: string }
}

export interface CheckedOptions {
  processors: number
  memory: number
  isVirtual: boolean
  seed: number | null
  checked: boolean
  localRoutines: boolean
  watchdogMs: number
  isTraced: boolean
  drivers: string[]
  bootDrivers: string[]
  boards: BoardOption[]
  print: (text: string) => void
}

const KNOWN = [
  'processors',
  'memory',
  'clock',
  'seed',
  'build',
  'localRoutines',
  'watchdog',
  'trace',
  'drivers',
  'bootDrivers',
  'boards',
  'print',
]
const MIB = 1024 * 1024
const MOST_PROCESSORS = 32
const WATCHDOG_MS = 5000

export function checkOptions(options: BootOptions): CheckedOptions {
  if ('verifier' in options) throw new UsageError('boot: the verifier is not there yet; leave the option out')
  for (const key of Object.keys(options)) {
    if (!KNOWN.includes(key)) throw new UsageError(`boot has no option '${key}'; it has ${KNOWN.join(', ')}`)
  }
  const processors = integer('processors', options.processors ?? 1, 1, MOST_PROCESSORS)
  const localRoutines = boolean('localRoutines', options.localRoutines ?? false)
  if (localRoutines && processors > 1) {
    throw new UsageError(
      'localRoutines needs processors: 1: a function that is no export of a driver file cannot be found by another processor',
    )
  }
  const checked = oneOf('build', options.build ?? 'checked', ['checked', 'free']) === 'checked'
  const isVirtual = oneOf('clock', options.clock ?? 'real', ['real', 'virtual']) === 'virtual'
  return {
    processors,
    memory: integer('memory', options.memory ?? DEFAULT_BYTES, MIB, 1024 * MIB) & ~0xffff,
    isVirtual,
    seed: options.seed === undefined ? null : integer('seed', options.seed, 0, 0xffffffff),
    checked,
    localRoutines,
    watchdogMs: watchdog(options.watchdog ?? processors > 1),
    isTraced: boolean('trace', options.trace ?? (checked || isVirtual)),
    drivers: array('drivers', options.drivers ?? []).map(driverUrl),
    bootDrivers: array('bootDrivers', options.bootDrivers ?? []).map(driverUrl),
    boards: array('boards', options.boards ?? []),
    print: printer(options.print ?? ((text) => process.stderr.write(text))),
  }
}

function integer(name: string, value: unknown, least: number, most: number): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value
  throw new UsageError(`boot: ${name} is ${String(value)}; it must be an integer from ${least} to ${most}`)
}

function wrong(name: string, value: unknown, expected: string): never {
  throw new UsageError(`boot: ${name} is ${JSON.stringify(value)}; it must be ${expected}`)
}

const boolean = (name: string, value: unknown): boolean =>
  typeof value === 'boolean' ? value : wrong(name, value, 'true or false')

const array = <T>(name: string, value: readonly T[]): T[] =>
  Array.isArray(value) ? (value as T[]) : wrong(name, value, 'an array')

const printer = (print: (text: string) => void): ((text: string) => void) =>
  typeof print === 'function' ? print : wrong('print', print, 'a function that takes a text')

function oneOf<T extends string>(name: string, value: unknown, allowed: readonly T[]): T {
  const found = allowed.find((candidate) => candidate === value)
  if (found !== undefined) return found
  return wrong(name, value, allowed.map((word) => `'${word}'`).join(' or '))
}

function watchdog(value: boolean | number): number {
  if (value === false) return 0
  return value === true ? WATCHDOG_MS : integer('watchdog', value, 10, 3_600_000)
}

/** The absolute file URL of a driver file: dynamic import gets nothing else. */
export function driverUrl(driver: string | URL): string {
  const text = String(driver)
  if (text.startsWith('file:')) return pathToFileURL(fileURLToPath(text)).href
  if (/^[a-z][a-z0-9+.-]+:/i.test(text) && !/^[a-z]:[\\/]/i.test(text)) {
    throw new UsageError(`a driver is a file: '${text}' is no file URL; write new URL('./driver.ts', import.meta.url)`)
  }
  return pathToFileURL(isAbsolute(text) ? text : resolve(text)).href
}
