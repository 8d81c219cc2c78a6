/** A driver that dies in the middle of a transfer: it has the bus's event, and never gives it back. */
import { I2c, I2cCommand, i2cControl } from 'dirql/i2c'
import {
  Executive,
  IoCreateSynchronizationEvent,
  KernelMode,
  KeWaitForSingleObject,
  MmMapIoSpace,
  MmNonCached,
  MmUnmapIoSpace,
  out,
  WRITE_REGISTER_ULONG,
  ZwClose,
} from 'dirql/wdm'

const WINDOW_BYTES = 0x800

/** Takes the bus, begins to read the EEPROM, and is no more. */
export async function die({ window, event }: { window: number; event: string }): Promise<void> {
  const handle = out<number>()
  const bus = IoCreateSynchronizationEvent(`\\BaseNamedObjects\\${event}`, handle)
  if (bus === null) throw new Error('no event')
  await KeWaitForSingleObject(bus, Executive, KernelMode, false, null)
  const registers = MmMapIoSpace(window, WINDOW_BYTES, MmNonCached)
  WRITE_REGISTER_ULONG(registers + I2c.CONTROL, i2cControl(100))
  WRITE_REGISTER_ULONG(registers + I2c.ADDRESS, 0x50)
  WRITE_REGISTER_ULONG(registers + I2c.WRITE_LENGTH, 0)
  WRITE_REGISTER_ULONG(registers + I2c.READ_LENGTH, 60)
  WRITE_REGISTER_ULONG(registers + I2c.COMMAND, I2cCommand.START)
  MmUnmapIoSpace(registers, WINDOW_BYTES)
  await ZwClose(handle.value)
}
