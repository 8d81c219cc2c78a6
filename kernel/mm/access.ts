/**
 * Loads and stores at an address. Kernel code works on addresses, not on struct views: a routine that
 * sees objects of many structs would be slow on views whatever the views were made of.
 *
 * The plain forms are for words that a lock guards, the `atomic…` forms for words that none does.
 */
import * as memory from './memory.ts'

// Looked up once: an imported name is looked up at each use (decision 0041).
const { mem } = memory

export const read8 = (address: number): number => mem.u8[address] as number
export const read16 = (address: number): number => mem.u16[address >> 1] as number
export const read32 = (address: number): number => mem.i32[address >> 2] as number
export const readU32 = (address: number): number => mem.u32[address >> 2] as number
export const read64 = (address: number): bigint => mem.i64[address >> 3] as bigint
export const readF64 = (address: number): number => mem.f64[address >> 3] as number

export function write8(address: number, value: number): void {
  mem.u8[address] = value
}
export function write16(address: number, value: number): void {
  mem.u16[address >> 1] = value
}
export function write32(address: number, value: number): void {
  mem.i32[address >> 2] = value
}
export function write64(address: number, value: bigint): void {
  mem.i64[address >> 3] = value
}
export function writeF64(address: number, value: number): void {
  mem.f64[address >> 3] = value
}

/** Adds to the word at `address`, as a lock allows. */
export function add32(address: number, value: number): void {
  const { i32 } = mem
  i32[address >> 2] = (i32[address >> 2] as number) + value
}

/** Fills `length` bytes at `address` with zero. */
export function zero(address: number, length: number): void {
  mem.u8.fill(0, address, address + length)
}

export const atomicLoad = (address: number): number => Atomics.load(mem.i32, address >> 2)
export const atomicStore = (address: number, value: number): number => Atomics.store(mem.i32, address >> 2, value)
/** Adds and gives back the value before. */
export const atomicAdd = (address: number, value: number): number => Atomics.add(mem.i32, address >> 2, value)
export const atomicOr = (address: number, bits: number): number => Atomics.or(mem.i32, address >> 2, bits)
export const atomicAnd = (address: number, bits: number): number => Atomics.and(mem.i32, address >> 2, bits)
export const atomicExchange = (address: number, value: number): number => Atomics.exchange(mem.i32, address >> 2, value)
/** Stores `value` if the word is `expected`; gives back the value before. */
export const atomicCompareExchange = (address: number, expected: number, value: number): number =>
  Atomics.compareExchange(mem.i32, address >> 2, expected, value)
