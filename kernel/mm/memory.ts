/**
 * The machine's memory: one shared block, seen through views of each width.
 *
 * The views sit in a `const` holder because a module-level `let` costs three times as much to read,
 * and because one thread may boot one machine after the other.
 */

/** The views of one block. An address is a byte offset; `i32[address >> 2]` is the word at it. */
export interface Memory {
  buffer: SharedArrayBuffer
  i8: Int8Array
  u8: Uint8Array
  i16: Int16Array
  u16: Uint16Array
  i32: Int32Array
  u32: Uint32Array
  i64: BigInt64Array
  u64: BigUint64Array
  f64: Float64Array
}

/** Makes the views of `buffer`, for code that serves a machine without being one of its processors. */
export function viewMemory(buffer: SharedArrayBuffer): Memory {
  return {
    buffer,
    i8: new Int8Array(buffer),
    u8: new Uint8Array(buffer),
    i16: new Int16Array(buffer),
    u16: new Uint16Array(buffer),
    i32: new Int32Array(buffer),
    u32: new Uint32Array(buffer),
    i64: new BigInt64Array(buffer),
    u64: new BigUint64Array(buffer),
    f64: new Float64Array(buffer),
  }
}

/**
 * V8 does not count shared buffers when it decides whether to collect garbage: hundreds of machines, one after the other,
 * would keep theirs, until the address space is too big to start a process from. A buffer that counts, and that nobody
 * touches, lives as long as each. It is so small that V8 collects with every few machines, and not with each.
 */
const counted = new WeakMap<SharedArrayBuffer, ArrayBuffer>()

/** Memory for a machine: zeroes, and only what is touched costs anything. */
export function allocateMemory(bytes: number): Memory {
  const buffer = new SharedArrayBuffer(bytes)
  counted.set(buffer, new ArrayBuffer(bytes / 16))
  return viewMemory(buffer)
}

/** Bytes of memory that a machine has if nothing else is asked for. */
export const DEFAULT_BYTES = 256 * 1024 * 1024

/** Under this name whoever starts a thread for a processor gives it the machine's memory. */
const GIVEN = Symbol.for('dirql.memory')
const given = (globalThis as { [GIVEN]?: SharedArrayBuffer })[GIVEN]

/**
 * The memory of the machine that this thread is a processor of.
 *
 * It begins with what the thread was given, or with what its first machine will have: most threads see no other, and
 * while the views are those that `mem` was made with, V8 has their addresses in its code (decision 0047).
 */
export const mem: Memory = viewMemory(given ?? new SharedArrayBuffer(DEFAULT_BYTES))

/** Whether nobody has used what `mem` began with. */
let isFresh = given === undefined

/** Memory for a machine whose processor is this thread. */
export function memoryOfThread(bytes: number): Memory {
  if (!isFresh || bytes !== DEFAULT_BYTES) return allocateMemory(bytes)
  isFresh = false
  return { ...mem }
}

/** Makes `memory` the one that structs and kernel code of this thread work on. */
export function useMemory(memory: Memory): void {
  if (memory.buffer === mem.buffer) return
  isFresh = false
  Object.assign(mem, memory)
}

/** Addresses below this are never valid: a NULL pointer with any field offset faults. */
export const LOWEST_ADDRESS = 0x10000
