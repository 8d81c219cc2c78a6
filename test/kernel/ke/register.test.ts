import { describe, expect, test } from 'vitest'
import { boot } from '../../../machine/index.ts'
import { MmMapIoSpace, MmNonCached, MmUnmapIoSpace, REGISTER_BYTES } from '../../../kernel/ke/iospace.ts'
import {
  flush,
  READ_REGISTER_BUFFER_UCHAR,
  READ_REGISTER_BUFFER_ULONG,
  READ_REGISTER_BUFFER_USHORT,
  READ_REGISTER_UCHAR,
  READ_REGISTER_ULONG,
  READ_REGISTER_USHORT,
  readFresh,
  WRITE_REGISTER_BUFFER_UCHAR,
  WRITE_REGISTER_BUFFER_ULONG,
  WRITE_REGISTER_UCHAR,
  WRITE_REGISTER_ULONG,
  WRITE_REGISTER_USHORT,
} from '../../../kernel/ke/register.ts'
import { KeLowerIrql, KeRaiseIrql } from '../../../kernel/ke/level.ts'
import { mem } from '../../../kernel/mm/memory.ts'
import { read32, write32 } from '../../../kernel/mm/access.ts'
import { allocate, poolUsage } from '../../../kernel/mm/pool.ts'
import { isWindowUnused, markWindowGone, putFifo, RegisterKind, Window } from '../../../kernel/ports/device.ts'
import { STATUS_NO_SUCH_DEVICE, STATUS_SUCCESS } from '../../../kernel/rtl/status.ts'
import { answer, makeBoard, makeFifo, Post, takeAll, type TestBoard } from './board.ts'
import { bugCheckOf, onMachine } from './machine.ts'

const { Control, Status, Command, Fifo, Count } = RegisterKind
const CONTROL = 0
const STATUS = 4
const COMMAND = 8
const FIFO = 12

/** A board with one register of each kind, mapped. */
function board(room?: number): TestBoard & { base: number } {
  const made = makeBoard([Control, Status, Command, Fifo, Count], room)
  return { ...made, base: MmMapIoSpace(made.window, REGISTER_BYTES, MmNonCached) }
}

describe('reads', () => {
  test('READ_REGISTER_ULONG gives the shadow, unsigned, without asking the board', async () => {
    const [value, posted] = await onMachine(() => {
      const made = board()
      write32(made.base + STATUS, 0xfedcba98)
      return [READ_REGISTER_ULONG(made.base + STATUS), takeAll(made)]
    })
    expect(value).toBe(0xfedcba98)
    expect(posted).toEqual([])
  })

  test('READ_REGISTER_USHORT gives the low 16 bits', async () => {
    const value = await onMachine(() => {
      const { base } = board()
      write32(base + STATUS, 0xfedcba98)
      return READ_REGISTER_USHORT(base + STATUS)
    })
    expect(value).toBe(0xba98)
  })

  test('READ_REGISTER_UCHAR takes a FIFO’s bytes once each, then gives 0', async () => {
    const bytes = await onMachine(() => {
      const made = board()
      const fifo = makeFifo(made, 3, 8, 1)
      putFifo(mem, fifo, [0x41, 0xff])
      return [1, 2, 3].map(() => READ_REGISTER_UCHAR(made.base + FIFO))
    })
    expect(bytes).toEqual([0x41, 0xff, 0])
  })

  test('READ_REGISTER_BUFFER_UCHAR reads all bytes from a FIFO register, across the end of its ring', async () => {
    const bytes = await onMachine(() => {
      const made = board()
      const fifo = makeFifo(made, 3, 4, 1)
      const buffer = allocate(8, 'Test')
      putFifo(mem, fifo, [1, 2, 3])
      READ_REGISTER_BUFFER_UCHAR(made.base + FIFO, buffer, 3)
      putFifo(mem, fifo, [4, 5, 6])
      READ_REGISTER_BUFFER_UCHAR(made.base + FIFO, buffer + 3, 3)
      return Array.from(mem.u8.subarray(buffer, buffer + 6))
    })
    expect(bytes).toEqual([1, 2, 3, 4, 5, 6])
  })

  test('READ_REGISTER_BUFFER_ULONG reads registers side by side', async () => {
    const words = await onMachine(() => {
      const { base } = board()
      write32(base + CONTROL, 10)
      write32(base + STATUS, 20)
      const buffer = allocate(8, 'Test')
      READ_REGISTER_BUFFER_ULONG(base, buffer, 2)
      return [read32(buffer), read32(buffer + 4)]
    })
    expect(words).toEqual([10, 20])
  })

  test('READ_REGISTER_BUFFER_USHORT reads entries of a FIFO of words', async () => {
    const values = await onMachine(() => {
      const made = board()
      putFifo(mem, makeFifo(made, 3, 4, 4), [0x10001, 0x10002])
      const buffer = allocate(4, 'Test')
      READ_REGISTER_BUFFER_USHORT(made.base + FIFO, buffer, 2)
      return Array.from(mem.u16.subarray(buffer >> 1, (buffer >> 1) + 2))
    })
    expect(values).toEqual([1, 2])
  })

  test('putFifo takes no more than there is room for', async () => {
    const [first, second] = await onMachine(() => {
      const fifo = makeFifo(board(), 3, 4, 1)
      return [putFifo(mem, fifo, [1, 2, 3]), putFifo(mem, fifo, [4, 5, 6])]
    })
    expect([first, second]).toEqual([3, 1])
  })
})

describe('writes', () => {
  const offsets: [string, number, (register: number, value: number) => void, number, number][] = [
    ['WRITE_REGISTER_ULONG', CONTROL, WRITE_REGISTER_ULONG, 0xfedcba98, 0xfedcba98 | 0],
    ['WRITE_REGISTER_USHORT', CONTROL, WRITE_REGISTER_USHORT, 0xfedcba98, 0xba98],
    ['WRITE_REGISTER_UCHAR', CONTROL, WRITE_REGISTER_UCHAR, 0xfedcba98, 0x98],
  ]
  test.each(offsets)(
    '%s sets the shadow of a control register and posts the write',
    async (_, at, write, value, sent) => {
      const [shadow, posted] = await onMachine(() => {
        const made = board()
        write(made.base + at, value)
        return [read32(made.base + at), takeAll(made)]
      })
      expect(shadow).toBe(sent)
      expect(posted).toEqual([{ kind: Post.Write, first: 7, second: at, third: sent }])
    },
  )

  test.each([
    ['WRITE_REGISTER_UCHAR writes 8 bits, and 0 above them', WRITE_REGISTER_UCHAR, 0xff],
    ['WRITE_REGISTER_USHORT writes 16 bits, and 0 above them', WRITE_REGISTER_USHORT, 0xffff],
  ])('%s', async (_, write, expected) => {
    const shadow = await onMachine(() => {
      const { base } = board()
      WRITE_REGISTER_ULONG(base + CONTROL, 0x12345678)
      write(base + CONTROL, 0xffffffff)
      return read32(base + CONTROL)
    })
    expect(shadow).toBe(expected)
  })

  test('WRITE_REGISTER_ULONG of a command register posts each write and keeps none', async () => {
    const [shadow, posted] = await onMachine(() => {
      const made = board()
      WRITE_REGISTER_ULONG(made.base + COMMAND, 1)
      WRITE_REGISTER_ULONG(made.base + COMMAND, 1)
      return [read32(made.base + COMMAND), takeAll(made).length]
    })
    expect([shadow, posted]).toEqual([0, 2])
  })

  test('WRITE_REGISTER_BUFFER_UCHAR writes all bytes to a FIFO register, in order', async () => {
    const values = await onMachine(() => {
      const made = board()
      const buffer = allocate(4, 'Test')
      mem.u8.set([3, 1, 2], buffer)
      WRITE_REGISTER_BUFFER_UCHAR(made.base + FIFO, buffer, 3)
      return takeAll(made).map(({ second, third }) => [second, third])
    })
    expect(values).toEqual([
      [FIFO, 3],
      [FIFO, 1],
      [FIFO, 2],
    ])
  })

  test('WRITE_REGISTER_BUFFER_ULONG writes registers side by side', async () => {
    const offsetsPosted = await onMachine(() => {
      const made = makeBoard([Control, Control])
      const base = MmMapIoSpace(made.window, 8, MmNonCached)
      WRITE_REGISTER_BUFFER_ULONG(base, allocate(8, 'Test'), 2)
      return takeAll(made).map(({ second }) => second)
    })
    expect(offsetsPosted).toEqual([0, 4])
  })

  test('WRITE_REGISTER_ULONG to a full ring is bug check 0x121 that names the remedy', async () => {
    const error = await bugCheckOf(() => {
      const { base } = board(4)
      for (let count = 0; count < 5; count++) WRITE_REGISTER_ULONG(base + COMMAND, count)
    })
    expect(error.code).toBe(0x121)
    expect(error.message).toContain('flush')
  })

  test('WRITE_REGISTER_ULONG to a status register is bug check 0x121', async () => {
    const error = await bugCheckOf(() => WRITE_REGISTER_ULONG(board().base + STATUS, 1))
    expect(error.code).toBe(0x121)
  })

  test('WRITE_REGISTER_ULONG to a status register is counted and dropped on a free build', async () => {
    const [dropped, posted] = await onMachine(
      () => {
        const made = board()
        WRITE_REGISTER_ULONG(made.base + STATUS, 1)
        return [read32(made.window + Window.DroppedWrites), takeAll(made).length]
      },
      { build: 'free' },
    )
    expect([dropped, posted]).toEqual([1, 0])
  })
})

describe('a board that is gone', () => {
  test('READ_REGISTER_ULONG gives all ones, and writes are counted and dropped', async () => {
    const seen = await onMachine(() => {
      const made = board()
      markWindowGone(mem, made.window)
      WRITE_REGISTER_ULONG(made.base + CONTROL, 5)
      const wide = READ_REGISTER_ULONG(made.base + CONTROL)
      const narrow = [READ_REGISTER_USHORT(made.base + FIFO), READ_REGISTER_UCHAR(made.base + FIFO)]
      return { wide, narrow, dropped: read32(made.window + Window.DroppedWrites), posted: takeAll(made).length }
    })
    expect(seen).toEqual({ wide: 0xffffffff, narrow: [0xffff, 0xff], dropped: 1, posted: 0 })
  })

  test('flush and readFresh fail with STATUS_NO_SUCH_DEVICE', async () => {
    const statuses = await onMachine(async () => {
      const made = board()
      markWindowGone(mem, made.window)
      return [await flush(made.base), await readFresh(made.base + STATUS, { value: 0 })]
    })
    expect(statuses).toEqual([STATUS_NO_SUCH_DEVICE, STATUS_NO_SUCH_DEVICE])
  })
})

describe('addresses', () => {
  test.each([
    ['an address in no window', () => READ_REGISTER_ULONG(allocate(64, 'Test'))],
    ['an address outside the memory', () => READ_REGISTER_ULONG(0xfffff000)],
    ['a register that the device does not have', () => READ_REGISTER_ULONG(board().base + 0x100)],
    ['an address inside a register', () => READ_REGISTER_UCHAR(board().base + 1)],
    ['a window that is not mapped', () => READ_REGISTER_ULONG(makeBoard([Control]).window)],
  ])('READ_REGISTER_ULONG of %s is bug check 0x50', async (_, read) => {
    expect((await bugCheckOf(read)).code).toBe(0x50)
  })

  test('MmMapIoSpace gives the window’s own address and keeps the window from being used again', async () => {
    const [same, whileMapped, after] = await onMachine(() => {
      const { window } = makeBoard([Control])
      const base = MmMapIoSpace(BigInt(window), 4, MmNonCached)
      const used = isWindowUnused(mem, window)
      MmUnmapIoSpace(base, 4)
      return [base === window, used, isWindowUnused(mem, window)]
    })
    expect([same, whileMapped, after]).toEqual([true, false, true])
  })

  test('MmMapIoSpace gives 0 for what is no register', async () => {
    const addresses = await onMachine(() => {
      const { window } = makeBoard([Control])
      return [MmMapIoSpace(window, REGISTER_BYTES + 1, MmNonCached), MmMapIoSpace(allocate(64, 'Test'), 4, MmNonCached)]
    })
    expect(addresses).toEqual([0, 0])
  })

  test('MmUnmapIoSpace of what is not mapped is bug check 0xDA', async () => {
    expect((await bugCheckOf(() => MmUnmapIoSpace(makeBoard([Control]).window, 4))).code).toBe(0xda)
  })
})

describe('questions to the board', () => {
  test('flush is done when the board has acknowledged, and leaves no memory behind', async () => {
    const seen = await onMachine(async () => {
      const made = board()
      WRITE_REGISTER_ULONG(made.base + CONTROL, 1)
      const before = bytes()
      const flushed = { done: false }
      const flushing = flush(made.base).then((status) => {
        flushed.done = true
        return status
      })
      const posted = takeAll(made)
      const early = flushed.done
      answer(posted[1]?.first ?? 0, STATUS_SUCCESS, 0)
      return { kinds: posted.map(({ kind }) => kind), early, status: await flushing, leaked: bytes() - before }
    })
    expect(seen).toEqual({ kinds: [Post.Write, Post.Flush], early: false, status: STATUS_SUCCESS, leaked: 0 })
  })

  test('readFresh gives what the board says and leaves the shadow alone', async () => {
    const seen = await onMachine(async () => {
      const made = board()
      const box = { value: 0 }
      const reading = readFresh(made.base + STATUS, box)
      const [question] = takeAll(made)
      answer(question?.third ?? 0, STATUS_SUCCESS, -2)
      const status = await reading
      return {
        question: [question?.kind, question?.first, question?.second],
        status,
        value: box.value,
        shadow: read32(made.base + STATUS),
      }
    })
    expect(seen).toEqual({ question: [Post.Read, 7, STATUS], status: STATUS_SUCCESS, value: 0xfffffffe, shadow: 0 })
  })

  test('readFresh on two threads gives each its own answer, when the answers come together', async () => {
    await using machine = await boot({ localRoutines: true })
    const made = await machine.run(board)
    const asking = [1, 2].map(() =>
      machine.run(async () => {
        const box = { value: 0 }
        await readFresh(made.base + STATUS, box)
        return box.value
      }),
    )
    await machine.run(() => {
      for (const [index, { third }] of takeAll(made).entries()) answer(third, STATUS_SUCCESS, index + 1)
    })
    expect(await Promise.all(asking)).toEqual([1, 2])
  })

  test('flush above PASSIVE_LEVEL is bug check 0xA', async () => {
    const error = await bugCheckOf(async () => {
      const { base } = board()
      KeRaiseIrql(1, { value: 0 })
      await flush(base)
      KeLowerIrql(0)
    })
    expect(error.code).toBe(0xa)
  })
})

const bytes = (): number => poolUsage().reduce((sum, row) => sum + row.bytes, 0)
