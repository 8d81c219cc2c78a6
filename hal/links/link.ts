/** How bytes travel between a board and the host: what every link is, and the life that they have in common. */

/** One end of a link. On a HID link one write is one report, and so is one `data`. */
export interface Link {
  readonly path: string
  /** Bytes that were written and have not left this program yet. */
  readonly unsent: number
  /** False from `close` or `closed` on. */
  readonly isOpen: boolean
  /** Sends `bytes` behind what was written before. Throws a LinkError once the link is closed or the board gone. */
  write(bytes: Uint8Array): void
  /** No `data` before `resume`. A stream is not read on, so that pressure reaches the sender where there is a way. */
  pause(): void
  resume(): void
  /** Gives the device back. What is unsent is dropped. A second call waits for the first. */
  close(): Promise<void>
}

/** What a link tells. None of these is called from within a call of the link's own methods. */
export interface LinkEvents {
  /** The bytes are the receiver's to keep. */
  data(bytes: Uint8Array): void
  /** Exactly once, and nothing after it. `reason` is null after `close`; an unplug is a reason. */
  closed(reason: string | null): void
  /** Some of what was unsent is sent. */
  sent?(): void
}

export type LinkErrorCode = 'busy' | 'forbidden' | 'missing' | 'closed' | 'package' | 'unsupported' | 'failed'

/** A link's failure. The message names the cause and what to do about it. */
export class LinkError extends Error {
  override readonly name = 'LinkError'
  readonly code: LinkErrorCode

  constructor(code: LinkErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** The life of a link. A kind of link says how bytes are sent, reading is stopped and the device given back. */
export abstract class LinkBase implements Link {
  abstract readonly path: string
  readonly #events: LinkEvents
  #isOpen = true
  /** Why the board is gone, for those who write to it. */
  #reason: string | null = null
  #isPaused = false
  /** What came from below while the link was paused, or before what is held is delivered. */
  readonly #held: Uint8Array[] = []
  #unsent = 0
  #released: Promise<void> | null = null
  #closing: Promise<void> | null = null

  constructor(events: LinkEvents) {
    this.#events = events
  }

  get unsent(): number {
    return this.#unsent
  }

  /** What came and could not be told yet. */
  protected get kept(): number {
    return this.#held.length
  }

  get isPaused(): boolean {
    return this.#isPaused
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  write(bytes: Uint8Array): void {
    if (!this.#isOpen) throw new LinkError('closed', `${this.path}: ${this.#reason ?? 'the link is closed'}`)
    if (bytes.length === 0) return
    this.#unsent += bytes.length
    this.transmit(new Uint8Array(bytes), () => {
      if (!this.#isOpen) return
      this.#unsent -= bytes.length
      this.#events.sent?.()
    })
  }

  pause(): void {
    if (this.#isPaused || !this.#isOpen) return
    this.#isPaused = true
    this.hold()
  }

  resume(): void {
    if (!this.#isPaused || !this.#isOpen) return
    this.#isPaused = false
    this.unhold()
    if (this.#held.length > 0) queueMicrotask(() => this.#deliver())
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const wasOpen = this.#isOpen
    this.#end()
    await this.#released
    if (wasOpen) this.#events.closed(null)
  }

  /** The board is gone, or the link broke. Called by a kind of link, not from within a call of its methods. */
  protected gone(reason: string): void {
    if (!this.#isOpen) return
    this.#reason = reason
    this.#end()
    this.#events.closed(reason)
  }

  #end(): void {
    this.#isOpen = false
    this.#unsent = 0
    this.#held.length = 0
    this.#released ??= this.release()
  }

  /** Bytes came from the device. */
  protected received(bytes: Uint8Array): void {
    if (!this.#isOpen) return
    if (this.#isPaused || this.#held.length > 0) this.#held.push(bytes)
    else this.#events.data(bytes)
  }

  #deliver(): void {
    while (!this.#isPaused && this.#isOpen) {
      const bytes = this.#held.shift()
      if (bytes === undefined) return
      this.#events.data(bytes)
    }
  }

  /** Sends `bytes`, which are the link's own, in the order of the calls; `sent` when they have left. */
  protected abstract transmit(bytes: Uint8Array, sent: () => void): void
  /** Stops reading from the device. */
  protected abstract hold(): void
  protected abstract unhold(): void
  /** Gives the device back. Called once; fails never. */
  protected abstract release(): Promise<void>
}
