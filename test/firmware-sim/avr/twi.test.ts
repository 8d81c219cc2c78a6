import { expect, test } from 'vitest'
import { Bench } from './bench.ts'

/** Status codes of the datasheet, tables 22-2 and 22-3; ee is the program's own: nothing came in 100 ms. */
const READ = '08 18 28 10 40 50 19 58 00'.replaceAll(' ', '')

test('a chip is written to and read from, with the status codes of the datasheet', () => {
  const bench = new Bench()
  bench.ms(30)
  expect(bench.ask('t')).toBe(READ)
  expect(bench.uno.bus.log.map(({ address, isRead, bytes, end }) => ({ address, isRead, bytes, end }))).toEqual([
    { address: 0x48, isRead: false, bytes: [0], end: 'restart' },
    { address: 0x48, isRead: true, bytes: [0x19, 0], end: 'stop' },
  ])
})

test('a START and the byte behind it take ten clocks of SCL', () => {
  const bench = new Bench()
  bench.ask('p')
  const polls = bench.uno.bus.log.slice(1).map(({ time }) => time)
  for (let index = 1; index < polls.length; index++) {
    const us = (polls[index] as number) - (polls[index - 1] as number)
    expect(us).toBeGreaterThanOrEqual(25) // at 400 kHz
    expect(us).toBeLessThan(32) // the program's own time
  }
})

test('an EEPROM is asked until its write cycle is over', () => {
  const bench = new Bench()
  const line = bench.ask('p')
  expect(line.slice(0, 12)).toBe('081828282828')
  expect(Number.parseInt(line.slice(12), 16)).toBeGreaterThan(100)
  expect([...bench.uno.at24.memory.subarray(0x100, 0x104)]).toEqual([0xa0, 0xa1, 0xa2, 0xa3])
  expect(bench.uno.sequences.mixed).toBe(0)
})

test('a chip that is not there does not acknowledge', () => {
  const bench = new Bench()
  bench.uno.bus.detach(0x48)
  expect(bench.ask('t').slice(0, 4)).toBe('0820')
})

test('a NACK of data is told as one', () => {
  const bench = new Bench()
  bench.uno.fault('nack', [0x48, 1, 1])
  expect(bench.ask('t').slice(0, 6)).toBe('081830')
})

test('an arbitration that is lost and a bus error are told by their codes', () => {
  const bench = new Bench()
  bench.uno.fault('loseArbitration', [1])
  expect(bench.ask('t', 1000).slice(0, 4)).toBe('0838')
  const other = new Bench()
  other.uno.fault('disturb', [1])
  expect(other.ask('t', 1000).slice(0, 4)).toBe('0800')
})

test('a chip that stretches the clock makes its bytes longer', () => {
  const took = (us: number): number => {
    const bench = new Bench()
    bench.uno.fault('stretch', [us, 1])
    bench.ask('t')
    return (bench.uno.bus.log[1]?.time ?? 0) - (bench.uno.bus.log[0]?.time ?? 0)
  }
  // what it says over its serial port meanwhile hides less than a byte of 87 µs
  expect(took(1000) - took(0)).toBeGreaterThan(1000 - 87)
  expect(took(1000) - took(0)).toBeLessThanOrEqual(1000)
})

test('an SCL that is held for a while makes the bus wait, one that is held for ever stops it', () => {
  const bench = new Bench()
  bench.ms(30)
  bench.uno.fault('holdScl', [20_000])
  expect(bench.ask('t')).toBe(READ)
  bench.uno.fault('holdScl', [Number.POSITIVE_INFINITY])
  expect(bench.ask('t', 1000).slice(0, 2)).toBe('ee')
})

test('a START waits for an SDA that is held, and clocks by hand release it', () => {
  const bench = new Bench()
  bench.ms(30)
  bench.uno.fault('holdSda', [9])
  expect(bench.ask('t', 1000).slice(0, 2)).toBe('ee')
  expect(bench.ask('r')).toBe('0908')
  expect(bench.ask('t')).toBe(READ)
})

test('an SDA that is held for ever is not released by clocks', () => {
  const bench = new Bench()
  bench.uno.fault('holdSda', [Number.POSITIVE_INFINITY])
  expect(bench.ask('r', 300)).toBe('09ee')
})

test('a reset in the middle of a read leaves the chip holding SDA down', () => {
  const bench = new Bench()
  bench.ms(30)
  const { uno } = bench
  uno.set('temperature', 0.5) // 0x0080: the first byte is all zeros
  bench.ms(300)
  uno.chip.usart.receive(Buffer.from('t'))
  while (!uno.bus.log[1]?.ack) uno.chip.run(uno.chip.cycles + 16)
  bench.ms(0.15)
  uno.reset()
  bench.ms(5)
  expect(uno.bus.isFree).toBe(false)
  expect(bench.ask('r')).toBe('0808')
  expect(bench.ask('t').slice(0, 10)).toBe('0818281040')
})

test('ALERT pulls D3 down', () => {
  const bench = new Bench()
  bench.ask('i')
  bench.uno.set('temperature', 85)
  bench.ms(300)
  expect(bench.uno.level(3)).toBe(false)
  expect(bench.ask('j').slice(4, 8)).toBe('0001')
})
