/** A line that the board file makes a passive-level interrupt (wdm-facts §4.4). */
import { expect, test } from 'vitest'
import { boot } from '../../machine/index.ts'
import { MACHINES } from '../drivers/machines.ts'

const SENSOR = new URL('./drivers/sensor.ts', import.meta.url)
const BOARD = {
  name: 'sensor',
  devices: [
    {
      name: 'sensor',
      hardwareIds: ['test\\sensor'],
      registers: [{ name: 'VALUE', offset: 0, kind: 'status' }],
      lines: [{ name: 'ready', mode: 'latched', passive: true }],
    },
  ],
}

test.each(MACHINES)(
  'IoConnectInterruptEx connects its ISR at PASSIVE_LEVEL, where it asks the board, on %s',
  async (_name, options) => {
    await using machine = await boot({ ...options, drivers: [SENSOR] })
    const board = await machine.plug({ board: BOARD })
    const device = board.model.device('sensor')
    const read = async (): Promise<{ values: number[]; irqls: number; level: number }> =>
      (await machine.run(SENSOR, 'read')) as { values: number[]; irqls: number; level: number }
    expect(await read()).toEqual({ values: [], irqls: 0, level: 0 })
    for (const value of [7, 8]) {
      device.set('VALUE', value)
      device.line('ready').pulse()
      const before = value - 7
      for (let ms = 0; (await read()).values.length === before && ms < 1000; ms++) await machine.sleep(1)
    }
    // The line's EOI comes behind the ISR, so each edge has its own call.
    expect(await read()).toEqual({ values: [7, 8], irqls: 1 << 0, level: 0 })
    await board.unplug()
    await machine.clear()
  },
)
