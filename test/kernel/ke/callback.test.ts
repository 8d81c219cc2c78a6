import { expect, test } from 'vitest'
import { boot } from '../../../machine/index.ts'
import { KeBugCheckEx } from '../../../kernel/ke/bugcheck.ts'
import {
  KBUGCHECK_CALLBACK_RECORD,
  KeDeregisterBugCheckCallback,
  KeInitializeCallbackRecord,
  KeRegisterBugCheckCallback,
} from '../../../kernel/ke/callback.ts'
import { MmMapIoSpace, MmNonCached } from '../../../kernel/ke/iospace.ts'
import { KeGetCurrentIrql } from '../../../kernel/ke/level.ts'
import { WRITE_REGISTER_ULONG } from '../../../kernel/ke/register.ts'
import { allocateStruct } from '../../../kernel/mm/pool.ts'
import { RegisterKind } from '../../../kernel/ports/device.ts'
import { makeBoard, takeAll } from './board.ts'
import { onMachine } from './machine.ts'

function newRecord(): KBUGCHECK_CALLBACK_RECORD {
  const record = allocateStruct(KBUGCHECK_CALLBACK_RECORD, 'Test') as KBUGCHECK_CALLBACK_RECORD
  KeInitializeCallbackRecord(record)
  return record
}

test('KeInitializeCallbackRecord makes a record that can be registered', async () => {
  expect(await onMachine(() => newRecord().State)).toBe(0)
})

test('KeRegisterBugCheckCallback gives FALSE for a record that is registered', async () => {
  const results = await onMachine(() => {
    const record = newRecord()
    return [1, 2].map(() => KeRegisterBugCheckCallback(record, () => {}, null, 0, 'test'))
  })
  expect(results).toEqual([true, false])
})

test('KeDeregisterBugCheckCallback gives FALSE for a record that is not registered', async () => {
  const results = await onMachine(() => {
    const record = newRecord()
    KeRegisterBugCheckCallback(record, () => {}, null, 0, 'test')
    return [KeDeregisterBugCheckCallback(record), KeDeregisterBugCheckCallback(record)]
  })
  expect(results).toEqual([true, false])
})

test('KeRegisterBugCheckCallback has the routine called once at HIGH_LEVEL, where it can still write registers', async () => {
  const calls: number[][] = []
  await using machine = await boot({ localRoutines: true })
  const made = await machine.run(() => makeBoard([RegisterKind.Control]))
  const crash = machine.run(() => {
    const base = MmMapIoSpace(made.window, 4, MmNonCached)
    const stop = (register: number, length: number): void => {
      WRITE_REGISTER_ULONG(register, 1)
      calls.push([length, KeGetCurrentIrql()])
    }
    KeRegisterBugCheckCallback(newRecord(), stop, base, 4, 'test')
    KeRegisterBugCheckCallback(newRecord(), () => void KeBugCheckEx(1, 0, 0, 0, 0), null, 0, 'broken')
    KeBugCheckEx(0xe2, 0, 0, 0, 0)
  })
  await expect(crash).rejects.toMatchObject({ code: 0xe2 })
  expect(calls).toEqual([[4, 15]])
  expect(takeAll(made)).toHaveLength(1)
})
