import { expect, test } from 'vitest'
import { AcmDevice } from '../../../firmware-sim/usb/acm.ts'
import { type Answer, TestBus } from './bus.ts'

const PLAIN = { manufacturer: 'A', product: 'Bé', serialNumber: 'S1' }
const onAcm = (): { bus: TestBus; device: AcmDevice } => {
  const device = new AcmDevice(PLAIN)
  return { device, bus: new TestBus(device) }
}
const brief = ({ sequence, status, data }: Answer): [number, number, string] => [sequence, status, data]

test('the host is told who the device is', () => {
  const { bus } = onAcm()
  expect(bus.control('80 06 0001 0000 4000')).toBe('1201000202000040412343000100010203' + '01')
  expect(bus.control('80 06 0003 0000 ff00')).toBe('04030904')
  expect(bus.control('80 06 0203 0904 ff00')).toBe('06034200e900')
  expect(bus.control('80 06 0303 0904 ff00')).toBe('060353003100')
})

test('a string that there is not is stalled', () => {
  const bus = new TestBus(new AcmDevice({ ...PLAIN, serialNumber: '' }))
  expect(bus.control('80 06 0303 0904 ff00')).toBe('stall')
  expect(bus.control('80 06 0903 0904 ff00')).toBe('stall')
  expect(bus.control('80 06 0001 0000 1200').slice(32, 34)).toBe('00') // iSerialNumber
})

test('no more is answered than was asked for', () => {
  const { bus } = onAcm()
  expect(bus.control('80 06 0001 0000 0800')).toBe('1201000202000040')
})

test('a configuration is kept, and tells that a driver is at work', () => {
  const { bus, device } = onAcm()
  let configured = 0
  device.onConfigured = () => (configured += 1)
  expect(bus.control('80 08 0000 0000 0100')).toBe('00')
  expect(bus.control('00 09 0100 0000 0000')).toBe('')
  expect(bus.control('80 08 0000 0000 0100')).toBe('01')
  expect(configured).toBe(1)
})

test('a request that is not known is stalled', () => {
  const { bus } = onAcm()
  expect(bus.control('80 55 0000 0000 0100')).toBe('stall')
  expect(bus.control('40 01 0000 0000 0000')).toBe('stall')
})

test('a transfer waits for a packet, and a packet for a transfer', () => {
  const { bus, device } = onAcm()
  const first = bus.read(1)
  expect(bus.answers()).toEqual([])
  device.send(Uint8Array.of(1, 2))
  device.send(Uint8Array.of(3))
  expect(bus.answers().map(brief)).toEqual([[first, 0, '0102']])
  expect(device.unsent).toBe(1)
  const second = bus.read(1)
  expect(bus.answers().map(brief)).toEqual([[second, 0, '03']])
  expect(device.unsent).toBe(0)
})

test('full packets of a stream fill a transfer, up to the first that is not full', () => {
  const { bus, device } = onAcm()
  device.send(new Uint8Array(64 * 3 + 5).fill(7))
  bus.read(1, 128)
  bus.read(1, 512)
  expect(bus.answers().map(({ actual }) => actual)).toEqual([128, 69])
})

test('a transfer that waits can be taken back; one that is answered cannot', () => {
  const { bus, device } = onAcm()
  const waiting = bus.read(1)
  const unlink = bus.unlink(waiting)
  expect(bus.answers().map(brief)).toEqual([[unlink, -104, '']])
  device.send(Uint8Array.of(1))
  expect(bus.answers()).toEqual([])
  const answered = bus.read(1)
  const late = bus.unlink(answered)
  expect(bus.answers().map(brief)).toEqual([
    [answered, 0, '01'],
    [late, 0, ''],
  ])
})

test('a device that is held answers no data until it is released', () => {
  const { bus, device } = onAcm()
  const got: number[] = []
  device.onData = (bytes) => got.push(...bytes)
  device.hold()
  const first = bus.write(2, '0102')
  const second = bus.write(2, '03')
  const unlink = bus.unlink(second)
  expect(bus.answers().map(brief)).toEqual([[unlink, -104, '']])
  device.release()
  expect(bus.answers().map(brief)).toEqual([[first, 0, '']])
  expect(got).toEqual([1, 2])
})

test('a stalled endpoint stalls each transfer until the host clears the halt', () => {
  const { bus, device } = onAcm()
  const waiting = bus.read(1)
  device.stall(0x81)
  device.stall(0x02)
  const next = bus.read(1)
  const out = bus.write(2, '01')
  expect(bus.answers().map(({ sequence, status }) => [sequence, status])).toEqual([
    [waiting, -32],
    [next, -32],
    [out, -32],
  ])
  expect(bus.control('82 00 0000 8100 0200')).toBe('0100')
  expect(bus.control('02 01 0000 8100 0000')).toBe('')
  expect(bus.control('82 00 0000 8100 0200')).toBe('0000')
  device.send(Uint8Array.of(9))
  bus.read(1)
  expect(bus.answers().map(({ data }) => data)).toEqual(['09'])
})

test('an endpoint that there is not is stalled', () => {
  const { bus } = onAcm()
  bus.read(7)
  expect(bus.answers().map(({ status }) => status)).toEqual([-32])
})
