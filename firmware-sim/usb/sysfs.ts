/**
 * Where Linux keeps the devices that it made of a USB device. Nothing is read here that the kernel guards with the
 * device's lock, such as its serial number: that waits for the device, and who asks may be who answers for it.
 */
import { existsSync, readdirSync } from 'node:fs'
import { basename } from 'node:path'

/** The serial port or hidraw device of the USB device at `place`, such as /sys/bus/usb/devices/1-3; null without one. */
export function nodeOf(place: string): string | null {
  const interfaces = entries(place).filter((name) => name.startsWith(`${basename(place)}:`))
  const name = interfaces.map((one) => deviceIn(`${place}/${one}`)).find((found) => found !== null)
  return name !== undefined && existsSync(`/dev/${name}`) ? `/dev/${name}` : null
}

/** Whether the kernel knows a device there, whatever it made of it. */
export const isAttached = (place: string): boolean => existsSync(place)

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
