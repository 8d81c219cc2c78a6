/** Machines with more boards than there are bits to ring for them by. */
import { expect, test } from 'vitest'
import { boot } from '../../machine/index.ts'

const BUTTON = new URL('../../drivers/button/index.ts', import.meta.url)
const BOARDS = 40
const PRESSES = 3

/** What the lines of all boards have counted when each button was pressed so often. */
async function pressAll(processors: number) {
  const boards = Array.from({ length: BOARDS }, () => ({ board: 'button' }))
  await using machine = await boot({ processors, clock: 'virtual', drivers: [BUTTON], boards })
  const names = boards.map((_, index) => `button-${index}`)
  for (let press = 0; press < PRESSES; press++) {
    for (const name of names) machine.board(name).press()
    await machine.sleep(100)
    for (const name of names) machine.board(name).release()
    await machine.sleep(100)
  }
  return names.map((name) =>
    machine
      .board(name)
      .lines()
      .map(({ frames, claimed }) => ({ frames, claimed })),
  )
}

test.each([1, 2])(
  'each of 40 boards has its interrupts served, and is told when they end, with %d processors',
  async (processors) => {
    const counted = await pressAll(processors)
    expect(counted[0]?.[0]?.claimed).toBeGreaterThanOrEqual(PRESSES)
    expect(counted).toEqual(counted.map(() => counted[0]))
  },
)
