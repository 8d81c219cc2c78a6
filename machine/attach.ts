/**
 * How a board is reached: a model in this process, emulated firmware, or a device of the operating system. Each kind is
 * one function here that gives an Attachment; `machine/boards.ts` knows no more of it.
 */
import type { BoardEnd, BoardEvents } from '../hal/boardhost.ts'
import { Pipe, type LocalBoard } from '../hal/pipe.ts'
import type { World } from '../hal/world.ts'
import { buttonBoard } from '../firmware-sim/button.ts'
import { ModelBoard } from '../firmware-sim/model.ts'
import { HidModel, SerialModel } from '../firmware-sim/port-model.ts'
import { type ModelFaults, UnoModel } from '../firmware-sim/uno-model.ts'
import type { BoardFile } from './boardfile.ts'
import { addressOf, fieldsOf, layoutsOf, linesNamed, patternsOf, placedLines } from './boardplan.ts'
import type { DeviceEntry } from './boardschema.ts'
import { attachPath, attachSerialNumber } from './attached.ts'
import { attachEmulated } from './emulated.ts'
import { UsageError } from './errors.ts'
import type { BoardOption } from './options.ts'

/** The host's end of a board that answers: from one plug to the next unplug. */
export interface OpenBoard extends BoardEnd {
  /** Name and version of the board's firmware, where it tells. */
  readonly firmware?: string
  /** Registers whose values are known only now, such as which modem lines are counted. Read before `connect`. */
  readonly presets?: readonly { device: number; offset: number; value: number }[]
  /** A session begins: from now on the board is listened to. What it said before is told now. */
  connect(events: BoardEvents): void
  close(): void | Promise<void>
}

/** What hands can do to a simulated board. */
export interface Hands {
  press(pin: string): void
  release(pin: string): void
  set(sensor: string, value: number): void
  /** Bytes, or a report, that a board without firmware of ours sends. */
  feed(bytes: Uint8Array): void
  /** The reset button. */
  reset(): void
}

/** What a simulated bus has seen. */
export interface BusReport {
  transactions: number
  /** Sequences of one driver that another driver's transactions cut into. */
  mixedTransactions: number
}

export interface Attachment {
  /** Where the board is, for people. */
  readonly where: string
  /** What tells this board from all others of its kind; null: nothing does. */
  readonly serialNumber: string | null
  /** Reaches the board, at each plug; fails with a UsageError or LinkError that says what to do. */
  open(): Promise<OpenBoard>
  /** It is a device of the system: pulled out, it may come back at any time. */
  readonly mayReturn?: boolean
  /** null: a real board, that only real hands can press. */
  readonly hands: Hands | null
  readonly fault: ModelFaults | null
  /** The simulated board itself, for tests. */
  readonly model: ModelBoard | null
  readonly uno: UnoModel | null
  readonly port: SerialModel | HidModel | null
  /** What its bus has seen, where somebody looks. */
  busReport?(): Promise<BusReport>
  /** The machine is shut down. */
  close?(): void | Promise<void>
}

export function attach(
  file: BoardFile,
  { at = 'model', name }: BoardOption,
  world: World,
  isVirtual: boolean,
): Attachment | Promise<Attachment> {
  if (at === 'model') return attachModel(file, world)
  if (at === 'emulated') return attachEmulated(file, name ?? file.name, world, isVirtual)
  if (isVirtual) {
    throw new UsageError(`a board at ${JSON.stringify(at)} keeps real time: boot with clock: 'real', or at: 'emulated'`)
  }
  return typeof at === 'string' ? attachPath(file, at, world) : attachSerialNumber(file, at.serialNumber, world)
}

const SIMULATED = {
  where: 'a model in this process',
  serialNumber: null,
  fault: null,
  model: null,
  uno: null,
  port: null,
}

function attachModel(file: BoardFile, world: World): Attachment {
  const [only] = file.devices
  if (file.devices.length === 1 && only !== undefined) {
    if (only.class === 'uart' || only.class === 'lines') return attachSerialModel(file, only, world)
    if (only.class === 'hid') return attachHidModel(file, only, world)
  }
  return file.name === 'button' ? attachButton(file, world) : attachUnoModel(file, world)
}

/** Reaches a board in this process through a pipe. */
const piped = (world: World, board: LocalBoard) => (): Promise<OpenBoard> =>
  Promise.resolve(new PipedBoard(world, board))

class PipedBoard extends Pipe implements OpenBoard {}

function attachButton(file: BoardFile, world: World): Attachment {
  const model = new ModelBoard(layoutsOf(file), world)
  const button = buttonBoard(model)
  const hands: Hands = {
    ...NO_HANDS,
    press: (pin) => button.press(pin),
    release: (pin) => button.release(pin),
    reset: () => model.reset(),
  }
  return { ...SIMULATED, open: piped(world, model), hands, model }
}

function attachUnoModel(file: BoardFile, world: World): Attachment {
  const layouts = layoutsOf(file)
  const lines = placedLines(layouts)
  const chips = file.devices.flatMap(({ name: device, children }) =>
    children.map(({ name, address, hardwareIds, lines: own }) => ({
      device,
      name,
      hardwareIds,
      address: addressOf(address),
      lines: own
        .flatMap((wanted) => linesNamed(lines, wanted))
        .map(({ device: owner, line }) => `${owner}.${line.name}`),
    })),
  )
  const uno = new UnoModel({ layouts, chips, time: world })
  const hands: Hands = {
    ...NO_HANDS,
    press: (pin) => uno.press(pin),
    release: (pin) => uno.release(pin),
    set: (sensor, value) => uno.set(sensor, value),
    reset: () => uno.fault.reset(),
  }
  const busReport = (): Promise<BusReport> =>
    Promise.resolve({ transactions: uno.bus().log.length, mixedTransactions: uno.mixed() })
  return { ...SIMULATED, open: piped(world, uno.board), hands, fault: uno.fault, model: uno.board, uno, busReport }
}

function attachSerialModel(file: BoardFile, entry: DeviceEntry, world: World): Attachment {
  const [layout] = layoutsOf(file)
  if (layout === undefined) throw new UsageError(`board ${file.name} has no device`)
  const port = new SerialModel(layout, world, patternsOf(entry))
  const hands: Hands = {
    ...NO_HANDS,
    press: (line) => port.set(line, 1),
    release: (line) => port.set(line, 0),
    set: (line, value) => port.set(line, value),
    feed: (bytes) => port.feed(bytes),
  }
  return { ...SIMULATED, open: piped(world, port.device), hands, port }
}

function attachHidModel(file: BoardFile, entry: DeviceEntry, world: World): Attachment {
  const [layout] = layoutsOf(file)
  if (layout === undefined) throw new UsageError(`board ${file.name} has no device`)
  const port = new HidModel(layout, world, fieldsOf(entry))
  const hands: Hands = {
    ...NO_HANDS,
    press: (field) => port.set(field, 1),
    release: (field) => port.set(field, 0),
    set: (field, value) => port.set(field, value),
    feed: (report) => port.feed(report),
  }
  return { ...SIMULATED, open: piped(world, port.device), hands, port }
}

const cannot = (what: string): never => {
  throw new UsageError(`this board has nothing to ${what}`)
}
const NO_HANDS: Hands = {
  press: () => cannot('press'),
  release: () => cannot('let go of'),
  set: () => cannot('set'),
  feed: () => cannot('feed with bytes'),
  reset: () => cannot('reset'),
}
