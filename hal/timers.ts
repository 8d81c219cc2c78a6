/** The host's timers, for those who may not read a clock themselves. */

/** Resolves after one turn of the event loop. */
export const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** Resolves after `milliseconds`; keeps the program alive until then. */
export const sleepMs = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds))

/** Calls `body` every `milliseconds` until the function that it gives back is called. */
export function every(milliseconds: number, body: () => void): () => void {
  const timer = setInterval(body, milliseconds)
  return () => clearInterval(timer)
}

/** Calls `stalled` behind each time that the event loop did not turn for more than `limitMs`. Gives back how to stop. */
export function watchTurns(limitMs: number, stalled: (ms: number) => void): () => void {
  let last = performance.now()
  return every(limitMs / 4, () => {
    const now = performance.now()
    const ms = Math.round(now - last)
    last = now
    if (ms > limitMs) stalled(ms)
  })
}

/** Keeps the program alive until the function that it gives back is called. */
export const keepAlive = (): (() => void) => every(0x7fffffff, () => {})
