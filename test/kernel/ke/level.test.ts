import { describe, expect, test } from 'vitest'
import {
  APC_LEVEL,
  CLOCK_LEVEL,
  CMCI_LEVEL,
  DISPATCH_LEVEL,
  DRS_LEVEL,
  HIGH_LEVEL,
  IPI_LEVEL,
  KeGetCurrentIrql,
  KeLowerIrql,
  KeRaiseIrql,
  KeRaiseIrqlToDpcLevel,
  KeRaiseIrqlToSynchLevel,
  LOW_LEVEL,
  PASSIVE_LEVEL,
  POWER_LEVEL,
  PROFILE_LEVEL,
  SYNCH_LEVEL,
} from '../../../kernel/ke/level.ts'
import { KeDelayExecutionThread, KernelMode } from '../../../kernel/ke/wait.ts'
import { bugCheckOf, BUILDS, MS, onBuild, onChecked, settle, spawn } from './facts.ts'

/** Raises, and gives back the level before. */
function raise(irql: number): number {
  const old = { value: -1 }
  KeRaiseIrql(irql, old)
  return old.value
}

// wdm-facts §0.4 (x64) and §5.1 [KMT KeIrql]
const LEVELS: [string, number, number][] = [
  ['LOW_LEVEL', LOW_LEVEL, 0],
  ['PASSIVE_LEVEL', PASSIVE_LEVEL, 0],
  ['APC_LEVEL', APC_LEVEL, 1],
  ['DISPATCH_LEVEL', DISPATCH_LEVEL, 2],
  ['CMCI_LEVEL', CMCI_LEVEL, 5],
  ['SYNCH_LEVEL', SYNCH_LEVEL, 12],
  ['CLOCK_LEVEL', CLOCK_LEVEL, 13],
  ['IPI_LEVEL', IPI_LEVEL, 14],
  ['DRS_LEVEL', DRS_LEVEL, 14],
  ['POWER_LEVEL', POWER_LEVEL, 14],
  ['PROFILE_LEVEL', PROFILE_LEVEL, 15],
  ['HIGH_LEVEL', HIGH_LEVEL, 15],
]

describe.each(BUILDS)('%s build: levels', (build) => {
  test.each(LEVELS)(
    'KeRaiseIrql to %s sets exactly that level, and gives back the one before',
    async (_, irql, x64) => {
      const seen = await onBuild(build, () => {
        const old = raise(irql)
        const inside = KeGetCurrentIrql()
        const same = raise(irql)
        const twice = KeGetCurrentIrql()
        KeLowerIrql(same)
        const once = KeGetCurrentIrql()
        KeLowerIrql(old)
        return { old, inside, same, twice, once, after: KeGetCurrentIrql() }
      })
      expect(seen).toEqual({ old: 0, inside: x64, same: x64, twice: x64, once: x64, after: 0 })
    },
  )

  test('KeGetCurrentIrql is the level of each step up and down', async () => {
    const steps = await onBuild(build, () => {
      const levels = [KeGetCurrentIrql()]
      const olds = [1, 2, 3, 12, 13, 14, 15].map((irql) => {
        const old = raise(irql)
        levels.push(KeGetCurrentIrql())
        return old
      })
      for (const old of olds.reverse()) {
        KeLowerIrql(old)
        levels.push(KeGetCurrentIrql())
      }
      return levels
    })
    expect(steps).toEqual([0, 1, 2, 3, 12, 13, 14, 15, 14, 13, 12, 3, 2, 1, 0])
  })

  test('KeLowerIrql may leave out levels: from HIGH_LEVEL to APC_LEVEL, which the thread had before', async () => {
    const levels = await onBuild(build, () => {
      const passive = raise(APC_LEVEL)
      const apc = raise(DISPATCH_LEVEL)
      raise(HIGH_LEVEL)
      KeLowerIrql(apc)
      const inside = KeGetCurrentIrql()
      KeLowerIrql(passive)
      return [apc, inside, KeGetCurrentIrql()]
    })
    expect(levels).toEqual([1, 1, 0])
  })

  test.each([
    ['KeRaiseIrqlToDpcLevel', KeRaiseIrqlToDpcLevel, 2],
    ['KeRaiseIrqlToSynchLevel', KeRaiseIrqlToSynchLevel, 12],
  ])('%s returns the level before, the second time its own', async (_, raiseTo, level) => {
    const levels = await onBuild(build, () => {
      const first = raiseTo()
      const inside = KeGetCurrentIrql()
      const second = raiseTo()
      KeLowerIrql(first)
      return [first, inside, second, KeGetCurrentIrql()]
    })
    expect(levels).toEqual([0, level, level, 0])
  })
})

describe('free build: nothing is checked [KMT KeIrql]', () => {
  test('KeRaiseIrql from HIGH_LEVEL to APC_LEVEL sets APC_LEVEL', async () => {
    const levels = await onBuild('free', () => {
      raise(HIGH_LEVEL)
      const old = raise(APC_LEVEL)
      const inside = KeGetCurrentIrql()
      KeLowerIrql(PASSIVE_LEVEL)
      return [old, inside]
    })
    expect(levels).toEqual([15, 1])
  })

  test('KeLowerIrql from APC_LEVEL to HIGH_LEVEL sets HIGH_LEVEL', async () => {
    const levels = await onBuild('free', () => {
      raise(APC_LEVEL)
      KeLowerIrql(HIGH_LEVEL)
      const inside = KeGetCurrentIrql()
      KeLowerIrql(PASSIVE_LEVEL)
      return [inside, KeGetCurrentIrql()]
    })
    expect(levels).toEqual([15, 0])
  })
})

describe('checked build: broken rules', () => {
  test.each<[string, () => unknown, number, number[]]>([
    ['KeRaiseIrql below the current level is 0x09 (current, requested)', () => raise(raise(5) + 1), 0x09, [5, 1]],
    ['KeLowerIrql above the current level is 0x0A', () => KeLowerIrql(DISPATCH_LEVEL), 0x0a, [0, 0, 0, 2]],
    [
      'KeRaiseIrqlToDpcLevel above DISPATCH_LEVEL is 0x0A',
      () => [raise(3), KeRaiseIrqlToDpcLevel()],
      0x0a,
      [0, 3, 0, 2],
    ],
    ['KeRaiseIrqlToSynchLevel above SYNCH_LEVEL is 0x0A', () => [raise(13), KeRaiseIrqlToSynchLevel()], 0x0a, [0, 13]],
  ])('%s', async (_, body, code, parameters) => {
    const error = await bugCheckOf(body)
    expect([error.code, ...error.parameters.slice(0, parameters.length)]).toEqual([code, ...parameters])
    expect(error.file).toContain('level.test.ts')
  })
})

test('KeGetCurrentIrql is the thread’s own APC_LEVEL: it survives a wait, and other threads do not see it', async () => {
  const seen = await onChecked(async () => {
    const levels: number[] = []
    const joined = await spawn(async () => {
      const old = raise(APC_LEVEL)
      await KeDelayExecutionThread(KernelMode, false, -5 * MS)
      levels.push(KeGetCurrentIrql())
      KeLowerIrql(old)
    })
    levels.push(KeGetCurrentIrql()) // the other one waits at APC_LEVEL now
    await joined()
    await settle()
    return levels
  })
  expect(seen).toEqual([0, 1])
})
