import { beforeEach, expect, test } from 'vitest'
import { mem } from '../../../kernel/mm/memory.ts'
import { ref } from '../../../kernel/rtl/ref.ts'
import { pointer, struct, ULONG } from '../../../kernel/rtl/struct.ts'
import { BASE, freshMemory } from './memory.ts'

const TARGET = struct('TARGET', { value: ULONG })
const PLACE = struct('PLACE', { count: ULONG, target: pointer(TARGET) })

beforeEach(() => void freshMemory())

test('ref writes through to the field, and reads what is there', () => {
  const place = new PLACE(BASE)
  const count = ref(place, 'count')
  count.value = 7
  expect(mem.u32[BASE >> 2]).toBe(7)
  mem.u32[BASE >> 2] = 8
  expect(count.value).toBe(8)
})

test('ref of a pointer stores the address of the struct it is given', () => {
  const place = new PLACE(BASE)
  ref(place, 'target').value = new TARGET(BASE + 64)
  expect(mem.u32[(BASE + PLACE.offsets.target) >> 2]).toBe(BASE + 64)
  ref(place, 'target').value = null
  expect(place.target).toBeNull()
})
