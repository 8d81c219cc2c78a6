/**
 * Bug checks: a broken rule stops the machine, names the rule and the driver's line, and leaves a record.
 *
 * The first processor to change `Machine.BugCheck` from 0 writes the record; then every processor's pending word
 * gets the freeze bit, so that each kernel call of this machine throws from then on, again and again, and no
 * `catch` in a driver revives it.
 */
import { atomicCompareExchange, atomicOr, read32, write32 } from '../mm/access.ts'
import { poolUsage } from '../mm/pool.ts'
import type { CrashRecord } from '../ports/crash.ts'
import { ports } from '../ports/ports.ts'
import { BugCode, bugCheckName } from './bugcodes.ts'
import { cpu, Machine, Pcr, pcrOf, Pending } from './pcr.ts'
import { currentIrql } from './level.ts'
import { threadRecords } from './thread.ts'
import { KTHREAD, ThreadState } from './layouts.ts'

/** A rule of the model was broken, and the machine has stopped. */
export class BugCheckError extends Error {
  override name = 'BugCheckError'
  readonly code: number
  readonly bugCheck: string
  readonly parameters: [number, number, number, number]
  readonly processor: number
  readonly irql: number
  readonly driver: string | null
  readonly file: string | null
  readonly line: number | null
  /** Not enumerable: what prints an error prints no two hundred lines. */
  declare readonly record: CrashRecord

  constructor(record: CrashRecord) {
    const at = record.file === null ? '' : `\n    at ${record.file}:${record.line}`
    super(`${record.name} (0x${record.code.toString(16).toUpperCase()}): ${record.message}${at}`)
    Object.defineProperty(this, 'record', { value: record })
    this.code = record.code
    this.bugCheck = record.name
    this.parameters = record.parameters
    this.processor = record.processor
    this.irql = record.irql
    this.driver = record.driver
    this.file = record.file
    this.line = record.line
  }
}

/** Thrown by every kernel call of a machine that was shut down. */
export class MachineGoneError extends Error {
  override name = 'MachineGoneError'
  constructor() {
    super('this thread belongs to a machine that was shut down: it must not call the kernel any more')
  }
}

/** The error that this processor's calls throw since it stopped. */
export const stopped: { error: Error | null } = { error: null }

/** Which driver a source file belongs to; plugged by the image loader. */
export const driverOf: { file: (file: string) => string | null } = { file: () => null }

/** Callbacks of KeRegisterBugCheckCallback; plugged by `callback.ts`. */
export const onBugCheck: { run: () => void } = { run: () => {} }

/** Last trace events; plugged by `etw`. */
export const lastTrace: { events: () => CrashRecord['trace'] } = { events: () => [] }

/** Rooms of this package, as stacks name their files: a driver may live in a folder that is called `kernel`, too. */
const PACKAGE = import.meta.url.replace(/(?:kernel\/ke|worker)\/[^/]*$/, '')
const OWN_ROOMS = ['kernel/', 'ddi/', 'hal/', 'machine/', 'base/', 'worker/'].map((room) => PACKAGE + room)

const isOwn = (file: string): boolean => OWN_ROOMS.some((room) => file.startsWith(room))

/** The first frame of `stack` that is neither the kernel's nor the host's. */
export function driverFrame(stack: string): { file: string; line: number } | null {
  for (const text of stack.split('\n')) {
    const match = /(?:\(|at (?:async )?)(file:\/\/[^\s)]+|\/[^\s):]+|[A-Za-z]:\\[^\s):]+):(\d+):\d+\)?$/.exec(
      text.trim(),
    )
    if (match === null) continue
    const [, file, line] = match
    if (file === undefined || file.startsWith('node:') || file.includes('/node_modules/')) continue
    if (isOwn(file) && driverOf.file(file) === null) continue
    // a loader may have imported the file under a query of its own
    return { file: file.replace(/^file:\/\//, '').replace(/\?.*$/, ''), line: Number(line) }
  }
  return null
}

interface Fault {
  code: number
  parameters?: number[]
  message: string
  /** The stack that led here, when it is not the caller's own. */
  stack?: string | undefined
}

/** Stops the machine. @irql any */
export function bugCheck(fault: Fault): never {
  throw reportBugCheck(fault)
}

/** Stops the machine and gives back the error to throw, for places that cannot throw (a promise hook). */
export function reportBugCheck({ code, parameters = [], message, stack }: Fault): Error {
  if (atomicCompareExchange(Machine.BugCheck, 0, code === 0 ? -1 : code) !== 0) return haltedError()
  const trace = stack ?? captureStack()
  const frame = driverFrame(trace)
  const [p1 = 0, p2 = 0, p3 = 0, p4 = 0] = parameters
  const record: CrashRecord = {
    code,
    name: bugCheckName(code),
    parameters: [p1, p2, p3, p4],
    message,
    processor: cpu.number,
    irql: currentIrql(),
    driver: frame === null ? null : driverOf.file(frame.file),
    file: frame?.file ?? null,
    line: frame?.line ?? null,
    stack: trace,
    ...machineState(),
  }
  const error = new BugCheckError(record)
  stopped.error = error
  ports.processor.crashed(record)
  freezeAll()
  runCallbacks()
  return error
}

function captureStack(): string {
  const holder: { stack?: string } = {}
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 60
  Error.captureStackTrace(holder, reportBugCheck)
  Error.stackTraceLimit = limit
  return holder.stack ?? ''
}

/** Bug check callbacks run once, and what they break changes nothing any more. */
function runCallbacks(): void {
  try {
    onBugCheck.run()
  } catch {
    // The machine is down already: a callback that throws is not worth a second record.
  }
}

function freezeAll(): void {
  for (let processor = 0; processor < cpu.count; processor++) {
    atomicOr(pcrOf(processor) + Pcr.Pending, Pending.Freeze)
    if (processor !== cpu.number) ports.processor.ring(processor)
  }
}

/** Makes every later kernel call of this processor throw: the machine is being shut down. */
export function haltProcessor(): void {
  stopped.error ??= new MachineGoneError()
  write32(cpu.pcr + Pcr.Pending, read32(cpu.pcr + Pcr.Pending) | Pending.Freeze)
}

/** Throws what this processor's calls throw since the machine stopped. */
export function throwStopped(): never {
  throw haltedError()
}

function haltedError(): Error {
  return stopped.error ?? new MachineGoneError()
}

/** What `!stacks`, `!locks` and `!pool` would show. */
export function machineState(): Pick<CrashRecord, 'processors' | 'threads' | 'trace' | 'pool'> {
  const processors = Array.from({ length: cpu.count }, (_, number) => ({
    number,
    irql: read32(pcrOf(number) + Pcr.Irql),
    heldLocks: heldLocks(number),
  }))
  const { State, Irql, WaitBlockList, WaitBlockCount } = KTHREAD.offsets
  const threads = [...threadRecords.values()].map(({ address, waitSite }) => {
    const state = (read32(address + (State & ~3)) >> ((State & 3) * 8)) & 0xff
    const waits = state === ThreadState.Waiting ? read32(address + WaitBlockCount) : 0
    return {
      address,
      processor: cpu.number,
      state: stateName(state),
      irql: read32(address + Irql),
      waitsFor: waitedObjects(read32(address + WaitBlockList), waits),
      site: waitSite?.stack === undefined ? null : siteText(waitSite.stack),
    }
  })
  return { processors, threads, trace: lastTrace.events(), pool: poolUsageOrNothing() }
}

function siteText(stack: string): string | null {
  const frame = driverFrame(stack)
  return frame === null ? null : `${frame.file}:${frame.line}`
}

const stateName = (state: number): string =>
  Object.entries(ThreadState).find(([, value]) => value === state)?.[0] ?? `state ${state}`

function waitedObjects(blocks: number, count: number): number[] {
  const objects: number[] = []
  for (let index = 0; index < Math.min(count, 64); index++) objects.push(read32(blocks + index * WAIT_BLOCK_SIZE + 12))
  return objects
}
const WAIT_BLOCK_SIZE = 20

function heldLocks(processor: number): { address: number; site: string | null }[] {
  const pcr = pcrOf(processor)
  const count = Math.min(Math.max(read32(pcr + Pcr.HeldLockCount), 0), 32)
  return Array.from({ length: count }, (_, index) => ({ address: read32(pcr + Pcr.HeldLocks + index * 4), site: null }))
}

function poolUsageOrNothing(): CrashRecord['pool'] {
  try {
    return poolUsage()
  } catch {
    return [] // the pool itself is what broke
  }
}

/**
 * Stops the machine with a code and what explains it; a debugger and the crash record show them.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kebugcheckex
 */
export function KeBugCheckEx(
  BugCheckCode: number,
  BugCheckParameter1: number,
  BugCheckParameter2: number,
  BugCheckParameter3: number,
  BugCheckParameter4: number,
): never {
  return bugCheck({
    code: BugCheckCode >>> 0,
    parameters: [BugCheckParameter1, BugCheckParameter2, BugCheckParameter3, BugCheckParameter4],
    message: 'the driver called KeBugCheckEx',
  })
}

/**
 * KeBugCheckEx without parameters.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntddk/nf-ntddk-kebugcheck
 */
export function KeBugCheck(BugCheckCode: number): never {
  return KeBugCheckEx(BugCheckCode, 0, 0, 0, 0)
}

/** A routine of a driver let an exception escape. */
export function escapedException(error: unknown, what: string): never {
  if (stopped.error !== null && read32(Machine.BugCheck) !== 0) throw stopped.error
  const text = error instanceof Error ? error.message : String(error)
  return bugCheck({
    code: BugCode.KMODE_EXCEPTION_NOT_HANDLED,
    parameters: [statusOf(error)],
    message: `${what} let an exception escape: ${text}`,
    stack: error instanceof Error ? error.stack : undefined,
  })
}

function statusOf(error: unknown): number {
  const status = (error as { status?: unknown } | null)?.status
  return typeof status === 'number' ? status : 0xe0000001 | 0
}
