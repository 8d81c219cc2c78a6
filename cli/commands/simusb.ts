/** `dirql sim BOARD --usb`: the emulated board as a USB device of this machine. */
import { existsSync } from 'node:fs'
import { LinkError } from '../../hal/links/link.ts'
import { UsageError } from '../../machine/errors.ts'

export function simUsb(board: string, seconds: number | undefined): Promise<number> {
  if (process.platform !== 'linux') {
    throw new UsageError(`${board} is a USB device on Linux only (kernel module vhci-hcd); --pty works here too`)
  }
  if (!existsSync('/sys/devices/platform/vhci_hcd.0')) {
    throw new LinkError('missing', 'the kernel module vhci-hcd is not loaded: sudo modprobe vhci-hcd')
  }
  throw new LinkError('unsupported', `${board} cannot be served for ${seconds ?? 'any'} seconds yet`)
}
