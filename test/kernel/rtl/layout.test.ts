import fc from 'fast-check'
import { beforeEach, describe, expect, test } from 'vitest'
import { compileFromClosures, compileFromSource } from '../../../kernel/rtl/compile.ts'
import { layOut } from '../../../kernel/rtl/layout.ts'
import { typeIdOf } from '../../../kernel/rtl/registry.ts'
import {
  array,
  assertLayout,
  atomic,
  CHAR,
  containing,
  DOUBLE,
  LONG,
  LONGLONG,
  offsetOf,
  pointer,
  PVOID,
  SHORT,
  struct,
  structOf,
  UCHAR,
  ULONG,
  USHORT,
  type FieldType,
} from '../../../kernel/rtl/struct.ts'
import { CONTAINING_RECORD } from '../../../kernel/rtl/view.ts'
import { BASE, freshMemory } from './memory.ts'
import { ALL, POINT } from './structs.ts'

beforeEach(() => void freshMemory())

describe('a layout', () => {
  test('has natural alignment and tells its offsets', () => {
    const T = struct('T', { a: UCHAR, b: USHORT, c: UCHAR, d: ULONG, e: PVOID, f: LONGLONG, g: UCHAR })
    assertLayout(T, { size: 40, align: 8, a: 0, b: 2, c: 4, d: 8, e: 12, f: 24, g: 32 })
    expect(() => assertLayout(T, { size: 41, b: 2, c: 5 })).toThrow(
      'the layout of T differs: size is 40, not 41; c is 4, not 5',
    )
    expect(offsetOf(ALL, 'point', 'y')).toBe(ALL.offsets.point + 4)
    expect(T.fields.d).toMatchObject({ name: 'd', offset: 8, size: 4 })
    // @ts-expect-error no such field
    expect(T.offsets.zz).toBeUndefined()
  })

  test('leads back from a field to the struct', () => {
    const all = new ALL(BASE)
    expect(containing(ALL, 'point', all.point).address).toBe(BASE)
    expect(containing(ALL, 'to', BASE + ALL.offsets.to).address).toBe(BASE)
  })

  test('CONTAINING_RECORD leads back in the order of Windows', () => {
    const all = new ALL(BASE)
    expect(CONTAINING_RECORD(all.point, ALL, 'point').address).toBe(BASE)
    expect(CONTAINING_RECORD(BASE + ALL.offsets.to, ALL, 'to')).toBeInstanceOf(ALL)
  })

  test('has a type id of name and layout', () => {
    expect(structOf(POINT.typeId)).toBe(POINT)
    expect(struct('POINT', { x: ULONG, y: LONG }).typeId).toBe(POINT.typeId)
    expect(structOf(POINT.typeId)).toBe(POINT)
    const outer = struct('OUTER', { p: struct('IN', { x: ULONG }) })
    expect(struct('OUTER', { p: struct('IN', { y: ULONG }) }).typeId).not.toBe(outer.typeId)
  })

  test('refuses a struct whose type id another one has', () => {
    const name = (n: number) => `COLLIDE${n}`
    const { layout } = layOut('NAME', { x: ULONG }, false)
    const seen = new Map<number, string>()
    for (let n = 0; ; n++) {
      const id = typeIdOf(layout.replace('NAME', name(n)))
      const twin = seen.get(id)
      seen.set(id, name(n))
      if (twin === undefined) continue
      struct(twin, { x: ULONG })
      expect(() => struct(name(n), { x: ULONG })).toThrow(`same type id as struct ${twin}`)
      return
    }
  })

  test('is refused where it makes no sense', () => {
    // @ts-expect-error a number is no type
    expect(() => struct('BAD', { a: 5 })).toThrow('struct BAD: field a has no type that struct() knows')
    // @ts-expect-error neither is undefined, which a circular import gives
    expect(() => struct('BAD', { a: undefined })).toThrow('field a has no type')
    for (const name of ['address', 'then']) {
      expect(() => struct('BAD', { [name]: ULONG })).toThrow(`cannot be called ${name}`)
    }
    expect(() => struct('BAD', { 'a-b': ULONG })).toThrow('no identifier')
    expect(() => struct('not a name', { a: ULONG })).toThrow('no identifier')
    expect(() => struct('BAD', {})).toThrow('no fields')
    expect(() => array(ULONG, 0)).toThrow('at least one element')
    // @ts-expect-error no atomic floats
    expect(() => atomic(DOUBLE)).toThrow('integer')
    // @ts-expect-error pointers point to structs
    expect(() => pointer(ULONG)).toThrow('struct class')
  })

  const SCALARS: readonly FieldType[] = [UCHAR, CHAR, USHORT, SHORT, ULONG, LONG]
  test('keeps each value apart, whatever the fields', () => {
    const field = fc.tuple(fc.constantFrom(...SCALARS), fc.integer())
    fc.assert(
      fc.property(fc.array(field, { minLength: 1, maxLength: 12 }), fc.boolean(), (fields, source) => {
        const types = Object.fromEntries(fields.map(([type], i) => [`f${i}`, type]))
        const random = layOut('RANDOM', types, false)
        const Random = (source ? compileFromSource : compileFromClosures)(random)
        const view = new Random(BASE) as unknown as { [name: string]: unknown }
        for (const [i, [, value]] of fields.entries()) view[`f${i}`] = value
        for (const [i, [type, value]] of fields.entries()) {
          const bits = 8 * type.size
          const signed = [CHAR, SHORT, LONG].some((one) => one === type)
          expect(BigInt(view[`f${i}`] as number)).toBe(
            signed ? BigInt.asIntN(bits, BigInt(value)) : BigInt.asUintN(bits, BigInt(value)),
          )
          expect(random.fields[`f${i}`]!.offset % type.align).toBe(0)
        }
      }),
    )
  })
})
