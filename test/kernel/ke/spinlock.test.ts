import { describe, expect, test } from 'vitest'
import { KeAreApcsDisabled } from '../../../kernel/ke/apc.ts'
import { APC_LEVEL, DISPATCH_LEVEL, KeGetCurrentIrql, KeLowerIrql, KeRaiseIrql } from '../../../kernel/ke/level.ts'
import {
  EX_SPIN_LOCK,
  ExAcquireSpinLockExclusive,
  ExAcquireSpinLockShared,
  ExReleaseSpinLockExclusive,
  ExReleaseSpinLockShared,
  ExTryConvertSharedSpinLockExclusive,
  KeAcquireSpinLock,
  KeAcquireSpinLockAtDpcLevel,
  KeAcquireSpinLockForDpc,
  KeAcquireSpinLockRaiseToDpc,
  KeAcquireSpinLockRaiseToSynch,
  KeInitializeSpinLock,
  KeReleaseSpinLock,
  KeReleaseSpinLockForDpc,
  KeReleaseSpinLockFromDpcLevel,
  KeTestSpinLock,
  KeTryToAcquireSpinLockAtDpcLevel,
  KSPIN_LOCK,
} from '../../../kernel/ke/spinlock.ts'
import { currentThread } from '../../../kernel/ke/thread.ts'
import { boot } from '../../../machine/index.ts'
import { free } from '../../../kernel/mm/pool.ts'
import { type Build, bugCheckOf, BUILDS, make, onBuild, onChecked } from './facts.ts'

const driver = new URL('./drivers/processors.ts', import.meta.url)

function makeLock(): KSPIN_LOCK {
  const lock = make(KSPIN_LOCK)
  lock.Lock = 7
  KeInitializeSpinLock(lock)
  return lock
}

/** Runs `body` at `irql`, with a fresh lock. */
function withLock<T>(irql: number, body: (lock: KSPIN_LOCK) => T): T {
  const lock = makeLock()
  const old = { value: 0 }
  KeRaiseIrql(irql, old)
  const result = body(lock)
  KeLowerIrql(old.value)
  free(lock.address)
  return result
}

/** Each way to take a lock and give it back: where it is legal, and the level inside. */
const FORMS: [string, (lock: KSPIN_LOCK) => number, (lock: KSPIN_LOCK, old: number) => void, number[], number][] = [
  ['KeAcquireSpinLock', acquireWithBox, KeReleaseSpinLock, [0, 1, 2], 2],
  ['KeAcquireSpinLockRaiseToDpc', KeAcquireSpinLockRaiseToDpc, KeReleaseSpinLock, [0, 1, 2], 2],
  ['KeAcquireSpinLockRaiseToSynch', KeAcquireSpinLockRaiseToSynch, KeReleaseSpinLock, [0, 1, 2, 5, 12], 12],
  ['KeAcquireSpinLockForDpc', KeAcquireSpinLockForDpc, KeReleaseSpinLockForDpc, [0, 2], 2],
]
function acquireWithBox(lock: KSPIN_LOCK): number {
  const old = { value: -1 }
  KeAcquireSpinLock(lock, old)
  return old.value
}
const CASES = FORMS.flatMap(([name, acquire, release, levels, inside]) =>
  levels.map((from) => ({ name, acquire, release, from, inside })),
)

describe.each(BUILDS)('%s build, one processor: spin locks [KMT KeSpinLock]', (build) => {
  test.each(CASES)('$name from IRQL $from gives back $from and runs at $inside', async (form) => {
    const { acquire, release, from, inside } = form
    const seen = await onBuild(build, () =>
      withLock(from, (lock) => {
        const old = acquire(lock)
        const held = KeGetCurrentIrql()
        release(lock, old)
        return { old, held, after: KeGetCurrentIrql(), word: lock.Lock }
      }),
    )
    expect(seen).toEqual({ old: from, held: inside, after: from, word: 0 })
  })

  test.each([2, 3, 15])(
    'KeAcquireSpinLockAtDpcLevel at IRQL %i leaves the level, KeReleaseSpinLockFromDpcLevel too',
    async (irql) => {
      const levels = await onBuild(build, () =>
        withLock(irql, (lock) => {
          KeAcquireSpinLockAtDpcLevel(lock)
          const inside = KeGetCurrentIrql()
          KeReleaseSpinLockFromDpcLevel(lock)
          return [inside, KeGetCurrentIrql(), lock.Lock]
        }),
      )
      expect(levels).toEqual([irql, irql, 0])
    },
  )

  test('KeInitializeSpinLock makes the word 0', async () => {
    expect(await onBuild(build, () => makeLock().Lock)).toBe(0)
  })

  test.each([
    [0, true],
    [1, false],
    [2, false],
    [-1, false],
    [0x80000000, false],
  ])('KeTestSpinLock of the word %i is %s and changes nothing', async (word, expected) => {
    const seen = await onBuild(build, () => {
      const lock = makeLock()
      lock.Lock = word
      return [KeTestSpinLock(lock), lock.Lock === word >>> 0]
    })
    expect(seen).toEqual([expected, true])
  })

  test('KeAcquireSpinLock is no critical region: APCs are not disabled', async () => {
    const disabled = await onBuild(build, () =>
      withLock(0, (lock) => {
        const old = KeAcquireSpinLockRaiseToDpc(lock)
        const is = KeAreApcsDisabled()
        KeReleaseSpinLock(lock, old)
        return is
      }),
    )
    expect(disabled).toBe(false)
  })
})

describe('free build, one processor: raising the IRQL is the lock', () => {
  test.each(FORMS)('%s leaves the word 0', async (_, acquire, release) => {
    const words = await onBuild('free', () =>
      withLock(0, (lock) => {
        const old = acquire(lock)
        const word = lock.Lock
        release(lock, old)
        return [word, lock.Lock]
      }),
    )
    expect(words).toEqual([0, 0])
  })

  test('KeTryToAcquireSpinLockAtDpcLevel is TRUE again and again, and leaves the word 0', async () => {
    const tries = await onBuild('free', () =>
      withLock(DISPATCH_LEVEL, (lock) => [
        KeTryToAcquireSpinLockAtDpcLevel(lock),
        KeTryToAcquireSpinLockAtDpcLevel(lock),
        lock.Lock,
      ]),
    )
    expect(tries).toEqual([true, true, 0])
  })

  test('KeAcquireSpinLock from HIGH_LEVEL saves HIGH_LEVEL and sets DISPATCH_LEVEL', async () => {
    const levels = await onBuild('free', () =>
      withLock(15, (lock) => {
        const old = acquireWithBox(lock)
        const inside = KeGetCurrentIrql()
        KeReleaseSpinLock(lock, old)
        return [old, inside, KeGetCurrentIrql()]
      }),
    )
    expect(levels).toEqual([15, 2, 15])
  })

  test('KeReleaseSpinLockFromDpcLevel behind KeAcquireSpinLock leaves the IRQL raised', async () => {
    const irql = await onBuild('free', () =>
      withLock(0, (lock) => {
        KeAcquireSpinLockRaiseToDpc(lock)
        KeReleaseSpinLockFromDpcLevel(lock)
        return KeGetCurrentIrql()
      }),
    )
    expect(irql).toBe(2)
  })

  test('KeReleaseSpinLock behind KeAcquireSpinLockAtDpcLevel lowers to whatever it is given', async () => {
    const irql = await onBuild('free', () =>
      withLock(DISPATCH_LEVEL, (lock) => {
        KeAcquireSpinLockAtDpcLevel(lock)
        KeReleaseSpinLock(lock, APC_LEVEL)
        return KeGetCurrentIrql()
      }),
    )
    expect(irql).toBe(1)
  })
})

describe('checked build, one processor: the word is the holder, and rules are enforced', () => {
  test.each(FORMS)('%s sets the word to the address of the thread | 1', async (_, acquire, release) => {
    const seen = await onChecked(() =>
      withLock(0, (lock) => {
        const old = acquire(lock)
        const isMark = lock.Lock === (currentThread() | 1)
        const isFree = KeTestSpinLock(lock)
        release(lock, old)
        return [isMark, isFree, lock.Lock]
      }),
    )
    expect(seen).toEqual([true, false, 0])
  })

  test('KeTryToAcquireSpinLockAtDpcLevel is FALSE the second time, and the first holder keeps the lock', async () => {
    const seen = await onChecked(() =>
      withLock(DISPATCH_LEVEL, (lock) => {
        const tries = [KeTryToAcquireSpinLockAtDpcLevel(lock), KeTryToAcquireSpinLockAtDpcLevel(lock)]
        const isMark = lock.Lock === (currentThread() | 1)
        KeReleaseSpinLockFromDpcLevel(lock)
        return [...tries, isMark, KeTryToAcquireSpinLockAtDpcLevel(lock), KeReleaseSpinLockFromDpcLevel(lock)]
      }),
    )
    expect(seen).toEqual([true, false, true, true, undefined])
  })

  test.each<[string, (lock: KSPIN_LOCK) => unknown]>([
    ['KeAcquireSpinLock', acquireWithBox],
    ['KeAcquireSpinLockRaiseToDpc', KeAcquireSpinLockRaiseToDpc],
    ['KeAcquireSpinLockRaiseToSynch', KeAcquireSpinLockRaiseToSynch],
    ['KeAcquireSpinLockAtDpcLevel', KeAcquireSpinLockAtDpcLevel],
    ['KeAcquireSpinLockForDpc', KeAcquireSpinLockForDpc],
  ])('%s of a lock that the caller holds is bug check 0x0F (lock)', async (_, again) => {
    let word = 0
    const error = await bugCheckOf(() => {
      const lock = makeLock()
      word = lock.address
      acquireWithBox(lock)
      again(lock)
    })
    expect([error.code, ...error.parameters]).toEqual([0x0f, word, 0, 0, 0])
  })

  test.each<[string, (lock: KSPIN_LOCK) => void]>([
    ['KeReleaseSpinLock', (lock) => KeReleaseSpinLock(lock, 0)],
    ['KeReleaseSpinLockFromDpcLevel', KeReleaseSpinLockFromDpcLevel],
    ['KeReleaseSpinLockForDpc', (lock) => KeReleaseSpinLockForDpc(lock, 0)],
  ])('%s of a lock that nobody holds is bug check 0x10 (lock)', async (_, release) => {
    let word = 0
    const error = await bugCheckOf(() =>
      withLock(DISPATCH_LEVEL, (lock) => {
        word = lock.address
        release(lock)
      }),
    )
    expect([error.code, ...error.parameters]).toEqual([0x10, word, 0, 0, 0])
  })

  test.each<[string, number, (lock: KSPIN_LOCK) => unknown, number]>([
    ['KeAcquireSpinLock above DISPATCH_LEVEL is 0x0A', 3, acquireWithBox, 0x0a],
    ['KeAcquireSpinLockRaiseToDpc above DISPATCH_LEVEL is 0x0A', 3, KeAcquireSpinLockRaiseToDpc, 0x0a],
    ['KeAcquireSpinLockRaiseToSynch above SYNCH_LEVEL is 0x0A', 13, KeAcquireSpinLockRaiseToSynch, 0x0a],
    ['KeAcquireSpinLockForDpc above DISPATCH_LEVEL is 0x0A', 3, KeAcquireSpinLockForDpc, 0x0a],
    ['KeAcquireSpinLockAtDpcLevel below DISPATCH_LEVEL is 0x08', 1, KeAcquireSpinLockAtDpcLevel, 0x08],
    ['KeTryToAcquireSpinLockAtDpcLevel below DISPATCH_LEVEL is 0x08', 1, KeTryToAcquireSpinLockAtDpcLevel, 0x08],
    ['KeReleaseSpinLock below DISPATCH_LEVEL is 0x08', 1, (lock) => KeReleaseSpinLock(lock, 0), 0x08],
    ['KeReleaseSpinLockFromDpcLevel below DISPATCH_LEVEL is 0x08', 1, KeReleaseSpinLockFromDpcLevel, 0x08],
  ])('%s', async (_, irql, body, code) => {
    expect((await bugCheckOf(() => withLock(irql, body))).code).toBe(code)
  })
})

describe.each(BUILDS)('%s build: reader/writer spin locks', (build) => {
  const EXCLUSIVE = 0x80000000 | 0

  test.each([
    ['ExAcquireSpinLockExclusive', ExAcquireSpinLockExclusive, ExReleaseSpinLockExclusive, EXCLUSIVE],
    ['ExAcquireSpinLockShared', ExAcquireSpinLockShared, ExReleaseSpinLockShared, 1],
  ] as const)('%s raises to DISPATCH_LEVEL and gives back the level before', async (_, acquire, release, held) => {
    const seen = await onBuild(build, () => {
      const lock = make(EX_SPIN_LOCK)
      return [0, 1, 2].map((from) => {
        const old = { value: 0 }
        KeRaiseIrql(from, old)
        const before = acquire(lock)
        const inside = [before, KeGetCurrentIrql(), lock.Lock]
        release(lock, before)
        const after = KeGetCurrentIrql()
        KeLowerIrql(old.value)
        return [...inside, after, lock.Lock]
      })
    })
    expect(seen).toEqual([0, 1, 2].map((from) => [from, 2, held, from, 0]))
  })

  test('ExReleaseSpinLockShared takes back one of several shared holds', async () => {
    const counts = await onBuild(build, () => {
      const lock = make(EX_SPIN_LOCK)
      const old = ExAcquireSpinLockShared(lock)
      ExAcquireSpinLockShared(lock)
      const two = lock.Lock
      ExReleaseSpinLockShared(lock, DISPATCH_LEVEL)
      const one = lock.Lock
      ExReleaseSpinLockShared(lock, old)
      return [two, one, lock.Lock]
    })
    expect(counts).toEqual([2, 1, 0])
  })

  test('ExTryConvertSharedSpinLockExclusive is TRUE for the only reader, who then releases exclusively', async () => {
    const seen = await onBuild(build, () => {
      const lock = make(EX_SPIN_LOCK)
      const old = ExAcquireSpinLockShared(lock)
      const converted = ExTryConvertSharedSpinLockExclusive(lock)
      const word = lock.Lock
      ExReleaseSpinLockExclusive(lock, old)
      return [converted, word, lock.Lock, KeGetCurrentIrql()]
    })
    expect(seen).toEqual([true, EXCLUSIVE, 0, 0])
  })

  test('ExTryConvertSharedSpinLockExclusive is FALSE where another reader holds the lock, and changes nothing', async () => {
    const seen = await onBuild(build, () => {
      const lock = make(EX_SPIN_LOCK)
      const old = ExAcquireSpinLockShared(lock)
      ExAcquireSpinLockShared(lock)
      const converted = ExTryConvertSharedSpinLockExclusive(lock)
      const word = lock.Lock
      ExReleaseSpinLockShared(lock, DISPATCH_LEVEL)
      ExReleaseSpinLockShared(lock, old)
      return [converted, word]
    })
    expect(seen).toEqual([false, 2])
  })
})

describe('checked build: broken rules of reader/writer spin locks', () => {
  const word = (): EX_SPIN_LOCK => make(EX_SPIN_LOCK)
  test.each<[string, () => unknown, number]>([
    [
      'ExAcquireSpinLockExclusive twice is 0x0F',
      () => twice(ExAcquireSpinLockExclusive, ExAcquireSpinLockExclusive),
      0x0f,
    ],
    [
      'ExAcquireSpinLockExclusive by a reader is 0x0F',
      () => twice(ExAcquireSpinLockShared, ExAcquireSpinLockExclusive),
      0x0f,
    ],
    [
      'ExAcquireSpinLockShared by the writer is 0x0F',
      () => twice(ExAcquireSpinLockExclusive, ExAcquireSpinLockShared),
      0x0f,
    ],
    ['ExReleaseSpinLockExclusive of a reader is 0x10', () => twice(ExAcquireSpinLockShared, exclusiveRelease), 0x10],
    ['ExReleaseSpinLockShared of the writer is 0x10', () => twice(ExAcquireSpinLockExclusive, sharedRelease), 0x10],
    ['ExReleaseSpinLockShared of a free lock is 0x10', () => twice(raiseOnly, sharedRelease), 0x10],
    [
      'ExTryConvertSharedSpinLockExclusive below DISPATCH_LEVEL is 0x08',
      () => ExTryConvertSharedSpinLockExclusive(word()),
      0x08,
    ],
    ['ExReleaseSpinLockShared below DISPATCH_LEVEL is 0x08', () => ExReleaseSpinLockShared(word(), 0), 0x08],
    ['ExReleaseSpinLockExclusive below DISPATCH_LEVEL is 0x08', () => ExReleaseSpinLockExclusive(word(), 0), 0x08],
  ])('%s', async (_, body, code) => {
    expect((await bugCheckOf(body)).code).toBe(code)
  })

  const exclusiveRelease = (lock: EX_SPIN_LOCK): void => ExReleaseSpinLockExclusive(lock, 0)
  const sharedRelease = (lock: EX_SPIN_LOCK): void => ExReleaseSpinLockShared(lock, 0)
  const raiseOnly = (): void => KeRaiseIrql(2, { value: 0 })
  function twice(first: (lock: EX_SPIN_LOCK) => unknown, second: (lock: EX_SPIN_LOCK) => unknown): void {
    const lock = word()
    first(lock)
    second(lock)
  }
})

describe.each<[Build, string]>([
  ['free', '1'],
  ['checked', 'the thread | 1'],
])('%s build, two processors', (build, mark) => {
  test(`KeAcquireSpinLock sets the word to ${mark}, and a second try is FALSE`, async () => {
    await using machine = await boot({ processors: 2, build })
    expect(await machine.run(driver, 'tryTwice')).toEqual({
      tries: [true, false],
      isMark: true,
      isOne: build === 'free',
      after: 0,
    })
  })

  test.each([
    ['KeAcquireSpinLock', 'spinHammer'],
    ['KeAcquireSpinLockAtDpcLevel', 'atDpcLevelHammer'],
    ['KeTryToAcquireSpinLockAtDpcLevel', 'tryHammer'],
    ['ExAcquireSpinLockExclusive', 'exclusiveHammer'],
    ['ExAcquireSpinLockShared', 'sharedHammer'],
  ])('%s keeps two processors apart', async (_, routine) => {
    await using machine = await boot({ processors: 2, build })
    const shared = (await machine.run(driver, 'makeShared')) as number
    const runs = [0, 1].map((processor) => machine.run(driver, routine, shared, processor))
    const writes = (await Promise.all(runs)) as number[]
    const count = (writes[0] as number) + (writes[1] as number)
    expect(await machine.run(driver, 'verdict', shared)).toEqual({ count, mirror: count, torn: 0, words: [0, 0] })
  })
})
