import { expect, test } from 'vitest'
import { KeLowerIrql, KeRaiseIrql } from '../../../kernel/ke/level.ts'
import { out } from '../../../kernel/ke/out.ts'
import { bugCheckOf, onMachine } from './machine.ts'

test('out is a box that a routine fills', async () => {
  const before = await onMachine(() => {
    const level = out<number>()
    KeRaiseIrql(2, level)
    KeLowerIrql(level.value)
    return level.value
  })
  expect(before).toBe(0)
})

test('out keeps whatever it is filled with, undefined too', () => {
  const box = out<undefined>()
  box.value = undefined
  expect(box.value).toBeUndefined()
})

test('out that is read before it was filled is a bug check with the line of the reader', async () => {
  const error = await bugCheckOf(() => out<number>().value)
  expect([error.bugCheck, error.parameters[0]]).toEqual(['DRIVER_VIOLATION', 0x20])
  expect(error.message).toContain('was read before a routine filled it')
  expect(error.file).toContain('out.test.ts')
})

test('out that is read unfilled outside of a machine throws', () => {
  expect(() => out<number>().value).toThrow(/was read before a routine filled it/)
})
