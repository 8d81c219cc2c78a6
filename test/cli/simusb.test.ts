import { expect, test } from 'vitest'
import { simUsb } from '../../cli/commands/simusb.ts'
import { hasVhci } from '../../firmware-sim/usb/vhci.ts'

test('dirql sim --usb names the board that can be a USB device', async () => {
  await expect(simUsb('button', 1)).rejects.toThrow(/'button' is no USB device; the board that can be one: arduino-uno/)
})

test.skipIf(hasVhci())('dirql sim --usb without the kernel module says what to do', async () => {
  await expect(simUsb('arduino-uno', 1)).rejects.toThrow(/modprobe vhci-hcd|for Linux/)
})
