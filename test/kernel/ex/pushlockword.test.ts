/** The word of a push lock, step by step: who is woken, who overtakes, who waits for ever (wdm-facts §3.1 to §3.3). */
import { expect, test } from 'vitest'
import {
  EX_PUSH_LOCK,
  ExAcquirePushLockExclusive,
  ExAcquirePushLockShared,
  ExfReleasePushLock,
  ExInitializePushLock,
  ExReleasePushLockExclusive,
  ExReleasePushLockShared,
  ExTryAcquirePushLockExclusive,
  ExTryAcquirePushLockShared,
  ExTryConvertPushLockSharedToExclusive,
} from '../../../kernel/ex/pushlock.ts'
import { enterCriticalRegion, leaveCriticalRegion } from '../../../kernel/ke/apc.ts'
import { allocate, isPaged, PAGED, poolUsage } from '../../../kernel/mm/pool.ts'
import { bootOne, settle, spawn } from './threads.ts'

const LOCK = 0x1
const WAITING = 0x2
const MULTIPLE_SHARED = 0x8
const FLAGS = 0xf

/** A lock, and threads that ask for it: each notes when it is in, and leaves by `leave` or at once. */
class Scene {
  readonly lock = new EX_PUSH_LOCK(allocate(EX_PUSH_LOCK.size, 'Lock', PAGED))
  readonly order: string[] = []
  readonly #joins: (() => Promise<void>)[] = []

  constructor() {
    ExInitializePushLock(this.lock)
  }

  get flags(): number {
    return this.lock.Value & FLAGS
  }

  get newest(): number {
    return this.lock.Value & ~FLAGS
  }

  /** A thread that asks for the lock, `X` or `S`, and runs until it waits, or has been in. */
  async ask(name: string, mode: 'X' | 'S', whileIn: () => unknown = settle): Promise<void> {
    const join = await spawn(async () => {
      enterCriticalRegion()
      await (mode === 'X' ? ExAcquirePushLockExclusive(this.lock) : ExAcquirePushLockShared(this.lock))
      this.order.push(name)
      await whileIn()
      ExfReleasePushLock(this.lock)
      leaveCriticalRegion()
    })
    this.#joins.push(join)
  }

  async end(): Promise<void> {
    for (const join of this.#joins) await join()
    if (this.lock.Value !== 0) throw new Error(`the lock is not free at the end: 0x${this.lock.Value.toString(16)}`)
  }
}

/** Runs `body` in a critical region, and expects that the lock is free at its end. */
async function onScene(body: (scene: Scene) => Promise<void>): Promise<void> {
  await using machine = await bootOne()
  await machine.run(async () => {
    const scene = new Scene()
    enterCriticalRegion()
    await body(scene)
    await scene.end()
    leaveCriticalRegion()
  })
}

test('EX_PUSH_LOCK is one word, and lies in paged pool as well', async () => {
  expect(EX_PUSH_LOCK.size).toBe(4)
  await onScene(async (scene) => {
    expect(isPaged(scene.lock.address)).toBe(true)
    await ExAcquirePushLockExclusive(scene.lock)
    await scene.ask('S', 'S')
    ExReleasePushLockExclusive(scene.lock)
  })
})

test('ExAcquirePushLockExclusive and ExAcquirePushLockShared of a free lock allocate nothing', async () => {
  await onScene(async ({ lock }) => {
    const allocations = (): number => poolUsage().reduce((sum, row) => sum + row.allocations, 0)
    const before = allocations()
    await ExAcquirePushLockExclusive(lock)
    ExReleasePushLockExclusive(lock)
    await ExAcquirePushLockShared(lock)
    await ExAcquirePushLockShared(lock)
    ExReleasePushLockShared(lock)
    ExReleasePushLockShared(lock)
    expect(allocations()).toBe(before)
  })
})

test('ExAcquirePushLockExclusive puts the newest waiter into the word, and leaves WAKING clear behind it', async () => {
  await onScene(async (scene) => {
    await ExAcquirePushLockExclusive(scene.lock)
    const seen: number[] = []
    for (const name of ['a', 'b', 'c']) {
      await scene.ask(name, 'X')
      expect(scene.flags).toBe(LOCK | WAITING)
      seen.push(scene.newest)
    }
    expect(new Set(seen).size).toBe(3)
    expect(seen).not.toContain(0)
    ExReleasePushLockExclusive(scene.lock)
  })
})

// Recursion hangs: nobody knows the owner. Each lasts until another thread gives the first hold back.
test.each([
  ['ExAcquirePushLockExclusive', 'ExAcquirePushLockExclusive', ExAcquirePushLockExclusive, ExAcquirePushLockExclusive],
  ['ExAcquirePushLockExclusive', 'ExAcquirePushLockShared', ExAcquirePushLockShared, ExAcquirePushLockExclusive],
  ['ExAcquirePushLockShared', 'ExAcquirePushLockExclusive', ExAcquirePushLockExclusive, ExAcquirePushLockShared],
] as const)('%s by a thread that holds the lock by %s waits for ever', async (_again, _first, first, again) => {
  await onScene(async ({ lock }) => {
    let hasTwo = false
    const join = await spawn(async () => {
      enterCriticalRegion()
      await first(lock)
      await again(lock)
      hasTwo = true
      ExfReleasePushLock(lock)
      leaveCriticalRegion()
    })
    for (let wait = 0; wait < 10; wait++) await settle()
    expect([hasTwo, lock.Value & FLAGS]).toEqual([false, LOCK | WAITING])
    ExfReleasePushLock(lock)
    await join()
    expect(hasTwo).toBe(true)
  })
})

test('ExAcquirePushLockShared by a thread that has a share waits for ever once an exclusive request waits', async () => {
  await onScene(async (scene) => {
    const { lock } = scene
    let shares = 0
    const join = await spawn(async () => {
      enterCriticalRegion()
      await ExAcquirePushLockShared(lock)
      shares += 1
      await settle()
      await ExAcquirePushLockShared(lock)
      shares += 1
      ExReleasePushLockShared(lock)
      leaveCriticalRegion()
    })
    await scene.ask('X', 'X')
    for (let wait = 0; wait < 10; wait++) await settle()
    expect([shares, scene.order, scene.flags]).toEqual([1, [], LOCK | WAITING])
    ExReleasePushLockShared(lock)
    await join()
    expect(shares).toBe(2)
  })
})

test('ExReleasePushLockExclusive wakes the oldest exclusive waiter alone while others wait; the last one leaves 0', async () => {
  await onScene(async (scene) => {
    await ExAcquirePushLockExclusive(scene.lock)
    const words: number[] = []
    const leave = (): void => void words.push(scene.flags)
    for (const name of ['a', 'b', 'c']) await scene.ask(name, 'X', leave)
    const { newest } = scene
    ExReleasePushLockExclusive(scene.lock)
    expect([scene.flags, scene.newest]).toEqual([WAITING, newest])
    await settle()
    // The single one that is left finds a free word; nobody waits then.
    expect(scene.order).toEqual(['a', 'b', 'c'])
    expect(words).toEqual([LOCK | WAITING, LOCK | WAITING, LOCK])
  })
})

test('ExReleasePushLockExclusive wakes all where the oldest is shared, and the losers queue again', async () => {
  await onScene(async (scene) => {
    await ExAcquirePushLockExclusive(scene.lock)
    for (const [name, mode] of [
      ['first reader', 'S'],
      ['writer', 'X'],
      ['second reader', 'S'],
    ] as const)
      await scene.ask(name, mode)
    ExReleasePushLockExclusive(scene.lock)
    expect(scene.lock.Value).toBe(0)
    for (let wait = 0; wait < 10; wait++) await settle()
    expect(scene.order.toSorted()).toEqual(['first reader', 'second reader', 'writer'])
  })
})

test('ExReleasePushLockExclusive wakes a single exclusive waiter with the word at 0', async () => {
  await onScene(async (scene) => {
    await ExAcquirePushLockExclusive(scene.lock)
    await scene.ask('a', 'X')
    ExReleasePushLockExclusive(scene.lock)
    expect(scene.lock.Value).toBe(0)
  })
})

test('ExAcquirePushLockExclusive overtakes a waiter that was woken, who queues again', async () => {
  await onScene(async (scene) => {
    await ExAcquirePushLockExclusive(scene.lock)
    await scene.ask('waiter', 'X')
    ExReleasePushLockExclusive(scene.lock)
    expect(ExAcquirePushLockExclusive(scene.lock)).toBeUndefined()
    await settle()
    expect([scene.order, scene.flags]).toEqual([[], LOCK | WAITING])
    ExReleasePushLockExclusive(scene.lock)
    await settle()
    expect(scene.order).toEqual(['waiter'])
  })
})

test('ExTryAcquirePushLockExclusive takes a lock that is free with waiters in its word, and leaves them there', async () => {
  await onScene(async (scene) => {
    await ExAcquirePushLockExclusive(scene.lock)
    for (const name of ['a', 'b']) await scene.ask(name, 'X')
    const { newest } = scene
    ExReleasePushLockExclusive(scene.lock)
    expect(ExTryAcquirePushLockExclusive(scene.lock)).toBe(true)
    expect(scene.lock.Value).toBe(newest | LOCK | WAITING)
    expect(ExTryAcquirePushLockExclusive(scene.lock)).toBe(false)
    ExReleasePushLockExclusive(scene.lock)
  })
})

test('ExAcquirePushLockShared of a lock that is free with waiters in its word sets LOCK and counts no share', async () => {
  await onScene(async (scene) => {
    await ExAcquirePushLockExclusive(scene.lock)
    for (const name of ['a', 'b']) await scene.ask(name, 'X')
    const { newest } = scene
    ExReleasePushLockExclusive(scene.lock)
    expect(ExAcquirePushLockShared(scene.lock)).toBeUndefined()
    expect(scene.lock.Value).toBe(newest | LOCK | WAITING)
    expect(ExTryAcquirePushLockShared(scene.lock)).toBe(false)
    ExReleasePushLockShared(scene.lock)
  })
})

test('ExReleasePushLockShared of one of several holders wakes nobody, and changes nothing in the word', async () => {
  await onScene(async (scene) => {
    for (let holder = 0; holder < 3; holder++) await ExAcquirePushLockShared(scene.lock)
    await scene.ask('writer', 'X')
    await scene.ask('reader', 'S')
    const word = scene.lock.Value
    expect(word & FLAGS).toBe(LOCK | WAITING | MULTIPLE_SHARED)
    for (let left = 3; left > 1; left--) {
      ExReleasePushLockShared(scene.lock)
      expect(scene.lock.Value).toBe(word)
    }
    await settle()
    expect(scene.order).toEqual([])
    ExReleasePushLockShared(scene.lock)
    await settle()
    expect(scene.order[0]).toBe('writer')
  })
})

test('ExTryConvertPushLockSharedToExclusive wants the word 0x11: no waiter, and a share', async () => {
  await onScene(async (scene) => {
    expect(ExTryConvertPushLockSharedToExclusive(scene.lock)).toBe(false)
    await ExAcquirePushLockExclusive(scene.lock)
    expect(ExTryConvertPushLockSharedToExclusive(scene.lock)).toBe(false)
    ExReleasePushLockExclusive(scene.lock)
    await ExAcquirePushLockShared(scene.lock)
    await scene.ask('writer', 'X')
    expect(ExTryConvertPushLockSharedToExclusive(scene.lock)).toBe(false)
    ExReleasePushLockShared(scene.lock)
  })
})
