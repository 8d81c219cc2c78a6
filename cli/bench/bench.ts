/** A machine with the board under test and the drivers of its chips, as the scenarios use it. */
import { performance } from 'node:perf_hooks'
import type { Board } from '../../machine/boards.ts'
import { type BoardFile, readBoardFile } from '../../machine/boardfile.ts'
import { boot, type BoardOption, type Machine, NtStatusError } from '../../machine/index.ts'
import type { UserFile } from '../../machine/user.ts'
import { IOCTL_AT24_STATISTICS, STATISTICS as AT24_STATISTICS } from '../../drivers/at24/interface.ts'
import {
  EDGE,
  IOCTL_GPIO_READ_PINS,
  IOCTL_GPIO_SET_UP_PIN,
  IOCTL_GPIO_WRITE_PIN,
  PINS,
} from '../../drivers/gpio/interface.ts'
import { IOCTL_TMP102_STATISTICS, STATISTICS as TMP102_STATISTICS } from '../../drivers/tmp102/interface.ts'

/** Who can press buttons and heat sensors. */
export interface BenchHands {
  press(pin: string): void
  release(pin: string): void
  set(sensor: string, value: number): void
  /** The reset button. */
  reset(): void | Promise<void>
}

/** Who can pull the board out while the machine has it open. Resolves when that is done to the system's device. */
export interface Cable {
  pull(): Promise<void>
  insert(): Promise<void>
}

export interface BenchOptions {
  board: BoardOption
  processors?: number
  clock?: 'real' | 'virtual'
  seed?: number
  /** Default: the board's own, where it has some; null: nobody. */
  hands?: BenchHands | null
  /** Default: the machine gives the board back and takes it again. */
  cable?: Cable
  print?: (text: string) => void
}

/** What a scenario may need of a board. */
export type Need = 'tmp102' | 'at24' | 'gpio' | 'button' | 'hands'

/** The drivers that the bench is for, and what each calls its devices. */
const DRIVERS = { tmp102: 'Tmp102', at24: 'At24', gpio: 'Gpio' } as const
export type Device = keyof typeof DRIVERS

const NAME = 'bench-0'
const EXTENSION = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
const PROBE = new URL(`./probe.${EXTENSION}`, import.meta.url)
const driverFile = (name: string): URL => new URL(`../../drivers/${name}/index.${EXTENSION}`, import.meta.url)
/** Devices of a driver get numbers, a new one at each plug. */
const MOST_NUMBERS_AHEAD = 4
const LIMIT_MS = 30_000
/** Between two edges in virtual time; in real time hands are as quick as they can. */
const EDGE_MS = 0.012

export class BenchError extends Error {
  override name = 'BenchError'
}

/** What must hold. */
export function must(holds: boolean, what: string): void {
  if (!holds) throw new BenchError(what)
}

export interface Totals {
  frames: number
  edges: number
}

export class Bench {
  readonly machine: Machine
  readonly file: BoardFile
  readonly hands: BenchHands | null
  /** Line to ISR, of the newest frame of each line at each look. */
  readonly latenciesUs: number[] = []
  /** From the question for a register to its answer, in the machine's time. */
  readonly questionsUs: number[] = []
  readonly #isVirtual: boolean
  readonly #cable: Cable
  readonly #numbers: Record<Device, number> = { tmp102: 0, at24: 0, gpio: 0 }

  private constructor(machine: Machine, file: BoardFile, { hands, cable, clock }: BenchOptions) {
    this.machine = machine
    this.file = file
    this.#isVirtual = clock === 'virtual'
    const board = machine.board(NAME)
    this.hands = hands === undefined ? (board.isSimulated ? handsOf(board) : null) : hands
    this.#cable = cable ?? { pull: () => board.unplug(), insert: () => board.plug() }
  }

  static async boot(options: BenchOptions): Promise<Bench> {
    const { board, processors = 1, clock = 'real', seed, print = () => {} } = options
    const machine = await boot({
      processors,
      clock,
      drivers: Object.keys(DRIVERS).map(driverFile),
      boards: [{ ...board, name: NAME }],
      print,
      ...(seed !== undefined && { seed }),
    })
    return new Bench(machine, readBoardFile(board.board), options)
  }

  get board(): Board {
    return this.machine.board(NAME)
  }

  /** What of `needs` the board does not have. */
  lacks(needs: readonly Need[]): Need | undefined {
    return needs.find((need) => !this.#has(need))
  }

  #has(need: Need): boolean {
    const { devices } = this.file
    const ids = devices.flatMap(({ children }) => children.flatMap(({ hardwareIds }) => hardwareIds))
    switch (need) {
      case 'tmp102':
      case 'at24':
        return ids.includes(`dirql\\${need}`)
      case 'gpio':
        return devices.some((device) => device.class === 'gpio')
      case 'button':
        return devices.some(({ lines }) => (lines ?? []).some((line) => 'name' in line && line.name === 'button'))
      case 'hands':
        return this.hands !== null
    }
  }

  /** What the board calls its pins. */
  get gpio(): string {
    return this.file.devices.find((device) => device.class === 'gpio')?.name ?? ''
  }

  /** The drivers whose devices the board has. */
  get devices(): Device[] {
    return (Object.keys(DRIVERS) as Device[]).filter((device) => this.#has(device))
  }

  /** Opens the newest device of a driver. */
  async open(device: Device): Promise<UserFile> {
    const first = this.#numbers[device]
    for (let number = first; ; number++) {
      try {
        const file = await this.machine.open(`${DRIVERS[device]}-${number}`)
        this.#numbers[device] = number
        return file
      } catch (error) {
        if (!(error instanceof NtStatusError) || number === first + MOST_NUMBERS_AHEAD) throw error
      }
    }
  }

  async with<T>(device: Device, body: (file: UserFile) => Promise<T>): Promise<T> {
    await using file = await this.open(device)
    return await body(file)
  }

  sleep(milliseconds: number): Promise<void> {
    return this.machine.sleep(milliseconds)
  }

  /** Between two edges of a pin. */
  async betweenEdges(): Promise<void> {
    if (this.#isVirtual) await this.machine.sleep(EDGE_MS)
  }

  /** Waits for what must come. */
  async until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
    for (let waited = 0; !(await holds()); waited += 5) {
      must(waited < LIMIT_MS, `${what}: not within ${LIMIT_MS / 1000} s`)
      await this.machine.sleep(5)
    }
  }

  /** Pulls the board out. */
  async pull(): Promise<void> {
    await this.#cable.pull()
    await this.until('the machine sees that the board is gone', () => !this.board.isPlugged)
  }

  /** Puts it in again, and waits for its devices. */
  async insert(): Promise<void> {
    await this.#cable.insert()
    await this.board.plug()
    await this.isBack()
  }

  /** Waits until each of its devices can be opened. */
  async isBack(): Promise<void> {
    for (const device of this.devices) {
      await this.until(`device ${device} is back`, () =>
        this.with(device, () => Promise.resolve(true)).catch(() => false),
      )
    }
  }

  /** Runs an export of the probe in the kernel. */
  probe(name: string, argument: unknown): Promise<unknown> {
    return this.machine.run(PROBE, name, argument)
  }

  sensorCounts(): Promise<Record<keyof typeof TMP102_STATISTICS.offsets, number>> {
    return this.#words('tmp102', IOCTL_TMP102_STATISTICS, TMP102_STATISTICS)
  }

  eepromCounts(): Promise<Record<keyof typeof AT24_STATISTICS.offsets, number>> {
    return this.#words('at24', IOCTL_AT24_STATISTICS, AT24_STATISTICS)
  }

  pins(): Promise<Record<keyof typeof PINS.offsets, number>> {
    return this.#words('gpio', IOCTL_GPIO_READ_PINS, PINS)
  }

  #words<K extends string>(
    device: Device,
    code: number,
    struct: { size: number; offsets: Readonly<Record<K, number>> },
  ): Promise<Record<K, number>> {
    return this.with(device, async (file) => wordsIn(await file.ioctl(code, undefined, struct.size), struct.offsets))
  }

  /** Has a pin be so: the fields of PIN_SETUP behind the pin. Behind this the board has it. */
  async setUpPin(pin: number, { isOutput = 0, pullUp = 0, rising = 0, falling = 0 }): Promise<void> {
    const setup = Uint32Array.of(pin, isOutput, pullUp, rising, falling, 0)
    await this.with('gpio', (file) => file.ioctl(IOCTL_GPIO_SET_UP_PIN, new Uint8Array(setup.buffer)))
    await this.probe('settle', this.board.window(this.gpio))
  }

  /** Sets an output pin, again and again. */
  async writePin(pin: number, levels: readonly number[]): Promise<void> {
    await this.with('gpio', async (file) => {
      for (const level of levels) {
        await file.ioctl(IOCTL_GPIO_WRITE_PIN, new Uint8Array(Uint32Array.of(pin, level).buffer))
      }
    })
  }

  /** Edge records that are there, as a read gives them. */
  async readEdges(file: UserFile, signal?: AbortSignal): Promise<Record<keyof typeof EDGE.offsets, number>[]> {
    const bytes = await file.read(EDGE.size * 64, signal === undefined ? {} : { signal })
    return Array.from({ length: bytes.length / EDGE.size }, (_, index) =>
      wordsIn(bytes.subarray(index * EDGE.size, (index + 1) * EDGE.size), EDGE.offsets),
    )
  }

  async temperature(): Promise<number> {
    return this.with('tmp102', async (file) => Number(new TextDecoder().decode(await file.read(32))))
  }

  /** Of some of the board's lines together. */
  totals(...names: string[]): Totals {
    const lines = this.board.lines().filter(({ line }) => names.length === 0 || names.includes(line))
    return {
      frames: lines.reduce((sum, { frames }) => sum + frames, 0),
      edges: lines.reduce((sum, { edges }) => sum + edges, 0),
    }
  }

  /** Notes how quick the newest interrupts were. */
  noteLatency(): void {
    for (const { frames, latencyUs } of this.board.lines()) if (frames > 0) this.latenciesUs.push(latencyUs)
  }

  /** Milliseconds of the host's clock: how long a scenario took to run, on either clock of the machine. */
  wallMs(): number {
    return performance.now()
  }
}

const handsOf = (board: Board): BenchHands => ({
  press: (pin) => board.press(pin),
  release: (pin) => board.release(pin),
  set: (sensor, value) => board.set(sensor, value),
  reset: () => board.reset(),
})

function wordsIn<K extends string>(bytes: Uint8Array, offsets: Readonly<Record<K, number>>): Record<K, number> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const entries = Object.entries<number>(offsets).map(([name, offset]) => [name, view.getInt32(offset, true)])
  return Object.fromEntries(entries) as Record<K, number>
}
