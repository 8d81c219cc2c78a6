/**
 * The modem lines of a serial port: interrupt lines that need no firmware.
 *
 * On Linux a helper process waits for changes and reads the kernel's counters, so that pulses between two looks are
 * counted, where the driver counts. It is a process because a wait that is under way ends only with a signal, and each
 * takes one of libuv's four threads. Elsewhere, and without koffi, the levels are polled: sampled, and short pulses go
 * unseen.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { every } from '../timers.ts'
import { countedLines, exposedLines, MODEM_LINES, type ModemLine } from './modemlines.ts'

/** Changes since the port was opened; they wrap at 32 bits. */
export type ModemCounts = Record<ModemLine, number>
export type ModemLevels = Record<ModemLine, boolean>
/** What the receiver did not like, as counted by the driver; all zero where it does not count. */
export interface ReceiveErrors {
  frame: number
  parity: number
  overrun: number
  break: number
}
export interface LineSettings {
  dtr?: boolean
  rts?: boolean
  brk?: boolean
}

export type ModemListener = (counts: ModemCounts, levels: ModemLevels, errors: ReceiveErrors) => void

export interface ModemLines {
  /** The lines whose changes the kernel counts; those of the others are found by looking again and again. */
  readonly counted: readonly ModemLine[]
  /** The lines that driver and system expose. */
  readonly exposed: readonly ModemLine[]
  /** Whether it could: if not, the caller must do it another way. */
  set(settings: Required<LineSettings>): boolean
  /** Calls back with the state now and at every change. One listener. */
  onChange(listener: ModemListener): void
  close(): Promise<void>
}

/** What the helper tells. */
export interface ModemReport {
  /** The kernel's words: cts, dsr, ri, dcd, frame, overrun, parity, break; null if it does not count. */
  counts: number[] | null
  /** One bit a line, in the order of MODEM_LINES. */
  levels: number
}

/** What polling needs of a port. */
export interface Pollable {
  get(done: (error: Error | null, status?: { cts: boolean; dsr: boolean; dcd: boolean }) => void): void
}

/** The lines of the port that is open at `path`; null if it has none (a pseudo terminal). */
export async function openModemLines(path: string, port: Pollable): Promise<ModemLines | null> {
  const helped = process.platform === 'linux' ? await openHelped(path) : 'unhelped'
  return helped === 'unhelped' ? await openPolled(port) : helped
}

const HELPER = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? './modemhelper.ts' : './modemhelper.js', import.meta.url),
)

/** The helper sends a report first, or says that there are no lines; if it ends, it cannot help. */
async function openHelped(path: string): Promise<ModemLines | null | 'unhelped'> {
  const helper = fork(HELPER, [path], { execArgv: [], stdio: ['ignore', 'ignore', 'ignore', 'ipc'] })
  const lines = new HelpedLines(helper, path)
  const answer = await new Promise<'lines' | 'none' | 'unhelped'>((resolve) => {
    helper.on('message', (message) => resolve(message === 'none' ? 'none' : 'lines'))
    helper.on('error', () => resolve('unhelped'))
    helper.once('exit', () => resolve('unhelped'))
  })
  if (answer === 'lines') return lines
  await lines.close()
  return answer === 'none' ? null : 'unhelped'
}

/** A wait in the kernel ends with the process only. */
async function end(helper: ChildProcess): Promise<void> {
  if (helper.pid === undefined || helper.exitCode !== null || helper.signalCode !== null) return
  const exited = new Promise<void>((resolve) => helper.once('exit', () => resolve()))
  helper.kill('SIGKILL')
  await exited
}

class HelpedLines implements ModemLines {
  readonly exposed: readonly ModemLine[]
  readonly #helper: ChildProcess
  readonly #state: LineState
  #listener: ModemListener = () => {}

  constructor(helper: ChildProcess, path: string) {
    this.#helper = helper
    this.exposed = exposedLines(path)
    this.#state = new LineState(countedLines(path))
    helper.on('message', (report) => {
      if (report !== 'none' && this.#state.take(report as ModemReport)) this.#tell()
    })
  }

  get counted(): readonly ModemLine[] {
    return this.#state.counted
  }

  #tell(): void {
    this.#listener({ ...this.#state.counts }, { ...this.#state.levels }, { ...this.#state.errors })
  }

  onChange(listener: ModemListener): void {
    this.#listener = listener
    this.#tell()
  }

  set(settings: Required<LineSettings>): boolean {
    return this.#helper.connected && this.#helper.send(settings)
  }

  close(): Promise<void> {
    this.#listener = () => {}
    return end(this.#helper)
  }
}

/** Counts and levels, from reports. Counts start at zero with the first report; of a line that nobody counts, changes are. */
export class LineState {
  readonly counts: ModemCounts = { cts: 0, dsr: 0, ri: 0, dcd: 0 }
  readonly levels: ModemLevels = { cts: false, dsr: false, ri: false, dcd: false }
  readonly errors: ReceiveErrors = { frame: 0, parity: 0, overrun: 0, break: 0 }
  readonly #countable: readonly ModemLine[]
  #first: ModemReport | null = null

  /** `countable` are the lines that the driver counts, if it counts at all. */
  constructor(countable: readonly ModemLine[]) {
    this.#countable = countable
  }

  get counted(): readonly ModemLine[] {
    return this.#first === null || this.#first.counts === null ? [] : this.#countable
  }

  /** Takes a report, and says whether anything is new. */
  take(report: ModemReport): boolean {
    const changed = MODEM_LINES.filter((line, index) => this.levels[line] !== ((report.levels >> index) & 1) > 0)
    for (const line of changed) this.levels[line] = !this.levels[line]
    if (this.#first === null) {
      this.#first = report
      return true
    }
    for (const line of changed) {
      if (!this.counted.includes(line)) this.counts[line] = (this.counts[line] + 1) >>> 0
    }
    const isNew = report.counts !== null && this.#takeCounts(report.counts)
    return isNew || changed.length > 0
  }

  #takeCounts(counts: readonly number[]): boolean {
    const before = [...Object.values(this.counts), ...Object.values(this.errors)].join()
    const since = (index: number): number => ((counts[index] ?? 0) - (this.#first?.counts?.[index] ?? 0)) >>> 0
    for (const line of this.counted) this.counts[line] = since(MODEM_LINES.indexOf(line))
    Object.assign(this.errors, { frame: since(4), overrun: since(5), parity: since(6), break: since(7) })
    return before !== [...Object.values(this.counts), ...Object.values(this.errors)].join()
  }
}

/** How often the levels are looked at where nothing tells of changes. */
const POLL_MS = 10

async function openPolled(port: Pollable): Promise<ModemLines | null> {
  const look = (): Promise<number | null> =>
    new Promise((resolve) => {
      port.get((error, status) => resolve(error === null && status !== undefined ? bitsOf(status) : null))
    })
  const first = await look()
  return first === null ? null : new PolledLines(look, first)
}

const bitsOf = ({ cts, dsr, dcd }: { cts: boolean; dsr: boolean; dcd: boolean }): number =>
  (cts ? 1 : 0) | (dsr ? 2 : 0) | (dcd ? 8 : 0)

class PolledLines implements ModemLines {
  readonly counted = []
  readonly exposed = ['cts', 'dsr', 'dcd'] as const // the package knows no RI
  readonly #state = new LineState([])
  readonly #stop: () => void
  #isLooking = false
  #listener: ModemListener = () => {}

  constructor(look: () => Promise<number | null>, first: number) {
    this.#state.take({ counts: null, levels: first })
    this.#stop = every(POLL_MS, () => void this.#look(look))
  }

  /** A slow look is not overtaken by the next. */
  async #look(look: () => Promise<number | null>): Promise<void> {
    if (this.#isLooking) return
    this.#isLooking = true
    const levels = await look()
    this.#isLooking = false
    if (levels !== null && this.#state.take({ counts: null, levels })) this.#tell()
  }

  #tell(): void {
    this.#listener({ ...this.#state.counts }, { ...this.#state.levels }, { ...this.#state.errors })
  }

  onChange(listener: ModemListener): void {
    this.#listener = listener
    this.#tell()
  }

  set(): boolean {
    return false
  }

  close(): Promise<void> {
    this.#stop()
    this.#listener = () => {}
    return Promise.resolve()
  }
}
