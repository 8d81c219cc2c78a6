/**
 * What an interrupt changes, and nothing else: a request, two levels, an ISR found in a table, a DPC put into a list and
 * taken out of it, their counts. Nobody checks anything, and V8 puts all of it into one function.
 */
import { expectEqual, timed } from '../benchmark.ts'

const words = new Int32Array(new SharedArrayBuffer(4096))
const word = (index: number): number => words[index] as number

const PENDING = 0
const IRQL = 1
const DISPATCH_LEVEL = 2
const DPC_BIT = 1
const levelBit = (level: number): number => 1 << (16 + level)
const REQUESTS = 16
const COUNTS = 64
const QUEUE = 128 // next, last
const DPC = 256 // next, last, routine, context, whether it is queued
const CONTEXT = 512

const LEVEL = 5
const VECTOR = 3

const isrs = [(context: number): boolean => raise(context)]
const dpcs = [(context: number): void => void (words[context + 1] = word(context + 1) + 1)]

function raise(context: number): boolean {
  words[context] = word(context) + 1
  if (word(DPC + 4) !== 0) return true
  const last = word(QUEUE + 1)
  words[DPC + 4] = 1
  words[DPC] = QUEUE
  words[DPC + 1] = last
  words[last] = DPC
  words[QUEUE + 1] = DPC
  words[PENDING] = word(PENDING) | DPC_BIT
  return true
}

function takeLevel(level: number): void {
  const irql = word(IRQL)
  words[PENDING] = word(PENDING) & ~levelBit(level)
  words[IRQL] = level
  let bits = word(REQUESTS + level)
  words[REQUESTS + level] = 0
  while (bits !== 0) {
    const vector = 31 - Math.clz32(bits & -bits)
    bits &= bits - 1
    words[COUNTS + vector] = word(COUNTS + vector) + 1
    if (isrs[0]?.(CONTEXT) !== true) throw new Error('an interrupt that nobody claims')
  }
  words[IRQL] = irql
}

function drain(): void {
  words[PENDING] = word(PENDING) & ~DPC_BIT
  words[IRQL] = DISPATCH_LEVEL
  for (let dpc = word(QUEUE); dpc !== QUEUE; dpc = word(QUEUE)) {
    const next = word(dpc)
    words[QUEUE] = next
    words[next + 1] = QUEUE
    words[dpc + 4] = 0
    dpcs[word(dpc + 2)]?.(word(dpc + 3))
  }
  words[IRQL] = 0
}

function attend(): void {
  for (let pending = word(PENDING); pending !== 0; pending = word(PENDING)) {
    const highest = 31 - Math.clz32(pending)
    if (highest > 16) takeLevel(highest - 16)
    else drain()
  }
}

/** Nanoseconds from a request to the end of its DPC. */
export function wordsAlone(rounds: number): number {
  words.fill(0)
  words[QUEUE] = QUEUE
  words[QUEUE + 1] = QUEUE
  words[DPC + 3] = CONTEXT
  const ns = timed(rounds, () => {
    for (let round = 0; round < rounds; round++) {
      words[REQUESTS + LEVEL] = word(REQUESTS + LEVEL) | (1 << VECTOR)
      words[PENDING] = word(PENDING) | levelBit(LEVEL)
      if (word(PENDING) !== 0) attend()
    }
  })
  expectEqual(words[CONTEXT], rounds, 'the count of interrupts')
  expectEqual(words[CONTEXT + 1], rounds, 'the count of DPCs')
  return ns
}
