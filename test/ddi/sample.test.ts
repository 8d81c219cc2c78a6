import { expect, test } from 'vitest'
import { boot } from '../../machine/index.ts'

const sample = new URL('./drivers/sample.ts', import.meta.url)
const client = new URL('./drivers/client.ts', import.meta.url)

test.each([1, 2])('a driver that imports dirql/wdm only serves requests on %i processors', async (processors) => {
  await using machine = await boot({ processors })
  const name = await machine.load(sample)
  for (let processor = 0; processor < processors; processor++) {
    expect(await machine.run(client, 'write', 8, processor)).toBe(8)
  }
  expect(await machine.run(sample, 'counts')).toEqual([1, processors])
  await machine.unload(name)
})
