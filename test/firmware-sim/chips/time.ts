/** A time that stands still until a test moves it; unit-less: ticks or microseconds, as its user counts. */
export class ManualTime {
  #now = 0
  #sequence = 0
  #planned: { at: number; sequence: number; happen: () => void }[] = []

  readonly now = (): number => this.#now

  readonly after = (delay: number, happen: () => void): (() => void) => {
    const item = { at: this.#now + delay, sequence: this.#sequence++, happen }
    this.#planned.push(item)
    this.#planned.sort((left, right) => left.at - right.at || left.sequence - right.sequence)
    return () => {
      this.#planned = this.#planned.filter((one) => one !== item)
    }
  }

  /** Lets everything happen that is due within `delay`, each at its time. */
  pass(delay: number): void {
    const end = this.#now + delay
    for (let first = this.#planned[0]; first !== undefined && first.at <= end; first = this.#planned[0]) {
      this.#planned.shift()
      this.#now = first.at
      first.happen()
    }
    this.#now = end
  }
}
