/**
 * The conformance of a board behind raw HID, through node-hid, among devices that umockdev makes. It is a process of its
 * own, for umockdev is loaded before all else; its parent makes the devices. The board's firmware is the device side of
 * the bridge over a model, in this process, and what the mocked device was sent is fetched for it.
 */
import type { BenchHands, Cable } from '../../cli/bench/bench.ts'
import { conform } from '../../cli/bench/conformance.ts'
import { UnoModel } from '../../firmware-sim/uno-model.ts'
import { sleepMs } from '../../hal/timers.ts'
import { realWorld } from '../../hal/realworld.ts'
import { readBoardFile } from '../../machine/boardfile.ts'
import { layoutsOf } from '../../machine/boardplan.ts'
import { BridgeDevice } from '../../wire/bridge/device.ts'
import { fromReport, REPORT_SIZE, toReports } from '../../wire/bridge/reports.ts'

const PATH = '/dev/hidraw0'
const HID_FEATURES = ['ioctls']

const waiting = new Map<number, { resolve: (reply: { hex?: string }) => void; reject: (error: Error) => void }>()
let nextId = 1

/** Asks the maker of devices. */
function ask(request: object): Promise<{ hex?: string }> {
  const id = nextId++
  process.send?.({ ...request, what: 'hid', id })
  return new Promise((resolve, reject) => waiting.set(id, { resolve, reject }))
}

process.on('message', (reply: { id: number; error?: string; hex?: string }) => {
  const asked = waiting.get(reply.id)
  waiting.delete(reply.id)
  if (reply.error === undefined) asked?.resolve(reply)
  else asked?.reject(new Error(reply.error))
})

/** The board: real time, a model of its devices, and its end of the bridge. */
class Firmware {
  readonly model: UnoModel
  readonly device: BridgeDevice
  #isPlugged = false
  /** Reports that are on their way to the mocked device. */
  #unsent = 0

  constructor() {
    const { world } = realWorld()
    const layouts = layoutsOf(readBoardFile('hid-bridge'))
    this.model = new UnoModel({ layouts, chips: [], time: world })
    this.device = new BridgeDevice({
      time: world,
      bootCount: 1,
      identity: {
        firmware: 'hid-model',
        version: '1.0.0',
        uniqueId: '-',
        devices: layouts.map(({ class: type, version, lines }) => ({ class: type, version, lines: lines.length })),
      },
      board: this.model.board,
      isBusy: () => this.#unsent > 0,
      write: (bytes) => {
        for (const report of toReports(bytes)) this.#send(report)
      },
    })
  }

  #send(report: Uint8Array): void {
    if (!this.#isPlugged) return
    this.#unsent += 1
    ask({ do: 'send', hex: Buffer.from(report).toString('hex') })
      .catch(() => {}) // it was pulled out
      .finally(() => (this.#unsent -= 1))
  }

  async insert(): Promise<void> {
    await ask({ do: 'plug', features: HID_FEATURES })
    this.#isPlugged = true
    this.device.start()
    void this.#receive()
  }

  async pull(): Promise<void> {
    this.#isPlugged = false
    this.device.stop()
    await ask({ do: 'unplug' })
  }

  /** Fetches what the host has sent, as long as the board is there. */
  async #receive(): Promise<void> {
    while (this.#isPlugged) {
      const { hex = '' } = await ask({ do: 'take' }).catch(() => ({}) as { hex?: string })
      const bytes = Buffer.from(hex, 'hex')
      for (let from = 0; from < bytes.length; from += REPORT_SIZE) {
        this.device.receive(fromReport(bytes.subarray(from, from + REPORT_SIZE)))
      }
      if (bytes.length === 0) await sleepMs(1)
    }
  }
}

const firmware = new Firmware()
const hands: BenchHands = {
  press: (pin) => firmware.model.press(pin),
  release: (pin) => firmware.model.release(pin),
  set: (sensor, value) => firmware.model.set(sensor, value),
  reset: () => firmware.device.reset(),
}
const cable: Cable = { pull: () => firmware.pull(), insert: () => firmware.insert() }

await firmware.insert()
const { outcomes } = await conform({ board: { board: 'hid-bridge', at: PATH }, hands, cable })
for (const { scenario, ok, detail } of outcomes) {
  process.stdout.write(`${scenario}: ${detail}\n`)
  process.send?.({ title: scenario, error: ok === false ? detail : null })
}
await firmware.pull()
process.disconnect()
