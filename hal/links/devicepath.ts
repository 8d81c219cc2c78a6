/** Paths of devices: `/dev/serial/by-id/…` and other links lead to the name that the kernel gave. */
import { readlinkSync } from 'node:fs'
import { basename, dirname, resolve } from 'node:path'

const MOST_LINKS = 8

/** The path that `path` leads to, but no terminal: those have names for a while only. */
export function devicePath(path: string): string {
  let at = path
  for (let count = 0; count < MOST_LINKS; count++) {
    const next = targetOf(at)
    if (next === null || next.startsWith('/dev/pts/')) return at
    at = next
  }
  return at
}

function targetOf(path: string): string | null {
  try {
    return resolve(dirname(path), readlinkSync(path))
  } catch {
    return null // no link
  }
}

/** The kernel's name of a device: `ttyUSB0`. */
export const deviceName = (path: string): string => basename(devicePath(path))
