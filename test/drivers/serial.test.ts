import { describe, expect, test } from 'vitest'
import * as Ser from '../../drivers/serial/ntddser.ts'
import type { SerialModel } from '../../firmware-sim/port-model.ts'
import { boot, type BootOptions, type Machine } from '../../machine/index.ts'
import type { UserFile } from '../../machine/user.ts'
import {
  driver,
  MACHINES,
  STATUS_BUFFER_TOO_SMALL,
  STATUS_CANCELLED,
  STATUS_INVALID_PARAMETER,
  STATUS_NOT_CONNECTED,
  STATUS_NOT_SUPPORTED,
  statusOf,
  text,
  until,
  VIRTUAL,
  words,
  wordsIn,
} from './machines.ts'

const { MAXULONG } = Ser

interface Port {
  machine: Machine
  file: UserFile
  port: SerialModel
  feed(data: Uint8Array | string): void
  set(line: string, level: number): void
  /** Sends a code whose input and output are words. */
  ask(code: number, input?: readonly number[], outputLength?: number): Promise<number[]>
  timeouts(...ms: readonly [number, number, number, number, number]): Promise<unknown>
  /** Milliseconds of the machine. */
  ms(): number
}

async function withPort(options: BootOptions, body: (port: Port) => Promise<void>): Promise<void> {
  const start = performance.now()
  await using machine = await boot({
    ...options,
    drivers: [driver('serial')],
    boards: [{ board: 'generic-serial', name: 'port' }],
  })
  await using file = await machine.open('COM1')
  const board = machine.board('port')
  const ask = async (code: number, input: readonly number[] = [], outputLength = 0): Promise<number[]> =>
    wordsIn(await file.ioctl(code, words(...input), outputLength))
  const port = board.port as SerialModel
  await body({
    machine,
    file,
    port,
    feed: (data) => board.feed(data),
    set: (line, level) => board.set(line, level),
    ask,
    timeouts: (...ms) => ask(Ser.IOCTL_SERIAL_SET_TIMEOUTS, ms),
    ms: () => performance.now() - start,
  })
}

const onVirtual = (body: (port: Port) => Promise<void>) => () => withPort(VIRTUAL, body)

describe('reads and writes', () => {
  test.each(MACHINES)('bytes come and go on %s', (_name, options) =>
    withPort(options, async ({ machine, file, port, feed }) => {
      const reading = file.read(5)
      await machine.sleep(1)
      feed('he')
      feed('llo, world')
      expect(text(await reading)).toBe('hello')
      expect(text(await file.read(7))).toBe(', world')
      expect(await file.write('good morning')).toBe(12)
      await until(machine, 'all of it', () => port.sent.length === 12)
      expect(text(port.sent)).toBe('good morning')
    }),
  )

  test.each(MACHINES)('more than any buffer holds passes through whole, both ways at once, on %s', (_name, options) =>
    withPort(options, async ({ machine, file, port, feed, ask }) => {
      const size = 20_000
      const data = Uint8Array.from({ length: size }, (_, index) => (index * 31) >> 3)
      await ask(Ser.IOCTL_SERIAL_SET_BAUD_RATE, [10_000_000])
      const writing = file.write(data)
      for (let at = 0; at < size; at += 1000) feed(data.subarray(at, at + 1000))
      const seen: number[] = []
      while (seen.length < size) seen.push(...(await file.read(Math.min(777, size - seen.length))))
      expect(await writing).toBe(size)
      await until(machine, 'the last byte', () => port.sent.length === size)
      expect(Buffer.from(port.sent).equals(Buffer.from(data))).toBe(true)
      expect(Buffer.from(seen).equals(Buffer.from(data))).toBe(true)
      const [received, transmitted] = await ask(Ser.IOCTL_SERIAL_GET_STATS, [], Ser.SERIALPERF_STATS.size)
      expect({ received, transmitted }).toEqual({ received: size, transmitted: size })
    }),
  )

  test.each(MACHINES)('requests of one direction are served in their order on %s', (_name, options) =>
    withPort(options, async ({ machine, file, port, feed }) => {
      const reads = [file.read(2), file.read(3), file.read(1)]
      const writes = [file.write('ab'.repeat(200)), file.write('c'), file.write('d')]
      await machine.sleep(1)
      feed('112223')
      expect((await Promise.all(reads)).map(text).sort()).toEqual(['11', '222', '3'])
      await Promise.all(writes)
      await until(machine, 'all of it', () => port.sent.length === 402)
      expect(text(port.sent.slice(-2)).split('').sort().join('')).toBe('cd')
    }),
  )

  test(
    'a request of no bytes ends at once',
    onVirtual(async ({ file }) => {
      expect(await file.read(0)).toHaveLength(0)
      expect(await file.write('')).toBe(0)
    }),
  )

  test(
    'nobody else can open a port that is open, and what came before is not read',
    onVirtual(async ({ machine, file, feed }) => {
      expect(await statusOf(machine.open('COM1'))).toBe(0xc0000022 | 0)
      await file.close()
      feed('old')
      await machine.sleep(1)
      await using again = await machine.open('COM1')
      feed('new')
      expect(text(await again.read(3))).toBe('new')
    }),
  )
})

describe('the end of requests', () => {
  test.each(MACHINES)('a read that is cancelled ends, and the next one gets the bytes, on %s', (_name, options) =>
    withPort(options, async ({ machine, file, feed }) => {
      const control = new AbortController()
      const reading = statusOf(file.read(10, { signal: control.signal }))
      await machine.sleep(1)
      const next = file.read(3)
      await machine.sleep(1)
      control.abort()
      expect(await reading).toBe(STATUS_CANCELLED)
      feed('abc')
      expect(text(await next)).toBe('abc')
    }),
  )

  test.each(MACHINES)(
    'a write that is cancelled in mid-transfer ends, and the next one follows, on %s',
    (_name, options) =>
      withPort(options, async ({ machine, file, port, ask }) => {
        await ask(Ser.IOCTL_SERIAL_SET_BAUD_RATE, [1_000_000])
        const control = new AbortController()
        const writing = statusOf(file.write(new Uint8Array(60_000), { signal: control.signal }))
        await until(machine, 'the beginning', () => port.sent.length > 10)
        const next = file.write('next')
        control.abort()
        expect(await writing).toBe(STATUS_CANCELLED)
        await next
        await until(machine, 'the next', () => text(port.sent.slice(-4)) === 'next')
        expect(port.sent.length).toBeLessThan(60_000)
      }),
  )

  test.each(MACHINES)('an unplug ends all that waits on %s', (_name, options) =>
    withPort(options, async ({ machine, file, ask }) => {
      await ask(Ser.IOCTL_SERIAL_SET_WAIT_MASK, [Ser.SERIAL_EV_RING])
      await ask(Ser.IOCTL_SERIAL_SET_BAUD_RATE, [300])
      const ended = [file.read(1), file.write(new Uint8Array(1000)), file.read(2)].map(statusOf)
      ended.push(statusOf(ask(Ser.IOCTL_SERIAL_WAIT_ON_MASK, [], 4)))
      await machine.sleep(2)
      await machine.board('port').unplug()
      expect(await Promise.all(ended)).toEqual(Array<number>(4).fill(STATUS_NOT_CONNECTED))
      expect(await statusOf(file.read(1))).toBe(STATUS_NOT_CONNECTED)
      expect(await statusOf(ask(Ser.IOCTL_SERIAL_SET_DTR))).toBe(STATUS_NOT_CONNECTED)
      expect(await statusOf(ask(Ser.IOCTL_SERIAL_PURGE, [0xf]))).toBe(STATUS_NOT_CONNECTED)
      await file.close()
      await machine.board('port').plug()
      await using again = await machine.open('COM2')
      machine.board('port').feed('x')
      expect(text(await again.read(1))).toBe('x')
    }),
  )

  test(
    'a handle that is closed ends what it has waiting',
    onVirtual(async ({ machine, file }) => {
      const ended = statusOf(file.read(1))
      await machine.sleep(1)
      await file.close()
      expect(await ended).toBe(STATUS_CANCELLED)
    }),
  )

  test(
    'PURGE aborts requests and clears what was received',
    onVirtual(async ({ machine, file, feed, ask, timeouts }) => {
      await ask(Ser.IOCTL_SERIAL_SET_BAUD_RATE, [300])
      const ended = [statusOf(file.read(9)), statusOf(file.write(new Uint8Array(1000)))]
      await machine.sleep(1)
      feed('abc')
      await machine.sleep(1)
      await ask(Ser.IOCTL_SERIAL_PURGE, [Ser.SERIAL_PURGE_RXABORT | Ser.SERIAL_PURGE_TXABORT])
      expect(await Promise.all(ended)).toEqual([STATUS_CANCELLED, STATUS_CANCELLED])
      feed('def')
      await machine.sleep(1)
      await ask(Ser.IOCTL_SERIAL_PURGE, [Ser.SERIAL_PURGE_RXCLEAR])
      await timeouts(MAXULONG, 0, 0, 0, 0)
      expect(text(await file.read(9))).toBe('')
      expect(await statusOf(ask(Ser.IOCTL_SERIAL_PURGE, [0]))).toBe(STATUS_INVALID_PARAMETER)
      expect(await statusOf(ask(Ser.IOCTL_SERIAL_PURGE, [0x10]))).toBe(STATUS_INVALID_PARAMETER)
    }),
  )
})

/** Milliseconds of virtual time that `body` takes. */
async function duration({ machine }: Port, body: () => Promise<unknown>): Promise<number> {
  const { uptime } = clockOf(machine)
  const before = await uptime()
  await body()
  return (await uptime()) - before
}

/** The interrupt time, by a driver's eyes. */
const clockOf = (machine: Machine) => ({
  uptime: async (): Promise<number> =>
    Number(await machine.run(new URL('./uptime.ts', import.meta.url), 'interruptTime')) / 10_000,
})

describe('time-outs', () => {
  test(
    'a read without them waits for all of its bytes',
    onVirtual(async ({ machine, file, feed }) => {
      const reading = file.read(2)
      feed('a')
      await machine.sleep(60_000)
      feed('b')
      expect(text(await reading)).toBe('ab')
    }),
  )

  test('ReadTotalTimeout is so much a byte and a constant, and what came by then is given', () =>
    withPort(VIRTUAL, async (port) => {
      const { file, feed, timeouts } = port
      await timeouts(0, 10, 50, 0, 0)
      const ms = await duration(port, async () => {
        const reading = file.read(5)
        feed('ab')
        expect(text(await reading)).toBe('ab')
      })
      expect(ms).toBeGreaterThanOrEqual(100)
      expect(ms).toBeLessThan(103)
    }))

  test('ReadIntervalTimeout begins with the first byte, and anew with each', () =>
    withPort(VIRTUAL, async (port) => {
      const { machine, file, feed, timeouts } = port
      await timeouts(20, 0, 0, 0, 0)
      const ms = await duration(port, async () => {
        const reading = file.read(10)
        await machine.sleep(1000)
        for (const byte of 'abc') {
          feed(byte)
          await machine.sleep(15)
        }
        expect(text(await reading)).toBe('abc')
      })
      expect(ms).toBeGreaterThanOrEqual(1050)
      expect(ms).toBeLessThan(1055)
    }))

  test(
    'MAXULONG alone as ReadIntervalTimeout gives what there is, at once',
    onVirtual(async ({ machine, file, feed, timeouts }) => {
      await timeouts(MAXULONG, 0, 0, 0, 0)
      expect(text(await file.read(10))).toBe('')
      feed('abc')
      await machine.sleep(1)
      expect(text(await file.read(2))).toBe('ab')
      expect(text(await file.read(10))).toBe('c')
    }),
  )

  test('MAXULONG as interval and multiplier waits for the first byte, no longer than the constant', () =>
    withPort(VIRTUAL, async (port) => {
      const { machine, file, feed, timeouts } = port
      await timeouts(MAXULONG, MAXULONG, 100, 0, 0)
      const ms = await duration(port, async () => expect(text(await file.read(10))).toBe(''))
      expect(ms).toBeGreaterThanOrEqual(100)
      expect(ms).toBeLessThan(102)
      const reading = file.read(10)
      await machine.sleep(30)
      feed('a')
      expect(text(await reading)).toBe('a')
    }))

  test(
    'MAXULONG three times is refused',
    onVirtual(async ({ timeouts, ask }) => {
      expect(await statusOf(timeouts(MAXULONG, MAXULONG, MAXULONG, 0, 0))).toBe(STATUS_INVALID_PARAMETER)
      await timeouts(1, 2, 3, 4, 5)
      expect(await ask(Ser.IOCTL_SERIAL_GET_TIMEOUTS, [], 20)).toEqual([1, 2, 3, 4, 5])
    }),
  )

  test('WriteTotalTimeout ends a write that cannot go on, and says how far it came', () =>
    withPort(VIRTUAL, async (port) => {
      const { file, timeouts, ask } = port
      await ask(Ser.IOCTL_SERIAL_SET_BAUD_RATE, [1000]) // a byte each 10 ms
      await timeouts(0, 0, 0, 1, 100)
      const ms = await duration(port, async () => expect(await file.write(new Uint8Array(1000))).toBe(256))
      expect(ms).toBeGreaterThanOrEqual(1100)
      expect(ms).toBeLessThan(1103)
    }))

  test('the time of a request begins when it is its turn', () =>
    withPort(VIRTUAL, async (port) => {
      const { file, timeouts } = port
      await timeouts(0, 0, 100, 0, 0)
      const ms = await duration(port, () => Promise.all([file.read(1), file.read(1), file.read(1)]))
      expect(ms).toBeGreaterThanOrEqual(300)
      expect(ms).toBeLessThan(305)
    }))
})

describe('modem lines', () => {
  test.each(MACHINES)('levels and changes are told on %s', (_name, options) =>
    withPort(options, async ({ machine, set, ask }) => {
      const status = async (): Promise<number> => (await ask(Ser.IOCTL_SERIAL_GET_MODEMSTATUS, [], 4))[0] as number
      expect(await status()).toBe(0)
      for (const line of ['cts', 'dsr', 'dcd', 'ri']) set(line, 1)
      let seen = 0
      for (let ms = 0; ms < 1000 && (seen & 0xf0) !== 0xf0; ms++) {
        await machine.sleep(1)
        seen |= await status()
      }
      expect(seen).toBe(0xfb) // RI counts as a change when it ends
      set('ri', 0)
      for (let ms = 0; ms < 1000 && (seen & Ser.SERIAL_MSR_TERI) === 0; ms++) {
        await machine.sleep(1)
        seen |= await status()
      }
      expect((await status()) & 0xf0).toBe(0xb0)
    }),
  )

  test('levels from before the driver are known', async () => {
    await using machine = await boot({ ...VIRTUAL, boards: [{ board: 'generic-serial', name: 'port' }] })
    machine.board('port').set('dsr', 1)
    await machine.load(driver('serial'))
    await using file = await machine.open('COM1')
    expect(wordsIn(await file.ioctl(Ser.IOCTL_SERIAL_GET_MODEMSTATUS, words(), 4))).toEqual([Ser.SERIAL_MSR_DSR])
  })

  test(
    'DTR, RTS and break are set and told',
    onVirtual(async ({ machine, port, ask }) => {
      const told = async (): Promise<unknown> => {
        await machine.sleep(1)
        return [...(await ask(Ser.IOCTL_SERIAL_GET_DTRRTS, [], 4)), { ...port.lines }]
      }
      await ask(Ser.IOCTL_SERIAL_CLR_DTR)
      expect(await told()).toEqual([Ser.SERIAL_RTS_STATE, { dtr: false, rts: true, brk: false }])
      await ask(Ser.IOCTL_SERIAL_CLR_RTS)
      await ask(Ser.IOCTL_SERIAL_SET_DTR)
      expect(await told()).toEqual([Ser.SERIAL_DTR_STATE, { dtr: true, rts: false, brk: false }])
      await ask(Ser.IOCTL_SERIAL_SET_RTS)
      await ask(Ser.IOCTL_SERIAL_SET_BREAK_ON)
      expect(await told()).toEqual([3, { dtr: true, rts: true, brk: true }])
      await ask(Ser.IOCTL_SERIAL_SET_BREAK_OFF)
      await ask(Ser.IOCTL_SERIAL_SET_MODEM_CONTROL, [0])
      expect(await told()).toEqual([0, { dtr: false, rts: false, brk: false }])
    }),
  )

  test(
    'nothing is sent during a break',
    onVirtual(async ({ machine, file, port, ask }) => {
      await ask(Ser.IOCTL_SERIAL_SET_BREAK_ON)
      const writing = file.write('abc')
      await machine.sleep(50)
      expect(port.sent).toEqual([])
      const [, reasons, , waiting] = await ask(Ser.IOCTL_SERIAL_GET_COMMSTATUS, [], Ser.SERIAL_STATUS.size)
      expect({ reasons, waiting }).toEqual({ reasons: Ser.SERIAL_TX_WAITING_ON_BREAK, waiting: 3 })
      await ask(Ser.IOCTL_SERIAL_SET_BREAK_OFF)
      expect(await writing).toBe(3)
    }),
  )
})

describe('wait on mask', () => {
  const wait = ({ ask }: Port): Promise<number> =>
    ask(Ser.IOCTL_SERIAL_WAIT_ON_MASK, [], 4).then(([events]) => events as number)

  test.each(MACHINES)('a wait ends with the events that happened on %s', (_name, options) =>
    withPort(options, async (port) => {
      const { machine, feed, set, ask } = port
      await ask(Ser.IOCTL_SERIAL_SET_WAIT_MASK, [Ser.SERIAL_EV_RXCHAR | Ser.SERIAL_EV_CTS | Ser.SERIAL_EV_RING])
      const waiting = wait(port)
      await machine.sleep(1)
      set('dsr', 1) // nobody wants to know
      await machine.sleep(2)
      feed('a')
      expect(await waiting).toBe(Ser.SERIAL_EV_RXCHAR)
      set('cts', 1)
      expect(await wait(port)).toBe(Ser.SERIAL_EV_CTS)
      set('ri', 1)
      await machine.sleep(1)
      set('ri', 0)
      expect(await wait(port)).toBe(Ser.SERIAL_EV_RING)
    }),
  )

  test('what happened before the wait is told at once, together', () =>
    withPort(VIRTUAL, async (port) => {
      const { machine, feed, set, ask } = port
      const mask = Ser.SERIAL_EV_RXCHAR | Ser.SERIAL_EV_DSR | Ser.SERIAL_EV_RLSD
      await ask(Ser.IOCTL_SERIAL_SET_WAIT_MASK, [mask])
      expect(await ask(Ser.IOCTL_SERIAL_GET_WAIT_MASK, [], 4)).toEqual([mask])
      feed('a')
      set('dcd', 1)
      await machine.sleep(5)
      expect(await wait(port)).toBe(Ser.SERIAL_EV_RXCHAR | Ser.SERIAL_EV_RLSD)
    }))

  test('a new mask ends the wait with no event, and keeps what is still wanted', () =>
    withPort(VIRTUAL, async (port) => {
      const { machine, feed, ask } = port
      await ask(Ser.IOCTL_SERIAL_SET_WAIT_MASK, [Ser.SERIAL_EV_CTS])
      const waiting = wait(port)
      await machine.sleep(1)
      await ask(Ser.IOCTL_SERIAL_SET_WAIT_MASK, [Ser.SERIAL_EV_RXCHAR | Ser.SERIAL_EV_CTS])
      expect(await waiting).toBe(0)
      feed('a')
      await machine.sleep(1)
      await ask(Ser.IOCTL_SERIAL_SET_WAIT_MASK, [Ser.SERIAL_EV_RXCHAR])
      expect(await wait(port)).toBe(Ser.SERIAL_EV_RXCHAR)
    }))

  test('a wait for nothing, a second wait, and a mask of unknown events are refused', () =>
    withPort(VIRTUAL, async (port) => {
      const { ask, file, machine } = port
      expect(await statusOf(wait(port))).toBe(STATUS_INVALID_PARAMETER)
      expect(await statusOf(ask(Ser.IOCTL_SERIAL_SET_WAIT_MASK, [0x2000]))).toBe(STATUS_INVALID_PARAMETER)
      await ask(Ser.IOCTL_SERIAL_SET_WAIT_MASK, [Ser.SERIAL_EV_CTS])
      const control = new AbortController()
      const waiting = statusOf(file.ioctl(Ser.IOCTL_SERIAL_WAIT_ON_MASK, words(), 4, { signal: control.signal }))
      await machine.sleep(1)
      expect(await statusOf(wait(port))).toBe(STATUS_INVALID_PARAMETER)
      control.abort()
      expect(await waiting).toBe(STATUS_CANCELLED)
      expect(await statusOf(ask(Ser.IOCTL_SERIAL_WAIT_ON_MASK, [], 3))).toBe(STATUS_BUFFER_TOO_SMALL)
    }))

  test('TXEMPTY comes once, when the last byte has left', () =>
    withPort(VIRTUAL, async (port) => {
      const { file, ask, port: model } = port
      await ask(Ser.IOCTL_SERIAL_SET_WAIT_MASK, [Ser.SERIAL_EV_TXEMPTY])
      await file.write('abcdef')
      expect(model.sent.length).toBeLessThan(6)
      expect(await wait(port)).toBe(Ser.SERIAL_EV_TXEMPTY)
      expect(model.sent.length).toBe(6)
    }))

  test('RXFLAG comes with the event character, RX80FULL with a full buffer', () =>
    withPort(VIRTUAL, async (port) => {
      const { feed, file, machine, ask } = port
      await file.ioctl(Ser.IOCTL_SERIAL_SET_CHARS, Uint8Array.of(0, 0, 0, 0x0a, 0x11, 0x13))
      await ask(Ser.IOCTL_SERIAL_SET_WAIT_MASK, [Ser.SERIAL_EV_RXFLAG | Ser.SERIAL_EV_RX80FULL])
      feed('no line end')
      await machine.sleep(5)
      feed('\n')
      expect(await wait(port)).toBe(Ser.SERIAL_EV_RXFLAG)
      feed(new Uint8Array(3300))
      expect(await wait(port)).toBe(Ser.SERIAL_EV_RX80FULL)
    }))

  test('errors of the line are events, a status and counts', () =>
    withPort(VIRTUAL, async (port) => {
      const { ask, port: model, machine } = port
      await ask(Ser.IOCTL_SERIAL_SET_WAIT_MASK, [Ser.SERIAL_EV_ERR | Ser.SERIAL_EV_BREAK])
      const none = { cts: 0, dsr: 0, ri: 0, dcd: 0 }
      const low = { cts: false, dsr: false, ri: false, dcd: false }
      const { device } = model
      if (!('modem' in device)) throw new Error('this is no uart')
      device.modem(none, low, { frame: 0, parity: 0, overrun: 0, break: 0 })
      device.modem(none, low, { frame: 2, parity: 1, overrun: 3, break: 1 })
      expect(await wait(port)).toBe(Ser.SERIAL_EV_ERR | Ser.SERIAL_EV_BREAK)
      const status = (): Promise<number[]> => ask(Ser.IOCTL_SERIAL_GET_COMMSTATUS, [], Ser.SERIAL_STATUS.size)
      expect((await status())[0]).toBe(
        Ser.SERIAL_ERROR_FRAMING | Ser.SERIAL_ERROR_PARITY | Ser.SERIAL_ERROR_OVERRUN | Ser.SERIAL_ERROR_BREAK,
      )
      expect((await status())[0]).toBe(0)
      expect(await ask(Ser.IOCTL_SERIAL_GET_STATS, [], 24)).toEqual([0, 0, 2, 3, 0, 1])
      await ask(Ser.IOCTL_SERIAL_CLEAR_STATS)
      expect(await ask(Ser.IOCTL_SERIAL_GET_STATS, [], 24)).toEqual([0, 0, 0, 0, 0, 0])
      await machine.sleep(1)
    }))
})

describe('flow control', () => {
  const handFlow = ({ ask }: Port, control: number, flow: number, xon = 100, xoff = 1000): Promise<unknown> =>
    ask(Ser.IOCTL_SERIAL_SET_HANDFLOW, [control, flow, xon, xoff])

  test.each(MACHINES)('with CTS handshake bytes are sent while CTS is high, on %s', (_name, options) =>
    withPort(options, async (port) => {
      const { machine, file, set, port: model } = port
      await handFlow(port, Ser.SERIAL_CTS_HANDSHAKE, 0)
      const writing = file.write(new Uint8Array(300).fill(7))
      await machine.sleep(5)
      expect(model.sent).toEqual([])
      set('cts', 1)
      await until(machine, 'a few', () => model.sent.length > 20)
      set('cts', 0)
      await machine.sleep(30)
      const { length } = model.sent
      await machine.sleep(10)
      expect(model.sent.length).toBe(length)
      set('cts', 1)
      expect(await writing).toBe(300)
    }),
  )

  test('what is on its way when CTS drops is no more than 16 bytes', () =>
    withPort(VIRTUAL, async (port) => {
      const { machine, file, set, port: model } = port
      await handFlow(port, Ser.SERIAL_CTS_HANDSHAKE, 0)
      set('cts', 1)
      const writing = file.write(new Uint8Array(300))
      await until(machine, 'a few', () => model.sent.length > 20)
      const before = model.sent.length
      set('cts', 0)
      await machine.sleep(100)
      expect(model.sent.length - before).toBeLessThanOrEqual(16)
      set('cts', 1)
      await writing
    }))

  test('RTS and DTR handshake tell the sender to wait, and to go on', () =>
    withPort(VIRTUAL, async (port) => {
      const { machine, feed, file, ask, port: model } = port
      await handFlow(port, Ser.SERIAL_DTR_HANDSHAKE, Ser.SERIAL_RTS_HANDSHAKE)
      feed(new Uint8Array(3000))
      await machine.sleep(1)
      expect(model.lines).toMatchObject({ dtr: true, rts: true })
      feed(new Uint8Array(100))
      await machine.sleep(1)
      expect(model.lines).toMatchObject({ dtr: false, rts: false })
      expect(await statusOf(ask(Ser.IOCTL_SERIAL_SET_RTS))).toBe(STATUS_INVALID_PARAMETER)
      expect(await statusOf(ask(Ser.IOCTL_SERIAL_CLR_DTR))).toBe(STATUS_INVALID_PARAMETER)
      await file.read(2999)
      await machine.sleep(1)
      expect(model.lines).toMatchObject({ rts: false })
      await file.read(1)
      await machine.sleep(1)
      expect(model.lines).toMatchObject({ dtr: true, rts: true })
    }))

  test('XOFF stops the driver, XON lets it go on, and neither is read', () =>
    withPort(VIRTUAL, async (port) => {
      const { machine, feed, file, ask, port: model } = port
      await handFlow(port, 0, Ser.SERIAL_AUTO_TRANSMIT)
      feed('a\x13b')
      await machine.sleep(1)
      const writing = file.write('data')
      await machine.sleep(20)
      expect(model.sent).toEqual([])
      await ask(Ser.IOCTL_SERIAL_IMMEDIATE_CHAR, [0x21]) // urgent
      await machine.sleep(2)
      expect(text(model.sent)).toBe('!')
      feed('\x11c')
      await writing
      expect(text(await file.read(3))).toBe('abc')
    }))

  test('a buffer that fills sends XOFF, and XON when it was read', () =>
    withPort(VIRTUAL, async (port) => {
      const { machine, feed, file, port: model } = port
      await handFlow(port, 0, Ser.SERIAL_AUTO_RECEIVE | Ser.SERIAL_RTS_CONTROL)
      feed(new Uint8Array(3100))
      await machine.sleep(2)
      expect(model.sent).toEqual([0x13])
      const writing = file.write('x') // not as long as the other may take it for XON
      await machine.sleep(10)
      expect(model.sent).toEqual([0x13])
      await file.read(3100)
      await writing
      await machine.sleep(2)
      expect(model.sent).toEqual([0x13, 0x11, 0x78])
    }))

  test('SET_XOFF and SET_XON do as if they had been received', () =>
    withPort(VIRTUAL, async (port) => {
      const { machine, file, ask, port: model } = port
      await ask(Ser.IOCTL_SERIAL_SET_XOFF)
      const writing = file.write('x')
      await machine.sleep(10)
      expect(model.sent).toEqual([])
      await ask(Ser.IOCTL_SERIAL_SET_XON)
      await writing
    }))

  test('bytes that nobody has room for wait at the sender, and none is lost', () =>
    withPort(VIRTUAL, async (port) => {
      const { machine, feed, file } = port
      const data = Uint8Array.from({ length: 30_000 }, (_, index) => (index * 13) >> 2)
      for (let at = 0; at < data.length; at += 500) feed(data.subarray(at, at + 500))
      await machine.sleep(20)
      const seen = await file.read(data.length)
      expect(Buffer.from(seen).equals(Buffer.from(data))).toBe(true)
    }))

  test('a hand flow that is none is invalid, and one that no wire can do is not supported', () =>
    withPort(VIRTUAL, async (port) => {
      expect(await statusOf(handFlow(port, 4, 0))).toBe(STATUS_INVALID_PARAMETER)
      expect(await statusOf(handFlow(port, 3, 0))).toBe(STATUS_INVALID_PARAMETER)
      expect(await statusOf(handFlow(port, 0, 0x20))).toBe(STATUS_INVALID_PARAMETER)
      expect(await statusOf(handFlow(port, 0, 0, 5000))).toBe(STATUS_INVALID_PARAMETER)
      expect(await statusOf(handFlow(port, 0, 0, 0, -1))).toBe(STATUS_INVALID_PARAMETER)
      expect(await statusOf(handFlow(port, Ser.SERIAL_ERROR_ABORT, 0))).toBe(STATUS_NOT_SUPPORTED)
      expect(await statusOf(handFlow(port, 0, Ser.SERIAL_TRANSMIT_TOGGLE))).toBe(STATUS_NOT_SUPPORTED)
      await handFlow(port, 0, Ser.SERIAL_NULL_STRIPPING, 1, 2)
      expect(await port.ask(Ser.IOCTL_SERIAL_GET_HANDFLOW, [], 16)).toEqual([0, 8, 1, 2])
      port.feed('a\0b')
      expect(text(await port.file.read(2))).toBe('ab')
    }))
})

describe('settings', () => {
  test('the control codes are Windows’ own', () => {
    expect(Ser.IOCTL_SERIAL_SET_BAUD_RATE).toBe(0x1b0004)
    expect(Ser.IOCTL_SERIAL_WAIT_ON_MASK).toBe(0x1b0048)
    expect(Ser.IOCTL_SERIAL_CONFIG_SIZE).toBe(0x1b0080)
    expect(Ser.IOCTL_SERIAL_GET_STATS).toBe(0x1b008c)
    expect(Ser.IOCTL_SERIAL_SET_MODEM_CONTROL).toBe(0x1b0098)
  })

  test('structs are laid out as Windows lays them out', () => {
    expect(Ser.SERIAL_LINE_CONTROL.size).toBe(3)
    expect(Ser.SERIAL_TIMEOUTS.size).toBe(20)
    expect(Ser.SERIAL_CHARS.size).toBe(6)
    expect(Ser.SERIAL_HANDFLOW.size).toBe(16)
    expect(Ser.SERIAL_STATUS.size).toBe(20)
    expect(Ser.SERIALPERF_STATS.size).toBe(24)
    expect(Ser.SERIAL_COMMPROP.size).toBe(64)
  })

  test(
    'baud rate and line control are set, and told',
    onVirtual(async ({ file, ask }) => {
      expect(await ask(Ser.IOCTL_SERIAL_GET_BAUD_RATE, [], 4)).toEqual([115_200])
      await ask(Ser.IOCTL_SERIAL_SET_BAUD_RATE, [9600])
      expect(await ask(Ser.IOCTL_SERIAL_GET_BAUD_RATE, [], 4)).toEqual([9600])
      expect(await statusOf(ask(Ser.IOCTL_SERIAL_SET_BAUD_RATE, [0]))).toBe(STATUS_INVALID_PARAMETER)
      const line = (stop: number, parity: number, length: number): Promise<Uint8Array> =>
        file.ioctl(Ser.IOCTL_SERIAL_SET_LINE_CONTROL, Uint8Array.of(stop, parity, length))
      await line(Ser.STOP_BITS_2, Ser.EVEN_PARITY, 7)
      expect([...(await file.ioctl(Ser.IOCTL_SERIAL_GET_LINE_CONTROL, words(), 3))]).toEqual([2, 2, 7])
      for (const [stop, parity, length] of [
        [1, 0, 8],
        [3, 0, 8],
        [0, 5, 8],
        [0, 0, 4],
        [0, 0, 9],
      ] as const) {
        expect(await statusOf(line(stop, parity, length))).toBe(STATUS_INVALID_PARAMETER)
      }
    }),
  )

  test('a baud rate changes how long bytes take', () =>
    withPort(VIRTUAL, async (port) => {
      const { ask, file } = port
      await ask(Ser.IOCTL_SERIAL_SET_BAUD_RATE, [1000])
      await ask(Ser.IOCTL_SERIAL_SET_WAIT_MASK, [Ser.SERIAL_EV_TXEMPTY])
      const ms = await duration(port, async () => {
        await file.write('0123456789')
        await ask(Ser.IOCTL_SERIAL_WAIT_ON_MASK, [], 4)
      })
      expect(ms).toBeGreaterThanOrEqual(100)
      expect(ms).toBeLessThan(102)
    }))

  test(
    'the receive buffer grows, and keeps what it has',
    onVirtual(async ({ machine, file, feed, ask }) => {
      feed('abc')
      await machine.sleep(1)
      await ask(Ser.IOCTL_SERIAL_SET_QUEUE_SIZE, [20_000, 0])
      feed('def')
      await machine.sleep(1)
      const [, , waiting] = await ask(Ser.IOCTL_SERIAL_GET_COMMSTATUS, [], 20)
      expect(waiting).toBe(6)
      expect(text(await file.read(6))).toBe('abcdef')
      expect((await ask(Ser.IOCTL_SERIAL_GET_PROPERTIES, [], 64))[12]).toBe(20_000)
      await ask(Ser.IOCTL_SERIAL_SET_QUEUE_SIZE, [1, 0])
      expect((await ask(Ser.IOCTL_SERIAL_GET_PROPERTIES, [], 64))[12]).toBe(20_000)
    }),
  )

  test(
    'codes that Windows does not know either, and buffers that are too small, are refused',
    onVirtual(async ({ ask }) => {
      expect(await statusOf(ask(Ser.IOCTL_SERIAL_XOFF_COUNTER, [0, 0, 0]))).toBe(0xc0000010 | 0)
      expect(await statusOf(ask(Ser.IOCTL_SERIAL_SET_TIMEOUTS, [0]))).toBe(STATUS_BUFFER_TOO_SMALL)
      expect(await statusOf(ask(Ser.IOCTL_SERIAL_GET_STATS, [], 20))).toBe(STATUS_BUFFER_TOO_SMALL)
      expect(await statusOf(ask(Ser.IOCTL_SERIAL_IMMEDIATE_CHAR))).toBe(STATUS_BUFFER_TOO_SMALL)
    }),
  )

  test(
    'two urgent bytes at once are one too many',
    onVirtual(async ({ ask, machine }) => {
      await ask(Ser.IOCTL_SERIAL_SET_BREAK_ON)
      const first = ask(Ser.IOCTL_SERIAL_IMMEDIATE_CHAR, [0x21])
      await machine.sleep(1)
      expect(await statusOf(ask(Ser.IOCTL_SERIAL_IMMEDIATE_CHAR, [0x22]))).toBe(STATUS_INVALID_PARAMETER)
      await ask(Ser.IOCTL_SERIAL_SET_BREAK_OFF)
      await first
    }),
  )
})
