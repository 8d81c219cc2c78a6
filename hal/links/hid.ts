/** HID devices, through node-hid. On the thread of the user's program: an open device keeps a worker from ending. */
import { existsSync, readFileSync } from 'node:fs'
import type { HIDAsync } from 'node-hid'
import { parseReportDescriptor, type ReportDescriptor, reportBytes } from '../../wire/reportdescriptor.ts'
import { nextTurn } from '../timers.ts'
import { missingError, openError } from './access.ts'
import { deviceName } from './devicepath.ts'
import { LinkBase, LinkError, type LinkEvents } from './link.ts'
import { native, refuseWorker } from './native.ts'

export interface HidOptions {
  path: string
}

/**
 * One write is one output report, one `data` one input report. Where reports are numbered both begin with the id;
 * else there is none. A write that is shorter than the report is filled up with zeros.
 *
 * A device is not made to wait: what comes while the link is paused is kept, up to MOST_KEPT reports, and then lost.
 */
export interface HidLink extends LinkBase {
  /** Null where the system does not tell: then a write must have the report's size. */
  readonly descriptor: ReportDescriptor | null
  /** Input reports that came while too many were kept. */
  readonly lost: number
  /** Behind what was written before. */
  sendOutput(id: number, data: Uint8Array): Promise<void>
  sendFeature(id: number, data: Uint8Array): Promise<void>
  /** The report without its id. */
  getFeature(id: number, length: number): Promise<Uint8Array>
}

export async function openHid({ path }: HidOptions, events: LinkEvents): Promise<HidLink> {
  refuseWorker('an open device keeps its worker from ending')
  const { HIDAsync } = await loadNodeHid()
  if (path.startsWith('/') && !existsSync(path)) throw missingError(path, [])
  try {
    const link = new HidDeviceLink(path, await HIDAsync.open(path), descriptorOf(path), events)
    await nextTurn() // it begins to read a tick after it has a listener, and throws if it is closed by then
    return link
  } catch (error) {
    throw openError(path, error, [])
  }
}

/** Loads node-hid with its native part, which it loads itself at its first use only. */
export async function loadNodeHid(): Promise<typeof import('node-hid')> {
  return await native('node-hid', async () => {
    const { default: hid } = await import('node-hid')
    hid.getHidapiVersion()
    return hid as unknown as typeof import('node-hid')
  })
}

function descriptorOf(path: string): ReportDescriptor | null {
  try {
    return parseReportDescriptor(readFileSync(`/sys/class/hidraw/${deviceName(path)}/device/report_descriptor`))
  } catch {
    return null // no Linux, or a descriptor that only its device understands
  }
}

/** Input reports that a paused link keeps: a second of a fast device's. */
export const MOST_KEPT = 1024

interface Outgoing {
  report: Uint8Array
  sent: () => void
  failed: (error: Error) => void
}

class HidDeviceLink extends LinkBase implements HidLink {
  readonly path: string
  readonly descriptor: ReportDescriptor | null
  readonly #device: HIDAsync
  readonly #queue: Outgoing[] = []
  #isWriting = false
  #lost = 0

  constructor(path: string, device: HIDAsync, descriptor: ReportDescriptor | null, events: LinkEvents) {
    super(events)
    this.path = path
    this.#device = device
    this.descriptor = descriptor
    device.on('error', (error: unknown) => this.gone(`the device was unplugged (${text(error)})`))
    // exactly one listener, always: with none an unplug goes unnoticed, a second one throws
    device.on('data', (report: Buffer) => {
      if (this.kept < MOST_KEPT) this.received(report)
      else this.#lost += 1
    })
  }

  get lost(): number {
    return this.#lost
  }

  override write(report: Uint8Array): void {
    this.#check(report)
    super.write(report)
  }

  #check(report: Uint8Array): void {
    if (this.descriptor === null) return
    const id = idOf(this.descriptor, report)
    const most = sizeOf(this.descriptor, id)
    if (report.length > most) throw new LinkError('unsupported', tooLong(this.path, id, report.length, most))
  }

  protected transmit(report: Uint8Array, sent: () => void): void {
    this.#send({ report, sent, failed: () => {} })
  }

  async sendOutput(id: number, data: Uint8Array): Promise<void> {
    const isNumbered = this.descriptor?.isNumbered ?? id !== 0
    const report = isNumbered ? Uint8Array.of(id, ...data) : data
    this.#check(report)
    await new Promise<void>((resolve, reject) => this.#send({ report, sent: resolve, failed: reject }))
  }

  #send(outgoing: Outgoing): void {
    this.#queue.push(outgoing)
    if (!this.#isWriting) void this.#write()
  }

  /** As hidapi wants it: the id or 0 first, and the whole length. */
  #framed(report: Uint8Array): Buffer {
    const { descriptor } = this
    const size = descriptor === null ? report.length : sizeOf(descriptor, idOf(descriptor, report))
    const at = descriptor?.isNumbered === true ? 0 : 1
    const framed = Buffer.alloc(at + size)
    framed.set(report, at)
    return framed
  }

  /** One after the other: two writes under way may pass each other. */
  async #write(): Promise<void> {
    this.#isWriting = true
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      try {
        await this.#device.write(this.#framed(next.report))
        next.sent()
      } catch (error) {
        next.failed(error as Error)
        this.gone(`the device was unplugged (${text(error)})`)
      }
    }
    this.#isWriting = false
  }

  async sendFeature(id: number, data: Uint8Array): Promise<void> {
    await this.#device.sendFeatureReport(Buffer.from([id, ...data]))
  }

  async getFeature(id: number, length: number): Promise<Uint8Array> {
    return (await this.#device.getFeatureReport(id, length + 1)).subarray(1)
  }

  // the package's own pause stops reading some time within 50 ms, takes no resume before, and hides an unplug
  protected hold(): void {}

  protected unhold(): void {}

  protected async release(): Promise<void> {
    for (const { failed } of this.#queue.splice(0)) failed(new LinkError('closed', `${this.path}: the link is closed`))
    await this.#device.close().catch(() => {})
  }
}

const idOf = ({ isNumbered }: ReportDescriptor, report: Uint8Array): number => (isNumbered ? (report[0] ?? 0) : 0)

/** Bytes of an output report, with its id where it has one; 0 if there is none. */
function sizeOf(descriptor: ReportDescriptor, id: number): number {
  const bytes = reportBytes(descriptor, 'output', id)
  return bytes > 0 && descriptor.isNumbered ? bytes + 1 : bytes
}

const tooLong = (path: string, id: number, length: number, room: number): string =>
  room === 0
    ? `${path} has no output report ${id}`
    : `${path}: a report of ${length} bytes was written; output report ${id} has ${room}`

const text = (error: unknown): string => (error instanceof Error ? error.message : String(error))
