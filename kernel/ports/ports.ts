/**
 * What the kernel asks of the outside. Each port is plugged in at boot by `machine/`, made real by `hal/`.
 * Nothing else reads a clock, a random number or the host.
 */
import type { CrashRecord } from './crash.ts'

/** The thread of the host that a processor of the machine is. */
export interface ProcessorPort {
  /** Wakes processor `number`, whose pending word was changed before. Never blocks. */
  ring(number: number): void
  /** Sees to it that the kernel's `pass` runs on this processor as soon as the code that runs now returns. */
  schedulePass(): void
  /** One round of a spin loop: a pause, after some rounds a short sleep, in lockstep a hand-over. */
  relax(round: number): void
  /** An interruption point, or `ticks` of 100 ns of stalling, on a machine in lockstep. */
  step(ticks: number): void
  /** Resolves after one turn of the host's event loop. */
  turn(): Promise<void>
  /** Counts `host(promise)`s that are out: time stands still while there is one. */
  hostCall(delta: 1 | -1): void
  /** Takes what the user's program asks of this processor. */
  takeMessages(): void
  /** Takes the record of a bug check that this processor found, before any other processor is stopped. */
  crashed(record: CrashRecord): void
  /** Prints a driver's `DbgPrint`. */
  print(text: string): void
}

/** Interrupt time: 100 ns units since boot. */
export interface ClockPort {
  readonly isVirtual: boolean
  now(): number
  /** Asks for a clock interrupt at `due` (on the clock's processor); Infinity when no timer is set. */
  arm(due: number): void
  /** Raises the clock interrupt if a timer is due. */
  poll(): void
  /** Busy for `ticks`, with interrupts taken meanwhile by the caller's `attend`. */
  stall(ticks: number, attend: () => void): void
  /** Performance counter: 100 ns units at least as fine as `now`. */
  counter(): bigint
}

/** Asked for every choice that the rules leave open. */
export interface OraclePort {
  readonly inOrder: boolean
  /** One of `0 … count - 1`; `of` names what is chosen. */
  choose(count: number, of: string): number
}

/** The way from a register window to its board. */
export interface WirePort {
  /** The board's ring has entries that were not sent. */
  kick(board: number): void
}

/** Watches the machine from outside; nothing depends on it. */
export interface TracePort {
  event(kind: number, first: number, second: number): void
}

export interface Ports {
  processor: ProcessorPort
  clock: ClockPort
  oracle: OraclePort
  wire: WirePort
  trace: TracePort | null
}

function unplugged(): never {
  throw new Error('no machine is booted on this thread: call boot() first')
}

const UNPLUGGED: Ports = {
  processor: {
    ring: unplugged,
    schedulePass: unplugged,
    relax: unplugged,
    step: unplugged,
    turn: unplugged,
    hostCall: unplugged,
    takeMessages: unplugged,
    crashed: unplugged,
    print: unplugged,
  },
  clock: { isVirtual: false, now: unplugged, arm: unplugged, poll: unplugged, stall: unplugged, counter: unplugged },
  oracle: { inOrder: true, choose: unplugged },
  wire: { kick: unplugged },
  trace: null,
}

/** The ports of the machine that this thread is a processor of. */
export const ports: Ports = { ...UNPLUGGED }

export function plugPorts(plugged: Ports): void {
  Object.assign(ports, plugged)
}

export function unplugPorts(): void {
  Object.assign(ports, UNPLUGGED)
}
