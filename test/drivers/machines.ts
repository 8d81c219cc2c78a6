/** Machines that a driver is tested on, and small things that its tests say often. */
import { setTimeout as delay } from 'node:timers/promises'
import type { BootOptions, Machine } from '../../machine/index.ts'

export const STATUS_CANCELLED = 0xc0000120 | 0
export const STATUS_NOT_CONNECTED = 0xc000009d | 0
export const STATUS_INVALID_PARAMETER = 0xc000000d | 0
export const STATUS_BUFFER_TOO_SMALL = 0xc0000023 | 0
export const STATUS_NOT_SUPPORTED = 0xc00000bb | 0

export const MACHINES: [string, BootOptions][] = [
  ['one processor', { processors: 1 }],
  ['two processors', { processors: 2 }],
  ['one processor in virtual time', { processors: 1, clock: 'virtual' }],
  ['two processors in virtual time', { processors: 2, clock: 'virtual' }],
]
export const VIRTUAL: BootOptions = { processors: 1, clock: 'virtual' }

export const driver = (name: string): URL => new URL(`../../drivers/${name}/index.ts`, import.meta.url)

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
export const text = (data: ArrayLike<number>): string => Buffer.from(Array.from(data)).toString('latin1')

/** Little-endian 32-bit words, as structs of ULONGs lie in memory. */
export const words = (...values: readonly number[]): Uint8Array =>
  new Uint8Array(Uint32Array.from(values, (value) => value >>> 0).buffer)
export const wordsIn = (data: Uint8Array): number[] => {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
  return Array.from({ length: data.byteLength >> 2 }, (_, index) => view.getUint32(index * 4, true))
}

/** The status that `ended` failed with; null when it did not. */
export async function statusOf(ended: Promise<unknown>): Promise<number | null> {
  try {
    await ended
    return null
  } catch (error) {
    return (error as { status?: number }).status ?? Promise.reject(error as Error)
  }
}

/** Lets the machine's time pass until `isSo`. */
export async function until(machine: Machine, what: string, isSo: () => boolean): Promise<void> {
  for (let ms = 0; ms < 5000; ms++) {
    if (isSo()) return
    await machine.sleep(1)
  }
  throw new Error(`${what} did not come about`)
}

/** Gives what else runs in this process time to go on. */
export const breathe = (ms = 5): Promise<void> => delay(ms)
