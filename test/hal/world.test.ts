/** The world's event queue: order, and calling off. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { World } from '../../hal/world.ts'

describe('World', () => {
  test('what is planned happens by its time, and in the order of planning within one', () => {
    let now = 0
    const world = new World(() => now)
    const seen: string[] = []
    world.after(20, () => seen.push('c'))
    world.after(10, () => seen.push('a'))
    world.after(10, () => seen.push('b'))
    now = 10
    expect(world.run()).toBe(true)
    expect([seen.join(''), world.next]).toEqual(['ab', 20])
  })

  test('what was called off does not happen, and is nothing to wait for; calling off twice does nothing', () => {
    let now = 0
    const world = new World(() => now)
    const callOff = world.after(10, () => expect.unreachable())
    callOff()
    callOff()
    expect(world.next).toBe(Number.POSITIVE_INFINITY)
    now = 10
    expect(world.run()).toBe(false)
  })

  test('calling off leaves the order of the rest', () => {
    fc.assert(
      fc.property(fc.array(fc.record({ at: fc.nat(20), isOff: fc.boolean() }), { maxLength: 40 }), (plans) => {
        let now = 0
        const world = new World(() => now)
        const seen: number[] = []
        const planned = plans.map(({ at }, index) => world.after(at, () => seen.push(index)))
        for (const [index, { isOff }] of plans.entries()) if (isOff) planned[index]?.()
        now = 100
        world.run()
        const left = plans.map(({ at, isOff }, index) => ({ at, isOff, index })).filter(({ isOff }) => !isOff)
        left.sort((one, other) => one.at - other.at || one.index - other.index)
        expect(seen).toEqual(left.map(({ index }) => index))
      }),
    )
  })
})
