import { mem, useMemory, viewMemory } from '../../../kernel/mm/memory.ts'
import { initializePool, poolFault } from '../../../kernel/mm/pool.ts'

/** Where the tests' pool begins; it ends with the memory. */
export const POOL_START = 0x10000

/** A bug check that the pool called for: code and four parameters. */
export class PoolBugCheck extends Error {
  readonly numbers: number[]
  constructor(numbers: number[]) {
    super(numbers.map((number) => `0x${number.toString(16)}`).join(', '))
    this.numbers = numbers
  }
}

/** An exception that the pool raised. */
export class PoolRaise extends Error {
  readonly status: number
  constructor(status: number) {
    super(`0x${(status >>> 0).toString(16)}`)
    this.status = status
  }
}

/** A pool in fresh memory, at PASSIVE_LEVEL, whose faults are thrown as the classes above. */
export function freshPool(bytes = 4 << 20, processors = 1): SharedArrayBuffer {
  useMemory(viewMemory(new SharedArrayBuffer(bytes)))
  initializePool({ start: POOL_START, end: bytes, processors })
  plugFaults()
  return mem.buffer
}

export function plugFaults(): void {
  poolFault.bugCheck = (...numbers: number[]) => {
    throw new PoolBugCheck(numbers)
  }
  poolFault.raise = (status) => {
    throw new PoolRaise(status)
  }
  poolFault.irql = () => 0
  poolFault.shouldFail = null
}

/** Code and parameters of the bug check that `action` ends in; null if it ends well. */
export function bugCheckOf(action: () => unknown): number[] | null {
  try {
    action()
    return null
  } catch (error) {
    if (error instanceof PoolBugCheck) return error.numbers
    throw error
  }
}
