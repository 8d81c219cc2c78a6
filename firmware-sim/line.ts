/** A board's side of an interrupt line: counts edges, and keeps one frame in flight at most. */

export class InterruptLine {
  readonly #isLatched: boolean
  readonly #send: (line: InterruptLine) => void
  #isEnabled = false
  #isInFlight = false
  #isAsserted = false
  /** Edges counted since hello; wraps at 32 bits. */
  edges = 0
  /** Edges that frames have told. */
  #told = 0
  sequence = 0

  constructor(isLatched: boolean, send: (line: InterruptLine) => void) {
    this.#isLatched = isLatched
    this.#send = send
  }

  /** The line's input becomes active. */
  assert(): void {
    if (this.#isAsserted) return
    this.#isAsserted = true
    this.edges = (this.edges + 1) >>> 0
    this.#look()
  }

  deassert(): void {
    this.#isAsserted = false
  }

  /** A pulse shorter than anything that looks at it: one edge. */
  pulse(): void {
    this.assert()
    this.deassert()
  }

  enable(): void {
    this.#isEnabled = true
    this.#look()
  }

  /** Edges are counted from here on, not sent. */
  disable(): void {
    this.#isEnabled = false
    this.#isInFlight = false
  }

  /** The host is through with frame `sequence`; a late one of another frame says nothing. */
  endOfInterrupt(sequence: number): void {
    if (!this.#isInFlight || sequence !== this.sequence) return
    this.#isInFlight = false
    this.#look()
  }

  /** Sends a frame if there is cause: edges that were not told, or a level that is active. */
  #look(): void {
    if (!this.#isEnabled || this.#isInFlight) return
    const hasCause = this.edges !== this.#told || (!this.#isLatched && this.#isAsserted)
    if (!hasCause) return
    this.#isInFlight = true
    this.#told = this.edges
    this.sequence = (this.sequence + 1) | 0
    this.#send(this)
  }
}
