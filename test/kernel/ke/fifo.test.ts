/** FIFO registers: what is taken is taken once, and the board is told of the room. */
import { describe, expect, test } from 'vitest'
import { MmMapIoSpace, MmNonCached, REGISTER_BYTES } from '../../../kernel/ke/iospace.ts'
import {
  READ_REGISTER_BUFFER_UCHAR,
  READ_REGISTER_UCHAR,
  READ_REGISTER_ULONG,
  WRITE_REGISTER_ULONG,
} from '../../../kernel/ke/register.ts'
import { write32 } from '../../../kernel/mm/access.ts'
import { mem } from '../../../kernel/mm/memory.ts'
import { allocate } from '../../../kernel/mm/pool.ts'
import { fifoCredit, fifoLevel, fifoRoom, putFifo, RegisterKind } from '../../../kernel/ports/device.ts'
import { makeBoard, makeFifo, Post, takeAll, type TestBoard } from './board.ts'
import { bugCheckOf, onMachine } from './machine.ts'

const FIFO = 0
const LEVEL = 4

/** A board with a FIFO of `room` bytes and its level. */
function board(room: number): TestBoard & { base: number; fifo: number } {
  const made = makeBoard([RegisterKind.Fifo, RegisterKind.Level])
  const fifo = makeFifo(made, 0, room, 1)
  write32(made.window + LEVEL, fifo)
  return { ...made, fifo, base: MmMapIoSpace(made.window, REGISTER_BYTES, MmNonCached) }
}

describe('a FIFO', () => {
  test('tells how many entries can be read in its level register', async () => {
    const levels = await onMachine(() => {
      const { base, fifo } = board(8)
      const before = READ_REGISTER_ULONG(base + LEVEL)
      putFifo(mem, fifo, [1, 2, 3])
      READ_REGISTER_UCHAR(base + FIFO)
      return [before, READ_REGISTER_ULONG(base + LEVEL), fifoLevel(mem, fifo)]
    })
    expect(levels).toEqual([0, 2, 2])
  })

  test('gives credit for each quarter that was taken, once', async () => {
    const counts = await onMachine(() => {
      const made = board(16)
      const { base, fifo } = made
      putFifo(
        mem,
        fifo,
        Array.from({ length: 16 }, (_, index) => index),
      )
      const buffer = allocate(16, 'Test')
      READ_REGISTER_BUFFER_UCHAR(base + FIFO, buffer, 11)
      return takeAll(made).map(({ kind, first, second, third }) => [kind, first, second, third])
    })
    expect(counts).toEqual([
      [Post.Credit, 7, FIFO, 4],
      [Post.Credit, 7, FIFO, 4],
    ])
  })

  test('never lets a board run dry: what is owed at the most is less than a quarter', async () => {
    const outstanding = await onMachine(() => {
      const made = board(16)
      const { base, fifo } = made
      let credit = fifoCredit(mem, fifo)
      const least: number[] = []
      for (let round = 0; round < 100; round++) {
        putFifo(mem, fifo, [round])
        credit -= 1
        READ_REGISTER_UCHAR(base + FIFO)
        for (const { third } of takeAll(made)) credit += third
        least.push(credit)
        if (credit > fifoRoom(mem, fifo)) throw new Error('more credit than room')
      }
      return Math.min(...least)
    })
    expect(outstanding).toBeGreaterThan(12)
  })

  test('takes no more than it has room for', async () => {
    const put = await onMachine(() => {
      const { fifo } = board(4)
      return [putFifo(mem, fifo, [1, 2, 3]), putFifo(mem, fifo, [4, 5, 6]), putFifo(mem, fifo, [7])]
    })
    expect(put).toEqual([3, 1, 0])
  })

  test('that is only written reads as 0, and has level 0', async () => {
    const read = await onMachine(() => {
      const made = makeBoard([RegisterKind.Fifo, RegisterKind.Level])
      const base = MmMapIoSpace(made.window, REGISTER_BYTES, MmNonCached)
      WRITE_REGISTER_ULONG(base + FIFO, 5)
      return [READ_REGISTER_ULONG(base + FIFO), READ_REGISTER_ULONG(base + LEVEL), takeAll(made).length]
    })
    expect(read).toEqual([0, 0, 1])
  })

  test('has a level that the host must not write', async () => {
    const { code } = await bugCheckOf(() => {
      const { base } = board(4)
      WRITE_REGISTER_ULONG(base + LEVEL, 1)
    })
    expect(code).toBe(0x121)
  })
})
