/** The driver test that every board passes (cli/bench/conformance.ts), on boards behind USB. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import type { BenchHands, Cable } from '../../cli/bench/bench.ts'
import { conform } from '../../cli/bench/conformance.ts'
import { type ModelChip, UnoModel } from '../../firmware-sim/uno-model.ts'
import { Alarm, monotonicBase, monotonicTicks } from '../../hal/clock.ts'
import { World } from '../../hal/world.ts'
import { readBoardFile } from '../../machine/boardfile.ts'
import { layoutsOf } from '../../machine/boardplan.ts'
import { BridgeDevice } from '../../wire/bridge/device.ts'
import { fromReport, toReports } from '../../wire/bridge/reports.ts'
import { until } from '../hal/links/contract.ts'
import { type LabDevice, plug } from './devices.ts'

const UNO_CHIPS: readonly ModelChip[] = [
  { device: 'i2c0', name: 'tmp102', address: 0x48, hardwareIds: ['dirql\\tmp102'], lines: ['gpio.alert'] },
  { device: 'i2c0', name: 'at24', address: 0x50, hardwareIds: ['dirql\\at24'], lines: [] },
]

interface Kind {
  board: string
  usb: 'acm' | 'raw-hid'
  chips: readonly ModelChip[]
}

/** A model in real time, the device side of the bridge before it, and a USB device before that. */
class UsbBoard {
  readonly model: UnoModel
  readonly bridge: BridgeDevice
  readonly #kind: Kind
  #lab: LabDevice | null = null
  /** Messages that are on their way to the USB device. */
  #unsent = 0

  constructor(kind: Kind) {
    this.#kind = kind
    const base = monotonicBase()
    const now = (): number => monotonicTicks(base)
    const world = new World(now)
    const alarm = new Alarm(now, () => {
      world.run()
      alarm.arm(world.next)
    })
    world.onNext = (at) => alarm.arm(at)
    const layouts = layoutsOf(readBoardFile(kind.board))
    this.model = new UnoModel({ layouts, chips: kind.chips, time: world })
    this.bridge = new BridgeDevice({
      time: world,
      bootCount: 1,
      identity: {
        firmware: 'usb-model',
        version: '1.0.0',
        uniqueId: '-',
        devices: layouts.map(({ class: type, version, lines }) => ({ class: type, version, lines: lines.length })),
      },
      board: this.model.board,
      isBusy: () => this.#unsent > 0,
      write: (bytes) => {
        for (const part of kind.usb === 'acm' ? [bytes] : toReports(bytes)) this.#send(part)
      },
    })
  }

  #send(bytes: Uint8Array): void {
    if (this.#lab === null) return
    this.#unsent += 1
    this.#lab.device
      .send(bytes)
      .catch(() => {}) // it was pulled out
      .finally(() => (this.#unsent -= 1))
  }

  async insert(): Promise<string> {
    const lab = await plug(this.#kind.usb)
    lab.device.onData = (bytes) => this.bridge.receive(this.#kind.usb === 'acm' ? bytes : fromReport(bytes))
    this.#lab = lab
    this.bridge.start()
    return lab.path
  }

  async pull(): Promise<void> {
    const lab = this.#lab
    if (lab === null) return
    this.#lab = null
    this.bridge.stop()
    await lab.unplug()
    await until(`${lab.path} is gone`, () => !existsSync(lab.path))
  }
}

async function conformOn(kind: Kind): Promise<void> {
  const usb = new UsbBoard(kind)
  const hands: BenchHands = {
    press: (pin) => usb.model.press(pin),
    release: (pin) => usb.model.release(pin),
    set: (sensor, value) => usb.model.set(sensor, value),
    reset: () => usb.bridge.reset(),
  }
  const cable: Cable = { pull: () => usb.pull(), insert: async () => void (await usb.insert()) }
  const at = await usb.insert()
  try {
    const { outcomes, hasBugCheck } = await conform({ board: { board: kind.board, at }, hands, cable })
    const failed = outcomes.filter(({ ok }) => ok === false).map(({ scenario, detail }) => `${scenario}: ${detail}`)
    assert.deepEqual(failed, [])
    assert.equal(hasBugCheck, false)
  } finally {
    await usb.pull()
  }
}

export const boardCases: Record<string, () => Promise<void>> = {
  'the drivers tmp102, at24 and gpio pass the same test on CDC-ACM': () =>
    conformOn({ board: 'arduino-uno', usb: 'acm', chips: UNO_CHIPS }),
  'the driver gpio passes the same test on raw HID': () =>
    conformOn({ board: 'hid-bridge', usb: 'raw-hid', chips: [] }),
}
