import { describe, expect, test } from 'vitest'
import type { DeviceClass, DeviceLayout } from '../../classes/device.ts'
import { Lines, linesClass, patternLine, patternOffset, patternRegisters } from '../../classes/lines.ts'
import { Uart, uartClass, UART_TRANSMIT_ROOM } from '../../classes/uart.ts'
import { openPty } from '../../hal/links/pty.ts'
import type { SoftBoard } from '../../hal/softboard.ts'
import { openText, openUart } from '../../hal/uart.ts'
import { ToldBoard } from './boardend.ts'
import { until } from './links/contract.ts'
import { LinkEnd } from './links/ends.ts'

const DATA = 0
const TRANSMIT = 1
const now = (): number => 0

const layoutOf = ({ name, version, registers, lines }: DeviceClass): DeviceLayout => ({
  name: `${name}0`,
  class: name,
  version,
  registers,
  lines,
})

async function onBoard(
  open: (path: string) => Promise<SoftBoard>,
  body: (board: SoftBoard, told: ToldBoard, far: LinkEnd) => Promise<void>,
): Promise<void> {
  const far = new LinkEnd()
  const terminal = await openPty(far.events)
  far.link = terminal
  try {
    const board = await open(terminal.path)
    try {
      await body(board, new ToldBoard(board), far)
    } finally {
      await board.close()
    }
  } finally {
    await terminal.close()
  }
}

const openPort = (path: string): Promise<SoftBoard> => openUart({ layout: layoutOf(uartClass), serial: { path }, now })
const textOf = (bytes: readonly number[]): string => String.fromCharCode(...bytes)

describe('a serial port as a board of class uart', () => {
  test('bytes that come are entries of DATA, and the data line tells how many', () =>
    onBoard(openPort, async (board, told, far) => {
      board.enableLine(DATA)
      board.credit(0, Uart.DATA, 100)
      far.send(Buffer.from('hello'))
      await until('the bytes', () => told.fifoAt(Uart.DATA).length === 5)
      expect(textOf(told.fifoAt(Uart.DATA))).toBe('hello')
      await until('the frame', () => told.value(DATA, Uart.RECEIVED) === 5)
    }))

  test('what has no room waits at the sender, and nothing is lost', () =>
    onBoard(openPort, async (board, told, far) => {
      const sent = Array.from({ length: 200_000 }, (_, index) => (index * 7) & 0xff)
      board.credit(0, Uart.DATA, 1000)
      far.send(Uint8Array.from(sent))
      await until('the first', () => told.fifoAt(Uart.DATA).length === 1000)
      for (let count = 1000; count < sent.length; count += 1000) board.credit(0, Uart.DATA, 1000)
      await until('the rest', () => told.fifoAt(Uart.DATA).length === sent.length)
      expect(told.fifoAt(Uart.DATA)).toEqual(sent)
      expect(told.logs).toEqual([])
    }))

  test('bytes that are written to DATA are sent, and ROOM grows by each', () =>
    onBoard(openPort, async (board, told, far) => {
      board.enableLine(TRANSMIT)
      for (const byte of Buffer.from('over and out')) board.write(0, Uart.DATA, byte)
      await until('the bytes', () => far.received().length === 12)
      await until('empty', () => told.value(TRANSMIT, Uart.ROOM) === UART_TRANSMIT_ROOM + 12)
      expect(Buffer.from(far.received()).toString()).toBe('over and out')
      expect(told.value(TRANSMIT, Uart.WRITTEN)).toBe(12)
    }))

  test('a terminal has no modem lines, and says that none is counted', () =>
    onBoard(openPort, (board) => {
      board.read(0, Uart.MODEM_COUNTED, (value) => expect(value).toBe(0))
      return Promise.resolve()
    }))

  test('BAUD is set; framing that the port was not opened with is refused in the log', () =>
    onBoard(openPort, (board, told) => {
      board.write(0, Uart.BAUD, 9600)
      expect(told.logs).toEqual([])
      board.write(0, Uart.LINE_CONTROL, 0x17)
      expect(told.logs).toEqual([expect.stringContaining('LINE_CONTROL')])
      return Promise.resolve()
    }))

  test('an unplug is gone, once; what is asked after it does nothing', () =>
    onBoard(openPort, async (board, told, far) => {
      await far.unplug()
      await until('gone', () => told.ends.length > 0)
      board.write(0, Uart.DATA, 65)
      board.write(0, Uart.MODEM_CONTROL, 0)
      await board.close()
      expect(told.ends).toHaveLength(1)
    }))

  test('an unplug before the session is told at its begin', async () => {
    const far = new LinkEnd()
    const terminal = await openPty(far.events)
    const board = await openPort(terminal.path)
    await terminal.close()
    await until('closed', async () => {
      const told = new ToldBoard(board)
      await new Promise(setImmediate)
      return told.ends.length === 1
    })
    await board.close()
  })
})

describe('a sketch that prints text, as a board of class lines', () => {
  const level = { name: 'level', match: '^LEVEL (\\d+)', scale: 1, dirql: 6 }
  const base = layoutOf(linesClass)
  const layout: DeviceLayout = {
    ...base,
    registers: [...base.registers, ...patternRegisters(level, 0)],
    lines: [...base.lines, patternLine(level, 0)],
  }
  const open = (path: string): Promise<SoftBoard> => openText({ layout, serial: { path }, now }, [level])

  test('each text line is an entry with its end, whatever the pieces it came in', () =>
    onBoard(open, async (board, told, far) => {
      board.enableLine(DATA)
      board.credit(0, Lines.DATA, 1000)
      for (const piece of ['boot\r', '\nLEV', 'EL 7', '\nend\n']) far.send(Buffer.from(piece))
      await until('three lines', () => told.value(DATA, Lines.LINES) === 3)
      expect(textOf(told.fifoAt(Lines.DATA))).toBe('boot\nLEVEL 7\nend\n')
    }))

  test('a text line that matches a pattern interrupts, with its numbers in registers', () =>
    onBoard(open, async (board, told, far) => {
      const line = layout.lines.length - 1
      board.enableLine(line)
      board.credit(0, Lines.DATA, 1000)
      far.send(Buffer.from('LEVEL 41\nnothing\nLEVEL 42\n'))
      await until('both', () => told.value(line, patternOffset(0)) === 2)
      expect(told.value(line, patternOffset(0) + 4)).toBe(42)
    }))

  test('what a driver writes is sent', () =>
    onBoard(open, async (board, _told, far) => {
      for (const byte of Buffer.from('led on\n')) board.write(0, Lines.DATA, byte)
      await until('the bytes', () => far.received().length === 7)
      expect(Buffer.from(far.received()).toString()).toBe('led on\n')
    }))
})
