/** Where Linux keeps the devices that it made of a USB device. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'

const DEVICES = '/sys/bus/usb/devices'

/** The serial port or hidraw device of the USB device with this serial number; null as long as there is none. */
export function nodeOf(serialNumber: string): string | null {
  const device = entries(DEVICES).find((name) => read(`${DEVICES}/${name}/serial`) === serialNumber)
  if (device === undefined) return null
  const interfaces = entries(`${DEVICES}/${device}`).filter((name) => name.startsWith(`${device}:`))
  const name = interfaces.map((one) => deviceIn(`${DEVICES}/${device}/${one}`)).find((found) => found !== null)
  return name !== undefined && existsSync(`/dev/${name}`) ? `/dev/${name}` : null
}

/** Whether the kernel knows a device with this serial number, whatever it made of it. */
export const isAttached = (serialNumber: string): boolean =>
  entries(DEVICES).some((name) => read(`${DEVICES}/${name}/serial`) === serialNumber)

/** `tty/ttyACM0`, `ttyUSB0`, or `0003:16C0:0486.0001/hidraw/hidraw0`. */
function deviceIn(path: string): string | null {
  for (const entry of entries(path)) {
    if (entry.startsWith('ttyUSB')) return entry
    const inner = entry === 'tty' ? entries(`${path}/tty`) : entries(`${path}/${entry}/hidraw`)
    if (inner[0] !== undefined) return inner[0]
  }
  return null
}

function entries(path: string): string[] {
  try {
    return readdirSync(path)
  } catch {
    return [] // gone meanwhile, or no folder
  }
}

function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return null
  }
}
