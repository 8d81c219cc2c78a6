import { expect, test } from 'vitest'
import { KeAreApcsDisabled, KeEnterCriticalRegion, KeLeaveCriticalRegion } from '../../../kernel/ke/apc.ts'
import { APC_LEVEL, DISPATCH_LEVEL, lowerIrql, raiseIrql } from '../../../kernel/ke/level.ts'
import { out } from '../../../kernel/ke/out.ts'
import { isPaged, poolFault } from '../../../kernel/mm/pool.ts'
import { STATUS_INSUFFICIENT_RESOURCES } from '../../../kernel/rtl/status.ts'
import { pointer, struct } from '../../../kernel/rtl/struct.ts'
import { ref } from '../../../kernel/rtl/ref.ts'
import { FsRtlNotifyInitializeSync, FsRtlNotifyUninitializeSync, NOTIFY_SYNC } from '../../../kernel/fsrtl/sync.ts'
import { settle, spawn } from '../ex/threads.ts'
import { blocksInUse, makeStruct, onVolume, success } from './volume.ts'
import { free } from '../../../kernel/mm/pool.ts'

const VCB = struct('TEST_VCB', { NotifySync: pointer(NOTIFY_SYNC) })

test('FsRtlNotifyInitializeSync stores a pointer to a nonpaged block whose lock nobody owns', async () => {
  const seen = await onVolume(() => {
    const box = out<NOTIFY_SYNC | null>()
    FsRtlNotifyInitializeSync(box)
    const { address, FastMutex, OwningThread, OwnerCount } = box.value as NOTIFY_SYNC
    const result = { isPaged: isPaged(address), Count: FastMutex.Count, OwningThread, OwnerCount }
    FsRtlNotifyUninitializeSync(box)
    return result
  })
  expect(seen).toEqual({ isPaged: false, Count: 1, OwningThread: 0, OwnerCount: 0 })
})

test('FsRtlNotifyInitializeSync without memory sets the pointer to null and raises STATUS_INSUFFICIENT_RESOURCES', async () => {
  const seen = await onVolume((volume) => {
    const box = { value: volume.sync as NOTIFY_SYNC | null }
    poolFault.shouldFail = () => true
    let status = 0
    try {
      FsRtlNotifyInitializeSync(box)
    } catch (error) {
      ;({ status } = error as { status: number })
    }
    poolFault.shouldFail = null
    return { status, box: box.value }
  })
  expect(seen).toEqual({ status: STATUS_INSUFFICIENT_RESOURCES, box: null })
})

test('FsRtlNotifyInitializeSync fills a field of the driver’s struct, where every processor sees it', async () => {
  const isThere = await onVolume(() => {
    const vcb = makeStruct(VCB)
    FsRtlNotifyInitializeSync(ref(vcb, 'NotifySync'))
    const filled = vcb.NotifySync !== null
    FsRtlNotifyUninitializeSync(ref(vcb, 'NotifySync'))
    const emptied = vcb.NotifySync === null
    free(vcb.address)
    return filled && emptied
  })
  expect(isThere).toBe(true)
})

test('FsRtlNotifyInitializeSync at DISPATCH_LEVEL is a bug check', async () => {
  const crash = onVolume(() => {
    raiseIrql(DISPATCH_LEVEL)
    FsRtlNotifyInitializeSync(out())
  })
  await expect(crash).rejects.toThrow(/FsRtlNotifyInitializeSync may be called at APC_LEVEL at most/)
})

test('FsRtlNotifyUninitializeSync frees the block and stores null; on null it does nothing', async () => {
  const seen = await onVolume(() => {
    const box = out<NOTIFY_SYNC | null>()
    FsRtlNotifyInitializeSync(box)
    const before = blocksInUse()['FSNS']
    FsRtlNotifyUninitializeSync(box)
    const after = blocksInUse()['FSNS']
    FsRtlNotifyUninitializeSync(box)
    return [before, after, box.value]
  })
  expect(seen).toEqual([2, 1, null])
})

test('FsRtlNotifyUninitializeSync works at APC_LEVEL', async () => {
  const value = await onVolume(() => {
    const box = out<NOTIFY_SYNC | null>()
    const before = raiseIrql(APC_LEVEL)
    FsRtlNotifyInitializeSync(box)
    FsRtlNotifyUninitializeSync(box)
    lowerIrql(before)
    return box.value
  })
  expect(value).toBe(null)
})

test('FsRtlNotifyUninitializeSync neither completes requests nor empties the list', async () => {
  const seen = await onVolume(async (volume) => {
    const request = await volume.open('\\d').watch()
    FsRtlNotifyUninitializeSync(volume.box)
    return [request.outcome, volume.isEmpty]
  })
  expect(seen).toEqual(['pending', false])
})

test('FsRtlNotifyUninitializeSync leaves requests that can still be cancelled', async () => {
  const seen = await onVolume(async (volume) => {
    const request = await volume.open('\\d').watch()
    FsRtlNotifyUninitializeSync(volume.box)
    const wasCancelled = request.cancel()
    return [wasCancelled, request.outcome]
  })
  expect(seen).toEqual([true, { status: 'CANCELLED', information: 0, records: [] }])
})

test('the lock may be taken again by its owner: a callback reports a change of its own', async () => {
  const seen = await onVolume(async (volume) => {
    const inner = await volume.open('\\inner').watch()
    const outer = await volume.open('\\outer').watch({
      FilterCallback: async () => {
        await volume.report('\\inner\\b')
        return true
      },
    })
    await volume.report('\\outer\\a', 1, { FilterContext: 1 })
    return [inner.outcome, outer.outcome, volume.sync.OwnerCount, volume.sync.FastMutex.Count]
  })
  expect(seen).toEqual([success('1 b'), success('1 a'), 0, 1])
})

test('the lock keeps other threads out while a callback waits', async () => {
  const seen = await onVolume(
    async (volume) => {
      const order: string[] = []
      const request = await volume.open('\\d').watch({
        FilterCallback: async () => {
          order.push('asked')
          await settle()
          order.push('answered')
          return true
        },
      })
      const first = await spawn(() => volume.report('\\d\\a', 1, { FilterContext: 1 }))
      const second = await spawn(async () => {
        await volume.report('\\d\\b')
        order.push('second')
      })
      await first()
      await second()
      return [order, request.outcome]
    },
    { clock: 'virtual' },
  )
  expect(seen).toEqual([['asked', 'answered', 'second'], success('1 a')])
})

test('the lock is held in a critical region, which the caller need not be in', async () => {
  const seen = await onVolume(async (volume) => {
    const areOff: boolean[] = []
    await volume.open('\\d').watch({ FilterCallback: () => areOff.push(KeAreApcsDisabled()) > 0 })
    await volume.report('\\d\\a', 1, { FilterContext: 1 })
    areOff.push(KeAreApcsDisabled())
    KeEnterCriticalRegion()
    await volume.report('\\d\\a', 1, { FilterContext: 1 })
    areOff.push(KeAreApcsDisabled())
    KeLeaveCriticalRegion()
    return areOff
  })
  expect(seen).toEqual([true, false, true, true])
})
