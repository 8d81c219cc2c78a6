/** What is particular to serial ports, each with the kernel's driver for it. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import type { UsbKind } from '../../firmware-sim/usb/kinds.ts'
import { listSerial } from '../../hal/links/discovery.ts'
import type { LinkEvents } from '../../hal/links/link.ts'
import type { ModemCounts, ModemLevels } from '../../hal/links/modem.ts'
import { openSerial, type SerialLink, type SerialOptions } from '../../hal/links/serial.ts'
import { until } from '../hal/links/contract.ts'
import { insert, type LabDevice, withDevice } from './devices.ts'

const quiet: LinkEvents = { data: () => {}, closed: () => {} }
const NONE = { cts: 0, dsr: 0, ri: 0, dcd: 0 }
const same = (left: unknown, right: unknown): boolean => JSON.stringify(left) === JSON.stringify(right)

interface Port extends LabDevice {
  link: SerialLink
}

function onPort(kind: UsbKind, options: Partial<SerialOptions>, body: (port: Port) => Promise<void>): Promise<void> {
  return withDevice(kind, async (lab) => {
    const link = await openSerial({ path: lab.path, ...options }, quiet)
    try {
      await body({ ...lab, link })
    } finally {
      await link.close()
    }
  })
}

interface Seen {
  counts: ModemCounts
  levels: ModemLevels
}

function watch({ modem }: SerialLink): { last: Seen } {
  const seen = { last: {} as Seen }
  modem?.onChange((counts, levels) => (seen.last = { counts, levels }))
  return seen
}

async function counts(seen: { last: Seen }, expected: Partial<ModemCounts>): Promise<void> {
  const all = { ...NONE, ...expected }
  await until('the counts', () => same(seen.last.counts, all)).catch(() => assert.deepEqual(seen.last.counts, all))
}

/** So many changes of `line`, which ends as it began if they are even. */
const changes = (line: keyof ModemCounts, times: number): { [line: string]: boolean }[] =>
  Array.from({ length: times }, (_, index) => ({ [line]: index % 2 === 0 }))

/** A change that stays until it is seen is not missed, counted or not. */
async function sampled({ device, link }: Port): Promise<void> {
  const seen = watch(link)
  assert.deepEqual([link.modem?.counted, link.modem?.exposed], [[], ['cts', 'dsr', 'ri', 'dcd']])
  for (const inputs of [...changes('cts', 4), ...changes('ri', 3), { dsr: true }, { dcd: true }]) {
    await device.setInputs(inputs)
    await until(`${JSON.stringify(inputs)} is seen`, () => includes(seen.last.levels, inputs))
  }
  await counts(seen, { cts: 4, ri: 3, dsr: 1, dcd: 1 })
}

const includes = (all: object, some: object): boolean => same({ ...all, ...some }, all)

const chips: Record<string, [UsbKind, number, number, string]> = {
  'CDC-ACM': ['acm', 0x2341, 0x0043, 'cdc_acm'],
  'an FT232R': ['ftdi', 0x0403, 0x6001, 'ftdi_sio'],
  'a CP2102': ['cp2102', 0x10c4, 0xea60, 'cp210x'],
  'a CH340': ['ch340', 0x1a86, 0x7523, 'ch341-uart'],
}

const perChip = Object.fromEntries(
  Object.entries(chips).flatMap(([name, [kind]]) => [
    [
      `${name} is told of DTR, RTS, break and baud rate`,
      () =>
        onPort(kind, { baudRate: 57_600 }, async ({ device, link }) => {
          await until('both are raised', () => same(device.lines.at(-1), { dtr: true, rts: true, brk: false }))
          await link.setLines({ dtr: false, rts: true })
          await until('DTR is low', () => same(device.lines.at(-1), { dtr: false, rts: true, brk: false }))
          await link.setLines({ rts: false, brk: true })
          await until('the break', () => device.lines.at(-1)?.brk === true)
          await link.setLines({ brk: false })
          await until('no break', () => same(device.lines.at(-1), { dtr: false, rts: false, brk: false }))
          if (kind !== 'ch340') assert.ok(device.baudRates.some((baud) => Math.abs(baud / 57_600 - 1) < 0.03))
        }),
    ],
  ]),
) as Record<string, () => Promise<void>>

/** `SerialPort.list()` asks udev, which knows what came while it ran; the other cases do without its work. */
async function allListed(): Promise<void> {
  execFileSync('/lib/systemd/systemd-udevd', ['--daemon'], { stdio: 'ignore' })
  try {
    await listAll()
  } finally {
    execFileSync('/bin/udevadm', ['control', '--exit'], { stdio: 'ignore' })
  }
}

async function listAll(): Promise<void> {
  const labs = await Promise.all(Object.values(chips).map(async (chip) => ({ chip, lab: await insert(chip[0]) })))
  const numbers = labs.map(({ lab }) => lab.serialNumber)
  let ports: Awaited<ReturnType<typeof listSerial>> = []
  await until('all are listed', async () => {
    ports = (await listSerial()).filter(({ serialNumber }) => numbers.includes(serialNumber ?? ''))
    return ports.length === labs.length
  })
  for (const { lab, chip } of labs) {
    const port = ports.find(({ serialNumber }) => serialNumber === lab.serialNumber)
    const [, vendorId, productId, driver] = chip
    assert.deepEqual(
      [port?.path, port?.vendorId, port?.productId, port?.driver],
      [lab.path, vendorId, productId, driver],
    )
  }
  for (const { lab } of labs) await lab.unplug()
  await until('the nodes are gone', () => !labs.some(({ lab }) => lab.hasNode()))
}

export const serialCases: Record<string, () => Promise<void>> = {
  'CDC-ACM, FT232R, CP2102 and CH340 are listed with what recognises them': allListed,
  ...perChip,
  'each change of an FT232R line is counted, hundreds in a burst too': () =>
    onPort('ftdi', { modem: true }, async ({ device, link }) => {
      const seen = watch(link)
      assert.deepEqual(link.modem?.counted, ['cts', 'dsr', 'ri', 'dcd'])
      await device.setInputs({ cts: true }, ...changes('dsr', 200), ...changes('ri', 7), ...changes('dcd', 301))
      await counts(seen, { cts: 1, dsr: 200, ri: 7, dcd: 301 })
      assert.deepEqual(seen.last.levels, { cts: true, dsr: false, ri: true, dcd: true })
    }),
  'each change of DSR and DCD of CDC-ACM is counted, RI is sampled, and CTS there is none': () =>
    onPort('acm', { modem: true }, async ({ device, link }) => {
      const seen = watch(link)
      const { counted, exposed } = link.modem ?? {}
      assert.deepEqual(
        [counted, exposed],
        [
          ['dsr', 'dcd'],
          ['dsr', 'ri', 'dcd'],
        ],
      )
      await device.setInputs(...changes('dsr', 200), ...changes('dcd', 33))
      await counts(seen, { dsr: 200, dcd: 33 })
      for (const inputs of changes('ri', 3)) {
        await device.setInputs(inputs)
        await until('RI is seen', () => includes(seen.last.levels, inputs))
      }
      await counts(seen, { dsr: 200, dcd: 33, ri: 3 })
    }),
  'lines of a CH340 are sampled, for its driver has no counters; each change that stays is seen': () =>
    onPort('ch340', { modem: true }, sampled),
  'lines of a CP2102 are sampled, for its driver counts none of them; each change that stays is seen': () =>
    onPort('cp2102', { modem: true }, sampled),
  'counts go on while bytes flow both ways': () =>
    onPort('ftdi', { modem: true }, async ({ device, link }) => {
      const seen = watch(link)
      for (let round = 0; round < 20; round++) {
        link.write(new Uint8Array(500))
        await device.send(new Uint8Array(500))
        await device.setInputs(...changes('cts', 10))
      }
      await counts(seen, { cts: 200 })
      await until('all bytes', () => device.received().length === 10_000)
    }),
  'lines of a CDC-ACM device without break are set through the helper': () =>
    onPort('acm-without-break', { modem: true, dtr: false, rts: true }, async ({ device }) => {
      await until('DTR low, RTS high', () => same(device.lines.at(-1), { dtr: false, rts: true, brk: false }))
    }),
  'a reset lowers DTR and raises it again': () =>
    onPort('acm', { reset: true }, async ({ device }) => {
      const low = device.lines.findIndex(({ dtr }) => !dtr)
      assert.ok(low >= 0)
      await until('raised again', () => device.lines.slice(low).some(({ dtr }) => dtr))
    }),
  'a device that takes no bytes leaves them unsent, and gets them all later': () =>
    onPort('ftdi', {}, async ({ device, link }) => {
      await device.hold()
      link.write(new Uint8Array(200_000))
      await new Promise((resolve) => setTimeout(resolve, 300))
      assert.ok(link.unsent > 0)
      await device.release()
      await until('all of them', () => device.received().length === 200_000)
      await until('nothing is unsent', () => link.unsent === 0)
    }),
  'a CDC-ACM port goes on after its device has stalled': () =>
    withDevice('acm', async ({ device, path }) => {
      let got = 0
      const link = await openSerial({ path }, { data: ({ length }) => (got += length), closed: () => {} })
      await device.stall(0x81)
      await device.send(Uint8Array.of(1, 2, 3))
      await until('the bytes', () => got === 3)
      await link.close()
    }),
  'low latency sets the timer of an FT232R': () =>
    onPort('ftdi', { lowLatency: true }, async ({ link }) => {
      assert.deepEqual(link.latency, { timerMs: 1, isLow: true, advice: null })
    }),
}
