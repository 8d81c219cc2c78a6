/** Which modem lines a serial port passes on, and of which each edge is counted: that is its driver's doing. */
import { readlinkSync } from 'node:fs'
import { basename } from 'node:path'
import { deviceName } from './devicepath.ts'

export const MODEM_LINES = ['cts', 'dsr', 'ri', 'dcd'] as const
export type ModemLine = (typeof MODEM_LINES)[number]

/** Lines that Linux drivers do not pass on; a driver that is not named passes on all four. */
const HIDDEN: Record<string, readonly ModemLine[]> = { cdc_acm: ['cts'] }

const ALL_BUT_RI = ['cts', 'dsr', 'dcd'] as const

/**
 * Lines whose edges a driver counts, one by one (Linux 6.1: drivers/usb/serial, drivers/usb/class, drivers/tty/serial). A
 * 16550 and its kin tell only of the end of a ring, and `cdc_acm` counts what a device tells while it rings: there RI is
 * no count of edges. A driver that is not named counts none: `ch341-uart`, `pl2303` and most others have no TIOCGICOUNT;
 * `cp210x` and `mos7840` have it, and it says zero for ever.
 */
const COUNTED: Record<string, readonly ModemLine[]> = {
  ftdi_sio: MODEM_LINES,
  cdc_acm: ['dsr', 'dcd'],
  serial: ALL_BUT_RI, // a 16550 on PCI or PnP
  serial8250: ALL_BUT_RI,
  mxuport: ALL_BUT_RI,
  ark3116: ALL_BUT_RI,
  ssu100: ALL_BUT_RI,
  'quatech-serial': ALL_BUT_RI,
  edgeport_2: ALL_BUT_RI,
  edgeport_4: ALL_BUT_RI,
  edgeport_8: ALL_BUT_RI,
  edgeport_ti_1: ALL_BUT_RI,
  edgeport_ti_2: ALL_BUT_RI,
  ti_usb_3410_5052_1: ALL_BUT_RI,
  ti_usb_3410_5052_2: ALL_BUT_RI,
}

/** The lines of the port at `path` that its driver passes on. */
export function exposedLines(path: string): ModemLine[] {
  const hidden = HIDDEN[driverOf(path) ?? ''] ?? []
  return MODEM_LINES.filter((line) => !hidden.includes(line))
}

/** Those of them whose edges it counts; the others can only be looked at. */
export const countedLines = (path: string): readonly ModemLine[] => COUNTED[driverOf(path) ?? ''] ?? []

/** The kernel driver of a port: `ftdi_sio`; null where there is none to be seen. */
export function driverOf(path: string): string | null {
  const device = `/sys/class/tty/${deviceName(path)}/device`
  const driver = linkedName(`${device}/driver`)
  // since Linux 6.5 the ports of a UART are devices below it, with a driver that is the same for all
  return driver === 'port' ? (linkedName(`${device}/../../driver`) ?? driver) : driver
}

function linkedName(path: string): string | null {
  try {
    return basename(readlinkSync(path))
  } catch {
    return null
  }
}
