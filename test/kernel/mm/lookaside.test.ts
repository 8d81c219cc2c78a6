import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import * as ex from '../../../kernel/mm/lookaside-ex.ts'
import * as plain from '../../../kernel/mm/lookaside.ts'
import { mem } from '../../../kernel/mm/memory.ts'
import { allocateStruct, isPaged, poolBytesInUse, poolFault, poolUsage, tagOf } from '../../../kernel/mm/pool.ts'
import { ExAllocatePoolWithTag, ExFreePool, NonPagedPoolNx, PagedPool } from '../../../kernel/mm/pool-ddi.ts'
import { routines } from '../../../kernel/rtl/routine.ts'
import { freshPool } from './pool-region.ts'

const { ExAllocateFromLookasideListEx, ExFreeToLookasideListEx, ExInitializeLookasideListEx, LOOKASIDE_LIST_EX } = ex

const plugged = { ...routines }
const known: Function[] = []

beforeEach(() => {
  freshPool()
  routines.idOf = (fn) => known.indexOf(fn) + 1 || known.push(fn)
  routines.functionOf = (id) => known[id - 1] as Function
})

afterEach(() => {
  Object.assign(routines, plugged)
})

function lookaside<T>(type: { new (address: number): T; readonly size: number }): T {
  const list = allocateStruct(type, 'List')
  if (list === null) throw new Error('no memory')
  return list
}

const bytesOf = (tag: string): number => poolUsage().reduce((sum, row) => sum + (row.tag === tag ? row.bytes : 0), 0)
const ascending = (left: number, right: number): number => left - right
const common = { Allocate: null, Free: null, Flags: 0, Size: 40, Tag: 'Look', Depth: 0 }

const KINDS = [
  {
    kind: 'NPagedLookasideList',
    paged: false,
    make: () => {
      const Lookaside = lookaside(plain.NPAGED_LOOKASIDE_LIST)
      plain.ExInitializeNPagedLookasideList({ ...common, Lookaside })
      return {
        L: Lookaside.L,
        take: () => plain.ExAllocateFromNPagedLookasideList(Lookaside),
        give: (entry: number) => plain.ExFreeToNPagedLookasideList(Lookaside, entry),
        destroy: () => plain.ExDeleteNPagedLookasideList(Lookaside),
      }
    },
  },
  {
    kind: 'PagedLookasideList',
    paged: true,
    make: () => {
      const Lookaside = lookaside(plain.PAGED_LOOKASIDE_LIST)
      plain.ExInitializePagedLookasideList({ ...common, Lookaside })
      return {
        L: Lookaside.L,
        take: () => plain.ExAllocateFromPagedLookasideList(Lookaside),
        give: (entry: number) => plain.ExFreeToPagedLookasideList(Lookaside, entry),
        destroy: () => plain.ExDeletePagedLookasideList(Lookaside),
      }
    },
  },
  {
    kind: 'LookasideListEx',
    paged: true,
    make: () => {
      const Lookaside = lookaside(LOOKASIDE_LIST_EX)
      ExInitializeLookasideListEx({ ...common, Lookaside, PoolType: PagedPool })
      return {
        L: Lookaside.L,
        take: () => ExAllocateFromLookasideListEx(Lookaside),
        give: (entry: number) => ExFreeToLookasideListEx(Lookaside, entry),
        destroy: () => ex.ExDeleteLookasideListEx(Lookaside),
      }
    },
  },
]

for (const { kind, paged, make } of KINDS) {
  describe(`a ${kind}`, () => {
    test(`ExInitialize${kind} takes no entries in advance`, () => {
      make()
      expect(bytesOf('Look')).toBe(0)
    })

    test(`ExAllocateFrom${kind} makes an entry of the list's size, tag and type`, () => {
      const entry = make().take()
      expect([bytesOf('Look'), isPaged(entry)]).toEqual([40, paged])
    })

    test(`ExFreeTo${kind} keeps the entry, and the next allocation takes it as it was left`, () => {
      const list = make()
      const entry = list.take()
      mem.u8.fill(0x55, entry, entry + 40)
      list.give(entry)
      expect(list.take()).toBe(entry)
      expect(mem.u8[entry + 39]).toBe(0x55)
      expect([list.L.TotalAllocates.load(), list.L.AllocateMisses.load()]).toEqual([2, 1])
    })

    test(`ExFreeTo${kind} frees what is more than the list keeps`, () => {
      const list = make()
      const entries = Array.from({ length: 300 }, () => list.take())
      for (const entry of entries) list.give(entry)
      expect(bytesOf('Look')).toBe(40 * list.L.Depth)
      expect(list.L.FreeMisses.load()).toBe(300 - list.L.Depth)
    })

    test(`ExDelete${kind} frees what the list keeps`, () => {
      const list = make()
      const entries = Array.from({ length: 10 }, () => list.take())
      for (const entry of entries) list.give(entry)
      list.destroy()
      expect(bytesOf('Look')).toBe(0)
    })

    test(`ExAllocateFrom${kind} returns NULL when there is no memory`, () => {
      const list = make()
      poolFault.shouldFail = () => true
      expect(list.take()).toBe(0)
    })
  })
}

test("ExAllocateFromNPagedLookasideList calls the driver's routine only when the list is empty", () => {
  const calls: unknown[][] = []
  const Lookaside = lookaside(plain.NPAGED_LOOKASIDE_LIST)
  plain.ExInitializeNPagedLookasideList({
    ...common,
    Lookaside,
    Flags: NonPagedPoolNx,
    Allocate(...parameters) {
      calls.push(parameters)
      return ExAllocatePoolWithTag(...parameters)
    },
    Free(...parameters) {
      calls.push(parameters)
      ExFreePool(parameters[0])
    },
  })
  const entry = plain.ExAllocateFromNPagedLookasideList(Lookaside)
  plain.ExFreeToNPagedLookasideList(Lookaside, entry)
  expect(plain.ExAllocateFromNPagedLookasideList(Lookaside)).toBe(entry)
  plain.ExFreeToNPagedLookasideList(Lookaside, { address: entry })
  plain.ExDeleteNPagedLookasideList(Lookaside)
  expect(calls).toEqual([[NonPagedPoolNx, 40, tagOf('Look')], [entry]])
})

test('ExFlushLookasideListEx gives each kept entry to the routine with the list, which stays in use', () => {
  const Lookaside = lookaside(LOOKASIDE_LIST_EX)
  const freed: [number, number][] = []
  ExInitializeLookasideListEx({
    ...common,
    Lookaside,
    PoolType: PagedPool,
    Flags: ex.EX_LOOKASIDE_LIST_EX_FLAGS_RAISE_ON_FAIL,
    Allocate: (PoolType, NumberOfBytes, Tag, list) => {
      expect([PoolType, list.address]).toEqual([PagedPool | 16, Lookaside.address]) // POOL_RAISE_IF_ALLOCATION_FAILURE
      return ExAllocatePoolWithTag(PoolType, NumberOfBytes, Tag)
    },
    Free: (Buffer, list) => {
      freed.push([Buffer, list.address])
      ExFreePool(Buffer)
    },
  })
  const entries = [0, 1, 2].map(() => ExAllocateFromLookasideListEx(Lookaside))
  for (const entry of entries) ExFreeToLookasideListEx(Lookaside, entry)
  ex.ExFlushLookasideListEx(Lookaside)
  expect(freed.map(([entry]) => entry).sort(ascending)).toEqual(entries.sort(ascending))
  expect(new Set(freed.map(([, list]) => list))).toEqual(new Set([Lookaside.address]))
  expect(ExAllocateFromLookasideListEx(Lookaside)).not.toBe(0)
  expect(poolBytesInUse()).toBe(LOOKASIDE_LIST_EX.size + 40)
})

test('ExInitializeLookasideListEx returns STATUS_INVALID_PARAMETER_5 for flags that do not go together', () => {
  const Lookaside = lookaside(LOOKASIDE_LIST_EX)
  const of = (Flags: number, Allocate: ex.ALLOCATE_FUNCTION_EX | null): number =>
    ExInitializeLookasideListEx({ ...common, Lookaside, PoolType: PagedPool, Flags, Allocate })
  const invalid = 0xc00000f3 | 0
  expect([of(3, () => 0), of(4, () => 0), of(2, null)]).toEqual([invalid, invalid, invalid])
  expect([of(0, null), of(1, null), of(2, () => 0)]).toEqual([0, 0, 0])
})
