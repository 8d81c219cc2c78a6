/** The kinds of USB devices that there are, by name. */
import { AcmDevice } from './acm.ts'
import { Ch340Device } from './ch340.ts'
import { Cp2102Device } from './cp2102.ts'
import type { Identity } from './descriptors.ts'
import { FtdiDevice } from './ftdi.ts'
import { GAMEPAD, HidUsbDevice, RAW_HID } from './hid.ts'

export const USB_KINDS = {
  acm: (own: Partial<Identity>) => new AcmDevice(own),
  /** One whose driver has no break. */
  'acm-without-break': (own: Partial<Identity>) => new AcmDevice(own, false),
  ftdi: (own: Partial<Identity>) => new FtdiDevice(own),
  cp2102: (own: Partial<Identity>) => new Cp2102Device(own),
  ch340: (own: Partial<Identity>) => new Ch340Device(own),
  'raw-hid': (own: Partial<Identity>) => new HidUsbDevice(RAW_HID, own),
  gamepad: (own: Partial<Identity>) => new HidUsbDevice(GAMEPAD, own),
} as const

export type UsbKind = keyof typeof USB_KINDS
