import fc from 'fast-check'
import { beforeEach, describe, expect, test } from 'vitest'
import { mem } from '../../../kernel/mm/memory.ts'
import {
  AppendTailList,
  corruption,
  firstEntry,
  forEachEntry,
  initializeList,
  InitializeListHead,
  InsertHeadList,
  insertTail,
  InsertTailList,
  isEmpty,
  IsListEmpty,
  LIST_ENTRY,
  removeEntry,
  RemoveEntryList,
  removeHead,
  RemoveHeadList,
  removeTail,
  RemoveTailList,
} from '../../../kernel/rtl/list.ts'
import { same } from '../../../kernel/rtl/struct.ts'
import { BASE, freshMemory } from './memory.ts'

const head = new LIST_ENTRY(BASE)
const entry = (n: number) => new LIST_ENTRY(BASE + 8 * n)

/** The numbers of the entries, forwards; backwards they must be the same. */
function members(): number[] {
  const forwards: number[] = []
  forEachEntry(head.address, (address) => forwards.push((address - BASE) / 8))
  const backwards: number[] = []
  for (let at = head.Blink!; !same(at, head); at = at.Blink!) backwards.unshift((at.address - BASE) / 8)
  expect(backwards).toEqual(forwards)
  return forwards
}

beforeEach(() => {
  freshMemory()
  InitializeListHead(head)
})

test('InitializeListHead makes an empty list', () => {
  expect([head.Flink?.address, head.Blink?.address]).toEqual([BASE, BASE])
})

test('IsListEmpty tells whether there is a member', () => {
  expect(IsListEmpty(head)).toBe(true)
  InsertTailList(head, entry(1))
  expect(IsListEmpty(head)).toBe(false)
})

test('InsertHeadList puts the entry first', () => {
  for (const n of [1, 2, 3]) InsertHeadList(head, entry(n))
  expect(members()).toEqual([3, 2, 1])
})

test('InsertTailList puts the entry last', () => {
  for (const n of [1, 2, 3]) InsertTailList(head, entry(n))
  expect(members()).toEqual([1, 2, 3])
})

test('RemoveHeadList takes the first, and gives the head of an empty list', () => {
  for (const n of [1, 2]) InsertTailList(head, entry(n))
  expect(same(RemoveHeadList(head), entry(1))).toBe(true)
  expect(same(RemoveHeadList(head), entry(2))).toBe(true)
  expect(same(RemoveHeadList(head), head)).toBe(true)
})

test('RemoveTailList takes the last, and gives the head of an empty list', () => {
  for (const n of [1, 2]) InsertTailList(head, entry(n))
  expect(same(RemoveTailList(head), entry(2))).toBe(true)
  expect(same(RemoveTailList(head), entry(1))).toBe(true)
  expect(same(RemoveTailList(head), head)).toBe(true)
})

test('RemoveEntryList returns TRUE when the list became empty', () => {
  for (const n of [1, 2]) InsertTailList(head, entry(n))
  expect(RemoveEntryList(entry(1))).toBe(false)
  expect(RemoveEntryList(entry(2))).toBe(true)
})

test('AppendTailList appends the ring that the entry is in', () => {
  InsertTailList(head, entry(1))
  InitializeListHead(entry(2))
  InsertTailList(entry(2), entry(3))
  AppendTailList(head, entry(2))
  expect(members()).toEqual([1, 2, 3])
})

describe('the list of addresses', () => {
  test('answers 0 where there is no member', () => {
    initializeList(BASE)
    expect([firstEntry(BASE), removeHead(BASE), removeTail(BASE), isEmpty(BASE)]).toEqual([0, 0, 0, true])
    insertTail(BASE, BASE + 8)
    expect([firstEntry(BASE), removeTail(BASE), isEmpty(BASE)]).toEqual([BASE + 8, BASE + 8, true])
  })

  test('lets a visitor take out the entry it is at', () => {
    for (const n of [1, 2, 3]) insertTail(BASE, BASE + 8 * n)
    forEachEntry(BASE, (address) => void removeEntry(address))
    expect(isEmpty(BASE)).toBe(true)
  })

  test('reports an entry that is taken out twice', () => {
    const reported: number[] = []
    const { list } = corruption
    corruption.list = (address) => {
      reported.push(address)
      throw new Error('bug check')
    }
    try {
      for (const n of [1, 2, 3]) insertTail(BASE, BASE + 8 * n)
      removeEntry(BASE + 16)
      expect(() => removeEntry(BASE + 16)).toThrow('bug check')
      mem.u32[BASE >> 2] = BASE + 24
      expect(() => InsertTailList(head, entry(5))).toThrow('bug check')
      expect(reported).toEqual([BASE + 16, BASE])
    } finally {
      corruption.list = list
    }
    expect(() => removeEntry(BASE + 16)).toThrow(Error)
  })

  test('behaves like an array', () => {
    const step = fc.constantFrom('head', 'tail', 'removeHead', 'removeTail')
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        InitializeListHead(head)
        const model: number[] = []
        for (const [i, step] of steps.entries()) {
          const n = i + 1
          if (step === 'head') {
            InsertHeadList(head, entry(n))
            model.unshift(n)
          } else if (step === 'tail') {
            InsertTailList(head, entry(n))
            model.push(n)
          } else if (step === 'removeHead') {
            RemoveHeadList(head)
            model.shift()
          } else {
            RemoveTailList(head)
            model.pop()
          }
          expect(members()).toEqual(model)
        }
      }),
    )
  })
})
