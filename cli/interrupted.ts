/** Ctrl-C, as a promise: what was begun is ended in order. A second one ends the program at once. */

/** Resolves at the first SIGINT or SIGTERM, or after `seconds` where given. */
export function untilInterrupted(seconds?: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setInterval(() => {}, 0x7fffffff) // a listener alone keeps no program alive
    const end = (): void => {
      clearInterval(timer)
      clearTimeout(limit)
      process.off('SIGINT', end)
      process.off('SIGTERM', end)
      resolve()
    }
    const limit = seconds === undefined ? undefined : setTimeout(end, seconds * 1000)
    process.on('SIGINT', end)
    process.on('SIGTERM', end)
  })
}
