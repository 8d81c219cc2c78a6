/** What the driver keeps of a port, and its two locks. */
import {
  array,
  DEVICE_OBJECT,
  DOUBLE,
  KDPC,
  KeAcquireInterruptSpinLock,
  KeReleaseInterruptSpinLock,
  KINTERRUPT,
  KSPIN_LOCK,
  KTIMER,
  pointer,
  struct,
  ULONG,
} from 'dirql/wdm'
import { locked, REQUEST_QUEUE } from '../lib/requests.ts'
import { SERIAL_CHARS, SERIAL_HANDFLOW, SERIAL_LINE_CONTROL, SERIAL_TIMEOUTS, SERIALPERF_STATS } from './ntddser.ts'

/** `data`, `transmit`, and one for each modem line. */
export const LINES = 6

export const PORT = struct('SERIAL_PORT', {
  // Guarded by the interrupt spin lock, one for all lines of the port.
  InterruptLock: KSPIN_LOCK,
  Ring: ULONG, // address of the receive buffer
  RingSize: ULONG,
  Put: ULONG, // bytes that were ever put there; wraps
  Taken: ULONG,
  Received: ULONG, // the port's counts, at the last interrupt
  FramingErrors: ULONG,
  ParityErrors: ULONG,
  Overruns: ULONG,
  Breaks: ULONG,
  Statistics: SERIALPERF_STATS,
  Errors: ULONG, // SERIAL_ERROR_…, since they were told
  Modem: ULONG, // SERIAL_MSR_…: levels, and changes since they were told
  ModemCounts: array(ULONG, 4), // edges of CTS, DSR, RI, DCD, at the last interrupt
  WaitMask: ULONG, // SERIAL_EV_… that somebody wants to know
  History: ULONG, // those of them that have happened
  HandFlow: SERIAL_HANDFLOW,
  Chars: SERIAL_CHARS,
  IsXoffReceived: ULONG,
  IsListening: ULONG, // not 0: somebody has the port open

  // Guarded by Lock, which is acquired before the interrupt spin lock.
  Lock: KSPIN_LOCK,
  IsThere: ULONG, // not 0: between start and stop. Registers and interrupts may be used
  Reads: REQUEST_QUEUE,
  Writes: REQUEST_QUEUE,
  Waits: REQUEST_QUEUE, // one at most
  Timeouts: SERIAL_TIMEOUTS,
  LineControl: SERIAL_LINE_CONTROL,
  BaudRate: ULONG,
  ModemControl: ULONG, // MODEM_CONTROL
  Written: ULONG, // bytes that were ever written to DATA; wraps
  IsEmptyTold: ULONG, // SERIAL_EV_TXEMPTY has happened since something was written
  IsHeld: ULONG, // the sender was told to wait
  IsXoffSent: ULONG,
  PendingChar: ULONG, // XON or XOFF that is to be sent, + 1; 0 for none

  // Set before the interrupts are connected, or by PnP.
  Registers: ULONG, // address of the register window
  Interrupts: array(pointer(KINTERRUPT), LINES),
  Lower: pointer<DEVICE_OBJECT>(() => DEVICE_OBJECT),
  Number: ULONG,
  Dpc: KDPC,
  Timer: KTIMER, // the next time-out of a read or a write
  TimerDpc: KDPC,
  NextTimeout: DOUBLE, // interrupt time when Timer expires, 0 when it is not set; guarded by Lock
})
export type PORT = InstanceType<typeof PORT>

export const portOf = (device: DEVICE_OBJECT): PORT => device.DeviceExtension as PORT

/** Runs `body` with the port's lock held. @irql <= DISPATCH_LEVEL */
export const withLock = <R>(port: PORT, body: () => R): R => locked(port.Lock, body)

/** Runs `body` with the interrupt spin lock held. The port is there, and its lock is held. @irql DISPATCH_LEVEL */
export function withInterrupts<R>(port: PORT, body: () => R): R {
  const interrupt = port.Interrupts.at(0) as KINTERRUPT
  const irql = KeAcquireInterruptSpinLock(interrupt)
  const result = body()
  KeReleaseInterruptSpinLock(interrupt, irql)
  return result
}
