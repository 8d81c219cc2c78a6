/** A host and a board on one virtual wire, for tests. */
import { Prng } from '../../../base/prng.ts'
import { type Faults, FaultyWire } from '../../../firmware-sim/faults.ts'
import { World } from '../../../hal/world.ts'
import { type BridgedBoard, BridgeDevice, type BridgeDeviceParts } from '../../../wire/bridge/device.ts'
import type { BridgeFrame } from '../../../wire/bridge/frames.ts'
import { type BridgeEvents, BridgeHost, type BridgeHostParts, type Opened } from '../../../wire/bridge/host.ts'

export const DEVICES = [
  { class: 'i2c', version: 1, lines: 1 },
  { class: 'gpio', version: 1, lines: 3 },
]

export interface BenchOptions {
  seed?: number
  faults?: Faults
  host?: Partial<BridgeHostParts>
  board?: Partial<BridgedBoard>
  device?: Partial<BridgeDeviceParts>
}

export interface Seen {
  frames: BridgeFrame[]
  entries: { device: number; offset: number; entries: number[] }[]
  resets: number
  gone: string[]
  logs: string[]
  /** What the board was asked, as text. */
  asked: string[]
  begun: number
}

export class Bench {
  now = 0
  readonly world = new World(() => this.now)
  readonly seen: Seen = { frames: [], entries: [], resets: 0, gone: [], logs: [], asked: [], begun: 0 }
  readonly host: BridgeHost
  readonly device: BridgeDevice
  readonly toBoard: FaultyWire
  readonly toHost: FaultyWire
  /** Where the board says what it has to say. */
  board!: BridgeEvents
  readonly values = new Map<string, number>()
  /** All that went over the wire, before it was damaged. */
  readonly said: string[] = []

  constructor({ seed = 1, faults = {}, host = {}, board = {}, device = {} }: BenchOptions = {}) {
    const { world, seen } = this
    const random = new Prng(seed)
    const wire = { random, time: world, faults, latencyTicks: 1000 }
    this.toBoard = new FaultyWire({ ...wire, deliver: (bytes) => this.device.receive(bytes) })
    this.toHost = new FaultyWire({ ...wire, deliver: (bytes) => this.host.receive(bytes) })
    const parts: BridgeHostParts = {
      time: world,
      write: (bytes) => this.#say('>', bytes, this.toBoard),
      random: () => random.next(),
      devices: DEVICES,
      ...host,
    }
    this.host = new BridgeHost(parts, {
      frame: (frame) => seen.frames.push(frame),
      fifo: (number, offset, entries) => seen.entries.push({ device: number, offset, entries: Array.from(entries) }),
      reset: () => (seen.resets += 1),
      gone: (reason) => seen.gone.push(reason),
      log: (text) => seen.logs.push(text),
    })
    this.device = new BridgeDevice({
      time: world,
      write: (bytes) => this.#say('<', bytes, this.toHost),
      board: { ...this.#board(), ...board },
      identity: { firmware: 'sim', version: '1.0.0', uniqueId: '4e55', devices: DEVICES },
      bootCount: 7,
      ...device,
    })
  }

  #say(who: string, bytes: Uint8Array, wire: FaultyWire): void {
    for (const line of new TextDecoder().decode(bytes).split('\n')) if (line !== '') this.said.push(`${who} ${line}`)
    wire.send(bytes)
  }

  #board(): BridgedBoard {
    const { asked } = this.seen
    return {
      connect: (events) => {
        this.seen.begun += 1
        this.board = events
      },
      credit: (device, offset, count) => asked.push(`credit ${device} ${offset} ${count}`),
      write: (device, offset, value) => {
        asked.push(`write ${device} ${offset} ${value}`)
        this.values.set(`${device} ${offset}`, value)
      },
      read: (device, offset, done) => done(this.values.get(`${device} ${offset}`) ?? 0),
      endOfInterrupt: (line, sequence) => asked.push(`eoi ${line} ${sequence}`),
      enableLine: (line) => asked.push(`enable ${line}`),
      disableLine: (line) => asked.push(`disable ${line}`),
    }
  }

  /** Lets `milliseconds` pass. */
  pass(milliseconds: number): void {
    const end = this.now + milliseconds * 10_000
    while (this.world.next <= end) {
      this.now = this.world.next
      this.world.run()
    }
    this.now = end
  }

  /** Lets time pass until `is` holds; throws after a virtual hour. */
  until(is: () => boolean): void {
    const end = this.now + 3600 * 10_000_000
    while (!is()) {
      if (this.world.next > end) throw new Error('it did not happen within an hour')
      this.now = this.world.next
      this.world.run()
    }
  }

  /** Says hello; gives back what came of it. */
  open(): Opened {
    let result: Opened | null = null
    this.host.open((opened) => {
      result = opened
    })
    this.until(() => result !== null)
    return result as unknown as Opened
  }

  /** Everything that was posted is carried out. */
  flush(): void {
    let isDone = false
    this.host.flush(() => {
      isDone = true
    })
    this.until(() => isDone)
  }
}

/** A bench whose board has come up and has been greeted. */
export function openBench(options: BenchOptions = {}): Bench {
  const bench = new Bench(options)
  bench.device.start()
  const opened = bench.open()
  if (!opened.isOpen) throw new Error(opened.reason)
  return bench
}
