/** How long an adapter keeps bytes back, and making that less. FTDI chips wait for their latency timer: 16 ms at first. */
import { readFileSync, writeFileSync } from 'node:fs'
import { deviceName } from './devicepath.ts'

export interface Latency {
  /** The chip's latency timer, where it has one. */
  timerMs: number | null
  /** Whether the driver was told to hand over bytes at once. */
  isLow: boolean
  /** What would make it less; null if nothing is known. */
  advice: string | null
}

/** 1 ms is the length of a USB frame. */
const SHORTEST_MS = 1

const timerFile = (path: string): string => `/sys/bus/usb-serial/devices/${deviceName(path)}/latency_timer`

/** The latency timer of the port at `path`; null if it has none. */
export function latencyTimerMs(path: string): number | null {
  try {
    return Number.parseInt(readFileSync(timerFile(path), 'utf8'), 10)
  } catch {
    return null
  }
}

/** Sets the timer as short as it goes, if this user may. The low-latency flag does the same on a kernel's own terms. */
export function tightenLatencyTimer(path: string): void {
  if ((latencyTimerMs(path) ?? SHORTEST_MS) <= SHORTEST_MS) return
  try {
    writeFileSync(timerFile(path), `${SHORTEST_MS}\n`)
  } catch {
    // root's alone, mostly: `latencyOf` says what is
  }
}

export function latencyOf(path: string, isLow: boolean): Latency {
  const timerMs = latencyTimerMs(path)
  const isSlow = timerMs !== null && timerMs > SHORTEST_MS
  const advice = isSlow
    ? `the adapter keeps bytes back for up to ${timerMs} ms: open it with lowLatency, or echo 1 | sudo tee ${timerFile(path)}`
    : null
  return { timerMs, isLow, advice }
}
