import { expect, test } from 'vitest'
import { KeInitializeDpc, KeInsertQueueDpc, KeSetImportanceDpc, LowImportance } from '../../../kernel/ke/dpc.ts'
import {
  KeFlushQueuedDpcs,
  KeGenericCallDpc,
  KeSetTargetProcessorDpcEx,
  KeSignalCallDpcDone,
  KeSignalCallDpcSynchronize,
} from '../../../kernel/ke/dpcflush.ts'
import { KDPC } from '../../../kernel/ke/layouts.ts'
import { KeGetCurrentIrql, KeRaiseIrqlToDpcLevel } from '../../../kernel/ke/level.ts'
import { allocateStruct, poolUsage } from '../../../kernel/mm/pool.ts'
import { STATUS_INVALID_PARAMETER, STATUS_SUCCESS } from '../../../kernel/rtl/status.ts'
import { bugCheckOf, onMachine } from './machine.ts'

const newDpc = (): KDPC => allocateStruct(KDPC, 'Test') as KDPC
const bytes = (): number => poolUsage().reduce((sum, row) => sum + row.bytes, 0)

// wdm-facts §7 [DDI keflushqueueddpcs]: DPCs queued before the call have finished.
test('KeFlushQueuedDpcs returns when a DPC of low importance, queued before, has run', async () => {
  const seen = await onMachine(async () => {
    const dpc = newDpc()
    let runs = 0
    KeInitializeDpc(dpc, () => void runs++, null)
    KeSetImportanceDpc(dpc, LowImportance)
    KeInsertQueueDpc(dpc, null, null)
    const before = runs
    const memory = bytes()
    await KeFlushQueuedDpcs()
    return { before, after: runs, leaked: bytes() - memory }
  })
  expect(seen).toEqual({ before: 0, after: 1, leaked: 0 })
})

test('KeFlushQueuedDpcs at DISPATCH_LEVEL is bug check 0xA', async () => {
  const error = await bugCheckOf(async () => {
    KeRaiseIrqlToDpcLevel()
    await KeFlushQueuedDpcs()
  })
  expect(error.code).toBe(0xa)
})

test('KeSetTargetProcessorDpcEx refuses a processor that the machine does not have', async () => {
  const statuses = await onMachine(() =>
    [0, 1].map((Number) => KeSetTargetProcessorDpcEx(newDpc(), { Group: 0, Number })),
  )
  expect(statuses).toEqual([STATUS_SUCCESS, STATUS_INVALID_PARAMETER])
})

// wdm-facts §7 [WINE driver.c test_dpc]
test('KeGenericCallDpc calls the routine at DISPATCH_LEVEL and returns behind KeSignalCallDpcDone', async () => {
  const seen = await onMachine(() => {
    const runs: number[] = []
    KeGenericCallDpc((_dpc: KDPC, context: number, done: number) => {
      runs.push(context, KeGetCurrentIrql())
      KeSignalCallDpcDone(done)
    }, 42)
    return { runs, irql: KeGetCurrentIrql() }
  })
  expect(seen).toEqual({ runs: [42, 2], irql: 0 })
})

test('KeSignalCallDpcDone lets KeGenericCallDpc return, so its memory is freed', async () => {
  const leaked = await onMachine(() => {
    const before = bytes()
    KeGenericCallDpc((_dpc: KDPC, _context: null, done: number) => KeSignalCallDpcDone(done), null)
    return bytes() - before
  })
  expect(leaked).toBe(0)
})

test('KeSignalCallDpcSynchronize gives TRUE on exactly one processor, each time', async () => {
  const winners = await onMachine(() => {
    const seen: boolean[] = []
    KeGenericCallDpc((_dpc: KDPC, _context: null, done: number, barrier: number) => {
      seen.push(KeSignalCallDpcSynchronize(barrier), KeSignalCallDpcSynchronize(barrier))
      KeSignalCallDpcDone(done)
    }, null)
    return seen
  })
  expect(winners).toEqual([true, true])
})
