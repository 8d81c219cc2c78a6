/** Ctrl-C: what was begun is ended in order. A second one ends the program at once. */

/** Listens from now on until it is disposed of, and keeps the program alive meanwhile. */
export class Interruption implements Disposable {
  /** Resolves at the first SIGINT or SIGTERM, or after `seconds` where given. */
  readonly happened: Promise<void>
  hasHappened = false
  readonly #keepAlive = setInterval(() => {}, 0x7fffffff) // a listener alone keeps no program alive
  readonly #limit: NodeJS.Timeout | undefined
  #tell: () => void = () => {}

  constructor(seconds?: number) {
    this.happened = new Promise((resolve) => {
      this.#tell = resolve
    })
    this.#limit = seconds === undefined ? undefined : setTimeout(this.#end, seconds * 1000)
    process.on('SIGINT', this.#end)
    process.on('SIGTERM', this.#end)
  }

  readonly #end = (): void => {
    this.hasHappened = true
    this[Symbol.dispose]()
    this.#tell()
  };

  [Symbol.dispose](): void {
    clearInterval(this.#keepAlive)
    clearTimeout(this.#limit)
    process.off('SIGINT', this.#end)
    process.off('SIGTERM', this.#end)
  }
}
