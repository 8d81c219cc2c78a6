/** Boards without firmware of ours on a PTY, through serialport: bytes and text lines reach the registers, and go out. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Lines, patternOffset } from '../../classes/lines.ts'
import { Uart } from '../../classes/uart.ts'
import {
  MmMapIoSpace,
  MmNonCached,
  MmUnmapIoSpace,
  out,
  READ_REGISTER_UCHAR,
  READ_REGISTER_ULONG,
  readFresh,
  WRITE_REGISTER_UCHAR,
} from '../../ddi/wdm.ts'
import { openPty } from '../../hal/links/pty.ts'
import type { Link } from '../../hal/links/link.ts'
import { boot, type Machine } from '../../machine/index.ts'

const WINDOW_BYTES = 0x800
const NAME = 'port-0'
const LONGEST_MS = 10_000

interface Port {
  machine: Machine
  far: Link
  /** All that the far end got. */
  received: () => string
  /** Of the register window. */
  base: number
}

async function onPort(board: string, body: (port: Port) => Promise<void>): Promise<void> {
  let received = ''
  const far = await openPty({ data: (bytes) => (received += Buffer.from(bytes).toString('latin1')), closed() {} })
  try {
    await using machine = await boot({ localRoutines: true, boards: [{ board, name: NAME, at: far.path }] })
    const window = machine.board(NAME).window(machine.board(NAME).lines()[0]?.device ?? '')
    const base = await machine.run(() => MmMapIoSpace(window, WINDOW_BYTES, MmNonCached))
    await body({ machine, far, received: () => received, base })
    await machine.run(() => MmUnmapIoSpace(base, WINDOW_BYTES))
  } finally {
    await far.close()
  }
}

async function until(machine: Machine, what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
  for (let waited = 0; !(await holds()); waited += 2) {
    expect(waited, what).toBeLessThan(LONGEST_MS)
    await machine.sleep(2)
  }
}

/** The bytes of a FIFO, as many as come. */
async function take({ machine, base }: Port, data: number, level: number, count: number): Promise<string> {
  let text = ''
  await until(machine, `${count} bytes`, async () => {
    text += await machine.run(() => {
      const bytes: number[] = []
      while (READ_REGISTER_ULONG(base + level) > 0) bytes.push(READ_REGISTER_UCHAR(base + data))
      return String.fromCharCode(...bytes)
    })
    return text.length >= count
  })
  return text
}

async function put({ machine, base }: Port, data: number, text: string): Promise<void> {
  await machine.run(() => {
    for (const byte of Buffer.from(text, 'latin1')) WRITE_REGISTER_UCHAR(base + data, byte)
  })
}

const fresh = ({ machine, base }: Port, offset: number): Promise<number> =>
  machine.run(async () => {
    const value = out<number>()
    await readFresh(base + offset, value)
    return value.value
  })

const isWindows = process.platform === 'win32'

test.skipIf(isWindows)('a port of class uart passes bytes both ways, all of them and in order', () =>
  onPort('generic-serial', async (port) => {
    const { machine, far, received } = port
    const sent = Array.from({ length: 3000 }, (_, index) => String.fromCharCode((index * 7) & 0xff)).join('')
    far.write(Buffer.from(sent, 'latin1'))
    expect(await take(port, Uart.DATA, Uart.DATA_LEVEL, sent.length)).toBe(sent)
    expect(await fresh(port, Uart.RECEIVED)).toBe(sent.length)
    await put(port, Uart.DATA, 'hello\r\n')
    await until(machine, 'the far end gets it', () => received() === 'hello\r\n')
  }),
)

test.skipIf(isWindows)('a sketch that prints lines is registers by its patterns', () =>
  onPort('serial-text', async (port) => {
    const { machine, far, received } = port
    const [button, temperature] = [patternOffset(0), patternOffset(1)]
    far.write(Buffer.from('BTN 1\r\nT=23.5\r\nnothing of note\r\nBTN 0\r\nT=-4\r\n'))
    await until(machine, 'five lines', async () => (await fresh(port, Lines.LINES)) === 5)
    expect([await fresh(port, button), await fresh(port, button + 4)]).toEqual([2, 0])
    expect([await fresh(port, temperature), (await fresh(port, temperature + 4)) | 0]).toEqual([2, -4000])
    await put(port, Lines.DATA, 'GO\n')
    await until(machine, 'the far end gets it', () => received() === 'GO\n')
  }),
)

test.skipIf(isWindows)('a board that was pulled out is plugged in again when it is back', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'dirql-ports-'))
  const link = join(folder, 'board')
  const quiet = { data() {}, closed() {} }
  let far = await openPty(quiet, { link })
  const said: string[] = []
  try {
    const boards = [{ board: 'generic-serial', name: NAME, at: link }]
    await using machine = await boot({ boards, print: (text) => said.push(text) })
    const board = machine.board(NAME)
    await far.close()
    await until(machine, 'it is gone', () => !board.isPlugged)
    far = await openPty(quiet, { link })
    await until(machine, 'it is back', () => board.isPlugged)
    await until(machine, 'that is told', () => said.some((text) => text.includes('the board is back')))
    await far.close()
    await until(machine, 'it is gone again', () => !board.isPlugged)
    await board.unplug() // the program does not want it any more
    far = await openPty(quiet, { link })
    await machine.sleep(1500)
    expect(board.isPlugged).toBe(false)
  } finally {
    await far.close()
    rmSync(folder, { recursive: true })
  }
})
