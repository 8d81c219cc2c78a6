import { expect, test } from 'vitest'
import { AcmDevice } from '../../../firmware-sim/usb/acm.ts'
import { Ch340Device } from '../../../firmware-sim/usb/ch340.ts'
import { Cp2102Device } from '../../../firmware-sim/usb/cp2102.ts'
import { FtdiDevice } from '../../../firmware-sim/usb/ftdi.ts'
import type { HostLines, SerialUsbDevice } from '../../../firmware-sim/usb/serial.ts'
import { TestBus } from './bus.ts'

interface Bench<D> {
  bus: TestBus
  device: D
  lines: HostLines[]
  bauds: number[]
  bytes: number[]
}

function bench<D extends SerialUsbDevice>(device: D): Bench<D> {
  const made: Bench<D> = { bus: new TestBus(device), device, lines: [], bauds: [], bytes: [] }
  device.onLines = (lines) => made.lines.push(lines)
  device.onBaudRate = (baud) => made.bauds.push(baud)
  device.onData = (data) => made.bytes.push(...data)
  return made
}

const told = ({ bus }: { bus: TestBus }): string[] => bus.answers().map(({ data }) => data)
const HIGH = { dtr: true, rts: true, brk: false }

test('CDC-ACM describes a control interface with an endpoint for notes and a data interface with two', () => {
  const { bus } = bench(new AcmDevice())
  expect(bus.control('80 06 0002 0000 ff00')).toBe(
    [
      '09024300 02010080 32',
      '0904000001020201 00', // communications, abstract control model
      '0524001001 0524010001 04240206 0524060001', // header, call management, capabilities, union
      '070583031000 0a',
      '09040100020a0000 00',
      '07058102400000 07050202400000',
    ]
      .join('')
      .replaceAll(' ', ''),
  )
})

test('CDC-ACM keeps its line coding, and tells the baud rate', () => {
  const { bus, bauds } = bench(new AcmDevice())
  expect(bus.control('a1 21 0000 0000 0700')).toBe('80250000000008')
  expect(bus.control('21 20 0000 0000 0700', '00c20100000008')).toBe('')
  expect(bus.control('a1 21 0000 0000 0700')).toBe('00c20100000008')
  expect(bauds).toEqual([115_200])
  expect(bus.control('21 20 0000 0000 0300', '00c201')).toBe('stall')
})

test('CDC-ACM is told of DTR, RTS and break', () => {
  const { bus, lines } = bench(new AcmDevice())
  bus.control('21 22 0300 0000 0000')
  bus.control('21 23 ffff 0000 0000')
  bus.control('21 23 0000 0000 0000')
  bus.control('21 22 0000 0000 0000')
  expect(lines).toEqual([HIGH, { ...HIGH, brk: true }, HIGH, { dtr: false, rts: false, brk: false }])
})

test('CDC-ACM without break says so, and stalls one', () => {
  const { bus } = bench(new AcmDevice({}, false))
  expect(bus.control('80 06 0002 0000 ff00')).toContain('04240202')
  expect(bus.control('21 23 ffff 0000 0000')).toBe('stall')
})

test('CDC-ACM tells its lines in notes, one for each change', () => {
  const { bus, device } = bench(new AcmDevice())
  device.setInputs({ dsr: true, cts: true })
  device.setInputs({ dcd: true, ri: true })
  bus.read(3, 16)
  bus.read(3, 16)
  expect(told({ bus })).toEqual(['a1200000000002000200', 'a1200000000002000b00'])
})

test('an FT232R describes one interface of the vendor', () => {
  const { bus } = bench(new FtdiDevice())
  expect(bus.control('80 06 0002 0000 ff00')).toBe(
    '09022000010100803209040000 02ffffff00 07058102400000 07050202400000'.replaceAll(' ', ''),
  )
  expect(bus.control('80 06 0001 0000 1200').slice(24, 28)).toBe('0006') // what tells an FT232R from its elders
})

test('an FT232R begins each packet with its status', () => {
  const { bus, device } = bench(new FtdiDevice())
  device.setInputs({ cts: true })
  device.setInputs({ dsr: true, ri: true, dcd: true })
  device.send(new Uint8Array(63).fill(0xaa))
  for (let packet = 0; packet < 4; packet++) bus.read(1, 64)
  expect(told({ bus })).toEqual(['1160', 'f160', `f160${'aa'.repeat(62)}`, 'f160aa'])
  expect(bus.control('c0 05 0000 0000 0200')).toBe('f160')
})

test('an FT232R is told of the lines that are meant, and of a break with the framing', () => {
  const { bus, lines } = bench(new FtdiDevice())
  bus.control('40 01 0103 0000 0000')
  bus.control('40 01 0202 0000 0000')
  bus.control('40 04 0840 0000 0000')
  bus.control('40 04 0840 0000 0000')
  bus.control('40 04 0800 0000 0000')
  bus.control('40 01 0001 0000 0000')
  expect(lines).toEqual([
    { dtr: true, rts: false, brk: false },
    HIGH,
    { ...HIGH, brk: true },
    HIGH,
    { dtr: false, rts: true, brk: false },
  ])
})

test.for([
  ['3841', 0, 9600],
  ['1a00', 0, 115_200],
  ['3400', 0, 57_600],
  ['0300', 0, 1_000_000],
  ['0100', 0, 2_000_000],
  ['0000', 0, 3_000_000],
] as const)('an FT232R makes a baud rate of the divisor %s', ([divisor, index, expected]) => {
  const { bus, bauds } = bench(new FtdiDevice())
  bus.control(`40 03 ${divisor} 0${index}00 0000`)
  expect(Math.abs((bauds[0] as number) / expected - 1)).toBeLessThan(0.005)
})

test('an FT232R keeps its latency timer, and forgets at a reset what was not read', () => {
  const { bus, device } = bench(new FtdiDevice())
  expect(bus.control('c0 0a 0000 0000 0100')).toBe('10')
  bus.control('40 09 0100 0000 0000')
  expect(bus.control('c0 0a 0000 0000 0100')).toBe('01')
  device.send(Uint8Array.of(1, 2, 3))
  bus.control('40 00 0000 0000 0000')
  bus.read(1)
  expect(told({ bus })).toEqual(['0160'])
})

test('a CP2102 says which part it is, and its lines when it is asked', () => {
  const { bus, device } = bench(new Cp2102Device())
  expect(bus.control('c0 ff 0b37 0000 0100')).toBe('02')
  device.setInputs({ cts: true, dcd: true })
  bus.control('41 07 0303 0000 0000')
  expect(bus.control('c1 08 0000 0000 0100')).toBe('93')
})

test('a CP2102 keeps baud rate, framing and flow control', () => {
  const { bus, bauds, lines } = bench(new Cp2102Device())
  bus.control('41 1e 0000 0000 0400', '00c20100')
  expect(bauds).toEqual([115_200])
  expect(bus.control('c1 1d 0000 0000 0400')).toBe('00c20100')
  expect(bus.control('c1 04 0000 0000 0200')).toBe('0008')
  bus.control('41 13 0000 0000 1000', '01000000 40000000 00000000 00000000')
  expect(lines).toEqual([HIGH])
  bus.control('41 05 0100 0000 0000')
  expect(lines.at(-1)).toEqual({ ...HIGH, brk: true })
})

test('a CH340 has no serial number, and its lines are on where bits are clear', () => {
  const { bus, device, lines } = bench(new Ch340Device())
  expect(bus.control('80 06 0001 0000 1200').slice(28, 36)).toBe('00020001')
  expect(bus.control('c0 5f 0000 0000 0200')).toBe('3100')
  bus.control('40 a4 9fff 0000 0000')
  expect(lines).toEqual([HIGH])
  device.setInputs({ cts: true, ri: true })
  expect(bus.control('c0 95 0607 0000 0200')).toBe('faee')
  bus.read(1, 8)
  expect(told({ bus })).toEqual(['0800faee'])
})

test('a CH340 breaks while a bit of its register is clear', () => {
  const { bus, lines } = bench(new Ch340Device())
  bus.control('40 9a 0518 0040 0000')
  bus.control('40 9a 0518 0140 0000')
  expect(lines.map(({ brk }) => brk)).toEqual([true, false])
})

test.for([
  ['CDC-ACM', new AcmDevice(), 1, 0],
  ['an FT232R', new FtdiDevice(), 1, 2],
  ['a CP2102', new Cp2102Device(), 1, 0],
  ['a CH340', new Ch340Device(), 2, 0],
] as const)('%s carries bytes both ways', ([, device, endpoint, header]) => {
  const { bus, bytes } = bench(device as SerialUsbDevice)
  bus.write(2, '010203')
  bus.answers()
  device.send(Uint8Array.of(4, 5))
  bus.read(endpoint)
  expect(bytes).toEqual([1, 2, 3])
  expect(told({ bus }).map((data) => data.slice(header * 2))).toEqual(['0405'])
})
