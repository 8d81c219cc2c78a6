import { expect, test } from 'vitest'
import { I2c, I2cCommand, i2cControl } from '../../../classes/i2c.ts'
import { Device, Session } from './session.ts'

// What the firmware does is tested in test/boards/uno.test.ts; here it meets what only an emulated board can do to it.

test('a page is written, polled for, and read back', () => {
  const session = new Session()
  session.open()
  session.enableBus()
  const page = Array.from({ length: 64 }, (_, index) => (index * 7) & 0xff)
  expect(session.transfer(0x50, [0x12, 0x40, ...page], 0).failure).toBe(null)
  session.board.fault('nack', [0x50, 2]) // by the time that a poll has travelled here, the write cycle is over
  let polls = 0
  while (session.transfer(0x50, [], 0).failure === 'NACK_ADDRESS') polls += 1
  expect(polls).toBe(2)
  expect(session.transfer(0x50, [0x12, 0x40], 64)).toEqual({ failure: null, bytes: page })
  expect(session.board.uno.sequences.mixed).toBe(0)
})

test('a stretched clock makes a transfer longer; one that is held for ever ends it by time-out', () => {
  const session = new Session()
  session.open()
  session.enableBus()
  session.board.fault('stretch', [2_000, 3])
  expect(session.transfer(0x48, [0], 2).failure).toBe(null)
  session.board.touch(({ bus }) => bus.faults.stretch(Number.POSITIVE_INFINITY, 1))
  expect(session.transfer(0x48, [0], 2).failure).toBe('TIMEOUT')
})

test('a board that is reset in the middle of a read leaves the bus stuck; the next session recovers it', () => {
  const session = new Session()
  session.open()
  session.enableBus()
  session.board.set('temperature', 0.5) // its first byte is zero: the chip holds SDA down
  session.ms(300)
  session.host.write(Device.i2c, I2c.DATA, 0)
  session.host.write(Device.i2c, I2c.ADDRESS, 0x48)
  session.host.write(Device.i2c, I2c.WRITE_LENGTH, 1)
  session.host.write(Device.i2c, I2c.READ_LENGTH, 2)
  session.host.write(Device.i2c, I2c.COMMAND, I2cCommand.START)
  const { bus } = session.board.uno
  for (let step = 0; step < 10_000 && !bus.log.at(-1)?.isRead; step++) {
    session.time.pass(50)
    session.board.touch(() => {}) // as far as the time is
  }
  session.time.pass(300) // the address is out, the first byte under way
  session.board.reset()
  expect(bus.isFree).toBe(false)
  session.until(() => session.resets === 1, 4000)
  session.open()
  session.frames.length = 0
  session.host.enableLine(0)
  session.host.write(Device.i2c, I2c.CONTROL, i2cControl(400))
  session.host.write(Device.i2c, I2c.COMMAND, I2cCommand.RECOVER)
  session.flush()
  session.ms(50)
  expect(bus.isFree).toBe(true)
})

test('two runs are the same, byte for byte', () => {
  const run = (): unknown => {
    const session = new Session()
    session.open()
    session.enableBus()
    session.host.enableLine(2)
    const results = [1, 2, 3].map((page) => {
      session.board.press('button')
      session.transfer(0x50, [page, 0, page], 0)
      session.board.release('button')
      session.ms(7)
      return session.transfer(0x50, [page, 0], 8)
    })
    return { results, frames: session.frames, log: session.board.uno.bus.log, now: session.time.now() }
  }
  expect(run()).toEqual(run())
})
