/** What is particular to HID devices. */
import assert from 'node:assert/strict'
import type { DeviceLayout } from '../../classes/device.ts'
import { fieldLine, fieldOffset, fieldRegisters, Hid, hidClass, type ReportFieldSpec } from '../../classes/hid.ts'
import { gamepadReport } from '../../firmware-sim/usb/hid.ts'
import { openHidBoard } from '../../hal/hid.ts'
import { listHid } from '../../hal/links/discovery.ts'
import { openHid } from '../../hal/links/hid.ts'
import { ToldBoard } from '../hal/boardend.ts'
import { until } from '../hal/links/contract.ts'
import { withDevice } from './devices.ts'

/** Button `name` at `bit` of `byte`. */
const button = (name: string, byte: number, bit: number): ReportFieldSpec => ({
  ...{ name, report: 0, byte, bit, bits: 1, signed: false },
  ...{ mode: 'latched', active: 'high', dirql: 6 },
})

/** As in boards/hid-gamepad: buttons 1 and 10. */
const FIELDS = [button('button-x', 5, 4), button('start', 6, 5)]
const [BUTTON_X, START] = [1 << 0, 1 << 9]

function padLayout(): DeviceLayout {
  const { name, version, registers, lines } = hidClass
  return {
    ...{ name: 'pad', class: name, version },
    registers: [...registers, ...FIELDS.flatMap((field, index) => fieldRegisters(field, index))],
    lines: [...lines, ...FIELDS.map((field) => fieldLine(field))],
  }
}

export const hidCases: Record<string, () => Promise<void>> = {
  'a HID device is listed with what recognises it': () =>
    withDevice('raw-hid', async ({ path, serialNumber }) => {
      const device = (await listHid()).find((one) => one.serialNumber === serialNumber)
      assert.deepEqual(
        [device?.path, device?.vendorId, device?.productId, device?.usagePage, device?.usage],
        [path, 0x16c0, 0x0486, 0xffab, 0x200],
      )
    }),
  'feature reports go both ways': () =>
    withDevice('raw-hid', async ({ device, path }) => {
      const link = await openHid({ path }, { data: () => {}, closed: () => {} })
      try {
        await link.sendFeature(0, Uint8Array.of(8, 7, 6, 5, 4, 3, 2, 1))
        assert.deepEqual([...(await link.getFeature(0, 8))], [8, 7, 6, 5, 4, 3, 2, 1])
        await until('the device has it', () => device.features.length === 1)
      } finally {
        await link.close()
      }
    }),
  'each press of a gamepad button is an edge of its interrupt line': () =>
    withDevice('gamepad', async ({ device, path, unplug }) => {
      const board = await openHidBoard({ layout: padLayout(), path, fields: FIELDS, now: () => 0 })
      try {
        const told = new ToldBoard(board)
        const [x, start] = [2, 3]
        board.enableLine(x)
        board.enableLine(start)
        board.credit(0, Hid.DATA, 8192) // a device whose reports nobody takes is told to wait
        for (let press = 0; press < 50; press++) {
          await device.send(gamepadReport(0x7f, 0x7f, BUTTON_X))
          await device.send(gamepadReport(0x7f, 0x7f, press % 10 === 0 ? START : 0))
        }
        const count = (index: number, line: number): number | undefined => told.value(line, fieldOffset(index) + 4)
        await until('all presses', () => count(0, x) === 50 && count(1, start) === 5).catch(() =>
          assert.deepEqual([count(0, x), count(1, start)], [50, 5]),
        )
        await unplug()
        await until('gone', () => told.ends.length === 1)
      } finally {
        await board.close()
      }
    }),
}
