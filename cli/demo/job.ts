/** The main job: two drivers that know nothing of each other share a bus, and a file system tells what changed. */
import { Prng } from '../../base/prng.ts'
import type { Board } from '../../machine/boards.ts'
import { readBoardFile } from '../../machine/boardfile.ts'
import { boot, type Machine } from '../../machine/index.ts'
import type { UserFile } from '../../machine/user.ts'
import { IOCTL_AT24_STATISTICS, STATISTICS as AT24_STATISTICS } from '../../drivers/at24/interface.ts'
import { IOCTL_GPIO_READ_PINS, PINS } from '../../drivers/gpio/interface.ts'
import {
  IOCTL_TMP102_SET_THRESHOLDS,
  IOCTL_TMP102_STATISTICS,
  STATISTICS as TMP102_STATISTICS,
} from '../../drivers/tmp102/interface.ts'

export interface JobOptions {
  processors: number
  board: string
  /** A path; undefined: an emulated board. */
  port?: string
  virtual: boolean
  seed: number
  withoutEvent: boolean
  seconds: number
}

/** What is counted while the job runs. */
export interface Tally {
  temperatures: number
  temperature: number
  pagesWritten: number
  presses: number
  alerts: number
  changes: number
  dataErrors: number
  /** Why the newest data error is one. */
  error: string
  latenciesUs: number[]
}

export interface Summary {
  processors: number
  board: string
  firmware: string | null
  seconds: number
  interrupts: number
  lostInterrupts: number
  dpcs: number
  transactions: number
  /** null where nobody looks at the bus: a real board. */
  mixedTransactions: number | null
  dataErrors: number
  eventHandovers: number
  changesReported: number
  isrLatencyUs: { p50: number; p99: number }
  bugChecks: number
}

const NAME = 'uno-0'
const DRIVERS = ['boardfs', 'tmp102', 'at24', 'gpio']
const PAGE = 64
/** Pages that the job writes; the rest of a real board's EEPROM is left alone. */
const PAGES = 16
/** The sensor converts eight times a second: what it was exposed to before may be told for so many readings. */
const MOST_OLD_READINGS = 200
const READINGS = 20
const ALERT_ABOVE = 30
const ALERT_BELOW = 25

export class Job {
  readonly tally: Tally = {
    temperatures: 0,
    temperature: Number.NaN,
    pagesWritten: 0,
    presses: 0,
    alerts: 0,
    changes: 0,
    dataErrors: 0,
    error: '',
    latenciesUs: [],
  }
  readonly #options: JobOptions
  readonly #machine: Machine
  readonly #random: Prng
  readonly #hasHands: boolean
  #elapsedMs = 0

  private constructor(options: JobOptions, machine: Machine) {
    this.#options = options
    this.#machine = machine
    this.#random = new Prng(options.seed)
    this.#hasHands = machine.board(NAME).isSimulated
  }

  static async boot(options: JobOptions, print: (text: string) => void): Promise<Job> {
    const machine = await boot({
      processors: options.processors,
      clock: options.virtual ? 'virtual' : 'real',
      seed: options.seed,
      drivers: DRIVERS.map((name) => new URL(`../../drivers/${name}/index.ts`, import.meta.url)),
      boards: [{ board: boardFile(options), name: NAME, at: options.port ?? 'emulated' }],
      print,
    })
    return new Job(options, machine)
  }

  get board(): Board {
    return this.#machine.board(NAME)
  }

  get hasCrashed(): boolean {
    return this.#machine.crash !== null
  }

  /** Milliseconds that the job has run. */
  get elapsedMs(): number {
    return this.#elapsedMs
  }

  /** Runs for the time that was asked, or until `stop` says so. `tick` is called four times a second. */
  async run(tick: () => void, stop: () => boolean): Promise<Summary> {
    const { seconds } = this.#options
    let isOver = false
    const goesOn = (): boolean => !isOver
    const watcher = await this.#machine.open('BoardFs\\')
    const watched = this.#watch(watcher)
    watched.catch(() => {}) // when the job fails, the machine goes, and with it what it watched
    const work = [this.#readTemperatures(goesOn), this.#writePages(goesOn), this.#pressButtons(goesOn)]
    const ended = Promise.all(work)
    ended.catch(() => (isOver = true)) // what failed is told below
    while (this.#elapsedMs < seconds * 1000 && !isOver && !stop()) {
      await this.#machine.sleep(250)
      this.#elapsedMs += 250
      tick()
    }
    isOver = true
    await ended
    await this.#machine.sleep(100) // the last interrupts
    const summary = await this.#sum()
    await watcher.close()
    await watched
    return { ...summary, changesReported: this.tally.changes }
  }

  shutdown(): Promise<void> {
    return this.#machine.shutdown()
  }

  async #watch(file: UserFile): Promise<void> {
    for await (const change of file.watch({ tree: true })) {
      if (change.action !== 'overflow') this.tally.changes += 1
    }
  }

  #below(limit: number): number {
    return this.#random.next() % limit
  }

  #fault(text: string): void {
    this.tally.dataErrors += 1
    this.tally.error = text
  }

  #sampleLatency(): void {
    for (const { frames, latencyUs } of this.board.lines()) if (frames > 0) this.tally.latenciesUs.push(latencyUs)
  }

  /** Reads the sensor, which is exposed to another temperature now and then. */
  async #readTemperatures(goesOn: () => boolean): Promise<void> {
    await using file = await this.#machine.open('Tmp102-0')
    const thresholds = new Int32Array([ALERT_BELOW * 16, ALERT_ABOVE * 16])
    try {
      await file.ioctl(IOCTL_TMP102_SET_THRESHOLDS, new Uint8Array(thresholds.buffer))
    } catch (error) {
      this.#failed(error)
    }
    let before: number | null = null
    while (goesOn()) {
      const exposed = this.#below(40 * 16) / 16
      if (this.#hasHands) this.board.set('tmp102.temperature', exposed)
      await this.#readUntil(file, before, this.#hasHands ? exposed : null, goesOn)
      before = exposed
    }
  }

  /** Reads a number of times; once the new temperature was told, the old one must not come again. */
  async #readUntil(
    file: UserFile,
    before: number | null,
    exposed: number | null,
    goesOn: () => boolean,
  ): Promise<void> {
    let old = 0
    for (let readings = 0; readings < READINGS && goesOn(); ) {
      const told = await this.#readTemperature(file)
      if (told === null || exposed === null || told === exposed) readings += 1
      else if (readings === 0 && (before === null || told === before) && old < MOST_OLD_READINGS) old += 1
      else {
        this.#fault(`read ${told} °C where it was ${exposed} °C`)
        return
      }
      await this.#machine.sleep(5)
    }
  }

  /** null when the transfer failed. */
  async #readTemperature(file: UserFile): Promise<number | null> {
    this.#sampleLatency()
    try {
      const text = new TextDecoder().decode(await file.read(32))
      const temperature = Number(text)
      this.tally.temperatures += 1
      this.tally.temperature = temperature
      if (!(temperature >= -55 && temperature <= 150)) this.#fault(`${text} °C is no temperature`)
      return temperature
    } catch (error) {
      this.#failed(error)
      return null
    }
  }

  /** Writes pages and reads them back. */
  async #writePages(goesOn: () => boolean): Promise<void> {
    await using file = await this.#machine.open('At24-0')
    while (goesOn()) {
      const offset = this.#below(PAGES) * PAGE
      const page = Uint8Array.from({ length: PAGE }, () => this.#below(256))
      try {
        await file.write(page, { offset })
        const back = await file.read(PAGE, { offset })
        if (page.every((byte, index) => byte === back[index])) this.tally.pagesWritten += 1
        else this.#fault(`the page at ${offset} reads otherwise than it was written`)
      } catch (error) {
        this.#failed(error)
      }
      this.#sampleLatency()
    }
  }

  /** A transfer that failed has lost data; anything else ends the job. */
  #failed(error: unknown): void {
    if (this.hasCrashed || (error as Error).name !== 'NtStatusError') throw error
    this.#fault((error as Error).message)
  }

  async #pressButtons(goesOn: () => boolean): Promise<void> {
    while (goesOn()) {
      await this.#machine.sleep(20 + this.#below(60))
      if (!this.#hasHands || !goesOn()) continue
      this.board.press('button')
      this.tally.presses += 1
      await this.#machine.sleep(10 + this.#below(20))
      this.board.release('button')
      this.#sampleLatency()
    }
  }

  async #statistics<T extends object>(
    device: string,
    code: number,
    struct: Layout<T>,
  ): Promise<Record<keyof T, number>> {
    await using file = await this.#machine.open(device)
    const bytes = await file.ioctl(code, undefined, struct.size)
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    return Object.fromEntries(
      Object.entries(struct.offsets as Record<string, number>).map(([name, offset]) => [
        name,
        view.getUint32(offset, true),
      ]),
    ) as Record<keyof T, number>
  }

  async #sum(): Promise<Omit<Summary, 'changesReported'>> {
    const sensor = await this.#statistics('Tmp102-0', IOCTL_TMP102_STATISTICS, TMP102_STATISTICS)
    const eeprom = await this.#statistics('At24-0', IOCTL_AT24_STATISTICS, AT24_STATISTICS)
    const pins = await this.#statistics('Gpio-0', IOCTL_GPIO_READ_PINS, PINS)
    const report = await this.board.busReport()
    const { processors } = await this.#machine.inspect()
    const lines = this.board.lines()
    const edgesOf = (...names: string[]): number =>
      lines.filter(({ line }) => names.includes(line)).reduce((sum, { edges }) => sum + edges, 0)
    this.tally.alerts = sensor.Alerts
    const lost =
      Math.abs(edgesOf('done') - sensor.Interrupts - eeprom.Interrupts) +
      Math.abs(edgesOf('pins', 'button') - pins.Edges) +
      Math.max(0, edgesOf('alert') - sensor.Alerts)
    const sorted = this.tally.latenciesUs.sort((left, right) => left - right)
    return {
      processors: this.#options.processors,
      board: this.#options.board,
      firmware: this.board.firmware,
      seconds: this.#elapsedMs / 1000,
      interrupts: lines.reduce((sum, { frames }) => sum + frames, 0),
      lostInterrupts: lost,
      dpcs: processors.reduce((sum, { dpcs }) => sum + dpcs, 0),
      transactions: report?.transactions ?? sensor.Transactions + eeprom.Transactions,
      mixedTransactions: report?.mixedTransactions ?? null,
      dataErrors: this.tally.dataErrors,
      eventHandovers: sensor.Handovers + eeprom.Handovers,
      isrLatencyUs: { p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99) },
      bugChecks: this.hasCrashed ? 1 : 0,
    }
  }
}

interface Layout<T> {
  size: number
  offsets: T
}

/** Without the event, the EEPROM's driver is not told of it and takes the bus when it likes. */
function boardFile({ board, withoutEvent }: JobOptions): string | object {
  if (!withoutEvent) return board
  const file = structuredClone(readBoardFile(board))
  for (const { children } of file.devices) {
    for (const child of children) if (child.name === 'at24') child.parameters = { ...child.parameters, BusEvent: '' }
  }
  return file
}

const quantile = (sorted: readonly number[], share: number): number =>
  Math.round((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0) * 10) / 10
