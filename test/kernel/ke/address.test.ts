import { expect, test } from 'vitest'
import { MmIsAddressValid } from '../../../kernel/ke/address.ts'
import { KEVENT } from '../../../kernel/ke/layouts.ts'
import { LOWEST_ADDRESS, mem } from '../../../kernel/mm/memory.ts'
import { allocateStruct } from '../../../kernel/mm/pool.ts'
import { onMachine } from './machine.ts'

test('MmIsAddressValid is TRUE in the memory of the machine, except near NULL', async () => {
  const answers = await onMachine(() => [
    MmIsAddressValid(allocateStruct(KEVENT, 'Test')),
    MmIsAddressValid(LOWEST_ADDRESS),
    MmIsAddressValid(mem.u8.length - 1),
    MmIsAddressValid(null),
    MmIsAddressValid(LOWEST_ADDRESS - 1),
    MmIsAddressValid(mem.u8.length),
    MmIsAddressValid(-4),
  ])
  expect(answers).toEqual([true, true, true, false, false, false, false])
})
