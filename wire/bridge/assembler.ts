/** Puts bytes together to lines, in bounded memory: what is longer than a line may be is dropped up to its newline. */
import { NEWLINE } from './codec.ts'

export class Assembler {
  readonly #bytes: Uint8Array
  readonly #line: (bytes: Uint8Array, length: number) => void
  readonly #tooLong: () => void
  #length = 0

  /** `longest` counts the newline. `line` gets the same bytes each time, and must be through with them at return. */
  constructor(longest: number, line: (bytes: Uint8Array, length: number) => void, tooLong: () => void) {
    this.#bytes = new Uint8Array(longest - 1)
    this.#line = line
    this.#tooLong = tooLong
  }

  take(bytes: Uint8Array): void {
    for (let index = 0; index < bytes.length; index++) {
      const byte = bytes[index]!
      if (byte === NEWLINE) this.#end()
      else if (this.#length < this.#bytes.length) this.#bytes[this.#length++] = byte
      else this.#length = this.#bytes.length + 1 // too long, until the newline
    }
  }

  #end(): void {
    const length = this.#length
    this.#length = 0
    if (length > this.#bytes.length) this.#tooLong()
    else if (length > 0) this.#line(this.#bytes, length)
  }
}
