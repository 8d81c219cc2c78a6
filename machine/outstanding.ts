/** What the user's program awaits of a machine: a bug check rejects all of it. */
export class Outstanding {
  readonly #rejects = new Set<(error: Error) => void>()
  #error: Error | null = null
  /** Told when the first promise goes out and when the last comes back: virtual time moves in between. */
  readonly #onBegin: () => void
  readonly #onEnd: () => void

  constructor(onBegin: () => void = () => {}, onEnd: () => void = () => {}) {
    this.#onBegin = onBegin
    this.#onEnd = onEnd
  }

  /** A promise that settles as `promise` does, or is rejected when the machine stops. */
  track<T>(promise: Promise<T>): Promise<T> {
    const error = this.#error
    if (error !== null) {
      promise.catch(() => {})
      return Promise.reject(error)
    }
    this.#onBegin()
    return new Promise<T>((resolve, reject) => {
      const finish = (): void => {
        this.#rejects.delete(rejectAll)
        this.#onEnd()
      }
      const rejectAll = (stopped: Error): void => {
        finish()
        reject(stopped)
      }
      this.#rejects.add(rejectAll)
      promise.then(
        (value) => {
          if (!this.#rejects.has(rejectAll)) return
          finish()
          resolve(value)
        },
        (failure: unknown) => {
          if (!this.#rejects.has(rejectAll)) return
          finish()
          reject(this.#error ?? (failure as Error))
        },
      )
    })
  }

  rejectAll(error: Error): void {
    this.#error ??= error
    for (const reject of Array.from(this.#rejects)) reject(this.#error)
  }
}
