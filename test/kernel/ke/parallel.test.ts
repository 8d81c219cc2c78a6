import { expect, test } from 'vitest'
import { boot } from '../../../machine/index.ts'

const driver = new URL('./drivers/parallel.ts', import.meta.url)

test('KeAcquireInStackQueuedSpinLock keeps two processors apart and leaves the lock free', async () => {
  await using machine = await boot({ processors: 2 })
  const address = await machine.run(driver, 'make')
  const rounds = 20_000
  await Promise.all([0, 1].map((processor) => machine.run(driver, 'lockHammer', { address, rounds }, processor)))
  expect(await machine.run(driver, 'count', address)).toBe(2 * rounds)
})

test('KeFlushQueuedDpcs waits for a DPC that runs on another processor', async () => {
  await using machine = await boot({ processors: 2 })
  const address = await machine.run(driver, 'make')
  expect(await machine.run(driver, 'flushOther', address)).toBe(1)
})

test('KeGenericCallDpc runs on every processor, and KeSignalCallDpcSynchronize has one winner a round', async () => {
  await using machine = await boot({ processors: 2 })
  const address = await machine.run(driver, 'make')
  await Promise.all([0, 1].map((processor) => machine.run(driver, 'callEverywhere', address, processor)))
  expect(await machine.run(driver, 'callEverywhere', address)).toEqual([12, 60])
})
