/**
 * One instruction. avr8js looks for it by comparing with each that there is; those that a compiler writes most are found
 * here by one jump, and all others by avr8js. A test holds that each does the same here as there.
 */
import { avrInstruction, type CPU } from 'avr8js'

const FIRST_IO = 0x20
const SPL = 0x5d
const SREG = 0x5f
const C = 0x01
const Z = 0x02
const N = 0x04
const V = 0x08
const S = 0x10
const H = 0x20
/** I and T: arithmetic leaves them. */
const KEPT = 0xc0
const KEPT_BY_LOGIC = KEPT | H | C
const LAST_WORD = 0x3fff
const UPPER = 16 // the registers that take a constant begin there

export function execute(cpu: CPU): void {
  const { data, pc } = cpu
  const opcode = cpu.progMem[pc] as number
  const d = (opcode >> 4) & 0x1f
  const r = (opcode & 0x0f) | ((opcode >> 5) & 0x10)
  const upper = UPPER + ((opcode >> 4) & 0x0f)
  const constant = ((opcode >> 4) & 0xf0) | (opcode & 0x0f)
  switch (opcode >> 10) {
    case 0:
      if (opcode >> 8 !== 1) {
        avrInstruction(cpu)
        return
      }
      moveWord(data, opcode) // MOVW
      break
    case 1: // CPC
      subtract(data, data[d] as number, data[r] as number, (data[SREG] as number) & C, Z)
      break
    case 2: // SBC
      data[d] = subtract(data, data[d] as number, data[r] as number, (data[SREG] as number) & C, Z)
      break
    case 3: // ADD
      data[d] = add(data, data[d] as number, data[r] as number, 0)
      break
    case 4: // CPSE
      skip(cpu, data[d] === data[r])
      break
    case 5: // CP
      subtract(data, data[d] as number, data[r] as number, 0, 0)
      break
    case 6: // SUB
      data[d] = subtract(data, data[d] as number, data[r] as number, 0, 0)
      break
    case 7: // ADC
      data[d] = add(data, data[d] as number, data[r] as number, (data[SREG] as number) & C)
      break
    case 8: // AND
      data[d] = logic(data, (data[d] as number) & (data[r] as number))
      break
    case 9: // EOR
      data[d] = logic(data, (data[d] as number) ^ (data[r] as number))
      break
    case 10: // OR
      data[d] = logic(data, (data[d] as number) | (data[r] as number))
      break
    case 11: // MOV
      data[d] = data[r] as number
      break
    case 12:
    case 13:
    case 14:
    case 15: // CPI
      subtract(data, data[upper] as number, constant, 0, 0)
      break
    case 16:
    case 17:
    case 18:
    case 19: // SBCI
      data[upper] = subtract(data, data[upper] as number, constant, (data[SREG] as number) & C, Z)
      break
    case 20:
    case 21:
    case 22:
    case 23: // SUBI
      data[upper] = subtract(data, data[upper] as number, constant, 0, 0)
      break
    case 24:
    case 25:
    case 26:
    case 27: // ORI
      data[upper] = logic(data, (data[upper] as number) | constant)
      break
    case 28:
    case 29:
    case 30:
    case 31: // ANDI
      data[upper] = logic(data, (data[upper] as number) & constant)
      break
    case 32:
    case 33:
    case 34:
    case 35:
    case 40:
    case 41:
    case 42:
    case 43: // LDD and STD, LD and ST of Y and Z
      displaced(cpu, opcode)
      break
    case 36: // LDS, STS, PUSH, POP and others
      if (!memory(cpu, opcode)) {
        avrInstruction(cpu)
        return
      }
      break
    case 38: // SBIC and SBIS; CBI and SBI are rare
      if (!(opcode & 0x0100)) {
        avrInstruction(cpu)
        return
      }
      skip(cpu, isBit(cpu.readData(FIRST_IO + ((opcode >> 3) & 0x1f)), opcode))
      break
    case 44:
    case 45: // IN
      data[d] = cpu.readData(FIRST_IO + ((opcode & 0x0f) | ((opcode >> 5) & 0x30)))
      break
    case 46:
    case 47: // OUT
      cpu.writeData(FIRST_IO + ((opcode & 0x0f) | ((opcode >> 5) & 0x30)), data[d] as number)
      break
    case 48:
    case 49:
    case 50:
    case 51: // RJMP
      cpu.pc = (pc + 1 + ((opcode << 20) >> 20)) & LAST_WORD
      cpu.cycles += 2
      return
    case 56:
    case 57:
    case 58:
    case 59: // LDI
      data[upper] = constant
      break
    case 60: // BRBS
      branch(cpu, opcode, ((data[SREG] as number) & (1 << (opcode & 7))) !== 0)
      return
    case 61: // BRBC
      branch(cpu, opcode, ((data[SREG] as number) & (1 << (opcode & 7))) === 0)
      return
    case 63: // SBRC and SBRS
      if (opcode & 0x0008) {
        avrInstruction(cpu)
        return
      }
      skip(cpu, isBit(data[d] as number, opcode))
      break
    default:
      avrInstruction(cpu)
      return
  }
  cpu.pc = (cpu.pc + 1) & LAST_WORD // a hook or a second word may have moved it
  cpu.cycles += 1
}

function moveWord(data: Uint8Array, opcode: number): void {
  const to = (opcode >> 3) & 0x1e
  const from = (opcode << 1) & 0x1e
  data[to] = data[from] as number
  data[to + 1] = data[from + 1] as number
}

/** The cycles are counted before a load and behind a store, as in avr8js: hooks see them. */
function displaced(cpu: CPU, opcode: number): void {
  const { data } = cpu
  const d = (opcode >> 4) & 0x1f
  const pointer = opcode & 0x0008 ? 28 : 30
  const displacement = (opcode & 7) | ((opcode >> 7) & 0x18) | ((opcode >> 8) & 0x20)
  const address = ((data[pointer] as number) | ((data[pointer + 1] as number) << 8)) + displacement
  if (opcode & 0x0200) {
    cpu.writeData(address, data[d] as number)
    cpu.cycles += 1
  } else {
    cpu.cycles += 1
    data[d] = cpu.readData(address)
  }
}

/** Gives back whether it was one of these. */
function memory(cpu: CPU, opcode: number): boolean {
  const { data } = cpu
  const d = (opcode >> 4) & 0x1f
  const isStore = (opcode & 0x0200) !== 0
  if ((opcode & 0x0f) === 0x0f) {
    if (isStore) push(cpu, data[d] as number)
    else data[d] = pop(cpu)
    cpu.cycles += 1
  } else if ((opcode & 0x0f) === 0) {
    const address = cpu.progMem[cpu.pc + 1] as number
    if (isStore) {
      cpu.writeData(address, data[d] as number)
      cpu.cycles += 1
    } else {
      cpu.cycles += 1
      data[d] = cpu.readData(address)
    }
    cpu.pc += 1
  } else return false
  return true
}

function push(cpu: CPU, byte: number): void {
  const { data } = cpu
  const stack = (data[SPL] as number) | ((data[SPL + 1] as number) << 8)
  data[stack] = byte
  data[SPL] = stack - 1
  data[SPL + 1] = (stack - 1) >> 8
}

function pop(cpu: CPU): number {
  const { data } = cpu
  const stack = ((data[SPL] as number) | ((data[SPL + 1] as number) << 8)) + 1
  data[SPL] = stack
  data[SPL + 1] = stack >> 8
  return data[stack] as number
}

function branch(cpu: CPU, opcode: number, isTaken: boolean): void {
  if (isTaken) {
    cpu.pc = (cpu.pc + 1 + ((opcode << 22) >> 25)) & LAST_WORD
    cpu.cycles += 2
  } else {
    cpu.pc = (cpu.pc + 1) & LAST_WORD
    cpu.cycles += 1
  }
}

/** Whether the bit that a skipping instruction names is as it asks: bit 9 asks for a one. */
const isBit = (value: number, opcode: number): boolean => ((value >> (opcode & 7)) & 1) === ((opcode >> 9) & 1)

/** Passes over the instruction that follows, if it is to. */
function skip(cpu: CPU, isSkipped: boolean): void {
  if (!isSkipped) return
  const words = isTwoWords(cpu.progMem[cpu.pc + 1] as number) ? 2 : 1
  cpu.pc += words
  cpu.cycles += words
}

/** LDS and STS, JMP and CALL. */
const isTwoWords = (opcode: number): boolean =>
  (opcode & 0xfc0f) === 0x9000 || (opcode & 0xfe0e) === 0x940c || (opcode & 0xfe0e) === 0x940e

/** N, V, S and Z of a result; `overflow` is in its bit 7. Looked up: the branches that it takes cannot be foretold. */
const signs = (result: number, overflow: number): number => SIGNS[result | ((overflow & 0x80) << 1)] as number
const SIGNS = Uint8Array.from({ length: 512 }, (_, index) => {
  const result = index & 0xff
  const isNegative = (result & 0x80) !== 0
  const isOver = index > 0xff
  return (result === 0 ? Z : 0) | (isNegative ? N : 0) | (isOver ? V : 0) | (isNegative !== isOver ? S : 0)
})

/** `keepsZero` is Z where a zero result leaves Z as it was. */
function subtract(data: Uint8Array, left: number, right: number, carry: number, keepsZero: number): number {
  const sreg = data[SREG] as number
  const difference = left - right - carry
  const result = difference & 0xff
  let flags = signs(result, (left ^ right) & (left ^ result))
  if (keepsZero !== 0) flags &= ~Z | sreg
  const half = (~left & right) | (right & result) | (result & ~left)
  data[SREG] = (sreg & KEPT) | flags | ((difference >> 8) & C) | ((half & 0x08) << 2)
  return result
}

function add(data: Uint8Array, left: number, right: number, carry: number): number {
  const sum = left + right + carry
  const result = sum & 0xff
  const half = (left & right) | (right & ~result) | (~result & left)
  const flags = signs(result, (left ^ result) & (right ^ result))
  data[SREG] = ((data[SREG] as number) & KEPT) | flags | (sum >> 8) | ((half & 0x08) << 2)
  return result
}

function logic(data: Uint8Array, result: number): number {
  data[SREG] = ((data[SREG] as number) & KEPT_BY_LOGIC) | signs(result, 0)
  return result
}
