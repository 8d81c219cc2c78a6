/**
 * The process of a board behind USB (boardcases.ts), as a board is: a model in real time, the device side of the bridge
 * before it, and a USB device before that. It does what it is told by messages, until its parent is gone.
 */
import type { DeviceLayout } from '../../classes/device.ts'
import { type ModelChip, UnoModel } from '../../firmware-sim/uno-model.ts'
import { AcmDevice } from '../../firmware-sim/usb/acm.ts'
import { HidUsbDevice, RAW_HID } from '../../firmware-sim/usb/hid.ts'
import { nodeOf } from '../../firmware-sim/usb/sysfs.ts'
import { type Plugged, plugIn } from '../../firmware-sim/usb/vhci.ts'
import { sleepMs } from '../../hal/timers.ts'
import { realWorld } from '../../hal/realworld.ts'
import { BridgeDevice } from '../../wire/bridge/device.ts'
import { fromReport, toReports } from '../../wire/bridge/reports.ts'
import { TICKS_PER_MS } from '../../wire/bridge/talk.ts'

export interface BoardKind {
  usb: 'acm' | 'raw-hid'
  layouts: readonly DeviceLayout[]
  chips: readonly ModelChip[]
}

/** What is done to a board; the first is what kind it is. */
export type BoardOrder =
  | { do: 'become'; kind: BoardKind }
  | { do: 'press' | 'release'; pin: string }
  | { do: 'set'; sensor: string; value: number }
  | { do: 'reset' | 'insert' | 'pull' }

export type BoardRequest = BoardOrder & { id: number }

/** `path`: its node, after 'insert'. */
export interface BoardReply {
  id: number
  error: string | null
  path: string
}

/**
 * An emulated host answers in tens of milliseconds. What is sent again by then comes in faster than it is taken out, and
 * of 64 reports that nobody has taken, Linux drops what comes next.
 */
const PATIENCE_TICKS = 200 * TICKS_PER_MS

class UsbBoard {
  readonly model: UnoModel
  readonly bridge: BridgeDevice
  readonly #kind: BoardKind
  #device: AcmDevice | HidUsbDevice | null = null
  #plugged: Plugged | null = null

  constructor(kind: BoardKind) {
    this.#kind = kind
    const { layouts, chips } = kind
    const { world } = realWorld()
    this.model = new UnoModel({ layouts, chips, time: world })
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
      retransmitTicks: PATIENCE_TICKS,
      isBusy: () => (this.#device?.unsent ?? 0) > 0,
      write: (bytes) => {
        for (const part of kind.usb === 'acm' ? [bytes] : toReports(bytes)) this.#device?.send(part)
      },
    })
  }

  #usbDevice(): AcmDevice | HidUsbDevice {
    if (this.#kind.usb === 'acm') {
      const device = new AcmDevice()
      device.onData = (bytes) => this.bridge.receive(bytes)
      return device
    }
    const device = new HidUsbDevice(RAW_HID)
    device.onOutput = (report) => this.bridge.receive(fromReport(report))
    return device
  }

  async insert(): Promise<string> {
    const device = this.#usbDevice()
    const { place } = (this.#plugged = await plugIn(device))
    let path = nodeOf(place)
    for (; path === null; path = nodeOf(place)) await sleepMs(10)
    this.#device = device
    this.bridge.start()
    return path
  }

  async pull(): Promise<void> {
    this.#device = null
    this.bridge.stop()
    await this.#plugged?.unplug()
  }
}

let board: UsbBoard | null = null

async function carryOut(order: BoardOrder): Promise<string> {
  if (order.do === 'become') board = new UsbBoard(order.kind)
  else if (order.do === 'press') board?.model.press(order.pin)
  else if (order.do === 'release') board?.model.release(order.pin)
  else if (order.do === 'set') board?.model.set(order.sensor, order.value)
  else if (order.do === 'reset') board?.bridge.reset()
  else if (order.do === 'pull') await board?.pull()
  else return (await board?.insert()) ?? ''
  return ''
}

process.on('message', (request: BoardRequest) => {
  const reply = (error: string | null, path: string): void =>
    void process.send?.({ id: request.id, error, path } satisfies BoardReply)
  void carryOut(request).then(
    (path) => reply(null, path),
    (error: Error) => reply(error.message, ''),
  )
})
process.on('disconnect', () => void board?.pull().then(() => process.exit()))
