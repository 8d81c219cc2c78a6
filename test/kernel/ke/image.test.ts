import { describe, expect, test } from 'vitest'
import { boot } from '../../../machine/index.ts'
import { KeInitializeDpc, KeInsertQueueDpc } from '../../../kernel/ke/dpc.ts'
import { KDPC } from '../../../kernel/ke/layouts.ts'
import { BUILDS, make, onBuild, onChecked } from './facts.ts'

const driver = new URL('./drivers/crashes.ts', import.meta.url)
const rejection = (promise: Promise<unknown>): Promise<Error> =>
  promise.then(
    (value) => new Error(`it gave ${String(value)}`),
    (error: unknown) => error as Error,
  )

describe.each([1, 2])('checked build, %i processors: routines of driver files', (processors) => {
  test.each([
    ['a function that is no export', 'queueHidden', "'hidden'", 'export function'],
    ['a function without a name', 'queueUnnamed', 'an unnamed function', 'export function'],
    ['what is no function', 'queueNothing', 'a routine is a function', 'string'],
  ])('KeInitializeDpc with %s throws an error that names it and says what to write', async (_, name, what, remedy) => {
    await using machine = await boot({ processors })
    const error = await rejection(machine.run(driver, name))
    expect(error.message).toContain(what)
    expect(error.message).toContain(remedy)
    expect(await machine.run(driver, 'queueTick')).toBe(true) // nothing is broken by it
  })

  test('KeInsertQueueDpc of a driver that was unloaded with its timer set is bug check 0xCE, naming routine and driver', async () => {
    await using machine = await boot({ processors, clock: 'virtual', drivers: [driver] })
    await machine.sleep(50)
    await machine.unload('crashes')
    const error = await rejection(machine.sleep(50))
    expect(error).toMatchObject({ code: 0xce })
    expect(error.message).toContain('tick of driver crashes')
  })
})

describe.each(BUILDS)('%s build: contexts', (build) => {
  test.each<[string, unknown, string]>([
    ['an object', {}, 'an instance of Object'],
    ['an object of a class', new Map(), 'an instance of Map'],
    ['a function', (): void => {}, 'the function'],
    ['a string', 'text', 'a value of type string'],
    ['undefined', undefined, 'a value of type undefined'],
  ])('KeInitializeDpc with %s as context says what a context is', async (_, context, what) => {
    const error = await rejection(onBuild(build, () => KeInitializeDpc(make(KDPC), () => {}, context as never)))
    expect(error.name).toBe('TypeError')
    expect(error.message).toContain('a context must be a struct')
    expect(error.message).toContain(what)
  })
})

test('KeInitializeDpc takes any number of local functions where boot has localRoutines (checked build)', async () => {
  const seen = await onChecked(() => {
    const dpc = make(KDPC)
    let sum = 0
    for (let index = 0; index < 5000; index++) {
      KeInitializeDpc(dpc, () => void (sum += index), null)
      KeInsertQueueDpc(dpc, null, null)
    }
    return sum
  })
  expect(seen).toBe((4999 * 5000) / 2)
})
