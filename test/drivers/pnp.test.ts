/** What drivers do with Plug and Play requests by drivers/lib/pnp.ts. */
import { expect, test } from 'vitest'
import { boot } from '../../machine/index.ts'
import { driver, MACHINES } from './machines.ts'

const PNP = new URL('./images/pnp.ts', import.meta.url)
const STATUS_UNSUCCESSFUL = 0xc0000001 | 0

test.each(MACHINES)(
  'drivers that cannot do without the hardware refuse to be stopped, on %s',
  async (_name, options) => {
    const drivers = ['tmp102', 'at24', 'gpio'].map(driver)
    await using machine = await boot({ ...options, drivers, boards: [{ board: 'arduino-uno' }] })
    for (const name of ['Tmp102-0', 'At24-0', 'Gpio-0']) {
      expect(await machine.run(PNP, 'queryStop', name)).toBe(STATUS_UNSUCCESSFUL)
      expect(await machine.run(PNP, 'cancelStop', name)).toBe(0)
      await using file = await machine.open(name)
      if (name !== 'Gpio-0') expect(await file.read(16)).not.toHaveLength(0)
    }
  },
)
