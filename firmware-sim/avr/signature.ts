/** The signature row of an ATmega328P, which LPM reads right behind a write to SPMCSR (datasheet §27.8.10). */
import type { Core } from './core.ts'

const SPMCSR = 0x57
const READ_SIGNATURE = 0x21 // SIGRD and SPMEN
const WINDOW_CYCLES = 5 // the store and the LPM behind it
const DEVICE = [0x1e, 0x95, 0x0f]
/** Lot, wafer and place of the chip: the 328PB's datasheet tells them, the 328P has them too. */
export const SERIAL_BYTES = 10
const SERIAL_PLACES = [0x0e, 0x0f, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17]
const CALIBRATION = 0x9e

export class Signature {
  readonly #row: Uint8Array

  constructor(core: Core, serial: Uint8Array) {
    this.#row = new Uint8Array(32).fill(0xff)
    for (const [index, byte] of DEVICE.entries()) this.#row[index * 2] = byte
    this.#row[1] = CALIBRATION
    for (const [index, place] of SERIAL_PLACES.entries()) this.#row[place] = serial[index] ?? 0
    const end = core.alarms.add(() => core.readProgram())
    core.cpu.writeHooks[SPMCSR] = (value) => {
      if (value !== READ_SIGNATURE) return true
      core.readProgram(this.#row)
      end.set(core.cycles + WINDOW_CYCLES)
      return true
    }
  }
}
