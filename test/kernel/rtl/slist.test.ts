import { Worker } from 'node:worker_threads'
import { beforeEach, expect, test } from 'vitest'
import { mem } from '../../../kernel/mm/memory.ts'
import {
  FirstEntrySList,
  InitializeSListHead,
  InterlockedFlushSList,
  InterlockedPopEntrySList,
  InterlockedPushEntrySList,
  PopEntryList,
  PushEntryList,
  QueryDepthSList,
  SINGLE_LIST_ENTRY,
  SLIST_ENTRY,
  SLIST_HEADER,
} from '../../../kernel/rtl/slist.ts'
import { BASE, freshMemory } from './memory.ts'

const head = new SLIST_HEADER(BASE)
const entry = (n: number) => new SLIST_ENTRY(BASE + 16 * n)
let buffer: SharedArrayBuffer

beforeEach(() => {
  buffer = freshMemory()
})

test('PushEntryList puts the entry first', () => {
  const list = new SINGLE_LIST_ENTRY(BASE)
  PushEntryList(list, new SINGLE_LIST_ENTRY(BASE + 4))
  PushEntryList(list, new SINGLE_LIST_ENTRY(BASE + 8))
  expect([list.Next?.address, list.Next?.Next?.address, list.Next?.Next?.Next]).toEqual([BASE + 8, BASE + 4, null])
})

test('PopEntryList takes the first, and gives null when there is none', () => {
  const list = new SINGLE_LIST_ENTRY(BASE)
  PushEntryList(list, new SINGLE_LIST_ENTRY(BASE + 4))
  expect(PopEntryList(list)?.address).toBe(BASE + 4)
  expect(PopEntryList(list)).toBeNull()
})

test('InitializeSListHead makes an empty list', () => {
  mem.u8.fill(0xff, BASE, BASE + 16)
  InitializeSListHead(head)
  expect([FirstEntrySList(head), QueryDepthSList(head), InterlockedPopEntrySList(head)]).toEqual([null, 0, null])
})

test('InterlockedPushEntrySList returns the entry that was first', () => {
  expect(InterlockedPushEntrySList(head, entry(1))).toBeNull()
  expect(InterlockedPushEntrySList(head, entry(2))?.address).toBe(entry(1).address)
})

test('InterlockedPopEntrySList takes the entry that came last', () => {
  for (const n of [1, 2]) InterlockedPushEntrySList(head, entry(n))
  const popped = [1, 2, 3].map(() => InterlockedPopEntrySList(head)?.address)
  expect(popped).toEqual([entry(2).address, entry(1).address, undefined])
})

test('InterlockedFlushSList takes all entries, still linked', () => {
  for (const n of [1, 2]) InterlockedPushEntrySList(head, entry(n))
  const first = InterlockedFlushSList(head)
  expect([first?.address, first?.Next?.address, first?.Next?.Next]).toEqual([entry(2).address, entry(1).address, null])
  expect([QueryDepthSList(head), InterlockedFlushSList(head)]).toEqual([0, null])
})

test('QueryDepthSList counts the entries', () => {
  for (const n of [1, 2, 3]) InterlockedPushEntrySList(head, entry(n))
  InterlockedPopEntrySList(head)
  expect(QueryDepthSList(head)).toBe(2)
})

test('FirstEntrySList leaves the entry in the list', () => {
  InterlockedPushEntrySList(head, entry(1))
  expect([FirstEntrySList(head)?.address, QueryDepthSList(head)]).toEqual([entry(1).address, 1])
})

test('InterlockedPopEntrySList gives no entry to two threads, and loses none', async () => {
  const entries = 8
  for (let n = 1; n <= entries; n++) InterlockedPushEntrySList(head, entry(n))
  const workerData = { buffer, list: BASE, ready: BASE + 0x1000, rounds: 200_000 }
  const ends = [0, 1].map(
    () =>
      new Promise<void>((resolve, reject) => {
        const worker = new Worker(new URL('./slist-worker.ts', import.meta.url), { workerData })
        worker.once('error', reject)
        worker.once('exit', () => resolve())
      }),
  )
  await Promise.all(ends)
  expect(QueryDepthSList(head)).toBe(entries)
  const left = new Set<number>()
  for (let at = InterlockedPopEntrySList(head); at !== null; at = InterlockedPopEntrySList(head)) left.add(at.address)
  expect(left.size).toBe(entries)
})
