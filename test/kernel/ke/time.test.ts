import { describe, expect, test } from 'vitest'
import { KeInitializeDpc } from '../../../kernel/ke/dpc.ts'
import { KDPC, KTIMER } from '../../../kernel/ke/layouts.ts'
import { KeLowerIrql, KeRaiseIrql } from '../../../kernel/ke/level.ts'
import {
  KeQueryInterruptTime,
  KeQueryPerformanceCounter,
  KeQuerySystemTime,
  KeQuerySystemTimePrecise,
  KeQueryTickCount,
  KeQueryTimeIncrement,
  KeStallExecutionProcessor,
  YieldProcessor,
} from '../../../kernel/ke/time.ts'
import { KeInitializeTimer, KeSetTimer } from '../../../kernel/ke/timer.ts'
import { KeDelayExecutionThread, KernelMode } from '../../../kernel/ke/wait.ts'
import { boot } from '../../../machine/index.ts'
import { onMachine } from './machine.ts'
import { BUILDS, make, MS, onBuild, onChecked } from './facts.ts'

/** What a routine stores in its box. */
function stored(query: (box: { value: bigint }) => void): bigint {
  const box = { value: -1n }
  query(box)
  return box.value
}

const BOOT = 134_117_856_000_000_000n // 2026-01-01: where virtual machines begin
const SECOND = 10_000_000

describe.each(BUILDS)('%s build, virtual clock', (build) => {
  test.each<[string, () => bigint, bigint, bigint]>([
    ['KeQueryInterruptTime', KeQueryInterruptTime, 0n, BigInt(SECOND)],
    ['KeQuerySystemTime', () => stored(KeQuerySystemTime), BOOT, BigInt(SECOND)],
    ['KeQuerySystemTimePrecise', () => stored(KeQuerySystemTimePrecise), BOOT, BigInt(SECOND)],
    ['KeQueryTickCount', () => stored(KeQueryTickCount), 0n, BigInt(SECOND / 10_000)],
    ['KeQueryPerformanceCounter', () => KeQueryPerformanceCounter(null), 0n, BigInt(SECOND)],
  ])('%s starts at its epoch and goes on by a second in a second, at any IRQL', async (_, query, epoch, second) => {
    const [start, end, high] = await onBuild(build, async () => {
      const first = query()
      await KeDelayExecutionThread(KernelMode, false, -SECOND)
      const last = query()
      const old = { value: 0 }
      KeRaiseIrql(15, old)
      const atHigh = query()
      KeLowerIrql(old.value)
      return [first, last, atHigh]
    })
    const nearly = second / 1000n // each kernel call takes 100 ns of virtual time
    expect([start - epoch < nearly, end - start - second < nearly, high - end < nearly]).toEqual([true, true, true])
    expect([start >= epoch, end - start >= second, high >= end]).toEqual([true, true, true])
  })

  test('KeQueryTimeIncrement is a millisecond: ticks times increment is the interrupt time', async () => {
    const seen = await onBuild(build, async () => {
      await KeDelayExecutionThread(KernelMode, false, -1234 * MS)
      return [KeQueryTimeIncrement(), stored(KeQueryTickCount)]
    })
    expect(seen).toEqual([10_000, 1234n])
  })

  test('KeQueryPerformanceCounter tells its frequency: 10 MHz', async () => {
    expect(await onBuild(build, () => stored((box) => void KeQueryPerformanceCounter(box)))).toBe(10_000_000n)
  })

  test.each([0, 2, 15])('KeStallExecutionProcessor lets the time pass at IRQL %i', async (irql) => {
    const passed = await onBuild(build, () => {
      const old = { value: 0 }
      KeRaiseIrql(irql, old)
      const start = KeQueryInterruptTime()
      KeStallExecutionProcessor(50)
      const end = KeQueryInterruptTime()
      KeLowerIrql(old.value)
      return Number(end - start)
    })
    expect(passed).toBeGreaterThanOrEqual(500)
    expect(passed).toBeLessThan(520)
  })

  test.each<[string, number, boolean]>([
    ['YieldProcessor takes interrupts and DPCs', 0, true],
    ['YieldProcessor takes interrupts alone at DISPATCH_LEVEL', 2, false],
  ])('%s: a loop that polls sees the timer fire', async (_, irql, hasDpcRun) => {
    const seen = await onBuild(build, () => {
      let calls = 0
      const dpc = make(KDPC)
      KeInitializeDpc(dpc, () => void (calls += 1), null)
      const timer = make(KTIMER)
      KeInitializeTimer(timer)
      const old = { value: 0 }
      KeRaiseIrql(irql, old)
      KeSetTimer(timer, -2 * MS, dpc)
      let rounds = 0
      while (timer.Header.SignalState === 0 && rounds < 1_000_000) {
        YieldProcessor()
        rounds += 1
      }
      const ran = calls
      KeLowerIrql(old.value)
      return [timer.Header.SignalState, ran === 1, calls]
    })
    expect(seen).toEqual([1, hasDpcRun, 1])
  })
})

describe('checked build, real clock', () => {
  test('KeQuerySystemTime is the host’s time since 1601', async () => {
    const before = Date.now()
    const time = await onMachine(() => stored(KeQuerySystemTime))
    const milliseconds = Number(time / BigInt(MS)) - 11_644_473_600_000
    expect(milliseconds).toBeGreaterThanOrEqual(before - 1000)
    expect(milliseconds).toBeLessThanOrEqual(Date.now() + 1000)
  })

  test('KeStallExecutionProcessor does not come back early, and no clock goes back', async () => {
    const seen = await onMachine(() => {
      const clocks = [KeQueryInterruptTime, () => stored(KeQuerySystemTime), () => KeQueryPerformanceCounter(null)]
      const starts = clocks.map((clock) => clock())
      KeStallExecutionProcessor(2000)
      return clocks.map((clock, index) => clock() - (starts[index] as bigint) >= 20_000n)
    })
    expect(seen).toEqual([true, true, true])
  })
})

test('KeQueryInterruptTime is one clock on both processors: what is read later is not earlier (checked build)', async () => {
  await using machine = await boot({ processors: 2 })
  const driver = new URL('./drivers/processors.ts', import.meta.url)
  const times: bigint[] = []
  for (let round = 0; round < 10; round++)
    times.push((await machine.run(driver, 'interruptTime', undefined, round % 2)) as bigint)
  expect([...times].sort((left, right) => Number(left - right))).toEqual(times)
})

test('KeStallExecutionProcessor without end stops the machine: the line that polls is named (checked build)', async () => {
  const stall = async (): Promise<void> =>
    onChecked(() => {
      for (;;) KeStallExecutionProcessor(1000)
    })
  await expect(stall()).rejects.toThrow(/time.test.ts/)
})
