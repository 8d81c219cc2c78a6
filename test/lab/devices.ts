/** USB devices for the cases, each with a serial number of its own, by which its node is found. */
import { existsSync } from 'node:fs'
import type { UsbKind } from '../../firmware-sim/usb/kinds.ts'
import { type RemoteUsbDevice, UsbProcess } from '../../firmware-sim/usb/remote.ts'
import { isAttached, nodeOf } from '../../firmware-sim/usb/sysfs.ts'
import { sleepMs } from '../../hal/timers.ts'
import { until } from '../hal/links/contract.ts'

let started: UsbProcess | null = null
let count = 0

export function devices(): UsbProcess {
  started ??= new UsbProcess()
  return started
}

/** To look into /sys costs more than what is waited for. */
const LOOK_MS = 20

async function slowly(what: string, holds: () => boolean): Promise<void> {
  await until(what, async () => {
    const isSo = holds()
    if (!isSo) await sleepMs(LOOK_MS)
    return isSo
  })
}

export interface LabDevice {
  device: RemoteUsbDevice
  path: string
  serialNumber: string
  /** Pulls it out, and waits until the kernel has taken the device away; again it does nothing. */
  unplug(): Promise<void>
}

export async function plug(kind: UsbKind): Promise<LabDevice> {
  const serialNumber = `LAB${String(++count).padStart(5, '0')}`
  const device = await devices().plug(kind, { serialNumber })
  await slowly(`a node of ${serialNumber}`, () => nodeOf(serialNumber) !== null)
  const path = nodeOf(serialNumber) as string
  return {
    device,
    path,
    serialNumber,
    unplug: async () => {
      await device.unplug()
      await slowly(`${serialNumber} is gone`, () => !isAttached(serialNumber))
    },
  }
}

/** Runs `body` with a device, and waits until its node is gone: the next one gets the same. */
export async function withDevice(kind: UsbKind, body: (lab: LabDevice) => Promise<void>): Promise<void> {
  const lab = await plug(kind)
  try {
    await body(lab)
  } finally {
    await lab.unplug()
  }
  await until(`${lab.path} is gone`, () => !existsSync(lab.path))
}
