/** The contract of links, on devices of a real kernel. */
import type { UsbKind } from '../../firmware-sim/usb/kinds.ts'
import { openHid } from '../../hal/links/hid.ts'
import type { Link, LinkEvents } from '../../hal/links/link.ts'
import { openSerial } from '../../hal/links/serial.ts'
import { type LinkKind, linkContract } from '../hal/links/contract.ts'
import { plug } from './devices.ts'

function usbKind(
  kind: UsbKind,
  report: number | null,
  open: (path: string, events: LinkEvents) => Promise<Link>,
): LinkKind {
  return {
    report,
    noUnplug: null,
    attach: async () => {
      const { device, path, unplug } = await plug(kind)
      const far = {
        send: (bytes: Uint8Array) => device.send(bytes),
        received: () => device.received(),
        unplug,
      }
      return { far, open: (events) => open(path, events), dispose: unplug }
    },
  }
}

const serial = (path: string, events: LinkEvents): Promise<Link> => openSerial({ path }, events)

const KINDS: Record<string, LinkKind> = {
  'serialport on CDC-ACM': usbKind('acm', null, serial),
  'serialport on an FT232R': usbKind('ftdi', null, serial),
  'node-hid on raw HID': usbKind('raw-hid', 64, (path, events) => openHid({ path }, events)),
}

export const contractCases: Record<string, () => Promise<void>> = Object.fromEntries(
  Object.entries(KINDS).flatMap(([name, kind]) =>
    linkContract.map(({ title, run }) => [`${name}: ${title}`, () => run(kind)] as const),
  ),
)
