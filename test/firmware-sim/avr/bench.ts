/** A Uno with an image of these tests, and somebody who types at its serial port. */
import { readFileSync } from 'node:fs'
import { Uno, type UnoOptions } from '../../../firmware-sim/avr/uno.ts'

export const image = (name: string): string => readFileSync(new URL(`./${name}.hex`, import.meta.url), 'latin1')

export class Bench {
  readonly uno: Uno
  /** All that it has sent. */
  text = ''
  readonly ends: number[] = []

  constructor(options: Partial<UnoOptions> = {}) {
    this.uno = new Uno({ firmware: image('parts'), ...options })
    this.uno.chip.usart.onByte = (byte, end) => {
      this.text += String.fromCharCode(byte)
      this.ends.push(end)
    }
    this.ms(5)
  }

  ms(count: number): void {
    this.uno.chip.run(this.uno.chip.cycles + count * 16_000)
  }

  /** Sends a letter and gives back the rest of the line that it answers within `waitMs`. */
  ask(letter: string, waitMs = 30): string {
    const before = this.text.length
    this.uno.chip.usart.receive([letter.charCodeAt(0)])
    this.ms(waitMs)
    const [line = ''] = this.text.slice(before).split('\n')
    return line.slice(1)
  }
}
