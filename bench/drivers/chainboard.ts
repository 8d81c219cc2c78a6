/** The boards of `chain.ts`: devices of one interrupt line each. Imports nothing: boards in other processes have it, too. */

export const CHAIN_IDS = ['bench\\chain']

// Registers.
export const COUNT = 0 // interrupts that the board made
export const ANSWER = 4 // what the driver writes behind each
export const REGISTER_BYTES = 8

export const DEVICE = 'chain'
export const LINE = 'line'

/** A board with so many devices, as its board file has it. */
export const chainBoard = (devices = 1) => ({
  name: 'chain',
  devices: Array.from({ length: devices }, (_, index) => ({
    name: `${DEVICE}${index}`,
    hardwareIds: CHAIN_IDS,
    registers: [
      { name: 'COUNT', offset: COUNT, kind: 'count' },
      { name: 'ANSWER', offset: ANSWER, kind: 'control' },
    ],
    lines: [{ name: LINE, dirql: 5, mode: 'latched', snapshot: ['COUNT'] }],
  })),
})

const COUNT_BITS = 8
const COUNT_MASK = (1 << COUNT_BITS) - 1
const TICK_NS = 100
const STAMP_MASK = 0xffffff

/** All processes have one clock; 24 bits of it, in units of 100 ns. */
const stamp = (): number => Number((process.hrtime.bigint() / BigInt(TICK_NS)) & BigInt(STAMP_MASK))

/** The answer to interrupt `count`: its number, and when this was asked for. */
export const answerTo = (count: number): number => ((stamp() << COUNT_BITS) | (count & COUNT_MASK)) >>> 0

export const isAnswerTo = (answer: number, count: number): boolean => ((answer ^ count) & COUNT_MASK) === 0

/** Nanoseconds since the answer was made. */
export const ageOf = (answer: number): number => ((stamp() - (answer >>> COUNT_BITS)) & STAMP_MASK) * TICK_NS
