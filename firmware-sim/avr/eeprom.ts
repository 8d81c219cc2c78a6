/** The EEPROM of an ATmega328P (datasheet §8.4). */
import type { Alarm } from './alarms.ts'
import type { Core } from './core.ts'

export const EEPROM_SIZE = 1024

const EECR = 0x3f
const EEDR = 0x40
const EEARL = 0x41
const EEARH = 0x42
const Bits = { EEPM: 0x30, EERIE: 0x08, EEMPE: 0x04, EEPE: 0x02, EERE: 0x01 } as const
const ERASE_AND_WRITE = 0x00
const ERASE = 0x10

const VECTOR = 22
const MASTER_CYCLES = 4
/** 3.4 ms for both, 1.8 ms for either (table 8-1). */
const BOTH_CYCLES = 54_400
const EITHER_CYCLES = 28_800
const READ_HALT = 4
const WRITE_HALT = 2

export class Eeprom {
  /** Stays without power. */
  readonly memory: Uint8Array
  readonly #core: Core
  readonly #written: Alarm
  #masterUntil = -1

  constructor(core: Core, memory: Uint8Array) {
    this.memory = memory
    this.#core = core
    this.#written = core.alarms.add(() => {
      core.data[EECR] = (core.data[EECR] as number) & ~Bits.EEPE
      this.#look()
    })
    core.cpu.readHooks[EECR] = () => {
      const master = core.cycles <= this.#masterUntil ? Bits.EEMPE : 0
      return (core.data[EECR] as number) | master
    }
    core.cpu.writeHooks[EECR] = (value, old, _address, mask) => this.#write(value, old, mask)
  }

  reset(): void {
    this.#masterUntil = -1
    this.#look()
  }

  #write(value: number, old: number, mask: number): true {
    const { data, cpu } = this.#core
    const isBusy = (old & Bits.EEPE) !== 0
    const modes = isBusy ? Bits.EERIE : Bits.EEPM | Bits.EERIE
    data[EECR] = (old & ~modes) | (value & modes)
    const isAllowed = cpu.cycles <= this.#masterUntil
    if (value & mask & Bits.EEMPE) this.#masterUntil = cpu.cycles + MASTER_CYCLES
    if (!isBusy && value & mask & Bits.EEPE && isAllowed) this.#begin()
    else if (!isBusy && value & mask & Bits.EERE) {
      data[EEDR] = this.memory[this.#address] as number
      cpu.cycles += READ_HALT
    }
    this.#look()
    return true
  }

  get #address(): number {
    const { data } = this.#core
    return (((data[EEARH] as number) & 3) << 8) | (data[EEARL] as number)
  }

  #begin(): void {
    const { data, cpu } = this.#core
    const mode = (data[EECR] as number) & Bits.EEPM
    const byte = data[EEDR] as number
    const address = this.#address
    if (mode === ERASE_AND_WRITE) this.memory[address] = byte
    else if (mode === ERASE) this.memory[address] = 0xff
    else this.memory[address] = (this.memory[address] as number) & byte
    data[EECR] = (data[EECR] as number) | Bits.EEPE
    this.#masterUntil = -1
    this.#written.set(cpu.cycles + (mode === ERASE_AND_WRITE ? BOTH_CYCLES : EITHER_CYCLES))
    cpu.cycles += WRITE_HALT
  }

  #look(): void {
    const register = this.#core.data[EECR] as number
    this.#core.setInterrupt(VECTOR, (register & Bits.EERIE) !== 0 && (register & Bits.EEPE) === 0)
  }
}
