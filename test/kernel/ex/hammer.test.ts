import { expect, test } from 'vitest'
import { boot, type Machine } from '../../../machine/index.ts'

const driver = new URL('./drivers/hammer.ts', import.meta.url)

const HAMMERS = [
  { name: 'ExAcquirePushLockExclusive', routine: 'pushLockHammer', readEvery: 0 },
  { name: 'ExAcquirePushLockShared', routine: 'pushLockHammer', readEvery: 2 },
  { name: 'ExAcquireFastMutex', routine: 'fastMutexHammer', readEvery: 0 },
  { name: 'KeAcquireGuardedMutex', routine: 'guardedMutexHammer', readEvery: 0 },
  { name: 'ExAcquireResourceExclusiveLite', routine: 'resourceHammer', readEvery: 0 },
  { name: 'ExAcquireResourceSharedLite', routine: 'resourceHammer', readEvery: 2 },
]
const FREE = {
  readers: expect.any(Number),
  torn: 0,
  users: 0,
  strangers: 0,
  pushLock: 0,
  fastMutex: 1,
  guardedMutex: 1,
  owners: 0,
  rundown: 0,
}

/** Runs `routine` in `threads` threads, spread over the processors, and sums up what they return. */
async function hammer(machine: Machine, routine: string, threads: number, argument: object): Promise<number> {
  const runs = Array.from({ length: threads }, (_, index) => machine.run(driver, routine, argument, index % PROCESSORS))
  const results = (await Promise.all(runs)) as number[]
  return results.reduce((sum, one) => sum + one, 0)
}
const PROCESSORS = 2

test.each(HAMMERS)(
  '$name ($routine) keeps four threads of two processors apart, and leaves a free lock',
  async ({ routine, readEvery }) => {
    await using machine = await boot({ processors: PROCESSORS })
    const address = (await machine.run(driver, 'make')) as number
    const writes = await hammer(machine, routine, 4, { address, rounds: 2000, readEvery })
    expect(await machine.run(driver, 'verdict', address)).toEqual({ ...FREE, count: writes, mirror: writes })
  },
)

test('ExAcquirePushLockShared: the word is plausible at every instant, seen from the other processor (wdm-facts §3.2)', async () => {
  await using machine = await boot({ processors: PROCESSORS })
  const address = (await machine.run(driver, 'make')) as number
  const [wrong] = await Promise.all([
    hammer(machine, 'pushLockWatch', 2, { address, rounds: 4000 }),
    hammer(machine, 'pushLockHammer', 4, { address, rounds: 2000, readEvery: 3 }),
  ])
  expect(wrong).toBe(0)
})

test('ExWaitForRundownProtectionRelease lets no user in behind it, on two processors', async () => {
  await using machine = await boot({ processors: PROCESSORS })
  const address = (await machine.run(driver, 'make')) as number
  const users = hammer(machine, 'rundownUser', 2, { address, rounds: 20_000 })
  await machine.run(driver, 'rundownOwner', address, 1)
  const uses = await users
  const left = (await machine.run(driver, 'verdict', address)) as Record<string, number>
  expect([left['users'], left['strangers'], left['rundown']]).toEqual([uses, 0, 1])
})

test('ExQueueWorkItem serves every item once, on two processors', async () => {
  await using machine = await boot({ processors: PROCESSORS })
  const address = (await machine.run(driver, 'make')) as number
  expect(await hammer(machine, 'workItemHammer', 4, { address, rounds: 500 })).toBe(2000)
  const left = (await machine.run(driver, 'verdict', address)) as Record<string, number>
  expect(left['users']).toBe(2000)
})
