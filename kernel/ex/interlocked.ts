/**
 * Interlocked operations: a number, changed in one step that no other processor can come between.
 *
 * Where C passes the address of a variable, a driver passes `field(view, 'Count')`, or an `atomic(…)` field itself.
 */
import { mem } from '../mm/memory.ts'
import { type AnyView, type Atomic, structOfView } from '../rtl/struct.ts'
import { point } from '../ke/level.ts'

declare const width: unique symbol

/** Where a number of `Bytes` bytes lies. */
export interface Cell<Bytes extends 4 | 8 = 4> {
  readonly address: number
  readonly [width]?: Bytes
}
export type Cell64 = Cell<8>

/** What a 32-bit operation takes: a field's place, or an atomic field. */
export type Target = Cell | Atomic<number>
export type Target64 = Cell64 | Atomic<bigint>

type NumberIn<V> = { [K in keyof V]: V[K] extends number ? (number extends V[K] ? K : never) : never }[keyof V]
type BigintIn<V> = { [K in keyof V]: V[K] extends bigint ? K : never }[keyof V]

/** The place of a LONG, ULONG, LONGLONG or ULONGLONG field: what `&Extension->Count` is in C. */
export function field<V extends AnyView>(view: V, name: Exclude<NumberIn<V>, 'address'> & string): Cell
export function field<V extends AnyView>(view: V, name: BigintIn<V> & string): Cell64
export function field(view: AnyView, name: string): { readonly address: number } {
  const found = structOfView(view)?.fields[name]
  if (found === undefined) throw new TypeError(`there is no field ${name} to operate on`)
  if (found.size !== 4 && found.size !== 8) {
    throw new TypeError(`field ${name} has ${found.size} bytes: interlocked operations are for 4 or 8`)
  }
  return { address: view.address + found.offset }
}

/** Atomic fields have their address, too; their type does not show it. */
const word = (target: Target): number => (target as Cell).address >> 2
const word64 = (target: Target64): number => (target as Cell64).address >> 3

/**
 * Adds 1.
 *
 * @irql any
 * @returns the new value
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-interlockedincrement
 */
export function InterlockedIncrement(Addend: Target): number {
  point()
  return (Atomics.add(mem.i32, word(Addend), 1) + 1) | 0
}

/**
 * Subtracts 1.
 *
 * @irql any
 * @returns the new value
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-interlockeddecrement
 */
export function InterlockedDecrement(Addend: Target): number {
  point()
  return (Atomics.sub(mem.i32, word(Addend), 1) - 1) | 0
}

/**
 * Stores `Value`.
 *
 * @irql any
 * @returns the value before
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-interlockedexchange
 */
export function InterlockedExchange(Target: Target, Value: number): number {
  point()
  return Atomics.exchange(mem.i32, word(Target), Value)
}

/**
 * Adds `Value`.
 *
 * @irql any
 * @returns the value before
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-interlockedexchangeadd
 */
export function InterlockedExchangeAdd(Addend: Target, Value: number): number {
  point()
  return Atomics.add(mem.i32, word(Addend), Value)
}

/**
 * Adds `Value`.
 *
 * @irql any
 * @returns the new value
 * @see https://learn.microsoft.com/windows/win32/api/winnt/nf-winnt-interlockedadd
 */
export function InterlockedAdd(Addend: Target, Value: number): number {
  point()
  return (Atomics.add(mem.i32, word(Addend), Value) + Value) | 0
}

/**
 * Stores `ExChange` if the value is `Comperand`.
 *
 * @irql any
 * @returns the value before: `Comperand` when it was stored
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-interlockedcompareexchange
 */
export function InterlockedCompareExchange(Destination: Target, ExChange: number, Comperand: number): number {
  point()
  return Atomics.compareExchange(mem.i32, word(Destination), Comperand, ExChange)
}

/**
 * Keeps the bits that `Value` has.
 *
 * @irql any
 * @returns the value before
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-interlockedand
 */
export function InterlockedAnd(Destination: Target, Value: number): number {
  point()
  return Atomics.and(mem.i32, word(Destination), Value)
}

/**
 * Sets the bits that `Value` has.
 *
 * @irql any
 * @returns the value before
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-interlockedor
 */
export function InterlockedOr(Destination: Target, Value: number): number {
  point()
  return Atomics.or(mem.i32, word(Destination), Value)
}

/**
 * Flips the bits that `Value` has.
 *
 * @irql any
 * @returns the value before
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-interlockedxor
 */
export function InterlockedXor(Destination: Target, Value: number): number {
  point()
  return Atomics.xor(mem.i32, word(Destination), Value)
}

/**
 * Adds 1 to a 64-bit number.
 *
 * @irql any
 * @returns the new value
 * @see https://learn.microsoft.com/windows/win32/api/winnt/nf-winnt-interlockedincrement64
 */
export function InterlockedIncrement64(Addend: Target64): bigint {
  return InterlockedAdd64(Addend, 1n)
}

/**
 * Subtracts 1 from a 64-bit number.
 *
 * @irql any
 * @returns the new value
 * @see https://learn.microsoft.com/windows/win32/api/winnt/nf-winnt-interlockeddecrement64
 */
export function InterlockedDecrement64(Addend: Target64): bigint {
  return InterlockedAdd64(Addend, -1n)
}

/**
 * Adds `Value` to a 64-bit number.
 *
 * @irql any
 * @returns the new value
 * @see https://learn.microsoft.com/windows/win32/api/winnt/nf-winnt-interlockedadd64
 */
export function InterlockedAdd64(Addend: Target64, Value: bigint): bigint {
  point()
  return BigInt.asIntN(64, Atomics.add(mem.i64, word64(Addend), Value) + Value)
}

/**
 * Stores a 64-bit `Value`.
 *
 * @irql any
 * @returns the value before
 * @see https://learn.microsoft.com/windows/win32/api/winnt/nf-winnt-interlockedexchange64
 */
export function InterlockedExchange64(Target: Target64, Value: bigint): bigint {
  point()
  return Atomics.exchange(mem.i64, word64(Target), Value)
}

/**
 * Adds `Value` to a 64-bit number.
 *
 * @irql any
 * @returns the value before
 * @see https://learn.microsoft.com/windows/win32/api/winnt/nf-winnt-interlockedexchangeadd64
 */
export function InterlockedExchangeAdd64(Addend: Target64, Value: bigint): bigint {
  point()
  return Atomics.add(mem.i64, word64(Addend), Value)
}

/**
 * Stores a 64-bit `ExChange` if the value is `Comperand`.
 *
 * @irql any
 * @returns the value before: `Comperand` when it was stored
 * @see https://learn.microsoft.com/windows/win32/api/winnt/nf-winnt-interlockedcompareexchange64
 */
export function InterlockedCompareExchange64(Destination: Target64, ExChange: bigint, Comperand: bigint): bigint {
  point()
  return Atomics.compareExchange(mem.i64, word64(Destination), Comperand, ExChange)
}
