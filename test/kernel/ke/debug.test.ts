import { expect, test } from 'vitest'
import { DbgPrint, KdPrint, NT_ASSERT, PAGED_CODE } from '../../../kernel/ke/debug.ts'
import {
  APC_LEVEL,
  DISPATCH_LEVEL,
  HIGH_LEVEL,
  KeGetCurrentIrql,
  lowerIrql,
  PASSIVE_LEVEL,
  raiseIrql,
} from '../../../kernel/ke/level.ts'
import { KEVENT } from '../../../kernel/ke/layouts.ts'
import { allocateStruct } from '../../../kernel/mm/pool.ts'
import { RtlInitUnicodeString, UNICODE_STRING } from '../../../kernel/rtl/string.ts'
import { bugCheckOf, onMachine } from './machine.ts'

/** What `body` prints. */
async function printed(body: () => unknown, build: 'checked' | 'free' = 'checked'): Promise<string> {
  let text = ''
  await onMachine(body, { build, print: (more) => (text += more) })
  return text
}

test('DbgPrint prints at any IRQL, and returns STATUS_SUCCESS', async () => {
  const text = await printed(() => {
    raiseIrql(HIGH_LEVEL)
    const status = DbgPrint('at %d with %08x\n', KeGetCurrentIrql(), 0xabc)
    lowerIrql(PASSIVE_LEVEL)
    expect(status).toBe(0)
  })
  expect(text).toBe('at 15 with 00000abc\n')
})

test('DbgPrint prints a UNICODE_STRING with %wZ and an object with %p', async () => {
  let address = 0
  const text = await printed(() => {
    const name = allocateStruct(UNICODE_STRING, 'Test') as UNICODE_STRING
    RtlInitUnicodeString(name, '\\Device\\Button')
    const event = allocateStruct(KEVENT, 'Test') as KEVENT
    address = event.address
    DbgPrint('%wZ %p %wZ', name, event, 'a string')
  })
  expect(text).toBe(`\\Device\\Button ${address.toString(16).toUpperCase().padStart(8, '0')} a string`)
})

test('DbgPrint with a Unicode code above PASSIVE_LEVEL is a bug check', async () => {
  const error = await bugCheckOf(() => {
    raiseIrql(DISPATCH_LEVEL)
    DbgPrint('%wZ', 'name')
  })
  expect([error.bugCheck, error.message]).toEqual([
    'IRQL_NOT_LESS_OR_EQUAL',
    expect.stringContaining('DbgPrint with a Unicode format code may be called at PASSIVE_LEVEL at most'),
  ])
})

test('DbgPrint sends 512 characters at most', async () => {
  expect(await printed(() => void DbgPrint('%600d', 1))).toHaveLength(512)
})

test('KdPrint prints in the checked build only', async () => {
  expect(await printed(() => KdPrint('%d', 1))).toBe('1')
  expect(await printed(() => KdPrint('%d', 1), 'free')).toBe('')
})

test('NT_ASSERT stops the checked build when the condition does not hold', async () => {
  const error = await bugCheckOf(() => {
    NT_ASSERT(true)
    NT_ASSERT(1 + 1 === 3)
  })
  expect([error.bugCheck, error.parameters[0]]).toEqual(['KMODE_EXCEPTION_NOT_HANDLED', 0xc0000420 | 0])
  expect(error.file).toContain('debug.test.ts')
  await onMachine(() => NT_ASSERT(false), { build: 'free' })
})

test('PAGED_CODE stops the checked build at DISPATCH_LEVEL', async () => {
  const error = await bugCheckOf(() => {
    raiseIrql(APC_LEVEL)
    PAGED_CODE()
    raiseIrql(DISPATCH_LEVEL)
    PAGED_CODE()
  })
  expect([error.bugCheck, error.irql]).toEqual(['IRQL_NOT_LESS_OR_EQUAL', DISPATCH_LEVEL])
})
