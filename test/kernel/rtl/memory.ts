import { useMemory, viewMemory } from '../../../kernel/mm/memory.ts'

/** Where the tests put things. */
export const BASE = 0x10000

/** A fresh memory of 1 MiB. */
export function freshMemory(): SharedArrayBuffer {
  const buffer = new SharedArrayBuffer(1 << 20)
  useMemory(viewMemory(buffer))
  return buffer
}
