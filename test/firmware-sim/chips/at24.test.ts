import { expect, test } from 'vitest'
import { At24 } from '../../../firmware-sim/chips/at24.ts'
import { I2cBus } from '../../../firmware-sim/chips/bus.ts'
import { ManualTime } from './time.ts'

function bench() {
  const time = new ManualTime()
  const bus = new I2cBus(time.now)
  const chip = new At24(time.now)
  bus.attach(chip)
  const write = (address: number, bytes: number[]): boolean => {
    const ack = bus.start(0x50, false)
    if (ack) for (const byte of [address >> 8, address & 0xff, ...bytes]) bus.write(byte)
    bus.stop()
    return ack
  }
  const read = (count: number, address?: number): number[] => {
    if (address !== undefined) write(address, [])
    expect(bus.start(0x50, true)).toBe(true)
    const bytes = Array.from({ length: count }, () => bus.read())
    bus.stop()
    return bytes
  }
  return { time, bus, chip, write, read }
}

test('a page reads back as it was written, 5 ms later', () => {
  const { time, write, read } = bench()
  const page = Array.from({ length: 64 }, (_, index) => index)
  write(0x1000, page)
  time.pass(5_000)
  expect(read(64, 0x1000)).toEqual(page)
})

test('nothing is acknowledged for 5 ms behind a write, and then it is', () => {
  const { time, bus, write } = bench()
  write(0, [1])
  time.pass(4_999)
  expect(bus.start(0x50, false)).toBe(false)
  bus.stop()
  expect(bus.start(0x50, true)).toBe(false)
  bus.stop()
  time.pass(1)
  expect(bus.start(0x50, false)).toBe(true)
  bus.stop()
})

test('a page write wraps within its page', () => {
  const { time, chip, write, read } = bench()
  write(0x3e, [1, 2, 3, 4])
  time.pass(5_000)
  expect(read(2, 0x3e)).toEqual([1, 2])
  expect(read(2, 0x00)).toEqual([3, 4])
  expect(chip.memory[0x40]).toBe(0xff)
})

test('the 65th byte of a page write overwrites the first', () => {
  const { time, write, read } = bench()
  write(
    0,
    Array.from({ length: 65 }, (_, index) => index),
  )
  time.pass(5_000)
  expect(read(2, 0)).toEqual([64, 1])
})

test('reads go on behind the last address, and roll over at the end of the memory', () => {
  const { time, chip, read } = bench()
  chip.memory[0x7fff] = 7
  chip.memory[0] = 8
  chip.memory[1] = 9
  expect(read(2, 0x7fff)).toEqual([7, 8])
  expect(read(1)).toEqual([9])
  time.pass(0)
})

test('the highest address bit says nothing', () => {
  const { time, write, read } = bench()
  write(0x8010, [5])
  time.pass(5_000)
  expect(read(1, 0x0010)).toEqual([5])
})

test('data without a STOP is not written', () => {
  const { bus, chip, read } = bench()
  bus.start(0x50, false)
  for (const byte of [0, 0, 1]) bus.write(byte)
  expect(read(1, 0)).toEqual([0xff])
  expect(chip.writeCycles).toBe(0)
})

test('with WP high bytes are acknowledged, not stored, and no write cycle runs', () => {
  const { chip, write, read } = bench()
  chip.isWriteProtected = true
  expect(write(0, [1])).toBe(true)
  expect(read(1, 0)).toEqual([0xff])
})
