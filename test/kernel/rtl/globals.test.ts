import { execFileSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import { boot } from '../../../machine/index.ts'
import { poolFault, poolUsage, tagOf } from '../../../kernel/mm/pool.ts'
import { globals } from '../../../kernel/rtl/globals.ts'
import { STATUS_INSUFFICIENT_RESOURCES } from '../../../kernel/rtl/status.ts'
import { struct, ULONG } from '../../../kernel/rtl/struct.ts'
import { Globals } from './drivers/globals.ts'

const driver = new URL('./drivers/globals.ts', import.meta.url)
const borrower = new URL('./drivers/borrower.ts', import.meta.url)
const inUse = (): number => {
  const usage = poolUsage().find(({ tag }) => tag === 'Glob')
  return usage === undefined ? 0 : usage.allocations - usage.frees
}

describe.each([1, 2])('on %i processors', (processors) => {
  test('globals are one struct to every processor', async () => {
    await using machine = await boot({ processors, drivers: [driver] })
    const last = processors - 1
    expect(await machine.run(driver, 'add', 5, 0)).toBe(6)
    expect(await machine.run(driver, 'add', 10, last)).toBe(16)
    expect(await machine.run(driver, 'read', null, 0)).toEqual([16, 2, 4])
    const addresses = await machine.run(driver, 'addresses', null, 0)
    expect(await machine.run(driver, 'addresses', null, last)).toEqual(addresses)
  })

  test('globals are zero after the driver is loaded again', async () => {
    await using machine = await boot({ processors })
    const name = await machine.load(driver)
    await machine.run(driver, 'add', 41, processors - 1)
    await machine.unload(name)
    await machine.load(driver)
    expect(await machine.run(driver, 'read', null, processors - 1)).toEqual([1, 0, 0])
  })
})

test('globals take pool while their driver is loaded', async () => {
  await using machine = await boot({ localRoutines: true })
  const name = await machine.load(driver)
  expect(await machine.run(inUse)).toBe(2)
  await machine.unload(name)
  expect(await machine.run(inUse)).toBe(0)
})

test('globals begin anew on the next machine of this thread', async () => {
  for (let machines = 0; machines < 2; machines++) {
    await using machine = await boot({ drivers: [driver] })
    expect(await machine.run(driver, 'add', 1)).toBe(2)
  }
})

test('globals that are used while no driver is loaded say so', async () => {
  const before = await boot({ drivers: [driver] })
  await before.shutdown()
  await using _machine = await boot()
  expect(() => Globals.count).toThrow(/globals were used \(count\) while no loaded driver image exports them/)
  expect(() => Globals.lock).toThrow(/globals were used \(lock\)/)
  expect(() => Globals.address).toThrow(/globals were used \(address\)/)
  expect(() => (Globals.count = 1)).toThrow(/export const Globals = globals/)
})

test('globals that a driver does not export say so', async () => {
  await using machine = await boot({ drivers: [driver] })
  await expect(machine.run(driver, 'hidden')).rejects.toThrow(/while no loaded driver image exports them/)
})

test('globals for which there is no memory keep the driver from being loaded', async () => {
  await using machine = await boot({ localRoutines: true })
  await machine.run(() => {
    poolFault.shouldFail = (_size, tag) => tag === tagOf('Glob')
  })
  await expect(machine.load(driver)).rejects.toMatchObject({ name: 'LoadError', status: STATUS_INSUFFICIENT_RESOURCES })
  poolFault.shouldFail = null
  await machine.load(driver)
  expect(await machine.run(inUse)).toBe(2)
})

test('globals of another driver cannot be exported', async () => {
  await using machine = await boot({ drivers: [driver] })
  await expect(machine.load(borrower)).rejects.toThrow(/each driver has its own/)
  expect(await machine.run(driver, 'add', 1)).toBe(2)
})

test('globals refuse what a struct refuses', () => {
  expect(() => globals({ address: ULONG })).toThrow('cannot be called address')
  const cls = struct('Plain', { count: ULONG })
  expect(Object.keys(globals({ count: ULONG, inner: cls }))).toEqual([])
})

test('globals work where code from strings is forbidden', () => {
  const script = `
    import { bindingOf, globals } from '${new URL('../../../kernel/rtl/globals.ts', import.meta.url).href}'
    import { array, struct, ULONG } from '${new URL('../../../kernel/rtl/struct.ts', import.meta.url).href}'
    import { useMemory, viewMemory } from '${new URL('../../../kernel/mm/memory.ts', import.meta.url).href}'
    useMemory(viewMemory(new SharedArrayBuffer(1 << 20)))
    const Inner = struct('Inner', { x: ULONG })
    const Globals = globals({ count: ULONG, inner: Inner, ticks: array(ULONG, 2) })
    let told = ''
    try { Globals.count } catch (error) { told = error.message.slice(0, 20) }
    bindingOf(Globals).bind(0x10000)
    Globals.count += 3
    Globals.inner.x = 4
    Globals.ticks[1] = 5
    const first = [Globals.count, Globals.inner.x, Globals.ticks[1], Globals.address]
    bindingOf(Globals).bind(0x20000)
    console.log(JSON.stringify([told, first, Globals.count, Globals.ticks[1]]))`
  const flags = ['--disallow-code-generation-from-strings', '--input-type=module', '-e', script]
  expect(JSON.parse(execFileSync(process.execPath, flags, { encoding: 'utf8' }))).toEqual([
    'globals were used (c',
    [3, 4, 5, 0x10000],
    0,
    0,
  ])
})
