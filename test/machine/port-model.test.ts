/** Boards without firmware of ours as models: their registers and lines, as a driver on the machine sees them. */
import { describe, expect, test } from 'vitest'
import { Hid, HidCommand, HidResult } from '../../classes/hid.ts'
import { Lines, patternOffset } from '../../classes/lines.ts'
import { Uart, UartModem } from '../../classes/uart.ts'
import {
  IoConnectInterrupt,
  IoDisconnectInterrupt,
  type KINTERRUPT,
  Latched,
  MmMapIoSpace,
  MmNonCached,
  MmUnmapIoSpace,
  out,
  READ_REGISTER_UCHAR,
  READ_REGISTER_ULONG,
  WRITE_REGISTER_UCHAR,
  WRITE_REGISTER_ULONG,
} from '../../ddi/wdm.ts'
import { boot, type Machine } from '../../machine/index.ts'
import type { HidModel, SerialModel } from '../../firmware-sim/port-model.ts'

const WINDOW_BYTES = 0x800

/** A device whose lines are all connected: what its registers hold, and how often each line interrupted. */
interface Device {
  machine: Machine
  base: number
  counts: Record<string, number>
  read: (offset: number) => Promise<number>
  write: (offset: number, ...values: number[]) => Promise<void>
  /** Bytes of a FIFO, as many as there are. */
  take: (fifo: number, level: number) => Promise<number[]>
}

async function withDevice(board: string, body: (device: Device) => Promise<void>): Promise<void> {
  await using machine = await boot({ localRoutines: true, clock: 'virtual', boards: [{ board, name: 'b' }] })
  const [first] = machine.board('b').lines()
  const window = machine.board('b').window(first?.device ?? '')
  const counts: Record<string, number> = {}
  const { base, interrupts } = await machine.run(() => ({
    base: MmMapIoSpace(window, WINDOW_BYTES, MmNonCached),
    interrupts: machine
      .board('b')
      .lines()
      .map(({ line, vector }) => connect(vector, () => count(counts, line))),
  }))
  await body({
    machine,
    base,
    counts,
    read: (offset) => machine.run(() => READ_REGISTER_ULONG(base + offset)),
    write: (offset, ...values) =>
      machine.run(() => {
        for (const value of values) WRITE_REGISTER_ULONG(base + offset, value)
      }),
    take: (fifo, level) =>
      machine.run(() => {
        const bytes: number[] = []
        while (READ_REGISTER_ULONG(base + level) > 0) bytes.push(READ_REGISTER_UCHAR(base + fifo))
        return bytes
      }),
  })
  await machine.run(async () => {
    for (const interrupt of interrupts) await IoDisconnectInterrupt(interrupt)
    MmUnmapIoSpace(base, WINDOW_BYTES)
  })
}

function count(counts: Record<string, number>, line: string): boolean {
  counts[line] = (counts[line] ?? 0) + 1
  return true
}

function connect(vector: number, service: () => boolean): KINTERRUPT {
  const interrupt = out<KINTERRUPT>()
  IoConnectInterrupt({
    InterruptObject: interrupt,
    ServiceRoutine: service,
    ServiceContext: null,
    SpinLock: null,
    Vector: vector,
    Irql: vector >> 8,
    SynchronizeIrql: vector >> 8,
    InterruptMode: Latched,
    ShareVector: false,
    ProcessorEnableMask: 1,
    FloatingSave: false,
  })
  return interrupt.value
}

const text = (bytes: readonly number[]): string => String.fromCharCode(...bytes)

describe('a serial port', () => {
  test('interrupts for each edge of a modem line, and tells level and count', async () => {
    await withDevice('serial-lines', async ({ machine, counts, read }) => {
      const board = machine.board('b')
      await machine.sleep(1)
      board.press('cts')
      await machine.sleep(1)
      expect([await read(Uart.CTS), await read(Uart.CTS_COUNT)]).toEqual([1, 1])
      for (let index = 0; index < 100; index++) board.set('dcd', (index + 1) % 2)
      board.release('cts')
      await machine.sleep(5)
      expect([await read(Uart.CTS), await read(Uart.CTS_COUNT), await read(Uart.DCD_COUNT)]).toEqual([0, 2, 100])
      expect(counts['cts']).toBe(2)
      expect(board.lines().find(({ line }) => line === 'dcd')).toMatchObject({ edges: 100 })
      expect(() => board.press('dtr')).toThrow(/no line 'dtr' to set; it has cts, dsr, ri, dcd/)
    })
  })

  test('gives bytes before the interrupt that counts them, and holds the sender when nobody reads', async () => {
    await withDevice('generic-serial', async ({ machine, read, take }) => {
      const board = machine.board('b')
      await machine.sleep(1)
      const sent = Array.from({ length: 20_000 }, (_, index) => index & 0xff)
      board.feed(Uint8Array.from(sent))
      await machine.sleep(10)
      expect(await read(Uart.DATA_LEVEL)).toBe(8192)
      const received: number[] = []
      for (let round = 0; round < 20; round++) {
        received.push(...(await take(Uart.DATA, Uart.DATA_LEVEL)))
        await machine.sleep(1)
      }
      expect(received).toEqual(sent)
      expect(await read(Uart.RECEIVED)).toBe(20_000)
      expect(board.faults()).toMatchObject({ lostEntries: 0 })
    })
  })

  test('sends in the time of its line, and tells the room that there is', async () => {
    await withDevice('generic-serial', async ({ machine, base, counts, read }) => {
      const port = machine.board('b').port as SerialModel
      await machine.run(() => {
        for (let index = 0; index < 200; index++) WRITE_REGISTER_UCHAR(base + Uart.DATA, 0x41)
      })
      await machine.sleep(2)
      expect(port.sent.length).toBeGreaterThan(15)
      expect(port.sent.length).toBeLessThan(25)
      await machine.sleep(30)
      expect(port.sent.length).toBe(200)
      expect(await read(Uart.ROOM)).toBe(256 + 200)
      expect(await read(Uart.WRITTEN)).toBe(200)
      expect(counts['transmit']).toBeGreaterThanOrEqual(1)
    })
  })

  test('has its modem control lines', async () => {
    await withDevice('generic-serial', async ({ machine, write }) => {
      await write(Uart.MODEM_CONTROL, 4)
      await machine.sleep(1)
      expect((machine.board('b').port as SerialModel).lines).toEqual({ dtr: false, rts: false, brk: true })
      expect(UartModem.DCD).toBe(8)
    })
  })
})

describe('a sketch that prints', () => {
  test('interrupts for each text line, and for those that match a pattern', async () => {
    await withDevice('serial-text', async ({ machine, counts, read, take }) => {
      const board = machine.board('b')
      await machine.sleep(1)
      board.feed('hello\r\nBTN 1\nT=-2')
      board.feed('3.5\n')
      await machine.sleep(2)
      expect(text(await take(Lines.DATA, Lines.DATA_LEVEL))).toBe('hello\nBTN 1\nT=-23.5\n')
      expect(await read(Lines.LINES)).toBe(3)
      const [button, temperature] = [patternOffset(0), patternOffset(1)]
      expect([await read(button), await read(button + 4)]).toEqual([1, 1])
      expect([await read(temperature), (await read(temperature + 4)) | 0]).toEqual([1, -23_500])
      expect(counts).toMatchObject({ button: 1, temperature: 1 })
    })
  })
})

describe('a gamepad', () => {
  test('has buttons that are interrupt lines, and reports', async () => {
    await withDevice('hid-gamepad', async ({ machine, counts, take }) => {
      const board = machine.board('b')
      await machine.sleep(1)
      board.press('start')
      await machine.sleep(1)
      board.release('start')
      board.set('x', 200)
      await machine.sleep(1)
      expect(counts).toMatchObject({ start: 2, x: 1 })
      const bytes = await take(Hid.DATA, Hid.DATA_LEVEL)
      expect(bytes.slice(0, 10)).toEqual([8, 0, 0, 0, 0, 0, 0, 0, 0, 0x20])
      expect(bytes.length).toBe(30)
      expect(() => board.press('jump')).toThrow(/no field 'jump'; it has x, y, button-x/)
    })
  })

  test('takes output and feature reports', async () => {
    await withDevice('generic-hid', async ({ machine, counts, read, write }) => {
      await write(Hid.OUTPUT, 1, 2, 3)
      await write(Hid.LENGTH, 3)
      await write(Hid.COMMAND, HidCommand.SEND_OUTPUT)
      await machine.sleep(3)
      const { sent } = machine.board('b').port as HidModel
      expect(sent).toEqual([{ kind: 'output', id: 0, data: Uint8Array.of(1, 2, 3) }])
      expect([await read(Hid.RESULT), await read(Hid.COMPLETED)]).toEqual([HidResult.DONE, 1])
      expect(counts['complete']).toBe(1)
    })
  })
})
