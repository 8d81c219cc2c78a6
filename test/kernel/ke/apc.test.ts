import { describe, expect, test } from 'vitest'
import {
  KeAreAllApcsDisabled,
  KeAreApcsDisabled,
  KeEnterCriticalRegion,
  KeEnterGuardedRegion,
  KeLeaveCriticalRegion,
  KeLeaveGuardedRegion,
} from '../../../kernel/ke/apc.ts'
import { KeLowerIrql, KeRaiseIrql } from '../../../kernel/ke/level.ts'
import { apcCounts, type Build, bugCheckOf, BUILDS, onBuild, onChecked, settle, spawn } from './facts.ts'

interface State {
  counts: [number, number]
  apcs: boolean
  all: boolean
}

function state(): State {
  const { KernelApcDisable, SpecialApcDisable } = apcCounts()
  return { counts: [KernelApcDisable, SpecialApcDisable], apcs: KeAreApcsDisabled(), all: KeAreAllApcsDisabled() }
}

function at<T>(irql: number, body: () => T): T {
  const old = { value: 0 }
  KeRaiseIrql(irql, old)
  const result = body()
  KeLowerIrql(old.value)
  return result
}

// Each row is a list of calls: C enters a critical region, c leaves one, G and g the same for guarded ones.
const CALLS: Record<string, () => void> = {
  C: KeEnterCriticalRegion,
  c: KeLeaveCriticalRegion,
  G: KeEnterGuardedRegion,
  g: KeLeaveGuardedRegion,
}
const run = (calls: string): void => {
  for (const call of calls) CALLS[call]?.()
}

// wdm-facts §9 [KMT KeApc]
describe.each(BUILDS)('%s build: critical and guarded regions', (build) => {
  test.each<[string, string, [number, number], boolean, boolean]>([
    ['KeEnterCriticalRegion', 'C', [-1, 0], true, false],
    ['KeEnterCriticalRegion twice', 'CC', [-2, 0], true, false],
    ['KeEnterCriticalRegion three times', 'CCC', [-3, 0], true, false],
    ['KeLeaveCriticalRegion of one of two', 'CCc', [-1, 0], true, false],
    ['KeLeaveCriticalRegion of the last one', 'CCcc', [0, 0], false, false],
    ['KeLeaveCriticalRegion of none', 'c', [1, 0], true, false],
    ['KeEnterGuardedRegion', 'G', [0, -1], true, true],
    ['KeEnterGuardedRegion three times', 'GGG', [0, -3], true, true],
    ['KeLeaveGuardedRegion of the last one', 'Gg', [0, 0], false, false],
    ['KeLeaveGuardedRegion of none', 'g', [0, 1], true, true],
    ['KeEnterGuardedRegion inside a critical region', 'CG', [-1, -1], true, true],
    ['KeLeaveCriticalRegion before the guarded region inside it', 'CGc', [0, -1], true, true],
    ['KeLeaveGuardedRegion before the critical region inside it', 'GCg', [-1, 0], true, false],
    ['KeLeaveGuardedRegion with two critical regions open', 'CGCg', [-2, 0], true, false],
  ])('%s (%s)', async (_, calls, counts, apcs, all) => {
    const seen = await onBuild(build, () => {
      run(calls)
      const now = state()
      undo()
      return now
    })
    expect(seen).toEqual({ counts, apcs, all })
  })

  test.each([
    [0, false, false],
    [1, false, true],
    [2, false, true],
  ])('KeAreApcsDisabled at IRQL %i is %s, KeAreAllApcsDisabled %s', async (irql, apcs, all) => {
    const seen = await onBuild(build, () => at(irql, state))
    expect(seen).toEqual({ counts: [0, 0], apcs, all })
  })

  test('KeAreAllApcsDisabled is TRUE in a guarded region, and not in a critical one', async () => {
    const seen = await onBuild(build, () => {
      run('C')
      const inCritical = KeAreAllApcsDisabled()
      run('G')
      const inGuarded = KeAreAllApcsDisabled()
      undo()
      return [inCritical, inGuarded]
    })
    expect(seen).toEqual([false, true])
  })

  test('KeEnterCriticalRegion is the thread’s own: another thread is in no region', async () => {
    const seen = await onBuild(build, async () => {
      KeEnterCriticalRegion()
      let other: State | null = null
      const joined = await spawn(() => {
        other = state()
      })
      await joined()
      await settle()
      const mine = state()
      KeLeaveCriticalRegion()
      return { other, mine }
    })
    expect(seen).toEqual({
      other: { counts: [0, 0], apcs: false, all: false },
      mine: { counts: [-1, 0], apcs: true, all: false },
    })
  })
})

/** Leaves what is entered, and enters what was left. */
function undo(): void {
  const { KernelApcDisable, SpecialApcDisable } = apcCounts()
  run((KernelApcDisable < 0 ? 'c' : 'C').repeat(Math.abs(KernelApcDisable)))
  run((SpecialApcDisable < 0 ? 'g' : 'G').repeat(Math.abs(SpecialApcDisable)))
}

test('KeEnterCriticalRegion and all others work at HIGH_LEVEL (free build)', async () => {
  const seen = await onBuild('free', () =>
    at(15, () => {
      run('CGG')
      const inside = state()
      run('ggc')
      return [inside, state()]
    }),
  )
  expect(seen).toEqual([
    { counts: [-1, -2], apcs: true, all: true },
    { counts: [0, 0], apcs: false, all: true },
  ])
})

describe.each<Build>(['checked'])('%s build: levels', () => {
  test.each([
    ['KeEnterCriticalRegion', KeEnterCriticalRegion],
    ['KeLeaveCriticalRegion', KeLeaveCriticalRegion],
    ['KeEnterGuardedRegion', KeEnterGuardedRegion],
    ['KeLeaveGuardedRegion', KeLeaveGuardedRegion],
  ])('%s is legal at APC_LEVEL, and bug check 0x0A above', async (_, call) => {
    await onChecked(() => {
      at(1, call)
      undo()
    })
    expect((await bugCheckOf(() => at(2, call))).code).toBe(0x0a)
  })
})
