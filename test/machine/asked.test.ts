import { expect, test } from 'vitest'
import { boot } from '../../machine/index.ts'
import { STATUS_NO_SUCH_DEVICE } from '../../ddi/wdm.ts'
import { MACHINES } from '../drivers/machines.ts'

const ASKER = new URL('./drivers/asker.ts', import.meta.url)
const UNPLUGS = 60

test.each(MACHINES)('who asks a board at the moment of its unplug is answered, on %s', async (_name, options) => {
  await using machine = await boot({ ...options, boards: [{ board: 'button' }] })
  const board = machine.board('button-0')
  for (let time = 0; time < UNPLUGS; time++) {
    const window = board.window('button')
    const asking = Array.from({ length: 4 }, (_, index) =>
      machine.run(ASKER, 'askUntilGone', window, index % (options.processors ?? 1)),
    )
    await machine.sleep(1)
    await board.unplug()
    expect(new Set(await Promise.all(asking))).toEqual(new Set([STATUS_NO_SUCH_DEVICE]))
    await board.plug()
  }
})
