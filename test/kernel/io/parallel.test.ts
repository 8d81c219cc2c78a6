import { expect, test } from 'vitest'
import { boot } from '../../../machine/index.ts'

const url = new URL('./parallel-driver.ts', import.meta.url)
const COUNT = 300

test('requests that one processor sends and another completes or cancels all end, once each', async () => {
  await using machine = await boot({ processors: 2, build: 'checked' })
  const mailbox = (await machine.run(url, 'load', undefined, 0)) as number
  const sending = machine.run(url, 'send', COUNT, 0)
  const finishing = machine.run(url, 'finishAll', { mailbox, count: COUNT }, 1)
  const [sent] = (await Promise.all([sending, finishing])) as [{ completed: number; cancelled: number }, number]
  expect(sent.completed + sent.cancelled).toBe(COUNT)
  expect(sent.completed).toBeGreaterThanOrEqual(COUNT / 2)
})
