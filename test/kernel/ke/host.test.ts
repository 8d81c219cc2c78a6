import { setTimeout } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { boot } from '../../../machine/index.ts'
import { host } from '../../../kernel/ke/host.ts'
import { APC_LEVEL, raiseIrql } from '../../../kernel/ke/level.ts'
import { KeDelayExecutionThread } from '../../../kernel/ke/wait.ts'
import { bugCheckOf, onMachine } from './machine.ts'

const driver = new URL('./drivers/host.ts', import.meta.url)
const A_MILLISECOND = 10_000

test.each([1, 2])('host keeps virtual time still on a machine with %i processors', async (processors) => {
  await using machine = await boot({ processors, clock: 'virtual' })
  for (let processor = 0; processor < processors; processor++) {
    expect(await machine.run(driver, 'elapsed', null, processor)).toBeLessThan(A_MILLISECOND)
  }
})

test('host lets other threads run meanwhile, and gives them no time', async () => {
  await using machine = await boot({ localRoutines: true, clock: 'virtual' })
  const order: string[] = []
  const waiting = machine.run(async () => {
    await KeDelayExecutionThread(0, false, -A_MILLISECOND)
    order.push('a millisecond later')
  })
  await machine.run(async () => {
    await host(setTimeout(20))
    order.push('the host has answered')
  })
  await waiting
  expect(order).toEqual(['the host has answered', 'a millisecond later'])
})

test('host gives back the rejection of the promise, and counts it as ended', async () => {
  await onMachine(
    async () => {
      await expect(host(Promise.reject(new Error('no such file')))).rejects.toThrow('no such file')
      await KeDelayExecutionThread(0, false, -A_MILLISECOND)
    },
    { clock: 'virtual' },
  )
})

test('host is for PASSIVE_LEVEL', async () => {
  const error = await bugCheckOf(() => {
    raiseIrql(APC_LEVEL)
    return host(Promise.resolve())
  })
  expect(error.message).toContain('host may be called at PASSIVE_LEVEL at most')
})
