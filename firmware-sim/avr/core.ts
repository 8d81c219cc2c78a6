/**
 * The processor of an ATmega328P: avr8js executes the instructions; what it has no notion of is here (docs/hardware/
 * emulator.md): SLEEP, the instruction that follows SEI and RETI, interrupts by level, and time that leaps over sleep.
 */
import { CPU } from 'avr8js'
import { Alarms } from './alarms.ts'
import { execute } from './instruction.ts'

export const FLASH_SIZE = 32 * 1024
const SRAM_SIZE = 2 * 1024
const FIRST_SRAM = 0x100

const SMCR = 0x53
const SLEEP_ENABLE = 0x01
const SREG = 0x5f
const INTERRUPT_ENABLE = 0x80

const SLEEP = 0x9588
const SEI = 0x9478
const RETI = 0x9518
const WDR = 0x95a8

/** Until the first instruction at the vector; waking from sleep takes as much again (datasheet §7.7.1). */
const INTERRUPT_CYCLES = 4

export class Core {
  readonly cpu: CPU
  readonly data: Uint8Array
  readonly alarms = new Alarms()
  /** Called by WDR. */
  onWatchdogReset: () => void = () => {}
  /** Bit n: interrupt vector n asks. */
  #pending = 0
  readonly #taken: (() => void)[] = []
  readonly #flash: Uint16Array
  #isAsleep = false
  /** Where the instructions under way must stop to look around. */
  #stop = 0
  /** The cycle at which the instruction behind SEI or RETI begins: no interrupt comes in between. */
  #shadow = -1
  /** Cycles that were slept through. */
  sleptCycles = 0

  /** `image`: 32 KiB of flash. */
  constructor(image: Uint8Array) {
    const program = new Uint16Array(FLASH_SIZE / 2)
    new Uint8Array(program.buffer).set(image)
    this.#flash = program.slice()
    // These three are executed by the hook of WDR, which alone calls out of avr8js; no second word of an instruction
    // looks like one of them, as 32 KiB of flash and 2 KiB of SRAM have no such address.
    for (const [at, word] of program.entries()) if (word === SLEEP || word === SEI || word === RETI) program[at] = WDR
    this.cpu = new CPU(program, SRAM_SIZE)
    this.readProgram()
    this.data = this.cpu.data
    this.cpu.onWatchdogReset = () => this.#hooked()
    this.alarms.onSooner = (at) => {
      if (at < this.#stop) this.#stop = at
    }
  }

  get cycles(): number {
    return this.cpu.cycles
  }

  /** Whether it executes nothing until an alarm: one that an interrupt wakes, by what was done to its pins just now, does. */
  get isAsleep(): boolean {
    return this.#isAsleep && (this.#pending === 0 || !((this.data[SREG] as number) & INTERRUPT_ENABLE))
  }

  /** Says whether interrupt `vector` asks. */
  setInterrupt(vector: number, asks: boolean): void {
    if (asks) this.#pending |= 1 << vector
    else this.#pending &= ~(1 << vector)
  }

  /** Calls `taken` when the processor takes the interrupt: flags that clear themselves do it there. */
  onInterrupt(vector: number, taken: () => void): void {
    this.#taken[vector] = taken
  }

  /** What LPM reads: what was burnt, or what is given. */
  readProgram(bytes: Uint8Array = new Uint8Array(this.#flash.buffer)): void {
    Object.assign(this.cpu, { progBytes: bytes })
  }

  /** The processor and the registers as after a reset; SRAM and the clock go on. */
  reset(): void {
    this.data.fill(0, 0, FIRST_SRAM)
    this.cpu.SP = FIRST_SRAM + SRAM_SIZE - 1
    this.cpu.pc = 0
    this.alarms.clear()
    this.readProgram()
    this.#pending = 0
    this.#isAsleep = false
    this.#shadow = -1
    this.#stop = 0
  }

  /** Executes nothing until the next reset; the clock goes on. */
  park(): void {
    this.#isAsleep = true
    this.#stop = 0
  }

  /** Runs until the clock has reached `until`; the last instruction may take it some cycles further. */
  run(until: number): void {
    const { cpu, alarms } = this
    while (cpu.cycles < until) {
      this.#stop = Math.min(until, alarms.next)
      if (this.#isAsleep) this.#sleep()
      else this.#execute()
      if (alarms.next <= cpu.cycles) alarms.fire(cpu.cycles)
    }
  }

  #execute(): void {
    const { cpu, data } = this
    while (cpu.cycles < this.#stop) {
      if (this.#pending !== 0 && (data[SREG] as number) & INTERRUPT_ENABLE && cpu.cycles !== this.#shadow) {
        this.#interrupt()
      }
      execute(cpu)
    }
  }

  #sleep(): void {
    const { cpu } = this
    if (this.#pending !== 0 && (this.data[SREG] as number) & INTERRUPT_ENABLE) {
      this.#isAsleep = false
      cpu.cycles += INTERRUPT_CYCLES
      this.sleptCycles += INTERRUPT_CYCLES
    } else if (this.#stop > cpu.cycles) {
      this.sleptCycles += this.#stop - cpu.cycles
      cpu.cycles = this.#stop
    }
  }

  #interrupt(): void {
    const { cpu, data } = this
    const vector = 31 - Math.clz32(this.#pending & -this.#pending)
    const stack = cpu.SP
    data[stack] = cpu.pc & 0xff
    data[stack - 1] = cpu.pc >> 8
    cpu.SP = stack - 2
    data[SREG] = (data[SREG] as number) & ~INTERRUPT_ENABLE
    cpu.cycles += INTERRUPT_CYCLES
    cpu.pc = vector * 2
    this.#taken[vector]?.()
  }

  /** In mid-instruction: avr8js adds one to the program counter and to the cycles behind it. */
  #hooked(): void {
    const { cpu, data } = this
    const opcode = this.#flash[cpu.pc]
    if (opcode === WDR) this.onWatchdogReset()
    else if (opcode === SLEEP) this.#beginSleep()
    else if (opcode === SEI) {
      data[SREG] = (data[SREG] as number) | INTERRUPT_ENABLE
      this.#shadow = cpu.cycles + 1
    } else {
      const stack = cpu.SP + 2
      cpu.pc = (((data[stack - 1] as number) << 8) | (data[stack] as number)) - 1
      cpu.SP = stack
      cpu.cycles += 3
      data[SREG] = (data[SREG] as number) | INTERRUPT_ENABLE
      this.#shadow = cpu.cycles + 1
    }
  }

  #beginSleep(): void {
    if (!((this.data[SMCR] as number) & SLEEP_ENABLE)) return
    this.#isAsleep = true
    this.#stop = 0
  }
}
