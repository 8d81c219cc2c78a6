/** What chips outside of the microcontroller plan: any number of things, kept by one alarm. It survives a reset. */
import type { Alarm, Alarms } from './alarms.ts'

interface Item {
  at: number
  happen: () => void
}

export class Agenda {
  readonly #alarm: Alarm
  readonly #items: Item[] = []

  constructor(alarms: Alarms) {
    this.#alarm = alarms.add((at) => this.#run(at))
  }

  /** Lets `happen` run at a cycle, behind what is planned for the same. */
  plan(at: number, happen: () => void): void {
    let index = this.#items.length
    while (index > 0 && (this.#items[index - 1] as Item).at > at) index -= 1
    this.#items.splice(index, 0, { at, happen })
    this.arm()
  }

  /** To be called when the alarms were cleared. */
  arm(): void {
    const first = this.#items[0]
    if (first !== undefined) this.#alarm.set(first.at)
  }

  #run(now: number): void {
    for (let first = this.#items[0]; first !== undefined && first.at <= now; first = this.#items[0]) {
      this.#items.shift()
      first.happen()
    }
    this.arm()
  }
}
