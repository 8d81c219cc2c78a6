/** What is to happen at a cycle of the microcontroller's clock. */

/** One thing that a peripheral waits for. */
export class Alarm {
  /** Infinity while nothing is awaited. */
  at = Number.POSITIVE_INFINITY
  readonly #alarms: Alarms
  /** Given the cycle that was asked for: the processor may be some cycles further, in mid-instruction. */
  readonly happen: (at: number) => void

  constructor(alarms: Alarms, happen: (at: number) => void) {
    this.#alarms = alarms
    this.happen = happen
  }

  set(at: number): void {
    this.at = at
    this.#alarms.note(at)
  }

  clear(): void {
    this.at = Number.POSITIVE_INFINITY
  }
}

/** All alarms of one microcontroller: a dozen, so that looking at each is the quickest. */
export class Alarms {
  readonly #alarms: Alarm[] = []
  /** Not later than the next alarm. */
  next = Number.POSITIVE_INFINITY
  /** Told of an alarm that comes before all others. */
  onSooner: (at: number) => void = () => {}

  add(happen: (at: number) => void): Alarm {
    const alarm = new Alarm(this, happen)
    this.#alarms.push(alarm)
    return alarm
  }

  note(at: number): void {
    if (at >= this.next) return
    this.next = at
    this.onSooner(at)
  }

  /** Lets happen what is due at `now`: by time, and at one time in the order in which the alarms were made. */
  fire(now: number): void {
    for (;;) {
      const first = this.#first()
      this.next = first?.at ?? Number.POSITIVE_INFINITY
      if (first === null || first.at > now) return
      const { at } = first
      first.clear()
      first.happen(at)
    }
  }

  clear(): void {
    for (const alarm of this.#alarms) alarm.clear()
    this.next = Number.POSITIVE_INFINITY
  }

  #first(): Alarm | null {
    let first: Alarm | null = null
    let at = Number.POSITIVE_INFINITY
    for (const alarm of this.#alarms) {
      if (alarm.at < at) {
        first = alarm
        at = alarm.at
      }
    }
    return first
  }
}
