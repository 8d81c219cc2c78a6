import { describe, expect, test } from 'vitest'
import { boot } from '../../../machine/index.ts'
import {
  KeGetCurrentProcessorNumber,
  KeGetCurrentProcessorNumberEx,
  KeIpiGenericCall,
  KeQueryActiveProcessorCountEx,
  KeQueryActiveProcessors,
} from '../../../kernel/ke/ipi.ts'
import { KeGetCurrentIrql, KeLowerIrql, KeRaiseIrql } from '../../../kernel/ke/level.ts'
import { bugCheckOf, bugCheckOn, BUILDS, onBuild } from './facts.ts'

const driver = new URL('./drivers/ipis.ts', import.meta.url)
const ALL_PROCESSOR_GROUPS = 0xffff

describe.each(BUILDS)('%s build, one processor', (build) => {
  test.each([0, 1, 2, 5, 13])(
    'KeIpiGenericCall at IRQL %i runs the routine once at IPI_LEVEL and gives back its result',
    async (irql) => {
      const seen = await onBuild(build, () => {
        const calls: unknown[] = []
        const old = { value: 0 }
        KeRaiseIrql(irql, old)
        const result = KeIpiGenericCall((argument: number) => {
          calls.push([argument, KeGetCurrentIrql()])
          return 42
        }, 7)
        const after = KeGetCurrentIrql()
        KeLowerIrql(old.value)
        return { result, calls, after }
      })
      expect(seen).toEqual({ result: 42, calls: [[7, 14]], after: irql })
    },
  )

  test('KeIpiGenericCall with a JavaScript object says what a context is, and the next call works', async () => {
    const seen = await onBuild(build, () => {
      let message = ''
      try {
        KeIpiGenericCall(() => 0, {} as never)
      } catch (error) {
        message = (error as Error).message
      }
      return [message, KeIpiGenericCall(() => 3, null), KeGetCurrentIrql()]
    })
    expect(seen).toEqual([expect.stringContaining('must be a struct'), 3, 0])
  })

  test('KeIpiGenericCall whose routine lets an exception escape is bug check 0x1E', async () => {
    const error = await bugCheckOn(build, () =>
      KeIpiGenericCall(() => {
        throw new Error('broken')
      }, null),
    )
    expect([error.code, error.irql]).toEqual([0x1e, 14])
    expect(error.message).toContain('broken')
  })

  test('KeGetCurrentProcessorNumber is 0, KeQueryActiveProcessors 1', async () => {
    const seen = await onBuild(build, () => [
      KeGetCurrentProcessorNumber(),
      KeGetCurrentProcessorNumberEx(null),
      KeQueryActiveProcessorCountEx(ALL_PROCESSOR_GROUPS),
      KeQueryActiveProcessors(),
    ])
    expect(seen).toEqual([0, 0, 1, 1])
  })
})

test('KeIpiGenericCall at IPI_LEVEL is bug check 0x0A (checked build)', async () => {
  const error = await bugCheckOf(() => {
    KeRaiseIrql(14, { value: 0 })
    KeIpiGenericCall(() => 0, null)
  })
  expect(error.code).toBe(0x0a)
})

describe.each(BUILDS)('%s build, two processors', (build) => {
  test('KeIpiGenericCall runs the routine on both at once, at IPI_LEVEL, and gives back what the caller’s returned', async () => {
    await using machine = await boot({ processors: 2, build })
    for (const processor of [0, 1]) {
      const seen = await machine.run(driver, 'meet', undefined, processor)
      expect(seen).toEqual({ result: 100 + processor, calls: [1, 1], irqls: [14, 14], met: [1, 1], after: 0 })
    }
  })

  test('KeIpiGenericCall from both processors at once: one after the other, and none is lost', async () => {
    await using machine = await boot({ processors: 2, build })
    const meeting = await machine.run(driver, 'makeMeeting')
    await Promise.all([0, 1].map((processor) => machine.run(driver, 'callHammer', meeting, processor)))
    expect(await machine.run(driver, 'callsOf', meeting)).toEqual([1000, 1000])
  })

  test('KeIpiGenericCall with a spin lock held reaches the processor that spins for it', async () => {
    await using machine = await boot({ processors: 2, build })
    const meeting = await machine.run(driver, 'makeMeeting')
    const holder = machine.run(driver, 'callUnderLock', meeting, 0)
    await machine.run(driver, 'spinForLock', meeting, 1)
    await holder
    expect(await machine.run(driver, 'callsOf', meeting)).toEqual([1, 1])
  })

  test('KeGetCurrentProcessorNumber is the processor’s own, KeQueryActiveProcessors the mask of all', async () => {
    await using machine = await boot({ processors: 2, build })
    const seen = await Promise.all([0, 1].map((processor) => machine.run(driver, 'numbers', undefined, processor)))
    expect(seen).toEqual([
      [0, 0, 2, 3],
      [1, 1, 2, 3],
    ])
  })
})
