import { expect, test } from 'vitest'
import {
  ERESOURCE,
  ExAcquireResourceExclusiveLite,
  ExAcquireResourceSharedLite,
  ExAcquireSharedStarveExclusive,
  ExAcquireSharedWaitForExclusive,
  ExConvertExclusiveToSharedLite,
  ExDeleteResourceLite,
  ExEnterCriticalRegionAndAcquireResourceExclusive,
  ExEnterCriticalRegionAndAcquireResourceShared,
  ExEnterCriticalRegionAndAcquireSharedWaitForExclusive,
  ExInitializeResourceLite,
  ExReinitializeResourceLite,
  ExReleaseResourceAndLeaveCriticalRegion,
  ExReleaseResourceForThreadLite,
  ExReleaseResourceLite,
  ExTryToAcquireResourceExclusiveLite,
} from '../../../kernel/ex/resource.ts'
import {
  ExGetCurrentResourceThread,
  ExGetExclusiveWaiterCount,
  ExGetSharedWaiterCount,
  ExIsResourceAcquiredExclusiveLite,
  ExIsResourceAcquiredLite,
  ExIsResourceAcquiredSharedLite,
  ExSetResourceOwnerPointer,
  ExSetResourceOwnerPointerEx,
  FLAG_OWNER_POINTER_IS_THREAD,
} from '../../../kernel/ex/resource-queries.ts'
import { enterCriticalRegion, KeAreApcsDisabled, leaveCriticalRegion } from '../../../kernel/ke/apc.ts'
import { initializeEvent, NotificationEvent, setEvent } from '../../../kernel/ke/event.ts'
import { KEVENT, KTHREAD } from '../../../kernel/ke/layouts.ts'
import { KeLowerIrql, KeRaiseIrqlToDpcLevel } from '../../../kernel/ke/level.ts'
import { currentThread } from '../../../kernel/ke/thread.ts'
import { waitForObject } from '../../../kernel/ke/wait.ts'
import { write8 } from '../../../kernel/mm/access.ts'
import { poolUsage } from '../../../kernel/mm/pool.ts'
import { bootOne, make, settle, spawn } from './threads.ts'

type Acquire = (resource: ERESOURCE, wait: boolean) => boolean | Promise<boolean>

async function withResource(
  body: (resource: ERESOURCE) => unknown,
  build: 'checked' | 'free' = 'checked',
): Promise<void> {
  await using machine = await bootOne(build)
  await machine.run(async () => {
    const resource = make(ERESOURCE)
    expect(ExInitializeResourceLite(resource)).toBe(0)
    enterCriticalRegion()
    await body(resource)
    leaveCriticalRegion()
    expect(ExDeleteResourceLite(resource)).toBe(0)
    const table = poolUsage().find(({ tag }) => tag === 'ExRt')
    expect(table?.bytes ?? 0).toBe(0)
  })
}

/** A thread that takes the resource and keeps it until it is told to let go. */
async function holder(
  resource: ERESOURCE,
  acquire: Acquire,
): Promise<{ owns: () => boolean; letGo: () => Promise<void> }> {
  const go = make(KEVENT)
  initializeEvent(go.address, NotificationEvent, false)
  let owns = false
  const join = await spawn(async () => {
    enterCriticalRegion()
    await acquire(resource, true)
    owns = true
    await waitForObject(go.address)
    owns = false
    ExReleaseResourceLite(resource)
    leaveCriticalRegion()
  })
  return {
    owns: () => owns,
    async letGo() {
      setEvent(go.address)
      await join()
      await settle()
    },
  }
}

const REQUESTS: Record<string, Acquire> = {
  ExAcquireResourceExclusiveLite,
  ExAcquireResourceSharedLite,
  ExAcquireSharedStarveExclusive,
  ExAcquireSharedWaitForExclusive,
}

/** The columns of the table: who holds the resource, and whether an exclusive request waits. */
const STATES = {
  free: {},
  mineExclusive: { mine: ExAcquireResourceExclusiveLite },
  mineShared: { mine: ExAcquireResourceSharedLite },
  mineSharedWriter: { mine: ExAcquireResourceSharedLite, writer: true },
  othersShare: { other: ExAcquireResourceSharedLite },
  othersShareWriter: { other: ExAcquireResourceSharedLite, writer: true },
  otherExclusive: { other: ExAcquireResourceExclusiveLite },
} satisfies Record<string, { mine?: Acquire; other?: Acquire; writer?: boolean }>

// Facts §11.3 [KMT ExResource], measured with Wait FALSE; both builds agree. T granted, F refused.
const TABLE: Record<string, string> = {
  ExAcquireResourceExclusiveLite: 'TTFFFFF',
  ExAcquireResourceSharedLite: 'TTTTTFF',
  ExAcquireSharedStarveExclusive: 'TTTTTTF',
  ExAcquireSharedWaitForExclusive: 'TTTFTFF',
}

const cells = Object.entries(TABLE).flatMap(([request, row]) =>
  Object.keys(STATES).map((state, column) => ({ request, state, granted: row[column] === 'T' })),
)

test.each(cells)(
  '$request with Wait FALSE of a resource in state $state: $granted',
  async ({ request, state, granted }) => {
    await withResource(async (resource) => {
      const { mine, other, writer } = STATES[state as keyof typeof STATES] as {
        mine?: Acquire
        other?: Acquire
        writer?: boolean
      }
      if (mine !== undefined) await mine(resource, true)
      const held = other === undefined ? null : await holder(resource, other)
      const waits = writer === true ? await holder(resource, ExAcquireResourceExclusiveLite) : null
      expect(ExGetExclusiveWaiterCount(resource)).toBe(writer === true ? 1 : 0)
      const before = ExIsResourceAcquiredSharedLite(resource)
      expect((REQUESTS[request] as Acquire)(resource, false)).toBe(granted)
      expect(ExIsResourceAcquiredSharedLite(resource)).toBe(before + (granted ? 1 : 0))
      for (let left = before + (granted ? 1 : 0); left > 0; left--) ExReleaseResourceLite(resource)
      await held?.letGo()
      await waits?.letGo()
      expect(resource.ActiveCount).toBe(0)
    })
  },
)

test('ExTryToAcquireResourceExclusiveLite takes a free resource and one that the thread owns, no other', async () => {
  await withResource(async (resource) => {
    expect(ExTryToAcquireResourceExclusiveLite(resource)).toBe(true)
    expect(ExTryToAcquireResourceExclusiveLite(resource)).toBe(true)
    expect(ExIsResourceAcquiredSharedLite(resource)).toBe(2)
    ExReleaseResourceLite(resource)
    ExReleaseResourceLite(resource)
    const other = await holder(resource, ExAcquireResourceSharedLite)
    expect(ExTryToAcquireResourceExclusiveLite(resource)).toBe(false)
    await other.letGo()
  })
})

test('ExIsResourceAcquiredSharedLite counts the recursion of exclusive and shared owners alike', async () => {
  await withResource(async (resource) => {
    expect([ExIsResourceAcquiredSharedLite(resource), ExIsResourceAcquiredExclusiveLite(resource)]).toEqual([0, false])
    await ExAcquireResourceExclusiveLite(resource, true)
    await ExAcquireResourceSharedLite(resource, true)
    expect([ExIsResourceAcquiredSharedLite(resource), ExIsResourceAcquiredExclusiveLite(resource)]).toEqual([2, true])
    ExReleaseResourceLite(resource)
    expect(ExIsResourceAcquiredExclusiveLite(resource)).toBe(true)
    ExReleaseResourceLite(resource)
    await ExAcquireResourceSharedLite(resource, true)
    expect([ExIsResourceAcquiredSharedLite(resource), ExIsResourceAcquiredExclusiveLite(resource)]).toEqual([1, false])
    ExReleaseResourceLite(resource)
  })
})

test('ExIsResourceAcquiredExclusiveLite is FALSE in a thread that does not own the resource', async () => {
  await withResource(async (resource) => {
    const other = await holder(resource, ExAcquireResourceExclusiveLite)
    expect([ExIsResourceAcquiredExclusiveLite(resource), ExIsResourceAcquiredLite(resource)]).toEqual([false, 0])
    await other.letGo()
  })
})

test('ExIsResourceAcquiredLite is ExIsResourceAcquiredSharedLite', async () => {
  await withResource(async (resource) => {
    await ExAcquireResourceSharedLite(resource, true)
    expect(ExIsResourceAcquiredLite(resource)).toBe(1)
    ExReleaseResourceLite(resource)
  })
})

// Facts §11.3, measured: S held, X waits, S2 waits; S goes: X owns; X goes: S2 owns.
test('ExReleaseResourceLite by the last sharer lets one exclusive waiter in, even if sharers wait', async () => {
  await withResource(async (resource) => {
    const s = await holder(resource, ExAcquireResourceSharedLite)
    const x = await holder(resource, ExAcquireResourceExclusiveLite)
    const s2 = await holder(resource, ExAcquireResourceSharedLite)
    expect([ExGetExclusiveWaiterCount(resource), ExGetSharedWaiterCount(resource)]).toEqual([1, 1])
    await s.letGo()
    expect([x.owns(), s2.owns()]).toEqual([true, false])
    await x.letGo()
    expect(s2.owns()).toBe(true)
    await s2.letGo()
  })
})

test('ExReleaseResourceLite by an exclusive owner lets all waiting sharers in before an exclusive waiter', async () => {
  await withResource(async (resource) => {
    await ExAcquireResourceExclusiveLite(resource, true)
    const x = await holder(resource, ExAcquireResourceExclusiveLite)
    const sharers = [
      await holder(resource, ExAcquireResourceSharedLite),
      await holder(resource, ExAcquireResourceSharedLite),
      await holder(resource, ExAcquireSharedWaitForExclusive),
    ]
    expect([ExGetExclusiveWaiterCount(resource), ExGetSharedWaiterCount(resource)]).toEqual([1, 3])
    ExReleaseResourceLite(resource)
    await settle()
    expect([x.owns(), ...sharers.map((one) => one.owns())]).toEqual([false, true, true, true])
    expect([ExGetExclusiveWaiterCount(resource), ExGetSharedWaiterCount(resource)]).toEqual([1, 0])
    for (const one of sharers) await one.letGo()
    expect(x.owns()).toBe(true)
    await x.letGo()
  })
})

test('ExGetExclusiveWaiterCount and ExGetSharedWaiterCount go down as waiters are let in', async () => {
  await withResource(async (resource) => {
    await ExAcquireResourceExclusiveLite(resource, true)
    const first = await holder(resource, ExAcquireResourceExclusiveLite)
    const second = await holder(resource, ExAcquireResourceExclusiveLite)
    expect(ExGetExclusiveWaiterCount(resource)).toBe(2)
    ExReleaseResourceLite(resource)
    await settle()
    expect([first.owns(), second.owns(), ExGetExclusiveWaiterCount(resource)]).toEqual([true, false, 1])
    await first.letGo()
    await second.letGo()
  })
})

test('ExGetSharedWaiterCount counts threads that wait to share', async () => {
  await withResource(async (resource) => {
    await ExAcquireResourceExclusiveLite(resource, true)
    const waiter = await holder(resource, ExAcquireSharedStarveExclusive)
    expect(ExGetSharedWaiterCount(resource)).toBe(1)
    ExReleaseResourceLite(resource)
    await waiter.letGo()
  })
})

test('ExConvertExclusiveToSharedLite keeps the count as shared and lets all waiting sharers in', async () => {
  await withResource(async (resource) => {
    await ExAcquireResourceExclusiveLite(resource, true)
    await ExAcquireResourceExclusiveLite(resource, true)
    const x = await holder(resource, ExAcquireResourceExclusiveLite)
    const s = await holder(resource, ExAcquireResourceSharedLite)
    ExConvertExclusiveToSharedLite(resource)
    await settle()
    expect([ExIsResourceAcquiredSharedLite(resource), ExIsResourceAcquiredExclusiveLite(resource)]).toEqual([2, false])
    expect([s.owns(), x.owns()]).toEqual([true, false])
    ExReleaseResourceLite(resource)
    ExReleaseResourceLite(resource)
    await s.letGo()
    expect(x.owns()).toBe(true)
    await x.letGo()
  })
})

test('ExConvertExclusiveToSharedLite by a shared owner changes nothing on a free build', async () => {
  await withResource(async (resource) => {
    await ExAcquireResourceSharedLite(resource, true)
    ExConvertExclusiveToSharedLite(resource)
    expect(ExIsResourceAcquiredSharedLite(resource)).toBe(1)
    ExReleaseResourceLite(resource)
  }, 'free')
})

test('ExAcquireResourceSharedLite finds room for more owners than a resource has at first', async () => {
  await withResource(async (resource) => {
    const owners = []
    for (let index = 0; index < 30; index++) owners.push(await holder(resource, ExAcquireResourceSharedLite))
    expect(resource.ActiveCount).toBe(30)
    for (const one of owners) await one.letGo()
    expect(resource.ActiveCount).toBe(0)
  })
})

test('ExAcquireSharedWaitForExclusive over an own share waits until somebody releases that share', async () => {
  await withResource(async (resource) => {
    let thread = 0
    let isIn = false
    const go = make(KEVENT)
    initializeEvent(go.address, NotificationEvent, false)
    const join = await spawn(async () => {
      enterCriticalRegion()
      thread = ExGetCurrentResourceThread()
      await ExAcquireResourceSharedLite(resource, true)
      await waitForObject(go.address)
      await ExAcquireSharedWaitForExclusive(resource, true)
      isIn = true
      expect(ExIsResourceAcquiredSharedLite(resource)).toBe(1)
      ExReleaseResourceLite(resource)
      leaveCriticalRegion()
    })
    const x = await holder(resource, ExAcquireResourceExclusiveLite)
    setEvent(go.address)
    await settle()
    expect([isIn, x.owns()]).toEqual([false, false])
    ExReleaseResourceForThreadLite(resource, thread)
    await settle()
    expect([isIn, x.owns()]).toEqual([false, true])
    await x.letGo()
    await join()
    expect(isIn).toBe(true)
  })
})

test('ExAcquireSharedStarveExclusive passes an exclusive request that waits', async () => {
  await withResource(async (resource) => {
    const s = await holder(resource, ExAcquireResourceSharedLite)
    const x = await holder(resource, ExAcquireResourceExclusiveLite)
    expect(ExAcquireSharedStarveExclusive(resource, true)).toBe(true)
    await s.letGo()
    expect(x.owns()).toBe(false)
    ExReleaseResourceLite(resource)
    await x.letGo()
  })
})

test('ExSetResourceOwnerPointer lets any thread release by the pointer, and the owner no more by itself', async () => {
  await withResource(async (resource) => {
    await ExAcquireResourceExclusiveLite(resource, true)
    ExSetResourceOwnerPointer(resource, 3)
    expect(ExIsResourceAcquiredSharedLite(resource)).toBe(0)
    const join = await spawn(() => {
      enterCriticalRegion()
      ExReleaseResourceForThreadLite(resource, 3)
      leaveCriticalRegion()
    })
    await join()
    expect(resource.ActiveCount).toBe(0)
    await ExAcquireResourceSharedLite(resource, true)
    ExSetResourceOwnerPointer(resource, 0x1003)
    ExReleaseResourceForThreadLite(resource, 0x1003)
  })
})

test('ExSetResourceOwnerPointerEx makes a thread the owner with FLAG_OWNER_POINTER_IS_THREAD', async () => {
  await withResource(async (resource) => {
    const { address } = resource
    await ExAcquireResourceSharedLite(resource, true)
    ExSetResourceOwnerPointerEx(resource, address, FLAG_OWNER_POINTER_IS_THREAD)
    ExReleaseResourceForThreadLite(resource, address)
    await ExAcquireResourceSharedLite(resource, true)
    ExSetResourceOwnerPointerEx(resource, address | 3, 0)
    ExReleaseResourceForThreadLite(resource, address | 3)
  })
})

test('ExGetCurrentResourceThread is the address of the thread', async () => {
  await withResource(() => expect(ExGetCurrentResourceThread()).toBe(currentThread()))
})

test.each([
  ['ExEnterCriticalRegionAndAcquireResourceExclusive', ExEnterCriticalRegionAndAcquireResourceExclusive],
  ['ExEnterCriticalRegionAndAcquireResourceShared', ExEnterCriticalRegionAndAcquireResourceShared],
  ['ExEnterCriticalRegionAndAcquireSharedWaitForExclusive', ExEnterCriticalRegionAndAcquireSharedWaitForExclusive],
] as const)('%s enters a critical region for each call, and returns NULL', async (_name, enterBoth) => {
  await withResource(async (resource) => {
    leaveCriticalRegion()
    expect(await enterBoth(resource)).toBe(0)
    expect(await enterBoth(resource)).toBe(0)
    ExReleaseResourceAndLeaveCriticalRegion(resource)
    expect(KeAreApcsDisabled()).toBe(true)
    ExReleaseResourceAndLeaveCriticalRegion(resource)
    expect(KeAreApcsDisabled()).toBe(false)
    enterCriticalRegion()
  })
})

test('ExReleaseResourceAndLeaveCriticalRegion wakes a waiter', async () => {
  await withResource(async (resource) => {
    await ExEnterCriticalRegionAndAcquireResourceExclusive(resource)
    const waiter = await spawn(async () => {
      expect(await ExEnterCriticalRegionAndAcquireResourceExclusive(resource)).toBe(0)
      ExReleaseResourceAndLeaveCriticalRegion(resource)
    })
    ExReleaseResourceAndLeaveCriticalRegion(resource)
    await waiter()
  })
})

test('ExInitializeResourceLite works at DISPATCH_LEVEL', async () => {
  await using machine = await bootOne()
  await machine.run(() => {
    const resource = make(ERESOURCE)
    const before = KeRaiseIrqlToDpcLevel()
    expect(ExInitializeResourceLite(resource)).toBe(0)
    KeLowerIrql(before)
    ExDeleteResourceLite(resource)
  })
})

test('ExReinitializeResourceLite frees a resource of its owners and keeps the table', async () => {
  await withResource(async (resource) => {
    for (let index = 0; index < 5; index++) {
      await ExAcquireResourceSharedLite(resource, true)
      ExSetResourceOwnerPointer(resource, index * 4 + 3)
    }
    const table = resource.OwnerTable
    expect(table).not.toBe(0)
    expect(ExReinitializeResourceLite(resource)).toBe(0)
    expect([resource.ActiveCount, resource.OwnerTable]).toEqual([0, table])
    expect(ExTryToAcquireResourceExclusiveLite(resource)).toBe(true)
    ExReleaseResourceLite(resource)
  })
})

// Bug checks (facts §11.3, §18.3); 0xE3 and the second delete on both builds.
test.each([
  {
    rule: 'ExReleaseResourceLite by a thread that owns nothing',
    build: 'free',
    code: 0xe3,
    first: expect.any(Number) as number, // the resource
    act: (resource: ERESOURCE) => ExReleaseResourceLite(resource),
  },
  {
    rule: 'ExReleaseResourceForThreadLite for a thread that owns nothing',
    build: 'checked',
    code: 0xe3,
    first: expect.any(Number) as number, // the resource
    act: (resource: ERESOURCE) => ExReleaseResourceForThreadLite(resource, 0x1003),
  },
  {
    rule: 'ExDeleteResourceLite twice',
    build: 'free',
    code: 0xc4,
    first: 0xd1,
    act: (resource: ERESOURCE) => (ExDeleteResourceLite(resource), ExDeleteResourceLite(resource)),
  },
  {
    rule: 'ExInitializeResourceLite twice',
    build: 'checked',
    code: 0xc4,
    first: 0xd0,
    act: (resource: ERESOURCE) => ExInitializeResourceLite(resource),
  },
  {
    rule: 'ExAcquireResourceSharedLite with APCs on',
    build: 'checked',
    code: 0xc4,
    first: 0x37,
    act: (resource: ERESOURCE) => (leaveCriticalRegion(), ExAcquireResourceSharedLite(resource, true)),
  },
  {
    rule: 'ExReleaseResourceLite with APCs on',
    build: 'checked',
    code: 0xc4,
    first: 0x38,
    act: async (resource: ERESOURCE) => {
      await ExAcquireResourceSharedLite(resource, true)
      leaveCriticalRegion()
      ExReleaseResourceLite(resource)
    },
  },
  {
    rule: 'ExConvertExclusiveToSharedLite by a shared owner',
    build: 'checked',
    code: 0xc4,
    first: 0x1009,
    act: async (resource: ERESOURCE) => {
      await ExAcquireResourceSharedLite(resource, true)
      ExConvertExclusiveToSharedLite(resource)
    },
  },
] as const)('$rule is a bug check ($build build)', async ({ act, build, code, first }) => {
  const error = await withResource(async (resource) => {
    write8(currentThread() + KTHREAD.offsets.IsSystemThread, 0) // system threads may keep APCs on
    await act(resource)
  }, build).catch((caught: unknown) => caught)
  expect(error).toMatchObject({ code })
  expect((error as { parameters: number[] }).parameters[0]).toEqual(first)
})
