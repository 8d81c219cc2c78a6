/**
 * The watchdog of a uniprocessor machine: a thread of its own that looks whether the calling thread still turns its
 * event loop. Where it does not, the watchdog reads where that thread is, ends what runs there, and tells.
 */
import { isMainThread, Worker } from 'node:worker_threads'
import { every } from './timers.ts'
import { siblingFile } from './siblingfile.ts'

export interface WatchdogSeat {
  /** One word, which the watched thread counts up. */
  beats: SharedArrayBuffer
  /** Milliseconds without a beat that are a hang. */
  limitMs: number
  /** Whether the watched thread is the main thread: only there an inspector can look. */
  canLook: boolean
}

/** The watched thread came to nothing new for `ms`; `stack` is where it was, '' where that cannot be seen. */
export interface Hang {
  ms: number
  stack: string
}

/**
 * Watches this thread; gives back how to stop. `hung` is called once, when the loop turns again: what hung was ended,
 * without its `finally` blocks, or has ended by itself.
 */
export function watchThisThread(limitMs: number, hung: (hang: Hang) => void): () => void {
  const beats = new SharedArrayBuffer(4)
  const beat = new Int32Array(beats)
  const workerData: WatchdogSeat = { beats, limitMs, canLook: isMainThread }
  const worker = new Worker(siblingFile('watchdogworker', import.meta.url), { workerData })
  const stopBeating = every(Math.max(limitMs / 4, 5), () => Atomics.add(beat, 0, 1))
  worker.on('message', hung)
  worker.unref()
  return () => {
    stopBeating()
    void worker.terminate()
  }
}
