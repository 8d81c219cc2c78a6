import fc from 'fast-check'
import { expect, test } from 'vitest'
import { RequestStream, submitted, TransferStatus, unlinked } from '../../../firmware-sim/usb/usbip.ts'
import { bytesOf, hexOf, submitHex, unlinkHex } from './bus.ts'

/** The example of the kernel's own documentation: an interrupt transfer of 64 bytes from endpoint 1. */
const DOCUMENTED =
  '00000001 00000d05 0001000f 00000001 00000001 00000200 00000040 ffffffff 00000000 00000004 00000000 00000000'

test('a transfer towards the host is read as documented', () => {
  const [request] = new RequestStream().push(bytesOf(DOCUMENTED))
  expect(request).toEqual({
    kind: 'submit',
    sequence: 0x0d05,
    endpoint: 1,
    isIn: true,
    length: 64,
    setup: { type: 0, request: 0, value: 0, index: 0, length: 0 },
    data: new Uint8Array(0),
  })
})

test('its answer is written as documented', () => {
  const data = bytesOf('ffffffff860008a784ce5ae212376300')
  expect(hexOf(submitted(0x0d05, TransferStatus.Done, data.length, data))).toBe(
    '0000000300000d050000000000000000000000000000000000000010' + '00'.repeat(20) + hexOf(data),
  )
})

test('a stall and the answers to an unlink are errno values', () => {
  expect(hexOf(submitted(7, TransferStatus.Stalled, 0)).slice(40, 48)).toBe('ffffffe0')
  expect(hexOf(unlinked(8, TransferStatus.Unlinked)).slice(0, 48)).toBe(
    '00000004 00000008 00000000 00000000 00000000 ffffff98'.replaceAll(' ', ''),
  )
})

test('the setup packet of a control transfer is little-endian', () => {
  const [request] = new RequestStream().push(
    bytesOf(submitHex(1, { endpoint: 0, isIn: true, length: 18, setup: '8006000104031200' })),
  )
  expect(request).toMatchObject({ setup: { type: 0x80, request: 6, value: 0x0100, index: 0x0304, length: 18 } })
})

test('requests are the same however the stream is cut', () => {
  const transfers = fc.array(
    fc.oneof(
      fc.record({
        endpoint: fc.integer({ min: 0, max: 15 }),
        isIn: fc.boolean(),
        data: fc.uint8Array({ maxLength: 100 }),
      }),
      fc.integer({ min: 1, max: 1000 }),
    ),
    { maxLength: 20 },
  )
  fc.assert(
    fc.property(transfers, fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1 }), (list, cuts) => {
      const hex = list.map((one, index) => {
        if (typeof one === 'number') return unlinkHex(index, one)
        const { endpoint, isIn, data } = one
        return submitHex(index, { endpoint, isIn, length: data.length, data: isIn ? '' : hexOf(data) })
      })
      const whole = bytesOf(hex.join(''))
      const expected = new RequestStream().push(whole)
      expect(expected.length).toBe(list.length)
      const stream = new RequestStream()
      const found = []
      for (let at = 0, turn = 0; at < whole.length; turn++) {
        const next = at + (cuts[turn % cuts.length] as number)
        found.push(...stream.push(whole.subarray(at, next)))
        at = next
      }
      expect(found).toEqual(expected)
    }),
  )
})

test('a stream that is out of step is refused', () => {
  expect(() => new RequestStream().push(bytesOf('00'.repeat(48)))).toThrow(/out of step/)
  expect(() => new RequestStream().push(bytesOf(submitHex(1, { endpoint: 1, isIn: false, length: 1 << 24 })))).toThrow(
    /out of step/,
  )
})
