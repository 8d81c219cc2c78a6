import { expect, test } from 'vitest'
import { ExRaiseStatus, StatusError } from '../../../kernel/ke/exception.ts'
import { DISPATCH_LEVEL, raiseIrql } from '../../../kernel/ke/level.ts'
import { STATUS_ACCESS_VIOLATION } from '../../../kernel/rtl/status.ts'
import { bugCheckOf, onMachine } from './machine.ts'

test('ExRaiseStatus throws what a driver catches as Windows catches an exception', async () => {
  const status = await onMachine(() => {
    try {
      ExRaiseStatus(STATUS_ACCESS_VIOLATION)
    } catch (error) {
      if (error instanceof StatusError) return error.status
      throw error
    }
  })
  expect(status).toBe(STATUS_ACCESS_VIOLATION)
})

test('ExRaiseStatus above APC_LEVEL is a bug check', async () => {
  const error = await bugCheckOf(() => {
    raiseIrql(DISPATCH_LEVEL)
    ExRaiseStatus(STATUS_ACCESS_VIOLATION)
  })
  expect([error.bugCheck, error.irql]).toEqual(['IRQL_NOT_LESS_OR_EQUAL', DISPATCH_LEVEL])
})
