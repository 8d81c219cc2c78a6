import { expect } from 'vitest'
import { IoCreateSymbolicLink, IoDeleteSymbolicLink } from '../../ddi/wdm.ts'
import { test } from '../../machine/vitest.ts'
import { driver } from './machines.ts'

test('a device whose link is another’s is not added, and leaves nothing behind', async ({ machine }) => {
  const LINK = '\\??\\Button-0'
  expect(await machine.run(() => IoCreateSymbolicLink(LINK, '\\Device\\Other'))).toBe(0)
  await machine.load(driver('button'))
  await machine.plug({ board: 'button', name: 'first' })
  await machine.plug({ board: 'button', name: 'second' })
  await expect(machine.open('Button-0')).rejects.toThrow('Button-0')
  await using file = await machine.open('Button-1')
  machine.board('second').press()
  expect(await file.read(64)).not.toHaveLength(0)
  await machine.run(() => IoDeleteSymbolicLink(LINK))
})
