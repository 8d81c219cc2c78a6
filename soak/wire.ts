/**
 * Soak of the wire: a driver on a machine with a virtual clock, and a board behind a wire that damages bytes both ways. Each
 * interrupt of the board is answered by a register write of the ISR; driver and board both check what comes.
 */
import { Prng } from '../base/prng.ts'
import { damage, FaultyWire } from '../firmware-sim/faults.ts'
import { InterruptLine } from '../firmware-sim/line.ts'
import { BoardHost } from '../hal/boardhost.ts'
import type { World } from '../hal/world.ts'
import { checkOptions } from '../machine/options.ts'
import type { BoardPlan, BoardSeat } from '../machine/plug.ts'
import { Uniprocessor } from '../machine/uniprocessor.ts'
import { BridgeDevice } from '../wire/bridge/device.ts'
import { type BridgeEvents, BridgeHost } from '../wire/bridge/host.ts'
import { ANSWER, EDGES, type WirePlan, type WireSeen } from './drivers/wire.ts'
import type { Progress, Soak } from './soak.ts'

const DRIVER = new URL('./drivers/wire.ts', import.meta.url)
const LEVEL = 8
const BAUD = 1_000_000
/** About what a short line takes over full-speed USB. */
const LATENCY_TICKS = 200
/** Hello is not what is soaked: at a loss of 10 % three seconds are not always enough for it. */
const HELLO_FOR_TICKS = 60 * 10_000_000
const PROGRESS_EVERY = 5000

const DEVICE = { class: 'raw', version: 1, lines: 1 }
const PLAN: BoardPlan = {
  number: 1000,
  name: 'soak-0',
  devices: [
    {
      name: 'soak',
      hardwareIds: ['dirql\\soak-wire'],
      registers: [
        { name: 'EDGES', offset: EDGES, kind: 'count', reset: 0 },
        { name: 'ANSWER', offset: ANSWER, kind: 'command', reset: 0 },
      ],
      lines: [{ name: 'edge', level: LEVEL, latched: true, shared: false }],
    },
  ],
}

export const wire: Soak = {
  name: 'wire',
  summary: 'interrupts and register writes over a wire that damages --loss per cent of the bytes each way',
  count: 1_000_000,
  loss: 10,
  async run({ count, seed, loss = 0, progress }) {
    await using machine = new SoakMachine(seed)
    const { lost, doubled, reordered, retransmissions, remark } = await machine.soak({ count, seed, loss, progress })
    const held = lost === 0 && doubled === 0 && reordered === 0
    return { held, result: { soak: 'wire', count, lost, doubled, reordered, retransmissions }, remark }
  },
}

interface WireRun {
  count: number
  seed: number
  loss: number
  progress: Progress
}

/** A machine with one board, at the other end of a wire. */
class SoakMachine extends Uniprocessor {
  constructor(seed: number) {
    super(checkOptions({ clock: 'virtual', seed }))
  }

  async soak({ count, seed, loss, progress }: WireRun) {
    const { world } = this
    const { memory, interrupt, answer } = this.slots()
    const random = new Prng(seed)
    const faults = damage(loss)
    let host: BoardHost | null = null
    const gone = Promise.withResolvers<never>()
    const edge = new CheckedBoard(world, count, (part) => progress(`wire, ${loss} % damaged`, part))
    const bridge = new BridgeHost(
      {
        time: world,
        write: (bytes) => toBoard.send(bytes),
        random: () => random.next(),
        devices: [DEVICE],
        baud: BAUD,
        helloForTicks: HELLO_FOR_TICKS,
      },
      {
        frame: (frame) => host?.frame(frame),
        fifo: () => {},
        reset: () => gone.reject(new Error('the board was reset')),
        gone: (reason) => gone.reject(new Error(reason)),
        log: (text) => gone.reject(new Error(text)),
      },
    )
    const device = new BridgeDevice({
      time: world,
      write: (bytes) => toHost.send(bytes),
      board: edge,
      identity: { firmware: 'soak', version: '1', uniqueId: '-', devices: [DEVICE] },
      bootCount: 1,
      baud: BAUD,
    })
    const parts = { random, time: world, faults, latencyTicks: LATENCY_TICKS }
    const toBoard = new FaultyWire({ ...parts, deliver: (bytes) => device.receive(bytes) })
    const toHost = new FaultyWire({ ...parts, deliver: (bytes) => bridge.receive(bytes) })
    device.start()
    await this.outstanding.track(opened(bridge))
    const seat = (await this.outstanding.track(this.call(0, { kind: 'plug', board: PLAN }))) as BoardSeat
    const { window, lines } = seat.devices[0]!
    const { vector } = lines[0]!
    const told = {
      memory,
      ring: seat.ring,
      now: () => world.now(),
      report: (text: string) => gone.reject(new Error(text)),
    }
    const devices = [{ window, fifos: [] }]
    const hosted = lines.map((line) => ({ ...line, snapshot: new Set([EDGES]) }))
    host = new BoardHost({ ...told, devices, lines: hosted, interrupt, answer }, bridge)
    this.#serve(host)
    const plan: WirePlan = { window, vector, level: LEVEL, count }
    const seen = (await Promise.race([this.run(DRIVER, 'soak', plan), gone.promise])) as WireSeen
    await this.outstanding.track(new Promise<void>((resolve) => bridge.flush(resolve)))
    return verdict(seen, edge, bridge, device, host)
  }

  /** Boards are served when something was posted: this one with them. */
  #serve(host: BoardHost): void {
    const { boards } = this
    const serve = boards.serve.bind(boards)
    boards.serve = (rung) => {
      serve(rung)
      host.serve()
    }
  }
}

function opened(bridge: BridgeHost): Promise<void> {
  return new Promise((resolve, reject) => {
    bridge.open((result) => (result.isOpen ? resolve() : reject(new Error(result.reason))))
  })
}

/** One line whose next edge comes with each answer, and a check of the answers. */
class CheckedBoard {
  readonly #count: number
  readonly #progress: (part: number) => void
  readonly #world: World
  #line: InterruptLine | null = null
  #seen = 0
  answers = 0
  lost = 0
  doubled = 0
  reordered = 0

  constructor(world: World, count: number, progress: (part: number) => void) {
    this.#world = world
    this.#count = count
    this.#progress = progress
  }

  connect(events: BridgeEvents): void {
    this.#line = new InterruptLine(true, ({ sequence, edges }) => {
      const boardTime = Math.floor(this.#world.now() / 10) >>> 0
      events.frame({ line: 0, sequence, edges, boardTime, snapshot: [{ offset: EDGES, value: edges }] })
    })
    this.#line.pulse()
  }

  write(_device: number, _offset: number, value: number): void {
    this.answers += 1
    if (value === this.#seen) this.doubled += 1
    else if (value < this.#seen) this.reordered += 1
    else this.lost += value - this.#seen - 1
    this.#seen = Math.max(this.#seen, value)
    if (this.answers < this.#count) this.#line?.pulse()
    if (this.answers % PROGRESS_EVERY === 0) this.#progress(this.answers / this.#count)
  }

  read(_device: number, _offset: number, done: (value: number) => void): void {
    done(this.#seen)
  }

  endOfInterrupt(_line: number, sequence: number): void {
    this.#line?.endOfInterrupt(sequence)
  }

  enableLine(): void {
    this.#line?.enable()
  }

  credit(): void {}

  disableLine(): void {
    this.#line?.disable()
  }
}

function verdict(seen: WireSeen, board: CheckedBoard, host: BridgeHost, device: BridgeDevice, machine: BoardHost) {
  const missing = Math.abs(seen.interrupts - board.answers)
  const retransmissions = host.counts.retransmissions + device.counts.retransmissions
  const damaged = host.counts.damaged + device.counts.damaged
  const impossible = host.counts.impossible + device.counts.impossible
  return {
    lost: seen.lost + board.lost + missing + machine.faults.lostFrames + host.dropped,
    doubled: seen.doubled + board.doubled,
    reordered: seen.reordered + board.reordered + impossible,
    retransmissions,
    remark: `${damaged} lines were damaged; that one of them passed for good was to be expected ${(damaged / 2 ** 32).toPrecision(2)} times`,
  }
}
