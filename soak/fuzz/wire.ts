/** Any bytes on the wire, into host and board of the bridge, and into the devices of ports without firmware. */
import { adcClass } from '../../classes/adc.ts'
import type { DeviceLayout } from '../../classes/device.ts'
import { hidClass } from '../../classes/hid.ts'
import { linesClass } from '../../classes/lines.ts'
import { uartClass } from '../../classes/uart.ts'
import { World } from '../../hal/world.ts'
import { prefixOf, seal } from '../../wire/bridge/codec.ts'
import { type BridgedBoard, BridgeDevice } from '../../wire/bridge/device.ts'
import { type BridgeEvents, BridgeHost } from '../../wire/bridge/host.ts'
import { fromReport, toReports } from '../../wire/bridge/reports.ts'
import { HidDevice } from '../../wire/hid-raw.ts'
import { parseReportDescriptor, placeOf, ReportDescriptorError } from '../../wire/reportdescriptor.ts'
import type { SoftDevice } from '../../wire/softdevice.ts'
import { TextDevice } from '../../wire/text.ts'
import { UartDevice } from '../../wire/uart.ts'
import type { Random } from './random.ts'

const NONCE = 0x12345678
const BOOT = 3
const NO_EVENTS: BridgeEvents = { frame() {}, fifo() {}, reset() {}, gone() {}, log() {} }
const IDENTITY = { firmware: 'fuzz', version: '1', uniqueId: '-', devices: [{ class: 'adc', version: 1, lines: 2 }] }
const MOST_BYTES_OUT = 1 << 20

/** Time that stands still until it is let pass. */
class Clock {
  now = 0
  readonly world = new World(() => this.now)

  pass(ticks: number): void {
    const end = this.now + ticks
    while (this.world.next <= end) {
      this.now = this.world.next
      this.world.run()
    }
    this.now = end
  }
}

/** Counts what is said: an answer to some bytes that has no end is a fault. */
function teller(): (bytes: Uint8Array) => void {
  let said = 0
  return (bytes) => {
    said += bytes.length
    if (said > MOST_BYTES_OUT) throw new Error('it says more than it was asked for')
  }
}

const FIELDS = '0123456789ABCDEFabcdefHWDREVLMCAbhtisdwrel=,+*_- ~'

/** A piece of what comes over the wire: anything, or a line with a good checksum and any content. */
function piece(random: Random, kinds: string): Uint8Array {
  if (random.chance(0.3)) return random.bytes(120)
  const kind = random.letter(kinds)
  const content = Array.from({ length: random.below(40) }, () => random.letter(FIELDS))
  const sequence = random.letter('01234567')
  const body = new TextEncoder().encode(kind + sequence + content.join(''))
  const prefix = random.pick([prefixOf(), prefixOf(NONCE), prefixOf(NONCE, BOOT), prefixOf(NONCE, BOOT)])
  const line = seal(body, random.below(64), prefix)
  if (random.chance(0.2)) line[random.below(line.length)]! ^= 1 << random.below(8)
  return line
}

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text)

/** Into the host, in each of its states. */
export function intoHost(random: Random): void {
  const clock = new Clock()
  const host = new BridgeHost({ time: clock.world, write: teller(), random: () => NONCE }, NO_EVENTS)
  host.open(() => {})
  if (random.chance(0.8)) host.receive(seal(ascii(`h1${BOOT}`), 0, prefixOf(NONCE)))
  if (random.chance(0.7)) host.receive(seal(ascii('t0a 1 -'), 0, prefixOf(NONCE, BOOT)))
  if (random.chance(0.7)) host.receive(seal(ascii('t1'), 0, prefixOf(NONCE, BOOT)))
  for (let round = random.below(12); round > 0; round--) {
    if (random.chance(0.3)) host.write(random.below(64), random.below(512) * 4, random.next())
    if (random.chance(0.1)) host.read(0, 4, () => {})
    if (random.chance(0.1)) host.flush(() => {})
    const bytes = piece(random, 'bhtisdwrelaAWZ?')
    for (const report of random.chance(0.1) ? toReports(bytes) : [bytes]) {
      host.receive(report.length === 64 ? fromReport(report) : report)
    }
    clock.pass(random.below(100_000))
  }
}

/** Into a board behind a bridge. */
export function intoBoard(random: Random): void {
  const clock = new Clock()
  let events = NO_EVENTS
  const board: BridgedBoard = {
    connect: (told) => (events = told),
    write: () => {},
    read: (_device, _offset, done) => done(random.next()),
    endOfInterrupt: () => {},
    enableLine: (line) => events.frame({ line, sequence: 1, edges: 1, boardTime: 0, snapshot: [] }),
    disableLine: () => {},
    credit: (device, offset, count) =>
      events.fifo(
        device,
        offset,
        Array.from({ length: Math.min(count, 64) }, () => 7),
      ),
  }
  const parts = { time: clock.world, write: teller(), board, identity: IDENTITY, bootCount: BOOT }
  const device = new BridgeDevice(parts)
  device.start()
  if (random.chance(0.8)) device.receive(seal(ascii(`H1${NONCE.toString(16)}`), 0, prefixOf()))
  for (let round = random.below(12); round > 0; round--) {
    device.receive(piece(random, 'HWDRELMCAbiZ?'))
    clock.pass(random.below(100_000))
  }
}

/** Into the parser of report descriptors. */
export function intoDescriptor(random: Random): void {
  const items = [0x05, 0x09, 0xa1, 0xc0, 0x15, 0x25, 0x75, 0x95, 0x81, 0x85, 0x19, 0x29, 0xa4, 0xb4, 0x91, 0xb1]
  const item = (): number[] => [random.pick(items), random.below(20)]
  const likely = (): Uint8Array => Uint8Array.from(Array.from({ length: random.below(30) }, item).flat())
  const descriptor = random.chance(0.5) ? random.bytes(200) : likely()
  try {
    placeOf(parseReportDescriptor(descriptor), random.below(12), random.below(60))
  } catch (error) {
    if (!(error instanceof ReportDescriptorError)) throw error
  }
}

const layout = ({ name, version, registers, lines }: typeof uartClass): DeviceLayout => ({
  name,
  class: name,
  version,
  registers,
  lines,
})
const PATTERNS = [{ name: 'any', match: '^(.*)=(-?[0-9.]+)$', scale: 1000, dirql: 5 }]

/** Into a serial port, a sketch or a HID device that the host plays the board of. */
export function intoPort(random: Random): void {
  const write = teller()
  const hand = { now: () => 0, send: write, pause: () => {}, resume: () => {} }
  const more = { control: () => {}, configure: () => {} }
  const done = (_id: number, _data: Uint8Array, end: (isDone: boolean) => void): void => end(random.chance(0.5))
  const get = (_id: number, length: number, end: (data: Uint8Array | null) => void): void =>
    end(random.chance(0.5) ? random.bytes(Math.min(length, 64)) : null)
  const hid = { ...hand, sendOutput: done, sendFeature: done, getFeature: get }
  const device = random.pick<() => SoftDevice & { receive(bytes: Uint8Array): void }>([
    () => new UartDevice(layout(uartClass), { ...hand, ...more }),
    () => new TextDevice(layout(linesClass), hand, PATTERNS),
    () => new HidDevice(layout(hidClass), hid, random.chance(0.5)),
    () => new HidDevice(layout(adcClass), hid, true),
  ])()
  device.connect({ frame() {}, fifo() {}, log() {} })
  for (let round = random.below(30); round > 0; round--) {
    device.enableLine(random.below(8))
    device.credit(random.below(2), random.below(12) * 4, random.below(300))
    device.write(random.below(2), random.below(16) * 4, random.number())
    device.endOfInterrupt(random.below(8), random.below(4))
    device.receive(random.chance(0.5) ? random.bytes(100) : ascii(`${random.word()}=${random.number()}\n`))
    device.read(random.below(3), random.below(600) * 4, () => {})
  }
}
