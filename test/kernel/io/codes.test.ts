import { expect, test } from 'vitest'
import {
  CTL_CODE,
  DEVICE_TYPE_FROM_CTL_CODE,
  FILE_ANY_ACCESS,
  FILE_DEVICE_SERIAL_PORT,
  FILE_DEVICE_UNKNOWN,
  FILE_WRITE_ACCESS,
  METHOD_BUFFERED,
  METHOD_FROM_CTL_CODE,
  METHOD_NEITHER,
} from '../../../kernel/io/codes.ts'

// IOCTL_SERIAL_SET_BAUD_RATE (ntddser.h) is 0x1B0004.
test('CTL_CODE puts type, access, function and method where ntddser.h has them', () => {
  expect(CTL_CODE(FILE_DEVICE_SERIAL_PORT, 1, METHOD_BUFFERED, FILE_ANY_ACCESS)).toBe(0x1b0004)
  expect(CTL_CODE(FILE_DEVICE_UNKNOWN, 0x801, METHOD_NEITHER, FILE_WRITE_ACCESS)).toBe(0x22a007)
})

test('CTL_CODE of a vendor device type stays positive', () => {
  expect(CTL_CODE(0xffff, 0xfff, METHOD_NEITHER, 3)).toBe(0xffffffff)
})

test('METHOD_FROM_CTL_CODE and DEVICE_TYPE_FROM_CTL_CODE take a code apart', () => {
  const code = CTL_CODE(0x8001, 0x9ab, METHOD_NEITHER, FILE_WRITE_ACCESS)
  expect([METHOD_FROM_CTL_CODE(code), DEVICE_TYPE_FROM_CTL_CODE(code)]).toEqual([METHOD_NEITHER, 0x8001])
})

test('DEVICE_TYPE_FROM_CTL_CODE is unsigned', () => {
  expect(DEVICE_TYPE_FROM_CTL_CODE(0xffff0000)).toBe(0xffff)
})
