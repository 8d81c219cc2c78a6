/** The process that serves USB devices for another one (remote.ts): by messages, until its parent is gone. */
import type { Identity } from './descriptors.ts'
import { HidUsbDevice } from './hid.ts'
import { USB_KINDS, type UsbKind } from './kinds.ts'
import { type HostLines, type ModemInputs, SerialUsbDevice } from './serial.ts'
import { plugIn, type Plugged } from './vhci.ts'

export type UsbOrder =
  | { do: 'plug'; kind: UsbKind; identity: Partial<Identity> }
  | { do: 'unplug' | 'hold' | 'release' }
  | { do: 'send'; bytes: Uint8Array }
  | { do: 'inputs'; inputs: Partial<ModemInputs>[] }
  | { do: 'stall'; address: number }

/** An order for the device `device`, which the reply names by `id`. */
export type UsbRequest = UsbOrder & { id: number; device: number }

export type UsbTold =
  | { tells: 'reply'; id: number; error: string | null; place: string }
  | { tells: 'data'; device: number; bytes: Uint8Array }
  | { tells: 'feature'; device: number; report: number; bytes: Uint8Array }
  | { tells: 'lines'; device: number; lines: HostLines }
  | { tells: 'baud'; device: number; baudRate: number }
  | { tells: 'configured' | 'gone'; device: number }

interface Served {
  device: SerialUsbDevice | HidUsbDevice
  plugged: Plugged
}

const served = new Map<number, Served>()

function tell(what: UsbTold): void {
  if (process.connected) process.send?.(what)
}

async function plug(number: number, kind: UsbKind, identity: Partial<Identity>): Promise<string> {
  const device = USB_KINDS[kind](identity)
  device.onConfigured = () => tell({ tells: 'configured', device: number })
  if (device instanceof HidUsbDevice) {
    device.onOutput = (bytes) => tell({ tells: 'data', device: number, bytes })
    device.onFeature = (report, bytes) => tell({ tells: 'feature', device: number, report, bytes })
  } else {
    device.onData = (bytes) => tell({ tells: 'data', device: number, bytes })
    device.onLines = (lines) => tell({ tells: 'lines', device: number, lines })
    device.onBaudRate = (baudRate) => tell({ tells: 'baud', device: number, baudRate })
  }
  const plugged = await plugIn(device, (error) => {
    served.delete(number)
    tell({ tells: 'gone', device: number })
    if (error !== null) throw error
  })
  served.set(number, { device, plugged })
  return plugged.place
}

async function carryOut(order: UsbOrder, { device, plugged }: Served): Promise<void> {
  if (order.do === 'unplug') await plugged.unplug()
  else if (order.do === 'hold') device.hold()
  else if (order.do === 'release') device.release()
  else if (order.do === 'send') device.send(order.bytes)
  else if (order.do === 'stall') device.stall(order.address)
  else if (order.do === 'inputs' && device instanceof SerialUsbDevice) {
    for (const inputs of order.inputs) device.setInputs(inputs)
  } else throw new Error(`a device of this kind has no '${order.do}'`)
}

/** Gives back the place of a device that was plugged in. */
async function take(request: UsbRequest): Promise<string> {
  if (request.do === 'plug') return await plug(request.device, request.kind, request.identity)
  const device = served.get(request.device)
  if (device !== undefined) await carryOut(request, device)
  else if (request.do !== 'unplug') throw new Error('the device is unplugged')
  return ''
}

process.on('message', (request: UsbRequest) => {
  void take(request).then(
    (place) => tell({ tells: 'reply', id: request.id, error: null, place }),
    (error: Error) => tell({ tells: 'reply', id: request.id, error: error.message, place: '' }),
  )
})
process.on('disconnect', () => {
  for (const { plugged } of served.values()) void plugged.unplug()
})
