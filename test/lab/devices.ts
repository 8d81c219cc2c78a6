/** USB devices for the cases, each with a serial number of its own, by which its node is found. */
import { statSync } from 'node:fs'
import type { UsbKind } from '../../firmware-sim/usb/kinds.ts'
import { type RemoteUsbDevice, UsbProcess } from '../../firmware-sim/usb/remote.ts'
import { nodeOf } from '../../firmware-sim/usb/sysfs.ts'
import { sleepMs } from '../../hal/timers.ts'
import { until } from '../hal/links/contract.ts'

let started: UsbProcess | null = null
let count = 0

export function devices(): UsbProcess {
  started ??= new UsbProcess()
  return started
}

export interface LabDevice {
  device: RemoteUsbDevice
  path: string
  serialNumber: string
  /** Whether the node at `path` is this device's still: the next device may have got its name. */
  hasNode(): boolean
  /** Pulls it out; its drivers know of it then. Again it does nothing. */
  unplug(): Promise<void>
}

/** To look into /sys costs more than what is waited for. */
const LOOK_MS = 20

/** Plugs a device of `kind` in now; it gets the node of the last one that was pulled out. */
export async function insert(kind: UsbKind): Promise<LabDevice> {
  const serialNumber = `LAB${String(++count).padStart(5, '0')}`
  const device = await devices().plug(kind, { serialNumber })
  let path: string | null = null
  await until(`a node of ${serialNumber}, ${kind} at ${device.place}`, async () => {
    path = nodeOf(device.place)
    if (path === null) await sleepMs(LOOK_MS)
    return path !== null
  })
  const at = path ?? ''
  const node = inodeOf(at)
  return { device, path: at, serialNumber, hasNode: () => inodeOf(at) === node, unplug: () => device.unplug() }
}

const inodeOf = (path: string): number | undefined => statSync(path, { throwIfNoEntry: false })?.ino

/** Plugged in while the last one of its kind is at work: a hub takes its time. */
const spares = new Map<UsbKind, Promise<LabDevice>>()

/** A device of `kind` that nothing has been done with; it may have been there for a while. */
export function plug(kind: UsbKind): Promise<LabDevice> {
  const device = spares.get(kind) ?? insert(kind)
  const spare = insert(kind)
  spare.catch(() => {}) // the case that it is for is told
  spares.set(kind, spare)
  return device
}

/** Runs `body` with a device, which is gone afterwards. */
export async function withDevice(kind: UsbKind, body: (lab: LabDevice) => Promise<void>): Promise<void> {
  const lab = await plug(kind)
  try {
    await body(lab)
  } finally {
    await lab.unplug()
  }
  await until(`${lab.path} is gone`, () => !lab.hasNode())
}
