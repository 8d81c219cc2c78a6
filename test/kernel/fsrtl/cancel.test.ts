/** Cancelling requests (wdm-facts §1.9). */
import { describe, expect, test } from 'vitest'
import { IoCancelIrp } from '../../../kernel/io/cancel.ts'
import { FILE_ACTION_RENAMED_NEW_NAME, FILE_ACTION_RENAMED_OLD_NAME } from '../../../kernel/fsrtl/codes.ts'
import { KeInitializeDpc, KeInsertQueueDpc } from '../../../kernel/ke/dpc.ts'
import { KDPC } from '../../../kernel/ke/layouts.ts'
import { currentIrql, DISPATCH_LEVEL, KeGetCurrentIrql, lowerIrql, raiseIrql } from '../../../kernel/ke/level.ts'
import { poolFault, tagOf } from '../../../kernel/mm/pool.ts'
import { settle, spawn } from '../ex/threads.ts'
import { blocksInUse, CANCELLED, CLEANUP, ENUM_DIR, onVolume, type Outcome, type Request, success } from './volume.ts'

test('IoCancelIrp of a request that waits completes it with STATUS_CANCELLED and no bytes, before it returns', async () => {
  const seen = await onVolume(async (volume) => {
    const request = await volume.open('\\d').watch()
    const wasCancelled = request.cancel()
    return [wasCancelled, request.outcome, request.completions, currentIrql()]
  })
  expect(seen).toEqual([true, CANCELLED, 1, 0])
})

test('IoCancelIrp ends each of two requests, in whatever order', async () => {
  const seen = await onVolume(async (volume) => {
    const open = volume.open('\\d')
    const [first, second, third] = [await open.watch(), await open.watch(), await open.watch()]
    second.cancel()
    first.cancel()
    await volume.report('\\d\\a')
    return [first.outcome, second.outcome, third.outcome]
  })
  expect(seen).toEqual([CANCELLED, CANCELLED, success('1 a')])
})

test('the structure survives its requests: changes are kept, and the first request’s wishes, too', async () => {
  const seen = await onVolume(async (volume) => {
    const open = volume.open('\\d')
    const request = await open.watch({ WatchTree: true })
    request.cancel()
    await volume.report('\\d\\e\\a')
    return (await open.watch({ WatchTree: false })).outcome
  })
  expect(seen).toEqual(success('1 e\\a'))
})

test('a request that is cancelled before it is queued ends at once', async () => {
  const seen = await onVolume(async (volume) => {
    const open = volume.open('\\d')
    volume.beforeSending = (irp) => void IoCancelIrp(irp)
    const request = await open.watch()
    return [request.outcome, request.completions]
  })
  expect(seen).toEqual([CANCELLED, 1])
})

test('IoCancelIrp at DISPATCH_LEVEL completes it there', async () => {
  const seen = await onVolume(async (volume) => {
    const levels: number[] = []
    const request = await volume.open('\\d').watch({ whenDone: () => void levels.push(KeGetCurrentIrql()) })
    const before = raiseIrql(DISPATCH_LEVEL)
    request.cancel()
    lowerIrql(before)
    return [request.outcome, levels]
  })
  expect(seen).toEqual([CANCELLED, [DISPATCH_LEVEL]])
})

describe('while somebody has the lock', () => {
  test('IoCancelIrp does not wait: the request is completed when the lock is given back', async () => {
    const seen = await onVolume(
      async (volume) => {
        const order: string[] = []
        const cancelled = await volume.open('\\e').watch({ whenDone: () => void order.push('completed') })
        await volume.open('\\d').watch({
          FilterCallback: async () => {
            await settle()
            order.push('answered')
            return true
          },
        })
        const report = await spawn(() => volume.report('\\d\\a', 1, { FilterContext: 1 }))
        const wasCancelled = cancelled.cancel()
        order.push(cancelled.outcome === 'pending' ? 'still pending' : 'too early')
        await report()
        return [wasCancelled, order, cancelled.outcome, volume.sync.FastMutex.Count]
      },
      { clock: 'virtual' },
    )
    expect(seen).toEqual([true, ['still pending', 'answered', 'completed'], CANCELLED, 1])
  })

  test('several cancelled requests are completed in the order of their cancellation', async () => {
    const seen = await onVolume(async (volume) => {
      const order: number[] = []
      const open = volume.open('\\e')
      const requests: Request[] = []
      for (let i = 0; i < 4; i++) requests.push(await open.watch({ whenDone: () => void order.push(i) }))
      await volume.open('\\d').watch({ FilterCallback: () => [2, 0, 3, 1].every((i) => requests[i]?.cancel()) })
      await volume.report('\\d\\a', 1, { FilterContext: 1 })
      return [order, requests.map(({ outcome }) => outcome)]
    })
    expect(seen).toEqual([
      [2, 0, 3, 1],
      [CANCELLED, CANCELLED, CANCELLED, CANCELLED],
    ])
  })

  test('a DPC that interrupts the owner may cancel', async () => {
    const seen = await onVolume(async (volume) => {
      const cancelled = await volume.open('\\e').watch()
      const dpc = volume.make(KDPC)
      KeInitializeDpc(dpc, () => cancelled.cancel(), null)
      const outcomes: Outcome[] = []
      await volume.open('\\d').watch({
        FilterCallback: () => {
          KeInsertQueueDpc(dpc, null, null)
          KeGetCurrentIrql()
          outcomes.push(cancelled.outcome)
          return true
        },
      })
      await volume.report('\\d\\a', 1, { FilterContext: 1 })
      return [...outcomes, cancelled.outcome]
    })
    expect(seen).toEqual(['pending', CANCELLED])
  })

  test('a request that is being cancelled is passed by: the change goes to the next one', async () => {
    const seen = await onVolume(async (volume) => {
      const open = volume.open('\\d')
      const first = await open.watch({ FilterCallback: () => first.cancel() })
      const second = await open.watch()
      await volume.report('\\d\\a', 1, { FilterContext: 1 })
      return [first.outcome, second.outcome]
    })
    expect(seen).toEqual([CANCELLED, success('1 a')])
  })

  test('a watcher that is cleaned up lives until its cancelled requests are gone, and takes no new one', async () => {
    const seen = await onVolume(async (volume) => {
      const open = volume.open('\\d')
      const first = await open.watch({
        FilterCallback: async () => {
          first.cancel()
          await open.cleanup()
          await open.cleanup()
          await open.watch()
          return true
        },
      })
      await open.watch()
      await volume.report('\\d\\a', 1, { FilterContext: 1 })
      return [volume.requests.map(({ outcome, completions }) => [outcome, completions]), volume.isEmpty]
    })
    const ends = [CANCELLED, CLEANUP, CLEANUP].map((outcome) => [outcome, 1])
    expect(seen).toEqual([ends, true])
  })
})

describe('what is recorded in the buffer of a cancelled request', () => {
  const half = FILE_ACTION_RENAMED_OLD_NAME
  const rest = FILE_ACTION_RENAMED_NEW_NAME

  test('goes to the next request', async () => {
    const seen = await onVolume(async (volume) => {
      const open = volume.open('\\d')
      const [first, second] = [await open.watch(), await open.watch()]
      await volume.report('\\d\\a', half)
      poolFault.shouldFail = (_size, tag) => tag === tagOf('FsNB')
      first.cancel()
      poolFault.shouldFail = null
      await volume.report('\\d\\b', rest)
      return [first.outcome, second.outcome]
    })
    expect(seen).toEqual([CANCELLED, success('4 a', '5 b')])
  })

  test.for([true, false])(
    'goes to a block of its own where no request has room (another one waits: %s)',
    async (waits) => {
      const seen = await onVolume(async (volume) => {
        const open = volume.open('\\d')
        const first = await open.watch()
        const short = waits ? await open.watch({ length: 4 }) : null
        await volume.report('\\d\\a', half)
        first.cancel()
        const blocks = blocksInUse()['FsNB']
        short?.cancel()
        await volume.report('\\d\\b', rest)
        return [blocks, (await open.watch()).outcome]
      })
      expect(seen).toEqual([1, success('4 a', '5 b')])
    },
  )

  test('is lost where there is no memory either: the next one is told so', async () => {
    const seen = await onVolume(async (volume) => {
      const open = volume.open('\\d')
      const first = await open.watch()
      await volume.report('\\d\\a', half)
      poolFault.shouldFail = (_size, tag) => tag === tagOf('FsNB')
      first.cancel()
      poolFault.shouldFail = null
      await volume.report('\\d\\b', rest)
      return [(await open.watch()).outcome, (await open.watch()).outcome]
    })
    expect(seen).toEqual([ENUM_DIR, 'pending'])
  })
})
