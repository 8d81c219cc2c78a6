import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { mem } from '../../../kernel/mm/memory.ts'
import { compileFromClosures, compileFromSource } from '../../../kernel/rtl/compile.ts'
import { layOut } from '../../../kernel/rtl/layout.ts'
import { instrument } from '../../../kernel/rtl/struct.ts'
import { BASE, freshMemory } from './memory.ts'
import { ALL, fieldsOfAll, POINT, numberRoutines } from './structs.ts'

let numbered: ReturnType<typeof numberRoutines>

beforeEach(() => {
  freshMemory()
  numbered = numberRoutines()
})

afterEach(() => {
  instrument(null)
  numbered.restore()
})

const layout = layOut('ALL', fieldsOfAll, false)

describe.each([
  ['from source', compileFromSource(layout)],
  ['from closures', compileFromClosures(layout)],
  ['instrumented', null],
])('a class %s', (_form, compiled) => {
  let reports = 0
  const make = (): ALL => {
    if (compiled === null) instrument(() => reports++)
    return new (compiled ?? ALL)(BASE) as ALL
  }

  test.each([
    ['byte', 255, 256 + 7, 7],
    ['char', -1, 128, -128],
    ['flag', 2, true, 1],
    ['short', -2, 0x8000, -0x8000],
    ['ushort', 0xffff, 0x10001, 1],
    ['long', -5, 0x80000000, -0x80000000],
    ['ulong', 0xffffffff, -1, 0xffffffff],
    ['handle', 4, 2 ** 32 + 8, 8],
    ['status', -1073741789, 0xc0000023, -1073741789],
    ['longlong', -1n, 2n ** 63n, -(2n ** 63n)],
    ['ulonglong', 2n ** 64n - 1n, -2n, 2n ** 64n - 2n],
    ['time', 1.5, -0.25, -0.25],
  ] as const)('keeps %s in its width', (name, plain, stored, read) => {
    const view = make() as unknown as { [name: string]: unknown }
    view[name] = plain
    expect(view[name]).toBe(plain)
    view[name] = stored
    expect(view[name]).toBe(read)
  })

  test('stores nothing beside the field', () => {
    const view = make()
    mem.u8.fill(0xaa)
    view.short = 0
    const { short } = ALL.offsets
    expect([...mem.u8.subarray(BASE + short - 1, BASE + short + 3)]).toEqual([0xaa, 0, 0, 0xaa])
  })

  test('gives typed arrays over the machine memory', () => {
    const view = make()
    view.numbers[3] = 7
    view.bigs[1] = -1n
    expect(view.numbers).toBeInstanceOf(Uint32Array)
    expect(view.bigs).toBeInstanceOf(BigInt64Array)
    expect([...view.numbers].slice(2, 5)).toEqual([0, 7, 0])
    expect(mem.u32[(BASE + ALL.offsets.numbers + 12) >> 2]).toBe(7)
    expect(make().bigs[1]).toBe(-1n)
  })

  test('gives views of embedded structs, and lets nobody replace them', () => {
    const view = make()
    view.point.x = 5
    view.points.at(2).y = -6
    expect([...view.points].map((point) => point.y)).toEqual([0, 0, -6, 0])
    expect(view.point.address).toBe(BASE + ALL.offsets.point)
    expect(view.points.length).toBe(4)
    expect(() => view.points.at(4)).toThrow(RangeError)
    expect(() => {
      // @ts-expect-error an embedded struct cannot be assigned
      view.point = view.points.at(0)
    }).toThrow(TypeError)
  })

  test('follows pointers, null included', () => {
    const view = make()
    expect([view.to, view.later, view.pointers.at(1), view.u.B]).toEqual([null, null, null, null])
    view.to = view.later = view.point
    view.pointers.set(1, view.point)
    view.to.x = 9
    expect([view.later.x, view.pointers.at(1)?.x]).toEqual([9, 9])
    view.to = null
    expect(view.to).toBeNull()
  })

  test('lays the fields of a union over one another', () => {
    const { u } = make()
    u.A = 0x01020304
    expect([...u.C]).toEqual([4, 3, 2, 1])
    expect(u.B?.address).toBe(0x01020304)
  })

  test('changes atomics by their operations, each of which returns the value before', () => {
    const { state, big } = make()
    state.store(5)
    expect([state.add(3), state.sub(1), state.and(6), state.or(8), state.exchange(1)]).toEqual([5, 8, 7, 6, 14])
    expect([state.compareExchange(2, 3), state.compareExchange(1, 3), state.load()]).toEqual([1, 1, 3])
    expect([big.add(2n ** 63n), big.load()]).toEqual([0n, 2n ** 63n])
    // @ts-expect-error an atomic has operations only
    expect(() => void (make().state += 1)).toThrow(TypeError)
  })

  test('keeps contexts: structs, numbers and null', () => {
    const view = make()
    expect(view.context).toBeNull()
    view.context = view.point
    view.point.x = 3
    expect(view.context).toBeInstanceOf(POINT)
    expect((view.context as POINT).x).toBe(3)
    view.context = 17
    expect(view.context).toBe(17)
    view.context = null
    expect(view.context).toBeNull()
  })

  test('keeps routines by their numbers', () => {
    const view = make()
    const callback = (point: POINT) => void (point.x = 1)
    expect(view.callback).toBeNull()
    view.callback = callback
    expect(view.callback).toBe(callback)
    expect(mem.u32[(BASE + ALL.offsets.callback) >> 2]).toBe(numbered.functions.indexOf(callback) + 1)
    // @ts-expect-error a routine that returns nothing cannot be async
    view.callback = async () => {}
    view.callback = null
    expect(view.callback).toBeNull()
  })

  test('is called like the struct', () => {
    expect(make().constructor.name).toBe('ALL')
    expect(reports).toBeGreaterThan(compiled === null ? 0 : -1)
  })
})
