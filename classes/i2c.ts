/** The i2c class: an I2C controller that does one transaction at a time (docs/hardware/i2c.md). */
import { type DeviceClass, offsetsOf } from './device.ts'

export const I2C_MOST_WRITTEN = 72
export const I2C_MOST_READ = 64

const registers = [
  { name: 'CONTROL', offset: 0x00, kind: 'control', reset: 0x0064_0000 },
  { name: 'ADDRESS', offset: 0x04, kind: 'control' },
  { name: 'WRITE_LENGTH', offset: 0x08, kind: 'control' },
  { name: 'READ_LENGTH', offset: 0x0c, kind: 'control' },
  { name: 'DATA', offset: 0x10, kind: 'fifo', width: 1, room: 256 },
  { name: 'COMMAND', offset: 0x14, kind: 'command' },
  { name: 'STATUS', offset: 0x18, kind: 'status' },
  { name: 'TRANSFERS', offset: 0x1c, kind: 'count' },
  { name: 'RECEIVED', offset: 0x20, kind: 'status' },
  { name: 'DATA_LEVEL', offset: 0x24, kind: 'level', of: 0x10 },
  { name: 'TIMEOUT_MS', offset: 0x28, kind: 'control', reset: 25 },
  { name: 'REFUSED', offset: 0x2c, kind: 'count' },
] as const

/** Offsets in the register window. */
export const I2c = offsetsOf(registers)

/** Bits of CONTROL. The bus speed in kHz stands above SPEED_SHIFT. */
export const I2cControl = { ENABLE: 1 << 0, SPEED_SHIFT: 16 } as const

/** Values of COMMAND. */
export const I2cCommand = { START: 1, ABORT: 2, RECOVER: 4 } as const

/** Bits of STATUS. All but BUSY tell of the transaction that ended last. */
export const I2cStatus = {
  BUSY: 1 << 0,
  DONE: 1 << 1,
  NACK_ADDRESS: 1 << 2,
  NACK_DATA: 1 << 3,
  TIMEOUT: 1 << 4,
  BUS_STUCK: 1 << 5,
  ABORTED: 1 << 6,
  INVALID: 1 << 7,
} as const

export const i2cClass: DeviceClass = {
  name: 'i2c',
  version: 1,
  registers,
  lines: [
    {
      name: 'done',
      dirql: 5,
      mode: 'latched',
      shared: true,
      snapshot: ['STATUS', 'TRANSFERS', 'RECEIVED', 'REFUSED'],
    },
  ],
}

/** CONTROL for an enabled controller at `speedKhz`. */
export const i2cControl = (speedKhz: number): number => I2cControl.ENABLE | (speedKhz << I2cControl.SPEED_SHIFT)

/** The bus speed that a CONTROL value asks for. */
export const i2cSpeedKhz = (control: number): number => control >>> I2cControl.SPEED_SHIFT

/** Whether the transaction that ended last did all that it was asked. */
export const i2cSucceeded = (status: number): boolean => (status & ~I2cStatus.BUSY) === I2cStatus.DONE

/** Why the transaction that ended last failed; null when it did not. */
export function i2cFailure(status: number): keyof typeof I2cStatus | null {
  const failures = ['INVALID', 'BUS_STUCK', 'TIMEOUT', 'ABORTED', 'NACK_ADDRESS', 'NACK_DATA'] as const
  return failures.find((name) => (status & I2cStatus[name]) !== 0) ?? null
}

/**
 * Microseconds that a transaction keeps the bus busy without clock stretch: nine bits a byte, addresses included, and
 * one each for START, repeated START and STOP.
 */
export function i2cDurationUs(speedKhz: number, writeLength: number, readLength: number): number {
  const isWritten = writeLength > 0 || readLength === 0
  const written = isWritten ? 1 + 9 * (1 + writeLength) : 0
  const read = readLength > 0 ? 1 + 9 * (1 + readLength) : 0
  return ((written + read + 1) * 1000) / speedKhz
}
