/** The world outside the processors, where it lives in this process: what happens when, in order. */

interface Happening {
  at: number
  sequence: number
  run: () => void
}

/** An event queue over the machine's time. Boards and pipes in this process move by it, on either clock. */
export class World {
  readonly #heap: Happening[] = []
  readonly #now: () => number
  #sequence = 0
  /** Told when the time of the next happening changes. */
  onNext: (at: number) => void = () => {}

  constructor(now: () => number) {
    this.#now = now
  }

  now(): number {
    return this.#now()
  }

  /** Time of the next happening; Infinity when none is planned. */
  get next(): number {
    return this.#heap[0]?.at ?? Number.POSITIVE_INFINITY
  }

  /**
   * Lets `run` happen `delay` ticks (100 ns) from now, behind what is planned for the same time. Gives back what calls
   * it off; to call off what has happened does nothing.
   */
  after(delay: number, run: () => void): () => void {
    const before = this.next
    const planned = { at: this.#now() + delay, sequence: this.#sequence++, run }
    this.#push(planned)
    if (this.next !== before) this.onNext(this.next)
    return () => this.#callOff(planned)
  }

  /** It leaves the heap at once: nothing that will not happen makes virtual time leap. */
  #callOff(planned: Happening): void {
    const heap = this.#heap
    const index = heap.indexOf(planned)
    if (index < 0) return
    const last = heap.pop() as Happening
    if (last === planned) return
    heap[index] = last
    this.#sink(last, index)
    this.#rise(heap.indexOf(last))
  }

  /** Lets everything happen that is due. Gives back whether something did. */
  run(): boolean {
    let ran = false
    while (this.next <= this.#now()) {
      this.#pop().run()
      ran = true
    }
    if (ran) this.onNext(this.next)
    return ran
  }

  clear(): void {
    this.#heap.length = 0
  }

  #push(item: Happening): void {
    this.#heap.push(item)
    this.#rise(this.#heap.length - 1)
  }

  #rise(start: number): void {
    const heap = this.#heap
    const item = heap[start] as Happening
    let index = start
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!isBefore(item, heap[parent] as Happening)) break
      heap[index] = heap[parent] as Happening
      index = parent
    }
    heap[index] = item
  }

  #pop(): Happening {
    const heap = this.#heap
    const first = heap[0] as Happening
    const last = heap.pop() as Happening
    if (heap.length > 0) this.#sink(last, 0)
    return first
  }

  #sink(item: Happening, start: number): void {
    const heap = this.#heap
    let index = start
    for (;;) {
      let child = index * 2 + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Happening, heap[child] as Happening)) child += 1
      if (!isBefore(heap[child] as Happening, item)) break
      heap[index] = heap[child] as Happening
      index = child
    }
    heap[index] = item
  }
}

const isBefore = (left: Happening, right: Happening): boolean =>
  left.at < right.at || (left.at === right.at && left.sequence < right.sequence)
