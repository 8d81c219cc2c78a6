import { expect, test } from 'vitest'
import { readHex } from '../../../firmware-sim/avr/hex.ts'

const END = ':00000001FF'

test('records land at their addresses, and the rest is erased', () => {
  const image = readHex(`:0400040001020304EE\n:02001000AABB89\n${END}\n`, 32)
  expect([...image.subarray(4, 8)]).toEqual([1, 2, 3, 4])
  expect([...image.subarray(16, 19)]).toEqual([0xaa, 0xbb, 0xff])
})

test('extended addresses move what follows', () => {
  expect(readHex(`:020000020001FB\n:0100000042BD\n${END}`, 32)[16]).toBe(0x42)
  expect(() => readHex(`:020000040001F9\n:0100000042BD\n${END}`, 32)).toThrow('address 0x10000 is outside of 32 bytes')
})

test.each([
  ['hello', 'HEX line 1: this is no record'],
  [':0100000042BE', 'HEX line 1: its checksum does not match'],
  [':0200000042BC', 'HEX line 1: its length does not match'],
  [':0100000042BD', 'the end-of-file record is missing'],
  [':00000009F7', 'record type 9 is not known'],
])('%s is refused: %s', (text, message) => {
  expect(() => readHex(text, 32)).toThrow(message)
})
