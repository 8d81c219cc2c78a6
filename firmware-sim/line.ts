/** A board's side of an interrupt line: counts edges, and keeps one frame in flight at most. */

export class InterruptLine {
  readonly #isLatched: boolean
  readonly #send: (line: InterruptLine) => void
  readonly #mayTell: () => boolean
  #isEnabled = false
  #isInFlight = false
  #isAsserted = false
  /** The level that it is stuck at; null while it works. */
  #stuckAt: boolean | null = null
  /** Edges counted since hello; wraps at 32 bits. */
  edges = 0
  /** Edges that frames have told. */
  #told = 0
  sequence = 0

  /** While `mayTell` says no, frames wait: until `look`. */
  constructor(isLatched: boolean, send: (line: InterruptLine) => void, mayTell: () => boolean = () => true) {
    this.#isLatched = isLatched
    this.#send = send
    this.#mayTell = mayTell
  }

  /** The line's input becomes active. */
  assert(): void {
    if (this.#stuckAt === null) this.#become(true)
  }

  deassert(): void {
    if (this.#stuckAt === null) this.#become(false)
  }

  #become(isAsserted: boolean): void {
    if (this.#isAsserted === isAsserted) return
    this.#isAsserted = isAsserted
    if (isAsserted) this.edge(1)
  }

  /** A pulse shorter than anything that looks at it: one edge. */
  pulse(): void {
    this.assert()
    this.deassert()
  }

  /** Edges of a latched input. */
  edge(count: number): void {
    this.edges = (this.edges + count) >>> 0
    this.look()
  }

  /** A fault: the input stays at a level whatever happens; null mends it, and it is inactive. */
  stick(level: boolean | null): void {
    this.#stuckAt = level
    this.#become(level ?? false)
  }

  enable(): void {
    this.#isEnabled = true
    this.look()
  }

  /** Edges are counted from here on, not sent. */
  disable(): void {
    this.#isEnabled = false
    this.#isInFlight = false
  }

  /** As after power-up, with the level that the input has; a fault stays. */
  begin(isAsserted = false): void {
    this.disable()
    this.#isAsserted = this.#stuckAt ?? isAsserted
    this.edges = 0
    this.#told = 0
    this.sequence = 0
  }

  /** The host is through with frame `sequence`; a late one of another frame says nothing. */
  endOfInterrupt(sequence: number): void {
    if (!this.#isInFlight || sequence !== this.sequence) return
    this.#isInFlight = false
    this.look()
  }

  /** Sends a frame if there is cause: edges that were not told, or a level that is active. */
  look(): void {
    if (!this.#isEnabled || this.#isInFlight) return
    const hasCause = this.edges !== this.#told || (!this.#isLatched && this.#isAsserted)
    if (!hasCause || !this.#mayTell()) return
    this.#isInFlight = true
    this.#told = this.edges
    this.sequence = (this.sequence + 1) | 0
    this.#send(this)
  }
}
