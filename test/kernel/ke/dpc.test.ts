import { describe, expect, test } from 'vitest'
import { boot } from '../../../machine/index.ts'
import {
  HighImportance,
  KeInitializeDpc,
  KeInsertQueueDpc,
  KeRemoveQueueDpc,
  KeSetImportanceDpc,
  KeSetTargetProcessorDpc,
  LowImportance,
  MAXIMUM_PROCESSORS,
  MediumHighImportance,
  MediumImportance,
} from '../../../kernel/ke/dpc.ts'
import { StatusError } from '../../../kernel/ke/exception.ts'
import { KDPC, ObjectType } from '../../../kernel/ke/layouts.ts'
import { KeGetCurrentIrql, KeLowerIrql, KeRaiseIrql } from '../../../kernel/ke/level.ts'
import { KeDelayExecutionThread, KernelMode } from '../../../kernel/ke/wait.ts'
import { read32, write8 } from '../../../kernel/mm/access.ts'
import { bugCheckOf, bugCheckOn, BUILDS, make, onBuild, onChecked } from './facts.ts'

const driver = new URL('./drivers/dpcs.ts', import.meta.url)

function makeDpc(routine: (dpc: KDPC, context: any, first: any, second: any) => void, context: any = null): KDPC {
  const dpc = make(KDPC)
  KeInitializeDpc(dpc, routine, context)
  return dpc
}

/** Runs `body` at `irql`. */
function at<T>(irql: number, body: () => T): T {
  const old = { value: 0 }
  KeRaiseIrql(irql, old)
  const result = body()
  KeLowerIrql(old.value)
  return result
}

// wdm-facts §7 [KMT KeDpc]
describe.each(BUILDS)('%s build: one processor', (build) => {
  test('KeInitializeDpc writes type, importance, number, routine and context; links and arguments keep what was there', async () => {
    const seen = await onBuild(build, () => {
      const dpc = make(KDPC)
      const { address } = dpc
      for (let byte = 0; byte < KDPC.size; byte++) write8(address + byte, 0x55)
      KeInitializeDpc(dpc, null, 0x1234)
      const { Type, Importance, Number, DpcData, DeferredRoutine } = dpc
      const { DpcListEntry, SystemArgument1, SystemArgument2 } = KDPC.offsets
      const untouched = [DpcListEntry, DpcListEntry + 4, SystemArgument1, SystemArgument2]
      return [
        { Type, Importance, Number, DpcData, DeferredRoutine, DeferredContext: dpc.DeferredContext },
        untouched.map((field) => read32(address + field) === 0x55555555),
      ]
    })
    expect(seen).toEqual([
      {
        Type: ObjectType.DpcObject,
        Importance: MediumImportance,
        Number: 0,
        DpcData: 0,
        DeferredRoutine: 0,
        DeferredContext: 0x1234,
      },
      [true, true, true, true],
    ])
  })

  test.each([0, 1])('KeInsertQueueDpc at IRQL %i runs the DPC at DISPATCH_LEVEL before it returns', async (irql) => {
    const seen = await onBuild(build, () => {
      const calls: unknown[] = []
      const dpc = makeDpc((self, context, first, second) => {
        calls.push([self.address === dpc.address, context, first, second, KeGetCurrentIrql(), self.DpcData])
      }, 7)
      return at(irql, () => [KeInsertQueueDpc(dpc, 8, 9), [...calls], KeGetCurrentIrql()])
    })
    expect(seen).toEqual([true, [[true, 7, 8, 9, 2, 0]], irql])
  })

  test.each([2, 3, 15])(
    'KeInsertQueueDpc at IRQL %i keeps the DPC until the level drops below DISPATCH_LEVEL',
    async (irql) => {
      const seen = await onBuild(build, () => {
        const calls: number[] = []
        const dpc = makeDpc(() => calls.push(KeGetCurrentIrql()))
        const counts: unknown[] = []
        KeRaiseIrql(1, { value: 0 })
        KeRaiseIrql(irql, { value: 0 })
        counts.push(KeInsertQueueDpc(dpc, null, null), calls.length)
        KeLowerIrql(2)
        counts.push(calls.length, dpc.DpcData !== 0)
        KeLowerIrql(1)
        counts.push(calls.length, dpc.DpcData !== 0)
        KeLowerIrql(0)
        return { counts, calls }
      })
      expect(seen).toEqual({ counts: [true, 0, 0, true, 1, false], calls: [2] })
    },
  )

  test('KeInsertQueueDpc of a queued DPC is FALSE and keeps the arguments of the first call', async () => {
    const seen = await onBuild(build, () => {
      const calls: unknown[] = []
      const dpc = makeDpc((_, __, first, second) => calls.push([first, second]))
      const inserts = at(15, () => [KeInsertQueueDpc(dpc, 1, 2), KeInsertQueueDpc(dpc, 3, 4)])
      return { inserts, calls, again: KeInsertQueueDpc(dpc, 5, 6), later: [...calls] }
    })
    expect(seen).toEqual({
      inserts: [true, false],
      calls: [
        [1, 2],
        [5, 6],
      ],
      again: true,
      later: [
        [1, 2],
        [5, 6],
      ],
    })
  })

  test('KeRemoveQueueDpc is TRUE for a queued DPC, which then does not run; at HIGH_LEVEL as well', async () => {
    const seen = await onBuild(build, () => {
      let calls = 0
      const dpc = makeDpc(() => (calls += 1))
      const never = KeRemoveQueueDpc(dpc)
      const results = at(15, () => [KeInsertQueueDpc(dpc, null, null), KeRemoveQueueDpc(dpc), KeRemoveQueueDpc(dpc)])
      const ran = KeInsertQueueDpc(dpc, null, null)
      return [never, ...results, calls, ran, KeRemoveQueueDpc(dpc)]
    })
    expect(seen).toEqual([false, true, true, false, 1, true, false])
  })

  test('KeInsertQueueDpc from inside the DPC queues it again, for the same drain', async () => {
    const seen = await onBuild(build, () => {
      const rounds: unknown[] = []
      const dpc = makeDpc((self, _, round) => {
        rounds.push(round)
        if (round < 4) rounds.push(KeInsertQueueDpc(self, round + 1, null), KeInsertQueueDpc(self, 99, null))
      })
      KeInsertQueueDpc(dpc, 1, null)
      return rounds
    })
    expect(seen).toEqual([1, true, false, 2, true, false, 3, true, false, 4])
  })

  test.each<[string, (number | null)[], string]>([
    ['first come, first served', [null, null, null], '012'],
    ['HighImportance goes to the head', [null, HighImportance, null, HighImportance], '3102'],
    ['MediumHighImportance goes to the tail', [null, MediumHighImportance, MediumImportance], '012'],
    ['LowImportance goes to the tail, and runs with the others', [LowImportance, null, HighImportance], '201'],
  ])('KeSetImportanceDpc: %s', async (_, importances, order) => {
    const seen = await onBuild(build, () => {
      let ran = ''
      const dpcs = importances.map((importance, index) => {
        const dpc = makeDpc(() => (ran += index))
        if (importance !== null) KeSetImportanceDpc(dpc, importance)
        return dpc
      })
      at(2, () => {
        for (const dpc of dpcs) KeInsertQueueDpc(dpc, null, null)
      })
      return ran
    })
    expect(seen).toBe(order)
  })

  test('KeSetImportanceDpc of a queued DPC counts from the next insert on', async () => {
    const seen = await onBuild(build, () => {
      let ran = ''
      const [first, second] = [makeDpc(() => (ran += 1)), makeDpc(() => (ran += 2))]
      const both = (): void => {
        for (const dpc of [first, second]) KeInsertQueueDpc(dpc, null, null)
      }
      at(2, () => {
        both()
        KeSetImportanceDpc(second, HighImportance)
      })
      at(2, both)
      return ran
    })
    expect(seen).toBe('1221')
  })

  test('KeSetImportanceDpc LowImportance: the DPC waits until the processor is idle', async () => {
    const seen = await onBuild(build, async () => {
      let calls = 0
      const dpc = makeDpc(() => (calls += 1))
      KeSetImportanceDpc(dpc, LowImportance)
      const queued = KeInsertQueueDpc(dpc, null, null)
      const atOnce = calls
      await KeDelayExecutionThread(KernelMode, false, -10_000)
      return [queued, atOnce, calls]
    })
    expect(seen).toEqual([true, 0, 1])
  })

  test('KeSetImportanceDpc LowImportance: a queue of more than four is drained at once', async () => {
    const seen = await onBuild(build, () => {
      let ran = ''
      const dpcs = Array.from({ length: 5 }, (_, index) => {
        const dpc = makeDpc(() => (ran += index))
        KeSetImportanceDpc(dpc, LowImportance)
        return dpc
      })
      return dpcs.map((dpc) => {
        KeInsertQueueDpc(dpc, null, null)
        return ran
      })
    })
    expect(seen).toEqual(['', '', '', '', '01234'])
  })

  test('KeInsertQueueDpc with a JavaScript object says what an argument is, and leaves the DPC as it was', async () => {
    const seen = await onBuild(build, () => {
      const calls: unknown[] = []
      const dpc = makeDpc((_, __, first, second) => calls.push([first, second]))
      const messages = [
        [{}, null],
        [null, {}],
      ].map(([first, second]) => {
        try {
          return String(KeInsertQueueDpc(dpc, first as never, second as never))
        } catch (error) {
          return (error as Error).message
        }
      })
      return { messages, removed: KeRemoveQueueDpc(dpc), inserted: KeInsertQueueDpc(dpc, 1, 2), calls }
    })
    expect(seen).toEqual({
      messages: [expect.stringContaining('must be a struct'), expect.stringContaining('must be a struct')],
      removed: false,
      inserted: true,
      calls: [[1, 2]],
    })
  })

  test('KeInsertQueueDpc gives a struct to the routine as the struct that it is', async () => {
    const seen = await onBuild(build, () => {
      let isSame = false
      const dpc = make(KDPC)
      const routine = (self: KDPC, ...views: KDPC[]): void => {
        isSame = views.length === 3 && views.every((view) => view instanceof KDPC && view.address === self.address)
      }
      KeInitializeDpc(dpc, routine as never, dpc)
      KeInsertQueueDpc(dpc, dpc, dpc)
      return isSame
    })
    expect(seen).toBe(true)
  })

  test('KeSetTargetProcessorDpc of a processor that is not there is bug check 0xC7/3 (DPC, number, count)', async () => {
    let address = 0
    const error = await bugCheckOn(build, () => {
      const dpc = makeDpc(() => {})
      address = dpc.address
      KeSetTargetProcessorDpc(dpc, 1)
    })
    expect([error.code, ...error.parameters]).toEqual([0xc7, 3, address, 1, 1])
  })

  test('KeSetTargetProcessorDpc stores the number above MAXIMUM_PROCESSORS, so that 0 is no target', async () => {
    const seen = await onBuild(build, () => {
      let calls = 0
      const dpc = makeDpc(() => (calls += 1))
      const before = dpc.Number
      KeSetTargetProcessorDpc(dpc, 0)
      KeInsertQueueDpc(dpc, null, null)
      return [before, dpc.Number, calls]
    })
    expect(seen).toEqual([0, MAXIMUM_PROCESSORS, 1])
  })

  test('KeInitializeDpc: an exception that the routine lets escape is bug check 0x1E at the line that threw', async () => {
    const error = await bugCheckOn(build, () => KeInsertQueueDpc(makeDpc(throwingRoutine), null, null))
    expect([error.code, error.parameters[0], error.irql]).toEqual([0x1e, 0xc0000001 | 0, 2])
    expect(error.file).toContain('dpc.test.ts')
    expect(error.message).toContain('throwingRoutine')
  })

  test('KeInitializeDpc: a routine that returns at another level is bug check 0xC8', async () => {
    const error = await bugCheckOn(build, () =>
      KeInsertQueueDpc(
        makeDpc(() => KeRaiseIrql(5, { value: 0 })),
        null,
        null,
      ),
    )
    expect([error.code, error.parameters[0]]).toEqual([0xc8, (5 << 16) | (2 << 8)])
  })
})

function throwingRoutine(): void {
  throw new StatusError(0xc0000001 | 0)
}

test('KeInsertQueueDpc: DPCs that queue each other without end still let the event loop turn (checked build)', async () => {
  const seen = await onChecked(async () => {
    let calls = 0
    let isTurned = false
    setImmediate(() => (isTurned = true))
    const dpc = makeDpc((self) => {
      calls += 1
      if (!isTurned && calls < 10_000_000) KeInsertQueueDpc(self, null, null)
    })
    KeInsertQueueDpc(dpc, null, null)
    while (!isTurned && calls < 10_000_000) await KeDelayExecutionThread(KernelMode, false, 0)
    await KeDelayExecutionThread(KernelMode, false, 0)
    return isTurned
  })
  expect(seen).toBe(true)
})

test('KeInsertQueueDpc with a wait in the routine is bug check 0xB8 (checked build)', async () => {
  const error = await bugCheckOf(() =>
    KeInsertQueueDpc(
      makeDpc(() => void KeDelayExecutionThread(KernelMode, false, -1)),
      null,
      null,
    ),
  )
  expect(error.code).toBe(0xb8)
})

describe.each(BUILDS)('%s build: two processors', (build) => {
  test.each([
    ['MediumHighImportance', MediumHighImportance],
    ['HighImportance', HighImportance],
    ['MediumImportance', MediumImportance],
    ['LowImportance', LowImportance],
  ])('KeSetTargetProcessorDpc: the DPC runs on processor 1, and on 0 when that is set (%s)', async (_, importance) => {
    await using machine = await boot({ processors: 2, build })
    expect(await machine.run(driver, 'runElsewhere', importance)).toEqual({ ran: [1, 0, 1, 0], irql: 2 })
  })

  test('KeInsertQueueDpc of a DPC that waits on another processor is FALSE, KeRemoveQueueDpc takes it from there', async () => {
    await using machine = await boot({ processors: 2, build })
    const counter = await machine.run(driver, 'makeCounter')
    const held = machine.run(driver, 'queueAndHold', counter, 1)
    expect(await machine.run(driver, 'insertAndRemove', counter)).toEqual({
      inserted: false,
      removed: true,
      again: false,
    })
    await held
    expect(await machine.run(driver, 'callsOf', counter)).toBe(0)
  })

  test('KeInsertQueueDpc from two processors at once: each insert that is TRUE runs the DPC once', async () => {
    await using machine = await boot({ processors: 2, build })
    const counter = await machine.run(driver, 'makeCounter')
    const runs = [0, 1].map((processor) => machine.run(driver, 'insertHammer', counter, processor))
    const inserted = ((await Promise.all(runs)) as number[]).reduce((sum, count) => sum + count, 0)
    expect(await machine.run(driver, 'counted', counter)).toBe(inserted)
    expect(inserted).toBeGreaterThan(0)
  })

  test('KeSetTargetProcessorDpc of processor 2 is bug check 0xC7/3', async () => {
    await using machine = await boot({ processors: 2, build })
    const error = await machine.run(driver, 'targetNobody').catch((caught: unknown) => caught)
    expect(error).toMatchObject({ code: 0xc7, parameters: [3, expect.any(Number), 2, 2] })
  })
})
