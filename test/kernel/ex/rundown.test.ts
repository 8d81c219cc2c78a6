import { expect, test } from 'vitest'
import {
  EX_RUNDOWN_REF,
  ExAcquireRundownProtection,
  ExInitializeRundownProtection,
  ExReInitializeRundownProtection,
  ExReleaseRundownProtection,
  ExRundownCompleted,
  ExWaitForRundownProtectionRelease,
} from '../../../kernel/ex/rundown.ts'
import { bootOne, make, settle, spawn } from './threads.ts'

async function withRef(body: (ref: EX_RUNDOWN_REF) => unknown): Promise<void> {
  await using machine = await bootOne()
  await machine.run(async () => {
    const ref = make(EX_RUNDOWN_REF)
    ref.Count = 0x5555
    ExInitializeRundownProtection(ref)
    await body(ref)
  })
}

test('ExInitializeRundownProtection lets users in', async () => {
  await withRef((ref) => {
    expect(ref.Count).toBe(0)
    expect(ExAcquireRundownProtection(ref)).toBe(true)
    ExReleaseRundownProtection(ref)
  })
})

test('ExWaitForRundownProtectionRelease returns at once when nobody is in, and again when it is over', async () => {
  await withRef((ref) => {
    expect(ExWaitForRundownProtectionRelease(ref)).toBeUndefined()
    expect(ExWaitForRundownProtectionRelease(ref)).toBeUndefined()
    expect(ExAcquireRundownProtection(ref)).toBe(false)
  })
})

test('ExReleaseRundownProtection by the last user ends all waits', async () => {
  await withRef(async (ref) => {
    expect(ExAcquireRundownProtection(ref)).toBe(true)
    expect(ExAcquireRundownProtection(ref)).toBe(true)
    let over = 0
    const wait = async (): Promise<void> => {
      await ExWaitForRundownProtectionRelease(ref)
      over += 1
    }
    const joins = [await spawn(wait), await spawn(wait)]
    expect(ExAcquireRundownProtection(ref)).toBe(false)
    ExReleaseRundownProtection(ref)
    await settle()
    expect(over).toBe(0)
    ExReleaseRundownProtection(ref)
    for (const join of joins) await join()
    expect([over, ref.Count]).toEqual([2, 1])
  })
})

test('ExAcquireRundownProtection returns FALSE after the rundown until ExReInitializeRundownProtection', async () => {
  await withRef(async (ref) => {
    await ExWaitForRundownProtectionRelease(ref)
    expect(ExAcquireRundownProtection(ref)).toBe(false)
    ExReInitializeRundownProtection(ref)
    expect(ExAcquireRundownProtection(ref)).toBe(true)
    ExReleaseRundownProtection(ref)
  })
})

test('ExReInitializeRundownProtection makes the next wait a real one', async () => {
  await withRef(async (ref) => {
    await ExWaitForRundownProtectionRelease(ref)
    ExReInitializeRundownProtection(ref)
    ExAcquireRundownProtection(ref)
    const join = await spawn(() => ExWaitForRundownProtectionRelease(ref))
    ExReleaseRundownProtection(ref)
    await join()
    expect(ref.Count).toBe(1)
  })
})

test('ExRundownCompleted makes waits return at once, and lets nobody in', async () => {
  await withRef((ref) => {
    ExRundownCompleted(ref)
    expect(ExWaitForRundownProtectionRelease(ref)).toBeUndefined()
    expect(ExAcquireRundownProtection(ref)).toBe(false)
  })
})

test('ExReleaseRundownProtection without an acquire is bug check 0xC4 on a checked build', async () => {
  await expect(withRef((ref) => ExReleaseRundownProtection(ref))).rejects.toMatchObject({ code: 0xc4 })
})
