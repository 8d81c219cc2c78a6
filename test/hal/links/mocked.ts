/**
 * Runs the contract, and what is particular to serial ports and HID devices, against devices that umockdev makes. It is
 * a process of its own, for umockdev is loaded before all else; its parent (mocked.test.ts) makes devices for it.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import type { DeviceClass, DeviceLayout } from '../../../classes/device.ts'
import {
  fieldLine,
  fieldOffset,
  fieldRegisters,
  Hid,
  hidClass,
  HidCommand,
  HidResult,
  type ReportFieldSpec,
} from '../../../classes/hid.ts'
import { Uart, uartClass } from '../../../classes/uart.ts'
import { openHidBoard } from '../../../hal/hid.ts'
import { openUart } from '../../../hal/uart.ts'
import { ToldBoard } from '../boardend.ts'
import { discover, listHid, listSerial } from '../../../hal/links/discovery.ts'
import { type HidLink, openHid } from '../../../hal/links/hid.ts'
import { LinkError, type LinkEvents } from '../../../hal/links/link.ts'
import type { ModemCounts, ModemLevels, ReceiveErrors } from '../../../hal/links/modem.ts'
import { openSerial, type SerialOptions, type SerialLink } from '../../../hal/links/serial.ts'
import { reportBytes } from '../../../wire/reportdescriptor.ts'
import { type LinkKind, linkContract, until } from './contract.ts'

export const TTY = '/dev/ttyUSB0'
export const HIDRAW = '/dev/hidraw0'

interface State {
  dtr: boolean
  rts: boolean
  brk: boolean
  flags: number
  history: [boolean, boolean][]
  waiting: number
}

const waiting = new Map<number, { resolve: (reply: object) => void; reject: (error: Error) => void }>()
let nextId = 1

/** Asks the maker of devices. */
function ask<T>(request: object): Promise<T> {
  const id = nextId++
  process.send?.({ ...request, id })
  return new Promise((resolve, reject) => waiting.set(id, { resolve: resolve as (reply: object) => void, reject }))
}

function answered(reply: { id: number; error?: string }): void {
  const asked = waiting.get(reply.id)
  waiting.delete(reply.id)
  if (reply.error === undefined) asked?.resolve(reply)
  else asked?.reject(new Error(reply.error))
}

type What = 'tty' | 'hid'
const plug = (what: What, features?: string[]): Promise<unknown> => ask({ do: 'plug', what, features })
const unplug = (what: What): Promise<unknown> => ask({ do: 'unplug', what })
const change = (line: string, times = 1): Promise<unknown> => ask({ do: 'change', what: 'tty', line, times })
const state = (): Promise<State> => ask({ do: 'state', what: 'tty' })

function mockedKind(
  what: What,
  report: number | null,
  open: (events: LinkEvents) => Promise<SerialLink | HidLink>,
): LinkKind {
  return {
    report,
    noUnplug: null,
    attach: async () => {
      await plug(what, what === 'hid' ? ['ioctls'] : [])
      return {
        far: {
          send: async (bytes) => void (await ask({ do: 'send', what, hex: Buffer.from(bytes).toString('hex') })),
          received: async () => Buffer.from((await ask<{ hex: string }>({ do: 'received', what })).hex, 'hex'),
          unplug: async () => void (await unplug(what)),
        },
        open,
        dispose: async () => void (await unplug(what)),
      }
    },
  }
}

export const KINDS: Record<string, LinkKind> = {
  'serialport on a mocked adapter': mockedKind('tty', null, (events) => openSerial({ path: TTY }, events)),
  'node-hid on a mocked device': mockedKind('hid', 64, (events) => openHid({ path: HIDRAW }, events)),
}

const layoutOf = ({ name, version, registers, lines }: DeviceClass): DeviceLayout => ({
  name: `${name}0`,
  class: name,
  version,
  registers,
  lines,
})

const quiet: LinkEvents = { data: () => {}, closed: () => {} }
const ALL = ['break', 'wait', 'count']

async function onPort(
  options: Partial<SerialOptions>,
  body: (link: SerialLink) => Promise<void>,
  features = ALL,
): Promise<void> {
  await plug('tty', features)
  try {
    const link = await openSerial({ path: TTY, ...options }, quiet)
    try {
      await body(link)
    } finally {
      await link.close()
    }
  } finally {
    await unplug('tty')
  }
}

interface Seen {
  counts: ModemCounts
  levels: ModemLevels
  errors: ReceiveErrors
}

/** The newest that the lines told. */
function watch(link: SerialLink): { last: Seen; told: number } {
  const seen = { last: {} as Seen, told: 0 }
  link.modem?.onChange((counts, levels, errors) => {
    seen.last = { counts, levels, errors }
    seen.told += 1
  })
  return seen
}

const LINES = ['cts', 'dsr', 'ri', 'dcd']
const NONE = { cts: 0, dsr: 0, ri: 0, dcd: 0 }
const isCode = (code: string) => (error: unknown) => error instanceof LinkError && error.code === code
const sameJson = (left: unknown, right: unknown): boolean => JSON.stringify(left) === JSON.stringify(right)

/** Lets `line` change and waits until `counts` are told. */
async function expectCounts(seen: { last: Seen }, counts: Partial<ModemCounts>): Promise<void> {
  await until(`counts ${JSON.stringify(counts)}`, () => sameJson(seen.last.counts, { ...NONE, ...counts }))
}

export const particular: Record<string, () => Promise<void>> = {
  'an attached adapter is listed with what recognises it': async () => {
    await plug('tty')
    try {
      const port = (await listSerial()).find(({ path }) => path === TTY)
      assert.ok(port !== undefined, 'listed')
      const { vendorId, productId, serialNumber, manufacturer, modem, latencyTimerMs } = port
      assert.deepEqual([vendorId, productId, serialNumber, manufacturer], [0x0403, 0x6001, 'MOCK1', 'FTDI'])
      assert.deepEqual([port.driver, modem, latencyTimerMs], ['ftdi_sio', { lines: LINES, counted: LINES }, 16])
    } finally {
      await unplug('tty')
    }
  },
  'an attached HID device is listed with what recognises it': async () => {
    await plug('hid')
    try {
      const device = (await listHid()).find(({ path }) => path === HIDRAW)
      assert.ok(device !== undefined, 'listed')
      assert.deepEqual([device.vendorId, device.productId, device.serialNumber], [0x1234, 0x5678, 'MOCK2'])
      assert.deepEqual([device.usagePage, device.usage], [0xff00, 1])
    } finally {
      await unplug('hid')
    }
  },
  'what is attached is found without a problem': async () => {
    await plug('hid')
    const { devices, problems } = await discover()
    await unplug('hid')
    assert.deepEqual(problems, [])
    assert.ok(devices.some(({ path }) => path === HIDRAW))
  },
  'changes of modem lines are counted, each line by itself': () =>
    onPort({ modem: true }, async (link) => {
      const seen = watch(link)
      assert.deepEqual(link.modem?.counted, LINES)
      await change('cts')
      await expectCounts(seen, { cts: 1 })
      assert.deepEqual(seen.last.levels, { cts: true, dsr: false, ri: false, dcd: false })
      await change('dsr', 2)
      await change('ri')
      await change('dcd', 3)
      await expectCounts(seen, { cts: 1, dsr: 2, ri: 1, dcd: 3 })
      assert.deepEqual(seen.last.levels, { cts: true, dsr: false, ri: true, dcd: true })
    }),
  'pulses between two looks add up exactly': () =>
    onPort({ modem: true }, async (link) => {
      const seen = watch(link)
      for (let burst = 0; burst < 50; burst++) await change('cts', 2 * burst)
      await expectCounts(seen, { cts: 50 * 49 })
    }),
  'counts begin at zero, whatever was counted before the port was opened': () =>
    onPort({ modem: true }, async (link) => {
      await change('cts', 5)
      await link.close()
      const again = await openSerial({ path: TTY, modem: true }, quiet)
      const seen = watch(again)
      assert.deepEqual(seen.last.counts, NONE)
      await change('cts')
      await expectCounts(seen, { cts: 1 })
      await again.close()
    }),
  'a driver that counts and cannot wait is looked at often': () =>
    onPort(
      { modem: true },
      async (link) => {
        const seen = watch(link)
        assert.deepEqual(link.modem?.counted, LINES)
        await change('dcd', 7)
        await expectCounts(seen, { dcd: 7 })
      },
      ['break', 'count'],
    ),
  'a driver that does not count is sampled, and says so': () =>
    onPort(
      { modem: true },
      async (link) => {
        const seen = watch(link)
        assert.deepEqual(link.modem?.counted, [])
        await change('ri')
        await expectCounts(seen, { ri: 1 })
        await change('ri', 2) // a pulse: too short to be seen
        await change('ri')
        await expectCounts(seen, { ri: 2 })
      },
      ['break'],
    ),
  'errors of the receiver are counted': () =>
    onPort({ modem: true }, async (link) => {
      const seen = watch(link)
      for (const [index, kind] of ['frame', 'parity', 'overrun', 'brk'].entries()) {
        await ask({ do: 'error', what: 'tty', kind, times: index + 1 })
      }
      await until('errors', () => sameJson(seen.last.errors, { frame: 1, parity: 2, overrun: 3, break: 4 }))
    }),
  'the process that waits for modem lines ends with the link': () =>
    onPort({ modem: true }, async (link) => {
      await until('it waits', async () => (await state()).waiting === 1)
      const children = (): string => readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim()
      assert.equal(children().split(' ').length, 1)
      await link.close()
      assert.equal(children(), '')
    }),
  'lines are set as asked, and stay': () =>
    onPort({ modem: true, dtr: false }, async (link) => {
      await until('DTR low, RTS high', async () => sameJson((await state()).history.at(-1), [false, true]))
      await link.setLines({ rts: false, brk: true })
      await until('all low, break', async () => {
        const { dtr, rts, brk } = await state()
        return !dtr && !rts && brk
      })
    }),
  'lines are set without the helper too': () =>
    onPort({ dtr: false, rts: true }, async () => {
      const { dtr, rts } = await state()
      assert.deepEqual([dtr, rts], [false, true])
    }),
  'a driver without break has its lines set through the helper': () =>
    onPort(
      { modem: true, dtr: false, rts: false },
      () => until('lines low', async () => (await state()).history.some(([dtr, rts]) => !dtr && !rts)),
      ['wait', 'count'],
    ),
  'a driver without break and no helper: the error says what to install': () =>
    assert.rejects(
      onPort({ dtr: false }, () => Promise.resolve(), ['lines']),
      (error) => isCode('unsupported')(error) && /koffi/.test((error as Error).message),
    ),
  'a reset lowers DTR and raises it again': () =>
    onPort({ reset: true }, async () => {
      const { history, dtr, rts } = await state()
      assert.deepEqual([history.some(([low]) => !low), dtr, rts], [true, true, true])
    }),
  'low latency sets the driver flag and the timer of the adapter': () =>
    onPort({ lowLatency: true }, async (link) => {
      const { flags } = await state()
      assert.equal(flags & (1 << 13), 1 << 13)
      assert.deepEqual(link.latency, { timerMs: 1, isLow: true, advice: null })
    }),
  'an adapter with a slow timer says how to make it fast': () =>
    onPort({}, (link) => {
      assert.deepEqual([link.latency.timerMs, link.latency.isLow], [16, false])
      assert.match(link.latency.advice ?? '', /lowLatency/)
      return Promise.resolve()
    }),
  'the sizes of reports come from the descriptor': () =>
    onHid((link) => {
      const { descriptor } = link
      assert.ok(descriptor !== null)
      const kinds = ['input', 'output', 'feature'] as const
      assert.deepEqual(
        kinds.map((kind) => reportBytes(descriptor, kind, 0)),
        [64, 64, 8],
      )
      return Promise.resolve()
    }),
  'a short report is filled up, and a long one refused': () =>
    onHid(async (link) => {
      link.write(Uint8Array.of(1, 2, 3))
      assert.throws(() => link.write(new Uint8Array(65)), isCode('unsupported'))
      const got = (): Promise<{ hex: string }> => ask({ do: 'received', what: 'hid' })
      await until('the report', async () => (await got()).hex.length >= 128)
      assert.equal((await got()).hex, `010203${'00'.repeat(61)}`)
    }),
  'feature reports go both ways': () =>
    onHid(async (link) => {
      await link.sendFeature(0, Uint8Array.of(8, 7, 6, 5, 4, 3, 2, 1))
      assert.deepEqual([...(await link.getFeature(0, 8))], [8, 7, 6, 5, 4, 3, 2, 1])
    }),
  'each change of a modem line is an edge of its interrupt line': async () => {
    await plug('tty', ALL)
    const board = await openUart({ layout: layoutOf(uartClass), serial: { path: TTY }, now: () => 0 })
    try {
      const told = new ToldBoard(board)
      let counted = 0
      board.read(0, Uart.MODEM_COUNTED, (value) => (counted = value))
      assert.equal(counted, 0xf)
      const [cts, ri] = [2, 4]
      board.enableLine(cts)
      board.enableLine(ri)
      for (const times of [1, 3, 100, 7]) {
        await change('cts', times)
        await change('ri', 2)
      }
      await until('all edges', () => told.value(cts, Uart.CTS_COUNT) === 111 && told.value(ri, Uart.RI_COUNT) === 8)
      assert.deepEqual([told.value(cts, Uart.CTS), told.value(ri, Uart.RI)], [1, 0])
      assert.equal(told.frames.findLast(({ line }) => line === cts)?.edges, 111)
      board.write(0, Uart.MODEM_CONTROL, 0)
      await until('DTR and RTS low', async () => {
        const { dtr, rts } = await state()
        return !dtr && !rts
      })
    } finally {
      await board.close()
      await unplug('tty')
    }
  },
  'a HID device is a board: reports are entries, fields are lines, commands are carried out': async () => {
    await plug('hid', ['ioctls'])
    const field: ReportFieldSpec = {
      name: 'trigger',
      report: 0,
      byte: 1,
      bit: 0,
      bits: 1,
      signed: false,
      mode: 'latched',
      active: 'high',
      dirql: 6,
    }
    const base = layoutOf(hidClass)
    const layout = {
      ...base,
      registers: [...base.registers, ...fieldRegisters(field, 0)],
      lines: [...base.lines, fieldLine(field)],
    }
    const board = await openHidBoard({ layout, path: HIDRAW, fields: [field], now: () => 0 })
    try {
      const told = new ToldBoard(board)
      const [data, complete, trigger] = [0, 1, 2]
      for (const line of [data, complete, trigger]) board.enableLine(line)
      board.credit(0, Hid.DATA, 8192)
      for (const bit of [0, 1, 0, 1, 1, 0]) {
        await ask({ do: 'send', what: 'hid', hex: Buffer.from([9, bit, ...new Uint8Array(62)]).toString('hex') })
      }
      await until('six reports', () => told.value(data, Hid.REPORTS) === 6)
      await until('two presses', () => told.value(trigger, fieldOffset(0) + 4) === 2)
      assert.deepEqual(told.fifoAt(Hid.DATA).slice(0, 5), [65, 0, 0, 9, 0])
      for (const byte of [1, 2, 3]) board.write(0, Hid.OUTPUT, byte)
      board.write(0, Hid.LENGTH, 3)
      board.write(0, Hid.COMMAND, HidCommand.SEND_OUTPUT)
      await until('it is sent', () => told.value(complete, Hid.RESULT) === HidResult.DONE)
      const { hex } = await ask<{ hex: string }>({ do: 'received', what: 'hid' })
      assert.ok(hex.startsWith('010203'))
      await unplug('hid')
      await until('gone', () => told.ends.length === 1)
    } finally {
      await board.close()
      await unplug('hid')
    }
  },
  'a port and a device that are not there are missing': async () => {
    await assert.rejects(openSerial({ path: TTY }, quiet), isCode('missing'))
    await assert.rejects(openHid({ path: HIDRAW }, quiet), isCode('missing'))
  },
}

async function onHid(body: (link: HidLink) => Promise<void>): Promise<void> {
  await plug('hid')
  try {
    const link = await openHid({ path: HIDRAW }, quiet)
    try {
      await body(link)
    } finally {
      await link.close()
    }
  } finally {
    await unplug('hid')
  }
}

export const titles = [
  ...Object.keys(KINDS).flatMap((kind) => linkContract.map(({ title }) => `${kind}: ${title}`)),
  ...Object.keys(particular),
]

async function run(title: string, body: () => Promise<void>): Promise<void> {
  const error = await body().then(
    () => null,
    (cause: Error) => cause.stack ?? String(cause),
  )
  process.send?.({ title, error })
}

if (process.argv[1] === import.meta.filename) {
  process.on('message', answered)
  for (const [name, kind] of Object.entries(KINDS)) {
    for (const { title, run: body } of linkContract) await run(`${name}: ${title}`, () => body(kind))
  }
  for (const [title, body] of Object.entries(particular)) await run(title, body)
  process.disconnect()
}
