/** Serial ports, through the `serialport` package. On the thread of the user's program: in a worker it ends the process. */
import { existsSync } from 'node:fs'
import type { SerialPort } from 'serialport'
import { sleepMs } from '../timers.ts'
import { busyError, holdersOf, openError } from './access.ts'
import { devicePath } from './devicepath.ts'
import { type Latency, latencyOf, tightenLatencyTimer } from './latency.ts'
import { LinkBase, LinkError, type LinkEvents } from './link.ts'
import { type LineSettings, type ModemLines, openModemLines } from './modem.ts'
import { native, refuseWorker } from './native.ts'
import { openFile, type SerialIo, serialIo } from './serialio.ts'

export interface Framing {
  dataBits: 5 | 6 | 7 | 8
  stopBits: 1 | 2
  parity: 'none' | 'even' | 'odd' | 'mark' | 'space'
  /** RTS/CTS flow control: with it a paused link stops the sender, without it the system's buffer overflows. */
  rtscts: boolean
  /** The system's XON/XOFF flow control: 0x11 and 0x13 never arrive. */
  xonxoff: boolean
}

export interface SerialOptions extends Partial<Framing> {
  path: string
  baudRate?: number
  /** The lines' levels once the port is open. The system raises both when it opens a port. */
  dtr?: boolean
  rts?: boolean
  /**
   * What becomes of a board that resets when DTR rises (an Arduino). true: it is reset for certain. false: the lines
   * stay raised at close, so that the next open does not reset it; the first open after plug does all the same.
   * Not given: as the system does, which is a reset at each open.
   */
  reset?: boolean
  /** Watches CTS, DSR, RI and DCD. */
  modem?: boolean
  /** Has bytes go through the package's own stream, as they do on Windows. */
  stream?: boolean
  /** Asks driver and adapter to hand over bytes at once. FTDI adapters wait 16 ms otherwise. */
  lowLatency?: boolean
}

/** How long DTR is low to reset a board: its capacitor of 100 nF needs a millisecond, a slow adapter some tens. */
const RESET_MS = 50

const LOCKED_MS = 20
const LOCKED_TRIES = 10

export interface SerialLink extends LinkBase {
  /** Null if not asked for, or if neither driver nor system has any. */
  readonly modem: ModemLines | null
  readonly latency: Latency
  /** As the port was opened: the package can change no more than the baud rate. */
  readonly framing: Framing
  setBaudRate(baudRate: number): Promise<void>
  /** Levels of DTR and RTS, and break. What is not given stays. */
  setLines(settings: LineSettings): Promise<void>
}

export async function openSerial(options: SerialOptions, events: LinkEvents): Promise<SerialLink> {
  refuseWorker('the package ends the process at the first byte')
  const { SerialPort } = await native('serialport', () => import('serialport'))
  const { path, baudRate = 115_200 } = options
  refuseBusy(path)
  const hupcl = options.reset !== false
  const { xonxoff, ...framing } = framingOf(options)
  const port = new SerialPort({ path, baudRate, ...framing, xon: xonxoff, xoff: xonxoff, hupcl, autoOpen: false })
  await openPort(port, path)
  const link = new SerialPortLink(port, options, events)
  try {
    await link.prepare(options)
  } catch (error) {
    await link.close()
    throw error
  }
  return link
}

/** A port that was closed just now stays locked until the last of the system's calls on it has returned. */
async function openPort(port: SerialPort, path: string): Promise<void> {
  for (let tries = 1; ; tries++) {
    const error = await call((done) => port.open(done)).then(
      () => null,
      (reason: Error) => reason,
    )
    if (error === null) return
    const isLocked = error.message.includes('Cannot lock port') && holdersOf(path).length === 0
    if (!isLocked || tries === LOCKED_TRIES) throw openError(path, error, present(path))
    await sleepMs(LOCKED_MS)
  }
}

const framingOf = ({
  dataBits = 8,
  stopBits = 1,
  parity = 'none',
  rtscts = false,
  xonxoff = false,
}: SerialOptions): Framing => ({
  dataBits,
  stopBits,
  parity,
  rtscts,
  xonxoff,
})

/** Looked for before the port is opened, for the system raises DTR first and resets the board under the other program. */
function refuseBusy(path: string): void {
  if (!devicePath(path).startsWith('/dev/tty')) return // a terminal has no such lines, and its maker has it open
  const holders = holdersOf(path)
  if (holders.length > 0) throw busyError(path, holders)
}

/** Ports like the one that is missing. */
function present(path: string): string[] {
  return ['/dev/ttyACM', '/dev/ttyUSB'].flatMap((stem) =>
    Array.from({ length: 8 }, (_, index) => `${stem}${index}`).filter((name) => name !== path && existsSync(name)),
  )
}

class SerialPortLink extends LinkBase implements SerialLink {
  readonly path: string
  readonly framing: Framing
  readonly #port: SerialPort
  readonly #io: SerialIo
  readonly #lines: Required<LineSettings>
  #modem: ModemLines | null = null
  #isLow = false
  /** What was written since the event loop's last turn. */
  readonly #parcels: { bytes: Uint8Array; sent: () => void }[] = []

  constructor(port: SerialPort, options: SerialOptions, events: LinkEvents) {
    super(events)
    const { path, dtr = true, rts = true } = options
    this.path = path
    this.framing = framingOf(options)
    this.#port = port
    this.#lines = { dtr, rts, brk: false }
    port.on('close', (error: Error | null) => this.gone(unplugged(error)))
    port.on('error', (error) => this.gone(unplugged(error)))
    // while nothing is read nor written nobody else tells; and the package's own read of a file at its end has no end
    openFile(port)?.poller.once('disconnect', (error) => this.gone(unplugged(error)))
    this.#io = serialIo(port, options.stream === true, {
      data: (bytes) => this.received(bytes),
      gone: (error) => this.gone(unplugged(error)),
    })
  }

  get modem(): ModemLines | null {
    return this.#modem
  }

  get latency(): Latency {
    return latencyOf(this.path, this.#isLow)
  }

  /** Everything between the open port and one that is ready, in an order in which DTR changes as asked for only. */
  async prepare({ modem = false, lowLatency = false, reset, dtr, rts }: SerialOptions): Promise<void> {
    // opens the device once more, which raises DTR and RTS again: before they are set
    if (modem) this.#modem = await openModemLines(this.path, this.#port)
    if (lowLatency) await this.#tighten()
    if (reset === true) await this.#reset()
    else if (dtr === false || rts === false) await this.setLines({})
  }

  /** Bytes that the board sent before its reset are not the new board's. */
  async #reset(): Promise<void> {
    const { dtr, rts } = this.#lines
    await this.setLines({ dtr: false, rts: false })
    await sleepMs(RESET_MS)
    await call((done) => this.#port.flush(done))
    await this.setLines({ dtr, rts })
  }

  async #tighten(): Promise<void> {
    tightenLatencyTimer(this.path)
    try {
      await this.#set({ ...this.#lines, lowLatency: true })
      this.#isLow = true
    } catch {
      // a driver without the flag: `latency` says what is
    }
  }

  async setLines(settings: LineSettings): Promise<void> {
    Object.assign(this.#lines, settings)
    if (this.#modem?.set(this.#lines) === true) return
    try {
      await this.#set(this.#lines)
    } catch (cause) {
      const hint = 'the driver has no break and the package sets all lines or none: install koffi'
      const text = `${this.path}: DTR and RTS cannot be set (${(cause as Error).message}); ${hint}`
      throw new LinkError('unsupported', text, { cause })
    }
  }

  #set(settings: Required<LineSettings> & { lowLatency?: boolean }): Promise<void> {
    return call((done) => this.#port.set(settings, done))
  }

  setBaudRate(baudRate: number): Promise<void> {
    return call((done) => this.#port.update({ baudRate }, done))
  }

  protected transmit(bytes: Uint8Array, sent: () => void): void {
    this.#parcels.push({ bytes, sent })
    if (this.#parcels.length === 1) queueMicrotask(() => this.#send())
  }

  /** What is written in one go is one call of the system: a driver writes its bytes one by one. */
  #send(): void {
    const parcels = this.#parcels.splice(0)
    if (!this.isOpen) return
    this.#io.write(Buffer.concat(parcels.map(({ bytes }) => bytes)), () => {
      for (const { sent } of parcels) sent()
    })
  }

  protected hold(): void {
    this.#io.pause()
  }

  protected unhold(): void {
    this.#io.resume()
  }

  protected async release(): Promise<void> {
    this.#io.stop()
    await this.#modem?.close()
    if (this.#port.isOpen) await call((done) => this.#port.close(done)).catch(() => {})
    this.#port.destroy()
  }
}

function unplugged(error: Error | null | undefined): string {
  if (error === null || error === undefined) return 'the device was unplugged'
  return `the device was unplugged (${error.message})`
}

const call = (start: (done: (error?: Error | null) => void) => void): Promise<void> =>
  new Promise((resolve, reject) => {
    start((error) => {
      if (error === null || error === undefined) resolve()
      else reject(error)
    })
  })
