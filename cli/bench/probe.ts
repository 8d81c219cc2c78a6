/** What the bench does in the kernel: registers of a device without its driver's knowledge, and time. */
import {
  flush,
  KeQueryInterruptTime,
  MmMapIoSpace,
  MmNonCached,
  MmUnmapIoSpace,
  NT_SUCCESS,
  out,
  readFresh,
  WRITE_REGISTER_ULONG,
} from 'dirql/wdm'

const WINDOW_BYTES = 0x800
const TICKS_PER_US = 10

export interface Writes {
  window: number
  offset: number
  values: number[]
  /** Written behind all others: what the register had. */
  last: number
}

async function onWindow<T>(window: number, body: (registers: number) => Promise<T>): Promise<T> {
  const registers = MmMapIoSpace(window, WINDOW_BYTES, MmNonCached)
  if (registers === 0) throw new Error('the register window cannot be mapped')
  try {
    return await body(registers)
  } finally {
    MmUnmapIoSpace(registers, WINDOW_BYTES)
  }
}

async function fresh(register: number): Promise<number> {
  const value = out<number>()
  const status = await readFresh(register, value)
  if (!NT_SUCCESS(status)) throw new Error(`the board did not answer: status 0x${(status >>> 0).toString(16)}`)
  return value.value
}

/** Writes each value, and asks the board for it; then posts all of them at once, and asks for the last. */
export async function writeAndAsk({ window, offset, values, last }: Writes): Promise<number[]> {
  return onWindow(window, async (registers) => {
    const told: number[] = []
    for (const value of values) {
      WRITE_REGISTER_ULONG(registers + offset, value)
      told.push(await fresh(registers + offset))
    }
    for (const value of values) WRITE_REGISTER_ULONG(registers + offset, value)
    told.push(await fresh(registers + offset))
    WRITE_REGISTER_ULONG(registers + offset, last)
    await flush(registers)
    return told
  })
}

/** Microseconds that each of `count` questions to the board took. */
export async function timeQuestions({ window, offset, count }: { window: number; offset: number; count: number }) {
  return onWindow(window, async (registers) => {
    const times: number[] = []
    for (let index = 0; index < count; index++) {
      const before = KeQueryInterruptTime()
      await fresh(registers + offset)
      times.push((Number(KeQueryInterruptTime()) - Number(before)) / TICKS_PER_US)
    }
    return times
  })
}

/** Behind this the board has done all that was posted to it. */
export async function settle(window: number): Promise<void> {
  await onWindow(window, flush)
}
