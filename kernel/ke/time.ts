/** Times: interrupt time (100 ns units since boot, a number), system time (since 1601, a bigint), and time-outs. */
import { read64 } from '../mm/access.ts'
import { ports } from '../ports/ports.ts'
import { attend, type Out, point } from './level.ts'
import { Machine } from './pcr.ts'

/**
 * When to stop waiting: null never; a negative number in units of 100 ns from now; 0 at once; a bigint as in
 * Windows' LARGE_INTEGER: negative relative, else a system time.
 */
export type Timeout = number | bigint | null

export const TICKS_PER_MS = 10_000

/** The interrupt time that a due time stands for. */
export function dueTimeOf(due: number | bigint): number {
  checkTimeout(due)
  if (typeof due === 'number') return ports.clock.now() - due
  return due < 0n ? ports.clock.now() + Number(-due) : Number(due - bootSystemTime())
}

/** Throws for a number that is no relative time. Who holds a lock when the time is needed checks it before. */
export function checkTimeout(timeout: Timeout): void {
  if (typeof timeout === 'number' && !(timeout <= 0)) positiveNumber(timeout)
}

function positiveNumber(due: number): never {
  throw new RangeError(
    `a time of ${due}: a relative time is negative (-10_000 is one millisecond from now), an absolute one is a bigint`,
  )
}

/** System time at interrupt time 0. */
export const bootSystemTime = (): bigint => read64(Machine.BootSystemTime)

export const systemTime = (): bigint => bootSystemTime() + BigInt(Math.floor(ports.clock.now()))

/** One clock tick in 100 ns units: the granularity that the clock interrupt has here. */
const TIME_INCREMENT = 10_000

/**
 * The system time: 100 ns units since 1601-01-01.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kequerysystemtime-r1
 */
export function KeQuerySystemTime(CurrentTime: Out<bigint>): void {
  point()
  CurrentTime.value = systemTime()
}

/**
 * The system time as finely as the host tells it.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kequerysystemtimeprecise
 */
export function KeQuerySystemTimePrecise(CurrentTime: Out<bigint>): void {
  KeQuerySystemTime(CurrentTime)
}

/**
 * Time since boot in 100 ns units.
 *
 * @irql any
 * @returns the interrupt time
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kequeryinterrupttime
 */
export function KeQueryInterruptTime(): bigint {
  point()
  return BigInt(Math.floor(ports.clock.now()))
}

/**
 * Clock ticks since boot.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kequerytickcount
 */
export function KeQueryTickCount(TickCount: Out<bigint>): void {
  point()
  TickCount.value = BigInt(Math.floor(ports.clock.now() / TIME_INCREMENT))
}

/**
 * Length of a clock tick in 100 ns units.
 *
 * @irql any
 * @returns 10,000: a tick is a millisecond here
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kequerytimeincrement
 */
export function KeQueryTimeIncrement(): number {
  point()
  return TIME_INCREMENT
}

/**
 * A counter for measuring intervals; `PerformanceFrequency` gets its ticks a second.
 *
 * @irql any
 * @returns the counter
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kequeryperformancecounter
 */
export function KeQueryPerformanceCounter(PerformanceFrequency: Out<bigint> | null): bigint {
  point()
  if (PerformanceFrequency !== null) PerformanceFrequency.value = 10_000_000n
  return ports.clock.counter()
}

/**
 * Keeps the processor busy for `MicroSeconds`; interrupts above the caller's IRQL are taken meanwhile.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kestallexecutionprocessor
 */
export function KeStallExecutionProcessor(MicroSeconds: number): void {
  point()
  ports.clock.stall(MicroSeconds * 10, attend)
}

/**
 * Tells the processor that the caller polls: takes interrupts, lets boards of this process move on.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-yieldprocessor
 */
export function YieldProcessor(): void {
  point()
  ports.clock.stall(10, attend)
}
