import { expect, test } from 'vitest'
import {
  KeGetCurrentProcessorNumber,
  KeGetCurrentProcessorNumberEx,
  KeQueryActiveProcessorCountEx,
  KeQueryActiveProcessors,
} from '../../../kernel/ke/ipi.ts'
import { HIGH_LEVEL, lowerIrql, raiseIrql } from '../../../kernel/ke/level.ts'
import { onMachine } from './machine.ts'

test('KeGetCurrentProcessorNumberEx is KeGetCurrentProcessorNumber, at HIGH_LEVEL too', async () => {
  const numbers = await onMachine(() => {
    const before = raiseIrql(HIGH_LEVEL)
    const seen = [KeGetCurrentProcessorNumberEx(null), KeGetCurrentProcessorNumber()]
    lowerIrql(before)
    return seen
  })
  expect(numbers).toEqual([0, 0])
})

test('KeQueryActiveProcessorCountEx is the number of bits of KeQueryActiveProcessors', async () => {
  expect(await onMachine(() => [KeQueryActiveProcessorCountEx(0), KeQueryActiveProcessors()])).toEqual([1, 1])
})

test('KeQueryActiveProcessors has the bit of the processor that asks', async () => {
  expect(await onMachine(() => (KeQueryActiveProcessors() >>> KeGetCurrentProcessorNumber()) & 1)).toBe(1)
})
