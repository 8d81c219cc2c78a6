import { inspect } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { mem } from '../../../kernel/mm/memory.ts'
import {
  array,
  atomic,
  copyStruct,
  instrument,
  LONG,
  PVOID,
  pvoidOf,
  same,
  storePvoid,
  struct,
  ULONG,
  USHORT,
} from '../../../kernel/rtl/struct.ts'
import { BASE, freshMemory } from './memory.ts'
import { ALL, NODE, POINT, numberRoutines } from './structs.ts'

let numbered: ReturnType<typeof numberRoutines>

beforeEach(() => {
  freshMemory()
  numbered = numberRoutines()
})

afterEach(() => {
  instrument(null)
  numbered.restore()
})

describe('a view', () => {
  test('is null at address 0', () => {
    expect(POINT.at(0)).toBeNull()
    expect(POINT.at(BASE)?.address).toBe(BASE)
  })

  test('is the same as another of its address', () => {
    expect(same(new POINT(BASE), new POINT(BASE))).toBe(true)
    expect(same(new POINT(BASE), new POINT(BASE + 8))).toBe(false)
    expect(same(null, null)).toBe(true)
    expect(same(null, new POINT(BASE))).toBe(false)
  })

  test('is copied whole, to its own type only', () => {
    const [a, b] = [new POINT(BASE), new POINT(BASE + 8)]
    a.x = 1
    a.y = -2
    copyStruct(b, a)
    expect([b.x, b.y]).toEqual([1, -2])
    // @ts-expect-error another type
    expect(() => copyStruct(b, new NODE(BASE))).toThrow('POINT')
  })

  test('prints its fields', () => {
    const all = new ALL(BASE)
    all.ulong = 3
    all.to = all.point
    all.context = all.point
    all.callback = function isr() {}
    const text = inspect(all)
    expect(text).toMatch(/^ALL @0x00010000 \{ byte: 0, /)
    expect(text).toContain('ulong: 3')
    expect(text).toContain(`point: POINT @0x0001${ALL.offsets.point.toString(16).padStart(4, '0')}`)
    expect(text).toContain('numbers: [0, 0, 0, 0, 0, 0, 0, 0, … 8 more]')
    expect(text).toContain('callback: isr')
  })

  test('prints something whatever lies there', () => {
    mem.u8.fill(0xff)
    expect(inspect(new ALL(BASE))).toContain('callback: routine 4294967295')
    for (const address of [0, -8, mem.u8.length - 8, 2 ** 31, Number.NaN])
      expect(inspect(new ALL(address))).toContain('ALL')
  })
})

describe('a context', () => {
  test('is no JavaScript object', () => {
    class Extension {}
    const refused = [new Extension(), { address: 5 }, () => {}, 'text', true, undefined, Symbol('s')]
    for (const value of refused)
      expect(() => storePvoid(BASE, value as never)).toThrow('cannot travel between processors')
    expect(() => storePvoid(BASE, new Extension() as never)).toThrow('instance of Extension')
    // @ts-expect-error nor does it compile
    expect(() => (new ALL(BASE).context = {})).toThrow(TypeError)
  })

  test('of a type that no module here defines is an error', () => {
    expect(() => pvoidOf(BASE, 0xdead)).toThrow('no module on this processor defines')
    expect(pvoidOf(0, 0)).toBeNull()
    expect(pvoidOf(5, 0)).toBe(5)
  })
})

describe('instrumented accessors', () => {
  test('report each access with its address and size', () => {
    const seen: string[] = []
    instrument((kind, address, size, cls, field) =>
      seen.push(`${kind} ${cls.structName}.${field} +${address - BASE} ${size}`),
    )
    const LATER = struct('LATER', { n: ULONG, items: array(USHORT, 4), p: POINT, s: atomic(ULONG), c: PVOID })
    const later = new LATER(BASE)
    later.n += 1
    later.items[2] = 1
    later.items.fill(0)
    later.p.y = 3
    later.s.add(1)
    later.s.load()
    later.c = later
    instrument(null)
    later.n += 1
    expect(seen).toEqual([
      'read LATER.n +0 4',
      'write LATER.n +0 4',
      'write LATER.items +8 2',
      'write LATER.items +4 8',
      'write POINT.y +16 4',
      'write LATER.s +20 4',
      'read LATER.s +20 4',
      'write LATER.c +24 8',
    ])
    expect(later.n).toBe(2)
  })
})

test('two structs with equal fields are two types', () => {
  const TWIN = struct('TWIN', { x: ULONG, y: LONG })
  // @ts-expect-error a TWIN is no POINT
  new ALL(BASE).to = new TWIN(BASE)
  const node: NODE = new NODE(BASE)
  node.next = node
  const value: number = node.next.next!.value
  expect(value).toBe(0)
})
