import { expect, test } from 'vitest'
import { At24 } from '../../../firmware-sim/chips/at24.ts'
import { I2cBus } from '../../../firmware-sim/chips/bus.ts'
import { ManualTime } from './time.ts'

function bench() {
  const time = new ManualTime()
  const bus = new I2cBus(time.now)
  bus.attach(new At24(time.now))
  return { time, bus }
}

test('the log has an entry from each START to the next condition', () => {
  const { time, bus } = bench()
  time.pass(10)
  bus.start(0x50, false)
  bus.write(0)
  bus.write(3)
  time.pass(5)
  bus.start(0x50, true)
  bus.read()
  bus.stop()
  bus.start(0x21, false)
  bus.abandon()
  expect(bus.log).toEqual([
    { time: 10, address: 0x50, isRead: false, bytes: [0, 3], ack: true, end: 'restart' },
    { time: 15, address: 0x50, isRead: true, bytes: [0xff], ack: true, end: 'stop' },
    { time: 15, address: 0x21, isRead: false, bytes: [], ack: false, end: 'lost' },
  ])
})

test('two chips at one address are refused', () => {
  const { time, bus } = bench()
  expect(() => bus.attach(new At24(time.now))).toThrow('two chips at I2C address 0x50')
})

test('a NACK fault meets the address, or the byte that was named, as often as was said', () => {
  const { bus } = bench()
  bus.faults.nack(0x50, 2)
  expect([1, 2, 3].map(() => bus.start(0x50, false))).toEqual([false, false, true])
  bus.stop()
  bus.faults.nack(0x50, 1, 2)
  bus.start(0x50, false)
  expect([bus.write(0), bus.write(0)]).toEqual([true, false])
  bus.stop()
})

test('nine clocks release an SDA that a chip holds down', () => {
  const { bus } = bench()
  bus.faults.holdSda()
  for (let clock = 0; clock < 8; clock++) bus.pulse()
  expect(bus.isFree).toBe(false)
  bus.pulse()
  expect(bus.isFree).toBe(true)
})

test('an SDA that is held for ever is released by no clock', () => {
  const { bus } = bench()
  bus.faults.holdSda(Number.POSITIVE_INFINITY)
  for (let clock = 0; clock < 1000; clock++) bus.pulse()
  expect(bus.isFree).toBe(false)
  bus.faults.clear()
  expect(bus.isFree).toBe(true)
})

test('an SCL that is held is released in its time', () => {
  const { time, bus } = bench()
  bus.faults.holdScl(100)
  expect([bus.isFree, bus.faults.sclLowForUs]).toEqual([false, 100])
  time.pass(100)
  expect([bus.isFree, bus.faults.sclLowForUs]).toEqual([true, 0])
})

test('a stretch is taken once a byte, as often as was said', () => {
  const { bus } = bench()
  bus.faults.stretch(50, 2)
  expect([1, 2, 3].map(() => bus.faults.takeStretch())).toEqual([50, 50, 0])
})
