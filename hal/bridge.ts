/** A board with bridge firmware as the host's end of a board: hello over whatever carries its bytes, then a session. */
import type { DeviceLayout, RegisterSpec } from '../classes/device.ts'
import { BridgeHost, type BridgeHostParts } from '../wire/bridge/host.ts'
import { NEWLINE } from '../wire/bridge/codec.ts'
import { BOARD_LINE } from '../wire/bridge/messages.ts'
import { fromReport, toReports } from '../wire/bridge/reports.ts'
import type { BoardEnd, BoardEvents } from './boardhost.ts'
import { openHid } from './links/hid.ts'
import { LinkError, type LinkEvents } from './links/link.ts'
import { openSerial, type SerialOptions } from './links/serial.ts'

/** What carries the bytes. A write to one that is gone is dropped: the host hears of that by `closed`. */
export interface Carrier {
  /** For people. */
  readonly path: string
  write(bytes: Uint8Array): void
  /** Whether bytes of before have not left this program yet. */
  isBusy?: () => boolean
  close(): void | Promise<void>
}

export type CarrierEvents = Pick<LinkEvents, 'data' | 'closed'>

export interface BridgePlan {
  /** What the board file says; the board must say the same. */
  layouts: readonly DeviceLayout[]
  time: BridgeHostParts['time']
  random: () => number
  /** Of a serial port; 0 where there is none. */
  baud: number
  /** How long hello is said; three seconds if left out. */
  helloForMs?: number
}

export interface BridgedBoard extends BoardEnd {
  /** Name and version. */
  readonly firmware: string
  /** Begins to listen: what the board has told since hello is told now. */
  connect(events: BoardEvents): void
  close(): Promise<void>
}

/** Opens the carrier and says hello. Fails with a LinkError that says what to do. */
export async function openBridge(
  { layouts, time, random, baud, helloForMs }: BridgePlan,
  open: (events: CarrierEvents) => Carrier | Promise<Carrier>,
): Promise<BridgedBoard> {
  const relay = new Relay()
  let isOpen = true
  let carrier: Carrier | null = null
  const early: Uint8Array[] = []
  const host = new BridgeHost(
    {
      time,
      random,
      baud,
      devices: layouts.map(({ class: type, version, lines }) => ({ class: type, version, lines: lines.length })),
      ...(helloForMs !== undefined && { helloForTicks: helloForMs * 10_000 }),
      byteFifos: layouts.flatMap(({ registers }, device) =>
        registers.filter(isByteFifo).map(({ offset }) => ({ device, offset })),
      ),
      write: (bytes) => {
        if (isOpen) carrier?.write(bytes)
      },
      isBusy: () => carrier?.isBusy?.() ?? false,
    },
    relay,
  )
  carrier = await open({
    data: (bytes) => {
      if (carrier === null) early.push(bytes)
      else host.receive(bytes)
    },
    closed: (reason) => {
      isOpen = false
      host.close()
      if (reason !== null) relay.gone(reason)
    },
  })
  const opened = carrier
  for (const bytes of early) host.receive(bytes)
  const result = await new Promise<Parameters<Parameters<BridgeHost['open']>[0]>[0]>((resolve) => {
    relay.failed = (reason) => resolve({ isOpen: false, reason })
    host.open(resolve)
  })
  relay.failed = null
  if (!result.isOpen) {
    await opened.close()
    throw new LinkError('failed', `${opened.path}: ${result.reason}`)
  }
  const { firmware, version } = result.identity
  return {
    firmware: `${firmware} ${version}`,
    gather: (ask) => host.gather(ask),
    write: (device, offset, value) => host.write(device, offset, value),
    endOfInterrupt: (line, sequence) => host.endOfInterrupt(line, sequence),
    enableLine: (line) => host.enableLine(line),
    disableLine: (line) => host.disableLine(line),
    flush: (done) => host.flush(done),
    read: (device, offset, done) => host.read(device, offset, done),
    credit: (device, offset, count) => host.credit(device, offset, count),
    connect: (events) => relay.connect(events),
    async close() {
      isOpen = false
      host.close()
      await opened.close()
    },
  }
}

const isByteFifo = ({ kind, width }: RegisterSpec): boolean => kind === 'fifo' && (width ?? 1) === 1

/** Keeps what the board tells until somebody listens. */
class Relay implements BoardEvents {
  #to: BoardEvents | null = null
  readonly #kept: ((to: BoardEvents) => void)[] = []
  /** Told of the end while hello is under way. */
  failed: ((reason: string) => void) | null = null

  connect(to: BoardEvents): void {
    this.#to = to
    for (const tell of this.#kept.splice(0)) tell(to)
  }

  #tell(tell: (to: BoardEvents) => void): void {
    if (this.#to === null) this.#kept.push(tell)
    else tell(this.#to)
  }

  readonly frame: BoardEvents['frame'] = (frame) => this.#tell((to) => to.frame(frame))
  readonly fifo: BoardEvents['fifo'] = (device, offset, entries) => this.#tell((to) => to.fifo(device, offset, entries))
  readonly reset = (): void => this.#tell((to) => to.reset())
  readonly log = (text: string): void => this.#tell((to) => to.log(text))
  readonly gone = (reason: string): void => {
    if (this.failed === null) this.#tell((to) => to.gone(reason))
    else this.failed(reason)
  }
}

/** A serial port that carries the bridge. */
export const serialCarrier =
  (options: SerialOptions) =>
  async (events: CarrierEvents): Promise<Carrier> => {
    const data = await byLines((line) => events.data(line))
    return carrierOf(await openSerial(options, { ...events, data }))
  }

/**
 * Hands on whole lines. The parser keeps what has no end however long it grows, so what is longer than any line is
 * ended here; the bridge counts it as damaged.
 */
async function byLines(told: (line: Uint8Array) => void): Promise<(bytes: Uint8Array) => void> {
  const { ReadlineParser } = await import('@serialport/parser-readline')
  const parser = new ReadlineParser({ encoding: 'latin1', includeDelimiter: true })
  parser.on('data', (line: string) => told(Buffer.from(line, 'latin1')))
  let unended = 0
  return (bytes) => {
    parser.write(bytes)
    const newline = bytes.lastIndexOf(NEWLINE)
    unended = newline < 0 ? unended + bytes.length : bytes.length - 1 - newline
    if (unended <= BOARD_LINE) return
    parser.write('\n')
    unended = 0
  }
}

/** A HID device that carries the bridge, `size` bytes a report. */
export const hidCarrier =
  (path: string, size: number) =>
  async (events: CarrierEvents): Promise<Carrier> => {
    const link = await openHid({ path }, { ...events, data: (report) => events.data(fromReport(report)) })
    const carrier = carrierOf(link)
    return { ...carrier, write: (bytes) => toReports(bytes, size).forEach((report) => carrier.write(report)) }
  }

function carrierOf(link: {
  readonly path: string
  readonly isOpen: boolean
  readonly unsent: number
  write(bytes: Uint8Array): void
  close(): Promise<void>
}): Carrier {
  return {
    path: link.path,
    write: (bytes) => {
      if (link.isOpen) link.write(bytes)
    },
    isBusy: () => link.isOpen && link.unsent > 0,
    close: () => link.close(),
  }
}
