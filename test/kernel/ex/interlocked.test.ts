import { expect, test } from 'vitest'
import {
  field,
  InterlockedAdd,
  InterlockedAdd64,
  InterlockedAnd,
  InterlockedCompareExchange,
  InterlockedCompareExchange64,
  InterlockedDecrement,
  InterlockedDecrement64,
  InterlockedExchange,
  InterlockedExchange64,
  InterlockedExchangeAdd,
  InterlockedExchangeAdd64,
  InterlockedIncrement,
  InterlockedIncrement64,
  InterlockedOr,
  InterlockedXor,
  type Target,
  type Target64,
} from '../../../kernel/ex/interlocked.ts'
import {
  ExInterlockedAddLargeInteger,
  ExInterlockedAddUlong,
  ExInterlockedInsertHeadList,
  ExInterlockedInsertTailList,
  ExInterlockedPopEntryList,
  ExInterlockedPushEntryList,
  ExInterlockedRemoveHeadList,
} from '../../../kernel/ex/interlockedlist.ts'
import { HIGH_LEVEL, KeGetCurrentIrql, KeLowerIrql, KeRaiseIrql, PASSIVE_LEVEL } from '../../../kernel/ke/level.ts'
import { KSPIN_LOCK } from '../../../kernel/ke/spinlock.ts'
import { InitializeListHead, LIST_ENTRY, SINGLE_LIST_ENTRY } from '../../../kernel/rtl/list.ts'
import { atomic, LONG, LONGLONG, struct, UCHAR, ULONG } from '../../../kernel/rtl/struct.ts'
import { bootOne, make } from './threads.ts'

const EXTENSION = struct('INTERLOCKED_EXTENSION', {
  Small: UCHAR,
  Count: LONG,
  Bytes: ULONG,
  Total: LONGLONG,
  Users: atomic(LONG),
  lock: KSPIN_LOCK,
  head: LIST_ENTRY,
  first: LIST_ENTRY,
  second: LIST_ENTRY,
  stack: SINGLE_LIST_ENTRY,
  one: SINGLE_LIST_ENTRY,
  two: SINGLE_LIST_ENTRY,
})
type EXTENSION = InstanceType<typeof EXTENSION>

async function withExtension(body: (extension: EXTENSION) => void): Promise<void> {
  await using machine = await bootOne()
  await machine.run(() => body(make(EXTENSION)))
}

// What comes back, as wdm.h documents it: the new value for Increment, Decrement and Add, the value before for the rest.
test.each<[string, (target: Target) => number, number, number, number]>([
  ['InterlockedIncrement', (target) => InterlockedIncrement(target), 0x7fffffff, -0x80000000, -0x80000000],
  ['InterlockedDecrement', (target) => InterlockedDecrement(target), 0, -1, -1],
  ['InterlockedAdd', (target) => InterlockedAdd(target, 5), 2, 7, 7],
  ['InterlockedExchangeAdd', (target) => InterlockedExchangeAdd(target, 5), 2, 7, 2],
  ['InterlockedExchange', (target) => InterlockedExchange(target, 9), 2, 9, 2],
  ['InterlockedCompareExchange', (target) => InterlockedCompareExchange(target, 9, 2), 2, 9, 2],
  ['InterlockedCompareExchange', (target) => InterlockedCompareExchange(target, 9, 3), 2, 2, 2],
  ['InterlockedAnd', (target) => InterlockedAnd(target, 6), 3, 2, 3],
  ['InterlockedOr', (target) => InterlockedOr(target, 6), 3, 7, 3],
  ['InterlockedXor', (target) => InterlockedXor(target, 6), 3, 5, 3],
])('%s changes a field and an atomic field', async (_name, operate, before, after, result) => {
  await withExtension((extension) => {
    extension.Count = before
    extension.Users.store(before)
    expect(operate(field(extension, 'Count'))).toBe(result)
    expect(operate(extension.Users)).toBe(result)
    expect([extension.Count, extension.Users.load()]).toEqual([after, after])
  })
})

test.each<[string, (target: Target64) => bigint, bigint, bigint, bigint]>([
  ['InterlockedIncrement64', (target) => InterlockedIncrement64(target), 2n ** 63n - 1n, -(2n ** 63n), -(2n ** 63n)],
  ['InterlockedDecrement64', (target) => InterlockedDecrement64(target), 0n, -1n, -1n],
  ['InterlockedAdd64', (target) => InterlockedAdd64(target, 5n), 2n, 7n, 7n],
  ['InterlockedExchangeAdd64', (target) => InterlockedExchangeAdd64(target, 5n), 2n, 7n, 2n],
  ['InterlockedExchange64', (target) => InterlockedExchange64(target, 9n), 2n, 9n, 2n],
  ['InterlockedCompareExchange64', (target) => InterlockedCompareExchange64(target, 9n, 2n), 2n, 9n, 2n],
  ['InterlockedCompareExchange64', (target) => InterlockedCompareExchange64(target, 9n, 3n), 2n, 2n, 2n],
])('%s changes a 64-bit field', async (_name, operate, before, after, result) => {
  await withExtension((extension) => {
    extension.Total = before
    expect(operate(field(extension, 'Total'))).toBe(result)
    expect(extension.Total).toBe(after)
  })
})

test('field refuses what has not 4 or 8 bytes', async () => {
  await withExtension((extension) => {
    expect(() => field(extension, 'Small')).toThrow(/1 bytes/)
    // @ts-expect-error a list entry is no number
    expect(() => field(extension, 'lock')).not.toThrow()
    // @ts-expect-error a 64-bit field is no 32-bit one
    const wrong: Target = field(extension, 'Total')
    expect(wrong).toBeDefined()
  })
})

test('ExInterlockedInsertHeadList and ExInterlockedRemoveHeadList work at HIGH_LEVEL', async () => {
  await withExtension(({ head, first, second, lock }) => {
    InitializeListHead(head)
    KeRaiseIrql(HIGH_LEVEL, { value: 0 })
    expect(ExInterlockedInsertHeadList(head, first, lock)).toBeNull()
    expect(ExInterlockedInsertHeadList(head, second, lock)?.address).toBe(first.address)
    expect(ExInterlockedRemoveHeadList(head, lock)?.address).toBe(second.address)
    expect(KeGetCurrentIrql()).toBe(HIGH_LEVEL)
    KeLowerIrql(PASSIVE_LEVEL)
  })
})

test('ExInterlockedInsertTailList returns the member that was last', async () => {
  await withExtension(({ head, first, second, lock }) => {
    InitializeListHead(head)
    expect(ExInterlockedInsertTailList(head, first, lock)).toBeNull()
    expect(ExInterlockedInsertTailList(head, second, lock)?.address).toBe(first.address)
    expect(head.Flink?.address).toBe(first.address)
  })
})

test('ExInterlockedRemoveHeadList returns null for an empty list', async () => {
  await withExtension(({ head, lock }) => {
    InitializeListHead(head)
    expect(ExInterlockedRemoveHeadList(head, lock)).toBeNull()
  })
})

test('ExInterlockedPushEntryList and ExInterlockedPopEntryList work last in, first out', async () => {
  await withExtension(({ stack, one, two, lock }) => {
    expect(ExInterlockedPushEntryList(stack, one, lock)).toBeNull()
    expect(ExInterlockedPushEntryList(stack, two, lock)?.address).toBe(one.address)
    expect(ExInterlockedPopEntryList(stack, lock)?.address).toBe(two.address)
    expect(ExInterlockedPopEntryList(stack, lock)?.address).toBe(one.address)
    expect(ExInterlockedPopEntryList(stack, lock)).toBeNull()
  })
})

test('ExInterlockedPopEntryList returns null for an empty list', async () => {
  await withExtension(({ stack, lock }) => expect(ExInterlockedPopEntryList(stack, lock)).toBeNull())
})

test('ExInterlockedAddUlong returns the value before, and wraps', async () => {
  await withExtension((extension) => {
    extension.Bytes = 0xffffffff
    expect(ExInterlockedAddUlong(field(extension, 'Bytes'), 3, extension.lock)).toBe(0xffffffff)
    expect(extension.Bytes).toBe(2)
  })
})

test('ExInterlockedAddLargeInteger returns the value before', async () => {
  await withExtension((extension) => {
    extension.Total = -5n
    expect(ExInterlockedAddLargeInteger(field(extension, 'Total'), 7n, extension.lock)).toBe(-5n)
    expect(extension.Total).toBe(2n)
  })
})
